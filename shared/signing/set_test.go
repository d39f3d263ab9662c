package signing_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/signing"
)

func TestNewSetRefuses(t *testing.T) {
	rsaKey, ecKey := newKey(t, signing.RS256, epoch()), newKey(t, signing.ES256, epoch())
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(k signing.Key, change func(*jose.JSONWebKey)) signing.Key {
		change(&k.JWK)
		return k
	}
	material := func(k signing.Key, m any) signing.Key {
		return with(k, func(j *jose.JSONWebKey) { j.Key = m })
	}
	ecPrivate := ecKey.JWK.Key.(*ecdsa.PrivateKey)
	otherEC := newKey(t, signing.ES256, epoch()).JWK.Key.(*ecdsa.PrivateKey)
	mixed := *ecPrivate
	mixed.PublicKey = otherEC.PublicKey
	rsaPrivate := rsaKey.JWK.Key.(*rsa.PrivateKey)
	otherRSA := newKey(t, signing.RS256, epoch()).JWK.Key.(*rsa.PrivateKey)

	for name, keys := range map[string][]signing.Key{
		"no keys":            nil,
		"none can sign":      {rsaKey.Retired(time.Time{}), ecKey.Retired(epoch())},
		"duplicate id":       {rsaKey, with(ecKey, func(j *jose.JSONWebKey) { j.KeyID = rsaKey.JWK.KeyID })},
		"duplicate key":      {rsaKey, rsaKey.Retired(epoch())},
		"no id":              {with(rsaKey, func(j *jose.JSONWebKey) { j.KeyID = "" })},
		"no algorithm":       {with(rsaKey, func(j *jose.JSONWebKey) { j.Algorithm = "" })},
		"none":               {with(rsaKey, func(j *jose.JSONWebKey) { j.Algorithm = "none" })},
		"RS512":              {with(rsaKey, func(j *jose.JSONWebKey) { j.Algorithm = "RS512" })},
		"PS256":              {with(rsaKey, func(j *jose.JSONWebKey) { j.Algorithm = "PS256" })},
		"RSA as ES256":       {with(rsaKey, func(j *jose.JSONWebKey) { j.Algorithm = "ES256" })},
		"ECDSA as RS256":     {with(ecKey, func(j *jose.JSONWebKey) { j.Algorithm = "RS256" })},
		"for encryption":     {with(rsaKey, func(j *jose.JSONWebKey) { j.Use = "enc" })},
		"small RSA":          {material(rsaKey, small)},
		"small public RSA":   {ecKey, material(rsaKey, &small.PublicKey)},
		"P-384":              {material(ecKey, p384)},
		"public P-384":       {rsaKey, material(ecKey, &p384.PublicKey)},
		"symmetric":          {material(rsaKey, []byte("0123456789abcdef0123456789abcdef"))},
		"Ed25519":            {material(ecKey, ed)},
		"nil":                {material(ecKey, nil)},
		"nil private RSA":    {material(rsaKey, (*rsa.PrivateKey)(nil))},
		"nil public RSA":     {ecKey, material(rsaKey, (*rsa.PublicKey)(nil))},
		"nil private ECDSA":  {material(ecKey, (*ecdsa.PrivateKey)(nil))},
		"nil public ECDSA":   {rsaKey, material(ecKey, (*ecdsa.PublicKey)(nil))},
		"zero RSA":           {material(rsaKey, &rsa.PrivateKey{})},
		"zero ECDSA":         {material(ecKey, &ecdsa.PrivateKey{})},
		"halves of two EC":   {material(ecKey, &mixed)},
		"halves of two RSA":  {material(rsaKey, &rsa.PrivateKey{PublicKey: otherRSA.PublicKey, D: rsaPrivate.D, Primes: rsaPrivate.Primes})},
		"EC without its D":   {material(ecKey, &ecdsa.PrivateKey{PublicKey: ecPrivate.PublicKey})},
		"RSA without its D":  {material(rsaKey, &rsa.PrivateKey{PublicKey: rsaPrivate.PublicKey, Primes: rsaPrivate.Primes})},
		"good key, then bad": {rsaKey, ecKey, material(ecKey, p384)},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := signing.NewSet(keys)
			if err == nil {
				t.Fatalf("made %v", set)
			}
			if !strings.HasPrefix(err.Error(), "signing: new set: ") {
				t.Errorf("error does not name the operation: %v", err)
			}
		})
	}
	if _, err := signing.GenerateKey("HS256", epoch()); err == nil {
		t.Error("generated a key for HS256")
	}
}

