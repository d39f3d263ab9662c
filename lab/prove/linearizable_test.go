//go:build prove

package prove

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/rotor-auth/rotor/lab/process"
)

var raceFor = flag.Duration("race-for", time.Minute, "how long TestLinearizable races")

const (
	servers     = 8
	racers      = 32
	atOnce      = 8                     // operations on one family at the same time; the checker has to consider every order of them
	familyLife  = 250                   // operations on a family before another replaces it
	deadLife    = 15                    // operations on a family that is seen to be dead
	clockEvery  = 60 * time.Millisecond // in addition to what a move takes; between two moves a family rotates once at most
	checkLimit  = 3 * time.Minute
	reuseWindow = "300" // seconds; far longer than the time between two moves of the clock
	clockMove   = "301s"
	clockCreep  = "200s"          // together with the time between two moves still less than the interval
	overdue     = 5 * time.Second // a 503 that takes longer tells nothing, as the server has given up
)

// kinds are the clients with their policies.
var kinds = []struct {
	kind
	policy string
}{
	{kind{name: "interval", interval: true}, `"reuse_interval":` + reuseWindow},
	{kind{name: "strict"}, `"reuse_interval":0`},
	{kind{name: "until-used", interval: true, untilUsed: true}, `"lost_response":"until_used","reuse_interval":` + reuseWindow},
	{kind{name: "strict-until-used", untilUsed: true}, `"lost_response":"until_used","reuse_interval":0`},
	{kind{name: "observed", interval: true, observes: true}, `"reuse_detection":"observe","observe_until":"OBSERVE_UNTIL","reuse_interval":` + reuseWindow},
	{kind{name: "fixed", fixed: true}, `"rotation":false`},
}

// TestLinearizable plays thirty-two clients that use the same few families at once, over eight
// servers on one table. The answers about each family must be possible if its operations had
// happened one after the other, each at some moment between its call and its return.
func TestLinearizable(t *testing.T) {
	r := newRace(t)
	ctx, cancel := context.WithTimeout(t.Context(), *raceFor)
	defer cancel()
	r.stop = cancel
	var all sync.WaitGroup
	for n := range racers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(rand.Uint64(), uint64(n)))
			for ctx.Err() == nil {
				r.clock.RLock()
				r.operate(n, rng)
				r.clock.RUnlock()
			}
		})
	}
	all.Go(func() { r.moveClock(ctx) })
	all.Wait()
	if t.Failed() {
		return
	}
	history := r.history()
	began := time.Now()
	result := porcupine.CheckOperationsTimeout(model, history, checkLimit)
	took := time.Since(began)
	t.Logf("%d operations on %d families in %s; checked in %.1f s: %s\n\n%s",
		len(history), len(r.subjects), *raceFor, took.Seconds(), result, summary(history))
	switch result {
	case porcupine.Ok:
		r.sawAll(history)
	case porcupine.Unknown:
		t.Errorf("not checked: the checker has not ended after %s", checkLimit)
	case porcupine.Illegal:
		reportIllegal(t, history)
	}
}

