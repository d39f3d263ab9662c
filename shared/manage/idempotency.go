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

// A login that lost the answer repeats its request, which would start a second family: nobody
// uses one of the two, and at the limit of max_active it may end another device's. With an
// Idempotency-Key, which the login chooses for each sign-in, both requests start one family.
const (
	idempotencyHeader = "Idempotency-Key"
	maxIdempotencyKey = 255
)

// idempotencyKey returns the request's key, "" if it has none. A header without a value is an
// error, since its value must have been lost.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values(idempotencyHeader)
	switch {
	case len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", fieldErrors{{Field: idempotencyHeader, Want: "given once"}}
	}
	key := values[0]
	if key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }) {
		return "", fieldErrors{{Field: idempotencyHeader, Want: fmt.Sprintf("1 to %d visible ASCII characters", maxIdempotencyKey)}}
	}
	return key, nil
}

// canonical returns the members of a body in canonical form, in which neither the order of
// members nor white space matters. Members with the same value as in zero are left out, so that
// the form stays the same in versions with more members.
func canonical(fields, zero map[string]any) ([]byte, error) {
	given := map[string]json.RawMessage{}
	for name, value := range fields {
		v, err := canonicalJSON(value)
		if err != nil {
			return nil, err
		}
		none, err := canonicalJSON(zero[name])
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(v, none) {
			given[name] = v
		}
	}
	return canonicalJSON(given)
}

// canonicalJSON returns v as JSON with its members in order and without white space.
func canonicalJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write a request in canonical form: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // numbers keep their digits
	var plain any // decoding into v would overwrite what its pointers refer to
	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("write a request in canonical form: %w", err)
	}
	return json.Marshal(plain)
}

// idempotencyError returns the answer to a login whose key has been used and cannot be used
// again. It returns any other error as it is.
func idempotencyError(err error) error {
	var dead *session.DeadError
	switch {
	case errors.Is(err, session.ErrKeyMismatch):
		return &unprocessable{Field: idempotencyHeader, Want: "a new one for each login: this one has been used with other parameters"}
	case errors.Is(err, session.ErrKeyPurged):
		return conflict("the family that this Idempotency-Key started is gone: log in again with a new key")
	case errors.Is(err, session.ErrKeyRefreshed):
		return conflict("the family that this Idempotency-Key started has been refreshed, so its first token has arrived: use a new key for another login")
	case errors.As(err, &dead):
		return conflict("the family that this Idempotency-Key started has ended (" + string(dead.Cause) + "): log in again with a new key")
	}
	return err
}
