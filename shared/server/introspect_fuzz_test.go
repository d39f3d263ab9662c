package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzIntrospectRequest checks that only a client that knows its secret learns anything, and
// only about a token that it presents whole: its own refresh token, or an access token, of
// another client only if it may. TOKEN and ACCESS stand for the tokens of a family of "web",
// OTHER and OTHERACCESS for those of one of "app", DEAD and DEADACCESS for those of a revoked
// one of "web". SECRET and BASIC are the credentials of "web", PROBESECRET and PROBEBASIC
// those of "probe", which may introspect for others.
func FuzzIntrospectRequest(f *testing.F) {
	q := newQuiet(f)
	q.must(f, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	q.must(f, http.MethodPut, "/v1/clients/web", `{"type":"confidential"}`)
	q.must(f, http.MethodPut, "/v1/clients/probe", `{"type":"confidential","may_introspect":true}`)
	web, probe := q.secret(f, "web"), q.secret(f, "probe")
	token := q.issue(f, `{"user_id":"u","client_id":"web","scope":"read"}`)
	other := q.issue(f, `{"user_id":"u","client_id":"app"}`)
	dead := q.issue(f, `{"user_id":"u","client_id":"web"}`)
	q.must(f, http.MethodDelete, "/v1/families/"+dead.family, "")
	fill := strings.NewReplacer("TOKEN", token.refresh, "OTHERACCESS", other.access, "OTHER", other.refresh, "DEADACCESS", dead.access, "DEAD", dead.refresh,
		"ACCESS", token.access, "PROBESECRET", probe, "PROBEBASIC", basic("probe", probe), "SECRET", web, "BASIC", basic("web", web))
	active := map[string][]string{ // for each active token, the clients that may see it; the first is its own
		token.refresh: {"web", "web"}, token.access: {"web", "web", "probe"}, other.access: {"app", "probe"},
	}

	for _, seed := range []struct{ body, contentType, authorization string }{
		{"token=TOKEN", formType, "BASIC"},
		{"token=TOKEN&client_id=web&client_secret=SECRET", formType, ""},
		{"token=ACCESS&token_type_hint=access_token", formType, "BASIC"},
		{"token=ACCESS", formType, "PROBEBASIC"},
		{"token=TOKEN", formType, "PROBEBASIC"},
		{"token=OTHER", formType, "PROBEBASIC"},
		{"token=OTHERACCESS", formType, "PROBEBASIC"},
		{"token=OTHERACCESS", formType, "BASIC"},
		{"token=DEAD", formType, "BASIC"},
		{"token=DEADACCESS", formType, "BASIC"},
		{"token=OTHER&client_id=app", formType, ""},
		{"token=TOKEN&client_id=web", formType, ""},
		{"token=x&client_id=probe&client_secret=PROBESECRET", formType, ""},
		{"token_type_hint=refresh_token", formType, "BASIC"},
		{`{"token":"TOKEN","client_id":"web","client_secret":"SECRET"}`, jsonType, ""},
		{`{"token":"OTHERACCESS"}`, jsonType, "PROBEBASIC"},
		{`{"token":null}`, jsonType, "BASIC"},
		{"token=TOKEN", "", "Bearer ACCESS"},
	} {
		f.Add(seed.body, seed.contentType, seed.authorization)
	}
	f.Fuzz(func(t *testing.T, body, contentType, authorization string) {
		body, authorization = fill.Replace(body), fill.Replace(authorization)
		a := q.ask(t, http.MethodPost, "/oauth/introspect", contentType, authorization, body)
		if a.status != http.StatusOK {
			return
		}
		var as string
		switch {
		case strings.Contains(body, web), isBasic(authorization, "web", web):
			as = "web"
		case strings.Contains(body, probe), isBasic(authorization, "probe", probe):
			as = "probe"
		}
		if as == "" {
			t.Fatalf("answered without a secret: %v", a)
		}
		if a.body == inactive+"\n" {
			return
		}
		if a.json["active"] != true || a.text("sub") != "u" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", a)
		}
		for tok, clients := range active {
			if strings.Contains(body, tok) && a.text("client_id") == clients[0] && slices.Contains(clients[1:], as) {
				return
			}
		}
		t.Errorf("%s learns %v", as, a)
	})
}
