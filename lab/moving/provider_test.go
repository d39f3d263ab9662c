//go:build moving

// Package moving moves sessions from an unmodified provider, node-oidc-provider, to Rotor.
package moving

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"golang.org/x/oauth2"
)

const (
	libraries = "../../.tools/moving" // which `make test-moving` fetches
	callback  = "https://shop.example/callback"
)

// provider is a node-oidc-provider in a process of its own.
type provider struct {
	t      *testing.T
	issuer string
	secret string

	mu  sync.Mutex
	in  io.WriteCloser
	out *bufio.Scanner
}

// startProvider starts a provider, which ends with the test.
func startProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t, secret: "secret+" + rand.Text()}
	dir, err := os.MkdirTemp(libraries, "run-")
	if err != nil {
		t.Fatalf("make test-moving fetches what is needed: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	script, err := os.ReadFile("provider.mjs")
	if err != nil {
		t.Fatal(err)
	}
	// Node looks for libraries in the folders above a module.
	path := filepath.Join(dir, "provider.mjs")
	if err := os.WriteFile(path, script, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NODE_NO_WARNINGS=1", "CLIENT_SECRET=" + p.secret, "REDIRECT_URI=" + callback}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewScanner(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.in.Close()
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("the provider: %v\n%s", err, stderr.String())
		}
	})
	var hello struct{ Issuer string }
	p.read(&hello)
	p.issuer = hello.Issuer
	return p
}

// read reads the provider's next line of JSON.
func (p *provider) read(v any) {
	p.t.Helper()
	for p.out.Scan() {
		if line := p.out.Text(); strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), v); err != nil {
				p.t.Fatal(err)
			}
			return
		}
	}
	p.t.Fatalf("the provider says no more: %v", p.out.Err())
}

// counts are the refreshes that the provider has seen, and the grants that it revoked.
type counts struct{ Success, Refused, Revoked int }

// asks makes the provider obey a command, and returns its answer.
func (p *provider) asks(command string) (c counts) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		p.t.Fatal(err)
	}
	p.read(&c)
	return c
}

// config returns what the application knows of the provider.
func (p *provider) config() *oauth2.Config {
	return &oauth2.Config{
		ClientID: "shop-old", ClientSecret: p.secret, RedirectURL: callback, Scopes: []string{"openid", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: p.issuer + "/auth", TokenURL: p.issuer + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
}

// refresh refreshes at the provider, and returns the new refresh token or the code of the error.
func (p *provider) refresh(token string) (next, code string) {
	p.t.Helper()
	got, err := p.config().TokenSource(p.t.Context(), &oauth2.Token{RefreshToken: token}).Token()
	if err != nil {
		var refused *oauth2.RetrieveError
		if !asRetrieve(err, &refused) {
			p.t.Fatal(err)
		}
		return "", refused.ErrorCode
	}
	return got.RefreshToken, ""
}

// action matches the address of a form of the provider's own pages.
var action = regexp.MustCompile(`action="([^"]+)"`)

// login logs a user in at the provider, through its own pages, and returns the refresh token.
func (p *provider) login(user string) string {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	verifier := oauth2.GenerateVerifier()
	request := p.config().AuthCodeURL(rand.Text(), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "consent"))
	resp, err := browser.Get(request)
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {user}, "password": {"any"}}, {"prompt": {"consent"}}} {
		if err != nil {
			p.t.Fatal(err)
		}
		page, readErr := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		found := action.FindSubmatch(page)
		if readErr != nil || found == nil {
			p.t.Fatalf("%s is no form: %v\n%s", resp.Request.URL, readErr, page)
		}
		to, parseErr := resp.Request.URL.Parse(string(found[1]))
		if parseErr != nil {
			p.t.Fatal(parseErr)
		}
		resp, err = browser.PostForm(to.String(), form)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		p.t.Fatalf("%s: %v", resp.Status, err)
	}
	tokens, err := p.config().Exchange(p.t.Context(), to.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		p.t.Fatal(err)
	}
	return tokens.RefreshToken
}
