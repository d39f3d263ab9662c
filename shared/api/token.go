package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

func (a *API) tokenEndpoint() []endpoint {
	return []endpoint{{
		path: "/oauth/token", browser: true,
		methods: map[string]handler{http.MethodPost: a.token},
	}}
}

// token is the token endpoint (RFC 6749 §6): the grant type refresh_token.
func (a *API) token(w http.ResponseWriter, r *http.Request) error {
	now := a.now()
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
	scope, err := scopeOf(p)
	if err != nil {
		return err
	}
	resource, err := resourceOf(p)
	if err != nil {
		return err
	}
	f, err := a.refresh(r.Context(), use{
		client: client, presented: presented, scope: scope, resource: resource, from: from, now: now,
	})
	if errors.Is(err, errDeadToken) {
		return invalidGrant(client.Policy.InvalidGrantStatus)
	}
	if err != nil {
		return err
	}
	answer, err := a.respond(r.Context(), f, client, scope, resource, now)
	if err != nil {
		return err
	}
	noStore(w)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func invalidScope(description string) error {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_scope", description: description}
}

// maxAskedScopes is how many scope tokens a refresh may ask for. Each is a part of
// the write's condition, and DynamoDB takes expressions of 4 KB.
const maxAskedScopes = 64

// scopeOf returns the scope that a refresh asks for, nil for all that was granted.
func scopeOf(p params) ([]string, error) {
	scope, err := parseScope(p.get("scope"))
	if err != nil {
		return nil, invalidScope("The scope is malformed.")
	}
	if len(scope) > maxAskedScopes {
		return nil, invalidScope(fmt.Sprintf("More than %d scopes are asked for at once. Leave scope out for all that was granted.", maxAskedScopes))
	}
	return scope, nil
}

var errScope = errors.New("not a scope")

// parseScope splits a scope into its tokens, repeated ones once (RFC 6749 §3.3).
// The empty scope is nil.
func parseScope(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > maxScope {
		return nil, errScope
	}
	var scope []string
	seen := map[string]bool{}
	for t := range strings.SplitSeq(s, " ") {
		if t == "" || strings.ContainsFunc(t, func(c rune) bool { return c < '!' || c > '~' || c == '"' || c == '\\' }) {
			return nil, errScope
		}
		if !seen[t] {
			scope = append(scope, t)
			seen[t] = true
		}
	}
	return scope, nil
}

// secondsUntil is the whole seconds from now until t.
func secondsUntil(t, now time.Time) int64 { return int64(t.Sub(now) / time.Second) }
