package server_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestHistories plays random histories against the model. A failure prints the shortest script
// that fails; saved in testdata/histories, that script is part of every run. The flags
// -rapid.checks (histories for each player) and -rapid.steps make the run longer.
func TestHistories(t *testing.T) {
	const players = 16 // a retry after a fault waits, and others play meanwhile
	brief(t)
	var played atomic.Int64
	t.Cleanup(func() { t.Logf("%d steps", played.Load()) })
	for i := range players {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			checkHistories(t, func(tb historyTB, rt *rapid.T) {
				h := newHistory(tb)
				h.play(step{Op: "policy", DPoP: rapid.SampledFrom([]int{0, 0, 1, 1, 2}).Draw(rt, "dpop")})
				rt.Repeat(map[string]func(*rapid.T){"step": func(rt *rapid.T) {
					h.play(steps.Draw(rt, "step"))
					played.Add(1)
				}})
				h.end()
			})
		})
	}
}

// brief shortens the run, unless the command line says how long it is.
func brief(t *testing.T) {
	long := false
	flag.Visit(func(f *flag.Flag) { long = long || f.Name == "rapid.checks" })
	if long {
		return
	}
	for name, value := range map[string]string{"rapid.checks": strconv.Itoa(storetest.SizeWhereSlow(6, 6, 2)), "rapid.steps": "50"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSavedHistories plays the scripts in testdata/histories: those that once failed, and
// those that show what should happen.
func TestSavedHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/histories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h := newHistory(t)
			for line := range strings.Lines(string(script)) {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					h.play(parseStep(t, line))
				}
			}
			h.end()
		})
	}
}

// report holds what the histories of one test have printed. Rapid prints only what a history
// prints that it plays again, and what is due to a race may not fail again.
type report struct {
	mu          sync.Mutex
	said, first string // by the present history; by the first that failed
}

// begin forgets what the last history has said.
func (r *report) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = ""
}

// says adds a line. If it is a failure, and the first one, all that was said is kept.
func (r *report) says(line string, failure bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said += line + "\n"; failure && r.first == "" {
		r.first = r.said
	}
}

// historyTB is the testing.TB of one history among many.
type historyTB struct {
	testing.TB
	rt     *rapid.T
	report *report
}

// checkHistories lets rapid play histories, and prints what the first that failed has printed.
func checkHistories(t *testing.T, play func(tb historyTB, rt *rapid.T)) {
	var r report
	t.Cleanup(func() {
		if r.first != "" {
			t.Logf("the first failure, as it was before rapid played it again:\n%s", r.first)
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		r.begin()
		play(historyTB{t, rt, &r}, rt)
	})
}

func (t historyTB) Helper()                  {}
func (t historyTB) Cleanup(f func())         { t.rt.Cleanup(f) }
func (t historyTB) Context() context.Context { return t.rt.Context() }
func (t historyTB) Failed() bool             { return t.rt.Failed() }

func (t historyTB) Logf(f string, a ...any) {
	t.report.says(fmt.Sprintf(f, a...), false)
	t.rt.Logf(f, a...)
}

func (t historyTB) Error(args ...any) {
	t.report.says(fmt.Sprint(args...), true)
	t.rt.Error(args...)
}

func (t historyTB) Errorf(f string, a ...any) {
	t.report.says(fmt.Sprintf(f, a...), true)
	t.rt.Errorf(f, a...)
}

func (t historyTB) Fatal(args ...any) {
	t.report.says(fmt.Sprint(args...), true)
	t.rt.Fatal(args...)
}

func (t historyTB) Fatalf(f string, a ...any) {
	t.report.says(fmt.Sprintf(f, a...), true)
	t.rt.Fatalf(f, a...)
}

// step is one line of a script. Families are numbered in the order of their logins. Every
// number is taken modulo the number of what it selects, so a script is still valid if lines
// are removed.
type step struct {
	Op     string
	User   int
	Client int // who presents the token: 0 for the family's client, 1 for another
	Family int
	Back   int // how many tokens before the newest; if negative, one that was never issued
	Scope  int // 1 asks for a scope that was never granted, 2 for one that a change may have taken away
	Target int // 1 asks for one of the two resources, 2 also for one that is not in the audience
	Server int
	Count  int // number of racers
	Code   int // 1 lets a login deliver a code
	Token  int // of another provider: which is presented; or which are imported, a bit for each
	Proof  int // of a code: 1 is a wrong verifier, 2 a wrong redirect URI
	// DPoP is for a login whose key it names, 0 for none. For a policy it is 1 if proofs are allowed, and 2 if they
	// are required. For what a token comes with, see keyProof.
	DPoP   int
	Policy int
	Key    int // idempotency key of a login, 0 for none
	Claim  int // claim that a change sets
	Narrow int // 1 takes a scope away, 2 asks for both again
	MS     int // by how much the clock advances
	// How the store fails: once at the call, from the call on, or at the call while the server
	// crashes.
	Fault string
	Call  int
	Kind  string
}

func (s *step) fields() map[string]any {
	return map[string]any{
		"user": &s.User, "client": &s.Client, "family": &s.Family, "back": &s.Back, "scope": &s.Scope, "target": &s.Target, "server": &s.Server,
		"count": &s.Count, "code": &s.Code, "proof": &s.Proof, "dpop": &s.DPoP, "policy": &s.Policy, "token": &s.Token, "key": &s.Key, "claim": &s.Claim, "narrow": &s.Narrow, "ms": &s.MS, "fault": &s.Fault, "call": &s.Call, "kind": &s.Kind,
	}
}

// String returns the step in the form that parseStep reads.
func (s step) String() string {
	line := s.Op
	fields := s.fields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch v := fields[name].(type) {
		case *int:
			if *v != 0 {
				line += fmt.Sprintf(" %s=%d", name, *v)
			}
		case *string:
			if *v != "" {
				line += fmt.Sprintf(" %s=%s", name, *v)
			}
		}
	}
	return line
}

