package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
)

// A login whose answer was lost tries again, and two tries are two families: one that
// nobody uses, and that may push a device out at the limit. With an Idempotency-Key,
// which the login makes up for each sign-in, they are one family.
const (
	idempotencyHeader = "Idempotency-Key"
	// idempotentFor is how long a key names the family that it started.
	idempotentFor = 24 * time.Hour
	maxKey        = 255
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

// alias returns the name that the key gives to the family which the body asks for. A
// key is of its user and client: MACs stand for it and for the body, so that neither
// can be read, or guessed, from the table.
func (body *newFamily) alias(keys *keyring.Keys, key string, now time.Time) (store.Alias, error) {
	asked, err := body.asked()
	if err != nil {
		return store.Alias{}, err
	}
	// Under the key of user ids, none of which has a NUL.
	mac := func(of, what string) [16]byte {
		return keys.Codec.UserKey("\x00" + of + "\x00" + body.userID + "\x00" + body.clientID + "\x00" + what)
	}
	return store.Alias{Name: mac("idempotency", key), Asked: mac("asked", string(asked)), Until: now.Add(idempotentFor)}, nil
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
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("spell out a request: %w", err)
	}
	return json.Marshal(v)
}

// errOtherParameters is returned where a key is used again for something else.
var errOtherParameters = &unprocessable{Field: idempotencyHeader, Want: "a new one for each login: this has been used with other parameters"}

// started returns the family that an alias names, for its first token to be given
// again: as long as nobody has used it, and it lives.
func (a *API) started(ctx context.Context, there *store.Alias, asked [16]byte, p *family.Policy, now time.Time) (*family.Family, error) {
	operationOf(ctx).Family = there.Family
	if there.Asked != asked {
		return nil, errOtherParameters
	}
	f, err := a.Table.Family(ctx, there.Family)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, conflict("the family that this Idempotency-Key started is gone: log in again, with a key of its own")
	case err != nil:
		return nil, err
	case f.Counter != 1:
		return nil, conflict("the family that this Idempotency-Key started has been refreshed, so its first token has arrived: another login needs a key of its own")
	case f.Death(p, now) != "":
		return nil, conflict("the family that this Idempotency-Key started has ended (" + string(f.Death(p, now)) + "): log in again, with a key of its own")
	}
	return f, nil
}
