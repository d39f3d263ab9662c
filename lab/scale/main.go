// Command scale shows which limit Rotor reaches first as it grows, and which setting
// to raise then. It computes this from the quotas that AWS documents, and simulates
// a region. The cost of a refresh comes from a report of lab/bench. It is run in the
// module's root.
//
//	scale [-bench file]                          prints the tables
//	scale -markdown docs/scale.md [-bench file]  sets them on a page
//
// Without -bench the report is dist/bench.json or, if there is none, the one beside
// this program.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/rotor-auth/rotor/lab/page"
)

// marker precedes a table's name on a page.
const marker = "scale"

func main() {
	if err := start(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func start(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("bench", "", "the report `file` of a run of bench; otherwise dist/bench.json, or "+keptInputs)
	file := flags.String("markdown", "", "the `page` whose tables are set")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("there are no arguments such as %q", flags.Arg(0))
	}
	if *path == "" {
		*path = "dist/bench.json"
		if _, err := os.Stat(*path); errors.Is(err, fs.ErrNotExist) {
			*path = keptInputs
		}
	}
	in, err := readInputs(*path)
	if err != nil {
		return err
	}
	f := &findings{in: in, runs: runs(in)}
	for i := range f.runs {
		r := &f.runs[i]
		_, _ = fmt.Fprintf(stderr, "# %s a second, %s, %s\n", number(r.rate), r.load.name, r.settings.name) // for who waits
		r.outcome = simulate(r.settings, r.load, seed)
	}
	if *file != "" {
		return page.Set(*file, marker, f.table)
	}
	for _, s := range sections {
		if _, err := io.WriteString(stdout, s.table(f).Text()+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// seed is the seed of all simulations.
const seed = 1
