package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// api returns one more server over the world's table, with other settings.
func (w *world) api(change func(c *server.Config)) *server.Server {
	w.t.Helper()
	c := server.Config{Issuer: w.servers[0].URL, Table: w.store.Table(), Keys: keysAsTheyAre{w.keys}, Log: w.logger(), Now: w.clock.Now}
	change(&c)
	return server.New(c)
}

// handled returns a handler's answer to a request, without a connection.
func handled(h http.Handler, r *http.Request) answer {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return answer{status: rec.Code, header: rec.Header(), body: rec.Body.String()}
}

// post returns a request with a form.
func post(ctx context.Context, path, body string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", formType)
	return r
}

// TestGroups checks that each group serves its own endpoints and no others.
func TestGroups(t *testing.T) {
	w := newWorld(t)
	a := w.api(func(*server.Config) {})
	discovery := []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/openapi.json"}
	manage := []string{"/v1/clients", "/v1/clients/app", "/v1/families", "/v1/events", "/v1/explain", "/v1/users"}
	paths := slices.Concat([]string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/nothing"}, discovery, manage)
	for name, tt := range map[string]struct {
		group  http.Handler
		serves []string
	}{
		"token":      {a.OAuth.Token(), []string{"/oauth/token"}},
		"revoke":     {a.OAuth.Revoke(), []string{"/oauth/revoke"}},
		"introspect": {a.OAuth.Introspect(), []string{"/oauth/introspect"}},
		"discovery":  {a.OAuth.Discovery(), discovery},
		"manage":     {a.Manage.Handler(), manage},
		"all":        {a.Handler(), slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return p == "/nothing" })},
	} {
		for _, path := range paths {
			got := handled(tt.group, httptest.NewRequestWithContext(t.Context(), "PURGE", path, http.NoBody))
			want := http.StatusNotFound
			if slices.Contains(tt.serves, path) {
				want = http.StatusMethodNotAllowed
			}
			if got.status != want {
				t.Errorf("the group %s at %s: %v", name, path, got)
			}
		}
	}
}

// TestRemoteAddress checks that records have the caller's address without a port, in any form
// in which a server reports it.
func TestRemoteAddress(t *testing.T) {
	w := newWorld(t)
	h := w.api(func(*server.Config) {}).OAuth.Token()
	for remote, want := range map[string]any{
		"203.0.113.9:4711":          "203.0.113.9",
		"203.0.113.9":               "203.0.113.9", // API Gateway reports no port
		"[2001:db8::9]:4711":        "2001:db8::9",
		"2001:db8::9":               "2001:db8::9",
		"[::ffff:203.0.113.9]:4711": "203.0.113.9",
		"::ffff:203.0.113.9":        "203.0.113.9",
		"[fe80::9%eth0]:4711":       "fe80::9",
		"fe80::9%eth0":              "fe80::9",
		"@":                         nil,
		"":                          nil,
	} {
		r := post(t.Context(), "/oauth/token", refreshForm("x"))
		r.RemoteAddr = remote
		handled(h, r)
		lines := w.logged("fertft")
		if got := lines[len(lines)-1]["ip"]; got != want {
			t.Errorf("%q is logged as %v", remote, got)
		}
	}
}

