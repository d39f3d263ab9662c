package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/family"
)

// loopback adds the origins of this machine, as the local program does.
func loopback() option { return func(o *options) { o.origins = o.origins.AndLoopback() } }

// TestCookieCallers checks who may use a session's cookie, and that anybody else is refused before anything is
// read or written.
func TestCookieCallers(t *testing.T) {
	const transport = "Rotor-Transport"
	const noHeader, noPage, foreign = "Send the header Rotor-Transport", "Only web pages of this service's origin", "is not configured"
	type row struct {
		name    string
		header  []string // OWN is the service's own origin
		refused string   // what the description says, "" if the request passes
	}
	for _, s := range []struct {
		name string
		opts []option
		path string
		rows []row
	}{
		{"an origin is configured", []option{origins(page, "https://sibling.example.com")}, "", []row{
			{"its page", []string{transport, "cookie", "Origin", page}, ""},
			{"its page, from another site", []string{transport, "cookie", "Origin", page, "Sec-Fetch-Site", "cross-site"}, ""},
			{"the service's own", []string{transport, "cookie", "Origin", "OWN"}, ""},
			{"its own server", []string{transport, "cookie", "Origin", "https://proxy.example.com", "Sec-Fetch-Site", "same-origin"}, ""},
			{"its own server, no origin", []string{transport, "cookie", "Sec-Fetch-Site", "same-origin"}, ""},
			{"no header", []string{"Origin", page}, noHeader},
			{"an empty header", []string{transport, "", "Origin", page}, noHeader},
			{"another header", []string{transport, "body", "Origin", page}, noHeader},
			{"a list in the header", []string{transport, "cookie, cookie", "Origin", page}, noHeader},
			{"the header twice", []string{transport, "cookie", transport, "cookie", "Origin", page}, noHeader},
			{"the header in capitals", []string{transport, "Cookie", "Origin", page}, noHeader},
			{"a form of a configured sibling", []string{"Origin", "https://sibling.example.com", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate"}, noHeader},
			{"a form of its own page", []string{"Origin", "OWN", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate"}, noHeader},
			{"no browser", []string{transport, "cookie"}, noPage},
			{"an empty origin", []string{transport, "cookie", "Origin", ""}, noPage},
			{"a person", []string{transport, "cookie", "Sec-Fetch-Site", "none"}, noPage},
			{"another site without an origin", []string{transport, "cookie", "Sec-Fetch-Site", "cross-site"}, noPage},
			{"same-origin beside another", []string{transport, "cookie", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, noPage},
			{"a sandboxed frame", []string{transport, "cookie", "Origin", "null"}, foreign},
			{"another origin", []string{transport, "cookie", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, foreign},
			{"a sibling that is not configured", []string{transport, "cookie", "Origin", "https://other.example.com", "Sec-Fetch-Site", "same-site"}, foreign},
			{"a form of another", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, foreign},
			{"another port", []string{transport, "cookie", "Origin", page + ":8443"}, foreign},
			{"its origin twice", []string{transport, "cookie", "Origin", page, "Origin", page}, foreign},
			{"its origin and another", []string{transport, "cookie", "Origin", page, "Origin", "https://evil.example"}, foreign},
			{"this machine", []string{transport, "cookie", "Origin", "http://localhost:5173"}, foreign},
		}},
		{"every origin may call", []option{origins("*")}, "", []row{
			{"the service's own", []string{transport, "cookie", "Origin", "OWN"}, ""},
			{"its own server", []string{transport, "cookie", "Origin", "https://proxy.example.com", "Sec-Fetch-Site", "same-origin"}, ""},
			{"any other", []string{transport, "cookie", "Origin", page}, noPage},
			{"a sandboxed frame", []string{transport, "cookie", "Origin", "null"}, noPage},
			{"two origins", []string{transport, "cookie", "Origin", page, "Origin", page}, noPage},
			{"the service's own twice", []string{transport, "cookie", "Origin", "OWN", "Origin", "OWN"}, noPage},
			{"no header", []string{"Origin", "OWN"}, noHeader},
			{"no browser", []string{transport, "cookie"}, noPage},
		}},
		{"none is configured", []option{origins()}, "", []row{
			{"the service's own", []string{transport, "cookie", "Origin", "OWN"}, ""},
			{"another", []string{transport, "cookie", "Origin", page}, foreign},
		}},
		{"this machine's may call", []option{origins(), loopback()}, "", []row{
			{"the service's own", []string{transport, "cookie", "Origin", "OWN"}, ""},
			{"another port", []string{transport, "cookie", "Origin", "http://localhost:5173"}, ""},
			{"another", []string{transport, "cookie", "Origin", page}, foreign},
			{"no browser", []string{transport, "cookie"}, noPage},
		}},
		{"below a path", []option{origins(page), below("/auth")}, "/auth", []row{
			{"the service's own", []string{transport, "cookie", "Origin", "OWN"}, ""},
			{"its page", []string{transport, "cookie", "Origin", page}, ""},
			{"the service's own with its path", []string{transport, "cookie", "Origin", "OWN/auth"}, foreign},
			{"no header", []string{"Origin", "OWN"}, noHeader},
		}},
	} {
		t.Run(s.name, func(t *testing.T) {
			b := newBrowser(t, s.opts...)
			own := b.servers[0].URL
			for _, tt := range s.rows {
				t.Run(tt.name, func(t *testing.T) {
					b.origin, b.header = own, []string{transport, "cookie"}
					clear(b.cookies)
					sid := b.login("spa", "ada")
					held := b.token("spa", sid)
					header := slices.Clone(tt.header)
					for i := range header {
						header[i] = strings.ReplaceAll(header[i], "OWN", own)
					}
					header = append(header, "Cookie", cookieName(sid)+"="+held)
					b.store.Counted()
					if tt.refused == "" {
						a := b.send(http.MethodPost, s.path+"/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "spa", "sid", sid), header...)
						if a.status != http.StatusOK || a.header.Get("Set-Cookie") == "" {
							t.Fatalf("a refresh got %v", a)
						}
						if a := b.send(http.MethodPost, s.path+"/oauth/revoke", formType, form("client_id", "spa", "sid", sid), header...); a.status != http.StatusOK || a.header.Get("Set-Cookie") == "" {
							t.Fatalf("a revocation got %v", a)
						}
						return
					}
					lines := len(b.logged("fco"))
					for _, request := range []struct{ path, contentType, body string }{
						{"/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "spa", "sid", sid)},
						{"/oauth/token", jsonType, object("grant_type", "refresh_token", "client_id", "spa", "sid", sid)},
						{"/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "spa", "refresh_token", held)},
						{"/oauth/token", formType, form("grant_type", "authorization_code", "client_id", "spa", "code", "x", "code_verifier", verifier)},
						{"/oauth/token", formType, form("grant_type", bearerGrant, "client_id", "spa", "assertion", "x")},
						{"/oauth/revoke", formType, form("client_id", "spa", "sid", sid)},
						{"/oauth/revoke", formType, form("client_id", "spa", "token", held)},
					} {
						a := b.send(http.MethodPost, s.path+request.path, request.contentType, request.body, header...)
						status := http.StatusForbidden
						if tt.refused == noHeader {
							status = http.StatusBadRequest
						}
						a.is(t, status, "invalid_request")
						if !strings.Contains(a.text("error_description"), tt.refused) || a.header.Get("Set-Cookie") != "" {
							t.Errorf("got %v %v", a, a.header)
						}
					}
					if calls := b.store.Counted(); len(calls) > 0 {
						t.Errorf("the store was asked %v", calls)
					}
					if n := len(b.logged("fco")) - lines; (n > 0) != (tt.refused != noHeader) {
						t.Errorf("%d lines about origins", n)
					}
					b.put(sid, held)
					if a := b.post(s.path+"/oauth/token", "grant_type", "refresh_token", "client_id", "spa", "sid", sid); a.status != http.StatusOK {
						t.Errorf("afterwards: %v", a)
					}
				})
			}
		})
	}
}

// TestCookieMethods checks that nothing but POST uses a cookie. An image or a link makes a GET.
func TestCookieMethods(t *testing.T) {
	b := newBrowser(t)
	sid := b.login("spa", "ada")
	b.store.Counted()
	query := "?" + form("grant_type", "refresh_token", "client_id", "spa", "sid", sid)
	for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			if a := b.send(method, path+query, "", "", b.headers()...); a.status != http.StatusMethodNotAllowed || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s %s: %v %v", method, path, a, a.header)
			}
		}
	}
	if calls := b.store.Counted(); len(calls) > 0 || b.state("ada") != "active" {
		t.Errorf("the store was asked %v, and the session is %s", calls, b.state("ada"))
	}
}

// TestCookiePreflight checks that a page of a named origin alone may send cookies, as its browser asks before
// it sends the header.
func TestCookiePreflight(t *testing.T) {
	for _, tt := range []struct {
		name    string
		opts    []option
		origin  string // OWN is the service's own
		allowed string // the origin in the answer, "" if it is refused
		cookies bool
	}{
		{"configured", []option{origins(page)}, page, page, true},
		{"its own", []option{origins(page)}, "OWN", "OWN", true},
		{"this machine", []option{origins(page), loopback()}, "http://127.0.0.1:8080", "http://127.0.0.1:8080", true},
		{"another", []option{origins(page)}, "https://evil.example", "", false},
		{"a sandboxed frame", []option{origins(page)}, "null", "", false},
		{"any, where every origin may call", []option{origins("*")}, page, "*", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBrowser(t, tt.opts...)
			own := b.servers[0].URL
			for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
				a := b.send(http.MethodOptions, path, "", "", "Origin", strings.ReplaceAll(tt.origin, "OWN", own),
					"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,rotor-transport")
				if tt.allowed == "" {
					a.isForeign(t)
					continue
				}
				credentials := ""
				if tt.cookies {
					credentials = "true"
				}
				if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != strings.ReplaceAll(tt.allowed, "OWN", own) ||
					a.header.Get("Access-Control-Allow-Credentials") != credentials || !strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), "rotor-transport") {
					t.Errorf("%s: %v %v", path, a, a.header)
				}
			}
		})
	}
}

// TestCookieOnSupabasesWire checks that Supabase's wire, which has tokens in bodies, refuses a cookie client
// before anything is read.
func TestCookieOnSupabasesWire(t *testing.T) {
	b := newBrowser(t)
	sid := b.login("spa", "ada")
	held, access := b.token("spa", sid), b.renew(sid).text("access_token")
	b.store.Counted()
	for _, header := range [][]string{b.headers(), {"Origin", page}} {
		header = append(header, "Apikey", "spa")
		a := b.send(http.MethodPost, "/auth/v1/token?grant_type=refresh_token", jsonType, object("refresh_token", held), header...)
		if a.status != http.StatusUnauthorized || a.header.Get("Set-Cookie") != "" {
			t.Errorf("refresh: %v", a)
		}
		header = append(header, "Authorization", "Bearer "+access)
		for _, request := range []struct{ method, path string }{{"POST", "/auth/v1/logout?scope=global"}, {"GET", "/auth/v1/user"}} {
			if a := b.send(request.method, request.path, "", "", header...); a.status != http.StatusUnauthorized || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %v", request.path, a)
			}
		}
	}
	if calls := b.store.Counted(); len(calls) > 0 || b.state("ada") != "active" {
		t.Errorf("the store was asked %v, and the session is %s", calls, b.state("ada"))
	}
	if lines := b.logged("fertft"); len(lines) != 6 || lines[0]["cause"] != "invalid_client" || lines[0]["reason"] != "cookie_client" {
		t.Errorf("the log has %v", lines)
	}
}

// TestCookieNames checks whose cookie a name is. Ids of clients have dots, so that the name of one
// client's cookie can begin like that of another's.
func TestCookieNames(t *testing.T) {
	b := newBrowser(t)
	sid := b.login("spa", "ada")
	longer := "spa." + sid // a client whose cookies begin like that cookie
	b.putClient(longer, `{"type":"public","transport":"cookie"}`)
	b.putClient("SPA", `{"type":"public","transport":"cookie"}`)
	bob := b.login(longer, "bob")
	eve := b.login("SPA", "eve")
	for _, tt := range []struct{ client, sid string }{{"spa", sid}, {longer, bob}, {"SPA", eve}} {
		a := b.post("/oauth/token", "grant_type", "refresh_token", "client_id", tt.client)
		if a.status != http.StatusOK || a.text("sid") != tt.sid {
			t.Errorf("%s got %v, and not session %s", tt.client, a, tt.sid)
		}
	}
	// What looks like a name, and is none.
	held := b.token("spa", sid)
	delete(b.cookies, cookieName(sid))
	for _, name := range []string{
		"__host-http-rotor.spa." + sid, "__Host-rotor.spa." + sid, "rotor.spa." + sid, "__Host-Http-rotor.spa" + sid,
		cookieName(strings.ToLower(sid)), cookieName(sid + "0"), cookieName(sid[1:]), cookieName("8" + sid[1:]), cookieName(""), cookieName("." + sid),
	} {
		b.cookies[name] = &http.Cookie{Value: held}
		for _, asked := range []string{"", sid} {
			if a := b.renew(asked); !a.refused(http.StatusBadRequest) || a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: %v", name, a)
			}
		}
		delete(b.cookies, name)
	}
	b.put(sid, held)
	if a := b.renew(""); a.status != http.StatusOK {
		t.Errorf("the name itself: %v", a)
	}
}

