package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store/schema"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestBrowserWithoutDBSC checks that a browser which ignores the header keeps its session as ever, and that the header
// comes in the first ten minutes alone.
func TestBrowserWithoutDBSC(t *testing.T) {
	c := newChromium(t)
	c.without = true
	sid := c.login("ada")
	for at := 2 * time.Minute; at < 20*time.Minute; at += 2 * time.Minute {
		c.clock.Advance(2 * time.Minute)
		before := c.token("spa", sid)
		a := c.renew(sid)
		if a.status != http.StatusOK || c.token("spa", sid) == before || (challengeOffered(a) != "") != (at < 10*time.Minute) {
			t.Errorf("after %v: %v %v", at, a, a.header)
		}
	}
	if a := c.post("/oauth/revoke", "client_id", "spa", "sid", sid); a.status != http.StatusOK || len(c.cookies) != 0 || len(c.asks) != 0 {
		t.Errorf("the logout: %v, with the cookies %v, after %v", a, c.cookies, c.asks)
	}
}

// TestLostRegistration checks that a registration whose answer is lost, wholly or in its body, binds nothing, and that
// the next answer offers another.
func TestLostRegistration(t *testing.T) {
	for _, cut := range []bool{false, true} {
		c := newChromium(t)
		c.lose = func(string) (bool, bool) { return !cut, cut }
		sid := c.login("ada")
		if len(c.sessions) != 0 || c.cookies[boundName(sid)] != nil {
			t.Fatalf("the browser has %v and the cookies %v", c.sessions, c.cookies)
		}
		c.clock.Advance(2 * time.Minute)
		if a := c.renew(sid); a.status != http.StatusOK || c.token("spa", sid) == "" {
			t.Errorf("the next refresh: %v", a)
		}
		c.lose = nil
		c.clock.Advance(2 * time.Minute)
		if a := c.renew(sid); a.status != http.StatusOK || len(c.sessions) != 1 || c.token("spa", sid) == "" {
			t.Errorf("the refresh that registers: %v", a)
		}
		if a := c.renew(sid); a.status != http.StatusOK || c.token("spa", sid) != "" {
			t.Errorf("the refresh that binds: %v", a)
		}
		// One that is never repeated leaves a session as others are.
		c.lose = func(string) (bool, bool) { return !cut, cut }
		other := c.login("bob")
		for range 5 {
			c.clock.Advance(10 * time.Minute)
			c.cookies[boundName(sid)] = &http.Cookie{Value: "x"} // so that ada's session asks for nothing
			c.expires[boundName(sid)] = c.clock.Now().Add(time.Hour)
			if a := c.renew(other); a.status != http.StatusOK || challengeOffered(a) != "" {
				t.Errorf("without a key: %v %v", a, a.header)
			}
		}
	}
}

// TestLostRenewal checks that a renewal whose answer is lost does no harm, be it the first, which binds, or a later one;
// and that the same proof may be sent twice.
func TestLostRenewal(t *testing.T) {
	c := newChromium(t)
	sid := c.login("ada")
	for range 3 {
		c.lose = func(path string) (bool, bool) { return path == "/oauth/dbsc/renewal", false }
		for range 3 {
			if a := c.renew(sid); !a.notRenewed() || len(c.sessions) != 1 {
				t.Fatalf("a lost renewal: %v", a)
			}
			c.clock.Advance(time.Hour)
		}
		c.lose = nil
		if a := c.renew(sid); a.status != http.StatusOK || len(c.cookies) != 1 {
			t.Fatalf("the next: %v, with the cookies %v", a, c.cookies)
		}
		c.clock.Advance(time.Hour)
	}
	s := c.only()
	if a := c.renew(sid); a.status != http.StatusOK {
		t.Fatal(a)
	}
	same := []string{"Sec-Secure-Session-Id", s.identifier, "Secure-Session-Response", deviceProof(t, s.key, s.challenge, false)}
	for range 2 {
		if a := c.send(http.MethodPost, "/oauth/dbsc/renewal", "", "", same...); a.status != http.StatusOK {
			t.Errorf("the same proof: %v", a)
		}
	}
	if n := len(c.logged("device_bound")); n != 1 {
		t.Errorf("the log has %d bindings", n)
	}
}

