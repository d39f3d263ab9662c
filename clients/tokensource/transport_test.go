package tokensource_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// resource is a resource server. It answers 401 unless the access token is active,
// and otherwise with the request's body, and counts its responses.
type resource struct {
	*httptest.Server
	accepted, rejected atomic.Int64
	always             atomic.Bool // answers 401 to every request
}

func (w *world) resource() *resource {
	r := &resource{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		if !ok || r.always.Load() || !w.active(token) {
			r.rejected.Add(1)
			http.Error(rw, "no", http.StatusUnauthorized)
			return
		}
		r.accepted.Add(1)
		_, _ = rw.Write(body)
	}))
	w.t.Cleanup(r.Close)
	return r
}

// client returns an http.Client over the source.
func (w *world) client(src *tokensource.Source) *http.Client {
	return &http.Client{Transport: &tokensource.Transport{Source: src, Base: w.wire.below}}
}

// endedElsewhere returns a source with a token that looks fresh but has become
// invalid.
func (w *world) endedElsewhere() (src *tokensource.Source, store tokensource.Store, family string) {
	w.t.Helper()
	store = tokensource.NewMemory()
	login, family := w.login("app")
	login.AccessToken += "x"
	src = w.source("app", store, nil)
	if err := src.Login(w.t.Context(), login); err != nil {
		w.t.Fatal(err)
	}
	w.wire.breaks(nil)
	return src, store, family
}

