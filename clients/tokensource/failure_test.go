package tokensource_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// earlyBegun starts a session whose access token has 25 s left of its 600, so that
// it can be used but is due to be refreshed.
func (w *world) earlyBegun(client string, store tokensource.Store) (family string, at *oauth2.Token) {
	w.t.Helper()
	t, family := w.login(client)
	if err := w.source(client, store, nil).Login(w.t.Context(), t); err != nil {
		w.t.Fatal(err)
	}
	w.clock.Advance(575 * time.Second)
	w.wire.breaks(nil)
	return family, t
}

// TestNotSaved checks that a token which cannot be saved is not handed out. It is
// kept, and saved as soon as possible, without another refresh.
func TestNotSaved(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: tokensource.NewMemory()}
	family := w.begun("app", store)
	src := w.source("app", store, nil)
	w.wire.breaks(nil)
	claims := 0
	store.saving = func(tokensource.Record) error {
		if claims++; claims > 1 {
			return errStore
		}
		return nil
	}
	_, err := src.Token()
	trail.print(err)
	if !errors.Is(err, tokensource.ErrNotSaved) || !errors.Is(err, errStore) || !strings.Contains(err.Error(), "the new token could not be saved") {
		t.Fatalf("the error is %v", err)
	}
	w.clock.Advance(10 * time.Minute)
	if _, err := src.Token(); !errors.Is(err, tokensource.ErrNotSaved) {
		t.Fatalf("ten minutes later the error is %v", err)
	}
	store.mend()
	w.clock.Advance(10 * time.Minute)
	w.good(src)
	// The first token of the pair that was kept has expired by now, so there was a
	// second refresh, by the second token.
	if counter, status := w.family(family); counter != 3 || status != "active" || w.wire.requests() != 2 {
		t.Errorf("%d requests, counter %d, %s", w.wire.requests(), counter, status)
	}
}

// TestAppliedSave checks that reading back finds a save that was applied although it
// failed, and one that was not applied although it succeeded.
func TestAppliedSave(t *testing.T) {
	for _, test := range []struct {
		name string
		save func(tokensource.Store, tokensource.Record) error
	}{
		{"applied, but failed", func(s tokensource.Store, r tokensource.Record) error {
			return errors.Join(s.Save(t.Context(), r), errStore)
		}},
		{"applied twice", func(s tokensource.Store, r tokensource.Record) error {
			return errors.Join(s.Save(t.Context(), r), s.Save(t.Context(), r))
		}},
		{"not applied, but no error", func(tokensource.Store, tokensource.Record) error { return nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			memory := tokensource.NewMemory()
			family := w.begun("app", memory)
			store := &oddStore{Store: memory, n: 2, odd: test.save}
			w.wire.breaks(nil)
			w.good(w.source("app", store, nil))
			w.good(w.source("app", memory, nil))
			if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 1 {
				t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
			}
		})
	}
}

// oddStore is a store that does something else in its n-th save.
type oddStore struct {
	tokensource.Store
	n   int
	odd func(tokensource.Store, tokensource.Record) error
}

func (o *oddStore) Save(ctx context.Context, r tokensource.Record) error {
	if o.n--; o.n == 0 {
		return o.odd(o.Store, r)
	}
	return o.Store.Save(ctx, r)
}

// TestClaimFails checks that nothing is sent without a claim.
func TestClaimFails(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: tokensource.NewMemory()}
	family := w.begun("app", store)
	store.save = func(int) error { return errStore }
	src := w.source("app", store, nil)
	w.wire.breaks(nil)
	if _, err := src.Token(); !errors.Is(err, errStore) || errors.Is(err, tokensource.ErrNotSaved) {
		t.Errorf("the error is %v", err)
	}
	store.mend()
	if w.wire.requests() != 0 {
		t.Errorf("%d requests without a claim", w.wire.requests())
	}
	w.good(src)
	if counter, _ := w.family(family); counter != 2 {
		t.Errorf("counter %d", counter)
	}
}

