package server_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// countedKeys counts how often its keys are read.
type countedKeys struct {
	keyring.Source
	asked atomic.Int64
}

func (c *countedKeys) Keys(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	c.asked.Add(1)
	return c.Source.Keys(ctx, now)
}

func countKeys(t *testing.T, into *countedKeys) option {
	t.Helper()
	return keysFrom(func(_ int, now time.Time) keyring.Source {
		document, err := keyring.Generate(signing.ES256, now)
		if err != nil {
			t.Fatal(err)
		}
		if into.Source, err = keyring.Local(document); err != nil {
			t.Fatal(err)
		}
		return into
	})
}

// isForeign checks an answer to a request from an origin that may not call: a page cannot read
// it, and no header promises that it could.
func (a answer) isForeign(t *testing.T) {
	t.Helper()
	a.is(t, http.StatusForbidden, "invalid_request")
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s: %q", name, a.header.Get(name))
		}
	}
	if a.header.Get("WWW-Authenticate") != "" || !slices.Contains(a.header.Values("Vary"), "Origin") {
		t.Errorf("the header is %v", a.header)
	}
}

// TestForeignOriginSpendsNothing checks that a request from an origin that may not call is
// refused before anything is read or written. CORS alone would hide the answer from the page,
// but the token would be spent.
func TestForeignOriginSpendsNothing(t *testing.T) {
	const typo = "https://app.exmaple"
	for _, tt := range []struct {
		name    string
		origins []string
	}{
		{"another is configured", []string{"https://app.example"}},
		{"none is configured", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := &countedKeys{}
			w := newWorld(t, origins(tt.origins...), countKeys(t, keys))
			w.putClient("app", `{"type":"public","preset":"auth0"}`) // is strict: the second use of a token ends its family
			w.restart(0)                                             // nothing is cached
			issued := w.issue(`{"user_id":"u","client_id":"app"}`)
			tok, family := issued.text("refresh_token"), issued.text("family")
			w.restart(0)
			w.store.Counted()
			asked := keys.asked.Load()
			for _, contentType := range []string{formType, jsonType, "text/plain", ""} {
				for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
					body := form("grant_type", "refresh_token", "client_id", "app", "refresh_token", tok, "token", tok)
					if contentType == jsonType {
						body = object("grant_type", "refresh_token", "client_id", "app", "refresh_token", tok, "token", tok)
					}
					for range 2 {
						w.send(http.MethodPost, path, contentType, body, "Origin", typo).isForeign(t)
						w.send(http.MethodPost, path, contentType, body, "Origin", typo, "Sec-Fetch-Site", "cross-site").isForeign(t)
					}
					w.send(http.MethodOptions, path, "", "", "Origin", typo, "Access-Control-Request-Method", "POST").isForeign(t)
				}
			}
			if calls := w.store.Counted(); len(calls) > 0 {
				t.Errorf("the store was asked: %v", calls)
			}
			if n := keys.asked.Load() - asked; n > 0 {
				t.Errorf("keys were asked for %d times", n)
			}
			if got := w.family(family); got.text("status") != "active" || got.number("counter") != 1 {
				t.Errorf("the family is %v", got)
			}
			if a := w.refresh(tok); a.status != http.StatusOK {
				t.Errorf("the token got %v", a)
			}
		})
	}
}

