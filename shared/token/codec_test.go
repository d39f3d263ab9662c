package token_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/token"
)

// refuse checks that s does not parse and that nothing of s is returned. The error must be
// want or, if want is nil, either of the two errors.
func refuse(tb testing.TB, c *token.Codec, s string, want error) {
	tb.Helper()
	got, err := c.Parse(s)
	ok := errors.Is(err, want)
	if want == nil {
		ok = errors.Is(err, token.ErrMalformed) || errors.Is(err, token.ErrForged)
	}
	if !ok {
		tb.Errorf("Parse(%q) = %v, want %v", s, err, want)
	}
	if got != (token.Token{}) {
		tb.Errorf("Parse(%q) returned %v beside its error", s, got)
	}
}

func TestParseRefusesEveryFlippedBit(t *testing.T) {
	c := newCodec(t)
	raw := decode(t, c.Mint(sample(t), start).Reveal())
	for bit := range len(raw) * 8 {
		flipped := bytes.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		want := token.ErrForged
		if bit < 8 { // a bit of the version
			want = token.ErrMalformed
		}
		refuse(t, c, encode(flipped), want)
	}
}

func TestParseRefusesEveryChangedCharacter(t *testing.T) {
	c := newCodec(t)
	s := c.Mint(sample(t), start).Reveal()
	for i := range len(s) {
		for b := range 256 {
			if changed := s[:i] + string([]byte{byte(b)}) + s[i+1:]; changed != s {
				refuse(t, c, changed, nil)
			}
		}
	}
}

func TestParseRefusesEveryOtherLength(t *testing.T) {
	c := newCodec(t)
	s := c.Mint(sample(t), start).Reveal()
	for i := range len(s) {
		refuse(t, c, s[:i], token.ErrMalformed)
		refuse(t, c, s[i+1:], token.ErrMalformed)
		refuse(t, c, s[:i]+s[i+1:], token.ErrMalformed)
	}
	for _, more := range []string{"A", "=", "==", "\n", "\r\n", " ", "\t", "\x00", ".", s} {
		for i := range len(s) + 1 {
			refuse(t, c, s[:i]+more+s[i:], token.ErrMalformed)
		}
	}
	refuse(t, c, strings.Repeat(s, 1000), token.ErrMalformed)
}

// TestParseRefusesLineBreaksInTheRightLength checks strings with line breaks, which base64
// decoders skip. A string of the right length may decode to fewer bytes than a token has.
func TestParseRefusesLineBreaksInTheRightLength(t *testing.T) {
	c := newCodec(t)
	s := c.Mint(sample(t), start).Reveal()
	for _, breaks := range []string{"\n", "\r", "\r\n", "\n\n", "\r\n\r\n"} {
		short := s[:len(s)-len(breaks)]
		for i := len(token.Prefix); i <= len(short); i++ {
			refuse(t, c, short[:i]+breaks+short[i:], token.ErrMalformed)
		}
	}
}

// TestParseRefusesStrayTrailingBits checks the 4 bits of padding in the last character. If a
// decoder ignored them, each token would have 16 spellings.
func TestParseRefusesStrayTrailingBits(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	c := newCodec(t)
	s := c.Mint(sample(t), start).Reveal()
	head, last := s[:len(s)-1], strings.IndexByte(alphabet, s[len(s)-1])
	if last%16 != 0 {
		t.Fatalf("minted a token with stray bits: %q", s)
	}
	for stray := 1; stray < 16; stray++ {
		other := head + string(alphabet[last+stray])
		if lax, err := base64.RawURLEncoding.DecodeString(other[len(token.Prefix):]); err != nil ||
			!bytes.Equal(lax, decode(t, s)) {
			t.Errorf("%q is not another spelling of the token", other)
		}
		refuse(t, c, other, token.ErrMalformed)
	}
}

func TestParseRefusesOtherAlphabets(t *testing.T) {
	c := newCodec(t)
	tok := sample(t)
	// At least one of these families has a token with '-' and '_' in it.
	for tok.Counter = 1; ; tok.Counter++ {
		s := c.Mint(tok, start).Reveal()
		text := strings.TrimPrefix(s, token.Prefix)
		if !strings.Contains(text, "-") || !strings.Contains(text, "_") {
			continue
		}
		std := base64.RawStdEncoding.EncodeToString(decode(t, s))
		refuse(t, c, token.Prefix+std, token.ErrMalformed)
		refuse(t, c, token.Prefix+strings.ReplaceAll(text, "-", "+"), token.ErrMalformed)
		refuse(t, c, token.Prefix+strings.ReplaceAll(text, "_", "/"), token.ErrMalformed)
		refuse(t, c, "ROTOR_"+text, token.ErrMalformed)
		refuse(t, c, "rotor-"+text, token.ErrMalformed)
		refuse(t, c, s[1:]+s[:1], token.ErrMalformed)
		return
	}
}

