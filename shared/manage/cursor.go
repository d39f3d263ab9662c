package manage

import (
	"crypto/subtle"
	"encoding/base64"

	"github.com/rotor-auth/rotor/shared/keyring"
)

// cursors are the "next" of a list's pages: where to go on, under a MAC over it
// and over which list it is of, so that only a cursor we gave is taken back, and
// only by the request that it was given to.
type cursors struct {
	keys *keyring.Keys
	list string // which list, with its parameters
}

const cursorTag = 8 // bytes of the MAC

// seal is the cursor for a position, "" for none.
func (c cursors) seal(position string) string {
	if position == "" {
		return ""
	}
	tag := c.tag(position)
	return base64.RawURLEncoding.EncodeToString(append(tag[:cursorTag:cursorTag], position...))
}

// open is the position of a cursor, "" of none.
func (c cursors) open(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err == nil && len(b) > cursorTag {
		position := string(b[cursorTag:])
		tag := c.tag(position)
		// The decoder skips line breaks: only the one spelling is ours.
		if subtle.ConstantTimeCompare(tag[:cursorTag], b[:cursorTag]) == 1 && c.seal(position) == cursor {
			return position, nil
		}
	}
	return "", fieldErrors{{Field: "next", Want: "what the page before gave as next, with the same parameters"}}
}

// tag is a MAC under the key of user ids, none of which has a NUL.
func (c cursors) tag(position string) [16]byte {
	return c.keys.Codec.UserKey("\x00cursor\x00" + c.list + "\x00" + position)
}
