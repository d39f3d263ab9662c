//go:build browser

package browser

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// verifier is the code verifier of every code here.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// code starts a family of alice in demo-spa, whose tokens the app fetches with the code.
func (s *server) code(device string) *manage.Code {
	s.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	code, err := s.api.StartWithCode(s.t.Context(), &manage.Login{UserID: "alice", ClientID: "demo-spa", Device: device},
		manage.CodeRequest{Challenge: base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		s.t.Fatal(err)
	}
	return code
}

// exchange presents a code with a verifier, which must be answered with this status. It returns
// the refresh token.
func (s *server) exchange(code, verifier string, want int) string {
	s.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"demo-spa"}, "code": {code}, "code_verifier": {verifier}}
	var answer struct {
		Token string `json:"refresh_token"`
	}
	if status := s.send("/oauth/token", "application/x-www-form-urlencoded", form.Encode(), &answer); status != want {
		s.t.Fatalf("the code is answered with %d", status)
	}
	return answer.Token
}

// fits checks that the page is accessible, on a phone too, and is no wider than that. It takes pictures.
func (p *tab) fits(name string) {
	p.t.Helper()
	p.accessible()
	p.look(name)
	p.narrow()
	p.accessible()
	p.size(1200, 900)
}

// TestCode pastes a code while it waits, after its exchange, and after it ended its family. The code
// gets into no address, page or log, and the pages are accessible and fit on a phone.
func TestCode(t *testing.T) {
	t.Parallel()
	s := start(t)
	code := s.code("phone")
	p := newTab(t, s.url)
	paste := func() {
		t.Helper()
		p.open("/console/explain")
		p.fill("#pasted", code.Code)
		p.follow("form.ask button")
		p.sees("#verdict", "This authorization code")
		p.eval("document.querySelector('details').open = true")
	}
	paste()
	p.verdict("valid")
	p.sees("dl.facts", "pending")
	p.pictured("tokens made: 0")
	p.pictured("the code: you asked about it")
	p.fits("code-pending")

	s.exchange(code.Code, strings.Repeat("x", 43), http.StatusBadRequest)
	s.wait("3s")
	token := s.exchange(code.Code, verifier, http.StatusOK)
	s.wait("2m")
	s.refresh(token)
	paste()
	p.verdict("dead")
	p.sees("#verdict", "code_used")
	p.sees("details table", "it came with another code_verifier than its code_challenge asks for")
	p.sees("details table", "The authorization code was exchanged for token 1.")
	p.pictured("tokens made: 2")
	p.fits("code-exchanged")

	s.wait("5m")
	s.exchange(code.Code, verifier, http.StatusBadRequest)
	paste()
	p.verdict("dead")
	p.sees("#verdict", "reuse_detected")
	p.sees("details table", "The family was revoked, with its newest token 2.")
	p.pictured("revoked: the code came back")
	p.fits("code-reused")
	if strings.Contains(p.body(), code.Code) {
		t.Error("the code is on the page")
	}
	p.open("/console/events?type=ferrt")
	p.sees("ol.events", "An authorization code was presented again 7 min")
	p.fits("code-events")
	p.leaks(code.Code)
	if strings.Contains(s.log.String(), code.Code[:24]) {
		t.Error("the code is in the log")
	}
}

// TestPendingSession ends a session whose code waits, by clicking.
func TestPendingSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa", Device: "laptop"})
	code := s.code("phone")
	p := newTab(t, s.url)
	p.open("/console/users?user_id=alice")
	p.sees(row("phone"), "its code was not exchanged yet")
	p.fits("user-pending")
	p.follow(row("phone") + " a[href*='family='][href*='/end']")
	p.sees("main", "Its authorization code was not exchanged yet")
	p.fits("end-pending")
	p.follow("form button.danger")
	p.sees(".told", "One session was ended.")
	p.sees(row("phone"), "revoked")
	p.sees(row("laptop"), "active")
	s.exchange(code.Code, verifier, http.StatusBadRequest)
}

// TestRedirectURIs looks at a client that has many of them, one of which is long.
func TestRedirectURIs(t *testing.T) {
	t.Parallel()
	s := start(t)
	long := "https://app.example.com/" + strings.Repeat("callback/", 40)
	_, err := s.api.Register(t.Context(), "web", &manage.Settings{
		Type: "public", RedirectURIs: []string{long, "http://127.0.0.1/callback", "com.example.app:/callback"}, PostLogoutRedirectURIs: []string{"https://app.example.com/bye"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := newTab(t, s.url)
	p.open("/console/clients/web")
	if got := p.texts(".addresses li"); len(got) != 4 || got[0] != long || got[2] != "com.example.app:/callback" {
		t.Errorf("the addresses are %q", got)
	}
	p.fits("client-redirects")
	p.open("/console/clients/demo-auth0")
	if n := p.count(".addresses"); n != 0 {
		t.Errorf("a client without addresses has %d lists of them", n)
	}
}
