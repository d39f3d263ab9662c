package storetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestPagesOfOneMegabyte checks that nothing is skipped or listed twice when a query ends
// after 1 MB, as DynamoDB's do and the embedded store's never do.
func TestPagesOfOneMegabyte(t *testing.T) {
	table, _ := storetest.Open(t)
	ctx, now, user := t.Context(), storetest.NewClock().Now(), [16]byte{1}
	policy := family.DefaultPolicy()
	policy.MaxActive = 10_000
	const families, events = 1200, 50 // families of 1.1 KB, as the longest dead one has, and events of 27 KB
	named := make([]ulid.ULID, 1000)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range families {
		group.Go(func() error {
			at := now.Add(time.Duration(i) * time.Second)
			id, err := family.NewID(user, at)
			if err != nil {
				return err
			}
			return table.Issue(ctx, &family.Family{
				ID: id, UserID: "u", ClientID: "app", Counter: 1, LastUsedAt: at, ExpiresAt: at.Add(time.Hour), Device: strings.Repeat("d", 900),
			}, &policy)
		})
	}
	for i := range events {
		group.Go(func() error {
			e := audit.New(audit.Cleanup, now.Add(time.Duration(i)*time.Second))
			e.User, e.Families = user, named
			return table.PutEvent(ctx, &e)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	span := store.Span{From: now, To: now.Add(time.Hour)}
	for _, tt := range []struct {
		what string
		want int
		full int // least size of the first page in a store without the limit of 1 MB
		read func(before ulid.ULID) (times []time.Time, next ulid.ULID, err error)
	}{
		{"a user's families, newest first", families, 1000, func(before ulid.ULID) (times []time.Time, next ulid.ULID, err error) {
			read, next, err := table.FamiliesBefore(ctx, user, before, 1000)
			for _, f := range read {
				times = append(times, f.IssuedAt())
			}
			return times, next, err
		}},
		{"a user's families, oldest first", families, families + 1, func(ulid.ULID) (times []time.Time, next ulid.ULID, err error) {
			read, err := table.FamiliesFrom(ctx, user, ulid.ULID{})
			for _, f := range read {
				times = append([]time.Time{f.IssuedAt()}, times...)
			}
			return times, next, err
		}},
		{"a user's events", events, events, func(before ulid.ULID) (times []time.Time, next ulid.ULID, err error) {
			read, next, err := table.UserEvents(ctx, user, span, before, 100)
			for i := range read {
				times = append(times, read[i].At)
			}
			return times, next, err
		}},
		{"a day's events", events, events, func(before ulid.ULID) (times []time.Time, next ulid.ULID, err error) {
			read, next, err := table.DayEvents(ctx, audit.Cleanup, span, before, user, 100)
			for i := range read {
				times = append(times, read[i].At)
			}
			return times, next, err
		}},
	} {
		var all []time.Time
		for next := (ulid.ULID{}); ; {
			times, after, err := tt.read(next)
			if err != nil {
				t.Fatalf("%s: %v", tt.what, err)
			}
			if all == nil && len(times) >= tt.full && storetest.Endpoint() != "" {
				t.Errorf("%s: a page of %d was not cut", tt.what, len(times))
			}
			all = append(all, times...)
			if next = after; next == (ulid.ULID{}) {
				break
			}
		}
		if len(all) != tt.want {
			t.Errorf("%s: %d, not %d", tt.what, len(all), tt.want)
		}
		for i, at := range all {
			if want := now.Add(time.Duration(tt.want-1-i) * time.Second); !at.Equal(want) {
				t.Fatalf("%s: number %d is of %v, not %v", tt.what, i, at, want)
			}
		}
	}
}
