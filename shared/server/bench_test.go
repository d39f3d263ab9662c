package server_test

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// benchmarked returns a handler that needs no store, because it answers every refresh as it
// answered the first, and a refresh token for it.
func benchmarked(b *testing.B, alg signing.Algorithm) (q *quiet, refreshToken string) {
	b.Helper()
	rt := &storetest.Replay{Below: embedded.New()}
	table := store.New(embedded.Config(rt), "rotor", store.DefaultRetention)
	if err := table.Create(b.Context()); err != nil {
		b.Fatal(err)
	}
	q = newQuietOver(b, table, alg)
	q.must(b, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	issued := q.must(b, http.MethodPost, "/v1/families",
		`{"user_id":"auth0|0123456789abcdef01234567","client_id":"app","scope":"read write","audience":"https://api.example.com"}`)
	refreshToken, _ = issued["refresh_token"].(string)
	if w := q.serve(http.MethodPost, "/oauth/token", formType, "", refreshForm(refreshToken)); w.Code != http.StatusOK {
		b.Fatal(w.Code, w.Body)
	}
	rt.Below = nil
	return q, refreshToken
}

// BenchmarkRefresh measures a refresh without the network and the store: routing, parameters,
// client, MACs, the SDK's request and its signature, decoding of the answer, the access
// token's signature.
func BenchmarkRefresh(b *testing.B) {
	for _, alg := range []signing.Algorithm{signing.ES256, signing.RS256} {
		b.Run(string(alg), func(b *testing.B) {
			q, tok := benchmarked(b, alg)
			body := refreshForm(tok)
			b.ReportAllocs()
			for b.Loop() {
				if w := q.serve(http.MethodPost, "/oauth/token", formType, "", body); w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}

// BenchmarkBoundRefresh measures the same refresh of a family that is bound to a key, with a proof by it. What it
// takes beside BenchmarkRefresh is the check of the proof.
func BenchmarkBoundRefresh(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.EdDSA, jose.RS256} {
		b.Run("proof by "+string(alg), func(b *testing.B) {
			rt := &storetest.Replay{Below: embedded.New()}
			table := store.New(embedded.Config(rt), "rotor", store.DefaultRetention)
			if err := table.Create(b.Context()); err != nil {
				b.Fatal(err)
			}
			q := newQuietOver(b, table, signing.ES256)
			q.must(b, http.MethodPut, "/v1/clients/app", `{"type":"public","policy":{"dpop":"required"}}`)
			key := newSigner(b, alg)
			jkt, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
			if err != nil {
				b.Fatal(err)
			}
			issued := q.must(b, http.MethodPost, "/v1/families", fmt.Sprintf(
				`{"user_id":"auth0|0123456789abcdef01234567","client_id":"app","scope":"read write","audience":"https://api.example.com","dpop_jkt":%q}`, b64.EncodeToString(jkt)))
			now := q.clock.Now()
			proof := signed(b, alg, key, map[string]any{
				"jti": rand.Text(), "htm": "POST", "htu": "https://rotor.example/oauth/token", "iat": now.Unix(), "nonce": q.keys.Codec.Nonce(now),
			})
			refreshToken, _ := issued["refresh_token"].(string)
			body := refreshForm(refreshToken)
			refresh := func() {
				r := newRequest(http.MethodPost, "/oauth/token", formType, "", body)
				r.Header.Set("DPoP", proof)
				w := httptest.NewRecorder()
				if q.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
			refresh()
			rt.Below = nil
			b.ReportAllocs()
			for b.Loop() {
				refresh()
			}
		})
	}
}

// BenchmarkHandler measures a request without store and signature: a token that is refused for
// its form.
func BenchmarkHandler(b *testing.B) {
	q, tok := benchmarked(b, signing.ES256)
	for _, tt := range []struct{ name, contentType, body string }{
		{"malformed", formType, refreshForm("rotor_x")},
		{"forged", formType, refreshForm(forge(tok))},
		{"forged, JSON", jsonType, object("grant_type", "refresh_token", "client_id", "app", "refresh_token", forge(tok))},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := q.serve(http.MethodPost, "/oauth/token", tt.contentType, "", tt.body); w.Code != http.StatusBadRequest {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
