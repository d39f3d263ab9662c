package server_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// owner returns the record of user "u" in client "app", or nil if there is none.
func (w *world) owner() *store.Owner {
	w.t.Helper()
	o, err := w.table.Owner(w.t.Context(), store.OwnerID{UserKey: w.keys.Users.Key("u"), ClientID: "app"})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.t.Fatal(err)
	}
	return o
}

// unowned returns the tokens of active families of user "u" in client "app" whose owner's
// record is gone, because they were refreshed for long without a login.
func (w *world) unowned(families, maxActive int) (tokens []string) {
	w.t.Helper()
	w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"absolute_lifetime":0,"max_active":%d}}`, maxActive))
	for range families {
		tok, _ := w.login()
		tokens = append(tokens, tok)
		w.clock.Advance(time.Second)
	}
	for range 4 {
		w.clock.Advance(14 * day)
		for i := range tokens {
			tokens[i] = w.rotate(tokens[i])
		}
		w.purge()
	}
	if o := w.owner(); o != nil {
		w.t.Fatalf("the owner is still %+v", o)
	}
	return tokens
}

// living counts the tokens that work.
func (w *world) living(tokens ...string) (n int) {
	w.t.Helper()
	for _, tok := range tokens {
		switch a := w.refresh(tok); {
		case a.status == http.StatusOK:
			n++
		case !a.refused(http.StatusBadRequest):
			w.t.Fatal(a)
		}
	}
	return n
}

// TestOwnerRecordEnds checks that an owner's record is purged with the last of its families,
// and not earlier because a policy shortens lifetimes.
func TestOwnerRecordEnds(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":8640000,"idle_lifetime":0}}`)
	w.login()
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":86400,"idle_lifetime":0}}`)
	w.clock.Advance(day)
	w.login()
	for _, tt := range []struct {
		wait   time.Duration
		active int
	}{{0, 2}, {98*day + 30*day, 2}, {day + time.Second, 0}} {
		w.clock.Advance(tt.wait)
		w.purge()
		switch o := w.owner(); {
		case tt.active == 0 && o != nil:
			t.Errorf("nothing is left, but the owner is %+v", o)
		case tt.active != 0 && (o == nil || o.Active != tt.active):
			t.Errorf("after %v the owner is %+v", tt.wait, o)
		}
	}
	w.login()
	if o := w.owner(); o == nil || o.Active != 1 {
		t.Errorf("begun anew, the owner is %+v", o)
	}
}

// TestOwnerRecordMoves checks that each login keeps the record for as long as its family's.
func TestOwnerRecordMoves(t *testing.T) {
	w := newWorld(t)
	w.login()
	w.clock.Advance(20 * day)
	w.login()
	w.clock.Advance(60*day - time.Second)
	w.purge()
	if o := w.owner(); o == nil || o.Active != 2 {
		t.Errorf("the owner is %+v", o)
	}
	w.clock.Advance(2 * time.Second)
	w.purge()
	if o := w.owner(); o != nil {
		t.Errorf("the owner is still %+v", o)
	}
}

// TestLimitOfAnOwnerWithoutARecord checks that an owner without a record is counted by its
// families, so that none of them escapes the limit.
func TestLimitOfAnOwnerWithoutARecord(t *testing.T) {
	w := newWorld(t)
	tokens := w.unowned(2, 2)
	third, _ := w.login()
	if o := w.owner(); o == nil || o.Active != 3 {
		t.Errorf("the owner is %+v", o)
	}
	if r := w.sweep(); r.Owners != 1 || r.Removed != 1 {
		t.Errorf("swept %+v", r)
	}
	w.dead(tokens[0], family.LimitExceeded)
	if n := w.living(tokens[1], third); n != 2 {
		t.Errorf("%d live", n)
	}
}

// TestCountOfAnOwnerWithoutARecord checks that families in other clients and dead families are
// not counted.
func TestCountOfAnOwnerWithoutARecord(t *testing.T) {
	w := newWorld(t)
	w.unowned(2, 2)
	w.issue(`{"user_id":"u","client_id":"web"}`)
	w.issue(`{"user_id":"v","client_id":"app"}`)
	w.bulk("user_id", "u", "client_id", "app")
	w.login()
	if o := w.owner(); o == nil || o.Active != 1 {
		t.Errorf("the owner is %+v", o)
	}
	if r := w.sweep(); r.Owners != 0 {
		t.Errorf("swept %+v", r)
	}
}

