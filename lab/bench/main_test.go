package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/lab/process"
)

// TestMain makes the test binary the store or the floor that a run starts, if it is asked to be.
func TestMain(m *testing.M) {
	if os.Getenv(storeVariable) != "" || os.Getenv(floorVariable) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// tiny is the work of a run in tests.
var tiny = size{warm: 8, loads: 2, alone: 4, samples: 2, together: 16, turns: 3, perTurn: 24, invocations: 70, rounds: 1, repeat: 2}

func newBench(t *testing.T) *bench {
	t.Helper()
	rotor, err := process.Build(t.TempDir(), "./cmd/rotor")
	if err != nil {
		t.Fatal(err)
	}
	return &bench{rotor: rotor, self: os.Args[0], size: tiny, stdout: io.Discard, stderr: io.Discard, report: &Report{Short: true}}
}

// TestMeasures checks measurements of the running programs that hold on any machine under any
// load.
func TestMeasures(t *testing.T) {
	b := newBench(t)
	if err := b.storage(t.Context()); err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{
		"refresh":                     "1 UpdateItem",
		"refresh inside the interval": "1 UpdateItem",
		"refresh inside a long interval, minutes later": "2 UpdateItem",
		theRace:                                 "1,000 UpdateItem",
		"issue":                                 "1 PutItem, 1 UpdateItem",
		"issue, the user's first in the client": "2 PutItem, 1 Query, 1 UpdateItem",
		"dead token":                            "1 UpdateItem",
		"reuse":                                 "1 TransactWriteItems, 1 UpdateItem",
		sweepOfOwner:                            "3 GetItem, 3 Query, 2 TransactWriteItems, 11 UpdateItem",
	} {
		if s := b.report.storage(call); s == nil || s.requests() != want || s.Units != nil {
			t.Errorf("%s asks for %+v, not %s", call, s, want)
		}
	}
	s, err := b.subject(t.Context(), "ES256", apart)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := b.measureAll(t.Context(), []*subject{s}); err != nil {
		t.Fatal(err)
	}
	l := b.report.load("ES256", apart)
	if l.Alone.Requests != 8 || l.Together.Requests != 64 || l.Refreshes != 80 || len(l.Samples) != 4 || l.Alone.P50 <= 0 || l.Together.Rate <= 0 || l.SignCPU <= 0 {
		t.Errorf("measured %+v", l)
	}
	if l.RSS < 1 || l.RSSAfterRaces < 1 {
		t.Errorf("memory: %v MB and %v MB", l.RSS, l.RSSAfterRaces)
	}
	all := 0.0
	for _, s := range b.report.Profile {
		all += s.Share
	}
	if len(b.report.Profile) != len(parts)+1 || math.Abs(all-1) > 1e-9 {
		t.Errorf("the profile has %+v, together %v", b.report.Profile, all)
	}
	for _, n := range []int{50, 200, racers} {
		if r := l.race(n, 1); r == nil || r.Successors != 1 || r.Statuses[200] != int64(n) || len(r.Statuses) != 1 {
			t.Errorf("race of %d: %+v", n, r)
		}
	}
	if r := l.race(racers, racers); r == nil || r.Successors != racers || r.Statuses[200] != racers {
		t.Errorf("a token each: %+v", r)
	}
}

// TestInvocations checks that the function is invoked as Lambda does it, each time with the
// token of the answer before.
func TestInvocations(t *testing.T) {
	b := newBench(t)
	b.functions = t.TempDir()
	program, err := process.Build(t.TempDir(), "./functions/token", "-tags=lambda.norpc")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(b.functions, "token"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(program, filepath.Join(b.functions, "token", "bootstrap")); err != nil {
		t.Fatal(err)
	}
	if err := b.invocations(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, alg := range []string{"ES256", "RS256"} {
		if i := b.report.invocation(alg); i == nil || i.Count != tiny.invocations || i.RSS < 1 {
			t.Errorf("%s: measured %+v", alg, i)
		}
	}
	for answer, want := range map[string]string{
		`{"statusCode":503,"body":"{}"}`:                       "answers with 503",
		`{"statusCode":200,"body":"{\"refresh_token\":\"\"}"}`: "no refresh token",
		`{`: "read the function's answer",
	} {
		if _, err := successor([]byte(answer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

// TestErrorsFailTheRun checks that a run fails without a number if its store is gone.
func TestErrorsFailTheRun(t *testing.T) {
	b := newBench(t)
	store, err := b.startStore(t.Context(), embeddedStore)
	if err != nil {
		t.Fatal(err)
	}
	broken := counted{name: "broken", prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		do, err := countedCalls[0].prepare(ctx, s, n)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			if err := store.Kill(); err != nil {
				t.Error(err)
			}
			return do(ctx)
		}, nil
	}}
	if got, err := b.count(t.Context(), store, broken, 2); err == nil || !strings.Contains(err.Error(), "2 of 2 requests failed: 2 of status 503") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestArguments(t *testing.T) {
	t.Setenv("ROTOR_TEST_DYNAMODB", "")
	var out, errs bytes.Buffer
	if err := run(t.Context(), []string{"-h"}, &out, &errs); err != nil || !strings.Contains(errs.String(), "-markdown") {
		t.Errorf("%v: %s", err, &errs)
	}
	for _, args := range [][]string{{"-nothing"}, {"argument"}, {"-markdown", filepath.Join(t.TempDir(), "page.md"), "-o", t.TempDir()}} {
		if err := run(t.Context(), args, &out, &errs); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
	if err := run(t.Context(), []string{"-growth"}, &out, &errs); err == nil || !strings.Contains(err.Error(), "make bench-growth") {
		t.Errorf("without DynamoDB Local: %v", err)
	}
}

// TestSubjectThatDoesNotStart checks that a program which cannot be started is an error, and
// that nothing is left running.
func TestSubjectThatDoesNotStart(t *testing.T) {
	b := newBench(t)
	b.rotor = filepath.Join(t.TempDir(), "nothing")
	if s, err := b.subject(t.Context(), "ES256", apart); s != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("started %+v, %v", s, err)
	}
	b = newBench(t)
	b.size.warm, b.size.samples = 0, 0 // a load without end is refused
	if s, err := b.subject(t.Context(), "ES256", inProcess); s != nil || err == nil {
		t.Errorf("started %+v, %v", s, err)
	}
}