// TestTwoRegistrations checks that of two keys the first that is proven wins. The browser forgets the other, and the
// session goes on.
func TestTwoRegistrations(t *testing.T) {
	c := newChromium(t)
	c.without = true
	sid := c.login("ada")
	c.clock.Advance(time.Second)
	a := c.renew(sid)
	c.without = false
	for range 2 {
		c.register(a.header.Get("Secure-Session-Registration"))
	}
	if len(c.sessions) != 2 {
		t.Fatalf("the browser has %d sessions", len(c.sessions))
	}
	first := slices.Sorted(maps.Keys(c.sessions))[0]
	for range 4 {
		if a := c.renew(sid); a.status != http.StatusOK || len(c.cookies) != 1 {
			t.Errorf("a refresh: %v, with the cookies %v", a, c.cookies)
		}
		c.clock.Advance(12 * time.Minute)
	}
	// Both want the same cookie, so that the other is renewed only when its turn comes first.
	if a := c.renew(sid); a.status != http.StatusOK {
		t.Fatal(a)
	}
	for identifier, s := range c.sessions {
		if identifier != first {
			c.renewSession(s)
		}
	}
	if len(c.cookies) != 1 {
		t.Errorf("the key that lost has had the cookies deleted: %v", c.cookies)
	}
	if a := c.renew(sid); a.status != http.StatusOK || c.only().identifier != first {
		t.Errorf("afterwards: %v", a)
	}
	if line, _ := c.last("fertft"); line["cause"] != "wrong_key" {
		t.Errorf("the log has %v", line)
	}
}

// TestKeyKeptForLater checks that a key which was registered in time binds nothing any more once the session has gone on
// without it. Otherwise a thief who read the cookies at the login could wait, and take the session over weeks later.
func TestKeyKeptForLater(t *testing.T) {
	c := newChromium(t)
	registered := func(user string) (sid string, keys [2]*boundSession) {
		c.without = true
		sid = c.login(user)
		c.clock.Advance(time.Minute)
		header := c.renew(sid).header.Get("Secure-Session-Registration")
		for i := range keys {
			c.register(header)
			keys[i] = c.only()
			clear(c.sessions) // somebody else has the key
		}
		return sid, keys
	}
	prove := func(s *boundSession) answer {
		a, _ := c.ask(s.renewal, "Sec-Secure-Session-Id", s.identifier)
		m := cachedChallenge.FindStringSubmatch(a.header.Get("Secure-Session-Challenge"))
		if a.status != http.StatusForbidden || m == nil {
			t.Fatalf("without a proof: %v", a)
		}
		a, _ = c.ask(s.renewal, "Sec-Secure-Session-Id", s.identifier, "Secure-Session-Response", deviceProof(t, s.key, m[1], false))
		return a
	}
	sid, keys := registered("ada")
	for _, wait := range []time.Duration{11 * time.Minute, time.Hour} {
		c.clock.Advance(wait)
		if a := c.renew(sid); a.status != http.StatusOK || c.token("spa", sid) == "" {
			t.Fatalf("the owner's refresh: %v", a)
		}
	}
	for _, s := range keys {
		if a := prove(s); a.status != http.StatusUnauthorized {
			t.Errorf("a key that was kept: %v", a)
		}
		if line, _ := c.last("fertft"); line["cause"] != "wrong_key" {
			t.Errorf("the log has %v", line)
		}
	}
	c.clock.Advance(time.Hour)
	if a := c.renew(sid); a.status != http.StatusOK || c.token("spa", sid) == "" || len(c.logged("device_bound")) != 0 {
		t.Errorf("the owner afterwards: %v", a)
	}
	// In time the first key binds, and the other does nothing.
	_, keys = registered("bob")
	if a := prove(keys[0]); a.status != http.StatusOK {
		t.Errorf("the first key: %v", a)
	}
	if a := prove(keys[1]); a.status != http.StatusUnauthorized {
		t.Errorf("the other key: %v", a)
	}
	// Where nobody has used the session meanwhile, the browser's first proof may be late.
	c.without = false
	sid = c.login("carol")
	c.clock.Advance(time.Hour)
	if a := c.renew(sid); a.status != http.StatusOK || c.token("spa", sid) != "" || len(c.logged("device_bound")) != 2 {
		t.Errorf("a first renewal after an hour: %v", a)
	}
}

