package keyring_test

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// epoch returns the time at which the tests take place.
func epoch() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func generate(tb testing.TB) *keyring.Document {
	tb.Helper()
	d, err := keyring.Generate(signing.ES256, epoch())
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func encode(tb testing.TB, d *keyring.Document) string {
	tb.Helper()
	data, err := d.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// fingerprint returns a text that tells keys apart: the user key and MAC key by what they
// make, and the signing keys by their public halves.
func fingerprint(keys *keyring.Keys) string {
	minted := keys.Codec.Mint(token.Token{Counter: 1}, epoch())
	return fmt.Sprintf("%x %s %s", keys.Users.Key("user"), minted.Reveal(), keys.Signing.JWKS(epoch()))
}

func TestGenerate(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		d, err := keyring.Generate(alg, epoch())
		if err != nil {
			t.Fatal(err)
		}
		keys, err := d.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{string(alg)}, keys.Signing.Algorithms(epoch())); diff != "" {
			t.Errorf("algorithms (-want +got):\n%s", diff)
		}
		other, err := keyring.Generate(alg, epoch())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(d.UserKey, other.UserKey) || bytes.Equal(d.MAC[0].Secret, other.MAC[0].Secret) ||
			bytes.Equal(d.UserKey, d.MAC[0].Secret) {
			t.Error("two keys are the same")
		}
	}
	if _, err := keyring.Generate("HS256", epoch()); err == nil {
		t.Error("generated keys for HS256")
	}
}