// TestSlowClaim checks that a process does not send if it was stopped between claim
// and request for longer than the claim lasts.
func TestSlowClaim(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: tokensource.NewMemory()}
	w.begun("app", store)
	saves := 0
	sentEarly := false
	store.saving = func(tokensource.Record) error {
		if saves++; saves == 1 {
			w.clock.Advance(20 * time.Second)
		} else if saves == 2 {
			sentEarly = w.wire.requests() > 0
		}
		return nil
	}
	w.wire.breaks(nil)
	w.good(w.source("app", store, nil))
	if sentEarly || w.wire.requests() != 1 {
		t.Errorf("sent after a claim that had lapsed: %v; %d requests", sentEarly, w.wire.requests())
	}
}

// TestSlowHolder checks a holder whose claim has lapsed by the time of its response,
// when another process has claimed the token or has already saved.
func TestSlowHolder(t *testing.T) {
	for _, saved := range []bool{false, true} {
		w := newWorld(t)
		store := tokensource.NewMemory()
		family := w.begun("app", store)
		slow, quick := w.source("app", store, nil), w.source("app", store, nil)
		slowSent, quickSent := make(chan struct{}), make(chan struct{})
		slowGoes, quickGoes := make(chan struct{}), make(chan struct{})
		w.wire.breaks(func(n int) fault {
			switch n {
			case 1:
				close(slowSent)
				<-slowGoes
			case 2:
				close(quickSent)
				<-quickGoes
			}
			return none
		})
		type outcome struct {
			token *oauth2.Token
			err   error
		}
		slowDone, quickDone := make(chan outcome, 1), make(chan outcome, 1)
		go func() { t, err := slow.Token(); slowDone <- outcome{t, err} }()
		<-slowSent
		go func() { t, err := quick.Token(); quickDone <- outcome{t, err} }()
		<-quickSent // the claim has lapsed during its wait
		if saved {
			close(quickGoes)
			quickDone <- <-quickDone
			close(slowGoes)
		} else {
			close(slowGoes)
			slowDone <- <-slowDone
			close(quickGoes)
		}
		a, b := <-slowDone, <-quickDone
		if a.err != nil || b.err != nil || a.token.AccessToken != b.token.AccessToken || !w.active(a.token.AccessToken) {
			t.Errorf("quick saved first: %v: errors %v, %v", saved, a.err, b.err)
		}
		if counter, status := w.family(family); counter != 2 || status != "active" || w.wire.requests() != 2 {
			t.Errorf("quick saved first: %v: %d requests, counter %d, %s", saved, w.wire.requests(), counter, status)
		}
	}
}

// TestEarly checks that a failed refresh does not matter while the access token can
// be used. If it left no doubt, the next call retries.
func TestEarly(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family, _ := w.earlyBegun("app", store)
	src := w.source("app", store, nil)
	w.wire.breaks(func(int) fault { return unreachable })
	for range 5 {
		w.good(src)
	}
	if w.wire.requests() != 1 {
		t.Errorf("five calls made %d requests during a pause", w.wire.requests())
	}
	w.wire.breaks(nil)
	w.clock.Advance(10 * time.Second)
	before := w.good(src)
	w.clock.Advance(15 * time.Second)
	after := w.good(src)
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 1 || before.AccessToken != after.AccessToken {
		t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
	}
}

// TestEarlyInDoubt checks that a refresh whose response was lost is retried at once,
// even if the access token can still be used, because the next call may come too
// late.
func TestEarlyInDoubt(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family, _ := w.earlyBegun("app", store)
	w.wire.breaks(first(lost))
	w.good(w.source("app", store, nil))
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 2 {
		t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
	}
}

// TestEarlyRefused checks that an error which a retry would not fix does not matter
// either, while the access token can be used.
func TestEarlyRefused(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	_, old := w.earlyBegun("app", store)
	w.wire.breaks(func(n int) fault { return []fault{lost, unauthorized}[min(n, 2)-1] })
	src := w.source("app", store, nil)
	if got := w.good(src); got.AccessToken != old.AccessToken || w.wire.requests() != 2 {
		t.Errorf("%d requests", w.wire.requests())
	}
	w.clock.Advance(20 * time.Second)
	_, err := src.Token()
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response.StatusCode != http.StatusUnauthorized || errors.Is(err, tokensource.ErrLoginRequired) {
		t.Errorf("afterwards: %v", err)
	}
}

