package assertion_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
)

// ourNames are the names of the endpoint that client assertions are for.
var ourNames = []string{"https://auth.example", "https://auth.example/oauth/token", "https://auth.example/oauth/revoke"}

// said returns the claims of the client "web" about itself, with changes; nil leaves a claim out.
func said(changes map[string]any) map[string]any {
	all := map[string]any{"iss": "web", "sub": "web", "aud": ourNames[0], "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": "1"}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

// keysOf returns the public half of the keys.
func keysOf(t testing.TB, keys ...jose.JSONWebKey) assertion.Keys {
	t.Helper()
	set, err := assertion.ParseKeySet([]byte(assertiontest.JWKS(t, keys...)))
	if err != nil {
		t.Fatal(err)
	}
	return assertion.Keys{JWKS: set}
}

// authenticates verifies an assertion of a client with these keys.
func authenticates(t testing.TB, presented string, by assertion.Keys) error {
	t.Helper()
	a, err := assertion.ReadClient(presented)
	if err != nil {
		return err
	}
	if a.ClientID != "web" {
		t.Errorf("the client is %q", a.ClientID)
	}
	return assertion.New(assertion.Options{}).VerifyClient(t.Context(), a, by, ourNames, now)
}

// TestClientAlgorithms checks that a client authenticates by each algorithm, and that the key must
// be one for it. Ed25519 goes by two names.
func TestClientAlgorithms(t *testing.T) {
	algorithms := []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.EdDSA, "Ed25519",
	}
	if names := assertion.ClientAlgorithms(); !slices.EqualFunc(names, algorithms, func(a string, b jose.SignatureAlgorithm) bool { return a == string(b) }) {
		t.Errorf("the algorithms are %q", names)
	}
	for _, alg := range algorithms {
		sign := func(alg jose.SignatureAlgorithm, key jose.JSONWebKey) string {
			if alg == "Ed25519" {
				return signEd25519(t, key, said(nil))
			}
			key.Algorithm = string(alg)
			return assertiontest.Sign(t, key, nil, said(nil))
		}
		of := alg
		if alg == "Ed25519" {
			of = jose.EdDSA
		}
		key := assertiontest.NewKey(t, of, "k")
		names := []string{string(alg), ""}
		if of == jose.EdDSA {
			names = append(names, "EdDSA", "Ed25519")
		}
		for _, name := range names {
			key.Algorithm = name
			if err := authenticates(t, sign(alg, key), keysOf(t, key)); err != nil {
				t.Errorf("%s by a key for %q: %v", alg, name, err)
			}
		}
		other := assertiontest.NewKey(t, of, "kk")
		other.KeyID = "k"
		refusedClient(t, sign(alg, key), assertion.WrongSignature, keysOf(t, other))
		key.Algorithm = "ES512"
		refusedClient(t, sign(alg, key), assertion.UnknownKey, keysOf(t, key))
	}
}

// signEd25519 returns a JWT by the key, whose header has the name of RFC 9864.
func signEd25519(t testing.TB, key jose.JSONWebKey, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return assertiontest.Raw(`{"alg":"Ed25519","kid":"`+key.KeyID+`"}`, string(payload), func(input []byte) []byte { return assertiontest.SignEd25519(key, input) })
}

// refusedClient checks that an assertion is refused for that reason.
func refusedClient(t testing.TB, presented string, reason assertion.Reason, by assertion.Keys) {
	t.Helper()
	var refused *assertion.RefusedError
	if err := authenticates(t, presented, by); !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("%v, and not %s", err, reason)
	}
}

