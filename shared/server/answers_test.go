package server_test

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// brokenKeys is a source of keys that always fails.
type brokenKeys struct{}

func (brokenKeys) Keys(context.Context, time.Time) (*keyring.Keys, error) {
	return nil, keyring.ErrUnavailable
}

func (brokenKeys) Newer(context.Context, time.Time) (*keyring.Keys, error) {
	return nil, keyring.ErrUnavailable
}

// TestErrorAnswers checks every error of the table in docs/api.md to the byte: status, body
// and headers. Clients and caches act on each of these.
func TestErrorAnswers(t *testing.T) {
	const foreign = "https://evil.example"
	w := newWorld(t)
	w.putClient("forbids", `{"type":"public","preset":"auth0"}`)
	w.putClient("narrow", `{"type":"public","scope":"read"}`)
	tok, id := w.login()
	a := w.issue(`{"user_id":"u","client_id":"narrow","scope":"read"}`)
	narrow := a.text("refresh_token")
	_, noKeys := w.another(w.store.Table(), brokenKeys{})
	_, bug := w.another(w.store.Table(), panics{"x"})
	challenge := map[string]string{"Www-Authenticate": `Basic realm="rotor", charset="UTF-8"`}
	again := map[string]string{"Retry-After": "1"}
	vary := map[string]string{"Vary": "Origin"}
	allow := map[string]string{"Allow": "POST"}
	const notConfigured = "Requests from this web origin are not allowed: it is not configured."
	const wrongMethod = "The method is not allowed here. See the Allow header."
	const unclear = "The service is temporarily unavailable. Please try again with the same token."
	at := func(server int, path string) func(body string, header ...string) answer {
		return func(body string, header ...string) answer {
			return w.sendTo(server, http.MethodPost, path, formType, body, header...)
		}
	}
	token, revoke, introspect := at(0, "/oauth/token"), at(0, "/oauth/revoke"), at(0, "/oauth/introspect")
	other := func(server int, method, path string, header ...string) answer {
		return w.sendTo(server, method, path, "", "", header...)
	}
	broken := func(ask func(body string, header ...string) answer, body string) answer {
		w.store.Break(func(int, string) storetest.Fault { return storetest.Failed })
		defer w.store.Break(nil)
		return ask(body)
	}
	for _, tt := range []struct {
		name              string
		got               answer
		status            int
		code, description string
		more              map[string]string // headers, beside those of every error
	}{
		{"missing", token("client_id=app"), 400, "invalid_request", "grant_type is missing.", nil},
		{"no token", token("grant_type=refresh_token&client_id=app"), 400, "invalid_request", "refresh_token is missing.", nil},
		{"nothing to revoke", revoke("client_id=app"), 400, "invalid_request", "token is missing.", nil},
		{"repeated", token(refreshForm(tok) + "&client_id=app"), 400, "invalid_request", "client_id is repeated.", nil},
		{
			"content type", other(0, "POST", "/oauth/token"), 400, "invalid_request",
			"Content-Type must be application/x-www-form-urlencoded or application/json.", nil,
		},
		{"grant type", token("grant_type=password&client_id=app"), 400, "unsupported_grant_type", "The grant_type must be one of refresh_token, authorization_code, urn:ietf:params:oauth:grant-type:jwt-bearer, urn:ietf:params:oauth:grant-type:token-exchange.", nil},
		{"malformed scope", token(refreshForm(tok, "scope", `"`)), 400, "invalid_scope", "The scope is malformed.", nil},
		{"scope", token(refreshForm(tok, "scope", "admin")), 400, "invalid_scope", "The scope was not granted to this refresh token.", nil},
		{
			"scope that the client may not have", token(refreshForm(narrow, "client_id", "narrow", "scope", "write")), 400, "invalid_scope",
			"The client may not be granted this scope.", nil,
		},
		{
			"many scopes", token(refreshForm(tok, "scope", many(65))), 400, "invalid_scope",
			"More than 64 scopes are requested at once. Leave scope out to get all that was granted.", nil,
		},
		{
			"malformed resource", token(refreshForm(tok, "resource", "x")), 400, "invalid_target",
			"A resource must be an absolute URI without a fragment.", nil,
		},
		{
			"resource", token(refreshForm(tok, "resource", "https://x.example")), 400, "invalid_target",
			"A requested resource is not among the audiences of this refresh token.", nil,
		},
		{"dead", token(refreshForm("x")), 400, "invalid_grant", "Unknown or invalid refresh token.", nil},
		{"dead, 403 by policy", token(refreshForm("x", "client_id", "forbids")), 403, "invalid_grant", "Unknown or invalid refresh token.", nil},
		{"another's", revoke(form("client_id", "forbids", "token", tok)), 400, "invalid_grant", "The token was issued to another client.", nil},
		{"origin", token(refreshForm(tok), "Origin", foreign), 403, "invalid_request", notConfigured, vary},
		{
			"preflight", other(0, "OPTIONS", "/oauth/revoke", "Origin", foreign, "Access-Control-Request-Method", "POST"), 403, "invalid_request",
			notConfigured, vary,
		},
		{"client", introspect(form("client_id", "nobody", "token", "x")), 401, "invalid_client", "Client authentication failed.", challenge},
		{"no client", introspect("token=x"), 401, "invalid_client", "client_id is missing.", challenge},
		{"no path", other(0, "GET", "/nothing"), 404, "not_found", "There is nothing at this path.", nil},
		{"no path to post to", at(0, "/oauth/introspect/")("token=x"), 404, "not_found", "There is nothing at this path.", nil},
		{"method", other(0, "GET", "/oauth/introspect"), 405, "invalid_request", wrongMethod, allow},
		{"a plain OPTIONS", other(0, "OPTIONS", "/oauth/introspect"), 405, "invalid_request", wrongMethod, allow},
		{"large", introspect(strings.Repeat("x", 17<<10)), 413, "invalid_request", "The request body is larger than 16 KiB.", nil},
		{"bug", at(bug, "/oauth/token")(refreshForm(tok)), 500, "server_error", "Internal error.", nil},
		{"no store", broken(token, refreshForm(tok)), 503, "temporarily_unavailable", unclear, again},
		{"no store to revoke", broken(revoke, form("client_id", "app", "token", tok)), 503, "temporarily_unavailable", unclear, again},
		{"no keys", at(noKeys, "/oauth/token")(refreshForm(tok)), 503, "temporarily_unavailable", unclear, again},
		{"no keys to publish", other(noKeys, "GET", "/.well-known/jwks.json"), 503, "temporarily_unavailable", unclear, again},
		{"no keys to describe", other(noKeys, "GET", "/.well-known/openid-configuration"), 503, "temporarily_unavailable", unclear, again},
	} {
		if want := `{"error":"` + tt.code + `","error_description":"` + tt.description + `"}` + "\n"; tt.got.status != tt.status || tt.got.body != want {
			t.Errorf("%s: got %v\nnot %d %s", tt.name, tt.got, tt.status, want)
		}
		want := map[string]string{
			"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
		}
		maps.Copy(want, tt.more)
		got := map[string]string{}
		for name := range tt.got.header {
			switch {
			case name == "Date", name == "Content-Length", name == "Connection":
			case name == "Vary" && tt.more[name] == "": // [TestCrossOriginHeaders] checks them
			case name == "Retry-After": // one of three at random; see [TestCallersDoNotComeBackTogether]
				got[name] = strings.NewReplacer("2", "1", "3", "1").Replace(tt.got.header.Get(name))
			default:
				got[name] = strings.Join(tt.got.header.Values(name), ", ")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the header (-want +got):\n%s", tt.name, diff)
		}
	}
	if n := w.counter(id); n != 1 {
		t.Errorf("the counter is %d", n)
	}
	w.rotate(tok)
}

// many returns a scope of n tokens.
func many(n int) string {
	var all []string
	for i := range n {
		all = append(all, strings.Repeat("s", i%9+1)+string(rune('a'+i/9)))
	}
	return strings.Join(all, " ")
}

// TestHeadIsGetWithoutABody checks that HEAD answers with the status and the headers of GET
// and without a body (RFC 9110 §9.3.2): for what exists, for what does not, and for what
// cannot be read.
func TestHeadIsGetWithoutABody(t *testing.T) {
	w := newWorld(t)
	_, id := w.login()
	_, noKeys := w.another(w.store.Table(), brokenKeys{})
	for _, tt := range []struct {
		server int
		path   string
		status int
	}{
		{0, "/.well-known/jwks.json", 200},
		{0, "/.well-known/openid-configuration", 200},
		{0, "/healthz", 200},
		{noKeys, "/.well-known/jwks.json", 503},
		{noKeys, "/.well-known/oauth-authorization-server", 503},
		{0, "/.well-known/nothing", 404},
		{0, "/", 404},
		{0, "/oauth/token", 405},
		{0, "/oauth/revoke", 405},
		{0, "/oauth/introspect", 405},
		{0, "/v1/families/" + id, 200},
		{0, "/v1/clients", 200},
		{0, "/v1/clients/nobody", 404},
		{0, "/v1/explain", 405},
	} {
		for _, header := range [][]string{nil, {"Origin", "https://any.example"}} {
			get, head := w.sendTo(tt.server, http.MethodGet, tt.path, "", "", header...), w.sendTo(tt.server, http.MethodHead, tt.path, "", "", header...)
			if header != nil && strings.HasPrefix(tt.path, "/oauth/") && tt.path != "/oauth/introspect" {
				tt.status = http.StatusForbidden
			}
			if get.status != tt.status || head.status != tt.status || head.body != "" || get.body == "" {
				t.Errorf("%s: GET %v, HEAD %v", tt.path, get, head)
			}
			for _, random := range []string{"Date", "Retry-After"} {
				get.header.Del(random)
				head.header.Del(random)
			}
			if diff := cmp.Diff(get.header, head.header); diff != "" {
				t.Errorf("%s: the header (-GET +HEAD):\n%s", tt.path, diff)
			}
		}
	}
}

// crossOriginHeader returns the headers of an answer that are addressed to browsers.
func crossOriginHeader(a answer) map[string]string {
	said := map[string]string{}
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			said[name] = strings.Join(a.header.Values(name), ", ")
		}
	}
	return said
}

