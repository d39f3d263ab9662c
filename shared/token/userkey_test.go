package token_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/token"
)

func TestUserKey(t *testing.T) {
	u := newUserKeys(t)
	other, err := token.NewUserKeys(upFrom(1))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[[16]byte]string)
	for _, id := range []string{
		"", "a", "A", "user-1", "user-2", "auth0|5f7c8ec7c33c6c004bbafe82", "é", "e\u0301", "\x00", "\xff",
		strings.Repeat("x", 127), strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("x", 10_000),
	} {
		h := hmac.New(sha256.New, upFrom(0))
		h.Write([]byte(id))
		got := u.Key(id)
		if diff := cmp.Diff(h.Sum(nil)[:16], got[:]); diff != "" {
			t.Errorf("Key(%.40q) (-want +got):\n%s", id, diff)
		}
		if twin, ok := seen[got]; ok {
			t.Errorf("%.40q and %.40q have one user key", id, twin)
		}
		seen[got] = id
		if got == other.Key(id) {
			t.Errorf("Key(%.40q) is the same under another key", id)
		}
	}
}

func TestNewUserKeysErrors(t *testing.T) {
	long := bytes.Repeat([]byte{'S'}, 65)
	for _, secret := range [][]byte{upFrom(0), long[:64]} {
		if _, err := token.NewUserKeys(secret); err != nil {
			t.Errorf("%d bytes: %v", len(secret), err)
		}
	}
	for _, secret := range [][]byte{nil, long[:31], long} {
		u, err := token.NewUserKeys(secret)
		if want := fmt.Sprintf("user key: secret of %d bytes", len(secret)); err == nil || u != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewUserKeys = %v, %v, want an error with %q alone", u, err, want)
		} else if strings.Contains(err.Error(), "SSSS") {
			t.Errorf("error %q holds a secret", err)
		}
	}
}

func TestNewUserKeysCopies(t *testing.T) {
	secret := upFrom(0)
	u, err := token.NewUserKeys(secret)
	if err != nil {
		t.Fatal(err)
	}
	clear(secret)
	if got, want := u.Key("user-1"), newUserKeys(t).Key("user-1"); got != want {
		t.Errorf("Key changed with NewUserKeys's argument: %x, want %x", got, want)
	}
}
