//go:build tabs

package tabs

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// gate counts what reaches the service, by method and status.
type gate struct {
	service http.Handler

	mu     sync.Mutex
	passed []string
}

// ServeHTTP implements [http.Handler].
func (g *gate) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	g.service.ServeHTTP(answer, r)
	g.mu.Lock()
	g.passed = append(g.passed, fmt.Sprintf("%s %d", r.Method, answer.Code))
	g.mu.Unlock()
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	_, _ = rw.Write(answer.Body.Bytes())
}

// take returns what has passed since the last time.
func (g *gate) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	passed := g.passed
	g.passed = nil
	return passed
}

// writes returns the operations among these that write.
func writes(operations []string) []string {
	return slices.DeleteFunc(operations, func(o string) bool { return o == "GetItem" || o == "Query" || o == "BatchGetItem" })
}

// victim has a user's session in a tab, and a page in which an attacker's scripts run.
type victim struct {
	*world
	gate    *gate
	profile *profile
	tab     *tab
	login   code
	sid     string
	before  map[string]string // the session's cookie
}

func newVictim(t *testing.T, sameSite string) *victim {
	t.Helper()
	w := newWorld(t)
	w.register("spa", func(s *manage.Settings) { s.CookieSameSite = sameSite })
	d := newDoor(w.service)
	v := &victim{world: w, gate: &gate{service: d}}
	w.door = v.gate
	w.handle("GET", "/api", d.serveAPI)
	v.profile = newProfile(t)
	v.tab = v.profile.newTab()
	v.tab.visit(w.query("/pages/tab.html", "client", "spa", "transport", "cookie", "tab", "victim"))
	v.login = w.code("spa", "alice")
	eval[any](v.tab, call("session.login", v.login))
	v.tab.uses("alice")
	v.before = v.profile.sessions()
	if len(v.before) != 1 {
		t.Fatalf("the profile has %d cookies", len(v.before))
	}
	for session := range v.before {
		v.sid = strings.TrimPrefix(session, "spa.")
	}
	for _, host := range []string{foreignHost, siblingHost, appHost} {
		w.page(host, "/attack", `<!doctype html><body><script src="`+w.url(appHost)+`/pages/attack.js"></script>`)
	}
	return v
}

// unharmed checks that an attack was refused: no request was granted, nothing was written, and the session's cookie is as
// it was. It returns what has reached the service.
func (v *victim) unharmed(attack string) []string {
	v.t.Helper()
	passed := v.gate.take()
	if i := slices.IndexFunc(passed, func(p string) bool { return strings.HasPrefix(p, "POST 2") }); i >= 0 {
		v.t.Errorf("%s: it was granted: %q", attack, passed)
	}
	if done := writes(v.store.Counted()); len(done) != 0 {
		v.t.Errorf("%s: it wrote %q", attack, done)
	}
	if after := v.profile.sessions(); !maps.Equal(after, v.before) {
		v.t.Errorf("%s: the session's cookie has changed, and there are %d", attack, len(after))
	}
	return passed
}

// lives checks that the session goes on.
func (v *victim) lives() {
	v.t.Helper()
	v.tab.uses("alice") // it may have a token that another tab has got meanwhile
	v.later()
	v.tab.expire()
	v.tab.uses("alice")
	v.alive(v.login.family)
	after := v.profile.sessions()
	if len(after) != 1 || after["spa."+v.sid] == "" || maps.Equal(after, v.before) {
		v.t.Errorf("after a refresh the profile has %d cookies", len(after))
	}
	v.before = after
	v.gate.take()
	v.store.Counted()
}

