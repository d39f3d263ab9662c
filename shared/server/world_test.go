package server_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/openapi/openapitest"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// world is a running Rotor: servers over one store, with a clock that tests move.
type world struct {
	t       testing.TB
	store   *storetest.Transport
	table   *store.Table
	clock   *storetest.Clock
	log     *logBuffer
	keys    *keyring.Keys
	servers []*httptest.Server
	http    *http.Client
	restart func(server int) // restarts a server, which then has nothing cached
	secret  string           // of "app", if it is confidential
}

type option func(*options)

type options struct {
	metrics bool
	servers int
	alg     signing.Algorithm
	origins origin.Set
	by      string
	path    string                                         // path of the issuer
	login   string                                         // the login page, "" for none
	keys    func(server int, now time.Time) keyring.Source // nil for one document that all share
	skew    func(server int) time.Duration                 // nil if all clocks show the same
	issuer  string                                         // "" for each server's own address

	patience time.Duration // with other providers, 0 for the default

	deployed bool // trusted issuers at loopback addresses are refused, as in a deployed service
}

func metrics() option                        { return func(o *options) { o.metrics = true } }
func servers(n int) option                   { return func(o *options) { o.servers = n } }
func algorithm(alg signing.Algorithm) option { return func(o *options) { o.alg = alg } }

func origins(origins ...string) option {
	return func(o *options) {
		o.origins = origin.ParseSet(origins, func(value, want string) { panic(value + " must be " + want) })
	}
}

// calledBy makes that principal the caller of the management API, as the gateway would report
// it.
func calledBy(arn string) option { return func(o *options) { o.by = arn } }

// loginPage configures a login page.
func loginPage(url string) option { return func(o *options) { o.login = url } }

// below gives the issuer a path.
func below(path string) option { return func(o *options) { o.path = path } }

// keysFrom gives each server its own source of keys.
func keysFrom(source func(server int, now time.Time) keyring.Source) option {
	return func(o *options) { o.keys = source }
}

// skewed sets how far the clock of each server is off.
func skewed(by func(server int) time.Duration) option { return func(o *options) { o.skew = by } }

// oneIssuer gives all servers the same issuer, so that each accepts the access tokens of the
// others.
func oneIssuer() option { return func(o *options) { o.issuer = "https://auth.example.com" } }

// deployed makes the servers refuse trusted issuers at loopback addresses.
func deployed() option { return func(o *options) { o.deployed = true } }

// patience sets for how long another provider may take to answer.
func patience(d time.Duration) option { return func(o *options) { o.patience = d } }

