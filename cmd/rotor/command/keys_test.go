package command_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

// functionKeys serves Lambda's call Invoke of the function rotor-prod-keys, which does what the deployed one does.
func functionKeys(t *testing.T) {
	t.Helper()
	document, err := keyring.Generate(signing.ES256, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	text, err := document.Encode()
	if err != nil {
		t.Fatal(err)
	}
	secrets := keyringtest.New(t, string(text))
	rotation := keyring.Rotation{
		Client: secrets.Client(1), Secrets: keyring.Secrets{Token: keyringtest.ID}, Algorithm: signing.ES256,
		LongestAccessToken: 24 * time.Hour, Log: slog.New(slog.DiscardHandler),
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/2015-03-31/functions/rotor-prod-keys/invocations" {
			w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"Message":"Function not found"}`)
			return
		}
		event, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var answer any
		answer, err = rotation.Handle(r.Context(), time.Now(), event)
		if err != nil {
			w.Header().Set("X-Amz-Function-Error", "Unhandled")
			answer = map[string]string{"errorMessage": err.Error(), "errorType": "wrapError"}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_LAMBDA": srv.URL, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
		"AWS_SECRET_ACCESS_KEY": "made-up", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none",
	} {
		t.Setenv(name, value)
	}
}

func TestKeys(t *testing.T) {
	w := newWorld(t)
	published := rows(w.ok("keys", "status"))
	if len(published) != 1 || published[0][0] != "signing" || published[0][2] != "ES256" || published[0][3] != "published" {
		t.Errorf("the published keys are %q", published)
	}
	var set struct{ Keys []struct{ KID string } }
	if err := json.Unmarshal([]byte(w.ok("keys", "status", "--json")), &set); err != nil || len(set.Keys) != 1 || set.Keys[0].KID != published[0][1] {
		t.Errorf("as JSON: %+v, %v", set, err)
	}
	if r := w.run("", "keys", "status", "--url", w.url+"/oauth"); r.code != 1 || !strings.Contains(r.err, "has no public keys") {
		t.Errorf("of another address: %+v", r)
	}

	functionKeys(t)
	before := rows(w.ok("keys", "status", "--stage", "prod"))
	if len(before) != 2 || before[0][0] != "mac" || before[0][3] != "in_use" || before[1][0] != "signing" || before[1][3] != "in_use" || len(before[1]) != 7 {
		t.Fatalf("the keys are %q", before)
	}
	if again := rows(w.ok("keys", "status", "--function", "rotor-prod-keys")); again[1][1] != before[1][1] {
		t.Errorf("by its name: %q", again)
	}
	if r := w.run("", "keys", "status", "--stage", "beta"); r.code != 1 || !strings.Contains(r.err, "rotor-beta-keys") {
		t.Errorf("another stage: %+v", r)
	}
	if r := w.run("", "keys", "emergency", "--stage", "prod", "--mac", "9", "--yes"); r.code != 1 || !strings.Contains(r.err, "failed: ") || !strings.Contains(r.err, "9") {
		t.Errorf("a key that is none: %+v", r)
	}
	for range 2 { // it can be repeated
		after := rows(w.ok("keys", "emergency", "--stage", "prod", "--mac", before[0][1], "--signing", before[1][1], "--yes"))
		use := map[string]string{}
		for _, row := range after {
			use[row[1]] = row[3]
		}
		if len(after) != 4 || use[before[0][1]] != "revoked" || use[before[1][1]] != "revoked" || after[1][3] != "in_use" || after[3][3] != "in_use" {
			t.Errorf("after the emergency: %q", after)
		}
	}
	list := decode[keyring.Inventory](t, w.ok("keys", "status", "--stage", "prod", "--json"))
	if len(list.MAC) != 2 || list.MAC[0].Revoked.IsZero() || len(list.Signing) != 2 {
		t.Errorf("as JSON: %+v", list)
	}
}
