package storetest_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestIssuedAgain checks that the start of a family that arrives a second time, late, is a success
// that changes nothing.
func TestIssuedAgain(t *testing.T) {
	table, _ := storetest.Open(t)
	ctx, now := t.Context(), storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	id, err := family.NewID([16]byte{1}, now)
	if err != nil {
		t.Fatal(err)
	}
	issue := func() {
		t.Helper()
		f := &family.Family{ID: id, UserID: "u", ClientID: "app", Counter: 1, LastUsedAt: now, ExpiresAt: now.Add(time.Hour)}
		if err := table.Issue(ctx, f, &policy); err != nil {
			t.Fatal(err)
		}
	}
	issue()
	refresh := store.Refresh{Family: id, Policy: &policy, Attempt: family.Attempt{Counter: 1, ClientID: "app", WriteID: []byte(rand.Text()), Now: now}}
	if _, done, err := table.Refresh(ctx, refresh); err != nil || !done {
		t.Fatal(done, err)
	}
	issue()
	if f, err := table.Family(ctx, id); err != nil || f.Counter != 2 {
		t.Errorf("the record is %v: %v", f, err)
	}
}

// TestConflict checks that a write is repeated if a transaction holds its item: a refresh by
// the SDK's retries, and a transaction by ours. This happens on DynamoDB but never on the
// stores of the tests. A write that never succeeds is an error, and nothing is half done.
func TestConflict(t *testing.T) {
	table, rt := storetest.Open(t)
	ctx, now := t.Context(), storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	id, err := family.NewID([16]byte{1}, now)
	if err != nil {
		t.Fatal(err)
	}
	err = table.Issue(ctx, &family.Family{ID: id, UserID: "u", ClientID: "app", Counter: 1, LastUsedAt: now, ExpiresAt: now.Add(time.Hour)}, &policy)
	if err != nil {
		t.Fatal(err)
	}
	conflicts := func(n int) {
		rt.Break(func(call int, _ string) storetest.Fault {
			if call <= n {
				return storetest.Conflict
			}
			return storetest.None
		})
	}
	asked := func(operation string, times int) {
		t.Helper()
		if calls := rt.Counted(); !slices.Equal(calls, slices.Repeat([]string{operation}, times)) {
			t.Errorf("requests %v, not %d times %s", calls, times, operation)
		}
		rt.Break(nil)
	}
	refresh := store.Refresh{Family: id, Policy: &policy, Attempt: family.Attempt{Counter: 1, ClientID: "app", WriteID: []byte(rand.Text()), Now: now}}
	conflicts(2)
	f, done, err := table.Refresh(ctx, refresh)
	if err != nil || !done || f.Counter != 2 {
		t.Fatalf("refreshed %v: %v", done, err)
	}
	asked("UpdateItem", 3)
	refresh.Attempt.Counter = 2
	conflicts(3)
	var conflict *types.TransactionConflictException
	if _, done, err = table.Refresh(ctx, refresh); done || !errors.As(err, &conflict) {
		t.Errorf("refreshed %v: %v", done, err)
	}
	asked("UpdateItem", 3)

	e := audit.New(audit.Reuse, now)
	e.UserID, e.ClientID, e.Family, e.Cause = "u", "app", id, family.ReuseDetected
	conflicts(8)
	var cancelled *types.TransactionCanceledException
	if done, err := table.Revoke(ctx, f, &policy, &e); done || !errors.As(err, &cancelled) {
		t.Errorf("revoked %v: %v", done, err)
	}
	asked("TransactWriteItems", 8)
	if f, err := table.Family(ctx, id); err != nil || f.Death(&policy, now) != "" || f.Counter != 2 {
		t.Errorf("the family is %+v: %v", f, err)
	}
	conflicts(7)
	if done, err := table.Revoke(ctx, f, &policy, &e); !done || err != nil {
		t.Errorf("revoked %v: %v", done, err)
	}
	asked("TransactWriteItems", 8)
	if f, err := table.Family(ctx, id); err != nil || f.Death(&policy, now) != family.ReuseDetected {
		t.Errorf("the family is %+v: %v", f, err)
	}
}
