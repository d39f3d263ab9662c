package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestHeld checks that a family rotates once per interval, however often it is refreshed.
// Until then every answer has the same token.
func TestHeld(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	newest := w.rotate(first)
	for range 100 {
		w.clock.Advance(10 * time.Millisecond)
		if got := w.rotate(newest); got != newest {
			t.Fatal("a held token got another one")
		}
	}
	if n := w.counter(id); n != 2 {
		t.Errorf("the counter is %d", n)
	}
	lines := w.logged("sertft")
	if last := lines[len(lines)-1]; last["held"] != true || last["ageMs"] != 1000.0 || last["tokenCounter"] != 2.0 || last["latestCounter"] != 2.0 {
		t.Errorf("logged as %v", last)
	}
	w.clock.Advance(59*time.Second - time.Millisecond)
	if got := w.rotate(newest); got != newest {
		t.Error("it was held for less than the interval")
	}
	w.clock.Advance(time.Millisecond)
	if got := w.rotate(newest); got == newest || w.counter(id) != 3 {
		t.Error("it was held for longer than the interval")
	}
}

// TestNothingIsHeldWithoutAnInterval checks that with an interval of 0 every refresh rotates,
// even within the same millisecond.
func TestNothingIsHeldWithoutAnInterval(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":0}}`)
	tok, id := w.login()
	for range 5 {
		tok = w.rotate(tok)
	}
	if n := w.counter(id); n != 6 {
		t.Errorf("the counter is %d", n)
	}
}

// TestHeldFamilyDoesNotDieIdle checks that held uses keep a family from its idle end, however
// long the interval is.
func TestHeldFamilyDoesNotDieIdle(t *testing.T) {
	for _, interval := range []family.Seconds{60, 7200, family.MaxReuseInterval} {
		for _, superseded := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d superseded=%v", interval, superseded), func(t *testing.T) {
				w := newWorld(t)
				w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_interval":%d,"idle_lifetime":600,"absolute_lifetime":0}}`, interval))
				tok, id := w.login()
				newest := w.rotate(tok)
				for range 60 { // once a minute, for six times the idle lifetime
					w.clock.Advance(time.Minute)
					presented := newest
					if superseded && interval > 7000 {
						presented = tok
					}
					got := w.rotate(presented)
					if got != newest && interval > 3600 {
						t.Fatal("it was held for less than the interval")
					}
					newest = got
				}
				used := w.family(id).text("last_used_at")
				if at, err := time.Parse(time.RFC3339, used); err != nil || w.clock.Now().Sub(at) > 600*time.Second/16 {
					t.Errorf("last used at %s, now is %v", used, w.clock.Now())
				}
			})
		}
	}
}

// forgiving returns a world whose policy forgives lost responses, and a family with a
// superseded and a newest token.
func forgiving(t *testing.T) (w *world, first, newest, id string) {
	t.Helper()
	w = newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	first, id = w.login()
	return w, first, w.rotate(first), id
}

// TestHeldUseCountsAsUse checks that a held use counts as use: afterwards the newest token's
// predecessor is no longer taken for a lost response.
func TestHeldUseCountsAsUse(t *testing.T) {
	w, first, newest, _ := forgiving(t)
	w.rotate(newest)
	w.clock.Advance(2 * time.Minute)
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != 1 {
		t.Errorf("the thief got %v", a)
	}
	w.dead(newest, family.ReuseDetected)
}

// TestRacerIsNoUseOfTheNewest checks that a racer which presents the predecessor does not use
// the newest token. The response with the newest may still be lost.
func TestRacerIsNoUseOfTheNewest(t *testing.T) {
	w, first, _, id := forgiving(t)
	w.rotate(first)
	w.clock.Advance(2 * time.Minute)
	if w.rotate(first); w.counter(id) != 3 {
		t.Errorf("the counter is %d", w.counter(id))
	}
}

