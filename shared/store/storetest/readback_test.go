package storetest_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// full checks that each field of v has a value, including those of its structs. Otherwise a
// test would not notice a field that is not stored.
func full(t *testing.T, v reflect.Value, name string, except ...string) {
	t.Helper()
	for _, e := range except {
		if e == name {
			return
		}
	}
	if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]() {
		for i := range v.NumField() {
			full(t, v.Field(i), name+"."+v.Type().Field(i).Name, except...)
		}
		return
	}
	if v.IsZero() {
		t.Errorf("%s has no value: give it one, and see that it is stored", name)
	}
}

// wholeFamily returns a living family with a value in each field.
func wholeFamily(t *testing.T, now time.Time) *family.Family {
	t.Helper()
	id, err := family.NewID([16]byte{1}, now)
	if err != nil {
		t.Fatal(err)
	}
	return &family.Family{
		ID: id, UserID: "u", ClientID: "app", Counter: 7, RotatedAt: now.Add(-2*time.Second - 3*time.Millisecond), Held: 6, RotationID: []byte("mark"),
		Skipped: family.Range{From: 4, To: 5}, ExpiresAt: now.Add(time.Hour + 7*time.Millisecond), LastUsedAt: now.Add(-time.Second),
		Scope: []string{"read", "write"}, Audience: []string{"a", "b"}, Claims: `{"a":1}`, AuthTime: now.Add(-time.Hour).Truncate(time.Second), ACR: "2",
		Origin: family.Origin{Kind: family.Code, Until: now.Add(9 * time.Millisecond), Challenge: []byte("challenge"), Redirect: []byte("redirect"), Nonce: "n"},
		AMR:    []string{"pwd", "otp"}, Device: "Pixel", LastIP: "192.0.2.1", LastUserAgent: "curl",
		JKT: []byte("the thumbprint of a key, 32 bytes"), BoundAt: now.Add(-4 * time.Millisecond),
	}
}

