package oauth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/rotor-auth/rotor/shared/session"
)

// refreshGrant exchanges a refresh token (RFC 6749 §6).
func (a *API) refreshGrant(r *http.Request, q *tokenRequest) (any, error) {
	presented, err := q.params.required("refresh_token")
	if err != nil {
		return nil, err
	}
	scope, err := requestedScope(q.params)
	if err != nil {
		return nil, err
	}
	resource, err := requestedResource(q.params)
	if err != nil {
		return nil, err
	}
	answer, err := a.Refresh(r.Context(), session.Use{
		Client: q.client, Token: presented, Scope: scope, Resource: resource, From: q.from, Now: q.now,
	})
	if errors.Is(err, session.ErrDeadToken) {
		return nil, invalidGrant(q.client.Policy.InvalidGrantStatus, "refresh token")
	}
	return answer, err
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