// TestCrossOriginHeaders checks the CORS headers exactly. One header too many gives something
// away; one that is missing or wrong hides an answer from the page.
func TestCrossOriginHeaders(t *testing.T) {
	const from, anyOrigin = "https://app.example", "https://any.example"
	const exposed = "Retry-After, Www-Authenticate, Dpop-Nonce"
	w := newWorld(t, origins(from))
	_, noKeys := w.another(w.store.Table(), brokenKeys{})
	tok, _ := w.login()
	asks := []string{"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	for _, tt := range []struct {
		name, method, path, body, origin string
		server                           int
		header                           []string
		status                           int
		want                             map[string]string
	}{
		{"preflight", "OPTIONS", "/oauth/token", "", from, 0, asks, 204, map[string]string{
			"Access-Control-Allow-Origin": from, "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "authorization,content-type", "Access-Control-Max-Age": "600",
			"Access-Control-Allow-Credentials": "true",
		}},
		{"preflight for GET", "OPTIONS", "/oauth/token", "", from, 0, []string{"Access-Control-Request-Method", "GET"}, 204, map[string]string{}},
		{"answer", "POST", "/oauth/token", refreshForm(tok), from, 0, nil, 200, map[string]string{
			"Access-Control-Allow-Origin": from, "Access-Control-Expose-Headers": exposed, "Access-Control-Allow-Credentials": "true",
		}},
		{"error", "POST", "/oauth/revoke", "", from, 0, nil, 401, map[string]string{
			"Access-Control-Allow-Origin": from, "Access-Control-Expose-Headers": exposed, "Access-Control-Allow-Credentials": "true",
		}},
		{"a page's word about its user", "OPTIONS", "/oauth/token", "", from, 0, []string{
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "rotor-client-ip",
		}, 403, map[string]string{}},
		{"introspection", "POST", "/oauth/introspect", "", from, 0, nil, 401, map[string]string{}},
		{"management", "GET", "/v1/clients", "", from, 0, nil, 200, map[string]string{}},
		{"nothing", "GET", "/nothing", "", from, 0, nil, 404, map[string]string{}},
		{"preflight of discovery", "OPTIONS", "/.well-known/jwks.json", "", anyOrigin, 0, []string{"Access-Control-Request-Method", "GET"}, 204, map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "GET", "Access-Control-Max-Age": "600",
		}},
		{"preflight to write discovery", "OPTIONS", "/.well-known/jwks.json", "", anyOrigin, 0, []string{"Access-Control-Request-Method", "POST"}, 204, map[string]string{}},
		{"discovery", "GET", "/.well-known/jwks.json", "", anyOrigin, 0, nil, 200, map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": exposed,
		}},
		{"discovery without keys", "GET", "/.well-known/jwks.json", "", anyOrigin, noKeys, nil, 503, map[string]string{
			"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": exposed,
		}},
	} {
		a := w.sendTo(tt.server, tt.method, tt.path, formType, tt.body, append([]string{"Origin", tt.origin}, tt.header...)...)
		if a.status != tt.status {
			t.Errorf("%s: %v", tt.name, a)
		}
		if diff := cmp.Diff(tt.want, crossOriginHeader(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		// An answer that depends on the origin must say so to caches.
		if public := strings.HasPrefix(tt.path, "/.well-known"); slices.Contains(strings.Split(strings.Join(a.header.Values("Vary"), ", "), ", "), "Origin") !=
			(strings.HasPrefix(tt.path, "/oauth/") && tt.path != "/oauth/introspect") && !public {
			t.Errorf("%s: Vary is %q", tt.name, a.header.Values("Vary"))
		}
	}
}

// TestMetadataIsTrue checks each member of the discovery document, and that what it announces
// is true: the listed claims are those of an ID token, and the documents may be cached for
// five minutes.
func TestMetadataIsTrue(t *testing.T) {
	w := newWorld(t)
	issuer := w.servers[0].URL
	methods := []any{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}
	algorithms := []any{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519"}
	want := map[string]any{
		"issuer": issuer, "token_endpoint": issuer + "/oauth/token", "jwks_uri": issuer + "/.well-known/jwks.json",
		"service_documentation": issuer + "/openapi.json", "revocation_endpoint": issuer + "/oauth/revoke", "introspection_endpoint": issuer + "/oauth/introspect",
		"response_types_supported": []any{"none"}, "grant_types_supported": []any{"refresh_token", "authorization_code", bearerGrant, exchangeGrant}, "subject_types_supported": []any{"public"},
		"token_endpoint_auth_methods_supported": methods, "revocation_endpoint_auth_methods_supported": methods, "introspection_endpoint_auth_methods_supported": methods[1:],
		"token_endpoint_auth_signing_alg_values_supported": algorithms, "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
		"introspection_endpoint_auth_signing_alg_values_supported": algorithms,
		"id_token_signing_alg_values_supported":                    []any{"ES256"}, "refresh_token_expiration_types_supported": []any{"authorization", "token_timeout"},
		"claims_supported":     []any{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"},
		"end_session_endpoint": issuer + "/oauth/logout", "code_challenge_methods_supported": []any{"S256"},
		"dpop_signing_alg_values_supported": []any{"ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"},
		// If it is left out, the second of these defaults to true (OpenID Connect Discovery
		// §3).
		"request_parameter_supported": false, "request_uri_parameter_supported": false,
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		a := w.send(http.MethodGet, path, "", "")
		if diff := cmp.Diff(want, a.json); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/.well-known/jwks.json"} {
		if got := w.send(http.MethodGet, path, "", "").header.Values("Cache-Control"); len(got) != 1 || got[0] != "public, max-age=300" {
			t.Errorf("%s: Cache-Control is %q", path, got)
		}
	}
	w.putClient("app", authorizing)
	request := w.authorize(authorizationRequest(), "auth_time", "2029-01-01T00:00:00Z", "acr", "a", "amr", []string{"b"})
	to, err := url.Parse(request.text("redirect_to"))
	if err != nil {
		t.Fatal(err)
	}
	_, claims := decodeJWT(t, w.exchange(to.Query().Get("code")).text("id_token"))
	var supported []string
	for _, c := range want["claims_supported"].([]any) {
		supported = append(supported, c.(string))
	}
	slices.Sort(supported)
	if got := members(claims); !slices.Equal(got, supported) {
		t.Errorf("an id token has the claims %q, and supported are %q", got, supported)
	}
}

// TestKnownParametersAreGivenOnce checks that no endpoint accepts one of its parameters twice,
// in either form of body. The parameter resource is the exception.
func TestKnownParametersAreGivenOnce(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	for _, name := range []string{"grant_type", "refresh_token", "scope", "client_id", "client_secret", "token", "token_type_hint"} {
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
			rest := map[string]string{"grant_type": "refresh_token", "refresh_token": tok, "client_id": "app", "token": tok}
			delete(rest, name)
			var pairs []string
			for k, v := range rest {
				pairs = append(pairs, k, v)
			}
			twice := `{"` + name + `":"x","` + name + `":"x",`
			for contentType, body := range map[string]string{
				formType: form(append(pairs, name, "x", name, "x")...), jsonType: strings.Replace(object(pairs...), "{", twice, 1),
			} {
				a := w.send(http.MethodPost, path, contentType, body)
				a.is(t, http.StatusBadRequest, "invalid_request")
				if a.text("error_description") != name+" is repeated." {
					t.Errorf("%s at %s: %v", name, path, a)
				}
			}
		}
	}
	if f := w.family(id); f.text("status") != "active" || f.number("counter") != 1 {
		t.Errorf("the family is %v", f)
	}
	issuer := w.servers[0].URL
	if a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok)+"&resource="+issuer+"&resource="+issuer); a.status != http.StatusOK {
		t.Errorf("resource twice: %v", a)
	}
}

// TestSpacesAfterBasic checks that one space or more may follow the scheme (RFC 9110 §11.4).
func TestSpacesAfterBasic(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	for _, spaces := range []string{" ", "  ", "    "} {
		header := strings.Replace(basic("web", secret), " ", spaces, 1)
		if a := w.send(http.MethodPost, "/oauth/introspect", formType, "token=x", "Authorization", header); a.status != http.StatusOK {
			t.Errorf("%d spaces: %v", len(spaces), a)
		}
	}
}
