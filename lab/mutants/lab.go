package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// mutant is one way in which the code can be wrong.
type mutant struct {
	rule  string // what is broken, in the words of the protocol
	pkg   string // the package, by its key in suites
	file  string // of the package; only if the texts of edits also occur in another file
	edits []edit
	test  string // the test to run first, such as "family.TestDecide"; if it passes, whole suites are run
	hangs bool   // a test that does not end has noticed it as well
}

// edit replaces a text that occurs exactly once in the package, or in the mutant's file. Where the text alone occurs more
// often, old includes what surrounds it.
type edit struct{ old, new string }

// chapter is the mutants of one part of the protocol.
type chapter struct {
	title   string
	mutants []mutant
}

type outcome string

const (
	killed   outcome = "killed"
	survived outcome = "SURVIVED"
	broken   outcome = "BROKEN" // it does not compile, which is a mistake in the table
	hung     outcome = "HUNG"   // a test did not end, which the table does not expect
)

// verdict is the outcome of a mutant.
type verdict struct {
	outcome outcome
	by      string // the first test that failed or did not end
	output  string
	took    time.Duration
}

const (
	testTime  = 2 * time.Minute
	hangTime  = 10 * time.Second
	suiteTime = 15 * time.Minute
)

// check returns an error for each mutant whose text or test is gone, and for one that is there twice.
func check(root string, mutants []mutant) error {
	var errs []error
	read := sources{root: root}
	seen := map[string]string{}
	for _, m := range mutants {
		same := fmt.Sprintf("%s %s %q %s", m.pkg, m.file, m.edits, m.test)
		if first, ok := seen[same]; ok {
			errs = append(errs, fmt.Errorf("%q is the same mutant as %q", m.rule, first))
		}
		seen[same] = m.rule
		if _, err := m.mutate(&read); err != nil {
			errs = append(errs, err)
		}
		if err := exists(root, m.test); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", m.rule, err))
		}
	}
	return errors.Join(errs...)
}

// mutate applies m's edits. It returns the files that differ, by their paths from the root of the repository.
func (m mutant) mutate(read *sources) (map[string]string, error) {
	files, err := read.of(m.pkg)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", m.rule, err)
	}
	changed := map[string]string{}
	for _, e := range m.edits {
		if e.old == e.new {
			return nil, fmt.Errorf("%q: nothing is changed", m.rule)
		}
		found, in := 0, ""
		for file, source := range files {
			if m.file != "" && m.file != path.Base(file) {
				continue
			}
			if s, ok := changed[file]; ok {
				source = s
			}
			if n := strings.Count(source, e.old); n > 0 {
				found += n
				in = file
			}
		}
		if found != 1 {
			return nil, fmt.Errorf("%q: in %s this text occurs %d times, not once:\n%s%s",
				m.rule, path.Join(folder(m.pkg), m.file), found, e.old, read.elsewhere(m.pkg, e.old))
		}
		source, ok := changed[in]
		if !ok {
			source = files[in]
		}
		changed[in] = strings.Replace(source, e.old, fit(e.old, e.new), 1)
	}
	return changed, nil
}

// exists returns an error unless the test exists.
func exists(root, test string) error {
	pkg, name, _ := strings.Cut(test, ".")
	files, err := filepath.Glob(filepath.Join(root, folder(pkg), "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if strings.Contains(string(b), "\nfunc "+name+"(t *testing.T)") {
			return nil
		}
	}
	return fmt.Errorf("there is no test %s", test)
}

// lab makes and tries mutants.
type lab struct {
	root, dir string
	quick     bool // whole suites are not run
	// sound has, for each package, a function that returns an error unless all its tests pass without a mutant.
	sound map[string]func() error
	parts map[string]func() (*parts, error) // by package, of its tests
}

func newLab(ctx context.Context, root string) (*lab, error) {
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return nil, err
	}
	l := &lab{root: root, dir: dir, sound: map[string]func() error{}, parts: map[string]func() (*parts, error){}}
	for _, pkgs := range suites {
		for _, pkg := range pkgs {
			l.sound[pkg] = sync.OnceValue(func() error { return l.pass(ctx, pkg, ".", suiteTime) })
			l.parts[pkg] = sync.OnceValues(func() (*parts, error) { return l.partsOf(ctx, pkg) })
		}
	}
	return l, nil
}

func (l *lab) close() { _ = os.RemoveAll(l.dir) }

