package api_test

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/api"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// quiet is a handler over a new store, with its registry: "app" is public, "web"
// confidential. Nothing is logged: a fuzz run would fill the memory.
type quiet struct {
	http.Handler
	table *store.Table
	keys  *keyring.Keys
}

func newQuiet(tb testing.TB, alg signing.Algorithm) *quiet {
	tb.Helper()
	table, _ := storetest.Open(tb)
	return newQuietOver(tb, table, alg)
}

func newQuietOver(tb testing.TB, table *store.Table, alg signing.Algorithm) *quiet {
	tb.Helper()
	clock := storetest.NewClock()
	document, err := keyring.Generate(alg, clock.Now())
	if err != nil {
		tb.Fatal(err)
	}
	source, err := keyring.Local(document)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := source.Keys(tb.Context(), clock.Now())
	if err != nil {
		tb.Fatal(err)
	}
	return &quiet{
		api.New(api.Config{
			Issuer: "https://rotor.example", Table: table, Keys: source, Log: slog.New(slog.DiscardHandler), Now: clock.Now,
		}).Handler(),
		table, keys,
	}
}

// serve makes a request without a socket.
func (q *quiet) serve(method, path, contentType, authorization, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	q.ServeHTTP(w, r)
	return w
}

// must is serve of a JSON body that has to succeed; it returns the answer.
func (q *quiet) must(tb testing.TB, method, path, body string) map[string]any {
	tb.Helper()
	w := q.serve(method, path, jsonType, "", body)
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code >= 300 {
		tb.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return m
}

// FuzzTokenRequest: whatever is sent, the answer is JSON and no failure, and it is
// a success only for a token that was issued. In bodies TOKEN stands for a live
// token of "app", OTHER for one of "web", DEAD for a revoked one, FORGED for one
// with another tag; SECRET and the credentials BASIC are those of "web".
func FuzzTokenRequest(f *testing.F) {
	const secret = "of web, made up"
	q := newQuiet(f, signing.ES256)
	q.must(f, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	q.must(f, http.MethodPut, "/v1/clients/web", `{"type":"confidential"}`)
	err := q.table.AddSecret(f.Context(), "web", store.Secret{ID: ulid.Make().String(), Hash: sha256.Sum256([]byte(secret))})
	if err != nil {
		f.Fatal(err)
	}
	issue := func(body string) string {
		tok, _ := q.must(f, http.MethodPost, "/v1/families", body)["refresh_token"].(string)
		return tok
	}
	live, other, dead := issue(`{"user_id":"u","client_id":"app","scope":"openid read"}`), issue(`{"user_id":"u","client_id":"web"}`), issue(`{"user_id":"u","client_id":"app"}`)
	if w := q.serve(http.MethodPost, "/oauth/revoke", formType, "", form("client_id", "app", "token", dead)); w.Code != http.StatusOK {
		f.Fatal(w.Code)
	}
	family, _ := q.keys.Codec.Parse(live)
	otherFamily, _ := q.keys.Codec.Parse(other)
	fill := strings.NewReplacer("TOKEN", live, "OTHER", other, "DEAD", dead, "FORGED", forge(live), "SECRET", strings.ReplaceAll(secret, " ", "+"))

	for _, seed := range []struct{ body, contentType, authorization string }{
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&scope=read", formType + ";charset=utf-8", ""},
		{"grant_type=refresh_token&refresh_token=TOKEN&client_id=app&scope=read+admin", formType, ""},
		{"grant_type=refresh_token&refresh_token=OTHER&client_id=web&client_secret=SECRET", formType, ""},
		{"grant_type=refresh_token&refresh_token=OTHER", formType, "BASIC"},
		{"grant_type=refresh_token&refresh_token=OTHER", formType, "Basic d2ViOg=="},
		{"grant_type=refresh_token&refresh_token=OTHER&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=DEAD&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=FORGED&client_id=app", formType, ""},
		{"grant_type=refresh_token&refresh_token=rotor_AQEA&client_id=app", formType, "Basic YXBwOg=="},
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
		body = fill.Replace(body)
		if authorization == "BASIC" {
			authorization = basic("web", strings.ReplaceAll(secret, " ", "+"))
		}
		w := q.serve(http.MethodPost, "/oauth/token", contentType, authorization, body)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Header().Get("Content-Type") != jsonType || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		switch w.Code {
		case http.StatusOK:
			newest, _ := answer["refresh_token"].(string)
			got, err := q.keys.Codec.Parse(newest)
			if err != nil {
				t.Fatalf("the successor: %v", err)
			}
			if !(got.Family == family.Family && strings.Contains(body, live)) && !(got.Family == otherFamily.Family && strings.Contains(body, other)) {
				t.Fatalf("a token of %x for what was not one of it", got.Family)
			}
		case http.StatusBadRequest, http.StatusUnauthorized, http.StatusRequestEntityTooLarge:
			if answer["error"] == nil || (w.Header().Get("WWW-Authenticate") != "") != (w.Code == http.StatusUnauthorized && authorization != "") {
				t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzManagement: no body makes a failure of the service, and what a client was
// made of can be shown.
func FuzzManagement(f *testing.F) {
	q := newQuiet(f, signing.ES256)
	q.must(f, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	for _, body := range []string{
		`{"user_id":"u","client_id":"app"}`,
		`{"user_id":"u","client_id":"app","scope":"read","audience":"a","claims":{"a":[1e9,null,"\u0000"]},"auth_time":"2029-01-01T00:00:00Z","acr":"1","amr":["pwd"],"device":"d","absolute_lifetime":60}`,
		`{"user_id":"\ud800","client_id":"app","claims":{"":{}},"amr":[],"scope":""}`,
		`{"user_id":"u","client_id":"app","claims":{"a":1e400}}`,
		`{"user_id":"u","client_id":"app","auth_time":"9999-12-31T23:59:59-23:59","absolute_lifetime":-1}`,
		`{"type":"public"}`,
		`{"type":"confidential","preset":"auth0","policy":{"reuse_interval":5,"max_active":1},"scope":"a b","audience":"x","may_introspect":true,"not_before":"2029-01-01T00:00:00Z"}`,
		`{"type":"public","policy":{"reuse_detection":"observe","observe_until":"2030-01-03T00:00:00Z"}}`,
		`{"type":"public","not_before":"1969-12-31T23:59:59Z"}`,
		`{"type":"public","not_before":"0000-01-01T00:00:00+23:59"}`,
		`{"user_id":"u","client_id":"app","acr":"1","amr":[]}`,
		`{"type":"public","policy":[],"Type":1}`,
		`{`, ``, `null`, "\xef\xbb\xbf{}", `{"a":` + strings.Repeat("[", 9000),
	} {
		f.Add(body, true)
		f.Add(body, false)
	}
	f.Fuzz(func(t *testing.T, body string, issue bool) {
		method, path := http.MethodPut, "/v1/clients/fuzz"
		if issue {
			method, path = http.MethodPost, "/v1/families"
		}
		w := q.serve(method, path, jsonType, "", body)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code >= 300 {
			if w.Header().Get("Content-Type") != "application/problem+json" {
				t.Fatalf("%d %v", w.Code, w.Header())
			}
			return
		}
		shown := "/v1/clients/fuzz"
		if issue {
			shown = w.Header().Get("Location")
		}
		if w := q.serve(http.MethodGet, shown, "", "", ""); w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
			b, _ := io.ReadAll(w.Body)
			t.Fatalf("what was accepted is shown as %d %s", w.Code, b)
		}
	})
}
