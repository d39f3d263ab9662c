//go:build prove

package prove

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// This is the model: what one family may answer if its operations happened one after the
// other. It is written from the table of decisions in docs/design.md and calls no code of
// Rotor. It has no clock. Operations of their own, [clockMoves] and [clockCreeps], let the
// reuse interval pass or a part of it, and between two of these no time passes.

// kind is the part of a client's policy that decides what a use of a token does.
type kind struct {
	name      string
	interval  bool // there is a reuse interval; otherwise the policy is strict
	untilUsed bool // a lost response is forgiven until the successor is used
	observes  bool // reuse does not end the family
	fixed     bool // tokens do not rotate
}

// record is the state of a family.
type record struct {
	newest int    // the number of the newest token; 0 while the code has not been exchanged
	last   int    // the number of its predecessor, the last token that was exchanged; tokens between the two were skipped
	age    int    // how often the clock has crept since the newest was made
	used   bool   // the newest has been used without a rotation; recorded only if a lost response is forgiven
	end    string // the cause of the family's end; "" while it is active
	fresh  bool   // the code was exchanged, and may be presented again without harm
	over   bool   // the history has ended
}

// outside is the least age of a rotation that is a reuse interval ago.
const outside = 2

type action int

const (
	refresh     action = iota
	exchange           // presents the family's code with its verifier
	introspect         // asks about a refresh token
	revoke             // is the client's call, with a refresh token
	remove             // is a call of the management API
	show               // is a call of the management API
	clockMoves         // passes the reuse interval
	clockCreeps        // takes more than half of the reuse interval, and less than the whole
	historyEnds        // is the model's own, and follows everything that has an answer
)

// input is an operation on a family.
type input struct {
	family string
	kind   *kind
	action action
	token  int // the number of the token presented by a refresh, introspect or revoke
	known  int // the number of the newest token that any client had been given when the operation began
}

// output is the answer to an operation.
type output struct {
	unknown bool   // there was no answer, or a 503 where nothing else is said: the operation may have happened, or may happen later
	unclear bool   // for refresh: the answer was 503
	token   int    // for refresh, the number of the token given, 0 for invalid_grant; for show, the counter
	active  bool   // for introspect
	cause   string // for show, the cause of the family's end
}

// refresh implements the table of decisions. It returns the number of the token given, 0 for
// none.
func (r record) refresh(k *kind, n int) (record, int) {
	inside := k.interval && r.age < outside
	switch {
	case r.end != "":
		return r, 0
	case n == r.newest && k.fixed:
		return r, n
	case n == r.newest && inside: // held
		r.used = k.untilUsed
		return r, n
	case n == r.newest:
		r.last = n
		return r.rotated()
	case n > r.last:
		// A skipped token is reuse, even inside the interval.
	case n == r.last && inside:
		return r, r.newest
	case n == r.last && k.untilUsed && !r.used:
		return r.rotated()
	}
	if k.observes {
		return r, r.newest
	}
	r.end = "reuse_detected"
	return r, 0
}

// exchange returns the number of the token that is given for the family's code, 0 for none.
func (r record) exchange(k *kind) (record, int) {
	switch {
	case r.end != "" || r.fresh:
	case r.newest == 0:
		r, _ = r.rotated()
		r.fresh = true
		return r, r.newest
	case !k.observes:
		r.end = "reuse_detected"
	}
	return r, 0
}

// rotated returns the record with one more token, and that token's number.
func (r record) rotated() (record, int) {
	r.newest++
	r.age, r.used = 0, false
	return r, r.newest
}

// apply returns the family after the operation, and the answer.
func (r record) apply(in input) (record, output) {
	switch in.action {
	case refresh:
		next, n := r.refresh(in.kind, in.token)
		return next, output{token: n}
	case exchange:
		next, n := r.exchange(in.kind)
		return next, output{token: n}
	case introspect: // active means that a refresh now would succeed
		_, n := r.refresh(in.kind, in.token)
		return r, output{active: n != 0}
	case revoke:
		r.end = cmp.Or(r.end, "revoked_by_client")
	case remove:
		r.end = cmp.Or(r.end, "revoked_by_admin")
	case show:
		return r, output{token: r.newest, cause: r.end}
	case clockMoves:
		r.age, r.fresh = outside, false
	case clockCreeps:
		r.age, r.fresh = min(r.age+1, outside), false
	case historyEnds:
		r.over = true
	}
	return r, output{}
}

// looks is how often Rotor reads a record again that others change.
const looks = 4

// leavesOpen reports whether a use of this token may be answered with 503. There are two
// cases. The token was superseded twice, but the request may have begun before the second
// time, when the token may have been valid. If a client had already been given the newest
// token by then, that is excluded. Or there is no interval, and others have skipped the newest
// token again and again since then.
func (r record) leavesOpen(in input) bool {
	switch {
	case r.end != "":
		return false
	case in.kind.interval && !in.kind.observes:
		return in.token < r.last && in.known < r.newest
	default:
		return in.action == refresh && in.kind.untilUsed && in.token == r.last && in.known <= r.newest-looks
	}
}

