package assertion_test

import (
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
)

var now = time.Date(2029, 3, 1, 12, 0, 0, 0, time.UTC)

// inline returns an issuer whose keys are given.
func inline(t testing.TB, name string, keys ...jose.JSONWebKey) assertion.Issuer {
	t.Helper()
	set, err := assertion.ParseKeySet([]byte(assertiontest.JWKS(t, keys...)))
	if err != nil {
		t.Fatal(err)
	}
	var algorithms []string
	for _, k := range keys {
		algorithms = append(algorithms, k.Algorithm)
	}
	return assertion.Issuer{
		Issuer: name, JWKS: set, Audience: []string{"us", "us too"}, Algorithms: algorithms,
		UserClaim: "sub", MaxAge: assertion.DefaultMaxAge, UserPrefix: assertion.DefaultPrefix(name),
	}
}

// good returns the claims of a good assertion, with changes; nil leaves a claim out.
func good(changes map[string]any) map[string]any {
	all := map[string]any{"iss": "https://login.example", "sub": "alice", "aud": "us", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	for name, value := range changes {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	return all
}

func verify(t testing.TB, presented string, trusted ...assertion.Issuer) (*assertion.Assertion, error) {
	t.Helper()
	return assertion.New(assertion.Options{}).Verify(t.Context(), presented, trusted, now)
}

// refused checks that an assertion is refused for a reason, and that the error holds nothing of
// it.
func refused(t testing.TB, presented string, want assertion.Reason, trusted ...assertion.Issuer) {
	t.Helper()
	a, err := verify(t, presented, trusted...)
	var refused *assertion.RefusedError
	if a != nil || !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("it is %+v, %v; want the reason %s", a, err, want)
		return
	}
	for part := range strings.SplitSeq(presented, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("the error has a part of the assertion: %v", err)
		}
	}
}

// TestEveryAlgorithm checks that an issuer may sign with each algorithm that it is allowed, and
// not with another, and that a key makes signatures of its own kind alone.
func TestEveryAlgorithm(t *testing.T) {
	all := []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.EdDSA}
	for n, alg := range all {
		key := assertiontest.NewKey(t, alg, "k")
		issuer := inline(t, "https://login.example", key)
		presented := assertiontest.Sign(t, key, nil, good(nil))
		if a, err := verify(t, presented, issuer); err != nil || a.UserID != "https://login.example|alice" {
			t.Errorf("%s: %+v, %v", alg, a, err)
		}
		other := issuer
		other.Algorithms = []string{string(all[(n+1)%len(all)])}
		refused(t, presented, assertion.WrongAlgorithm, other)
		key.Algorithm = "" // the set does not say what the key is for
		unsaid := inline(t, "https://login.example", key)
		unsaid.Algorithms = issuer.Algorithms
		if _, err := verify(t, presented, unsaid); err != nil {
			t.Errorf("%s, by a key without alg: %v", alg, err)
		}
		key.Algorithm = string(all[(n+1)%len(all)]) // a key for another algorithm
		reserved := inline(t, "https://login.example", key)
		reserved.Algorithms = issuer.Algorithms
		refused(t, presented, assertion.UnknownKey, reserved)
	}
}

