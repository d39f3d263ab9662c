package token_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/token"
)

// signCode does for an authorization code what sign does for a refresh token.
func signCode(raw, secret []byte) []byte {
	raw = bytes.Clone(raw)
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("rotor one-time code v1\x00"))
	h.Write(raw[:atTag])
	copy(raw[atTag:], h.Sum(nil)[:20])
	return raw
}

// refuseCode does for ParseCode what refuse does for Parse.
func refuseCode(tb testing.TB, c *token.Codec, s string, want error) {
	tb.Helper()
	got, err := c.ParseCode(s)
	ok := errors.Is(err, want)
	if want == nil {
		ok = errors.Is(err, token.ErrMalformed) || errors.Is(err, token.ErrForged)
	}
	if !ok || got != (token.Token{}) {
		tb.Errorf("ParseCode(%q) = %v, %v, want %v", s, got, err, want)
	}
}

// TestGoldenCode checks the wire format of a code against one that is written by hand. A code
// lives for a minute, so servers of two versions may meet one.
func TestGoldenCode(t *testing.T) {
	const golden = "rotor_AQfEncAXl4oi4YJEXsKf1I34AZDzobLD1OX2BxgpOktcbQAAAADmNh8OfRR2tI7mepOKibTIWBJcRg"
	c, family := newCodec(t), sample(t).Family
	if got := c.MintCode(family, start).Reveal(); got != golden {
		t.Errorf("MintCode = %q, want %q", got, golden)
	}
	if got, err := c.ParseCode(golden); err != nil || got != (token.Token{Family: family}) {
		t.Errorf("ParseCode = %v, %v", got, err)
	}
	raw := append([]byte{1, 7}, family[:]...)
	raw = append(raw, make([]byte, 4+20)...)
	if s := encode(signCode(raw, upFrom(0x40))); s != golden {
		t.Errorf("written by hand: %q, want %q", s, golden)
	}
}

// TestCodeIsNoRefreshToken checks that neither a code nor a refresh token parses as the other,
// whatever number it has, and that a tag made for one is none of the other.
func TestCodeIsNoRefreshToken(t *testing.T) {
	c, tok := newCodec(t), sample(t)
	code := c.MintCode(tok.Family, start).Reveal()
	refuse(t, c, code, token.ErrMalformed)
	refuseCode(t, c, c.Mint(tok, start).Reveal(), token.ErrMalformed)
	refuseCode(t, c, c.Mint(token.Token{Family: tok.Family}, start).Reveal(), token.ErrForged)
	for _, counter := range []uint32{0, 1, 42, 1<<32 - 1} {
		raw := decode(t, code)
		binary.BigEndian.PutUint32(raw[34:], counter)
		refuse(t, c, encode(raw), nil)
		if counter > 0 {
			refuseCode(t, c, encode(raw), token.ErrMalformed)
		}
		// A correct tag does not help, if it is the other's.
		refuse(t, c, encode(signCode(raw, upFrom(0x40))), nil)
		refuseCode(t, c, encode(sign(raw, upFrom(0x40))), nil)
	}
}

func TestParseCodeRefusesEveryFlippedBit(t *testing.T) {
	c := newCodec(t)
	raw := decode(t, c.MintCode(sample(t).Family, start).Reveal())
	for bit := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		want := token.ErrForged
		if bit < 8 || bit >= 34*8 && bit < 38*8 { // a bit of the version, or of the counter
			want = token.ErrMalformed
		}
		refuseCode(t, c, encode(flipped), want)
	}
}