// TestRecordedRacerIsNoUseOfTheNewest checks the same for a racer whose use is recorded.
func TestRecordedRacerIsNoUseOfTheNewest(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used","reuse_interval":120}}`)
	first, id := w.login()
	w.rotate(first)
	w.clock.Advance(90 * time.Second)
	w.store.Counted()
	w.rotate(first)
	if calls := w.store.Counted(); len(calls) < 2 { // the refresh, and the record of the use
		t.Errorf("the store was asked %v", calls)
	}
	w.clock.Advance(30 * time.Second)
	w.rotate(first) // none of the answers came through
	if n := w.counter(id); n != 3 {
		t.Errorf("the counter is %d", n)
	}
}

// TestHeldUseIsOfTheRecordSeen checks that a held use is decided anew if the record changes
// between its read and its write.
func TestHeldUseIsOfTheRecordSeen(t *testing.T) {
	t.Run("rotated", func(t *testing.T) {
		w, _, newest, id := forgiving(t)
		w.clock.Advance(59 * time.Second)
		server := w.meanwhile(2, "UpdateItem", func() {
			w.clock.Advance(time.Second)
			w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(newest))
		})
		a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(newest))
		if a.status != http.StatusOK || a.text("refresh_token") != w.mint(id, 3) {
			t.Errorf("got %v", a)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		w, _, newest, id := forgiving(t)
		server := w.meanwhile(2, "UpdateItem", func() { w.also(http.StatusOK, http.MethodDelete, "/v1/families/"+id, "", "") })
		if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(newest)); !a.refused(http.StatusBadRequest) {
			t.Errorf("got %v", a)
		}
		if lines := w.logged("fertft"); len(lines) != 1 || lines[0]["cause"] != "revoked_by_admin" {
			t.Errorf("logged %v", lines)
		}
	})
	t.Run("purged", func(t *testing.T) {
		w, _, newest, _ := forgiving(t)
		server := w.meanwhile(2, "UpdateItem", func() {
			if _, err := w.table.Purge(t.Context(), w.clock.Now().Add(1000*day)); err != nil {
				t.Error(err)
			}
		})
		if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(newest)); !a.refused(http.StatusBadRequest) {
			t.Errorf("got %v", a)
		}
	})
	t.Run("skipped", func(t *testing.T) {
		// Another server, whose copy of the policy has no interval yet, takes the predecessor
		// for a lost response.
		w, first, newest, id := forgiving(t)
		w.clock.Advance(30 * time.Second)
		_, other := w.another(w.store.Table(), keysAsTheyAre{w.keys})
		server := w.meanwhile(2, "UpdateItem", func() {
			a, err := w.try(other, http.MethodPost, "/oauth/token", formType, refreshForm(first))
			if err != nil || a.status != http.StatusOK || a.text("refresh_token") == newest {
				t.Errorf("the skip got %v, %v", a, err)
			}
		})
		w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("none")) // caches the client with its interval
		w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used","reuse_interval":1}}`)
		a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(newest))
		if !a.refused(http.StatusBadRequest) || w.family(id).text("cause") != "reuse_detected" {
			t.Errorf("a token that was passed over got %v", a)
		}
	})
}

// TestSkipBesideAHeldUse checks that a lost response is not skipped once the newest token was
// used at a server that still holds it.
func TestSkipBesideAHeldUse(t *testing.T) {
	w, first, newest, id := forgiving(t)
	w.clock.Advance(2 * time.Minute)
	server := w.meanwhile(2, "UpdateItem", func() {
		w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(newest))
	})
	w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("none")) // caches the client with its old interval
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used","reuse_interval":3600}}`)
	if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first)); !a.refused(http.StatusBadRequest) {
		t.Errorf("got %v", a)
	}
	if f := w.family(id); f.text("cause") != "reuse_detected" || f.number("counter") != 2 {
		t.Errorf("the family is %v", f)
	}
}

