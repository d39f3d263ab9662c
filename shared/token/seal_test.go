package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/token"
)

func TestNonce(t *testing.T) {
	c := newCodec(t)
	now := start.Truncate(5 * time.Minute)
	nonce := c.Nonce(now)
	if len(nonce) != token.NonceLength || c.Nonce(now.Add(5*time.Minute-time.Millisecond)) != nonce || c.Nonce(now.Add(5*time.Minute)) == nonce {
		t.Errorf("the nonce is %q, and does not change every five minutes", nonce)
	}
	for after, want := range map[time.Duration]bool{
		-5*time.Minute - time.Millisecond: false, -5 * time.Minute: true, 0: true,
		10*time.Minute - time.Millisecond: true, 10 * time.Minute: false, 24 * time.Hour: false,
	} {
		if got := c.IsNonce(nonce, now.Add(after)); got != want {
			t.Errorf("%v after its time, IsNonce returns %v", after, got)
		}
	}
	for i := range nonce {
		if changed := flipped(nonce, i); c.IsNonce(changed, now) {
			t.Errorf("%q is a nonce", changed)
		}
	}
	for _, s := range []string{"", nonce + "A", nonce[1:], nonce[:len(nonce)-1] + "\n", "\n" + nonce, strings.Repeat(nonce, 100)} {
		if c.IsNonce(s, now) {
			t.Errorf("%q is a nonce", s)
		}
	}
	other := newCodec(t, token.Key{ID: 1, Secret: upFrom(7), From: start})
	if other.IsNonce(nonce, now) {
		t.Error("another installation takes the nonce for its own")
	}
}

func TestSeal(t *testing.T) {
	c := newCodec(t)
	family := sample(t).Family
	for _, content := range []string{"", "x", strings.Repeat("content", 100)} {
		sealed := c.Seal(token.DeviceCookie, family, []byte(content), start)
		got, opened, err := c.Open(token.DeviceCookie, sealed)
		if err != nil || got != family || string(opened) != content {
			t.Errorf("Open returned %x, %q, %v", got, opened, err)
		}
		for _, p := range []token.Purpose{token.DeviceChallenge, token.DeviceSession} {
			if _, _, err := c.Open(p, sealed); !errors.Is(err, token.ErrForged) {
				t.Errorf("it opens for another purpose: %v", err)
			}
		}
		for i := range sealed {
			if got, opened, err := c.Open(token.DeviceCookie, flipped(sealed, i)); err == nil || got != [32]byte{} || opened != nil {
				t.Errorf("with another character %d it opens: %x, %q, %v", i, got, opened, err)
			}
		}
		for _, s := range []string{sealed + "\n", "\n" + sealed, sealed + "=", sealed[1:], sealed + sealed, ""} {
			if _, _, err := c.Open(token.DeviceCookie, s); err == nil {
				t.Errorf("%q opens", s)
			}
		}
	}
	if _, _, err := c.Open(token.DeviceCookie, strings.Repeat("A", 1<<20)); !errors.Is(err, token.ErrMalformed) {
		t.Error(err)
	}
	if _, _, err := c.Open(token.DeviceCookie, c.Nonce(start)); err == nil {
		t.Error("a nonce opens")
	}
}

// TestSealUnderOtherKeys checks that a key opens nothing of families that began after its end, and nothing after it was revoked.
func TestSealUnderOtherKeys(t *testing.T) {
	old := token.Key{ID: 1, Secret: upFrom(1), From: start.Add(-time.Hour)}
	late := begun(start.Add(token.Lead))
	sealed := newCodec(t, old).Seal(token.DeviceSession, late.Family, nil, start)
	early := newCodec(t, old).Seal(token.DeviceSession, begun(start).Family, nil, start)
	next := token.Key{ID: 2, Secret: upFrom(2), From: start}
	both := newCodec(t, old, next)
	if _, _, err := both.Open(token.DeviceSession, sealed); !errors.Is(err, token.ErrForged) {
		t.Errorf("of a family that began after the key's end: %v", err)
	}
	if _, _, err := both.Open(token.DeviceSession, early); err != nil {
		t.Error(err)
	}
	old.Revoked = start
	if _, _, err := newCodec(t, old, next).Open(token.DeviceSession, early); !errors.Is(err, token.ErrUnknownKey) {
		t.Errorf("under a revoked key: %v", err)
	}
}

// flipped returns s with another character of base64url at i.
func flipped(s string, i int) string {
	other := byte('A')
	if s[i] == other {
		other = 'B'
	}
	return s[:i] + string([]byte{other}) + s[i+1:]
}
