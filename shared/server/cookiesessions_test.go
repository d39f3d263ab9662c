package server_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// cookieName returns the name of the cookie of a session of "spa".
func cookieName(sid string) string { return "__Host-Http-rotor.spa." + sid }

// sessions returns the sids of the browser's sessions of "spa", the oldest first.
func (b *browser) sessions() []string {
	var sids []string
	for name := range b.cookies {
		if sid, ok := strings.CutPrefix(name, cookieName("")); ok {
			sids = append(sids, strings.TrimSuffix(sid, ".2"))
		}
	}
	slices.Sort(sids)
	return slices.Compact(sids)
}

// state returns the state of a user's only family.
func (b *browser) state(user string) string {
	b.t.Helper()
	families := b.started(user)
	if len(families) != 1 {
		b.t.Fatalf("%s has %d families", user, len(families))
	}
	return families[0]["status"].(string)
}

// lastCause returns the cause in the last line about a refused refresh.
func (b *browser) lastCause() any {
	b.t.Helper()
	lines := b.logged("fertft")
	if len(lines) == 0 {
		return nil
	}
	return lines[len(lines)-1]["cause"]
}

// TestCookieNotYetThere checks that a refresh without a cookie deletes none. Its answer may arrive after that
// of another tab, which set it: a token that moves in has a cookie only from then on.
func TestCookieNotYetThere(t *testing.T) {
	b := newBrowser(t)
	ada := b.login("spa", "ada")
	other := b.browser() // the same browser, before the cookie arrived
	for _, sid := range []string{ada, ""} {
		if a := other.renew(sid); !a.refused(http.StatusBadRequest) || a.header.Get("Set-Cookie") != "" {
			t.Errorf("without a cookie: %v %v", a, a.header)
		}
		// A request that names no session only asks whether there is one.
		if lines := b.logged("fertft"); len(lines) != 1 || lines[0]["cause"] != string(family.NoCookie) {
			t.Errorf("the log has %v", lines)
		}
	}
	if a := b.renew(ada); a.status != http.StatusOK {
		t.Errorf("with the cookie: %v", a)
	}
}

// TestCookieRevocation checks which session a revocation ends: the one that it names, by whatever
// is in that session's cookie alone, which is deleted.
func TestCookieRevocation(t *testing.T) {
	for _, tt := range []struct {
		name     string
		request  func(b *browser, ada, bob string) answer
		status   int
		ada, bob string   // the states afterwards
		cookies  []string // that are left
	}{
		{"by sid", func(b *browser, ada, _ string) answer {
			return b.post("/oauth/revoke", "client_id", "spa", "sid", ada)
		}, 200, "revoked", "active", []string{"bob"}},
		{"twice", func(b *browser, ada, _ string) answer {
			held := b.token("spa", ada)
			b.post("/oauth/revoke", "client_id", "spa", "sid", ada)
			b.put(ada, held)
			return b.post("/oauth/revoke", "client_id", "spa", "sid", ada)
		}, 200, "revoked", "active", []string{"bob"}},
		{"by nothing, of one session", func(b *browser, ada, _ string) answer {
			delete(b.cookies, cookieName(ada))
			return b.post("/oauth/revoke", "client_id", "spa")
		}, 200, "active", "revoked", nil},
		{"by nothing, of two", func(b *browser, _, _ string) answer {
			return b.post("/oauth/revoke", "client_id", "spa")
		}, 400, "active", "active", []string{"ada", "bob"}},
		{"by nothing, of none", func(b *browser, _, _ string) answer {
			clear(b.cookies)
			return b.post("/oauth/revoke", "client_id", "spa")
		}, 200, "active", "active", nil},
		{"by the sid of no cookie", func(b *browser, ada, _ string) answer {
			delete(b.cookies, cookieName(ada))
			return b.post("/oauth/revoke", "client_id", "spa", "sid", ada)
		}, 200, "active", "active", []string{"bob"}},
		{"by a malformed sid", func(b *browser, ada, _ string) answer {
			return b.post("/oauth/revoke", "client_id", "spa", "sid", strings.ToLower(ada))
		}, 400, "active", "active", []string{"ada", "bob"}},
		{"by a token beside a sid", func(b *browser, ada, bob string) answer {
			return b.post("/oauth/revoke", "client_id", "spa", "sid", ada, "token", b.token("spa", bob))
		}, 400, "active", "active", []string{"ada", "bob"}},
		{"by an access token", func(b *browser, ada, _ string) answer {
			return b.post("/oauth/revoke", "client_id", "spa", "token", b.renew(ada).text("access_token"))
		}, 200, "revoked", "active", []string{"bob"}},
		{"by a token that says nothing", func(b *browser, _, _ string) answer {
			return b.post("/oauth/revoke", "client_id", "spa", "token", "x")
		}, 200, "active", "active", []string{"ada", "bob"}},
		{"by a cookie that says nothing", func(b *browser, ada, _ string) answer {
			b.put(ada, "x")
			return b.post("/oauth/revoke", "client_id", "spa", "sid", ada)
		}, 200, "active", "active", []string{"bob"}},
		{"by an access token in the cookie", func(b *browser, ada, _ string) answer {
			b.put(ada, b.renew(ada).text("access_token"))
			return b.post("/oauth/revoke", "client_id", "spa", "sid", ada)
		}, 200, "active", "active", []string{"bob"}},
		{"by the cookie of another session", func(b *browser, ada, bob string) answer {
			b.put(ada, b.token("spa", bob))
			return b.post("/oauth/revoke", "client_id", "spa", "sid", ada)
		}, 200, "active", "active", []string{"bob"}},
		{"by a cookie that comes twice", func(b *browser, ada, bob string) answer {
			header := append(b.headers(), "Cookie", cookieName(ada)+"="+b.token("spa", bob))
			a := b.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "spa", "sid", ada), header...)
			b.keep(a)
			return a
		}, 400, "active", "active", []string{"ada", "bob"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBrowser(t)
			ada, bob := b.login("spa", "ada"), b.login("spa", "bob")
			a := tt.request(b, ada, bob)
			if a.status != tt.status || tt.status == http.StatusBadRequest && a.text("error") != "invalid_request" {
				t.Errorf("got %v, want %d", a, tt.status)
			}
			if b.state("ada") != tt.ada || b.state("bob") != tt.bob {
				t.Errorf("ada is %s and bob %s", b.state("ada"), b.state("bob"))
			}
			users := map[string]string{ada: "ada", bob: "bob"}
			var left []string
			for _, sid := range b.sessions() {
				left = append(left, users[sid])
			}
			slices.Sort(left)
			if !slices.Equal(left, tt.cookies) {
				t.Errorf("the cookies of %v are left", left)
			}
		})
	}
}

