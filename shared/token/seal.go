package token

import (
	"crypto/subtle"
	"encoding/binary"
	"slices"
	"time"
)

// Purpose says what a sealed string is for. A string that is sealed for one purpose does not open for another.
type Purpose string

// The purposes. Each begins the message that is MACed, as label does for refresh tokens.
const (
	// DeviceChallenge is what a browser signs to prove that it has the key of a session.
	DeviceChallenge Purpose = "rotor device challenge v1\x00"
	// DeviceSession names the session and its key to a browser that renews its cookie.
	DeviceSession Purpose = "rotor device session v1\x00"
	// DeviceCookie is the cookie of a session that is bound to a key of the browser's device.
	DeviceCookie Purpose = "rotor device cookie v1\x00"

	nonceLabel Purpose = "rotor dpop nonce v1\x00"
)

const (
	// maxSealed limits what Open reads, in bytes of its encoding.
	maxSealed = 2048

	sealHead = 2 // version and key
	sealTag  = 16
)

// Seal returns a string that holds the id of a family and content, in the open, under a MAC: at least 67
// characters of base64url. The key is the one under which [Codec.Mint] mints a token of the family.
func (c *Codec) Seal(p Purpose, family [32]byte, content []byte, now time.Time) string {
	return c.seal(p, began(Token{Family: family}), slices.Concat(family[:], content), now)
}

// Open returns what was sealed for the purpose. Its errors are those of [Codec.Parse], but a key that was revoked
// counts as unknown.
func (c *Codec) Open(p Purpose, s string) (family [32]byte, content []byte, err error) {
	body, key, err := c.open(p, s)
	if err != nil {
		return family, nil, err
	}
	if len(body) < len(family) {
		return family, nil, ErrMalformed
	}
	copy(family[:], body)
	if began(Token{Family: family}) >= key.end {
		return [32]byte{}, nil, ErrForged
	}
	return family, body[len(family):], nil
}

// nonceBucket is for how long all nonces are the same. A nonce is good in its bucket and in the next one.
const nonceBucket = 5 * time.Minute

// NonceLength is the length of a nonce, in bytes.
const NonceLength = 35

// Nonce returns the nonce that DPoP proofs are to have at now (RFC 9449 §8): 35 characters of base64url. It
// takes no store, since it is a time under a MAC. It is good for five to ten minutes.
func (c *Codec) Nonce(now time.Time) string {
	bucket := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()/nonceBucket.Milliseconds())) //nolint:gosec // no clock is before 1970
	return c.seal(nonceLabel, began(Token{}), bucket, now)
}

// IsNonce reports whether s is a nonce that is good at now. So is the one of the next five minutes, since
// clocks of servers differ.
func (c *Codec) IsNonce(s string, now time.Time) bool {
	if len(s) != NonceLength {
		return false
	}
	body, _, err := c.open(nonceLabel, s)
	if err != nil || len(body) != 8 {
		return false
	}
	ahead := int64(binary.BigEndian.Uint64(body)) - now.UnixMilli()/nonceBucket.Milliseconds() //nolint:gosec // as made by Nonce
	return ahead >= -1 && ahead <= 1
}

// seal returns the encoding of version, key, body and tag.
func (c *Codec) seal(p Purpose, began int64, body []byte, now time.Time) string {
	k := c.minting(began, now)
	raw := slices.Concat([]byte{version, k.id}, body)
	tag := sum(k.mac, slices.Concat([]byte(p), raw))
	return encoding.EncodeToString(append(raw, tag[:sealTag]...))
}

// open returns the body of what seal returned, and the key under which it was sealed.
func (c *Codec) open(p Purpose, s string) ([]byte, *codecKey, error) {
	if len(s) > maxSealed {
		return nil, nil, ErrMalformed
	}
	raw, err := encoding.DecodeString(s)
	if err != nil || len(raw) < sealHead+sealTag || len(s) != encoding.EncodedLen(len(raw)) || raw[0] != version {
		return nil, nil, ErrMalformed
	}
	i := slices.IndexFunc(c.keys, func(k codecKey) bool { return k.id == raw[1] && k.revoked.IsZero() })
	if i < 0 {
		return nil, nil, ErrUnknownKey
	}
	message, tag := raw[:len(raw)-sealTag], raw[len(raw)-sealTag:]
	want := sum(c.keys[i].mac, slices.Concat([]byte(p), message))
	if subtle.ConstantTimeCompare(want[:sealTag], tag) != 1 {
		return nil, nil, ErrForged
	}
	return message[sealHead:], &c.keys[i], nil
}
