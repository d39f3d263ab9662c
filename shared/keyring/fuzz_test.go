package keyring_test

import (
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// words returns a replacer for the words that stand for new keys in the documents
// here: USERKEY, MACKEY and OTHERKEY for base64, and ESKEY, RSKEY and PUBLIC for
// JWKs, the last without a private half.
func words(tb testing.TB) *strings.Replacer {
	tb.Helper()
	es, other, rs := generate(tb), generate(tb), newSigningKey(tb, signing.RS256)
	var d struct {
		UserKey string `json:"user_key"`
		MAC     []struct{ Key string }
		Signing []struct{ Key json.RawMessage }
	}
	es.MAC = append(es.MAC, token.Key{ID: 2, Secret: other.MAC[0].Secret, From: epoch()})
	es.Signing = append(es.Signing, rs, other.Signing[0].Retired(epoch()))
	if err := json.Unmarshal([]byte(encode(tb, es)), &d); err != nil {
		tb.Fatal(err)
	}
	return strings.NewReplacer("USERKEY", d.UserKey, "MACKEY", d.MAC[0].Key, "OTHERKEY", d.MAC[1].Key,
		"ESKEY", string(d.Signing[0].Key), "RSKEY", string(d.Signing[1].Key), "PUBLIC", string(d.Signing[2].Key))
}

func newSigningKey(tb testing.TB, alg signing.Algorithm) signing.Key {
	tb.Helper()
	key, err := signing.GenerateKey(alg, epoch())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// documents are the seeds.
var documents = []string{
	`{"user_key":"USERKEY","mac":[{"id":1,"key":"MACKEY","from":"2026-03-01T12:00:00Z"}],"signing":[{"key":ESKEY,"from":"2026-03-01T12:00:00Z"}]}`,
	`{"user_key":"USERKEY","mac":[{"id":1,"key":"MACKEY","from":"2026-03-01T12:00:00.5+01:00"},{"id":255,"key":"OTHERKEY","from":"2026-03-01T12:00:00Z"}],"signing":[{"key":PUBLIC,"from":"2026-01-01T00:00:00Z","until":"2026-04-01T00:00:00Z"},{"key":RSKEY,"from":"2026-03-01T12:00:00Z"}]}`,
	`{"user_key":"USERKEY","mac":[{"id":1,"key":"MACKEY","from":"2026-01-01T12:00:00Z","revoked":"2026-03-01T11:00:00Z"},{"id":2,"key":"OTHERKEY","from":"2026-03-01T11:00:00Z"}],"signing":[{"key":PUBLIC,"from":"2026-01-01T00:00:00Z","revoked":"2026-02-01T00:00:00Z"},{"key":ESKEY,"from":"2026-03-01T12:00:00Z"}]}`,
	`{"user_key":"USERKEY","mac":[{"id":1,"key":"MACKEY","from":"2026-03-01T12:00:00Z","revoked":"2026-03-01T12:00:00Z"}],"signing":[{"key":ESKEY,"from":"2026-03-01T12:00:00Z","revoked":"2026-03-01T12:00:00Z"}]}`,
	`{"user_key":"USERKEY","mac":[{"id":1,"key":"MACKEY","from":"2026-03-01T12:00:00Z"},{"id":1,"key":"OTHERKEY","from":"2026-03-01T12:00:00Z"}],"signing":[{"key":ESKEY,"from":"2026-03-01T12:00:00Z"}]}`,
	`{"user_key":"USERKEY","mac":[{"id":256,"key":"MACKEY","from":"2026-03-01T12:00:00Z"}],"signing":[{"key":ESKEY,"from":"x"}]}`,
	`{"user_key":"USERKEY","mac":[],"signing":[{"key":{"kty":"oct","k":"MACKEY"},"from":"2026-03-01T12:00:00Z"}]}`,
	`{"user_key":"USERKEY","user_key":"OTHERKEY","MACKEY":1}`,
	`{"MACKEY":"USERKEY"}`,
	`{"user_key":"USER\nKEY","mac":"MACKEY","signing":null}`,
	`{"user_key":"MACKEY`, `["USERKEY"]`, `{}`, ``, ` { } `, `USERKEY`, `null`, `"MACKEY"`, random,
}

// secretish matches text that an error must not repeat from its input. Keys are longer than
// that, and none of our words are.
var secretish = regexp.MustCompile(`[A-Za-z0-9+/=_-]{20,}`)

func silent(t *testing.T, input, said string) {
	t.Helper()
	for _, run := range secretish.FindAllString(input, -1) {
		if strings.Contains(said, run) {
			t.Errorf("of %q it is said: %s", input, said)
		}
	}
}

// FuzzParse checks that a document that parses is the same after it is written and
// read again, and that its keys work and publish nothing private if it compiles. An
// error about one that does not parse shows no keys.
func FuzzParse(f *testing.F) {
	fill := words(f)
	for _, d := range documents {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, data string) {
		data = fill.Replace(data)
		d, err := keyring.Parse([]byte(data))
		if err != nil {
			silent(t, data, err.Error())
			if d != nil {
				t.Errorf("a document beside %v", err)
			}
			return
		}
		silent(t, data, d.String())
		encoded := encode(t, d)
		again, err := keyring.Parse([]byte(encoded))
		if err != nil {
			t.Fatalf("what was written is not read: %v", err)
		}
		if encode(t, again) != encoded {
			t.Error("written again it differs")
		}
		keys, err := d.Compile()
		if err != nil {
			silent(t, data, err.Error())
			return
		}
		want := token.Token{Family: [32]byte{1}, Counter: 7}
		if got, err := keys.Codec.Parse(keys.Codec.Mint(want, epoch()).Reveal()); err != nil || got != want {
			t.Errorf("a token minted with the keys is %v, %v", got, err)
		}
		var published struct{ Keys []map[string]any }
		if err := json.Unmarshal(keys.Signing.JWKS(epoch()), &published); err != nil {
			t.Fatal(err)
		}
		for _, key := range published.Keys {
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
				if key[private] != nil {
					t.Errorf("%s is published", private)
				}
			}
		}
	})
}

