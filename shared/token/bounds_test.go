package token_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/token"
)

// begun returns a token of a family that began at that time.
func begun(at time.Time) token.Token {
	t := token.Token{Family: [32]byte{1}, Counter: 3}
	binary.BigEndian.PutUint64(t.Family[16:], uint64(at.UnixMilli())<<16)
	return t
}

// forged returns a token as a thief of a key can make it, without the checks of a codec.
func forged(id byte, secret []byte, t token.Token) string {
	raw := []byte{1, id}
	raw = append(raw, t.Family[:]...)
	raw = binary.BigEndian.AppendUint32(raw, t.Counter)
	return encode(sign(append(raw, make([]byte, 20)...), secret))
}

// TestKeyEndsWithItsSuccessor checks that a replaced key can only make tokens of families that
// began before its successor took over.
func TestKeyEndsWithItsSuccessor(t *testing.T) {
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	first := token.Key{ID: 1, Secret: upFrom(1), From: hour(0)}
	second := token.Key{ID: 2, Secret: upFrom(2), From: hour(10)}
	third := token.Key{ID: 3, Secret: upFrom(3), From: hour(20)}
	c := newCodec(t, third, first, second)
	if token.Lead != 15*time.Minute {
		t.Fatalf("the lead is %v", token.Lead)
	}
	for _, test := range []struct {
		key   token.Key
		began time.Time
		good  bool
	}{
		{first, hour(-1000), true},
		{first, hour(10), true},
		{first, hour(10).Add(token.Lead - time.Millisecond), true},
		{first, hour(10).Add(token.Lead), false},
		{first, hour(20), false},
		{first, hour(100_000), false},
		{second, hour(-1000), true}, // the newest token of an old family
		{second, hour(20).Add(token.Lead - time.Millisecond), true},
		{second, hour(20).Add(token.Lead), false},
		{third, hour(-1000), true},
		{third, hour(100_000), true},
	} {
		want := begun(test.began)
		s := forged(test.key.ID, test.key.Secret, want)
		got, err := c.Parse(s)
		if test.good && (err != nil || got != want) {
			t.Errorf("key %d, a family of %s: %v, %v", test.key.ID, test.began, got, err)
		}
		if !test.good {
			refuse(t, c, s, token.ErrForged)
			if errors.Is(err, token.ErrUnknownKey) {
				t.Errorf("key %d is said to be unknown", test.key.ID)
			}
		}
		if alone := newCodec(t, test.key); !test.good {
			if _, err := alone.Parse(s); err != nil {
				t.Errorf("the key alone, without a successor: %v", err)
			}
		}
	}
}

// TestMintNeverExceedsABound checks that every minted token parses, whatever the clock says:
// for a family of any time and under any keys, some of them revoked. Only the last key must be
// valid.
func TestMintNeverExceedsABound(t *testing.T) {
	hour := func(n int) time.Time { return start.Add(time.Duration(n) * time.Hour) }
	var keys []token.Key
	for i := range 4 {
		keys = append(keys, token.Key{ID: byte(10 - i), Secret: upFrom(byte(i)), From: hour(10 * i)})
	}
	keys = append(keys, token.Key{ID: 99, Secret: upFrom(77), From: hour(30)}) // another key with the same start
	tried := 0
	for revoked := range 1 << len(keys) {
		set := slices.Clone(keys)
		for i := range set {
			if revoked>>i&1 == 1 {
				set[i].Revoked = hour(50)
			}
		}
		c, err := token.NewCodec(set)
		if err != nil {
			if revoked>>4 == 0 {
				t.Errorf("%b: %v", revoked, err)
			}
			continue // the last key is revoked, so nothing takes over
		}
		for now := -5; now <= 45; now += 5 {
			for began := -5; began <= 45; began++ {
				tried++
				want := begun(hour(began))
				s := c.Mint(want, hour(now)).Reveal()
				if got, err := c.Parse(s); err != nil || got != want {
					t.Fatalf("revoked %b, at %d, a family of %d: under key %d %v", revoked, now, began, decode(t, s)[1], err)
				}
			}
		}
	}
	if tried < 5000 {
		t.Errorf("%d mints", tried)
	}

	// The bound moves a family to the next key, and not further.
	c := newCodec(t, keys[:3]...)
	for began, want := range map[int]byte{-5: 10, 10: 10, 11: 9, 20: 9, 21: 8, 1000: 8} {
		if got := decode(t, c.Mint(begun(hour(began)), hour(0)).Reveal())[1]; got != want {
			t.Errorf("with a clock at 0, a family of %d is minted under key %d, not %d", began, got, want)
		}
	}
}