// TestRenewalOfTheDead checks that a session which has ended elsewhere is forgotten at its next renewal, with all of its cookies.
func TestRenewalOfTheDead(t *testing.T) {
	for _, tt := range []struct {
		what  string
		end   func(c *chromium, sid string)
		cause string
	}{
		{"a revocation", func(c *chromium, _ string) { c.send(http.MethodDelete, "/v1/families?user_id=ada", "", "") }, "revoked_by_admin"},
		{"the idle end", func(c *chromium, _ string) { c.clock.Advance(15 * 24 * time.Hour) }, "expired_idle"},
		{"an erasure", func(c *chromium, _ string) { c.send(http.MethodDelete, "/v1/users?user_id=ada", "", "") }, "purged"},
		{"not_before", func(c *chromium, _ string) {
			c.clock.Advance(time.Hour)
			c.putClient("spa", `{"type":"public","transport":"cookie","device_bound":true,"not_before":`+quote(c.clock.Now().Format(time.RFC3339))+`}`)
		}, "client_not_before"},
	} {
		c := newChromium(t)
		sid := c.bound("ada")
		tt.end(c, sid)
		c.clock.Advance(2 * time.Minute) // for what is read once a minute
		c.cookies[cookieName(sid)] = &http.Cookie{Value: "rotor_x"}
		c.clock.Advance(11 * time.Minute)
		c.renewSession(c.only())
		if len(c.sessions) != 0 || len(c.cookies) != 0 {
			t.Errorf("after %s a renewal leaves the sessions %v and the cookies %v", tt.what, c.sessions, c.cookies)
		}
		asked := len(c.asks)
		if a := c.renew(sid); !a.refused(http.StatusBadRequest) || len(c.sessions) != 0 || len(c.cookies) != 0 || len(c.asks) != asked {
			t.Errorf("after %s: %v, with the cookies %v", tt.what, a, c.cookies)
		}
		if !slices.ContainsFunc(c.logged("fertft"), func(line map[string]any) bool { return line["cause"] == tt.cause }) {
			t.Errorf("after %s the log has %v", tt.what, c.logged("fertft"))
		}
		if a := c.send(http.MethodPost, "/oauth/dbsc/renewal", "", ""); a.status != http.StatusUnauthorized {
			t.Error(a)
		}
	}
	// While the cookie is good, the page learns it first.
	c := newChromium(t)
	sid := c.bound("ada")
	c.send(http.MethodDelete, "/v1/families?user_id=ada", "", "")
	if a := c.renew(sid); !a.refused(http.StatusBadRequest) || len(c.cookies) != 0 {
		t.Errorf("with a good cookie: %v, with the cookies %v", a, c.cookies)
	}
	// The registration of a client that is gone is none.
	c = newChromium(t)
	sid = c.bound("ada")
	c.send(http.MethodDelete, "/v1/clients/spa", "", "")
	c.clock.Advance(12 * time.Minute)
	if c.renew(sid); len(c.sessions) != 0 {
		t.Errorf("without its client the browser has %v", c.sessions)
	}
}

