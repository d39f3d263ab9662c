package token

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"time"
)

// These are the errors of [Codec.Parse] for a string that is not a token of this codec.
var (
	// ErrMalformed means that the string does not have the format of a token.
	ErrMalformed = errors.New("malformed refresh token")
	// ErrForged means that the string has the format, but no key of the codec made it. A
	// token whose key was removed counts as forged.
	ErrForged = errors.New("forged refresh token")

	// ErrUnknownKey is an ErrForged: the codec has no key with the id in the string.
	ErrUnknownKey = fmt.Errorf("%w: unknown key", ErrForged)
)

// RevokedError is returned by [Codec.Parse] for a token whose key is revoked. The token was
// made by a holder of that key: the service before the key leaked, or a thief of the key. So
// use Token only to tell its bearer what happened.
type RevokedError struct {
	Token Token
	At    time.Time // when the key was revoked
}

// Error returns a text with the time when the key was revoked.
func (e *RevokedError) Error() string {
	return "refresh token under a key that was revoked at " + e.At.UTC().Format(time.RFC3339)
}

const redactedCodec = "[token codec]"

// encoding is strict so that it refuses stray bits after the last byte. It still skips line
// breaks, which Parse detects by the length of what it decodes.
var encoding = base64.RawURLEncoding.Strict()

// Codec mints and parses refresh tokens. Make one with [NewCodec]. It is safe for
// concurrent use, and prints as "[token codec]".
type Codec struct {
	// Secrets are behind pointers, which fmt does not follow if a Codec is in a field on which
	// it may not call Format.
	keys []codecKey // by From, then by ID; at least one is not revoked
}

type codecKey struct {
	id      byte
	from    time.Time
	end     int64 // in epoch milliseconds; the key verifies no family that began then or later
	revoked time.Time
	mac     *mac
}

