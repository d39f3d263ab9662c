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

// The model: what one family may answer, if its operations happened one after
// the other. It is written from the README's table of decisions and calls
// nothing of Rotor's. There is no clock in it. An operation of its own,
// [clockMoves], ends the reuse interval of every token that is superseded by
// then, and between two of these nothing gets old.

// kind is a client's policy, so far as it decides what a use of a token does.
type kind struct {
	name      string
	interval  bool // there is a reuse interval; else the policy is strict
	untilUsed bool // a lost response is forgiven until the successor is used
	observes  bool // reuse does not end the family
	fixed     bool // tokens do not rotate
}

// record is the state of a family.
type record struct {
	newest  int    // the number of the newest token
	used    int    // of the last token that was exchanged for a new one
	inside  int    // of the first token that was superseded inside the interval, or will be
	skipped [2]int // the first and the last of the tokens that were skipped
	end     string // the cause of the family's death; "" while it lives
	over    bool   // the history has ended
}

type action int

const (
	refresh     action = iota
	introspect         // of a refresh token
	revoke             // by the client, with a refresh token
	remove             // by the management API
	show               // by the management API
	clockMoves         // past the reuse interval
	historyEnds        // of the model's own, behind all that has an answer
)

// input is an operation on a family.
type input struct {
	family string
	kind   *kind
	action action
	token  int // the number of the token presented, of the first three
	known  int // of the newest token that anybody had been given when it began
}

// output is the answer to it.
type output struct {
	unknown bool   // there was none, or 503: the operation may have happened, or happen later
	token   int    // refresh: the number of the token given, 0 for invalid_grant; show: the counter
	active  bool   // introspect
	cause   string // show: of the family's death
}

// knownRotations is how many rotations back a token is honoured.
const knownRotations = 8

// refresh is the table of decisions. It returns the number of the token given, 0
// for none.
func (r record) refresh(k *kind, n int) (record, int) {
	if r.end != "" {
		return r, 0
	}
	if n == r.newest {
		if !k.fixed {
			r.used = n
			r.newest++
		}
		return r, r.newest
	}
	// The last rotation that is known to have come after n's own, or n's own.
	known := max(n, r.newest-knownRotations)
	if n == r.used { // the newest token was given for it, however many were skipped
		known = n
	}
	inside := k.interval && known >= r.inside
	switch {
	case r.skipped[0] <= n && n <= r.skipped[1]:
		// Reuse, even inside the interval.
	case inside && known == n:
		return r, r.newest
	case inside:
		return r, 0 // n is too old to tell: refused, and the family lives
	case k.untilUsed && n == r.used:
		r.skipped = [2]int{n + 1, r.newest}
		r.inside = n // it is superseded anew
		r.newest++
		return r, r.newest
	}
	if k.observes {
		return r, r.newest
	}
	r.end = "reuse_detected"
	return r, 0
}

// apply is what the operation does to the family and what it answers.
func (r record) apply(in input) (record, output) {
	switch in.action {
	case refresh:
		next, n := r.refresh(in.kind, in.token)
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
		r.inside = r.newest
	case historyEnds:
		r.over = true
	}
	return r, output{}
}

// revokesLate says whether a use that the table refuses now, as too old to tell,
// may yet revoke the family. Rotor judges a use by the record as it found it, and
// revokes by a second request, whatever the record has become by then: what was
// outside the interval stays outside, though after eight rotations more the record
// does not show it.
func (r record) revokesLate(in input) bool {
	found := max(in.token, in.known-knownRotations) // at the earliest
	return in.action == refresh && r.end == "" && in.kind.interval && !in.kind.observes &&
		found < r.inside && in.token < r.newest && !(in.kind.untilUsed && in.token == r.used)
}

// steps are the states in which the operation may leave the family, if it was
// answered so; none where it cannot have been.
//
// An operation of unknown outcome has no end in time. It is placed where it
// changes something; or, if it never happened, behind the end of the history.
// Were it allowed where it changes nothing, each would double the search.
func (r record) steps(in input, got output) (next []any) {
	if r.over {
		if got.unknown {
			next = append(next, r)
		}
		return next
	}
	if in.token > r.newest { // nobody can have had it by then
		return nil
	}
	after, want := r.apply(in)
	if got == want || got.unknown && after != r {
		next = append(next, after)
	}
	if r.revokesLate(in) && (got == output{} || got.unknown) {
		after = r
		after.end = "reuse_detected"
		next = append(next, after)
	}
	return next
}

// model is the model as porcupine wants it: one register for each family.
var model = (&porcupine.NondeterministicModel{
	Partition:         families,
	Init:              func() []any { return []any{record{newest: 1, inside: 1}} },
	Step:              func(state, in, out any) []any { return state.(record).steps(in.(input), out.(output)) },
	DescribeOperation: func(in, out any) string { return describe(in.(input), out.(output)) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state.(record)) },
}).ToModel()

// never is the return of an operation of unknown outcome.
const never = math.MaxInt64

// families are the histories of the families in a history, each with its end and
// with what was known when.
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
	case in.action == remove && out.unknown:
		return "delete: no answer"
	case in.action == remove:
		return "delete"
	case in.action == show:
		return strings.TrimSuffix(fmt.Sprintf("show: counter %d, %s", out.token, out.cause), ", ")
	}
	what := fmt.Sprintf("%s %d", [...]string{"refresh", "introspect", "revoke"}[in.action], in.token)
	switch {
	case out.unknown:
		return what + ": no answer"
	case in.action == introspect:
		return fmt.Sprintf("%s: active %t", what, out.active)
	case in.action == refresh && out.token == 0:
		return what + ": refused"
	case in.action == refresh:
		return fmt.Sprintf("%s: token %d", what, out.token)
	}
	return what
}

// illegal says whether one family's history is shown to be none that the model
// could have had.
func illegal(history []porcupine.Operation) bool {
	const limit = 10 * time.Second
	return porcupine.CheckOperationsTimeout(model, history, limit) == porcupine.Illegal
}

// shortest is a short history that is still illegal, of one that is: it ends at
// the first answer that cannot be explained, and what changes nothing is left
// out where it is not needed.
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

// until is what was known at a time: answers that came later are unknown.
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

// reads says whether an operation, if its answer is right, changes nothing.
func reads(op porcupine.Operation) bool {
	in, out := op.Input.(input), op.Output.(output)
	switch in.action {
	case introspect, show:
		return true
	case refresh: // a superseded token that got the newest one
		return !out.unknown && !in.kind.untilUsed && out.token > in.token+1
	default:
		return false
	}
}

// script is a history to read, in the order in which the operations began.
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
