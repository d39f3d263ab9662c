package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/token"
)

// deviceKey returns a new key.
func deviceKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// notRenewed reports whether the answer says that the browser has yet to renew the device cookie.
func (a answer) notRenewed() bool {
	return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" && strings.Contains(a.body, "renew")
}

// only returns the only session of the browser.
func (c *chromium) only() *boundSession {
	c.t.Helper()
	if len(c.sessions) != 1 {
		c.t.Fatalf("the browser has %d sessions", len(c.sessions))
	}
	for _, s := range c.sessions {
		return s
	}
	return nil
}

// challengeOffered returns the challenge in the registration header of an answer, "" if there is none.
func challengeOffered(a answer) string {
	m := registration.FindStringSubmatch(a.header.Get("Secure-Session-Registration"))
	if m == nil {
		return ""
	}
	return m[2]
}

// TestForeignRegistration checks that no key is registered but by the session's own browser, soon after the login.
func TestForeignRegistration(t *testing.T) {
	c := newChromium(t)
	c.without = true
	c.putClient("other", `{"type":"public","transport":"cookie"}`)
	code := func(client, user string) answer {
		code := c.issue(`{"client_id":` + quote(client) + `,"user_id":` + quote(user) + `,"deliver":"code","code_challenge":` + quote(challengeOf(verifier)) + `}`).text("code")
		return c.post("/oauth/token", "grant_type", "authorization_code", "client_id", client, "code", code, "code_verifier", verifier)
	}
	old := challengeOffered(code("spa", "ada"))
	c.clock.Advance(9*time.Minute + 59*time.Second)
	a, b := code("spa", "ada"), code("spa", "bob")
	challenge, sid := challengeOffered(a), a.text("sid")
	if challenge == "" || challengeOffered(code("other", "ada")) != "" {
		t.Fatalf("the exchange got %v", a.header)
	}
	own := c.servers[0].URL
	key := deviceKey(t)
	good := deviceProof(t, key, challenge, true)
	cookie := func(sid string) string { return cookieName(sid) + "=" + c.token("spa", sid) }
	for _, tt := range []struct{ what, reason, origin, site, cookie, proof string }{
		{"a page of the app", "not_same_origin", page, "same-site", cookie(sid), good},
		{"another site", "not_same_origin", "https://evil.example", "cross-site", cookie(sid), good},
		{"another origin, as no browser would say", "not_same_origin", page, "same-origin", cookie(sid), good},
		{"a program", "not_same_origin", own, "", cookie(sid), good},
		{"no origin", "not_same_origin", "", "same-origin", cookie(sid), good},
		{"no cookie", "no_cookie", own, "same-origin", "a=b", good},
		{"the cookie of another session", "no_cookie", own, "same-origin", cookie(b.text("sid")), good},
		{"another session's token in the cookie", "no_cookie", own, "same-origin", cookieName(sid) + "=" + c.token("spa", b.text("sid")), good},
		{"a cookie made up", "no_cookie", own, "same-origin", cookieName(sid) + "=rotor_x", good},
		{"a device cookie made up", "no_cookie", own, "same-origin", boundName(sid) + "=AQE", good},
		{"the cookie twice", "repeated_cookie", own, "same-origin", cookie(sid) + "; " + cookie(sid), good},
		{"no proof", "no_proof", own, "same-origin", cookie(sid), ""},
		{"a proof without its key", "no_key", own, "same-origin", cookie(sid), deviceProof(t, key, challenge, false)},
		{"a challenge made up", "stale_challenge", own, "same-origin", cookie(sid), deviceProof(t, key, "AQE", true)},
		{"the challenge of another session", "no_cookie", own, "same-origin", cookie(sid), deviceProof(t, key, challengeOffered(b), true)},
		{"a nonce for a challenge", "stale_challenge", own, "same-origin", cookie(sid), deviceProof(t, key, c.keys.Codec.Nonce(c.clock.Now()), true)},
	} {
		header := []string{"Cookie", tt.cookie}
		for name, value := range map[string]string{"Origin": tt.origin, "Sec-Fetch-Site": tt.site, "Secure-Session-Response": tt.proof} {
			if value != "" {
				header = append(header, name, value)
			}
		}
		a := c.send(http.MethodPost, "/oauth/dbsc/registration", "", "", header...)
		if a.status != http.StatusForbidden || a.header.Get("Set-Cookie")+a.header.Get("Secure-Session-Challenge") != "" {
			t.Errorf("%s: %v", tt.what, a)
		}
		if line, _ := c.last("fertft"); line["reason"] != tt.reason || line["operation"] != "dbsc/registration" {
			t.Errorf("%s: the log has %v", tt.what, line)
		}
	}
	send := func(proof string) answer {
		return c.send(http.MethodPost, "/oauth/dbsc/registration", "", "", "Cookie", cookie(sid), "Origin", own, "Sec-Fetch-Site", "same-origin", "Secure-Session-Response", proof)
	}
	c.store.Counted()
	if a := send(good); a.status != http.StatusOK {
		t.Errorf("its own: %v", a)
	}
	if got := c.store.Counted(); len(got) != 0 {
		t.Errorf("a registration made the requests %v", got)
	}
	c.clock.Advance(9*time.Minute + 59*time.Second)
	if a := send(good); a.status != http.StatusOK {
		t.Errorf("within ten minutes: %v", a)
	}
	c.clock.Advance(time.Second)
	if a := send(good); a.status != http.StatusForbidden {
		t.Errorf("after ten minutes: %v", a)
	}
	if line, _ := c.last("fertft"); line["reason"] != "too_late" {
		t.Errorf("after ten minutes the log has %v", line)
	}
	if a := send(deviceProof(t, key, old, true)); a.status != http.StatusForbidden {
		t.Errorf("an old challenge: %v", a)
	}
	c.putClient("spa", `{"type":"public","transport":"cookie"}`)
	c.clock.Advance(2 * time.Minute)
	if a := code("spa", "ada"); challengeOffered(a) != "" {
		t.Errorf("a client that is not device-bound: %v", a.header)
	}
}

