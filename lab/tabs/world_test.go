//go:build tabs

package tabs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// libraries is the folder with the package for JavaScript, which `make test-tabs` bundles.
const libraries = "../../.tools/tabs"

// secrets matches what must not be in a log or in reach of a script: refresh tokens, and codes.
var secrets = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{8,}`)

// world has a service and the hosts of pages, behind one listener with TLS.
type world struct {
	t       testing.TB
	port    string
	store   *storetest.Transport
	api     *manage.Client
	client  *http.Client // finds the hosts
	log     *logtest.Buffer
	ahead   atomic.Int64 // how far the service's clock was moved
	service http.Handler
	// door stands between pages and the service, and passes a request on. It is the service unless a test sets it.
	door http.Handler

	mu    sync.Mutex
	pages map[string]string           // those of the test, by host and path
	toss  string                      // the cookie that the sibling's answer sets
	app   map[string]http.HandlerFunc // the app's own, by method and path
}

// keys are the keys of all services.
var keys = sync.OnceValues(func() (keyring.Source, error) {
	document, err := keyring.Generate(signing.ES256, time.Now())
	if err != nil {
		return nil, err
	}
	return keyring.Local(document)
})

// newWorld starts a service that pages of the app may call, and of other hosts if they are given, and the hosts. Its log must
// have no secret.
func newWorld(t testing.TB, others ...string) *world {
	t.Helper()
	return startWorld(t, server.Config{}, others...)
}

// startWorld does what newWorld does, with lives of the config.
func startWorld(t testing.TB, config server.Config, others ...string) *world {
	t.Helper()
	w := &world{t: t, log: &logtest.Buffer{}, pages: map[string]string{}, app: map[string]http.HandlerFunc{}}
	source, err := keys()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	hosts := httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	_, w.port, _ = net.SplitHostPort(hosts.Listener.Addr().String())
	var origins []string
	for _, host := range append(others, appHost) {
		origins = append(origins, w.url(host))
	}
	table, transport := storetest.Open(t)
	w.store = transport
	config.Issuer, config.Table, config.Keys, config.Log = w.url(authHost), table, source, slog.New(slog.NewJSONHandler(w.log, nil))
	config.Now = func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }
	config.Origins = origin.ParseSet(origins, func(value, want string) { t.Fatalf("%s is not %s", value, want) })
	w.service = server.New(config).Handler()
	w.door = w.service
	hosts.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	hosts.Config.ErrorLog = log.New(io.Discard, "", 0) // Chromium opens connections that it does not use
	hosts.StartTLS()
	t.Cleanup(func() {
		hosts.CloseClientConnections()
		hosts.Close()
		if secrets.MatchString(w.log.String()) {
			t.Errorf("the log has a secret:\n%s", secrets.ReplaceAllString(w.log.String(), "[SECRET]"))
		}
	})
	roots := x509.NewCertPool()
	roots.AddCert(certificate.Leaf)
	w.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, hosts.Listener.Addr().String())
		},
	}}
	t.Cleanup(w.client.CloseIdleConnections)
	if w.api, err = manage.New(w.url(authHost), manage.Options{HTTPClient: w.client}); err != nil {
		t.Fatal(err)
	}
	return w
}

// url returns the origin of a host.
func (w *world) url(host string) string { return "https://" + host + ":" + w.port }

// serve passes a request on to its host.
func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	if host == authHost {
		w.door.ServeHTTP(rw, r)
		return
	}
	w.mu.Lock()
	page, ok := w.pages[host+r.URL.Path]
	own := w.app[r.Method+" "+r.URL.Path]
	w.mu.Unlock()
	switch file := path.Clean(r.URL.Path); {
	case host == appHost && own != nil:
		own(rw, r)
	case host == siblingHost && file == "/tossed":
		w.mu.Lock()
		rw.Header().Set("Set-Cookie", w.toss)
		w.mu.Unlock()
		_, _ = io.WriteString(rw, "tossed")
	case ok:
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(rw, page)
	case host == appHost && strings.HasPrefix(file, "/pages/"):
		serveFile(rw, r, "."+file)
	case host == appHost && (file == "/rotor.js" || file == "/dpop.js" || strings.HasPrefix(file, "/chunk-")):
		serveFile(rw, r, libraries+file)
	case file == "/favicon.ico":
		rw.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(rw, r)
	}
}

// serveFile answers with a file, whose type its name tells.
func serveFile(rw http.ResponseWriter, r *http.Request, name string) {
	if _, err := os.Stat(name); errors.Is(err, os.ErrNotExist) {
		http.Error(rw, name+" is missing: make test-tabs builds it", http.StatusNotFound)
		return
	}
	http.ServeFile(rw, r, name)
}

// page serves a page of the test.
func (w *world) page(host, path, html string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pages[host+path] = html
}

// handle serves a path of the app.
func (w *world) handle(method, path string, h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.app[method+" "+path] = h
}

// register makes a client whose access tokens live for two seconds.
func (w *world) register(client string, change func(*manage.Settings)) {
	w.t.Helper()
	s := &manage.Settings{
		Type: "public", Transport: "cookie", Scope: "orders", RedirectURIs: []string{w.url(appHost) + "/callback"},
		Policy: map[string]any{"access_token_lifetime": 2},
	}
	if change != nil {
		change(s)
	}
	if _, err := w.api.Register(w.t.Context(), client, s); err != nil {
		w.t.Fatal(err)
	}
}

// code is what a page exchanges for its first tokens.
type code struct {
	Code     string `json:"code"`
	Verifier string `json:"codeVerifier"`
	family   string
}

// code starts a family, and returns its code.
func (w *world) code(client, user string) code {
	w.t.Helper()
	c := code{Verifier: rand.Text() + rand.Text()}
	sum := sha256.Sum256([]byte(c.Verifier))
	answer, err := w.api.StartWithCode(w.t.Context(), &manage.Login{UserID: user, ClientID: client, Scope: "orders"}, manage.CodeRequest{Challenge: base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		w.t.Fatal(err)
	}
	c.Code, c.family = answer.Code, answer.Family
	return c
}

// families returns the families of a user.
func (w *world) families(user string) []*manage.Family {
	w.t.Helper()
	var all []*manage.Family
	for f, err := range w.api.Families(w.t.Context(), manage.FamilyFilter{UserID: user}) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// alive checks that a family lives.
func (w *world) alive(family string) {
	w.t.Helper()
	f, err := w.api.Family(w.t.Context(), family)
	if err != nil {
		w.t.Fatal(err)
	}
	if f.Status != "active" {
		w.t.Errorf("the family of %s is %s", f.UserID, f.Status)
	}
}

// later moves the service's clock, so that the reuse interval is over.
func (w *world) later() { w.ahead.Add(int64(61 * time.Second)) }

// query returns an address of the app with parameters, which come in pairs.
func (w *world) query(path string, parameters ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		v.Set(parameters[i], parameters[i+1])
	}
	return w.url(appHost) + path + "?" + v.Encode()
}
