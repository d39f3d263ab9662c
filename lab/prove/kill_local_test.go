//go:build prove

package prove

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/lab/process"
)

const (
	kills     = 50
	followers = 24
	logins    = 2 // clients that start families, one after the other

	eraLasts = 10 * time.Millisecond // in addition to what a move of the clock takes
	eraMove  = 61 * time.Second      // Rotor's default reuse interval and a second
)

// TestKillLocal kills the local program fifty times under load and starts it again. A client
// that follows rotation, and retries with the token that it holds, notices nothing. The clock
// moves past the reuse interval all the time, but never while a client waits for an answer, so
// that no retry is too late.
func TestKillLocal(t *testing.T) {
	began := time.Now()
	l := newLoad(t)
	defer l.end()
	var apps []*follower
	for n := range followers {
		f, err := l.login("demo-spa", fmt.Sprintf("follower-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		apps = append(apps, f)
	}
	imports := l.importAll()
	var started [logins][]*follower
	for _, f := range apps {
		l.all.Go(func() {
			for l.going.Err() == nil {
				l.check(l.follow(f))
			}
		})
	}
	l.all.Go(l.moveClock)
	for n := range started {
		l.all.Go(func() { started[n] = l.logIn(n) })
	}
	var movedIn []*follower
	l.all.Go(func() { movedIn = l.moveIn(imports) })
	hits := 0 // kills that fell between a write and its answer
	for range kills {
		l.flows()
		written := l.seen.written.Load()
		<-time.After(rand.N(300 * time.Millisecond)) // this is the moment of the kill
		if err := l.program.Kill(); err != nil {
			t.Fatal(err)
		}
		l.start()
		l.flows() // wait until the clients that were cut have retried
		if l.seen.written.Load() > written {
			hits++
		}
	}
	l.stop()
	l.all.Wait()

	// No family is lost, neither the first ones nor the later ones.
	lasted := slices.Concat(append(started[:], apps, movedIn)...)
	l.newEra()
	l.lasts(lasted, l.follow)
	answered, held := l.seen.answered.Load(), l.seen.held.Load()
	t.Logf("%d kills in %s: %d refreshes were answered, of which %d rotated; %d attempts were not, and %d of those had been written, at %d of the kills; %d logins; %d sessions moved in, after %d uses without an answer",
		kills, time.Since(began).Round(time.Second), answered, answered-held, l.seen.cut.Load(), l.seen.written.Load(), hits, len(lasted)-len(apps)-len(movedIn), len(movedIn), l.seen.uncertain.Load())
	if len(movedIn) != *moved {
		t.Errorf("%d of %d sessions moved in", len(movedIn), *moved)
	}
	if hits == 0 {
		t.Error("no kill fell between a write and its answer: the test has not met what it is for")
	}
	if l.seen.uncertain.Load() == 0 {
		t.Error("no kill met a session that was moving in")
	}
	if held == 0 {
		t.Error("no token was held")
	}
}

// load is the local program and the clients that use it.
type load struct {
	t       *testing.T
	ground  *ground
	http    *http.Client
	program *process.Rotor
	url     atomic.Pointer[string] // where the program answers, or did before it was killed
	seen    cuts

	clock  sync.RWMutex // is read-locked while a client waits for an answer, and locked while the clock moves
	moving sync.Mutex   // is held while the clock of a program moves, or the program is replaced
	era    atomic.Int64 // how often the clock has moved, plus 1

	all   sync.WaitGroup  // goroutines that make the load
	going context.Context // is done when there is enough load
	stop  func()
	ctx   context.Context // for requests; done when the test has failed
	abort func()
}

func newLoad(t *testing.T) *load {
	l := &load{t: t, ground: newGround(t), http: newHTTP(t)}
	l.era.Store(1)
	l.ctx, l.abort = context.WithCancel(t.Context())
	l.going, l.stop = context.WithCancel(l.ctx)
	l.start()
	return l
}

// start starts the program, whose clock continues where the clock of the previous one stopped.
func (l *load) start() {
	l.t.Helper()
	program := l.ground.start()
	l.moving.Lock()
	defer l.moving.Unlock()
	if eras := l.era.Load() - 1; eras > 0 {
		must(l.t, l.http, http.MethodPost, program.URL+"/local/clock", advance(time.Duration(eras)*eraMove))
	}
	l.program = program
	l.url.Store(&program.URL)
}

// moveClock begins one era after the other until there is enough load.
func (l *load) moveClock() {
	for l.going.Err() == nil {
		l.newEra()
		select {
		case <-time.After(eraLasts):
		case <-l.going.Done():
		}
	}
}

// newEra moves the clock. If the program is killed meanwhile, or was before, the next program
// starts with the moved clock.
func (l *load) newEra() {
	l.clock.Lock()
	defer l.clock.Unlock()
	l.moving.Lock()
	defer l.moving.Unlock()
	l.era.Add(1)
	_, _ = send(l.ctx, l.http, http.MethodPost, *l.url.Load()+"/local/clock", advance(eraMove))
}

// advance returns the body of a request that moves a clock.
func advance(d time.Duration) map[string]string { return map[string]string{"advance": d.String()} }

// follow refreshes. In each era the first refresh of a family rotates, and all others get the
// token again.
func (l *load) follow(f *follower) error {
	l.clock.RLock()
	defer l.clock.RUnlock()
	era := l.era.Load()
	if f.era == era {
		return f.next(holds)
	}
	f.era = era
	return f.next(rotates)
}

// end ends the load and the program, whatever the result of the test.
func (l *load) end() {
	l.abort()
	l.all.Wait()
}

// check fails the test for an error and ends the load. Errors that follow from it are not
// reported.
func (l *load) check(err error) {
	if err != nil && l.ctx.Err() == nil {
		l.t.Error(err)
		l.abort()
	}
}

// flows waits until every follower, on average, has been answered once more.
func (l *load) flows() {
	l.t.Helper()
	enough := l.seen.answered.Load() + followers
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	late := time.After(time.Minute)
	for l.seen.answered.Load() < enough {
		select {
		case <-ticker.C:
		case <-l.ctx.Done():
			l.t.FailNow() // the reason was reported
		case <-late:
			l.t.Fatal("the load does not flow")
		}
	}
}

// login starts a family.
func (l *load) login(client, user string) (*follower, error) {
	a, err := send(l.ctx, l.http, http.MethodPost, *l.url.Load()+"/v1/families", map[string]string{"user_id": user, "client_id": client})
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusCreated {
		return nil, fmt.Errorf("a login is answered %v", a)
	}
	return &follower{
		family: a.text("family"), tokens: []string{a.text("refresh_token")},
		refresh: l.refreshAs(client), counter: l.counter, seen: &l.seen,
	}, nil
}

// logIn starts families until there is enough load, and returns those whose login was
// answered.
func (l *load) logIn(n int) []*follower {
	var all []*follower
	pace := time.NewTicker(50 * time.Millisecond) // every family is compared in the end
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.going.Done():
			return all
		case <-pace.C:
		}
		if f, err := l.login("demo-spa", fmt.Sprintf("login-%d-%d", n, i)); err == nil {
			all = append(all, f)
		}
	}
}

