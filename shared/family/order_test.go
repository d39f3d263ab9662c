package family_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

// TestOrderOfTheRules checks that of two rules that both apply the first one decides.
func TestOrderOfTheRules(t *testing.T) {
	var (
		wrongClient = func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.ClientID = "other" }
		revoked     = func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Revoked = family.Revocation{At: now, Cause: family.RevokedByAdmin}
		}
		notBefore = func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.NotBefore = now }
		expired   = func(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.ExpiresAt = now }
		ours      = func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.WriteID = []byte("theirs") }
		reuse     = func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.ReuseInterval = 0 }
	)
	for _, tt := range []struct {
		name          string
		first, second func(*family.Family, *family.Policy, *family.Attempt)
		want          family.Verdict
	}{
		{"wrong client, revoked", wrongClient, revoked, family.Verdict{Kind: family.Dead, Cause: family.WrongClient}},
		{"wrong client, expired", wrongClient, expired, family.Verdict{Kind: family.Dead, Cause: family.WrongClient}},
		{"wrong client, ours", wrongClient, ours, family.Verdict{Kind: family.Dead, Cause: family.WrongClient}},
		{"wrong client, reuse", wrongClient, reuse, family.Verdict{Kind: family.Dead, Cause: family.WrongClient}},
		{"revoked, not_before", revoked, notBefore, family.Verdict{Kind: family.Dead, Cause: family.RevokedByAdmin}},
		{"revoked, expired", revoked, expired, family.Verdict{Kind: family.Dead, Cause: family.RevokedByAdmin}},
		{"revoked, ours", revoked, ours, family.Verdict{Kind: family.Dead, Cause: family.RevokedByAdmin}},
		{"revoked, reuse", revoked, reuse, family.Verdict{Kind: family.Dead, Cause: family.RevokedByAdmin}},
		{"not_before, expired", notBefore, expired, family.Verdict{Kind: family.Dead, Cause: family.ClientNotBefore}},
		{"not_before, reuse", notBefore, reuse, family.Verdict{Kind: family.Dead, Cause: family.ClientNotBefore}},
		{"expired, ours", expired, ours, family.Verdict{Kind: family.Dead, Cause: family.ExpiredAbsolute}},
		{"expired, reuse", expired, reuse, family.Verdict{Kind: family.Dead, Cause: family.ExpiredAbsolute}},
		{"ours, reuse", ours, reuse, family.Verdict{Kind: family.Ours}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, p := record(t, time.Second), family.DefaultPolicy()
			a := family.Attempt{Counter: 1, ClientID: "app", WriteID: []byte("ours"), Now: now}
			tt.first(f, &p, &a)
			tt.second(f, &p, &a)
			if diff := cmp.Diff(tt.want, family.Decide(f, &p, a)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestLostResponseAtTheLargestCounter checks that a lost response is not forgiven if there is
// no number for another token.
func TestLostResponseAtTheLargestCounter(t *testing.T) {
	f, p := record(t, time.Hour), family.DefaultPolicy()
	p.LostResponse = family.UntilUsed
	for counter, want := range map[uint32]family.Kind{math.MaxUint32 - 1: family.Lost, math.MaxUint32: family.Reuse} {
		f.Counter = counter
		if got := family.Decide(f, &p, family.Attempt{Counter: counter - 1, ClientID: "app", Now: now}).Kind; got != want {
			t.Errorf("at the counter %d: %v, not %v", counter, got, want)
		}
	}
}
