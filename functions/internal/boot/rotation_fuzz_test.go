package boot_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

// FuzzRotationEvent checks that only two events change the keys in use: the last
// step of the rotation that was begun, which puts the keys that it made into use,
// and an emergency, which only revokes keys. No output shows a key. In the event,
// VERSION stands for the pending version, and SIGNER for the id of the key that
// signs.
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
	function := lambda.NewHandler(boot.RotateKeys(keyring.Rotation{
		Client: m.Direct(1), Secrets: keyring.Secrets{Token: keyringtest.ID}, Algorithm: signing.ES256, LongestAccessToken: family.MaxAccessTokenLifetime.Duration(),
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
	ids := regexp.MustCompile(`"kid":"[^"]*"`) // key ids are not secret
	secretsOf := func(text string) []string {
		return regexp.MustCompile(`[A-Za-z0-9+/_-]{40,}`).FindAllString(ids.ReplaceAllString(text, ""), -1)
	}
	secrets := secretsOf(pending)

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
	for _, payload := range []string{
		`{"action":"list"}`, `{"action":"emergency","mac":[1]}`, `{"action":"emergency","mac":[1],"signing":["SIGNER"]}`, `{"action":"emergency","signing":["SIGNER","SIGNER"]}`,
		`{"action":"emergency"}`, `{"action":"emergency","mac":[2]}`, `{"action":"emergency","mac":[1],"Step":"finishSecret"}`, `{"action":"emergency","mac":[1],"more":1}`,
		`{"ACTION":"emergency","MAC":[1]}x`, `{"action":"list","action":"emergency","mac":[1]}`, `{"action":"emergency","mac":null,"signing":[null]}`,
	} {
		f.Add(payload)
	}
	signer := first.Signing[0].JWK.KeyID
	f.Fuzz(func(t *testing.T, payload string) {
		payload = strings.NewReplacer("VERSION", version, "SIGNER", signer).Replace(payload)
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
		var a struct {
			Action  string   `json:"action"`
			MAC     []int    `json:"mac"`
			Signing []string `json:"signing"`
		}
		var whole json.RawMessage // Lambda's library does the same, and reads no further
		read := json.NewDecoder(strings.NewReader(payload)).Decode(&whole) == nil && json.Unmarshal(whole, &e) == nil && json.Unmarshal(whole, &a) == nil
		if read && a.Action != "" {
			revoked := actedOn(t, payload, string(out), err, m.Text("AWSCURRENT"), string(current))
			if revoked != (err == nil && a.Action == "emergency") {
				t.Errorf("%s: keys are revoked, or are not", payload)
			}
			quiet(t, payload, log.String()+string(out), err, secretsOf(m.Text("AWSCURRENT")))
			return
		}
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
		quiet(t, payload, log.String()+string(out), err, secrets)
	})
}

// quiet checks that no output shows a secret.
func quiet(t *testing.T, payload, said string, err error, secrets []string) {
	t.Helper()
	if err != nil {
		said += err.Error()
	}
	for _, secret := range secrets {
		if strings.Contains(said, secret) {
			t.Errorf("%s: a key is said", payload)
		}
	}
}

// actedOn checks the keys after an action, and reports whether it has revoked any.
// If so, the others must be unchanged, and the document must work.
func actedOn(t *testing.T, payload, out string, err error, after, before string) (revoked bool) {
	t.Helper()
	if after == before {
		return false
	}
	was, parsed := keyring.Parse([]byte(before))
	if parsed != nil {
		t.Fatal(parsed)
	}
	is, parsed := keyring.Parse([]byte(after))
	if parsed != nil {
		t.Fatalf("%s: %v", payload, parsed)
	}
	if _, failed := is.Compile(); failed != nil || err != nil || !strings.Contains(out, `"use":"revoked"`) {
		t.Errorf("%s: %v, %v, %s", payload, failed, err, out)
	}
	for i, k := range was.MAC {
		revoked = revoked || !is.MAC[i].Revoked.IsZero()
		if is.MAC[i].ID != k.ID || !bytes.Equal(is.MAC[i].Secret, k.Secret) {
			t.Errorf("%s: a MAC key is another", payload)
		}
	}
	for i, k := range was.Signing {
		revoked = revoked || !is.Signing[i].Revoked.IsZero()
		if is.Signing[i].JWK.KeyID != k.JWK.KeyID {
			t.Errorf("%s: a signing key is another", payload)
		}
	}
	return revoked
}
