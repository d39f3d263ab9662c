package storetest_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// foreignName is the name of the foreign token in these tests.
var foreignName = store.ForeignName([]byte("sixteen bytes of"))

// imports is a table, and imports of foreign tokens into it.
type imports struct {
	t     *testing.T
	table *store.Table
	rt    *storetest.Transport
	now   time.Time
	p     family.Policy
}

func newImports(t *testing.T) *imports {
	t.Helper()
	table, rt := storetest.Open(t)
	return &imports{t, table, rt, storetest.NewClock().Now(), family.DefaultPolicy()}
}

// family returns a new family that waits for a foreign token.
func (im *imports) family() *family.Family {
	im.t.Helper()
	id, err := family.NewID([16]byte{1}, im.now)
	if err != nil {
		im.t.Fatal(err)
	}
	return &family.Family{
		ID: id, UserID: "u", ClientID: "app", LastUsedAt: im.now, ExpiresAt: im.now.Add(30 * 24 * time.Hour),
		Origin: family.Origin{Kind: family.Imported},
	}
}

// issue imports the token with that family, and returns the family that it has then.
func (im *imports) issue(f *family.Family) (family.ID, error) {
	return familyOf(im.table.IssueForeign(im.t.Context(), f, &im.p, foreignName))
}

// look returns the family of a token.
func (im *imports) look(name store.ForeignName) (family.ID, error) {
	return familyOf(im.table.Foreign(im.t.Context(), name))
}

// familyOf returns the family of what is known of a token, if it is one of "app".
func familyOf(f *store.Foreign, err error) (family.ID, error) {
	if err != nil {
		return family.ID{}, err
	}
	if f.ClientID != "app" {
		return family.ID{}, fmt.Errorf("it is one of %q", f.ClientID)
	}
	return f.Family, nil
}

// imported imports the token, and returns the family.
func (im *imports) imported() *family.Family {
	im.t.Helper()
	f := im.family()
	if id, err := im.issue(f); id != f.ID || err != nil {
		im.t.Fatal(id, err)
	}
	return f
}

// use presents token n of the family.
func (im *imports) use(id family.ID, n uint32) *family.Family {
	im.t.Helper()
	r := store.Refresh{Family: id, Policy: &im.p, Attempt: family.Attempt{
		Counter: n, Origin: family.Imported, ClientID: "app", WriteID: []byte{1, 2, 3, 4, 5, 6, 7, byte(n)}, Now: im.now,
	}}
	f, done, err := im.table.Refresh(im.t.Context(), r)
	if !done || err != nil {
		im.t.Fatal(done, err)
	}
	return f
}

// count returns how many items there are whose sort key begins with the prefix.
func (im *imports) count(prefix string) int {
	im.t.Helper()
	sizes, err := im.rt.Sizes(im.t.Context(), prefix)
	if err != nil {
		im.t.Fatal(err)
	}
	return len(sizes)
}

// leads checks that the token leads to the family, and that there is no other.
func (im *imports) leads(id family.ID) {
	im.t.Helper()
	got, err := im.look(foreignName)
	if got != id || err != nil {
		im.t.Errorf("the token leads to %v, not %v: %v", got, id, err)
	}
	if families, tokens := im.count("f#"), im.count("x"); families > 1 || tokens != 1 {
		im.t.Errorf("there are %d families and %d foreign tokens", families, tokens)
	}
}

// TestForeign checks that an imported token leads to its family, whose record waits, and that the
// first use takes it from 0 to 1, also where the policy does not rotate.
func TestForeign(t *testing.T) {
	for _, rotation := range []bool{true, false} {
		im := newImports(t)
		im.p.Rotation = rotation
		if id, err := im.look(foreignName); !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("a token that nobody imported leads to %v: %v", id, err)
		}
		f := im.imported()
		im.leads(f.ID)
		got, err := im.table.Family(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		end := f.ExpiresAt.Add(store.DefaultRetention.Families).Truncate(time.Second).Add(time.Second) // records end with a whole second
		f.PurgeAt, f.KeepUntil = end, end
		if diff := cmp.Diff(f, got); diff != "" || !got.Pending() {
			t.Error(diff)
		}
		if f = im.use(f.ID, 0); f.Counter != 1 || !f.RotatedAt.Equal(im.now) || f.Held != 0 || f.Origin.Kind != family.Imported {
			t.Errorf("after its first use, rotation %t, the record is %+v", rotation, f)
		}
		if other, err := im.look(store.ForeignName{}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another token leads to %v: %v", other, err)
		}
	}
}

