package console

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// world is a service, and a console that asks it over HTTP.
type world struct {
	tb      testing.TB
	clock   *storetest.Clock
	api     *manage.Client
	service http.Handler
	issuer  string
	console *httptest.Server
	log     *logtest.Buffer          // of the service
	asked   *logtest.Buffer          // the addresses of the calls that the console made
	refuse  func(*http.Request) bool // the gateway before the service refuses this call
	browser *http.Client             // follows no redirect
}

func newWorld(tb testing.TB, change ...func(*Config)) *world {
	tb.Helper()
	w := &world{tb: tb, clock: storetest.NewClock(), log: &logtest.Buffer{}, asked: &logtest.Buffer{}}
	table, _ := storetest.Open(tb)
	document, err := keyring.Generate(signing.ES256, w.clock.Now())
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		tb.Fatal(err)
	}
	gateway := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w.asked, r.Method+" "+r.URL.String()+"\n")
		if w.refuse != nil && w.refuse(r) {
			rw.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(rw, `{"message":"Forbidden"}`)
			return
		}
		w.service.ServeHTTP(rw, r)
	}))
	tb.Cleanup(gateway.Close)
	w.issuer = gateway.URL
	w.service = server.New(server.Config{
		Issuer: gateway.URL, Table: table, Keys: keys, Now: w.clock.Now, Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	}).Handler()
	if w.api, err = manage.New(gateway.URL, manage.Options{}); err != nil {
		tb.Fatal(err)
	}
	c := Config{API: w.api, Now: w.clock.Now, Host: "127.0.0.1"}
	for _, f := range change {
		f(&c)
	}
	w.console = httptest.NewServer(New(c))
	tb.Cleanup(w.console.Close)
	w.browser = &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	tb.Cleanup(w.browser.CloseIdleConnections)
	w.register("app", &manage.Settings{Type: "public"})
	return w
}

func (w *world) register(id string, s *manage.Settings) {
	w.tb.Helper()
	if _, err := w.api.Register(w.tb.Context(), id, s); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *world) login(l *manage.Login) *manage.Tokens {
	w.tb.Helper()
	if l.ClientID == "" {
		l.ClientID = "app"
	}
	tokens, err := w.api.StartFamily(w.tb.Context(), l)
	if err != nil {
		w.tb.Fatal(err)
	}
	return tokens
}

// refresh returns the next refresh token, or "" if it was refused.
func (w *world) refresh(token string) string {
	w.tb.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token}}
	r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rw := httptest.NewRecorder()
	w.service.ServeHTTP(rw, r)
	var answer struct {
		Token string `json:"refresh_token"`
	}
	if err := json.Unmarshal(rw.Body.Bytes(), &answer); err != nil {
		w.tb.Fatal(err)
	}
	return answer.Token
}

// answered is an answer of the console.
type answered struct {
	status int
	header http.Header
	body   string
}

// request returns a request to the console. A form makes it a post.
func (w *world) request(method, path string, form url.Values) *http.Request {
	w.tb.Helper()
	r, err := http.NewRequestWithContext(w.tb.Context(), method, w.console.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.tb.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func (w *world) send(r *http.Request) answered {
	w.tb.Helper()
	res, err := w.browser.Do(r)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.tb.Fatal(err)
	}
	return answered{res.StatusCode, res.Header, string(body)}
}

func (w *world) get(path string) answered {
	w.tb.Helper()
	return w.send(w.request(http.MethodGet, path, nil))
}

func (w *world) post(path string, form url.Values) answered {
	w.tb.Helper()
	return w.send(w.request(http.MethodPost, path, form))
}

// explain pastes a value, and expects an answer.
func (w *world) explain(pasted string) answered {
	w.tb.Helper()
	got := w.post("/console/explain", url.Values{"pasted": {pasted}})
	if got.status != http.StatusOK {
		w.tb.Fatalf("%d: %s", got.status, got.body)
	}
	return got
}

// wants fails unless the page has all texts, as HTML.
func (a answered) wants(tb testing.TB, texts ...string) {
	tb.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			tb.Errorf("the page has no %q:\n%s", text, a.body)
		}
	}
}
