//go:build examples

package examples

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"

	"github.com/rotor-auth/rotor/clients/manage"
)

// hoard collects all that a script of the page can read: what the browser keeps for it.
const hoard = `(async () => {
	const kept = [document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), JSON.stringify(await caches.keys())];
	for (const { name } of await indexedDB.databases()) {
		const db = await new Promise((resolve, reject) => Object.assign(indexedDB.open(name), { onsuccess: (e) => resolve(e.target.result), onerror: reject }));
		for (const table of db.objectStoreNames) {
			const all = db.transaction(table).objectStore(table).getAll();
			await new Promise((resolve, reject) => Object.assign(all, { onsuccess: resolve, onerror: reject }));
			kept.push(JSON.stringify(all.result));
		}
		db.close();
	}
	return kept.join("\n");
})()`

// TestSPA goes the whole circle with the page that has no server: through two tabs that refresh at once, an end
// that support makes, a stolen cookie, and a logout that both tabs see.
func TestSPA(t *testing.T) {
	t.Parallel()
	const client = "example-spa"
	w := start(t, "spa")
	p := w.newTab()
	p.open()
	p.sees("Nobody is logged in.")
	p.logIn()
	p.sees("Logged in.")
	if p.address() != w.app+"/" {
		t.Errorf("the code stays in the address")
	}
	p.click("#orders")
	p.sees("alice has 2 orders.")
	w.isAlive(client, 1)

	kept := eval[string](p, hoard)
	if secrets.MatchString(kept) || !strings.Contains(kept, "in-memory:") {
		t.Errorf("a script finds a token, or nothing is kept: %s", secrets.ReplaceAllString(kept, "[SECRET]"))
	}
	prefix := "__Host-Http-rotor." + client + "."
	sessions := 0
	for name, c := range p.cookies() {
		if strings.HasPrefix(name, prefix) {
			sessions++
			if !c.HTTPOnly || !c.Secure || c.SameSite != "Strict" || c.Path != "/" || strings.HasPrefix(c.Domain, ".") {
				t.Errorf("the cookie is %+v", c)
			}
		}
	}
	if sessions != 1 {
		t.Errorf("there are %d session cookies", sessions)
	}

	// Browsers may delete what scripts have stored. The cookie is left, and so is the session.
	read(p, command(storage.ClearDataForOrigin, storage.ClearDataForOriginParams{Origin: w.app, StorageTypes: "indexeddb"}))
	p.open()
	p.sees("Logged in.")
	before := w.family(client)

	// A second tab has the session too. Both refresh at the same moment, and the family rotates once.
	other := p.another()
	other.open()
	other.sees("Logged in.")
	w.later()
	// A tab waits 200 ms for the other one's token. On a slow machine it may refresh for itself: not each time, of three.
	for n := 1; ; n++ {
		p.expire()
		made, most := w.during(func() {
			at := time.Now().Add(time.Second)
			for _, tab := range []*tab{p, other} {
				tab.blank()
				tab.at(at, `document.querySelector("#orders").click()`)
			}
			p.sees("alice has 2 orders.")
			other.sees("alice has 2 orders.")
		})
		if made >= 1 && made <= most {
			break
		}
		if n == 3 {
			t.Fatalf("two tabs made %d refreshes, not 1 to %d, for the third time", made, most)
		}
	}
	w.isAlive(client, before.Counter+1)

	// A page that is loaded again has its session still.
	p.open()
	p.sees("Logged in.")
	p.click("#orders")
	p.sees("alice has 2 orders.")

	// The session ends elsewhere. The next refresh finds out, and both tabs ask for a login.
	for _, err := range w.api.RevokeFamilies(t.Context(), manage.Revocation{UserID: "alice", Cause: "password_changed"}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.expire()
	p.click("#orders")
	p.sees("Your session has ended.")
	other.sees("Your session has ended.")

	p.logIn()
	p.sees("Logged in.")
	other.sees("Logged in.")
	w.isAlive(client, 1)

	// Somebody has copied the cookie from the device, and refreshes with it. The page's next refresh comes later than the
	// interval: that ends the session, for both.
	w.later()
	for name, c := range p.cookies() {
		if strings.HasPrefix(name, prefix) {
			w.stealCookie(client, c)
		}
	}
	w.later()
	p.expire()
	p.click("#orders")
	p.sees("Your session has ended.")
	w.isOver(client, "reuse_detected")

	// The user logs in again, and out.
	p.logIn()
	p.sees("Logged in.")
	other.sees("Logged in.")
	w.isAlive(client, 1)
	p.click("#logout")
	p.sees("Logged out, also at the service.")
	other.sees("Logged out.")
	w.isOver(client, "revoked_by_client")
	for name := range p.cookies() {
		if strings.HasPrefix(name, prefix) {
			t.Errorf("after the logout there is the cookie %s", name)
		}
	}
}

// stealCookie refreshes with a cookie of a page as a thief's program does, which sends what the page would send.
func (w *world) stealCookie(client string, c *network.Cookie) {
	w.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}}
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.rotor+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Rotor-Transport", "cookie")
	r.Header.Set("Origin", w.app)
	r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	isNew := func(set *http.Cookie) bool { return set.Value != "" && set.Value != c.Value }
	if response.StatusCode != http.StatusOK || !slices.ContainsFunc(response.Cookies(), isNew) {
		w.t.Fatalf("the thief is answered with %s, and %d cookies", response.Status, len(response.Cookies()))
	}
}
