//go:build prove

package prove

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

var (
	interval  = &kind{name: "interval", interval: true}
	strict    = &kind{name: "strict"}
	untilUsed = &kind{name: "until-used", interval: true, untilUsed: true}
	forgiving = &kind{name: "strict-until-used", untilUsed: true}
	observed  = &kind{name: "observed", interval: true, observes: true}
	fixed     = &kind{name: "fixed", fixed: true}
)

// entry is an operation of a handwritten history, with the times at which it began and ended.
type entry struct {
	call, end int64
	action    action
	token     int
	out       output
}

func history(k *kind, entries []entry) []porcupine.Operation {
	var all []porcupine.Operation
	for n, e := range entries {
		all = append(all, porcupine.Operation{
			ClientId: n, Call: e.call, Return: e.end, Output: e.out,
			Input: input{family: "f", kind: k, action: e.action, token: e.token},
		})
	}
	return all
}

// TestCheckerFinds checks that the checker rejects impossible histories, and accepts possible
// ones that differ little from them.
func TestCheckerFinds(t *testing.T) {
	refused, gone, unclear := output{}, output{unknown: true}, output{unclear: true}
	got := func(n int) output { return output{token: n} }
	active, reused := output{active: true}, func(n int) output { return output{token: n, cause: "reuse_detected"} }
	moves := func(at int64) entry { return entry{at, at + 1, clockMoves, 0, output{}} }
	creeps := func(at int64) entry { return entry{at, at + 1, clockCreeps, 0, output{}} }
	// Token 3 is the newest, and 1 was superseded twice.
	twice := []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 9, refresh, 2, got(3)}}
	after := func(more ...entry) []entry { return append(slices.Clone(twice), more...) }

	for _, c := range []struct {
		what string
		kind *kind
		ops  []entry
		want porcupine.CheckResult
	}{
		{"racers, one successor", interval, []entry{{0, 9, refresh, 1, got(2)}, {1, 8, refresh, 1, got(2)}, {2, 7, refresh, 1, got(2)}}, porcupine.Ok},
		{"two successors of one token", interval, []entry{{0, 9, refresh, 1, got(2)}, {1, 8, refresh, 1, got(3)}}, porcupine.Illegal},
		{"… where somebody used the first one", interval, []entry{{0, 9, refresh, 1, got(2)}, {1, 8, refresh, 1, got(3)}, {2, 7, refresh, 2, got(3)}}, porcupine.Illegal},
		{"two rotations in one interval", interval, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, refresh, 2, got(3)}}, porcupine.Illegal},
		{"… and in two", interval, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 2, got(3)}}, porcupine.Ok},
		{"… one of which may have happened", interval, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, never, refresh, 2, gone}, {6, 7, show, 0, got(3)}}, porcupine.Ok},
		{"… but only afterwards", interval, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {6, 7, show, 0, got(3)}, {8, never, refresh, 2, gone}}, porcupine.Illegal},
		{"held, as often as it comes", interval, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, refresh, 2, got(2)}, {4, 5, refresh, 2, got(2)}, {6, 7, refresh, 1, got(2)}}, porcupine.Ok},
		{"held before the rotation", interval, []entry{{0, 9, refresh, 1, got(2)}, {1, 8, refresh, 1, got(1)}}, porcupine.Illegal},
		{"held outside the interval", interval, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 2, got(2)}}, porcupine.Illegal},
		{"held for a part of the interval", interval, []entry{{0, 1, refresh, 1, got(2)}, creeps(2), {4, 5, refresh, 2, got(2)}, creeps(6), {8, 9, refresh, 2, got(3)}}, porcupine.Ok},
		{"an interval that ends early", interval, []entry{{0, 1, refresh, 1, got(2)}, creeps(2), {4, 5, refresh, 2, got(3)}}, porcupine.Illegal},
		{"an interval that begins anew with a use", interval, []entry{{0, 1, refresh, 1, got(2)}, creeps(2), {4, 5, refresh, 2, got(2)}, creeps(6), {8, 9, refresh, 2, got(2)}}, porcupine.Illegal},
		{"a predecessor that gets itself", interval, after(entry{10, 11, refresh, 2, got(2)}), porcupine.Illegal},
		{"… or the newest one", interval, after(entry{10, 11, refresh, 2, got(3)}), porcupine.Ok},
		{"… for a part of the interval", interval, after(creeps(10), entry{12, 13, refresh, 2, got(3)}), porcupine.Ok},
		{"… and for two", interval, after(creeps(10), creeps(12), entry{14, 15, refresh, 2, got(3)}), porcupine.Illegal},
		{"a counter that goes back", interval, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, show, 0, got(2)}, {4, 5, show, 0, got(1)}}, porcupine.Illegal},
		{"a counter that goes on by itself", interval, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, show, 0, got(3)}}, porcupine.Illegal},
		{"a token that nobody was given", interval, []entry{{0, 1, refresh, 2, got(3)}}, porcupine.Illegal},
		{"a write that is lost after its answer", interval, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, show, 0, got(1)}}, porcupine.Illegal},
		{"a refusal without a reason", interval, []entry{{0, 1, refresh, 1, refused}}, porcupine.Illegal},
		{"a revocation whose answer was lost", interval, []entry{{0, never, revoke, 1, gone}, {2, 3, refresh, 1, refused}}, porcupine.Ok},

		{"superseded twice, honoured", interval, after(entry{10, 11, refresh, 1, got(3)}), porcupine.Illegal},
		{"superseded twice, reuse", interval, after(entry{10, 11, refresh, 1, refused}, entry{12, 13, show, 0, reused(3)}), porcupine.Ok},
		{"superseded twice, refused, and the family lives", interval, after(entry{10, 11, refresh, 1, refused}, entry{12, 13, refresh, 3, got(3)}), porcupine.Illegal},
		{"superseded twice, the second time perhaps after it was presented", interval, after(entry{5, 10, refresh, 1, unclear}, entry{12, 13, refresh, 3, got(3)}), porcupine.Ok},
		{"… but not after", interval, after(entry{10, 11, refresh, 1, unclear}), porcupine.Illegal},
		{"… nor with a rotation before it", interval, []entry{{0, 9, refresh, 1, got(2)}, {1, 8, refresh, 1, unclear}}, porcupine.Illegal},
		{"… nor without an interval", strict, []entry{{0, 1, refresh, 1, got(2)}, {2, 9, refresh, 2, got(3)}, {3, 8, refresh, 1, unclear}}, porcupine.Illegal},
		{"503 without a reason", interval, []entry{{0, 1, refresh, 1, unclear}}, porcupine.Illegal},

		{"a dead family that issues", interval, []entry{{0, 1, revoke, 1, output{}}, {2, 3, refresh, 1, got(2)}}, porcupine.Illegal},
		{"a family that issues as it dies", interval, []entry{{0, 3, revoke, 1, output{}}, {2, 5, refresh, 1, got(2)}}, porcupine.Ok},
		{"a dead family that is active", interval, []entry{{0, 1, remove, 0, output{}}, {2, 3, introspect, 1, active}}, porcupine.Illegal},
		{"a dead family that is shown as alive", interval, []entry{{0, 1, remove, 0, output{}}, {2, 3, show, 0, got(1)}}, porcupine.Illegal},
		{"a cause that changes", interval, []entry{{0, 1, remove, 0, output{}}, {2, 3, revoke, 1, output{}}, {4, 5, show, 0, output{token: 1, cause: "revoked_by_client"}}}, porcupine.Illegal},
		{"a living family that is inactive", interval, []entry{{0, 1, introspect, 1, output{}}}, porcupine.Illegal},

		{"one winner, then reuse", strict, []entry{{0, 9, refresh, 1, got(2)}, {1, 8, refresh, 1, refused}, {9, 10, show, 0, output{token: 2, cause: "reuse_detected"}}}, porcupine.Ok},
		{"two winners", strict, []entry{{0, 9, refresh, 1, got(2)}, {1, 8, refresh, 1, got(2)}}, porcupine.Illegal},
		{"reuse that is not punished", strict, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, refresh, 1, refused}, {4, 5, refresh, 2, got(3)}}, porcupine.Illegal},
		{"a lost answer, then reuse", strict, []entry{{0, never, refresh, 1, gone}, {2, 3, refresh, 1, refused}, {4, 5, show, 0, output{token: 2, cause: "reuse_detected"}}}, porcupine.Ok},

		{"outside the interval, honoured", interval, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, got(2)}}, porcupine.Illegal},
		{"outside the interval, reuse", interval, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, refused}, {6, 7, refresh, 2, refused}}, porcupine.Ok},
		{"outside the interval, unused and forgiven", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, got(3)}, {6, 7, refresh, 1, got(3)}, {8, 9, refresh, 3, got(3)}}, porcupine.Ok},
		{"… and not forgiven", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, refused}}, porcupine.Illegal},
		{"… and forgiven again", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, got(3)}, moves(6), {8, 9, refresh, 1, got(4)}}, porcupine.Ok},
		{"… and forgiven where its predecessor had come again", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, refresh, 1, got(2)}, moves(4), {6, 7, refresh, 1, got(3)}}, porcupine.Ok},
		{"a skipped token, honoured", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, got(3)}, {6, 7, refresh, 2, got(3)}}, porcupine.Illegal},
		{"… reuse", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, got(3)}, {6, 7, refresh, 2, refused}, {8, 9, show, 0, reused(3)}}, porcupine.Ok},
		{"… reuse, once the next one is used", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, got(3)}, moves(6), {8, 9, refresh, 3, got(4)}, {10, 11, refresh, 2, refused}, {12, 13, show, 0, reused(4)}}, porcupine.Ok},
		{"a used one, forgiven", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 2, got(3)}, {6, 7, refresh, 1, got(4)}}, porcupine.Illegal},
		{"a held one, forgiven", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, refresh, 2, got(2)}, moves(4), {6, 7, refresh, 1, got(3)}}, porcupine.Illegal},
		{"… reuse", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, refresh, 2, got(2)}, moves(4), {6, 7, refresh, 1, refused}, {8, 9, show, 0, reused(2)}}, porcupine.Ok},
		{"… where it may have been held", untilUsed, []entry{{0, 1, refresh, 1, got(2)}, {2, never, refresh, 2, gone}, moves(4), {6, 7, refresh, 1, refused}}, porcupine.Ok},
		{"unused and forgiven without an interval", forgiving, []entry{{0, 1, refresh, 1, got(2)}, {2, 3, refresh, 1, got(3)}, {4, 5, refresh, 3, got(4)}}, porcupine.Ok},
		{"… with 503, where four others were", forgiving, []entry{{0, 1, refresh, 1, got(2)}, {2, 20, refresh, 1, got(3)}, {3, 19, refresh, 1, got(4)}, {4, 18, refresh, 1, got(5)}, {5, 17, refresh, 1, got(6)}, {6, 16, refresh, 1, unclear}}, porcupine.Ok},
		{"… where three were", forgiving, []entry{{0, 1, refresh, 1, got(2)}, {2, 20, refresh, 1, got(3)}, {3, 19, refresh, 1, got(4)}, {4, 18, refresh, 1, got(5)}, {6, 16, refresh, 1, unclear}}, porcupine.Illegal},
		{"reuse that is observed", observed, []entry{{0, 1, refresh, 1, got(2)}, moves(2), {4, 5, refresh, 1, got(2)}, {6, 7, refresh, 2, got(3)}, {8, 9, refresh, 1, got(3)}}, porcupine.Ok},
		{"a code, then its first token", interval, []entry{{0, 1, exchange, 0, got(1)}, {2, 3, refresh, 1, got(1)}, moves(4), {6, 7, refresh, 1, got(2)}}, porcupine.Ok},
		{"racers with a code", strict, []entry{{0, 9, exchange, 0, got(1)}, {1, 8, exchange, 0, refused}, {2, 7, exchange, 0, refused}, {10, 11, refresh, 1, got(2)}}, porcupine.Ok},
		{"a code that two get tokens for", interval, []entry{{0, 9, exchange, 0, got(1)}, {1, 8, exchange, 0, got(1)}}, porcupine.Illegal},
		{"… the second one later", interval, []entry{{0, 1, exchange, 0, got(1)}, moves(2), {4, 5, exchange, 0, got(1)}}, porcupine.Illegal},
		{"a code again at once, which ends the family", interval, []entry{{0, 1, exchange, 0, got(1)}, {2, 3, exchange, 0, refused}, {4, 5, show, 0, reused(1)}}, porcupine.Illegal},
		{"… and later", interval, []entry{{0, 1, exchange, 0, got(1)}, creeps(2), {4, 5, exchange, 0, refused}, {6, 7, show, 0, reused(1)}}, porcupine.Ok},
		{"… and does not end it later", interval, []entry{{0, 1, exchange, 0, got(1)}, creeps(2), {4, 5, exchange, 0, refused}, {6, 7, show, 0, got(1)}}, porcupine.Illegal},
		{"… which is observed", observed, []entry{{0, 1, exchange, 0, got(1)}, creeps(2), {4, 5, exchange, 0, refused}, {6, 7, show, 0, got(1)}}, porcupine.Ok},
		{"… or a lost response", untilUsed, []entry{{0, 1, exchange, 0, got(1)}, moves(2), {4, 5, exchange, 0, got(2)}}, porcupine.Illegal},
		{"a code whose answer was lost", interval, []entry{{0, never, exchange, 0, gone}, {2, 3, exchange, 0, refused}, {4, 5, show, 0, got(1)}}, porcupine.Ok},
		{"a token of a code that nobody exchanged", interval, []entry{{0, 1, show, 0, got(0)}, {2, 3, refresh, 1, got(1)}}, porcupine.Illegal},
		{"a token that does not rotate", fixed, []entry{{0, 1, refresh, 1, got(1)}, {2, 3, refresh, 1, got(1)}}, porcupine.Ok},
		{"a token that rotates all the same", fixed, []entry{{0, 1, refresh, 1, got(2)}}, porcupine.Illegal},
	} {
		t.Run(c.what, func(t *testing.T) {
			h := history(c.kind, c.ops)
			if got := porcupine.CheckOperationsTimeout(model, h, time.Minute); got != c.want {
				t.Errorf("%s:\n%s", got, script(h))
			}
		})
	}
}

