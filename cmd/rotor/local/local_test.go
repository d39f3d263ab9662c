package local

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// program holds the program, which runs in this process.
type program struct {
	tb     testing.TB
	url    string
	stdout string
	stderr *logtest.Buffer
	client *http.Client
	stop   func() error // returns the result of Run
}

// secrets matches what must not be in the log: refresh tokens, client secrets,
// access and id tokens. The latter begin with the header {"alg":…. "eyJ" alone may
// also be in a family's id, but without a dot after it.
var secrets = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{8,}|eyJhbGciOi|eyJ[A-Za-z0-9_-]{8,}\.`)

// start runs the program with the given environment, on a free port, and on the
// DynamoDB under test if there is one. At the end of the test the program must stop
// without an error, and must not have logged a secret.
func start(tb testing.TB, env map[string]string) *program {
	tb.Helper()
	all := map[string]string{"ADDR": "127.0.0.1:0", "ALG": "ES256"}
	if endpoint := os.Getenv("ROTOR_TEST_DYNAMODB"); endpoint != "" {
		all["AWS_ENDPOINT_URL_DYNAMODB"], all["TABLE"] = endpoint, "rotor-local-"+rand.Text()
	}
	maps.Copy(all, env)
	ctx, cancel := context.WithCancel(context.Background())
	p := &program{tb: tb, stderr: &logtest.Buffer{}, client: &http.Client{Transport: &http.Transport{}}}
	welcome, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- Run(ctx, func(name string) string { return all[name] }, writerFunc(func(text []byte) {
			welcome <- string(text)
		}), p.stderr)
	}()
	p.stop = sync.OnceValue(func() error {
		cancel()
		p.client.CloseIdleConnections()
		return <-done
	})
	select {
	case p.stdout = <-welcome:
	case err := <-done:
		cancel()
		tb.Fatalf("Run: %v\n%s", err, p.stderr)
	}
	tb.Cleanup(func() {
		if err := p.stop(); err != nil {
			tb.Errorf("Run: %v", err)
		}
		if leaked := secrets.FindString(p.stderr.String()); leaked != "" {
			tb.Errorf("the log has a secret: %s", leaked)
		}
	})
	ready := regexp.MustCompile(`\ARotor is ready at (http://\S+)\n`).FindStringSubmatch(p.stdout)
	if ready == nil {
		tb.Fatalf("the first line does not say where it is ready:\n%s", p.stdout)
	}
	p.url = ready[1]
	return p
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// reply is a response whose body was JSON or empty.
type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func (r reply) text(name string) string {
	s, _ := r.body[name].(string)
	return s
}

// request returns a request to the program, as JSON if there is a body.
func (p *program) request(method, path, body string) *http.Request {
	p.tb.Helper()
	r, err := http.NewRequestWithContext(p.tb.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.tb.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (p *program) send(r *http.Request) reply {
	p.tb.Helper()
	answer, err := p.client.Do(r)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		p.tb.Fatal(err)
	}
	got := reply{status: answer.StatusCode, header: answer.Header}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &got.body); err != nil {
			p.tb.Fatalf("%s %s: %d is not JSON: %v: %s", r.Method, r.URL.Path, answer.StatusCode, err, data)
		}
	}
	return got
}

func (p *program) do(method, path, body string) reply {
	p.tb.Helper()
	return p.send(p.request(method, path, body))
}

// must does what do does, and fails unless it gets the given status.
func (p *program) must(status int, method, path, body string) reply {
	p.tb.Helper()
	got := p.do(method, path, body)
	if got.status != status {
		p.tb.Fatalf("%s %s: %d, want %d: %v", method, path, got.status, status, got.body)
	}
	return got
}

// issue starts a family, and returns its id and first refresh token.
func (p *program) issue(client string) (family, token string) {
	p.tb.Helper()
	got := p.must(http.StatusCreated, http.MethodPost, "/v1/families", `{"user_id":"alice","client_id":"`+client+`"}`)
	return got.text("family"), got.text("refresh_token")
}

// form posts a form.
func (p *program) form(path string, values url.Values) reply {
	p.tb.Helper()
	r := p.request(http.MethodPost, path, values.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.send(r)
}

func (p *program) refresh(client, token string) reply {
	p.tb.Helper()
	r := p.request(http.MethodPost, "/oauth/token", refreshForm(client, token))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return p.send(r)
}

func refreshForm(client, token string) string {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}.Encode()
}