func parseStep(t testing.TB, line string) step {
	t.Helper()
	words := strings.Fields(line)
	s := step{Op: words[0]}
	fields := s.fields()
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		switch v := fields[name].(type) {
		case *int:
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			*v = n
		case *string:
			*v = value
		default:
			t.Fatalf("%s: there is no %s", line, name)
		}
	}
	return s
}

// often says how often each kind of step is drawn.
var often = map[string]int{
	"refresh": 16, "race": 2, "hold": 2, "release": 3, "login": 4, "advance": 7, "policy": 2, "logout": 1, "end": 1, "change": 2, "changes": 1,
	"password": 1, "others": 1, "erase": 1, "not_before": 1, "sweep": 3, "purge": 1, "introspect": 1, "explain": 2, "import": 2, "stranger": 1,
}

// steps draws one step of a history.
var steps = rapid.Custom(func(t *rapid.T) step {
	pick := func(name string, values ...int) int { return rapid.SampledFrom(values).Draw(t, name) }
	var ops []string
	for _, op := range slices.Sorted(maps.Keys(often)) {
		ops = append(ops, slices.Repeat([]string{op}, often[op])...)
	}
	s := step{Op: rapid.SampledFrom(ops).Draw(t, "op"), Server: pick("server", 0, 1)}
	token := func() {
		s.Family = pick("family", 0, 0, 0, 1, 1, 2, 3, 4, 5)
		s.Back = pick("back", 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 9, -1, -3)
		s.Client = pick("client", 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)
		s.Proof = pick("proof", 0, 0, 0, 0, 0, 1, 2)
		s.DPoP = pick("dpop", 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5)
	}
	switch s.Op {
	case "refresh", "hold":
		token()
		s.Scope = pick("scope", 0, 0, 0, 0, 0, 0, 0, 2, 2, 1)
		s.Target = pick("target", 0, 0, 0, 0, 0, 0, 0, 1, 1, 2)
	case "race":
		token()
		s.Count = pick("count", 2, 3, 4)
	case "logout", "introspect", "explain":
		token()
	case "end", "others":
		s.Family = pick("family", 0, 1, 2, 3)
	case "login":
		s.User, s.Client = pick("user", 0, 0, 1), pick("client", 0, 0, 1)
		s.Key, s.Scope = pick("key", 0, 0, 1, 1, 2), pick("scope", 0, 0, 0, 0, 0, 2)
		s.Code = pick("code", 0, 1)
		s.DPoP = pick("dpop", 0, 0, 0, 1, 1, 2)
	case "import":
		s.User, s.Client, s.Token = pick("user", 0, 0, 1), pick("client", 0, 0, 1), pick("token", 1, 1, 2, 3, 4, 7)
	case "stranger":
		s.Token = pick("token", 0, 1, 2)
	case "change":
		s.Family, s.Claim, s.Narrow = pick("family", 0, 0, 1, 2, 3), pick("claim", 0, 1, 2), pick("narrow", 0, 1, 2)
	case "changes":
		s.User, s.Claim = pick("user", 0, 1), pick("claim", 1, 2)
		s.Narrow = pick("narrow", 0, 0, 1)
	case "password", "erase":
		s.User = pick("user", 0, 1)
	case "policy":
		s.Client, s.Policy = pick("client", 0, 1), pick("policy", 0, 1, 2, 3, 4, 5, 6, 7)
		s.DPoP = pick("dpop", 0, 1, 1, 2)
	case "not_before":
		s.Client = pick("client", 0, 1)
	case "advance":
		s.MS = pick("ms", 1, 1, 999, 1000, 1000, 4999, 5000, 9_999, 10_000, 30_000, 59_999, 60_000, 61_000, 61_000,
			1_800_000, 3_599_999, 3_600_000, 7_200_000, 86_400_000, 16*86_400_000, 31*86_400_000, 62*86_400_000)
	}
	if slices.Contains([]string{"refresh", "login", "import", "logout", "end", "others", "change", "changes", "password", "erase", "sweep"}, s.Op) && pick("faulty", 0, 0, 0, 0, 0, 0, 1) == 1 {
		s.Fault = rapid.SampledFrom([]string{"once", "from", "crash"}).Draw(t, "fault")
		s.Kind = rapid.SampledFrom([]string{"failed", "throttled", "timeout", "lost", "lost"}).Draw(t, "kind")
		s.Call = pick("call", 1, 1, 2, 2, 3, 4, 6)
	}
	return s
})
