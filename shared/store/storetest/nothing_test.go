package storetest_test

import (
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestNothingComesOfNothing checks that no write except those of a login creates anything for
// a user without records. So requests that are in progress while a user is erased bring
// nothing back.
func TestNothingComesOfNothing(t *testing.T) {
	table, rt := storetest.Open(t)
	ctx, now := t.Context(), storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	newFamily := func() *family.Family {
		id, err := family.NewID([16]byte{1}, now)
		if err != nil {
			t.Fatal(err)
		}
		return &family.Family{ID: id, UserID: "u", ClientID: "app", Counter: 1, LastUsedAt: now, ExpiresAt: now.Add(time.Hour)}
	}
	f, other := newFamily(), newFamily()
	event := func(eventType audit.Type) *audit.Event {
		e := audit.New(eventType, now)
		e.UserID, e.ClientID, e.Family, e.User = "u", "app", f.ID, [16]byte{1}
		return &e
	}
	use := func(rotation bool) store.Refresh {
		p := policy
		p.Rotation = rotation
		return store.Refresh{Family: f.ID, Policy: &p, Attempt: family.Attempt{Counter: 1, ClientID: "app", WriteID: []byte("mark"), Now: now}}
	}
	scoped := use(true)
	scoped.Attempt.Scope = []string{"read"}
	owner := &store.Owner{ID: store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}, Active: 3}
	plan := &store.Plan{Event: ulid.Make(), At: now, UserID: "u", Start: 3, Evict: family.Oldest}
	plan.Add(f)
	horizon := store.Horizon{From: ulid.Make(), Kept: []ulid.ULID{f.ID.ULID()}}
	device := "Pixel"
	change := &store.Change{Device: &device}
	revocation := family.Revocation{At: now, Cause: family.LimitExceeded, Event: plan.Event}
	for name, write := range map[string]func() (done bool, err error){
		"Refresh":                  func() (bool, error) { _, done, err := table.Refresh(ctx, use(true)); return done, err },
		"Refresh of a scope":       func() (bool, error) { _, done, err := table.Refresh(ctx, scoped); return done, err },
		"Refresh without rotation": func() (bool, error) { _, done, err := table.Refresh(ctx, use(false)); return done, err },
		"RecordUse":                func() (bool, error) { _, done, err := table.RecordUse(ctx, f, true, use(true)); return done, err },
		"ForgiveLost": func() (bool, error) {
			_, done, err := table.ForgiveLost(ctx, f, f.AfterLost(1, now), use(true))
			return done, err
		},
		"Revoke":                    func() (bool, error) { return table.Revoke(ctx, f, &policy, event(audit.Reuse)) },
		"Observe":                   func() (bool, error) { return table.Observe(ctx, f, event(audit.Reuse)) },
		"End":                       func() (bool, error) { return table.End(ctx, f.ID, &policy, revocation) },
		"EndUnused":                 func() (bool, error) { return table.EndUnused(ctx, f.ID, &policy, revocation, now) },
		"StorePlan":                 func() (bool, error) { return table.StorePlan(ctx, owner.ID, plan) },
		"FinishPlan":                func() (bool, error) { return table.FinishPlan(ctx, owner.ID, plan, nil) },
		"FinishPlan with its event": func() (bool, error) { return table.FinishPlan(ctx, owner.ID, plan, event(audit.Cleanup)) },
		"Settle":                    func() (bool, error) { return false, table.Settle(ctx, owner, 1, horizon, now.Add(time.Hour)) },
		"Change":                    func() (bool, error) { _, done, err := table.Change(ctx, f, &policy, change, now); return done, err },
		"AmendEvent":                func() (bool, error) { return false, table.AmendEvent(ctx, event(audit.Revoked)) },
		"DropOverLimit":             func() (bool, error) { return false, table.DropOverLimit(ctx, owner.ID) },
		"Erase":                     func() (bool, error) { return false, table.Erase(ctx, [16]byte{1}, "o#app") },
		"CatchUp": func() (bool, error) {
			_, done, err := table.CatchUp(ctx, f, f.AfterRestore(7, &policy, now), use(true), event(audit.Ahead))
			return done, err
		},
		"EndOthers": func() (bool, error) {
			done, dead, err := table.EndOthers(ctx, store.Ending{Family: f, Policy: &policy}, []store.Ending{{Family: other, Policy: &policy}}, event(audit.Revoked), true)
			if len(dead) > 0 {
				t.Errorf("EndOthers says that %v are dead, and not the one to keep", dead)
			}
			return done, err
		},
	} {
		if done, err := write(); done || err != nil {
			t.Errorf("%s: done is %t, %v", name, done, err)
		}
		sizes, err := rt.Sizes(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(sizes) > 0 {
			t.Fatalf("%s has made an item", name)
		}
	}
	// The family to keep is alive, and one of those to end is not, which must be reported.
	if err := table.Issue(ctx, f, &policy); err != nil {
		t.Fatal(err)
	}
	done, dead, err := table.EndOthers(ctx, store.Ending{Family: f, Policy: &policy}, []store.Ending{{Family: other, Policy: &policy}}, event(audit.Revoked), true)
	if done || len(dead) != 1 || err != nil {
		t.Errorf("done is %t, dead are %v, %v", done, dead, err)
	}
	if sizes, err := rt.Sizes(ctx, "e#"); err != nil || len(sizes) > 0 {
		t.Errorf("%d events, %v", len(sizes), err)
	}
}
