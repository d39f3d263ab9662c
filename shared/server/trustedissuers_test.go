package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
)

// trusting returns the body of a PUT of a public client with one trusted issuer, whose members are
// given.
func trusting(members string) string {
	return `{"type":"public","trusted_issuers":[{` + members + `}]}`
}

// TestTrustedIssuers checks that a client reads back with its issuers, with the defaults of what was
// left out, and that a PUT without them trusts nobody.
func TestTrustedIssuers(t *testing.T) {
	w := newWorld(t)
	keys := assertiontest.JWKS(t, assertiontest.NewKey(t, jose.ES256, "k"), assertiontest.NewKey(t, jose.ES384, "l"), assertiontest.NewKey(t, jose.RS256, "r"),
		jose.JSONWebKey{Key: assertiontest.NewKey(t, jose.EdDSA, "").Key})
	body := `{"type":"public","trusted_issuers":[
		{"issuer":"https://one.example","jwks_uri":"https://one.example/keys","audience":"us"},
		{"issuer":"https://two.example","jwks":` + keys + `,"audience":["us","us too","us"],
			"algorithms":["RS256","RS384","RS512","PS256","PS384","PS512","ES256","ES384","EdDSA","ES256"],"user_claim":"uid","max_age":86400,"user_prefix":"two:"}]}`
	put := w.put("trusting", body)
	if put.status != http.StatusCreated {
		t.Fatal(put)
	}
	var shown any
	if err := json.Unmarshal([]byte(keys), &shown); err != nil {
		t.Fatal(err)
	}
	want := []any{
		map[string]any{
			"issuer": "https://one.example", "jwks_uri": "https://one.example/keys", "audience": []any{"us"}, "algorithms": []any{"RS256"},
			"user_claim": "sub", "max_age": 300.0, "user_prefix": "https://one.example|",
		},
		map[string]any{
			"issuer": "https://two.example", "jwks": shown, "audience": []any{"us", "us too"},
			"algorithms": []any{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"},
			"user_claim": "uid", "max_age": 86400.0, "user_prefix": "two:",
		},
	}
	for _, a := range []answer{put, w.get("/v1/clients/trusting"), w.put("trusting", body)} {
		if diff := cmp.Diff(any(want), a.json["trusted_issuers"]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if a := w.put("trusting", `{"type":"public"}`); a.json["trusted_issuers"] != nil {
		t.Errorf("without them: %v", a)
	}
	for _, none := range []string{`null`, `[]`} {
		if a := w.put("trusting", `{"type":"public","trusted_issuers":`+none+`}`); a.status != http.StatusOK || a.json["trusted_issuers"] != nil {
			t.Errorf("%s: %v", none, a)
		}
	}
	nulls := trusting(`"issuer":"i","jwks_uri":"https://i.example/","jwks":null,"audience":"a","algorithms":null,"user_claim":null,"max_age":null,"user_prefix":null`)
	if a := w.put("trusting", nulls); a.status != http.StatusOK {
		t.Errorf("nulls: %v", a)
	}
	if a := w.put("trusting", trusting(`"issuer":"i","jwks_uri":null,"jwks":`+keys+`,"audience":"a"`)); a.status != http.StatusOK {
		t.Errorf("null for an address: %v", a)
	}
}

// TestTrustedIssuersAreRefused checks that each fault of an issuer is named by its field.
func TestTrustedIssuersAreRefused(t *testing.T) {
	w := newWorld(t, deployed())
	const good = `"issuer":"i","jwks_uri":"https://i.example/keys","audience":"a"`
	nine := `{` + good + `}` + strings.Repeat(`,{`+good+`}`, 8)
	for _, tt := range []struct {
		name, body, field string
		says              []string
	}{
		{"no list", `{"type":"public","trusted_issuers":{}}`, "trusted_issuers", []string{"array"}},
		{"nine", `{"type":"public","trusted_issuers":[` + nine + `]}`, "trusted_issuers", []string{"9 issuers", "at most 8"}},
		{"no object", `{"type":"public","trusted_issuers":["i"]}`, "trusted_issuers[0]", []string{"object"}},
		{"null", `{"type":"public","trusted_issuers":[null]}`, "trusted_issuers[0]", []string{"object"}},
		{"an unknown member", trusting(good + `,"scope":"a"`), "trusted_issuers[0].scope", []string{"no such member"}},
		{"a member in other letters", trusting(good + `,"Issuer":"a"`), "trusted_issuers[0].Issuer", []string{"no such member"}},
		{"a member twice", trusting(good + `,"audience":"b"`), "trusted_issuers[0].audience", []string{"once"}},
		{"the issuer a number", trusting(`"issuer":1,"jwks_uri":"https://i.example/keys","audience":"a"`), "trusted_issuers[0].issuer", []string{"string"}},
		{"this service", trusting(`"issuer":"` + w.servers[0].URL + `","jwks_uri":"https://i.example/keys","audience":"a"`), "trusted_issuers[0].issuer", []string{"another"}},
		{"HS256", trusting(good + `,"algorithms":["HS256"]`), "trusted_issuers[0].algorithms", []string{"HS256", "RS256"}},
		{"no algorithm", trusting(good + `,"algorithms":[]`), "trusted_issuers[0].algorithms", []string{"at least one"}},
		{"max_age a string", trusting(good + `,"max_age":"5"`), "trusted_issuers[0].max_age", []string{"whole number"}},
		{"max_age more", trusting(good + `,"max_age":86401`), "trusted_issuers[0].max_age", []string{"86401", "from 1 to 86400"}},
		{"no keys", trusting(`"issuer":"i","audience":"a"`), "trusted_issuers[0].jwks_uri", []string{"given"}},
		{"plain http", trusting(`"issuer":"i","jwks_uri":"http://i.example/keys","audience":"a"`), "trusted_issuers[0].jwks_uri", []string{"https"}},
		{"loopback", trusting(`"issuer":"i","jwks_uri":"http://127.0.0.1/keys","audience":"a"`), "trusted_issuers[0].jwks_uri", []string{"https"}},
		{"the metadata service", trusting(`"issuer":"i","jwks_uri":"https://169.254.169.254/keys","audience":"a"`), "trusted_issuers[0].jwks_uri", []string{"public internet"}},
		{"two of one prefix", `{"type":"public","trusted_issuers":[{` + good + `},{` + strings.Replace(good, `"i"`, `"j"`, 1) + `,"user_prefix":"i|x"}]}`, "trusted_issuers[1].user_prefix", []string{"taken for each other"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.put("trusting", tt.body).names(t, tt.field, tt.says...)
			w.get("/v1/clients/trusting").problem(t, http.StatusNotFound)
		})
	}
}

// TestPrivateKeysAreNotRepeated checks that a private or symmetric key is refused wherever it stands,
// and that neither the answer nor the log repeats it.
func TestPrivateKeysAreNotRepeated(t *testing.T) {
	w := newWorld(t)
	key := assertiontest.NewKey(t, jose.ES256, "k")
	private, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(string(private))
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal(private, &members); err != nil {
		t.Fatal(err)
	}
	const secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ"
	first := `{"d":"` + members["d"] + `",` + strings.TrimPrefix(string(private), "{")
	for name, body := range map[string]string{
		"jwks":                trusting(`"issuer":"i","audience":"a","jwks":{"keys":[` + string(private) + `]}`),
		"a bare key":          trusting(`"issuer":"i","audience":"a","jwks":` + first),
		"in place of uri":     trusting(`"issuer":"i","audience":"a","jwks_uri":` + first),
		"as a text":           trusting(`"issuer":"i","audience":"a","jwks_uri":` + string(text)),
		"in place of issuers": `{"type":"public","trusted_issuers":` + first + `}`,
		"a secret":            trusting(`"issuer":"i","audience":"a","jwks":{"keys":[{"kty":"oct","k":"` + secret + `"}]}`),
	} {
		a := w.put("trusting", body)
		a.problem(t, http.StatusBadRequest)
		for _, s := range []string{members["d"], secret} {
			if strings.Contains(a.body, s[:16]) || strings.Contains(w.log.String(), s[:16]) {
				t.Errorf("%s: the key is repeated: %v", name, a)
			}
		}
		if (name == "jwks" || name == "a secret") && !strings.Contains(a.body, "key 1: it is private or symmetric") {
			t.Errorf("%s: %v", name, a)
		}
	}
}

// TestManyIssuersOfAClient checks that a client may have eight issuers, each of full size.
func TestManyIssuersOfAClient(t *testing.T) {
	w := newWorld(t)
	var all []string
	for n := range 8 {
		all = append(all, fmt.Sprintf(`{"issuer":"%d%s","jwks_uri":"https://i.example/%s","audience":[%s],"user_claim":"%s","user_prefix":"%d%s"}`,
			n, strings.Repeat("i", 255), strings.Repeat("k", 494), quoted(8, 64), strings.Repeat("c", 128), n, strings.Repeat("p", 99)))
	}
	a := w.put("trusting", `{"type":"public","trusted_issuers":[`+strings.Join(all, ",")+`]}`)
	if list, _ := a.json["trusted_issuers"].([]any); a.status != http.StatusCreated || len(list) != 8 {
		t.Errorf("%v", a)
	}
}
