package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAuthorizeErrors checks which requests are answered with an error that the client is told.
func TestAuthorizeErrors(t *testing.T) {
	w := newCodeWorld(t)
	for _, tt := range []struct {
		name   string
		change []string
		err    string
	}{
		{"no response type", []string{"response_type", ""}, "invalid_request"},
		{"another response type", []string{"response_type", "token"}, "unsupported_response_type"},
		{"a hybrid", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"another response mode", []string{"response_mode", "fragment"}, "invalid_request"},
		{"no challenge", []string{"code_challenge", ""}, "invalid_request"},
		{"no method", []string{"code_challenge_method", ""}, "invalid_request"},
		{"the method plain", []string{"code_challenge_method", "plain"}, "invalid_request"},
		{"a short challenge", []string{"code_challenge", challengeOf(verifier)[1:]}, "invalid_request"},
		{"a challenge in hexadecimal", []string{"code_challenge", strings.Repeat("ab", 32)}, "invalid_request"},
		{"a challenge with stray bits", []string{"code_challenge", challengeOf(verifier)[:42] + "B"}, "invalid_request"},
		{"a malformed scope", []string{"scope", "a\"b"}, "invalid_scope"},
		{"a scope that is not the client's", []string{"scope", "admin"}, "invalid_scope"},
		{"another resource", []string{"resource", "https://other.example"}, "invalid_target"},
		{"a long nonce", []string{"nonce", strings.Repeat("n", 256)}, "invalid_request"},
		{"a control character in the nonce", []string{"nonce", "a\nb"}, "invalid_request"},
		{"a max_age that is none", []string{"max_age", "-1"}, "invalid_request"},
		{"a request object", []string{"request", "eyJ"}, "request_not_supported"},
		{"a request URI", []string{"request_uri", "https://app.example.com/r"}, "request_uri_not_supported"},
	} {
		before := len(w.logged("sapi"))
		a := w.authorize(authorizationRequest(tt.change...))
		to, err := url.Parse(a.text("redirect_to"))
		if err != nil || a.status != http.StatusOK || !strings.HasPrefix(a.text("redirect_to"), callback+"?") {
			t.Errorf("%s: got %v", tt.name, a)
			continue
		}
		q := to.Query()
		if q.Get("error") != tt.err || a.text("error") != tt.err || q.Get("code") != "" || q.Get("state") != "s t" || q.Get("iss") != w.servers[0].URL || q.Get("error_description") == "" {
			t.Errorf("%s: sent to %v", tt.name, to)
		}
		if line := w.operation(before); line["reason"] != tt.err || line["familyId"] != nil {
			t.Errorf("%s: the log has %v", tt.name, line)
		}
	}
	for _, name := range []string{"response_type", "scope", "code_challenge", "code_challenge_method", "nonce"} {
		q := authorizationRequest()
		q[name] = []any{q[name], q[name]}
		if a := w.authorize(q); a.text("error") != "invalid_request" {
			t.Errorf("%s twice: got %v", name, a)
		}
	}
	plain := strings.Replace(authorizeBody("alice", authorizationRequest()), `"request":{`, `"request":{"code_challenge_method":"plain",`, 1)
	if a := w.send(http.MethodPost, "/v1/authorize", jsonType, plain); a.text("error") != "invalid_request" {
		t.Errorf("a method twice in the JSON: got %v", a)
	}
	families := w.send(http.MethodGet, "/v1/families?user_id=alice", "", "")
	if n := len(families.json["families"].([]any)); n != 0 {
		t.Errorf("%d families have begun", n)
	}
}