// TestRefused checks each reason for which an assertion is refused. Times are tried at their
// limits, on both sides.
func TestRefused(t *testing.T) {
	key := assertiontest.NewKey(t, jose.ES256, "k")
	issuer := inline(t, "https://login.example", key)
	const s = time.Second
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for _, tt := range []struct {
		name   string
		header map[string]any
		claims map[string]any
		want   assertion.Reason // "" if it is good
	}{
		{"good", nil, nil, ""},
		{"typ JWT", map[string]any{"typ": "JWT"}, nil, ""},
		{"typ in small letters, whole", map[string]any{"typ": "application/jwt"}, nil, ""},
		{"an access token", map[string]any{"typ": "at+jwt"}, nil, assertion.WrongType},
		{"a logout token", map[string]any{"typ": "logout+jwt"}, nil, assertion.WrongType},
		{"a logout token that does not say so", nil, map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}, assertion.WrongType},
		{"an access token of Entra", nil, map[string]any{"scp": "openid"}, assertion.WrongType},
		{"an access token of Cognito", nil, map[string]any{"token_use": "access"}, assertion.WrongType},
		{"a token of Cognito for something new", nil, map[string]any{"token_use": 1}, assertion.WrongType},
		{"an id token of Cognito", nil, map[string]any{"token_use": "id"}, ""},
		{"an access token of Keycloak", nil, map[string]any{"typ": "Bearer"}, assertion.WrongType},
		{"a logout token of Keycloak", nil, map[string]any{"typ": "Logout"}, assertion.WrongType},
		{"an id token of Keycloak", nil, map[string]any{"typ": "ID"}, ""},
		{"typ a number", map[string]any{"typ": 1}, nil, assertion.Malformed},
		{"an embedded key", map[string]any{"jwk": key.Public()}, nil, assertion.ForbiddenHeader},
		{"jku", map[string]any{"jku": "https://login.example/keys"}, nil, assertion.ForbiddenHeader},
		{"x5u", map[string]any{"x5u": "https://login.example/cert"}, nil, assertion.ForbiddenHeader},
		{"x5c", map[string]any{"x5c": []string{"AAAA"}}, nil, assertion.ForbiddenHeader},
		{"crit", map[string]any{"crit": []string{"b64"}, "b64": true}, nil, assertion.ForbiddenHeader},
		{"a header of others", map[string]any{"x5t": "AAAA", "org": "1"}, nil, ""},

		{"another issuer", nil, map[string]any{"iss": "https://other.example"}, assertion.WrongIssuer},
		{"an issuer with a slash more", nil, map[string]any{"iss": "https://login.example/"}, assertion.WrongIssuer},
		{"no issuer", nil, map[string]any{"iss": nil}, assertion.WrongIssuer},
		{"issuer a list", nil, map[string]any{"iss": []string{"https://login.example"}}, assertion.Malformed},
		{"another audience", nil, map[string]any{"aud": "them"}, assertion.WrongAudience},
		{"no audience", nil, map[string]any{"aud": nil}, assertion.WrongAudience},
		{"an empty list of audiences", nil, map[string]any{"aud": []string{}}, assertion.WrongAudience},
		{"one audience of several", nil, map[string]any{"aud": []string{"them", "us too"}}, ""},
		{"audience a number", nil, map[string]any{"aud": 1}, assertion.Malformed},

		{"no exp", nil, map[string]any{"exp": nil}, assertion.NoExpiry},
		{"exp null", nil, map[string]any{"exp": jsonNull{}}, assertion.NoExpiry},
		{"exp a string", nil, map[string]any{"exp": "2029"}, assertion.Malformed},
		{"expired by the skew", nil, map[string]any{"exp": at(-60 * s)}, assertion.Expired},
		{"expired by less", nil, map[string]any{"exp": at(-59 * s)}, ""},
		{"no iat", nil, map[string]any{"iat": nil}, assertion.NoIssueTime},
		{"made in the future, by the skew", nil, map[string]any{"iat": at(60 * s)}, ""},
		{"made in the future, by more", nil, map[string]any{"iat": at(61 * s)}, assertion.NotYetValid},
		{"as old as it may be", nil, map[string]any{"iat": at(-359 * s)}, ""},
		{"too old", nil, map[string]any{"iat": at(-360 * s)}, assertion.TooOld},
		{"valid now", nil, map[string]any{"nbf": at(60 * s)}, ""},
		{"not yet valid", nil, map[string]any{"nbf": at(61 * s)}, assertion.NotYetValid},
		{"exp beyond all time", nil, map[string]any{"exp": 1e17}, ""},
		{"exp beyond what an integer holds", nil, map[string]any{"exp": 1e30}, assertion.Malformed},
		{"iat in fractions", nil, map[string]any{"iat": float64(at(0)) + 0.5}, ""},

		{"no user", nil, map[string]any{"sub": nil}, assertion.NoUser},
		{"an empty user", nil, map[string]any{"sub": ""}, assertion.NoUser},
		{"a user with a line break", nil, map[string]any{"sub": "a\nb"}, assertion.UserUnprintable},
		{"a user that is no text", nil, map[string]any{"sub": "a\ufffdb"}, assertion.UserUnprintable},
		{"a long user", nil, map[string]any{"sub": strings.Repeat("a", 128-len("https://login.example|"))}, ""},
		{"a user that is too long", nil, map[string]any{"sub": strings.Repeat("a", 129-len("https://login.example|"))}, assertion.UserTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			presented := assertiontest.Sign(t, key, tt.header, good(tt.claims))
			if tt.want != "" {
				refused(t, presented, tt.want, issuer)
				return
			}
			if _, err := verify(t, presented, issuer); err != nil {
				t.Errorf("it is refused: %v", err)
			}
		})
	}
}

type jsonNull struct{}

