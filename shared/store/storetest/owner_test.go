package storetest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestRequestsOfALogin checks that a login usually takes two requests if its owner has a
// record, even if the family ends in the same second as the record. A family that ends earlier
// takes one request more.
func TestRequestsOfALogin(t *testing.T) {
	table, rt := storetest.Open(t)
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	for _, tt := range []struct {
		name string
		life time.Duration
		want []string
	}{
		{"the first", time.Hour, []string{"UpdateItem", "Query", "PutItem", "PutItem"}},
		{"as long", time.Hour, []string{"UpdateItem", "PutItem"}},
		{"longer", 2 * time.Hour, []string{"UpdateItem", "PutItem"}},
		{"shorter", time.Hour, []string{"UpdateItem", "UpdateItem", "PutItem"}},
	} {
		f := wholeFamily(t, now)
		f.ExpiresAt = now.Add(tt.life)
		if err := table.Issue(t.Context(), f, &policy); err != nil {
			t.Fatal(err)
		}
		if calls := rt.Counted(); !slices.Equal(calls, tt.want) {
			t.Errorf("%s: %v, not %v", tt.name, calls, tt.want)
		}
	}
}

// TestOwnerOfBeforeItHadAnEnd checks that a login gives an end to an older record of an owner
// that has none, and keeps its count.
func TestOwnerOfBeforeItHadAnEnd(t *testing.T) {
	table, rt := storetest.Open(t)
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	id := store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}
	login := func() *family.Family {
		t.Helper()
		f := wholeFamily(t, now)
		if err := table.Issue(t.Context(), f, &policy); err != nil {
			t.Fatal(err)
		}
		return f
	}
	login()
	if err := rt.Without(t.Context(), "o#app", "purge_at"); err != nil {
		t.Fatal(err)
	}
	f := login()
	if o, err := table.Owner(t.Context(), id); err != nil || o.Active != 2 {
		t.Errorf("the owner is %+v: %v", o, err)
	}
	if _, err := table.Purge(t.Context(), f.PurgeAt.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if o, err := table.Owner(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the owner is still %+v: %v", o, err)
	}
}

// TestOwnerWithoutARecordAtTheLimit checks the first login of an owner without a record. The
// owner goes on the work list if it then has more families than may be active, and not if it
// has as many.
func TestOwnerWithoutARecordAtTheLimit(t *testing.T) {
	for limit, want := range map[int]int{2: 1, 3: 0, 4: 0} {
		table, _ := storetest.Open(t)
		now := storetest.NewClock().Now()
		policy := family.DefaultPolicy()
		for range 2 {
			if err := table.Issue(t.Context(), wholeFamily(t, now), &policy); err != nil {
				t.Fatal(err)
			}
		}
		if err := table.Erase(t.Context(), [16]byte{1}, "o#app"); err != nil {
			t.Fatal(err)
		}
		policy.MaxActive = limit
		if err := table.Issue(t.Context(), wholeFamily(t, now), &policy); err != nil {
			t.Fatal(err)
		}
		owners, _, err := table.OverLimit(t.Context(), nil, 10)
		if err != nil || len(owners) != want {
			t.Errorf("with a limit of %d: %v are on the work list: %v", limit, owners, err)
		}
		if o, err := table.Owner(t.Context(), store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}); err != nil || o.Active != 3 {
			t.Errorf("with a limit of %d the owner is %+v: %v", limit, o, err)
		}
	}
}

// TestSettleOfACountThatCameBack checks that a sweep replaces only the count that it read. It
// must not replace an equal count that has gone up by a login and down by another sweep since.
func TestSettleOfACountThatCameBack(t *testing.T) {
	table, _ := storetest.Open(t)
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	policy.MaxActive = 1
	login := func(at time.Time) {
		t.Helper()
		f := wholeFamily(t, at)
		f.LastUsedAt = at
		if err := table.Issue(t.Context(), f, &policy); err != nil {
			t.Fatal(err)
		}
	}
	login(now)
	login(now)
	seen, err := table.Owner(t.Context(), store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"})
	if err != nil || seen.Active != 2 {
		t.Fatal(seen, err)
	}
	login(now.Add(time.Millisecond))
	e := audit.New(audit.Cleanup, now)
	e.User, e.ClientID, e.Removed = seen.ID.UserKey, seen.ID.ClientID, 1
	plan := &store.Plan{Event: e.ID, At: now}
	if done, err := table.StorePlan(t.Context(), seen.ID, plan); !done || err != nil {
		t.Fatal(done, err)
	}
	if done, err := table.FinishPlan(t.Context(), seen.ID, plan, &e); !done || err != nil {
		t.Fatal(done, err)
	}
	if err := table.Settle(t.Context(), seen, 1, store.Horizon{}, now); err != nil {
		t.Fatal(err)
	}
	o, err := table.Owner(t.Context(), seen.ID)
	owners, _, listErr := table.OverLimit(t.Context(), nil, 10)
	if err != nil || o.Active != 2 || listErr != nil || len(owners) != 1 {
		t.Errorf("the owner is %+v, %v; on the work list are %v, %v", o, err, owners, listErr)
	}
}
