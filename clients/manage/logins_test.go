//go:build callers

package manage_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/lab/sigv4"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestLoginsOfTheDocumentation runs the logins of docs/login.md as they stand there, except for the
// service's address, and goes the circle with each: from the authorization request of an app over
// the login to the tokens and the logout. The service is behind the verifier of signatures.
func TestLoginsOfTheDocumentation(t *testing.T) {
	for _, l := range []struct {
		info, file string
		more       [2]string // the file of docs/clients.md that it needs
		command    []string
	}{
		{"js", "login.mjs", [2]string{"js", "rotor.mjs"}, []string{"node", "login.mjs"}},
		{"python", "login.py", [2]string{"python", "rotor.py"}, []string{"../venv/bin/python", "login.py"}},
		{"go", "login.go", [2]string{}, []string{"./login"}},
	} {
		t.Run(l.info, func(t *testing.T) {
			w := newLoginWorld(t)
			files := map[string]string{l.file: exampleOf(t, "login.md", l.info, l.file)}
			if n := strings.Count(files[l.file], "\n"); n > 60 {
				t.Errorf("%s has %d lines", l.file, n)
			}
			if l.more[1] != "" {
				files[l.more[1]] = example(t, l.more[0], l.more[1])
			}
			w.run(files, l.command)
			w.circle()
			w.refusals()
		})
	}
}

const (
	appCallback = "https://app.example.com/callback"
	appVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

// loginWorld is a service whose authorization endpoint is a login that is yet to be started, and a
// browser that follows no redirects.
type loginWorld struct {
	t       *testing.T
	service *httptest.Server
	front   *httptest.Server // of the login
	login   atomic.Pointer[url.URL]
	api     *manage.Client
	browser *http.Client
	output  logtest.Buffer // of the login
}

func newLoginWorld(t *testing.T) *loginWorld {
	t.Helper()
	w := &loginWorld{t: t}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(w.login.Load())
		r.Out.Host = r.In.Host
	}}
	w.front = httptest.NewServer(proxy)
	t.Cleanup(w.front.Close)
	clock := storetest.NewClock()
	document, err := keyring.Generate(signing.ES256, clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	_, opened := storetest.Open(t)
	w.service = httptest.NewUnstartedServer(nil)
	api := server.New(server.Config{
		Issuer: "https://" + w.service.Listener.Addr().String(), Table: opened.Table(), Keys: keys, Log: slog.New(slog.DiscardHandler), Now: clock.Now,
		AuthorizationEndpoint: w.front.URL + "/login",
	}).Handler()
	routes := http.NewServeMux()
	routes.Handle("/v1/", sigv4.Verify(api))
	routes.Handle("/", api)
	w.service.Config.Handler = routes
	w.service.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.service.StartTLS()
	t.Cleanup(w.service.Close)
	cfg := aws.Config{Region: sigv4.Region, Credentials: credentials.NewStaticCredentialsProvider(sigv4.AccessKeyID, sigv4.SecretAccessKey, sigv4.SessionToken)}
	if w.api, err = manage.New(w.service.URL, manage.Options{AWS: &cfg, HTTPClient: w.service.Client()}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.api.Register(t.Context(), "app", &manage.Settings{Type: "public", Scope: "openid read", RedirectURIs: []string{appCallback}}); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.browser = &http.Client{
		Transport: w.service.Client().Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return w
}

// run starts the login, which says where it listens, and ends it with the test.
func (w *loginWorld) run(files map[string]string, command []string) {
	w.t.Helper()
	dir, err := os.MkdirTemp(callers, "run-")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	files["ca.pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.service.Certificate().Raw}))
	for name, text := range files {
		text = strings.ReplaceAll(text, "https://auth.example.com", w.service.URL)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, ok := files["login.go"]; ok {
		build := exec.CommandContext(w.t.Context(), "go", "build", "-o", "login", "login.go")
		build.Dir = dir
		if out, err := build.CombinedOutput(); err != nil {
			w.t.Fatalf("build the login: %v\n%s", err, out)
		}
	}
	cmd := exec.CommandContext(w.t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "PORT=0", "NO_PROXY=*", "NODE_EXTRA_CA_CERTS=ca.pem", "REQUESTS_CA_BUNDLE=ca.pem", "SSL_CERT_FILE=ca.pem",
		"AWS_REGION=" + sigv4.Region, "AWS_DEFAULT_REGION=" + sigv4.Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + sigv4.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + sigv4.SecretAccessKey, "AWS_SESSION_TOKEN=" + sigv4.SessionToken,
	}
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = in.CloseWithError(errors.Join(io.EOF, cmd.Wait()))
	}()
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill() // may have ended with the test's context
		<-ended
	})
	lines := bufio.NewReader(out)
	listens := regexp.MustCompile(`The login listens on (127\.0\.0\.1:\d+)`)
	for {
		line, err := lines.ReadString('\n')
		if found := listens.FindStringSubmatch(line); found != nil {
			w.login.Store(&url.URL{Scheme: "http", Host: found[1]})
			break
		}
		_, _ = io.WriteString(&w.output, line)
		if err != nil {
			w.t.Fatalf("the login does not listen: %v\n%s", err, &w.output)
		}
	}
	go func() { _, _ = io.Copy(&w.output, lines) }()
}

// request returns an authorization request of the app. The changes come in pairs.
func (w *loginWorld) request(changes ...string) url.Values {
	sum := sha256.Sum256([]byte(appVerifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {appCallback}, "scope": {"openid read"}, "state": {`s&"<t>`}, "nonce": {"n"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}, "max_age": {"600"},
	}
	for i := 0; i < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
	}
	return q
}

// page is what the browser got.
type page struct {
	status int
	header http.Header
	body   string
}

// send makes a request as a browser does. A form is posted by a page of the site.
func (w *loginWorld) send(address string, form url.Values, site string) page {
	w.t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", site)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", w.front.URL)
		if site != "same-origin" {
			r.Header.Set("Origin", "https://evil.example")
		}
	}
	res, err := w.browser.Do(r)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, &w.output)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return page{res.StatusCode, res.Header, string(body)}
}

