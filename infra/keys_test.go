package rotor

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

// Without this the role of keys could allow more or less than the requests of a rotation or an emergency to Secrets
// Manager, and what an emergency lacks would only be found in the emergency.
func TestRoleOfKeysAllowsWhatTheCodeRequests(t *testing.T) {
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	m := keyringtest.New(t, "{}")
	rotation := keyring.Rotation{Client: m.Client(1), Algorithm: signing.ES256, LongestAccessToken: 24 * time.Hour, Log: slog.New(slog.DiscardHandler)}
	rotate := func(version string, steps ...string) (err error) {
		m.Begin(version)
		for _, step := range steps {
			err = rotation.Step(t.Context(), now, keyring.RotationEvent{Step: step, SecretID: keyringtest.ID, Version: version})
		}
		return err
	}
	if err := rotate(fmt.Sprintf("%032d", 1), "createSecret", "setSecret", "testSecret", "finishSecret"); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	version := fmt.Sprintf("%032d", 2)
	if err := rotate(version, "createSecret"); err != nil {
		t.Fatal(err)
	}
	if _, err := rotation.Emergency(t.Context(), now, keyringtest.ID, keyring.Leak{MAC: []int{1}}); err != nil {
		t.Fatal(err)
	}
	if rotate(version, "testSecret") == nil { // gives up
		t.Fatal("a version of before the emergency is good")
	}
	if _, err := rotation.Inventory(t.Context(), now, keyringtest.ID); err != nil {
		t.Fatal(err)
	}
	requested := map[string]bool{}
	for _, call := range m.Calls() {
		requested["secretsmanager:"+call] = true
	}

	s := standardStack(t)
	roles := s.resources("AWS::IAM::Role")
	var allowed []string
	for _, p := range list(properties(roles[at(s.functionsByName()["keys"], "Role", "Fn::GetAtt", 0).(string)])["Policies"]) {
		for _, statement := range list(at(p, "PolicyDocument", "Statement")) {
			for _, action := range list(at(statement, "Action")) {
				if strings.HasPrefix(plain(action), "secretsmanager:") && plain(at(statement, "Resource")) == "Keys" {
					allowed = append(allowed, plain(action))
				}
			}
		}
	}
	slices.Sort(allowed)
	if diff := cmp.Diff(allowed, slices.Sorted(maps.Keys(requested))); diff != "" {
		t.Errorf("allowed (-), requested (+)\n%s", diff)
	}
	if len(allowed) != 4 {
		t.Errorf("allowed are %v", allowed)
	}
}
