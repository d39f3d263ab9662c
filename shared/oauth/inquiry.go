package oauth

import (
	"context"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
)

// inquiry is a request about one token: for revocation (RFC 7009 §2.1) or introspection
// (RFC 7662 §2.1).
type inquiry struct {
	client *store.Client
	token  string
	keys   *keyring.Keys
	now    time.Time
}

// readInquiry reads the request and authenticates its client with the given function.
func (a *API) readInquiry(r *http.Request, authenticate func(context.Context, *http.Request, params, time.Time) (*store.Client, error)) (*inquiry, error) {
	q := &inquiry{now: a.Now()}
	p, err := readParams(r)
	if err != nil {
		return nil, err
	}
	if q.client, err = authenticate(r.Context(), r, p, q.now); err != nil {
		return nil, err
	}
	if q.token, err = p.required("token"); err != nil {
		return nil, err
	}
	if q.keys, err = a.Keys.Keys(r.Context(), q.now); err != nil {
		return nil, err
	}
	return q, nil
}