// arrive leads the browser from the app to the login, and returns the login's address and page.
func (w *loginWorld) arrive(q url.Values) (string, page) {
	w.t.Helper()
	sent := w.send(w.service.URL+"/authorize?"+q.Encode(), nil, "cross-site")
	at := sent.header.Get("Location")
	if sent.status != http.StatusFound || !strings.HasPrefix(at, w.front.URL+"/login?") {
		w.t.Fatalf("/authorize: %d to %s", sent.status, at)
	}
	return at, w.send(at, nil, "cross-site")
}

// sentBack returns the parameters with which the login sends the browser to the app.
func (w *loginWorld) sentBack(p page) url.Values {
	w.t.Helper()
	query, ok := strings.CutPrefix(p.header.Get("Location"), appCallback+"?")
	q, err := url.ParseQuery(query)
	if p.status != http.StatusSeeOther || !ok || err != nil {
		w.t.Fatalf("the login answers %d to %q: %v\n%s\n%s", p.status, p.header.Get("Location"), err, p.body, &w.output)
	}
	if q.Get("state") != `s&"<t>` || q.Get("iss") != w.service.URL {
		w.t.Errorf("the app is sent the state %q and the issuer %q", q.Get("state"), q.Get("iss"))
	}
	return q
}

// token asks the token endpoint as the app does.
func (w *loginWorld) token(form url.Values) (status int, answer map[string]any) {
	w.t.Helper()
	form.Set("client_id", "app")
	res, err := w.browser.PostForm(w.service.URL+"/oauth/token", form)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, answer
}

