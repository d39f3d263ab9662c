package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzRevokeRequest checks that a family ends if and only if one of its tokens came from its
// client. TOKEN and ACCESS stand for the tokens of a family of "app", OTHER and OTHERACCESS
// for those of one of "web", FORGED and FORGEDACCESS for altered ones. SECRET and BASIC are
// the credentials of "web".
func FuzzRevokeRequest(f *testing.F) {
	var (
		q        *quiet
		secret   string
		app, web issued
	)
	begin := func(tb testing.TB) {
		q = newQuiet(tb)
		q.must(tb, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
		q.must(tb, http.MethodPut, "/v1/clients/web", `{"type":"confidential"}`)
		secret = q.secret(tb, "web")
		app, web = q.issue(tb, `{"user_id":"u","client_id":"app"}`), q.issue(tb, `{"user_id":"u","client_id":"web"}`)
	}
	begin(f)

	for _, seed := range []struct{ body, contentType, authorization string }{
		{"token=TOKEN&client_id=app", formType, ""},
		{"token=TOKEN&client_id=app&token_type_hint=access_token", formType, ""},
		{"token=ACCESS&client_id=app&token_type_hint=refresh_token", formType, ""},
		{"token=OTHER&client_id=web&client_secret=SECRET", formType, ""},
		{"token=OTHER", formType, "BASIC"},
		{"token=OTHER", formType, "BASIC "},
		{"token=OTHERACCESS&client_id=web", formType, "BASIC"},
		{"token=OTHER&client_id=app", formType, ""},
		{"token=TOKEN", formType, "BASIC"},
		{"token=ACCESS", formType, "BASIC"},
		{"token=FORGED&client_id=app", formType, ""},
		{"token=FORGEDACCESS&client_id=app", formType, ""},
		{"token=eyJhbGciOiJub25lIn0.e30.&client_id=app", formType, ""},
		{"token=TOKEN&token=OTHER&client_id=app", formType, ""},
		{"client_id=app", formType, ""},
		{"token=&client_id=app&token_type_hint=%00", formType, ""},
		{`{"token":"TOKEN","client_id":"app"}`, jsonType, ""},
		{`{"token":"ACCESS","client_id":"app","token_type_hint":null}`, jsonType, ""},
		{`{"token":["TOKEN"],"client_id":"app"}`, jsonType, ""},
		{`{"token":"OTHER"}`, jsonType, "BASIC"},
		{"", "text/plain", "Basic"},
	} {
		f.Add(seed.body, seed.contentType, seed.authorization)
	}
	f.Fuzz(func(t *testing.T, body, contentType, authorization string) {
		fill := strings.NewReplacer("TOKEN", app.refresh, "OTHERACCESS", web.access, "OTHER", web.refresh, "FORGEDACCESS", forgeSignature(app.access),
			"FORGED", forge(app.refresh), "ACCESS", app.access, "SECRET", secret, "BASIC", basic("web", secret))
		body, authorization = fill.Replace(body), fill.Replace(authorization)
		a := q.ask(t, http.MethodPost, "/oauth/revoke", contentType, authorization, body)
		if a.status == http.StatusOK && a.body != "{}\n" {
			t.Errorf("%v", a)
		}
		authenticated := strings.Contains(body, secret) || isBasic(authorization, "web", secret)
		for _, family := range []struct {
			issued
			mayEnd bool
		}{{app, !authenticated}, {web, authenticated}} {
			if q.status(t, family.family) == "active" {
				continue
			}
			presented := strings.Contains(body, family.refresh) || strings.Contains(body, family.access)
			if a.status != http.StatusOK || !presented || !family.mayEnd {
				t.Errorf("it ended a family, and the answer is %v", a)
			}
			defer begin(t)
		}
		if a.status != http.StatusOK || authenticated || contentType != formType {
			return
		}
		if v, err := url.ParseQuery(body); err != nil || (v.Get("token") == app.refresh || v.Get("token") == app.access) && q.status(t, app.family) == "active" {
			t.Errorf("the family lives on: %v", err)
		}
	})
}
