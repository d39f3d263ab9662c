package token

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"
)

// A secret is at least as long as SHA-256's output, below which HMAC is weaker
// than its hash (RFC 2104 section 3), and at most as long as its block, above
// which HMAC would hash the secret first and add nothing.
const (
	minSecret = 32
	maxSecret = 64
)

// Lead is how long before its From a key must be where everybody reads keys from.
// Whoever parses tokens knows it by then. A key verifies families that began up to
// as long after its successor took over: see [Codec.Parse].
const Lead = 15 * time.Minute

// Key is one MAC key. It prints as its id alone: fmt, slog and encoding/json
// leave the secret out, within the limits told at [Encoded].
//
// To rotate, add a key whose From lies at least [Lead] ahead. The old one stays:
// it verifies the families that began before, and may be dropped when the last
// token minted under it has expired.
//
// To void all tokens of a key, set Revoked, and do not drop it: its tokens are then
// told from forged ones.
type Key struct {
	ID      byte
	Secret  []byte    `json:"-"` // 32 to 64 bytes
	From    time.Time // mints from then on
	Revoked time.Time // since when its tokens are void; zero for a good key
}

// takesOver reports whether the key ever mints, so that it ends the one before it.
func (k Key) takesOver() bool { return k.Revoked.IsZero() || k.Revoked.After(k.From) }

// String names the key by its id.
func (k Key) String() string { return "[token key " + strconv.Itoa(int(k.ID)) + "]" }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Format prints String whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
