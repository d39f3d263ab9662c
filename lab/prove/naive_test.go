//go:build prove

package prove

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/lab/process"
)

var naiveProgram = flag.String("program", "", "the local program for TestNaive and TestFastThief; else it is built")

const (
	naiveSessions = 100
	naiveBursts   = 4
	naiveRequests = 10 // in each burst
	naiveInterval = 5  // in seconds

	// A burst is shorter than half an interval, and an answer takes no longer than that. More
	// than two intervals lie between the end of a burst and the next one.
	naiveBurst = 2400 * time.Millisecond
	naiveDelay = 2500 * time.Millisecond
	naiveEvery = 13 * time.Second
	naiveStart = 6 * time.Second // all clients begin within this time
)

// TestNaive plays a hundred clients that do everything a client should not: they refresh again
// and again with whatever token they hold, and save whatever answer arrives last. None may
// lose its session. It takes real time.
func TestNaive(t *testing.T) {
	n := newNaive(t)
	n.register("naive", map[string]any{"reuse_interval": naiveInterval})
	began := time.Now()
	sessions := make([]*naiveSession, naiveSessions)
	var all sync.WaitGroup
	for i := range sessions {
		s := n.login("naive", fmt.Sprintf("naive-%d", i))
		sessions[i] = s
		begin := rand.N(naiveStart)
		all.Go(func() {
			<-time.After(begin)
			s.live(naiveBursts, naiveEvery)
		})
	}
	all.Wait()
	seen := n.tally(sessions)
	t.Logf("%d of %d sessions are alive after %s, %d bursts and %d requests; %d of these presented what the first of their burst had superseded, and %d answers arrived after one of a later request",
		seen.alive, naiveSessions, time.Since(began).Round(time.Second), naiveBursts*naiveSessions, seen.sent, seen.superseded, seen.crossed)
	if seen.alive != naiveSessions {
		t.Errorf("%d sessions are dead", naiveSessions-seen.alive)
	}
	if seen.superseded < naiveSessions || seen.crossed < naiveSessions {
		t.Error("the clients were not as naive as they should be")
	}
	shown := 0
	for _, s := range sessions {
		for _, err := range s.wrong {
			if shown++; shown <= 10 {
				t.Error(err)
			}
		}
	}
	if shown > 10 {
		t.Errorf("and %d more", shown-10)
	}
	if reuse := n.reuse(""); len(reuse) != 0 {
		t.Errorf("%d events of reuse are stored", len(reuse))
	}
	n.stop()
}

// TestNaiveWithoutAnInterval checks that the same clients lose their sessions without a reuse
// interval. This shows that they are as naive as they should be.
func TestNaiveWithoutAnInterval(t *testing.T) {
	n := newNaive(t)
	n.register("strict", map[string]any{"reuse_interval": 0})
	var sessions []*naiveSession
	var all sync.WaitGroup
	for i := range naiveSessions {
		s := n.login("strict", fmt.Sprintf("strict-%d", i))
		sessions = append(sessions, s)
		all.Go(func() { s.live(1, naiveBurst+naiveDelay) })
	}
	all.Wait()
	seen := n.tally(sessions)
	t.Logf("%d of %d sessions are alive", seen.alive, naiveSessions)
	if reuse := n.reuse(""); seen.alive > naiveSessions/10 || len(reuse) < naiveSessions*9/10 {
		t.Errorf("%d of %d sessions are alive, and there are %d events of reuse", seen.alive, naiveSessions, len(reuse))
	}
	n.stop()
}

// naive holds the local program and the HTTP client that calls it.
type naive struct {
	t     *testing.T
	http  *http.Client
	rotor *process.Rotor
}

func newNaive(t *testing.T) *naive {
	t.Helper()
	program := *naiveProgram
	if program == "" {
		var err error
		if program, err = process.Build(t.TempDir(), "./cmd/rotor"); err != nil {
			t.Fatal(err)
		}
	}
	rotor, err := process.StartRotor(t.Context(), program, "ALG=ES256")
	if err != nil {
		t.Fatal(err)
	}
	return &naive{t, newHTTP(t), rotor}
}

// stop ends the program, and fails the test if it had failed before.
func (n *naive) stop() {
	n.t.Helper()
	if err := n.rotor.Stop(); err != nil {
		n.t.Error(err)
	}
}

// register registers a public client.
func (n *naive) register(client string, policy map[string]any) {
	n.t.Helper()
	must(n.t, n.http, http.MethodPut, n.rotor.URL+"/v1/clients/"+client, map[string]any{"type": "public", "policy": policy})
}

// login starts a family.
func (n *naive) login(client, user string) *naiveSession {
	n.t.Helper()
	a := must(n.t, n.http, http.MethodPost, n.rotor.URL+"/v1/families", map[string]string{"user_id": user, "client_id": client})
	first := a.text("refresh_token")
	return &naiveSession{naive: n, client: client, family: a.text("family"), token: first, tokens: map[int]string{1: first}}
}

