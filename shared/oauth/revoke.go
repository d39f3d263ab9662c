package oauth

import (
	"net/http"

	"github.com/rotor-auth/rotor/shared/internal/web"
)

// revoke serves POST /oauth/revoke (RFC 7009). Any token of a family revokes the family,
// including superseded refresh tokens and access tokens, expired or not. token_type_hint is
// ignored (§2.1), since the form of our tokens tells their type.
func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	q, err := a.readInquiry(r, a.authenticate)
	if err != nil {
		return err
	}
	from, err := endUser(r, q.client)
	if err != nil {
		return err
	}
	switch {
	case q.cookie != nil && (q.jar.hasCookie() || len(q.cookie.Skipped) > 0):
		if err := a.RevokeByCookie(r.Context(), q.keys, q.client, q.cookie, from, q.now); err != nil {
			q.jar.clearRefused(w, err)
			return err
		}
		if q.jar.hasCookie() { // also one that ended nothing, since it is good for nothing
			q.jar.clearEnded(w, q.jar.sid)
		}
	case q.token != "":
		id, ok, err := a.RevokeByToken(r.Context(), q.keys, q.client, q.token, from, q.now)
		if err != nil {
			return err
		}
		if ok && q.jar != nil {
			q.jar.clearEnded(w, id.ULID().String())
		}
	}
	// Unknown and dead tokens are answered like revoked ones (§2.2). Some clients require
	// a JSON body.
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, struct{}{})
	return nil
}