// TestSlowAnswer checks that a token's age is counted from the request.
func TestSlowAnswer(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	w.begun("app", store)
	began := w.clock.Now()
	w.wire.breaks(func(int) fault { w.clock.Advance(5 * time.Second); return none })
	if got := w.good(w.source("app", store, nil)); got.Expiry.Sub(began) != 600*time.Second {
		t.Errorf("expires %v after the request", got.Expiry.Sub(began))
	}
}

// TestCourtesy checks that a caller with a usable token waits for at most five
// seconds for the next one, while the refresh continues.
func TestCourtesy(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family, old := w.earlyBegun("app", store)
	enough, over := make(chan time.Time), make(chan time.Time)
	close(over)
	var patient atomic.Bool
	src := w.source("app", store, nil, tokensource.WithCourtesy(func(d time.Duration) <-chan time.Time {
		switch {
		case patient.Load():
			return nil
		case d <= 0:
			return over
		}
		return enough
	}))
	// The first call reads the record, so that every source has it.
	w.wire.breaks(func(int) fault { return unreachable })
	w.good(src)
	w.clock.Advance(time.Second)
	sent, goes := make(chan struct{}), make(chan struct{})
	w.wire.breaks(func(int) fault { close(sent); <-goes; return none })
	go func() { <-sent; enough <- time.Time{} }()
	if got := w.good(src); got.AccessToken != old.AccessToken {
		t.Error("got a token that was not there yet")
	}
	w.clock.Advance(6 * time.Second) // the refresh began so long ago that no caller waits for it
	if got := w.good(src); got.AccessToken != old.AccessToken {
		t.Error("got a token that was not there yet")
	}
	patient.Store(true)
	close(goes)
	if got := w.good(src); got.AccessToken == old.AccessToken {
		t.Error("the refresh did not go on")
	}
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 1 {
		t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
	}
}

// TestCallerLeaves checks that a caller whose context ends gets an error, and that
// the refresh which it began continues.
func TestCallerLeaves(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family := w.begun("app", store)
	src := w.source("app", store, nil)
	ctx, cancel := context.WithCancel(t.Context())
	goes := make(chan struct{})
	w.wire.breaks(func(int) fault { cancel(); <-goes; return none })
	if _, err := src.TokenContext(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	close(goes)
	w.good(src)
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 1 {
		t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
	}
}

// TestStrict checks that with a strict provider a token in doubt is not used while
// there is a usable access token. Then it is used once more, because otherwise a
// login would be certain.
func TestStrict(t *testing.T) {
	for _, test := range []struct {
		name     string
		fault    fault
		survives bool
		during   int // requests while the access token can be used
	}{
		{"response lost", lost, false, 1},
		{"503, and nothing done", failed, true, 1},
		{"429, which leaves no doubt", busy, true, 2},
		{"no connection, which leaves no doubt", unreachable, true, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			store := tokensource.NewMemory()
			family, _ := w.earlyBegun("strict", store)
			var skew atomic.Int64
			src := w.source("strict", store, &skew)
			w.wire.breaks(first(test.fault))
			w.good(src)
			if test.during == 1 {
				skew.Store(-int64(time.Hour)) // this must not make the doubt look younger
			}
			w.clock.Advance(2 * time.Second) // the pause
			for range 3 {
				w.good(src)
			}
			if w.wire.requests() != test.during {
				t.Errorf("%d requests while the token could be used", w.wire.requests())
			}
			w.clock.Advance(30 * time.Second)
			token, err := src.Token()
			if test.survives != (err == nil) || test.survives && !w.active(token.AccessToken) {
				t.Errorf("then: %v", err)
			}
			if !test.survives && !errors.Is(err, tokensource.ErrLoginRequired) {
				t.Errorf("then: %v", err)
			}
			if w.wire.requests() != 2 {
				t.Errorf("%d requests in all", w.wire.requests())
			}
			if _, status := w.family(family); (status == "active") != test.survives {
				t.Errorf("the family is %s", status)
			}
		})
	}
}

