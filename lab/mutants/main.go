// Mutants breaks the protocol on purpose, in one way at a time, and reports whether the tests notice. Each mutant of
// the table in table.go is compiled with an overlay, so the tree itself is never changed.
//
//	go run ./lab/mutants [-run REGEXP] [-since COMMIT] [-at-once N] [-quick]
//	go run ./lab/mutants -write docs/mutants.md
//
// It is run in the root of the repository. It fails if a mutant survives or does not compile, if the text that one
// replaces is gone, or if a test fails without a mutant. The second form writes the table and tries nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	only := flag.String("run", "", "only mutants whose rule, package or test matches the `regexp`")
	since := flag.String("since", "", "only mutants of packages in which a file differs from that `commit`")
	atOnce := flag.Int("at-once", 2, "`how many` mutants are tried at the same time")
	quick := flag.Bool("quick", false, "run only the test that the table names for a mutant, and no whole suites where it passes")
	write := flag.String("write", "", "write the table to the `file`, as Markdown, and try nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, log.New(os.Stdout, "", 0), options{*only, *since, *atOnce, *quick, *write})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out *log.Logger, o options) error {
	if o.write != "" {
		return os.WriteFile(o.write, []byte(markdown(table)), 0o644) //nolint:gosec // documentation
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	mutants, err := choose(table, o.only)
	if err != nil {
		return err
	}
	if o.since != "" {
		if mutants, err = changed(ctx, root, o.since, mutants); err != nil {
			return err
		}
		if len(mutants) == 0 {
			out.Printf("no package with mutants has changed since %s", o.since)
			return nil
		}
	}
	began := time.Now()
	verdicts, err := tryAll(ctx, out, root, mutants, o.atOnce, o.quick)
	if err != nil {
		return err
	}
	counts := map[outcome]int{}
	for _, v := range verdicts {
		counts[v.outcome]++
	}
	out.Printf("\n%s\n%d of %d mutants killed, in %s", byPackage(mutants, verdicts), counts[killed], len(mutants), time.Since(began).Round(time.Second))
	if counts[killed] < len(mutants) {
		return fmt.Errorf("%d survived, %d do not compile, %d made a test hang", counts[survived], counts[broken], counts[hung])
	}
	return nil
}

// options are the flags of the command line.
type options struct {
	only, since string
	atOnce      int
	quick       bool
	write       string
}

// changed returns those mutants in whose package a file differs from the commit, in later commits or in the working
// tree.
func changed(ctx context.Context, root, since string, mutants []mutant) ([]mutant, error) {
	cmd := exec.CommandContext(ctx, "git", "diff", "--name-only", since, "--", "*.go") //nolint:gosec // the caller's own commit
	cmd.Dir = root
	b, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask git what has changed since %s: %w", since, err)
	}
	touched := map[string]bool{}
	for file := range strings.Lines(string(b)) {
		touched[path.Dir(strings.TrimSpace(file))] = true
	}
	return slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool { return !touched[folder(m.pkg)] }), nil
}

// byPackage returns, in a line for each package, how many of its mutants are killed.
func byPackage(mutants []mutant, verdicts []verdict) string {
	all, dead := map[string]int{}, map[string]int{}
	for i, m := range mutants {
		pkg := folder(m.pkg)
		all[pkg]++
		if verdicts[i].outcome == killed {
			dead[pkg]++
		}
	}
	var b strings.Builder
	for _, pkg := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%4d of %3d killed in %s\n", dead[pkg], all[pkg], pkg)
	}
	return b.String()
}

// choose returns the mutants that match, of all chapters.
func choose(chapters []chapter, only string) ([]mutant, error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return nil, err
	}
	var chosen []mutant
	for _, c := range chapters {
		for _, m := range c.mutants {
			if pattern.MatchString(m.rule) || pattern.MatchString(folder(m.pkg)) || pattern.MatchString(m.test) {
				chosen = append(chosen, m)
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no mutant matches %q", only)
	}
	return chosen, nil
}

// tryAll tries the mutants, atOnce of them at a time, and prints the verdicts in the order of the table.
func tryAll(ctx context.Context, out *log.Logger, root string, mutants []mutant, atOnce int, quick bool) ([]verdict, error) {
	if err := check(root, mutants); err != nil {
		return nil, err
	}
	l, err := newLab(ctx, root)
	if err != nil {
		return nil, err
	}
	defer l.close()
	l.quick = quick
	if err := l.baseline(ctx, mutants, atOnce); err != nil {
		return nil, err
	}
	out.Print("without a mutant the tests that are tried first pass\n\n")

	verdicts := make([]verdict, len(mutants))
	known := make([]chan struct{}, len(mutants))
	for i := range known {
		known[i] = make(chan struct{})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce + 1)
	group.Go(func() error { // prints
		for i, m := range mutants {
			select {
			case <-known[i]:
				out.Print(line(m, verdicts[i]))
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for i, m := range mutants {
		group.Go(func() (err error) {
			began := time.Now()
			if verdicts[i], err = l.try(ctx, m); err == nil {
				verdicts[i].took = time.Since(began)
				close(known[i])
			}
			return err
		})
	}
	return verdicts, group.Wait()
}

func line(m mutant, v verdict) string {
	s := fmt.Sprintf("%-8s  %4.1f s  %s (%s)", v.outcome, v.took.Seconds(), m.rule, folder(m.pkg))
	if v.by != "" {
		s += "\n                  by " + v.by
	}
	if v.outcome == killed && topLevel(v.by) != m.test {
		s += "; not by " + m.test + ", which is tried first"
	}
	if v.outcome != killed && v.output != "" {
		s += "\n" + strings.TrimSpace(v.output)
	}
	return s
}

// topLevel returns the test without its subtest, because which subtest fails first may differ from run to run.
func topLevel(test string) string {
	name, _, _ := strings.Cut(test, "/")
	return name
}

const preface = `<!-- Written by "go run ./lab/mutants -write docs/mutants.md"; a test fails where the table there has changed since. -->
# What the tests notice

That a test passes says little; that it fails once the thing that it is of is broken says more. ` + "`make mutants`" + ` breaks the
protocol on purpose, one way at a time, and runs the tests against each such mutant. One that no test notices fails the
run. These are the mutants, each with the test that is tried first, and notices.
`

// markdown returns the table as a page of the documentation.
func markdown(chapters []chapter) string {
	var b strings.Builder
	b.WriteString(preface)
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n\n| what is broken | in | found by |\n|---|---|---|\n", c.title)
		for _, m := range c.mutants {
			fmt.Fprintf(&b, "| %s | `%s` | `%s` |\n", m.rule, folder(m.pkg), m.test)
		}
	}
	return b.String()
}