// TestRenewalRefused checks what no renewal accepts. Nothing is written for it, and the session lives.
func TestRenewalRefused(t *testing.T) {
	c := newChromium(t)
	sid := c.bound("ada")
	s := c.only()
	thief := c.chromium()
	other := thief.bound("bob")
	renew := func(header ...string) answer {
		return c.send(http.MethodPost, "/oauth/dbsc/renewal", "", "", header...)
	}
	c.store.Counted()
	identified := []string{"Sec-Secure-Session-Id", s.identifier}
	signed := func(key *ecdsa.PrivateKey, challenge string) []string {
		return append([]string{"Secure-Session-Response", deviceProof(t, key, challenge, false)}, identified...)
	}
	for _, tt := range []struct {
		what   string
		header []string
		status int
	}{
		{"no identifier", nil, http.StatusUnauthorized},
		{"a proof alone", []string{"Secure-Session-Response", deviceProof(t, s.key, s.challenge, false)}, http.StatusUnauthorized},
		{"an identifier made up", []string{"Sec-Secure-Session-Id", "AQE"}, http.StatusUnauthorized},
		{"a challenge for an identifier", []string{"Sec-Secure-Session-Id", s.challenge}, http.StatusUnauthorized},
		{"a device cookie for an identifier", []string{"Sec-Secure-Session-Id", c.cookies[boundName(sid)].Value}, http.StatusUnauthorized},
		{"no proof", identified, http.StatusForbidden},
		{"another key", signed(thief.only().key, s.challenge), http.StatusUnauthorized},
		{"the key beside the proof", append([]string{"Secure-Session-Response", deviceProof(t, s.key, s.challenge, true)}, identified...), http.StatusUnauthorized},
		{"a challenge made up", signed(s.key, "AQE"), http.StatusForbidden},
		{"another session's challenge", signed(s.key, thief.only().challenge), http.StatusForbidden},
		{"an identifier for a challenge", signed(s.key, s.identifier), http.StatusForbidden},
	} {
		a := renew(tt.header...)
		if challenge := a.header.Get("Secure-Session-Challenge"); a.status != tt.status || (challenge != "") != (tt.status == http.StatusForbidden) || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v %v", tt.what, a, a.header)
		}
		if scheme := a.header.Get("WWW-Authenticate"); a.status == http.StatusUnauthorized && scheme != "Secure-Session" {
			t.Errorf("%s: the browser is asked for %q", tt.what, scheme)
		}
	}
	if got := c.store.Counted(); len(got) != 0 {
		t.Errorf("refusals made the requests %v", got)
	}
	// The browser quotes or does not.
	if a := renew("Sec-Secure-Session-Id", quote(s.identifier), "Secure-Session-Response", quote(deviceProof(t, s.key, s.challenge, false))); a.status != http.StatusOK {
		t.Errorf("in quotes: %v", a)
	}
	for c, sid := range map[*chromium]string{c: sid, thief: other} {
		if a := c.renew(sid); a.status != http.StatusOK {
			t.Errorf("the session is over: %v", a)
		}
	}
}