// TestForeignFirstUse checks that of the first uses of a token one is done, and that none is which
// comes too late, after a revocation, or from another client.
func TestForeignFirstUse(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(im *imports, f *family.Family)
		client  string
		after   time.Duration
		want    bool
	}{
		{"at once", nil, "app", 0, true},
		{"a millisecond before the idle end", nil, "app", 15*24*time.Hour - time.Millisecond, true},
		{"at the idle end", nil, "app", 15 * 24 * time.Hour, false},
		{"at the absolute end", func(im *imports, _ *family.Family) { im.p.IdleLifetime = 0 }, "app", 30 * 24 * time.Hour, false},
		{"by another client", nil, "web", 0, false},
		{"a second time", func(im *imports, f *family.Family) { im.use(f.ID, 0) }, "app", time.Hour, false},
		{"after a revocation", func(im *imports, f *family.Family) { im.revoke(f) }, "app", 0, false},
	} {
		im := newImports(t)
		f := im.imported()
		if tt.prepare != nil {
			tt.prepare(im, f)
		}
		before, err := im.table.Family(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		r := store.Refresh{Family: f.ID, Policy: &im.p, Attempt: family.Attempt{
			Origin: family.Imported, ClientID: tt.client, WriteID: []byte("12345678"), Now: im.now.Add(tt.after),
		}}
		got, done, err := im.table.Refresh(t.Context(), r)
		if done != tt.want || err != nil {
			t.Errorf("%s: done is %t, %v", tt.name, done, err)
		}
		if diff := cmp.Diff(before, got); !done && diff != "" {
			t.Errorf("%s: a refused use changed the record: %s", tt.name, diff)
		}
	}
}

// revoke ends the family.
func (im *imports) revoke(f *family.Family) {
	im.t.Helper()
	if done, err := im.table.Revoke(im.t.Context(), f, &im.p, event(im.t, audit.Revoked, f, im.now)); !done || err != nil {
		im.t.Fatal(done, err)
	}
}

// TestForeignFaults checks that an import writes both items or none, whichever of its requests
// fails and however, and that its repetition makes it one family.
func TestForeignFaults(t *testing.T) {
	faults := map[string]storetest.Fault{
		"failed": storetest.Failed, "throttled": storetest.Throttled, "timeout": storetest.Timeout, "lost": storetest.Lost, "conflict": storetest.Conflict,
	}
	for name, fault := range faults {
		for call := 1; call <= 4; call++ { // the owner is counted in three requests, since it is new
			for _, once := range []bool{true, false} {
				im := newImports(t)
				first := im.family()
				im.rt.Break(func(n int, _ string) storetest.Fault {
					if n == call || n > call && !once {
						return fault
					}
					return storetest.None
				})
				id, err := im.issue(first)
				im.rt.Break(nil)
				if once && (id != first.ID || err != nil) || !once && err == nil {
					t.Errorf("%s at request %d, once %t: %v, %v", name, call, once, id, err)
				}
				written := once || call == 4 && fault == storetest.Lost
				if families, tokens := im.count("f#"), im.count("x"); families != tokens || written != (tokens == 1) {
					t.Errorf("%s at request %d, once %t: there are %d families and %d foreign tokens", name, call, once, families, tokens)
				}
				again := im.family()
				want := again.ID
				if written {
					want = first.ID
				}
				if id, err := im.issue(again); id != want || err != nil {
					t.Errorf("%s at request %d, once %t, again: %v, not %v: %v", name, call, once, id, want, err)
				}
				im.leads(want)
				if o, err := im.table.Owner(t.Context(), store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}); err != nil || o.Active < 1 {
					t.Errorf("%s at request %d, once %t: the owner is %+v: %v", name, call, once, o, err)
				}
			}
		}
	}
}

