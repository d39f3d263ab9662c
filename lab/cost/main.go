// Command cost computes what a million refreshes cost, for each way to run Rotor, and
// sets the tables of docs/cost.md. The units and the CPU time are those of a report
// of lab/bench; the log lines are measured on the spot.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/lab/page"
	"github.com/rotor-auth/rotor/lab/price"
)

// marker precedes a table's name on a page.
const marker = "cost"

func main() {
	if err := start(context.Background(), ".", os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "cost:", err)
		os.Exit(1)
	}
}

// start prints the tables, or sets those of docs/cost.md if the argument is write.
// root is the folder of the repository.
func start(ctx context.Context, root string, w io.Writer, args []string) error {
	m, err := measured(ctx, filepath.Join(root, "lab/scale/bench.json"))
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "write":
		return page.Set(filepath.Join(root, "docs/cost.md"), marker, m.table)
	case len(args) > 0:
		return errors.New("the only argument is write")
	}
	for _, name := range names {
		if _, err := io.WriteString(w, m.table(name).Text()+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// measurements are what a refresh takes, by algorithm.
type measurements map[string]price.Way

// measured returns what a refresh takes. It reads the report at path, and measures the log lines.
func measured(ctx context.Context, path string) (measurements, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var report struct {
		Storage []struct {
			Call  string
			Units *struct{ Write, Read, Index float64 }
		}
		Invocations []struct {
			Algorithm string
			CPU       float64
		}
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	line, err := inside.AuditLine(ctx)
	if err != nil {
		return nil, err
	}
	access, err := inside.AccessLine()
	if err != nil {
		return nil, err
	}
	w := price.Way{AuditLine: len(line), AccessLine: len(access)}
	for _, s := range report.Storage {
		if s.Call == "refresh" && s.Units != nil {
			w.Write, w.Read = s.Units.Write+s.Units.Index, s.Units.Read
		}
	}
	all := measurements{}
	for _, i := range report.Invocations {
		w.Algorithm, w.CPU = i.Algorithm, i.CPU
		all[i.Algorithm] = w
	}
	if rs, es := all["RS256"], all["ES256"]; w.Write == 0 || rs.CPU == 0 || es.CPU == 0 {
		return nil, fmt.Errorf("%s lacks the units or the CPU time of a refresh", path)
	}
	return all, nil
}
