package token

import (
	"fmt"
	"io"
	"log/slog"
)

const redactedUserKeys = "[user keys]"

// UserKeys turns user ids into user keys, the first halves of the ids of families. Make one
// with [NewUserKeys]. It is safe for concurrent use, and prints as "[user keys]".
type UserKeys struct {
	mac *mac // is behind a pointer, as in a Codec
}

// NewUserKeys returns the user keys under a copy of secret. The secret must never change: with
// another one, no user's families would be found. NewUserKeys returns an error if secret does
// not have 32 to 64 bytes.
func NewUserKeys(secret []byte) (*UserKeys, error) {
	if err := checkSecret(secret); err != nil {
		return nil, fmt.Errorf("user key: %w", err)
	}
	return &UserKeys{newMAC(secret)}, nil
}

// Key returns the first half of HMAC-SHA-256 of the user id.
func (u *UserKeys) Key(userID string) [16]byte {
	full := sum(u.mac, userID)
	return [userKeySize]byte(full[:userKeySize])
}

// String returns a text without secrets.
func (u UserKeys) String() string { return redactedUserKeys }

// GoString returns what String returns.
func (u UserKeys) GoString() string { return redactedUserKeys }

// Format prints what String returns, whatever the verb.
func (u UserKeys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedUserKeys) }

// LogValue returns what String returns.
func (u UserKeys) LogValue() slog.Value { return slog.StringValue(redactedUserKeys) }
