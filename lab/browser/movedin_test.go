//go:build browser

package browser

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// oldToken is a refresh token of another provider.
const oldToken = "v1.MjQ1pX0cV-kZ8mB2sWfT4yHn6uLqRd9aEoGi3JbKv7"

// movesIn imports oldToken as alice's into demo-spa, and returns its family.
func (s *server) movesIn() string {
	s.t.Helper()
	if _, err := s.api.Register(s.t.Context(), "demo-spa", &manage.Settings{Type: "public", AcceptsImported: &manage.TokenShape{}}); err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(oldToken))
	done, err := s.api.Import(s.t.Context(), "demo-spa", []manage.Import{{UserID: "alice", TokenSHA256: hex.EncodeToString(sum[:]), Device: "phone"}}, false)
	if err != nil || len(done) != 1 || done[0].Family == "" {
		s.t.Fatalf("%v, %v", done, err)
	}
	return done[0].Family
}

// TestMovedIn pastes another provider's token that was imported: while it waits, after its first use,
// and after it ended its family. The token gets into no address, page or log, and the pages are
// accessible and fit on a phone.
func TestMovedIn(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.movesIn()
	p := newTab(t, s.url)
	paste := func() {
		t.Helper()
		p.open("/console/explain")
		p.fill("#pasted", oldToken)
		p.follow("form.ask button")
		p.sees("#verdict", "This refresh token of another provider")
		p.eval("document.querySelector('details').open = true")
	}
	s.wait("2h")
	paste()
	p.verdict("valid")
	p.sees(".summary", "The application has not presented it here yet.")
	p.sees("dl.facts", "pending")
	p.pictured("the old token: you asked about it")
	p.fits("moved-in-pending")
	p.open("/console/users?user_id=alice")
	p.sees("table.families", "its old token was not presented yet")
	p.fits("moved-in-user")

	token := s.refresh(oldToken)
	s.wait("20s")
	paste()
	p.verdict("interval")
	p.sees("details table", "The imported token was first used here: it was exchanged for token 1.")
	p.fits("moved-in-exchanged")

	s.wait("10m")
	paste()
	p.verdict("dead")
	p.sees("#verdict", "superseded")
	p.fits("moved-in-superseded")
	if token = s.refresh(token); token == "" {
		t.Fatal("the session is dead")
	}
	s.wait("10m")
	if s.refresh(oldToken) != "" {
		t.Fatal("the old token works")
	}
	paste()
	p.verdict("dead")
	p.sees("#verdict", "reuse_detected")
	p.pictured("the old token came back")
	p.fits("moved-in-reused")
	p.open("/console/events?type=ferrt")
	p.sees("ol.events", "An imported refresh token was presented again")
	p.fits("moved-in-events")

	p.open("/console/explain")
	p.fill("#pasted", oldToken+"x")
	p.follow("form.ask button")
	p.verdict("dead")
	p.sees("#verdict", "never_imported")
	p.fits("moved-in-stranger")
	p.leaks(oldToken)
	if strings.Contains(s.log.String(), oldToken) {
		t.Error("the token is in the log")
	}
}