func TestGenerateKey(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		key := newKey(t, alg, epoch())
		if !key.Private() || key.JWK.Algorithm != string(alg) || key.JWK.Use != "sig" || !key.From.Equal(epoch()) || !key.Until.IsZero() {
			t.Errorf("generated %v", key)
		}
		// This computes RFC 7638 §3 by hand: the required members in order, hashed.
		public, err := key.JWK.Public().MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]string
		err = json.Unmarshal(public, &m)
		if err != nil {
			t.Fatal(err)
		}
		input := fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, m["e"], m["n"])
		if alg == signing.ES256 {
			input = fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, m["x"], m["y"])
		}
		sum := sha256.Sum256([]byte(input))
		if want := base64.RawURLEncoding.EncodeToString(sum[:]); key.JWK.KeyID != want {
			t.Errorf("%s kid %q, want %q", alg, key.JWK.KeyID, want)
		}
		if retired := key.Retired(epoch()); retired.Private() || !retired.Until.Equal(epoch()) {
			t.Errorf("retired: %v", retired)
		}
	}
}

func TestKeyChoice(t *testing.T) {
	at := func(h int) time.Time { return epoch().Add(time.Duration(h) * time.Hour) }
	first, second, third := newKey(t, signing.ES256, at(0)), newKey(t, signing.ES256, at(10)), newKey(t, signing.RS256, at(20))
	until := func(k signing.Key, end time.Time) signing.Key { k.Until = end; return k }
	tick := time.Nanosecond
	for _, c := range []struct {
		name string
		keys []signing.Key
		now  time.Time
		want signing.Key
	}{
		{"before all: the oldest", []signing.Key{third, first, second}, at(0).Add(-tick), first},
		{"at its time", []signing.Key{third, first, second}, at(0), first},
		{"just before the next", []signing.Key{third, first, second}, at(10).Add(-tick), first},
		{"the next at its time", []signing.Key{third, first, second}, at(10), second},
		{"just before the last", []signing.Key{second, third, first}, at(20).Add(-tick), second},
		{"the last", []signing.Key{second, third, first}, at(20), third},
		{"long after", []signing.Key{second, third, first}, at(20_000), third},
		{"the newest has no private half", []signing.Key{first, second.Retired(time.Time{})}, at(10), first},
		{"the oldest has no private half", []signing.Key{first.Retired(at(9)), second}, at(1), second},
		{"an end does not shorten signing", []signing.Key{until(first, at(12)), second}, at(9), first},
		{"past its end, before the next", []signing.Key{until(first, at(5)), second}, at(5), second},
		{"newest past its end", []signing.Key{first, until(second, at(11))}, at(11), first},
		{"newest just before its end", []signing.Key{first, until(second, at(11))}, at(11).Add(-tick), second},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := signAccess(t, newSet(t, c.keys...), c.now, access())
			if kid := headerOf(t, tok)["kid"]; kid != c.want.JWK.KeyID {
				t.Errorf("signed by %v, want %v", kid, c.want)
			}
		})
	}
}

func TestKeyChoiceOfEqualTimes(t *testing.T) {
	a, b := newKey(t, signing.ES256, epoch()), newKey(t, signing.ES256, epoch())
	one := headerOf(t, signAccess(t, newSet(t, a, b), epoch(), access()))["kid"]
	other := headerOf(t, signAccess(t, newSet(t, b, a), epoch(), access()))["kid"]
	if one != other {
		t.Error("the order of the keys decides which signs")
	}
}

// kids lists the ids in a JWK Set, and fails on any member that a public key
// does not have.
func kids(t *testing.T, jwks []byte) []string {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	err := json.Unmarshal(jwks, &set)
	if err != nil {
		t.Fatal(err)
	}
	if set.Keys == nil {
		t.Fatalf(`no "keys" array in %s`, jwks)
	}
	ids := []string{}
	for _, k := range set.Keys {
		for member := range k {
			if !slices.Contains([]string{"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"}, member) {
				t.Errorf("member %q in %s", member, jwks)
			}
		}
		if k["use"] != "sig" || (k["alg"] != "RS256" && k["alg"] != "ES256") {
			t.Errorf("use %v, alg %v", k["use"], k["alg"])
		}
		ids = append(ids, k["kid"].(string))
	}
	return ids
}

