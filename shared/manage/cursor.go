package manage

import (
	"crypto/subtle"
	"encoding/base64"

	"github.com/rotor-auth/rotor/shared/keyring"
)

// cursors makes and reads the "next" of a list's pages, which holds the position where the
// next page begins. Its MAC is over the position and the list's parameters, so that a cursor
// is accepted only if we issued it, and only for a list with the same parameters.
type cursors struct {
	keys *keyring.Keys
	list string // the list's name and its parameters
}

const cursorTag = 8 // length of the MAC, in bytes

// seal returns the cursor for a position, "" for "".
func (c cursors) seal(position string) string {
	if position == "" {
		return ""
	}
	tag := c.tag(position)
	return base64.RawURLEncoding.EncodeToString(append(tag[:cursorTag:cursorTag], position...))
}

// open returns the position in a cursor, "" for "".
func (c cursors) open(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil && len(b) > cursorTag {
		position := string(b[cursorTag:])
		tag := c.tag(position)
		// The decoder skips line breaks. Only the cursor as we wrote it is accepted.
		if subtle.ConstantTimeCompare(tag[:cursorTag], b[:cursorTag]) == 1 && c.seal(position) == cursor {
			return position, nil
		}
	}
	return "", fieldErrors{{Field: "next", Want: "the next of the page before, sent with the same parameters"}}
}

// tag returns the MAC of a position. Its key is that of user ids, which have no NUL, so that
// the two never collide.
func (c cursors) tag(position string) [16]byte {
	return c.keys.Users.Key("\x00cursor\x00" + c.list + "\x00" + position)
}
