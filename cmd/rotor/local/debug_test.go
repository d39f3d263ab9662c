package local

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// text returns the body of a response that is not JSON, decompressed if necessary, as for go tool pprof.
func (p *program) text(path string, status int) string {
	p.tb.Helper()
	answer, err := p.client.Do(p.request(http.MethodGet, path, ""))
	if err != nil {
		p.tb.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.tb.Fatal(err)
	}
	if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
		compressed, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			p.tb.Fatal(err)
		}
		if body, err = io.ReadAll(compressed); err != nil {
			p.tb.Fatal(err)
		}
	}
	if answer.StatusCode != status || answer.Header.Get("Cache-Control") != "no-store" {
		p.tb.Errorf("%s: %d %v, want %d", path, answer.StatusCode, answer.Header, status)
	}
	return string(body)
}

func TestProfiles(t *testing.T) {
	p := start(t, nil)
	_, token := p.issue("demo-spa")
	if got := p.text("/debug/pprof/", http.StatusOK); !strings.Contains(got, "goroutine") || !strings.Contains(got, "heap") {
		t.Errorf("the index is %s", got)
	}
	for path, want := range map[string]string{
		"/debug/pprof/goroutine?debug=1":  `\Agoroutine profile: total [1-9]\d*\n(?s:.*)cmd/rotor/local\.Run\+`,
		"/debug/pprof/heap?gc=1&debug=1":  `(?m)^# HeapAlloc = [1-9]\d*$`,
		"/debug/pprof/allocs?gc=1":        `alloc_space`,
		"/debug/pprof/profile?seconds=1":  `nanoseconds`,
		"/debug/pprof/trace?seconds=0.01": `\Ago 1\.\d+ trace`,
		"/debug/pprof/cmdline":            `local`,
		"/debug/pprof/symbol":             `num_symbols: 1`,
	} {
		t.Run(path, func(t *testing.T) {
			got := p.text(path, http.StatusOK)
			if !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%.200q has no %s", got, want)
			}
			if strings.Contains(got, token) || secrets.MatchString(got) {
				t.Error("a token is in it")
			}
		})
	}
	p.text("/debug/pprof/nothing", http.StatusNotFound)
}

// TestProfilesAreGuarded checks that profiles are guarded like everything that is not for
// browsers.
func TestProfilesAreGuarded(t *testing.T) {
	p := start(t, nil)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=1"} {
		r := p.request(http.MethodGet, path, "")
		r.Host = "evil.example"
		wantProblem(t, p.send(r), http.StatusMisdirectedRequest)

		r = p.request(http.MethodPost, path, "")
		r.Header.Set("Origin", "https://evil.example")
		wantProblem(t, p.send(r), http.StatusForbidden)

		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			got := p.do(method, path, "")
			wantProblem(t, got, http.StatusMethodNotAllowed)
			if allow := got.header.Get("Allow"); allow != "GET, HEAD" {
				t.Errorf("%s %s: Allow is %q", method, path, allow)
			}
		}
	}
}

// TestProfilesLeaveTheRest checks that only requests for profiles are kept from the handler
// below.
func TestProfilesLeaveTheRest(t *testing.T) {
	below := withDebug(&config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, path := range []string{"/", "/debug", "/debug/pprof", "/debug/pproof/heap", "/oauth/token", "/local/clock", "/v1/debug/pprof/heap"} {
		w := httptest.NewRecorder()
		below.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != http.StatusTeapot {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	p := start(t, nil)
	if got := p.do(http.MethodGet, "/debug/vars", ""); got.status != http.StatusNotFound {
		t.Errorf("/debug/vars: %d", got.status)
	}
}

// TestProfilesMayTakeTheirTime checks that a profile may take longer than other responses,
// because its request for more time reaches the connection.
func TestProfilesMayTakeTheirTime(t *testing.T) {
	var asked error
	server := httptest.NewServer(logRequests(&config{}, slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
	})))
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if asked != nil {
		t.Error(asked)
	}
}