// TestFaultsWithoutAnOwnersRecord checks that after any fault while such an owner is counted,
// the limit is kept two logins later.
func TestFaultsWithoutAnOwnersRecord(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		for call := 1; ; call++ {
			w := newWorld(t)
			tokens := w.unowned(2, 2)
			w.store.Break(func(n int, _ string) storetest.Fault {
				if n >= call {
					return fault
				}
				return storetest.None
			})
			a := w.send(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
			reached := len(w.store.Counted()) >= call
			w.store.Break(nil)
			if !reached {
				if call < 5 {
					t.Errorf("%s: %d calls", name, call-1)
				}
				break
			}
			if a.status != http.StatusServiceUnavailable && a.status != http.StatusCreated {
				t.Errorf("%s, call %d: %v", name, call, a)
			}
			w.clock.Advance(time.Minute)
			last, _ := w.login()
			w.sweep()
			w.clock.Advance(5 * time.Minute) // by now no login is in progress
			w.sweep()
			families, _, err := w.table.FamiliesBefore(t.Context(), w.keys.Users.Key("u"), [16]byte{}, 100)
			if err != nil {
				t.Fatal(err)
			}
			living := 0
			for _, f := range families {
				if f.Revoked.At.IsZero() {
					living++
				}
			}
			if o := w.owner(); living != 2 || o == nil || o.Active != 2 {
				t.Errorf("%s, call %d: %d families live, the owner is %+v", name, call, living, o)
			}
			if n := w.living(tokens[0], last); n != 1 {
				t.Errorf("%s, call %d: the newest is dead, or the oldest lives", name, call)
			}
		}
	}
}

// TestLoginsAtOnceWithoutAnOwnersRecord checks that of two simultaneous logins which find no
// record one creates it, and both are counted.
func TestLoginsAtOnceWithoutAnOwnersRecord(t *testing.T) {
	w := newWorld(t)
	tokens := w.unowned(2, 3)
	var other string
	server := w.meanwhile(1, "PutItem", func() { other, _ = w.login() })
	a := w.sendTo(server, http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
	if a.status != http.StatusCreated {
		t.Fatal(a)
	}
	if o := w.owner(); o == nil || o.Active != 4 {
		t.Errorf("the owner is %+v", o)
	}
	if r := w.sweep(); r.Removed != 1 {
		t.Errorf("swept %+v", r)
	}
	w.dead(tokens[0], family.LimitExceeded)
	if n := w.living(tokens[1], other, a.text("refresh_token")); n != 3 {
		t.Errorf("%d live", n)
	}
}

// TestSweepOfAnOwnerWithoutARecord checks that a sweep counts the families of an owner that is
// on the work list without a record. An owner with no active family needs no record, and
// leaves the list.
func TestSweepOfAnOwnerWithoutARecord(t *testing.T) {
	w := newWorld(t)
	tokens := w.unowned(3, 2) // no sweep has run meanwhile
	if r := w.sweep(); r.Owners != 1 || r.Removed != 1 {
		t.Errorf("swept %+v", r)
	}
	w.dead(tokens[0], family.LimitExceeded)
	if n := w.living(tokens[1:]...); n != 2 {
		t.Errorf("%d live", n)
	}
	if r := w.sweep(); r.Owners != 0 {
		t.Errorf("swept again: %+v", r)
	}
	if o := w.owner(); o == nil || o.Active != 2 {
		t.Errorf("the owner is %+v", o)
	}

	w = newWorld(t)
	w.unowned(3, 2)
	w.bulk("user_id", "u")
	if r := w.sweep(); r.Owners != 1 || r.Removed != 0 || w.owner() != nil {
		t.Errorf("of the dead: swept %+v, the owner is %+v", r, w.owner())
	}
	if r := w.sweep(); r.Owners != 0 {
		t.Errorf("swept again: %+v", r)
	}
}

// TestOwnerWithoutARecordAmongMany checks that the sweep counts the families if the user has
// more records than a login may read.
func TestOwnerWithoutARecordAmongMany(t *testing.T) {
	w := newWorld(t)
	tokens := w.unowned(3, 3)
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":0,"max_active":2}}`)
	w.issueManyIn("web", 1000)
	w.clock.Advance(time.Second)
	last, _ := w.login()
	if r := w.sweep(); r.Owners != 1 || r.Removed != 2 {
		t.Errorf("swept %+v", r)
	}
	if n := w.living(append(tokens, last)...); n != 2 {
		t.Errorf("%d live", n)
	}
}
