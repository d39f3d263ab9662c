package oauth

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/shared/session"
)

// codeGrant exchanges an authorization code (RFC 6749 §4.1.3). All clients prove with a code
// verifier that the authorization request was theirs (RFC 7636 §4.5, RFC 9700 §2.1.1). The
// redirect_uri must be that of the request, and none if the code was delivered without one.
func (a *API) codeGrant(r *http.Request, q *tokenRequest) (*session.Tokens, error) {
	code, err := q.params.required("code")
	if err != nil {
		return nil, err
	}
	verifier, err := q.params.required("code_verifier")
	if err != nil {
		return nil, err
	}
	if !isVerifier(verifier) {
		return nil, invalidRequest("A code_verifier has 43 to 128 letters, digits, hyphens, dots, underscores and tildes.")
	}
	resource, err := requestedResource(q.params)
	if err != nil {
		return nil, err
	}
	answer, err := a.ExchangeCode(r.Context(), session.Use{
		Client: q.client, Token: code, Verifier: verifier, RedirectURI: q.params.get("redirect_uri"),
		Resource: resource, From: q.from, Proof: q.proof, Now: q.now,
	})
	if errors.Is(err, session.ErrDeadToken) {
		return nil, invalidGrant(q.client.Policy.InvalidGrantStatus, "authorization code")
	}
	return answer, err
}

// isVerifier reports whether s has the form of a code verifier (RFC 7636 §4.1).
func isVerifier(s string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	return len(s) >= 43 && len(s) <= 128 && strings.Trim(s, characters) == ""
}