// TestAuthorizeRefused checks which requests the login must show to its user, and not redirect.
func TestAuthorizeRefused(t *testing.T) {
	w := newCodeWorld(t)
	twice := func(name string, value any) map[string]any {
		q := authorizationRequest()
		q[name] = []any{value, value}
		return q
	}
	for _, tt := range []struct {
		name, field string
		body        string
	}{
		{"no client", "request.client_id", authorizeBody("alice", authorizationRequest("client_id", ""))},
		{"an unknown client", "request.client_id", authorizeBody("alice", authorizationRequest("client_id", "nobody"))},
		{"a client twice", "request.client_id", authorizeBody("alice", twice("client_id", "app"))},
		{"no redirect URI", "request.redirect_uri", authorizeBody("alice", authorizationRequest("redirect_uri", ""))},
		{"another redirect URI", "request.redirect_uri", authorizeBody("alice", authorizationRequest("redirect_uri", callback+"/x"))},
		{"a redirect URI with a query", "request.redirect_uri", authorizeBody("alice", authorizationRequest("redirect_uri", callback+"?x=1"))},
		{"a redirect URI twice", "request.redirect_uri", authorizeBody("alice", twice("redirect_uri", callback))},
		{"another loopback path", "request.redirect_uri", authorizeBody("alice", authorizationRequest("redirect_uri", "http://127.0.0.1:8000/other"))},
		{"a state twice", "request.state", authorizeBody("alice", twice("state", "s"))},
		{"a long state", "request.state", authorizeBody("alice", authorizationRequest("state", strings.Repeat("s", 4097)))},
		{"no request", "request", `{"user_id":"alice"}`},
		{"a request that is no object", "request", `{"user_id":"alice","request":"client_id=app"}`},
		{"a number in the request", "request", `{"user_id":"alice","request":{"client_id":1}}`},
		{"no user", "user_id", authorizeBody("", authorizationRequest())},
		{"a client twice in the JSON", "request.client_id", `{"user_id":"alice","request":{"client_id":"other","client_id":"app"}}`},
		{"a redirect URI twice in the JSON", "request.redirect_uri", `{"user_id":"alice","request":{"client_id":"app","redirect_uri":"https://evil.example/","redirect_uri":"` + callback + `"}}`},
		{"a user and an error", "error", authorizeBody("alice", authorizationRequest(), "error", "access_denied")},
		{"an error that is none", "error", authorizeBody("", authorizationRequest(), "error", "nope")},
		{"a client beside the request", "client_id", authorizeBody("alice", authorizationRequest(), "client_id", "app")},
		{"no time of authentication", "auth_time", authorizeBody("alice", authorizationRequest("max_age", "60"))},
		{"a scope that is not the client's", "scope", authorizeBody("alice", authorizationRequest(), "scope", "admin")},
		{"claims that Rotor sets", "claims.sub", authorizeBody("alice", authorizationRequest(), "claims", map[string]any{"sub": "x"})},
	} {
		a := w.send(http.MethodPost, "/v1/authorize", jsonType, tt.body)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, `"`+tt.field+`"`) || strings.Contains(a.body, "redirect_to") {
			t.Errorf("%s: got %v", tt.name, a)
		}
	}
}

// TestAuthorizeDenied passes on that the login did not let the user in.
func TestAuthorizeDenied(t *testing.T) {
	w := newCodeWorld(t)
	for _, code := range []string{
		"access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required", "invalid_request", "server_error", "temporarily_unavailable",
	} {
		a := w.send(http.MethodPost, "/v1/authorize", jsonType, authorizeBody("", authorizationRequest("response_type", ""), "error", code, "user_id", nil))
		to, err := url.Parse(a.text("redirect_to"))
		if err != nil || to.Query().Get("error") != code || to.Query().Get("state") != "s t" || a.text("error") != code {
			t.Errorf("%s: got %v", code, a)
		}
	}
}

