package sweep_test

import (
	"bytes"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// sweepAnd sweeps and calls happens right before the n-th request of an operation. It returns
// the result of the sweep.
func (w *world) sweepAnd(n int64, operation string, happens func()) sweep.Result {
	w.t.Helper()
	table := w.store.Meanwhile(n, operation, happens)
	s := &sweep.Sweeper{
		Table: table, Clients: store.NewRegistry(table, slog.New(slog.DiscardHandler)), Trail: audit.Trail{Log: slog.New(slog.NewJSONHandler(&w.log, nil))},
	}
	r, err := s.Sweep(w.t.Context(), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// dyingSweep sweeps until the store answers no request after the n-th update.
func (w *world) dyingSweep(n int) {
	updates := 0
	w.store.Break(func(_ int, operation string) storetest.Fault {
		if updates == n {
			return storetest.Failed
		}
		if operation == "UpdateItem" {
			updates++
		}
		return storetest.None
	})
	defer w.store.Break(nil)
	if _, err := w.newSweeper(&bytes.Buffer{}).Sweep(w.t.Context(), w.clock.Now()); err == nil {
		w.t.Error("the sweep did not die")
	}
}

// named checks that each family that ended at the limit has a stored event, and that the event
// names it.
func (w *world) named() {
	w.t.Helper()
	families, err := w.table.FamiliesFrom(w.t.Context(), userKey(1), ulid.ULID{})
	if err != nil {
		w.t.Fatal(err)
	}
	events := w.events()
	for i, f := range families {
		if f.Revoked.Cause == family.LimitExceeded && !slices.ContainsFunc(events, func(e audit.Event) bool {
			return e.ID == f.Revoked.Event && slices.Contains(e.Families, f.ID.ULID())
		}) {
			w.t.Errorf("family %d ended under an event that does not name it", i)
		}
	}
}

// TestIssueCountsFirst checks that a login counts its family before it writes it. A failure
// between the two then overcounts and never undercounts.
func TestIssueCountsFirst(t *testing.T) {
	w := newWorld(t, 3)
	w.issue(1, "app", 2)
	if n := w.owner().Active; n != 2 {
		t.Errorf("2 families, counted %d", n)
	}
	w.store.Break(func(_ int, operation string) storetest.Fault {
		if operation == "PutItem" {
			return storetest.Lost
		}
		return storetest.None
	})
	if _, err := w.tryIssue(1, "app"); err == nil {
		t.Error("no error")
	}
	w.store.Break(nil)
	if n := len(w.causes(1, "app")); n != 3 || w.owner().Active != 3 {
		t.Errorf("%d families, counted %d", n, w.owner().Active)
	}
}

// TestSweepFindsAPlan checks that a sweep carries out an existing plan before it makes its
// own, even if the other was stored just before its own.
func TestSweepFindsAPlan(t *testing.T) {
	w := newWorld(t, 3)
	w.issue(1, "app", 8)
	w.sweepAnd(1, "UpdateItem", func() { w.dyingSweep(2) }) // stores its plan and ends a family
	if diff := cmp.Diff(slices.Concat(repeat(family.LimitExceeded, 5), repeat(family.Cause(""), 3)), w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
	if events := w.events(); len(events) != 1 || events[0].Removed != 5 {
		t.Errorf("the events are %+v", events)
	}
	w.named()
}

// TestSweepLeavesAPlan checks that a sweep removes only the plan that it has carried out. A
// plan that was made meanwhile stays for the next sweep.
func TestSweepLeavesAPlan(t *testing.T) {
	w := newWorld(t, 3)
	w.issue(1, "app", 5)
	w.sweepAnd(1, "TransactWriteItems", func() { // the plan is stored and two families are ended by now
		if _, err := w.newSweeper(&bytes.Buffer{}).Sweep(t.Context(), w.clock.Now()); err != nil {
			t.Error(err)
		}
		for range 2 {
			if _, err := w.tryIssue(1, "app"); err != nil {
				t.Error(err)
			}
		}
		w.dyingSweep(2)
	})
	w.sweep()
	if diff := cmp.Diff(slices.Concat(repeat(family.LimitExceeded, 4), repeat(family.Cause(""), 3)), w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
	if o := w.owner(); o.Active != 3 || o.Plan != nil || w.listed() != 0 {
		t.Errorf("the owner is %+v, %d on the work list", o, w.listed())
	}
	w.named()
}

// TestSweepOfWhatEndsMeanwhile checks that a planned family which ends for another cause keeps
// that cause, and that the event does not name it.
func TestSweepOfWhatEndsMeanwhile(t *testing.T) {
	w := newWorld(t, 3)
	ids := w.issue(1, "app", 6)
	p := usual()
	r := w.sweepAnd(1, "UpdateItem", func() {
		_, err := w.table.End(t.Context(), ids[1], &p, family.Revocation{At: w.clock.Now(), Cause: family.PasswordChanged, Event: ulid.Make()})
		if err != nil {
			t.Error(err)
		}
	})
	if r.Removed != 2 {
		t.Errorf("swept %+v", r)
	}
	want := slices.Concat([]family.Cause{family.LimitExceeded, family.PasswordChanged, family.LimitExceeded}, repeat(family.Cause(""), 3))
	if diff := cmp.Diff(want, w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
	events := w.events()
	if len(events) != 1 || events[0].Start != 6 || events[0].Removed != 2 || events[0].End != 4 ||
		!slices.Equal(events[0].Families, []ulid.ULID{ids[0].ULID(), ids[2].ULID()}) {
		t.Errorf("the events are %+v", events)
	}
}

// TestSettlingDuringAnIssue checks that a family which is issued while a sweep settles keeps
// the owner on the work list.
func TestSettlingDuringAnIssue(t *testing.T) {
	w := newWorld(t, 3)
	w.issue(1, "app", 4)
	w.sweepAnd(2, "TransactWriteItems", func() { // the plan is finished by now
		if _, err := w.tryIssue(1, "app"); err != nil {
			t.Error(err)
		}
	})
	if r := w.sweep(); r.Removed != 1 {
		t.Errorf("swept %+v", r)
	}
	if o := w.owner(); o.Active != 3 || w.listed() != 0 {
		t.Errorf("the owner is %+v, %d on the work list", o, w.listed())
	}
}

// TestSweepBetweenTheCountAndTheRecord checks a sweep that runs after a login was counted and
// before its family is written. The next sweep must count that family, whether this login or a
// later one exceeded the limit, and whether or not the first sweep ended families.
func TestSweepBetweenTheCountAndTheRecord(t *testing.T) {
	for _, tt := range []struct {
		what      string
		have      int   // families before; 2 are allowed
		puts      int64 // writes of the login: an owner within the limit is not put on the work list
		meanwhile int   // logins between the count and the write
		removed   int   // families that the sweep ends
	}{
		{"past the limit", 2, 2, 0, 0},
		{"one before it is past the limit as well", 3, 2, 0, 1},
		{"another is past the limit meanwhile", 1, 1, 1, 0},
		{"two others are past the limit meanwhile", 1, 1, 2, 1},
	} {
		t.Run(tt.what, func(t *testing.T) {
			w := newWorld(t, 2)
			w.issue(1, "app", tt.have)
			table := w.store.Meanwhile(tt.puts, "PutItem", func() {
				for range tt.meanwhile {
					if _, err := w.tryIssue(1, "app"); err != nil {
						t.Error(err)
					}
				}
				if r, err := w.newSweeper(&w.log).Sweep(t.Context(), w.clock.Now()); err != nil || r != (sweep.Result{Owners: 1, Removed: tt.removed}) {
					t.Errorf("between swept %+v, %v", r, err)
				}
			})
			if _, err := w.issueThrough(table, 1, "app"); err != nil {
				t.Fatal(err)
			}
			if r := w.sweep(); r != (sweep.Result{Owners: 1, Removed: 1}) {
				t.Errorf("then swept %+v", r)
			}
			if n := len(w.lives()); n != 2 {
				t.Errorf("%d families live", n)
			}
			w.named()
			w.sweepLater()
			if o := w.owner(); o.Active != 2 || w.listed() != 0 {
				t.Errorf("the owner is %+v, %d on the work list", o, w.listed())
			}
		})
	}
}

// TestSweepRemembersWhatLives checks that no family can count again that began before the
// point where a sweep stops reading.
func TestSweepRemembersWhatLives(t *testing.T) {
	t.Run("the living", func(t *testing.T) {
		w := newWorld(t, 3)
		w.issue(1, "app", 4)
		w.clock.Advance(time.Hour)
		w.sweep()
		w.issue(1, "app", 1)
		if r := w.sweep(); r.Removed != 1 {
			t.Errorf("swept %+v", r)
		}
		if diff := cmp.Diff(slices.Concat(repeat(family.LimitExceeded, 2), repeat(family.Cause(""), 3)), w.causes(1, "app")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an idle end that moves", func(t *testing.T) {
		w := newWorld(t, 3)
		idle := func(lifetime family.Seconds) *sweep.Sweeper {
			c := &store.Client{ID: "app", Policy: usual(), UpdatedAt: w.clock.Now()}
			c.Policy.MaxActive, c.Policy.IdleLifetime = 3, lifetime
			if _, _, err := w.table.PutClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			return w.newSweeper(&w.log)
		}
		w.issue(1, "app", 3)
		w.clock.Advance(time.Hour)
		w.issue(1, "app", 4)
		if r, err := idle(600).Sweep(t.Context(), w.clock.Now()); err != nil || r.Removed != 1 {
			t.Errorf("swept %+v, %v", r, err)
		}
		sweeper := idle(family.Days(15)) // the first three are alive again
		w.issue(1, "app", 1)
		if r, err := sweeper.Sweep(t.Context(), w.clock.Now()); err != nil || r.Removed != 4 {
			t.Errorf("swept %+v, %v", r, err)
		}
	})
	t.Run("one that is being issued", func(t *testing.T) {
		w := newWorld(t, 2)
		for _, id := range w.issue(1, "app", 3) {
			w.revoke(id)
		}
		p := usual()
		p.MaxActive = 2
		late, err := family.NewID(userKey(1), w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(4 * time.Minute)
		w.sweep()
		err = w.table.Issue(t.Context(), &family.Family{
			ID: late, UserID: "user-1", ClientID: "app", Counter: 1, LastUsedAt: late.IssuedAt(), ExpiresAt: late.IssuedAt().Add(24 * time.Hour),
		}, &p)
		if err != nil {
			t.Fatal(err)
		}
		w.issue(1, "app", 2)
		if r := w.sweep(); r.Removed != 1 {
			t.Errorf("swept %+v", r)
		}
	})
}
