package tokensource_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// TestWallClock checks that a change of the wall clock of a running process costs at
// most one refresh, after which the token is used for its lifetime.
func TestWallClock(t *testing.T) {
	for _, test := range []struct {
		name     string
		skews    []time.Duration
		requests int
	}{
		{"set an hour ahead, which a sleep of the machine looks like", []time.Duration{time.Hour}, 1},
		{"set an hour back", []time.Duration{-time.Hour}, 0},
		{"back and forth", []time.Duration{time.Hour, 0, time.Hour, -time.Hour, time.Hour, 0, time.Hour}, 1},
		{"a day back and forth", []time.Duration{-24 * time.Hour, 0, -24 * time.Hour, 0}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			store := tokensource.NewMemory()
			w.begun("app", store)
			var skew atomic.Int64
			src := w.source("app", store, &skew)
			w.good(src)
			w.wire.breaks(nil)
			for _, d := range test.skews {
				skew.Store(int64(d))
				for range 5 {
					w.good(src)
					w.clock.Advance(time.Second)
				}
			}
			if w.wire.requests() != test.requests {
				t.Errorf("%d requests", w.wire.requests())
			}
			w.clock.Advance(10 * time.Minute)
			w.good(src)
			if w.wire.requests() != test.requests+1 {
				t.Errorf("%d requests when the token had lived its time", w.wire.requests()-test.requests)
			}
		})
	}
}

// TestWrongClocks checks two processes whose clocks are two hours apart and that
// share a token for an hour, which is six lifetimes. Neither refreshes more than its
// share.
func TestWrongClocks(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family := w.begun("app", store)
	var ahead, behind atomic.Int64
	ahead.Store(int64(time.Hour))
	behind.Store(-int64(time.Hour))
	a, b := w.source("app", store, &ahead), w.source("app", store, &behind)
	w.wire.breaks(nil)
	for range 60 {
		w.good(a)
		w.good(b)
		w.clock.Advance(time.Minute)
	}
	if _, status := w.family(family); status != "active" || w.wire.requests() > 14 {
		t.Errorf("%d requests in an hour, %s", w.wire.requests(), status)
	}
}

// TestClaimOutlivesClocks checks that a process whose clock is an hour ahead does
// not take the claim of a living holder, and that one whose clock is behind does not
// wait forever for a dead one.
func TestClaimOutlivesClocks(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		w := newWorld(t)
		store := &faultyStore{Store: tokensource.NewMemory()}
		w.begun("strict", store)
		gone := make(chan struct{})
		sent := make(chan struct{})
		w.wire.breaks(func(n int) fault {
			if n == 1 {
				close(sent)
				<-gone
				return failed
			}
			return none
		})
		go func() { _, _ = w.source("strict", store.Store, nil).Token() }()
		<-sent
		var wrong atomic.Int64
		wrong.Store(int64(skew))
		began := w.clock.Now()
		w.good(w.source("strict", store, &wrong))
		if waited := w.clock.Now().Sub(began); waited < 30*time.Second || waited > 32*time.Second {
			t.Errorf("a clock wrong by %v waited %v for a claim of 30 s", skew, waited)
		}
		close(gone)
	}
}

// TestShortLived checks that the claim of a dead process also lapses for processes
// that all live for less time than a claim.
func TestShortLived(t *testing.T) {
	for _, test := range []struct {
		client string
		after  time.Duration
	}{{"app", 16 * time.Second}, {"strict", 2*time.Hour + 31*time.Second}} {
		w := newWorld(t)
		store := tokensource.NewMemory()
		w.begun(test.client, store)
		gone := make(chan struct{})
		sent := make(chan struct{})
		w.wire.breaks(func(n int) fault {
			if n == 1 {
				close(sent)
				<-gone
				return failed
			}
			return none
		})
		go func() { _, _ = w.source(test.client, store, nil).Token() }()
		<-sent
		w.clock.Advance(test.after)
		began := w.clock.Now()
		w.good(w.source(test.client, store, nil))
		if waited := w.clock.Now().Sub(began); waited > 0 {
			t.Errorf("%s: waited %v", test.client, waited)
		}
		close(gone)
	}
}

// TestJitter checks that processes with one token do not all refresh at the same
// moment.
func TestJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		d := tokensource.EarlyOf(600 * time.Second)
		if d < 30*time.Second || d > 60*time.Second {
			t.Fatalf("a token is refreshed %v before its end", d)
		}
		seen[d] = true
	}
	if len(seen) < 10 {
		t.Errorf("20 processes refresh at %d moments", len(seen))
	}
}
