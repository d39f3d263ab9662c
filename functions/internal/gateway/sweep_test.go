package gateway_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/sweep"
)

// crowd registers both clients with a limit of one family, and starts three families
// of one user in each.
func (w *world) crowd() {
	w.t.Helper()
	for client, issue := range map[string]string{"manage-put-client": "manage-issue-family", "manage-put-confidential-client": "manage-issue-confidential-family"} {
		function, e := w.sample(client)
		var body map[string]any
		if err := json.Unmarshal([]byte(e.Body), &body); err != nil {
			w.t.Fatal(err)
		}
		body["policy"] = map[string]int{"max_active": 1}
		delete(body, "preset")
		changed, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		e.Body = string(changed)
		w.want(w.invoke(w.t.Context(), function, e), http.StatusCreated)
		for range 3 {
			w.login(issue)
		}
	}
}

// schedule returns the event of the schedule.
func schedule(t *testing.T) []byte {
	t.Helper()
	payload, err := os.ReadFile(filepath.Join(samples, "sweep-schedule.json"))
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// swept runs a sweep, which must succeed, and returns the result.
func (w *world) swept(payload []byte) sweep.Result {
	w.t.Helper()
	out, err := w.sweep.Invoke(w.t.Context(), payload)
	if err != nil {
		w.t.Fatal(err)
	}
	var result sweep.Result
	if err := json.Unmarshal(out, &result); err != nil {
		w.t.Fatalf("the result is not one: %v: %s", err, out)
	}
	return result
}

// failures returns the log lines of failed sweeps.
func (w *world) failures() []string {
	var lines []string
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "sweep failed") {
			lines = append(lines, line)
		}
	}
	return lines
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	w.crowd()
	for _, want := range []sweep.Result{{Owners: 2, Removed: 4}, {}} {
		if diff := cmp.Diff(want, w.swept(schedule(t))); diff != "" {
			t.Errorf("the result differs (-want +got):\n%s", diff)
		}
	}
	// The newest family is still active.
	if f := w.want(w.play("manage-get-family"), http.StatusOK); f.text("status") != "active" {
		t.Errorf("the newest family is %s", f.Body)
	}
	logged := w.log.String()
	if n := strings.Count(logged, `"type":"resource_cleanup"`); n != 2 || strings.Count(logged, `"Removed":2,`) != 2 {
		t.Errorf("%d clean-ups are in the log, not two that removed two each:\n%s", n, logged)
	}
	for _, secret := range []string{w.values["REFRESH_TOKEN"], "rotor_"} {
		if strings.Contains(logged, secret) {
			t.Errorf("a token is in the log")
		}
	}
}

// TestSweepReadsThePolicy checks that a raised limit applies to the next sweep, even in the
// same environment.
func TestSweepReadsThePolicy(t *testing.T) {
	w := newWorld(t)
	w.crowd()
	w.swept(nil)
	w.login("manage-issue-family")
	w.want(w.play("manage-put-client"), http.StatusOK) // this sets the default limit, 200
	if got := w.swept(nil); got.Owners != 1 || got.Removed != 0 {
		t.Errorf("the result is %+v", got)
	}
}

func TestSweepIgnoresPayload(t *testing.T) {
	w := newWorld(t)
	for _, payload := range []string{"", "null", "{}", `"x"`, "[1]", "not JSON", "\xff"} {
		if got := w.swept([]byte(payload)); got != (sweep.Result{}) {
			t.Errorf("%q: %+v", payload, got)
		}
	}
}

// TestSweepFails checks that an owner that fails does not stop the sweep of others, and makes
// the invocation fail.
func TestSweepFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.crowd()
		w.store.broken = `"o#example-spa"` // the record of that owner
		out, err := w.sweep.Invoke(t.Context(), schedule(t))
		if err == nil {
			t.Fatalf("it succeeds: %s", out)
		}
		if !strings.Contains(err.Error(), "example-spa") || strings.Contains(err.Error(), "example-web") {
			t.Errorf("the error does not say whose sweep failed: %v", err)
		}
		failures := w.failures()
		if len(failures) != 1 {
			t.Fatalf("%d lines say so, not one:\n%s", len(failures), w.log.String())
		}
		for _, want := range []string{`"level":"ERROR"`, "connection reset", `"owners":2`, `"removed":2`} {
			if !strings.Contains(failures[0], want) {
				t.Errorf("the line has no %s: %s", want, failures[0])
			}
		}
		if strings.Contains(w.log.String(), "rotor_") {
			t.Errorf("a token is in the log")
		}
		// The next sweep finishes the work.
		w.store.broken = ""
		if got := w.swept(schedule(t)); got.Owners != 1 || got.Removed != 2 {
			t.Errorf("the next sweep's result is %+v", got)
		}
	})
}

// TestSweepDeadline checks that a sweep stops and logs its failure before the end of the
// invocation, as nothing can be logged later.
func TestSweepDeadline(t *testing.T) {
	tests := []struct {
		name              string
		invocation, ended time.Duration
		silence           func(*transport)
	}{
		{"a store that says nothing", 60 * time.Second, 59500 * time.Millisecond, func(s *transport) { s.silent = true }},
		{"a short invocation", time.Second, 800 * time.Millisecond, func(s *transport) { s.silent = true }},
		{"an owner", 20 * time.Second, 19500 * time.Millisecond, func(s *transport) { s.silentOn = `"o#example-` }},
		{"the ending of families", 3 * time.Second, 2700 * time.Millisecond, func(s *transport) { s.silentOn = "limit_exceeded" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.crowd()
				tt.silence(w.store)
				ctx, cancel := context.WithTimeout(t.Context(), tt.invocation)
				defer cancel()
				start := time.Now()
				out, err := w.sweep.Invoke(ctx, schedule(t))
				if took := time.Since(start); took != tt.ended {
					t.Errorf("it ended after %v, not %v", took, tt.ended)
				}
				if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
					t.Errorf("%s, %v", out, err)
				}
				if n := len(w.failures()); n != 1 {
					t.Errorf("%d lines say so, not one:\n%s", n, w.log.String())
				}
				*w.store = transport{RoundTripper: w.store.RoundTripper}
				if got := w.swept(schedule(t)); got.Removed != 4 {
					t.Errorf("the next sweep's result is %+v", got)
				}
			})
		})
	}
}

// TestScheduleIsNotHTTP checks that each of the gateway's functions refuses the event of the
// schedule.
func TestScheduleIsNotHTTP(t *testing.T) {
	w := newWorld(t)
	for name, function := range w.functions {
		if out, err := function.Invoke(t.Context(), schedule(t)); err == nil {
			t.Errorf("%s answers: %s", name, out)
		}
	}
}
