package rotor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

// Without this the role of keys could allow more or less than the requests of rotations and emergencies to Secrets
// Manager, and what an emergency lacks would only be found in the emergency. The names that the roles know must be those
// of the code.
func TestRoleOfKeysAllowsWhatTheCodeRequests(t *testing.T) {
	if labelPublic != keyring.LabelPublic || tagApart != keyring.TagApart {
		t.Errorf("the label is %s, and the tag %s", labelPublic, tagApart)
	}
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	m := keyringtest.New(t, "{}")
	requested := map[string]bool{}
	rotation := keyring.Rotation{
		Client:  m.DirectOver(func(next http.RoundTripper) http.RoundTripper { return asked{t, next, requested} }, 1),
		Secrets: keyring.Secrets{Token: keyringtest.ID, Signing: keyringtest.SigningID}, Algorithm: signing.ES256,
		LongestAccessToken: 24 * time.Hour, Log: slog.New(slog.DiscardHandler),
	}
	for secret, id := range map[*keyringtest.Secret]string{m.Secret: keyringtest.ID, m.Signing: keyringtest.SigningID} {
		version := fmt.Sprintf("%032d", 1)
		secret.Begin(version)
		for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
			if err := rotation.Step(t.Context(), now, keyring.RotationEvent{Step: step, SecretID: id, Version: version}); err != nil {
				t.Fatal(err)
			}
		}
	}
	keys, err := rotation.Inventory(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	for i, secret := range []struct {
		*keyringtest.Secret
		id   string
		leak keyring.Leak
	}{
		{m.Secret, keyringtest.ID, keyring.Leak{MAC: []int{int(keys.MAC[0].ID)}}},
		{m.Signing, keyringtest.SigningID, keyring.Leak{Signing: []string{keys.Signing[0].ID}}},
	} {
		step := func(name string) error {
			return rotation.Step(t.Context(), now, keyring.RotationEvent{Step: name, SecretID: secret.id, Version: fmt.Sprintf("%032d", 20+i)})
		}
		secret.Begin(fmt.Sprintf("%032d", 20+i))
		if err := step("createSecret"); err != nil {
			t.Fatal(err)
		}
		if _, err := rotation.Emergency(t.Context(), now, secret.leak); err != nil {
			t.Fatal(err)
		}
		if step("testSecret") == nil { // gives up
			t.Fatal("a version of before the emergency is good")
		}
	}

	s := standardStack(t)
	roles := s.resources("AWS::IAM::Role")
	var allowed []string
	for _, p := range list(properties(roles[at(s.functionsByName()["keys"], "Role", "Fn::GetAtt", 0).(string)])["Policies"]) {
		for _, statement := range list(at(p, "PolicyDocument", "Statement")) {
			for _, action := range list(at(statement, "Action")) {
				if strings.HasPrefix(plain(action), "secretsmanager:") {
					allowed = append(allowed, plain(action)+" "+secretIDs[plain(at(statement, "Resource"))])
				}
			}
		}
	}
	slices.Sort(allowed)
	if diff := cmp.Diff(allowed, slices.Sorted(maps.Keys(requested))); diff != "" {
		t.Errorf("allowed (-), requested (+)\n%s", diff)
	}
	if len(allowed) != 9 {
		t.Errorf("allowed are %v", allowed)
	}
}

// secretIDs are the names that the tests' Secrets Manager has for the secrets of the template.
var secretIDs = map[string]string{"Keys": keyringtest.ID, "SigningKeys": keyringtest.SigningID}

// asked records requests to Secrets Manager as lines such as "secretsmanager:GetSecretValue rotor/keys".
type asked struct {
	t         *testing.T
	next      http.RoundTripper
	requested map[string]bool
}

func (a asked) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in struct {
		SecretID string `json:"SecretId"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		a.t.Error(err)
	}
	a.requested[strings.Replace(r.Header.Get("X-Amz-Target"), ".", ":", 1)+" "+in.SecretID] = true
	return a.next.RoundTrip(r)
}
