//go:build browser

package browser

import (
	"bufio"
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/lab/process"
	"github.com/rotor-auth/rotor/lab/sigv4"
	"github.com/rotor-auth/rotor/shared/logtest"
)

// gateway is a local run behind TLS, signatures and permissions, as a deployment is.
type gateway struct {
	*server
	url  string // of the gateway
	file string // has its certificate

	mu     sync.Mutex
	denied string // the method and the beginning of a path that the caller may not call
	asked  []string
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{server: start(t), file: filepath.Join(t.TempDir(), "gateway.pem")}
	target, err := url.Parse(g.server.url)
	if err != nil {
		t.Fatal(err)
	}
	service := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	s := httptest.NewTLSServer(sigv4.Verify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := r.Method + " " + r.URL.Path
		g.mu.Lock()
		g.asked = append(g.asked, call)
		denied := g.denied != "" && strings.HasPrefix(call, g.denied)
		g.mu.Unlock()
		if denied {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"Message":"User: arn:aws:iam::123456789012:user/support is not authorized"}`))
			return
		}
		service.ServeHTTP(w, r)
	})))
	t.Cleanup(s.Close)
	g.url = s.URL
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(g.file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// deny takes away a permission, and "" gives it back.
func (g *gateway) deny(call string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denied = call
}

// console starts "rotor console" for the gateway, and returns the address that it prints.
func (g *gateway) console() string {
	g.t.Helper()
	program, err := process.Build(g.t.TempDir(), "./cmd/rotor")
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "console", "--url", g.url)
	cmd.Env = []string{
		"AWS_ACCESS_KEY_ID=" + sigv4.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + sigv4.SecretAccessKey, "AWS_SESSION_TOKEN=" + sigv4.SessionToken,
		"AWS_REGION=" + sigv4.Region, "SSL_CERT_FILE=" + g.file, "HOME=" + g.t.TempDir(),
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	dieWithUs(cmd)
	said := &logtest.Buffer{}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // is an error after every signal
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			g.t.Errorf("rotor console ends with %d", code)
		}
		if said.String() != "" {
			g.t.Errorf("rotor console says: %s", said)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address := regexp.MustCompile(`http://127\.0\.0\.1:\d+/\S*`).FindString(lines.Text()); address != "" {
			return address
		}
	}
	g.t.Fatalf("rotor console prints no address: %s", said)
	return ""
}

// TestSignedConsole uses the console of a service that asks for signatures: the credentials that it
// signs with reach no page, and where one lacks a permission the page names it.
func TestSignedConsole(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	token := g.dead()
	g.login(&manage.Login{UserID: "alice", ClientID: "demo-spa", Device: "phone"})
	address := g.console()
	base, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/?")
	p := newTab(t, "http://"+base)
	if status := p.open("/console/users?user_id=alice"); status != http.StatusForbidden || strings.Contains(p.body(), "phone") {
		t.Errorf("without its key the console answers %d", status)
	}
	p.accessible()
	p.visit(address)
	var shown strings.Builder
	keep := func() {
		t.Helper()
		p.accessible()
		shown.WriteString(read(p, chromedp.OuterHTML(chromedp.CSS("html"))))
	}
	keep()
	for _, path := range []string{"/console/users?user_id=alice", "/console/clients", "/console/clients/demo-web", "/console/events"} {
		if status := p.open(path); status != http.StatusOK {
			t.Errorf("%s is answered with %d:\n%s", path, status, p.body())
		}
		keep()
	}
	p.open("/console/explain")
	p.fill("#pasted", token)
	p.follow("form.ask button")
	p.verdict("dead")
	keep()
	p.open("/console/users?user_id=alice")
	p.follow("a.danger")
	p.follow("form button.danger")
	p.sees(".told", "One session was ended.")
	keep()

	for _, test := range []struct{ call, path, want string }{
		{"GET /v1/families", "/console/users?user_id=alice", "execute-api:Invoke on …/GET/v1/families"},
		{"DELETE /v1/families", "/console/users/end?user_id=alice", "execute-api:Invoke on …/DELETE/v1/families"},
		{"GET /v1/clients", "/console/clients", "execute-api:Invoke on …/GET/v1/clients"},
		{"GET /v1/events", "/console/events", "execute-api:Invoke on …/GET/v1/events"},
		{"POST /v1/explain", "/console/explain?family=" + strings.Repeat("A", 43), "execute-api:Invoke on …/POST/v1/explain"},
	} {
		g.deny(test.call)
		if status := p.open(test.path); status != http.StatusForbidden {
			t.Errorf("without %s: %d", test.call, status)
		}
		p.sees("main [role=alert]", test.want)
		keep()
	}
	// The page of a client shows what it may, and says what it lacks for the rest.
	g.deny("GET /v1/events")
	p.open("/console/clients/demo-spa")
	p.sees("main", "Reuse interval")
	p.sees("main", "execute-api:Invoke on …/GET/v1/events")
	keep()

	everything := shown.String() + strings.Join(p.heard(), "\n") + strings.Join(p.urls(), "\n")
	for name, secret := range map[string]string{
		"the key's id": sigv4.AccessKeyID, "the secret key": sigv4.SecretAccessKey, "the session token": sigv4.SessionToken, "a signature": "AWS4-HMAC",
	} {
		if strings.Contains(everything, secret) {
			t.Errorf("%s has reached the browser", name)
		}
	}
	if len(p.heard()) < 20 || !strings.Contains(everything, "Content-Security-Policy") {
		t.Errorf("of only %d answers the headers were seen", len(p.heard()))
	}
	host, _, _ := strings.Cut(base, "/")
	for _, asked := range p.urls() {
		if !strings.HasPrefix(asked, "http://"+host+"/") && !strings.HasPrefix(asked, "data:") {
			t.Errorf("the browser has asked %s", asked)
		}
	}
}

// TestCookieOfTheConsoleStaysThere leads the browser of the console to a server on another port, as
// any page can: it must not get the cookie, and it gets another one to show that cookies are sent.
func TestCookieOfTheConsoleStaysThere(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get("Cookie")+r.Header.Get("Referer"))
		http.SetCookie(w, &http.Cookie{Name: "thief", Value: "1"})
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<link rel="icon" href="data:,"><a href="/again">again</a>`)
	}))
	t.Cleanup(thief.Close)
	address := newGateway(t).console()
	base, _, _ := strings.Cut(address, "/?")
	p := newTab(t, base)
	p.visit(address)
	p.visit(thief.URL)
	p.follow("a")
	if status := p.open("/console/clients"); status != http.StatusOK {
		t.Errorf("the console's own browser: %d", status)
	}
	mu.Lock()
	defer mu.Unlock()
	if seen := strings.Join(got, " "); len(got) < 2 || !strings.Contains(seen, "thief=1") || strings.Contains(seen, "rotor") || strings.Contains(seen, base) {
		t.Errorf("the other server got %q", got)
	}
}