// TestDeviceFaults checks each request to the store that fails, applied or not: the answer is 503 or good, and nothing ends.
func TestDeviceFaults(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Failed, storetest.Lost, storetest.Timeout, storetest.Throttled} {
		for n := range 3 {
			for _, binds := range []bool{false, true} {
				c := newChromium(t)
				sid := c.login("ada")
				if !binds {
					c.renew(sid)
					c.clock.Advance(11 * time.Minute)
				}
				c.browser.post("/oauth/revoke", "client_id", "spa", "token", "x") // so that the client is cached
				what := fmt.Sprintf("fault %v of request %d, binds %v", fault, n, binds)
				for _, whole := range []bool{false, true} { // all of the SDK's attempts, or one
					c.store.Break(func(call int, _ string) storetest.Fault {
						if call == n+1 || whole && call > n {
							return fault
						}
						return storetest.None
					})
					if a := c.renew(sid); a.status != http.StatusOK && a.status != http.StatusServiceUnavailable || len(c.sessions) != 1 {
						t.Errorf("%s: %v, and the browser has %v", what, a, c.sessions)
					}
					c.store.Break(nil)
				}
				if a := c.renew(sid); a.status != http.StatusOK || len(c.cookies) != 1 {
					t.Errorf("%s: afterwards %v, with the cookies %v", what, a, c.cookies)
				}
				if bound := len(c.logged("device_bound")); bound > 1 {
					t.Errorf("%s: the log has %d bindings", what, bound)
				}
				if ended := len(c.logged("srrt")) + len(c.logged("ferrt")); ended != 0 {
					t.Errorf("%s: a session has ended", what)
				}
			}
		}
	}
}

// TestSeveralDeviceSessions checks that two users and two clients in one browser keep their sessions apart.
func TestSeveralDeviceSessions(t *testing.T) {
	c := newChromium(t)
	ada, bob := c.bound("ada"), c.bound("bob")
	c.putClient("other", `{"type":"public","transport":"cookie","device_bound":true}`)
	code := c.issue(`{"client_id":"other","user_id":"ada","deliver":"code","code_challenge":` + quote(challengeOf(verifier)) + `}`).text("code")
	third := c.post("/oauth/token", "grant_type", "authorization_code", "client_id", "other", "code", code, "code_verifier", verifier).text("sid")
	if len(c.sessions) != 3 {
		t.Fatalf("the browser has %d sessions", len(c.sessions))
	}
	for range 3 {
		c.clock.Advance(30 * time.Minute)
		for sid, user := range map[string]string{ada: "ada", bob: "bob"} {
			if a := c.renew(sid); a.status != http.StatusOK || a.claims(t)["sub"] != user || a.text("sid") != sid {
				t.Errorf("%s: %v", user, a)
			}
		}
		if a := c.post("/oauth/token", "grant_type", "refresh_token", "client_id", "other", "sid", third); a.status != http.StatusOK {
			t.Errorf("the other client: %v", a)
		}
	}
	// A cookie under the name of another session is none of it.
	c.cookies[boundName(ada)], c.cookies[boundName(bob)] = c.cookies[boundName(bob)], c.cookies[boundName(ada)]
	for _, sid := range []string{ada, bob} {
		if a := c.renew(sid); !a.notRenewed() || c.cookies[boundName(sid)] != nil {
			t.Errorf("the cookie of another session: %v", a)
		}
		if a := c.renew(sid); a.status != http.StatusOK {
			t.Errorf("renewed: %v", a)
		}
	}
	if a := c.post("/oauth/token", "grant_type", "refresh_token", "client_id", "spa"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "2 sessions") {
		t.Errorf("without a sid: %v", a)
	}
	if a := c.post("/oauth/revoke", "client_id", "spa", "sid", ada); a.status != http.StatusOK {
		t.Error(a)
	}
	if a := c.renew(bob); a.status != http.StatusOK || a.claims(t)["sub"] != "bob" {
		t.Errorf("after the other's logout: %v", a)
	}
	if a := c.renew(ada); !a.refused(http.StatusBadRequest) || len(c.sessions) != 2 {
		t.Errorf("logged out: %v, and the browser has %d sessions", a, len(c.sessions))
	}
}

