//go:build examples

// Package examples runs the apps of the folder examples against Rotor, in a real Chromium.
package examples

import (
	"bufio"
	"context"
	"encoding/json"
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
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/local"
	"github.com/rotor-auth/rotor/shared/logtest"
)

const (
	installed = "../../.tools/examples" // where `make test-examples` has copied and installed the apps

	// user is the address that browsers have, as the proxy in front of an app tells it.
	user = "203.0.113.24"

	// lifetime is how long an access token lives.
	lifetime = 2 * time.Second
)

// secrets matches what must not be in a log or an address: codes, refresh tokens, client secrets and JWTs.
var secrets = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{8,}|eyJhbGciOi[A-Za-z0-9_-]*`)

// world has a service, and an app behind a proxy.
type world struct {
	t      *testing.T
	folder string // of the app, installed
	rotor  string // the address of the service
	app    string // the address of the app, as browsers know it
	api    *manage.Client
	log    *logtest.Buffer
	env    []string // of the app's process
	server atomic.Pointer[url.URL]
	stop   func() // ends the app's process
	down   func() // stops the service
}

// start starts a service, registers the app of that name with the commands of its README, and starts
// it. More variables of its environment follow.
func start(t *testing.T, name string, env ...string) *world {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(installed, name))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, folder: folder, log: &logtest.Buffer{}, stop: func() {}}
	w.serve()
	// It does what a load balancer does: it tells the app whom a request came from.
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(w.server.Load())
			r.Out.Host = r.In.Host
			r.Out.Header.Set("X-Forwarded-For", user)
		},
		ErrorLog: nil,
	})
	t.Cleanup(proxy.Close)
	w.app = proxy.URL
	variables := w.register(name)
	w.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NO_PROXY=*", "NEXT_TELEMETRY_DISABLED=1", "PORT=0",
		"ISSUER=" + w.rotor, "ORIGIN=" + w.app,
	}, append(variables, env...)...)
	w.run()
	t.Cleanup(func() { w.stop() })
	return w
}

// serve starts the service. At the end of the test it must stop without an error, and must not have
// logged a secret.
func (w *world) serve() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.down = cancel
	welcome, done := make(chan string, 1), make(chan error, 1)
	env := map[string]string{"ADDR": "127.0.0.1:0", "ALG": "ES256"}
	go func() {
		done <- local.Run(ctx, func(name string) string { return env[name] }, writerFunc(func(text []byte) { welcome <- string(text) }), w.log)
	}()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("rotor run: %v", err)
		}
		if secrets.MatchString(w.log.String()) {
			w.t.Errorf("the log has a secret:\n%s", secrets.ReplaceAllString(w.log.String(), "[SECRET]"))
		}
	})
	select {
	case text := <-welcome:
		w.rotor = regexp.MustCompile(`\ARotor is ready at (http://\S+)\n`).FindStringSubmatch(text)[1]
	case err := <-done:
		done <- nil
		w.t.Fatalf("rotor run: %v\n%s", err, w.log)
	}
	var err error
	if w.api, err = manage.New(w.rotor, manage.Options{}); err != nil {
		w.t.Fatal(err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// register runs the commands by which the README registers the app, for the addresses of this test
// and with short access tokens. It returns the variables that they export.
func (w *world) register(name string) []string {
	w.t.Helper()
	page, err := os.ReadFile(filepath.Join("../../examples", name, "README.md"))
	if err != nil {
		w.t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)\n```sh\n(.*?)\n```\n").FindStringSubmatch(string(page))
	if block == nil {
		w.t.Fatalf("the README of %s registers nothing", name)
	}
	commands := strings.ReplaceAll(block[1], "http://127.0.0.1:3000", w.rotor)
	for _, change := range []struct{ from, to string }{
		{`http://127\.0\.0\.1:400\d\b`, w.app},
		{`"scope":`, `"policy":{"access_token_lifetime":2},"scope":`},
	} {
		from := regexp.MustCompile(change.from)
		if !from.MatchString(commands) {
			w.t.Fatalf("the README of %s has no %s", name, change.from)
		}
		commands = from.ReplaceAllString(commands, change.to)
	}
	cmd := exec.CommandContext(w.t.Context(), "bash", "-euo", "pipefail", "-c", commands+"\nenv")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NO_PROXY=*"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("the commands of the README: %v\n%s", err, secrets.ReplaceAllString(string(out), "[SECRET]"))
	}
	var variables []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "CLIENT_") {
			variables = append(variables, line)
		}
	}
	return variables
}