// TestWhatIsStoredReadsBack checks that all members of each kind of item read back: times to
// the millisecond, or to the second if that is their unit.
func TestWhatIsStoredReadsBack(t *testing.T) {
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	same := func(t *testing.T, want, got any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-stored +read):\n%s", err, diff)
		}
	}
	t.Run("family", func(t *testing.T) {
		table, _ := storetest.Open(t)
		f := wholeFamily(t, now)
		if err := table.Issue(t.Context(), f, &policy); err != nil {
			t.Fatal(err)
		}
		f.KeepUntil = now.Add(time.Hour + 30*24*time.Hour).Truncate(time.Second).Add(time.Second) // is rounded up, so that the record is not kept shorter
		f.PurgeAt = f.KeepUntil
		full(t, reflect.ValueOf(*f), "family", "family.ObservedAt", "family.Revoked")
		got, err := table.Family(t.Context(), f.ID)
		same(t, f, got, err)

		observed := event(t, audit.Reuse, f, now.Add(time.Millisecond))
		if done, err := table.Observe(t.Context(), f, observed); !done || err != nil {
			t.Fatal(done, err)
		}
		f.ObservedAt = observed.At
		got, err = table.Family(t.Context(), f.ID)
		same(t, f, got, err)

		reuse := event(t, audit.Reuse, f, now.Add(2*time.Millisecond))
		if done, err := table.Revoke(t.Context(), f, &policy, reuse); !done || err != nil {
			t.Fatal(done, err)
		}
		f.Revoked = family.Revocation{At: reuse.At, Cause: reuse.Cause, TokenCounter: reuse.TokenCounter, ReuseAge: reuse.Age, Event: reuse.ID}
		full(t, reflect.ValueOf(*f), "family", "family.Revoked.Evict", "family.Revoked.Active")
		got, err = table.Family(t.Context(), f.ID)
		same(t, f, got, err)
	})
	t.Run("family without ends", func(t *testing.T) {
		table, _ := storetest.Open(t)
		f := wholeFamily(t, now)
		f.ExpiresAt = time.Time{}
		if err := table.Issue(t.Context(), f, &policy); err != nil {
			t.Fatal(err)
		}
		f.PurgeAt = f.LastUsedAt.Add(policy.IdleLifetime.Duration() + 30*24*time.Hour).Truncate(time.Second).Add(time.Second)
		got, err := table.Family(t.Context(), f.ID)
		same(t, f, got, err)
	})
	t.Run("family ended by the limit", func(t *testing.T) {
		table, _ := storetest.Open(t)
		f := wholeFamily(t, now)
		if err := table.Issue(t.Context(), f, &policy); err != nil {
			t.Fatal(err)
		}
		r := family.Revocation{At: now, Cause: family.LimitExceeded, Evict: family.Oldest, Active: 3, Event: ulid.Make()}
		if ours, err := table.End(t.Context(), f.ID, &policy, r); !ours || err != nil {
			t.Fatal(ours, err)
		}
		full(t, reflect.ValueOf(r), "revocation", "revocation.TokenCounter", "revocation.ReuseAge")
		got, err := table.Family(t.Context(), f.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, r, got.Revoked, nil)
	})
	t.Run("alias", func(t *testing.T) {
		table, _ := storetest.Open(t)
		f := wholeFamily(t, now)
		a := store.Alias{Name: [16]byte{0xfe, 3}, Asked: [16]byte{0xff, 4}, Family: f.ID, Until: now.Add(24 * time.Hour)}
		if there, err := table.IssueAs(t.Context(), f, &policy, a); there != nil || err != nil {
			t.Fatal(there, err)
		}
		full(t, reflect.ValueOf(a), "alias")
		got, err := table.Alias(t.Context(), f.ID.UserKey(), a.Name, now)
		same(t, &a, got, err)
		there, err := table.IssueAs(t.Context(), wholeFamily(t, now), &policy, a)
		same(t, &a, there, err)
	})
	t.Run("client", func(t *testing.T) {
		table, _ := storetest.Open(t)
		jwks, err := assertion.ParseKeySet([]byte(assertiontest.JWKS(t, assertiontest.NewKey(t, jose.ES256, "k"))))
		if err != nil {
			t.Fatal(err)
		}
		c := &store.Client{
			ID: "app", Confidential: true, Preset: "auth0", Policy: family.Policy{
				Rotation: true, ReuseInterval: 7, LostResponse: family.UntilUsed, AbsoluteLifetime: 11, IdleLifetime: 13, AccessTokenLifetime: 17, MaxActive: 19,
				Evict: family.LeastRecentlyUsed, ReuseDetection: family.Observe, ObserveUntil: now.Add(time.Hour), InvalidGrantStatus: 400, DPoP: family.DPoPAllowed, NotBefore: now.Add(-time.Millisecond),
			},
			Scope: []string{"read", "write"}, Audience: []string{"a", "b"}, MayIntrospect: true, MayForward: true, Cookie: true, CookieLax: true, DeviceBound: true, UpdatedAt: now,
			RedirectURIs: []string{"https://a.example/cb", "http://127.0.0.1/cb"}, PostLogoutRedirectURIs: []string{"https://a.example/"},
			AcceptsImported: &foreign.Shape{Prefix: "v1.", Length: 30},
			Keys:            assertion.Keys{JWKSURI: "https://web.example/keys", JWKS: jwks}, // a real client has one of them

			Adopt: &foreign.Provider{
				TokenEndpoint: "https://old.example/token", ClientID: "shop", Auth: "client_secret_post", SecretName: "rotor/adopt/old",
				User: foreign.User{From: "id_token", Claim: "sub"}, Shape: foreign.Shape{Prefix: "v1.", Length: 60}, Repeatable: true, PerSecond: 3,
			},
			TrustedIssuers: []assertion.Issuer{
				{Issuer: "i", JWKSURI: "https://i.example/keys", Audience: []string{"a"}, Algorithms: []string{"ES256"}, UserClaim: "sub", MaxAge: 7, UserPrefix: "i|"},
				{Issuer: "j", JWKS: jwks, Audience: []string{"a", "b"}, Algorithms: []string{"RS256", "PS256"}, UserClaim: "uid", MaxAge: 8, UserPrefix: "j:"},
			},
		}
		if _, _, err := table.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for i := range byte(store.MaxSecrets) {
			s := store.Secret{ID: string('a' + rune(i)), Hash: [32]byte{1, 2, i}, CreatedAt: now.Add(time.Duration(i) * time.Millisecond)}
			if err := table.AddSecret(t.Context(), "app", s); err != nil {
				t.Fatal(err)
			}
			c.Secrets = append(c.Secrets, s)
		}
		c.Version, c.CreatedAt = 1, now
		full(t, reflect.ValueOf(*c), "client")
		got, err := table.Client(t.Context(), "app")
		same(t, c, got, err)
		list, next, err := table.ListClients(t.Context(), "", 10)
		same(t, []*store.Client{c}, list, err)
		if next != "" {
			t.Errorf("the list goes on after %q", next)
		}
	})
	t.Run("owner", func(t *testing.T) {
		table, _ := storetest.Open(t)
		o := &store.Owner{ID: store.OwnerID{UserKey: [16]byte{1}, ClientID: "app"}, Active: 3}
		if done, err := table.MakeOwner(t.Context(), o.ID, o.Active, now.Add(time.Hour)); !done || err != nil {
			t.Fatal(done, err)
		}
		got, err := table.Owner(t.Context(), o.ID)
		same(t, o, got, err)
		horizon := store.Horizon{From: ulid.Make(), Kept: []ulid.ULID{ulid.Make(), ulid.Make()}, Idle: 90_001, NotBefore: now.Add(-time.Millisecond)}
		if err := table.Settle(t.Context(), o, 2, horizon, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		o.Active, o.Horizon = 2, horizon
		got, err = table.Owner(t.Context(), o.ID)
		same(t, o, got, err)
		f, policy := wholeFamily(t, now), family.DefaultPolicy()
		if err := table.Issue(t.Context(), f, &policy); err != nil {
			t.Fatal(err)
		}
		o.Active, o.CountedAt = 3, f.LastUsedAt
		got, err = table.Owner(t.Context(), o.ID)
		same(t, o, got, err)
		o.Plan = &store.Plan{Event: ulid.Make(), At: now, UserID: "u", Start: 3, Evict: family.Oldest}
		o.Plan.Add(wholeFamily(t, now))
		if done, err := table.StorePlan(t.Context(), o.ID, o.Plan); !done || err != nil {
			t.Fatal(done, err)
		}
		full(t, reflect.ValueOf(*o), "owner")
		full(t, reflect.ValueOf(*o.Plan), "plan")
		got, err = table.Owner(t.Context(), o.ID)
		same(t, o, got, err)
		if at, ok := got.Plan.SeenUsed(0); !ok || !at.Equal(now.Add(-time.Second)) {
			t.Errorf("the plan saw a use at %v", at)
		}
	})
	t.Run("event", func(t *testing.T) {
		table, _ := storetest.Open(t)
		f := wholeFamily(t, now)
		// The user's key is in the family's id, and the others are only logged.
		unstored := []string{
			"event.User", "event.ForwardIgnored", "event.Reason", "event.Issuer", "event.Origin", "event.Unregistered", "event.Held", "event.Reused", "event.LostResponse", "event.ByDevice", "event.Late",
			"event.Name", "event.Status", "event.SecretID", "event.Changes", "event.DryRun", "event.ErasedFamilies", "event.ErasedEvents",
		}
		e := event(t, audit.Reuse, f, now)
		full(t, reflect.ValueOf(*e), "event", unstored...)
		erased := audit.New(audit.Erased, now)
		erased.User, erased.ErasedFamilies, erased.ErasedEvents = f.ID.UserKey(), 3, 4
		for _, e := range []*audit.Event{e, &erased} {
			if err := table.PutEvent(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			want := *e
			want.User = e.UserKey()
			span := store.Span{From: now, To: now.Add(time.Millisecond)}
			got, next, err := table.DayEvents(t.Context(), e.Type, span, ulid.ULID{}, [16]byte{}, 10)
			same(t, []audit.Event{want}, got, err)
			if next != (ulid.ULID{}) {
				t.Errorf("the list goes on after %v", next)
			}
			if e.Type == audit.Erased {
				continue // is not in a user's partition
			}
			got, _, err = table.UserEvents(t.Context(), f.ID.UserKey(), span, ulid.ULID{}, 10)
			same(t, []audit.Event{want}, got, err)
		}
	})
}

// event returns an event with a value in each field that is stored.
func event(t *testing.T, eventType audit.Type, f *family.Family, at time.Time) *audit.Event {
	t.Helper()
	e := audit.New(eventType, at)
	e.UserID, e.ClientID, e.Family, e.IP, e.UserAgent, e.RequestID, e.By, e.ForwardedBy = f.UserID, f.ClientID, f.ID, "192.0.2.2", "wget", "request", "arn", "192.0.2.3"
	e.Cause, e.TokenCounter, e.LatestCounter, e.Observed, e.Age, e.OtherIP, e.OtherAgent = family.ReuseDetected, 2, 7, true, 1001*time.Millisecond, true, true
	e.OriginToken = family.Code
	e.Families, e.Evict, e.Start, e.Removed, e.End = []ulid.ULID{f.ID.ULID()}, family.Oldest, 3, 1, 2
	return &e
}

// TestWritesReturnTheRecord checks that each write of a family returns the record after it,
// without a further read.
func TestWritesReturnTheRecord(t *testing.T) {
	for _, ends := range []bool{true, false} {
		for name, write := range map[string]func(*store.Table, *family.Family, *family.Policy, store.Refresh) (*family.Family, bool, error){
			"Refresh": func(table *store.Table, _ *family.Family, _ *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				return table.Refresh(t.Context(), r)
			},
			"Refresh without rotation": func(table *store.Table, _ *family.Family, p *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				p.Rotation = false
				return table.Refresh(t.Context(), r)
			},
			"RecordUse": func(table *store.Table, f *family.Family, _ *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				return table.RecordUse(t.Context(), f, true, r)
			},
			"Skip": func(table *store.Table, f *family.Family, _ *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				return table.ForgiveLost(t.Context(), f, f.AfterLost(6, r.Attempt.Now), r)
			},
			"CatchUp": func(table *store.Table, f *family.Family, p *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				return table.CatchUp(t.Context(), f, f.AfterRestore(9, p, r.Attempt.Now), r, event(t, audit.Ahead, f, r.Attempt.Now))
			},
			"Refresh, pending": func(table *store.Table, f *family.Family, _ *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				r.Attempt.Counter, r.Attempt.Challenge, r.Attempt.Redirect = 0, f.Origin.Challenge, f.Origin.Redirect
				return table.Refresh(t.Context(), r)
			},
			"CatchUp, pending": func(table *store.Table, f *family.Family, p *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				return table.CatchUp(t.Context(), f, f.AfterRestore(1, p, r.Attempt.Now), r, event(t, audit.Ahead, f, r.Attempt.Now))
			},
			"Refresh, pending, binding it": func(table *store.Table, f *family.Family, _ *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				r.Attempt.Counter, r.Attempt.Challenge, r.Attempt.Redirect, r.Attempt.Binds = 0, f.Origin.Challenge, f.Origin.Redirect, true
				return table.Refresh(t.Context(), r)
			},
			"CatchUp, pending, binding it": func(table *store.Table, f *family.Family, p *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				r.Attempt.Binds = true
				next := f.AfterRestore(1, p, r.Attempt.Now)
				next.JKT = f.KeyAfterRestore(r.Attempt)
				return table.CatchUp(t.Context(), f, next, r, event(t, audit.Ahead, f, r.Attempt.Now))
			},
			"Change": func(table *store.Table, f *family.Family, p *family.Policy, r store.Refresh) (*family.Family, bool, error) {
				none := time.Time{}
				return table.Change(t.Context(), f, p, &store.Change{AuthTime: &none}, r.Attempt.Now)
			},
		} {
			table, _ := storetest.Open(t)
			clock := storetest.NewClock()
			policy := family.DefaultPolicy()
			policy.ReuseInterval = 1
			f := wholeFamily(t, clock.Now())
			if !ends {
				f.ExpiresAt = time.Time{}
			}
			key := f.JKT
			if strings.Contains(name, "binding") {
				f.JKT, f.BoundAt = nil, time.Time{}
			}
			if strings.Contains(name, "pending") {
				f.Counter, f.RotatedAt, f.RotationID, f.Skipped = 0, time.Time{}, nil, family.Range{}
				f.Origin.Until = clock.Now().Add(2 * time.Minute)
			}
			if err := table.Issue(t.Context(), f, &policy); err != nil {
				t.Fatal(err)
			}
			seen, err := table.Family(t.Context(), f.ID)
			if err != nil {
				t.Fatal(err)
			}
			clock.Advance(time.Minute + time.Millisecond)
			got, done, err := write(table, seen, &policy, store.Refresh{
				Family: f.ID, Policy: &policy, LastIP: "192.0.2.9", LastUserAgent: "wget",
				Attempt: family.Attempt{Counter: 7, ClientID: "app", WriteID: []byte("ours"), JKT: key, Now: clock.Now()},
			})
			if !done || err != nil {
				t.Fatalf("%s: done is %t, %v", name, done, err)
			}
			want, err := table.Family(t.Context(), f.ID)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s, with an absolute end %t: %v (-on record +returned):\n%s", name, ends, err, diff)
			}
			if want != nil && !bytes.Equal(want.JKT, key) {
				t.Errorf("%s: the record has the key %q", name, want.JKT)
			}
			if cmp.Equal(want, seen) {
				t.Errorf("%s has written nothing", name)
			}
		}
	}
}
