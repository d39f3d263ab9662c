package boot

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/manage"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// sdkEnvironment sets the SDK's environment as Lambda does, without anything from
// this machine.
func sdkEnvironment(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "local")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "local")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}

// TestAttemptTimeout checks that the next attempt is made within the invocation if a
// connection that broke while the function was frozen swallows a request.
func TestAttemptTimeout(t *testing.T) {
	db := embedded.New()
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if requests.Add(1) == 1 {
			<-r.Context().Done()
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		resp, err := db.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(srv.Close)
	sdkEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", srv.URL)

	sdk, err := loadSDK(t.Context(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.New(sdk, "rotor", store.DefaultRetention).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := requests.Load(); n < 2 {
		t.Errorf("%d requests were made: none was made again", n)
	}
}

func TestNewAPI(t *testing.T) {
	sdkEnvironment(t)
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(t.TempDir(), "keys.json")
	c := Config{
		TableConfig: TableConfig{Table: "rotor", Retention: store.DefaultRetention},
		Issuer:      "https://auth.example.com", KeysFile: path,
	}

	// Without this error each function would create its own keys.
	if _, err := NewAPI(t.Context(), c, keyring.ToIssue, log); err == nil || !strings.Contains(err.Error(), "ROTOR_KEYS_FILE") {
		t.Errorf("without the file of keys: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file of keys was made")
	}

	if _, err := keyring.File(path, signing.ES256, time.Now()); err != nil {
		t.Fatal(err)
	}
	a, err := NewAPI(t.Context(), c, keyring.ToIssue, log)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	a.Discovery().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/jwks.json", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"ES256"`) {
		t.Errorf("the key set: %d %s", w.Code, w.Body)
	}

	// The configured origins and the issuer's may call, and no others.
	c.Origins = origin.ParseSet([]string{"https://app.example.com"}, func(value, want string) { t.Errorf("%s must be %s", value, want) })
	if a, err = NewAPI(t.Context(), c, keyring.ToIssue, log); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]int{
		"https://app.example.com": http.StatusNoContent, "https://auth.example.com": http.StatusNoContent, "https://evil.example": http.StatusForbidden,
	} {
		for path, endpoint := range map[string]http.Handler{"/oauth/token": a.Token(), "/oauth/revoke": a.Revoke()} {
			r := httptest.NewRequest(http.MethodOptions, path, nil)
			r.Header.Set("Origin", from)
			r.Header.Set("Access-Control-Request-Method", http.MethodPost)
			w := httptest.NewRecorder()
			endpoint.ServeHTTP(w, r)
			if w.Code != want || (w.Header().Get("Access-Control-Allow-Origin") == from) != (want == http.StatusNoContent) {
				t.Errorf("the preflight of %s from %s: %d %v", path, from, w.Code, w.Header())
			}
		}
	}

	// The login page is where the configuration says.
	c.AuthorizationEndpoint = "https://login.example.com/"
	if a, err = NewAPI(t.Context(), c, keyring.ToPublish, log); err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	a.Discovery().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/authorize?client_id=app", nil))
	if to := w.Header().Get("Location"); w.Code != http.StatusFound || to != "https://login.example.com/?client_id=app" {
		t.Errorf("to the login page: %d, %q", w.Code, to)
	}

	// A secret is read only when keys are needed.
	c.KeysFile, c.KeysSecrets.Token = "", "rotor/keys"
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	if _, err := NewAPI(t.Context(), c, keyring.ToIssue, log); err != nil {
		t.Error(err)
	}

	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := NewAPI(t.Context(), c, keyring.ToIssue, log); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
	if _, err := NewTable(t.Context(), c.TableConfig); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("the table without a region: %v", err)
	}
}

// TestMetrics checks that the audit lines have metrics in AWS.
func TestMetrics(t *testing.T) {
	server := httptest.NewServer(&httputil.ReverseProxy{
		Transport: embedded.New(),
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "dynamodb.invalid" },
	})
	t.Cleanup(server.Close)
	sdkEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", server.URL)
	c := Config{
		TableConfig: TableConfig{Table: "rotor", Retention: store.DefaultRetention},
		Issuer:      "https://auth.example.com", KeysFile: filepath.Join(t.TempDir(), "keys.json"),
	}
	if _, err := keyring.File(c.KeysFile, signing.ES256, time.Now()); err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(t.Context(), c.TableConfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	a, err := NewAPI(t.Context(), c, keyring.ToIssue, log)
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path, body string, status int) {
		t.Helper()
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		door := a.Handler()
		if strings.HasPrefix(path, "/v1/") {
			door = manage.New(a.Engine, manage.Config{}).Handler()
		}
		if door.ServeHTTP(w, r); w.Code != status {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	call(http.MethodPut, "/v1/clients/app", `{"type":"public","policy":{"max_active":1}}`, http.StatusCreated)
	for range 3 {
		call(http.MethodPost, "/v1/families", `{"user_id":"alice","client_id":"app"}`, http.StatusCreated)
	}
	call(http.MethodPost, "/oauth/token", `{"grant_type":"refresh_token","client_id":"app","refresh_token":"x"}`, http.StatusBadRequest)
	if result, err := Sweep(table, "test", log, time.Now)(t.Context()); err != nil || result.Removed != 2 {
		t.Fatalf("the sweep: %+v, %v", result, err)
	}
	for eventType, metric := range map[string]string{"fertft": `"Refused":1`, "resource_cleanup": `"Removed":2`} {
		for line := range strings.Lines(logged.String()) {
			if !strings.Contains(line, `"type":"`+eventType+`"`) {
				continue
			}
			if !strings.Contains(line, metric) || !strings.Contains(line, `"_aws":{`) {
				t.Errorf("the line counts nothing: %s", line)
			}
			metric = ""
		}
		if metric != "" {
			t.Errorf("%s is not in the log:\n%s", eventType, &logged)
		}
	}
}
