package signing_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/signing"
)

// TestRevokedKey checks that a revoked key is not used at any time, not even by a machine
// whose clock is behind.
func TestRevokedKey(t *testing.T) {
	leaked, next := newKey(t, signing.ES256, epoch()), newKey(t, signing.ES256, epoch().Add(time.Hour))
	before := newSet(t, leaked, next)
	tok := signAccess(t, before, epoch(), access())
	if _, err := before.Verify(tok, issuer, epoch()); err != nil {
		t.Fatal(err)
	}
	leaked.Revoked = epoch().Add(30 * time.Minute)
	for name, key := range map[string]signing.Key{"with its private half": leaked, "without": leaked.Retired(leaked.Until)} {
		set := newSet(t, key, next)
		for _, now := range []time.Time{epoch().Add(-time.Hour), epoch(), key.Revoked.Add(-1), key.Revoked, epoch().AddDate(1, 0, 0)} {
			if diff := cmp.Diff([]string{next.JWK.KeyID}, kids(t, set.JWKS(now))); diff != "" {
				t.Errorf("%s, at %s (-want +got):\n%s", name, now, diff)
			}
			if kid := headerOf(t, signAccess(t, set, now, access()))["kid"]; kid != next.JWK.KeyID {
				t.Errorf("%s, at %s it signs", name, now)
			}
			if _, err := set.VerifyExpired(tok, issuer, now); !errors.Is(err, signing.ErrInvalid) || errors.Is(err, signing.ErrUnknownKey) {
				t.Errorf("%s, at %s its token is %v", name, now, err)
			}
		}
		mustRefuse(t, set, name, tok)
		if s := key.String(); !strings.Contains(s, "revoked 2026-03-01T12:30:00Z") {
			t.Errorf("a revoked key prints as %s", s)
		}
	}
	if set, err := signing.NewSet([]signing.Key{leaked}); err == nil {
		t.Errorf("a revoked key alone is %v", set)
	}
	if set, err := signing.NewSet([]signing.Key{next, leaked, leaked}); err == nil {
		t.Errorf("a revoked key twice is %v", set)
	}
	if !leaked.Retired(epoch()).Revoked.Equal(leaked.Revoked) {
		t.Error("a key is good again once it is retired")
	}
}

// TestUnknownKey checks that the error is ErrUnknownKey only for a token that is otherwise
// valid. For any other token, newer keys would not help.
func TestUnknownKey(t *testing.T) {
	ours, newer := newKey(t, signing.ES256, epoch()), newKey(t, signing.ES256, epoch())
	ended := newKey(t, signing.ES256, epoch().Add(-time.Hour)).Retired(epoch())
	set := newSet(t, ours, ended)
	const claims = `"sub":"u","aud":"a","client_id":"c"`
	good := `{"iss":"` + issuer + `",` + claims + `,"exp":4102444800}`
	expired := `{"iss":"` + issuer + `",` + claims + `,"exp":1000000000}`
	nameless := newer
	nameless.JWK.KeyID = ""
	for _, test := range []struct {
		name            string
		tok             string
		verify, expired bool // whether the key is unknown to Verify and VerifyExpired
	}{
		{"a newer key", forge(t, newer, "at+jwt", good), true, true},
		{"a newer key, expired", forge(t, newer, "at+jwt", expired), false, true},
		{"another issuer", forge(t, newer, "at+jwt", strings.Replace(good, issuer, "https://other.example", 1)), false, false},
		{"an id token", forge(t, newer, "JWT", good), false, false},
		{"claims of the wrong shape", forge(t, newer, "at+jwt", strings.Replace(good, `"u"`, `["u"]`, 1)), false, false},
		{"no claims", forge(t, newer, "at+jwt", `[]`), false, false},
		{"no key", forge(t, nameless, "at+jwt", good), false, false},
		{"a key that is no longer published", forge(t, newKeyAs(newer, ended), "at+jwt", good), false, false},
		{"our key, forged", forge(t, newKeyAs(newer, ours), "at+jwt", good), false, false},
		{"no JWS", "rotor_x", false, false},
	} {
		a, err := set.Verify(test.tok, issuer, epoch())
		if !errors.Is(err, signing.ErrInvalid) || errors.Is(err, signing.ErrUnknownKey) != test.verify || !cmp.Equal(a, signing.Access{}) {
			t.Errorf("%s: Verify = %+v, %v", test.name, a, err)
		}
		a, err = set.VerifyExpired(test.tok, issuer, epoch())
		if !errors.Is(err, signing.ErrInvalid) || errors.Is(err, signing.ErrUnknownKey) != test.expired || !cmp.Equal(a, signing.Access{}) {
			t.Errorf("%s: VerifyExpired = %+v, %v", test.name, a, err)
		}
	}
}

// newKeyAs returns a key with the id of another.
func newKeyAs(k, other signing.Key) signing.Key {
	k.JWK.KeyID = other.JWK.KeyID
	return k
}