// NewCodec returns a codec that mints under the newest of keys and parses tokens minted
// under any of them. NewCodec copies its arguments.
//
// It is an error if there are no keys, if two have the same id, if a secret does not have
// 32 to 64 bytes, or if the last key to take over is revoked. All errors are reported at
// once.
func NewCodec(keys []Key) (*Codec, error) {
	var errs []error
	if len(keys) == 0 {
		errs = append(errs, errors.New("no token keys"))
	}
	seen := make(map[byte]bool, len(keys))
	for _, k := range keys {
		if err := checkSecret(k.Secret); err != nil {
			errs = append(errs, fmt.Errorf("token key %d: %w", k.ID, err))
		}
		if seen[k.ID] {
			errs = append(errs, fmt.Errorf("token key %d: id used twice", k.ID))
		}
		seen[k.ID] = true
	}
	sorted := slices.SortedFunc(slices.Values(keys), func(a, b Key) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))
	})
	if i := last(sorted, Key.takesOver); i >= 0 && !sorted[i].Revoked.IsZero() {
		errs = append(errs, fmt.Errorf("token key %d: is revoked, and no key takes over from it", sorted[i].ID))
	} else if i < 0 && len(keys) > 0 {
		errs = append(errs, errors.New("all token keys are revoked"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("new token codec: %w", errors.Join(errs...))
	}

	c := &Codec{keys: make([]codecKey, len(sorted))}
	end := int64(math.MaxInt64)
	for i, k := range slices.Backward(sorted) {
		c.keys[i] = codecKey{id: k.ID, from: k.From, end: end, revoked: k.Revoked, mac: newMAC(k.Secret)}
		if k.takesOver() {
			end = k.From.Add(Lead).UnixMilli()
		}
	}
	return c, nil
}

// last returns the index of the last of keys that matches, or -1.
func last(keys []Key, matches func(Key) bool) int {
	for i, k := range slices.Backward(keys) {
		if matches(k) {
			return i
		}
	}
	return -1
}

func checkSecret(secret []byte) error {
	if n := len(secret); n < minSecret || n > maxSecret {
		return fmt.Errorf("secret of %d bytes, want %d to %d", n, minSecret, maxSecret)
	}
	return nil
}

// Mint encodes t under the newest key whose From is not after now, or under the one with the
// highest id if several are as new. If every From is after now, it uses the oldest key, or the
// one with the lowest id of them, so it never fails. If that key is revoked, or does not
// verify the family because it began too late, Mint uses the next newer one. So Parse accepts
// every minted token, whatever now is.
//
// The caller must make sure that t.Counter is not 0: Parse refuses such a token.
func (c *Codec) Mint(t Token, now time.Time) Encoded { return c.mint(label, t, now) }

// MintCode encodes the authorization code of a family, as [Codec.Mint] encodes a refresh token.
func (c *Codec) MintCode(family [32]byte, now time.Time) Encoded {
	return c.mint(codeLabel, Token{Family: family}, now)
}

func (c *Codec) mint(label string, t Token, now time.Time) Encoded {
	k := c.minting(began(t), now)

	var message [labelSize + size]byte
	copy(message[:], label)
	raw := message[labelSize:]
	raw[atVersion] = version
	raw[atKey] = k.id
	copy(raw[atFamily:atCounter], t.Family[:])
	binary.BigEndian.PutUint32(raw[atCounter:atTag], t.Counter)
	full := sum(k.mac, message[:labelSize+atTag])
	copy(raw[atTag:], full[:tagSize])

	var text [Length]byte
	copy(text[:], Prefix)
	encoding.Encode(text[len(Prefix):], raw)
	return Encoded{token: string(text[:])}
}

// minting returns the key to mint under at now, for a family that began at the given time
// in epoch milliseconds.
func (c *Codec) minting(began int64, now time.Time) *codecKey {
	var chosen *codecKey
	for i := range c.keys {
		k := &c.keys[i]
		if !k.revoked.IsZero() {
			continue
		}
		if chosen == nil || !k.from.After(now) || began >= chosen.end {
			chosen = k
		}
	}
	return chosen
}

// began returns when t's family began, in epoch milliseconds, which is the head of its
// ULID.
func began(t Token) int64 {
	var ms [8]byte
	copy(ms[2:], t.Family[userKeySize:userKeySize+6])
	return int64(binary.BigEndian.Uint64(ms[:])) //nolint:gosec // it has 48 bits
}

// Parse returns the content of the refresh token s if one of this codec's keys made it.
// Otherwise it returns [ErrMalformed], [ErrForged] or a [RevokedError], and a zero Token. It
// does not decide whether the token is still valid.
//
// A key verifies only families that began before its end, which is [Lead] after the From of
// the key that took over from it. So a thief who finds an old key cannot make a token of a
// session that began later, and the key is worth less as sessions end. Its tokens of older
// families parse for as long as the codec has the key.
//
// Every token that the service mints is within that bound. A server that knows the successor
// mints under it from its From on, and never under an older key for a family that began past
// the end. A server that does not know the successor cannot read the tokens of such a family.
// It would start one under the old key only with a copy of the keys from before the successor
// was added. That copy is older than the From by Lead, less the time that it takes to publish
// keys, and a server whose copy is older than Lead starts no family. With at most five minutes
// for publishing, the last such family begins five minutes after the From. The other ten
// minutes are for clocks that differ.
func (c *Codec) Parse(s string) (Token, error) { return c.parse(label, s) }

// ParseCode returns the content of the authorization code s, whose Counter is 0. Its errors are
// those of [Codec.Parse].
func (c *Codec) ParseCode(s string) (Token, error) { return c.parse(codeLabel, s) }

func (c *Codec) parse(label, s string) (Token, error) {
	if len(s) != Length || s[:len(Prefix)] != Prefix {
		return Token{}, ErrMalformed
	}
	var text [Length - len(Prefix)]byte
	copy(text[:], s[len(Prefix):])

	var message [labelSize + size]byte
	copy(message[:], label)
	raw := message[labelSize:]
	if n, err := encoding.Decode(raw, text[:]); err != nil || n != size {
		return Token{}, ErrMalformed
	}
	counter := binary.BigEndian.Uint32(raw[atCounter:atTag])
	if raw[atVersion] != version || (counter == 0) != (label == codeLabel) {
		return Token{}, ErrMalformed
	}

	i := slices.IndexFunc(c.keys, func(k codecKey) bool { return k.id == raw[atKey] })
	if i < 0 {
		return Token{}, ErrUnknownKey
	}
	key := &c.keys[i]
	full := sum(key.mac, message[:labelSize+atTag])
	if subtle.ConstantTimeCompare(full[:tagSize], raw[atTag:]) != 1 {
		return Token{}, ErrForged
	}
	t := Token{Family: [32]byte(raw[atFamily:atCounter]), Counter: counter}
	if began(t) >= key.end {
		return Token{}, ErrForged
	}
	if !key.revoked.IsZero() {
		return Token{}, &RevokedError{Token: t, At: key.revoked}
	}
	return t, nil
}

// String returns "[token codec]".
func (c Codec) String() string { return redactedCodec }

// GoString returns "[token codec]".
func (c Codec) GoString() string { return redactedCodec }

// Format prints "[token codec]" whatever the verb.
func (c Codec) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedCodec) }

// LogValue returns "[token codec]".
func (c Codec) LogValue() slog.Value { return slog.StringValue(redactedCodec) }
