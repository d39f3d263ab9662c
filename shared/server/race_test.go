package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// racers returns how many callers present a token at once.
func racers() int { return storetest.Size(1000, 200) }

// race lets n callers present one token at once, spread over the servers, and returns their
// answers. more holds further parameters.
func (w *world) race(n int, refreshToken string, more ...string) []answer {
	w.t.Helper()
	answers, errs := make([]answer, n), make([]error, n)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-start
			answers[i], errs[i] = w.try(i%len(w.servers), http.MethodPost, "/oauth/token", formType, refreshForm(refreshToken, more...))
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
	for _, err := range errs {
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return answers
}

func TestRace(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			w := newWorld(t, servers(n))
			first, id := w.login()
			for i := range w.servers { // so that every server has cached the client
				w.sendTo(i, http.MethodPost, "/oauth/token", formType, refreshForm("none"))
			}
			w.store.Counted()
			successors := map[string]int{}
			for _, a := range w.race(racers(), first) {
				if a.status != http.StatusOK {
					t.Fatalf("a racer got %v", a)
				}
				successors[a.text("refresh_token")]++
			}
			if calls := w.store.Counted(); len(calls) != racers() || slices.ContainsFunc(calls, func(c string) bool { return c != "UpdateItem" }) {
				t.Errorf("%d requests to the store for %d racers", len(calls), racers())
			}
			if len(successors) != 1 {
				t.Errorf("%d different successors", len(successors))
			}
			if c := w.counter(id); c != 2 {
				t.Errorf("the counter is %d", c)
			}
			for successor := range successors {
				w.rotate(successor)
			}
		})
	}
}

// TestThrottledRace checks racers that are throttled for longer than the SDK retries, as
// DynamoDB does when a partition gets more than 1,000 writes a second. They get a 503 with
// Retry-After and retry, until all have the same successor. None is refused.
func TestThrottledRace(t *testing.T) {
	w := newWorld(t, servers(2))
	first, id := w.login()
	for i := range w.servers {
		w.sendTo(i, http.MethodPost, "/oauth/token", formType, refreshForm("none"))
	}
	refusals := func() int { return len(w.logged("ferrt")) + len(w.logged("fertft")) }
	before := refusals()
	served := racers() / 4 // how many writes of a wave succeed; none of the first wave's
	successors := map[string]int{}
	waves, left := 0, racers()
	for ; left > 0 && waves < 10; waves++ {
		passed := 0
		w.store.Break(func(int, string) storetest.Fault {
			if passed++; waves == 0 || passed > served {
				return storetest.Throttled
			}
			return storetest.None
		})
		for _, a := range w.race(left, first) {
			switch {
			case a.status == http.StatusOK:
				successors[a.text("refresh_token")]++
				left--
			case !a.unavailable():
				t.Fatalf("wave %d: a racer got %v", waves, a)
			}
		}
		w.clock.Advance(time.Second) // as Retry-After asks
	}
	w.store.Break(nil)
	if waves != 1+racers()/served || left > 0 {
		t.Errorf("%d waves, after which %d have no successor", waves, left)
	}
	if len(successors) != 1 {
		t.Errorf("%d different successors", len(successors))
	}
	if c := w.counter(id); c != 2 {
		t.Errorf("the counter is %d", c)
	}
	if n := refusals() - before; n != 0 {
		t.Errorf("%d refusals were logged", n)
	}
	for successor := range successors {
		w.rotate(successor)
	}
}

// TestReplayRace checks that of many simultaneous replays one revokes the family and stores
// the event. The others log and store nothing.
func TestReplayRace(t *testing.T) {
	w := newWorld(t, servers(2))
	first, id := w.login()
	newest := w.rotate(first)
	w.clock.Advance(2 * time.Minute)
	for _, a := range w.race(racers(), first) {
		if !a.refused(http.StatusBadRequest) {
			t.Fatalf("a replay got %v", a)
		}
	}
	if f := w.family(id); f.text("cause") != "reuse_detected" {
		t.Errorf("the family is %v", f)
	}
	if n := len(w.logged("ferrt")); n != 1 {
		t.Errorf("%d ferrt lines", n)
	}
	if n := w.storedEvents("ferrt"); n != 1 {
		t.Errorf("%d events stored", n)
	}
	w.dead(newest, "reuse_detected")
}

// storedEvents returns the number of stored events of a type of user "u".
func (w *world) storedEvents(eventType string) int {
	w.t.Helper()
	events, _, err := w.table.UserEvents(w.t.Context(), w.keys.Users.Key("u"), store.Span{From: time.Unix(0, 0), To: w.clock.Now().Add(time.Second)}, ulid.ULID{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if string(e.Type) == eventType {
			n++
		}
	}
	return n
}

func TestStorageCalls(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	first, _ := w.login()
	w.refresh("none", "client_id", "other") // both clients are cached
	w.refresh("none")
	expect := func(what string, status int, want []string, refreshToken string, more ...string) answer {
		t.Helper()
		w.store.Counted()
		a := w.refresh(refreshToken, more...)
		if calls := w.store.Counted(); !slices.Equal(calls, want) {
			t.Errorf("%s: requests %v, not %v", what, calls, want)
		}
		if a.status != status {
			t.Errorf("%s: %v", what, a)
		}
		return a
	}
	one := []string{"UpdateItem"}
	second := expect("a refresh", 200, one, first).text("refresh_token")
	expect("a superseded token inside the interval", 200, one, first)
	expect("another client's token", 400, one, second, "client_id", "other")
	expect("a malformed token", 400, nil, "rotor_none")
	expect("a forged token", 400, nil, forge(second))
	expect("a scope that was not granted", 400, one, second, "scope", "admin")
	w.clock.Advance(61 * time.Second)
	w.refresh("none") // the client's copy had expired
	expect("reuse", 400, []string{"UpdateItem", "TransactWriteItems"}, first)
	expect("a dead token", 400, one, second)
	third, _ := w.login()
	w.clock.Advance(16 * 24 * time.Hour)
	w.refresh("none")
	expect("an expired token", 400, one, third)
}

// forge returns the token with another tag.
func forge(refreshToken string) string {
	b := []byte(refreshToken)
	if b[60] == 'A' {
		b[60] = 'B'
	} else {
		b[60] = 'A'
	}
	return string(b)
}
