package oauth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
)

// token serves POST /oauth/token for the grant type refresh_token (RFC 6749 §6).
func (a *API) token(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	p, err := readParams(r)
	if err != nil {
		return err
	}
	grantType, err := p.required("grant_type")
	if err != nil {
		return err
	}
	if grantType != "refresh_token" {
		return &oauthError{status: http.StatusBadRequest, code: "unsupported_grant_type", description: "Only refresh_token is supported."}
	}
	client, err := a.authenticate(r.Context(), r, p, now)
	if err != nil {
		return err
	}
	from, err := endUser(r, client)
	if err != nil {
		return err
	}
	presented, err := p.required("refresh_token")
	if err != nil {
		return err
	}
	scope, err := requestedScope(p)
	if err != nil {
		return err
	}
	resource, err := requestedResource(p)
	if err != nil {
		return err
	}
	answer, err := a.Refresh(r.Context(), session.Use{
		Client: client, Token: presented, Scope: scope, Resource: resource, From: from, Now: now,
	})
	if errors.Is(err, session.ErrDeadToken) {
		return invalidGrant(client.Policy.InvalidGrantStatus)
	}
	if err != nil {
		return err
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
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
