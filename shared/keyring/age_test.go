package keyring_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/logtest"
)

func newerAt(tb testing.TB, source keyring.Source, now time.Time) *keyring.Keys {
	tb.Helper()
	keys, err := source.Newer(tb.Context(), now)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// TestSecretStale checks that families are only started with a copy of the keys that is
// younger than the time which a new MAC key waits before it mints.
func TestSecretStale(t *testing.T) {
	m, secret, _ := start(t, encode(t, generate(t)))
	old := keysAt(t, secret, epoch())
	m.set("", "InternalServiceError")
	for _, c := range []struct {
		age            time.Duration
		overdue, stale bool
	}{
		{5 * time.Minute, false, false},
		{5*time.Minute + 1, true, false},
		{15 * time.Minute, true, false},
		{15*time.Minute + 1, true, true},
		{30 * 24 * time.Hour, true, true},
	} {
		keys := keysAt(t, secret, epoch().Add(c.age))
		if keys.Codec != old.Codec || keys.Overdue != c.overdue || keys.Stale != c.stale {
			t.Errorf("after %v: overdue %v, stale %v", c.age, keys.Overdue, keys.Stale)
		}
	}
	m.set(encode(t, generate(t)), "")
	if keys := keysAt(t, secret, epoch().Add(31*24*time.Hour)); keys.Overdue || keys.Stale || keys.Codec == old.Codec {
		t.Errorf("read again, they are overdue %v, stale %v", keys.Overdue, keys.Stale)
	}
	if keyring.MACLead != 15*time.Minute {
		t.Errorf("a MAC key waits for %v", keyring.MACLead)
	}
}

// TestSecretClockSetBack checks that the age of a copy is unknown once the clock is set back
// by more than the time by which overlapping requests may differ.
func TestSecretClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{time.Minute + 1, 4 * time.Minute, time.Hour, 365 * 24 * time.Hour} {
		m, secret, _ := start(t, encode(t, generate(t)))
		old := keysAt(t, secret, epoch())
		latest := epoch().Add(4 * time.Minute)
		keysAt(t, secret, latest)
		if keysAt(t, secret, latest.Add(-time.Minute)) != old {
			t.Error("a request that is a minute late finds another copy")
		}
		m.wantCalls(1)

		now := latest.Add(-back)
		m.set("", "InternalServiceError")
		if keys := keysAt(t, secret, now); keys.Codec != old.Codec || !keys.Overdue || !keys.Stale {
			t.Errorf("set back by %v: overdue %v, stale %v", back, keys.Overdue, keys.Stale)
		}
		m.wantCalls(2)
		// The copy does not become fresh again when the clock passes the old time.
		for _, later := range []time.Duration{30 * time.Second, back, back + time.Minute} {
			if keys := keysAt(t, secret, now.Add(later)); !keys.Stale {
				t.Errorf("set back by %v, after %v it is not stale", back, later)
			}
		}
		m.set(encode(t, generate(t)), "")
		again := now.Add(back + 2*time.Minute)
		if keys := keysAt(t, secret, again); keys.Codec == old.Codec || keys.Overdue || keys.Stale {
			t.Errorf("set back by %v, it is not read again", back)
		}
		if keys := keysAt(t, secret, again.Add(4*time.Minute)); keys.Overdue {
			t.Errorf("set back by %v, the new copy is overdue", back)
		}
	}
}

// TestSecretNewer checks that a token of an unknown key causes a read, and that many of them
// cause one read in 30 seconds.
func TestSecretNewer(t *testing.T) {
	first, second := generate(t), generate(t)
	m, secret, _ := start(t, encode(t, first))
	old := keysAt(t, secret, epoch())
	m.set(encode(t, second), "")
	if newerAt(t, secret, epoch().Add(30*time.Second)) != old {
		t.Error("read again after half a minute")
	}
	m.wantCalls(1)
	now := epoch().Add(30*time.Second + 1)
	fresh := newerAt(t, secret, now)
	if fresh.Codec == old.Codec || fresh.Overdue {
		t.Error("not read again")
	}
	m.wantCalls(2)
	if keysAt(t, secret, now) != fresh {
		t.Error("who asks for no newer ones has the old ones still")
	}
	for range 100 {
		newerAt(t, secret, now.Add(30*time.Second))
	}
	m.wantCalls(2)

	// If the read fails, it is unknown whether there is such a key.
	m.set("", "InternalServiceError")
	now = now.Add(time.Minute)
	for _, later := range []time.Duration{0, 0, 29 * time.Second} {
		if !isOverdueCopy(newerAt(t, secret, now.Add(later)), fresh) {
			t.Error("not the copy, marked as overdue")
		}
		if keys := keysAt(t, secret, now.Add(later)); keys != fresh {
			t.Error("the copy is overdue for everybody")
		}
	}
	m.wantCalls(3)
	m.set(encode(t, first), "")
	if newerAt(t, secret, now.Add(30*time.Second)).Codec == fresh.Codec {
		t.Error("not tried again")
	}
	m.wantCalls(4)

	// The clock was set back, so it is unknown whether the copy is older than 30 seconds.
	newerAt(t, secret, now)
	newerAt(t, secret, now.Add(-time.Hour))
	m.wantCalls(5)

	// Without a copy, the request is treated like any other.
	m, secret, _ = start(t, "{}")
	if keys, err := secret.Newer(t.Context(), epoch()); keys != nil || !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("without a copy: %v, %v", keys, err)
	}
	m.wantCalls(1)
}

