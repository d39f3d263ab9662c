package signing_test

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/signing"
)

func mustRefuse(t *testing.T, set *signing.Set, what, tok string) {
	t.Helper()
	a, err := set.Verify(tok, issuer, epoch())
	if !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("%s: got %v, %v; want ErrInvalid", what, a, err)
	}
	_, err = set.VerifyExpired(tok, issuer, epoch())
	if !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("%s, expired or not: got %v, want ErrInvalid", what, err)
	}
}

func TestVerifyRefusesAlgorithmConfusion(t *testing.T) {
	rsaKey, ecKey := newKey(t, signing.RS256, epoch()), newKey(t, signing.ES256, epoch().Add(time.Hour))
	set := newSet(t, rsaKey, ecKey)
	genuine := signAccess(t, set, epoch(), access())
	if _, err := set.Verify(genuine, issuer, epoch()); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(genuine, ".")
	payload, signature, _ := strings.Cut(rest, ".")

	for _, alg := range []string{"none", "None", "", "HS256", "RS384", "PS256", "ES256"} {
		header := encodePart(t, map[string]any{"alg": alg, "kid": rsaKey.JWK.KeyID, "typ": "at+jwt"})
		mustRefuse(t, set, fmt.Sprintf("alg %q, signature kept", alg), header+"."+payload+"."+signature)
		mustRefuse(t, set, fmt.Sprintf("alg %q, no signature", alg), header+"."+payload+".")
	}

	// This is HS256 with the public key as the secret.
	der := x509.MarshalPKCS1PublicKey(rsaKey.JWK.Public().Key.(*rsa.PublicKey))
	pkix, err := x509.MarshalPKIXPublicKey(rsaKey.JWK.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := rsaKey.JWK.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	header := encodePart(t, map[string]any{"alg": "HS256", "kid": rsaKey.JWK.KeyID, "typ": "at+jwt"})
	for what, secret := range map[string][]byte{
		"PKCS #1": der, "PKIX": pkix, "JWK": jwk, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}),
	} {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(header + "." + payload))
		mustRefuse(t, set, "HS256 under the public key as "+what,
			header+"."+payload+"."+base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
	}

	// Each key's signature is sent under the other's id.
	claims := `{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":4102444800}`
	if _, err := set.Verify(forge(t, rsaKey, "at+jwt", claims), issuer, epoch()); err != nil {
		t.Fatalf("the payload is not the reason to refuse: %v", err)
	}
	crossed := rsaKey
	crossed.JWK.KeyID = ecKey.JWK.KeyID
	mustRefuse(t, set, "RS256 under the id of an ES256 key", forge(t, crossed, "at+jwt", claims))
	crossed = ecKey
	crossed.JWK.KeyID = rsaKey.JWK.KeyID
	mustRefuse(t, set, "ES256 under the id of an RS256 key", forge(t, crossed, "at+jwt", claims))

	// A key in the token itself is not accepted.
	stranger := newKey(t, signing.RS256, epoch())
	mustRefuse(t, set, "unknown kid", forge(t, stranger, "at+jwt", claims))
	stranger.JWK.KeyID = rsaKey.JWK.KeyID
	mustRefuse(t, set, "another key under our kid", forge(t, stranger, "at+jwt", claims))
	stranger.JWK.KeyID = ""
	mustRefuse(t, set, "no kid", forge(t, stranger, "at+jwt", claims))
}

// TestVerifyRefusesOtherAlgorithms checks that our own key with another algorithm is not
// accepted.
func TestVerifyRefusesOtherAlgorithms(t *testing.T) {
	key := newKey(t, signing.RS256, epoch())
	set := newSet(t, key)
	claims := `{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":4102444800}`
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.RS512} {
		private := key.JWK
		private.Algorithm = string(alg)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: private}, new(jose.SignerOptions).WithType("at+jwt"))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		tok, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Verify(tok, issuer, epoch()); alg == jose.RS256 && err != nil {
			t.Fatal(err)
		}
		if alg != jose.RS256 {
			mustRefuse(t, set, string(alg), tok)
		}
	}
}

func TestVerifyType(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	set := newSet(t, key)
	claims := `{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":4102444800}`
	for _, typ := range []string{"at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"} {
		if _, err := set.Verify(forge(t, key, typ, claims), issuer, epoch()); err != nil {
			t.Errorf("typ %q: %v", typ, err)
		}
	}
	for _, typ := range []string{"", "JWT", "jwt", "at", "jwt+at", "at+jwt ", "text/at+jwt", "logout+jwt"} {
		mustRefuse(t, set, fmt.Sprintf("typ %q", typ), forge(t, key, typ, claims))
	}
	id, err := set.SignID(epoch(), signing.ID{
		Issuer: issuer, Subject: "u", ClientID: "c", IssuedAt: epoch(), ExpiresAt: epoch().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, set, "an id token", id)
}

func TestVerifyRefusesTampering(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		t.Run(string(alg), func(t *testing.T) {
			set := newSet(t, newKey(t, alg, epoch()))
			tok := signAccess(t, set, epoch(), access())
			refused := 0
			for i := range tok {
				for _, c := range []byte{'A', 'B', '-', '.', '=', '\n', ' '} {
					if tok[i] == c {
						continue
					}
					mustRefuse(t, set, fmt.Sprintf("byte %d as %q", i, c), tok[:i]+string(c)+tok[i+1:])
					refused++
				}
			}
			if refused < 6*len(tok) {
				t.Errorf("tried only %d changes", refused)
			}
			for i := range len(tok) {
				if i%7 == 0 || i > len(tok)-8 {
					mustRefuse(t, set, fmt.Sprintf("cut to %d", i), tok[:i])
				}
			}
			for _, s := range []string{"\n", " ", "=", ".", "A", ".."} {
				mustRefuse(t, set, fmt.Sprintf("followed by %q", s), tok+s)
				mustRefuse(t, set, fmt.Sprintf("preceded by %q", s), s+tok)
			}
		})
	}
}