// run starts the app's process, as npm start does.
func (w *world) run() {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.folder, "package.json"))
	if err != nil {
		w.t.Fatalf("make test-examples installs what is needed: %v", err)
	}
	var manifest struct{ Scripts struct{ Start string } }
	if err := json.Unmarshal(text, &manifest); err != nil {
		w.t.Fatal(err)
	}
	// Without npm in between, since npm leaves the app behind if it is killed.
	command := strings.Fields(manifest.Scripts.Start)
	if bin := filepath.Join(w.folder, "node_modules/.bin", command[0]); command[0] != "node" {
		command[0] = bin
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir, cmd.Env = w.folder, w.env
	dieWithUs(cmd)
	var stderr logtest.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.stop = func() {
		w.stop = func() {}
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if w.t.Failed() {
			w.t.Logf("the app: %s", secrets.ReplaceAllString(stderr.String(), "[SECRET]"))
		}
	}
	address := regexp.MustCompile(`http://(127\.0\.0\.1|localhost):\d+`)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if found := address.FindString(lines.Text()); found != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			at, err := url.Parse(found)
			if err != nil {
				w.t.Fatal(err)
			}
			w.server.Store(at)
			return
		}
	}
	w.stop()
	w.t.Fatalf("the app does not start: %s", stderr.String())
}

// later moves the service's clock past the reuse interval.
func (w *world) later() {
	w.t.Helper()
	response, err := http.Post(w.rotor+"/local/clock", "application/json", strings.NewReader(`{"advance":"2m"}`))
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("the clock: %v, %v", response, err)
	}
	_ = response.Body.Close()
}

// refreshes returns how many refreshes the log has.
func (w *world) refreshes() int { return strings.Count(w.log.String(), `"type":"sertft"`) }

// refreshOnce runs what needs a new access token many times at once, and checks that one refresh was made for all of it. On a
// slow machine that token may be due again meanwhile: a session refreshes after three quarters of the lifetime at the earliest.
func (w *world) refreshOnce(work func()) {
	w.t.Helper()
	if made, most := w.during(work); made < 1 || made > most {
		w.t.Errorf("there were %d refreshes, not 1 to %d", made, most)
	}
}

// during runs work, and returns how many refreshes were made meanwhile, and how many were due at most.
func (w *world) during(work func()) (made, most int) {
	w.t.Helper()
	before, began := w.refreshes(), time.Now()
	work()
	return w.refreshes() - before, 1 + int(time.Since(began)/(lifetime*3/4))
}

// family returns the newest family of alice in a client.
func (w *world) family(client string) *manage.Family {
	w.t.Helper()
	for f, err := range w.api.Families(w.t.Context(), manage.FamilyFilter{UserID: "alice", ClientID: client}) {
		if err != nil {
			w.t.Fatal(err)
		}
		return f
	}
	w.t.Fatalf("alice has no family in %s", client)
	return nil
}

// isAlive checks that the newest family of alice lives, at that refresh token.
func (w *world) isAlive(client string, counter uint32) {
	w.t.Helper()
	if f := w.family(client); f.Status != "active" || f.Counter != counter {
		w.t.Errorf("the family is %s at token %d, not active at %d", f.Status, f.Counter, counter)
	}
}

// isOver checks that the newest family of alice has ended, and why.
func (w *world) isOver(client, cause string) {
	w.t.Helper()
	if f := w.family(client); f.Status != "revoked" || f.Cause != cause {
		w.t.Errorf("the family is %s by %s, not by %s", f.Status, f.Cause, cause)
	}
}
