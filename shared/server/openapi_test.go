package server_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/openapi"
	"github.com/rotor-auth/rotor/shared/openapi/openapitest"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// answeredElsewhere reports whether a part of the document is of an answer that this package cannot see, because the
// function manage gives it before the API is asked. TestManageAsksForIAMEverywhere, of functions/internal/gateway, sees
// each of them.
func answeredElsewhere(part string) bool {
	return strings.Contains(part, " /v1/") && strings.HasSuffix(part, ": the answer 403") || strings.HasPrefix(part, "/components/responses/Forbidden")
}

// lacking returns what is wrong with the OpenAPI document after all tests have run: the parts of it that no exchange had,
// and those that are excused and need not be.
func lacking() (unseen, excused []string) {
	unseen = openapitest.Load().Unseen()
	for _, part := range openapitest.Load().Seen() {
		if answeredElsewhere(part) {
			excused = append(excused, part)
		}
	}
	return slices.DeleteFunc(unseen, answeredElsewhere), excused
}

// isWhole reports whether all tests of the package run, and no choice of them.
func isWhole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz", "test.bench"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// TestRoutesAreThoseOfTheDocument checks that the OpenAPI document has all routes of the service, and no others. The
// operations of /v1 are named as the audit log names them.
func TestRoutesAreThoseOfTheDocument(t *testing.T) {
	w := newWorld(t)
	a := w.api(func(*server.Config) {})
	var served, documented []string
	for _, e := range a.OAuth.Endpoints() {
		for method := range e.Methods {
			served = append(served, method+" "+e.Path)
		}
	}
	names := map[string]string{}
	for _, r := range a.Manage.Routes() {
		served = append(served, r.Method+" "+r.Path)
		names[r.Method+" "+r.Path] = r.Operation
	}
	for _, o := range openapitest.Load().Operations() {
		route := o.Method + " " + o.Path
		documented = append(documented, route)
		if name := names[route]; name != "" && name != snake(o.ID) {
			t.Errorf("%s is %s in the document, and %s in the audit log", route, o.ID, name)
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("the routes (-service +document):\n%s", diff)
	}
}

// snake returns a name like issueFamily as issue_family.
func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// TestDocumentIsServed checks that the service answers with the document of its issuer, to pages of any origin, and that
// its metadata say where.
func TestDocumentIsServed(t *testing.T) {
	for _, path := range []string{"", "/auth"} {
		w := newWorld(t, below(path))
		issuer := w.servers[0].URL + path
		at := w.send(http.MethodGet, path+"/.well-known/oauth-authorization-server", "", "").text("service_documentation")
		if at != issuer+"/openapi.json" {
			t.Errorf("the metadata say %q", at)
		}
		a := w.send(http.MethodGet, strings.TrimPrefix(at, w.servers[0].URL), "", "", "Origin", "https://any.example")
		if a.status != http.StatusOK || a.body != string(openapi.For(issuer)) {
			t.Fatalf("the answer is %.200s", a)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s is %q, not %q", name, got, want)
			}
		}
		if head := w.send(http.MethodHead, path+"/openapi.json", "", ""); head.status != http.StatusOK || head.body != "" {
			t.Errorf("HEAD is answered %v", head)
		}
	}
}

// ask returns a request of an operation, as far as its answer depends on nothing but the operation.
func ask(o openapitest.Operation, family string) (path, contentType, body string) {
	path = strings.NewReplacer("{family}", family, "{client_id}", "app", "{secret_id}", "01M8GAJ5BPB4EA1SSWRJK6FP4P").Replace(o.Path)
	d := openapitest.Load()
	if slices.Contains(d.Parameters(o.Method, o.Path, "query"), "user_id") {
		path += "?user_id=u"
	}
	switch o.Path + " " + o.Method {
	case "/oauth/token POST":
		return path, formType, refreshForm("x")
	case "/authorize POST":
		return path, formType, "client_id=app"
	case "/oauth/logout GET":
		return path + "?client_id=app&post_logout_redirect_uri=https://a.example/", "", ""
	case "/v2/logout GET":
		return path + "?client_id=app&returnTo=https://a.example/", "", ""
	case "/oauth/logout POST":
		return path, formType, "client_id=app&post_logout_redirect_uri=https://a.example/"
	case "/oauth/revoke POST", "/oauth/introspect POST":
		return path, formType, "client_id=app&token=x"
	case "/auth/v1/token POST":
		return path + "?grant_type=refresh_token&apikey=app", jsonType, `{"refresh_token":"x"}`
	case "/auth/v1/logout POST", "/auth/v1/user GET":
		return path + "?apikey=app", "", ""
	case "/v1/clients/{client_id} PUT":
		return path, jsonType, `{"type":"public"}`
	case "/v1/families POST":
		return path, jsonType, `{"user_id":"u","client_id":"app"}`
	case "/v1/authorize POST":
		return path, jsonType, authorizeBody("u", authorizationRequest())
	case "/v1/explain POST":
		return path, jsonType, `{"family":"` + family + `"}`
	case "/v1/imports POST":
		return path, jsonType, importBody(importRow("u", foreignToken(1)))
	}
	if len(d.Limits(o.Method, o.Path)) > 0 {
		return path, jsonType, `{"acr":"aal2"}`
	}
	return path, "", ""
}

