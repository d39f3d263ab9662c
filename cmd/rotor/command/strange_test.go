package command_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serving starts a server that gives this answer to everything, and returns its address.
func serving(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	return srv.URL
}

// TestStrangeServices checks that nothing another server answers is taken for success.
func TestStrangeServices(t *testing.T) {
	for _, answer := range []string{
		`{}`, `null`, `[]`, `{"verdict":"fine"}`, `{"clients":[null],"families":[null],"events":[null]}`, `<html>`,
	} {
		url := serving(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) })
		for _, args := range [][]string{
			{"explain"},
			{"families", "alice"},
			{"events"},
			{"events", "--user", "alice"},
			{"revoke", "f", "--yes"},
			{"revoke", "--user", "alice", "--yes"},
			{"erase", "alice", "--yes"},
			{"clients", "list"},
			{"clients", "show", "c"},
			{"clients", "delete", "c", "--yes"},
			{"secrets", "add", "c"},
			{"secrets", "list", "c"},
			{"secrets", "remove", "c", "s", "--yes"},
			{"keys", "status"},
		} {
			for _, json := range []bool{false, true} {
				if json {
					args = append(args, "--json")
				}
				r := run(t, map[string]string{"ROTOR_URL": url}, token, args...)
				if r.code != 1 || r.out != "" || !strings.Contains(r.err, url) {
					t.Errorf("%v, answered %s: %+v", args, answer, r)
				}
			}
		}
	}
}

// TestRedirectedKeys checks that another server's keys are not shown as this one's.
func TestRedirectedKeys(t *testing.T) {
	elsewhere := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"keys":[{"kid":"theirs","alg":"ES256"}]}`)
	})
	url := serving(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) })
	if r := run(t, map[string]string{"ROTOR_URL": url}, "", "keys", "status"); r.code != 1 || r.out != "" || !strings.Contains(r.err, "status 302") {
		t.Errorf("%+v", r)
	}
}

// TestMayBeDone checks that after a change without an answer it is said that it may have been made.
func TestMayBeDone(t *testing.T) {
	const doubt = "It may have been done all the same"
	for status, code := range map[int]int{500: 1, 502: 4, 503: 1, 504: 4} {
		url := serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		if r := run(t, map[string]string{"ROTOR_URL": url}, "", "secrets", "add", "c"); r.code != code || !strings.Contains(r.err, doubt) {
			t.Errorf("%d: %+v", status, r)
		}
	}
	url := serving(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if r := run(t, map[string]string{"ROTOR_URL": url}, "", "secrets", "add", "c"); r.code != 4 || !strings.Contains(r.err, doubt) {
		t.Errorf("no answer: %+v", r)
	}
	url = serving(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if r := run(t, map[string]string{"ROTOR_URL": url}, "", "secrets", "add", "c"); r.code != 1 || strings.Contains(r.err, doubt) {
		t.Errorf("refused: %+v", r)
	}
	if r := run(t, map[string]string{"ROTOR_URL": "http://127.0.0.1:1"}, "", "secrets", "add", "c"); r.code != 4 || strings.Contains(r.err, doubt) {
		t.Errorf("nobody listens: %+v", r)
	}
}
