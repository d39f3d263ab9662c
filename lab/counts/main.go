// Command counts counts what calls of the API take: requests to the store, the units
// that DynamoDB bills for them, bytes and allocations. It compares the counts with
// those of counts.json, and fails if one has grown. Counts are the same on any
// machine, however busy; so a change that makes a call dearer is seen when it is made.
// It is run in the module's root.
//
//	counts          compares
//	counts -write   writes counts.json: what has changed is to be read in the commit
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

const file = "lab/counts/counts.json"

// report has the counts that were committed.
//
//go:embed counts.json
var report []byte

func main() {
	write := flag.Bool("write", false, "write "+file+" instead of comparing with it")
	flag.Parse()
	if err := run(context.Background(), *write, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "counts:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write bool, stdout io.Writer) error {
	counted, err := count(ctx)
	if err != nil {
		return err
	}
	if write {
		text, err := json.MarshalIndent(counted, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(file, append(text, '\n'), 0o644) //nolint:gosec // not secret: counts
	}
	var committed counts
	if err := json.Unmarshal(report, &committed); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	notes, err := compare(committed, counted)
	for _, note := range notes {
		_, _ = fmt.Fprintln(stdout, note) // the result is the error
	}
	return err
}

// counts are the counts of each call, by what was counted.
type counts map[string]map[string]float64

// tolerance returns how much more of something is no growth, as a share. Allocations
// differ a little between versions of Go, and when a pool was just emptied.
func tolerance(what string) float64 {
	if what == allocations {
		return 0.02
	}
	return 0
}

// compare returns an error if anything has grown, or is in one of the reports alone.
// What has shrunk is a note.
func compare(committed, counted counts) (notes []string, err error) {
	var errs []error
	for _, call := range slices.Sorted(maps.Keys(union(committed, counted))) {
		for _, what := range slices.Sorted(maps.Keys(union(committed[call], counted[call]))) {
			before, was := committed[call][what]
			now, is := counted[call][what]
			change := fmt.Sprintf("%s: %s: %s, and %s before", call, what, number(now), number(before))
			switch {
			case !was || !is || math.IsNaN(now):
				errs = append(errs, fmt.Errorf("%s: %s is counted in one of the reports alone", call, what))
			case now > before*(1+tolerance(what)):
				errs = append(errs, errors.New(change))
			case now < before*(1-tolerance(what)):
				notes = append(notes, change+": make bench-counts WRITE=-write keeps it so")
			}
		}
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New("if that is meant, make bench-counts WRITE=-write, and say in the commit what it buys"))
	}
	return notes, errors.Join(errs...)
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return all
}

func number(n float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", n), "0"), ".")
}