// TestParseCodeRefusesOtherKeys checks codes under a key that the codec does not have, that has
// another secret, or that was replaced before the family began.
func TestParseCodeRefusesOtherKeys(t *testing.T) {
	family := sample(t).Family
	s := newCodec(t).MintCode(family, start).Reveal()
	refuseCode(t, newCodec(t, token.Key{ID: 7, Secret: upFrom(0x41)}), s, token.ErrForged)
	refuseCode(t, newCodec(t, token.Key{ID: 8, Secret: upFrom(0x40)}), s, token.ErrUnknownKey)

	next := token.Key{ID: 8, Secret: upFrom(1), From: start.Add(time.Hour)}
	c := newCodec(t, token.Key{ID: 7, Secret: upFrom(0x40), From: start}, next)
	late := begun(next.From.Add(token.Lead)).Family
	raw := append([]byte{1, 7}, late[:]...)
	refuseCode(t, c, encode(signCode(append(raw, make([]byte, 4+20)...), upFrom(0x40))), token.ErrForged)
	// So it mints the code of such a family under the next key.
	if got, err := c.ParseCode(c.MintCode(late, start).Reveal()); err != nil || got.Family != late {
		t.Errorf("ParseCode = %v, %v", got, err)
	}
}

// TestCodeUnderRevokedKey checks that a code under a revoked key is told apart from a forged one.
func TestCodeUnderRevokedKey(t *testing.T) {
	at := start.Add(48 * time.Hour)
	leaked := token.Key{ID: 1, Secret: upFrom(1), From: start}
	family := begun(start.Add(time.Hour)).Family
	s := newCodec(t, leaked).MintCode(family, start.Add(time.Hour)).Reveal()
	leaked.Revoked = at
	c := newCodec(t, leaked, token.Key{ID: 2, Secret: upFrom(2), From: at})
	got, err := c.ParseCode(s)
	var revoked *token.RevokedError
	if !errors.As(err, &revoked) || revoked.Token != (token.Token{Family: family}) || !revoked.At.Equal(at) || got != (token.Token{}) {
		t.Errorf("ParseCode = %v, %v", got, err)
	}
	raw := decode(t, s)
	raw[len(raw)-1] ^= 1
	refuseCode(t, c, encode(raw), token.ErrForged)
	if id := decode(t, c.MintCode(family, start).Reveal())[1]; id != 2 {
		t.Errorf("key %d mints", id)
	}
}

// FuzzParseCode checks what FuzzParse checks, of codes, and that no string is both a code and a
// refresh token.
func FuzzParseCode(f *testing.F) {
	c := newCodec(f)
	family := sample(f).Family
	s := c.MintCode(family, start).Reveal()
	f.Add(s, family[:], uint16(0))
	f.Add("", []byte{}, uint16(1))
	f.Add(s[:40]+"\n"+s[41:], family[:16], uint16(58*8-1))
	f.Add(c.Mint(sample(f), start).Reveal(), family[16:], uint16(84*8-1))
	f.Add(token.Prefix, []byte("family"), uint16(1<<16-1))
	f.Fuzz(func(t *testing.T, s string, family []byte, bit uint16) {
		got, err := c.ParseCode(s)
		switch {
		case err == nil:
			if again := c.MintCode(got.Family, start).Reveal(); again != s || got.Counter != 0 {
				t.Errorf("%q parses as %v, but is minted as %q", s, got, again)
			}
			refuse(t, c, s, token.ErrMalformed)
		case !errors.Is(err, token.ErrMalformed) && !errors.Is(err, token.ErrForged):
			t.Errorf("ParseCode(%q): unknown error %v", s, err)
		case got != token.Token{}:
			t.Errorf("ParseCode(%q) returned %v beside %v", s, got, err)
		}
		var want token.Token
		copy(want.Family[:], family)
		minted := c.MintCode(want.Family, start).Reveal()
		if got, err := c.ParseCode(minted); err != nil || got != want {
			t.Fatalf("ParseCode(%q) = %v, %v, want %v", minted, got, err, want)
		}
		refuse(t, c, minted, token.ErrMalformed)
		refuseCode(t, c, string(flip([]byte(minted), bit)), nil)
		refuseCode(t, c, encode(flip(decode(t, minted), bit)), nil)
	})
}
