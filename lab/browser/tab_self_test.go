//go:build browser

package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestFaultsAreSeen checks that a tab notices each thing that no page may do.
func TestFaultsAreSeen(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, csp, body, want string }{
		{"a good page", "default-src 'self'", `<p>good</p>`, ""},
		{"an error", "", `<script>console.error("broken")</script>`, `console: `},
		{"an exception", "", `<script>nothing.at.all</script>`, "exception: "},
		{"a late exception", "", `<script>Promise.reject(new Error("late"))</script>`, "exception: "},
		{"a picture from elsewhere", "", `<img src="http://elsewhere.example/a.png" alt="">`, "request: it leaves loopback"},
		{"a script inline", "script-src 'self'", `<script>1</script>`, "CSP: script-src"},
		{"a style inline", "style-src 'self'", `<p style="color:red">red</p>`, "CSP: style-src"},
		{"a picture that is missing", "", `<img src="/missing.png" alt="">`, "console: network: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newTab(t, serve(t, test.csp, test.body))
			p.open("/")
			problems := p.take()
			found := strings.Join(problems, "\n")
			if test.want == "" && len(problems) > 0 || !strings.Contains(found, test.want) {
				t.Errorf("want %q, got:\n%s", test.want, found)
			}
		})
	}
}

// TestBarriersAreSeen checks that axe-core runs, also where scripts are forbidden.
func TestBarriersAreSeen(t *testing.T) {
	t.Parallel()
	p := newTab(t, serve(t, "default-src 'none'", `<main><h1>A page</h1><img src="data:,"><p><font color="#777">pale</font></main>`))
	p.open("/")
	var ids []string
	for _, b := range p.barriers() {
		ids = append(ids, b.ID)
	}
	if found := strings.Join(ids, " "); !strings.Contains(found, "image-alt") || !strings.Contains(found, "color-contrast") {
		t.Errorf("axe-core finds %q", found)
	}
	p.take()
}

// serve serves a page, and returns its address. Other paths are missing.
func serve(t *testing.T, csp, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" && r.URL.Path != "/favicon.ico" {
			http.NotFound(w, r)
			return
		}
		if csp != "" {
			w.Header().Set("Content-Security-Policy", csp)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>A page</title>%s`, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}
