package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
)

// problem checks that the answer is a problem document (RFC 9457).
func (a answer) problem(t testing.TB, status int) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %.200s as %q, not %d", a.status, a.body, a.header.Get("Content-Type"), status)
		return
	}
	if a.number("status") != float64(status) || a.text("type") == "" || a.text("title") == "" || a.text("detail") == "" {
		t.Errorf("the problem document is %s", a.body)
	}
}

// quoted returns n different texts of the given size as elements of a JSON array.
func quoted(n, size int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("%q", strings.Repeat(fmt.Sprint(i), size)))
	}
	return strings.Join(list, ",")
}

// names checks that the answer is a 400 about that field whose text contains all parts.
func (a answer) names(t testing.TB, field string, says ...string) {
	t.Helper()
	a.problem(t, http.StatusBadRequest)
	list, _ := a.json["errors"].([]any)
	for _, e := range list {
		e, _ := e.(map[string]any)
		if e["field"] != field {
			continue
		}
		detail, _ := e["detail"].(string)
		for _, s := range append(says, field) {
			if !strings.Contains(detail, s) {
				t.Errorf("the error of %s does not say %q: %s", field, s, detail)
			}
		}
		if !strings.Contains(a.text("detail"), detail) {
			t.Errorf("the problem's detail leaves out %q: %s", detail, a.text("detail"))
		}
		return
	}
	t.Errorf("no error names %s: %d %.200s", field, a.status, a.body)
}

func (w *world) put(id, body string) answer {
	w.t.Helper()
	return w.send(http.MethodPut, "/v1/clients/"+id, jsonType, body)
}

func (w *world) get(path string) answer {
	w.t.Helper()
	return w.send(http.MethodGet, path, "", "")
}

func defaultPolicy() map[string]any {
	return map[string]any{
		"rotation": true, "reuse_interval": 60.0, "lost_response": "revoke", "absolute_lifetime": 2592000.0, "idle_lifetime": 1296000.0,
		"access_token_lifetime": 3600.0, "max_active": 200.0, "evict": "least_recently_used", "reuse_detection": "enforce", "invalid_grant_status": 400.0, "dpop": "off",
	}
}