// reportIllegal shows a family whose history is not possible.
func reportIllegal(t *testing.T, history []porcupine.Operation) {
	t.Helper()
	for _, ops := range families(history) {
		ops = ops[:len(ops)-1] // without its end, which is added again
		if !illegal(ops) {
			continue
		}
		file, err := os.CreateTemp("", "rotor-linearizable-*.html")
		if err != nil {
			t.Fatal(err)
		}
		_, info := porcupine.CheckOperationsVerbose(model, ops, time.Minute)
		if err := porcupine.Visualize(model, info, file); err != nil {
			t.Error(err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		in := ops[0].Input.(input)
		t.Errorf("family %s of %s is not linearizable; all of it is in %s, and the shortest part that is not:\n\n%s",
			in.family, in.kind.name, file.Name(), script(shortest(ops)))
		return
	}
	t.Error("a family is not linearizable, but none is when looked at alone")
}

// race holds the servers, and the families that the clients use.
type race struct {
	t       *testing.T
	http    *http.Client
	servers []*process.Rotor
	secrets []string // secrets of the clients, by kind
	began   time.Time
	stop    func()
	clock   sync.RWMutex // is read-locked during an operation, and locked while the clocks move

	current  []atomic.Pointer[subject] // by kind
	mu       sync.Mutex
	subjects []*subject // all families there ever were
}

// subject is a family that several clients use.
type subject struct {
	id     string
	kind   *kind
	secret string
	code   string
	calm   float64       // the part of its operations that only read
	aged   float64       // the part of the others that present a superseded token
	hasty  bool          // sometimes a client does not wait for the answer
	polite bool          // one client at a time presents its newest token
	turn   sync.Mutex    // held by the client whose turn it is
	seats  chan struct{} // places for the clients that use it

	mu      sync.Mutex
	tokens  map[int]string // tokens by number
	newest  int            // the largest number seen
	last    int            // the number of the token that the newest was exchanged for
	left    int            // operations until another family replaces it
	unclear bool           // whether an outcome is unknown
	age     int            // how often the clock has crept since the newest was made, as in the model
	silent  bool           // answers with the newest token are lost until the clock moves
	history []porcupine.Operation
}

func newRace(t *testing.T) *race {
	g := newGround(t)
	r := &race{t: t, http: newHTTP(t), stop: func() {}, current: make([]atomic.Pointer[subject], len(kinds))}
	for range servers {
		r.servers = append(r.servers, g.start())
	}
	observeUntil := time.Now().Add(29 * 24 * time.Hour).UTC().Format(time.RFC3339)
	for _, k := range kinds {
		policy := strings.ReplaceAll(k.policy, "OBSERVE_UNTIL", observeUntil)
		client := r.servers[0].URL + "/v1/clients/" + k.name
		must(t, r.http, http.MethodPut, client, map[string]any{"type": "confidential", "policy": raw("{" + policy + "}")})
		r.secrets = append(r.secrets, must(t, r.http, http.MethodPost, client+"/secrets", nil).text("client_secret"))
	}
	r.began = time.Now()
	for n := range kinds {
		r.replace(n, nil, rand.New(rand.NewPCG(rand.Uint64(), 0)))
	}
	if t.Failed() {
		t.FailNow()
	}
	return r
}

// raw holds JSON as it is.
type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// now returns the time in the history.
func (r *race) now() int64 { return int64(time.Since(r.began)) }

// fail ends the race with an error.
func (r *race) fail(format string, args ...any) {
	r.t.Errorf(format, args...)
	r.stop()
}

// replace replaces old with a new family, unless another client has.
func (r *race) replace(n int, old *subject, rng *rand.Rand) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current[n].Load() != old {
		return
	}
	k := &kinds[n].kind
	user := fmt.Sprintf("user-%d", len(r.subjects))
	a, err := send(r.t.Context(), r.http, http.MethodPost, r.url(rng)+"/v1/families", map[string]string{
		"user_id": user, "client_id": k.name, "deliver": "code", "code_challenge": codeChallenge,
	})
	if err != nil || a.status != http.StatusCreated {
		r.fail("no new family: %v %v", a, err)
		return
	}
	s := &subject{
		id: a.text("family"), kind: k, secret: r.secrets[n],
		calm: rng.Float64() * 0.7, aged: 0.4 * math.Pow(rng.Float64(), 3), hasty: rng.IntN(4) == 0, polite: rng.IntN(2) == 0,
		tokens: map[int]string{}, left: familyLife, seats: make(chan struct{}, atOnce), code: a.text("code"),
	}
	r.exchange(s)
	if s.newest != 1 {
		r.fail("the first token of a family is number %d", s.newest)
		return
	}
	r.subjects = append(r.subjects, s)
	r.current[n].Store(s)
}

// codeVerifier is that of every code, and codeChallenge its challenge (RFC 7636 appendix B).
const (
	codeVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	codeChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// exchange lets a client at each server present the family's code at once.
func (r *race) exchange(s *subject) {
	var all sync.WaitGroup
	for n, server := range r.servers {
		all.Go(func() {
			in := input{family: s.id, kind: s.kind, action: exchange}
			op := porcupine.Operation{ClientId: n, Input: in, Call: r.now()}
			out, err := r.do(r.t.Context(), server.URL, s, in)
			op.Return, op.Output = r.now(), out
			if err != nil {
				r.fail("exchange of the code of family %s: %v", s.id, err)
			}
			if out.unknown {
				op.Return = never
			}
			s.record(op)
		})
	}
	all.Wait()
}

func (r *race) url(rng *rand.Rand) string { return r.servers[rng.IntN(len(r.servers))].URL }

// take records a token that was given for token number presented, and returns its number. The
// same number must always be the same token.
func (s *subject) take(token string, presented int) (number int, err error) {
	family, number, err := readToken(token)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.tokens[number]
	switch {
	case family != s.id:
		return 0, fmt.Errorf("family %s gives a token of family %s", s.id, family)
	case ok && known != token:
		return 0, fmt.Errorf("family %s has two tokens of number %d", s.id, number)
	}
	s.tokens[number] = token
	if number > s.newest {
		if s.newest != 0 {
			s.age = 0
		}
		s.newest, s.last = number, presented
	}
	return number, nil
}

// operate performs one operation of a client on a random family.
func (r *race) operate(client int, rng *rand.Rand) {
	n := rng.IntN(len(kinds))
	s := r.current[n].Load()
	select {
	case s.seats <- struct{}{}:
		defer func() { <-s.seats }()
	default:
		return // enough clients use it
	}
	in, spent := s.choose(rng)
	if spent {
		r.replace(n, s, rng)
		return
	}
	if in.action == refresh && in.token == newest && s.polite {
		if s.turn.TryLock() {
			defer s.turn.Unlock()
		} else {
			in.action, in.token = show, 0
		}
	}
	if in.token == newest {
		in.token = s.latest()
	}
	ctx := r.t.Context()
	if s.hasty && rng.IntN(50) == 0 { // the client does not wait for the answer
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.Int64N(int64(15*time.Millisecond))))
		defer cancel()
	}
	op := porcupine.Operation{ClientId: client, Input: in, Call: r.now()}
	out, err := r.do(ctx, r.url(rng), s, in)
	op.Return = r.now()
	if out.unclear && time.Duration(op.Return-op.Call) > overdue {
		out = output{unknown: true}
	}
	op.Output = out
	if err != nil {
		r.fail("%s of family %s: %v", describe(in, output{unknown: true}), s.id, err)
		return
	}
	if out.unknown {
		op.Return = never
	}
	s.record(op)
}