// TestFailuresAreLoggedOnce checks that each request has an id in the log, which the client
// sees if there is one. A failure of the service is one line that says which request failed,
// and why.
func TestFailuresAreLoggedOnce(t *testing.T) {
	w := newWorld(t)
	tok, _ := w.login()
	h := w.api(func(*server.Config) {}).Handler()
	w.store.Break(func(int, string) storetest.Fault { return storetest.Failed })
	ids := map[any]bool{}
	for i, tt := range []struct{ method, path, body, id string }{
		{http.MethodPost, "/oauth/token", refreshForm(tok), ""},
		{http.MethodPost, "/oauth/token", refreshForm(tok), ""},
		{http.MethodPost, "/oauth/token", refreshForm(tok), "L5fx6RabOe7RCjZ="},
		{http.MethodPost, "/oauth/revoke", form("client_id", "app", "token", tok), "a"},
		{http.MethodPost, "/oauth/introspect", form("client_id", "web", "client_secret", "x", "token", tok), "b"},
		{http.MethodGet, "/v1/clients", "", "c"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", formType)
		if tt.id != "" {
			r = r.WithContext(session.WithRequestID(r.Context(), tt.id))
		}
		if a := handled(h, r); a.status != http.StatusServiceUnavailable {
			t.Fatal(a)
		}
		lines := w.lines("unavailable")
		if len(lines) != i+1 {
			t.Fatalf("%d lines of %d failures", len(lines), i+1)
		}
		line := lines[i]
		id, _ := line["http_request_id"].(string)
		if text, _ := line["error"].(string); line["level"] != "ERROR" || line["method"] != tt.method || line["route"] != tt.path || !strings.Contains(text, "injected") {
			t.Errorf("logged is %v", line)
		}
		if tt.id != "" && id != tt.id || id == "" || ids[id] {
			t.Errorf("its id is %q, not %q", id, tt.id)
		}
		ids[id] = true
	}
	w.store.Break(nil)
	for range 2 {
		handled(h, post(t.Context(), "/oauth/token", refreshForm("x")))
	}
	for _, line := range w.logged("fertft") {
		if id, _ := line["http_request_id"].(string); id == "" || ids[id] {
			t.Errorf("of a refusal the id is %q", id)
		} else {
			ids[id] = true
		}
	}
}

// slowKeys is a source of keys that can wait until the request's time is over. It records how
// much time that was.
type slowKeys struct {
	keysAsTheyAre
	wait bool
	left *time.Duration // the request's time; 0 for no limit
}

func (s slowKeys) Keys(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	*s.left = 0
	if end, ok := ctx.Deadline(); ok {
		*s.left = time.Until(end)
	}
	if s.wait {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.keysAsTheyAre.Keys(ctx, now)
}

// TestTimeout checks that each endpoint has the configured time, and answers when it is over.
// 0 is no limit.
func TestTimeout(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	for _, timeout := range []time.Duration{0, time.Hour, 100 * time.Millisecond} {
		wait := timeout > 0 && timeout < time.Hour
		var left time.Duration
		h := w.api(func(c *server.Config) {
			c.Keys, c.Timeout = slowKeys{keysAsTheyAre{w.keys}, wait, &left}, timeout
		}).Handler()
		get := func(path string) *http.Request {
			return httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		}
		for name, r := range map[string]*http.Request{
			"token":      post(t.Context(), "/oauth/token", refreshForm("x")),
			"revoke":     post(t.Context(), "/oauth/revoke", "client_id=app&token=x"),
			"introspect": post(t.Context(), "/oauth/introspect", "client_id=web&token=x&client_secret="+secret),
			"keys":       get("/.well-known/jwks.json"),
			"metadata":   get("/.well-known/openid-configuration"),
			"management": get("/v1/events?user_id=u"),
		} {
			left = -1
			a := handled(h, r)
			if !wait && (left > timeout || left < 0 || left < timeout-time.Minute) {
				t.Errorf("%s has %v of %v", name, left, timeout)
			}
			if (a.status == http.StatusServiceUnavailable) != wait || (a.header.Get("Retry-After") != "") != wait {
				t.Errorf("%s with a timeout of %v: %v %v", name, timeout, a, a.header)
			}
		}
	}
}

// lateBody is a body that does not arrive before its request is over.
type lateBody struct{ ctx context.Context }

func (b lateBody) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, errors.New("read tcp: i/o timeout")
}

func (b lateBody) Close() error { return nil }

// TestBodyThatIsLate checks that a body which does not arrive in time is not reported as
// malformed.
func TestBodyThatIsLate(t *testing.T) {
	w := newWorld(t)
	h := w.api(func(*server.Config) {}).Handler()
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		r := post(ctx, path, "")
		r.Body, r.ContentLength = lateBody{ctx}, -1
		if a := handled(h, r); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %v", path, a)
		}
		cancel()
	}
	r := post(t.Context(), "/oauth/token", "")
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader("grant_type="), failing{})), -1
	if a := handled(h, r); a.status != http.StatusBadRequest {
		t.Errorf("a body that breaks off: %v", a)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestClockIsReadOnce checks that the clock is read once for each public request, so that a
// request has one time.
func TestClockIsReadOnce(t *testing.T) {
	w := newWorld(t)
	w.putClient("gateway", `{"type":"confidential","may_introspect":true}`)
	web, gateway := w.addSecret("web"), w.addSecret("gateway")
	var reads atomic.Int64
	h := w.api(func(c *server.Config) {
		c.Now = func() time.Time {
			reads.Add(1)
			return w.clock.Now()
		}
	}).Handler()
	issued := w.issue(`{"user_id":"u","client_id":"app","scope":"openid"}`)
	first := issued.text("refresh_token")
	own := w.issue(`{"user_id":"u","client_id":"web"}`)
	introspect := func(client, secret, tok string) *http.Request {
		return post(t.Context(), "/oauth/introspect", form("client_id", client, "client_secret", secret, "token", tok))
	}
	get := func(path string) *http.Request {
		return httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	}
	foreign := post(t.Context(), "/oauth/token", refreshForm(first))
	foreign.Header.Set("Origin", "https://evil.example")
	for _, tt := range []struct {
		name    string
		advance time.Duration
		request *http.Request
		status  int
	}{
		{"a refresh", 0, post(t.Context(), "/oauth/token", refreshForm(first)), 200},
		{"a superseded token", 0, post(t.Context(), "/oauth/token", refreshForm(first)), 200},
		{"an origin that may not call", 0, foreign, 403},
		{"an unknown client", 0, post(t.Context(), "/oauth/token", refreshForm(first, "client_id", "nobody")), 401},
		{"a malformed token", 0, post(t.Context(), "/oauth/token", refreshForm("x")), 400},
		{"introspection of an access token", 0, introspect("gateway", gateway, issued.text("access_token")), 200},
		{"introspection of a refresh token", 0, introspect("web", web, own.text("refresh_token")), 200},
		{"reuse", 2 * time.Minute, post(t.Context(), "/oauth/token", refreshForm(first)), 400},
		{"revocation", 0, post(t.Context(), "/oauth/revoke", form("client_id", "web", "client_secret", web, "token", own.text("access_token"))), 200},
		{"keys", 0, get("/.well-known/jwks.json"), 200},
		{"metadata", 0, get("/.well-known/oauth-authorization-server"), 200},
	} {
		w.clock.Advance(tt.advance)
		reads.Store(0)
		if a := handled(h, tt.request); a.status != tt.status {
			t.Fatalf("%s: %v", tt.name, a)
		}
		if n := reads.Load(); n != 1 {
			t.Errorf("%s reads the clock %d times", tt.name, n)
		}
	}
}

// meeting is a source of keys that answers only while clients are being read.
type meeting struct {
	keysAsTheyAre
	others <-chan struct{}
	here   func()
}

func (m meeting) Keys(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	m.here()
	select {
	case <-m.others:
		return m.keysAsTheyAre.Keys(ctx, now)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestWarmReadsBothAtOnce checks that a start reads keys and clients at the same time, and so
// waits only for the slower of them.
func TestWarmReadsBothAtOnce(t *testing.T) {
	w := newWorld(t)
	waits, release := w.store.Hold("Query")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	a := w.api(func(c *server.Config) { c.Keys = meeting{keysAsTheyAre{w.keys}, waits, release} })
	if err := a.Warm(ctx); err != nil {
		t.Errorf("one waits for the other: %v", err)
	}
	w.store.Break(nil)
}

// TestWarmKeys checks that endpoints which need no clients read only the keys ahead.
func TestWarmKeys(t *testing.T) {
	w := newWorld(t)
	keys := &reads{keysAsTheyAre: keysAsTheyAre{w.keys}}
	a := w.api(func(c *server.Config) { c.Keys = keys })
	w.store.Counted()
	if err := a.WarmKeys(t.Context()); err != nil || keys.n != 1 {
		t.Errorf("%v, %d reads", err, keys.n)
	}
	if calls := w.store.Counted(); len(calls) != 0 {
		t.Errorf("the store was asked: %v", calls)
	}
}

// TestOwnOrigin checks that the service's own origin is its issuer's as browsers send it:
// without a path, in lower case, and without the default port.
func TestOwnOrigin(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		issuer, from string
		may          bool
	}{
		{"https://auth.example.com", "https://auth.example.com", true},
		{"https://auth.example.com/rotor/v2", "https://auth.example.com", true},
		{"https://Auth.Example.com:443/rotor", "https://auth.example.com", true},
		{"https://auth.example.com:8443/rotor", "https://auth.example.com:8443", true},
		{"https://auth.example.com/rotor", "https://auth.example.com/rotor", false},
		{"https://auth.example.com:8443", "https://auth.example.com", false},
		{"https://auth.example.com", "https://auth.example.com:8443", false},
		{"https://auth.example.com", "http://auth.example.com", false},
	} {
		h := w.api(func(c *server.Config) { c.Issuer = tt.issuer }).Handler()
		for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
			r := post(t.Context(), path, form("client_id", "app", "grant_type", "refresh_token", "refresh_token", "x", "token", "x"))
			r.Header.Set("Origin", tt.from)
			a := handled(h, r)
			if (a.status != http.StatusForbidden) != tt.may || (a.header.Get("Access-Control-Allow-Origin") == tt.from) != tt.may {
				t.Errorf("%s from %s, of the issuer %s: %v %v", path, tt.from, tt.issuer, a, a.header)
			}
		}
	}
}

// TestLengthOfClientIDs checks that client ids have 1 to 64 characters, and that a text which
// cannot be an id causes no read.
func TestLengthOfClientIDs(t *testing.T) {
	w := newWorld(t)
	longest := "A-z_0.9" + strings.Repeat("x", 57)
	w.putClient(longest, `{"type":"public"}`)
	tok := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":%q}`, longest)).text("refresh_token")
	if a := w.refresh(tok, "client_id", longest); a.status != http.StatusOK {
		t.Errorf("an id of %d characters: %v", len(longest), a)
	}
	for _, id := range []string{longest + "x", "a/b", "a b", "a:b", "a~b", "ä", "a\x00", "%"} {
		w.store.Counted()
		w.refresh(tok, "client_id", id).is(t, http.StatusUnauthorized, "invalid_client")
		if calls := w.store.Counted(); len(calls) != 0 {
			t.Errorf("for %q the store was asked: %v", id, calls)
		}
		lines := w.logged("fertft")
		if line := lines[len(lines)-1]; line["reason"] != "malformed_client_id" || line["clientId"] != nil {
			t.Errorf("%q is logged as %v", id, line)
		}
	}
}

// TestTimesAreWholeMilliseconds checks that times are whole milliseconds, however fine the
// clock is, because records have no others and are compared with them. An end after 15 days is
// not a second earlier.
func TestTimesAreWholeMilliseconds(t *testing.T) {
	w := newWorld(t)
	tok, _ := w.login()
	h := w.api(func(c *server.Config) {
		c.Now = func() time.Time { return w.clock.Now().Add(time.Millisecond - time.Nanosecond) }
	}).Handler()
	if a := handled(h, post(t.Context(), "/oauth/token", refreshForm(tok))); !strings.Contains(a.body, `"refresh_token_expires_in":1296000,"refresh_token_timeout":1296000,"authorization_expires_in":2592000,`) {
		t.Errorf("got %v", a)
	}
}

// TestManyResources checks that a refresh may ask for eight different resources at most, as
// each is part of the write's condition. One that is named several times counts once.
func TestManyResources(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	issuer := w.servers[0].URL
	for n, asks := range map[int]bool{8: true, 9: false, 200: false} {
		body := refreshForm(tok)
		for i := range n {
			body += fmt.Sprintf("&resource=https://%d.example", i)
		}
		w.store.Counted()
		w.send(http.MethodPost, "/oauth/token", formType, body).is(t, http.StatusBadRequest, "invalid_target")
		if calls := w.store.Counted(); slices.Contains(calls, "UpdateItem") != asks {
			t.Errorf("of %d resources the store was asked: %v", n, calls)
		}
	}
	if n := w.counter(id); n != 1 {
		t.Errorf("the counter is %d", n)
	}
	a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok)+strings.Repeat("&resource="+issuer, 20))
	if a.status != http.StatusOK || w.aud(a) != issuer {
		t.Errorf("one resource 20 times: %v", a)
	}
}
