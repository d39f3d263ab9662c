package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// page is where the app of a cookie client runs.
const page = "https://app.example.com"

// browser is a browser with the cookies that the service has set, and a page of the client "spa".
type browser struct {
	*world
	cookies map[string]*http.Cookie // by name
	origin  string
	header  []string // besides Origin and Cookie
}

// newBrowser returns a world with the cookie client "spa", and a browser.
func newBrowser(t testing.TB, opts ...option) *browser {
	t.Helper()
	w := newWorld(t, append([]option{origins(page)}, opts...)...)
	w.putClient("spa", `{"type":"public","transport":"cookie","scope":"read write openid"}`)
	return w.browser()
}

// cookies returns a browser at a world's own pages, with the cookie client "spa".
func (w *world) cookies() *browser {
	w.t.Helper()
	w.putClient("spa", `{"type":"public","transport":"cookie"}`)
	b := w.browser()
	b.origin = w.servers[0].URL
	b.post("/oauth/revoke", "client_id", "spa") // so that the client is cached
	return b
}

// browser returns a browser without cookies.
func (w *world) browser() *browser {
	return &browser{world: w, cookies: map[string]*http.Cookie{}, origin: page, header: []string{"Rotor-Transport", "cookie"}}
}

// post sends a form, as a page does by fetch with credentials, and keeps what cookies the answer sets.
func (b *browser) post(path string, form ...string) answer {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(form); i += 2 {
		v.Add(form[i], form[i+1])
	}
	a := b.send(http.MethodPost, path, formType, v.Encode(), b.headers()...)
	b.keep(a)
	return a
}

func (b *browser) headers() []string {
	header := slices.Clone(b.header)
	if b.origin != "" {
		header = append(header, "Origin", b.origin)
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
		pairs = append(pairs, name+"="+b.cookies[name].Value)
	}
	if pairs != nil {
		header = append(header, "Cookie", strings.Join(pairs, "; "))
	}
	return header
}

// keep does what a browser does with an answer's cookies, and checks their attributes.
func (b *browser) keep(a answer) {
	b.t.Helper()
	for _, text := range a.header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(text)
		if err != nil {
			b.t.Fatalf("a cookie that cannot be parsed: %v", err)
		}
		named := strings.HasPrefix(c.Name, "__Host-Http-rotor.") || strings.HasPrefix(c.Name, "__Host-rotor.") && strings.HasSuffix(c.Name, ".bound")
		if !named || c.Path != "/" || !c.Secure || !c.HttpOnly || c.SameSite == http.SameSiteNoneMode || c.Domain != "" {
			b.t.Errorf("the cookie %s has other attributes: %+v", c.Name, c)
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
			continue
		}
		b.cookies[c.Name] = c
	}
}

