package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
)

const (
	edgeSecret = "Jx7d0Qm2Rk9ZbT4vYc1LwN8sHf5GpA6e"
	cloudFront = "130.176.1.2" // where the gateway sees the requests come from
)

// behindEdge returns a world whose token function is behind the edge.
func behindEdge(t *testing.T, secret func(context.Context) (string, error)) *world {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	log := slog.New(slog.NewJSONHandler(&w.log, nil))
	w.functions["token"] = gateway.NewHandler(gateway.ThroughEdge(w.server.OAuth.Token(), secret, log), log)
	w.log.Reset()
	return w
}

func knownSecret(context.Context) (string, error) { return edgeSecret, nil }

// fromViewer returns a refresh as CloudFront forwards it.
func (w *world) fromViewer(address string) event {
	_, e := w.sample("token-refresh")
	e.Headers["rotor-edge-secret"], e.Headers["cloudfront-viewer-address"] = edgeSecret, address
	e.Headers["x-forwarded-for"], e.Headers["via"] = "192.0.2.99, "+address, "2.0 a1b2c3.cloudfront.net (CloudFront)"
	e.RequestContext.HTTP.SourceIP = cloudFront
	return e
}

// TestThroughTheEdge checks that a request without the edge's secret, or with another one, reaches nothing, so that the
// web ACL cannot be gone around.
func TestThroughTheEdge(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*event)
		status int
	}{
		"through the edge": {func(*event) {}, 200},
		"around it":        {func(e *event) { delete(e.Headers, "rotor-edge-secret") }, 403},
		"an empty secret":  {func(e *event) { e.Headers["rotor-edge-secret"] = "" }, 403},
		"another secret":   {func(e *event) { e.Headers["rotor-edge-secret"] = strings.ToLower(edgeSecret) }, 403},
		"a part of it":     {func(e *event) { e.Headers["rotor-edge-secret"] = edgeSecret[:31] }, 403},
		"more than it":     {func(e *event) { e.Headers["rotor-edge-secret"] += "x" }, 403},
		"twice":            {func(e *event) { e.Headers["rotor-edge-secret"] += "," + edgeSecret }, 403},
		"in the query": {func(e *event) {
			delete(e.Headers, "rotor-edge-secret")
			e.RawQueryString = "Rotor-Edge-Secret=" + edgeSecret
		}, 403},
		"a preflight around": {func(e *event) {
			delete(e.Headers, "rotor-edge-secret")
			e.RequestContext.HTTP.Method = http.MethodOptions
		}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			w := behindEdge(t, knownSecret)
			w.store.requests.Store(0)
			e := w.fromViewer("203.0.113.24:46532")
			c.change(&e)
			a := w.invoke(t.Context(), "token", e)
			if a.StatusCode != c.status {
				t.Fatalf("the answer is %d %s, not %d", a.StatusCode, a.Body, c.status)
			}
			if c.status == 403 && (w.store.requests.Load() != 0 || !strings.Contains(w.log.String(), `"msg":"not through the edge"`)) {
				t.Errorf("the store was asked %d times; the log has %s", w.store.requests.Load(), &w.log)
			}
			if strings.Contains(w.log.String(), edgeSecret) || strings.Contains(a.Body, edgeSecret) {
				t.Errorf("the secret is shown: %s %s", a.Body, &w.log)
			}
		})
	}
}