// TestForgery checks that no page of another origin can refresh or end the session, or log the user in as somebody else,
// by any request that a page can send. Such a request writes nothing.
func TestForgery(t *testing.T) {
	for _, sameSite := range []string{"strict", "lax"} {
		t.Run(sameSite, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, sameSite)
			stranger := v.code("spa", "mallory")
			targets := []struct {
				name, path string
				members    map[string]string
			}{
				{"a refresh", "/oauth/token", map[string]string{"grant_type": "refresh_token", "client_id": "spa", "sid": v.sid}},
				{"a logout", "/oauth/revoke", map[string]string{"client_id": "spa", "sid": v.sid}},
				{"a login", "/oauth/token", map[string]string{"grant_type": "authorization_code", "client_id": "spa", "code": stranger.Code, "code_verifier": stranger.Verifier}},
			}
			v.gate.take()
			v.store.Counted()
			b := v.profile.newTab()
			reached, refused := 0, 0
			for _, host := range []string{foreignHost, siblingHost} {
				b.visit(v.url(host) + "/attack")
				for _, target := range targets {
					address := v.url(authHost) + target.path
					for _, attack := range eval[[]string](b, "Object.keys(attacks)") {
						name := fmt.Sprintf("%s by %s from %s", target.name, attack, host)
						read := eval[string](b, call("attacks["+quoted(attack)+"]", address, target.members))
						if strings.Contains(read, "access_token") || strings.HasPrefix(read, "200") {
							t.Errorf("%s: the page reads an answer", name)
						}
						if attack == "a beacon" { // which nothing else tells the end of
							v.reached(t)
						}
						passed := v.unharmed(name)
						reached += len(passed)
						for _, p := range passed {
							if strings.HasPrefix(p, "POST 4") {
								refused++
							}
						}
						if len(passed) == 0 {
							t.Errorf("%s: no request reached the service", name)
						}
					}
					for _, enctype := range []string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"} {
						b.leave(call("leave", address, target.members, enctype))
						if passed := v.unharmed(target.name + " by a form of " + enctype + " that leaves " + host); len(passed) == 0 {
							t.Error("no request reached the service")
						}
						b.visit(v.url(host) + "/attack")
					}
				}
			}
			// A form in the app's own page has no header of the transport.
			b.visit(v.url(appHost) + "/attack")
			for _, target := range targets {
				eval[string](b, call("attacks['a form']", v.url(authHost)+target.path, target.members))
				if passed := v.unharmed(target.name + " by a form of the app"); !slices.ContainsFunc(passed, func(p string) bool { return p == "POST 400" }) {
					t.Errorf("a form of the app: %q", passed)
				}
			}
			t.Logf("%d requests reached the service, of which %d were posted and refused", reached, refused)
			// The code is not even spent.
			if f, err := v.api.Family(t.Context(), stranger.family); err != nil || f.Counter != 0 {
				t.Errorf("the attacker's code has begun a session: %+v, %v", f, err)
			}
			v.lives()
		})
	}
}

// reached waits until a request has reached the service.
func (v *victim) reached(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); wait(t.Context(), 5*time.Millisecond) {
		v.gate.mu.Lock()
		n := len(v.gate.passed)
		v.gate.mu.Unlock()
		if n > 0 {
			return
		}
	}
	t.Error("no request reached the service")
}

// leave evaluates what leads to another page, and waits for that.
func (b *tab) leave(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Evaluate[chromedp.Void]("void "+expression)); err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
}

// TestForeignAnswer checks that an address with the answer to somebody else's login logs nobody in.
func TestForeignAnswer(t *testing.T) {
	t.Parallel()
	v := newVictim(t, "strict")
	stranger := v.code("spa", "mallory")
	v.gate.take()
	v.store.Counted()
	b := v.profile.newTab()
	b.visit(v.query("/pages/tab.html", "client", "spa", "transport", "cookie", "tab", "2", "code", stranger.Code, "state", "of-mallory", "iss", v.url(authHost)))
	if eval[bool](b, "session.handleRedirect()") {
		t.Error("the page took the answer")
	}
	if passed := v.unharmed("an answer"); len(passed) != 0 {
		t.Errorf("the page sent %q", passed)
	}
	b.uses("alice")
	v.lives()
}