// TestEncodeParse checks that one copy of the keys accepts what another makes.
func TestEncodeParse(t *testing.T) {
	d := generate(t)
	old, err := signing.GenerateKey(signing.RS256, epoch().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	next, err := signing.GenerateKey(signing.RS256, epoch().Add(24*time.Hour+time.Nanosecond))
	if err != nil {
		t.Fatal(err)
	}
	d.Signing = append(d.Signing, old.Retired(epoch().Add(time.Hour)), next)
	d.MAC = append(d.MAC, token.Key{ID: 255, Secret: bytes.Repeat([]byte{7}, 64), From: epoch().Add(time.Hour)})

	encoded := encode(t, d)
	read, err := keyring.Parse([]byte(encoded))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(encoded, encode(t, read)); diff != "" {
		t.Error("encoding what was parsed gives something else") // shows no diff, which would hold keys
	}
	if read.Signing[1].Private() || !read.Signing[1].Until.Equal(epoch().Add(time.Hour)) || !read.Signing[2].From.Equal(next.From) {
		t.Errorf("signing keys are now %v", read.Signing)
	}
	written, err := d.Compile()
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := read.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if fingerprint(written) != fingerprint(compiled) {
		t.Error("the parsed document has other keys")
	}
	want := token.Token{Counter: 9}
	got, err := compiled.Codec.Parse(written.Codec.Mint(want, epoch()).Reveal())
	if err != nil || got != want {
		t.Errorf("refresh token of the other copy: %v, %v", got, err)
	}
	tok, err := written.Signing.SignAccess(epoch(), signing.Access{
		Issuer: "i", Subject: "s", Audience: signing.Audience{"a"}, ClientID: "c", IssuedAt: epoch(), ExpiresAt: epoch().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compiled.Signing.Verify(tok, "i", epoch()); err != nil {
		t.Errorf("access token of the other copy: %v", err)
	}
}

// keyBytes returns the secrets of a document in the encodings in which they might
// show up.
func keyBytes(tb testing.TB, d *keyring.Document) []string {
	tb.Helper()
	var raws [][]byte
	if d.UserKey != nil { // there are token keys
		raws = append(raws, d.UserKey)
	}
	for _, k := range d.MAC {
		raws = append(raws, k.Secret)
	}
	for _, k := range d.Signing {
		key, ok := k.JWK.Key.(*ecdsa.PrivateKey)
		if !ok {
			continue // public
		}
		private, err := key.Bytes()
		if err != nil {
			tb.Fatal(err)
		}
		raws = append(raws, private)
	}
	var spellings []string
	for _, raw := range raws {
		spellings = append(spellings,
			base64.StdEncoding.EncodeToString(raw)[:20], base64.RawURLEncoding.EncodeToString(raw)[:20],
			fmt.Sprintf("%x", raw)[:20], fmt.Sprintf("%X", raw)[:20], new(big.Int).SetBytes(raw).String()[:20], strings.Trim(fmt.Sprint(raw[:8]), "[]"))
	}
	return spellings
}

func mustHide(tb testing.TB, d *keyring.Document, what, out string) {
	tb.Helper()
	for _, secret := range keyBytes(tb, d) {
		if strings.Contains(out, secret) {
			tb.Errorf("%s shows a key: %s", what, out)
			return
		}
	}
}

func TestParseRefuses(t *testing.T) {
	d := generate(t)
	good := encode(t, d)
	userKey := base64.StdEncoding.EncodeToString(d.UserKey)
	macKey := base64.StdEncoding.EncodeToString(d.MAC[0].Secret)
	jwk, err := d.Signing[0].JWK.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	from := `"2026-03-01T12:00:00Z"`
	mac := `{"id":1,"key":"` + macKey + `","from":` + from + `}`
	sig := `{"key":` + string(jwk) + `,"from":` + from + `}`
	change := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("nothing to change: a document has no such member")
		}
		return strings.Replace(good, old, with, 1)
	}
	if _, err := keyring.Parse([]byte(`{"user_key":"` + userKey + `","mac":[` + mac + `],"signing":[` + sig + `]}`)); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct{ name, data, want string }{
		{"nothing", ``, "document"},
		{"an empty object", `{}`, "user_key"},
		{"null", `null`, "document"},
		{"an array", `[` + good + `]`, "document"},
		{"a string", `"` + userKey + `"`, "document"},
		{"not JSON", userKey, "document"},
		{"cut short", good[:len(good)-1], "document"},
		{"cut in a key", good[:30], "user_key"},
		{"two documents", good + good, "document"},
		{"trailing text", good + macKey, "document"},
		{"unknown member", `{"colour":1,` + good[1:], `"colour"`},
		{"a key for a name", `{"` + userKey + `":1,` + good[1:], "unknown member"},
		{"another case", change(`"user_key"`, `"User_Key"`), `"User_Key"`},
		{"repeated", `{"user_key":"` + userKey + `",` + good[1:], "user_key"},
		{"no user key", `{"mac":[` + mac + `],"signing":[` + sig + `]}`, "user_key"},
		{"user key null", change(`"`+userKey+`"`, `null`), "user_key"},
		{"user key a number", change(`"`+userKey+`"`, `12345678901234567890`), "user_key"},
		{"user key not base64", change(userKey, "!"+userKey[1:]), "user_key"},
		{"user key in two lines", change(userKey, userKey[:8]+`\n`+userKey[8:]), "user_key"},
		{"user key short", change(userKey, base64.StdEncoding.EncodeToString(d.UserKey[:31])), "user_key"},
		{"user key long", change(userKey, base64.StdEncoding.EncodeToString(bytes.Repeat(d.UserKey, 3))), "user_key"},
		{"user key empty", change(userKey, ""), "user_key"},
		{"no mac", `{"user_key":"` + userKey + `","signing":[` + sig + `]}`, "mac"},
		{"mac empty", change(`[`+mac+`]`, `[]`), "mac"},
		{"mac null", change(`[`+mac+`]`, `null`), "mac"},
		{"mac an object", change(`[`+mac+`]`, mac), "mac"},
		{"mac element null", change(`[`+mac+`]`, `[null]`), "mac[0]"},
		{"mac unknown member", change(`{"id":1`, `{"alg":"x","id":1`), "mac[0]"},
		{"mac id 256", change(`"id":1`, `"id":256`), "mac[0].id"},
		{"mac id negative", change(`"id":1`, `"id":-1`), "mac[0].id"},
		{"mac id text", change(`"id":1`, `"id":"1"`), "mac[0].id"},
		{"mac id missing", change(`"id":1,`, ``), "mac[0]"},
		{"mac id twice", change(`[`+mac+`]`, `[`+mac+`,`+mac+`]`), "mac[1].id"},
		{"mac key short", change(macKey, base64.StdEncoding.EncodeToString(d.MAC[0].Secret[:8])), "mac[0].key"},
		{"mac key missing", change(`"key":"`+macKey+`",`, ``), "mac[0]"},
		{"mac from a key", change(`"from":`+from, `"from":"`+macKey+`"`), "mac[0].from"},
		{"mac from a number", change(`"from":`+from, `"from":1772366400`), "mac[0].from"},
		{"mac from zero", change(`"from":`+from, `"from":"0001-01-01T00:00:00Z"`), "mac[0].from"},
		{"no keys", `{}`, "user_key, mac and signing are missing"},
		{"signing empty", change(`[`+sig+`]`, `[]`), "signing"},
		{"signing key empty", change(string(jwk), `{}`), "signing[0].key"},
		{"signing key text", change(string(jwk), `"`+macKey+`"`), "signing[0].key"},
		{"signing key cut", change(`"crv":"P-256"`, `"crv":"`+macKey+`"`), "signing[0].key"},
		{"signing from missing", change(`{"key":`+string(jwk)+`,"from":`+from, `{"key":`+string(jwk)), "signing[0]"},
		{"signing until null", change(`}]}`, `,"until":null}]}`), "signing[0].until"},
		{"signing until a key", change(`}]}`, `,"until":"`+macKey+`"}]}`), "signing[0].until"},
		{"signing unknown member", change(`}]}`, `,"till":`+from+`}]}`), "signing[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			read, err := keyring.Parse([]byte(c.data))
			if err == nil {
				t.Fatalf("parsed %v", read)
			}
			if !strings.HasPrefix(err.Error(), "keyring: parse: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error does not say %q: %v", c.want, err)
			}
			mustHide(t, d, "error", err.Error())
		})
	}
}