// TestCheckerFindsOneWrongAnswer checks that one wrong answer in a long history is found, and
// that its script is short.
func TestCheckerFindsOneWrongAnswer(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 5 {
		h := made(rng, 200)
		if got := porcupine.CheckOperationsTimeout(model, h, time.Minute); got != porcupine.Ok {
			t.Fatalf("the model's own history: %s\n%s", got, script(h))
		}
		n := len(h)/2 + rng.IntN(len(h)/4)
		at := slices.IndexFunc(h[n:], func(op porcupine.Operation) bool {
			return op.Input.(input).action == show && op.Return != never
		})
		if at < 0 {
			t.Fatal("nothing is shown in the second half")
		}
		op := &h[n+at]
		out := op.Output.(output)
		out.token -= 10 // no operation in progress can explain that
		op.Output = out
		if !illegal(h) {
			t.Fatalf("round %d: the wrong answer is not found", round)
		}
		short := shortest(h)
		if !illegal(short) {
			t.Errorf("round %d: what is shown is legal", round)
		}
		text := script(short)
		if wrong := describe(op.Input.(input), out); !strings.Contains(text, wrong) || len(short) >= len(h) {
			t.Errorf("round %d: the script of %d of %d operations does not show %q", round, len(short), len(h), wrong)
		}
	}
}

