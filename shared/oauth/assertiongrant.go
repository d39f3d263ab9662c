package oauth

import (
	"errors"
	"net/http"

	"github.com/rotor-auth/rotor/shared/session"
)

// assertionGrant exchanges an assertion of an issuer that the client trusts (RFC 7523 §2.1).
func (a *API) assertionGrant(r *http.Request, q *tokenRequest) (*session.Tokens, error) {
	answer, err := a.exchangeAssertion(r, q, "assertion")
	if errors.Is(err, session.ErrDeadToken) {
		return nil, invalidGrant(q.client.Policy.InvalidGrantStatus, "assertion")
	}
	return answer, err
}

// exchangeAssertion starts a family by the assertion in a parameter.
func (a *API) exchangeAssertion(r *http.Request, q *tokenRequest, param string) (*session.Tokens, error) {
	if len(q.client.TrustedIssuers) == 0 {
		return nil, &oauthError{status: http.StatusBadRequest, code: "unauthorized_client", description: "The client has no trusted issuers."}
	}
	presented, err := q.params.required(param)
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
	return a.ExchangeAssertion(r.Context(), session.Use{
		Client: q.client, Token: presented, Scope: scope, Resource: resource, From: q.from, Proof: q.proof, Now: q.now,
	})
}