func TestClientPolicies(t *testing.T) {
	w := newWorld(t)
	until := w.clock.Now().Add(30 * day).Format(time.RFC3339Nano)
	for _, tt := range []struct {
		name, body string
		differs    map[string]any
	}{
		{"defaults", `{"type":"public"}`, nil},
		{"an empty policy", `{"type":"public","policy":{}}`, nil},
		{"no policy", `{"type":"public","policy":null,"preset":null}`, nil},
		{"the default preset", `{"type":"public","preset":"default"}`, nil},
		{"auth0", `{"type":"public","preset":"auth0"}`, map[string]any{"reuse_interval": 0.0, "evict": "oldest", "invalid_grant_status": 403.0}},
		{"atlassian", `{"type":"public","preset":"atlassian"}`, map[string]any{
			"reuse_interval": 600.0, "absolute_lifetime": 365 * 86400.0, "idle_lifetime": 90 * 86400.0, "invalid_grant_status": 403.0,
		}},
		{"supabase", `{"type":"public","preset":"supabase"}`, map[string]any{
			"reuse_interval": 10.0, "lost_response": "until_used", "absolute_lifetime": 0.0, "idle_lifetime": 0.0,
		}},
		{"a part of a preset", `{"type":"public","preset":"auth0","policy":{"reuse_interval":5}}`, map[string]any{"reuse_interval": 5.0, "evict": "oldest", "invalid_grant_status": 403.0}},
		{"another rule than the preset's", `{"type":"public","preset":"auth0","policy":{"evict":"least_recently_used"}}`, map[string]any{"reuse_interval": 0.0, "invalid_grant_status": 403.0}},
		{"another rule", `{"type":"public","policy":{"evict":"oldest"}}`, map[string]any{"evict": "oldest"}},
		{"a part of the defaults", `{"type":"confidential","policy":{"rotation":false,"max_active":3}}`, map[string]any{"rotation": false, "max_active": 3.0}},
		{"observing", `{"type":"public","policy":{"reuse_detection":"observe","observe_until":"` + until + `"}}`, map[string]any{"reuse_detection": "observe", "observe_until": until}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := defaultPolicy()
			maps.Copy(want, tt.differs)
			id := fmt.Sprintf("c%d", len(w.get("/v1/clients").body))
			put := w.put(id, tt.body)
			if put.status != http.StatusCreated {
				t.Fatal(put)
			}
			for what, a := range map[string]answer{"put": put, "get": w.get("/v1/clients/" + id)} {
				if diff := cmp.Diff(want, a.json["policy"]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			if again := w.put(id, tt.body); again.status != http.StatusOK {
				t.Errorf("put again: %v", again)
			}
		})
	}
}

func TestClientMembers(t *testing.T) {
	w := newWorld(t)
	created := w.clock.Now()
	before := created.Add(-time.Hour)
	body := fmt.Sprintf(`{"type":"confidential","preset":"atlassian","scope":"read write","audience":"https://api.example","may_introspect":true,"may_forward":true,"not_before":%q,
		"redirect_uris":["https://b.example/cb","https://a.example/cb","https://b.example/cb"],"post_logout_redirect_uris":["https://a.example/"]}`, before.Format(time.RFC3339Nano))
	put := w.put("a.b_c-9", body)
	policy := defaultPolicy()
	maps.Copy(policy, map[string]any{"reuse_interval": 600.0, "absolute_lifetime": 365 * 86400.0, "idle_lifetime": 90 * 86400.0, "invalid_grant_status": 403.0})
	want := map[string]any{
		"client_id": "a.b_c-9", "type": "confidential", "preset": "atlassian", "policy": policy, "scope": "read write", "audience": "https://api.example",
		"may_introspect": true, "may_forward": true, "not_before": before.Format(time.RFC3339Nano), "created_at": created.Format(time.RFC3339Nano), "updated_at": created.Format(time.RFC3339Nano),
		"redirect_uris": []any{"https://b.example/cb", "https://a.example/cb"}, "post_logout_redirect_uris": []any{"https://a.example/"},
	}
	if put.status != http.StatusCreated || len(warned(t, put)) != 2 {
		t.Fatal(put)
	}
	delete(put.json, "warnings")
	if diff := cmp.Diff(want, put.json); diff != "" {
		t.Errorf("put (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(put.json, w.get("/v1/clients/a.b_c-9").json); diff != "" {
		t.Errorf("get (-put +got):\n%s", diff)
	}
	// A PUT replaces every setting except not_before.
	w.clock.Advance(time.Minute)
	again := w.put("a.b_c-9", `{"type":"confidential"}`)
	want = map[string]any{
		"client_id": "a.b_c-9", "type": "confidential", "policy": defaultPolicy(), "may_introspect": false, "may_forward": false,
		"not_before": before.Format(time.RFC3339Nano), "created_at": created.Format(time.RFC3339Nano), "updated_at": w.clock.Now().Format(time.RFC3339Nano),
	}
	if again.status != http.StatusOK {
		t.Fatal(again)
	}
	if diff := cmp.Diff(want, again.json); diff != "" {
		t.Errorf("replaced (-want +got):\n%s", diff)
	}
	if a := w.send(http.MethodDelete, "/v1/clients/a.b_c-9", "", ""); a.status != http.StatusNoContent || a.body != "" {
		t.Errorf("delete: %v", a)
	}
	w.get("/v1/clients/a.b_c-9").problem(t, http.StatusNotFound)
	w.send(http.MethodDelete, "/v1/clients/a.b_c-9", "", "").problem(t, http.StatusNotFound)
}

// TestClientOfBeforeAMember checks that a record written before the policy had a member gets
// the value of its preset.
func TestClientOfBeforeAMember(t *testing.T) {
	w := newWorld(t)
	for preset, evict := range map[string]string{"": "least_recently_used", "auth0": "oldest", "unknown": "least_recently_used"} {
		err := w.store.Put(t.Context(), map[string]string{
			"pk": "clients", "sk": "old" + preset, "type": "public", "preset": preset, "policy": `{"reuse_interval":7,"max_active":3}`, "secret_1": "", "secret_2": "",
		})
		if err != nil {
			t.Fatal(err)
		}
		policy, _ := w.get("/v1/clients/old" + preset).json["policy"].(map[string]any)
		if policy["evict"] != evict || policy["reuse_interval"] != 7.0 {
			t.Errorf("preset %q: the policy is %v", preset, policy)
		}
	}
}

func TestClientLimits(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now()
	at := func(d time.Duration) string { return `"` + now.Add(d).Format(time.RFC3339Nano) + `"` }
	policy := func(s string) string { return `{"type":"public","policy":{` + s + `}}` }
	for _, tt := range []struct {
		name, body string
		field      string // "" if accepted
		says       []string
	}{
		{"reuse_interval least", policy(`"reuse_interval":0`), "", nil},
		{"reuse_interval most", policy(`"reuse_interval":2592000`), "", nil},
		{"reuse_interval more", policy(`"reuse_interval":2592001`), "policy.reuse_interval", []string{"2592001", "from 0 to 2592000"}},
		{"reuse_interval less", policy(`"reuse_interval":-1`), "policy.reuse_interval", []string{"-1", "from 0 to 2592000"}},
		{"absolute_lifetime none", policy(`"absolute_lifetime":0`), "", nil},
		{"absolute_lifetime most", policy(`"absolute_lifetime":315360000`), "", nil},
		{"absolute_lifetime more", policy(`"absolute_lifetime":315360001`), "policy.absolute_lifetime", []string{"315360001", "from 0 to 315360000"}},
		{"absolute_lifetime less", policy(`"absolute_lifetime":-1`), "policy.absolute_lifetime", []string{"-1"}},
		{"idle_lifetime none", policy(`"idle_lifetime":0`), "", nil},
		{"idle_lifetime most", policy(`"idle_lifetime":315360000`), "", nil},
		{"idle_lifetime more", policy(`"idle_lifetime":315360001`), "policy.idle_lifetime", []string{"315360001", "from 0 to 315360000"}},
		{"idle_lifetime less", policy(`"idle_lifetime":-1`), "policy.idle_lifetime", []string{"-1"}},
		{"access_token_lifetime least", policy(`"access_token_lifetime":1`), "", nil},
		{"access_token_lifetime most", policy(`"access_token_lifetime":86400`), "", nil},
		{"access_token_lifetime less", policy(`"access_token_lifetime":0`), "policy.access_token_lifetime", []string{"is 0", "from 1 to 86400"}},
		{"access_token_lifetime more", policy(`"access_token_lifetime":86401`), "policy.access_token_lifetime", []string{"86401", "from 1 to 86400"}},
		{"max_active least", policy(`"max_active":1`), "", nil},
		{"max_active most", policy(`"max_active":1000`), "", nil},
		{"max_active less", policy(`"max_active":0`), "policy.max_active", []string{"is 0", "from 1 to 1000"}},
		{"max_active more", policy(`"max_active":1001`), "policy.max_active", []string{"1001", "from 1 to 1000"}},
		{"evict", policy(`"evict":"newest"`), "policy.evict", []string{`"newest"`, `"least_recently_used"`, `"oldest"`}},
		{"evict empty", policy(`"evict":""`), "policy.evict", []string{`""`}},
		{"evict a number", policy(`"evict":1`), "policy.evict", []string{"string"}},
		{"evict at the top", `{"type":"public","evict":"oldest"}`, "evict", nil},
		{"invalid_grant_status 400", policy(`"invalid_grant_status":400`), "", nil},
		{"invalid_grant_status 403", policy(`"invalid_grant_status":403`), "", nil},
		{"invalid_grant_status 401", policy(`"invalid_grant_status":401`), "policy.invalid_grant_status", []string{"401", "400 or 403"}},
		{"dpop required", policy(`"dpop":"required"`), "", nil},
		{"dpop on", policy(`"dpop":"on"`), "policy.dpop", []string{`"on"`, `"off", "allowed" or "required"`}},
		{"lost_response", policy(`"lost_response":"ignore"`), "policy.lost_response", []string{`"ignore"`, `"revoke"`, `"until_used"`}},
		{"lost_response empty", policy(`"lost_response":""`), "policy.lost_response", []string{`""`}},
		{"reuse_detection", policy(`"reuse_detection":"off"`), "policy.reuse_detection", []string{`"off"`, `"enforce"`, `"observe"`}},
		{"observe without an end", policy(`"reuse_detection":"observe"`), "policy.observe_until", nil},
		{"observe until now", policy(`"reuse_detection":"observe","observe_until":` + at(0)), "policy.observe_until", []string{now.Format(time.RFC3339)}},
		{"observe for a millisecond", policy(`"reuse_detection":"observe","observe_until":` + at(time.Millisecond)), "", nil},
		{"observe for 30 days", policy(`"reuse_detection":"observe","observe_until":` + at(30*day)), "", nil},
		{"observe for longer", policy(`"reuse_detection":"observe","observe_until":` + at(30*day+time.Second)), "policy.observe_until", []string{now.Add(30 * day).Format(time.RFC3339)}},
		{"observe_until without observe", policy(`"observe_until":` + at(day)), "policy.observe_until", []string{"observe"}},
		{"no type", `{}`, "type", []string{`"public"`, `"confidential"`}},
		{"another type", `{"type":"native"}`, "type", []string{`"native"`, `"public"`}},
		{"another preset", `{"type":"public","preset":"okta"}`, "preset", []string{`"okta"`, "auth0", "atlassian", "supabase"}},
		{"a preset in capitals", `{"type":"public","preset":"AUTH0"}`, "preset", []string{`"AUTH0"`}},
		{"may_introspect on public", `{"type":"public","may_introspect":true}`, "may_introspect", []string{"true", "confidential"}},
		{"may_forward on public", `{"type":"public","may_forward":true}`, "may_forward", []string{"true", "public"}},
		{"may_forward a string", `{"type":"confidential","may_forward":"yes"}`, "may_forward", []string{"true or false"}},
		{"16 redirect_uris", `{"type":"public","redirect_uris":[` + addresses(16) + `],"post_logout_redirect_uris":[` + addresses(16) + `]}`, "", nil},
		{"17 redirect_uris", `{"type":"public","redirect_uris":[` + addresses(17) + `]}`, "redirect_uris", []string{"17 values", "at most 16"}},
		{"17 post_logout_redirect_uris", `{"type":"public","post_logout_redirect_uris":[` + addresses(17) + `]}`, "post_logout_redirect_uris", []string{"17 values", "at most 16"}},
		{"a redirect URI at its limit", `{"type":"public","redirect_uris":["https://a.example/` + strings.Repeat("x", 512-18) + `"]}`, "", nil},
		{"a redirect URI past it", `{"type":"public","redirect_uris":["https://a.example/` + strings.Repeat("x", 513-18) + `"]}`, "redirect_uris", []string{"at most 512 bytes"}},
		{"no redirect_uris", `{"type":"public","redirect_uris":[],"post_logout_redirect_uris":null}`, "", nil},
		{"redirect_uris a string", `{"type":"public","redirect_uris":"https://a.example/"}`, "redirect_uris", []string{"JSON array of strings"}},
		{"a redirect URI that is null", `{"type":"public","redirect_uris":[null]}`, "redirect_uris", []string{`""`, "absolute"}},
		{"a redirect URI of http", `{"type":"public","redirect_uris":["https://a.example/","http://a.example/"]}`, "redirect_uris", []string{`"http://a.example/"`, "https"}},
		{"an app's scheme", `{"type":"public","redirect_uris":["com.example.app:/cb"],"post_logout_redirect_uris":["com.example.app:/"]}`, "", nil},
		{"an app's scheme of a backend", `{"type":"confidential","redirect_uris":["com.example.app:/cb"]}`, "redirect_uris", []string{`"com.example.app:/cb"`, "public"}},
		{"a script after a logout", `{"type":"public","post_logout_redirect_uris":["javascript:alert(1)"]}`, "post_logout_redirect_uris", []string{`"javascript:alert(1)"`, "scheme"}},
		{"not_before now", `{"type":"public","not_before":` + at(0) + `}`, "", nil},
		{"not_before in the future", `{"type":"public","not_before":` + at(time.Second) + `}`, "not_before", []string{now.Add(time.Second).Format(time.RFC3339), now.Format(time.RFC3339)}},
		{"scope at its limit", `{"type":"public","scope":"` + strings.Repeat("x", 1024) + `"}`, "", nil},
		{"scope past it", `{"type":"public","scope":"` + strings.Repeat("x", 1025) + `"}`, "scope", []string{"1025", "1024"}},
		{"scope malformed", `{"type":"public","scope":"a  b"}`, "scope", nil},
		{"audience at its limit", `{"type":"public","audience":"` + strings.Repeat("x", 512) + `"}`, "", nil},
		{"audience past it", `{"type":"public","audience":"` + strings.Repeat("x", 513) + `"}`, "audience", []string{"513", "512"}},
		{"eight audiences at their limit", `{"type":"public","audience":[` + quoted(8, 64) + `]}`, "", nil},
		{"eight audiences past it", `{"type":"public","audience":[` + quoted(7, 64) + `,"` + strings.Repeat("y", 65) + `"]}`, "audience", []string{"513", "512"}},
		{"nine audiences", `{"type":"public","audience":[` + quoted(9, 1) + `]}`, "audience", []string{"9 values", "at most 8"}},
		{"nine audiences, two of them the same", `{"type":"public","audience":[` + quoted(8, 1) + `,"0"]}`, "", nil},
		{"no audiences", `{"type":"public","audience":[]}`, "", nil},
		{"an empty audience among others", `{"type":"public","audience":["a",""]}`, "audience", []string{"empty"}},
		{"an audience that is null", `{"type":"public","audience":[null]}`, "audience", []string{"empty"}},
		{"a list of one empty audience", `{"type":"public","audience":[""]}`, "audience", []string{"empty"}},
		{"an audience that is a number", `{"type":"public","audience":["a",1]}`, "audience", []string{"string", "array"}},
		{"an audience that is an object", `{"type":"public","audience":{"a":"b"}}`, "audience", []string{"string", "array"}},
		{"a control character among audiences", `{"type":"public","audience":["a","b\n"]}`, "audience", []string{"control"}},
		{"audience with a control character", `{"type":"public","audience":"a\u0007"}`, "audience", []string{"control"}},
		{"unknown member", `{"type":"public","redirect_uri":[]}`, "redirect_uri", nil},
		{"a member in other letters", `{"Type":"public"}`, "Type", nil},
		{"a member of the policy in other letters", policy(`"Max_Active":5`), "policy.Max_Active", nil},
		{"unknown member of the policy", policy(`"leeway":60`), "policy.leeway", nil},
		{"policy member at the top", `{"type":"public","reuse_interval":60}`, "reuse_interval", nil},
		{"type a number", `{"type":5}`, "type", []string{"string"}},
		{"preset an array", `{"type":"public","preset":[]}`, "preset", []string{"string"}},
		{"policy an array", `{"type":"public","policy":[]}`, "policy", []string{"object"}},
		{"policy a string", `{"type":"public","policy":"auth0"}`, "policy", []string{"object"}},
		{"rotation a string", policy(`"rotation":"true"`), "policy.rotation", []string{"true or false"}},
		{"reuse_interval a string", policy(`"reuse_interval":"60"`), "policy.reuse_interval", []string{"whole number"}},
		{"reuse_interval a fraction", policy(`"reuse_interval":1.5`), "policy.reuse_interval", []string{"whole number"}},
		{"reuse_interval huge", policy(`"reuse_interval":99999999999999999999`), "policy.reuse_interval", []string{"whole number"}},
		{"max_active null", policy(`"max_active":null`), "", nil},
		{"may_introspect a string", `{"type":"confidential","may_introspect":"yes"}`, "may_introspect", []string{"true or false"}},
		{"scope an array", `{"type":"public","scope":["a"]}`, "scope", []string{"string"}},
		{"not_before a number", `{"type":"public","not_before":1700000000}`, "not_before", []string{"RFC 3339"}},
		{"not_before no time", `{"type":"public","not_before":"yesterday"}`, "not_before", []string{"RFC 3339"}},
		{"not_before without a zone", `{"type":"public","not_before":"2029-01-01T00:00:00"}`, "not_before", []string{"RFC 3339"}},
		{"observe_until no time", policy(`"reuse_detection":"observe","observe_until":"tomorrow"`), "policy.observe_until", []string{"RFC 3339"}},
		{"observe_until a number", policy(`"reuse_detection":"observe","observe_until":5`), "policy.observe_until", []string{"RFC 3339"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.put("limits", tt.body)
			if tt.field == "" {
				if a.status != http.StatusOK && a.status != http.StatusCreated {
					t.Errorf("got %v", a)
				}
				return
			}
			a.names(t, tt.field, tt.says...)
		})
	}
	t.Run("all that is wrong at once", func(t *testing.T) {
		a := w.put("limits", `{"type":"x","preset":"y","scope":"a  b","policy":{"max_active":0,"reuse_interval":-1}}`)
		for _, field := range []string{"type", "preset", "scope", "policy.max_active", "policy.reuse_interval"} {
			a.names(t, field)
		}
	})
	t.Run("client ids", func(t *testing.T) {
		longest := strings.Repeat("x", 64)
		if a := w.put(longest, `{"type":"public"}`); a.status != http.StatusCreated {
			t.Errorf("64 characters: %v", a)
		}
		for _, id := range []string{longest + "x", "a%20b", "%C3%A9", "a%2Fb", "a:b", "a+b", "a%00"} {
			for _, method := range []string{http.MethodPut, http.MethodGet, http.MethodDelete} {
				w.send(method, "/v1/clients/"+id, jsonType, `{"type":"public"}`).names(t, "client_id", "64", "A-Z a-z 0-9 . _ -")
			}
		}
	})
}

// addresses returns n different redirect URIs, as members of a JSON array.
func addresses(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"https://a.example/%d"`, i))
	}
	return strings.Join(all, ",")
}

// TestClientTimesCanBeShown checks that any times which a PUT accepts can be shown again,
// alone and in the list.
func TestClientTimesCanBeShown(t *testing.T) {
	w := newWorld(t)
	for _, at := range []string{"0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0000-01-01T00:00:00+23:59", "2029-01-01T00:00:00.123456789-05:00"} {
		a := w.put("app", `{"type":"public","not_before":"`+at+`"}`)
		if a.status >= 500 {
			t.Errorf("put not_before %s: %v", at, a)
		}
		for _, path := range []string{"/v1/clients/app", "/v1/clients"} {
			if a := w.get(path); a.status != http.StatusOK {
				t.Errorf("after not_before %s, GET %s: %v", at, path, a)
			}
		}
		w.putClient("app", `{"type":"public"}`)
	}
}

func TestListClients(t *testing.T) {
	w := newWorld(t)
	want := []string{"app", "web"}
	for i := range 203 {
		id := fmt.Sprintf("client-%03d", i)
		w.putClient(id, `{"type":"public"}`)
		want = append(want, id)
	}
	slices.Sort(want)
	var got []string
	next, pages := "", 0
	for {
		path := "/v1/clients"
		if next != "" {
			path += "?next=" + next
		}
		a := w.get(path)
		list, _ := a.json["clients"].([]any)
		if a.status != http.StatusOK || len(list) == 0 || len(list) > 100 || pages > 5 {
			t.Fatalf("page %d: %d clients, %d", pages, len(list), a.status)
		}
		for _, c := range list {
			c, _ := c.(map[string]any)
			id, _ := c["client_id"].(string)
			got = append(got, id)
		}
		pages++
		if next = a.text("next"); next == "" {
			if _, there := a.json["next"]; there {
				t.Error("the last page has a next")
			}
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || pages != 3 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	first := w.get("/v1/clients").text("next")
	for name, tampered := range map[string]string{
		"another alphabet": "%2B" + first[1:], "padded": first + "=", "no base64": "!!!", "cut": first[:len(first)-1] + "%00",
		"of another kind": base64.RawURLEncoding.EncodeToString([]byte("a/b")), "too long": base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("x", 65))),
		"a client id": "client-001!", "a line break": first + "%0A", "JSON": base64.RawURLEncoding.EncodeToString([]byte(`{"pk":"x"}`)),
	} {
		t.Run(name, func(t *testing.T) { w.get("/v1/clients?next="+tampered).names(t, "next") })
	}
	t.Run("broken percent-encoding", func(t *testing.T) { w.get("/v1/clients?next=%zz").problem(t, http.StatusBadRequest) })
	t.Run("repeated", func(t *testing.T) { w.get("/v1/clients?next="+first+"&next="+first).names(t, "next") })
}

func TestSecrets(t *testing.T) {
	w := newWorld(t)
	first := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
	if first.status != http.StatusCreated || len(first.text("client_secret")) < 32 || first.text("secret_id") == "" || first.header.Get("Cache-Control") != "no-store" {
		t.Fatal(first)
	}
	second := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
	if second.status != http.StatusCreated || second.text("client_secret") == first.text("client_secret") {
		t.Fatal(second)
	}
	w.send(http.MethodPost, "/v1/clients/web/secrets", "", "").problem(t, http.StatusConflict)
	ids := func() []string {
		t.Helper()
		var ids []string
		list, _ := w.get("/v1/clients/web").json["secrets"].([]any)
		for _, s := range list {
			s, _ := s.(map[string]any)
			if got := members(s); !slices.Equal(got, []string{"created_at", "secret_id"}) {
				t.Errorf("a secret is shown with %q", got)
			}
			id, _ := s["secret_id"].(string)
			ids = append(ids, id)
		}
		return ids
	}
	if got, want := ids(), []string{first.text("secret_id"), second.text("secret_id")}; !slices.Equal(got, want) {
		t.Errorf("the secrets are %q, not %q", got, want)
	}
	for _, a := range []answer{w.get("/v1/clients/web"), w.get("/v1/clients"), w.put("web", `{"type":"confidential"}`)} {
		for _, secret := range []string{first.text("client_secret"), second.text("client_secret")} {
			if strings.Contains(a.body, secret) || strings.Contains(a.body, "hash") {
				t.Error("a secret is shown again")
			}
		}
	}
	auth := func(secret answer) int {
		t.Helper()
		return w.send(http.MethodPost, "/oauth/introspect", formType, "token=x", "Authorization", basic("web", secret.text("client_secret"))).status
	}
	if auth(first) != 200 || auth(second) != 200 {
		t.Error("replacing the client lost its secrets")
	}
	path := "/v1/clients/web/secrets/"
	if a := w.send(http.MethodDelete, path+first.text("secret_id"), "", ""); a.status != http.StatusNoContent {
		t.Fatal(a)
	}
	if got := ids(); !slices.Equal(got, []string{second.text("secret_id")}) {
		t.Errorf("the secrets are %q", got)
	}
	w.send(http.MethodDelete, path+first.text("secret_id"), "", "").problem(t, http.StatusNotFound)
	w.send(http.MethodDelete, path+ulid.Make().String(), "", "").problem(t, http.StatusNotFound)
	w.send(http.MethodDelete, path+"x", "", "").names(t, "secret_id")
	if auth(first) != 401 || auth(second) != 200 {
		t.Error("the wrong secret was deleted")
	}
	// Secrets that were lost by becoming a public client do not return.
	w.putClient("web", `{"type":"public"}`)
	w.putClient("web", `{"type":"confidential"}`)
	if got := ids(); len(got) != 0 || auth(second) != 401 {
		t.Errorf("the secrets are %q", got)
	}
	w.send(http.MethodPost, "/v1/clients/app/secrets", "", "").problem(t, http.StatusConflict)
	w.send(http.MethodPost, "/v1/clients/nobody/secrets", "", "").problem(t, http.StatusNotFound)
	w.send(http.MethodDelete, "/v1/clients/nobody/secrets/"+ulid.Make().String(), "", "").problem(t, http.StatusNotFound)
}

func TestIssue(t *testing.T) {
	w := newWorld(t)
	a := w.issue(`{"user_id":"u","client_id":"app","scope":"read"}`)
	want := []string{
		"access_token", "authorization_expires_in", "expires_in", "family", "refresh_token", "refresh_token_expires_in", "refresh_token_timeout", "scope", "token_type",
	}
	if got := members(a.json); !slices.Equal(got, want) {
		t.Errorf("members %q", got)
	}
	if a.header.Get("Location") != "/v1/families/"+a.text("family") || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("headers %v", a.header)
	}
	id, n := w.content(a.text("refresh_token"))
	if id.String() != a.text("family") || n != 1 {
		t.Errorf("token %d of %s, the family is %s", n, id, a.text("family"))
	}
	if other := w.issue(`{"user_id":"u","client_id":"app"}`); other.text("family") == a.text("family") {
		t.Error("two families have one id")
	}
	w.rotate(a.text("refresh_token"))
}

// TestEmptyInputs checks that empty inputs count as left out, alone and together.
func TestEmptyInputs(t *testing.T) {
	w := newWorld(t)
	for _, more := range []string{
		`"scope":""`, `"scope":null`, `"audience":""`, `"claims":{}`, `"claims":null`, `"acr":""`, `"amr":[]`, `"amr":null`, `"device":""`, `"auth_time":null`, `"absolute_lifetime":null`,
		`"amr":[],"acr":"aal2"`, `"amr":[],"scope":"read"`, `"scope":"","acr":"aal2","device":"d"`,
		`"scope":"","audience":"","claims":{},"acr":"","amr":[],"device":"","auth_time":null,"absolute_lifetime":null`,
	} {
		t.Run(more, func(t *testing.T) {
			a := w.issue(`{"user_id":"u","client_id":"app",` + more + `}`)
			f := w.get("/v1/families/" + a.text("family"))
			if f.status != http.StatusOK || f.json["amr"] != nil || f.json["claims"] != nil {
				t.Errorf("shown as %v", f)
			}
			if a := w.refresh(a.text("refresh_token")); a.status != http.StatusOK {
				t.Errorf("refreshed: %v", a)
			}
		})
	}
}

// TestFamilyLimits checks that each input works at its limit, and that one byte more is
// refused with its name.
func TestFamilyLimits(t *testing.T) {
	w := newWorld(t)
	longClient := strings.Repeat("c", 64)
	w.putClient(longClient, `{"type":"public"}`)
	w.putClient("short", `{"type":"public","policy":{"absolute_lifetime":1000}}`)
	w.putClient("endless", `{"type":"public","policy":{"absolute_lifetime":0}}`)
	x := func(n int) string { return strings.Repeat("x", n) }
	body := func(pairs ...any) string {
		m := map[string]any{"user_id": "u", "client_id": "app"}
		for i := 0; i+1 < len(pairs); i += 2 {
			name, _ := pairs[i].(string)
			m[name] = pairs[i+1]
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	claims := func(n int) map[string]any { return map[string]any{"c": x(n - len(`{"c":""}`))} }
	for _, tt := range []struct {
		name, ok, over string
		field          string
		says           []string
	}{
		{"user_id", body("user_id", x(128)), body("user_id", x(129)), "user_id", []string{"129", "128"}},
		{"user_id in bytes", body("user_id", strings.Repeat("é", 64)), body("user_id", "x"+strings.Repeat("é", 64)), "user_id", []string{"129", "128"}},
		{"client_id", body("client_id", longClient), body("client_id", longClient+"c"), "client_id", []string{"64"}},
		{"scope", body("scope", x(1024)), body("scope", x(1025)), "scope", []string{"1025", "1024"}},
		{"audience", body("audience", x(512)), body("audience", x(513)), "audience", []string{"513", "512"}},
		{
			"audiences", body("audience", []string{x(1), x(2), x(3), x(4), x(5), x(6), x(7), x(8)}), body("audience", []string{x(1), x(2), x(3), x(4), x(5), x(6), x(7), x(8), x(9)}),
			"audience",
			[]string{"9 values", "at most 8"},
		},
		{"claims", body("claims", claims(2048)), body("claims", claims(2049)), "claims", []string{"2049", "2048"}},
		{
			"claims with white space",
			`{"user_id":"u","client_id":"app","claims": { "c" :   "` + x(2040) + `" } }`, `{"user_id":"u","client_id":"app","claims": { "c" :   "` + x(2041) + `" } }`,
			"claims",
			[]string{"2049", "2048"},
		},
		{"acr", body("acr", x(128)), body("acr", x(129)), "acr", []string{"129", "128"}},
		{"amr", body("amr", []string{x(63), x(64)}), body("amr", []string{x(64), x(64)}), "amr", []string{"129", "128"}},
		{"absolute_lifetime", body("client_id", "short", "absolute_lifetime", 1000), body("client_id", "short", "absolute_lifetime", 1001), "absolute_lifetime", []string{"1001", "from 1 to 1000"}},
		{"absolute_lifetime where there is none", body("client_id", "endless", "absolute_lifetime", 315360000), body("client_id", "endless", "absolute_lifetime", 315360001), "absolute_lifetime", []string{"315360001"}},
		{"absolute_lifetime least", body("absolute_lifetime", 1), body("absolute_lifetime", 0), "absolute_lifetime", []string{"is 0", "from 1"}},
		{"auth_time", body("auth_time", w.clock.Now()), body("auth_time", w.clock.Now().Add(2*time.Minute)), "auth_time", []string{"past"}},
		{"auth_time least", body("auth_time", "1970-01-01T00:00:01Z"), body("auth_time", "1970-01-01T00:00:00Z"), "auth_time", []string{"1970"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.issue(tt.ok)
			var sent struct {
				ClientID string `json:"client_id"`
			}
			if err := json.Unmarshal([]byte(tt.ok), &sent); err != nil {
				t.Fatal(err)
			}
			if a := w.refresh(a.text("refresh_token"), "client_id", sent.ClientID); a.status != http.StatusOK {
				t.Errorf("refresh: %v", a)
			}
			w.send(http.MethodPost, "/v1/families", jsonType, tt.over).names(t, tt.field, tt.says...)
		})
	}
}

func TestIssueRefuses(t *testing.T) {
	w := newWorld(t)
	w.putClient("scoped", `{"type":"public","scope":"read write"}`)
	for _, tt := range []struct {
		name, body string
		field      string // "" for a 400 without a field
		says       []string
	}{
		{"no user_id", `{"client_id":"app"}`, "user_id", nil},
		{"an empty user_id", `{"user_id":"","client_id":"app"}`, "user_id", nil},
		{"no client_id", `{"user_id":"u"}`, "client_id", nil},
		{"an unknown client", `{"user_id":"u","client_id":"nobody"}`, "client_id", []string{`"nobody"`, "registered"}},
		{"scope outside the client's", `{"user_id":"u","client_id":"scoped","scope":"read admin"}`, "scope", []string{"read admin", "read write"}},
		{"malformed scope", `{"user_id":"u","client_id":"app","scope":" read"}`, "scope", nil},
		{"user_id with a control character", `{"user_id":"a\u0000b","client_id":"app"}`, "user_id", []string{"control"}},
		{"user_id with DEL", `{"user_id":"a\u007f","client_id":"app"}`, "user_id", []string{"control"}},
		{"user_id with a C1 control character", `{"user_id":"a\u0085","client_id":"app"}`, "user_id", []string{"control"}},
		{"acr with a tab", `{"user_id":"u","client_id":"app","acr":"a\tb"}`, "acr", []string{"control"}},
		{"amr with an escape", `{"user_id":"u","client_id":"app","amr":["a","\u001b"]}`, "amr", []string{"control"}},
		{"amr with an empty value", `{"user_id":"u","client_id":"app","amr":["a",""]}`, "amr", nil},
		{"audience with a control character", `{"user_id":"u","client_id":"app","audience":"\r"}`, "audience", []string{"control"}},
		{"audiences with an empty one", `{"user_id":"u","client_id":"app","audience":["",""]}`, "audience", []string{"empty"}},
		{"an audience that is a number", `{"user_id":"u","client_id":"app","audience":5}`, "audience", []string{"string", "array"}},
		{"auth_time no time", `{"user_id":"u","client_id":"app","auth_time":"yesterday"}`, "auth_time", []string{"RFC 3339"}},
		{"auth_time a number", `{"user_id":"u","client_id":"app","auth_time":1700000000}`, "auth_time", []string{"RFC 3339"}},
		{"claims an array", `{"user_id":"u","client_id":"app","claims":["a"]}`, "claims", []string{"object"}},
		{"claims a string", `{"user_id":"u","client_id":"app","claims":"{}"}`, "claims", []string{"object"}},
		{"user_id a number", `{"user_id":5,"client_id":"app"}`, "user_id", []string{"string"}},
		{"scope an array", `{"user_id":"u","client_id":"app","scope":["read"]}`, "scope", []string{"string"}},
		{"amr a string", `{"user_id":"u","client_id":"app","amr":"pwd"}`, "amr", []string{"array"}},
		{"amr of numbers", `{"user_id":"u","client_id":"app","amr":[1]}`, "amr", []string{"string"}},
		{"absolute_lifetime a string", `{"user_id":"u","client_id":"app","absolute_lifetime":"60"}`, "absolute_lifetime", []string{"whole number"}},
		{"absolute_lifetime a fraction", `{"user_id":"u","client_id":"app","absolute_lifetime":0.5}`, "absolute_lifetime", []string{"whole number"}},
		{"absolute_lifetime negative", `{"user_id":"u","client_id":"app","absolute_lifetime":-60}`, "absolute_lifetime", []string{"-60"}},
		{"absolute_lifetime longer than the policy's", `{"user_id":"u","client_id":"app","absolute_lifetime":2592001}`, "absolute_lifetime", []string{"2592001", "from 1 to 2592000"}},
		{"an unknown member", `{"user_id":"u","client_id":"app","idle_lifetime":60}`, "idle_lifetime", nil},
		{"a member in other letters", `{"user_id":"u","client_id":"app","User_ID":"v"}`, "User_ID", nil},
		{"an array", `[{"user_id":"u","client_id":"app"}]`, "", nil},
		{"null", `null`, "", nil},
		{"empty", ``, "", nil},
		{"cut", `{"user_id":"u"`, "", nil},
		{"more after it", `{"user_id":"u","client_id":"app"}{}`, "", nil},
		{"not UTF-8", "{\"user_id\":\"\xff\",\"client_id\":\"app\"}", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.send(http.MethodPost, "/v1/families", jsonType, tt.body)
			if tt.field == "" {
				a.problem(t, http.StatusBadRequest)
				return
			}
			a.names(t, tt.field, tt.says...)
		})
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr", "SUB", "Exp"} {
		t.Run("reserved claim "+name, func(t *testing.T) {
			a := w.send(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app","claims":{"ok":1,"`+name+`":null}}`)
			a.names(t, "claims."+name)
		})
	}
	if calls := w.storedEvents("srrt"); calls != 0 {
		t.Errorf("%d events", calls)
	}
}

