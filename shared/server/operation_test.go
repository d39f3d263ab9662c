package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/manage"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

const login = "arn:aws:sts::123456789012:assumed-role/login/pod-7"

// operation returns the only line that operations have added after the first ones, without
// members that differ from run to run.
func (w *world) operation(before int) map[string]any {
	w.t.Helper()
	lines := w.logged("sapi")
	if len(lines) != before+1 {
		w.t.Fatalf("%d lines of operations more, not 1: %v", len(lines)-before, lines[min(before, len(lines)):])
	}
	line := maps.Clone(lines[before])
	if _, err := ulid.ParseStrict(fmt.Sprint(line["eventId"])); err != nil {
		w.t.Errorf("the event's id is %v", line["eventId"])
	}
	if line["http_request_id"] == nil || line["ip"] != "127.0.0.1" || line["userAgent"] != "Go-http-client/1.1" {
		w.t.Errorf("the line does not say where the call came from: %v", line)
	}
	for _, name := range []string{"time", "level", "msg", "type", "eventId", "http_request_id", "ip", "userAgent"} {
		delete(line, name)
	}
	return line
}

// did makes a call of the management API and returns its answer and its line.
func (w *world) did(method, path, body string) (answer, map[string]any) {
	w.t.Helper()
	before := len(w.logged("sapi"))
	contentType := ""
	if body != "" {
		contentType = jsonType
	}
	a := w.send(method, path, contentType, body)
	return a, w.operation(before)
}

// call is a successful call of the management API, and what its line says besides the
// operation, its caller and its status. ID stands for the id that prepare returns, and ANSWER
// for a member of the answer.
type call struct {
	prepare    func(w *world) (id string)
	path, body string
	status     int
	says       map[string]any
}

// calls lists a call for each operation. A new operation must be added here.
var calls = map[string]call{
	"issue_family": {
		path: "/v1/families", body: `{"user_id":"u","client_id":"app"}`, status: 201,
		says: map[string]any{"userId": "u", "clientId": "app", "familyId": "ANSWER family"},
	},
	"authorize_user": {
		prepare: func(w *world) string { w.putClient("app", authorizing); return "" },
		path:    "/v1/authorize", body: authorizeBody("u", authorizationRequest()), status: 200,
		says: map[string]any{"userId": "u", "clientId": "app", "familyId": "ANSWER family"},
	},
	"import_tokens": {
		prepare: func(w *world) string { w.acceptImported("true"); return "" },
		path:    "/v1/imports", body: importBody(importRow("u", foreignToken(1))), status: 200,
		says: map[string]any{"clientId": "app"},
	},
	"change_family": {
		prepare: func(w *world) string { _, id := w.login(); return id },
		path:    "/v1/families/ID", body: `{"acr":"aal2"}`, status: 200,
		says: map[string]any{"userId": "u", "clientId": "app", "familyId": "ID"},
	},
	"change_families": {
		prepare: func(w *world) string { w.login(); return "" },
		path:    "/v1/families?user_id=u&client_id=app", body: `{"acr":"aal2"}`, status: 200,
		says: map[string]any{"userId": "u", "clientId": "app"},
	},
	"revoke_families": {
		prepare: func(w *world) string { w.login(); return "" },
		path:    "/v1/families?user_id=u&client_id=app", status: 200,
		says: map[string]any{"userId": "u", "clientId": "app"},
	},
	"revoke_family": {
		prepare: func(w *world) string { _, id := w.login(); return id },
		path:    "/v1/families/ID", status: 200,
		says: map[string]any{"userId": "u", "clientId": "app", "familyId": "ID"},
	},
	"erase_user": { // the line does not name who was erased
		prepare: func(w *world) string { w.login(); return audit.EncodeUserKey(w.keys.Users.Key("u")) },
		path:    "/v1/users?user_id=u", status: 200,
		says: map[string]any{"userKey": "ID"},
	},
	"put_client":    {path: "/v1/clients/new", body: `{"type":"public"}`, status: 201, says: map[string]any{"clientId": "new"}},
	"delete_client": {path: "/v1/clients/app", status: 204, says: map[string]any{"clientId": "app"}},
	"add_secret": {
		path: "/v1/clients/web/secrets", status: 201,
		says: map[string]any{"clientId": "web", "secretId": "ANSWER secret_id", "changes": []any{"secret_added"}},
	},
	"remove_secret": {
		prepare: func(w *world) string {
			return w.send(http.MethodPost, "/v1/clients/web/secrets", "", "").text("secret_id")
		},
		path: "/v1/clients/web/secrets/ID", status: 204,
		says: map[string]any{"clientId": "web", "secretId": "ID"},
	},
}

