package console

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
	"github.com/rotor-auth/rotor/shared/logtest"
)

// TestLostAnswersOfChanges checks what is said of a change whose answer was lost: that it may have
// been done, and where to look. It was done, each time.
func TestLostAnswersOfChanges(t *testing.T) {
	w := newWorld(t)
	w.register("backend", &manage.Settings{Type: "confidential"})
	_, removed, err := w.api.AddSecret(t.Context(), "backend")
	if err != nil || removed == "" {
		t.Fatal(err)
	}
	backend, err := w.api.Registration(t.Context(), "backend")
	if err != nil {
		t.Fatal(err)
	}
	family := w.login(&manage.Login{UserID: "alice"}).Family
	w.login(&manage.Login{UserID: "bob"})
	form := newPolicyForm(backend)
	policy := url.Values{"updated_at": {form.UpdatedAt}, "reuse_interval": {"17"}}
	service := w.service
	for _, tt := range []struct {
		path   string
		form   url.Values
		unsure string
		look   string
	}{
		{"/console/users/end?user_id=alice&family=" + family, url.Values{}, "Sessions may have ended all the same, all of them or a part.", "/console/users?user_id=alice"},
		{"/console/users/end?user_id=bob", url.Values{"cause": {"revoked_by_admin"}}, "Sessions may have ended all the same", "/console/users?user_id=bob"},
		{"/console/clients/backend/policy", policy, "The policy may have been saved all the same.", "/console/clients/backend"},
		{"/console/clients/backend/secrets", url.Values{}, "A secret may have been made all the same.", "/console/clients/backend"},
		{"/console/clients/backend/secrets/" + backend.Secrets[0].ID + "/remove", url.Values{}, "The secret may have been removed all the same.", "/console/clients/backend"},
	} {
		done := 0
		w.service = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				service.ServeHTTP(rw, r)
				return
			}
			applied := httptest.NewRecorder()
			service.ServeHTTP(applied, r)
			if applied.Code < 300 {
				done++
			}
			rw.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(rw, `{"message":"Internal server error"}`)
		})
		got := w.post(tt.path, tt.form)
		w.service = service
		if got.status != http.StatusBadGateway || done != 1 || strings.Contains(got.body, "Nothing was") {
			t.Errorf("%s: %d, done %d times\n%s", tt.path, got.status, done, got.body)
		}
		got.wants(t, tt.unsure, `href="`+html.EscapeString(tt.look)+`"`, "It answered: Internal server error (status 500).")
	}
}

// TestFailuresOfReads checks what is said if the service fails, and nothing was to be changed.
func TestFailuresOfReads(t *testing.T) {
	w := newWorld(t)
	for status, want := range map[int]string{
		http.StatusInternalServerError: "Nothing was shown or changed; try again in a moment.",
		http.StatusBadRequest:          "broken",
		http.StatusOK:                  "The call failed",
	} {
		w.service = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(status)
			_, _ = io.WriteString(rw, `{"message":"broken"`+strings.Repeat("}", min(1, status/400)))
		})
		for _, path := range []string{"/console/users?user_id=alice", "/console/clients", "/console/clients/app", "/console/events"} {
			got := w.get(path)
			if got.status < 400 || strings.Contains(got.body, "all the same") {
				t.Errorf("%s, to which the service says %d: %d", path, status, got.status)
			}
			got.wants(t, want)
		}
	}
}

// TestWrongAnswers checks that what a service never answers is no crash of a page.
func TestWrongAnswers(t *testing.T) {
	for _, body := range []string{
		`null`, `{}`, `[]`, `{"families":[null]}`, `{"clients":[null],"policy":null}`, `{"events":[null,{}]}`, `{"family":{},"timeline":[null]}`, `{"policy":{"reuse_interval":1e99}}`,
	} {
		var log logtest.Buffer
		w := newWorld(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		w.service = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, body)
		})
		for _, path := range []string{
			"/console/users?user_id=alice", "/console/users/end?user_id=alice", "/console/users/end?user_id=alice&family=" + strings.Repeat("A", 43),
			"/console/clients", "/console/clients/app", "/console/clients/app/policy", "/console/events", "/console/explain?family=" + strings.Repeat("A", 43),
		} {
			if got := w.get(path); !strings.Contains(got.body, "<h1>") || got.header.Get("Content-Security-Policy") == "" {
				t.Errorf("%s, to which the service says %s: %d\n%s", path, body, got.status, got.body)
			}
		}
	}
}

// TestBugIsAPage checks that a handler that panics is answered and logged, without what it panicked
// with, which may be a token.
func TestBugIsAPage(t *testing.T) {
	var none []string
	at := len(t.Name())
	for _, tt := range []struct {
		panics func()
		want   string
	}{
		{func() { panic("rotor_secret") }, "panic=string"},
		{func() { none[at] = "rotor_secret" }, "index out of range"},
	} {
		var log logtest.Buffer
		w := newWorld(t, func(c *Config) {
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			c.Trail = func(string) []timeline.Moment { tt.panics(); return nil }
		})
		tokens := w.login(&manage.Login{UserID: "alice"})
		got := w.get("/console/explain?family=" + tokens.Family)
		if got.status != http.StatusInternalServerError || strings.Contains(got.body, "rotor_secret") {
			t.Errorf("%d: %s", got.status, got.body)
		}
		got.wants(t, "The page could not be made")
		if said := log.String(); !strings.Contains(said, tt.want) || strings.Contains(said, "rotor_secret") || strings.Contains(said, tokens.Family) ||
			!strings.Contains(said, "TestBugIsAPage") || !strings.Contains(said, `page="GET /console/explain"`) {
			t.Errorf("the log is %s", said)
		}
	}
}

// TestSlowServiceHasItsOwnPage checks that a service that is too slow is not said to be elsewhere.
func TestSlowServiceHasItsOwnPage(t *testing.T) {
	w := newWorld(t)
	c := New(Config{API: w.api, Now: w.clock.Now})
	for unsure, more := range map[string]string{"": "", "It may have been done.": "<strong>It may have been done.</strong>"} {
		rw := httptest.NewRecorder()
		c.fail(rw, httptest.NewRequest(http.MethodPost, "/", nil), &manage.UnreachableError{Address: "https://x.example", Err: context.DeadlineExceeded}, unsure)
		got := answered{rw.Code, rw.Header(), rw.Body.String()}
		if got.status != http.StatusGatewayTimeout || strings.Contains(got.body, "Is the address right") {
			t.Errorf("%d: %s", got.status, got.body)
		}
		got.wants(t, "It did not answer in time.", more)
	}
}