// TestCookieOfAnotherProvider checks that only a token of ours is taken from a cookie. One of another
// provider, which the client accepts in a body, is neither looked up nor adopted.
func TestCookieOfAnotherProvider(t *testing.T) {
	b := newBrowser(t)
	b.putClient("spa", `{"type":"public","transport":"cookie","accepts_imported":true}`)
	sid := b.login("spa", "ada")
	b.put(sid, foreignToken(1))
	b.store.Counted()
	if a := b.renew(sid); !a.refused(http.StatusBadRequest) || len(b.sessions()) != 0 {
		t.Errorf("got %v, and the sessions are %v", a, b.sessions())
	}
	if calls := b.store.Counted(); len(calls) != 0 {
		t.Errorf("the store was asked %v", calls)
	}
	if cause := b.lastCause(); cause != string(family.Malformed) {
		t.Errorf("the cause is %v", cause)
	}
	b.put(sid, foreignToken(1))
	if a := b.post("/oauth/revoke", "client_id", "spa", "sid", sid); a.status != http.StatusOK || len(b.sessions()) != 0 {
		t.Errorf("revocation got %v, and the sessions are %v", a, b.sessions())
	}
	if calls := b.store.Counted(); len(calls) != 0 {
		t.Errorf("the store was asked %v", calls)
	}
}

// TestCookieSessions checks how many sessions of a client a browser keeps: the newest five, and always the
// one that the answer is about.
func TestCookieSessions(t *testing.T) {
	b := newBrowser(t)
	b.putClient("other", `{"type":"public","transport":"cookie"}`)
	b.login("other", "ada")
	var sids []string
	login := func() {
		b.clock.Advance(time.Second)
		sids = append(sids, b.login("spa", "user "+strconv.Itoa(len(sids))))
	}
	for range 5 {
		login()
	}
	if got := b.sessions(); !slices.Equal(got, sids) {
		t.Fatalf("of %v are left %v", sids, got)
	}
	login()
	if got := b.sessions(); !slices.Equal(got, sids[1:]) {
		t.Errorf("of %v are left %v", sids, got)
	}
	if b.state("user 0") != "active" {
		t.Errorf("the session whose cookie went is %s", b.state("user 0"))
	}
	// The oldest may be dead: its cookie goes all the same, since nothing is read to find out.
	b.send(http.MethodDelete, "/v1/families?user_id=user+2", "", "")
	login()
	if got := b.sessions(); !slices.Equal(got, sids[2:]) {
		t.Errorf("of %v are left %v", sids, got)
	}
	// Two tabs that log in at once, each with the five cookies of before, leave six.
	before := b.browser()
	for name, c := range b.cookies {
		before.cookies[name] = c
	}
	login()
	b.clock.Advance(time.Second)
	b.cookies[cookieName(sids[2])] = before.cookies[cookieName(sids[2])]
	if n := len(b.sessions()); n != 6 {
		t.Fatalf("%d sessions", n)
	}
	if a := b.renew(sids[2]); !a.refused(http.StatusBadRequest) || !slices.Equal(b.sessions(), sids[3:]) {
		t.Errorf("a dead one: %v, and %v are left", a, b.sessions())
	}
	oldest := sids[1] // whose cookie has gone
	b.put(oldest, b.mint(b.started("user 1")[0]["family"].(string), 1))
	if a := b.renew(oldest); a.status != http.StatusOK || !slices.Equal(b.sessions(), append([]string{oldest}, sids[4:]...)) {
		t.Errorf("the oldest of six: %v, and %v are left of %v", a, b.sessions(), sids)
	}
	if b.token("other", b.only("other")) == "" {
		t.Error("the other client's cookie is gone")
	}
}

// only returns the sid of the only session of a client.
func (b *browser) only(client string) string {
	b.t.Helper()
	for name := range b.cookies {
		if sid, ok := strings.CutPrefix(name, "__Host-Http-rotor."+client+"."); ok {
			return sid
		}
	}
	return ""
}
