package assertion_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
)

func faulty(v *assertion.Verifier, issuers ...assertion.Issuer) []string {
	var fields []string
	for _, err := range v.Check("f", issuers) {
		fields = append(fields, err.Field)
	}
	return fields
}

// TestCheckOfOneIssuer checks which settings of an issuer are refused, by field.
func TestCheckOfOneIssuer(t *testing.T) {
	key := assertiontest.NewKey(t, jose.ES256, "k")
	deployed := assertion.New(assertion.Options{})
	for _, tt := range []struct {
		name   string
		change func(i *assertion.Issuer)
		want   []string
	}{
		{"good", func(*assertion.Issuer) {}, nil},
		{"no issuer", func(i *assertion.Issuer) { i.Issuer = "" }, []string{"f[0].issuer"}},
		{"a long issuer", func(i *assertion.Issuer) { i.Issuer = strings.Repeat("i", 257) }, []string{"f[0].issuer"}},
		{"an issuer with a line break", func(i *assertion.Issuer) { i.Issuer = "a\nb" }, []string{"f[0].issuer"}},
		{"no keys", func(i *assertion.Issuer) { i.JWKS = nil }, []string{"f[0].jwks_uri"}},
		{"keys twice", func(i *assertion.Issuer) { i.JWKSURI = "https://login.example/keys" }, []string{"f[0].jwks"}},
		{"no audience", func(i *assertion.Issuer) { i.Audience = nil }, []string{"f[0].audience"}},
		{"eight audiences", func(i *assertion.Issuer) { i.Audience = slices.Repeat([]string{"a"}, 8) }, nil},
		{"nine audiences", func(i *assertion.Issuer) { i.Audience = slices.Repeat([]string{"a"}, 9) }, []string{"f[0].audience"}},
		{"an empty audience", func(i *assertion.Issuer) { i.Audience = []string{"a", ""} }, []string{"f[0].audience"}},
		{"no algorithms", func(i *assertion.Issuer) { i.Algorithms = nil }, []string{"f[0].algorithms"}},
		{"none", func(i *assertion.Issuer) { i.Algorithms = []string{"none"} }, []string{"f[0].algorithms"}},
		{"HS256", func(i *assertion.Issuer) { i.Algorithms = []string{"ES256", "HS256"} }, []string{"f[0].algorithms"}},
		{"no user claim", func(i *assertion.Issuer) { i.UserClaim = "" }, []string{"f[0].user_claim"}},
		{"a user claim that is the issuer", func(i *assertion.Issuer) { i.UserClaim = "iss" }, []string{"f[0].user_claim"}},
		{"no age", func(i *assertion.Issuer) { i.MaxAge = 0 }, []string{"f[0].max_age"}},
		{"a day", func(i *assertion.Issuer) { i.MaxAge = 86400 }, nil},
		{"more than a day", func(i *assertion.Issuer) { i.MaxAge = 86401 }, []string{"f[0].max_age"}},
		{"no prefix", func(i *assertion.Issuer) { i.UserPrefix = "" }, nil},
		{"a long prefix", func(i *assertion.Issuer) { i.UserPrefix = strings.Repeat("p", 101) }, []string{"f[0].user_prefix"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := inline(t, "https://login.example", key)
			tt.change(&i)
			if got := faulty(deployed, i); !slices.Equal(got, tt.want) {
				t.Errorf("the fields are %q, not %q", got, tt.want)
			}
		})
	}
}