func TestGetFamily(t *testing.T) {
	w := newWorld(t)
	issuedAt := w.clock.Now()
	login := issuedAt.Add(-time.Minute).Truncate(time.Second)
	a := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","scope":"read write","audience":"api","claims":{"tenant":"t"},"auth_time":%q,"acr":"aal2","amr":["pwd","otp"],"device":"Pixel 9"}`,
		login.Format(time.RFC3339)))
	id := a.text("family")
	stamp := func(at time.Time) string { return at.Format(time.RFC3339Nano) }
	moment := func(at time.Time, event string, counter float64) any {
		return map[string]any{"at": stamp(at), "event": event, "counter": counter}
	}
	want := map[string]any{
		"family": id, "status": "active", "user_id": "u", "client_id": "app", "counter": 1.0, "issued_at": stamp(issuedAt), "last_used_at": stamp(issuedAt),
		"expires_at": stamp(issuedAt.Add(30 * day)), "idle_expires_at": stamp(issuedAt.Add(15 * day)),
		"scope": "read write", "audience": "api", "claims": map[string]any{"tenant": "t"}, "auth_time": stamp(login), "acr": "aal2", "amr": []any{"pwd", "otp"}, "device": "Pixel 9",
		"timeline": []any{moment(issuedAt, "issued", 1)},
	}
	kept := issuedAt.Add(60 * day)
	check := func(t *testing.T) {
		t.Helper()
		got := w.family(id).json
		purge, err := time.Parse(time.RFC3339, fmt.Sprint(got["purge_at"]))
		if err != nil || purge.Before(kept) || purge.After(kept.Add(time.Second)) {
			t.Errorf("purge_at is %v", got["purge_at"])
		}
		delete(got, "purge_at")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	check(t)

	w.clock.Advance(time.Hour)
	used := w.clock.Now()
	b := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(a.text("refresh_token")), "User-Agent", "Firefox")
	if b.status != http.StatusOK {
		t.Fatal(b)
	}
	maps.Copy(want, map[string]any{
		"counter": 2.0, "last_used_at": stamp(used), "idle_expires_at": stamp(used.Add(15 * day)), "last_ip": "127.0.0.1", "last_user_agent": "Firefox",
		"timeline": []any{moment(issuedAt, "issued", 1), moment(used, "rotated", 2)},
	})
	check(t)

	w.clock.Advance(time.Hour)
	revoked := w.clock.Now()
	kept = revoked.Add(45 * day)
	w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", b.text("refresh_token")))
	maps.Copy(want, map[string]any{"status": "revoked", "cause": "revoked_by_client", "revoked_at": stamp(revoked)})
	events := w.logged("srrt")
	want["timeline"] = []any{
		moment(issuedAt, "issued", 1), moment(used, "rotated", 2),
		map[string]any{
			"at": stamp(revoked), "event": "revoked", "cause": "revoked_by_client", "counter": 2.0,
			"ip": "127.0.0.1", "user_agent": "Go-http-client/1.1", "event_id": events[len(events)-1]["eventId"],
		},
	}
	check(t)

	t.Run("expired", func(t *testing.T) {
		_, id := w.login()
		w.clock.Advance(15 * day)
		if f := w.family(id); f.text("status") != "expired" || f.text("cause") != "expired_idle" {
			t.Errorf("got %v", f)
		}
	})
	t.Run("without an end", func(t *testing.T) {
		w.putClient("endless", `{"type":"public","preset":"supabase"}`)
		f := w.family(w.issue(`{"user_id":"u","client_id":"endless"}`).text("family"))
		for _, name := range []string{"expires_at", "idle_expires_at", "purge_at", "revoked_at", "cause", "auth_time"} {
			if v, there := f.json[name]; there {
				t.Errorf("%s is %v", name, v)
			}
		}
	})
	t.Run("its client is gone", func(t *testing.T) {
		w.putClient("short", `{"type":"public"}`)
		id := w.issue(`{"user_id":"u","client_id":"short"}`).text("family")
		if a := w.send(http.MethodDelete, "/v1/clients/short", "", ""); a.status != http.StatusNoContent {
			t.Fatal(a)
		}
		if f := w.family(id); f.text("status") == "active" {
			t.Errorf("got %v", f)
		}
	})
	t.Run("unknown", func(t *testing.T) {
		id, err := family.NewID(w.keys.Users.Key("nobody"), w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.get("/v1/families/"+id.String()).problem(t, http.StatusNotFound)
	})
	t.Run("malformed", func(t *testing.T) {
		for _, bad := range []string{"x", id + "A", id[:42], id[:42] + "=", id[:42] + "%2B", id[:42] + "%0A", "%00", strings.Repeat("_", 43), ulid.Make().String()} {
			w.get("/v1/families/"+bad).names(t, "family")
		}
		// The last character holds four bits that must be 0.
		if a := w.get("/v1/families/" + id[:42] + string(id[42]+1)); a.status == http.StatusOK {
			t.Errorf("two spellings of one id: %v", a)
		}
	})
	t.Run("a token is no id", func(t *testing.T) {
		tok, _ := w.login()
		w.get("/v1/families/"+tok).names(t, "family")
	})
}

