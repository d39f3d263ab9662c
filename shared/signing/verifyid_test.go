package signing_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/signing"
)

// TestVerifyID checks that an id token is accepted at any age while its key is published, and
// that everything else is refused: access tokens, other issuers, other shapes, other keys.
func TestVerifyID(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	set := newSet(t, key)
	id := signing.ID{
		Issuer: issuer, Subject: "u", ClientID: "c", SessionID: "s", IssuedAt: epoch(), ExpiresAt: epoch().Add(time.Hour),
		AuthTime: epoch().Add(-time.Minute), ACR: "a", AMR: []string{"b"}, Nonce: "n",
	}
	tok, err := set.SignID(epoch(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, age := range []time.Duration{0, time.Hour, 1000 * time.Hour} {
		got, err := set.VerifyID(tok, issuer, epoch().Add(age))
		if diff := cmp.Diff(id, got); diff != "" || err != nil {
			t.Errorf("after %v: %v (-want +got):\n%s", age, err, diff)
		}
	}
	if _, err := set.Verify(tok, issuer, epoch()); !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("an id token as an access token: %v", err)
	}
	if _, err := set.VerifyExpired(tok, issuer, epoch()); !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("an id token as an expired access token: %v", err)
	}

	const good = `{"iss":"` + issuer + `","sub":"u","aud":"c","exp":4102444800}`
	if _, err := set.VerifyID(forge(t, key, "JWT", good), issuer, epoch()); err != nil {
		t.Fatalf("the payload is not the reason to refuse: %v", err)
	}
	stranger := newKey(t, signing.ES256, epoch())
	stranger.JWK.KeyID = key.JWK.KeyID
	for what, tok := range map[string]string{
		"an access token":              signAccess(t, set, epoch(), access()),
		"another type":                 forge(t, key, "logout+jwt", good),
		"no type":                      forge(t, key, "", good),
		"another issuer":               forge(t, key, "JWT", strings.Replace(good, issuer, "https://evil.example", 1)),
		"two audiences":                forge(t, key, "JWT", strings.Replace(good, `"c"`, `["c","d"]`, 1)),
		"no audience":                  forge(t, key, "JWT", strings.Replace(good, `"aud":"c",`, "", 1)),
		"no subject":                   forge(t, key, "JWT", strings.Replace(good, `"sub":"u",`, "", 1)),
		"no end":                       forge(t, key, "JWT", strings.Replace(good, `,"exp":4102444800`, "", 1)),
		"a session that is a number":   forge(t, key, "JWT", strings.Replace(good, `"sub"`, `"sid":1,"sub"`, 1)),
		"a list":                       forge(t, key, "JWT", `[]`),
		"the signature of another key": forge(t, stranger, "JWT", good),
		"a line break":                 tok + "\n",
		"nothing":                      "",
	} {
		if got, err := set.VerifyID(tok, issuer, epoch()); !errors.Is(err, signing.ErrInvalid) || errors.Is(err, signing.ErrUnknownKey) || got.Subject != "" {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}

	// A key that the set does not have may be newer than the set.
	newer := newKey(t, signing.ES256, epoch())
	got, err := set.VerifyID(forge(t, newer, "JWT", good), issuer, epoch())
	if !errors.Is(err, signing.ErrUnknownKey) || got.Subject != "" {
		t.Errorf("an unknown key: %v, %v", got, err)
	}
	if _, err := set.VerifyID(forge(t, newer, "JWT", strings.Replace(good, issuer, "x", 1)), issuer, epoch()); errors.Is(err, signing.ErrUnknownKey) {
		t.Error("another issuer's key is looked for")
	}
	revoked := key
	revoked.Revoked = epoch()
	after := newSet(t, revoked, newer)
	if _, err := after.VerifyID(tok, issuer, epoch().Add(time.Minute)); !errors.Is(err, signing.ErrInvalid) || errors.Is(err, signing.ErrUnknownKey) {
		t.Errorf("a revoked key: %v", err)
	}
}
