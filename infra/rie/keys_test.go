//go:build linux && rie

package rie_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
)

// withSecret makes a Secrets Manager whose secret has that text the place of the
// functions' keys.
func (w *world) withSecret(text string) *keyringtest.SecretsManager {
	w.t.Helper()
	secrets := keyringtest.New(w.t, text)
	server := httptest.NewServer(secrets)
	w.t.Cleanup(server.Close)
	w.with("AWS_ENDPOINT_URL_SECRETS_MANAGER", server.URL)
	w.with("ROTOR_KEYS_FILE", "")
	w.with("ROTOR_KEYS_SECRET", keyringtest.ID)
	return secrets
}

// rotationStep is what Secrets Manager sends.
func rotationStep(step, version string) event {
	return event{"Step": step, "SecretId": keyringtest.ID, "ClientRequestToken": version}
}

// After a deployment there are no keys: the answer is 503 until the first
// rotation has made them, and then whoever asks again gets what was asked for.
func TestFirstKeys(t *testing.T) {
	w := newWorld(t)
	secrets := w.withSecret("{}")
	if a := w.want(w.play("discovery-jwks"), http.StatusServiceUnavailable); a.Headers["Retry-After"] == "" {
		t.Errorf("without keys the headers are %v", a.Headers)
	}
	const version = "00000000-0000-4000-8000-000000000001"
	secrets.Begin(version)
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		if out, err := w.raw("keys", rotationStep(step, version)); err != nil {
			t.Fatalf("%s answers %s, %v", step, out, err)
		}
	}
	w.keepKeys([]byte(secrets.Text("AWSCURRENT")))
	jwks := w.want(w.play("discovery-jwks"), http.StatusOK).Body
	w.register()
	w.login("manage-issue-family")
	verify(t, jwks, w.want(w.play("token-refresh"), http.StatusOK).text("access_token"), "at+jwt")
	w.wantLogged(`"message":"keys made"`)
}
