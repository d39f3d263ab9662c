package boot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

func TestLoadKeysConfig(t *testing.T) {
	for value, want := range map[string]signing.Algorithm{"": signing.RS256, "RS256": signing.RS256, "ES256": signing.ES256} {
		got, err := boot.LoadKeysConfig(environment("ROTOR_SIGNING_ALGORITHM", value, "ROTOR_TABLE", "", "ROTOR_ISSUER", ""))
		if err != nil || got.Algorithm != want || got.Secrets != (keyring.Secrets{Token: "rotor/keys", Signing: "rotor/signing"}) {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"HS256", "rs256", "none", " "} {
		_, err := boot.LoadKeysConfig(environment("ROTOR_SIGNING_ALGORITHM", value))
		if err == nil || !strings.Contains(err.Error(), "ROTOR_SIGNING_ALGORITHM") || !strings.Contains(err.Error(), "must be") {
			t.Errorf("%q: %v", value, err)
		}
	}
	for value, want := range map[string]string{"": "is not set", "{\"user_key\":\"AAAA\"}": "cannot be one"} {
		_, err := boot.LoadKeysConfig(environment("ROTOR_KEYS_SECRET", value, "ROTOR_SIGNING_ALGORITHM", "none"))
		if err == nil || !strings.Contains(err.Error(), "ROTOR_KEYS_SECRET") || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "ROTOR_SIGNING_ALGORITHM") || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestNewRotation(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	log := slog.New(slog.DiscardHandler)
	r, err := boot.NewRotation(t.Context(), boot.KeysConfig{Algorithm: signing.ES256}, log)
	if err != nil {
		t.Fatal(err)
	}
	if r.Client == nil || r.Log != log || r.Algorithm != signing.ES256 || r.LongestAccessToken != 24*time.Hour {
		t.Errorf("the rotation is %+v", r)
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := boot.NewRotation(t.Context(), boot.KeysConfig{}, log); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
}

// TestRotateKeys checks that Secrets Manager's events make new keys. A step that fails makes
// the invocation fail, and is logged once.
func TestRotateKeys(t *testing.T) {
	m := keyringtest.New(t, "{}")
	var log bytes.Buffer
	rotation := keyring.Rotation{
		Client: m.Client(1), Secrets: keyring.Secrets{Token: keyringtest.ID}, Algorithm: signing.ES256, LongestAccessToken: family.MaxAccessTokenLifetime.Duration(),
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}
	function := lambda.NewHandler(boot.RotateKeys(rotation, time.Now))
	const version = "51f72378-6a5d-5dc7-8fd8-29e4319f482a"
	invoke := func(step string) ([]byte, error) {
		payload, err := json.Marshal(events.SecretsManagerSecretRotationEvent{
			Step: step, SecretID: keyringtest.ID, ClientRequestToken: version, RotationToken: "unused",
		})
		if err != nil {
			t.Fatal(err)
		}
		return function.Invoke(t.Context(), payload)
	}
	if _, err := invoke("createSecret"); err == nil || !strings.Contains(err.Error(), "AWSPENDING") {
		t.Errorf("a rotation that was not begun: %v", err)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), `"level":"ERROR"`) ||
		!strings.Contains(log.String(), `"step":"createSecret","secret_version":"`+version+`"`) {
		t.Errorf("logged %s", &log)
	}
	m.Begin(version)
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		if out, err := invoke(step); err != nil {
			t.Fatalf("%s: %s, %v", step, out, err)
		}
	}
	d, err := keyring.Parse([]byte(m.Text("AWSCURRENT")))
	if err != nil || m.Labeled("AWSCURRENT") != version {
		t.Fatalf("%v, %v", d, err)
	}
	if _, err := function.Invoke(t.Context(), []byte(`{"version":"2.0"}`)); err == nil {
		t.Error("an event of another kind succeeds")
	}
}

// silent is a transport that never responds.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestRotateKeysDeadline checks that a failure is reported before the invocation ends.
func TestRotateKeysDeadline(t *testing.T) {
	m := keyringtest.New(t, "{}")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		function := lambda.NewHandler(boot.RotateKeys(keyring.Rotation{
			Client: m.ClientOver(silent{}, 1), Secrets: keyring.Secrets{Token: keyringtest.ID}, Algorithm: signing.ES256, Log: slog.New(slog.NewJSONHandler(&log, nil)),
		}, time.Now))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		_, err := function.Invoke(ctx, []byte(`{"Step":"createSecret","SecretId":"rotor/keys","ClientRequestToken":"v"}`))
		if took := time.Since(start); err == nil || took != 29500*time.Millisecond || strings.Count(log.String(), "rotation of keys failed") != 1 {
			t.Errorf("after %v: %v; logged %s", took, err, &log)
		}
	})
}

