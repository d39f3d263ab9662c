// Command bench measures Rotor the way a skeptic would. It puts load that follows
// rotation on the local program, as a separate process, over each available store.
// It also measures the requests to storage, sizes, and the cold starts of the functions.
// It is run in the module's root.
//
//	bench [-short] [-o dist]                   measures, prints tables, writes bench.json to the folder
//	bench -only floor,sizes [-short] [-o …]    the same of some parts, to bench-part.json
//	bench -only floor -other program           and with another build of cmd/rotor, by turns with this one
//	bench -growth [-short] [-o dist]           the same of how cost grows, to growth.json
//	bench -markdown docs/benchmarks.md [-o …]  measures nothing: sets the tables of a page, and draws its plot, from the JSON
//
// With ROTOR_TEST_DYNAMODB=http://127.0.0.1:PORT it measures on DynamoDB Local as
// well. Only DynamoDB Local reports what DynamoDB would bill, and -growth needs it.
// If any request of a load fails, so does the run. What was measured by then stands in
// the JSON, which is written after each measurement.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/rotor-auth/rotor/lab/process"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if below := os.Getenv(storeVariable); below != "" {
		return serveStore(ctx, below, stdout)
	}
	if algorithm := os.Getenv(floorVariable); algorithm != "" {
		return serveFloor(ctx, algorithm, stdout)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	short := flags.Bool("short", false, "a tenth of the work, and less: whether it runs, not how fast")
	growth := flags.Bool("growth", false, "how cost grows with the table, instead of all else")
	only := flags.String("only", "", "the `parts` to measure, instead of all, separated by commas")
	other := flags.String("other", "", "another build of cmd/rotor, a `program` that takes turns with this one in the part floor")
	folder := flags.String("o", "dist", "the `folder` that the JSON is written to, or with -markdown read from")
	file := flags.String("markdown", "", "the `page` whose tables are set from the JSON; nothing is measured")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("there are no arguments such as %q", flags.Arg(0))
	}
	if *file != "" {
		return setPage(*file, *folder)
	}
	dynamodb := os.Getenv("ROTOR_TEST_DYNAMODB")
	if *growth && dynamodb == "" {
		return errors.New("how cost grows is measured on DynamoDB Local, and ROTOR_TEST_DYNAMODB does not say where one is: make bench-growth starts it")
	}
	scratch, err := os.MkdirTemp("", "rotor-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // nothing is lost with it
	rotor, err := process.Build(scratch, "./cmd/rotor")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := &bench{
		rotor: rotor, self: self, functions: "dist/" + runtime.GOARCH, dynamodb: dynamodb,
		other: *other, size: full, stdout: stdout, stderr: stderr,
		report: &Report{Short: *short}, path: filepath.Join(*folder, benchFile),
	}
	if *growth {
		g, err := b.growth(ctx, *short, scratch)
		if err != nil {
			return err
		}
		return write(filepath.Join(*folder, growthFile), g)
	}
	if *short {
		b.size = small
	}
	all := b.parts()
	if *only != "" {
		b.path = filepath.Join(*folder, partFile)
		if all, err = chosen(all, *only); err != nil {
			return err
		}
		b.report.Parts = strings.Split(*only, ",")
	}
	return b.measure(ctx, all)
}

// The files in the folder of a run, and the plot beside a page.
const (
	benchFile  = "bench.json"
	partFile   = "bench-part.json"
	growthFile = "growth.json"
	plotFile   = "growth.svg"
)

// bench is a run.
type bench struct {
	rotor, self string // the paths of the programs
	functions   string // the folder of the built functions, for this machine
	dynamodb    string // the URL of DynamoDB Local, or ""
	size        size
	stdout      io.Writer // for tables
	stderr      io.Writer // for progress
	report      *Report
	path        string // where the report is written to, or ""
	other       string // another build of the local program, or ""
}

// measurement is a part of a run.
type measurement struct {
	name     string
	doing    string
	do       func(context.Context) error
	sections []string
}

// parts returns all parts of a run, in order.
func (b *bench) parts() []measurement {
	return []measurement{
		{"zips", "the zips", b.weigh, nil}, // first, so that a run without them fails at once
		{"machine", "the machine", b.lookAtMachine, []string{"machine"}},
		{"storage", "storage requests", b.storage, []string{"storage"}},
		{"floor", "refreshes beside the floor", b.floors, []string{"floor"}},
		{"peers", "a peer by turns", b.peers, []string{"peers", "peerraces"}},
		{"load", "refreshes under load", b.loads, []string{"load", "profile", "races"}},
		{"invocations", "warm invocations", b.invocations, []string{"invocations"}},
		{"sizes", "sizes", b.sizes, []string{"sizes"}},
		{"micro", "micro-benchmarks", b.micro, []string{"micro"}},
		{"starts", "cold starts", b.coldStarts, []string{"starts"}},
		{"aims", "aims", func(context.Context) error { return nil }, []string{"aims"}}, // which save computes
	}
}

// chosen returns the named parts, and the machine.
func chosen(all []measurement, names string) ([]measurement, error) {
	var some []measurement
	wanted := append(strings.Split(names, ","), "machine")
	for _, p := range all {
		if slices.Contains(wanted, p.name) {
			some = append(some, p)
			wanted = slices.DeleteFunc(wanted, func(name string) bool { return name == p.name })
		}
	}
	if len(wanted) > 0 {
		return nil, fmt.Errorf("there is no part %s", strings.Join(wanted, ", "))
	}
	return some, nil
}

// measure fills the report, and prints each section as soon as it is complete. A
// failure loses nothing of what was measured before it.
func (b *bench) measure(ctx context.Context, all []measurement) error {
	for _, part := range all {
		b.progress("measuring %s", part.doing)
		b.report.Unfinished = "measuring " + part.doing
		err := part.do(ctx)
		if err != nil {
			err = fmt.Errorf("measure %s: %w", part.doing, err)
			b.report.Unfinished = err.Error()
		}
		if err := errors.Join(err, b.save()); err != nil {
			return err
		}
		for _, name := range part.sections {
			if _, err := io.WriteString(b.stdout, sections[name](b.report).Text()+"\n"); err != nil {
				return err
			}
		}
	}
	b.report.Unfinished = ""
	return b.save()
}

// save writes the report, as far as it is complete.
func (b *bench) save() error {
	b.report.Aims = aims(b.report)
	if b.path == "" {
		return nil
	}
	return write(b.path, b.report)
}

func (b *bench) lookAtMachine(ctx context.Context) error {
	b.report.Machine = machine(ctx)
	return nil
}

func (b *bench) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(b.stderr, "# "+format+"\n", args...) // for who waits
}