// TestWhoseOriginMayCall checks the origins that may call: the configured ones, the service's
// own, and that of a page whose own server forwards its requests.
func TestWhoseOriginMayCall(t *testing.T) {
	const app, other = "https://app.example", "https://evil.example"
	w := newWorld(t, origins(app, "capacitor://localhost", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"))
	own := w.servers[0].URL
	for _, tt := range []struct {
		name, path string
		header     []string
		may        bool
	}{
		{"no browser", "", nil, true},
		{"configured", "", []string{"Origin", app}, true},
		{"a webview", "", []string{"Origin", "capacitor://localhost"}, true},
		{"an extension", "", []string{"Origin", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"}, true},
		{"configured, from another site", "", []string{"Origin", app, "Sec-Fetch-Site", "cross-site"}, true},
		{"its own", "", []string{"Origin", own, "Sec-Fetch-Site", "same-origin"}, true},
		{"its own, without metadata", "", []string{"Origin", own}, true},
		{"its own, under another name", "", []string{"Origin", own, "Sec-Fetch-Site", "cross-site"}, true},
		{"the page's own proxy", "", []string{"Origin", other, "Sec-Fetch-Site", "same-origin"}, true},
		{"an empty header", "", []string{"Origin", ""}, true},
		{"another", "", []string{"Origin", other}, false},
		{"another of the same site", "", []string{"Origin", "https://other.app.example", "Sec-Fetch-Site", "same-site"}, false},
		{"another from another site", "", []string{"Origin", other, "Sec-Fetch-Site", "cross-site"}, false},
		{"another, by a person", "", []string{"Origin", other, "Sec-Fetch-Site", "none"}, false},
		{"another, with two headers of metadata", "", []string{"Origin", other, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site"}, false},
		{"another, with metadata that is none", "", []string{"Origin", other, "Sec-Fetch-Site", "Same-Origin"}, false},
		{"a sandboxed frame", "", []string{"Origin", "null", "Sec-Fetch-Site", "cross-site"}, false},
		{"another port", "", []string{"Origin", app + ":8443"}, false},
		{"another scheme", "", []string{"Origin", "http://app.example"}, false},
		{"a longer name", "", []string{"Origin", app + ".evil.example"}, false},
		{"what no browser sends", "", []string{"Origin", app + "/"}, false},
		{"two origins", "", []string{"Origin", app + " " + other}, false},
		{"two headers", "", []string{"Origin", app, "Origin", other}, false},
		{"two headers, the same twice", "", []string{"Origin", app, "Origin", app}, false},
		{"another extension", "", []string{"Origin", "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tok, family := w.login()
			a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok), tt.header...)
			if !tt.may {
				a.isForeign(t)
			} else if a.status != http.StatusOK {
				t.Errorf("it got %v", a)
			}
			if counter := w.counter(family); (counter == 2) != tt.may {
				t.Errorf("the counter is %d", counter)
			}
			a = w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", tok), tt.header...)
			if !tt.may {
				a.isForeign(t)
			} else if a.status != http.StatusOK {
				t.Errorf("revocation got %v", a)
			}
			if status := w.family(family).text("status"); (status == "revoked") != tt.may {
				t.Errorf("the family is %s", status)
			}
		})
	}

	// Resource servers may forward their callers' headers. Introspection spends nothing, so it
	// need not refuse them.
	t.Run("introspection asks nobody for an origin", func(t *testing.T) {
		tok := w.issue(`{"user_id":"u","client_id":"web"}`).text("refresh_token")
		a := w.send(http.MethodPost, "/oauth/introspect", formType, form("token", tok), "Authorization", basic("web", w.addSecret("web")), "Origin", other)
		if a.status != http.StatusOK || a.json["active"] != true {
			t.Errorf("it got %v", a)
		}
	})
}

// TestAnyOriginMayCall checks that the setting "*" admits every origin, including null.
func TestAnyOriginMayCall(t *testing.T) {
	w := newWorld(t, origins("*"))
	for _, from := range []string{"https://app.example", "null", "capacitor://localhost", "nonsense"} {
		tok, _ := w.login()
		a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok), "Origin", from)
		if got := a.header.Get("Access-Control-Allow-Origin"); a.status != http.StatusOK || got != "*" && got != from {
			t.Errorf("%s: %v %v", from, a, a.header)
		}
	}
}

// TestForeignOriginIsLogged checks that each refused request logs its origin on one line and
// is counted by a metric. Anyone can send an origin, so a long one is cut, and it is not a
// dimension of the metric.
func TestForeignOriginIsLogged(t *testing.T) {
	w := newWorld(t, metrics(), origins("https://app.example"))
	tok, _ := w.login()
	for i, tt := range []struct{ sent, logged, reason string }{
		{"https://app.exmaple", "https://app.exmaple", "not_configured"},
		{"http://localhost:5173", "http://localhost:5173", "not_configured"},
		{"HTTPS://App.Exmaple:443/login?x=1", "HTTPS://App.Exmaple:443/login?x=1", "not_an_origin"},
		{"null", "null", "names_nobody"},
		{"file://", "file://", "names_nobody"},
		{"https://b\xfccher.example\xe2\x80\xa8\t", "https://b?cher.example?", "not_an_origin"},
		{"https://" + strings.Repeat("a", 500) + ".example", "https://" + strings.Repeat("a", 248), "not_configured"},
		{"https://" + tok + ".example", "[redacted]", "not_configured"},
		{"https://app.exmaple/#" + tok, "[redacted]", "not_an_origin"},
		{"https://app.exmaple/#eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.x", "[redacted]", "not_an_origin"},
	} {
		w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok), "Origin", tt.sent, "User-Agent", "a browser").isForeign(t)
		lines := w.logged("fco")
		if len(lines) != i+1 {
			t.Fatalf("%d lines of %d requests: %v", len(lines), i+1, lines)
		}
		line := lines[i]
		if line["origin"] != tt.logged || line["reason"] != tt.reason || line["level"] != "WARN" || line["ip"] != "127.0.0.1" || line["userAgent"] != "a browser" ||
			line["http_request_id"] == nil || line["OriginRefused"] != 1.0 {
			t.Errorf("%s: logged is %v", tt.sent, line)
		}
		if line["clientId"] != nil || line["client"] != nil {
			t.Errorf("a client was read: %v", line)
		}
		directive, _ := line["_aws"].(map[string]any)
		sets, _ := directive["CloudWatchMetrics"].([]any)
		if len(sets) != 1 || directive["Timestamp"] != float64(w.clock.Now().UnixMilli()) {
			t.Fatalf("the directive is %v", directive)
		}
		set, _ := sets[0].(map[string]any)
		if dimensions, _ := set["Dimensions"].([]any); len(dimensions) != 1 || len(dimensions[0].([]any)) != 0 {
			t.Errorf("the dimensions are %v", set["Dimensions"])
		}
		if metrics, _ := set["Metrics"].([]any); len(metrics) != 1 || metrics[0].(map[string]any)["Name"] != "OriginRefused" {
			t.Errorf("the metrics are %v", set["Metrics"])
		}
	}
	// A page that sends JSON is stopped at its preflight.
	w.send(http.MethodOptions, "/oauth/token", "", "", "Origin", "https://app.exmaple", "Access-Control-Request-Method", "POST").isForeign(t)
	if lines := w.logged("fco"); len(lines) != 11 {
		t.Errorf("the preflight is not logged: %v", lines)
	}
	w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok), "Origin", "https://app.example")
	w.refresh(tok)
	if lines := w.logged("fco"); len(lines) != 11 {
		t.Errorf("logged without a reason: %v", lines[len(lines)-1])
	}
	if a := w.send(http.MethodGet, "/v1/events?type=fco", "", ""); a.status != http.StatusBadRequest {
		t.Errorf("they are stored: %v", a)
	}
}

