package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// cookieRequests are requests of "spa" that use the cookie of ada's session, each with what precedes it.
var cookieRequests = []struct {
	name    string
	policy  string
	prepare func(b *browser, sid string)
	path    string
	form    func(b *browser, sid string) []string
	calls   int // to the store, at least
	gone    bool
}{
	{"refresh", `{}`, func(*browser, string) {}, "/oauth/token", refreshWith, 2, false},
	{"held", `{"lost_response":"until_used"}`, func(b *browser, sid string) {
		b.clock.Advance(time.Minute)
		b.renew(sid)
	}, "/oauth/token", refreshWith, 3, false},
	{"superseded", `{}`, func(b *browser, sid string) {
		first := b.token("spa", sid)
		b.clock.Advance(time.Minute)
		b.renew(sid)
		b.put(sid, first)
	}, "/oauth/token", refreshWith, 2, false},
	{"lost response", `{"lost_response":"until_used"}`, func(b *browser, sid string) {
		first := b.token("spa", sid)
		b.clock.Advance(time.Minute)
		b.renew(sid)
		b.clock.Advance(time.Hour)
		b.put(sid, first)
	}, "/oauth/token", refreshWith, 3, false},
	{"revocation", `{}`, func(*browser, string) {}, "/oauth/revoke", func(_ *browser, sid string) []string { return []string{"client_id", "spa", "sid", sid} }, 3, true},
	{"revocation by an access token", `{}`, func(*browser, string) {}, "/oauth/revoke", func(b *browser, sid string) []string {
		return []string{"client_id", "spa", "token", b.renew(sid).text("access_token")}
	}, 3, true},
	{"logout", `{}`, func(*browser, string) {}, "/oauth/logout", func(b *browser, sid string) []string {
		return []string{"id_token_hint", b.renew(sid).text("id_token")}
	}, 3, true},
	{"reuse", `{}`, func(b *browser, sid string) {
		first := b.token("spa", sid)
		b.clock.Advance(time.Minute)
		b.renew(sid)
		b.clock.Advance(time.Hour)
		b.put(sid, first)
	}, "/oauth/token", refreshWith, 3, true},
}

func refreshWith(_ *browser, sid string) []string {
	return []string{"grant_type", "refresh_token", "client_id", "spa", "sid", sid}
}

// TestCookieFaults checks each kind of request with a fault of the store, at each call, for once and for
// longer than the SDK tries. A failure is a 503 that touches no cookie, and the request works when it
// is repeated.
func TestCookieFaults(t *testing.T) {
	parallel(t)
	for _, tt := range cookieRequests {
		for name, fault := range everyFault() {
			for _, times := range []int{1, 100} {
				t.Run(fmt.Sprintf("%s, %s, %d times", tt.name, name, times), func(t *testing.T) {
					t.Parallel()
					b := newBrowser(t)
					b.putClient("spa", `{"type":"public","transport":"cookie","scope":"openid","policy":`+tt.policy+`}`)
					failures, call := 0, 1
					for ; ; call++ {
						clear(b.cookies)
						bob, ada := b.login("spa", "bob"), b.login("spa", "ada")
						tt.prepare(b, ada)
						form := tt.form(b, ada)
						b.restart(0) // so that the client is read again
						held := maps.Clone(b.cookies)
						b.store.Break(func(n int, _ string) storetest.Fault {
							if n >= call && n < call+times {
								return fault
							}
							return storetest.None
						})
						a := b.post(tt.path, form...)
						reached := len(b.store.Counted()) >= call
						b.store.Break(nil)
						if !reached {
							break
						}
						if a.status == http.StatusServiceUnavailable {
							failures++
							if a.header.Get("Set-Cookie") != "" || !maps.Equal(b.cookies, held) {
								t.Errorf("call %d broken: %v %v", call, a, a.header)
							}
							a = b.post(tt.path, form...)
						}
						if a.status != http.StatusOK && (tt.name != "reuse" || !a.refused(http.StatusBadRequest)) {
							t.Errorf("call %d broken, mended: %v", call, a)
						}
						if (b.token("spa", ada) == "") != tt.gone || b.token("spa", bob) == "" {
							t.Errorf("call %d broken, mended: the sessions are %v", call, b.sessions())
						}
					}
					if call-1 < tt.calls || times == 100 && failures == 0 {
						t.Errorf("%d calls to the store were broken, and %d requests failed", call-1, failures)
					}
				})
			}
		}
	}
}

