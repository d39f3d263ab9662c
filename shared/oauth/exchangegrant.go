package oauth

import (
	"errors"
	"net/http"

	"github.com/rotor-auth/rotor/shared/session"
)

// Types of tokens (RFC 8693 §3).
const (
	typeAccess  = "urn:ietf:params:oauth:token-type:access_token"
	typeRefresh = "urn:ietf:params:oauth:token-type:refresh_token"
	typeID      = "urn:ietf:params:oauth:token-type:id_token"
	typeJWT     = "urn:ietf:params:oauth:token-type:jwt"
)

// exchangeGrant exchanges an id token, or another JWT, of an issuer that the client trusts (RFC
// 8693 §2). Nobody can act for somebody else. A bad subject token is an invalid_request (§2.2.2).
func (a *API) exchangeGrant(r *http.Request, q *tokenRequest) (*session.Tokens, error) {
	kind, err := q.params.required("subject_token_type")
	if err != nil {
		return nil, err
	}
	switch requested := q.params.get("requested_token_type"); {
	case kind != typeID && kind != typeJWT:
		return nil, invalidRequest("The subject_token_type must be " + typeID + " or " + typeJWT + ".")
	case requested != "" && requested != typeAccess && requested != typeRefresh:
		return nil, invalidRequest("The requested_token_type must be " + typeAccess + " or " + typeRefresh + ", or left out.")
	case q.params.get("actor_token") != "":
		return nil, invalidRequest("An actor_token is not supported.")
	case len(q.params["audience"]) > 0:
		return nil, invalidTarget("An audience is not supported. Name a resource instead.")
	}
	answer, err := a.exchangeAssertion(r, q, "subject_token")
	if errors.Is(err, session.ErrDeadToken) {
		return nil, invalidRequest("Unknown or invalid subject token.")
	}
	if err != nil {
		return nil, err
	}
	answer.IssuedTokenType = typeAccess
	return answer, nil
}