// outside returns the environment for a DynamoDB that outlives the program: the one
// under test, or one in this process.
func outside(tb testing.TB) map[string]string {
	tb.Helper()
	endpoint := os.Getenv("ROTOR_TEST_DYNAMODB")
	if endpoint == "" {
		server := httptest.NewServer(&httputil.ReverseProxy{
			Transport: embedded.New(),
			Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "dynamodb.invalid" },
		})
		tb.Cleanup(server.Close)
		endpoint = server.URL
	}
	return map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "TABLE": "rotor-local-" + rand.Text()}
}

func TestEveryEndpointIsServed(t *testing.T) {
	p := start(t, nil)
	secret := demoSecret(t, p)

	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		got := p.must(http.StatusOK, http.MethodGet, path, "")
		if got.text("issuer") != p.url || got.text("token_endpoint") != p.url+"/oauth/token" {
			t.Errorf("%s: %v is not at %s", path, got.body, p.url)
		}
	}
	p.must(http.StatusOK, http.MethodGet, "/.well-known/jwks.json", "")

	// A confidential client, by its printed secret.
	family, token := p.issue("demo-web")
	web := func(path string, values url.Values) reply {
		t.Helper()
		r := p.request(http.MethodPost, path, values.Encode())
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth("demo-web", secret)
		got := p.send(r)
		if got.status != http.StatusOK {
			t.Fatalf("%s: %d %v", path, got.status, got.body)
		}
		return got
	}
	refreshed := web("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	for _, name := range []string{"refresh_token", "access_token"} {
		token := refreshed.text(name)
		if got := web("/oauth/introspect", url.Values{"token": {token}}); got.body["active"] != true {
			t.Errorf("the %s is not active: %v", name, got.body)
		}
	}
	web("/oauth/revoke", url.Values{"token": {refreshed.text("refresh_token")}})
	if got := p.must(http.StatusOK, http.MethodGet, "/v1/families/"+family, ""); got.text("cause") != "revoked_by_client" {
		t.Errorf("the family is %v", got.body)
	}

	p.must(http.StatusOK, http.MethodGet, "/v1/clients", "")
	p.must(http.StatusCreated, http.MethodPut, "/v1/clients/another", `{"type":"confidential"}`)
	id := p.must(http.StatusCreated, http.MethodPost, "/v1/clients/another/secrets", "").text("secret_id")
	p.must(http.StatusNoContent, http.MethodDelete, "/v1/clients/another/secrets/"+id, "")
	p.must(http.StatusNoContent, http.MethodDelete, "/v1/clients/another", "")
	p.must(http.StatusNotFound, http.MethodGet, "/v1/clients/another", "")

	family, _ = p.issue("demo-spa")
	p.must(http.StatusOK, http.MethodGet, "/v1/families?user_id=alice&status=active", "")
	p.must(http.StatusOK, http.MethodPost, "/v1/explain", `{"family":"`+family+`"}`)
	p.must(http.StatusOK, http.MethodDelete, "/v1/families/"+family, "")
	p.must(http.StatusOK, http.MethodDelete, "/v1/families?user_id=alice", "")
	p.must(http.StatusOK, http.MethodGet, "/v1/events?type=srrt", "")

	p.must(http.StatusOK, http.MethodGet, "/local/clock", "")
	p.must(http.StatusOK, http.MethodPost, "/local/sweep", "")
	for _, path := range []string{"/", "/nowhere", "/v1", "/v1/nowhere", "/local", "/local/nowhere"} {
		p.must(http.StatusNotFound, http.MethodGet, path, "")
	}
}

// TestKeysMadeUpAreRS256 checks that without KEYS and ALG a run makes RS256 keys, which API
// Gateway can verify.
func TestKeysMadeUpAreRS256(t *testing.T) {
	p := start(t, map[string]string{"ALG": ""})
	if !strings.Contains(p.stdout, "keys   RS256, made up for this run") {
		t.Errorf("stdout does not say so:\n%s", p.stdout)
	}
	got := p.must(http.StatusOK, http.MethodGet, "/.well-known/jwks.json", "")
	keys, ok := got.body["keys"].([]any)
	if !ok || len(keys) != 1 {
		t.Fatalf("the key set is %v", got.body)
	}
	if key, ok := keys[0].(map[string]any); !ok || key["alg"] != "RS256" {
		t.Errorf("the key is %v", keys[0])
	}
}