func TestVerifyMalformed(t *testing.T) {
	set := newSet(t, newKey(t, signing.ES256, epoch()))
	for _, tok := range []string{
		"", ".", "..", "...", "a.b.c", "rotor_AAAA", "{}", "e30.e30.", "e30.e30.e30", strings.Repeat("A", 16<<10),
		`{"payload":"e30","protected":"e30","signature":"e30"}`, "bnVsbA.bnVsbA.bnVsbA",
	} {
		mustRefuse(t, set, fmt.Sprintf("%.20q", tok), tok)
	}
}

func TestVerifyClaims(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	set := newSet(t, key)
	for _, payload := range []string{
		``, `null`, `[]`, `"x"`, `{}`, `{`,
		`{"iss":"` + issuer + `/","sub":"u","aud":"a","client_id":"c","exp":4102444800}`,
		`{"sub":"u","aud":"a","client_id":"c","exp":4102444800}`,
		`{"ISS":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":4102444800}`,
		`{"iss":["` + issuer + `"],"sub":"u","aud":"a","client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","aud":"a","client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":7,"aud":"a","client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"","client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":[],"client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":["a",""],"client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":["a",1],"client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":{"a":"b"},"client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":null,"client_id":"c","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","exp":4102444800}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c"}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":"4102444800"}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":1e300}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":-1}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":9223372036854775807}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":4102444800,"amr":["a",1]}`,
		`{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":4102444800,"amr":"a"}`,
	} {
		mustRefuse(t, set, payload, forge(t, key, "at+jwt", payload))
	}
}

// TestVerifyExpiry checks that a token is not accepted on or after its "exp" (RFC 7519
// §4.1.4).
func TestVerifyExpiry(t *testing.T) {
	set := newSet(t, newKey(t, signing.ES256, epoch()))
	a := access()
	a.ExpiresAt = epoch().Add(time.Hour + 999*time.Millisecond) // the token has whole seconds
	tok := signAccess(t, set, epoch(), a)
	end := epoch().Add(time.Hour)
	for _, now := range []time.Time{epoch(), end.Add(-time.Second), end.Add(-time.Nanosecond)} {
		if _, err := set.Verify(tok, issuer, now); err != nil {
			t.Errorf("at %s: %v", now, err)
		}
	}
	for _, now := range []time.Time{end, end.Add(time.Nanosecond), end.Add(time.Second), end.AddDate(1, 0, 0)} {
		if _, err := set.Verify(tok, issuer, now); !errors.Is(err, signing.ErrInvalid) {
			t.Errorf("at %s: %v, want ErrInvalid", now, err)
		}
		got, err := set.VerifyExpired(tok, issuer, now)
		if err != nil {
			t.Errorf("VerifyExpired at %s: %v", now, err)
		}
		if got.Subject != a.Subject || got.SessionID != a.SessionID {
			t.Errorf("VerifyExpired gave %v", got)
		}
	}
	if _, err := set.VerifyExpired(tok, "https://other.example.com", end); !errors.Is(err, signing.ErrInvalid) {
		t.Errorf("another issuer: %v", err)
	}
}

// TestVerifyRetiredKey checks that a token is accepted for as long as its key is published,
// whether or not the key still has its private half.
func TestVerifyRetiredKey(t *testing.T) {
	old, next := newKey(t, signing.ES256, epoch()), newKey(t, signing.RS256, epoch().Add(time.Minute))
	tok := signAccess(t, newSet(t, old, next), epoch(), access())
	end := epoch().Add(30 * time.Minute)
	set := newSet(t, old.Retired(end), next)
	if _, err := set.Verify(tok, issuer, end.Add(-time.Nanosecond)); err != nil {
		t.Error(err)
	}
	for _, verify := range []func(string, string, time.Time) (signing.Access, error){set.Verify, set.VerifyExpired} {
		if _, err := verify(tok, issuer, end); !errors.Is(err, signing.ErrInvalid) {
			t.Errorf("after the key's end: %v", err)
		}
	}
}

// TestVerifyErrorsHoldNoToken checks that errors, which may be logged, contain nothing of the
// token.
func TestVerifyErrorsHoldNoToken(t *testing.T) {
	set := newSet(t, newKey(t, signing.ES256, epoch()))
	tok := signAccess(t, set, epoch(), access())
	parts := strings.Split(tok, ".")
	for _, bad := range []string{tok + "A", parts[0] + "." + parts[1], parts[1] + "." + parts[1] + "." + parts[2]} {
		_, err := set.Verify(bad, issuer, epoch())
		if err == nil {
			t.Fatal("accepted")
		}
		for _, part := range parts {
			if strings.Contains(err.Error(), part) {
				t.Errorf("error holds part of the token: %v", err)
			}
		}
	}
}