// TestCookieRequests checks what a request of a cookie client must not be, and that such a request
// changes nothing and touches no cookie.
func TestCookieRequests(t *testing.T) {
	b := newBrowser(t)
	sid := b.login("spa", "ada")
	name, held, id := cookieName(sid), b.token("spa", sid), b.started("ada")[0]["family"].(string)
	b.store.Counted()
	for _, tt := range []struct {
		name, says string
		cookies    []string // the values of Cookie headers
		form       []string
	}{
		{"a cookie twice", "twice", []string{name + "=" + held + "; " + name + "=" + held}, []string{"sid", sid}},
		{"a cookie twice, in two headers", "twice", []string{name + "=" + held, name + "=x"}, []string{"sid", sid}},
		{"a cookie twice, without a sid", "twice", []string{name + "=x; " + name + "=" + held}, nil},
		{"a cookie twice, empty", "twice", []string{name + "=; " + name + "=" + held}, []string{"sid", sid}},
		{"a sid in small letters", "sid is not the id", []string{name + "=" + held}, []string{"sid", strings.ToLower(sid)}},
		{"a short sid", "sid is not the id", []string{name + "=" + held}, []string{"sid", sid[:25]}},
		{"a long sid", "sid is not the id", []string{name + "=" + held}, []string{"sid", sid + "0"}},
		{"a sid past the largest", "sid is not the id", []string{name + "=" + held}, []string{"sid", "8" + sid[1:]}},
		{"a family for a sid", "sid is not the id", []string{name + "=" + held}, []string{"sid", id}},
		{"a sid of other characters", "sid is not the id", []string{name + "=" + held}, []string{"sid", "; Domain=example.com;     "}},
		{"a token beside a sid", "no token may be sent beside", []string{name + "=" + held}, []string{"sid", sid, "refresh_token", held}},
		{"a sid twice", "sid is repeated", []string{name + "=" + held}, []string{"sid", sid, "sid", sid}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := []string{"Rotor-Transport", "cookie", "Origin", page}
			for _, c := range tt.cookies {
				header = append(header, "Cookie", c)
			}
			a := b.send(http.MethodPost, "/oauth/token", formType, form(append(tt.form, "grant_type", "refresh_token", "client_id", "spa")...), header...)
			a.is(t, http.StatusBadRequest, "invalid_request")
			if !strings.Contains(a.text("error_description"), tt.says) || a.header.Get("Set-Cookie") != "" {
				t.Errorf("got %v %v", a, a.header)
			}
		})
	}
	if calls := b.store.Counted(); len(calls) > 0 {
		t.Errorf("the store was asked %v", calls)
	}
	if a := b.renew(sid); a.status != http.StatusOK {
		t.Errorf("afterwards: %v", a)
	}
}