// steps returns the states in which the operation may leave the family if it was answered so;
// none if that answer is impossible.
//
// An operation of unknown outcome has no end in time. It is placed where it changes something
// or, if it never happened, after the end of the history. Placing it where it changes nothing
// would double the search for each such operation.
func (r record) steps(in input, got output) (next []any) {
	if r.over {
		if got.unknown {
			next = append(next, r)
		}
		return next
	}
	if in.token > r.newest { // no client can have had it by then
		return nil
	}
	after, want := r.apply(in)
	open := in.action == refresh && got.unclear || in.action == introspect && got == output{}
	if got == want || got.unknown && after != r {
		next = append(next, after)
	} else if open && r.leavesOpen(in) {
		next = append(next, r)
	}
	return next
}

// first is a family that has never rotated, and pending one whose code was not exchanged.
var first, pending = record{newest: 1, age: outside}, record{age: outside}

// model is the model in the form that porcupine takes: one register for each family.
var model = (&porcupine.NondeterministicModel{
	Partition:         families,
	Init:              func() []any { return []any{first, pending} },
	Step:              func(state, in, out any) []any { return state.(record).steps(in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state.(record)) },
}).ToModel()

// never is the return time of an operation of unknown outcome.
const never = math.MaxInt64

// families returns the history of each family, with its end and with what clients knew at each
// time.
func families(history []porcupine.Operation) [][]porcupine.Operation {
	by := map[string]int{}
	var all [][]porcupine.Operation
	for _, op := range history {
		id := op.Input.(input).family
		n, ok := by[id]
		if !ok {
			n = len(all)
			by[id] = n
			all = append(all, nil)
		}
		all[n] = append(all[n], op)
	}
	for n, ops := range all {
		var last int64
		for i := range ops {
			in := ops[i].Input.(input)
			for _, before := range ops {
				if before.Return < ops[i].Call {
					in.known = max(in.known, before.Output.(output).token)
				}
			}
			ops[i].Input = in
			last = max(last, ops[i].Call)
			if ops[i].Return != never {
				last = max(last, ops[i].Return)
			}
		}
		all[n] = append(ops, porcupine.Operation{
			Call: last + 1, Return: last + 1, Input: input{family: ops[0].Input.(input).family, action: historyEnds}, Output: output{},
		})
	}
	return all
}

func describe(in input, out output) string {
	switch {
	case in.action == historyEnds:
		return "the end"
	case in.action == clockMoves:
		return "the clock moves past the interval"
	case in.action == clockCreeps:
		return "the clock creeps"
	case in.action == remove && out.unknown:
		return "delete: no answer"
	case in.action == remove:
		return "delete"
	case in.action == show:
		return strings.TrimSuffix(fmt.Sprintf("show: counter %d, %s", out.token, out.cause), ", ")
	}
	what := fmt.Sprintf("%s %d", [...]string{"refresh", "exchange", "introspect", "revoke"}[in.action], in.token)
	switch {
	case out.unknown:
		return what + ": no answer"
	case out.unclear:
		return what + ": 503"
	case in.action == introspect:
		return fmt.Sprintf("%s: active %t", what, out.active)
	case in.action <= exchange && out.token == 0:
		return what + ": refused"
	case in.action <= exchange:
		return fmt.Sprintf("%s: token %d", what, out.token)
	}
	return what
}

// illegal reports whether one family's history is shown to be impossible in the model.
func illegal(history []porcupine.Operation) bool {
	const limit = 10 * time.Second
	return porcupine.CheckOperationsTimeout(model, history, limit) == porcupine.Illegal
}

// shortest returns a shorter history that is still illegal. It ends at the first answer that
// cannot be explained, and leaves out operations that change nothing and are not needed.
func shortest(history []porcupine.Operation) []porcupine.Operation {
	var returns []int64
	for _, op := range history {
		if op.Return != never {
			returns = append(returns, op.Return)
		}
	}
	slices.Sort(returns)
	first := sort.Search(len(returns)-1, func(i int) bool { return illegal(until(history, returns[i])) })
	short := until(history, returns[first])
	for i := len(short) - 1; i >= 0; i-- {
		if !reads(short[i]) {
			continue
		}
		if without := slices.Delete(slices.Clone(short), i, i+1); illegal(without) {
			short = without
		}
	}
	return short
}

// until returns what was known at a time. Answers that arrived later are unknown.
func until(history []porcupine.Operation, end int64) []porcupine.Operation {
	var known []porcupine.Operation
	for _, op := range history {
		switch {
		case op.Call > end:
			continue
		case op.Return > end:
			op.Return, op.Output = never, output{unknown: true}
		}
		known = append(known, op)
	}
	slices.SortFunc(known, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return known
}

// reads reports whether an operation, if its answer is right, changes nothing.
func reads(op porcupine.Operation) bool {
	in, out := op.Input.(input), op.Output.(output)
	switch in.action {
	case introspect, show:
		return true
	case refresh: // gave nothing, or the newest token that there was
		return out.unclear || !out.unknown && !in.kind.untilUsed && (out.token == in.token || out.token > in.token+1)
	default:
		return false
	}
}

// script returns a history as text, in the order in which the operations began.
func script(history []porcupine.Operation) string {
	began := history[0].Call
	ms := func(at int64) string {
		if at == never {
			return "…"
		}
		return fmt.Sprintf("%.3f", float64(at-began)/1e6)
	}
	var b strings.Builder
	for _, op := range history {
		fmt.Fprintf(&b, "%9s to %9s ms  client %2d  %s\n", ms(op.Call), ms(op.Return), op.ClientId,
			describe(op.Input.(input), op.Output.(output)))
	}
	return b.String()
}