// TestFailuresOfEveryOperation checks the answers that do not depend on what an operation does: to a body that is too large
// or of another type, to a bug, and to a store that cannot be reached.
func TestFailuresOfEveryOperation(t *testing.T) {
	w := newWorld(t, loginPage("https://login.example.com/"))
	_, family := w.login()
	_, buggy := w.another(w.store.Table(), keysAsTheyAre{w.keys}, func(c *server.Config) { c.Now = func() time.Time { panic("the clock is broken") } })
	_, noKeys := w.another(w.store.Table(), brokenKeys{})
	for _, o := range openapitest.Load().Operations() {
		w.putClient("app", authorizing) // an operation before may have deleted it
		path, contentType, body := ask(o, family)
		public := !strings.HasPrefix(o.Path, "/v1/")
		reads := o.Path != "/openapi.json" && o.Path != "/authorize" // neither the clock nor anything that can fail
		for _, tt := range []struct {
			what     string
			answered bool
			a        answer
			status   int
		}{
			{"a large body", true, w.send(o.Method, path, contentType, strings.Repeat("x", 513<<10)), http.StatusRequestEntityTooLarge},
			{"a body of another type", body != "" && !public, w.send(o.Method, path, "text/plain", body), http.StatusUnsupportedMediaType},
			{"a bug", reads, w.sendTo(buggy, o.Method, path, contentType, body), http.StatusInternalServerError},
		} {
			if tt.answered && tt.a.status != tt.status {
				t.Errorf("%s %s: %s is answered %v, not %d", o.Method, o.Path, tt.what, tt.a, tt.status)
			}
		}
		if !reads {
			continue
		}
		w.store.Break(func(int, string) storetest.Fault { return storetest.Failed })
		at := w.sendTo(noKeys, o.Method, path, contentType, body)
		w.store.Break(nil)
		if at.status != http.StatusServiceUnavailable {
			t.Errorf("%s %s: without store and keys it is answered %v", o.Method, o.Path, at)
		}
	}
}