// TestParseSigned checks that a correct tag does not make a token valid that is otherwise
// wrong.
func TestParseSigned(t *testing.T) {
	c := newCodec(t)
	good := decode(t, c.Mint(sample(t), start).Reveal())
	with := func(change func(raw []byte)) string {
		raw := bytes.Clone(good)
		change(raw)
		return encode(sign(raw, upFrom(0x40)))
	}
	for _, test := range []struct {
		name string
		s    string
		want error
	}{
		{"nothing changed", with(func([]byte) {}), nil},
		{"greatest counter", with(func(raw []byte) { binary.BigEndian.PutUint32(raw[34:], 1<<32-1) }), nil},
		{"another user key", with(func(raw []byte) { raw[2] ^= 1 }), nil},
		{"counter 0", with(func(raw []byte) { clear(raw[34:38]) }), token.ErrMalformed},
		{"version 0", with(func(raw []byte) { raw[0] = 0 }), token.ErrMalformed},
		{"version 2", with(func(raw []byte) { raw[0] = 2 }), token.ErrMalformed},
		{"key id 8", with(func(raw []byte) { raw[1] = 8 }), token.ErrForged},
		{"key id 0", with(func(raw []byte) { raw[1] = 0 }), token.ErrForged},
	} {
		if _, err := c.Parse(test.s); !errors.Is(err, test.want) {
			t.Errorf("%s: Parse = %v, want %v", test.name, err, test.want)
		}
	}

	zero := sample(t)
	zero.Counter = 0
	refuse(t, c, c.Mint(zero, start).Reveal(), token.ErrMalformed)
}

func TestParseRefusesOtherSecrets(t *testing.T) {
	c := newCodec(t)
	s := c.Mint(sample(t), start).Reveal()

	refuse(t, newCodec(t, token.Key{ID: 7, Secret: upFrom(0x41)}), s, token.ErrForged)
	refuse(t, newCodec(t, token.Key{ID: 8, Secret: upFrom(0x40)}), s, token.ErrForged)

	// The key with another id does not verify the token, even if the codec has it.
	swapped := newCodec(
		t,
		token.Key{ID: 7, Secret: upFrom(0x80), From: start},
		token.Key{ID: 8, Secret: upFrom(0x40), From: start},
	)
	refuse(t, swapped, s, token.ErrForged)

	// The tag is neither the bare MAC of the fields, nor made with the secret of the user
	// keys.
	raw := decode(t, s)
	h := hmac.New(sha256.New, upFrom(0x40))
	h.Write(raw[:atTag])
	copy(raw[atTag:], h.Sum(nil))
	refuse(t, c, encode(raw), token.ErrForged)
	refuse(t, c, encode(sign(raw, upFrom(0))), token.ErrForged)
}

func TestMintChoosesTheKey(t *testing.T) {
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	first := token.Key{ID: 200, Secret: upFrom(1), From: hour(0)}
	second := token.Key{ID: 3, Secret: upFrom(2), From: hour(10)}
	third := token.Key{ID: 100, Secret: upFrom(3), From: hour(20)}
	twin := token.Key{ID: 101, Secret: upFrom(4), From: hour(20)}
	always := token.Key{ID: 0, Secret: upFrom(5)}

	for _, test := range []struct {
		name string
		keys []token.Key
		now  time.Time
		want byte
	}{
		{"none has come yet: the oldest", []token.Key{third, first, second}, hour(-1), 200},
		{"none has come yet, one key", []token.Key{third}, hour(0), 100},
		{"just before the first", []token.Key{second, first}, hour(0).Add(-1), 200},
		{"at the first", []token.Key{third, second, first}, hour(0), 200},
		{"just before the second", []token.Key{first, second, third}, hour(10).Add(-1), 200},
		{"at the second", []token.Key{first, second, third}, hour(10), 3},
		{"just after the second", []token.Key{second, third, first}, hour(10).Add(1), 3},
		{"at the second, told in another zone", []token.Key{first, second}, hour(10).In(time.FixedZone("", -3600)), 3},
		{"just before the last", []token.Key{third, second, first}, hour(20).Add(-1), 3},
		{"at the last", []token.Key{third, second, first}, hour(20), 100},
		{"long after", []token.Key{third, second, first}, hour(1e5), 100},
		{"twins: the higher id", []token.Key{twin, third, first}, hour(20), 101},
		{"twins in the other order", []token.Key{third, twin, first}, hour(20), 101},
		{"twins, not come yet: the lower id", []token.Key{twin, third}, hour(0), 100},
		{"no From: always", []token.Key{first, always}, hour(-1), 0},
		{"no now", []token.Key{second, first}, time.Time{}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCodec(t, test.keys...)
			want := sample(t)
			s := c.Mint(want, test.now).Reveal()
			if got := decode(t, s)[1]; got != test.want {
				t.Errorf("minted under key %d, want %d", got, test.want)
			}
			if got, err := c.Parse(s); err != nil || got != want {
				t.Errorf("Parse = %v, %v, want %v", got, err, want)
			}
		})
	}
}