// TestManyDeviceSessions checks that a login deletes no cookie of a bound session, which the browser would only renew.
func TestManyDeviceSessions(t *testing.T) {
	c := newChromium(t)
	var sids []string
	for i := range 7 {
		sids = append(sids, c.bound(fmt.Sprint("user", i)))
	}
	for _, sid := range sids {
		if c.cookies[boundName(sid)] == nil {
			t.Errorf("the cookie of session %s is gone", sid)
		}
	}
	if len(c.asks) != 2*len(sids) { // the registrations and the first renewals
		t.Errorf("the browser asked for %v", c.asks)
	}
}

// TestDeviceKeysRotate checks that sessions outlive rotations of the keys and restarts of the servers, and end if the key
// leaks under which their identifiers are.
func TestDeviceKeysRotate(t *testing.T) {
	w, v := newVaultWorld(t, 2, oneIssuer(), origins(page))
	w.putClient("spa", `{"type":"public","transport":"cookie","device_bound":true}`)
	c := w.chromium()
	c.own = "https://auth.example.com"
	sid := c.bound("ada")
	s := c.only()
	for range 3 {
		v.mustRotate(w.clock.Now())
		for range 4 {
			w.clock.Advance(11 * time.Minute)
			if a := c.renew(sid); a.status != http.StatusOK {
				t.Fatalf("after a rotation: %v", a)
			}
		}
		w.restart(0)
		w.clock.Advance(2 * time.Minute)
		if a := c.renew(sid); a.status != http.StatusOK || c.only() != s {
			t.Fatalf("after a restart: %v", a)
		}
	}
	second := c.bound("bob") // its identifier is under a later key
	v.emergency(w.clock.Now(), keyring.Leak{MAC: []int{1}})
	w.clock.Advance(10 * time.Minute)
	if a := c.renew(sid); !a.refused(http.StatusBadRequest) {
		t.Errorf("under the leaked key: %v", a)
	}
	if a := c.renew(second); a.status != http.StatusOK || len(c.sessions) != 1 {
		t.Errorf("under another: %v, and the browser has %d sessions", a, len(c.sessions))
	}
}

// TestDeviceScope checks that a device cookie gets what its family was granted, and no more.
func TestDeviceScope(t *testing.T) {
	c := newChromium(t)
	sid := c.bound("ada")
	refresh := func(more ...string) answer {
		return c.post("/oauth/token", append([]string{"grant_type", "refresh_token", "client_id", "spa", "sid", sid}, more...)...)
	}
	if a := refresh("scope", "read"); a.status != http.StatusOK || a.text("scope") != "read" {
		t.Errorf("narrower: %v", a)
	}
	if a := refresh("scope", "read", "resource", c.servers[0].URL); a.status != http.StatusOK {
		t.Errorf("for its audience: %v", a)
	}
	for _, tt := range []struct{ name, value, code string }{
		{"scope", "read delete", "invalid_scope"}, {"resource", "https://other.example", "invalid_target"},
	} {
		if a := refresh(tt.name, tt.value); a.status != http.StatusBadRequest || a.text("error") != tt.code || len(c.cookies) != 1 {
			t.Errorf("%s %s: %v", tt.name, tt.value, a)
		}
	}
	c.putClient("spa", `{"type":"public","transport":"cookie","device_bound":true}`)
	c.clock.Advance(2 * time.Minute)
	if a := refresh("scope", "read delete"); a.status != http.StatusBadRequest || a.text("error") != "invalid_scope" {
		t.Errorf("not granted: %v", a)
	}
	if a := refresh(); a.status != http.StatusOK || a.text("id_token") == "" {
		t.Errorf("afterwards: %v", a)
	}
}

