package signing_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/signing"
)

// TestVerifier checks that a verifier publishes and verifies as the set of the private keys does,
// at any time, and signs nothing.
func TestVerifier(t *testing.T) {
	day := 24 * time.Hour
	old, revoked := newKey(t, signing.RS256, epoch().Add(-day)), newKey(t, signing.ES256, epoch().Add(-day))
	old.Until, revoked.Revoked = epoch().Add(day), epoch().Add(-time.Hour)
	keys := []signing.Key{old, newKey(t, signing.ES256, epoch()), revoked}
	set := newSet(t, keys...)
	for name, given := range map[string][]signing.Key{
		"private halves": keys, "public halves": {keys[0].Retired(keys[0].Until), keys[1].Retired(time.Time{}), keys[2].Retired(time.Time{})},
	} {
		t.Run(name, func(t *testing.T) {
			verifier, err := signing.NewVerifier(given)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []time.Time{epoch().Add(-time.Minute), epoch(), epoch().Add(day - 1), epoch().Add(day)} {
				if want, got := set.JWKS(at), verifier.JWKS(at); string(want) != string(got) {
					t.Errorf("at %v it publishes %s, not %s", at, got, want)
				}
				if want, got := set.Algorithms(at), verifier.Algorithms(at); !reflect.DeepEqual(want, got) {
					t.Errorf("at %v it has the algorithms %v, not %v", at, got, want)
				}
				claims := access()
				claims.IssuedAt, claims.ExpiresAt = at, at.Add(time.Hour)
				tok := signAccess(t, set, at, claims)
				if got, err := verifier.Verify(tok, issuer, at); err != nil || got.Subject != claims.Subject {
					t.Errorf("at %v: %+v, %v", at, got, err)
				}
				if _, err := verifier.SignAccess(at, claims); !errors.Is(err, signing.ErrVerifiesOnly) {
					t.Errorf("it signs an access token: %v", err)
				}
				if _, err := verifier.SignID(at, signing.ID{Issuer: issuer}); !errors.Is(err, signing.ErrVerifiesOnly) {
					t.Errorf("it signs an id token: %v", err)
				}
			}
			forged := newSet(t, newKey(t, signing.ES256, epoch()))
			if _, err := verifier.Verify(signAccess(t, forged, epoch(), access()), issuer, epoch()); !errors.Is(err, signing.ErrUnknownKey) {
				t.Errorf("a token under another key: %v", err)
			}
			if s := fmt.Sprintf("%+v", verifier); strings.Contains(s, "{") {
				t.Errorf("it prints %s", s)
			}
		})
	}
	for name, given := range map[string][]signing.Key{
		"no keys": nil, "an id twice": {keys[0], keys[0]}, "no key in it": {{From: epoch()}},
	} {
		if _, err := signing.NewVerifier(given); err == nil || !strings.HasPrefix(err.Error(), "signing: new verifier: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
