package storetest_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// A login is two requests for an owner who has a record: as a rule, also where it ends
// in the very second in which the record does. One that ends earlier asks once more.
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

// The record of an owner from before it had an end is given one by the next login, and
// counts on.
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

// The first login of an owner without a record is on the work list if its families,
// that one among them, are more than may be active, and not if they are as many.
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
