package sweep_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// TestOwnerMadeBySweepIsKept checks that an owner's record which a sweep creates is kept for
// as long as the last of its families.
func TestOwnerMadeBySweepIsKept(t *testing.T) {
	for _, longestFirst := range []bool{true, false} {
		w := newWorld(t, 2)
		lives := []time.Duration{time.Hour, 48 * time.Hour, 24 * time.Hour}
		if longestFirst {
			lives[0], lives[1] = lives[1], lives[0]
		}
		var last time.Time
		for i, life := range lives {
			w.clock.Advance(time.Second)
			now := w.clock.Now()
			id, err := family.NewID(userKey(1), now)
			if err != nil {
				t.Fatal(err)
			}
			p := usual()
			p.MaxActive = 2
			f := &family.Family{ID: id, UserID: "u", ClientID: "app", Counter: 1, LastUsedAt: now.Add(time.Duration(i) * time.Hour), ExpiresAt: now.Add(life)}
			if longestFirst && i == 0 {
				f.LastUsedAt = now.Add(time.Minute * 90) // this one is kept
			}
			if err := w.table.Issue(t.Context(), f, &p); err != nil {
				t.Fatal(err)
			}
			if f.PurgeAt.After(last) {
				last = f.PurgeAt
			}
		}
		if err := w.store.Delete(t.Context(), "o#app"); err != nil {
			t.Fatal(err)
		}
		if r := w.sweep(); r.Owners != 1 || r.Removed != 1 {
			t.Errorf("swept %+v", r)
		}
		if o := w.after(last.Truncate(time.Second)).owner(); o.Active != 2 {
			t.Errorf("the longest first %t: the owner is %+v", longestFirst, o)
		}
		if o, err := w.after(last.Add(time.Second)).table.Owner(t.Context(), store.OwnerID{UserKey: userKey(1), ClientID: "app"}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the longest first %t: the owner is still %+v: %v", longestFirst, o, err)
		}
	}
}

// after purges what has ended by that time, and returns the world.
func (w *world) after(at time.Time) *world {
	w.t.Helper()
	if _, err := w.table.Purge(w.t.Context(), at); err != nil {
		w.t.Fatal(err)
	}
	return w
}

// TestPlanOfBeforeLastUses checks that an older plan, from before plans recorded the last use,
// ends the families that it names.
func TestPlanOfBeforeLastUses(t *testing.T) {
	w := newWorld(t, 2)
	ids := w.issue(1, "app", 4)
	plan := &store.Plan{Event: ulid.Make(), At: w.clock.Now(), UserID: "user-1", Start: 4, Families: []ulid.ULID{ids[0].ULID(), ids[1].ULID()}}
	if done, err := w.table.StorePlan(t.Context(), w.owner().ID, plan); !done || err != nil {
		t.Fatal(done, err)
	}
	w.use(ids[0])
	if r := w.sweep(); r.Removed != 2 {
		t.Errorf("swept %+v", r)
	}
	if diff := cmp.Diff([]family.Cause{family.LimitExceeded, family.LimitExceeded, "", ""}, w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
	if e := w.events(); len(e) != 1 || e[0].ID != plan.Event || e[0].Removed != 2 || e[0].End != 2 {
		t.Errorf("the events are %+v", e)
	}
}

// TestDamagedPlan checks that an owner whose plan cannot be read stays unchanged on the work
// list, and that other owners do not wait for it.
func TestDamagedPlan(t *testing.T) {
	w := newWorld(t, 2)
	ids := w.issue(1, "app", 3)
	plan := &store.Plan{Event: ulid.Make(), At: w.clock.Now(), UserID: "user-1", Start: 3}
	seen, err := w.table.Family(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	plan.Add(seen)
	if done, err := w.table.StorePlan(t.Context(), w.owner().ID, plan); !done || err != nil {
		t.Fatal(done, err)
	}
	mend, err := w.store.Damage(t.Context(), "o#app", "plan", `{"families":["x`)
	if err != nil {
		t.Fatal(err)
	}
	w.issue(2, "app", 3)
	w.issue(3, "app", 3)
	r, err := w.sweeper.Sweep(t.Context(), w.clock.Now())
	if err == nil || !strings.Contains(err.Error(), "client app") || r.Owners != 3 || r.Removed != 2 || w.listed() != 1 {
		t.Errorf("swept %+v, %d left: %v", r, w.listed(), err)
	}
	if diff := cmp.Diff(repeat(family.Cause(""), 3), w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
	if err := mend(); err != nil {
		t.Fatal(err)
	}
	w.after(w.clock.Now())
	if r := w.sweep(); r.Removed != 1 || w.listed() != 0 || w.owner().Plan != nil {
		t.Errorf("swept %+v, the owner is %+v", r, w.owner())
	}
}

// TestPlansAreBounded checks that a plan ends 1,000 families at most, which fit into one
// record and one event, and that the next plan ends the rest.
func TestPlansAreBounded(t *testing.T) {
	w := newWorld(t, 1)
	w.issue(1, "app", 1002)
	if r := w.sweep(); r != (sweep.Result{Owners: 1, Removed: 1001}) {
		t.Errorf("swept %+v", r)
	}
	var said []string
	for _, e := range w.events() {
		said = append(said, fmt.Sprintf("%d - %d = %d, %d named", e.Start, e.Removed, e.End, len(e.Families)))
	}
	slices.Sort(said) // they began in the same millisecond
	if diff := cmp.Diff([]string{"1002 - 1000 = 2, 1000 named", "2 - 1 = 1, 1 named"}, said); diff != "" {
		t.Error(diff)
	}
}

// TestSweepOfManyOwners checks that a sweep handles each owner on its list once, however many
// reads the list takes.
func TestSweepOfManyOwners(t *testing.T) {
	w := newWorld(t, 1)
	const owners = 101
	for user := range owners {
		w.issue(user, "app", 2)
	}
	seen := 0
	for range 3 {
		r := w.sweep()
		seen += r.Removed
		if storetest.Endpoint() != "" && r.Owners != owners {
			t.Errorf("swept %+v", r)
		}
		if w.listed() == 0 {
			break
		}
	}
	if seen != owners || w.listed() != 0 {
		t.Errorf("ended %d, %d left", seen, w.listed())
	}
}
