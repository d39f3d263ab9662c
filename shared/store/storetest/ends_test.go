package storetest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestWritesAtTheEnd checks that no write revives a family. Each write checks whether the
// family is alive at that time under the policy of that time: it succeeds one millisecond
// before either end, and fails at the end. TTL deletes late, so the record still exists.
func TestWritesAtTheEnd(t *testing.T) {
	now := storetest.NewClock().Now()
	short := family.DefaultPolicy()
	short.IdleLifetime, short.ReuseInterval = 60, 1
	endless := short
	endless.IdleLifetime = 0
	acr := "2"
	refresh := func(f *family.Family, p *family.Policy, at time.Time) store.Refresh {
		return store.Refresh{Family: f.ID, Policy: p, Attempt: family.Attempt{Counter: f.Counter, ClientID: "app", WriteID: []byte("ours"), JKT: f.JKT, Now: at}}
	}
	type write func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error)
	for name, write := range map[string]write{
		"Refresh": func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error) {
			_, done, err := table.Refresh(t.Context(), refresh(f, p, at))
			return done, err
		},
		"UseDevice": func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error) {
			_, done, err := table.UseDevice(t.Context(), refresh(f, p, at))
			return done, err
		},
		"RecordUse": func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error) {
			_, done, err := table.RecordUse(t.Context(), f, true, refresh(f, p, at))
			return done, err
		},
		"Skip": func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error) {
			_, done, err := table.ForgiveLost(t.Context(), f, f.AfterLost(1, at), refresh(f, p, at))
			return done, err
		},
		"CatchUp": func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error) {
			_, done, err := table.CatchUp(t.Context(), f, f.AfterRestore(9, p, at), refresh(f, p, at), event(t, audit.Ahead, f, at))
			return done, err
		},
		"Change": func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error) {
			_, done, err := table.Change(t.Context(), f, p, &store.Change{ACR: &acr}, at)
			return done, err
		},
		"EndOthers": func(table *store.Table, f *family.Family, p *family.Policy, at time.Time) (bool, error) {
			other := wholeFamily(t, now)
			if err := table.Issue(t.Context(), other, p); err != nil {
				return false, err
			}
			done, _, err := table.EndOthers(t.Context(), store.Ending{Family: f, Policy: p}, []store.Ending{{Family: other, Policy: p}}, event(t, audit.Revoked, other, at), true)
			return done, err
		},
	} {
		for _, tt := range []struct {
			end      string
			policy   family.Policy
			absolute time.Duration // 0 for none
			after    time.Duration
			want     bool
		}{
			{"a millisecond before its idle end", short, time.Hour, time.Minute - time.Millisecond, true},
			{"at its idle end", short, time.Hour, time.Minute, false},
			{"a millisecond before its absolute end", short, 30 * time.Second, 30*time.Second - time.Millisecond, true},
			{"at its absolute end", short, 30 * time.Second, 30 * time.Second, false},
			{"at its absolute end, without an idle one", endless, time.Hour, time.Hour, false},
			{"without ends, in ten years", endless, 0, 10 * 365 * 24 * time.Hour, true},
		} {
			table, _ := storetest.Open(t)
			f := wholeFamily(t, now)
			f.Counter, f.Held, f.Skipped, f.LastUsedAt, f.ExpiresAt = 2, 1, family.Range{}, now, time.Time{}
			if tt.absolute > 0 {
				f.ExpiresAt = now.Add(tt.absolute)
			}
			if err := table.Issue(t.Context(), f, &tt.policy); err != nil {
				t.Fatal(err)
			}
			if done, err := write(table, f, &tt.policy, now.Add(tt.after)); done != tt.want || err != nil {
				t.Errorf("%s %s: done is %t, %v", name, tt.end, done, err)
			}
		}
	}
}