// TestForeignImportersAtOnce checks that importers that race for one token agree on its family.
func TestForeignImportersAtOnce(t *testing.T) {
	im := newImports(t)
	const importers = 8
	ids, group := make([]family.ID, importers), errgroup.Group{}
	for i := range importers {
		f := im.family()
		group.Go(func() (err error) {
			ids[i], err = im.issue(f)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(slices.Compact(slices.Clone(ids))) != 1 {
		t.Errorf("the importers were told of %v", ids)
	}
	im.leads(ids[0])
	o, err := im.table.Owner(t.Context(), store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"})
	if err != nil || o.Active < 1 || o.Active > importers {
		t.Errorf("the owner is %+v: %v", o, err)
	}
}

// TestForeignImportedAgain checks that whatever became of a token's family, a second import finds
// it and changes nothing, and neither does the first one if it arrives a second time, late.
func TestForeignImportedAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		become func(im *imports, f *family.Family)
		there  bool
	}{
		{"it waits", func(*imports, *family.Family) {}, true},
		{"it was used", func(im *imports, f *family.Family) { im.use(f.ID, 0) }, true},
		{"it has rotated", func(im *imports, f *family.Family) {
			im.use(f.ID, 0)
			im.now = im.now.Add(time.Hour)
			im.use(f.ID, 1)
		}, true},
		{"it was revoked while it waited", func(im *imports, f *family.Family) { im.revoke(f) }, true},
		{"it was revoked after its use", func(im *imports, f *family.Family) { im.revoke(im.use(f.ID, 0)) }, true},
		{"it expired", func(im *imports, _ *family.Family) { im.now = im.now.Add(31 * 24 * time.Hour) }, true},
		{"it was purged", func(im *imports, f *family.Family) { im.purge(f.PurgeAt.Add(time.Second)) }, false},
		{"it was erased", func(im *imports, f *family.Family) { im.erase() }, false},
		{"it was erased after its use", func(im *imports, f *family.Family) {
			im.use(f.ID, 0)
			im.erase()
		}, false},
	} {
		im := newImports(t)
		f := im.imported()
		late := *f
		tt.become(im, f)
		before, err := im.table.Family(t.Context(), f.ID)
		if (err == nil) != tt.there {
			t.Fatal(tt.name, err)
		}
		for who, g := range map[string]*family.Family{"another": im.family(), "the first, late": &late} {
			if id, err := im.issue(g); id != f.ID || err != nil {
				t.Errorf("%s, imported by %s: %v, not %v: %v", tt.name, who, id, f.ID, err)
			}
			after, err := im.table.Family(t.Context(), f.ID)
			if diff := cmp.Diff(before, after); diff != "" || !tt.there && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s, imported by %s: %v: %s", tt.name, who, err, diff)
			}
			im.leads(f.ID)
		}
	}
}

// purge deletes what has come to its end at now.
func (im *imports) purge(now time.Time) {
	im.t.Helper()
	if _, err := im.table.Purge(im.t.Context(), now); err != nil {
		im.t.Fatal(err)
	}
}

// erase deletes the whole partition of the user, as an erasure does.
func (im *imports) erase() {
	im.t.Helper()
	items, err := im.table.UserItems(im.t.Context(), [16]byte{1}, "", 100)
	if err != nil {
		im.t.Fatal(err)
	}
	for _, sk := range items.InOrder() {
		if err := im.table.Erase(im.t.Context(), [16]byte{1}, sk); err != nil {
			im.t.Fatal(err)
		}
	}
}

// TestForeignIsRemembered checks that a token is remembered for a year, and for longer if its
// family's record is.
func TestForeignIsRemembered(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name           string
		absolute, idle time.Duration // 0 for none
		want           time.Duration // 0 forever
	}{
		{"for a month", 30 * day, 15 * day, 365 * day},
		{"for a year less the retention", 335 * day, 15 * day, 365 * day},
		{"for a year", 365 * day, 15 * day, 395 * day},
		{"until it is idle", 0, 400 * day, 430 * day},
		{"forever", 0, 0, 0},
	} {
		im := newImports(t)
		im.p.IdleLifetime = family.Seconds(tt.idle / time.Second)
		f := im.family()
		if f.ExpiresAt = (time.Time{}); tt.absolute > 0 {
			f.ExpiresAt = im.now.Add(tt.absolute)
		}
		if _, err := im.issue(f); err != nil {
			t.Fatal(err)
		}
		end := im.now.Add(tt.want).Truncate(time.Second).Add(time.Second) // records end with a whole second
		if tt.want == 0 {
			im.purge(im.now.AddDate(1000, 0, 0))
			im.leads(f.ID)
			continue
		}
		im.purge(end.Add(-time.Second))
		im.leads(f.ID)
		im.purge(end)
		if id, err := im.look(foreignName); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the token still leads to %v: %v", tt.name, id, err)
		}
	}
}

// TestForeignUnits checks what an import costs, and to look for a token, whether it is there or not.
func TestForeignUnits(t *testing.T) {
	im := newImports(t)
	im.imported() // the owner has a record from now on
	for _, tt := range []struct {
		what     string
		do       func() error
		requests []string
		want     storetest.Units
	}{
		{"an import", func() error {
			_, err := im.table.IssueForeign(t.Context(), im.family(), &im.p, store.ForeignName{1})
			return err
		}, []string{"UpdateItem", "TransactWriteItems"}, storetest.Units{Write: 3}}, // DynamoDB takes 5: see docs/stores.md
		{"a look", func() error { _, err := im.look(foreignName); return err }, []string{"GetItem"}, storetest.Units{Read: 1}},
		{"a look at nothing", func() error {
			if _, err := im.look(store.ForeignName{}); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("it is there: %w", err)
			}
			return nil
		}, []string{"GetItem"}, storetest.Units{Read: 1}},
	} {
		im.rt.Counted()
		im.rt.Consumed()
		if err := tt.do(); err != nil {
			t.Fatal(tt.what, err)
		}
		if calls := im.rt.Counted(); !slices.Equal(calls, tt.requests) {
			t.Errorf("%s: requests %v", tt.what, calls)
		}
		if !im.rt.ReportsCapacity() {
			tt.want = storetest.Units{}
		}
		if got := im.rt.Consumed().Units; got != tt.want {
			t.Errorf("%s: %+v, not %+v", tt.what, got, tt.want)
		}
	}
}
