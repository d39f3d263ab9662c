//go:build examples

package examples

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestNext goes the whole circle with the Next.js app: pages, route handlers and server actions, of which several
// find the access token over at once, prefetches, a thief, and a logout.
func TestNext(t *testing.T) {
	t.Parallel()
	const client = "example-next"
	folder := filepath.Join(t.TempDir(), "sessions")
	w := start(t, "next", "SESSIONS="+folder, "PROXIES=1")
	p := w.newTab()
	p.open()
	p.sees("Nobody is logged in.")
	if text := eval[string](p, `fetch("/", { headers: { "x-access-token": "made up" } }).then((r) => r.text())`); !strings.Contains(text, "Nobody is logged in.") {
		t.Error("the page takes a token from the browser")
	}
	p.logIn()
	p.sees("alice has 2 orders.")
	if p.address() != w.app+"/" {
		t.Errorf("the code stays in the address")
	}
	w.isAlive(client, 1)
	if f := w.family(client); f.LastIP != user || !strings.Contains(f.LastUserAgent, "Chrome") {
		t.Errorf("after the login the family was used from %s, by %s", f.LastIP, f.LastUserAgent)
	}
	if text := eval[string](p, `document.documentElement.outerHTML`); secrets.MatchString(text) {
		t.Error("the page has a token")
	}
	if c := p.cookies()["__Host-session"]; c == nil || len(p.cookies()) != 1 || !c.HTTPOnly || !c.Secure || c.SameSite != "Lax" || c.Path != "/" {
		t.Errorf("the cookies are %+v", p.cookies())
	}

	// Prefetches of all kinds refresh nothing, though the access token is over.
	w.later()
	p.expire()
	before := w.refreshes()
	for _, headers := range []string{`{"RSC": "1", "Next-Router-Prefetch": "1"}`, `{"RSC": "1", "Next-Router-Prefetch": "1", "Next-Router-Segment-Prefetch": "/_tree"}`} {
		if status := eval[int](p, `fetch("/about", { headers: `+headers+` }).then((r) => r.text().then(() => r.status))`); status != http.StatusOK {
			t.Errorf("a prefetch is answered with %d", status)
		}
	}
	if n := w.refreshes() - before; n != 0 {
		t.Errorf("prefetches made %d refreshes", n)
	}

	// Pages and data of two tabs are asked for at once. The proxy and the route handler are bundled apart, and
	// refresh once together.
	other := p.another()
	other.visit(w.app + "/favicon.ico") // of the app's origin, with no request that refreshes
	w.refreshOnce(func() { p.isAnswered(other, pagesAndData) })
	w.isAlive(client, 2)

	// A link is followed without loading the page anew, and a script asks for data.
	p.click("#about")
	p.sees("You are logged in.")
	p.click("#home")
	p.sees("alice has 2 orders.")
	p.click("#orders")
	p.waits(`document.querySelector("#loaded")?.innerText.includes("alice has 2 orders.")`)

	// A restart logs nobody out.
	w.stop()
	w.run()
	p.open()
	p.sees("alice has 2 orders.")

	// Somebody has copied the token from the server's disk. The next page that is asked for finds out.
	w.later()
	w.steal(client, stored(t, folder))
	w.later()
	p.expire()
	p.open()
	p.sees("Your session has ended.")
	if p.address() != w.app+"/?ended=1" {
		t.Errorf("the browser is sent to %s", p.address())
	}
	w.isOver(client, "reuse_detected")
	w.seesReuse()
	if len(p.cookies()) != 0 {
		t.Errorf("the cookies of a session that has ended are kept: %v", p.cookies())
	}

	p.logIn()
	p.sees("alice has 2 orders.")
	p.click("#logout")
	p.sees("Nobody is logged in.")
	w.isOver(client, "revoked_by_client")
	if len(p.cookies()) != 0 {
		t.Errorf("after the logout there are the cookies %v", p.cookies())
	}
}

// pagesAndData asks for pages and for data twenty times at once, and returns the statuses.
const pagesAndData = `Promise.all(Array.from({ length: 20 }, (_, i) => fetch(["/", "/api/orders", "/about"][i % 3]).then((r) => r.status)))`