// TestChallenges checks that the challenge stays the same for a while, is good for the next, and that a browser whose
// challenge is too old gets another.
func TestChallenges(t *testing.T) {
	c := newChromium(t)
	c.clock.Advance(15*time.Minute - time.Duration(c.clock.Now().UnixMilli()%(15*time.Minute).Milliseconds())*time.Millisecond)
	sid := c.bound("ada")
	s := c.only()
	first := s.challenge
	c.clock.Advance(15*time.Minute - time.Millisecond)
	if a := c.renew(sid); a.status != http.StatusOK || s.challenge != first {
		t.Errorf("within the while: %v, and the challenge has changed: %v", a, s.challenge != first)
	}
	c.clock.Advance(time.Millisecond)
	asked := len(c.asks)
	c.clock.Advance(15*time.Minute - time.Millisecond)
	if a := c.renew(sid); a.status != http.StatusOK || len(c.asks) != asked+1 || s.challenge == first {
		t.Errorf("in the next: %v, by %v", a, c.asks[asked:])
	}
	s.challenge = first
	c.clock.Advance(15 * time.Minute)
	asked = len(c.asks)
	if a := c.renew(sid); a.status != http.StatusOK || len(c.asks) != asked+2 {
		t.Errorf("later: %v, by %v", a, c.asks[asked:])
	}
	s.challenge = ""
	c.clock.Advance(15 * time.Minute)
	asked = len(c.asks)
	if a := c.renew(sid); a.status != http.StatusOK || len(c.asks) != asked+2 {
		t.Errorf("without a challenge: %v, by %v", a, c.asks[asked:])
	}
}

// TestDeviceCookieCopied checks that a copied device cookie is worthless after its minutes, and that a copy of the
// refresh token from before the binding is from the start. Neither ends the session.
func TestDeviceCookieCopied(t *testing.T) {
	c := newChromium(t)
	sid := c.login("ada")
	early := c.chromium()
	early.without = true
	early.put(sid, c.token("spa", sid))
	if a := c.renew(sid); a.status != http.StatusOK {
		t.Fatal(a)
	}
	thief := c.chromium()
	thief.cookies[boundName(sid)] = c.cookies[boundName(sid)]
	c.clock.Advance(11*time.Minute - time.Millisecond)
	if a := thief.renew(sid); a.status != http.StatusOK || a.json["refresh_token"] != nil {
		t.Errorf("within its minutes: %v", a)
	}
	c.clock.Advance(time.Millisecond)
	if a := thief.renew(sid); !a.notRenewed() || len(thief.cookies) != 0 {
		t.Errorf("afterwards: %v, with the cookies %v", a, thief.cookies)
	}
	if a := thief.renew(sid); !a.refused(http.StatusBadRequest) {
		t.Errorf("without it: %v", a)
	}
	if line, _ := c.last("device_not_renewed"); line["reason"] != "old_cookie" {
		t.Errorf("the log has %v", line)
	}
	if a := early.renew(sid); !a.refused(http.StatusBadRequest) || len(early.cookies) != 0 {
		t.Errorf("the refresh token: %v", a)
	}
	if line, _ := c.last("fertft"); line["cause"] != "no_proof" {
		t.Errorf("the log has %v", line)
	}
	if a := c.renew(sid); a.status != http.StatusOK || len(c.logged("ferrt"))+len(c.logged("srrt")) != 0 {
		t.Errorf("the session is over: %v", a)
	}
}

// TestTokensUnderWay checks that a refresh token which was sent before the binding and arrives after it is told to try
// again, for two minutes, and that a DPoP proof takes the place of no device cookie.
func TestTokensUnderWay(t *testing.T) {
	c := newChromium(t)
	sid := c.login("ada")
	sent := c.token("spa", sid)
	late := c.chromium()
	late.without = true
	if a := c.renew(sid); a.status != http.StatusOK {
		t.Fatal(a)
	}
	c.clock.Advance(2*time.Minute - time.Millisecond)
	late.put(sid, sent)
	if a := late.renew(sid); !a.notRenewed() || late.token("spa", sid) != sent {
		t.Errorf("under way: %v, with the cookies %v", a, late.cookies)
	}
	if line, _ := c.last("device_not_renewed"); line["reason"] != "just_bound" {
		t.Errorf("the log has %v", line)
	}
	c.clock.Advance(time.Millisecond)
	late.header = append(late.header, "DPoP", c.prover().proof())
	if a := late.renew(sid); !a.refused(http.StatusBadRequest) || late.token("spa", sid) != "" {
		t.Errorf("later: %v", a)
	}
	late.put(sid, sent)
	late.header = append(late.header, "Secure-Session-Skipped", `unreachable;session_identifier=`+quote(c.only().identifier))
	if a := late.renew(sid); !a.notRenewed() {
		t.Errorf("a browser that could not renew: %v", a)
	}
	if a := c.renew(sid); a.status != http.StatusOK {
		t.Errorf("the session is over: %v", a)
	}
}