// TestSecretNewerWaits checks that a request with an unknown key waits for a read in progress
// and starts none.
func TestSecretNewerWaits(t *testing.T) {
	m, secret, _ := start(t, encode(t, generate(t)))
	old := keysAt(t, secret, epoch())
	m.set(encode(t, generate(t)), "")
	entered, release := m.hold()
	now := epoch().Add(time.Hour)
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			if keys, err := secret.Newer(t.Context(), now); err != nil || keys.Codec == old.Codec || keys.Overdue {
				t.Errorf("got %v, %v", keys, err)
			}
		})
	}
	<-entered
	if !isOverdueCopy(keysAt(t, secret, now), old) { // this request does not wait
		t.Error("who knows the key does not have the copy")
	}
	close(release)
	waiting.Wait()
	m.wantCalls(2)
}

// hanging is a transport that does not respond while it hangs.
type hanging struct {
	http.RoundTripper
	hangs *atomic.Bool
}

func (h hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.hangs.Load() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return h.RoundTripper.RoundTrip(r)
}

// TestSecretPatience checks how long requests wait if Secrets Manager does not respond. With a
// copy, one request waits for at most 2 seconds and the others do not wait. Without a copy,
// requests wait for 10 seconds.
func TestSecretPatience(t *testing.T) {
	m := keyringtest.New(t, encode(t, generate(t)))
	synctest.Test(t, func(t *testing.T) {
		var hangs atomic.Bool
		logs := new(logtest.Buffer)
		client := m.DirectOver(func(rt http.RoundTripper) http.RoundTripper { return hanging{rt, &hangs} }, 3)
		secret := keyring.SecretsManager(client, keyring.Secrets{Token: keyringtest.ID}, keyring.ToIssue, slog.New(slog.NewJSONHandler(logs, nil)))
		waited := func(ask func() (*keyring.Keys, error), found bool) time.Duration {
			began := time.Now()
			keys, err := ask()
			if (err == nil) != found || (keys != nil) != found {
				t.Errorf("got %v, %v", keys, err)
			}
			return time.Since(began)
		}
		ask := func(now time.Time) func() (*keyring.Keys, error) {
			return func() (*keyring.Keys, error) { return secret.Keys(t.Context(), now) }
		}
		hangs.Store(true)
		if took := waited(ask(epoch()), false); took != 10*time.Second {
			t.Errorf("without a copy a request waited for %v", took)
		}
		hangs.Store(false)
		keysAt(t, secret, epoch())
		hangs.Store(true)
		now := epoch().Add(time.Hour)
		if took := waited(ask(now), true); took != 2*time.Second {
			t.Errorf("beside a copy a request waited for %v", took)
		}
		if took := waited(ask(now.Add(29*time.Second)), true); took != 0 {
			t.Errorf("after the failure a request waited for %v", took)
		}
		now = now.Add(time.Minute)
		go func() { _, _ = secret.Keys(t.Context(), now) }()
		synctest.Wait()
		if took := waited(ask(now), true); took != 0 {
			t.Errorf("beside one that reads a request waited for %v", took)
		}
		if took := waited(func() (*keyring.Keys, error) { return secret.Newer(t.Context(), now) }, true); took != 2*time.Second {
			t.Errorf("with an unknown key a request waited for %v", took)
		}
		if n := strings.Count(logs.String(), "keys not read again"); n != 2 {
			t.Errorf("%d failures were logged", n)
		}
	})
}
