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
	"slices"
	"time"
)

// What Parse returns for a string that is no token of ours.
var (
	// ErrMalformed: the string is not of the format, so nobody's keys made it.
	ErrMalformed = errors.New("malformed refresh token")
	// ErrForged: the string is of the format, but no key of the codec made it.
	// A token whose key was dropped counts as forged.
	ErrForged = errors.New("forged refresh token")

	// ErrUnknownKey is an ErrForged: the codec has no key of the id that the
	// string names.
	ErrUnknownKey = fmt.Errorf("%w: unknown key", ErrForged)
)

const redactedCodec = "[token codec]"

// encoding is strict so that stray bits after the last byte are refused. Even
// so it skips line breaks, which Parse sees by the length of what it decodes.
var encoding = base64.RawURLEncoding.Strict()

// Codec mints and parses refresh tokens. It is made by [NewCodec], is safe for
// concurrent use, and prints as "[token codec]".
type Codec struct {
	// Only pointers lead from here to secrets: fmt does not follow them when
	// a Codec stands in a field where it may not call Format.
	user *mac
	keys []codecKey // by From, then by ID; never empty
}

type codecKey struct {
	id   byte
	from time.Time
	mac  *mac
}

// NewCodec returns a codec that mints under the newest of keys and parses
// tokens minted under any of them. userKey is the key of [Codec.UserKey]; it
// must never change, or users lose their families.
//
// It is an error if there are no keys, if two share an id, or if a secret is
// not of 32 to 64 bytes; all that is wrong is reported at once. What is given
// is copied.
func NewCodec(userKey []byte, keys []Key) (*Codec, error) {
	var errs []error
	if err := checkSecret(userKey); err != nil {
		errs = append(errs, fmt.Errorf("user key: %w", err))
	}
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
	if len(errs) > 0 {
		return nil, fmt.Errorf("new token codec: %w", errors.Join(errs...))
	}

	c := &Codec{user: newMAC(userKey), keys: make([]codecKey, 0, len(keys))}
	for _, k := range keys {
		c.keys = append(c.keys, codecKey{id: k.ID, from: k.From, mac: newMAC(k.Secret)})
	}
	slices.SortFunc(c.keys, func(a, b codecKey) int {
		return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.id, b.id))
	})
	return c, nil
}

func checkSecret(secret []byte) error {
	if n := len(secret); n < minSecret || n > maxSecret {
		return fmt.Errorf("secret of %d bytes, want %d to %d", n, minSecret, maxSecret)
	}
	return nil
}

// UserKey is the head of HMAC-SHA-256 of the user id, under a key that is
// never rotated. It is the first half of [Token.Family].
func (c *Codec) UserKey(userID string) [16]byte {
	full := sum(c.user, userID)
	return [userKeySize]byte(full[:userKeySize])
}

// Mint encodes t under the newest key whose From is not after now, the highest
// id if several are as new. If no key's From has come it uses the oldest key
// (the lowest id of them), so Mint never fails.
//
// The caller sees to it that t.Counter is not 0: Parse refuses such a token.
func (c *Codec) Mint(t Token, now time.Time) Encoded {
	k := c.minting(now)

	var message [len(label) + size]byte
	copy(message[:], label)
	raw := message[len(label):]
	raw[atVersion] = version
	raw[atKey] = k.id
	copy(raw[atFamily:atCounter], t.Family[:])
	binary.BigEndian.PutUint32(raw[atCounter:atTag], t.Counter)
	full := sum(k.mac, message[:len(label)+atTag])
	copy(raw[atTag:], full[:tagSize])

	var text [Length]byte
	copy(text[:], Prefix)
	encoding.Encode(text[len(Prefix):], raw)
	return Encoded{token: string(text[:])}
}

// minting returns the key to mint under at now.
func (c *Codec) minting(now time.Time) codecKey {
	for _, k := range slices.Backward(c.keys) {
		if !k.from.After(now) {
			return k
		}
	}
	return c.keys[0]
}

// Parse returns what the refresh token s says, once it is certain that this
// codec's keys made it. Otherwise the error is [ErrMalformed] or [ErrForged],
// and the Token is zero.
//
// A key's From plays no part: a token parses for as long as the codec holds
// its key. That the token is still good is not for Parse to say.
func (c *Codec) Parse(s string) (Token, error) {
	if len(s) != Length || s[:len(Prefix)] != Prefix {
		return Token{}, ErrMalformed
	}
	var text [Length - len(Prefix)]byte
	copy(text[:], s[len(Prefix):])

	var message [len(label) + size]byte
	copy(message[:], label)
	raw := message[len(label):]
	if n, err := encoding.Decode(raw, text[:]); err != nil || n != size {
		return Token{}, ErrMalformed
	}
	counter := binary.BigEndian.Uint32(raw[atCounter:atTag])
	if raw[atVersion] != version || counter == 0 {
		return Token{}, ErrMalformed
	}

	i := slices.IndexFunc(c.keys, func(k codecKey) bool { return k.id == raw[atKey] })
	if i < 0 {
		return Token{}, ErrUnknownKey
	}
	full := sum(c.keys[i].mac, message[:len(label)+atTag])
	if subtle.ConstantTimeCompare(full[:tagSize], raw[atTag:]) != 1 {
		return Token{}, ErrForged
	}
	return Token{Family: [32]byte(raw[atFamily:atCounter]), Counter: counter}, nil
}

// String returns "[token codec]".
func (c Codec) String() string { return redactedCodec }

// GoString returns "[token codec]".
func (c Codec) GoString() string { return redactedCodec }

// Format prints "[token codec]" whatever the verb.
func (c Codec) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedCodec) }

// LogValue returns "[token codec]".
func (c Codec) LogValue() slog.Value { return slog.StringValue(redactedCodec) }
