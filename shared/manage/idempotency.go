package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/shared/session"
)

// A login whose answer was lost tries again, and two tries are two families: one that
// nobody uses, and that may push a device out at the limit. With an Idempotency-Key,
// which the login makes up for each sign-in, they are one family.
const (
	idempotencyHeader = "Idempotency-Key"
	maxKey            = 255
)

// idempotencyKey returns the request's key, "" where it has none. A header without a
// value is an error: it was lost on its way.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values(idempotencyHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", fieldErrors{{Field: idempotencyHeader, Want: "given once"}}
	}
	key := values[0]
	if key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }) {
		return "", fieldErrors{{Field: idempotencyHeader, Want: fmt.Sprintf("1 to %d visible ASCII characters", maxKey)}}
	}
	return key, nil
}

// asked returns what the body asks for, in one spelling: the order and the white space
// of the JSON do not count. Members that say nothing are left out, so that it is spelled
// alike by a version that knows of more.
func (body *newFamily) asked() ([]byte, error) {
	nothing := (&newFamily{}).fields()
	said := map[string]json.RawMessage{}
	for name, value := range body.fields() {
		v, err := canonical(value)
		if err != nil {
			return nil, err
		}
		none, err := canonical(nothing[name])
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(v, none) {
			said[name] = v
		}
	}
	return canonical(said)
}

// canonical returns v as JSON whose members are in order.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("spell out a request: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // a number keeps its digits
	var plain any // and not v: what that points to would be written to
	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("spell out a request: %w", err)
	}
	return json.Marshal(plain)
}

// keyRefused returns the answer to a login whose key cannot start a family, and any
// other error as it is.
func keyRefused(err error) error {
	var dead *session.DeadError
	switch {
	case errors.Is(err, session.ErrKeyMismatch):
		return &unprocessable{Field: idempotencyHeader, Want: "a new one for each login: this has been used with other parameters"}
	case errors.Is(err, session.ErrKeyPurged):
		return conflict("the family that this Idempotency-Key started is gone: log in again, with a key of its own")
	case errors.Is(err, session.ErrKeyRefreshed):
		return conflict("the family that this Idempotency-Key started has been refreshed, so its first token has arrived: another login needs a key of its own")
	case errors.As(err, &dead):
		return conflict("the family that this Idempotency-Key started has ended (" + string(dead.Cause) + "): log in again, with a key of its own")
	}
	return err
}
