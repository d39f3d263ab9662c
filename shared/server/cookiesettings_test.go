package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCookieSettings checks what a client with cookies must be, and how it is shown.
func TestCookieSettings(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct{ name, body, transport, sameSite string }{
		{"cookies", `{"type":"public","transport":"cookie"}`, "cookie", "strict"},
		{"strict", `{"type":"public","transport":"cookie","cookie_same_site":"strict"}`, "cookie", "strict"},
		{"lax", `{"type":"public","transport":"cookie","cookie_same_site":"lax"}`, "cookie", "lax"},
		{"an empty attribute", `{"type":"public","transport":"cookie","cookie_same_site":""}`, "cookie", "strict"},
		{"the shortest interval", `{"type":"public","transport":"cookie","policy":{"reuse_interval":60}}`, "cookie", "strict"},
		{"a preset", `{"type":"public","transport":"cookie","preset":"atlassian"}`, "cookie", "strict"},
		{"a preset with another interval", `{"type":"public","transport":"cookie","preset":"auth0","policy":{"reuse_interval":60}}`, "cookie", "strict"},
		{"bodies", `{"type":"public","transport":"body"}`, "", ""},
		{"nothing said", `{"type":"public"}`, "", ""},
		{"an empty transport", `{"type":"public","transport":"","cookie_same_site":""}`, "", ""},
		{"bodies of a confidential client", `{"type":"confidential","transport":"body"}`, "", ""},
		{"no interval, with bodies", `{"type":"public","preset":"auth0","transport":"body"}`, "", ""},
	} {
		a := w.put("spa", tt.body)
		if a.status > http.StatusCreated || a.text("transport") != tt.transport || a.text("cookie_same_site") != tt.sameSite {
			t.Errorf("%s: %v", tt.name, a)
		}
		shown := w.send(http.MethodGet, "/v1/clients/spa", "", "")
		if shown.text("transport") != tt.transport || shown.text("cookie_same_site") != tt.sameSite {
			t.Errorf("%s is shown as %v", tt.name, shown)
		}
	}
	before := w.send(http.MethodGet, "/v1/clients/spa", "", "").body
	for _, tt := range []struct {
		name, body, field string
		says              []string
	}{
		{"confidential", `{"type":"confidential","transport":"cookie"}`, "transport", []string{`"body"`, "confidential"}},
		{"an interval too short", `{"type":"public","transport":"cookie","policy":{"reuse_interval":59}}`, "policy.reuse_interval", []string{"59", "at least 60"}},
		{"no interval", `{"type":"public","transport":"cookie","policy":{"reuse_interval":0}}`, "policy.reuse_interval", []string{"at least 60"}},
		{"a preset without an interval", `{"type":"public","transport":"cookie","preset":"auth0"}`, "policy.reuse_interval", []string{"at least 60"}},
		{"a preset with a short one", `{"type":"public","transport":"cookie","preset":"supabase"}`, "policy.reuse_interval", []string{"10", "at least 60"}},
		{"another transport", `{"type":"public","transport":"header"}`, "transport", []string{`"header"`, `"body" or "cookie"`}},
		{"a transport in capitals", `{"type":"public","transport":"Cookie"}`, "transport", []string{`"body" or "cookie"`}},
		{"a long transport", `{"type":"public","transport":"` + strings.Repeat("x", 5000) + `"}`, "transport", []string{`"body" or "cookie"`}},
		{"another attribute", `{"type":"public","transport":"cookie","cookie_same_site":"none"}`, "cookie_same_site", []string{`"none"`, `"strict" or "lax"`}},
		{"an attribute without cookies", `{"type":"public","cookie_same_site":"lax"}`, "cookie_same_site", []string{`"lax"`, "left out"}},
		{"an attribute with bodies", `{"type":"public","transport":"body","cookie_same_site":"strict"}`, "cookie_same_site", []string{`"strict"`, "left out"}},
		{"a transport that is no text", `{"type":"public","transport":true}`, "transport", nil},
	} {
		a := w.put("spa", tt.body)
		a.names(t, tt.field, tt.says...)
		if len(a.body) > 2000 {
			t.Errorf("%s: an answer of %d bytes", tt.name, len(a.body))
		}
	}
	// What is wrong is named at once.
	a := w.put("spa", `{"type":"confidential","transport":"cookie","cookie_same_site":"none","policy":{"reuse_interval":1}}`)
	for _, field := range []string{"transport", "cookie_same_site", "policy.reuse_interval"} {
		a.names(t, field)
	}
	if after := w.send(http.MethodGet, "/v1/clients/spa", "", "").body; after != before {
		t.Errorf("a refusal has changed %s to %s", before, after)
	}
}

