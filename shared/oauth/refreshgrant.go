package oauth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/rotor-auth/rotor/shared/session"
)

// refreshGrant exchanges a refresh token (RFC 6749 §6).
func (a *API) refreshGrant(r *http.Request, q *tokenRequest) (*session.Tokens, error) {
	u := session.Use{Client: q.client, From: q.from, Proof: q.proof, Now: q.now}
	var err error
	if u.Token, u.Cookie, err = q.refreshToken(); err != nil {
		return nil, err
	}
	if u.Scope, err = requestedScope(q.params); err != nil {
		return nil, err
	}
	if u.Resource, err = requestedResource(q.params); err != nil {
		return nil, err
	}
	answer, err := a.Refresh(r.Context(), u)
	if errors.Is(err, session.ErrDeadToken) {
		return nil, invalidGrant(q.client.Policy.InvalidGrantStatus, "refresh token")
	}
	return answer, err
}

// refreshToken returns the refresh token of a request: the parameter, or for a cookie client what is in the
// cookies of the session that it names. A cookie client may present in the body what it has from another
// transport or provider, and gets a cookie for it.
func (q *tokenRequest) refreshToken() (presented string, cookie *session.Cookie, err error) {
	switch body := q.params.get("refresh_token"); {
	case q.jar == nil:
		presented, err = q.params.required("refresh_token")
		return presented, nil, err
	case body != "" && q.params.get(sidParam) != "":
		return "", nil, errTokenAndSID
	case body != "":
		return body, nil, nil
	}
	cookie, err = q.jar.choose(q.params)
	return "", cookie, err
}

// invalidScope returns the error of RFC 6749 §5.2.
func invalidScope(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_scope", description: description}
}

// maxAskedScopes is the number of scope tokens that one refresh may ask for. Each is a part
// of the write's condition, and DynamoDB limits expressions to 4 KB.
const maxAskedScopes = 64

// requestedScope returns the scope that a refresh asks for; nil stands for all that was
// granted.
func requestedScope(p params) ([]string, error) {
	scope, err := session.ParseScope(p.get("scope"))
	if err != nil {
		return nil, invalidScope("The scope is malformed.")
	}
	if len(scope) > maxAskedScopes {
		return nil, invalidScope(fmt.Sprintf("More than %d scopes are requested at once. Leave scope out to get all that was granted.", maxAskedScopes))
	}
	return scope, nil
}