// TestCodeOfTheBound checks that a code is refused if it is presented a second time once its session is bound, as any
// other is: no renewal helps it. The page may have given up on the first answer, whose headers the browser had got.
func TestCodeOfTheBound(t *testing.T) {
	c := newChromium(t)
	code := c.issue(`{"client_id":"spa","user_id":"ada","deliver":"code","code_challenge":` + quote(challengeOf(verifier)) + `}`).text("code")
	exchange := func() answer {
		return c.post("/oauth/token", "grant_type", "authorization_code", "client_id", "spa", "code", code, "code_verifier", verifier)
	}
	sid := exchange().text("sid")
	if a := exchange(); a.status != http.StatusBadRequest || a.text("error") != "invalid_grant" { // after the renewal, for which it waits
		t.Errorf("the code again: %v", a)
	}
	if !slices.Contains(c.asks, "/oauth/dbsc/renewal") {
		t.Fatalf("the browser asked for %v", c.asks)
	}
	if a := c.renew(sid); a.status != http.StatusOK || a.text("sid") != sid || len(c.cookies) != 1 {
		t.Errorf("the session: %v, with the cookies %v", a, c.cookies)
	}
}

// TestSkippedIsOfTheSession checks that a renewal which was skipped excuses no other session.
func TestSkippedIsOfTheSession(t *testing.T) {
	c := newChromium(t)
	c.bound("ada")
	skipped := `quota_exceeded;session_identifier=` + quote(c.only().identifier)
	other := c.chromium()
	other.without = true
	sid := other.login("bob")
	other.cookies = map[string]*http.Cookie{}
	for _, tt := range []struct {
		header string
		sid    string
		excuse bool
	}{
		{skipped, sid, false},
		{skipped, "", true},
		{`unreachable;session_identifier="AQE"`, sid, false},
		{"unreachable", "", false},
		{`unreachable;session_identifier="AQE", ` + skipped, "", true},
	} {
		for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
			form := []string{"client_id", "spa", "sid", tt.sid}
			if path == "/oauth/token" {
				form = append(form, "grant_type", "refresh_token")
			}
			other.header = []string{"Rotor-Transport", "cookie", "Secure-Session-Skipped", tt.header}
			if a := other.browser.post(path, form...); a.notRenewed() != tt.excuse {
				t.Errorf("%s at %s for %q: %v", tt.header, path, tt.sid, a)
			}
		}
	}
}

// TestPagesSendNoDeviceHeaders checks that pages of other origins may not send the headers of the browser, and read none.
func TestPagesSendNoDeviceHeaders(t *testing.T) {
	c := newChromium(t)
	for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
		for _, name := range []string{"Secure-Session-Skipped", "secure-session-response"} {
			a := c.send(http.MethodOptions, path, "", "", "Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type,"+name)
			if a.status != http.StatusForbidden || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s at %s: %v %v", name, path, a, a.header)
			}
		}
		a := c.send(http.MethodOptions, path, "", "", "Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "rotor-transport")
		if a.status != http.StatusNoContent || strings.Contains(strings.ToLower(a.header.Get("Access-Control-Expose-Headers")), "secure-session") {
			t.Errorf("%s: %v %v", path, a, a.header)
		}
	}
	for _, path := range []string{"/oauth/dbsc/registration", "/oauth/dbsc/renewal"} {
		a := c.send(http.MethodOptions, path, "", "", "Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "secure-session-response")
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v %v", path, a, a.header)
		}
	}
}

// TestMalformedSeals checks that what has the right MAC and no content of ours is refused.
func TestMalformedSeals(t *testing.T) {
	c := newChromium(t)
	c.bound("ada")
	id := family.ID{1}
	now := c.clock.Now()
	for _, content := range []string{"", "\x00", "\x00\x05abc", "\x00\x00spa", "\x00\x22" + strings.Repeat("k", 34) + "spa"} {
		identifier := c.keys.Codec.Seal(token.DeviceSession, id, []byte(content), now)
		if a := c.send(http.MethodPost, "/oauth/dbsc/renewal", "", "", "Sec-Secure-Session-Id", identifier); a.status != http.StatusUnauthorized {
			t.Errorf("the identifier %q: %v", content, a)
		}
	}
}