// TestCookieValues checks what happens to a value that is no living token of the session: it is
// refused, and that cookie is deleted.
func TestCookieValues(t *testing.T) {
	b := newBrowser(t)
	bob := b.login("spa", "bob")
	for _, tt := range []struct {
		name  string
		value func(sid string) string
		cause family.Cause
	}{
		{"nothing that we made", func(string) string { return "x" }, family.Malformed},
		{"a token cut short", func(sid string) string { v := b.token("spa", sid); return v[:len(v)-1] }, family.Malformed},
		{"a forged token", func(sid string) string { return flip(b.token("spa", sid)) }, family.NeverIssued},
		{"the token of another session", func(string) string { return b.token("spa", bob) }, family.WrongSession},
		{"an access token", func(sid string) string { return b.renew(sid).text("access_token") }, family.Malformed},
		{"a code", func(string) string {
			return b.issue(`{"client_id":"spa","user_id":"eve","deliver":"code","code_challenge":` + quote(challengeOf(verifier)) + `}`).text("code")
		}, family.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sid := b.login("spa", "ada")
			value := tt.value(sid)
			b.put(sid, value)
			if a := b.renew(sid); !a.refused(http.StatusBadRequest) || b.token("spa", sid) != "" || b.token("spa", bob) == "" {
				t.Errorf("got %v, and the sessions are %v", a, b.sessions())
			}
			if cause := b.lastCause(); cause != string(tt.cause) {
				t.Errorf("the cause is %v", cause)
			}
		})
	}
	if a := b.renew(bob); a.status != http.StatusOK || len(b.logged("ferrt")) != 0 {
		t.Errorf("the other session: %v", a)
	}
}
