package token_test

import (
	"errors"
	"testing"

	"github.com/rotor-auth/rotor/shared/token"
)

// FuzzParse checks two properties of Parse. A string that parses is the same, to the byte,
// when its token is minted again. And a token does not parse if one bit of it is flipped,
// either in the string or in the bytes that it encodes.
func FuzzParse(f *testing.F) {
	c := newCodec(f)
	tok := sample(f)
	s := c.Mint(tok, start).Reveal()
	family := tok.Family[:]
	f.Add(s, family, uint32(42), uint16(0))
	f.Add("", []byte{}, uint32(1), uint16(1))
	f.Add(s[:40]+"\n"+s[41:], family[:16], uint32(1<<32-1), uint16(58*8-1))
	f.Add(s[:len(s)-1]+"x", family[16:], uint32(1<<31), uint16(84*8-1))
	f.Add(token.Prefix, []byte("family"), uint32(0), uint16(1<<16-1))
	tok.Counter = 1
	f.Add(c.Mint(tok, start).Reveal(), family, uint32(1), uint16(300))

	f.Fuzz(func(t *testing.T, s string, family []byte, counter uint32, bit uint16) {
		got, err := c.Parse(s)
		switch {
		case err == nil:
			if again := c.Mint(got, start).Reveal(); again != s {
				t.Errorf("%q parses, but is minted as %q", s, again)
			}
		case !errors.Is(err, token.ErrMalformed) && !errors.Is(err, token.ErrForged):
			t.Errorf("Parse(%q): unknown error %v", s, err)
		case got != token.Token{}:
			t.Errorf("Parse(%q) returned %v beside %v", s, got, err)
		}

		want := token.Token{Counter: max(counter, 1)}
		copy(want.Family[:], family)
		minted := c.Mint(want, start).Reveal()
		if got, err := c.Parse(minted); err != nil || got != want {
			t.Fatalf("Parse(%q) = %v, %v, want %v", minted, got, err, want)
		}
		text := flip([]byte(minted), bit)
		refuse(t, c, string(text), nil)
		refuse(t, c, encode(flip(decode(t, minted), bit)), nil)
	})
}

// flip flips one bit of b, in place.
func flip(b []byte, bit uint16) []byte {
	n := int(bit) % (len(b) * 8)
	b[n/8] ^= 1 << (n % 8)
	return b
}