// baseline runs the tests that are tried first, without a mutant. Its error says which fail.
func (l *lab) baseline(ctx context.Context, mutants []mutant, atOnce int) error {
	tests := map[string][]string{}
	for _, m := range mutants {
		pkg, name, _ := strings.Cut(m.test, ".")
		tests[pkg] = append(tests[pkg], name)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for pkg, names := range tests {
		group.Go(func() error { return l.pass(ctx, pkg, "^("+strings.Join(names, "|")+")$", suiteTime) })
	}
	return group.Wait()
}

// pass returns an error unless the tests of the package that match pass without a mutant.
func (l *lab) pass(ctx context.Context, pkg, pattern string, limit time.Duration) error {
	dir, err := l.overlay(nil)
	if err != nil {
		return err
	}
	program, output, err := l.compile(ctx, dir, pkg)
	if err != nil {
		return fmt.Errorf("without a mutant, %w\n%s", err, output)
	}
	v, err := l.test(ctx, program, pkg, pattern, limit)
	if err == nil && v.outcome != survived {
		err = fmt.Errorf("without a mutant, %s fails:\n%s", v.by, v.output)
	}
	return err
}

// try returns the verdict on m.
func (l *lab) try(ctx context.Context, m mutant) (verdict, error) {
	changed, err := m.mutate(&sources{root: l.root})
	if err != nil {
		return verdict{}, err
	}
	dir, err := l.overlay(changed)
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	first, name, _ := strings.Cut(m.test, ".")
	programs := map[string]string{}
	relinked := false
	run := func(pkg, pattern string, limit time.Duration) (verdict, error) {
		if programs[pkg] == "" {
			if program, ok := l.relink(ctx, dir, m.pkg, changed, pkg); ok {
				programs[pkg], relinked = program, true
			}
		}
		if programs[pkg] == "" {
			program, output, err := l.compile(ctx, dir, pkg)
			if errors.Is(err, errCompile) {
				return verdict{outcome: broken, output: output}, nil
			}
			if err != nil {
				return verdict{}, err
			}
			programs[pkg] = program
		}
		v, err := l.test(ctx, programs[pkg], pkg, pattern, limit)
		if v.outcome == hung && m.hangs {
			v.outcome = killed
		}
		return v, err
	}

	limit := testTime
	if m.hangs {
		limit = hangTime
	}
	v, err := run(first, "^"+name+"$", limit)
	if relinked && v.outcome == survived && err == nil { // it is compiled in the usual way before that is believed
		delete(programs, first)
		programs[first], _, err = l.compile(ctx, dir, first)
		if err == nil {
			v, err = run(first, "^"+name+"$", limit)
		}
	}
	for _, pkg := range suites[m.pkg] {
		if err != nil || v.outcome != survived || l.quick {
			break
		}
		if err = l.sound[pkg](); err == nil {
			v, err = run(pkg, ".", suiteTime)
		}
	}
	return v, err
}

// overlay makes a folder with an overlay.json, by which go reads these contents instead of the repository's files.
func (l *lab) overlay(contents map[string]string) (dir string, err error) {
	if dir, err = os.MkdirTemp(l.dir, ""); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, content := range contents {
		replaced := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(replaced, []byte(content), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(l.root, file)] = replaced
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "overlay.json"), b, 0o600)
}

var errCompile = errors.New("the tests do not compile")

// compile compiles a package's tests, with the overlay in the folder dir, into a program.
func (l *lab) compile(ctx context.Context, dir, pkg string) (program, output string, err error) {
	program = filepath.Join(dir, pkg+".test")
	overlay := filepath.Join(dir, "overlay.json")
	// Without symbols it links faster.
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-ldflags=-s -w", "-overlay", overlay, "-o", program, "./"+folder(pkg)) //nolint:gosec // names from the table
	cmd.Dir = l.root
	b, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w", pkg, errCompile)
	}
	return program, string(b), err
}

var (
	failure = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+) \(`)
	timeout = regexp.MustCompile(`(?s)^.*?panic: test timed out after .*?running tests:\s+(\S+) \(`)
)

// test runs the tests that match until one fails. Its outcome is survived if none does.
func (l *lab) test(ctx context.Context, program, pkg, pattern string, limit time.Duration) (verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, limit+time.Minute) // by then the program has ended by itself
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-test.run", pattern, "-test.failfast", "-test.timeout", limit.String()) //nolint:gosec // compiled here
	cmd.Dir = filepath.Join(l.root, folder(pkg))
	b, err := cmd.CombinedOutput()
	output := string(b)
	if ctx.Err() != nil {
		return verdict{}, ctx.Err()
	}
	if err == nil {
		return verdict{outcome: survived}, nil
	}
	if exit := new(exec.ExitError); !errors.As(err, &exit) || !exit.Exited() { // for example because the system killed it
		return verdict{}, fmt.Errorf("%s: %w", pkg, err)
	}
	outcome, by := failedIn(output)
	return verdict{outcome: outcome, by: pkg + "." + by, output: tail(output, 40)}, nil
}

// failedIn returns which test failed first, with its subtest, according to the output of a test program.
func failedIn(output string) (o outcome, test string) {
	if m := timeout.FindStringSubmatch(output); m != nil {
		return hung, m[1]
	}
	test = "TestMain" // which fails if no test does
	for i, m := range failure.FindAllStringSubmatch(output, -1) {
		if i > 0 && !strings.HasPrefix(m[1], test+"/") {
			break
		}
		test = m[1]
	}
	return killed, test
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(slices.Clone(lines[max(0, len(lines)-n):]), "\n")
}