// routes returns the calls of the management API from the table that serves them.
func (w *world) routes() []manage.Route {
	a, _ := w.another(w.store.Table(), keysAsTheyAre{w.keys})
	return a.Manage.Routes()
}

// TestEveryOperationIsOnRecord checks that each change through the management API leaves one
// line that says who asked for what, and with which result. It goes through the table of
// routes, so it fails for a new one that has no name or no entry in calls.
func TestEveryOperationIsOnRecord(t *testing.T) {
	w := newWorld(t, calledBy(login))
	names := map[string]bool{}
	reads := 0
	page, err := os.ReadFile("../../docs/support.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range w.routes() {
		if r.Operation == "" {
			reads++
			if r.Method != http.MethodGet && r.Path != "/v1/explain" {
				t.Errorf("%s %s is said to change nothing", r.Method, r.Path)
			}
			continue
		}
		t.Run(r.Operation, func(t *testing.T) {
			c, listed := calls[r.Operation]
			switch {
			case !r.Declared, !regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`).MatchString(r.Operation):
				t.Fatalf("%s %s has no name among its endpoint's operations", r.Method, r.Path)
			case names[r.Operation]:
				t.Fatalf("%s %s has the name of another", r.Method, r.Path)
			case !listed:
				t.Fatalf("no call of %s %s is listed", r.Method, r.Path)
			case !strings.Contains(string(page), "`"+r.Operation+"`"):
				t.Error("docs/support.md does not know it")
			}
			names[r.Operation] = true
			w := newWorld(t, calledBy(login))
			id := ""
			if c.prepare != nil {
				id = c.prepare(w)
			}
			path := strings.ReplaceAll(c.path, "ID", id)
			w.store.Counted()
			a, line := w.did(r.Method, path, c.body)
			requests := len(w.store.Counted())
			want := map[string]any{"operation": r.Operation, "status": float64(c.status), "by": login}
			for name, value := range c.says {
				if s, ok := value.(string); ok {
					if member, found := strings.CutPrefix(s, "ANSWER "); found {
						value = a.text(member)
					} else {
						value = strings.ReplaceAll(s, "ID", id)
					}
				}
				want[name] = value
			}
			if diff := cmp.Diff(want, line); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}

			// Two requests are refused, one for its query and one for the size of its body.
			want = map[string]any{"operation": r.Operation, "status": 400.0, "by": login}
			for name, value := range line { // members that the path names
				if strings.Contains(r.Path, "{client_id}") && name == "clientId" || strings.Contains(r.Path, "{family}") && name == "familyId" ||
					strings.Contains(r.Path, "{secret_id}") && name == "secretId" {
					want[name] = value
				}
			}
			bare, _, _ := strings.Cut(path, "?")
			if _, line := w.did(r.Method, bare+"?no_such=1", ""); cmp.Diff(want, line) != "" {
				t.Errorf("refused (-want +got):\n%s", cmp.Diff(want, line))
			}
			want["status"] = 413.0
			if _, line := w.did(r.Method, bare, strings.Repeat(" ", int(r.MaxBody)+1)); cmp.Diff(want, line) != "" {
				t.Errorf("too large (-want +got):\n%s", cmp.Diff(want, line))
			}

			// If the store fails, nobody knows whether the change was made, but the line still
			// says what it was about.
			for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
				for broken := 1; broken <= requests; broken++ {
					w := newWorld(t, calledBy(login))
					id := ""
					if c.prepare != nil {
						id = c.prepare(w)
					}
					w.store.Break(func(n int, _ string) storetest.Fault {
						if n >= broken {
							return fault
						}
						return storetest.None
					})
					a, line := w.did(r.Method, strings.ReplaceAll(c.path, "ID", id), c.body)
					w.store.Break(nil)
					if line["operation"] != r.Operation || line["by"] != login || line["status"] != float64(a.status) {
						t.Errorf("%s from request %d on: answered %d, and on record is %v", name, broken, a.status, line)
					}
				}
			}
		})
	}
	if len(names) != len(calls) {
		t.Errorf("%d operations, and calls of %d", len(names), len(calls))
	}
	if len(names) < 7 || reads < 6 {
		t.Errorf("looked at %d operations and %d reads", len(names), reads)
	}
}

// TestReadsAreNotOnRecord checks that reads, and requests for which there is no call, leave no
// line.
func TestReadsAreNotOnRecord(t *testing.T) {
	w := newWorld(t, calledBy(login))
	tok, id := w.login()
	w.addSecret("web")
	before := len(w.logged("sapi"))
	for _, r := range w.routes() {
		if r.Method != http.MethodGet && r.Path != "/v1/explain" {
			continue
		}
		path := strings.NewReplacer("{family}", id, "{client_id}", "web").Replace(r.Path)
		methods := []string{r.Method}
		if r.Method == http.MethodGet {
			methods = append(methods, http.MethodHead, http.MethodOptions, "BREW")
		}
		for _, method := range methods {
			w.send(method, path, jsonType, `{"refresh_token":"`+tok+`"}`)
			w.send(method, path+"?user_id=u", "", "")
		}
	}
	w.send(http.MethodPut, "/v1/families", jsonType, `{}`) // no such method
	w.send(http.MethodPost, "/v1/nothing", jsonType, `{}`) // no such path
	w.refresh(tok)
	if lines := w.logged("sapi"); len(lines) != before {
		t.Errorf("on record is %v", lines[before:])
	}
}

// adopting returns a public client that adopts tokens of the provider with that token endpoint.
func adopting(endpoint string) string {
	return `{"type":"public","adopt":{"token_endpoint":"` + endpoint + `","client_id":"a","auth":"none","user":{"from":"id_token"}}}`
}

// TestChangesOfAClient checks that the line of a PUT lists each change that weakens a client
// or moves its not_before. What was so before is not listed.
func TestChangesOfAClient(t *testing.T) {
	w := newWorld(t)
	in := func(d time.Duration) string { return w.clock.Now().Add(d).Format(time.RFC3339) }
	observe := func(d time.Duration) string {
		return `{"type":"public","policy":{"reuse_detection":"observe","observe_until":"` + in(d) + `"}}`
	}
	keys := []jose.JSONWebKey{assertiontest.NewKey(t, jose.ES256, "1"), assertiontest.NewKey(t, jose.ES256, "2"), assertiontest.NewKey(t, jose.ES256, "3")}
	keySet := func(numbers ...int) string {
		var chosen []jose.JSONWebKey
		for _, n := range numbers {
			chosen = append(chosen, keys[n])
		}
		return assertiontest.JWKS(t, chosen...)
	}
	notBefore := func(d time.Duration) string { return `{"type":"public","not_before":"` + in(d) + `"}` }
	for _, tt := range []struct {
		name, body string
		want       []any
	}{
		{"a new client", `{"type":"confidential"}`, nil},
		{"the same again", `{"type":"confidential"}`, nil},
		{"it may introspect", `{"type":"confidential","may_introspect":true}`, []any{"may_introspect_on"}},
		{"it may forward as well", `{"type":"confidential","may_introspect":true,"may_forward":true}`, []any{"may_forward_on"}},
		{"it trusts an issuer", trusting(`"issuer":"i","audience":"a","jwks_uri":"https://i.example/","max_age":9`), []any{"became_public", "trust_widened"}},
		{"it trusts it less", trusting(`"issuer":"i","audience":"a","jwks_uri":"https://i.example/","max_age":8`), nil},
		{"it trusts it more", trusting(`"issuer":"i","audience":"a","jwks_uri":"https://i.example/","max_age":9`), []any{"trust_widened"}},
		{"it adopts", adopting("https://old.example/token"), []any{"adoption_on"}},
		{"it adopts still", adopting("https://old.example/token"), nil},
		{"it adopts from elsewhere", adopting("https://old.example/other"), []any{"adoption_on"}},
		{"it is confidential, and trusts nobody", `{"type":"confidential","may_introspect":true}`, []any{"may_introspect_on"}},
		{"it may still", `{"type":"confidential","may_introspect":true}`, nil},
		{"it may no more", `{"type":"confidential"}`, nil},
		{"it is public", `{"type":"public"}`, []any{"became_public"}},
		{"it stays public", `{"type":"public"}`, nil},
		{"reuse is observed", observe(day), []any{"observe_on"}},
		{"for less long", observe(time.Hour), nil},
		{"for longer", observe(2 * day), []any{"observe_on"}},
		{"reuse is enforced", `{"type":"public"}`, nil},
		{"and observed again", observe(day), []any{"observe_on"}},
		{"enforced again", `{"type":"public"}`, nil},
		{"without rotation", `{"type":"confidential","policy":{"rotation":false}}`, []any{"rotation_off"}},
		{"still without", `{"type":"confidential","policy":{"rotation":false}}`, nil},
		{"public, with rotation", `{"type":"public"}`, []any{"became_public"}},
		{"families of before yesterday end", notBefore(-day), []any{"not_before_set"}},
		{"they stay ended", `{"type":"public"}`, nil},
		{"those of before today end", notBefore(-time.Hour), []any{"not_before_set"}},
		{"yesterday's live again", notBefore(-day), []any{"not_before_lowered"}},
		{"a redirect URI", `{"type":"public","redirect_uris":["https://a.example/"]}`, []any{"redirect_uri_added"}},
		{"the same redirect URI", `{"type":"public","redirect_uris":["https://a.example/"]}`, nil},
		{"another redirect URI", `{"type":"public","redirect_uris":["https://b.example/"]}`, []any{"redirect_uri_added"}},
		{"an address after a logout", `{"type":"public","post_logout_redirect_uris":["https://b.example/"]}`, []any{"redirect_uri_added"}},
		{"it has cookies", `{"type":"public","transport":"cookie"}`, nil},
		{"of another attribute", `{"type":"public","transport":"cookie","cookie_same_site":"lax"}`, nil},
		{"bound to devices", `{"type":"public","transport":"cookie","device_bound":true}`, nil},
		{"no longer", `{"type":"public","transport":"cookie"}`, []any{"device_bound_off"}},
		{"it has none", `{"type":"public","transport":"body"}`, []any{"cookie_off"}},
		{"still none", `{"type":"public"}`, nil},
		{"its families may be bound", `{"type":"public","policy":{"dpop":"allowed"}}`, nil},
		{"they must be", `{"type":"public","policy":{"dpop":"required"}}`, nil},
		{"they may be", `{"type":"public","policy":{"dpop":"allowed"}}`, []any{"dpop_lowered"}},
		{"still", `{"type":"public","policy":{"dpop":"allowed"}}`, nil},
		{"they are not", `{"type":"public"}`, []any{"dpop_lowered"}},
		{"it is confidential", `{"type":"confidential"}`, nil},
		{"it has keys", `{"type":"confidential","jwks_uri":"https://a.example/keys"}`, []any{"key_added"}},
		{"it has them still", `{"type":"confidential","jwks_uri":"https://a.example/keys"}`, nil},
		{"it has others", `{"type":"confidential","jwks_uri":"https://b.example/keys"}`, []any{"key_added"}},
		{"it has two of its own", `{"type":"confidential","jwks":` + keySet(0, 1) + `}`, []any{"key_added"}},
		{"it has one of them", `{"type":"confidential","jwks":` + keySet(1) + `}`, nil},
		{"it has another", `{"type":"confidential","jwks":` + keySet(1, 2) + `}`, []any{"key_added"}},
		{"it has none", `{"type":"confidential"}`, nil},
		{
			"all at once", `{"type":"public","not_before":"` + in(-time.Minute) + `","policy":{"reuse_detection":"observe","observe_until":"` + in(day) + `"}}`,
			[]any{"became_public", "observe_on", "not_before_set"},
		},
		{"a refusal changes nothing", `{"type":"confidential","may_introspect":true,"scope":"a  b"}`, nil},
	} {
		_, line := w.did(http.MethodPut, "/v1/clients/changing", tt.body)
		if got, _ := line["changes"].([]any); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, not %v", tt.name, got, tt.want)
		}
	}
	_, line := w.did(http.MethodPut, "/v1/clients/weak", `{"type":"confidential","may_introspect":true,"policy":{"rotation":false}}`)
	if diff := cmp.Diff([]any{"may_introspect_on", "rotation_off"}, line["changes"]); diff != "" {
		t.Errorf("of a client that is new (-want +got):\n%s", diff)
	}
}

// TestRefusedSecretIsNoChange checks that a refused third secret is not listed as a change.
func TestRefusedSecretIsNoChange(t *testing.T) {
	w := newWorld(t, metrics())
	for i, want := range []any{[]any{"secret_added"}, []any{"secret_added"}, nil} {
		if a, line := w.did(http.MethodPost, "/v1/clients/web/secrets", ""); cmp.Diff(want, line["changes"]) != "" || line["status"] != float64(a.status) || (line["secretId"] != nil) != (want != nil) {
			t.Errorf("secret %d: answered %v, and on record is %v", i+1, a, line)
		}
	}
	if n := w.counted("SecretAdded"); n != 2 {
		t.Errorf("%v secrets are counted", n)
	}
}

// TestChangesWhoseAnswerWasLost checks that a change is recorded even if the answer to its
// write was lost. The SDK's retry finds what it wrote itself, and a caller that repeats the
// PUT after a 503 changes nothing.
func TestChangesWhoseAnswerWasLost(t *testing.T) {
	const introspects = `{"type":"confidential","may_introspect":true}`
	t.Run("to the SDK", func(t *testing.T) {
		w := newWorld(t)
		lost := false
		w.store.Break(func(_ int, operation string) storetest.Fault {
			if operation == "UpdateItem" && !lost {
				lost = true
				return storetest.Lost
			}
			return storetest.None
		})
		a, line := w.did(http.MethodPut, "/v1/clients/web", introspects)
		w.store.Break(nil)
		if a.status != http.StatusOK || !lost || fmt.Sprint(line["changes"]) != "[may_introspect_on]" {
			t.Errorf("answered %v, and on record is %v", a, line)
		}
		if got := w.get("/v1/clients/web"); got.json["may_introspect"] != true {
			t.Errorf("the client is %v", got)
		}
	})
	t.Run("to us", func(t *testing.T) {
		w := newWorld(t)
		w.store.Break(func(_ int, operation string) storetest.Fault {
			if operation == "UpdateItem" {
				return storetest.Lost
			}
			return storetest.None
		})
		a, line := w.did(http.MethodPut, "/v1/clients/web", introspects)
		w.store.Break(nil)
		if a.status != http.StatusServiceUnavailable || fmt.Sprint(line["changes"]) != "[may_introspect_on]" {
			t.Errorf("answered %v, and on record is %v", a, line)
		}
	})
}

// TestPutsAtOnceAreEachOnRecord checks that of two simultaneous PUTs each lists the changes to
// what it has itself replaced.
func TestPutsAtOnceAreEachOnRecord(t *testing.T) {
	const weak = `{"type":"confidential","may_introspect":true}`
	for _, tt := range []struct {
		name, id string
		happens  func(w *world)
		status   int
		want     []string // recorded by both together
	}{
		{"another has put it", "web", func(w *world) {
			w.also(http.StatusOK, http.MethodPut, "/v1/clients/web", jsonType, weak)
		}, 200, []string{"[may_introspect_on]", "[became_public]"}},
		{"another has made it", "new", func(w *world) {
			w.also(http.StatusCreated, http.MethodPut, "/v1/clients/new", jsonType, weak)
		}, 200, []string{"[may_introspect_on]", "[became_public]"}},
		{"another has deleted it", "web", func(w *world) {
			w.also(http.StatusNoContent, http.MethodDelete, "/v1/clients/web", "", "")
		}, 201, []string{"<nil>", "<nil>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			before := len(w.logged("sapi"))
			server := w.meanwhile(1, "UpdateItem", func() { tt.happens(w) })
			if a := w.sendTo(server, http.MethodPut, "/v1/clients/"+tt.id, jsonType, `{"type":"public"}`); a.status != tt.status || a.text("type") != "public" {
				t.Errorf("answered %v", a)
			}
			var got []string
			for _, line := range w.logged("sapi")[before:] {
				got = append(got, fmt.Sprint(line["changes"]))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("on record is %v, not %v", got, tt.want)
			}
			if c := w.get("/v1/clients/" + tt.id); c.json["may_introspect"] != false || c.text("type") != "public" {
				t.Errorf("the client is %v", c)
			}
		})
	}
}

// TestOperationsHideWhatIsSecret checks that a line shows nothing of the body except whom the
// call is about, and that it hides what was pasted where an id belongs.
func TestOperationsHideWhatIsSecret(t *testing.T) {
	w := newWorld(t)
	a := w.issue(`{"user_id":"u","client_id":"app","claims":{"tenant":"acme-9"},"device":"Pixel 9"}`)
	refreshToken, accessToken, secret := a.text("refresh_token"), a.text("access_token"), w.addSecret("web")
	for _, pasted := range []string{refreshToken, accessToken, secret, "x" + refreshToken, "Bearer " + accessToken} {
		for _, c := range []struct{ method, path, body string }{
			{http.MethodPost, "/v1/families", `{"user_id":"` + pasted + `","client_id":"app"}`},
			{http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"` + pasted + `"}`},
			{http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"app","acr":"` + pasted + `"}`},
			{http.MethodDelete, "/v1/families?user_id=" + url.QueryEscape(pasted), ""},
			{http.MethodDelete, "/v1/families?user_id=u&client_id=" + url.QueryEscape(pasted), ""},
			{http.MethodDelete, "/v1/families?user_id=u&cause=" + url.QueryEscape(pasted), ""},
			{http.MethodDelete, "/v1/families/" + url.PathEscape(pasted), ""},
			{http.MethodDelete, "/v1/clients/" + url.PathEscape(pasted), ""},
			{http.MethodPut, "/v1/clients/" + url.PathEscape(pasted), `{"type":"` + pasted + `"}`},
			{http.MethodDelete, "/v1/clients/web/secrets/" + url.PathEscape(pasted), ""},
		} {
			if _, line := w.did(c.method, c.path, c.body); strings.Contains(fmt.Sprint(line), pasted) {
				t.Errorf("%s %.40s: on record is %v", c.method, c.path, line)
			}
		}
	}
	for _, line := range w.logged("sapi") {
		b, _ := json.Marshal(line)
		for _, hidden := range []string{"acme-9", "Pixel 9", refreshToken, accessToken, secret} {
			if strings.Contains(string(b), hidden) {
				t.Errorf("%s has %.12s in it", b, hidden)
			}
		}
	}
}

// TestOperationsShowIDs checks that an id which looks a little like a token is still shown.
func TestOperationsShowIDs(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"rotor_admin", "rotor_0123456789012345678", "eyJhbGciOiJub25lIn0", "auth0|0123456789abcdef01234567", "a.eyJx", strings.Repeat("u", 128)} {
		if _, line := w.did(http.MethodDelete, "/v1/families?user_id="+url.QueryEscape(id), ""); line["userId"] != id {
			t.Errorf("of %s on record is %v", id, line)
		}
	}
	for _, id := range []string{strings.Repeat("u", 129), "a\nb", ""} {
		if _, line := w.did(http.MethodDelete, "/v1/families?user_id="+url.QueryEscape(id), ""); line["userId"] != nil {
			t.Errorf("of what can be no user on record is %v", line)
		}
	}
}

// TestDryRunIsOnRecordAsOne checks that a dry run, which changes nothing, is recorded as a dry
// run.
func TestDryRunIsOnRecordAsOne(t *testing.T) {
	w := newWorld(t)
	w.login()
	if a, line := w.did(http.MethodDelete, "/v1/families?user_id=u&dry_run=true", ""); a.number("revoked") != 1 || line["dryRun"] != true {
		t.Errorf("answered %v, and on record is %v", a, line)
	}
	if _, line := w.did(http.MethodDelete, "/v1/families?user_id=u&dry_run=false", ""); line["dryRun"] != nil {
		t.Errorf("on record is %v", line)
	}
}

// TestRevocationSaysWhoAsked checks that the caller who ended a family is named in the line,
// in the stored event and in the family's timeline. A client that revokes its own token is not
// such a caller.
func TestRevocationSaysWhoAsked(t *testing.T) {
	const support = "arn:aws:sts::123456789012:assumed-role/support/ada@example.com"
	w := newWorld(t, calledBy(support))
	_, one := w.login()
	w.send(http.MethodDelete, "/v1/families/"+one, "", "")
	w.clock.Advance(time.Second)
	_, many := w.login()
	w.send(http.MethodDelete, "/v1/families?user_id=u&cause=password_changed", "", "")
	w.clock.Advance(time.Second)
	tok, own := w.login()
	w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", tok))

	lines, stored := w.logged("srrt"), w.events("type=srrt")
	if len(lines) != 3 || len(stored) != 3 {
		t.Fatalf("%d lines and %d stored events", len(lines), len(stored))
	}
	for i, by := range []any{support, support, nil} {
		if lines[i]["by"] != by || stored[2-i]["by"] != by || lines[i]["eventId"] != stored[2-i]["eventId"] {
			t.Errorf("in the log %v, stored %v: not by %v", lines[i], stored[2-i], by)
		}
	}
	for id, by := range map[string]any{one: support, many: support, own: nil} {
		timeline := w.family(id).json["timeline"].([]any)
		if last := timeline[len(timeline)-1].(map[string]any); last["event"] != "revoked" || last["by"] != by {
			t.Errorf("the timeline ends with %v: not by %v", last, by)
		}
	}
}

// panics is a source of keys that panics with a secret in its message.
type panics struct{ with string }

func (p panics) Keys(context.Context, time.Time) (*keyring.Keys, error) {
	panic("the key is " + p.with)
}

func (p panics) Newer(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	return p.Keys(ctx, now)
}

// TestPanicIsAnsweredAndOnRecord checks that a panic is answered, and logged without its
// message, which may hold a secret. An operation that panics is recorded.
func TestPanicIsAnsweredAndOnRecord(t *testing.T) {
	w := newWorld(t)
	const canary = "canary-0123456789"
	_, server := w.another(w.store.Table(), panics{canary})
	before := len(w.logged("sapi"))
	w.sendTo(server, http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`).problem(t, http.StatusInternalServerError)
	if line := w.operation(before); line["operation"] != "issue_family" || line["status"] != 500.0 || line["userId"] != "u" {
		t.Errorf("on record is %v", line)
	}
	a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("x"))
	if a.status != http.StatusInternalServerError || a.text("error") != "server_error" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("answered %v", a)
	}
	log := w.log.String()
	if n := strings.Count(log, `"msg":"panic","value_type":"string"`); n != 2 {
		t.Errorf("%d panics are logged:\n%s", n, log)
	}
	if !strings.Contains(log, "operation_test.go") {
		t.Error("the log does not say where")
	}
	if strings.Contains(log, canary) || strings.Contains(a.body, canary) {
		t.Error("what the panic was with is shown")
	}
}
