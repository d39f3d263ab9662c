package console

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/clients/manage"
)

// holder has the key of a session.
type holder struct {
	w     *world
	key   *ecdsa.PrivateKey
	nonce string
}

func newHolder(w *world) *holder {
	w.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.tb.Fatal(err)
	}
	return &holder{w: w, key: key}
}

// jkt returns the thumbprint of the key.
func (h *holder) jkt() string {
	h.w.tb.Helper()
	sum, err := (&jose.JSONWebKey{Key: h.key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		h.w.tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// refresh returns the refresh token that it gets, also if the service wants another nonce first.
func (h *holder) refresh(token string) string {
	h.w.tb.Helper()
	var answer struct {
		Token string `json:"refresh_token"`
		Error string `json:"error"`
	}
	for range 2 {
		payload, err := json.Marshal(map[string]any{
			"jti": rand.Text(), "htm": "POST", "htu": h.w.issuer + "/oauth/token", "iat": h.w.clock.Now().Unix(), "nonce": h.nonce,
		})
		if err != nil {
			h.w.tb.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: h.key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
		if err != nil {
			h.w.tb.Fatal(err)
		}
		signed, err := signer.Sign(payload)
		if err != nil {
			h.w.tb.Fatal(err)
		}
		proof, err := signed.CompactSerialize()
		if err != nil {
			h.w.tb.Fatal(err)
		}
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token}}
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("DPoP", proof)
		rw := httptest.NewRecorder()
		h.w.service.ServeHTTP(rw, r)
		if err := json.Unmarshal(rw.Body.Bytes(), &answer); err != nil {
			h.w.tb.Fatal(err)
		}
		if h.nonce = rw.Header().Get("DPoP-Nonce"); answer.Error != "use_dpop_nonce" {
			break
		}
	}
	return answer.Token
}

// TestBoundSession checks what the pages say of a session that is bound to a key: the key, and the use of an old token.
func TestBoundSession(t *testing.T) {
	w := newWorld(t)
	w.register("app", &manage.Settings{Type: "public", Policy: map[string]any{"dpop": "required"}})
	w.register("other", &manage.Settings{Type: "public"})
	h := newHolder(w)
	first := w.login(&manage.Login{UserID: "alice", DPoPJKT: h.jkt()})
	w.clock.Advance(2 * time.Minute)
	second := h.refresh(first.RefreshToken)
	w.clock.Advance(3 * time.Hour)
	if newest := h.refresh(first.RefreshToken); newest == "" || newest != second {
		t.Fatalf("the first token got %q, and the newest is %q", newest, second)
	}
	w.explain(first.RefreshToken).wants(t, "Bound to the key", "<code>"+h.jkt()+"</code>", `class="verdict valid"`,
		"Token 1 came back outside the reuse interval, with a proof of the family’s key: token 2 was sent.", `class="use late"`, "late, with the key")
	w.explain(w.login(&manage.Login{UserID: "bob", ClientID: "other"}).RefreshToken).lacks(t, "Bound to the key")
	w.get("/console/events?type=late_use").wants(t, "late use with the key", "Token 1 came 3 h after it was superseded, with a proof of the session’s key, and got the newest, 2.")
	w.get("/console/clients/app").wants(t, "<dt>DPoP</dt><dd>required</dd>")
	w.get("/console/clients/app/policy").wants(t, `name="dpop"`, `<option value="required" selected>required</option>`)
}