// TestClientRefused checks each rule of a client's assertion at its limit.
func TestClientRefused(t *testing.T) {
	key := assertiontest.NewKey(t, jose.ES256, "k")
	by := keysOf(t, key)
	unix := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, tt := range []struct {
		name   string
		header map[string]any
		claims map[string]any
		want   assertion.Reason // "" for none
	}{
		{"good", nil, nil, ""},
		{"a type", map[string]any{"typ": "JWT"}, nil, ""},
		{"the type of its own", map[string]any{"typ": "client-authentication+jwt"}, nil, ""},
		{"the same in full", map[string]any{"typ": "Application/Client-Authentication+JWT"}, nil, ""},
		{"another type", map[string]any{"typ": "at+jwt"}, nil, assertion.WrongType},
		{"a proof", map[string]any{"typ": "dpop+jwt"}, nil, assertion.WrongType},
		{"a key", map[string]any{"jwk": key.Public()}, nil, assertion.ForbiddenHeader},
		{"where the key is", map[string]any{"jku": "https://a.example"}, nil, assertion.ForbiddenHeader},
		{"where a certificate is", map[string]any{"x5u": "https://a.example"}, nil, assertion.ForbiddenHeader},
		{"a certificate", map[string]any{"x5c": []string{"MA"}}, nil, assertion.ForbiddenHeader},
		{"an extension", map[string]any{"crit": []string{"exp"}, "exp": 1}, nil, assertion.ForbiddenHeader},
		{"a detached payload", map[string]any{"b64": true}, nil, assertion.ForbiddenHeader},
		{"another subject", nil, map[string]any{"sub": "other"}, assertion.WrongSubject},
		{"another issuer", nil, map[string]any{"iss": "other"}, assertion.WrongSubject},
		{"no subject", nil, map[string]any{"sub": nil}, assertion.WrongSubject},
		{"no issuer", nil, map[string]any{"iss": nil}, assertion.WrongSubject},
		{"a subject that is a number", nil, map[string]any{"sub": 1}, assertion.Malformed},
		{"the token endpoint", nil, map[string]any{"aud": ourNames[1]}, ""},
		{"this endpoint", nil, map[string]any{"aud": []string{ourNames[2]}}, ""},
		{"two names of ours", nil, map[string]any{"aud": []string{ourNames[0], ourNames[1]}}, ""},
		{"somebody else", nil, map[string]any{"aud": "https://other.example"}, assertion.WrongAudience},
		{"somebody else as well", nil, map[string]any{"aud": []string{ourNames[0], "https://other.example"}}, assertion.WrongAudience},
		{"a slash more", nil, map[string]any{"aud": ourNames[0] + "/"}, assertion.WrongAudience},
		{"nobody", nil, map[string]any{"aud": nil}, assertion.WrongAudience},
		{"an empty list", nil, map[string]any{"aud": []string{}}, assertion.WrongAudience},
		{"no end", nil, map[string]any{"exp": nil}, assertion.NoExpiry},
		{"an end within the skew", nil, map[string]any{"exp": unix(-59 * time.Second)}, ""},
		{"an end before", nil, map[string]any{"exp": unix(-time.Minute)}, assertion.Expired},
		{"ten minutes, and the skew", nil, map[string]any{"exp": unix(11 * time.Minute)}, ""},
		{"more", nil, map[string]any{"exp": unix(11*time.Minute + time.Second)}, assertion.ExpiresTooLate},
		{"milliseconds", nil, map[string]any{"exp": now.UnixMilli()}, assertion.ExpiresTooLate},
		{"no beginning", nil, map[string]any{"iat": nil}, ""},
		{"a beginning within the skew", nil, map[string]any{"iat": unix(time.Minute), "nbf": unix(time.Minute)}, ""},
		{"made later", nil, map[string]any{"iat": unix(61 * time.Second)}, assertion.NotYetValid},
		{"good later", nil, map[string]any{"nbf": unix(61 * time.Second)}, assertion.NotYetValid},
		{"made long ago", nil, map[string]any{"iat": unix(-time.Hour)}, ""},
		{"no id", nil, map[string]any{"jti": nil}, ""},
		{"an end that is a text", nil, map[string]any{"exp": "soon"}, assertion.Malformed},
	} {
		presented := assertiontest.Sign(t, key, tt.header, said(tt.claims))
		if tt.want != "" {
			t.Run(tt.name, func(t *testing.T) { refusedClient(t, presented, tt.want, by) })
		} else if err := authenticates(t, presented, by); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if authenticates(t, assertiontest.Sign(t, key, nil, said(map[string]any{"exp": 1e300})), by) == nil {
		t.Error("an end that no clock can show is accepted")
	}
}

// TestForgedClients checks that nobody authenticates without a private key of the client.
func TestForgedClients(t *testing.T) {
	key := assertiontest.NewKey(t, jose.RS256, "k")
	by := keysOf(t, key)
	payload, err := json.Marshal(said(nil))
	if err != nil {
		t.Fatal(err)
	}
	good := assertiontest.Sign(t, key, nil, said(nil))
	parts := strings.Split(good, ".")
	other, err := json.Marshal(said(map[string]any{"jti": "2"}))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		presented string
		want      assertion.Reason
	}{
		"none":              {assertiontest.Raw(`{"alg":"none"}`, string(payload), func([]byte) []byte { return nil }), assertion.WrongAlgorithm},
		"a MAC":             {assertiontest.Raw(`{"alg":"HS256","kid":"k"}`, string(payload), func(in []byte) []byte { return in[:32] }), assertion.WrongAlgorithm},
		"ES512":             {assertiontest.Sign(t, assertiontest.NewKey(t, jose.ES512, "k"), nil, said(nil)), assertion.WrongAlgorithm},
		"another payload":   {parts[0] + "." + base64.RawURLEncoding.EncodeToString(other) + "." + parts[2], assertion.WrongSignature},
		"no signature":      {parts[0] + "." + parts[1] + ".", assertion.Malformed},
		"half a signature":  {parts[0] + "." + parts[1] + "." + parts[2][:100], assertion.WrongSignature},
		"another key id":    {assertiontest.Sign(t, assertiontest.NewKey(t, jose.RS256, "kk"), nil, said(nil)), assertion.UnknownKey},
		"Ed25519 by RSA":    {assertiontest.Raw(`{"alg":"Ed25519","kid":"k"}`, string(payload), func(in []byte) []byte { return in[:64] }), assertion.UnknownKey},
		"no JWT":            {"a.b", assertion.Malformed},
		"too long":          {strings.Repeat("a", assertion.MaxSize+1), assertion.TooLong},
		"a repeated member": {assertiontest.Raw(`{"alg":"RS256","alg":"none"}`, string(payload), func(in []byte) []byte { return in[:32] }), assertion.Malformed},
	} {
		var refused *assertion.RefusedError
		err := authenticates(t, tt.presented, by)
		if !errors.As(err, &refused) || refused.Reason != tt.want && name != "no signature" {
			t.Errorf("%s: %v, not %s", name, err, tt.want)
		}
		if refused != nil && strings.Contains(refused.Error(), tt.presented[:3]) {
			t.Errorf("%s: the error repeats the assertion", name)
		}
	}
	refusedClient(t, good, assertion.UnknownKey, assertion.Keys{})
}

