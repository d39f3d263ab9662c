package console

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// verifier is the code verifier of every code here.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// code starts a family of alice in app, whose tokens are fetched with the code.
func (w *world) code(device string) *manage.Code {
	w.tb.Helper()
	sum := sha256.Sum256([]byte(verifier))
	code, err := w.api.StartWithCode(w.tb.Context(), &manage.Login{UserID: "alice", ClientID: "app", Device: device},
		manage.CodeRequest{Challenge: base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		w.tb.Fatal(err)
	}
	return code
}

// exchange presents a code, which must be answered with this status.
func (w *world) exchange(code string, want int) {
	w.tb.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"app"}, "code": {code}, "code_verifier": {verifier}}
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rw := httptest.NewRecorder()
	if w.service.ServeHTTP(rw, r); rw.Code != want {
		w.tb.Fatalf("the code is answered %d: %s", rw.Code, rw.Body)
	}
}

// lacks fails if the page has one of the texts.
func (a answered) lacks(tb testing.TB, texts ...string) {
	tb.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			tb.Errorf("the page has %q:\n%s", text, a.body)
		}
	}
}

// TestExplainCode explains a code from its issue to the end of its family by a second exchange.
func TestExplainCode(t *testing.T) {
	w := newWorld(t)
	code := w.code("Pixel 9")
	got := w.explain(code.Code)
	got.wants(t, "This authorization code", `class="verdict valid"`, `<span class="status pending">pending</span>`, "<dd>an authorization code</dd>",
		"none: its code was not exchanged", "the code: you asked about it", `class="token code asked"`, "the authorization code</li>", "The login: the family begins with an authorization code, its number 0.")
	got.lacks(t, "Absolute end", "Last used", code.Code, "there may have been other uses")
	w.explain(code.Family).wants(t, "This family id", `class="verdict valid"`, `class="token code"`, ">login: a code<")

	w.clock.Advance(5 * time.Second)
	w.exchange(code.Code, http.StatusOK)
	got = w.explain(code.Code)
	got.wants(t, "This authorization code", `class="verdict dead"`, "code_used", "A code works once", "The authorization code was exchanged for token 1.",
		`class="token code asked"`, "<title>Token 1</title>", "there may have been other uses", `<span class="status active">active</span>`, "<dd>an authorization code</dd>", "Absolute end")
	got.lacks(t, `class="band"`, "none: its code")

	w.clock.Advance(2 * time.Minute)
	w.exchange(code.Code, http.StatusBadRequest)
	got = w.explain(code.Code)
	got.wants(t, `class="verdict dead"`, "reuse_detected", "its authorization code was presented again", "revoked: the code came back",
		"The authorization code was presented again after its exchange. The family was revoked, with its newest token 1.")
	w.get("/console/events?type=ferrt").wants(t, "<strong>reuse of an authorization code</strong>", "An authorization code was presented again 2 min after its exchange; the newest token was 1.", code.Family)

	// A direct login is as it was, and has nothing of a code.
	got = w.explain(w.login(&manage.Login{UserID: "bob"}).RefreshToken)
	got.wants(t, "This refresh token", "The login: the family begins with token 1.")
	got.lacks(t, "login: a code", "token code", "Began with", "the authorization code")
}

// TestReuseOfCodesIsInNoHistogram checks that a code that came again does not count among the tokens that
// a longer interval would have kept.
func TestReuseOfCodesIsInNoHistogram(t *testing.T) {
	w := newWorld(t)
	code := w.code("")
	w.exchange(code.Code, http.StatusOK)
	w.clock.Advance(75 * time.Second)
	w.exchange(code.Code, http.StatusBadRequest)
	got := w.get("/console/clients/app")
	got.wants(t, "No superseded token of this client came back outside the interval")
	w.explain(code.Code).lacks(t, "would have kept")
}

// TestExpiredCode explains a code that nobody exchanged, and how it is listed.
func TestExpiredCode(t *testing.T) {
	w := newWorld(t)
	code := w.code("Pixel 9")
	w.clock.Advance(time.Hour)
	w.explain(code.Code).wants(t, "This authorization code", "code_expired", "so the family never began", "its code was not exchanged in time",
		"The family ended: its code was not exchanged in time.", `<span class="status expired">expired</span>`)
	got := w.get("/console/users?user_id=alice")
	got.wants(t, `<span class="status expired">expired</span> <span class="quiet">code expired</span>`)
	got.lacks(t, "/console/users/end")

	for _, err := range w.api.EraseUser(t.Context(), manage.Erasure{UserID: "alice"}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.explain(code.Code).wants(t, "This authorization code", "purged", "its record is gone")
}

// TestSignOutWhilePending ends a session whose code waits, and its code does not work afterwards.
func TestSignOutWhilePending(t *testing.T) {
	w := newWorld(t)
	code := w.code("Pixel 9")
	got := w.get("/console/users?user_id=alice")
	end := "/console/users/end?user_id=alice&amp;family=" + code.Family
	got.wants(t, `<span class="status pending">pending</span> <span class="quiet">its code was not exchanged yet</span>`, end, "Sign out everywhere …")
	got.lacks(t, "End all others")
	w.get("/console/users/end?user_id=alice").wants(t, `<strong class="count">1</strong>`)
	end = strings.ReplaceAll(end, "&amp;", "&")
	page := w.get(end)
	page.wants(t, "Its authorization code was not exchanged yet, and will not work any more.", "End it")
	page.lacks(t, "Access tokens that were issued", "Last use")
	w.led(w.post(end, url.Values{})).wants(t, "One session was ended.", `<span class="status revoked">revoked</span>`)
	w.exchange(code.Code, http.StatusBadRequest)
}

// TestRedirectURIs checks that a client's page has them as they are registered, and that a change of the
// policy keeps them.
func TestRedirectURIs(t *testing.T) {
	w := newWorld(t)
	w.get("/console/clients/app").lacks(t, "Redirect URIs")
	w.register("web", &manage.Settings{
		Type: "public", RedirectURIs: []string{"https://app.example.com/a,b?x=1&y=2", "http://127.0.0.1/callback"},
		PostLogoutRedirectURIs: []string{"https://app.example.com/bye"},
	})
	listed := []string{
		"<dt>Redirect URIs</dt>", "<li><code>https://app.example.com/a,b?x=1&amp;y=2</code></li><li><code>http://127.0.0.1/callback</code></li>",
		"<dt>Redirect URIs after a logout</dt>", "<li><code>https://app.example.com/bye</code></li>",
	}
	w.get("/console/clients/web").wants(t, listed...)
	action, form := w.get("/console/clients/web/policy").form(t)
	form.Set("reuse_interval", "90")
	w.led(w.post(action, form)).wants(t, append(listed, "1 min 30 s")...)
}
