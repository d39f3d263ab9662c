package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// verifier is a code verifier, and challenge its code challenge.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

const callback = "https://app.example.com/callback"

// authorizing is a client that has a redirect URI.
const authorizing = `{"type":"public","scope":"openid read write","redirect_uris":["` + callback + `","http://127.0.0.1/callback"]}`

// authorizationRequest returns the parameters of an authorization request of "app".
func authorizationRequest(more ...string) map[string]any {
	q := map[string]any{
		"response_type": "code", "client_id": "app", "redirect_uri": callback, "scope": "openid read", "state": "s t",
		"code_challenge": challengeOf(verifier), "code_challenge_method": "S256", "nonce": "n-1",
	}
	for i := 0; i < len(more); i += 2 {
		if q[more[i]] = more[i+1]; more[i+1] == "" {
			delete(q, more[i])
		}
	}
	return q
}

// authorize posts the request of a user, with more members of the body.
func (w *world) authorize(request map[string]any, more ...any) answer {
	w.t.Helper()
	body := map[string]any{"user_id": "alice", "request": request}
	for i := 0; i < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.send(http.MethodPost, "/v1/authorize", jsonType, string(b))
}

// code authorizes alice in "app" and returns the code.
func (w *world) code(more ...string) string {
	w.t.Helper()
	a := w.authorize(authorizationRequest(more...))
	to, err := url.Parse(a.text("redirect_to"))
	if err != nil || a.status != http.StatusOK || to.Query().Get("code") == "" {
		w.t.Fatalf("authorize got %v", a)
	}
	return to.Query().Get("code")
}

// exchangeForm returns a request of "app" that exchanges a code.
func exchangeForm(code string, more ...string) string {
	v := url.Values{"grant_type": {"authorization_code"}, "client_id": {"app"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback}}
	for i := 0; i < len(more); i += 2 {
		if v.Set(more[i], more[i+1]); more[i+1] == "" {
			v.Del(more[i])
		}
	}
	return v.Encode()
}

func (w *world) exchange(code string, more ...string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/token", formType, exchangeForm(code, more...))
}

// TestCode walks from an authorization request to a refresh.
func TestCode(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", authorizing)
	a := w.authorize(authorizationRequest())
	to, err := url.Parse(a.text("redirect_to"))
	if err != nil || to.Query().Get("state") != "s t" || to.Query().Get("iss") != w.servers[0].URL {
		t.Fatalf("got %v", a)
	}
	w.clock.Advance(59 * time.Second)
	first := w.exchange(to.Query().Get("code"))
	if first.status != http.StatusOK || first.text("scope") != "openid read" {
		t.Fatalf("got %v", first)
	}
	if _, claims := decodeJWT(t, first.text("id_token")); claims["nonce"] != "n-1" {
		t.Fatalf("the id token has %v", claims)
	}
	w.clock.Advance(61 * time.Second)
	again := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(first.text("refresh_token"), "client_id", "app"))
	if again.status != http.StatusOK || again.text("refresh_token") == first.text("refresh_token") {
		t.Fatalf("got %v", again)
	}
	if _, claims := decodeJWT(t, again.text("id_token")); claims["nonce"] != nil {
		t.Fatalf("the second id token has %v", claims)
	}
	if n := len(w.logged("seacft")); n != 1 {
		t.Fatalf("%d exchanges are in the log", n)
	}
}
