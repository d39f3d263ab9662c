package boot

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
)

// TestEdgeSecret checks that a function with an edge compares with what Secrets Manager has, which it reads once, and
// that one without an edge compares nothing.
func TestEdgeSecret(t *testing.T) {
	const secret = "Jx7d0Qm2Rk9ZbT4vYc1LwN8sHf5GpA6e"
	m := keyringtest.New(t, secret)
	down := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		m.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	sdkEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.URL)
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	status := func(h http.Handler, given string) int {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(gateway.EdgeHeader, given)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}

	open, err := throughEdge(t.Context(), inner, Config{}, log)
	if err != nil || status(open, "") != http.StatusNoContent {
		t.Errorf("without an edge: %d, %v", status(open, ""), err)
	}
	h, err := throughEdge(t.Context(), inner, Config{EdgeSecret: keyringtest.ID}, log)
	if err != nil || !strings.Contains(logged.String(), "edge secret not read ahead") {
		t.Fatalf("%v: %s", err, &logged)
	}
	if got := status(h, secret); got != http.StatusServiceUnavailable {
		t.Errorf("without the secret: %d", got)
	}
	down = false
	for given, want := range map[string]int{secret: http.StatusNoContent, "other": http.StatusForbidden, "": http.StatusForbidden} {
		if got := status(h, given); got != want {
			t.Errorf("%q: %d, not %d", given, got, want)
		}
	}
	if calls := m.Calls(); len(calls) != 1 {
		t.Errorf("the secret was read %d times: %v", len(calls), calls)
	}
}
