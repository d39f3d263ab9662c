package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlow checks the whole life of a family by events alone, and that secrets stay out of the
// log.
func TestFlow(t *testing.T) {
	w := newWorld(t)
	w.register()
	secrets := []string{w.values["CLIENT_SECRET"]}
	keep := func(a answer) {
		secrets = append(secrets, a.text("access_token"), a.text("refresh_token"), a.text("id_token"))
	}

	w.login("manage-issue-family")
	first := w.values["REFRESH_TOKEN"]
	for _, name := range []string{"token-refresh", "token-refresh-base64", "token-refresh-json"} {
		presented := w.values["REFRESH_TOKEN"]
		secrets = append(secrets, presented)
		a := w.want(w.play(name), http.StatusOK)
		keep(a)
		if a.text("refresh_token") == presented || a.text("access_token") == "" || a.text("id_token") == "" {
			t.Errorf("%s: %s", name, a.Body)
		}
		if a.Headers["Cache-Control"] != "no-store" || a.Headers["Access-Control-Allow-Origin"] != "https://app.example.com" {
			t.Errorf("%s: %v", name, a.Headers)
		}
		w.values["REFRESH_TOKEN"] = a.text("refresh_token")
		w.now = w.now.Add(time.Hour) // this is after the reuse interval
	}
	if f := w.want(w.play("manage-get-family"), http.StatusOK); f.text("status") != "active" || f.json["counter"] != 4.0 || f.text("last_ip") != "203.0.113.24" {
		t.Errorf("after three refreshes the family is %s", f.Body)
	}
	w.values["REFRESH_TOKEN"] = first // a superseded token revokes its family as well
	w.want(w.play("revoke-token"), http.StatusOK)
	if a := w.want(w.play("token-refresh"), http.StatusBadRequest); a.text("error") != "invalid_grant" {
		t.Errorf("after the revocation: %s", a.Body)
	}
	if f := w.want(w.play("manage-get-family"), http.StatusOK); f.text("status") != "revoked" {
		t.Errorf("after the revocation the family is %s", f.Body)
	}

	w.login("manage-issue-confidential-family")
	secrets = append(secrets, w.values["REFRESH_TOKEN"])
	keep(w.want(w.play("token-refresh-confidential"), http.StatusOK))

	logged := w.log.String()
	for i, s := range secrets {
		if s != "" && strings.Contains(logged, s) {
			t.Errorf("secret %d is in the log", i)
		}
	}
	var types []string
	for line := range strings.Lines(logged) {
		var entry struct {
			Type, IP      string
			HTTPRequestID string `json:"http_request_id"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("a log line is not JSON: %v: %s", err, line)
		}
		types = append(types, entry.Type)
		if entry.Type == "sertft" && (len(entry.HTTPRequestID) != 16 || entry.IP == "") {
			t.Errorf("the line lacks the gateway's request id or the caller's address: %s", line)
		}
	}
	for _, want := range []string{"sertft", "srrt", "fertft"} {
		if !slices.Contains(types, want) {
			t.Errorf("no %s among the log lines %q", want, types)
		}
	}
}

// TestMalformed checks that whatever a client sends, or a gateway makes of it, gets a
// response. An invocation error would reach the client as a 500, and set off alarms.
func TestMalformed(t *testing.T) {
	const (
		form = "grant_type=refresh_token&client_id=example-spa&refresh_token=x"
		// notFound is the API's response to an unknown path, and malformed the
		// adapter's to an unreadable event.
		notFound, malformed = "There is nothing at this path.", "The request is malformed."
	)
	tests := []struct {
		name        string
		change      func(*event)
		status      int
		description string // "" for any
	}{
		{"nothing", func(*event) {}, 400, "Unknown or invalid refresh token."},
		{"an escape cut short", func(e *event) { e.RawPath = "/oauth/token%" }, 400, malformed},
		{"an escape of no number", func(e *event) { e.RawPath = "/oauth/%zz" }, 400, malformed},
		{"a path escaped twice", func(e *event) { e.RawPath = "/oauth/%74oken" }, 404, notFound},
		{"an escaped slash", func(e *event) { e.RawPath = "/oauth%2Ftoken" }, 404, notFound},
		{"a query in the path", func(e *event) { e.RawPath = "/oauth/token?x" }, 404, notFound},
		{"a fragment in the path", func(e *event) { e.RawPath = "/oauth/token#x" }, 404, notFound},
		{"a null in the path", func(e *event) { e.RawPath = "/oauth/token\x00" }, 404, notFound},
		{"no path", func(e *event) { e.RawPath = "" }, 404, notFound},
		{"a relative path", func(e *event) { e.RawPath = "oauth/token" }, 404, notFound},
		{"a host in the path", func(e *event) { e.RawPath = "//evil.example/x" }, 404, notFound},
		{"a host in the path, and none besides", func(e *event) {
			delete(e.Headers, "host")
			e.RawPath = "//evil.example/oauth/token"
		}, 404, notFound},
		{"a path in the host", func(e *event) { e.Headers["host"], e.RawPath = "auth.example.com/oauth", "/token" }, 400, malformed},
		{"a space in the host", func(e *event) { e.Headers["host"] = "auth example" }, 400, malformed},
		{"a port that is none", func(e *event) { e.Headers["host"] = "auth.example.com:x" }, 400, malformed},
		{"no host", func(e *event) { delete(e.Headers, "host") }, 400, "Unknown or invalid refresh token."},
		{"no headers", func(e *event) { e.Headers = nil }, 400, "Content-Type must be application/x-www-form-urlencoded or application/json."},
		{"a method that is none", func(e *event) { e.RequestContext.HTTP.Method = "PO ST" }, 400, malformed},
		{"a method nobody knows", func(e *event) { e.RequestContext.HTTP.Method = "BREW" }, 405, ""},
		{"the method CONNECT", func(e *event) { e.RequestContext.HTTP.Method = "CONNECT" }, 405, ""},
		{"a line break in the query", func(e *event) { e.RawQueryString = "a\nb" }, 400, malformed},
		{"a bad escape in the query", func(e *event) { e.RawQueryString = "a=%zz;b" }, 400, "Unknown or invalid refresh token."},
		{"parameters in the query", func(e *event) { e.RawQueryString, e.Body = form, "" }, 400, "grant_type is missing."},
		{"no body", func(e *event) { e.Body = "" }, 400, "grant_type is missing."},
		{"a body that is not base64", func(e *event) { e.IsBase64Encoded = true }, 400, "The request body could not be read."},
		{"base64 cut short", func(e *event) {
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(form))[:9], true
		}, 400, "The request body could not be read."},
		{"a body that is not UTF-8", func(e *event) {
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte("a=\xff")), true
		}, 400, "The request body is not UTF-8."},
		{"a body too large", func(e *event) { e.Body += strings.Repeat("x", 17<<10) }, 413, ""},
		{"a body too large in base64", func(e *event) {
			e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(make([]byte, 17<<10)), true
		}, 413, ""},
		{"no address", func(e *event) { e.RequestContext.HTTP.SourceIP = "" }, 400, "Unknown or invalid refresh token."},
		{"no request id", func(e *event) { e.RequestContext.RequestID = "" }, 400, "Unknown or invalid refresh token."},
	}
	w := newWorld(t)
	w.register()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			function, e := w.sample("token-refresh")
			e.Body = form
			tt.change(&e)
			a := w.invoke(t.Context(), function, e)
			if a.StatusCode != tt.status || tt.description != "" && a.text("error_description") != tt.description {
				t.Errorf("the answer is %d %s", a.StatusCode, a.Body)
			}
			if a.text("error") == "" || a.Headers["Cache-Control"] != "no-store" {
				t.Errorf("the answer is no OAuth error: %v %s", a.Headers, a.Body)
			}
		})
	}
}

// TestOtherEvents checks that any other invoker of the function, which does not wait for an
// HTTP response, gets an error.
func TestOtherEvents(t *testing.T) {
	const canary = "canary-0123456789"
	tests := []struct{ name, payload string }{
		{"nothing", ``},
		{"not JSON", canary},
		{"null", `null`},
		{"an empty object", `{}`},
		{"a list", `["` + canary + `"]`},
		{"a REST API", `{"version":"1.0","httpMethod":"POST","path":"/oauth/token","body":"` + canary + `"}`},
		{"a custom authorizer", `{"version":"2.0","type":"REQUEST","routeArn":"arn","identitySource":["` + canary + `"]}`},
		{"a schedule", `{"version":"0","detail-type":"Scheduled Event","detail":{"x":"` + canary + `"}}`},
		{"a queue", `{"Records":[{"eventSource":"aws:sqs","body":"` + canary + `"}]}`},
		{"a body of another type", `{"version":"2.0","requestContext":{"http":{"method":"POST"}},"body":{"x":"` + canary + `"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			out, err := w.functions["token"].Invoke(t.Context(), []byte(tt.payload))
			if err == nil {
				t.Fatalf("it is answered: %s", out)
			}
			if !strings.Contains(w.log.String(), "event refused") {
				t.Errorf("it is not logged: %s", w.log.String())
			}
			if strings.Contains(err.Error()+w.log.String(), canary) {
				t.Errorf("what was sent is shown: %v; %s", err, w.log.String())
			}
		})
	}
}

// TestUnreadableBodyOfManagement checks that the management API reports an unreadable body as
// the caller's mistake.
func TestUnreadableBodyOfManagement(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.log.Reset()
	function, e := w.sample("manage-issue-family")
	e.IsBase64Encoded = true // although it is not
	a := w.want(w.invoke(t.Context(), function, e), http.StatusBadRequest)
	if a.text("detail") != "the request body could not be read" || strings.Contains(w.log.String(), "unavailable") {
		t.Errorf("the answer is %s, and the log has %s", a.Body, &w.log)
	}
}

func TestHead(t *testing.T) {
	w := newWorld(t)
	function, e := w.sample("discovery-jwks")
	e.RequestContext.HTTP.Method = http.MethodHead
	a := w.want(w.invoke(t.Context(), function, e), http.StatusOK)
	if a.Body != "" || a.Headers["Content-Type"] != "application/jwk-set+json" {
		t.Errorf("HEAD is answered with %v %q", a.Headers, a.Body)
	}
	e.RawPath = "/%"
	if a := w.want(w.invoke(t.Context(), function, e), http.StatusBadRequest); a.Body != "" || a.Headers["Content-Type"] != "application/json" {
		t.Errorf("a malformed HEAD is answered with %v %q", a.Headers, a.Body)
	}
}

// TestDeadline checks that a response is given before the end of the invocation. After that,
// the gateway would answer with a 500.
func TestDeadline(t *testing.T) {
	tests := []struct{ invocation, answered time.Duration }{
		{20 * time.Second, 19500 * time.Millisecond},
		{4 * time.Second, 3600 * time.Millisecond},
		{time.Second, 800 * time.Millisecond},
		{250 * time.Millisecond, 50 * time.Millisecond},
		{100 * time.Millisecond, 0},
	}
	for _, tt := range tests {
		t.Run(tt.invocation.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.register()
				w.login("manage-issue-family")
				w.store.silent = true
				function, e := w.sample("token-refresh")
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), tt.invocation)
				defer cancel()
				a := w.want(w.invoke(ctx, function, e), http.StatusServiceUnavailable)
				if a.text("error") != "temporarily_unavailable" || a.Headers["Retry-After"] == "" {
					t.Errorf("the answer is %v %s", a.Headers, a.Body)
				}
				if took := time.Since(start); took != tt.answered {
					t.Errorf("the answer came after %v, not %v", took, tt.answered)
				}
			})
		})
	}
}

// TestDeadlineOfColdClient checks that the deadline also applies to the read of the client,
// which many requests share.
func TestDeadlineOfColdClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.store.silent = true
		function, e := w.sample("token-refresh")
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		w.want(w.invoke(ctx, function, e), http.StatusServiceUnavailable)
		if took := time.Since(start); took != 800*time.Millisecond {
			t.Errorf("the answer came after %v", took)
		}
		time.Sleep(time.Minute) // in the bubble's time, in which the shared read ends by itself
	})
}