// TestTossedCookie checks that no sibling host can set a cookie that the service takes for a session's: Chromium refuses
// those with the prefix, and the service knows no other.
func TestTossedCookie(t *testing.T) {
	t.Parallel()
	v := newVictim(t, "strict")
	// The attacker has a session of the same client.
	own := newProfile(t)
	theirs := own.newTab()
	theirs.visit(v.query("/pages/tab.html", "client", "spa", "transport", "cookie", "tab", "stranger"))
	eval[any](theirs, call("session.login", v.code("spa", "mallory")))
	var stranger, token string
	for session, value := range own.sessions() {
		stranger, token = session, strings.Fields(value)[0]
	}
	if token == "" {
		t.Fatal("the attacker has no session")
	}
	v.page(siblingHost, "/toss", "<!doctype html>")
	b := v.profile.newTab()
	kept := 0
	for _, session := range []string{"spa." + v.sid, "spa." + v.sid + ".2", stranger} {
		name := "__Host-Http-rotor." + session
		for _, cookie := range []string{
			name + "=" + token + "; Path=/; Secure",
			name + "=" + token + "; Domain=example.test; Path=/; Secure",
			name + "=" + token + "; Domain=example.test; Path=/oauth/token; Secure",
			strings.ToLower(name) + "=" + token + "; Domain=example.test; Path=/; Secure",
			"=" + name + "=" + token + "; Domain=example.test; Path=/; Secure",
			"\u2000" + name + "=" + token + "; Domain=example.test; Path=/; Secure",
			"\u00a0" + name + "=" + token + "; Domain=example.test; Path=/; Secure",
			"$Version=1,\"" + name + "=" + token + "\"; Domain=example.test; Path=/; Secure",
			"__Http-rotor." + session + "=" + token + "; Domain=example.test; Path=/; Secure",
			"__Secure-rotor." + session + "=" + token + "; Domain=example.test; Path=/; Secure",
			"Http-rotor." + session + "=" + token + "; Domain=example.test; Path=/; Secure",
			"rotor." + session + "=" + token + "; Domain=example.test; Path=/; Secure",
		} {
			// By a script, and by an answer.
			b.visit(v.url(siblingHost) + "/toss")
			eval[any](b, "void (document.cookie = "+quoted(cookie)+")")
			v.tossed(b, cookie)
			v.tossed(b, cookie+"; HttpOnly")
		}
	}
	for _, cookie := range v.profile.cookies() {
		if cookie.Domain == ".example.test" {
			kept++
			t.Logf("Chromium sends the service a cookie of the sibling: %q", cookie.Name)
			if strings.HasPrefix(strings.ToLower(cookie.Name), "__host-") {
				t.Errorf("Chromium kept the cookie %s of %s", cookie.Name, cookie.Domain)
			}
		}
	}
	if kept == 0 {
		t.Error("Chromium kept no cookie of the sibling, not even those that it may set")
	}
	if after := v.profile.sessions(); !maps.Equal(after, v.before) {
		t.Errorf("the service's cookies have changed: there are %d", len(after))
	}
	// The page stays who it is, also if it does not say which session it is about.
	v.later()
	v.tab.expire()
	v.tab.uses("alice")
	answer := eval[string](v.tab, `fetch(`+quoted(v.url(authHost)+"/oauth/token")+`, { method: 'POST', credentials: 'include', headers: { 'Rotor-Transport': 'cookie' },
		body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'spa' }) }).then((r) => r.json()).then((j) => j.access_token ?? JSON.stringify(j))`)
	if got := subject(answer); got != "alice" {
		t.Errorf("a refresh without a sid is one of %q", got)
	}
	v.alive(v.login.family)
}

// tossed lets an answer of the sibling set a cookie.
func (v *victim) tossed(b *tab, cookie string) {
	v.t.Helper()
	v.mu.Lock()
	v.toss = cookie
	v.mu.Unlock()
	b.visit(v.url(siblingHost) + "/tossed")
}

// TestTwoSites checks that a page of another site gets no cookie, although its origin is configured: Chromium neither keeps nor
// sends a cookie of that SameSite there.
func TestTwoSites(t *testing.T) {
	t.Parallel()
	for _, sameSite := range []string{"strict", "lax"} {
		w := newWorld(t, foreignHost)
		w.register("spa", func(s *manage.Settings) { s.CookieSameSite = sameSite })
		d := newDoor(w.service)
		w.door = d
		w.page(foreignHost, "/page", "<!doctype html>")
		p := newProfile(t)
		b := p.newTab()
		b.visit(w.url(foreignHost) + "/page")
		login := w.code("spa", "alice")
		ask := func(members map[string]string) string {
			return eval[string](b, call(`((address, members) => fetch(address, { method: 'POST', credentials: 'include', headers: { 'Rotor-Transport': 'cookie' },
				body: new URLSearchParams(members) }).then((r) => r.json()).then((j) => j.sid ?? j.error))`, w.url(authHost)+"/oauth/token", members))
		}
		sid := ask(map[string]string{"grant_type": "authorization_code", "client_id": "spa", "code": login.Code, "code_verifier": login.Verifier})
		if len(d.all()) != 1 || len(d.all()[0].cookies) != 1 || len(p.cookies()) != 0 {
			t.Errorf("%s: the login got %q, and the profile has %d cookies", sameSite, sid, len(p.cookies()))
		}
		if got := ask(map[string]string{"grant_type": "refresh_token", "client_id": "spa", "sid": sid}); got != "invalid_grant" {
			t.Errorf("%s: the refresh got %q", sameSite, got)
		}
		w.alive(login.family)
	}
}
