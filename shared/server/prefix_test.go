package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIssuerPath checks an issuer with a path. Each endpoint answers under the path, as a
// stage or an API mapping of API Gateway leaves it, and without the path, as a proxy that
// strips it does. The metadata is found in every form that clients ask for.
func TestIssuerPath(t *testing.T) {
	for _, path := range []string{"/auth", "/auth/eu", "/prod", "/oauth", "/v1", "/oauth/token", "/.well-known", "/a-b_c.d~e"} {
		t.Run(path, func(t *testing.T) {
			w := newWorld(t, below(path))
			w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			issuer := w.servers[0].URL + path
			secret := w.addSecret("web")
			documents := map[string]string{}
			for _, at := range []string{
				path + "/.well-known/openid-configuration", path + "/.well-known/oauth-authorization-server",
				"/.well-known/oauth-authorization-server" + path, "/.well-known/openid-configuration" + path,
				"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server",
			} {
				a := w.send(http.MethodGet, at, "", "", "Origin", "https://any.example")
				if a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Location") != "" {
					t.Fatalf("%s: %v", at, a)
				}
				documents[a.body] = at
				for member, want := range map[string]string{
					"issuer": "", "token_endpoint": "/oauth/token", "revocation_endpoint": "/oauth/revoke", "introspection_endpoint": "/oauth/introspect",
					"jwks_uri": "/.well-known/jwks.json",
				} {
					if got := a.text(member); got != issuer+want {
						t.Errorf("%s: %s is %s", at, member, got)
					}
				}
			}
			if len(documents) != 1 {
				t.Errorf("there are %d documents", len(documents))
			}
			for _, prefix := range []string{path, ""} {
				if a := w.send(http.MethodGet, prefix+"/.well-known/jwks.json", "", ""); a.status != http.StatusOK || a.json["keys"] == nil {
					t.Errorf("%s: the keys are %v", prefix, a)
				}
				issued := w.send(http.MethodPost, prefix+"/v1/families", jsonType, `{"user_id":"u","client_id":"app","scope":"read"}`)
				at := prefix + "/v1/families/" + issued.text("family")
				if issued.status != http.StatusCreated || issued.header.Get("Location") != at {
					t.Fatalf("%s: %v, at %s", prefix, issued, issued.header.Get("Location"))
				}
				if a := w.send(http.MethodGet, at, "", ""); a.text("status") != "active" {
					t.Errorf("%s: %v", at, a)
				}
				a := w.send(http.MethodPost, prefix+"/oauth/token", formType, refreshForm(issued.text("refresh_token")))
				if a.status != http.StatusOK || w.aud(a) != issuer {
					t.Fatalf("%s: %v", prefix, a)
				}
				_, claims := decodeJWT(t, a.text("access_token"))
				if claims["iss"] != issuer {
					t.Errorf("iss is %v", claims["iss"])
				}
				w.putClient("web", `{"type":"confidential","may_introspect":true}`)
				if a := w.send(http.MethodPost, prefix+"/oauth/introspect", formType, form("token", a.text("access_token")), "Authorization", basic("web", secret)); a.json["active"] != true {
					t.Errorf("%s: introspection says %v", prefix, a)
				}
				if a := w.send(http.MethodPost, prefix+"/oauth/revoke", formType, form("client_id", "app", "token", a.text("access_token"))); a.status != http.StatusOK {
					t.Errorf("%s: the revocation got %v", prefix, a)
				}
				if a := w.send(http.MethodGet, at, "", ""); a.text("status") != "revoked" {
					t.Errorf("%s: %v", at, a)
				}
				if a := w.send(http.MethodPut, prefix+"/v1/clients/a.b", jsonType, `{"type":"public"}`); a.status >= 300 {
					t.Errorf("%s: %v", prefix, a)
				}
				w.send(http.MethodGet, prefix+"/v1/clients/a%2Fb", "", "").names(t, "client_id")
				// Errors have the format of the API that the path belongs to.
				if prefix+path != "/v1" { // under which nothing is what /v1/nothing is
					w.send(http.MethodGet, prefix+"/v1/nothing", "", "").problem(t, http.StatusNotFound)
				}
				w.send(http.MethodPatch, prefix+"/v1/clients", "", "").problem(t, http.StatusMethodNotAllowed)
				w.send(http.MethodGet, prefix+"/oauth/revoke", "", "").is(t, http.StatusMethodNotAllowed, "invalid_request")
				w.send(http.MethodPost, prefix+"/oauth/revoke", formType, "").is(t, http.StatusUnauthorized, "invalid_client")
			}
		})
	}
}

// TestPathsUnderAnIssuerPath checks that the prefix counts only as whole segments, in its
// exact spelling, once, and at the front.
func TestPathsUnderAnIssuerPath(t *testing.T) {
	w := newWorld(t, below("/auth"))
	w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	tok, id := w.login()
	for _, path := range []string{
		"/auth", "/auth/", "/authoauth/token", "/auth/auth/oauth/token", "/AUTH/oauth/token", "/auth//oauth/token", "//auth/oauth/token", "/auth/oauth/token/",
		"/auth/../oauth/token", "/auth/./oauth/token", "/x/auth/oauth/token", "/oauth/auth/token", "/oauth/token/auth", "/auth%2Foauth/token", "/auth/oauth%2Ftoken",
		"/auth/%2e%2e/oauth/token", "/.well-known/jwks.json/auth", "/.well-known/oauth-authorization-server/auth/", "/.well-known/oauth-authorization-server/other",
		"/.well-known/openid-configuration/auth/x", "/.well-known/auth/openid-configuration", "/auth/.well-known", "/auth/nothing",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := w.send(method, path, formType, refreshForm(tok))
			if a.status != http.StatusNotFound || a.text("error") == "" || a.header.Get("Location") != "" {
				t.Errorf("%s %s: %v, Location %q", method, path, a, a.header.Get("Location"))
			}
		}
	}
	if n := w.counter(id); n != 1 {
		t.Errorf("the counter is %d", n)
	}
	// Without a path in the issuer, no prefix is accepted.
	plain := newWorld(t)
	for _, path := range []string{"/auth/oauth/token", "/.well-known/oauth-authorization-server/auth", "/.well-known/openid-configuration/"} {
		if a := plain.send(http.MethodGet, path, "", ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %v", path, a)
		}
	}
}

// TestCORSUnderAnIssuerPath checks that preflights and pages get the same answers under the
// path.
func TestCORSUnderAnIssuerPath(t *testing.T) {
	const origin = "https://app.example"
	w := newWorld(t, below("/auth"), origins(origin))
	headers := func(a answer) map[string]string {
		found := map[string]string{}
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") || name == "Vary" {
				found[name] = a.header.Get(name)
			}
		}
		return found
	}
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/v1/families", "/.well-known/jwks.json"} {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			ask := func(path string) answer {
				return w.send(method, path, formType, "client_id=app", "Origin", origin, "Access-Control-Request-Method", "POST")
			}
			if diff := cmp.Diff(headers(ask(path)), headers(ask("/auth"+path))); diff != "" {
				t.Errorf("%s %s (-without +with the path):\n%s", method, path, diff)
			}
		}
	}
}
