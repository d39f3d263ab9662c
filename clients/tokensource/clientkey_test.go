package tokensource_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// keyed registers the client "keyed" with the public half of a key, under the id k.
func (w *world) keyed(key crypto.Signer) {
	w.t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Use: "sig"}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.call(http.MethodPut, "/v1/clients/keyed", `{"type":"confidential","policy":{"access_token_lifetime":600},"jwks":`+string(set)+`}`)
}

func newECKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestClientKey checks that a client refreshes by its key, of each kind, and that a lost answer is asked for
// again by another assertion, whose successor is the same.
func TestClientKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"RSA": rsaKey, "P-256": newECKey(t, elliptic.P256()), "P-384": newECKey(t, elliptic.P384()), "Ed25519": edKey,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.keyed(key)
			for _, id := range []string{"k", ""} {
				store := tokensource.NewMemory()
				src := w.source("keyed", store, nil, tokensource.WithClientKey(w.server.URL, key, id))
				issued, family := w.login("keyed")
				if err := src.Login(t.Context(), issued); err != nil {
					t.Fatal(err)
				}
				w.clock.Advance(10 * time.Minute)
				w.good(src)
				w.wire.breaks(first(lost))
				w.clock.Advance(10 * time.Minute)
				w.good(src)
				w.wire.breaks(nil)
				if n, status := w.family(family); n != 3 || status != "active" {
					t.Errorf("the family is %s at %d", status, n)
				}
			}
		})
	}
}

// TestClientKeyOfAnother checks that a client whose key the service does not know keeps its session: it is
// not the refresh token that was refused.
func TestClientKeyOfAnother(t *testing.T) {
	w := newWorld(t)
	key := newECKey(t, elliptic.P256())
	w.keyed(key)
	store := tokensource.NewMemory()
	issued, _ := w.login("keyed")
	wrong := w.source("keyed", store, nil, tokensource.WithClientKey(w.server.URL, newECKey(t, elliptic.P256()), "k"))
	if err := wrong.Login(t.Context(), issued); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Minute)
	_, err := wrong.Token()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" || errors.Is(err, tokensource.ErrLoginRequired) {
		t.Errorf("got %v", err)
	}
	w.good(w.source("keyed", store, nil, tokensource.WithClientKey(w.server.URL, key, "k")))
}

// failing is a key that cannot sign, as if its HSM could not be reached.
type failing struct {
	crypto.Signer
	broken atomic.Bool
}

var errKey = errors.New("the HSM is down")

func (f *failing) Sign(random io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if f.broken.Load() {
		return nil, errKey
	}
	return f.Signer.Sign(random, digest, o)
}

// TestClientKeyThatFails checks that nothing is sent without a signature, and that the session goes on once
// the key signs again, also by a provider that accepts no token twice.
func TestClientKeyThatFails(t *testing.T) {
	w := newWorld(t)
	key := &failing{Signer: newECKey(t, elliptic.P256())}
	w.keyed(key)
	src := w.source("keyed", tokensource.NewMemory(), nil, tokensource.WithClientKey(w.server.URL, key, "k"), tokensource.WithReuseInterval(0))
	issued, _ := w.login("keyed")
	if err := src.Login(t.Context(), issued); err != nil {
		t.Fatal(err)
	}
	key.broken.Store(true)
	w.clock.Advance(10 * time.Minute)
	before := w.arrived.Load()
	if _, err := src.Token(); !errors.Is(err, errKey) || w.arrived.Load() != before {
		t.Errorf("%v, after %d requests", err, w.arrived.Load()-before)
	}
	key.broken.Store(false)
	w.good(src)
}

// TestClientKeyAlone checks what a request has by which the client authenticates: an assertion of its own,
// no header, and the parameters of WithParams beside it. An answer that repeats it shows nowhere.
func TestClientKeyAlone(t *testing.T) {
	p := newProvider(t, func(rw http.ResponseWriter, r *http.Request, n int) {
		assertion := r.PostForm.Get("client_assertion")
		trail.secrets(map[string]any{"client_assertion": assertion})
		if n == 3 {
			writeJSON(rw, 400, fmt.Sprintf(`{"error":"invalid_client","error_description":"not %s"}`, assertion))
			return
		}
		writeJSON(rw, 200, fmt.Sprintf(`{"access_token":"secret-a%d","expires_in":600}`, n))
	})
	key := newECKey(t, elliptic.P256())
	conf := oauth2.Config{ClientID: "keyed", Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInHeader}}
	src, clock := p.source(t, conf, tokensource.WithClientKey("https://issuer.example", key, "k"), tokensource.WithParams(map[string][]string{"scope": {"read"}}))
	for range 2 {
		if _, err := src.Token(); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Hour)
	}
	_, err := src.Token()
	trail.print(err, src)
	seen := map[string]bool{}
	for n, form := range p.forms {
		signed, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		payload, err := signed.Verify(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		var claims struct {
			Issuer   string `json:"iss"`
			Subject  string `json:"sub"`
			Audience string `json:"aud"`
			ID       string `json:"jti"`
			Made     int64  `json:"iat"`
			Expiry   int64  `json:"exp"`
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		if claims.Issuer != "keyed" || claims.Subject != "keyed" || claims.Audience != "https://issuer.example" || claims.Expiry != claims.Made+60 ||
			seen[claims.ID] || signed.Signatures[0].Header.KeyID != "k" {
			t.Errorf("request %d says %+v", n, claims)
		}
		seen[claims.ID] = true
		if p.auth[n] != ":" || form.Get("client_id") != "keyed" || form.Get("scope") != "read" || form.Has("client_secret") ||
			form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
			t.Errorf("request %d has %q in its header, and %s", n, p.auth[n], mapKeys(form))
		}
	}
	if len(seen) != 3 {
		t.Errorf("there were %d requests", len(seen))
	}
}

// unknownKey is a key of no kind that is known.
type unknownKey struct{}

func (unknownKey) Public() crypto.PublicKey                                  { return "x" }
func (unknownKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errKey }

// TestWrongClientKey checks that a key which cannot be used is an error of each call, before anything is sent.
func TestWrongClientKey(t *testing.T) {
	for name, conf := range map[string]*oauth2.Config{
		"a secret as well": {ClientID: "c", ClientSecret: "secret-s"}, "an unknown kind": {ClientID: "c"},
	} {
		var key crypto.Signer = unknownKey{}
		if conf.ClientSecret != "" {
			key = newECKey(t, elliptic.P256())
		}
		src := tokensource.New(conf, tokensource.NewMemory(), tokensource.WithClientKey("https://issuer.example", key, ""))
		if err := src.Login(t.Context(), &oauth2.Token{RefreshToken: "r"}); err == nil {
			t.Errorf("%s: no error of a login", name)
		}
		if _, err := src.Token(); err == nil || errors.Is(err, tokensource.ErrLoginRequired) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
