package signing_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/signing"
)

const issuer = "https://auth.example.com"

// epoch returns the time at which the tests take place.
func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func newKey(tb testing.TB, alg signing.Algorithm, from time.Time) signing.Key {
	tb.Helper()
	key, err := signing.GenerateKey(alg, from)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newSet(tb testing.TB, keys ...signing.Key) *signing.Set {
	tb.Helper()
	set, err := signing.NewSet(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func access() signing.Access {
	return signing.Access{
		Issuer:    issuer,
		Subject:   "user-1",
		Audience:  signing.Audience{"https://api.example.com"},
		ClientID:  "demo-spa",
		Scope:     "openid offline_access",
		SessionID: "01JNWAAAAAAAAAAAAAAAAAAAAA",
		IssuedAt:  epoch(),
		ExpiresAt: epoch().Add(time.Hour),
		AuthTime:  epoch().Add(-time.Minute),
		ACR:       "urn:mfa",
		AMR:       []string{"pwd", "otp"},
	}
}

func signAccess(tb testing.TB, set *signing.Set, now time.Time, a signing.Access) string {
	tb.Helper()
	tok, err := set.SignAccess(now, a)
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// byHand takes a token apart and checks its signature with the standard library
// alone.
func byHand(tb testing.TB, tok string, public any) (header, claims map[string]any) {
	tb.Helper()
	parts := strings.Split(tok, ".")
	if len(parts) != 3 {
		tb.Fatalf("token has %d parts", len(parts))
	}
	header, claims = decodePart(tb, parts[0]), decodePart(tb, parts[1])
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		tb.Fatal(err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch key := public.(type) {
	case *rsa.PublicKey:
		err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
		if err != nil {
			tb.Fatalf("RS256 signature: %v", err)
		}
	case *ecdsa.PublicKey:
		if len(signature) != 64 { // RFC 7518 §3.4: R and S, 32 bytes each
			tb.Fatalf("ES256 signature has %d bytes", len(signature))
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		if !ecdsa.Verify(key, digest[:], r, s) {
			tb.Fatal("ES256 signature is wrong")
		}
	default:
		tb.Fatalf("no check for a %T", public)
	}
	return header, claims
}

func decodePart(tb testing.TB, part string) map[string]any {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		tb.Fatal(err)
	}
	var members map[string]any
	err = json.Unmarshal(raw, &members)
	if err != nil {
		tb.Fatal(err)
	}
	return members
}

func headerOf(tb testing.TB, tok string) map[string]any {
	tb.Helper()
	part, _, _ := strings.Cut(tok, ".")
	return decodePart(tb, part)
}

func encodePart(tb testing.TB, members any) string {
	tb.Helper()
	raw, err := json.Marshal(members)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// forge signs any payload under any header with the key's private half.
func forge(tb testing.TB, key signing.Key, typ, payload string) string {
	tb.Helper()
	options := new(jose.SignerOptions)
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.JWK.Algorithm), Key: key.JWK}, options)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	tok, err := signed.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}
