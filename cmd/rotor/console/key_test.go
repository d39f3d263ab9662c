package console

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// TestKeyOpensOneBrowser checks that the port, which other users of the machine reach, is open to
// the browser alone that came with the key first.
func TestKeyOpensOneBrowser(t *testing.T) {
	key := NewKey("4711")
	w := newWorld(t, func(c *Config) { c.Key = key })
	address := strings.TrimPrefix(key.Address(w.console.URL), w.console.URL)
	closed := func(when string, cookies ...*http.Cookie) {
		t.Helper()
		before := w.asked.String()
		for _, path := range append(pages("x"), "/?key=", "/?key="+strings.Repeat("A", 43), "/?key="+url.QueryEscape(key.cookie), "/console/explain"+address[1:]) {
			for _, form := range []url.Values{nil, {"pasted": {"x"}}} {
				r := w.request(http.MethodGet, path, nil)
				if form != nil {
					r = w.request(http.MethodPost, path, form)
				}
				for _, c := range cookies {
					r.AddCookie(c)
				}
				if got := w.send(r); got.status != http.StatusForbidden || !strings.Contains(got.body, "locked") || got.header.Get("Set-Cookie") != "" {
					t.Errorf("%s: %s is answered %d", when, path, got.status)
				}
			}
		}
		if w.asked.String() != before {
			t.Errorf("%s the service was asked", when)
		}
	}
	closed("at first")
	closed("with a wrong cookie", &http.Cookie{Name: "rotor-console-4711", Value: "wrong"}, &http.Cookie{Name: "rotor-console-4712", Value: key.cookie})
	if got := w.send(w.request(http.MethodHead, address, nil)); got.status != http.StatusForbidden {
		t.Errorf("a preview is answered %d, and may have used up the key", got.status)
	}

	if got := w.get("/favicon.ico"); got.status != http.StatusNoContent || got.body != "" {
		t.Errorf("the icon: %d", got.status) // an error would stand in the browser's console
	}

	// Of many that come at once, one is let in.
	var wait sync.WaitGroup
	opened := make(chan answered, 8)
	for range cap(opened) {
		wait.Go(func() {
			if got := w.get(address); got.status == http.StatusSeeOther {
				opened <- got
			}
		})
	}
	wait.Wait()
	if len(opened) != 1 {
		t.Fatalf("%d browsers were let in", len(opened))
	}
	got := <-opened
	if to := got.header.Get("Location"); to != "/" || strings.Contains(got.body, key.secret) {
		t.Errorf("it is sent to %s", to)
	}
	cookies, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil || !cookies.HttpOnly || cookies.SameSite != http.SameSiteStrictMode || cookies.Value == key.secret || len(cookies.Value) < 43 {
		t.Fatalf("the cookie is %v, %v", got.header["Set-Cookie"], err)
	}
	closed("afterwards")
	r := w.request(http.MethodGet, "/console/explain", nil)
	r.AddCookie(cookies)
	if got := w.send(r); got.status != http.StatusOK {
		t.Errorf("its own browser: %d", got.status)
	}
	r = w.request(http.MethodGet, address, nil) // it opens the address again
	r.AddCookie(cookies)
	if got := w.send(r); got.status != http.StatusSeeOther {
		t.Errorf("the address again: %d", got.status)
	}
}