// TestKeysActions checks that an operator can revoke leaked keys and list the keys with an
// event. A repeated invocation, as of a client that got no response, changes nothing more.
func TestKeysActions(t *testing.T) {
	now := time.Date(2026, time.January, 15, 10, 0, 5, 999, time.UTC)
	first, err := keyring.Generate(signing.ES256, now.AddDate(0, -1, 0))
	if err != nil {
		t.Fatal(err)
	}
	text, err := first.Encode()
	if err != nil {
		t.Fatal(err)
	}
	m := keyringtest.New(t, string(text))
	var log bytes.Buffer
	function := lambda.NewHandler(boot.RotateKeys(keyring.Rotation{
		Client: m.Client(1), Secrets: keyring.Secrets{Token: keyringtest.ID}, Algorithm: signing.RS256, LongestAccessToken: family.MaxAccessTokenLifetime.Duration(),
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}, func() time.Time { return now }))
	invoke := func(name string) *keyring.Inventory {
		t.Helper()
		payload, err := os.ReadFile(filepath.Join("../../../events", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.ReplaceAll(payload, []byte("SIGNING_KEY_ID"), []byte(first.Signing[0].JWK.KeyID))
		out, err := function.Invoke(t.Context(), payload)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var keys keyring.Inventory
		if err := json.Unmarshal(out, &keys); err != nil {
			t.Fatalf("%s answers %s", name, out)
		}
		if strings.Contains(string(out), `"key"`) {
			t.Errorf("%s answers %s", name, out)
		}
		return &keys
	}
	want := first.Inventory(now)
	if diff := cmp.Diff(want, invoke("keys-list")); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	at := now.Truncate(time.Second)
	want.Signing[0].Use, want.Signing[0].Revoked = keyring.Revoked, at
	got := invoke("keys-emergency-signing")
	if len(got.Signing) != 2 || got.Signing[1].Algorithm != "RS256" || got.Signing[1].Use != keyring.InUse || !got.Signing[1].From.Equal(at) {
		t.Fatalf("the signing keys are %+v", got.Signing)
	}
	want.Signing = append(want.Signing, got.Signing[1])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a signing key revoked (-want +got):\n%s", diff)
	}
	want.MAC[0].Use, want.MAC[0].Revoked = keyring.Revoked, at
	want.MAC = append(want.MAC, keyring.MACEntry{ID: 2, Use: keyring.InUse, From: at})
	for range 2 {
		if diff := cmp.Diff(want, invoke("keys-emergency-mac")); diff != "" {
			t.Errorf("a MAC key revoked (-want +got):\n%s", diff)
		}
		now = now.Add(time.Minute)
	}
	if n := strings.Count(log.String(), `"msg":"keys revoked"`); n != 2 || strings.Contains(log.String(), `"level":"ERROR"`) {
		t.Errorf("logged %s", &log)
	}

	current := m.Text("AWSCURRENT")
	for _, payload := range []string{
		`{"action":"emergency"}`, `{"action":"emergency","mac":[]}`, `{"action":"emergency","mac":[9]}`, `{"action":"emergency","mac":2}`,
		`{"action":"emergency","mac":[2],"sining":["x"]}`, `{"action":"emergency","mac":["2"]}`, `{"action":"emergency","mac":[2.5]}`,
		`{"action":"Emergency","mac":[2]}`, `{"action":"list","mac":[2]}`, `{"action":"rotate"}`, `{"mac":[2]}`, `{"action":1}`,
		`{"action":"emergency","mac":[2],"Step":"createSecret","SecretId":"rotor/keys","ClientRequestToken":"x"}`,
	} {
		if out, err := function.Invoke(t.Context(), []byte(payload)); err == nil {
			t.Errorf("%s answers %s", payload, out)
		}
	}
	if m.Text("AWSCURRENT") != current {
		t.Error("what was refused has changed the keys")
	}
}
