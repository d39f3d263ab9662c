package token

import (
	"fmt"
	"io"
	"log/slog"
)

const redactedToken = "[refresh token]"

// Encoded is a refresh token as it is sent to the client, which is a secret. Only
// [Encoded.Reveal] returns it: fmt and slog print "[refresh token]", and encoding/json
// prints {}.
//
// fmt sets two limits. It calls no methods on the unexported fields of a struct and prints
// their contents, so a struct that may be printed should have an Encoded in an exported
// field. And it does not call Format for %p and %w, which nobody should use with an
// Encoded.
type Encoded struct {
	token string
}

// Reveal returns the token itself, which must be sent to the client and nowhere else.
func (e Encoded) Reveal() string { return e.token }

// String returns "[refresh token]".
func (e Encoded) String() string { return redactedToken }

// GoString returns "[refresh token]".
func (e Encoded) GoString() string { return redactedToken }

// Format prints "[refresh token]" whatever the verb.
func (e Encoded) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedToken) }

// LogValue returns "[refresh token]".
func (e Encoded) LogValue() slog.Value { return slog.StringValue(redactedToken) }