// TestCookieFamilies checks that a login that asks for tokens of a cookie client is refused: its refresh
// token would be in a body.
func TestCookieFamilies(t *testing.T) {
	b := newBrowser(t)
	b.store.Counted()
	for _, key := range [][]string{nil, {"Idempotency-Key", "a-key"}} {
		for _, more := range []string{"", `,"deliver":""`} {
			a := b.send(http.MethodPost, "/v1/families", jsonType, `{"user_id":"ada","client_id":"spa"`+more+`}`, key...)
			a.problem(t, http.StatusUnprocessableEntity)
			if !strings.Contains(a.text("detail"), "deliver") || strings.Contains(a.body, "rotor_") {
				t.Errorf("got %v", a)
			}
		}
	}
	calls := slices.DeleteFunc(b.store.Counted(), func(operation string) bool { return operation == "GetItem" }) // of the client
	if len(calls) > 0 || len(b.started("ada")) > 0 {
		t.Errorf("the store was asked %v, and the families are %v", calls, b.started("ada"))
	}
	b.login("spa", "ada")
	// The key of a login from before the client had cookies gives its token no more.
	b.putClient("app", `{"type":"public"}`)
	body := `{"user_id":"bob","client_id":"app"}`
	if a := b.issueAs("another-key", body); a.status != http.StatusCreated {
		t.Fatal(a)
	}
	b.putClient("app", `{"type":"public","transport":"cookie"}`)
	b.issueAs("another-key", body).problem(t, http.StatusUnprocessableEntity)
}

// TestCookieLifetime checks for how long a browser keeps a cookie: until the end of the session, and at most
// 400 days; and which pages' requests it comes with.
func TestCookieLifetime(t *testing.T) {
	for _, tt := range []struct {
		name, policy string
		wait         time.Duration // before the refresh
		first, next  int           // Max-Age in seconds
	}{
		{"an idle lifetime", `{"idle_lifetime":3600}`, time.Minute, 3600, 3600},
		{"an absolute lifetime", `{"idle_lifetime":0,"absolute_lifetime":3600}`, time.Minute, 3600, 3540},
		{"400 days", `{"idle_lifetime":0,"absolute_lifetime":34560000}`, time.Minute, 34560000, 34559940},
		{"longer", `{"idle_lifetime":0,"absolute_lifetime":34560001}`, 0, 34560000, 34560000},
		{"no end", `{"idle_lifetime":0,"absolute_lifetime":0}`, time.Minute, 34560000, 34560000},
		{"an end within a second", `{"idle_lifetime":0,"absolute_lifetime":3600}`, time.Hour - 500*time.Millisecond, 3600, -1},
		{"an end in a second", `{"idle_lifetime":0,"absolute_lifetime":3600}`, time.Hour - time.Second, 3600, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBrowser(t)
			b.putClient("spa", `{"type":"public","transport":"cookie","policy":`+tt.policy+`}`)
			sid := b.login("spa", "ada")
			if age := b.cookies[cookieName(sid)].MaxAge; age != tt.first {
				t.Errorf("after the login %d s", age)
			}
			b.clock.Advance(tt.wait)
			a := b.renew(sid)
			if a.status != http.StatusOK {
				t.Fatal(a)
			}
			c, err := http.ParseSetCookie(a.header.Get("Set-Cookie"))
			if err != nil || c.MaxAge != tt.next {
				t.Errorf("after the refresh %s", a.header.Get("Set-Cookie"))
			}
			if (b.token("spa", sid) == "") != (tt.next < 0) {
				t.Errorf("the sessions are %v", b.sessions())
			}
		})
	}
	b := newBrowser(t)
	for attribute, want := range map[string]http.SameSite{"strict": http.SameSiteStrictMode, "lax": http.SameSiteLaxMode} {
		b.putClient("spa", `{"type":"public","transport":"cookie","cookie_same_site":"`+attribute+`"}`)
		sid := b.login("spa", attribute)
		if got := b.cookies[cookieName(sid)].SameSite; got != want {
			t.Errorf("%s: %v", attribute, got)
		}
		a := b.post("/oauth/revoke", "client_id", "spa", "sid", sid)
		if c, err := http.ParseSetCookie(a.header.Get("Set-Cookie")); err != nil || c.SameSite != want || c.MaxAge >= 0 {
			t.Errorf("%s, deleted: %s", attribute, a.header.Get("Set-Cookie"))
		}
	}
}
