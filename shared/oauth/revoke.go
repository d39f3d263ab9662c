package oauth

import (
	"net/http"

	"github.com/rotor-auth/rotor/shared/internal/web"
)

func (a *API) revokeEndpoint() []web.Endpoint {
	return []web.Endpoint{{
		Path: "/oauth/revoke", Wrap: a.forPages,
		Methods: map[string]web.Handler{http.MethodPost: a.revoke},
	}}
}

// revoke is the revocation web.Endpoint (RFC 7009). Any token of a family ends the
// family: a superseded refresh token, and an access token, expired or not.
// token_type_hint changes nothing: our tokens tell what they are (§2.1).
func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	q, err := a.inquiry(r, a.authenticate)
	if err != nil {
		return err
	}
	from, err := endUser(r, q.client)
	if err != nil {
		return err
	}
	if err := a.RevokeByToken(r.Context(), q.keys, q.client, q.token, from, q.now); err != nil {
		return err
	}
	// Unknown and dead tokens are as revoked as can be (§2.2). Some clients insist
	// on a JSON body.
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, struct{}{})
	return nil
}