// made returns a history that the model allows: five clients use one family, and each
// operation happens at some moment between its call and its return. One of them moves the
// clock.
func made(rng *rand.Rand, n int) []porcupine.Operation {
	type pending struct {
		op     porcupine.Operation
		moment int64
	}
	free := make([]int64, 5)
	var all []pending
	for i := range n {
		c := i % len(free)
		call := free[c] + rng.Int64N(20)
		moment := call + 1 + rng.Int64N(50)
		end := moment + 1 + rng.Int64N(50)
		free[c] = end + 1
		all = append(all, pending{porcupine.Operation{ClientId: c, Call: call, Return: end}, moment})
	}
	slices.SortFunc(all, func(a, b pending) int { return int(a.moment - b.moment) })
	r := first
	newestAt := map[int]int64{1: 0} // when the first answer with that token arrived
	var h []porcupine.Operation
	for _, p := range all {
		in := input{family: "f", kind: observed, action: refresh}
		switch {
		case p.op.ClientId == 0:
			in.action = clockMoves
		case rng.IntN(4) == 0:
			in.action = show
		}
		for n, at := range newestAt { // finds the newest token that was known at the call
			if in.action == refresh && at < p.op.Call && n > in.token {
				in.token = n
			}
		}
		var out output
		r, out = r.apply(in)
		p.op.Input, p.op.Output = in, out
		if in.action == refresh && rng.IntN(50) == 0 {
			p.op.Output, p.op.Return = output{unknown: true}, never
		} else if at, ok := newestAt[out.token]; out.token > 0 && (!ok || p.op.Return < at) {
			newestAt[out.token] = p.op.Return
		}
		h = append(h, p.op)
	}
	return h
}
