package console

import (
	"net/http"
	"net/url"
	"regexp"
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
	query := strings.TrimPrefix(address, key.base+"/") // with the right key
	closed := func(when string, cookies ...*http.Cookie) {
		t.Helper()
		before := w.asked.String()
		paths := append(pages("x"), "/?key=", "/?key="+strings.Repeat("A", 43), "/?key="+url.QueryEscape(key.cookie), "/console/explain"+query)
		for _, path := range paths {
			paths = append(paths, key.base+path)
		}
		for _, path := range append(paths, "/"+query, key.base+"x/"+query, strings.ToUpper(key.base)+"/"+query, "/x"+key.base+"/"+query) {
			for _, form := range []url.Values{nil, {"pasted": {"x"}}} {
				r := w.request(http.MethodGet, path, nil)
				if form != nil {
					r = w.request(http.MethodPost, path, form)
				}
				for _, c := range cookies {
					r.AddCookie(c)
				}
				if got := w.send(r); got.status != http.StatusForbidden || !strings.Contains(got.body, "locked") || strings.Contains(got.body, key.base) || got.header.Get("Set-Cookie") != "" {
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
	if to := got.header.Get("Location"); to != key.base+"/" || strings.Contains(got.body, key.secret) {
		t.Errorf("it is sent to %s", to)
	}
	cookies, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if err != nil || !cookies.HttpOnly || cookies.SameSite != http.SameSiteStrictMode || cookies.Value == key.secret || len(cookies.Value) < 43 {
		t.Fatalf("the cookie is %v, %v", got.header["Set-Cookie"], err)
	}
	closed("afterwards")
	// The browser sends the cookie to no server that another user has on another port, as that one
	// does not know the path. A caller that learns the cookie needs the path as well.
	if cookies.Path != key.base || len(key.base) < 44 || strings.Contains(key.base, cookies.Value) {
		t.Errorf("the cookie is for %s", cookies.Path)
	}
	r := w.request(http.MethodGet, "/console/explain", nil)
	r.AddCookie(cookies)
	if got := w.send(r); got.status != http.StatusForbidden || strings.Contains(got.body, key.base) {
		t.Errorf("without the path the cookie is answered %d", got.status)
	}
	r = w.request(http.MethodGet, key.base+"/console/explain", nil)
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

// TestSecretPathIsToldToNobody checks that no answer to a request without the secret path names it,
// whatever is wrong with the request, and that the pages link to nothing outside of it.
func TestSecretPathIsToldToNobody(t *testing.T) {
	key := NewKey("4711")
	w := newWorld(t, func(c *Config) { c.Key = key })
	for _, path := range append(pages("x"), "/favicon.ico", "//", "/console/../console") {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions} {
			for _, wrong := range []func(*http.Request){
				func(*http.Request) {},
				func(r *http.Request) { r.Host = "evil.example" },
				func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
				func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
			} {
				r := w.request(method, path, nil)
				wrong(r)
				got := w.send(r)
				if strings.Contains(got.body, key.base[1:]) || strings.Contains(strings.Join(got.header.Values("Location"), " "), key.base[1:]) {
					t.Errorf("%s %s with %v names the path", method, path, r.Header)
				}
				if got.header.Get("Referrer-Policy") != "no-referrer" {
					t.Errorf("%s %s: the browser may tell other pages its address", method, path)
				}
			}
		}
	}
	opened := w.get(strings.TrimPrefix(key.Address(w.console.URL), w.console.URL))
	cookie, err := http.ParseSetCookie(opened.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	links := regexp.MustCompile(`(?:href|src|action)="([^"#][^"]*)"`)
	for _, path := range []string{"/console/explain", "/console/users?user_id=alice", "/console/clients", "/console/clients/app", "/console/clients/app/policy", "/console/events", "/console/nothing"} {
		r := w.request(http.MethodGet, key.base+path, nil)
		r.AddCookie(cookie)
		found := links.FindAllStringSubmatch(w.send(r).body, -1)
		for _, link := range found {
			if !strings.HasPrefix(link[1], key.base+"/") {
				t.Errorf("%s links to %s, to which the browser sends no cookie", path, link[1])
			}
		}
		if len(found) < 8 {
			t.Errorf("%s has %d links", path, len(found))
		}
	}
}
