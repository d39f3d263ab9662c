package token

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"
)

// A secret is at least as long as SHA-256's output, because with less HMAC is weaker than its
// hash (RFC 2104 section 3). It is at most as long as its block, because HMAC would hash a
// longer one first and gain nothing.
const (
	minSecret = 32
	maxSecret = 64
)

// Lead is how long before its From a key must be published, so that every server that
// parses tokens knows it by then. A key also verifies families that began up to Lead after
// its successor took over; see [Codec.Parse].
const Lead = 15 * time.Minute

// Key is a MAC key. It prints as its id: fmt, slog and encoding/json leave the secret out,
// within the limits described at [Encoded].
//
// To rotate, add a key whose From is at least [Lead] ahead. Keep the old one, which verifies
// the families that began before. It may be removed when the last token minted under it has
// expired.
//
// To invalidate all tokens of a key, set Revoked and keep the key, so that its tokens can be
// told from forged ones.
type Key struct {
	ID      byte
	Secret  []byte    `json:"-"` // 32 to 64 bytes
	From    time.Time // when it begins to mint
	Revoked time.Time // when its tokens became invalid, or zero
}

// takesOver reports whether the key ever mints, and so takes over from the one before it.
func (k Key) takesOver() bool { return k.Revoked.IsZero() || k.Revoked.After(k.From) }

// String returns a name of the key that shows only its id.
func (k Key) String() string { return "[token key " + strconv.Itoa(int(k.ID)) + "]" }

// GoString returns what String returns.
func (k Key) GoString() string { return k.String() }

// Format prints what String returns, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue returns what String returns.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