func (jsonNull) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// TestForged checks what was signed by nobody, by another key, or by a key that was taken for
// something else.
func TestForged(t *testing.T) {
	key := assertiontest.NewKey(t, jose.RS256, "k")
	issuer := inline(t, "https://login.example", key)
	presented := assertiontest.Sign(t, key, nil, good(nil))
	parts := strings.Split(presented, ".")
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	set := assertiontest.JWKS(t, key)
	mac := func(secret []byte) func([]byte) []byte {
		return func(input []byte) []byte {
			m := hmac.New(sha256.New, secret)
			m.Write(input)
			return m.Sum(nil)
		}
	}
	unsigned := func([]byte) []byte { return nil }
	lax := issuer
	lax.Algorithms = []string{"RS256", "HS256", "none"} // as no setting can be
	for name, forged := range map[string]string{
		"none":                       assertiontest.Raw(`{"alg":"none"}`, string(claims), unsigned),
		"None":                       assertiontest.Raw(`{"alg":"None","kid":"k"}`, string(claims), unsigned),
		"HS256 by the public key":    assertiontest.Raw(`{"alg":"HS256","kid":"k"}`, string(claims), mac([]byte(set))),
		"HS256 by nothing":           assertiontest.Raw(`{"alg":"HS256","kid":"k"}`, string(claims), mac(nil)),
		"ES256K, which nobody knows": assertiontest.Raw(`{"alg":"ES256K","kid":"k"}`, string(claims), unsigned),
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, forged, assertion.WrongAlgorithm, issuer)
			refused(t, forged, assertion.WrongAlgorithm, lax)
		})
	}
	stranger := assertiontest.NewKey(t, jose.RS256, "kk")
	stranger.KeyID = "k"
	refused(t, assertiontest.Sign(t, stranger, nil, good(nil)), assertion.WrongSignature, issuer)
	refused(t, assertiontest.Sign(t, stranger, map[string]any{"jwk": stranger.Public()}, good(nil)), assertion.ForbiddenHeader, issuer)
	stranger.KeyID = "other"
	refused(t, assertiontest.Sign(t, stranger, nil, good(nil)), assertion.UnknownKey, issuer)
	refused(t, assertiontest.Raw(`{"alg":"RS256","kid":"k"}`, string(claims), unsigned), assertion.WrongSignature, issuer)
	changed := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), "alice", "carol", 1)))
	refused(t, parts[0]+"."+changed+"."+parts[2], assertion.WrongSignature, issuer)
	other := inline(t, "https://other.example", key)
	refused(t, presented, assertion.WrongIssuer, other)
	if a, err := verify(t, presented, other, issuer); err != nil || a.Issuer != "https://login.example" {
		t.Errorf("of two issuers: %+v, %v", a, err)
	}
}

