package gateway_test

import (
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

// FuzzRotationEvent: nothing but the last step of the rotation that was begun
// changes the keys in use, and then to those that the rotation made. No key is
// said. In the event VERSION stands for the pending version.
func FuzzRotationEvent(f *testing.F) {
	const version = "51f72378-6a5d-5dc7-8fd8-29e4319f482a"
	at := time.Date(2026, time.January, 15, 10, 0, 5, 0, time.UTC)
	first, err := keyring.Generate(signing.ES256, at.AddDate(0, -1, 0))
	if err != nil {
		f.Fatal(err)
	}
	current, err := first.Encode()
	if err != nil {
		f.Fatal(err)
	}
	m := keyringtest.New(f, string(current))
	var log strings.Builder
	function := lambda.NewHandler(gateway.RotateKeys(keyring.Rotation{
		Client: m.Direct(1), Algorithm: signing.ES256, LongestAccessToken: family.MaxAccessTokenLifetime.Duration(),
		Log: slog.New(slog.NewJSONHandler(&log, nil)),
	}, func() time.Time { return at }))
	event := func(step string) string {
		e, err := json.Marshal(events.SecretsManagerSecretRotationEvent{Step: step, SecretID: keyringtest.ID, ClientRequestToken: "VERSION", RotationToken: "unused"})
		if err != nil {
			f.Fatal(err)
		}
		return string(e)
	}
	m.Begin(version)
	if out, err := function.Invoke(f.Context(), []byte(strings.ReplaceAll(event("createSecret"), "VERSION", version))); err != nil {
		f.Fatalf("%s, %v", out, err)
	}
	pending := m.Text("AWSPENDING")
	secrets := regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}`).FindAllString(pending, -1)

	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret", "", "FinishSecret"} {
		f.Add(event(step))
	}
	for _, payload := range []string{
		event("finishSecret") + "x", strings.Replace(event("finishSecret"), `"unused"`, "1", 1),
		``, `null`, `{}`, `[]`, "\xff", `{"Step":"finishSecret","SecretId":"rotor/keys"}`, `{"Step":"finishSecret","SecretId":"rotor/keys","ClientRequestToken":"current"}`,
		`{"Step":"finishSecret","SecretId":"","ClientRequestToken":"VERSION"}`, `{"Step":"createSecret","SecretId":"rotor/keys","ClientRequestToken":"VERSION0"}`,
		`{"step":"finishSecret","secretid":"rotor/keys","CLIENTREQUESTTOKEN":"VERSION"}`, `{"Step":1}`,
	} {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		payload = strings.ReplaceAll(payload, "VERSION", version)
		m.Edit(func(versions map[string]*keyringtest.Version) {
			clear(versions)
			text := string(current)
			versions["current"] = &keyringtest.Version{Text: &text, Labels: []string{"AWSCURRENT"}}
			versions[version] = &keyringtest.Version{Text: &pending, Labels: []string{"AWSPENDING"}}
		})
		log.Reset()
		out, err := function.Invoke(t.Context(), []byte(payload))
		var e struct {
			Step     string
			SecretID string `json:"SecretId"`
			Version  string `json:"ClientRequestToken"`
		}
		read := json.NewDecoder(strings.NewReader(payload)).Decode(&e) == nil // as the library does, which reads no further
		known := e.Step == "createSecret" || e.Step == "setSecret" || e.Step == "testSecret" || e.Step == "finishSecret"
		ours := read && known && e.SecretID == keyringtest.ID && (e.Version == version || e.Version == "current")
		if (err == nil) != ours {
			t.Errorf("%s: %s, %v", payload, out, err)
		}
		want := string(current)
		if ours && e.Step == "finishSecret" && e.Version == version {
			want = pending
		}
		if m.Text("AWSCURRENT") != want {
			t.Errorf("%s: the keys in use changed, or did not", payload)
		}
		said := log.String() + string(out)
		if err != nil {
			said += err.Error()
		}
		for _, secret := range secrets {
			if strings.Contains(said, secret) {
				t.Errorf("%s: a key is said", payload)
			}
		}
	})
}
