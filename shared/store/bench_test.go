package store_test

import (
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// BenchmarkRefresh measures the request of a refresh without the network and the store: its
// expression and values, the SDK's layers and signature, and reading the record.
func BenchmarkRefresh(b *testing.B) {
	rt := &storetest.Replay{Below: embedded.New()}
	table := store.New(embedded.Config(rt), "rotor", store.DefaultRetention)
	if err := table.Create(b.Context()); err != nil {
		b.Fatal(err)
	}
	policy, now := family.DefaultPolicy(), time.Now()
	f := &family.Family{
		ID: family.ID{1}, UserID: "auth0|0123456789abcdef01234567", ClientID: "app", Counter: 1,
		LastUsedAt: now, ExpiresAt: now.Add(time.Hour), Scope: []string{"read", "write"}, Audience: []string{"https://api.example.com"},
	}
	if err := table.Issue(b.Context(), f, &policy); err != nil {
		b.Fatal(err)
	}
	refresh := store.Refresh{
		Family: f.ID, Attempt: family.Attempt{Counter: 1, ClientID: f.ClientID, WriteID: []byte("01234567"), Now: now}, Policy: &policy,
		LastIP: "203.0.113.24", LastUserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)",
	}
	write := func() {
		if after, done, err := table.Refresh(b.Context(), refresh); err != nil || !done || after.Counter != 2 {
			b.Fatal(after, done, err)
		}
	}
	write()
	rt.Below = nil
	b.ReportAllocs()
	for b.Loop() {
		write()
	}
}