func TestJWKS(t *testing.T) {
	at := func(h int) time.Time { return epoch().Add(time.Duration(h) * time.Hour) }
	retired := newKey(t, signing.RS256, at(-10)).Retired(at(1))
	old := newKey(t, signing.ES256, at(-5))
	old.Until = at(2) // it still has its private half
	current, next := newKey(t, signing.ES256, at(0)), newKey(t, signing.ES256, at(24))
	set := newSet(t, next, old, current, retired)
	id := func(keys ...signing.Key) []string {
		ids := []string{}
		for _, k := range keys {
			ids = append(ids, k.JWK.KeyID)
		}
		return ids
	}
	for _, c := range []struct {
		now        time.Time
		want       []string
		algorithms []string
	}{
		{at(-100), id(retired, old, current, next), []string{"ES256", "RS256"}},
		{at(1).Add(-time.Nanosecond), id(retired, old, current, next), []string{"ES256", "RS256"}},
		{at(1), id(old, current, next), []string{"ES256"}},
		{at(2).Add(-time.Nanosecond), id(old, current, next), []string{"ES256"}},
		{at(2), id(current, next), []string{"ES256"}},
		{at(20_000), id(current, next), []string{"ES256"}},
	} {
		jwks := set.JWKS(c.now)
		if diff := cmp.Diff(c.want, kids(t, jwks)); diff != "" {
			t.Errorf("at %s (-want +got):\n%s", c.now, diff)
		}
		if diff := cmp.Diff(c.algorithms, set.Algorithms(c.now)); diff != "" {
			t.Errorf("algorithms at %s (-want +got):\n%s", c.now, diff)
		}
		if same := newSet(t, retired, current, next, old).JWKS(c.now); string(same) != string(jwks) {
			t.Error("the order of the keys shows in the key set")
		}
	}
	clear(set.JWKS(epoch()))
	clear(set.Algorithms(epoch()))
	kids(t, set.JWKS(epoch()))
	if set.Algorithms(epoch())[0] != "ES256" {
		t.Error("a caller's change shows in the set")
	}
}

func TestJWKSOfNoneIsAnArray(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	key.Until = epoch()
	set := newSet(t, key)
	if got := string(set.JWKS(epoch())); got != `{"keys":[]}` {
		t.Errorf("got %s", got)
	}
	if got := set.Algorithms(epoch()); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

// TestKeysThroughJSON checks that a key parsed from its JWK signs like the generated one, and
// that its signatures verify under the published JWK.
func TestKeysThroughJSON(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		key := newKey(t, alg, epoch())
		raw, err := key.JWK.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		read := signing.Key{From: epoch()}
		err = json.Unmarshal(raw, &read.JWK)
		if err != nil {
			t.Fatal(err)
		}
		set := newSet(t, read)
		var published jose.JSONWebKeySet
		err = json.Unmarshal(set.JWKS(epoch()), &published)
		if err != nil {
			t.Fatal(err)
		}
		byHand(t, signAccess(t, set, epoch(), access()), published.Keys[0].Key)
	}
}

func TestSetIsSafeForConcurrentUse(t *testing.T) {
	set := newSet(t, newKey(t, signing.ES256, epoch()), newKey(t, signing.RS256, epoch().Add(-time.Hour)))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				tok, err := set.SignAccess(epoch(), access())
				if err != nil {
					t.Error(err)
				}
				_, err = set.Verify(tok, issuer, epoch())
				if err != nil {
					t.Error(err)
				}
				set.JWKS(epoch())
			}
		})
	}
	wg.Wait()
}

func TestParseAlgorithm(t *testing.T) {
	for _, name := range []string{"RS256", "ES256"} {
		if a, err := signing.ParseAlgorithm(name); err != nil || string(a) != name {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	for _, name := range []string{"", "rs256", "none", "HS256", "RS256 "} {
		if a, err := signing.ParseAlgorithm(name); err == nil {
			t.Errorf("%q gave %v", name, a)
		}
	}
}