// unread lists headers of answers that scripts do not need.
var unread = []string{"Allow", "Content-Length", "Date", "Vary", "X-Content-Type-Options"}

// safelisted lists the headers that scripts may always read (the Fetch standard,
// "CORS-safelisted response-header name").
var safelisted = []string{"Cache-Control", "Content-Language", "Content-Length", "Content-Type", "Expires", "Last-Modified", "Pragma"}

// TestAnswersCanBeRead checks that a script of a configured origin can read the headers that
// an answer carries, such as when to retry and how to authenticate.
func TestAnswersCanBeRead(t *testing.T) {
	const from = "https://app.example"
	w := newWorld(t, origins(from))
	seen := map[string]bool{}
	check := func(name string, want int, a answer) {
		t.Helper()
		if a.status != want || a.header.Get("Access-Control-Allow-Origin") != from {
			t.Fatalf("%s: %v %v", name, a, a.header)
		}
		var exposed []string
		for _, v := range a.header.Values("Access-Control-Expose-Headers") {
			for name := range strings.SplitSeq(v, ",") {
				exposed = append(exposed, http.CanonicalHeaderKey(strings.TrimSpace(name)))
			}
		}
		for header := range a.header {
			switch {
			case strings.HasPrefix(header, "Access-Control-"), slices.Contains(unread, header), slices.Contains(safelisted, header):
			case !slices.Contains(exposed, header):
				t.Errorf("%s: a page cannot read %s", name, header)
			default:
				seen[header] = true
			}
		}
	}
	post := func(path, body string) answer {
		return w.send(http.MethodPost, path, formType, body, "Origin", from)
	}
	tok, _ := w.login()
	check("success", http.StatusOK, post("/oauth/token", refreshForm(tok)))
	check("a dead token", http.StatusBadRequest, post("/oauth/token", refreshForm("x")))
	check("an unknown client", http.StatusUnauthorized, post("/oauth/token", refreshForm("x", "client_id", "nobody")))
	check("an unknown client revokes", http.StatusUnauthorized, post("/oauth/revoke", "client_id=nobody&token=x"))
	check("too large", http.StatusRequestEntityTooLarge, post("/oauth/revoke", strings.Repeat("x", 17<<10)))
	w.store.Break(func(int, string) storetest.Fault { return storetest.Timeout })
	check("no storage", http.StatusServiceUnavailable, post("/oauth/token", refreshForm(tok)))
	check("no storage to revoke", http.StatusServiceUnavailable, post("/oauth/revoke", "client_id=app&token="+tok))
	for _, header := range []string{"Retry-After", "Www-Authenticate"} {
		if !seen[header] {
			t.Errorf("no answer had %s", header)
		}
	}
}