// TestRevokedKey checks that a token under a revoked key is told apart from a forged one and
// from those of other keys.
func TestRevokedKey(t *testing.T) {
	at := start.Add(48*time.Hour + time.Second)
	leaked := token.Key{ID: 1, Secret: upFrom(1), From: start}
	next := token.Key{ID: 2, Secret: upFrom(2), From: at}
	before := newCodec(t, leaked)
	want := begun(start.Add(time.Hour))
	s := before.Mint(want, start.Add(2*time.Hour)).Reveal()

	leaked.Revoked = at
	c := newCodec(t, leaked, next)
	got, err := c.Parse(s)
	var revoked *token.RevokedError
	if !errors.As(err, &revoked) || revoked.Token != want || !revoked.At.Equal(at) || got != (token.Token{}) {
		t.Fatalf("Parse = %v, %v", got, err)
	}
	if errors.Is(err, token.ErrForged) || errors.Is(err, token.ErrMalformed) {
		t.Errorf("it is also %v", err)
	}
	if want := "refresh token under a key that was revoked at 2026-01-03T00:00:01Z"; err.Error() != want {
		t.Errorf("the error is %q", err)
	}
	// Without the key, a caller cannot find out whether it is revoked.
	raw := decode(t, s)
	raw[len(raw)-1] ^= 1
	refuse(t, c, encode(raw), token.ErrForged)
	refuse(t, c, forged(1, upFrom(9), want), token.ErrForged)
	// A revoked key makes no token of a family that began after its end.
	refuse(t, c, forged(1, upFrom(1), begun(at.Add(token.Lead))), token.ErrForged)

	for _, now := range []time.Time{start, at.Add(-1), at, at.Add(1000 * time.Hour)} {
		if id := decode(t, c.Mint(want, now).Reveal())[1]; id != 2 {
			t.Errorf("at %s the revoked key mints", now)
		}
	}
}

// TestRevokedBeforeItsTime checks that a key which was revoked before its start never takes
// over.
func TestRevokedBeforeItsTime(t *testing.T) {
	now := start.Add(time.Hour)
	first := token.Key{ID: 1, Secret: upFrom(1), From: start}
	waiting := token.Key{ID: 2, Secret: upFrom(2), From: now.Add(10 * time.Minute), Revoked: now}
	c := newCodec(t, first, waiting)
	later := now.Add(1000 * time.Hour)
	s := c.Mint(begun(later), later).Reveal()
	if got, err := c.Parse(s); err != nil || got != begun(later) || decode(t, s)[1] != 1 {
		t.Errorf("under key %d: %v, %v", decode(t, s)[1], got, err)
	}
	if _, err := c.Parse(forged(2, upFrom(2), begun(now))); !errors.As(err, new(*token.RevokedError)) {
		t.Errorf("a token under it: %v", err)
	}
}

func TestNewCodecRefusesRevokedAlone(t *testing.T) {
	good := token.Key{ID: 1, Secret: upFrom(1), From: start}
	gone := token.Key{ID: 2, Secret: upFrom(2), From: start.Add(time.Hour), Revoked: start.Add(2 * time.Hour)}
	never := token.Key{ID: 3, Secret: upFrom(3), From: start.Add(time.Hour), Revoked: start}
	for _, test := range []struct {
		name string
		keys []token.Key
		want string
	}{
		{"nothing takes over", []token.Key{good, gone}, "new token codec: token key 2: is revoked, and no key takes over from it"},
		{"all revoked", []token.Key{gone}, "new token codec: token key 2: is revoked, and no key takes over from it"},
		{"all revoked before their time", []token.Key{never}, "new token codec: all token keys are revoked"},
		{"one that never took over", []token.Key{good, never}, ""},
	} {
		c, err := token.NewCodec(test.keys)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.want != "" && (err == nil || c != nil || err.Error() != test.want):
			t.Errorf("%s: %v, %v", test.name, c, err)
		}
	}
}