// newest stands for the newest token of a family.
const newest = -1

// latest returns the number of the newest token that any client was given.
func (s *subject) latest() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest
}

// choose returns the next operation. spent reports that the family has had all its operations.
func (s *subject) choose(rng *rand.Rand) (in input, spent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
	in = input{family: s.id, kind: s.kind}
	old := s.given(s.newest - 1 - rng.IntN(3))
	switch x := rng.Float64(); {
	case x < s.calm/2:
		in.action = show
	case x < s.calm*3/4:
		in.action, in.token = introspect, old
	case x < s.calm:
		in.action, in.token = introspect, newest
	case rng.IntN(300) == 0:
		in.action, in.token = revoke, old
	case rng.IntN(300) == 0:
		in.action = remove
	case rng.IntN(150) == 0:
		in.action = exchange
	default:
		in.action, in.token = refresh, s.present(rng)
	}
	return in, s.left < 0
}

// present returns the number of the token to refresh with.
func (s *subject) present(rng *rand.Rand) int {
	inside := s.kind.interval && s.age < outside
	last := s.given(s.last)
	switch {
	case s.silent:
		return last
	case rng.Float64() >= s.aged:
		return newest
	case inside && rng.IntN(10) != 0:
		return last
	// An operation that would end the family is rarer, as otherwise no family would last.
	case !s.kind.interval || s.kind.observes || rng.IntN(5) == 0:
		return s.given(s.newest - 1 - rng.IntN(3))
	default:
		return newest
	}
}

// given returns n, or the next number whose token a client has. Some tokens were skipped, or
// sent to a client that did not wait.
func (s *subject) given(n int) int {
	n = max(n, 1)
	for s.tokens[n] == "" {
		n++
	}
	return n
}

