package token_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/token"
)

// TestSecretsDoNotPrint prints each value that holds a secret in every way a program is likely
// to, and looks for the secret in the output.
func TestSecretsDoNotPrint(t *testing.T) {
	secret := []byte("the-secret-which-nobody-may-read")
	key := token.Key{ID: 7, Secret: secret, From: start}
	codec, err := token.NewCodec([]token.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	users, err := token.NewUserKeys(secret)
	if err != nil {
		t.Fatal(err)
	}
	encoded := codec.Mint(token.Token{Counter: 1}, start)

	type holder struct {
		Encoded token.Encoded
		Key     token.Key
		Codec   token.Codec
		Pointer *token.Codec
		codec   token.Codec // is a field on which fmt may not call Format
		pointer *token.Codec
		Users   token.UserKeys
		users   *token.UserKeys
	}
	held := holder{encoded, key, *codec, codec, *codec, codec, *users, users}

	for _, test := range []struct {
		name  string
		value any
		want  string // what fmt prints; "" if that is not ours to decide
	}{
		{"Encoded", encoded, "[refresh token]"},
		{"*Encoded", &encoded, "[refresh token]"},
		{"UserKeys", *users, "[user keys]"},
		{"*UserKeys", users, "[user keys]"},
		{"Key", key, "[token key 7]"},
		{"*Key", &key, "[token key 7]"},
		{"Codec", *codec, "[token codec]"},
		{"*Codec", codec, "[token codec]"},
		{"struct", held, ""},
		{"*struct", &held, ""},
		{"slice of Encoded", []token.Encoded{encoded}, ""},
		{"slice of Key", []token.Key{key}, ""},
		{"map", map[string]any{"token": encoded, "key": key, "codec": codec}, ""},
		{"error", fmt.Errorf("%v %s %+v", encoded, key, codec), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, verb := range []string{
				"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o",
				"%b", "%c", "%U", "%t", "%e", "%200.5s", "%z",
			} {
				got := fmt.Sprintf(verb, test.value)
				noSecret(t, verb, got, encoded, secret)
				if test.want != "" && got != test.want {
					t.Errorf("%s prints %q, want %q", verb, got, test.want)
				}
			}
			noSecret(t, "Sprint", fmt.Sprint(test.value), encoded, secret)
			noSecret(t, "Sprintln", fmt.Sprintln(test.value), encoded, secret)
			if s, ok := test.value.(fmt.Stringer); ok && s.String() != test.want {
				t.Errorf("String() = %q, want %q", s, test.want)
			}
			if s, ok := test.value.(fmt.GoStringer); ok && s.GoString() != test.want {
				t.Errorf("GoString() = %q, want %q", s.GoString(), test.want)
			}

			got, err := json.Marshal(test.value)
			if err != nil {
				t.Errorf("json: %v", err)
			}
			noSecret(t, "json", string(got), encoded, secret)

			for _, handler := range []string{"JSON", "Text"} {
				var out bytes.Buffer
				log := slog.New(slog.NewJSONHandler(&out, nil))
				if handler == "Text" {
					log = slog.New(slog.NewTextHandler(&out, nil))
				}
				log.Info("a", "value", test.value, slog.Group("group", "value", test.value))
				log.With("value", test.value).Info("b")
				noSecret(t, "slog "+handler, out.String(), encoded, secret)
				if n := strings.Count(out.String(), test.want); test.want != "" && n != 3 {
					t.Errorf("slog %s prints %q %d times, want 3: %s", handler, test.want, n, out.String())
				}
			}
		})
	}

	if got, err := json.Marshal(struct{ Token token.Encoded }{encoded}); err != nil || string(got) != `{"Token":{}}` {
		t.Errorf("json of an Encoded: %s, %v, want {}", got, err)
	}
}

// TestNoSecretFinds checks that noSecret finds what it looks for.
func TestNoSecretFinds(t *testing.T) {
	secret := []byte("the-secret-which-nobody-may-read")
	c := newCodec(t)
	encoded := c.Mint(sample(t), start)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d"} {
		for _, leak := range []any{encoded.Reveal(), secret, struct{ a []byte }{secret}} {
			if _, text := leak.(string); text && verb == "%d" {
				continue // fmt prints the string as it is, within its complaint
			}
			if len(leaks(fmt.Sprintf(verb, leak), encoded, secret)) == 0 {
				t.Errorf("%s of %T: the leak is not seen", verb, leak)
			}
		}
	}
	if j, err := json.Marshal(secret); err != nil || len(leaks(string(j), encoded, secret)) == 0 {
		t.Errorf("json: the leak is not seen in %s (%v)", j, err)
	}
}

func noSecret(t *testing.T, how, out string, encoded token.Encoded, secret []byte) {
	t.Helper()
	if found := leaks(out, encoded, secret); len(found) > 0 {
		t.Errorf("%s shows a secret, as %q: %s", how, found, out)
	}
}

// leaks returns the forms in which out holds part of the token or the secret.
func leaks(out string, encoded token.Encoded, secret []byte) []string {
	// This makes one spelling of "0x74, 0x68", "74 68" and "7468".
	squeeze := strings.NewReplacer(" ", "", ",", "", "0x", "", "0X", "")
	squeezed := strings.ToLower(squeeze.Replace(out))

	var found []string
	for _, s := range [][]byte{[]byte(encoded.Reveal())[10:20], secret[9:18]} {
		forms := []string{string(s), strings.Trim(fmt.Sprint(s), "[]")}
		for _, form := range forms {
			if strings.Contains(out, form) {
				found = append(found, form)
			}
		}
		if h := hex.EncodeToString(s); strings.Contains(squeezed, h) {
			found = append(found, h)
		}
	}
	// 9 is a multiple of 3, so this is part of the base64 of the whole.
	if b := base64.StdEncoding.EncodeToString(secret[9:18]); strings.Contains(out, b) {
		found = append(found, b)
	}
	return found
}
