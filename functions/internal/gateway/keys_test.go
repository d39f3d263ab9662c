package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

func TestLoadKeysConfig(t *testing.T) {
	for value, want := range map[string]signing.Algorithm{"": signing.RS256, "RS256": signing.RS256, "ES256": signing.ES256} {
		got, err := gateway.LoadKeysConfig(environment("ROTOR_SIGNING_ALGORITHM", value, "ROTOR_TABLE", "", "ROTOR_ISSUER", ""))
		if err != nil || got.Algorithm != want {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"HS256", "rs256", "none", " "} {
		_, err := gateway.LoadKeysConfig(environment("ROTOR_SIGNING_ALGORITHM", value))
		if err == nil || !strings.Contains(err.Error(), "ROTOR_SIGNING_ALGORITHM") || !strings.Contains(err.Error(), "must be") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestNewRotation(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	log := slog.New(slog.DiscardHandler)
	r, err := gateway.NewRotation(t.Context(), gateway.KeysConfig{Algorithm: signing.ES256}, log)
	if err != nil {
		t.Fatal(err)
	}
	if r.Client == nil || r.Log != log || r.Algorithm != signing.ES256 || r.LongestAccessToken != 24*time.Hour {
		t.Errorf("the rotation is %+v", r)
	}
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := gateway.NewRotation(t.Context(), gateway.KeysConfig{}, log); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: %v", err)
	}
}

// Secrets Manager's events lead to new keys, and a step that fails fails the
// invocation and is logged once.
func TestRotateKeys(t *testing.T) {
	m := keyringtest.New(t, "{}")
	var log bytes.Buffer
	rotation := keyring.Rotation{
		Client: m.Client(1), Algorithm: signing.ES256, LongestAccessToken: family.MaxAccessTokenLifetime.Duration(),
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}
	function := lambda.NewHandler(gateway.RotateKeys(rotation, time.Now))
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
		!strings.Contains(log.String(), `"step":"createSecret","version":"`+version+`"`) {
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

// silent never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// What the invocation's end would cut off is said before.
func TestRotateKeysDeadline(t *testing.T) {
	m := keyringtest.New(t, "{}")
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		function := lambda.NewHandler(gateway.RotateKeys(keyring.Rotation{
			Client: m.ClientOver(silent{}, 1), Algorithm: signing.ES256, Log: slog.New(slog.NewJSONHandler(&log, nil)),
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