func (s *subject) record(op porcupine.Operation) {
	in, out := op.Input.(input), op.Output.(output)
	s.mu.Lock()
	defer s.mu.Unlock()
	if out.unknown && (in.action == introspect || in.action == show) {
		return // the answer tells nothing
	}
	s.history = append(s.history, op)
	s.unclear = s.unclear || out.unknown
	refused := in.action == refresh && out == output{} // an exchange may be refused while the family lives
	if out.cause != "" || in.action == revoke || in.action == remove || refused {
		s.left = min(s.left, deadLife)
	}
}

// do performs an operation. The output is unknown if there was no answer, or one that leaves
// the outcome open. An error is an answer that must not occur.
func (r *race) do(ctx context.Context, server string, s *subject, in input) (output, error) {
	method, path, status := http.MethodPost, "", http.StatusOK
	var body any
	s.mu.Lock()
	form := url.Values{"client_id": {s.kind.name}, "client_secret": {s.secret}, "token": {s.tokens[in.token]}}
	s.mu.Unlock()
	switch in.action {
	case refresh:
		form["grant_type"], form["refresh_token"] = []string{"refresh_token"}, form["token"]
		delete(form, "token")
		path, body = "/oauth/token", form
	case exchange:
		form["grant_type"], form["code"], form["code_verifier"] = []string{"authorization_code"}, []string{s.code}, []string{codeVerifier}
		delete(form, "token")
		path, body = "/oauth/token", form
	case introspect:
		path, body = "/oauth/introspect", form
	case revoke:
		path, body = "/oauth/revoke", form
	case remove:
		method, path = http.MethodDelete, "/v1/families/"+s.id
	case show:
		method, path = http.MethodGet, "/v1/families/"+s.id
	default:
		return output{}, fmt.Errorf("no such action")
	}
	a, err := send(ctx, r.http, method, server+path, body)
	switch {
	case err == nil && in.action == refresh && a.status == http.StatusServiceUnavailable:
		return output{unclear: true}, nil
	case err != nil || a.status == http.StatusServiceUnavailable:
		return output{unknown: true}, nil
	case in.action <= exchange && a.refused():
		return output{}, nil
	case in.action == remove && a.status/100 == 2:
		return output{}, nil
	case a.status != status:
		return output{}, fmt.Errorf("it is answered %v", a)
	}
	switch in.action {
	case refresh, exchange:
		n, err := s.take(a.text("refresh_token"), in.token)
		return output{token: n}, err
	case introspect:
		active, _ := a.body["active"].(bool)
		return output{active: active}, nil
	case show:
		return output{token: a.number("counter"), cause: a.text("cause")}, nil
	}
	return output{}, nil
}

// moveClock moves all servers' clocks again and again while no operation is in progress, past
// the reuse interval or a part of it.
func (r *race) moveClock(ctx context.Context) {
	rng := rand.New(rand.NewPCG(rand.Uint64(), racers))
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(clockEvery):
		}
		r.clock.Lock()
		call := r.now()
		action, by := clockMoves, clockMove
		if rng.IntN(3) == 0 {
			action, by = clockCreeps, clockCreep
		}
		var all sync.WaitGroup
		for _, server := range r.servers {
			all.Go(func() {
				if a, err := send(r.t.Context(), r.http, http.MethodPost, server.URL+"/local/clock", map[string]string{"advance": by}); err != nil || a.status != http.StatusOK {
					r.fail("the clock does not move: %v %v", a, err)
				}
			})
		}
		all.Wait()
		for n := range r.current {
			s := r.current[n].Load()
			// A request whose client did not wait may still be in progress, with the time from
			// before. No more operations use its family.
			if s.unclear {
				s.left = 0
				continue
			}
			s.age++
			s.silent = s.kind.untilUsed && rng.IntN(2) == 0
			s.history = append(s.history, porcupine.Operation{
				ClientId: racers, Input: input{family: s.id, kind: s.kind, action: action}, Output: output{}, Call: call, Return: r.now(),
			})
			if action == clockMoves {
				s.age = outside
			}
		}
		r.clock.Unlock()
	}
}

func (r *race) history() []porcupine.Operation {
	var all []porcupine.Operation
	for _, s := range r.subjects {
		all = append(all, s.history...)
	}
	return all
}

