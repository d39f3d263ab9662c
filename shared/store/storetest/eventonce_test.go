package storetest_test

import (
	"testing"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestEventWhoseAnswerWasLost checks that a call which updates a family and stores an event knows its own write
// when the SDK repeats it, or nobody would log the event; and that another request is told that it came second.
func TestEventWhoseAnswerWasLost(t *testing.T) {
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	use := func(f *family.Family, mark string) store.Refresh {
		return store.Refresh{Family: f.ID, Policy: &policy, Attempt: family.Attempt{Counter: f.Counter, ClientID: f.ClientID, JKT: f.JKT, WriteID: []byte(mark), Now: now}}
	}
	for name, write := range map[string]func(table *store.Table, f *family.Family, mark string) (bool, error){
		"Revoke": func(table *store.Table, f *family.Family, _ string) (bool, error) {
			return table.Revoke(t.Context(), f, &policy, event(t, audit.Reuse, f, now))
		},
		"Observe": func(table *store.Table, f *family.Family, _ string) (bool, error) {
			return table.Observe(t.Context(), f, event(t, audit.Reuse, f, now))
		},
		"RecordLate": func(table *store.Table, f *family.Family, mark string) (bool, error) {
			_, done, err := table.RecordLate(t.Context(), f, use(f, mark), event(t, audit.LateUse, f, now))
			return done, err
		},
		"CatchUp": func(table *store.Table, f *family.Family, mark string) (bool, error) {
			_, done, err := table.CatchUp(t.Context(), f, f.AfterRestore(9, &policy, now), use(f, mark), event(t, audit.Ahead, f, now))
			return done, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			table, rt := storetest.Open(t)
			f := wholeFamily(t, now)
			if err := table.Issue(t.Context(), f, &policy); err != nil {
				t.Fatal(err)
			}
			rt.Once(1, storetest.Lost)
			if done, err := write(table, f, "first"); !done || err != nil {
				t.Errorf("its own write, repeated: %t, %v", done, err)
			}
			if done, err := write(table, f, "second"); done || err != nil {
				t.Errorf("the write of another request: %t, %v", done, err)
			}
			if events, err := rt.Sizes(t.Context(), "e#"); len(events) != 1 || err != nil {
				t.Errorf("%d events are stored: %v", len(events), err)
			}
		})
	}
}
