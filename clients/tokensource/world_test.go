package tokensource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// world is a running Rotor with a clock that tests move, and a wire that they break.
// Its clients are "app", with the default policy, and "strict"; and "bound" and "bound-strict", whose sessions
// must be bound to a key.
type world struct {
	t       testing.TB
	clock   *storetest.Clock
	start   time.Time
	dynamo  *storetest.Transport
	server  *httptest.Server
	secret  string // of the client "resource", which introspects
	arrived atomic.Int64
	wire    *wire
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock()}
	w.start = w.clock.Now()
	_, w.dynamo = storetest.Open(t)
	document, err := keyring.Generate(signing.ES256, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewUnstartedServer(nil)
	handler := server.New(server.Config{
		Issuer: "http://" + w.server.Listener.Addr().String(), Table: w.dynamo.Table(), Keys: keys,
		Log: slog.New(slog.DiscardHandler), Now: w.clock.Now,
	}).Handler()
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			w.arrived.Add(1)
		}
		handler.ServeHTTP(rw, r)
	})
	w.server.Start()
	t.Cleanup(w.server.Close)
	pool := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(pool.CloseIdleConnections)
	w.wire = &wire{below: pool}

	w.call(http.MethodPut, "/v1/clients/app", `{"type":"public","policy":{"access_token_lifetime":600}}`)
	w.call(http.MethodPut, "/v1/clients/strict", `{"type":"public","policy":{"access_token_lifetime":600,"reuse_interval":0}}`)
	w.call(http.MethodPut, "/v1/clients/bound", `{"type":"public","policy":{"access_token_lifetime":240,"dpop":"required"}}`)
	w.call(http.MethodPut, "/v1/clients/bound-strict", `{"type":"public","policy":{"access_token_lifetime":240,"dpop":"required","reuse_interval":0}}`)
	w.call(http.MethodPut, "/v1/clients/resource", `{"type":"confidential","may_introspect":true}`)
	w.secret = text(w.call(http.MethodPost, "/v1/clients/resource/secrets", ""), "client_secret")
	return w
}

func text(m map[string]any, name string) string {
	s, _ := m[name].(string)
	return s
}

// call makes a request to the management API.
func (w *world) call(method, path, body string) map[string]any {
	w.t.Helper()
	req, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return w.answer(req)
}

func (w *world) answer(req *http.Request) map[string]any {
	w.t.Helper()
	resp, err := w.wire.below.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil || resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: %s, %v", req.Method, req.URL.Path, resp.Status, err)
	}
	trail.secrets(m)
	return m
}