// TestManagementRequests checks what every call of the management API refuses.
func TestManagementRequests(t *testing.T) {
	w := newWorld(t)
	_, id := w.login()
	bodies := map[string]struct{ method, path, body string }{
		"issue":      {http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"app"}`},
		"put client": {http.MethodPut, "/v1/clients/new", `{"type":"public"}`},
	}
	for name, call := range bodies {
		t.Run(name, func(t *testing.T) {
			for _, contentType := range []string{"", formType, "text/plain", "application/jsonx", "application/problem+json", ";"} {
				w.send(call.method, call.path, contentType, call.body).problem(t, http.StatusUnsupportedMediaType)
			}
			if a := w.send(call.method, call.path, "Application/JSON; charset=utf-8", call.body); a.status != http.StatusCreated {
				t.Errorf("with a charset: %v", a)
			}
			pad := func(n int) string { return call.body + strings.Repeat(" ", n-len(call.body)) }
			if a := w.send(call.method, call.path, jsonType, pad(16<<10)); a.status >= 300 {
				t.Errorf("16 KiB: %v", a)
			}
			w.send(call.method, call.path, jsonType, pad(16<<10+1)).problem(t, http.StatusRequestEntityTooLarge)
			w.stream(call.method, call.path, jsonType, pad(17<<10)).problem(t, http.StatusRequestEntityTooLarge)
		})
	}
	for _, call := range []struct{ method, path, body string }{
		{http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"app"}`},
		{http.MethodGet, "/v1/families/" + id, ""},
		{http.MethodGet, "/v1/clients", ""},
		{http.MethodGet, "/v1/clients/app", ""},
		{http.MethodPut, "/v1/clients/query", `{"type":"public"}`},
		{http.MethodDelete, "/v1/clients/app", ""},
		{http.MethodPost, "/v1/clients/web/secrets", ""},
		{http.MethodDelete, "/v1/clients/web/secrets/" + ulid.Make().String(), ""},
	} {
		t.Run("query of "+call.method+" "+call.path, func(t *testing.T) {
			w.send(call.method, call.path+"?dryrun=1", jsonType, call.body).names(t, "dryrun")
			w.send(call.method, call.path+"?%zz", jsonType, call.body).problem(t, http.StatusBadRequest)
			w.send(call.method, call.path+"?a;b", jsonType, call.body).problem(t, http.StatusBadRequest)
		})
	}
	w.get("/v1/clients/query").problem(t, http.StatusNotFound)
	w.get("/v1/clients/nobody").problem(t, http.StatusNotFound)
	if a := w.get("/v1/clients/app"); a.status != http.StatusOK {
		t.Errorf("a refused call deleted the client: %v", a)
	}
}