// TestAlgorithm checks that ALG is the algorithm of new keys.
func TestAlgorithm(t *testing.T) {
	p := start(t, map[string]string{"ALG": "ES256"})
	if !strings.Contains(p.stdout, "keys   ES256, made up for this run") {
		t.Errorf("stdout does not say so:\n%s", p.stdout)
	}
	got := p.must(http.StatusOK, http.MethodGet, "/.well-known/jwks.json", "")
	if keys, ok := got.body["keys"].([]any); !ok || len(keys) != 1 || keys[0].(map[string]any)["alg"] != "ES256" {
		t.Errorf("the key set is %v", got.body)
	}
}

// database is a DynamoDB in this process that records requests.
type database struct {
	url string

	mu      sync.Mutex
	headers []http.Header
	opened  int // number of connections that were opened
}

// newDatabase starts a database. Its responses wait for hold, if that is not nil.
func newDatabase(tb testing.TB, hold func(*http.Request)) *database {
	tb.Helper()
	d := &database{}
	server := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: embedded.New(),
		Rewrite: func(r *httputil.ProxyRequest) {
			d.mu.Lock()
			d.headers = append(d.headers, r.In.Header.Clone())
			d.mu.Unlock()
			if hold != nil {
				hold(r.In)
			}
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "dynamodb.invalid"
		},
	})
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			d.mu.Lock()
			d.opened++
			d.mu.Unlock()
		}
	}
	server.Start()
	tb.Cleanup(server.Close)
	d.url = server.URL
	return d
}

// TestDynamoDBOutside checks that requests to an external DynamoDB use the region, credentials
// and table of the environment.
func TestDynamoDBOutside(t *testing.T) {
	d := newDatabase(t, nil)
	env := map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": d.url, "AWS_REGION": "eu-central-1", "TABLE": "one",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "session",
	}
	one := start(t, env)
	one.must(http.StatusCreated, http.MethodPut, "/v1/clients/only-in-one", `{"type":"public"}`)
	for _, h := range d.headers {
		if by := h.Get("Authorization"); !regexp.MustCompile(`Credential=AKIDEXAMPLE/\d{8}/eu-central-1/dynamodb/`).MatchString(by) || h.Get("X-Amz-Security-Token") != "session" {
			t.Fatalf("asked by %s, %v", by, h)
		}
	}
	if len(d.headers) < 3 {
		t.Errorf("asked %d times", len(d.headers))
	}
	env["TABLE"] = "two"
	two := start(t, env)
	two.must(http.StatusNotFound, http.MethodGet, "/v1/clients/only-in-one", "")
	one.must(http.StatusOK, http.MethodGet, "/v1/clients/only-in-one", "")
}