// TestHeldUseThatCannotBeRecorded checks that a held use fails if it cannot be recorded,
// because a thief could undo an unrecorded one. It succeeds when the store works again, or if
// only the store's answer was lost.
func TestHeldUseThatCannotBeRecorded(t *testing.T) {
	for _, tt := range []struct {
		fault    storetest.Fault
		always   bool
		recorded bool
	}{{storetest.Failed, true, false}, {storetest.Timeout, true, false}, {storetest.Throttled, true, false}, {storetest.Lost, true, true}, {storetest.Lost, false, true}} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			w, first, newest, id := forgiving(t)
			w.store.Break(func(call int, _ string) storetest.Fault {
				if call == 2 || call > 2 && tt.always {
					return tt.fault
				}
				return storetest.None
			})
			switch a := w.refresh(newest); {
			case tt.always && !a.unavailable():
				t.Errorf("broken: %v", a)
			case !tt.always && a.text("refresh_token") != newest:
				t.Errorf("an answer was lost to the SDK: %v", a)
			}
			w.store.Break(nil)
			familyID, err := family.ParseID(id)
			if err != nil {
				t.Fatal(err)
			}
			f, err := w.table.Family(t.Context(), familyID)
			if err != nil || (f.Held == 2) != tt.recorded {
				t.Errorf("%v, %v", f, err)
			}
			if got := w.rotate(newest); got != newest {
				t.Error("mended: got another token")
			}
			w.clock.Advance(2 * time.Minute)
			if a := w.refresh(first); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != 1 {
				t.Errorf("the thief got %v", a)
			}
		})
	}
}

// TestIntervalChanges checks changes of the interval. An accepted token was superseded less
// than the present interval ago, and no token that an earlier interval promised to accept
// counts as reuse.
func TestIntervalChanges(t *testing.T) {
	set := func(w *world, interval int) {
		w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_interval":%d}}`, interval))
	}
	reused := func(t *testing.T, w *world, refreshToken string) {
		t.Helper()
		if a := w.refresh(refreshToken); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != 1 {
			t.Errorf("a replay got %v", a)
		}
	}
	same := func(t *testing.T, w *world, presented, want string) {
		t.Helper()
		if got := w.rotate(presented); got != want {
			t.Error("got another token than the newest")
		}
	}
	t.Run("enlarged", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		second := w.rotate(first)
		third := w.later(second)
		w.clock.Advance(2 * time.Minute)
		set(w, 3600)
		same(t, w, second, third) // the straggler is inside the longer interval
		same(t, w, third, third)
		reused(t, w, first) // this one was outside already when its successor was superseded
	})
	t.Run("shortened", func(t *testing.T) {
		w := newWorld(t)
		set(w, 3600)
		first, _ := w.login()
		second := w.rotate(first)
		w.clock.Advance(time.Minute)
		same(t, w, first, second)
		set(w, 10)
		third := w.rotate(second)
		w.clock.Advance(9 * time.Second)
		same(t, w, second, third)
		same(t, w, third, third)
		w.clock.Advance(time.Second)
		reused(t, w, second)
	})
	t.Run("to 0 and back", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		second := w.rotate(first)
		set(w, 0)
		third := w.rotate(second) // nothing is held
		fourth := w.rotate(third)
		set(w, 60)
		same(t, w, fourth, fourth)
		same(t, w, third, fourth)
		reused(t, w, second)
	})
	t.Run("rotation off and on", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		second := w.rotate(first)
		w.confidential(`{"rotation":false}`)
		same(t, w, first, second)
		w.clock.Advance(time.Hour)
		same(t, w, second, second)
		w.confidential(`{}`)
		if w.rotate(second); w.counter(id) != 3 {
			t.Errorf("the counter is %d", w.counter(id))
		}
	})
}