// TestOfOneKindOnly checks that an issuer's assertion does not authenticate a client, and that a
// client's of its own type starts no family.
func TestOfOneKindOnly(t *testing.T) {
	key := assertiontest.NewKey(t, jose.ES256, "k")
	claims := good(map[string]any{"aud": []string{"us"}, "sub": "alice"})
	refusedClient(t, assertiontest.Sign(t, key, nil, claims), assertion.WrongSubject, keysOf(t, key))
	typed := assertiontest.Sign(t, key, map[string]any{"typ": "client-authentication+jwt"}, good(nil))
	refused(t, typed, assertion.WrongType, inline(t, "https://login.example", key))
	ed := assertiontest.NewKey(t, jose.EdDSA, "k")
	refused(t, signEd25519(t, ed, good(nil)), assertion.WrongAlgorithm, inline(t, "https://login.example", ed))
}

// TestClientKeysWiden checks which change of keys lets in whom the old ones do not.
func TestClientKeysWiden(t *testing.T) {
	one, two := assertiontest.NewKey(t, jose.ES256, "1"), assertiontest.NewKey(t, jose.ES256, "2")
	at := assertion.Keys{JWKSURI: "https://a.example/"}
	for _, tt := range []struct {
		name          string
		before, after assertion.Keys
		want          bool
	}{
		{"none", assertion.Keys{}, assertion.Keys{}, false},
		{"the first", assertion.Keys{}, keysOf(t, one), true},
		{"one more", keysOf(t, one), keysOf(t, two, one), true},
		{"one less", keysOf(t, one, two), keysOf(t, two), false},
		{"no more", keysOf(t, one), assertion.Keys{}, false},
		{"an address", assertion.Keys{}, at, true},
		{"the same address", at, at, false},
		{"another address", at, assertion.Keys{JWKSURI: "https://b.example/"}, true},
		{"an address no more", at, assertion.Keys{}, false},
		{"keys for an address", at, keysOf(t, one), true},
		{"an address for keys", keysOf(t, one), at, true},
	} {
		if got := tt.after.Widens(tt.before); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

// FuzzClientAssertion checks that what is accepted is what the rules say, by a second reading of
// the claims, and that nothing but the key's signature is accepted.
func FuzzClientAssertion(f *testing.F) {
	key, thief := assertiontest.NewKey(f, jose.ES256, "k"), assertiontest.NewKey(f, jose.ES256, "k")
	by := keysOf(f, key)
	for _, changes := range []map[string]any{
		nil, {"aud": ourNames}, {"exp": now.Add(time.Hour).Unix()}, {"sub": "other"}, {"iat": nil}, {"nbf": now.Add(time.Hour).Unix()}, {"aud": []string{"x"}},
	} {
		payload, err := json.Marshal(said(changes))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(`{"alg":"ES256","kid":"k"}`, string(payload), true)
		f.Add(`{"alg":"ES256"}`, string(payload), false)
	}
	f.Add(`{"alg":"ES256","crit":["x"],"x":1}`, `{}`, true)
	f.Add(`{"alg":"Ed25519","typ":"client-authentication+jwt"}`, `{"iss":"web","iss":"x"}`, true)
	f.Fuzz(func(t *testing.T, header, payload string, own bool) {
		signer := thief
		if own {
			signer = key
		}
		presented := assertiontest.Raw(header, payload, func(input []byte) []byte { return assertiontest.SignES256(t, signer, input) })
		a, err := assertion.ReadClient(presented)
		if err == nil {
			err = assertion.New(assertion.Options{}).VerifyClient(t.Context(), a, by, ourNames, now)
		}
		if err != nil {
			var refused *assertion.RefusedError
			if !errors.As(err, &refused) || refused.Reason == "" {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var claims struct {
			Issuer  string  `json:"iss"`
			Subject string  `json:"sub"`
			Expiry  float64 `json:"exp"`
			Made    float64 `json:"iat"`
			Before  float64 `json:"nbf"`
		}
		if err := json.Unmarshal([]byte(payload), &claims); err != nil {
			t.Fatal(err)
		}
		at := float64(now.Unix())
		if !own || len(presented) > assertion.MaxSize || claims.Issuer != a.ClientID || claims.Subject != a.ClientID ||
			claims.Expiry <= at-61 || claims.Expiry > at+661 || claims.Made > at+61 || claims.Before > at+61 || strings.Contains(header, `"crit"`) {
			t.Errorf("accepted: %s %s, signed by the client: %t", header, payload, own)
		}
	})
}
