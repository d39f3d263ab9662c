//go:build examples

package examples

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// burst calls the app's API twenty times at once, and returns the statuses.
const burst = `Promise.all(Array.from({ length: 20 }, () => fetch("/api/orders", { headers: { "X-App": "1" } }).then((r) => r.status)))`

// TestBFF goes the whole circle with the server that keeps the tokens: through parallel requests of two tabs, a restart,
// requests of other sites, a thief, and a logout.
func TestBFF(t *testing.T) {
	t.Parallel()
	const client = "example-bff"
	folder := filepath.Join(t.TempDir(), "sessions")
	w := start(t, "bff", "SESSIONS="+folder)
	p := w.newTab()
	p.open()
	p.sees("Nobody is logged in.")
	p.logIn()
	p.sees("alice has 2 orders.")
	if p.address() != w.app+"/" {
		t.Errorf("the code stays in the address")
	}
	w.isAlive(client, 1)
	if f := w.family(client); f.LastIP != user || !strings.Contains(f.LastUserAgent, "Chrome") {
		t.Errorf("after the login the family was used from %s, by %s", f.LastIP, f.LastUserAgent)
	}

	// The browser has a session id, which no script can read.
	if kept := eval[string](p, hoard); strings.TrimSpace(strings.NewReplacer("{}", "", "[]", "").Replace(kept)) != "" {
		t.Errorf("the page keeps %s", kept)
	}
	if c := p.cookies()["__Host-session"]; c == nil || len(p.cookies()) != 1 || !c.HTTPOnly || !c.Secure || c.SameSite != "Strict" || c.Path != "/" {
		t.Errorf("the cookies are %+v", p.cookies())
	}

	// Forty requests of two tabs find the access token over. One of them refreshes.
	other := p.another()
	other.open()
	other.sees("alice has 2 orders.")
	w.later()
	p.expire()
	w.refreshOnce(func() { p.isAnswered(other, burst) })
	w.isAlive(client, 2)

	w.elsewhere(p)
	w.isAlive(client, 2)

	// A restart logs nobody out.
	w.stop()
	w.run()
	p.open()
	p.sees("alice has 2 orders.")

	// Somebody has copied the token from the server's disk, and refreshes. The server's own copy then comes back late, and
	// the event has the address of the user, not of the server.
	w.later()
	w.steal(client, stored(t, folder))
	w.later()
	p.expire()
	p.click("#orders")
	p.sees("Your session has ended.")
	w.isOver(client, "reuse_detected")
	w.seesReuse()
	if _, ok := p.cookies()["__Host-session"]; ok {
		t.Error("the cookie of a session that has ended is kept")
	}

	p.logIn()
	p.sees("alice has 2 orders.")
	p.click("#logout")
	p.sees("Logged out.")
	w.isOver(client, "revoked_by_client")
	if ip := w.family(client).LastIP; ip != user {
		t.Errorf("the family was last used from %s", ip)
	}
	if left, err := os.ReadDir(folder); len(p.cookies()) != 0 || len(left) != 0 || err != nil {
		t.Errorf("after the logout there are the cookies %v, and the folders %v, %v", p.cookies(), left, err)
	}

	// A service that cannot be reached ends no session.
	p.logIn()
	p.sees("alice has 2 orders.")
	w.down()
	p.expire()
	p.click("#orders")
	p.sees("This did not work; try again.")
	if p.cookies()["__Host-session"] == nil || stored(t, folder) == "" {
		t.Error("a failure has ended the session")
	}
}

// isAnswered evaluates an expression, whose value is a list of statuses, in two tabs at once. Each request must succeed.
func (p *tab) isAnswered(other *tab, expression string) {
	p.t.Helper()
	statuses := make(chan []int, 2)
	for _, tab := range []*tab{p, other} {
		go func() {
			list, err := chromedp.Run(tab.ctx, chromedp.Evaluate[[]int](expression, chromedp.EvalAwaitPromise))
			if err != nil {
				p.t.Error(err)
			}
			statuses <- list
		}()
	}
	for _, status := range append(<-statuses, <-statuses...) {
		if status != http.StatusOK {
			p.t.Errorf("a request is answered with %d", status)
		}
	}
}

// elsewhere sends what a page of another origin can send. It is of the same site, so that the browser has the cookie sent
// along, and only the app's own check is in the way.
func (w *world) elsewhere(p *tab) {
	w.t.Helper()
	page := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		_, _ = rw.Write([]byte("<title>elsewhere</title><form method=post action='" + w.app + "/logout'><button id=post>Free tea</button></form>"))
	}))
	defer page.Close()
	evil := p.another()
	evil.visit(page.URL)
	for _, attempt := range []struct{ init, want string }{
		{`{ credentials: "include" }`, "error"},
		{`{ credentials: "include", headers: { "X-App": "1" } }`, "error"},
		{`{ credentials: "include", method: "POST", mode: "no-cors" }`, "opaque"},
	} {
		for _, path := range []string{"/api/orders", "/logout"} {
			got := eval[string](evil, `fetch(`+quoted(w.app+path)+`, `+attempt.init+`).then((r) => r.type, () => "error")`)
			if got != attempt.want {
				w.t.Errorf("%s with %s is answered: %s", path, attempt.init, got)
			}
		}
	}
	evil.click("#post")
	evil.waits(`document.body.innerText.includes("This is for the pages of this app.")`)
	p.blank()
	p.click("#orders")
	p.sees("alice has 2 orders.")
}

// stored returns the refresh token that is in the only session of a folder.
func stored(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the sessions are %v, %v", files, err)
	}
	newest := slices.MaxFunc(files, func(a, b string) int {
		x, _ := strconv.Atoi(filepath.Base(a))
		y, _ := strconv.Atoi(filepath.Base(b))
		return x - y
	})
	text, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Token string `json:"refresh_token"`
	}
	if err := json.Unmarshal(text, &state); err != nil || !strings.HasPrefix(state.Token, "rotor_") {
		t.Fatalf("%s has no token: %v", newest, err)
	}
	return state.Token
}

// steal refreshes with a token that the app has, as a thief who has its secret, too.
func (w *world) steal(client, token string) {
	w.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.rotor+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, variable := range w.env {
		if secret, ok := strings.CutPrefix(variable, "CLIENT_SECRET="); ok {
			r.SetBasicAuth(client, secret)
		}
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		w.t.Fatalf("the thief is answered with %s", response.Status)
	}
}

// seesReuse checks that the event of the reuse names the browser, and the server as the one who said so.
func (w *world) seesReuse() {
	w.t.Helper()
	events := 0
	for e, err := range w.api.Events(w.t.Context(), manage.EventFilter{Type: "ferrt"}) {
		if err != nil {
			w.t.Fatal(err)
		}
		events++
		if e.UserID != "alice" || e.IP != user || e.ForwardedBy != "127.0.0.1" || !strings.Contains(e.UserAgent, "Chrome") {
			w.t.Errorf("the event is %+v", e)
		}
	}
	if events != 1 {
		w.t.Errorf("there are %d events of reuse", events)
	}
}
