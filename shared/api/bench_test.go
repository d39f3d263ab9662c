package api_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/token"
)

// instant stands under the SDK and answers at once: there is a public client
// "app" without secrets, and every update of a family succeeds.
type instant struct{ client, family string }

func (i instant) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var body string
	switch operation {
	case "GetItem":
		body = i.client
	case "UpdateItem":
		body = i.family
	default:
		return nil, fmt.Errorf("no answer to %s", operation)
	}
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// benchmarked is a handler without a store, and a refresh token for it.
func benchmarked(b *testing.B, alg signing.Algorithm) (q *quiet, refreshToken string) {
	b.Helper()
	now := storetest.NewClock().Now()
	ms := now.UnixMilli()
	rt := instant{
		client: `{"Item":{"pk":{"S":"clients"},"sk":{"S":"app"},"type":{"S":"public"},"policy":{"S":"{}"},"created_at":{"N":"1"},"updated_at":{"N":"1"}}}`,
		family: fmt.Sprintf(`{"Attributes":{"pk":{"S":"u#x"},"sk":{"S":"f#x"},"user_id":{"S":"auth0|0123456789abcdef01234567"},"client_id":{"S":"app"},`+
			`"counter":{"N":"2"},"rotated_at":{"N":"%d"},"r1":{"N":"0"},"r2":{"N":"0"},"r3":{"N":"0"},"r4":{"N":"0"},"r5":{"N":"0"},"r6":{"N":"0"},"r7":{"N":"0"},`+
			`"rotation_id":{"B":"AAAAAAAAAAA="},"expires_at":{"N":"%d"},"last_used_at":{"N":"%d"},"keep_until":{"N":"%d"},"purge_at":{"N":"%d"},`+
			`"scope":{"L":[{"S":"read"},{"S":"write"}]},"audience":{"S":"https://api.example.com"},"last_ip":{"S":"203.0.113.7"},"last_user_agent":{"S":"Mozilla/5.0"}}}`,
			ms, ms+2592000000, ms, ms/1000+5184000, ms/1000+5184000),
	}
	q = newQuietOver(b, store.New(embedded.Config(rt), "rotor", store.DefaultRetention), alg)
	id, err := family.NewID(q.keys.Codec.UserKey("auth0|0123456789abcdef01234567"), now)
	if err != nil {
		b.Fatal(err)
	}
	return q, q.keys.Codec.Mint(token.Token{Family: id, Counter: 1}, now).Reveal()
}

// BenchmarkRefresh is a refresh, all but the network and the store: routing,
// parameters, client, MACs, the SDK's request and its signature, the answer's
// decoding, the access token's signature.
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

// BenchmarkHandler is what is left without store and signature: a token that is
// refused for what it is.
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
