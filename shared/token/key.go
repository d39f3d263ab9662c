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

// Key is one MAC key. It prints as its id alone: fmt, slog and encoding/json
// leave the secret out, within the limits told at [Encoded].
//
// To rotate, add a key whose From lies far enough ahead for every instance to
// have loaded it by then, and drop the old one when the last token minted
// under it has expired.
type Key struct {
	ID     byte
	Secret []byte    `json:"-"` // 32 to 64 bytes
	From   time.Time // mints from then on
}

// String names the key by its id.
func (k Key) String() string { return "[token key " + strconv.Itoa(int(k.ID)) + "]" }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Format prints String whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