// refreshAs returns a function that refreshes as a public client.
func (l *load) refreshAs(client string) func(token string) (answer, error) {
	return func(token string) (answer, error) {
		return send(l.ctx, l.http, http.MethodPost, *l.url.Load()+"/oauth/token", refreshForm(client, token))
	}
}

// counter returns the counter of a family's record, and asks until there is an answer.
func (l *load) counter(family string) (int, error) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		a, err := send(l.ctx, l.http, http.MethodGet, *l.url.Load()+"/v1/families/"+family, nil)
		if err == nil && a.status != http.StatusServiceUnavailable {
			if a.text("status") != "active" {
				return 0, fmt.Errorf("family %s is lost: %v %s %s", family, a, a.text("status"), a.text("cause"))
			}
			return a.number("counter"), nil
		}
		select {
		case <-ticker.C:
		case <-l.ctx.Done():
			return 0, l.ctx.Err()
		}
	}
}

// lasts fails the test for each lost family: one whose token no longer refreshes, has another
// number than the record's, or was treated as stolen.
func (l *load) lasts(all []*follower, next func(*follower) error) {
	l.t.Helper()
	if l.t.Failed() {
		return
	}
	var mu sync.Mutex
	var lost []error
	followers := make(chan *follower)
	for range 16 {
		l.all.Go(func() {
			for f := range followers {
				err := next(f)
				if err == nil {
					var n int
					if n, err = l.counter(f.family); err == nil && n != len(f.tokens) {
						err = fmt.Errorf("family %s: token %d is the newest, and the counter is %d", f.family, len(f.tokens), n)
					}
				}
				if err != nil {
					mu.Lock()
					lost = append(lost, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, f := range all {
		followers <- f
	}
	close(followers)
	l.all.Wait()
	if len(lost) > 0 {
		l.t.Errorf("%d of %d families are lost, first %v", len(lost), len(all), lost[0])
	}
	reuse := must(l.t, l.http, http.MethodGet, *l.url.Load()+"/v1/events?type=ferrt", nil)
	if events, ok := reuse.body["events"].([]any); !ok || len(events) != 0 {
		l.t.Errorf("%d events of reuse", len(events))
	}
	if err := l.program.Stop(); err != nil {
		l.t.Error(err)
	}
}