// TestHeadersOfTheDocument checks that the service reads each header that the document has: repeated, it is refused.
func TestHeadersOfTheDocument(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"confidential","scope":"openid read write","may_forward":true,"redirect_uris":["`+callback+`"],"policy":{"dpop":"allowed"}}`)
	w.putClient("spa", `{"type":"public","transport":"cookie"}`)
	secret := w.addSecret("app")
	_, family := w.login()
	found := 0
	for _, o := range openapitest.Load().Operations() {
		path, contentType, body := ask(o, family)
		for _, name := range openapitest.Load().Parameters(o.Method, o.Path, "header") {
			found++
			if name == "Rotor-Transport" { // which is read of a client with cookies
				a := w.send(o.Method, path, formType, form("grant_type", "refresh_token", "client_id", "spa"), name, "cookie", name, "cookie", "Origin", w.servers[0].URL)
				if a.status != http.StatusBadRequest || !strings.Contains(a.body, name) {
					t.Errorf("%s %s: %s twice is answered %v", o.Method, o.Path, name, a)
				}
				continue
			}
			if strings.HasPrefix(path, "/oauth/dbsc/") { // which browsers call, and no program that could read a description
				a := w.send(o.Method, path, "", "", name, "x", name, "y", "Sec-Fetch-Site", "same-origin", "Origin", w.servers[0].URL)
				if a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
					t.Errorf("%s %s: %s twice is answered %v", o.Method, o.Path, name, a)
				}
				continue
			}
			if a := w.send(o.Method, path, contentType, body, "Authorization", basic("app", secret), name, "203.0.113.24", name, "203.0.113.25"); a.status != http.StatusBadRequest || !strings.Contains(a.body, name) {
				t.Errorf("%s %s: %s twice is answered %v", o.Method, o.Path, name, a)
			}
		}
	}
	if found != 16 {
		t.Errorf("the document has %d headers", found)
	}
}

// providerWith returns the setting adopt with a member set, which may be one of its user.
func providerWith(member string, value any) map[string]any {
	user := map[string]any{"from": "id_token"}
	p := map[string]any{"token_endpoint": "https://old.example/token", "client_id": "a", "auth": "none", "user": user}
	if name, inner, nested := strings.Cut(member, "."); nested {
		p[name].(map[string]any)[inner] = value
		return p
	}
	if p[member] = value; strings.HasPrefix(fmt.Sprint(value), "client_secret") {
		p["secret_name"] = "rotor/adopt/a"
	}
	return p
}

// TestLimitsOfTheDocument checks that the service accepts each value at the limits of the document, one at a time. Other
// tests check that it refuses what is beyond, and that the document allows what it accepts.
func TestLimitsOfTheDocument(t *testing.T) {
	w := newWorld(t)
	const sid = "01M8GAJ5KKYWW40K4KMERPD8GP"
	longest := strings.Repeat("a", 64)
	w.putClient(longest, `{"type":"public","accepts_imported":true}`)
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":0},"redirect_uris":["`+callback+`"],"accepts_imported":true}`)
	_, family := w.login()
	tried := 0
	for _, call := range []struct {
		method, template, path string
		base                   map[string]any
		status                 int
	}{
		{http.MethodPut, "/v1/clients/{client_id}", "/v1/clients/other", map[string]any{"type": "confidential"}, http.StatusOK},
		{http.MethodPost, "/v1/families", "/v1/families", map[string]any{"user_id": "u", "client_id": "app"}, http.StatusCreated},
		{http.MethodPost, "/v1/authorize", "/v1/authorize", map[string]any{"user_id": "u", "request": authorizationRequest("scope", "")}, http.StatusOK},
		{http.MethodPatch, "/v1/families/{family}", "/v1/families/" + family, map[string]any{"device": "d", "acr": "a"}, http.StatusOK},
		{http.MethodPatch, "/v1/families", "/v1/families?user_id=nobody", map[string]any{"device": "d", "acr": "a"}, http.StatusOK},
		{http.MethodPost, "/v1/explain", "/v1/explain", map[string]any{"family": family}, http.StatusOK},
		{http.MethodPost, "/v1/imports", "/v1/imports", map[string]any{"client_id": "app", "tokens": []any{importRow("u", foreignToken(1))}}, http.StatusOK},
	} {
		w.putClient("other", `{"type":"confidential"}`)
		for member, values := range openapitest.Load().Limits(call.method, call.template) {
			for _, value := range values {
				body := maps.Clone(call.base)
				name, inner, nested := strings.Cut(member, ".")
				switch {
				case name == "device_bound":
					body = map[string]any{"type": "public", "transport": "cookie", name: value}
				case name == "adopt" && nested:
					body[name] = providerWith(inner, value)
				case nested:
					policy := map[string]any{inner: value}
					if value == "observe" {
						policy["observe_until"] = w.clock.Now().Add(time.Hour)
					}
					body[name] = policy
				case call.template == "/v1/explain" && name == "user_id" && value != nil:
					body = map[string]any{"sid": sid, name: value}
				case call.template == "/v1/families/{family}" && name == "scope":
					continue // it can only be narrowed
				default:
					body[name] = value
				}
				switch empty := value == nil || value == ""; {
				case name == "transport" && value == "cookie":
					body["type"] = "public"
				case name == "cookie_same_site" && !empty:
					body["type"], body["transport"] = "public", "cookie"
				case call.template == "/v1/explain" && name == "family":
					body = map[string]any{"sid": sid, name: value}
				case call.template == "/v1/families" && name == "deliver" && !empty:
					body["code_challenge"] = challengeOf(verifier)
				case call.template == "/v1/families" && name == "nonce" && !empty:
					body["deliver"], body["code_challenge"] = "code", challengeOf(verifier)
				case call.template == "/v1/authorize" && name == "error" && !empty:
					delete(body, "user_id")
				case call.template == "/v1/authorize" && name == "user_id" && empty:
					body["error"] = "access_denied"
				}
				text, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				tried++
				if a := w.send(call.method, call.path, jsonType, string(text)); a.status != call.status {
					t.Errorf("%s %s of %.100s is answered %v", call.method, call.path, text, a)
				}
			}
		}
	}
	if tried < 100 {
		t.Errorf("%d values were tried", tried)
	}
}

// TestObservedReuseIsListed checks that the list of events says of a reuse that it was only observed.
func TestObservedReuseIsListed(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":0,"reuse_detection":"observe","observe_until":"`+w.clock.Now().Add(time.Hour).Format(time.RFC3339)+`"}}`)
	tok, _ := w.login()
	w.rotate(tok)
	w.rotate(tok)
	if events := w.events("type=ferrt"); len(events) != 1 || events[0]["observed"] != true {
		t.Errorf("the events are %v", events)
	}
}
