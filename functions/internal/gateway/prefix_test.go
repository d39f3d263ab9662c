package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestSamplesUnderAnIssuerPath checks that every sample event is answered with and without the
// issuer's path, by the function of its name and by no other. Behind an API mapping or a
// stage, the gateway finds the route without the prefix, and leaves the prefix in rawPath.
func TestSamplesUnderAnIssuerPath(t *testing.T) {
	for _, path := range []string{"/auth", "/prod", "/a/b"} {
		for _, name := range httpNames(t) {
			for _, prefix := range []string{path, ""} {
				w := newWorldAt(t, "https://api.example.com"+path)
				w.prepare(name)
				owner, e := w.sample(name)
				e.RawPath = prefix + e.RawPath
				for function := range w.functions {
					if function == owner {
						continue
					}
					e := e
					if function == "manage" {
						e.RequestContext.Authorizer = identity("arn:aws:iam::123456789012:user/ada")
					}
					if a := w.invoke(t.Context(), function, e); !a.noRoute() {
						t.Errorf("%s at %s is answered by %s too: %d %s", name, e.RawPath, function, a.StatusCode, a.Body)
					}
				}
				a := w.want(w.invoke(t.Context(), owner, e), expected[name])
				if !strings.Contains(a.Body, says[name]) {
					t.Errorf("%s at %s: %s", name, e.RawPath, a.Body)
				}
				if family := a.text("family"); strings.HasPrefix(name, "manage-issue") && a.Headers["Location"] != prefix+"/v1/families/"+family {
					t.Errorf("%s at %s: Location %s", name, e.RawPath, a.Headers["Location"])
				}
			}
		}
	}
}

// TestInsertedMetadata checks that the path which RFC 8414 inserts before the issuer's leads
// to discovery, with a mapping of its own or with none.
func TestInsertedMetadata(t *testing.T) {
	const issuer = "https://api.example.com/auth"
	w := newWorldAt(t, issuer)
	for _, path := range []string{
		"/.well-known/oauth-authorization-server/auth", "/.well-known/openid-configuration/auth", "/auth/.well-known/openid-configuration",
	} {
		_, e := w.sample("discovery-oauth-metadata")
		e.RawPath = path
		if a := w.want(w.invoke(t.Context(), "discovery", e), http.StatusOK); a.text("issuer") != issuer || a.text("jwks_uri") != issuer+"/.well-known/jwks.json" {
			t.Errorf("%s: %s", path, a.Body)
		}
	}
	_, e := w.sample("discovery-oauth-metadata")
	e.RawPath = "/.well-known/oauth-authorization-server/other"
	if a := w.invoke(t.Context(), "discovery", e); !a.noRoute() {
		t.Errorf("of another issuer: %s", a.Body)
	}
}
