package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzTokenRequest checks that only an issued token is exchanged, only for its own client, and
// only for its family's audience. TOKEN stands for a live token of "app", OTHER for one of
// "web", DEAD for a revoked one, FORGED for one with another tag, ACCESS for an access token.
// SECRET and BASIC are the credentials of "web".
func FuzzTokenRequest(f *testing.F) {
	q := newQuiet(f)
	q.must(f, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	q.must(f, http.MethodPut, "/v1/clients/web", `{"type":"confidential"}`)
	secret := q.secret(f, "web")
	live := q.issue(f, `{"user_id":"u","client_id":"app","scope":"openid read","audience":["https://a.example","urn:b","c d"]}`)
	other := q.issue(f, `{"user_id":"u","client_id":"web"}`)
	dead := q.issue(f, `{"user_id":"u","client_id":"app"}`)
	q.must(f, http.MethodDelete, "/v1/families/"+dead.family, "")
	fill := strings.NewReplacer("TOKEN", live.refresh, "OTHER", other.refresh, "DEAD", dead.refresh,
		"FORGED", forge(live.refresh), "ACCESS", live.access, "SECRET", secret, "BASIC", basic("web", secret))

	for _, seed := range []struct{ body, contentType, authorization string }{
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&scope=read", formType + ";charset=utf-8", ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&scope=read+admin", formType, ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&scope=read++", formType, ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&resource=urn:b&resource=https://a.example&resource=", formType, ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&resource=urn:b%0aurn:b&x=1&x=2", formType, ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&resource=c+d", formType, ""},
		{"grant_type=refresh_token&refresh_token=OTHER&client_id=web&client_secret=SECRET&resource=https://rotor.example", formType, ""},
		{`{"grant_type":"refresh_token","refresh_token":"TOKEN","client_id":"app","resource":["urn:b","urn:b"]}`, jsonType, ""},
		{`{"grant_type":"refresh_token","refresh_token":"TOKEN","client_id":"app","resource":"https://a.example#"}`, jsonType, ""},
		{`{"grant_type":"refresh_token","refresh_token":"TOKEN","client_id":"app","resource":[[]]}`, jsonType, ""},
		{"grant_type=refresh_token&refresh_token=OTHER&client_id=web&client_secret=SECRET", formType, ""},
		{"grant_type=refresh_token&refresh_token=OTHER&client_id=web&client_secret=SECRET", formType, "BASIC"},
		{"grant_type=refresh_token&refresh_token=OTHER", formType, "BASIC"},
		{"grant_type=refresh_token&refresh_token=OTHER", formType, "BASIC "},
		{"grant_type=refresh_token&refresh_token=TOKEN", formType, "BASIC"},
		{"grant_type=refresh_token&refresh_token=OTHER", formType, "Basic d2ViOg=="},
		{"grant_type=refresh_token&refresh_token=OTHER&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=DEAD&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=FORGED&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=ACCESS&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=rotor_AQEA&client_id=app", formType, "Basic YXBwOg=="},
		{"grant_type=refresh_token&refresh_token=TOKEN&refresh_token=TOKEN&client_id=app", formType, ""},
		{"grant_type=refresh%5ftoken&refresh_token=%54OKEN&client_id=%61pp&scope=%20%ff", formType, "Bearer x"},
		{"grant_type=password&username=u;a=b&&&=&%zz", formType, "Basic"},
		{`{"grant_type":"refresh_token","refresh_token":"TOKEN","client_id":"app"}`, jsonType, ""},
		{`{"grant_type":"refresh_token","refresh_token":"OTHER","scope":null,"x":[{}]}`, jsonType, "BASIC"},
		{`{"grant_type":"refresh_token","refresh_token":"\ud800","client_id":"app"}{`, "application/json;a=\"", ""},
		{`{"grant_type":{"a":1e999},"grant_type":0}`, jsonType, "basic Og=="},
		{"[[[[", jsonType, "Basic JXp6Og=="},
		{"", "", ""},
		{strings.Repeat("x", 16<<10), formType, ""},
	} {
		f.Add(seed.body, seed.contentType, seed.authorization)
	}
	f.Fuzz(func(t *testing.T, body, contentType, authorization string) {
		body, authorization = fill.Replace(body), fill.Replace(authorization)
		a := q.ask(t, http.MethodPost, "/oauth/token", contentType, authorization, body)
		switch a.status {
		case http.StatusOK:
			presented, audience := live, []string{"https://a.example", "urn:b", "c d"}
			if strings.Contains(body, secret) || isBasic(authorization, "web", secret) {
				presented, audience = other, []string{"https://rotor.example"}
			}
			was, _ := q.keys.Codec.Parse(presented.refresh)
			is, err := q.keys.Codec.Parse(a.text("refresh_token"))
			if err != nil || is.Family != was.Family || is.Counter != 2 || !strings.Contains(body, presented.refresh) {
				t.Errorf("the successor %+v, %v is not of what was presented", is, err)
			}
			if access, err := q.keys.Signing.Verify(a.text("access_token"), "https://rotor.example", q.clock.Now()); err != nil || access.Subject != "u" || len(access.Audience) > len(audience) ||
				slices.ContainsFunc(access.Audience, func(to string) bool { return !slices.Contains(audience, to) }) {
				t.Errorf("the access token %+v, %v", access, err)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != jsonType {
				t.Errorf("the header of a token is %v", a.header)
			}
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestEntityTooLarge:
			if asked := a.header.Get("WWW-Authenticate") != ""; asked != (a.status == http.StatusUnauthorized) {
				t.Errorf("%v: %v", a, a.header)
			}
		default:
			t.Errorf("%v", a)
		}
	})
}
