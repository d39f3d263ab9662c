package oauth

import (
	"context"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// inquiry is a request about one token: for revocation (RFC 7009 §2.1) or introspection
// (RFC 7662 §2.1).
type inquiry struct {
	client *store.Client
	jar    *cookieJar      // nil for a client that has its refresh tokens in bodies
	token  string          // "" if the cookie client sent none
	cookie *session.Cookie // set if token is ""
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
	if q.jar, err = a.cookies(r, q.client); err != nil {
		return nil, err
	}
	if err = q.readSubject(p); err != nil {
		return nil, err
	}
	if q.keys, err = a.Keys.Keys(r.Context(), q.now); err != nil {
		return nil, err
	}
	return q, nil
}

// readSubject reads the token that the inquiry is about: the parameter, or for a cookie client that sends
// none the cookie of the session that it names.
func (q *inquiry) readSubject(p params) (err error) {
	switch q.token = p.get("token"); {
	case q.jar == nil:
		q.token, err = p.required("token")
	case q.token != "" && p.get(sidParam) != "":
		err = errTokenAndSID
	case q.token == "":
		q.cookie, err = q.jar.choose(p)
	}
	return err
}