// login starts a family and returns the token response and the family's id.
func (w *world) login(client string) (*oauth2.Token, string) {
	w.t.Helper()
	m := w.call(http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"`+client+`"}`)
	seconds, _ := m["expires_in"].(float64)
	return &oauth2.Token{
		AccessToken: text(m, "access_token"), RefreshToken: text(m, "refresh_token"), TokenType: "Bearer",
		ExpiresIn: int64(seconds),
	}, text(m, "family")
}

// family returns what the service knows of a family: the counter of its newest token
// and its status.
func (w *world) family(id string) (counter int, status string) {
	w.t.Helper()
	m := w.call(http.MethodGet, "/v1/families/"+id, "")
	n, _ := m["counter"].(float64)
	return int(n), text(m, "status")
}

// active reports whether the service accepts an access token.
func (w *world) active(accessToken string) bool {
	w.t.Helper()
	form := url.Values{"token": {accessToken}}
	req, err := http.NewRequest(http.MethodPost, w.server.URL+"/oauth/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth("resource", w.secret)
	active, _ := w.answer(req)["active"].(bool)
	return active
}

func (w *world) conf(client string) *oauth2.Config {
	return &oauth2.Config{ClientID: client, Endpoint: oauth2.Endpoint{TokenURL: w.server.URL + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams}}
}

// sleep moves the world's clock.
func (w *world) sleep(_ context.Context, d time.Duration) error {
	w.clock.Advance(d)
	return nil
}

// source returns a source on the world's time, whose wall clock is wrong by skew. It
// stands for a new process.
func (w *world) source(client string, store tokensource.Store, skew *atomic.Int64, opts ...tokensource.Option) *tokensource.Source {
	wall := func() time.Time {
		if skew == nil {
			return w.clock.Now()
		}
		return w.clock.Now().Add(time.Duration(skew.Load()))
	}
	steady := func() time.Duration { return w.clock.Now().Sub(w.start) }
	opts = append([]tokensource.Option{
		tokensource.WithHTTPClient(&http.Client{Transport: w.wire}), tokensource.WithClock(wall, steady, w.sleep),
	}, opts...)
	if strings.HasSuffix(client, "strict") {
		opts = append(opts, tokensource.WithReuseInterval(0))
	}
	return tokensource.New(w.conf(client), store, opts...)
}

// onRealTime returns a source that waits in real time, for tests in which many wait.
func (w *world) onRealTime(client string, store tokensource.Store) *tokensource.Source {
	opts := []tokensource.Option{tokensource.WithHTTPClient(&http.Client{Transport: w.wire})}
	if strings.HasSuffix(client, "strict") {
		opts = append(opts, tokensource.WithReuseInterval(0))
	}
	return tokensource.New(w.conf(client), store, opts...)
}

// begun starts a session in the store, whose access token has expired.
func (w *world) begun(client string, store tokensource.Store) (family string) {
	w.t.Helper()
	t, family := w.login(client)
	t.AccessToken = ""
	if err := w.source(client, store, nil).Login(w.t.Context(), t); err != nil {
		w.t.Fatal(err)
	}
	return family
}

// good takes a token from the source, and checks that it is active.
func (w *world) good(src *tokensource.Source) *oauth2.Token {
	w.t.Helper()
	t, err := src.TokenContext(w.t.Context())
	if err != nil {
		w.t.Fatalf("token: %v", err)
	}
	if !w.active(t.AccessToken) {
		w.t.Fatal("the access token is not active")
	}
	return t
}

// private makes a folder that only its owner can use, whatever the umask.
func private(t testing.TB) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

// wire is the way from the program to the service.
type wire struct {
	below http.RoundTripper

	mu    sync.Mutex
	sent  int // number of requests for tokens
	fault func(n int) fault
	held  int // how many requests to wait for before any is let through
	open  chan struct{}
}

// fault is a way in which a request for a token fails.
type fault int

const (
	none         fault = iota
	lost               // it is answered, but the answer is lost
	cut                // the answer ends in the middle
	failed             // it is answered 503 and not done
	failedAfter        // it is answered 503 although it is done
	busy               // it is answered 429
	unauthorized       // it is answered 401, as if the client had failed to authenticate
	unreachable        // the connection fails
)

var errLost = errors.New("the connection was reset")

// breaks makes f decide the fault of each request from now on, counted from 1.
func (w *wire) breaks(f func(n int) fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent, w.fault = 0, f
}

// first returns a function by which only the first request has the fault.
func first(f fault) func(int) fault {
	return func(n int) fault {
		if n == 1 {
			return f
		}
		return none
	}
}

// gate holds requests back until there are n of them.
func (w *wire) gate(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held, w.open = n, make(chan struct{})
}

// requests returns the number of requests since the last call of breaks.
func (w *wire) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.sent++
	n, ask := w.sent, w.fault
	var open chan struct{}
	if w.held > 0 {
		open = w.open
		if w.held--; w.held == 0 {
			close(open)
		}
	}
	w.mu.Unlock()
	if open != nil {
		<-open
	}
	f := none
	if ask != nil {
		f = ask(n)
	}
	switch f {
	case failed:
		return unavailable(r, http.StatusServiceUnavailable), nil
	case busy:
		return unavailable(r, http.StatusTooManyRequests), nil
	case unauthorized:
		return unavailable(r, http.StatusUnauthorized), nil
	case unreachable:
		// Nothing listens there, so net/http returns its own error.
		r = r.Clone(r.Context())
		r.URL.Host = "127.0.0.1:1"
		return w.below.RoundTrip(r)
	}
	resp, err := w.below.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if json.Unmarshal(body, &m) == nil {
		trail.secrets(m)
	}
	switch f {
	case lost:
		return nil, errLost
	case failedAfter:
		return unavailable(r, http.StatusServiceUnavailable), nil
	case cut:
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{}))
	default:
		resp.Body = io.NopCloser(bytes.NewReader(body))
	}
	return resp, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func unavailable(r *http.Request, status int) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"text/plain"}, "Retry-After": {"1"}}, Body: io.NopCloser(strings.NewReader("try again")),
	}
}

// faultyStore is a store that fails as a test requires.
type faultyStore struct {
	tokensource.Store
	load, save func(n int) error // of the n-th load or save; nil for no failure
	saving     func(tokensource.Record) error

	mu           sync.Mutex
	loads, saves int
}

var errStore = errors.New("the store is not to be had")

func (f *faultyStore) Load(ctx context.Context) (tokensource.Record, error) {
	f.mu.Lock()
	f.loads++
	n, fail := f.loads, f.load
	f.mu.Unlock()
	if fail != nil {
		if err := fail(n); err != nil {
			return tokensource.Record{}, err
		}
	}
	return f.Store.Load(ctx)
}

func (f *faultyStore) Save(ctx context.Context, r tokensource.Record) error {
	f.mu.Lock()
	f.saves++
	n, fail, saving := f.saves, f.save, f.saving
	f.mu.Unlock()
	if fail != nil {
		if err := fail(n); err != nil {
			return err
		}
	}
	if saving != nil {
		if err := saving(r); err != nil {
			return err
		}
	}
	return f.Store.Save(ctx, r)
}

// mend ends all faults.
func (f *faultyStore) mend() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.load, f.save, f.saving = nil, nil, nil
}

// trail collects, over the whole run, all secrets and all output.
var trail secretTrail

type secretTrail struct {
	mu      sync.Mutex
	values  map[string]bool
	printed bytes.Buffer
}

func (s *secretTrail) secrets(m map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range []string{"access_token", "refresh_token", "client_secret"} {
		if v := text(m, name); v != "" {
			if s.values == nil {
				s.values = map[string]bool{}
			}
			s.values[v] = true
		}
	}
}

// print prints a value in every way that a program is likely to.
func (s *secretTrail) print(values ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := slog.New(slog.NewJSONHandler(&s.printed, nil))
	logText := slog.New(slog.NewTextHandler(&s.printed, nil))
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
			fmt.Fprintf(&s.printed, verb+"\n", v)
		}
		for err, ok := v.(error); ok && err != nil; err = errors.Unwrap(err) {
			fmt.Fprintf(&s.printed, "%v %+v %#v\n", err, err, err)
		}
		log.Info("printed", slog.Any("value", v), slog.Any("group", map[string]any{"value": v}))
		logText.Info("printed", slog.Any("value", v))
		b, _ := json.Marshal(v)
		s.printed.Write(append(b, '\n'))
	}
}

func (s *secretTrail) leaks() int {
	n := 0
	printed := s.printed.Bytes()
	for v := range s.values {
		decimal := strings.Trim(fmt.Sprint([]byte(v)), "[]")
		if bytes.Contains(printed, []byte(v)) || bytes.Contains(printed, []byte(decimal)) {
			n++
		}
	}
	return n
}

// TestMain runs the tests, or a child process of a test. After the tests it searches all
// output for all secrets.
func TestMain(m *testing.M) {
	if job := os.Getenv(childJob); job != "" {
		os.Exit(child(job))
	}
	code := m.Run()
	if n := trail.leaks(); n > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: %d secrets were printed\n", n)
		code = 1
	}
	fmt.Fprintf(os.Stderr, "scanned %d bytes of output for %d secrets\n", trail.printed.Len(), len(trail.values))
	os.Exit(code)
}

func TestLeaksAreFound(t *testing.T) {
	var s secretTrail
	s.secrets(map[string]any{"refresh_token": "rotor_one", "access_token": "eyJ_two"})
	s.print(errors.New("all is well"))
	if n := s.leaks(); n != 0 {
		t.Errorf("%d leaks in nothing", n)
	}
	s.print(fmt.Errorf("refresh: %w", errors.New("the token rotor_one is bad")), struct{ b []byte }{[]byte("eyJ_two")})
	if n := s.leaks(); n != 2 {
		t.Errorf("%d leaks found of 2", n)
	}
}
