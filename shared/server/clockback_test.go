package server_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// movable holds how far one server's clock is off. A test changes it.
type movable struct{ by [2]atomic.Int64 }

func (m *movable) of(server int) time.Duration { return time.Duration(m.by[server].Load()) }

// TestKeysOfAClockSetBack checks two servers whose clocks differ while a new key comes into
// use: one clock is set back to before the key's start, or is ahead of it. The server mints
// under the key that the others know too, and each accepts the families of the other.
func TestKeysOfAClockSetBack(t *testing.T) {
	var clocks movable
	w, v := newVaultWorld(t, 2, skewed(clocks.of))
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":7200}}`) // clocks differ by an hour
	before := w.issueAt(0).text("refresh_token")
	v.mustRotate(w.clock.Now())
	w.clock.Advance(30*time.Minute + time.Second)
	newer := w.issueAt(0).text("refresh_token")
	for _, by := range []time.Duration{-time.Minute, -14 * time.Minute, -31 * time.Minute, -time.Hour, 0, 10 * time.Minute} {
		clocks.by[1].Store(int64(by))
		w.clock.Advance(time.Second)
		tokens := []string{before, newer}
		for server := range 2 {
			a := w.issueAt(server)
			if a.status != http.StatusCreated {
				t.Fatalf("a clock off by %v: server %d: %v", by, server, a)
			}
			tokens = append(tokens, a.text("refresh_token"))
		}
		for _, tok := range tokens {
			for _, server := range []int{1, 0, 1} {
				tok = w.mustRefreshAt(server, tok)
			}
		}
		if got, want := macID(w.issueAt(1).text("refresh_token")), by <= -16*time.Minute; (got == 1) != want {
			t.Errorf("with a clock off by %v it mints under key %d", by, got)
		}
	}
	if n := len(w.logged("fertft")); n != 0 {
		t.Errorf("%d refusals", n)
	}
}

// TestCopyOfKeysWhenTheClockIsSetBack checks that a clock which was set back does not make an
// old copy of the keys look fresh. Without Secrets Manager, no family is started under such a
// copy; known tokens are still refreshed.
func TestCopyOfKeysWhenTheClockIsSetBack(t *testing.T) {
	var clocks movable
	w, v := newVaultWorld(t, 2, skewed(clocks.of))
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":7200}}`)
	tok := w.mustRefreshAt(1, w.issueAt(1).text("refresh_token"))
	v.outages[1].Store(true)
	for _, by := range []time.Duration{-10 * time.Minute, -24 * time.Hour} {
		clocks.by[1].Store(int64(by))
		for range 3 {
			w.clock.Advance(4 * time.Minute)
			if a := w.issueAt(1); a.status != http.StatusServiceUnavailable {
				t.Errorf("set back by %v: %v", -by, a)
			}
			tok = w.mustRefreshAt(1, tok)
		}
		v.outages[1].Store(false)
		w.clock.Advance(31 * time.Second)
		if a := w.issueAt(1); a.status != http.StatusCreated {
			t.Errorf("set back by %v, and then with Secrets Manager: %v", -by, a)
		}
		v.outages[1].Store(true)
		clocks.by[1].Store(0)
		w.clock.Advance(time.Second)
	}
}

// TestClientsWhenTheClockIsSetBack checks that a client which was cached while the clock was
// ahead is read again at once, and not only when the clock has caught up.
func TestClientsWhenTheClockIsSetBack(t *testing.T) {
	var clocks movable
	w := newWorld(t, servers(2), skewed(clocks.of))
	clocks.by[1].Store(int64(time.Hour))
	tok := w.issueAt(0).text("refresh_token")
	w.mustRefreshAt(1, tok)
	clocks.by[1].Store(0)
	w.putClient("app", `{"type":"confidential"}`)
	for _, wait := range []time.Duration{0, 61 * time.Second} { // within a minute as always, if not at once
		w.clock.Advance(wait)
		a := w.refreshAt(1, tok)
		if a.status == http.StatusUnauthorized {
			return
		}
		if a.status != http.StatusOK {
			t.Fatal(a)
		}
	}
	t.Error("a minute after a change of the client, and an hour before the time at which it was read, it is not read again")
}
