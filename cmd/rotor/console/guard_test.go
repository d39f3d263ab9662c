package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// pages returns paths of every kind: pages, redirects, errors and assets.
func pages(family string) []string {
	return []string{
		"/", "/console", "/console/", "/console/explain", "/console/explain?family=" + family, "/console/explain?family=x",
		"/console/users", "/console/users?user_id=alice", "/console/clients", "/console/clients/app", "/console/clients/nobody",
		"/console/events", "/console/assets/console.css", "/console/assets/icon.svg", "/console/assets/nothing", "/console/nothing", "/nothing",
	}
}

// TestEveryAnswerIsSecured checks the headers of every answer, and that no page has a script or a
// style in it, which the policy would block.
func TestEveryAnswerIsSecured(t *testing.T) {
	w := newWorld(t)
	tokens := w.login(&manage.Login{UserID: "alice"})
	inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:|https?://[^1]`)
	for _, path := range pages(tokens.Family) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions} {
			got := w.send(w.request(method, path, nil))
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
				"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
			} {
				if got.header.Get(name) != want {
					t.Errorf("%s %s: %s is %q", method, path, name, got.header.Get(name))
				}
			}
			if found := inline.FindString(got.body); found != "" && strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
				t.Errorf("%s %s has %q", method, path, found)
			}
		}
	}
	// What the pages load may be kept by its version alone.
	href := regexp.MustCompile(`/console/assets/console\.css\?v=\w+`).FindString(w.get("/console/explain").body)
	if got := w.get(href); got.status != http.StatusOK || !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
		t.Errorf("%s: %d %v", href, got.status, got.header)
	}
}

// TestOtherPagesAreRefused checks that a page of another origin can neither read nor do anything,
// and that nothing is asked of the service for it.
func TestOtherPagesAreRefused(t *testing.T) {
	w := newWorld(t)
	tokens := w.login(&manage.Login{UserID: "alice"})
	before := w.asked.String()
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"},
		{"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "anything"},
		{"Origin", "https://evil.example"},
		{"Origin", "null"},
		{"Origin", "http://127.0.0.1:1"},
		{"Origin", strings.Replace(w.console.URL, "http:", "https:", 1)},
		{"Origin", w.console.URL + ".evil.example"},
		{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
	} {
		for _, path := range pages(tokens.Family) {
			for _, form := range []url.Values{nil, {"pasted": {tokens.RefreshToken}, "user_id": {"alice"}}} {
				method := http.MethodGet
				if form != nil {
					method = http.MethodPost
				}
				r := w.request(method, path, form)
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				if got := w.send(r); got.status != http.StatusForbidden {
					t.Errorf("%s %s with %v: %d", method, path, header, got.status)
				}
			}
		}
	}
	// To its browser a rebound name is of the same origin.
	for _, host := range []string{"evil.example", "127.0.0.1.evil.example:80", "localhost.", "192.168.1.1", "console.localhost"} {
		r := w.request(http.MethodPost, "/console/explain", url.Values{"pasted": {tokens.Family}})
		r.Host = host
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if got := w.send(r); got.status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", host, got.status)
		}
	}
	if asked := strings.TrimPrefix(w.asked.String(), before); asked != "" {
		t.Errorf("the service was asked:\n%s", asked)
	}
	r := w.request(http.MethodPost, "/console/explain", url.Values{"pasted": {tokens.Family}})
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", w.console.URL)
	if got := w.send(r); got.status != http.StatusOK {
		t.Errorf("its own page: %d", got.status)
	}
}

func TestOnlySmallFormsArePosted(t *testing.T) {
	w := newWorld(t)
	send := func(method, contentType, body string) answered {
		r, err := http.NewRequestWithContext(t.Context(), method, w.console.URL+"/console/explain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		return w.send(r)
	}
	const form = "application/x-www-form-urlencoded"
	for _, tt := range []struct {
		method, contentType, body string
		want                      int
	}{
		{"POST", "", "pasted=x", http.StatusUnsupportedMediaType},
		{"POST", "text/plain", "pasted=x", http.StatusUnsupportedMediaType},
		{"POST", "application/json", `{"pasted":"x"}`, http.StatusUnsupportedMediaType},
		{"POST", "multipart/form-data; boundary=x", "--x--", http.StatusUnsupportedMediaType},
		{"POST", form, "pasted=" + strings.Repeat("x", maxForm), http.StatusRequestEntityTooLarge},
		{"POST", form, "pasted=%zz", http.StatusRequestEntityTooLarge},
		{"POST", form, "pasted=", http.StatusBadRequest},
		{"POST", form, "", http.StatusBadRequest},
		{"POST", form + "; charset=UTF-8", "pasted=x", http.StatusOK},
		{"PUT", form, "pasted=x", http.StatusMethodNotAllowed},
		{"DELETE", "", "", http.StatusMethodNotAllowed},
		{"PATCH", form, "pasted=x", http.StatusMethodNotAllowed},
	} {
		before := w.asked.String()
		got := send(tt.method, tt.contentType, tt.body)
		if asked := w.asked.String() != before; asked != (tt.want == http.StatusOK) {
			t.Errorf("%s %q of %d bytes: the service was asked: %t", tt.method, tt.contentType, len(tt.body), asked)
		}
		if got.status != tt.want || !strings.Contains(got.body, "<h1>") {
			t.Errorf("%s %q of %d bytes: %d, want %d", tt.method, tt.contentType, len(tt.body), got.status, tt.want)
		}
	}
	if got := w.send(w.request(http.MethodDelete, "/console/explain", nil)); got.header.Get("Allow") == "" {
		t.Error("the answer does not say which methods are allowed")
	}
}
