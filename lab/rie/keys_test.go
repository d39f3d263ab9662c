//go:build linux && rie

package rie_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
)

// withSecret starts a Secrets Manager whose secret has that text, and which replaces the
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

// rotationStep returns the event that Secrets Manager sends.
func rotationStep(step, version string) event {
	return event{"Step": step, "SecretId": keyringtest.ID, "ClientRequestToken": version}
}

// TestFirstKeys checks a new deployment, which has no keys. The answer is 503 until the first
// rotation has made them; after that a retry succeeds.
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

// TestEmergency checks that in an emergency the built function revokes the current signing key
// of the secret that its environment names, and that a function which then starts publishes
// only the new key.
func TestEmergency(t *testing.T) {
	w := newWorld(t)
	secrets := w.withSecret("{}")
	const version = "00000000-0000-4000-8000-000000000001"
	secrets.Begin(version)
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		if out, err := w.raw("keys", rotationStep(step, version)); err != nil {
			t.Fatalf("%s answers %s, %v", step, out, err)
		}
	}
	w.keepKeys([]byte(secrets.Text("AWSCURRENT")))
	var keys keyring.Inventory
	ask := func(e event) {
		t.Helper()
		out, err := w.raw("keys", e)
		if err == nil {
			keys = keyring.Inventory{}
			err = json.Unmarshal([]byte(out), &keys)
		}
		if err != nil {
			t.Fatalf("%v answers %s, %v", e, out, err)
		}
	}
	ask(event{"action": "list"})
	if len(keys.MAC) != 1 || len(keys.Signing) != 1 {
		t.Fatalf("there are %+v", keys)
	}
	leaked := keys.Signing[0].ID
	ask(event{"action": "emergency", "signing": []string{leaked}, "mac": []int{int(keys.MAC[0].ID)}})
	if len(keys.MAC) != 2 || len(keys.Signing) != 2 || keys.Signing[0].Use != keyring.Revoked || keys.MAC[0].Use != keyring.Revoked {
		t.Fatalf("there are %+v", keys)
	}
	jwks := w.want(w.play("discovery-jwks"), http.StatusOK).Body
	if strings.Contains(jwks, leaked) || !strings.Contains(jwks, keys.Signing[1].ID) {
		t.Errorf("published are %s", jwks)
	}
	w.wantLogged(`"message":"keys revoked"`)
}
