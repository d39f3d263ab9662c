package local

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/problem"
)

// ownHost matches the Host headers that are allowed, except for the range of the port.
var ownHost = regexp.MustCompile(`(?i)^(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?$`)

// FuzzGuard checks that only requests to this machine's own names reach the API. What is not for web pages must not
// come from a page of another origin, and its body must be JSON. A refusal is a problem document. No token that was put
// into a path is logged.
func FuzzGuard(f *testing.F) {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch}
	type seed struct {
		method                                      uint8
		host, path, contentType, origin, site, body string
	}
	for _, s := range []seed{
		{0, "127.0.0.1:3000", "/v1/clients", "", "", "", ""},
		{3, "localhost", "/v1/families", "application/json", "", "", "{}"},
		{3, "LOCALHOST:1", "/v1/families", "application/json; charset=utf-8", "http://localhost:1", "same-origin", "{}"},
		{3, "[::1]:3000", "/local/clock", "application/json", "http://[::1]:3000", "", "{}"},
		{3, "[::1]:3000", "/local/clock", "application/json", "http://[::1]:3000/", "", "{}"},
		{4, "127.0.0.1", "/v1/clients/x", "text/plain", "", "none", "{}"},
		{5, "127.0.0.1", "/v1/clients/x", "", "null", "", ""},
		{3, "127.0.0.1", "/oauth/token", "application/x-www-form-urlencoded", "https://app.example", "cross-site", "a=b"},
		{3, "127.0.0.1", "/oauth", "", "https://app.example", "cross-site", ""},
		{3, "127.0.0.1", "/.well-known/../v1/clients", "application/json", "https://app.example", "", "{}"},
		{3, "127.0.0.1", "//oauth/token", "application/json", "", "same-site", "{}"},
		{0, "evil.example", "/oauth/token", "", "", "", ""},
		{0, "127.0.0.1:65536", "/", "", "", "", ""},
		{0, "127.0.0.1.evil.example", "/", "", "", "", ""},
		{0, "localhost:1:1", "/", "", "", "", ""},
		{0, "[::1", "/", "", "", "", ""},
		{0, "127.0.0.1:", "/", "", "", "", ""},
		{0, "", "/", "", "", "", ""},
		{0, "127.0.0.1", "/v1/clients/rotor_secret_0123456789/secrets", "", "", "", ""},
		{0, "localhost:3000", "/debug/pprof/profile", "", "", "cross-site", ""},
		{1, "localhost:3000", "/local/clock", "", "https://localhost:3000", "", ""},
		{3, "localhost", "/v1/x", "application/json", "http://localhost", "Same-Origin", ""},
	} {
		f.Add(s.method, s.host, s.path, s.contentType, s.origin, s.site, s.body)
	}
	var (
		log     bytes.Buffer
		reached bool
	)
	c := &config{addr: address{"127.0.0.1", "3000"}}
	guarded := logRequests(c, slog.New(slog.NewJSONHandler(&log, nil)), guard(c, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })))
	token := regexp.MustCompile(`rotor_[A-Za-z0-9_-]{8,}`)
	f.Fuzz(func(t *testing.T, method uint8, host, path, contentType, origin, site, body string) {
		r := httptest.NewRequest(methods[int(method)%len(methods)], "/", strings.NewReader(body))
		r.Host, r.URL = host, &url.URL{Path: path}
		for name, value := range map[string]string{"Content-Type": contentType, "Origin": origin, "Sec-Fetch-Site": site} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		reached = false
		log.Reset()
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		if leaked := token.FindString(log.String()); leaked != "" {
			t.Errorf("logged %s", leaked)
		}
		if !reached {
			var p problem.Document
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Detail == "" || w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("refused as %d %v %s", w.Code, w.Header(), w.Body)
			}
			return
		}
		if !ownHost.MatchString(host) {
			t.Errorf("the host %q is let in", host)
		}
		if strings.HasPrefix(path, "/oauth/") || strings.HasPrefix(path, "/.well-known/") || strings.HasPrefix(path, "/auth/v1/") || slices.Contains([]string{"/openapi.json", "/authorize", "/v2/logout"}, path) {
			return
		}
		foreign := site != "none" && site != "same-origin"
		if site == "" {
			from, err := url.Parse(origin)
			foreign = origin != "" && (err != nil || from.Host != host || from.Scheme != "http")
		}
		if foreign {
			t.Errorf("%s %s from %q (%q) to %q is let in", r.Method, path, origin, site, host)
		}
		if mediaType, _, _ := strings.Cut(contentType, ";"); (body != "" || contentType != "") && !strings.EqualFold(strings.TrimSpace(mediaType), "application/json") {
			t.Errorf("%s %s of type %q is let in", r.Method, path, contentType)
		}
	})
}