// TestAuthorizeGrants checks what the family gets of what was asked for, and of what the login
// says.
func TestAuthorizeGrants(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","scope":"openid read write","audience":["https://a.example","https://b.example"],"redirect_uris":["com.example.app:/cb","http://127.0.0.1/cb?x=1"]}`)
	at := w.clock.Now().Add(-time.Minute).Truncate(time.Second)
	for _, tt := range []struct {
		name    string
		request map[string]any
		more    []any
		want    map[string]any // claims of the access token
	}{
		{"as asked", authorizationRequest("scope", "read offline_access profile"), nil, map[string]any{"scope": "read", "aud": []any{"https://a.example", "https://b.example"}}},
		{"no scope asked for", authorizationRequest("scope", ""), nil, map[string]any{"scope": "openid read write"}},
		{"less by consent", authorizationRequest(), []any{"scope", "read"}, map[string]any{"scope": "read"}},
		{"a resource", authorizationRequest("resource", "https://b.example"), nil, map[string]any{"aud": "https://b.example"}},
		{"a resource of the login's audience", authorizationRequest("resource", "https://c.example"), []any{"audience", []string{"https://c.example", "https://d.example"}}, map[string]any{"aud": "https://c.example"}},
		{"what the login knows", authorizationRequest("max_age", "60"), []any{"auth_time", at.Format(time.RFC3339), "acr", "aal2", "amr", []string{"pwd"}, "claims", map[string]any{"tenant": "t"}}, map[string]any{"auth_time": json.Number(strconv.FormatInt(at.Unix(), 10)), "acr": "aal2", "tenant": "t"}},
	} {
		tt.request["redirect_uri"] = "com.example.app:/cb"
		a := w.authorize(tt.request, tt.more...)
		to, err := url.Parse(a.text("redirect_to"))
		if err != nil || !strings.HasPrefix(a.text("redirect_to"), "com.example.app:/cb?") {
			t.Fatalf("%s: got %v", tt.name, a)
		}
		got := w.exchange(to.Query().Get("code"), "redirect_uri", "com.example.app:/cb")
		_, claims := decodeJWT(t, got.text("access_token"))
		for name, want := range tt.want {
			if !reflect.DeepEqual(claims[name], want) {
				t.Errorf("%s: %s is %v, not %v", tt.name, name, claims[name], want)
			}
		}
	}
	// A native app listens on the port that it gets (RFC 8252 §7.3), and the URI's own query is kept.
	a := w.authorize(authorizationRequest("redirect_uri", "http://127.0.0.1:51004/cb?x=1", "state", ""))
	if !strings.HasPrefix(a.text("redirect_to"), "http://127.0.0.1:51004/cb?x=1&code=") || strings.Contains(a.text("redirect_to"), "state=") {
		t.Fatalf("got %v", a)
	}
	to, _ := url.Parse(a.text("redirect_to"))
	if b := w.exchange(to.Query().Get("code"), "redirect_uri", "http://127.0.0.1:51005/cb?x=1"); !b.codeRefused() {
		t.Errorf("from another port: %v", b)
	}
	if b := w.exchange(to.Query().Get("code"), "redirect_uri", "http://127.0.0.1:51004/cb?x=1"); b.status != http.StatusOK {
		t.Errorf("from the same port: %v", b)
	}
}

// TestAuthorizeWithoutAScope checks that a request of a client without a registered scope is
// granted none: the request comes from a browser, which may ask for anything. The login may
// grant any.
func TestAuthorizeWithoutAScope(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","redirect_uris":["`+callback+`"]}`)
	for _, asked := range []string{"admin", "openid", "openid admin"} {
		if a := w.authorize(authorizationRequest("scope", asked)); a.text("error") != "invalid_scope" {
			t.Errorf("%s was asked for: got %v", asked, a)
		}
	}
	for _, tt := range []struct {
		asked string
		more  []any
		want  any
	}{
		{"", nil, nil},
		{"admin", []any{"scope", ""}, nil},
		{"openid admin", []any{"scope", "openid read"}, "openid read"},
	} {
		a := w.authorize(authorizationRequest("scope", tt.asked), tt.more...)
		to, err := url.Parse(a.text("redirect_to"))
		if err != nil {
			t.Fatal(err)
		}
		if got := w.exchange(to.Query().Get("code")); got.status != http.StatusOK || got.json["scope"] != tt.want {
			t.Errorf("%q was asked for, and the login says %v: got %v", tt.asked, tt.more, got)
		}
	}
}

// TestAuthorizeAgain repeats a call with an Idempotency-Key.
func TestAuthorizeAgain(t *testing.T) {
	w := newCodeWorld(t)
	send := func(request map[string]any) answer {
		return w.send(http.MethodPost, "/v1/authorize", jsonType, authorizeBody("alice", request), "Idempotency-Key", "k")
	}
	first, again := send(authorizationRequest()), send(authorizationRequest())
	if first.status != http.StatusOK || again.body != first.body {
		t.Fatalf("got %v, and then %v", first, again)
	}
	if a := send(authorizationRequest("state", "another")); a.status != http.StatusUnprocessableEntity {
		t.Errorf("another request: %v", a)
	}
	to, err := url.Parse(first.text("redirect_to"))
	if err != nil || w.exchange(to.Query().Get("code")).status != http.StatusOK {
		t.Fatal("the code was refused")
	}
	if a := send(authorizationRequest()); a.status != http.StatusConflict {
		t.Errorf("after the exchange: %v", a)
	}
	second := w.send(http.MethodPost, "/v1/authorize", jsonType, authorizeBody("alice", authorizationRequest()), "Rotor-Client-Ip", "203.0.113.24", "Rotor-Client-User-Agent", "Firefox")
	if f := w.family(second.text("family")); f.text("last_ip") != "203.0.113.24" || f.text("last_user_agent") != "Firefox" {
		t.Errorf("got %v", f)
	}
	w.clock.Advance(time.Minute)
	if a := w.family(second.text("family")); a.text("cause") != "code_expired" {
		t.Errorf("got %v", a)
	}
}
