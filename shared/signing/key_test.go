package signing_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/signing"
)

// TestRedaction checks that a key or a set shows nothing of the private half, however it is
// printed.
func TestRedaction(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		key := newKey(t, alg, epoch())
		set := newSet(t, key)
		type holder struct {
			Key  signing.Key
			Ptr  *signing.Key
			Set  *signing.Set
			List []signing.Key
		}
		for what, value := range map[string]any{
			"key": key, "pointer": &key, "list": []signing.Key{key}, "set": set,
			"struct": holder{key, &key, set, []signing.Key{key}},
		} {
			for how, out := range prints(t, value) {
				for name, secret := range secrets(t, key) {
					if strings.Contains(out, secret) {
						t.Errorf("%s %s as %s shows %s: %s", alg, what, how, name, out)
					}
				}
				if strings.Contains(strings.ReplaceAll(out, key.JWK.KeyID, ""), "0xc0") { // the id is any 43 letters
					t.Errorf("%s %s as %s shows memory: %s", alg, what, how, out)
				}
			}
		}
		if out := key.String(); !strings.Contains(out, key.JWK.KeyID) {
			t.Errorf("a key does not say which it is: %s", out)
		}
	}
}

func prints(t *testing.T, value any) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out[verb] = fmt.Sprintf(verb, value)
	}
	marshaled, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	out["JSON"] = string(marshaled)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "value", value)
	out["slog JSON"] = log.String()
	log.Reset()
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "value", value)
	out["slog text"] = log.String()
	return out
}

// secrets returns the private members of a key in the forms in which they might
// show.
func secrets(t *testing.T, key signing.Key) map[string]string {
	t.Helper()
	raw, err := key.JWK.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	err = json.Unmarshal(raw, &members)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi"} {
		value, ok := members[name]
		if !ok {
			continue
		}
		bytes, err := base64.RawURLEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		found[name] = value
		found[name+" in hex"] = fmt.Sprintf("%x", bytes)
		found[name+" in decimal"] = new(big.Int).SetBytes(bytes).String() // as fmt prints the parts of a key
		found[name+" as bytes"] = strings.Trim(fmt.Sprint(bytes), "[]")
	}
	if len(found) == 0 {
		t.Fatal("the key has no private members")
	}
	return found
}