// tally counts what was seen in a history.
type tally map[string]int

// tallies returns the tally of each kind, by name.
func tallies(history []porcupine.Operation) map[string]tally {
	all := map[string]tally{}
	for _, ops := range families(history) {
		ops = ops[:len(ops)-1]
		k := ops[0].Input.(input).kind
		if all[k.name] == nil {
			all[k.name] = tally{}
		}
		seen := all[k.name]
		seen["families"]++
		cause := ""
		made := map[int]bool{} // the tokens that were given
		for _, op := range ops {
			in, out := op.Input.(input), op.Output.(output)
			seen["operations"]++
			switch {
			case out.unknown:
				seen["unknown"]++
			case in.action == clockMoves || in.action == clockCreeps:
				seen["clock"]++
			case in.action == introspect && !out.active:
				seen["inactive"]++
			case in.action == exchange && out.token == 0:
				seen["codes refused"]++
			case in.action == exchange:
				seen["codes"]++
			case in.action != refresh:
			case out.unclear:
				seen["unclear"]++
			case out.token == 0:
				seen["refused"]++
			case out.token == in.token:
				seen["held"]++
			case made[out.token]:
				seen["again"]++
			case out.token == in.token+1:
				seen["rotated"]++
			case k.untilUsed:
				seen["skipped"]++
			default:
				seen["again"]++
			}
			if in.action == refresh {
				made[out.token] = true
			}
			if out.cause != "" {
				cause = out.cause
			}
		}
		if cause != "" {
			seen[cause]++
		}
	}
	return all
}

var columns = []string{
	"families", "operations", "codes", "codes refused", "rotated", "held", "again", "skipped", "refused", "unclear", "inactive", "unknown", "clock",
	"reuse_detected", "revoked_by_client", "revoked_by_admin",
}

func summary(history []porcupine.Operation) string {
	var b strings.Builder
	out := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(out, "policy\t%s\t\n", strings.Join(columns, "\t"))
	all := tallies(history)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		_, _ = fmt.Fprintf(out, "%s\t", name)
		for _, column := range columns {
			_, _ = fmt.Fprintf(out, "%d\t", all[name][column])
		}
		_, _ = fmt.Fprintln(out)
	}
	_ = out.Flush() // it writes to memory
	return b.String() + "codes: exchanged; rotated: refreshes that were the first to be answered with the next token; held: with the token presented; again: with one that\n" +
		"another had got; skipped: with a new one for a lost response; unclear: with 503; clock: moves of the clock; the last three:\n" +
		"families seen to have ended so."
}

// enough holds the least that a race of a minute must see, by kind.
var enough = map[string]tally{
	"interval":          {"codes": 5, "codes refused": 30, "rotated": 50, "held": 90, "again": 100, "refused": 20, "clock": 80, "reuse_detected": 2},
	"strict":            {"codes": 5, "codes refused": 30, "rotated": 50, "refused": 100, "reuse_detected": 15},
	"until-used":        {"codes": 5, "codes refused": 30, "rotated": 30, "held": 30, "again": 100, "skipped": 10, "refused": 100, "clock": 80, "reuse_detected": 5},
	"strict-until-used": {"codes": 5, "codes refused": 30, "rotated": 40, "skipped": 100, "refused": 80, "reuse_detected": 4},
	"observed":          {"codes": 5, "codes refused": 30, "rotated": 50, "held": 90, "again": 100, "clock": 80},
	"fixed":             {"codes": 5, "codes refused": 30, "held": 200},
}

// sawAll fails the test if the race has seen less than that.
func (r *race) sawAll(history []porcupine.Operation) {
	r.t.Helper()
	all := tallies(history)
	if !slices.ContainsFunc(history, func(op porcupine.Operation) bool { return op.Return == never }) {
		r.t.Error("no outcome was unknown: race for longer")
	}
	for name, columns := range enough {
		for column, want := range columns {
			want = max(1, int(float64(want)*raceFor.Minutes()))
			if got := all[name][column]; got < want {
				r.t.Errorf("under %q of %s there are %d, not %d or more", column, name, got, want)
			}
		}
	}
}
