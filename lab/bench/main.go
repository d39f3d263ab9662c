// Command bench measures Rotor the way a skeptic would. It puts load that follows
// rotation on the local program, as a separate process, over each available store.
// It also measures the requests to storage, sizes, the cold starts of the functions,
// and what all that costs. It is run in the module's root.
//
//	bench [-short] [-o dist]                   measures, prints tables, writes bench.json to the folder
//	bench -growth [-short] [-o dist]           the same of how cost grows, to growth.json
//	bench -markdown docs/benchmarks.md [-o …]  measures nothing: sets the tables of a page, and draws its plot, from the JSON
//
// With ROTOR_TEST_DYNAMODB=http://127.0.0.1:PORT it measures on DynamoDB Local as
// well. Only DynamoDB Local reports what DynamoDB would bill, and -growth needs it.
// If any request of a load fails, so does the run.
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
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	short := flags.Bool("short", false, "a tenth of the work, and less: whether it runs, not how fast")
	growth := flags.Bool("growth", false, "how cost grows with the table, instead of all else")
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
		size: full, stdout: stdout, stderr: stderr,
		report: &Report{Short: *short},
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
	if err := b.measure(ctx); err != nil {
		return err
	}
	return write(filepath.Join(*folder, benchFile), b.report)
}

// The files in the folder of a run, and the plot beside a page.
const (
	benchFile  = "bench.json"
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
}

// measure fills the report, and prints each section as soon as it is complete.
func (b *bench) measure(ctx context.Context) error {
	for _, part := range []struct {
		doing    string
		do       func(context.Context) error
		sections []string
	}{
		{"the zips", b.weigh, nil}, // first, so that a run without them fails at once
		{"the machine", func(ctx context.Context) error {
			b.report.Machine = machine(ctx)
			return nil
		}, []string{"machine"}},
		{"storage requests", b.storage, []string{"storage"}},
		{"refreshes under load", b.loads, []string{"load", "profile", "races"}},
		{"warm invocations", b.invocations, []string{"invocations"}},
		{"sizes", b.sizes, []string{"sizes"}},
		{"micro-benchmarks", b.micro, []string{"micro"}},
		{"cold starts", b.coldStarts, []string{"starts"}},
		{"cost and aims", func(context.Context) error {
			b.report.Costs, b.report.Aims = costs(b.report), aims(b.report)
			return nil
		}, []string{"cost", "prices", "peers", "aims"}},
	} {
		b.progress("measuring %s", part.doing)
		if err := part.do(ctx); err != nil {
			return fmt.Errorf("measure %s: %w", part.doing, err)
		}
		for _, name := range part.sections {
			if _, err := io.WriteString(b.stdout, sections[name](b.report).Text()+"\n"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(b.stderr, "# "+format+"\n", args...) // for who waits
}