// circle goes from the app over the login and back, to tokens, and to the logout.
func (w *loginWorld) circle() {
	w.t.Helper()
	at, shown := w.arrive(w.request())
	if shown.status != http.StatusOK || !strings.Contains(shown.body, "app asks who you are") || !strings.Contains(shown.body, `<form method="post">`) {
		w.t.Fatalf("the login shows %d\n%s\n%s", shown.status, shown.body, &w.output)
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "text/html; charset=utf-8",
	} {
		if !strings.Contains(shown.header.Get(name), want) {
			w.t.Errorf("%s of the login is %q", name, shown.header.Get(name))
		}
	}
	allow := url.Values{"do": {"allow"}, "name": {"alice"}, "password": {"wonderland"}}
	back := w.sentBack(w.send(at, allow, "same-origin"))
	status, tokens := w.token(url.Values{"grant_type": {"authorization_code"}, "code": {back.Get("code")}, "redirect_uri": {appCallback}, "code_verifier": {appVerifier}})
	if status != http.StatusOK || tokens["scope"] != "openid read" {
		w.t.Fatalf("the code is answered %d", status)
	}
	family := w.family()
	if family.Status != "active" || family.ClientID != "app" || len(family.AMR) != 1 || family.AuthTime.IsZero() {
		w.t.Errorf("the family is %+v", family)
	}
	token, _ := tokens["refresh_token"].(string)
	if status, tokens = w.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}); status != http.StatusOK {
		w.t.Errorf("a refresh is answered %d", status)
	}
	id, _ := tokens["id_token"].(string)
	if p := w.send(w.service.URL+"/oauth/logout", url.Values{"id_token_hint": {id}}, "same-origin"); p.status != http.StatusOK || w.family().Status != "revoked" {
		w.t.Errorf("the logout is answered %d, and the family is %s", p.status, w.family().Status)
	}
}

// family returns the family of alice, who must have one.
func (w *loginWorld) family() *manage.Family {
	w.t.Helper()
	found := all(w.t, w.api.Families(w.t.Context(), manage.FamilyFilter{UserID: "alice"}))
	if len(found) != 1 {
		w.t.Fatalf("alice has %d families", len(found))
	}
	return found[0]
}

// refusals checks all ways in which nobody is logged in. No family begins.
func (w *loginWorld) refusals() {
	w.t.Helper()
	allow := url.Values{"do": {"allow"}, "name": {"alice"}, "password": {"wonderland"}}
	at, _ := w.arrive(w.request())
	if got := w.sentBack(w.send(at, url.Values{"do": {"deny"}}, "same-origin")).Get("error"); got != "access_denied" {
		w.t.Errorf("a refusal is told as %q", got)
	}
	if _, p := w.arrive(w.request("prompt", "none")); w.sentBack(p).Get("error") != "login_required" {
		w.t.Errorf("prompt=none is told as %q", p.header.Get("Location"))
	}
	noChallenge, _ := w.arrive(w.request("code_challenge_method", "plain"))
	if got := w.sentBack(w.send(noChallenge, allow, "same-origin")).Get("error"); got != "invalid_request" {
		w.t.Errorf("a wrong request is told as %q", got)
	}
	unknown, _ := w.arrive(w.request("client_id", `<b>"nobody`))
	elsewhere, _ := w.arrive(w.request("redirect_uri", "https://evil.example/"))
	for name, p := range map[string]page{
		"a wrong password":       w.send(at, url.Values{"do": {"allow"}, "name": {"alice"}, "password": {"x"}}, "same-origin"),
		"no password":            w.send(at, url.Values{"do": {"allow"}}, "same-origin"),
		"no form":                w.send(at, url.Values{}, "same-origin"),
		"the form of a page":     w.send(at, allow, "cross-site"),
		"a neighbour's form":     w.send(at, allow, "same-site"),
		"a long form":            w.send(at, url.Values{"do": {"allow"}, "name": {strings.Repeat("x", 5000)}}, "same-origin"),
		"an unknown client":      w.send(unknown, allow, "same-origin"),
		"an address of nobody's": w.send(elsewhere, allow, "same-origin"),
	} {
		if p.status < 400 || p.status > 502 || p.header.Get("Location") != "" {
			w.t.Errorf("%s: %d to %q\n%s", name, p.status, p.header.Get("Location"), p.body)
		}
	}
	if _, p := w.arrive(w.request("client_id", `<b>"nobody`)); strings.Contains(p.body, "<b>") {
		w.t.Errorf("the page has what the address brings:\n%s", p.body)
	}
	w.family()
	if leaked := regexp.MustCompile(`rotor_[A-Za-z0-9_-]{8,}|eyJhbGciOi|wonderland|code_challenge`).FindString(w.output.String()); leaked != "" {
		w.t.Errorf("the login prints %q", leaked)
	}
	if strings.Contains(w.output.String(), "Traceback") {
		w.t.Errorf("the login fails:\n%s", &w.output)
	}
}