// TestConnectionsToDynamoDB checks that as many requests to DynamoDB run at a time as there
// may be connections, and that the connections are kept.
func TestConnectionsToDynamoDB(t *testing.T) {
	var refreshing atomic.Bool
	waiting, all := make(chan struct{}, databaseConns), make(chan struct{})
	d := newDatabase(t, func(r *http.Request) {
		if refreshing.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateItem") {
			waiting <- struct{}{}
			<-all
		}
	})
	p := start(t, map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": d.url, "TABLE": "rotor"})
	tokens := make([]string, databaseConns)
	for i := range tokens {
		_, tokens[i] = p.issue("demo-spa")
	}
	refreshing.Store(true)
	for range 2 {
		var callers sync.WaitGroup
		for _, token := range tokens {
			callers.Go(func() {
				if got := p.refresh("demo-spa", token); got.status != http.StatusOK {
					t.Errorf("%d %v", got.status, got.body)
				}
			})
		}
		for range tokens {
			<-waiting
		}
		for range tokens {
			all <- struct{}{}
		}
		callers.Wait()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opened != databaseConns {
		t.Errorf("%d connections were opened, not %d", d.opened, databaseConns)
	}
}

// TestRestart checks that tokens survive a restart if keys and table do, and so do changes to
// the demo clients.
func TestRestart(t *testing.T) {
	env := outside(t)
	env["KEYS"] = filepath.Join(t.TempDir(), "keys.json")

	before := start(t, env)
	secret := demoSecret(t, before)
	for _, line := range []string{
		"  store  DynamoDB at " + env["AWS_ENDPOINT_URL_DYNAMODB"] + ", table " + env["TABLE"] + "\n", "  keys   ES256, kept in " + env["KEYS"] + "\n",
	} {
		if !strings.Contains(before.stdout, line) {
			t.Errorf("stdout has no %q:\n%s", line, before.stdout)
		}
	}
	if info, err := os.Stat(env["KEYS"]); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file of keys is %v, %v", info, err)
	}
	_, token := before.issue("demo-spa")
	token = before.refresh("demo-spa", token).text("refresh_token")
	before.must(http.StatusOK, http.MethodPut, "/v1/clients/demo-spa", `{"type":"public","policy":{"reuse_interval":7}}`)
	if err := before.stop(); err != nil {
		t.Fatal(err)
	}

	after := start(t, env)
	after.advance("10s") // this is after the reuse interval
	got := after.refresh("demo-spa", token)
	if next := got.text("refresh_token"); got.status != http.StatusOK || next == "" || next == token {
		t.Fatalf("after the restart: %d %v", got.status, got.body)
	}
	if !regexp.MustCompile(`demo-spa +public +7 s `).MatchString(after.stdout) {
		t.Errorf("the changed client is not kept:\n%s", after.stdout)
	}
	if !strings.Contains(after.stdout, "demo-web: has a secret from before, and got no other") || strings.Contains(after.stdout, "rotor_secret_") {
		t.Errorf("about the secret that demo-web has:\n%s", after.stdout)
	}
	_, webToken := after.issue("demo-web")
	web := after.form("/oauth/token", url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {webToken}, "client_id": {"demo-web"}, "client_secret": {secret},
	})
	if web.status != http.StatusOK {
		t.Errorf("the secret from before: %d %v", web.status, web.body)
	}
	if err := after.stop(); err != nil {
		t.Fatal(err)
	}

	delete(env, "KEYS")
	other := start(t, env)
	if got := other.refresh("demo-spa", got.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("with other keys: %d %v", got.status, got.body)
	}
}

func TestRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := start(t, map[string]string{"KEYS": keys, "ALG": "ES256"}).stop(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"config":    {map[string]string{"ADDR": "0.0.0.0:0"}, "ADDR"},
		"port":      {map[string]string{"ADDR": taken.Addr().String()}, "in use"},
		"keys":      {map[string]string{"KEYS": t.TempDir()}, "regular file"},
		"algorithm": {map[string]string{"KEYS": keys, "ALG": "RS256"}, "ES256"},
		"dynamodb":  {map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1"}, "create table rotor"},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"ADDR": "127.0.0.1:0"}
			maps.Copy(env, c.env)
			var stdout logtest.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := Run(ctx, func(name string) string { return env[name] }, writerFunc(func(text []byte) {
				_, _ = stdout.Write(text)
				cancel() // only needed if the test has failed
			}), io.Discard)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			if stdout.String() != "" {
				t.Errorf("it said that it is ready:\n%s", &stdout)
			}
		})
	}
}

// TestStopFinishesRequests checks that on a stop the request in progress is answered, and that
// others cannot connect.
func TestStopFinishesRequests(t *testing.T) {
	p := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const body = `{"advance":"1s"}`
	_, err = io.WriteString(conn, "POST /local/clock HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: 16\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	// The handler has begun to read the body.
	if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
		t.Fatalf("got %q, %v", line, err)
	}
	if _, err := answers.ReadString('\n'); err != nil {
		t.Fatal(err)
	}

	stopped := make(chan error, 1)
	go func() { stopped <- p.stop() }()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			_ = conn.Close()
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request under way: %v", err)
	default:
	}
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the request under way got %d", answer.StatusCode)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestStopCutsOff checks that requests which do not finish are cut off after 30 s, with an
// error.
func TestStopCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		listener := &pipes{conns: make(chan net.Conn, 1)}
		listener.conns <- there
		began := make(chan struct{})
		server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
		})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		if _, err := io.WriteString(here, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-began
		stopped, cancel := context.WithCancel(t.Context())
		cancel() // does what the signal does
		now := time.Now()
		err := shutdown(stopped, server)
		if took := time.Since(now); took != shutdownTimeout || err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("after %v: %v", took, err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if _, err := here.Read(make([]byte, 1)); err == nil {
			t.Error("the request under way was answered")
		}
	})
}