// newWorld returns a world of one server, unless options say otherwise, and two clients:
// "app", which is public, and "web", which is confidential. Its test runs beside others.
func newWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	parallel(t)
	o := options{servers: 1, alg: signing.ES256}
	for _, opt := range opts {
		opt(&o)
	}
	w := &world{t: t, clock: storetest.NewClock(), log: &logBuffer{}}
	w.table, w.store = storetest.Open(t)
	if o.keys == nil {
		document, err := keyring.Generate(o.alg, w.clock.Now())
		if err != nil {
			t.Fatal(err)
		}
		trail.keys(t, document)
		source, err := keyring.Local(document)
		if err != nil {
			t.Fatal(err)
		}
		o.keys = func(int, time.Time) keyring.Source { return source }
	}
	pool := &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}
	t.Cleanup(pool.CloseIdleConnections)
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // a redirect is an answer, too
	w.http = &http.Client{CheckRedirect: stay, Transport: &openapitest.Transport{Base: pool, Prefix: o.path, Report: func(err error) { t.Errorf("the OpenAPI document does not say it: %v", err) }}}
	var starts []func()
	for i := range o.servers {
		source := o.keys(i, w.clock.Now())
		if i == 0 {
			var err error
			if w.keys, err = source.Keys(t.Context(), w.clock.Now()); err != nil {
				t.Fatal(err)
			}
		}
		handler := &atomic.Value{}
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if o.by != "" && strings.HasPrefix(r.URL.Path, "/v1/") {
				r = r.WithContext(session.WithPrincipal(r.Context(), o.by))
			}
			handler.Load().(http.Handler).ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		w.servers = append(w.servers, srv)
		now := w.clock.Now
		if o.skew != nil {
			now = func() time.Time { return w.clock.Now().Add(o.skew(i)) }
		}
		starts = append(starts, func() {
			handler.Store(server.New(server.Config{
				Issuer: cmp.Or(o.issuer, srv.URL+o.path), Table: w.store.Table(), Keys: source,
				Log: slog.New(slog.NewJSONHandler(w.log, nil)), Now: now, Origins: o.origins, Metrics: o.metrics, AuthorizationEndpoint: o.login,
				Assertions: assertion.Options{Loopback: !o.deployed}, Providers: foreign.Options{Loopback: !o.deployed, Timeout: o.patience},
				CallBudget: time.Hour, // so that a store which is slow by itself, as DynamoDB Local may be, ends no call early
			}).Handler())
		})
		starts[i]()
	}
	w.restart = func(server int) { starts[server]() }
	t.Cleanup(func() { trail.logged(w.log.String()) })
	t.Cleanup(func() {
		if weak := w.store.WeakReads(); len(weak) > 0 {
			t.Errorf("reads that are not strongly consistent: %v", weak)
		}
	})
	w.putClient("app", `{"type":"public"}`)
	w.putClient("web", `{"type":"confidential"}`)
	return w
}

// another starts one more server, which has read nothing yet, and returns it with its number.
func (w *world) another(table *store.Table, keys keyring.Source, changes ...func(*server.Config)) (a *server.Server, number int) {
	w.t.Helper()
	c := server.Config{
		Issuer: w.servers[0].URL, Table: table, Keys: keys, Log: slog.New(slog.NewJSONHandler(w.log, nil)), Now: w.clock.Now,
		Providers: foreign.Options{Loopback: true},
	}
	for _, change := range changes {
		change(&c)
	}
	a = server.New(c)
	srv := httptest.NewServer(a.Handler())
	w.t.Cleanup(srv.Close)
	w.servers = append(w.servers, srv)
	return a, len(w.servers) - 1
}

// logBuffer collects the log of the servers.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// logged returns the audit lines of a type.
func (w *world) logged(eventType string) []map[string]any {
	w.t.Helper()
	return slices.DeleteFunc(w.lines("audit"), func(m map[string]any) bool { return m["type"] != eventType })
}

// lines returns the log lines with a message.
func (w *world) lines(message string) []map[string]any {
	w.t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(w.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			w.t.Fatalf("a log line is not JSON: %v: %s", err, line)
		}
		if m["msg"] == message {
			lines = append(lines, m)
		}
	}
	return lines
}

// answer is a response of the service.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any // nil if the body is not a JSON object
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

