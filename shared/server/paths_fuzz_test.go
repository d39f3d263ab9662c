package server_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/family"
)

// routes matches the paths at which a request can succeed, with or without the issuer's path.
var routes = regexp.MustCompile(`^(/oauth/(token|revoke|introspect)` +
	`|(/auth)?/v1/(token|logout|user|\.well-known/jwks\.json)` + // Supabase's; the first part may look like the issuer's path
	`|/openapi\.json|/\.well-known/(jwks\.json|(oauth-authorization-server|openid-configuration)(/auth)?)` +
	`|/v1/(families(/[A-Za-z0-9_-]{43})?|explain|events|users|clients(/[A-Za-z0-9._-]{1,64}(/secrets(/[0-9A-Za-z]{26})?)?)?))$`)

// FuzzPath checks that whatever the method and the path, only a route succeeds, and that only
// one spelling of an id shows its family. The issuer has the path /auth. FAMILY and TOKEN
// stand for a live family, SECRETID for the id of a secret of "web".
func FuzzPath(f *testing.F) {
	var (
		q        *quiet
		live     issued
		secretID string
	)
	begin := func(tb testing.TB) {
		q = newQuietBelow(tb, "/auth")
		q.must(tb, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
		q.must(tb, http.MethodPut, "/v1/clients/web", `{"type":"confidential"}`)
		secretID, _ = q.must(tb, http.MethodPost, "/v1/clients/web/secrets", "")["secret_id"].(string)
		live = q.issue(tb, `{"user_id":"u","client_id":"app"}`)
	}
	begin(f)

	for _, seed := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/families/FAMILY", ""},
		{http.MethodHead, "/v1/families/FAMILY", ""},
		{http.MethodDelete, "/v1/families/FAMILY", ""},
		{http.MethodGet, "/v1/families/FAMILY?x", ""},
		{http.MethodGet, "/v1/families/FAMILY=", ""},
		{http.MethodGet, "/v1/families/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", ""},
		{http.MethodGet, "/v1/families/_____________________________________________", ""},
		{http.MethodGet, "/v1/families/TOKEN", ""},
		{http.MethodGet, "/v1/families?user_id=u", ""},
		{http.MethodDelete, "/v1/families?user_id=u&except=FAMILY", ""},
		{http.MethodDelete, "/v1/users?user_id=v", ""},
		{http.MethodPost, "/v1/families", `{"user_id":"v","client_id":"app"}`},
		{http.MethodGet, "/auth/v1/families/FAMILY", ""},
		{http.MethodDelete, "/auth/v1/families/FAMILY", ""},
		{http.MethodPost, "/auth/v1/families", `{"user_id":"v","client_id":"app"}`},
		{http.MethodGet, "/auth/auth/v1/families/FAMILY", ""},
		{http.MethodPost, "/auth/auth/v1/token?grant_type=refresh_token&apikey=app", `{"refresh_token":"TOKEN"}`},
		{http.MethodPost, "/auth/v1/token?grant_type=refresh_token&apikey=app", `{"refresh_token":"TOKEN"}`},
		{http.MethodGet, "/auth/v1/.well-known/jwks.json", ""},
		{http.MethodGet, "/auth/auth/v1/user?apikey=app", ""},
		{http.MethodGet, "/auth/.well-known/oauth-authorization-server", ""},
		{http.MethodGet, "/.well-known/oauth-authorization-server/auth", ""},
		{http.MethodGet, "/auth/.well-known/openid-configuration/auth", ""},
		{http.MethodGet, "/auth/../v1/clients", ""},
		{http.MethodGet, "/authv1/clients", ""},
		{http.MethodGet, "/auth", ""},
		{http.MethodGet, "/v1/clients", ""},
		{http.MethodGet, "/v1/clients/web", ""},
		{http.MethodPut, "/v1/clients/fuzz", `{"type":"public"}`},
		{http.MethodPut, "/v1/clients/a b", `{"type":"public"}`},
		{http.MethodDelete, "/v1/clients/web", ""},
		{http.MethodPost, "/v1/clients/web/secrets", ""},
		{http.MethodPost, "/v1/clients/app/secrets", ""},
		{http.MethodDelete, "/v1/clients/web/secrets/SECRETID", ""},
		{http.MethodDelete, "/v1/clients/web/secrets/80000000000000000000000000", ""},
		{http.MethodGet, "/v1/events?type=srrt", ""},
		{http.MethodPost, "/v1/explain", `{"family":"FAMILY"}`},
		{http.MethodGet, "/.well-known/jwks.json", ""},
		{http.MethodGet, "/auth/openapi.json", ""},
		{http.MethodOptions, "/.well-known/openid-configuration", ""},
		{http.MethodPost, "/oauth/token", "TOKEN"},
		{http.MethodGet, "/oauth/token/", ""},
		{http.MethodConnect, "/v1/families", ""},
		{"BREW", "/v1", ""},
		{"", "", ""},
		{http.MethodGet, "*", ""},
		{http.MethodGet, "//v1/clients", ""},
		{http.MethodGet, "/v1/./clients", ""},
		{http.MethodGet, "/v1/clients/..", ""},
		{http.MethodGet, "/v1/families/%2e%2e/%00\x00\xff", ""},
		{http.MethodGet, "/{$}/{client_id}", ""},
	} {
		f.Add(seed.method, seed.path, seed.body)
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		fill := strings.NewReplacer("FAMILY", live.family, "TOKEN", live.refresh, "SECRETID", secretID)
		path, body = fill.Replace(path), fill.Replace(body)
		a := q.ask(t, method, path, jsonType, "", body)
		path, _, _ = strings.Cut(path, "?")
		path = q.below(path)
		if a.status < 300 && !routes.MatchString(path) {
			t.Errorf("%s %q is answered %v", method, path, a)
		}
		if a.status < 300 && method != http.MethodGet && method != http.MethodHead {
			defer begin(t)
		}
		id, below := strings.CutPrefix(path, "/v1/families/")
		if !below || a.status >= 300 {
			return
		}
		parsed, err := family.ParseID(id)
		if err != nil || parsed.String() != id || method != http.MethodDelete && a.text("family") != id {
			t.Errorf("%s %q is answered %v", method, path, a)
		}
		if method == http.MethodDelete && q.status(t, id) != "revoked" {
			t.Error("the family lives on")
		}
	})
}