// TestCookieErrors checks that no error but invalid_grant touches a cookie.
func TestCookieErrors(t *testing.T) {
	b := newBrowser(t)
	b.putClient("foreign", `{"type":"public"}`)
	theirs := b.issue(`{"client_id":"foreign","user_id":"eve"}`)
	sid := b.login("spa", "ada")
	_, keyless := b.another(b.store.Table(), brokenKeys{})
	_, buggy := b.another(b.store.Table(), keysAsTheyAre{b.keys}, func(c *server.Config) { c.Now = func() time.Time { panic("a bug") } })
	refresh := form(refreshWith(b, sid)...)
	for _, tt := range []struct {
		name, path, contentType, body string
		server, status                int
		code                          string
	}{
		{"a scope that was not granted", "/oauth/token", formType, refresh + "&scope=admin", 0, 400, "invalid_scope"},
		{"a malformed scope", "/oauth/token", formType, refresh + "&scope=%22", 0, 400, "invalid_scope"},
		{"another resource", "/oauth/token", formType, refresh + "&resource=https://other.example.com", 0, 400, "invalid_target"},
		{"another grant", "/oauth/token", formType, form("grant_type", "password", "client_id", "spa", "sid", sid), 0, 400, "unsupported_grant_type"},
		{"no grant", "/oauth/token", formType, form("client_id", "spa", "sid", sid), 0, 400, "invalid_request"},
		{"a code without a verifier", "/oauth/token", formType, form("grant_type", "authorization_code", "client_id", "spa", "code", "x", "sid", sid), 0, 400, "invalid_request"},
		{"a dead code", "/oauth/token", formType, form("grant_type", "authorization_code", "client_id", "spa", "code", "x", "code_verifier", verifier, "sid", sid), 0, 400, "invalid_grant"},
		{"an assertion of nobody", "/oauth/token", formType, form("grant_type", bearerGrant, "client_id", "spa", "assertion", "x", "sid", sid), 0, 400, "unauthorized_client"},
		{"a dead token in the body", "/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "spa", "refresh_token", "x"), 0, 400, "invalid_grant"},
		{"another client's token in the body", "/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "spa", "refresh_token", theirs.text("refresh_token")), 0, 400, "invalid_grant"},
		{"a type that is not read", "/oauth/token", "text/plain", refresh, 0, 400, "invalid_request"},
		{"a client that is not registered", "/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "nobody", "sid", sid), 0, 401, "invalid_client"},
		{"a secret", "/oauth/token", formType, refresh + "&client_secret=x", 0, 401, "invalid_client"},
		{"a body too large", "/oauth/token", formType, refresh + "&x=" + strings.Repeat("x", 17<<10), 0, 413, "invalid_request"},
		{"no keys", "/oauth/token", formType, refresh, keyless, 503, "temporarily_unavailable"},
		{"a bug", "/oauth/token", formType, refresh, buggy, 500, "server_error"},
		{"revocation of another client's token", "/oauth/revoke", formType, form("client_id", "spa", "token", theirs.text("access_token")), 0, 400, "invalid_grant"},
		{"revocation without keys", "/oauth/revoke", formType, form("client_id", "spa", "sid", sid), keyless, 503, "temporarily_unavailable"},
		{"revocation with a secret", "/oauth/revoke", formType, form("client_id", "spa", "sid", sid, "client_secret", "x"), 0, 401, "invalid_client"},
		{"logout with a hint that is none", "/oauth/logout", formType, form("id_token_hint", "x"), 0, 400, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := b.headers()
			if tt.server != 0 { // another has no origin configured
				header = []string{"Rotor-Transport", "cookie", "Sec-Fetch-Site", "same-origin", "Cookie", cookieName(sid) + "=" + b.token("spa", sid)}
			}
			a := b.sendTo(tt.server, http.MethodPost, tt.path, tt.contentType, tt.body, header...)
			if a.status != tt.status || a.text("error") != tt.code || a.header.Get("Set-Cookie") != "" {
				t.Errorf("got %v %v", a, a.header)
			}
		})
	}
	if a := b.renew(sid); a.status != http.StatusOK {
		t.Errorf("afterwards: %v", a)
	}
}

// TestCookieRefused checks that a session that has ended loses its cookie at the next refresh, whatever
// ended it and whatever status says so, and that the others keep theirs.
func TestCookieRefused(t *testing.T) {
	for _, status := range []string{"400", "403"} {
		for _, tt := range []struct {
			name string
			end  func(b *browser, user string)
		}{
			{"revoked", func(b *browser, user string) { b.send(http.MethodDelete, "/v1/families?user_id="+user, "", "") }},
			{"erased", func(b *browser, user string) { b.send(http.MethodDelete, "/v1/users?user_id="+user, "", "") }},
			{"another client's", func(b *browser, user string) {
				b.putClient("other", `{"type":"public"}`)
				id := b.started(user)[0]["family"].(string)
				theirs := b.issue(`{"client_id":"other","user_id":"eve"}`)
				sid, _ := b.content(theirs.text("refresh_token"))
				mine, _ := b.content(b.mint(id, 1))
				b.cookies[cookieName(sid.ULID().String())] = &http.Cookie{Value: theirs.text("refresh_token")}
				delete(b.cookies, cookieName(mine.ULID().String()))
			}},
		} {
			t.Run(tt.name+", "+status, func(t *testing.T) {
				b := newBrowser(t)
				b.putClient("spa", `{"type":"public","transport":"cookie","policy":{"invalid_grant_status":`+status+`}}`)
				bob := b.login("spa", "bob")
				b.login("spa", "ada")
				tt.end(b, "ada")
				for _, sid := range b.sessions() {
					if sid == bob {
						continue
					}
					a := b.renew(sid)
					if a.text("error") != "invalid_grant" || a.status != map[string]int{"400": 400, "403": 403}[status] {
						t.Errorf("got %v", a)
					}
					if set := a.header.Values("Set-Cookie"); len(set) != 1 || !strings.HasPrefix(set[0], cookieName(sid)+"=;") {
						t.Errorf("the cookies set are %v", set)
					}
				}
				if got := b.sessions(); len(got) != 1 || got[0] != bob {
					t.Errorf("the sessions are %v", got)
				}
				if a := b.renew(""); a.status != http.StatusOK || a.text("sid") != bob {
					t.Errorf("the other: %v", a)
				}
			})
		}
	}
}

// TestCookieOfAnotherClient checks that a cookie that holds another client's token revokes nothing, and is deleted.
func TestCookieOfAnotherClient(t *testing.T) {
	b := newBrowser(t)
	b.putClient("other", `{"type":"public"}`)
	theirs := b.issue(`{"client_id":"other","user_id":"eve"}`)
	id, _ := b.content(theirs.text("refresh_token"))
	sid, ada := id.ULID().String(), b.login("spa", "ada")
	b.put(sid, theirs.text("refresh_token"))
	a := b.post("/oauth/revoke", "client_id", "spa", "sid", sid)
	a.is(t, http.StatusBadRequest, "invalid_grant")
	if got := b.sessions(); len(got) != 1 || got[0] != ada || b.state("eve") != "active" {
		t.Errorf("the sessions are %v, and the other's is %s", got, b.state("eve"))
	}
}

// TestCookieLogout checks that a logout by an id token deletes its session's cookie, and that a HEAD, which
// a program may send to look, does not.
func TestCookieLogout(t *testing.T) {
	b := newBrowser(t)
	b.putClient("spa", `{"type":"public","transport":"cookie","scope":"openid","post_logout_redirect_uris":["https://app.example.com/"]}`)
	for _, tt := range []struct {
		method, path string
		more         []string
		status       int
		gone         bool
	}{
		{http.MethodGet, "/oauth/logout", nil, 200, true},
		{http.MethodPost, "/oauth/logout", nil, 200, true},
		{http.MethodHead, "/oauth/logout", nil, 200, false},
		{http.MethodGet, "/oauth/logout", []string{"post_logout_redirect_uri", "https://app.example.com/"}, 303, true},
		{http.MethodPost, "/oauth/logout", []string{"post_logout_redirect_uri", "https://app.example.com/"}, 303, true},
		{http.MethodGet, "/v2/logout", nil, 200, true},
		{http.MethodGet, "/v2/logout", []string{"returnTo", "https://app.example.com/"}, 303, true},
		{http.MethodGet, "/oauth/logout", []string{"post_logout_redirect_uri", "https://evil.example/"}, 400, false},
		{http.MethodGet, "/oauth/logout", []string{"client_id", "app"}, 400, false},
	} {
		clear(b.cookies)
		bob, ada := b.login("spa", "bob"), b.login("spa", "ada")
		query := form(append(tt.more, "id_token_hint", b.renew(ada).text("id_token"))...)
		path, contentType := tt.path+"?"+query, ""
		if tt.method == http.MethodPost {
			path, contentType = tt.path, formType
		}
		a := b.send(tt.method, path, contentType, map[bool]string{true: query}[tt.method == http.MethodPost]) // a browser that is led there sends no strict cookie
		b.keep(a)
		if a.status != tt.status || (b.token("spa", ada) == "") != tt.gone || b.token("spa", bob) == "" {
			t.Errorf("%s %s %v: %v, and the sessions are %v", tt.method, tt.path, tt.more, a, b.sessions())
		}
		for _, set := range a.header.Values("Set-Cookie") {
			if !strings.HasPrefix(set, cookieName(ada)) {
				t.Errorf("%s %s: %v", tt.method, tt.path, a.header)
			}
		}
	}
}