// TestReleaseFails checks that a process does not wait for its own claim if it could
// not release that because the store failed.
func TestReleaseFails(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: tokensource.NewMemory()}
	family := w.begun("strict", store)
	saves := 0
	store.saving = func(tokensource.Record) error {
		if saves++; saves == 2 {
			return errStore
		}
		return nil
	}
	w.wire.breaks(first(failed))
	began := w.clock.Now()
	w.good(w.source("strict", store, nil))
	// The server asks for a pause of a second.
	if waited := w.clock.Now().Sub(began); waited < time.Second || waited > 2*time.Second || w.wire.requests() != 2 {
		t.Errorf("waited %v, %d requests", waited, w.wire.requests())
	}
	if counter, _ := w.family(family); counter != 2 {
		t.Errorf("counter %d", counter)
	}
}

// TestIntervalOver checks that a token in doubt is used within the interval, counted
// from its first use, and after that not while there is a usable access token.
func TestIntervalOver(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	_, old := w.earlyBegun("app", store)
	src := w.source("app", store, nil, tokensource.WithReuseInterval(4*time.Second))
	began := w.clock.Now()
	w.wire.breaks(func(int) fault { return lost })
	if got := w.good(src); got.AccessToken != old.AccessToken {
		t.Error("got another token")
	}
	n, took := w.wire.requests(), w.clock.Now().Sub(began)
	if n < 3 || n > 8 || took < 2*time.Second || took > 4*time.Second {
		t.Errorf("%d requests in %v", n, took)
	}
	w.clock.Advance(5 * time.Second)
	var behind atomic.Int64
	behind.Store(-int64(time.Hour))
	w.good(src)
	w.good(w.source("app", store, nil, tokensource.WithReuseInterval(4*time.Second)))
	w.good(w.source("strict", store, &behind))
	if w.wire.requests() != n {
		t.Errorf("%d requests after the interval", w.wire.requests()-n)
	}
}

// TestPace checks that all processes together make at most 17 requests a minute
// while there are no responses.
func TestPace(t *testing.T) {
	for _, processes := range []int{1, 3} {
		w := newWorld(t)
		store := tokensource.NewMemory()
		w.begun("app", store)
		end := w.clock.Now().Add(time.Minute)
		var in atomic.Int64
		w.wire.breaks(func(int) fault {
			if w.clock.Now().Before(end) {
				in.Add(1)
			}
			return failed
		})
		var all sync.WaitGroup
		for range processes {
			src := w.source("app", store, nil, tokensource.WithRandom(0))
			all.Go(func() {
				if _, err := src.Token(); err == nil || errors.Is(err, tokensource.ErrLoginRequired) {
					t.Errorf("the error is %v", err)
				}
			})
		}
		all.Wait()
		if n := in.Load(); n > 17 || n < 3 {
			t.Errorf("%d processes: %d requests", processes, n)
		}
	}
}

// TestLongOutage checks that the number of requests within one interval is limited,
// and that the token is still used afterwards, because nothing else is left.
func TestLongOutage(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family := w.begun("app", store)
	src := w.source("app", store, nil)
	w.wire.breaks(func(int) fault { return failed })
	_, err := src.Token()
	trail.print(err)
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.Response.StatusCode != http.StatusServiceUnavailable || errors.Is(err, tokensource.ErrLoginRequired) {
		t.Errorf("the error is %v", err)
	}
	if n := w.wire.requests(); n < 8 || n > 17 {
		t.Errorf("%d requests in a minute", n)
	}
	w.clock.Advance(10 * time.Minute)
	w.wire.breaks(nil)
	w.good(src)
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 1 {
		t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
	}
}