// TestEdgeSecretNotRead checks that nothing is let through as long as nobody knows what to compare with.
func TestEdgeSecretNotRead(t *testing.T) {
	for name, secret := range map[string]func(context.Context) (string, error){
		"a failure": func(context.Context) (string, error) { return "", errors.New("connection reset") },
		"empty":     func(context.Context) (string, error) { return "", nil },
	} {
		w := behindEdge(t, secret)
		before := w.store.requests.Load()
		for _, given := range []string{edgeSecret, ""} {
			e := w.fromViewer("203.0.113.24:46532")
			e.Headers["rotor-edge-secret"] = given
			a := w.invoke(t.Context(), "token", e)
			if a.StatusCode != http.StatusServiceUnavailable || a.Headers["Retry-After"] == "" {
				t.Errorf("%s: %d %v %s", name, a.StatusCode, a.Headers, a.Body)
			}
		}
		// All requests fail at once, so the callers must not come back at once.
		waits := map[string]bool{}
		for range 100 { // one of the three is missing once in 10¹⁷ runs
			waits[w.invoke(t.Context(), "token", w.fromViewer("203.0.113.24:46532")).Headers["Retry-After"]] = true
		}
		if len(waits) != 3 {
			t.Errorf("%s: Retry-After: %v", name, waits)
		}
		if w.store.requests.Load() != before {
			t.Errorf("%s: the store was asked", name)
		}
	}
}

// TestViewersAddress checks that the address on record is the viewer's, and never CloudFront's, which all share.
func TestViewersAddress(t *testing.T) {
	for given, want := range map[string]string{
		"203.0.113.24:46532":                            `"ip":"203.0.113.24"`,
		"2001:db8:85a3::8a2e:370:7334:443":              `"ip":"2001:db8:85a3::8a2e:370:7334"`,
		"2001:0db8:85a3:0000:0000:8a2e:0370:7334:46532": `"ip":"2001:db8:85a3::8a2e:370:7334"`,
		"[2001:db8::1]:46532":                           `"ip":"2001:db8::1"`,
		"":                                              "", // no address is better than a wrong one
		"203.0.113.24":                                  "",
		"203.0.113.24:1,198.51.100.7:2":                 "",
		"somewhere:443":                                 "",
	} {
		w := behindEdge(t, knownSecret)
		w.want(w.invoke(t.Context(), "token", w.fromViewer(given)), http.StatusOK)
		line := w.log.String()
		if !strings.Contains(line, want) || want == "" && strings.Contains(line, `"ip":`) || strings.Contains(line, cloudFront) {
			t.Errorf("%q: %s", given, line)
		}
	}
	// Without an edge, anybody can send the header.
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	w.log.Reset()
	e := w.fromViewer("198.51.100.7:46532")
	w.want(w.invoke(t.Context(), "token", e), http.StatusOK)
	if line := w.log.String(); !strings.Contains(line, `"ip":"`+cloudFront+`"`) {
		t.Errorf("without an edge: %s", line)
	}
}

// TestReusedElsewhereBehindTheEdge checks that two viewers behind one edge are two addresses, which the alarm is about.
func TestReusedElsewhereBehindTheEdge(t *testing.T) {
	for _, c := range []struct {
		viewer string
		counts int
	}{{"203.0.113.24:50000", 0}, {"198.51.100.7:46532", 1}} {
		w := behindEdge(t, knownSecret)
		w.want(w.invoke(t.Context(), "token", w.fromViewer("203.0.113.24:46532")), http.StatusOK)
		w.log.Reset()
		w.want(w.invoke(t.Context(), "token", w.fromViewer(c.viewer)), http.StatusOK)
		if n := strings.Count(w.log.String(), `"ReusedElsewhere":1`); n != c.counts || !strings.Contains(w.log.String(), `"Reused":1`) {
			t.Errorf("from %s: %s", c.viewer, &w.log)
		}
	}
}

// TestCookies checks that cookies arrive, which the gateway puts into an array of their own.
func TestCookies(t *testing.T) {
	var got []string
	h := gateway.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Cookie"))
		for _, c := range r.Cookies() {
			got = append(got, c.Name+" is "+c.Value)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}"))
	}), slog.New(slog.DiscardHandler))
	w := newWorld(t)
	w.functions["token"] = h
	_, e := w.sample("token-refresh")
	w.invoke(t.Context(), "token", e)
	e.Cookies = []string{"session=a b", "csrf=c"}
	w.invoke(t.Context(), "token", e)
	if want := "|session=a b; csrf=c|session is a b|csrf is c"; strings.Join(got, "|") != want {
		t.Errorf("the cookies are %q", got)
	}
}