func (a answer) number(name string) float64 {
	n, _ := a.json[name].(float64)
	return n
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// send makes a request to the first server.
func (w *world) send(method, path, contentType, body string, header ...string) answer {
	w.t.Helper()
	return w.sendTo(0, method, path, contentType, body, header...)
}

// sendTo makes a request to a server. header holds pairs of name and value.
func (w *world) sendTo(server int, method, path, contentType, body string, header ...string) answer {
	w.t.Helper()
	a, err := w.try(server, method, path, contentType, body, header...)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// try makes a request like sendTo, for use outside the test's goroutine.
func (w *world) try(server int, method, path, contentType, body string, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.servers[server].URL+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := w.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(b)}
	_ = json.Unmarshal(b, &a.json) // which leaves it nil for another body
	trail.saw(a)
	return a, nil
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// putClient registers a client.
func (w *world) putClient(id, body string) {
	w.t.Helper()
	if a := w.send(http.MethodPut, "/v1/clients/"+id, jsonType, body); a.status != http.StatusCreated && a.status != http.StatusOK {
		w.t.Fatalf("put client %s: %v", id, a)
	}
}

// confidential makes "app" a confidential client with that policy. [world.refresh]
// authenticates as it from then on.
func (w *world) confidential(policy string) {
	w.t.Helper()
	w.putClient("app", `{"type":"confidential","policy":`+policy+`}`)
	if w.secret == "" {
		w.secret = w.addSecret("app")
	}
}

// addSecret makes a secret for a confidential client.
func (w *world) addSecret(id string) string {
	w.t.Helper()
	a := w.send(http.MethodPost, "/v1/clients/"+id+"/secrets", "", "")
	if a.status != http.StatusCreated {
		w.t.Fatalf("add a secret: %v", a)
	}
	return a.text("client_secret")
}

// issue starts a family and returns the answer.
func (w *world) issue(body string) answer {
	w.t.Helper()
	a := w.send(http.MethodPost, "/v1/families", jsonType, body)
	if a.status != http.StatusCreated {
		w.t.Fatalf("issue: %v", a)
	}
	return a
}

// login starts a family of user "u" in "app" and returns its first refresh token and its id.
func (w *world) login() (refreshToken, familyID string) {
	w.t.Helper()
	a := w.issue(`{"user_id":"u","client_id":"app","scope":"read write"}`)
	return a.text("refresh_token"), a.text("family")
}

// refresh presents a token as client "app". more holds further parameters.
func (w *world) refresh(refreshToken string, more ...string) answer {
	w.t.Helper()
	if w.secret != "" {
		more = append(more, "client_secret", w.secret)
	}
	return w.send(http.MethodPost, "/oauth/token", formType, refreshForm(refreshToken, more...))
}

func refreshForm(refreshToken string, more ...string) string {
	v := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {"app"}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	return v.Encode()
}

// rotate refreshes and returns the successor.
func (w *world) rotate(refreshToken string) string {
	w.t.Helper()
	a := w.refresh(refreshToken)
	if a.status != http.StatusOK || a.text("refresh_token") == "" {
		w.t.Fatalf("refresh: %v", a)
	}
	return a.text("refresh_token")
}

// later moves the clock one reuse interval and rotates.
func (w *world) later(refreshToken string) string {
	w.t.Helper()
	w.clock.Advance(time.Minute)
	return w.rotate(refreshToken)
}

// refused reports whether the answer is the one that every dead token gets.
func (a answer) refused(status int) bool {
	return a.status == status && a.body == `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`+"\n"
}

// dead checks that the token is refused, and that the log has the cause.
func (w *world) dead(refreshToken string, cause family.Cause, more ...string) {
	w.t.Helper()
	before := len(w.logged("fertft"))
	if a := w.refresh(refreshToken, more...); !a.refused(http.StatusBadRequest) {
		w.t.Fatalf("a dead token got %v", a)
	}
	lines := w.logged("fertft")
	if len(lines) != before+1 || lines[before]["cause"] != string(cause) {
		w.t.Fatalf("%d lines of refusal more, the last %v; want the cause %s", len(lines)-before, lines, cause)
	}
}

// counter returns the number of the family's newest token from the management API.
func (w *world) counter(familyID string) int {
	w.t.Helper()
	return int(w.family(familyID).number("counter"))
}

func (w *world) family(familyID string) answer {
	w.t.Helper()
	a := w.send(http.MethodGet, "/v1/families/"+familyID, "", "")
	if a.status != http.StatusOK {
		w.t.Fatalf("get family: %v", a)
	}
	return a
}

// content returns the family and the number that a refresh token holds.
func (w *world) content(refreshToken string) (family.ID, uint32) {
	w.t.Helper()
	tok, err := w.keys.Codec.Parse(refreshToken)
	if err != nil {
		w.t.Fatalf("parse a token: %v", err)
	}
	return tok.Family, tok.Counter
}

// trail collects what was secret and what was logged during the whole test run.
var trail secretTrail

type secretTrail struct {
	mu      sync.Mutex
	secrets map[string]string // what each value is
	logs    []string
}

func (s *secretTrail) add(what, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = map[string]string{}
	}
	if len(value) >= 16 {
		s.secrets[value] = what
	}
}

func (s *secretTrail) saw(a answer) {
	for _, text := range a.header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(text); err == nil {
			s.add("a cookie", c.Value)
		}
	}
	for _, name := range []string{"refresh_token", "access_token", "id_token", "client_secret", "code"} {
		s.add(name, a.text(name))
	}
	if to, err := url.Parse(a.text("redirect_to")); err == nil {
		s.add("a code", to.Query().Get("code"))
	}
}

