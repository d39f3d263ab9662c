// Package assertiontest has an issuer of assertions for tests, which publishes its keys at
// a loopback address.
package assertiontest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Issuer publishes keys and signs assertions.
type Issuer struct {
	URL string // its identifier; the keys are at /keys below it

	t        testing.TB
	mu       sync.Mutex
	keys     []jose.JSONWebKey // private; the last one signs
	answer   http.HandlerFunc  // nil for the keys
	requests int
}

// New starts an issuer with one ES256 key. It ends with the test.
func New(t testing.TB) *Issuer {
	i := &Issuer{t: t}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		i.requests++
		answer, keys := i.answer, JWKS(t, i.keys...)
		i.mu.Unlock()
		if answer != nil {
			answer(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write([]byte(keys))
	}))
	t.Cleanup(srv.Close)
	i.URL = srv.URL
	i.Publish(NewKey(t, jose.ES256, "k1"))
	return i
}

// JWKSURI returns the address of the keys.
func (i *Issuer) JWKSURI() string { return i.URL + "/keys" }

// Publish replaces the keys. The last one signs from then on.
func (i *Issuer) Publish(keys ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Answer makes the issuer answer requests for its keys with h, and with the keys again if h
// is nil.
func (i *Issuer) Answer(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = h
}

// Requests returns how often the keys were asked for.
func (i *Issuer) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// Sign returns an assertion with the given claims, signed by the last key.
func (i *Issuer) Sign(claims map[string]any) string {
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return Sign(i.t, key, map[string]any{"typ": "JWT"}, claims)
}

// NewKey returns a new private key for an algorithm. RSA keys of one test run have only two
// moduli, since making them takes long.
func NewKey(t testing.TB, alg jose.SignatureAlgorithm, kid string) jose.JSONWebKey {
	t.Helper()
	k := jose.JSONWebKey{KeyID: kid, Algorithm: string(alg), Use: "sig"}
	var err error
	switch alg {
	case jose.ES256:
		k.Key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		k.Key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		k.Key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.EdDSA:
		_, k.Key, err = ed25519.GenerateKey(rand.Reader)
	default:
		k.Key = rsaKeys()[len(kid)%2]
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for n := range keys {
		keys[n], _ = rsa.GenerateKey(rand.Reader, 2048) // fails only without randomness
	}
	return keys
})

// JWKS returns a JWK Set with the public half of the keys.
func JWKS(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.Public())
	}
	b, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Sign returns a JWT with the given claims, signed by a key with its algorithm, whose header
// has the key's id and the given parameters as well.
func Sign(t testing.TB, key jose.JSONWebKey, header, claims map[string]any) string {
	t.Helper()
	var o jose.SignerOptions
	for name, value := range header {
		o.WithHeader(jose.HeaderKey(name), value)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: key}, &o)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return compact
}

// Raw returns a compact JWS of any header and claims, which are JSON, with the signature that
// sign returns.
func Raw(header, claims string, sign func(input []byte) []byte) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

// SignEd25519 returns the signature of an Ed25519 key.
func SignEd25519(key jose.JSONWebKey, input []byte) []byte {
	return ed25519.Sign(key.Key.(ed25519.PrivateKey), input)
}

// SignES256 returns the signature of a key on P-256 (RFC 7518 §3.4).
func SignES256(t testing.TB, key jose.JSONWebKey, input []byte) []byte {
	t.Helper()
	digest := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, key.Key.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}