func body(t testing.TB, resp *http.Response, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestRejected checks that after a 401 the token is refreshed once, and the request
// sent again with its body.
func TestRejected(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	src, _, _ := w.endedElsewhere()
	resp, err := w.client(src).Post(rs.URL, "text/plain", strings.NewReader("hello"))
	if status, got := body(t, resp, err); status != 200 || got != "hello" {
		t.Errorf("%d %q", status, got)
	}
	resp, err = w.client(src).Get(rs.URL)
	if status, _ := body(t, resp, err); status != 200 {
		t.Errorf("%d", status)
	}
	if w.wire.requests() != 1 || rs.rejected.Load() != 1 || rs.accepted.Load() != 2 {
		t.Errorf("%d refreshes, %d rejected, %d accepted", w.wire.requests(), rs.rejected.Load(), rs.accepted.Load())
	}
}

// TestRejectedOnce checks that fifty requests with a rejected token, in two
// processes, cause one refresh.
func TestRejectedOnce(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	login, family := w.login("app")
	login.AccessToken += "x"
	store := tokensource.NewMemory()
	a, b := w.onRealTime("app", store), w.onRealTime("app", store)
	if err := a.Login(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Token(); err != nil {
		t.Fatal(err)
	}
	w.wire.breaks(nil)
	var all sync.WaitGroup
	for range 25 {
		for _, src := range []*tokensource.Source{a, b} {
			all.Go(func() {
				resp, err := w.client(src).Get(rs.URL)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
	}
	all.Wait()
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 1 {
		t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
	}
}

// TestRejectedEarly checks that one refresh serves both callers whose token was
// rejected and callers whose token is near its end.
func TestRejectedEarly(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	login, family := w.login("app")
	login.AccessToken += "x"
	src := w.source("app", tokensource.NewMemory(), nil)
	if err := src.Login(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(575 * time.Second)
	waiting := make(chan struct{})
	w.wire.breaks(func(int) fault { <-waiting; return none })
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := src.Token(); err != nil {
				t.Error(err)
			}
		})
	}
	// This request was in progress when the refresh began.
	all.Go(func() {
		if h, err := tokensource.Rejected(src, login.AccessToken); err != nil || h == login.AccessToken {
			t.Errorf("after a rejection: %v", err)
		}
	})
	close(waiting)
	all.Wait()
	resp, err := w.client(src).Get(rs.URL)
	if status, _ := body(t, resp, err); status != 200 {
		t.Errorf("status %d", status)
	}
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 1 {
		t.Errorf("%d requests, counter %d", w.wire.requests(), counter)
	}
}

// TestBodyOnce checks that a body which cannot be sent twice is not sent again, and
// that the next request has the new token.
func TestBodyOnce(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	src, _, _ := w.endedElsewhere()
	resp, err := w.client(src).Post(rs.URL, "text/plain", io.NopCloser(strings.NewReader("hello")))
	if status, got := body(t, resp, err); status != 401 || got != "no\n" {
		t.Errorf("%d %q", status, got)
	}
	resp, err = w.client(src).Post(rs.URL, "text/plain", bytes.NewReader([]byte("hello")))
	if status, got := body(t, resp, err); status != 200 || got != "hello" {
		t.Errorf("%d %q", status, got)
	}
	if w.wire.requests() != 1 || rs.rejected.Load() != 1 {
		t.Errorf("%d refreshes, %d rejected", w.wire.requests(), rs.rejected.Load())
	}
}

// TestHeld checks a refresh within Rotor's reuse interval, which returns another
// access token and the same refresh token.
func TestHeld(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family := w.begun("app", store)
	src := w.source("app", store, nil)
	w.wire.breaks(nil)
	first := w.good(src)
	w.clock.Advance(30 * time.Second)
	second, err := tokensource.Rejected(src, first.AccessToken)
	if err != nil || second == first.AccessToken || !w.active(second) {
		t.Errorf("another access token: %v, and an active one: %v; %v", second != first.AccessToken, w.active(second), err)
	}
	if token := w.good(w.source("app", store, nil)); token.AccessToken != second {
		t.Error("another process gets another access token")
	}
	if counter, status := w.family(family); counter != 2 || status != "active" || w.wire.requests() != 2 {
		t.Errorf("inside the interval: %d requests, counter %d, %s", w.wire.requests(), counter, status)
	}
	w.clock.Advance(10 * time.Minute)
	w.good(src)
	w.good(w.source("app", store, nil))
	if counter, status := w.family(family); counter != 3 || status != "active" || w.wire.requests() != 3 {
		t.Errorf("after it: %d requests, counter %d, %s", w.wire.requests(), counter, status)
	}
}

// TestAlwaysRejected checks that a resource server which answers every token with
// 401 does not cause many refreshes, in any number of processes. Other requests
// still get the token.
func TestAlwaysRejected(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	src, store, _ := w.endedElsewhere()
	rs.always.Store(true)
	for range 20 {
		for _, s := range []*tokensource.Source{src, w.source("app", store, nil)} {
			resp, err := w.client(s).Get(rs.URL)
			if status, _ := body(t, resp, err); status != 401 {
				t.Fatalf("status %d", status)
			}
		}
	}
	w.good(src)
	if w.wire.requests() != 1 {
		t.Errorf("%d refreshes", w.wire.requests())
	}
	w.clock.Advance(6 * time.Minute)
	for range 20 {
		resp, err := w.client(src).Get(rs.URL)
		if status, _ := body(t, resp, err); status != 401 {
			t.Fatalf("status %d", status)
		}
	}
	if w.wire.requests() != 2 {
		t.Errorf("%d refreshes", w.wire.requests())
	}
}

// TestClockBehind checks a process whose clock is an hour behind, and which takes an
// expired access token for fresh. One 401 corrects this.
func TestClockBehind(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	a, store, _ := w.endedElsewhere()
	resp, err := w.client(a).Get(rs.URL)
	if status, _ := body(t, resp, err); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	w.clock.Advance(20 * time.Minute)
	var behind atomic.Int64
	behind.Store(-int64(time.Hour))
	for restart := range 3 {
		src := w.source("app", store, &behind)
		for range 5 {
			w.wire.breaks(nil)
			resp, err := w.client(src).Get(rs.URL)
			if status, _ := body(t, resp, err); status != 200 {
				t.Fatalf("restart %d: status %d", restart, status)
			}
		}
	}
	if rs.rejected.Load() != 2 {
		t.Errorf("%d requests were rejected", rs.rejected.Load())
	}
}

// TestTransportFails checks that without a token no request is sent, and that the
// body is closed, as a round tripper must do.
func TestTransportFails(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	closed := &closing{Reader: strings.NewReader("hello")}
	_, err := w.client(w.source("app", tokensource.NewMemory(), nil)).Post(rs.URL, "text/plain", closed) //nolint:bodyclose // there is none
	if !errors.Is(err, tokensource.ErrLoginRequired) || !closed.closed.Load() || rs.rejected.Load() != 0 {
		t.Errorf("%v, body closed %v", err, closed.closed.Load())
	}
	src, _, family := w.endedElsewhere()
	w.call(http.MethodDelete, "/v1/families/"+family, "")
	_, err = w.client(src).Get(rs.URL) //nolint:bodyclose // there is none
	trail.print(err)
	if !errors.Is(err, tokensource.ErrLoginRequired) || rs.rejected.Load() != 1 {
		t.Errorf("%v", err)
	}
	loginRequired(t, src) // although the access token has not expired
}

type closing struct {
	io.Reader
	closed atomic.Bool
}

func (c *closing) Close() error { c.closed.Store(true); return nil }

// TestRedirect checks that the token goes only to the host that the caller named.
func TestRedirect(t *testing.T) {
	w := newWorld(t)
	var seen []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = append(seen, "other "+r.Header.Get("Authorization"))
	}))
	defer other.Close()
	first := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		with := "without"
		if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			with = "with"
		}
		seen = append(seen, r.URL.Path+" "+with)
		to := "/second"
		if r.URL.Path == "/second" {
			to = other.URL
		}
		http.Redirect(rw, r, to, http.StatusTemporaryRedirect)
	}))
	defer first.Close()
	store := tokensource.NewMemory()
	w.begun("app", store)
	req, err := http.NewRequest(http.MethodGet, first.URL+"/first", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client(w.source("app", store, nil)).Do(req)
	if status, _ := body(t, resp, err); status != 200 {
		t.Fatalf("status %d", status)
	}
	if got := strings.Join(seen, ", "); got != "/first with, /second with, other " {
		t.Error("the token went elsewhere, or not where it should")
	}
	if len(req.Header) != 0 {
		t.Error("the caller's request was changed")
	}
}
