package token_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/token"
)

const (
	rawSize = 58
	atTag   = 38
)

// start is when the first key of the tests begins to mint.
var start = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// upFrom returns the 32 bytes first, first+1, ...
func upFrom(first byte) []byte {
	b := make([]byte, 32)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func newCodec(tb testing.TB, keys ...token.Key) *token.Codec {
	tb.Helper()
	if len(keys) == 0 {
		keys = []token.Key{{ID: 7, Secret: upFrom(0x40), From: start}}
	}
	c, err := token.NewCodec(keys)
	if err != nil {
		tb.Fatalf("NewCodec: %v", err)
	}
	return c
}

func newUserKeys(tb testing.TB) *token.UserKeys {
	tb.Helper()
	u, err := token.NewUserKeys(upFrom(0))
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// sample returns a token of user-1, whose parts are all different.
func sample(tb testing.TB) token.Token {
	t := token.Token{Counter: 42}
	user := newUserKeys(tb).Key("user-1")
	copy(t.Family[:], user[:])
	copy(t.Family[16:], "\x01\x90\xf3\xa1\xb2\xc3\xd4\xe5\xf6\x07\x18\x29\x3a\x4b\x5c\x6d")
	return t
}

// decode returns the bytes of a well-formed token.
func decode(tb testing.TB, s string) []byte {
	tb.Helper()
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(s, token.Prefix))
	if err != nil || len(raw) != rawSize {
		tb.Fatalf("decode %q: %d bytes, %v", s, len(raw), err)
	}
	return raw
}

func encode(raw []byte) string {
	return token.Prefix + base64.RawURLEncoding.EncodeToString(raw)
}

// sign returns raw with the tag that secret makes at its end. It implements the
// format again, without code of the package.
func sign(raw, secret []byte) []byte {
	raw = bytes.Clone(raw)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("rotor refresh token v1\x00"))
	h.Write(raw[:atTag])
	copy(raw[atTag:], h.Sum(nil)[:20])
	return raw
}

func TestRoundTrip(t *testing.T) {
	c := newCodec(t)
	for _, counter := range []uint32{1, 2, 255, 256, 1 << 16, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		want := sample(t)
		want.Counter = counter
		s := c.Mint(want, start).Reveal()
		if len(s) != token.Length || !strings.HasPrefix(s, token.Prefix) {
			t.Errorf("counter %d: minted %q, want %d characters after %q", counter, s, token.Length, token.Prefix)
		}
		got, err := c.Parse(s)
		if err != nil {
			t.Errorf("counter %d: Parse: %v", counter, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counter %d: Parse(Mint) (-want +got):\n%s", counter, diff)
		}
	}
}

// TestGolden checks the wire format, which is a promise to every token already issued. If the
// format changes, all users are logged out.
func TestGolden(t *testing.T) {
	const golden = "rotor_AQfEncAXl4oi4YJEXsKf1I34AZDzobLD1OX2BxgpOktcbQAAACqD3yxbB0w6JyZ3ecSf_WVpK1Ii9w"

	c := newCodec(t)
	want := sample(t)
	if got := c.Mint(want, start).Reveal(); got != golden {
		t.Errorf("Mint = %q, want %q", got, golden)
	}
	got, err := c.Parse(golden)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}

	h := hmac.New(sha256.New, upFrom(0))
	h.Write([]byte("user-1"))
	raw := []byte{1, 7}
	raw = append(raw, h.Sum(nil)[:16]...)
	raw = append(raw, want.Family[16:]...)
	raw = binary.BigEndian.AppendUint32(raw, 42)
	raw = append(raw, make([]byte, 20)...)
	if s := encode(sign(raw, upFrom(0x40))); s != golden {
		t.Errorf("written by hand: %q, want %q", s, golden)
	}
}
