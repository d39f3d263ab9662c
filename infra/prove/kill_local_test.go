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

	"github.com/rotor-auth/rotor/infra/process"
)

const (
	kills     = 50
	followers = 24
	logins    = 2 // clients that start families, one after the other
)

// The local program is killed fifty times in mid-load and started again: whoever
// follows rotation, and comes again with the token that it holds, notices nothing.
func TestKillLocal(t *testing.T) {
	began := time.Now()
	l := newLoad(t)
	defer l.end()
	var apps []*follower
	for n := range followers {
		f, err := l.login(fmt.Sprintf("follower-%d", n))
		if err != nil {
			t.Fatal(err)
		}
		apps = append(apps, f)
	}
	var started [logins][]*follower
	for _, f := range apps {
		l.all.Go(func() {
			for l.going.Err() == nil {
				l.check(f.next())
			}
		})
	}
	for n := range started {
		l.all.Go(func() { started[n] = l.logIn(n) })
	}
	hits := 0 // kills that fell between a write and its answer
	for range kills {
		l.flows()
		written := l.seen.written.Load()
		<-time.After(rand.N(300 * time.Millisecond)) // the moment of the kill
		if err := l.program.Kill(); err != nil {
			t.Fatal(err)
		}
		l.start()
		l.flows() // those who were cut have come again
		if l.seen.written.Load() > written {
			hits++
		}
	}
	l.stop()
	l.all.Wait()

	// Nobody is lost: neither those who were there, nor those who came.
	lasted := slices.Concat(append(started[:], apps)...)
	l.lasts(lasted)
	t.Logf("%d kills in %s: %d refreshes were answered; %d attempts were not, and %d of those had been written, at %d of the kills; %d logins",
		kills, time.Since(began).Round(time.Second), l.seen.answered.Load(), l.seen.cut.Load(), l.seen.written.Load(), hits, len(lasted)-len(apps))
	if hits == 0 {
		t.Error("no kill fell between a write and its answer: the test has not met what it is for")
	}
}

// load is the local program, and what it is under.
type load struct {
	t       *testing.T
	ground  *ground
	http    *http.Client
	program *process.Rotor
	url     atomic.Pointer[string] // where it answers now, or did before it was killed
	seen    cuts

	all   sync.WaitGroup  // of those who make the load
	going context.Context // done once there is enough
	stop  func()
	ctx   context.Context // of the requests: done once the test has failed
	abort func()
}

func newLoad(t *testing.T) *load {
	l := &load{t: t, ground: newGround(t), http: newHTTP(t)}
	l.ctx, l.abort = context.WithCancel(t.Context())
	l.going, l.stop = context.WithCancel(l.ctx)
	l.start()
	return l
}

// start starts the program.
func (l *load) start() {
	l.t.Helper()
	l.program = l.ground.start()
	l.url.Store(&l.program.URL)
}

// end leaves nothing behind, whatever has become of the test.
func (l *load) end() {
	l.abort()
	l.all.Wait()
}

// check fails the test for an error, and ends the load. What comes of that is not
// told as well.
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
			l.t.FailNow() // it was said why
		case <-late:
			l.t.Fatal("the load does not flow")
		}
	}
}

// login starts a family.
func (l *load) login(user string) (*follower, error) {
	a, err := send(l.ctx, l.http, http.MethodPost, *l.url.Load()+"/v1/families", map[string]string{"user_id": user, "client_id": "demo-spa"})
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusCreated {
		return nil, fmt.Errorf("a login is answered %v", a)
	}
	return &follower{
		family: a.text("family"), tokens: []string{a.text("refresh_token")},
		refresh: l.refresh, counter: l.counter, seen: &l.seen,
	}, nil
}

// logIn starts families until there is enough, and returns those of which it had
// the answer.
func (l *load) logIn(n int) []*follower {
	var all []*follower
	pace := time.NewTicker(50 * time.Millisecond) // all of them are looked at in the end
	defer pace.Stop()
	for i := 0; ; i++ {
		select {
		case <-l.going.Done():
			return all
		case <-pace.C:
		}
		if f, err := l.login(fmt.Sprintf("login-%d-%d", n, i)); err == nil {
			all = append(all, f)
		}
	}
}

func (l *load) refresh(token string) (answer, error) {
	return send(l.ctx, l.http, http.MethodPost, *l.url.Load()+"/oauth/token", refreshForm("demo-spa", token))
}

// counter asks until there is an answer.
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

// lasts fails the test for every family that is lost: whose token does not refresh
// any more, has another number than the record's, or was taken for stolen.
func (l *load) lasts(all []*follower) {
	l.t.Helper()
	if l.t.Failed() {
		return
	}
	var mu sync.Mutex
	var lost []error
	next := make(chan *follower)
	for range 16 {
		l.all.Go(func() {
			for f := range next {
				err := f.next()
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
		next <- f
	}
	close(next)
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
