package manage_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/lab/sigv4"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/openapi/openapitest"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// world holds a service, and a client of it.
type world struct {
	*manage.Client
	t       testing.TB
	url     string
	clock   *storetest.Clock
	answers *recorder
}

// newWorld starts a service with the clients app and web, which takes calls without a
// signature on loopback. The OpenAPI document must have each call and its answer.
func newWorld(t testing.TB) *world {
	t.Helper()
	handler, clock := service(t)
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	checked := &openapitest.Transport{Base: srv.Client().Transport, Report: func(err error) { t.Errorf("the OpenAPI document does not say it: %v", err) }}
	w := &world{t: t, url: srv.URL, clock: clock, answers: &recorder{next: checked}}
	var err error
	if w.Client, err = manage.New(srv.URL, manage.Options{HTTPClient: &http.Client{Transport: w.answers}}); err != nil {
		t.Fatal(err)
	}
	for id, kind := range map[string]string{"app": "public", "web": "confidential"} {
		if _, err := w.Register(t.Context(), id, &manage.Settings{Type: kind}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// service returns the whole API on the store under test.
func service(t testing.TB) (http.Handler, *storetest.Clock) {
	t.Helper()
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
	return server.New(server.Config{
		Issuer: "https://auth.example.com", Table: opened.Table(), Keys: keys, Log: slog.New(slog.DiscardHandler), Now: clock.Now,
	}).Handler(), clock
}

// signedWorld starts a service behind a verifier of signatures, and returns its address and
// an HTTP client that trusts its certificate.
func signedWorld(t testing.TB) (*httptest.Server, manage.Options) {
	t.Helper()
	handler, _ := service(t)
	srv := httptest.NewUnstartedServer(sigv4.Verify(handler))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // some clients do not trust its certificate
	srv.StartTLS()
	t.Cleanup(srv.Close)
	cfg := aws.Config{Region: sigv4.Region, Credentials: credentials.NewStaticCredentialsProvider(sigv4.AccessKeyID, sigv4.SecretAccessKey, sigv4.SessionToken)}
	return srv, manage.Options{AWS: &cfg, HTTPClient: srv.Client()}
}

// recorder is a transport that keeps the last answer.
type recorder struct {
	next http.RoundTripper
	mu   sync.Mutex
	last []byte
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	_ = res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = body
	return res, nil
}

// complete checks that a value has every member of the last answer, and writes it alike.
func (w *world) complete(v any) {
	w.t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		w.t.Fatal(err)
	}
	var got, want any
	if err := errors.Join(json.Unmarshal(text, &got), json.Unmarshal(w.answers.last, &want)); err != nil {
		w.t.Fatalf("%v: %s", err, w.answers.last)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("the answer and its value differ (-answer +value):\n%s", diff)
	}
}

// login starts a family.
func (w *world) login(userID, clientID string) *manage.Tokens {
	w.t.Helper()
	tokens, err := w.StartFamily(w.t.Context(), &manage.Login{UserID: userID, ClientID: clientID, Device: "Pixel 9"})
	if err != nil {
		w.t.Fatal(err)
	}
	return tokens
}

// refresh presents a refresh token of the public client, and returns the status.
func (w *world) refresh(token string) int {
	w.t.Helper()
	res, err := http.PostForm(w.url+"/oauth/token", map[string][]string{
		"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