// TestSlowRequestIsNoReuse checks a request that takes longer than the interval and finds a
// record that has moved on twice. The token may have been valid when the request began, so the
// caller is told to retry instead of being accused of reuse.
func TestSlowRequestIsNoReuse(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	server := w.meanwhile(1, "UpdateItem", func() {
		w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(first))
		w.clock.Advance(time.Minute)
		w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(w.mint(id, 2)))
	})
	w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("none"))
	if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first)); !a.unavailable() {
		t.Errorf("got %v", a)
	}
	if f := w.family(id); f.text("status") != "active" {
		t.Errorf("the family is %v", f)
	}
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != 1 {
		t.Errorf("when it comes again, later than the second rotation: %v", a)
	}
}

// TestClockThatIsBehind checks a server whose clock is behind that of the server that rotated.
// It holds the token longer and accepts its predecessor longer, but takes neither for reuse.
func TestClockThatIsBehind(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	w.clock.Advance(30 * time.Second)
	second := w.rotate(first)
	for _, step := range []time.Duration{-30 * time.Second, 30 * time.Second, 59 * time.Second} {
		w.clock.Advance(step)
		for _, presented := range []string{first, second} {
			if got := w.rotate(presented); got != second {
				t.Errorf("after %v: got another token", step)
			}
		}
	}
	w.clock.Advance(time.Second)
	if w.rotate(second); w.counter(id) != 3 {
		t.Errorf("the counter is %d", w.counter(id))
	}
}

// TestHeldRace checks that a hundred callers which present a held token at once all get it
// again. Each costs one request to the store, and the one that records the use costs one more.
func TestHeldRace(t *testing.T) {
	w := newWorld(t, servers(2))
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	first, id := w.login()
	newest := w.rotate(first)
	w.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm("none"))
	w.store.Counted()
	for _, a := range w.race(100, newest) {
		if a.status != http.StatusOK || a.text("refresh_token") != newest {
			t.Fatalf("a racer got %v", a)
		}
	}
	calls := w.store.Counted()
	if len(calls) < 101 || len(calls) > 200 || slices.ContainsFunc(calls, func(c string) bool { return c != "UpdateItem" }) {
		t.Errorf("%d requests", len(calls))
	}
	if n := w.counter(id); n != 2 {
		t.Errorf("the counter is %d", n)
	}
}

// TestClockThatRanAheadStrict checks that without an interval nothing is held, even if the
// clock that rotated was ahead.
func TestClockThatRanAheadStrict(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":0}}`)
	first, id := w.login()
	w.clock.Advance(30 * time.Second)
	second := w.rotate(first)
	w.clock.Advance(-30 * time.Second)
	if w.rotate(second); w.counter(id) != 3 {
		t.Errorf("the counter is %d", w.counter(id))
	}
}

// TestUseWithoutRotationCounts checks that a use counts even if the policy no longer rotates:
// the newest token's predecessor is no longer taken for a lost response.
func TestUseWithoutRotationCounts(t *testing.T) {
	w, first, newest, _ := forgiving(t)
	w.confidential(`{"rotation":false,"lost_response":"until_used"}`)
	w.clock.Advance(2 * time.Minute)
	w.rotate(newest)
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != 1 {
		t.Errorf("the thief got %v", a)
	}
}

// TestLostResponseAfterHeldUses checks that a use of an earlier token, while that was held,
// does not count as a use of the newest.
func TestLostResponseAfterHeldUses(t *testing.T) {
	w, _, second, id := forgiving(t)
	w.rotate(second) // the token is held
	w.later(second)  // the response is lost
	w.clock.Advance(2 * time.Minute)
	if w.rotate(second); w.counter(id) != 4 {
		t.Errorf("the counter is %d", w.counter(id))
	}
}

// TestSkipOfAnOlderRecord checks a record that was written before uses were recorded. Its
// newest token counts as unused.
func TestSkipOfAnOlderRecord(t *testing.T) {
	w, first, _, id := forgiving(t)
	familyID, err := family.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Without(t.Context(), "f#"+familyID.ULID().String(), "held"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(2 * time.Minute)
	if w.rotate(first); w.counter(id) != 3 {
		t.Errorf("the counter is %d", w.counter(id))
	}
}
