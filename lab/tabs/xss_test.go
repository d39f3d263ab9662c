//go:build tabs

package tabs

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// hostile registers the client "spa" with a transport, and opens a page of it in which somebody else's script runs first. The
// session is bound to a key if the address of the page has the parameter dpop.
func hostile(t *testing.T, transport string, more ...string) (*world, *door, *profile, *tab, code) {
	t.Helper()
	w := newWorld(t)
	w.register("spa", func(s *manage.Settings) {
		if transport == "token" {
			s.Transport = ""
		}
		if len(more) > 0 {
			s.Policy["dpop"] = "required"
		}
	})
	d := newDoor(w.service)
	w.door = d
	w.handle("GET", "/api", d.serveAPI)
	html, err := os.ReadFile("pages/tab.html")
	if err != nil {
		t.Fatal(err)
	}
	w.page(appHost, "/hostile", `<!doctype html><script src="/pages/hostile.js"></script>`+string(html))
	p := newProfile(t)
	b := p.newTab()
	b.visit(w.query("/hostile", append(more, "client", "spa", "transport", transport, "tab", "1")...))
	login := w.code("spa", "alice")
	eval[any](b, call("session.login", login))
	return w, d, p, b, login
}

// uses calls the API, and checks which user the access token is of.
func (b *tab) uses(user string) {
	b.t.Helper()
	if got := eval[string](b, "use()"); got != user {
		b.t.Fatalf("the API was called by %q, not by %s: %s", got, user, eval[string](b, "JSON.stringify(errors)"))
	}
}

// expire waits until the access token has run out that was used last.
func (b *tab) expire() {
	b.t.Helper()
	eval[any](b, "(async () => { while (Date.now() < ends) await new Promise((f) => setTimeout(f, 20)) })()")
}

// TestXSS checks that a script of somebody else in the page finds no refresh token, wherever it looks. It finds the
// one that the transport token keeps.
func TestXSS(t *testing.T) {
	for _, transport := range []string{"cookie", "token"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w, d, p, b, login := hostile(t, transport)
			b.uses("alice")
			w.later()
			b.expire()
			b.uses("alice") // after a refresh
			w.store.Break(func(int, string) storeFault { return failed })
			b.expire()
			eval[any](b, "void (late = use())")
			d.until(t, func(p reply) bool { return p.status == http.StatusServiceUnavailable })
			w.store.Break(nil)
			if got := eval[string](b, "late"); got != "alice" {
				t.Fatalf("after the outage: %s", got)
			}
			if _, err := w.api.RevokeFamily(t.Context(), login.family); err != nil {
				t.Fatal(err)
			}
			held := p.sessions()
			if (transport == "cookie") != (len(held) == 1) {
				t.Fatalf("the profile has %d cookies", len(held))
			}
			if name, value, _ := strings.Cut(eval[string](b, "document.cookie = 'mine=1; Secure'; document.cookie"), "="); name != "mine" || value != "1" {
				t.Errorf("the script cannot even read its own cookie: %s=%s", name, value)
			}
			found, err := ask[[][2]string](b, "search()")
			if err != nil {
				t.Fatalf("%v at %s", err, eval[string](b, "place"))
			}
			b.expire()
			if got := eval[string](b, "use()"); got != "LoginRequiredError" {
				t.Fatalf("after a revocation: %s", got)
			}
			found = append(found, eval[[][2]string](b, "search()")...)
			places, access := map[string]int{}, 0
			for _, f := range found {
				// The code that the page has got from the login is of the same form, and spent.
				if secrets.MatchString(strings.ReplaceAll(f[1], login.Code, "")) {
					places[f[0]]++
				}
				if strings.Contains(f[1], "eyJ") {
					access++
				}
			}
			t.Logf("%d texts, of which %d have an access token; a refresh token is in %v", len(found), access, places)
			if access == 0 {
				t.Error("the script found no access token, so that it cannot have looked well")
			}
			switch transport {
			case "cookie":
				if len(places) != 0 {
					t.Errorf("the script found a refresh token in %v", places)
				}
			default: // as is known of that transport
				if places["an answer"] == 0 || places["IndexedDB"] == 0 || places["a request"] == 0 {
					t.Errorf("the script looks badly: it found the refresh token in %v alone", places)
				}
			}
			if len(p.sessions()) != 0 {
				t.Error("the refused cookie is still there")
			}
		})
	}
}

// TestScriptSetsNoCookie checks that Chromium lets no script set a session's cookie, neither in the app nor, if there
// should be one, in a page of the service.
func TestScriptSetsNoCookie(t *testing.T) {
	t.Parallel()
	w, _, p, b, _ := hostile(t, "cookie")
	before := p.sessions()
	if len(before) != 1 {
		t.Fatalf("the profile has %d cookies", len(before))
	}
	names := []string{"__Host-Http-rotor.spa.01ARZ3NDEKTSV4RRFFQ69G5FAV"}
	for session := range before {
		names = append(names, "__Host-Http-rotor."+session, "__Host-Http-rotor."+session+".2")
	}
	w.page(appHost, "/empty", "<!doctype html>")
	for _, host := range []string{appHost, authHost} {
		b.visit(w.url(host) + map[string]string{appHost: "/empty", authHost: "/.well-known/jwks.json"}[host])
		for _, name := range names {
			for _, attributes := range []string{"; Path=/; Secure", "; Path=/; Secure; SameSite=Strict", "; Path=/; Secure; HttpOnly", "; Path=/; Secure; Max-Age=0", "; Secure; Domain=example.test"} {
				eval[any](b, "void (document.cookie = "+quoted(name+"=stolen"+attributes)+")")
			}
			if got := eval[string](b, "cookieStore.set({ name: "+quoted(name)+", value: 'stolen', path: '/' }).then(() => 'set', (error) => error.name)"); got != "TypeError" {
				t.Errorf("cookieStore.set on %s: %s", host, got)
			}
			_ = eval[string](b, "cookieStore.delete("+quoted(name)+").then(() => 'deleted', (error) => error.name)")
		}
		// Chromium sets what it may set.
		if got := eval[string](b, "document.cookie = '__Host-mine=1; Path=/; Secure'; document.cookie"); !strings.Contains(got, "__Host-mine=1") {
			t.Errorf("a cookie of its own on %s: %q", host, got)
		}
		after := p.sessions()
		for session, value := range before {
			if after[session] != value || len(after) != 1 {
				t.Errorf("a script on %s has changed the sessions' cookies: there are %d", host, len(after))
			}
		}
	}
}