// FuzzRotation checks rotations with any texts in the current version and the one
// before it. A rotation that fails leaves the current version unchanged, and one
// that succeeds leaves a document with every key of the tokens in use. It never
// replaces what may have been keys, and never shows them.
func FuzzRotation(f *testing.F) {
	fill := words(f)
	m := keyringtest.New(f, "{}")
	client := m.Direct(1)
	for _, d := range documents {
		f.Add(d, "")
		f.Add("{}", d)
	}
	f.Fuzz(func(t *testing.T, current, previous string) {
		current, previous = fill.Replace(current), fill.Replace(previous)
		const version = "the-version-of-the-rotation-0000"
		m.Edit(func(versions map[string]*keyringtest.Version) {
			clear(versions)
			versions["current"] = &keyringtest.Version{Text: &current, Labels: []string{"AWSCURRENT"}}
			versions["previous"] = &keyringtest.Version{Text: &previous, Labels: []string{"AWSPREVIOUS"}}
		})
		m.Begin(version)
		var log strings.Builder
		rotation := keyring.Rotation{Client: client, Secrets: keyring.Secrets{Token: keyringtest.ID}, Algorithm: signing.ES256, LongestAccessToken: longest, Log: slog.New(slog.NewJSONHandler(&log, nil))}
		var err error
		for _, step := range steps {
			if err = rotation.Step(t.Context(), epoch(), keyring.RotationEvent{Step: step, SecretID: keyringtest.ID, Version: version}); err != nil {
				silent(t, current+" "+previous, err.Error())
				break
			}
		}
		silent(t, current+" "+previous, log.String())
		text := m.Text("AWSCURRENT")
		silent(t, text, log.String())
		if err != nil {
			if text != current {
				t.Errorf("it failed with %v, and the current version is another", err)
			}
			return
		}
		after, err := keyring.Parse([]byte(text))
		if err != nil || m.Labeled("AWSCURRENT") != version {
			t.Fatalf("the current version is %s: %v", m.Labeled("AWSCURRENT"), err)
		}
		before, err := keyring.Parse([]byte(current))
		if err != nil {
			if text := strings.TrimSpace(current); len(text) > 64 && strings.Trim(text, "{} \t\r\n") != "" || strings.Contains(text, "user_key") {
				t.Errorf("%q was replaced", current)
			}
			if _, err := keyring.Parse([]byte(previous)); err == nil {
				t.Error("the keys of the version before were passed over")
			}
			return
		}
		if !cmp.Equal(before.UserKey, after.UserKey) || len(after.MAC) < len(before.MAC) || !cmp.Equal(before.MAC, after.MAC[:len(before.MAC)], cmp.Comparer(sameKey)) {
			t.Error("keys are missing")
		}
	})
}

func sameKey(a, b token.Key) bool {
	return a.ID == b.ID && a.From.Equal(b.From) && a.Revoked.Equal(b.Revoked) && string(a.Secret) == string(b.Secret)
}
