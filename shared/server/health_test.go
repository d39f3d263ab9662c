package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/version"
)

// TestHealth checks that GET /healthz reports whether keys and table can be read, reads the
// table once in five seconds at most, and tells strangers nothing else.
func TestHealth(t *testing.T) {
	w, v := newVaultWorld(t, 1)
	check := func(want string, calls ...string) {
		t.Helper()
		w.store.Counted()
		a := w.sendTo(0, http.MethodGet, "/healthz", "", "")
		switch {
		case want == "ok" && (a.status != http.StatusOK || a.body != `{"status":"ok","version":"`+version.Number+`"}`+"\n" || a.header.Get("Cache-Control") != "public, max-age=5"),
			want != "ok" && !a.unavailable():
			t.Errorf("want %s, got %v with Cache-Control %q", want, a, a.header.Get("Cache-Control"))
		}
		if got := w.store.Counted(); !slices.Equal(got, calls) {
			t.Errorf("the table was asked %v, want %v", got, calls)
		}
	}
	check("ok", "GetItem")
	w.store.Break(func(int, string) storetest.Fault { return storetest.Failed })
	check("ok")
	w.clock.Advance(5*time.Second - time.Millisecond)
	check("ok")
	w.clock.Advance(time.Millisecond)
	w.store.Counted()
	if a := w.sendTo(0, http.MethodGet, "/healthz", "", ""); !a.unavailable() || strings.Contains(a.body, "client") {
		t.Errorf("without the table: %v", a)
	}
	w.store.Break(nil)
	w.store.Counted()
	check("unavailable") // still
	w.clock.Advance(5 * time.Second)
	check("ok", "GetItem")
	w.clock.Advance(-time.Hour) // a clock that was set back
	check("ok", "GetItem")

	// Keys that cannot be read any more are good for a quarter of an hour.
	w.clock.Advance(2 * time.Hour)
	check("ok", "GetItem")
	v.outages[0].Store(true)
	w.clock.Advance(10 * time.Minute)
	check("ok", "GetItem")
	w.clock.Advance(6 * time.Minute)
	check("unavailable")
	w.clock.Advance(5 * time.Second)
	v.outages[0].Store(false)
	w.clock.Advance(time.Minute)
	check("ok", "GetItem")
}

// TestHealthWithoutKeys checks that a service which has never read its keys is not healthy.
func TestHealthWithoutKeys(t *testing.T) {
	w := newWorld(t)
	_, server := w.another(w.store.Table(), brokenKeys{})
	if a := w.sendTo(server, http.MethodGet, "/healthz", "", ""); !a.unavailable() {
		t.Errorf("without keys: %v", a)
	}
}

// TestHealthOfACallerWhoHangsUp checks that a check which its caller broke off is not
// remembered.
func TestHealthOfACallerWhoHangsUp(t *testing.T) {
	w := newWorld(t)
	api, _ := w.another(w.store.Table(), keysAsTheyAre{w.keys})
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	handler := api.Handler()
	if a := handled(handler, httptest.NewRequestWithContext(ctx, http.MethodGet, "/healthz", nil)); a.status != http.StatusServiceUnavailable {
		t.Errorf("a check that was broken off: %v", a)
	}
	if a := handled(handler, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)); a.status != http.StatusOK {
		t.Errorf("the next one: %v", a)
	}
}

// TestCallersDoNotComeBackTogether checks that of many answers to one failure some say 1, some
// 2 and some 3 seconds, so that the callers spread out.
func TestCallersDoNotComeBackTogether(t *testing.T) {
	w := newWorld(t)
	_, server := w.another(w.store.Table(), brokenKeys{})
	seen := map[string]int{}
	for range 100 { // one of the three is missing once in 10¹⁷ runs
		seen[w.sendTo(server, http.MethodGet, "/.well-known/jwks.json", "", "").header.Get("Retry-After")]++
	}
	if len(seen) != 3 || seen["1"] == 0 || seen["2"] == 0 || seen["3"] == 0 {
		t.Errorf("Retry-After: %v", seen)
	}
}
