//go:build logins

// Package login runs unmodified SDKs of OAuth and OpenID Connect against Rotor, from the
// authorization request to the logout.
package login

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

const (
	libraries = "../../.tools/logins" // which `make test-logins` fetches
	clientID  = "app"

	// patience is how long an SDK may take for a case.
	patience = 2 * time.Minute
)

// secrets matches what must not be in a log: codes, refresh tokens, client secrets and JWTs.
var secrets = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{8,}|eyJhbGciOi[A-Za-z0-9_-]*`)

// world has a service, its login, and the server of an app, each on a port of its own. The
// service and the login have TLS, since some SDKs insist on it.
type world struct {
	t        *testing.T
	rotor    *httptest.Server
	login    *httptest.Server
	app      *httptest.Server
	api      *manage.Client
	log      *logtest.Buffer
	ahead    atomic.Int64 // how far the clock was moved
	tokens   atomic.Int64 // how many token requests there were
	outage   atomic.Int64 // how many of the next ones the store fails
	broken   atomic.Bool  // the store fails now
	reports  chan []byte  // of pages
	callback string       // the app's redirect URI
	left     string       // the app's post-logout redirect URI
	secret   string       // of a confidential client
	key      []byte       // of a client that authenticates by it, a JWK
	keySet   []byte       // the JWK Set of that client
}

// keys are the keys of all services. auth0-spa-js knows no algorithm but RS256.
var keys = sync.OnceValues(func() (keyring.Source, error) {
	document, err := keyring.Generate(signing.RS256, time.Now())
	if err != nil {
		return nil, err
	}
	return keyring.Local(document)
})

// newWorld starts a service with a client that has the default policy, and redirect URIs at
// that path of the app. The log of the service must have no secret.
func newWorld(t *testing.T, kind, path string) *world {
	t.Helper()
	w := &world{t: t, log: &logtest.Buffer{}, reports: make(chan []byte, 1)}
	w.app = httptest.NewServer(w.serveApp())
	t.Cleanup(w.app.Close)
	w.login = httptest.NewTLSServer(http.HandlerFunc(w.authenticate))
	t.Cleanup(w.login.Close)
	w.callback, w.left = w.app.URL+path, w.app.URL+path+"?left=1"
	w.startRotor()
	var err error
	if w.api, err = manage.New(w.rotor.URL, manage.Options{HTTPClient: w.rotor.Client()}); err != nil {
		t.Fatal(err)
	}
	settings := &manage.Settings{
		Type: kind, Scope: "openid profile orders", RedirectURIs: []string{w.callback}, PostLogoutRedirectURIs: []string{w.left},
	}
	switch kind {
	case "keys":
		settings.Type = "confidential"
		w.newKey(jose.ES256)
		settings.JWKS = w.keySet
	case "jwks_uri":
		settings.Type = "confidential"
		w.newKey(jose.EdDSA)
		settings.JWKSURI = w.app.URL + "/keys"
	}
	if _, err := w.api.Register(t.Context(), clientID, settings); err != nil {
		t.Fatal(err)
	}
	if kind == "confidential" {
		if _, w.secret, err = w.api.AddSecret(t.Context(), clientID); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// newKey makes the key by which the client authenticates.
func (w *world) newKey(alg jose.SignatureAlgorithm) {
	w.t.Helper()
	key := assertiontest.NewKey(w.t, alg, "k1")
	var err error
	if w.key, err = json.Marshal(key); err != nil {
		w.t.Fatal(err)
	}
	w.keySet = []byte(assertiontest.JWKS(w.t, key))
}

// startRotor starts the service. Pages of the app alone may call it.
func (w *world) startRotor() {
	w.t.Helper()
	source, err := keys()
	if err != nil {
		w.t.Fatal(err)
	}
	table := store.New(embedded.Config(&breakable{embedded.New(), &w.broken}), "rotor", store.DefaultRetention)
	if err := table.Create(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.rotor = httptest.NewUnstartedServer(nil)
	service := server.New(server.Config{
		Issuer: "https://" + w.rotor.Listener.Addr().String(), Table: table, Keys: source, Log: slog.New(slog.NewJSONHandler(w.log, nil)),
		Now:                   func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
		Origins:               origin.ParseSet([]string{w.app.URL}, func(value, want string) { w.t.Fatalf("%s is not %s", value, want) }),
		AuthorizationEndpoint: w.login.URL + "/login",
		Assertions:            assertion.Options{Loopback: true}, // the app publishes its keys
	}).Handler()
	w.rotor.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if (r.URL.Path == "/oauth/token" || r.URL.Path == "/auth/v1/token") && r.Method == http.MethodPost {
			w.tokens.Add(1)
			if w.outage.Add(-1) >= 0 {
				w.broken.Store(true)
				defer w.broken.Store(false)
			}
		}
		service.ServeHTTP(rw, r)
	})
	w.rotor.Config.ErrorLog = log.New(io.Discard, "", 0) // Chromium opens connections that it does not use
	w.rotor.StartTLS()
	w.t.Cleanup(func() {
		w.rotor.Close()
		if secrets.MatchString(w.log.String()) {
			w.t.Errorf("the log has a secret:\n%s", secrets.ReplaceAllString(w.log.String(), "[SECRET]"))
		}
		if w.log.String() == "" {
			w.t.Error("nothing was logged")
		}
	})
}

// breakable is a store that fails while it is broken.
type breakable struct {
	below  http.RoundTripper
	broken *atomic.Bool
}

// RoundTrip implements [http.RoundTripper].
func (b *breakable) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.broken.Load() {
		return nil, errors.New("the store is broken")
	}
	return b.below.RoundTrip(r)
}

// authenticate serves the login's page. It lets in whom the request hints at, except nobody, and
// sends the browser back.
func (w *world) authenticate(rw http.ResponseWriter, r *http.Request) {
	answer := &manage.Authorization{Request: r.URL.Query()}
	if hint := answer.Request.Get("login_hint"); hint == "nobody" {
		answer.Error = "access_denied"
	} else {
		answer.UserID, answer.AuthTime = hint, time.Now().Add(-time.Minute)
	}
	to, err := w.api.Authorize(r.Context(), answer)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	http.Redirect(rw, r, to.To, http.StatusFound)
}

// serveApp returns the app's own server: its pages, and what they tell and ask the test.
func (w *world) serveApp() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /pages/", http.FileServer(http.Dir(".")))
	mux.HandleFunc("GET /favicon.ico", func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })
	for name, file := range bundles {
		mux.HandleFunc("GET /sdk/"+name+".js", func(rw http.ResponseWriter, r *http.Request) {
			http.ServeFile(rw, r, filepath.Join(libraries, "node_modules", file))
		})
	}
	mux.HandleFunc("GET /settings.json", func(rw http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(rw).Encode(map[string]string{"issuer": w.rotor.URL, "client_id": clientID})
	})
	mux.HandleFunc("GET /keys", func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(w.keySet) })
	mux.HandleFunc("POST /later", func(http.ResponseWriter, *http.Request) { w.later() })
	mux.HandleFunc("POST /outage", func(http.ResponseWriter, *http.Request) { w.outage.Store(2) })
	mux.HandleFunc("GET /auth-js/{module...}", func(rw http.ResponseWriter, r *http.Request) { // which imports modules without their suffix
		http.ServeFile(rw, r, filepath.Join(libraries, "node_modules/@supabase/auth-js/dist/module", filepath.FromSlash(r.PathValue("module"))+".js"))
	})
	mux.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		if text, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20)); err == nil {
			w.reports <- text
		}
	})
	return mux
}

// certificate writes the certificate of the service and of the login to a file, and returns
// its path.
func (w *world) certificate(dir string) string {
	w.t.Helper()
	file := filepath.Join(dir, "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.rotor.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

// families returns the families that there are.
func (w *world) families() []*manage.Family {
	w.t.Helper()
	var all []*manage.Family
	for f, err := range w.api.Families(w.t.Context(), manage.FamilyFilter{UserID: "alice"}) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

// later lets the reuse interval pass.
func (w *world) later() { w.ahead.Add(int64(61 * time.Second)) }