// refresh presents a token and returns the answer.
func (n *naive) refresh(client, token string) (answer, error) {
	return send(n.t.Context(), n.http, http.MethodPost, n.rotor.URL+"/oauth/token", refreshForm(client, token))
}

// reuse returns the stored reuse events of a family, or of all families if family is "".
func (n *naive) reuse(family string) []any {
	n.t.Helper()
	filter := ""
	if family != "" {
		filter = "&family=" + family
	}
	a := must(n.t, n.http, http.MethodGet, n.rotor.URL+"/v1/events?type=ferrt"+filter, nil)
	events, ok := a.body["events"].([]any)
	if !ok {
		n.t.Fatalf("events are answered %v", a)
	}
	return events
}

// naiveSession is a session as its client keeps it.
type naiveSession struct {
	*naive
	client, family string

	mu      sync.Mutex
	token   string         // the token that the client holds
	tokens  map[int]string // every token that the client was given, by number
	arrived int            // the last request whose answer has arrived
	wrong   []error        // what must not happen

	sent, superseded, crossed int
	alive                     bool
}

// live plays the wanted number of bursts, with that time between their beginnings, and then
// one more refresh.
func (s *naiveSession) live(bursts int, every time.Duration) {
	for range bursts {
		next := time.After(every)
		s.burst()
		<-next
	}
	a, err := s.refresh(s.client, s.token)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("it is answered %v", a)
	}
	s.alive = err == nil
	if err != nil {
		s.fail("the last refresh: %w", err)
	}
}

// burst refreshes at random times, and waits until all answers have arrived. The family
// rotates once, and every answer has its new token.
func (s *naiveSession) burst() {
	before, err := s.counter()
	if err != nil {
		s.fail("%w", err)
		return
	}
	times := make([]time.Duration, naiveRequests)
	for i := range times[1:] {
		times[i+1] = rand.N(naiveBurst)
	}
	slices.Sort(times)
	given, first := make([]int, naiveRequests), s.token
	began := time.Now()
	var all sync.WaitGroup
	for i, at := range times {
		<-time.After(time.Until(began.Add(at)))
		s.mu.Lock()
		s.sent++
		n, presented := s.sent, s.token
		if presented == first && i > 0 {
			s.superseded++
		}
		s.mu.Unlock()
		all.Go(func() { given[i] = s.exchange(n, presented) })
	}
	all.Wait()
	after, err := s.counter()
	if err != nil {
		s.fail("%w", err)
		return
	}
	slices.Sort(given)
	if distinct := slices.Compact(given); after != before+1 || !slices.Equal(distinct, []int{after}) {
		s.fail("a burst gets the tokens %v, and moves the counter from %d to %d", distinct, before, after)
	}
}

// exchange makes request number n. It presents a token, saves the token of the answer when
// that arrives, some time after it was made, and returns its number.
func (s *naiveSession) exchange(n int, presented string) int {
	a, err := s.refresh(s.client, presented)
	// The answer takes a while: most take little, and some are overtaken by many.
	<-time.After(time.Duration(float64(naiveDelay) * math.Pow(rand.Float64(), 4)))
	s.mu.Lock()
	defer s.mu.Unlock()
	if n < s.arrived {
		s.crossed++
	}
	s.arrived = max(s.arrived, n)
	_, old, _ := readToken(presented)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("token %d is answered %v", old, a)
	}
	if err == nil {
		var number int
		if number, err = s.take(a.text("refresh_token")); err == nil {
			return number
		}
	}
	s.wrong = append(s.wrong, fmt.Errorf("family %s: %w", s.family, err))
	return old
}

// take saves a token over the one that was saved before, and returns its number. s.mu must be
// held.
func (s *naiveSession) take(token string) (number int, err error) {
	family, number, err := readToken(token)
	if err != nil {
		return 0, err
	}
	if family != s.family || s.tokens[number] != "" && s.tokens[number] != token {
		return 0, fmt.Errorf("token %d is another than before", number)
	}
	s.token, s.tokens[number] = token, token
	return number, nil
}

func (s *naiveSession) fail(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong = append(s.wrong, fmt.Errorf("family "+s.family+": "+format, args...))
}

// counter returns the number of the family's newest token.
func (s *naiveSession) counter() (int, error) {
	a, err := send(s.t.Context(), s.http, http.MethodGet, s.rotor.URL+"/v1/families/"+s.family, nil)
	if err == nil && a.status != http.StatusOK {
		err = errors.New(a.String())
	}
	return a.number("counter"), err
}

// naiveTally counts what was seen in all sessions.
type naiveTally struct{ alive, sent, superseded, crossed int }