// keys adds every string of the key document: the keys in base64, as in the document, and in
// other encodings that a careless log could use.
func (s *secretTrail) keys(t testing.TB, d *keyring.Document) {
	b, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"(?:user_key|key|d|p|q|dp|dq|qi)":\s*"([^"]+)"`).FindAllSubmatch(b, -1) {
		s.add("a key", string(m[1]))
		for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
			if raw, err := e.DecodeString(string(m[1])); err == nil {
				s.add("a key", fmt.Sprintf("%x", raw))
				s.add("a key", fmt.Sprint(raw))
			}
		}
	}
}

func (s *secretTrail) logged(log string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs = append(s.logs, log)
}

// leaks returns descriptions of the secrets that were logged.
func (s *secretTrail) leaks() []string {
	const head = 16 // every secret has at least as many bytes
	byHead := map[string][]string{}
	for value := range s.secrets {
		byHead[value[:head]] = append(byHead[value[:head]], value)
	}
	var found []string
	for _, log := range s.logs {
		for i := range len(log) - head + 1 {
			for _, value := range byHead[log[i:i+head]] {
				if strings.HasPrefix(log[i:], value) {
					found = append(found, s.secrets[value])
				}
			}
		}
		for _, shape := range []string{`rotor_[A-Za-z0-9_-]{20,}`, `eyJ[A-Za-z0-9_-]{10,}\.eyJ`} {
			if regexp.MustCompile(shape).MatchString(log) {
				found = append(found, "something like "+shape)
			}
		}
	}
	return found
}

// TestMain runs the tests and then scans everything that was logged for everything that was
// secret. If all tests have run, it checks that they have seen the whole OpenAPI document.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && isWhole() {
		unseen, excused := lacking()
		for _, part := range unseen {
			fmt.Fprintf(os.Stderr, "FAIL: the OpenAPI document has what no exchange had: %s\n", part)
			code = 1
		}
		for _, part := range excused {
			fmt.Fprintf(os.Stderr, "FAIL: an exchange had it, so that no excuse is needed: %s\n", part)
			code = 1
		}
	}
	if found := trail.leaks(); len(found) > 0 {
		fmt.Fprintf(os.Stderr, "FAIL: secrets in the log: %q\n", found)
		code = 1
	}
	fmt.Fprintf(os.Stderr, "scanned %d logs for %d secrets\n", len(trail.logs), len(trail.secrets))
	os.Exit(code)
}

func TestLeaksAreFound(t *testing.T) {
	var s secretTrail
	s.saw(answer{header: http.Header{"Set-Cookie": {"a=; Max-Age=0", "b=0123456789abcdef; Path=/; HttpOnly"}}})
	s.logged(`{"msg":"x"}`)
	if found := s.leaks(); len(found) > 0 {
		t.Errorf("found %q in nothing", found)
	}
	s.logged(`{"msg":"0123456789abcdef rotor_AAAAAAAAAAAAAAAAAAAAAAAA eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0"}`)
	if found := s.leaks(); len(found) != 3 {
		t.Errorf("found %q", found)
	}
}

// isParallel holds the tests that run beside others already.
var isParallel sync.Map

// parallel lets a test run beside others, since most of its time is spent waiting. A subtest
// runs as its own code says.
func parallel(t testing.TB) {
	if test, ok := t.(*testing.T); ok && !strings.Contains(t.Name(), "/") {
		if _, already := isParallel.LoadOrStore(test, true); !already {
			test.Parallel()
		}
	}
}