// TestPurgeCounts checks that a purge deletes each item in the second of its end and not
// earlier, keeps items without an end, and returns how many it deleted.
func TestPurgeCounts(t *testing.T) {
	table, rt := storetest.Open(t)
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	if _, _, err := table.PutClient(t.Context(), &store.Client{ID: "app", Policy: policy, UpdatedAt: now}); err != nil {
		t.Fatal(err)
	}
	overLimit(t, table, store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}, now) // this makes an owner and a family, for 30 days and an hour
	end := now.Add(time.Hour + store.DefaultRetention.Families)
	for _, tt := range []struct {
		at           time.Time
		purged, left int
	}{
		{end, 0, 4}, // records end with a whole second
		{end.Truncate(time.Second).Add(time.Second - time.Millisecond), 0, 4},
		{end.Truncate(time.Second).Add(time.Second), 2, 2},
		{end.Add(365 * 24 * time.Hour), 0, 2},
	} {
		n, err := table.Purge(t.Context(), tt.at)
		sizes, sizesErr := rt.Sizes(t.Context(), "")
		if n != tt.purged || len(sizes) != tt.left || err != nil || sizesErr != nil {
			t.Errorf("at %v %d were purged, and %d are left: %v, %v", tt.at, n, len(sizes), err, sizesErr)
		}
	}
}

// TestPurgeWhoseAnswerWasLost checks that a purge goes on if the SDK has to repeat one of its
// requests.
func TestPurgeWhoseAnswerWasLost(t *testing.T) {
	table, rt := storetest.Open(t)
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	f := wholeFamily(t, now)
	if err := table.Issue(t.Context(), f, &policy); err != nil {
		t.Fatal(err)
	}
	lost := false
	rt.Break(func(_ int, operation string) storetest.Fault {
		if operation != "DeleteItem" || lost {
			return storetest.None
		}
		lost = true
		return storetest.Lost
	})
	_, err := table.Purge(t.Context(), f.PurgeAt.Add(time.Second))
	rt.Break(nil)
	sizes, sizesErr := rt.Sizes(t.Context(), "")
	if err != nil || !lost || len(sizes) != 0 || sizesErr != nil {
		t.Errorf("%d are left: %v, %v", len(sizes), err, sizesErr)
	}
}

// TestCreateTwice checks that creating a table that exists succeeds and keeps its contents.
func TestCreateTwice(t *testing.T) {
	table, rt := storetest.Open(t)
	f := wholeFamily(t, storetest.NewClock().Now())
	policy := family.DefaultPolicy()
	if err := table.Issue(t.Context(), f, &policy); err != nil {
		t.Fatal(err)
	}
	if err := rt.Table().Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Family(t.Context(), f.ID); err != nil {
		t.Error(err)
	}
}

// TestDaysAreOfUTC checks that an event is listed on its day in UTC, whatever the zone of its
// time.
func TestDaysAreOfUTC(t *testing.T) {
	table, _ := storetest.Open(t)
	midnight := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	for _, zone := range []*time.Location{time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600)} {
		for _, at := range []time.Time{midnight.Add(-time.Millisecond), midnight} {
			e := audit.New(audit.Revoked, at.In(zone))
			if err := table.PutEvent(t.Context(), &e); err != nil {
				t.Fatal(err)
			}
		}
	}
	for day, span := range map[string]store.Span{
		"before": {From: midnight.Add(-24 * time.Hour), To: midnight}, "after": {From: midnight.In(time.FixedZone("east", 14*3600)), To: midnight.Add(24 * time.Hour)},
	} {
		events, _, err := table.DayEvents(t.Context(), audit.Revoked, span, ulid.ULID{}, [16]byte{}, 10)
		if err != nil || len(events) != 2 {
			t.Errorf("%d events on the day %s: %v", len(events), day, err)
		}
	}
}

