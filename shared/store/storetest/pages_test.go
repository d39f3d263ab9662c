package storetest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestPartsOfLists checks that lists can be read in parts of any size. No part is larger than
// asked for, together they have every item once and in order, and the last part is marked as
// the last. It may be empty.
func TestPartsOfLists(t *testing.T) {
	table, _ := storetest.Open(t)
	ctx, now, user := t.Context(), storetest.NewClock().Now(), [16]byte{1}
	policy := family.DefaultPolicy()
	const n = 7
	for i := range n {
		at := now.Add(time.Duration(i) * time.Millisecond)
		id, err := family.NewID(user, at)
		if err != nil {
			t.Fatal(err)
		}
		f := &family.Family{ID: id, UserID: "u", ClientID: "app", Counter: 1, LastUsedAt: at, ExpiresAt: at.Add(time.Hour)}
		if err := table.Issue(ctx, f, &policy); err != nil {
			t.Fatal(err)
		}
		e := audit.New(audit.Cleanup, at)
		e.User = user
		if err := table.PutEvent(ctx, &e); err != nil {
			t.Fatal(err)
		}
		if _, _, err := table.PutClient(ctx, &store.Client{ID: fmt.Sprint("client-", i), Policy: policy, UpdatedAt: now}); err != nil {
			t.Fatal(err)
		}
		overLimit(t, table, store.OwnerID{UserKey: [16]byte{byte(i)}, ClientID: "app"}, now)
	}
	span := store.Span{From: now, To: now.Add(time.Hour)}
	var owner *store.OwnerID
	after := ""
	for name, read := range map[string]func(next ulid.ULID, limit int) (part []string, then ulid.ULID, more bool, err error){
		"families": func(next ulid.ULID, limit int) (part []string, then ulid.ULID, more bool, err error) {
			families, then, err := table.FamiliesBefore(ctx, user, next, limit)
			for _, f := range families {
				part = append(part, f.ID.ULID().String())
			}
			return part, then, then != ulid.ULID{}, err
		},
		"a user's events": func(next ulid.ULID, limit int) (part []string, then ulid.ULID, more bool, err error) {
			events, then, err := table.UserEvents(ctx, user, span, next, limit)
			for i := range events {
				part = append(part, events[i].ID.String())
			}
			return part, then, then != ulid.ULID{}, err
		},
		"a day's events": func(next ulid.ULID, limit int) (part []string, then ulid.ULID, more bool, err error) {
			events, then, err := table.DayEvents(ctx, audit.Cleanup, span, next, user, limit)
			for i := range events {
				part = append(part, events[i].ID.String())
			}
			return part, then, then != ulid.ULID{}, err
		},
		"clients": func(next ulid.ULID, limit int) (part []string, then ulid.ULID, more bool, err error) {
			if next == (ulid.ULID{}) {
				after = ""
			}
			clients, then2, err := table.ListClients(ctx, after, int32(limit))
			for _, c := range slices.Backward(clients) {
				part = append([]string{c.ID}, part...)
			}
			after = then2
			return part, ulid.ULID{1}, after != "", err
		},
		"the work list": func(next ulid.ULID, limit int) (part []string, then ulid.ULID, more bool, err error) {
			if next == (ulid.ULID{}) {
				owner = nil
			}
			owners, more, err := table.OverLimit(ctx, owner, int32(limit))
			for i := range owners {
				part = append(part, fmt.Sprint(owners[i]))
				owner = &owners[i]
			}
			return part, ulid.ULID{1}, more, err
		},
		"all of a user": func(next ulid.ULID, limit int) (part []string, then ulid.ULID, more bool, err error) {
			if next == (ulid.ULID{}) {
				after = ""
			}
			items, err := table.UserItems(ctx, user, after, limit)
			if err != nil {
				return nil, then, false, err
			}
			after = items.Next
			return slices.Concat(items.Events, items.Families, items.Others), ulid.ULID{1}, after != "", nil // in the order of the keys
		},
	} {
		var whole []string
		for limit := n * 3; limit > 0; limit-- {
			var all []string
			for next := (ulid.ULID{}); ; {
				part, then, more, err := read(next, limit)
				if err != nil {
					t.Fatalf("%s by %d: %v", name, limit, err)
				}
				if len(part) > limit || more && len(part) < limit || len(part) == 0 && more {
					t.Errorf("%s by %d: a part of %d, more is %t", name, limit, len(part), more)
				}
				all = append(all, part...)
				if next = then; !more || len(all) > 100 {
					break
				}
			}
			if whole == nil {
				whole = all
			}
			if diff := cmp.Diff(whole, all); diff != "" || len(all) < n {
				t.Errorf("%s by %d: %d (-in one part +in parts):\n%s", name, limit, len(all), diff)
			}
		}
	}
}

// overLimit puts an owner on the work list.
func overLimit(t *testing.T, table *store.Table, id store.OwnerID, now time.Time) {
	t.Helper()
	policy := family.DefaultPolicy()
	policy.MaxActive = 0
	f, err := family.NewID(id.UserKey, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Issue(t.Context(), &family.Family{ID: f, ClientID: id.ClientID, Counter: 1, LastUsedAt: now, ExpiresAt: now.Add(time.Hour)}, &policy); err != nil {
		t.Fatal(err)
	}
}