// TestParseCorruptHidesKeys checks that a document which is cut or garbled anywhere either
// parses or gives an error without a key in it.
func TestParseCorruptHidesKeys(t *testing.T) {
	d := generate(t)
	good := encode(t, d)
	tried := 0
	for i := range good {
		for _, bad := range []string{good[:i], good[:i] + "}" + good[i+1:], good[:i] + `"` + good[i:], good[:i] + "\x00" + good[i+1:]} {
			read, err := keyring.Parse([]byte(bad))
			if err == nil {
				_, err = read.Compile()
			}
			if err != nil {
				tried++
				mustHide(t, d, "error", err.Error())
			}
		}
	}
	if tried < 3*len(good) {
		t.Errorf("only %d corrupt documents were errors", tried)
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, change := range map[string]func(*keyring.Document){
		"no MAC key":       func(d *keyring.Document) { d.MAC = nil },
		"short MAC key":    func(d *keyring.Document) { d.MAC[0].Secret = d.MAC[0].Secret[:16] },
		"short user key":   func(d *keyring.Document) { d.UserKey = d.UserKey[:16] },
		"no signing key":   func(d *keyring.Document) { d.Signing = nil },
		"only public keys": func(d *keyring.Document) { d.Signing[0] = d.Signing[0].Retired(time.Time{}) },
	} {
		d := generate(t)
		change(d)
		keys, err := d.Compile()
		if err == nil {
			t.Errorf("%s: compiled %v", name, keys)
			continue
		}
		if _, err := keyring.Local(d); err == nil {
			t.Errorf("%s: Local took it", name)
		}
	}
}

func TestLocal(t *testing.T) {
	source, err := keyring.Local(generate(t))
	if err != nil {
		t.Fatal(err)
	}
	first, err := source.Keys(t.Context(), epoch())
	if err != nil {
		t.Fatal(err)
	}
	later, err := source.Keys(t.Context(), epoch().AddDate(10, 0, 0))
	if err != nil || later != first {
		t.Errorf("later: %v, %v", later, err)
	}
}

// TestRedaction checks that no key shows, however a document or keys are printed.
func TestRedaction(t *testing.T) {
	d := generate(t)
	keys, err := d.Compile()
	if err != nil {
		t.Fatal(err)
	}
	source, err := keyring.Local(d)
	if err != nil {
		t.Fatal(err)
	}
	for what, value := range map[string]any{
		"pointer": d, "value": *d, "struct": struct {
			Document *keyring.Document
			Copy     keyring.Document
		}{d, *d}, "list": []keyring.Document{*d}, "keys": keys, "keys value": *keys, "source": source,
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			mustHide(t, d, what+" as "+verb, fmt.Sprintf(verb, value))
		}
		marshaled, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		mustHide(t, d, what+" as JSON", string(marshaled))
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "value", value)
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "value", value)
		mustHide(t, d, what+" in a log", log.String())
	}
	// This confirms that the check finds a key if there is one.
	hidden := false
	for _, secret := range keyBytes(t, d) {
		hidden = hidden || strings.Contains(encode(t, d), secret)
	}
	if !hidden {
		t.Error("the encoded document has no key")
	}
}

// TestCompileErrors checks that everything that is wrong with a document is reported at once.
func TestCompileErrors(t *testing.T) {
	keys, err := new(keyring.Document).Compile()
	if err == nil || keys != nil {
		t.Fatalf("Compile = %v, %v, want an error alone", keys, err)
	}
	for _, part := range []string{"user key: secret of 0 bytes", "no token keys", "signing"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}
}