// TestCheckOfAddresses checks which addresses of keys are accepted: https in the public internet,
// and in a local run loopback.
func TestCheckOfAddresses(t *testing.T) {
	deployed, local := assertion.New(assertion.Options{}), assertion.New(assertion.Options{Loopback: true})
	for uri, accepted := range map[string]string{
		"https://login.example/keys": "both", "https://login.example:8443/keys?a=b": "both", "https://8.8.8.8/keys": "both", "https://[2606:4700::1111]/keys": "both",
		"https://127.0.0.1/keys": "local", "http://127.0.0.1:3001/keys": "local", "http://localhost/keys": "local", "http://[::1]:1/keys": "local", "https://[::1]/keys": "local",
		"http://login.example/keys": "", "ftp://login.example/keys": "", "//login.example/keys": "", "/keys": "", "keys": "", "https:///keys": "", "https:login": "",
		"https://user@login.example/keys": "", "https://login.example/keys#a": "", "https://login.example/keys#": "", "https://login.example/\nkeys": "",
		"https://10.0.0.1/": "", "https://172.16.0.1/": "", "https://192.168.1.1/": "", "https://169.254.169.254/": "", "https://100.64.0.1/": "", "https://0.0.0.0/": "",
		"https://224.0.0.1/": "", "https://255.255.255.255/": "", "https://192.0.2.1/": "", "https://[fe80::1]/": "", "https://[fd00::1]/": "", "https://[::]/": "", "https://[ff02::1]/": "",
		"https://[::ffff:127.0.0.1]/": "", "https://[::ffff:8.8.8.8]/": "", "https://[64:ff9b::7f00:1]/": "", "https://[2002:7f00:1::]/": "", "https://[2001:db8::1]/": "",
		"http://10.0.0.1/": "", "https://login.example/" + strings.Repeat("k", 512): "",
	} {
		i := inline(t, "https://login.example", assertiontest.NewKey(t, jose.ES256, "k"))
		i.JWKS, i.JWKSURI = nil, uri
		for name, v := range map[string]*assertion.Verifier{"deployed": deployed, "local": local} {
			want := accepted == "both" || accepted == "local" && name == "local"
			if got := faulty(v, i); (len(got) == 0) != want || len(got) > 0 && !slices.Equal(got, []string{"f[0].jwks_uri"}) {
				t.Errorf("%s, %s: %q", uri, name, got)
			}
		}
	}
}

// TestCheckOfTwoIssuers checks that the users of a client's issuers cannot be taken for each
// other.
func TestCheckOfTwoIssuers(t *testing.T) {
	v := assertion.New(assertion.Options{})
	key := assertiontest.NewKey(t, jose.ES256, "k")
	of := func(issuer, prefix string) assertion.Issuer {
		i := inline(t, issuer, key)
		i.UserPrefix = prefix
		return i
	}
	for _, tt := range []struct {
		name    string
		issuers []assertion.Issuer
		want    []string
	}{
		{"apart", []assertion.Issuer{of("a", "a|"), of("b", "b|")}, nil},
		{"the same issuer", []assertion.Issuer{of("a", "a|"), of("a", "b|")}, []string{"f[1].issuer"}},
		{"the same prefix", []assertion.Issuer{of("a", "x|"), of("b", "x|")}, []string{"f[1].user_prefix"}},
		{"a prefix of the first", []assertion.Issuer{of("a", "x|y"), of("b", "x|")}, []string{"f[1].user_prefix"}},
		{"the first a prefix", []assertion.Issuer{of("a", "x"), of("b", "xy"), of("c", "z")}, []string{"f[1].user_prefix"}},
		{"one without", []assertion.Issuer{of("a", ""), of("b", "b|")}, []string{"f[0].user_prefix", "f[1].user_prefix"}},
		{"the other without", []assertion.Issuer{of("a", "a|"), of("b", "")}, []string{"f[1].user_prefix"}},
	} {
		if got := faulty(v, tt.issuers...); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, not %q", tt.name, got, tt.want)
		}
	}
	var nine []assertion.Issuer
	for n := range 9 {
		nine = append(nine, of(fmt.Sprint("i", n), fmt.Sprint(n, "|")))
	}
	if got := faulty(v, nine[:8]...); got != nil {
		t.Errorf("eight issuers: %q", got)
	}
	if got := faulty(v, nine...); !slices.Equal(got, []string{"f"}) {
		t.Errorf("nine issuers: %q", got)
	}
}