// pipes is a listener in memory.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.conns) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// TestListensOnLoopbackAlone checks that the program listens on loopback only, including the
// address that a name resolves to.
func TestListensOnLoopbackAlone(t *testing.T) {
	listener, err := listen(t.Context(), address{"0.0.0.0", "0"})
	if err == nil || !strings.Contains(err.Error(), "not loopback") || listener != nil {
		t.Errorf("%v, %v", listener, err)
	}
	listener, err = listen(t.Context(), address{"localhost", "0"})
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

// TestWelcomeThatNobodyReads checks that a program which cannot print its address does not
// serve.
func TestWelcomeThatNobodyReads(t *testing.T) {
	gone := errors.New("broken pipe")
	// The kernel may give the port to somebody else meanwhile, but not each time.
	for range 5 {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := free.Addr().String()
		_ = free.Close()
		env := map[string]string{"ADDR": addr, "ALG": "ES256"}
		err = Run(t.Context(), func(name string) string { return env[name] }, failingWriter{gone}, io.Discard)
		if !errors.Is(err, gone) && !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("got %v", err)
		}
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		_ = conn.Close()
	}
	t.Error("it listens still")
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// TestLargeHeaders checks that headers may be as large as API Gateway accepts, and not much
// larger.
func TestLargeHeaders(t *testing.T) {
	p := start(t, nil)
	for size, want := range map[int]int{10 << 10: http.StatusOK, 40 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		r := p.request(http.MethodGet, "/local/clock", "")
		r.Header.Set("X-Padding", strings.Repeat("x", size))
		answer, err := p.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = answer.Body.Close(); answer.StatusCode != want {
			t.Errorf("%d bytes: %d, not %d", size, answer.StatusCode, want)
		}
	}
}

// TestBasePath checks that with BASE_PATH everything is served under that path, as behind an
// API mapping. The program's own paths are guarded there as well.
func TestBasePath(t *testing.T) {
	p := start(t, map[string]string{"BASE_PATH": "/auth", "ORIGINS": "https://app.example.com"})
	if !strings.HasSuffix(p.url, "/auth") {
		t.Fatalf("it is ready at %s", p.url)
	}
	root := strings.TrimSuffix(p.url, "/auth")
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		for _, at := range []string{p.url + path, root + path, root + path + "/auth"} {
			r := p.request(http.MethodGet, "", "")
			var err error
			if r.URL, err = url.Parse(at); err != nil {
				t.Fatal(err)
			}
			if got := p.send(r); got.text("issuer") != p.url || got.text("token_endpoint") != p.url+"/oauth/token" {
				t.Errorf("%s: %d %v", at, got.status, got.body)
			}
		}
	}
	family, token := p.issue("demo-spa")
	if got := p.refresh("demo-spa", token); got.status != http.StatusOK {
		t.Errorf("a refresh: %d %v", got.status, got.body)
	}
	if got := p.must(http.StatusOK, http.MethodGet, "/v1/families/"+family, ""); got.text("status") != "active" {
		t.Errorf("the family is %v", got.body)
	}
	p.must(http.StatusOK, http.MethodPost, "/local/clock", `{"advance":"1s"}`)
	p.must(http.StatusNotFound, http.MethodGet, "/local/nothing", "")
	if got := p.text("/debug/pprof/heap?debug=1", http.StatusOK); !strings.HasPrefix(got, "heap profile: ") {
		t.Errorf("the profile is %.200s", got)
	}
	if line := regexp.MustCompile(`"type":"sapi".*"operation":"issue_family".*"by":"local"`); !line.MatchString(p.stderr.String()) {
		t.Errorf("who has started the family is not on record:\n%s", p.stderr)
	}

	for _, path := range []string{"/v1/families", "/local/clock", "/debug/pprof/heap", "/oauth", "/v1/oauth/token", "/x/oauth/token"} {
		for _, header := range [][2]string{{"Origin", "https://app.example.com"}, {"Sec-Fetch-Site", "cross-site"}} {
			r := p.request(http.MethodPost, path, `{}`)
			r.Header.Set(header[0], header[1])
			wantProblem(t, p.send(r), http.StatusForbidden)
		}
		wantProblem(t, p.form(path, url.Values{"user_id": {"mallory"}}), http.StatusUnsupportedMediaType)
	}
	r := p.request(http.MethodPost, "/oauth/token", `{"grant_type":"refresh_token","client_id":"demo-spa","refresh_token":"x"}`)
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := p.send(r); got.text("error") != "invalid_grant" || got.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("a refresh from the app: %d %v", got.status, got.body)
	}
}
