package console

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// accept registers "app" as a client that accepts refresh tokens of another provider.
func (w *world) accept() {
	w.tb.Helper()
	w.register("app", &manage.Settings{Type: "public", AcceptsImported: &manage.TokenShape{}})
}

// movesIn imports a refresh token of another provider, of alice, and returns its family.
func (w *world) movesIn(old string) string {
	w.tb.Helper()
	sum := sha256.Sum256([]byte(old))
	done, err := w.api.Import(w.tb.Context(), "app", []manage.Import{{UserID: "alice", TokenSHA256: hex.EncodeToString(sum[:]), Device: "Pixel 9"}}, false)
	if err != nil || len(done) != 1 || done[0].Family == "" {
		w.tb.Fatalf("%v, %v", done, err)
	}
	return done[0].Family
}

// oldToken is a refresh token of another provider.
const oldToken = "v1.MjQ1pX0cV-kZ8mB2sWfT4yHn6uLqRd9aEoGi3JbKv7"

// TestExplainForeign follows a session that moved in, from its import to its end by the old token.
func TestExplainForeign(t *testing.T) {
	w := newWorld(t)
	w.accept()
	id := w.movesIn(oldToken)
	w.clock.Advance(time.Hour)
	got := w.explain(oldToken)
	got.wants(t, "This refresh token of another provider", `class="verdict valid"`, `<span class="status pending">pending</span>`, "<dd>an imported refresh token</dd>",
		"none: the other provider’s token was not presented", "the old token: you asked about it", `class="token code asked"`, "the other provider’s token</li>",
		"The import: the family begins with a refresh token of another provider, its number 0.", "<dt>Imported</dt>", "<dt>Idle end</dt>", "idle end", "It works until")
	got.lacks(t, "authorization code was", "its code", "Last used", oldToken, "there may have been other uses", "<dt>Issued</dt>")
	w.explain(id).wants(t, "This family id", `class="verdict valid"`, `class="token code"`, ">imported<")

	first := w.refresh(oldToken)
	if first == "" {
		t.Fatal("the old token is refused")
	}
	w.clock.Advance(5 * time.Second)
	got = w.explain(oldToken)
	got.wants(t, "valid in the reuse interval", "exchanged 5 s ago, for token 1", "The imported token was first used here: it was exchanged for token 1.", `class="band"`, "<title>The old token</title>")
	w.clock.Advance(10 * time.Minute)
	got = w.explain(oldToken)
	got.wants(t, `class="verdict dead"`, "superseded", "would be reuse, and revoke it")

	w.refresh(w.refresh(first))
	w.clock.Advance(10 * time.Minute)
	if again := w.refresh(oldToken); again != "" {
		t.Fatal("the old token is answered again")
	}
	got = w.explain(oldToken)
	got.wants(t, `class="verdict dead"`, "reuse_detected", "revoked: the old token came back", "The imported token was presented again after its exchange. The family was revoked, with its newest token 2.", "<dt>Last used</dt>")
	w.get("/console/events?type=ferrt").wants(t, "<strong>reuse of an imported refresh token</strong>", "An imported refresh token was presented again at least 10 min after its exchange; the newest token was 2.", id)
}

// TestExplainForeignForms checks that the page names a foreign token by what the service found, and
// not by its form, and one that nobody knows as nothing.
func TestExplainForeignForms(t *testing.T) {
	w := newWorld(t)
	w.accept()
	for old, unknown := range map[string]string{
		"5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc": "This value of an unknown kind", oldToken: "This value of an unknown kind",
		"01Q3G9AD6EZQWNTVCJPNXVG2EE": "This session id (sid)", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln": "This access token",
	} {
		w.explain(old).wants(t, unknown, `class="verdict dead"`)
		id := w.movesIn(old)
		w.explain(old).wants(t, "This refresh token of another provider", "the old token: you asked about it")
		w.explain(id).lacks(t, "you asked about it")
		w.refresh(old)
		w.explain(id).wants(t, "This family id", "token 1")
	}
}

// TestSignOutBeforeMovingIn ends a session whose old token was not presented yet.
func TestSignOutBeforeMovingIn(t *testing.T) {
	w := newWorld(t)
	w.accept()
	id := w.movesIn(oldToken)
	got := w.get("/console/users?user_id=alice")
	got.wants(t, `<span class="status pending">pending</span> <span class="quiet">its old token was not presented yet</span>`, "none; moved in", "Sign out everywhere …")
	got.lacks(t, "its code", "End all others")
	end := "/console/users/end?user_id=alice&family=" + id
	page := w.get(end)
	page.wants(t, "The other provider’s token was not presented yet, and will not work here any more.", "<dt>Imported</dt>", "End it")
	page.lacks(t, "authorization code", "Logged in", "Last use")
	w.led(w.post(end, url.Values{})).wants(t, "One session was ended.", `<span class="status revoked">revoked</span>`)
	if w.refresh(oldToken) != "" {
		t.Error("the old token works")
	}
}

// TestReuseOfForeignTokensIsInTheHistogram checks that a longer interval is said to keep sessions that
// the reuse of an old token ended.
func TestReuseOfForeignTokensIsInTheHistogram(t *testing.T) {
	w := newWorld(t)
	w.accept()
	for n := range 2 {
		old := fmt.Sprintf("%s%d", oldToken, n)
		w.movesIn(old)
		w.refresh(old)
		w.clock.Advance(75 * time.Second)
		w.refresh(old)
	}
	w.get("/console/clients/app").lacks(t, "No superseded token of this client came back outside the interval")
	w.explain(oldToken+"0").wants(t, "would have kept 2 of the 2 families")
}

// TestAdoptedWords checks that an adopted token has its own words.
func TestAdoptedWords(t *testing.T) {
	if originName("adopted") != "an adopted refresh token" || began("adopted") != "Adopted" || began("code") != "Issued" || !strings.Contains(waitsFor(&manage.Family{Origin: "adopted"}), "old token") {
		t.Errorf("%s, %s, %s", originName("adopted"), began("adopted"), waitsFor(&manage.Family{Origin: "adopted"}))
	}
}