// TestDeviceRestored checks that a table which was restored from before the binding binds the session again.
func TestDeviceRestored(t *testing.T) {
	c := newChromium(t)
	sid := c.bound("ada")
	for _, attribute := range []string{"jkt", "bound_at"} {
		if err := c.store.Without(t.Context(), schema.FamilyPrefix+sid, attribute); err != nil {
			t.Fatal(err)
		}
	}
	c.clock.Advance(time.Minute)
	if a := c.renew(sid); a.status != http.StatusOK {
		t.Errorf("with the cookie: %v", a)
	}
	if shown := c.get("/v1/families?user_id=ada"); !strings.Contains(shown.body, `"device_bound_at":`) {
		t.Errorf("the family is not bound again: %v", shown)
	}
}

// TestDeviceBoundOff checks that a client which is no longer device-bound keeps the sessions that are bound, and binds no more.
func TestDeviceBoundOff(t *testing.T) {
	c := newChromium(t)
	sid := c.bound("ada")
	a := c.world.put("spa", `{"type":"public","transport":"cookie"}`)
	if !strings.Contains(a.body, `"field":"device_bound"`) {
		t.Errorf("there is no warning: %v", a)
	}
	c.clock.Advance(12 * time.Minute)
	if a := c.renew(sid); a.status != http.StatusOK {
		t.Errorf("a bound session: %v", a)
	}
	other := c.login("bob")
	if len(c.sessions) != 1 || c.token("spa", other) == "" {
		t.Errorf("another is bound: %v", c.sessions)
	}
	if a := c.post("/oauth/revoke", "client_id", "spa", "sid", sid); a.status != http.StatusOK || c.cookies[boundName(sid)] != nil {
		t.Errorf("the logout: %v", a)
	}
}

// TestDeviceSettings checks what a device-bound client must be, and what its browsers are told.
func TestDeviceSettings(t *testing.T) {
	w := newWorld(t, below("/auth"))
	w.put("spa", `{"type":"public","device_bound":true}`).names(t, "device_bound", "cookie")
	w.put("spa", `{"type":"public","transport":"cookie","device_bound":true,"policy":{"dpop":"required"}}`).names(t, "device_bound", "dpop")
	w.put("spa", `{"type":"public","transport":"cookie","device_bound":"yes"}`).names(t, "device_bound")
	if a := w.put("spa", `{"type":"public","transport":"cookie","device_bound":false}`); a.status != http.StatusCreated || a.json["device_bound"] != nil {
		t.Errorf("not device-bound: %v", a)
	}
	if a := w.put("spa", `{"type":"public","transport":"cookie","cookie_same_site":"lax","device_bound":true,"policy":{"dpop":"allowed"}}`); a.status != http.StatusOK || a.json["device_bound"] != true {
		t.Errorf("device-bound: %v", a)
	}
	c := w.chromium()
	c.origin, c.sameSite, c.paths = w.servers[0].URL, "Lax", "/auth"
	sid := c.login("ada")
	if s := c.only(); s.renewal != "/auth/oauth/dbsc/renewal" || !slices.Equal(s.paths, []string{"/auth/oauth/token", "/auth/oauth/revoke"}) {
		t.Errorf("the session is %+v", s)
	}
	key := c.prover()
	c.header = append(c.header, "DPoP", key.proof("htu", w.servers[0].URL+"/auth/oauth/token"))
	a := c.renew(sid)
	if cnf, _ := a.claims(t)["cnf"].(map[string]any); a.status != http.StatusOK || cnf["jkt"] != key.jkt() {
		t.Errorf("an access token for a key of the page: %v", a)
	}
	// A family that is bound to a key of the page is bound to no other.
	code := c.issue(`{"client_id":"spa","user_id":"bob","deliver":"code","code_challenge":` + quote(challengeOf(verifier)) + `}`).text("code")
	if a := c.post("/oauth/token", "grant_type", "authorization_code", "client_id", "spa", "code", code, "code_verifier", verifier); a.text("token_type") != "DPoP" || challengeOffered(a) != "" {
		t.Errorf("a family that is bound: %v %v", a, a.header)
	}
}