// TestRotation checks that tokens of an old key parse until the key is removed, so that
// rotating keys logs nobody out.
func TestRotation(t *testing.T) {
	before := token.Key{ID: 1, Secret: upFrom(1), From: start}
	after := token.Key{ID: 2, Secret: upFrom(2), From: start.Add(time.Hour)}
	alone, both, dropped := newCodec(t, before), newCodec(t, after, before), newCodec(t, after)

	now := start.Add(24 * time.Hour)
	want := sample(t)
	older := alone.Mint(want, now).Reveal()
	newer := both.Mint(want, now).Reveal()
	if older == newer {
		t.Error("the new key mints as the old one did")
	}
	for _, s := range []string{older, newer} {
		got, err := both.Parse(s)
		if err != nil {
			t.Errorf("Parse: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Parse (-want +got):\n%s", diff)
		}
	}
	refuse(t, dropped, older, token.ErrForged)
	refuse(t, alone, newer, token.ErrForged)
}

func TestNewCodecErrors(t *testing.T) {
	good := token.Key{ID: 1, Secret: upFrom(1)}
	long := bytes.Repeat([]byte{'S'}, 65)
	for _, test := range []struct {
		name string
		keys []token.Key
		want []string // parts of the error; nil if there is none
	}{
		{"good", []token.Key{good}, nil},
		{"longest", []token.Key{{ID: 0, Secret: long[:64]}, {ID: 255, Secret: long[:64]}}, nil},
		{"no keys", nil, []string{"no token keys"}},
		{"no secret", []token.Key{good, {ID: 9}}, []string{"token key 9: secret of 0 bytes"}},
		{"short secret", []token.Key{{ID: 9, Secret: long[:31]}}, []string{"token key 9: secret of 31 bytes"}},
		{"long secret", []token.Key{{ID: 9, Secret: long}}, []string{"token key 9: secret of 65 bytes"}},
		{
			"one id twice",
			[]token.Key{good, {ID: 2, Secret: upFrom(2)}, {ID: 1, Secret: upFrom(3)}},
			[]string{"token key 1: id used twice"},
		},
		{
			"all at once",
			[]token.Key{good, good, {ID: 9, Secret: long}},
			[]string{"token key 1: id used twice", "token key 9: secret of 65 bytes"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := token.NewCodec(test.keys)
			if test.want == nil {
				if err != nil {
					t.Fatalf("NewCodec: %v", err)
				}
				want := token.Token{Counter: 1}
				if got, err := c.Parse(c.Mint(want, start).Reveal()); err != nil || got != want {
					t.Errorf("Parse(Mint) = %v, %v", got, err)
				}
				return
			}
			if err == nil || c != nil {
				t.Fatalf("NewCodec = %v, %v, want an error alone", c, err)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "SSSS") {
				t.Errorf("error %q holds a secret", err)
			}
		})
	}
}

func TestNewCodecCopies(t *testing.T) {
	keys := []token.Key{{ID: 7, Secret: upFrom(0x40), From: start}}
	c, err := token.NewCodec(keys)
	if err != nil {
		t.Fatal(err)
	}
	clear(keys[0].Secret)
	clear(keys)

	same := newCodec(t)
	tok := sample(t)
	if got, want := c.Mint(tok, start).Reveal(), same.Mint(tok, start).Reveal(); got != want {
		t.Errorf("Mint changed with NewCodec's argument: %q, want %q", got, want)
	}
}

func TestConcurrentUse(t *testing.T) {
	c := newCodec(
		t,
		token.Key{ID: 1, Secret: upFrom(1), From: start},
		token.Key{ID: 2, Secret: upFrom(2), From: start.Add(time.Hour)},
	)
	users := newUserKeys(t)
	// expected is what each goroutine should see, computed before any other runs.
	type expected struct {
		userID string
		user   [16]byte
		token  token.Token
		now    time.Time
		minted string
	}
	var all []expected
	for i := range 32 {
		e := expected{userID: fmt.Sprint("user-", i), now: start.Add(time.Duration(i%2) * time.Hour)}
		e.user = users.Key(e.userID)
		e.token.Counter = uint32(i + 1)
		copy(e.token.Family[:], e.user[:])
		e.minted = c.Mint(e.token, e.now).Reveal()
		all = append(all, e)
	}

	var wg sync.WaitGroup
	for _, e := range all {
		wg.Go(func() {
			for range 500 {
				if got := users.Key(e.userID); got != e.user {
					t.Errorf("Key(%q) = %x, want %x", e.userID, got, e.user)
				}
				if got := c.Mint(e.token, e.now).Reveal(); got != e.minted {
					t.Errorf("Mint = %q, want %q", got, e.minted)
				}
				if got, err := c.Parse(e.minted); err != nil || got != e.token {
					t.Errorf("Parse(%q) = %v, %v, want %v", e.minted, got, err, e.token)
				}
			}
		})
	}
	wg.Wait()
}