func (n *naive) tally(sessions []*naiveSession) naiveTally {
	var all naiveTally
	for _, s := range sessions {
		if s.alive {
			all.alive++
		}
		all.sent += s.sent
		all.superseded += s.superseded
		all.crossed += s.crossed
	}
	return all
}

// TestFastThief checks a thief who copies a token and refreshes so fast that the victim's
// token is soon the oldest of many. The victim's next refresh must still detect the theft and
// end the family.
func TestFastThief(t *testing.T) {
	n := newNaive(t)
	const day = 24 * time.Hour
	for _, c := range []struct {
		what     string
		interval time.Duration
		policy   map[string]any
		atOnce   int           // refreshes, one after the other, before the first pause
		pause    time.Duration // between two refreshes
		until    time.Duration // until the victim refreshes
		least    int           // least number of rotations by then; 0 for exactly one
	}{
		{"every 7 s, interval 60 s", 60 * time.Second, nil, 1, 7 * time.Second, time.Hour, 50},
		{"every 65 s, interval 600 s", 600 * time.Second, nil, 1, 65 * time.Second, time.Hour, 5},
		{"every 1.1 s, interval 10 s, until used", 10 * time.Second, map[string]any{"lost_response": "until_used"}, 1, 1100 * time.Millisecond, time.Hour, 300},
		{"nine at once, interval 30 days", 30 * day, nil, 9, 30*day + time.Second, 100 * day, 3},
		// The victim's token is the predecessor of the thief's.
		{"every 7 s, one rotation", 60 * time.Second, nil, 1, 7 * time.Second, 59 * time.Second, 0},
		{"every 1.1 s, until used, one rotation", 10 * time.Second, map[string]any{"lost_response": "until_used"}, 1, 1100 * time.Millisecond, 9 * time.Second, 0},
		{"nine at once, one rotation", 30 * day, nil, 9, 30*day + time.Second, time.Second, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			n := &naive{t, n.http, n.rotor}
			client := strings.NewReplacer(" ", "-", ",", "", ".", "-").Replace(c.what)
			policy := map[string]any{"reuse_interval": int(c.interval.Seconds()), "absolute_lifetime": 0, "idle_lifetime": 0}
			for name, value := range c.policy {
				policy[name] = value
			}
			n.register(client, policy)
			victim := n.login(client, client)
			thief := &naiveSession{naive: n, client: client, family: victim.family, token: victim.token, tokens: map[int]string{}}
			pumped := 0
			pump := func() {
				a, err := n.refresh(client, thief.token)
				if err == nil && a.status != http.StatusOK {
					err = errors.New(a.String())
				}
				if err == nil {
					_, err = thief.take(a.text("refresh_token"))
				}
				if err != nil {
					t.Fatalf("the thief, after %d refreshes: %v", pumped, err)
				}
				pumped++
			}
			for range c.atOnce - 1 {
				pump()
			}
			for gone := time.Duration(0); gone < c.until; gone += c.pause {
				pump()
				n.pass(c.pause)
			}
			if c.least == 0 { // the victim refreshes once the interval is over
				n.pass(c.interval)
			}
			counter, err := victim.counter()
			if err != nil {
				t.Fatal(err)
			}
			if rotations := counter - 1; rotations < c.least || c.least == 0 && rotations != 1 {
				t.Errorf("the thief has rotated %d times", rotations)
			}
			if reuse := n.reuse(victim.family); len(reuse) != 0 {
				t.Errorf("%d events of reuse before the victim comes", len(reuse))
			}

			if a, err := n.refresh(client, victim.token); err != nil || !a.refused() {
				t.Errorf("the victim is answered %v: %v", a, err)
			}
			found := must(t, n.http, http.MethodGet, n.rotor.URL+"/v1/families/"+victim.family, nil)
			if status, cause := found.text("status"), found.text("cause"); status != "revoked" || cause != "reuse_detected" {
				t.Errorf("the family is %s %s", status, cause)
			}
			reuse := n.reuse(victim.family)
			if len(reuse) != 1 {
				t.Fatalf("%d events of reuse", len(reuse))
			}
			if event, _ := reuse[0].(map[string]any); event["tokenCounter"] != 1.0 || event["latestCounter"] != float64(counter) {
				t.Errorf("the event is of token %v at %v", event["tokenCounter"], event["latestCounter"])
			}
			if a, err := n.refresh(client, thief.token); err != nil || !a.refused() {
				t.Errorf("the thief is answered %v afterwards: %v", a, err)
			}
			t.Logf("%d refreshes by the thief rotated %d times; the victim has found it out", pumped, counter-1)
		})
	}
	n.stop()
}

// pass lets time pass for the program.
func (n *naive) pass(d time.Duration) {
	n.t.Helper()
	must(n.t, n.http, http.MethodPost, n.rotor.URL+"/local/clock", map[string]string{"advance": d.String()})
}