// TestKeySetsByHand checks that a private or symmetric key is refused, that the error does not
// repeat it, and that weak and unknown keys are refused.
func TestKeySetsByHand(t *testing.T) {
	private := func(k jose.JSONWebKey) string {
		b, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ec, rs, ed := assertiontest.NewKey(t, jose.ES256, "a"), assertiontest.NewKey(t, jose.RS256, "b"), assertiontest.NewKey(t, jose.EdDSA, "c")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	set := func(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }
	public := func(k jose.JSONWebKey) string { return private(k.Public()) }
	const symmetric = `{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}`
	for _, tt := range []struct{ name, text, says string }{
		{"an EC key", set(public(ec), private(ec)), "key 2: it is private or symmetric"},
		{"an RSA key", set(private(rs)), "private"},
		{"an Ed25519 key", set(private(ed)), "private"},
		{"a secret", set(symmetric), "private or symmetric"},
		{"a secret of another type", set(`{"kty":"RSA","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}`), "private or symmetric"},
		{"a weak key", set(public(jose.JSONWebKey{Key: weak})), "2048"},
		{"P-521", set(public(assertiontest.NewKey(t, jose.ES512, "d"))), "P-384"},
		{"another type", set(`{"kty":"XYZ"}`), "RSA key"},
		{"a key to encrypt", set(strings.Replace(public(ec), `"sig"`, `"enc"`, 1)), "not for signatures"},
		{"a point off its curve", set(`{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`), "RSA key"},
		{"no keys", set(), "no keys"},
		{"65 keys", set(slices.Repeat([]string{public(ec)}, 65)...), "64"},
		{"a bare key", public(ec), "JWK Set"},
		{"a list", `[]`, "JWK Set"},
		{"text", private(ec)[:40], "JWK Set"},
		{"a key that is text", set(`"x"`), "RSA key"},
	} {
		_, err := assertion.ParseKeySet([]byte(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var whole struct{ Keys []map[string]any }
		_ = json.Unmarshal([]byte(tt.text), &whole) // where it is a set
		for _, k := range whole.Keys {
			for _, member := range []string{"d", "k", "p", "q", "n", "x"} {
				if text, _ := k[member].(string); text != "" && strings.Contains(err.Error(), text) {
					t.Errorf("%s: the error repeats %s", tt.name, member)
				}
			}
		}
	}
	// What is shown again is public, and nothing but what verifies.
	got, err := assertion.ParseKeySet([]byte(set(public(ec), public(rs), strings.Replace(public(ed), `{`, `{"x5c":["AAAA"],"key_ops":["verify"],"ext":true,`, 1))))
	if err != nil || len(got.Keys()) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	shown, err := json.Marshal(got)
	if want := set(public(ec), public(rs), public(ed)); err != nil || string(shown) != want {
		t.Errorf("shown is %s, not %s", shown, want)
	}
}

// TestWidens checks which changes of a client's issuers trust more than before.
func TestWidens(t *testing.T) {
	key, other := assertiontest.NewKey(t, jose.ES256, "k"), assertiontest.NewKey(t, jose.ES256, "l")
	both := inline(t, "https://login.example", key, other)
	both.Algorithms = []string{"ES256", "RS256"}
	with := func(change func(i *assertion.Issuer)) []assertion.Issuer {
		i := both
		change(&i)
		return []assertion.Issuer{i}
	}
	whole := []assertion.Issuer{both}
	for _, tt := range []struct {
		name          string
		before, after []assertion.Issuer
		want          bool
	}{
		{"the first", nil, whole, true},
		{"none", whole, nil, false},
		{"no change", whole, with(func(*assertion.Issuer) {}), false},
		{"another", whole, append(with(func(i *assertion.Issuer) { i.Issuer = "x" }), both), true},
		{"a key less", whole, with(func(i *assertion.Issuer) { i.JWKS = inline(t, "", key).JWKS }), false},
		{"a key more", with(func(i *assertion.Issuer) { i.JWKS = inline(t, "", key).JWKS }), whole, true},
		{"an address", whole, with(func(i *assertion.Issuer) { i.JWKS, i.JWKSURI = nil, "https://login.example/keys" }), true},
		{"an audience less", whole, with(func(i *assertion.Issuer) { i.Audience = []string{"us"} }), false},
		{"an audience more", with(func(i *assertion.Issuer) { i.Audience = []string{"us"} }), whole, true},
		{"an algorithm less", whole, with(func(i *assertion.Issuer) { i.Algorithms = []string{"ES256"} }), false},
		{"an algorithm more", with(func(i *assertion.Issuer) { i.Algorithms = []string{"ES256"} }), whole, true},
		{"younger", whole, with(func(i *assertion.Issuer) { i.MaxAge-- }), false},
		{"older", whole, with(func(i *assertion.Issuer) { i.MaxAge++ }), true},
		{"another user", whole, with(func(i *assertion.Issuer) { i.UserClaim = "uid" }), true},
		{"another prefix", whole, with(func(i *assertion.Issuer) { i.UserPrefix = "" }), true},
	} {
		if got := assertion.Widens(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}