// TestMalformed checks texts that are no JWT, and spellings of a good one that are not the
// canonical one.
func TestMalformed(t *testing.T) {
	key := assertiontest.NewKey(t, jose.ES256, "k")
	issuer := inline(t, "https://login.example", key)
	presented := assertiontest.Sign(t, key, nil, good(nil))
	parts := strings.Split(presented, ".")
	claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
	sign := func([]byte) []byte { return make([]byte, 64) }
	for name, text := range map[string]string{
		"empty":                "",
		"a word":               "alice",
		"two parts":            parts[0] + "." + parts[1],
		"four parts":           presented + ".",
		"a line break":         parts[0] + "." + parts[1] + "\n." + parts[2],
		"padding":              presented + "==",
		"JSON":                 `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"a space":              " " + presented,
		"the header no JSON":   assertiontest.Raw(`alg`, string(claims), sign),
		"the header a list":    assertiontest.Raw(`["ES256"]`, string(claims), sign),
		"alg twice":            assertiontest.Raw(`{"alg":"ES256","alg":"none","kid":"k"}`, string(claims), sign),
		"a claim twice":        assertiontest.Raw(`{"alg":"ES256","kid":"k"}`, `{"iss":"https://login.example","sub":"alice","sub":"carol"}`, sign),
		"claims not UTF-8":     assertiontest.Raw(`{"alg":"ES256","kid":"k"}`, "{\"iss\":\"https://login.example\",\"sub\":\"al\xffice\"}", sign),
		"the claims a list":    assertiontest.Raw(`{"alg":"ES256","kid":"k"}`, `[]`, sign),
		"kid a number":         assertiontest.Raw(`{"alg":"ES256","kid":1}`, string(claims), sign),
		"stray bits at an end": parts[0] + "." + parts[1] + "." + stray(parts[2]),
	} {
		t.Run(name, func(t *testing.T) { refused(t, text, assertion.Malformed, issuer) })
	}
	refused(t, strings.Repeat("a", assertion.MaxSize+1), assertion.TooLong, issuer)
	long := assertiontest.Sign(t, key, nil, good(map[string]any{"groups": strings.Repeat("g", assertion.MaxSize)}))
	refused(t, long, assertion.TooLong, issuer)
}

// stray returns a text in base64url, whose last character carries unused bits, with one of them
// set.
func stray(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	return text[:len(text)-1] + string(alphabet[last^1])
}

// TestDigestNamesTheAssertion checks that the digest does not depend on the signature, which
// anybody can turn into another good one, and depends on everything else.
func TestDigestNamesTheAssertion(t *testing.T) {
	key := assertiontest.NewKey(t, jose.ES256, "k")
	issuer := inline(t, "https://login.example", key)
	presented := assertiontest.Sign(t, key, nil, good(nil))
	first, err := verify(t, presented, issuer)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(presented, ".")
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	turned := parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(signature)
	second, err := verify(t, turned, issuer)
	if err != nil || turned == presented || second.Digest != first.Digest {
		t.Errorf("the turned one is %+v, %v", second, err)
	}
	third, err := verify(t, assertiontest.Sign(t, key, nil, good(map[string]any{"jti": "2"})), issuer)
	if err != nil || third.Digest == first.Digest {
		t.Errorf("another one is %+v, %v", third, err)
	}
}

// TestWhatAnAssertionSays checks what is taken from a good assertion.
func TestWhatAnAssertionSays(t *testing.T) {
	key := assertiontest.NewKey(t, jose.ES256, "k")
	issuer := inline(t, "https://login.example", key)
	issuer.UserClaim, issuer.UserPrefix = "https://ids.example/uid", ""
	for _, tt := range []struct {
		name   string
		claims map[string]any
		want   assertion.Assertion
	}{
		{"nothing more", nil, assertion.Assertion{}},
		{
			"all of it",
			map[string]any{"auth_time": now.Add(-time.Hour).Unix(), "acr": "aal2", "amr": []string{"pwd", "otp"}},
			assertion.Assertion{AuthTime: now.Add(-time.Hour), ACR: "aal2", AMR: []string{"pwd", "otp"}},
		},
		{"of other types", map[string]any{"auth_time": "yesterday", "acr": 2, "amr": "pwd"}, assertion.Assertion{}},
		{"a time in the future", map[string]any{"auth_time": now.Add(61 * time.Second).Unix()}, assertion.Assertion{}},
		{"a time before all", map[string]any{"auth_time": -1}, assertion.Assertion{}},
		{"a list of other things", map[string]any{"amr": []any{"pwd", 1}}, assertion.Assertion{}},
		{"a long end", map[string]any{"exp": now.Add(240 * time.Hour).Unix()}, assertion.Assertion{UsableUntil: now.Add(24*time.Hour + time.Minute)}},
	} {
		claims := good(tt.claims)
		claims["https://ids.example/uid"] = "u-1"
		a, err := verify(t, assertiontest.Sign(t, key, nil, claims), issuer)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := tt.want
		want.Issuer, want.UserID, want.Digest = "https://login.example", "u-1", a.Digest
		want.MadeAt = now
		if want.UsableUntil.IsZero() {
			want.UsableUntil = now.Add(time.Hour + time.Minute)
		}
		if diff := cmp.Diff(&want, a); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestKeyIDs checks that an assertion without a key id is verified only if the issuer has one
// key of its kind, and that of two keys with one id either may have signed.
func TestKeyIDs(t *testing.T) {
	one, two, other := assertiontest.NewKey(t, jose.ES256, ""), assertiontest.NewKey(t, jose.ES256, ""), assertiontest.NewKey(t, jose.EdDSA, "")
	presented := assertiontest.Sign(t, one, nil, good(nil))
	if _, err := verify(t, presented, inline(t, "https://login.example", one, other)); err != nil {
		t.Errorf("with one key of its kind: %v", err)
	}
	refused(t, presented, assertion.UnknownKey, inline(t, "https://login.example", one, two))
	one.KeyID, two.KeyID = "k", "k"
	presented = assertiontest.Sign(t, one, nil, good(nil))
	if _, err := verify(t, presented, inline(t, "https://login.example", two, one)); err != nil {
		t.Errorf("with two keys of one id: %v", err)
	}
}
