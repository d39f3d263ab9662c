package proof_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/proof"
)

// checkRefused checks that an error is of a proof that is refused for a reason, and that
// nothing of the proof is in it.
func checkRefused(t *testing.T, err error, reason proof.Reason, presented ...string) {
	t.Helper()
	var refused *proof.RefusedError
	if !errors.As(err, &refused) || refused.Reason != reason {
		t.Errorf("the error is %v; want the reason %s", err, reason)
		return
	}
	if needs := reason == proof.NoNonce || reason == proof.StaleNonce; refused.NeedsNonce() != needs {
		t.Errorf("%s: NeedsNonce is %t", reason, !needs)
	}
	shown := fmt.Sprintf("%v %+v %#v", err, err, refused)
	for _, p := range presented {
		for part := range strings.FieldsFuncSeq(p, func(c rune) bool { return strings.ContainsRune(`.,;" `, c) }) {
			if len(part) > 8 && strings.Contains(shown, part) {
				t.Errorf("the error has a part of the proof: %s", shown)
			}
		}
	}
}

// TestThumbprint checks that a thumbprint parses if it is spelled as String spells it, and
// that no other spelling of its bytes does.
func TestThumbprint(t *testing.T) {
	const s = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" // the jkt of RFC 9449 §6.1
	parsed, err := proof.ParseThumbprint(s)
	if err != nil || parsed.String() != s {
		t.Fatalf("it is %s, %v", parsed, err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(s)
	if string(parsed[:]) != string(raw) {
		t.Errorf("its bytes are %x", parsed[:])
	}
	for name, other := range map[string]string{
		"nothing":                     "",
		"padding":                     s + "=",
		"stray bits":                  s[:42] + "J",
		"a line break":                s + "\n",
		"a line break for the end":    s[:42] + "\n",
		"line breaks for characters":  s[:39] + "\r\n\r\n",
		"base64, not base64url":       base64.RawStdEncoding.EncodeToString(raw),
		"a character less":            s[:42],
		"a character more":            s + "A",
		"31 bytes":                    base64.RawURLEncoding.EncodeToString(raw[:31]),
		"a space":                     " " + s[1:],
		"a character outside of it":   s[:42] + "!",
		"the bytes of the thumbprint": string(raw),
	} {
		if got, err := proof.ParseThumbprint(other); err == nil || got != (proof.Thumbprint{}) {
			t.Errorf("%s: it is %s, %v", name, got, err)
		} else if other != "" && strings.Contains(err.Error(), other) {
			t.Errorf("%s: the error has the text: %v", name, err)
		}
	}
}