// login starts a session of the client and returns its sid. The verifier is that of every code here.
func (b *browser) login(client, user string) string {
	b.t.Helper()
	code := b.issue(`{"client_id":` + quote(client) + `,"user_id":` + quote(user) + `,"deliver":"code","code_challenge":` + quote(challengeOf(verifier)) + `}`).text("code")
	a := b.post("/oauth/token", "grant_type", "authorization_code", "client_id", client, "code", code, "code_verifier", verifier)
	if a.status != http.StatusOK || a.text("sid") == "" || a.json["refresh_token"] != nil || b.token(client, a.text("sid")) == "" {
		b.t.Fatalf("login: %v", a)
	}
	return a.text("sid")
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// token returns the newest refresh token that the browser has of a session, "" for none.
func (b *browser) token(client, sid string) string {
	name := "__Host-Http-rotor." + client + "." + sid
	odd, even := b.cookies[name], b.cookies[name+".2"]
	switch {
	case odd == nil && even == nil:
		return ""
	case even == nil:
		return odd.Value
	case odd == nil:
		return even.Value
	}
	_, n := b.content(odd.Value)
	if _, m := b.content(even.Value); m > n {
		return even.Value
	}
	return odd.Value
}

// put gives the browser that cookie of a session of "spa", and no other.
func (b *browser) put(sid, value string) {
	delete(b.cookies, cookieName(sid)+".2")
	b.cookies[cookieName(sid)] = &http.Cookie{Value: value}
}

// renew refreshes a session; without a sid the request names none.
func (b *browser) renew(sid string) answer {
	b.t.Helper()
	form := []string{"grant_type", "refresh_token", "client_id", "spa"}
	if sid != "" {
		form = append(form, "sid", sid)
	}
	return b.post("/oauth/token", form...)
}

// TestCookie checks the life of a session in a cookie: from the code to the logout no refresh token is
// in a body.
func TestCookie(t *testing.T) {
	b := newBrowser(t)
	sid := b.login("spa", "ada")
	first := b.token("spa", sid)
	if _, n := b.content(first); n != 1 {
		t.Fatalf("the first cookie has token %d", n)
	}
	b.clock.Advance(time.Minute)
	a := b.renew(sid)
	second := b.token("spa", sid)
	if _, n := b.content(second); a.status != http.StatusOK || n != 2 || a.text("sid") != sid || strings.Contains(a.body, "rotor_") {
		t.Fatalf("refresh: %v, and the cookie has token %d", a, n)
	}
	if claims := a.claims(t); claims["sid"] != sid {
		t.Errorf("the access token is of session %v", claims["sid"])
	}
	if age := b.cookies["__Host-Http-rotor.spa."+sid+".2"].MaxAge; age != int(a.number("refresh_token_expires_in")) {
		t.Errorf("the cookie lives for %d s", age)
	}
	// A tab that refreshed with the cookie of before gets the newest again.
	b.put(sid, first)
	b.clock.Advance(time.Second)
	if a := b.renew(sid); a.status != http.StatusOK || b.token("spa", sid) != second {
		t.Errorf("a racer: %v", a)
	}
	if a := b.post("/oauth/revoke", "client_id", "spa", "sid", sid); a.status != http.StatusOK || len(b.cookies) != 0 {
		t.Errorf("logout: %v, and the cookies are %v", a, b.cookies)
	}
	b.put(sid, second)
	if a := b.renew(sid); !a.refused(http.StatusBadRequest) || len(b.cookies) != 0 {
		t.Errorf("after the logout: %v, and the cookies are %v", a, b.cookies)
	}
}

// TestCookieOutage checks that a failure of the store clears no cookie, and that the same cookie works afterwards.
func TestCookieOutage(t *testing.T) {
	b := newBrowser(t)
	sid := b.login("spa", "ada")
	held := b.token("spa", sid)
	b.clock.Advance(time.Minute)
	b.store.Break(func(int, string) storetest.Fault { return storetest.Failed })
	if a := b.renew(sid); a.status != http.StatusServiceUnavailable || a.header.Get("Set-Cookie") != "" || b.token("spa", sid) != held {
		t.Fatalf("an outage: %v %v", a, a.header)
	}
	b.store.Break(nil)
	if a := b.renew(sid); a.status != http.StatusOK {
		t.Fatalf("afterwards: %v", a)
	}
}

// TestCookieSession checks which session a request is about.
func TestCookieSession(t *testing.T) {
	b := newBrowser(t)
	b.putClient("other", `{"type":"public","transport":"cookie"}`)
	if a := b.renew(""); !a.refused(http.StatusBadRequest) {
		t.Errorf("no session: %v", a)
	}
	ada := b.login("spa", "ada")
	b.login("other", "ada")
	if a := b.renew(""); a.status != http.StatusOK || a.text("sid") != ada {
		t.Errorf("the only session of the client: %v", a)
	}
	bob := b.login("spa", "bob")
	if a := b.renew(""); a.status != http.StatusBadRequest || a.text("error") != "invalid_request" || !strings.Contains(a.text("error_description"), "2 sessions") {
		t.Errorf("two sessions: %v", a)
	}
	held := b.token("spa", ada)
	b.put(ada, b.token("spa", bob))
	if a := b.renew(ada); !a.refused(http.StatusBadRequest) || b.token("spa", ada) != "" || b.token("spa", bob) == "" {
		t.Errorf("the cookie of another session: %v", a)
	}
	if lines := b.logged("fertft"); len(lines) == 0 || lines[len(lines)-1]["cause"] != string(family.WrongSession) {
		t.Errorf("the log has %v", lines)
	}
	b.put(ada, held)
	if a := b.renew(ada); a.status != http.StatusOK {
		t.Errorf("its own: %v", a)
	}
}

// TestCookieAsJSON checks that a page may send JSON.
func TestCookieAsJSON(t *testing.T) {
	b := newBrowser(t)
	sid := b.login("spa", "ada")
	for _, tt := range []struct{ path, body string }{
		{"/oauth/token", `{"grant_type":"refresh_token","client_id":"spa","sid":` + quote(sid) + `}`},
		{"/oauth/revoke", `{"client_id":"spa","sid":` + quote(sid) + `}`},
	} {
		a := b.send(http.MethodPost, tt.path, jsonType, tt.body, b.headers()...)
		if a.status != http.StatusOK || a.header.Get("Set-Cookie") == "" {
			t.Errorf("%s: %v %v", tt.path, a, a.header)
		}
		b.keep(a)
	}
	if len(b.cookies) != 0 {
		t.Errorf("after the logout there are %v", b.cookies)
	}
}