// TestEndOfWhatASweepRemembers checks that once the families that a sweep remembers are
// purged, or belong to another sweep, the next sweep reads everything again.
func TestEndOfWhatASweepRemembers(t *testing.T) {
	now := storetest.NewClock().Now()
	horizon := store.Horizon{From: ulid.Make(), Kept: []ulid.ULID{ulid.Make()}, Idle: 60, NotBefore: now}
	table, rt := storetest.Open(t)
	id := store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}
	if done, err := table.MakeOwner(t.Context(), id, 3, now.Add(24*time.Hour)); !done || err != nil {
		t.Fatal(done, err)
	}
	remembers := func() bool {
		t.Helper()
		o, err := table.Owner(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(o.Horizon, horizon) && !cmp.Equal(o.Horizon, store.Horizon{}) {
			t.Errorf("a part of the horizon is left: %+v", o.Horizon)
		}
		return cmp.Equal(o.Horizon, horizon)
	}
	purge := func(at time.Time) {
		t.Helper()
		if _, err := table.Purge(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	end := now.Add(time.Hour).Truncate(time.Second)
	if err := table.Settle(t.Context(), &store.Owner{ID: id, Active: 3}, 3, horizon, end); err != nil {
		t.Fatal(err)
	}
	mend, err := rt.Damage(t.Context(), "k#app", "from", ulid.Make().String())
	if err != nil {
		t.Fatal(err)
	}
	if remembers() {
		t.Error("the memory of another sweep is taken")
	}
	if err := mend(); err != nil {
		t.Fatal(err)
	}
	if purge(end.Add(-time.Millisecond)); !remembers() {
		t.Error("the memory is gone before its end")
	}
	if purge(end); remembers() {
		t.Error("the memory outlives its end")
	}
}

// TestPurgeBesideAUse checks that a purge keeps what gets a later end while it runs: a family
// in use, and a name that is given to another family. DynamoDB's TTL also reads an item again
// before it deletes it.
func TestPurgeBesideAUse(t *testing.T) {
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	table, rt := storetest.Open(t)
	used := wholeFamily(t, now)
	used.ExpiresAt, used.LastUsedAt = time.Time{}, now
	if err := table.Issue(t.Context(), used, &policy); err != nil {
		t.Fatal(err)
	}
	end := used.PurgeAt.Add(time.Second)
	name := store.Alias{Name: [16]byte{1}, Family: used.ID, Until: end.Add(-time.Second)}
	if there, err := table.IssueAs(t.Context(), wholeFamily(t, now), &policy, name); there != nil || err != nil {
		t.Fatal(there, err)
	}
	policy.IdleLifetime = family.Days(100)
	var named *family.Family
	purging := rt.Meanwhile(1, "DeleteItem", func() {
		_, done, err := table.Refresh(t.Context(), store.Refresh{
			Family: used.ID, Policy: &policy, Attempt: family.Attempt{Counter: used.Counter, ClientID: "app", WriteID: []byte("ours"), JKT: used.JKT, Now: end},
		})
		if !done || err != nil {
			t.Errorf("meanwhile refreshed %t: %v", done, err)
		}
		named = wholeFamily(t, end)
		named.LastUsedAt, named.ExpiresAt = end, end.Add(time.Hour)
		name.Family, name.Until = named.ID, end.Add(24*time.Hour)
		if there, err := table.IssueAs(t.Context(), named, &policy, name); there != nil || err != nil {
			t.Errorf("meanwhile there was %+v: %v", there, err)
		}
	})
	n, err := purging.Purge(t.Context(), end)
	if err != nil {
		t.Fatal(err)
	}
	if n != 1 { // the family that had the name before
		t.Errorf("%d were purged", n)
	}
	if _, err := table.Family(t.Context(), used.ID); err != nil {
		t.Errorf("the family in use: %v", err)
	}
	if a, err := table.Alias(t.Context(), named.ID.UserKey(), name.Name, end); err != nil || a.Family != named.ID {
		t.Errorf("the name is of %+v: %v", a, err)
	}
	if o, err := table.Owner(t.Context(), store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}); err != nil || o.Active != 3 {
		t.Errorf("the owner is %+v: %v", o, err)
	}
}
