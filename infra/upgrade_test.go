package rotor

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
)

// Without this an upgrade could void tokens. The stack of an earlier release has one secret with all keys. The functions
// use it until a rotation has moved the signing keys into their own secret. From then on discovery may no longer read
// the keys of refresh tokens, and sees no private key. Programs, environments and roles are those of the template.
func TestUpgradeMovesTheKeys(t *testing.T) {
	first, err := keyring.Generate(signing.RS256, time.Now().AddDate(0, -1, 0))
	if err != nil {
		t.Fatal(err)
	}
	text, err := first.Encode()
	if err != nil {
		t.Fatal(err)
	}
	kid := first.Signing[0].JWK.KeyID
	a := deploy(t, standardStack(t), string(text))
	a.call(201, "manage", "PUT", "/v1/clients/app", `{"type":"public"}`)
	a.call(201, "manage", "PUT", "/v1/clients/web", `{"type":"confidential","may_introspect":true}`)
	web := "client_id=web&client_secret=" + a.call(201, "manage", "POST", "/v1/clients/web/secrets", "").text("client_secret")
	family := a.call(201, "manage", "POST", "/v1/families", `{"user_id":"ada","client_id":"app"}`)
	refresh, access := family.text("refresh_token"), family.text("access_token")

	// use checks that the tokens of before are good, and so are those that they are exchanged for.
	use := func(when string) {
		t.Helper()
		if g := a.call(200, "discovery", "GET", "/.well-known/jwks.json", ""); strings.Count(g.Body, `"kid"`) != 1 || !strings.Contains(g.Body, kid) || strings.Contains(g.Body, `"d"`) {
			t.Errorf("%s published are %s", when, g.Body)
		}
		refreshed := a.call(200, "token", "POST", "/oauth/token", "grant_type=refresh_token&client_id=app&refresh_token="+refresh)
		refresh = refreshed.text("refresh_token")
		for _, token := range []string{access, refreshed.text("access_token")} {
			if g := a.call(200, "introspect", "POST", "/oauth/introspect", web+"&token="+token); g.json["active"] != true {
				t.Errorf("%s a token is introspected as %s", when, g.Body)
			}
		}
		for _, token := range []string{`{"access_token":"` + access + `"}`, `{"refresh_token":"` + refresh + `"}`} {
			if g := a.call(200, "manage", "POST", "/v1/explain", token); g.text("verdict") != "valid" {
				t.Errorf("%s a token is explained as %s", when, g.Body)
			}
		}
	}
	use("before the keys have moved")
	a.rotate(a.secrets.Signing, keyringtest.SigningID, "00000000-0000-4000-8000-000000000002")
	use("with a copy of the keys of before")
	for _, name := range []string{"token", "introspect", "manage", "discovery"} {
		if err := a.functions[name].Kill(); err != nil {
			t.Fatal(err)
		}
		a.mu.Lock()
		a.asked[name] = map[string]bool{}
		a.mu.Unlock()
		a.start[name]()
	}
	use("afterwards")
	a.call(200, "revoke", "POST", "/oauth/revoke", "client_id=app&token="+refresh)
	if len(a.denied) > 0 {
		t.Errorf("what roles do not allow was asked for: %q", a.denied)
	}
	for function, want := range map[string][]string{
		"token":      {keyringtest.ID + " AWSCURRENT", keyringtest.SigningID + " AWSCURRENT"},
		"manage":     {keyringtest.ID + " AWSCURRENT", keyringtest.SigningID + " AWSCURRENT"},
		"introspect": {keyringtest.ID + " AWSCURRENT", keyringtest.SigningID + " " + keyring.LabelPublic},
		"discovery":  {keyringtest.SigningID + " " + keyring.LabelPublic},
	} {
		var read []string
		for line := range a.asked[function] {
			if what, ok := strings.CutPrefix(line, "secretsmanager:GetSecretValue "); ok {
				read = append(read, what)
			}
		}
		if slices.Sort(read); !slices.Equal(read, want) {
			t.Errorf("%s reads %v, not %v", function, read, want)
		}
	}
	if strings.Contains(a.secrets.Signing.Text(keyring.LabelPublic), `"d"`) {
		t.Error("a private key is among the public ones")
	}

	// The role of discovery no longer allows it to read the token keys. What it has not asked for is asked for here.
	roles := standardStack(t).resources("AWS::IAM::Role")
	role := properties(roles[at(standardStack(t).functionsByName()["discovery"], "Role", "Fn::GetAtt", 0).(string)])
	for _, s := range allowedOfSecrets(role) {
		if s.secret == keyringtest.ID && (s.withoutTag == "" || a.secrets.Tag(s.withoutTag) == "") || s.secret == keyringtest.SigningID && s.stage != keyring.LabelPublic {
			t.Errorf("discovery may still read %+v", s)
		}
	}
}
