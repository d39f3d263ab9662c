package oauth

import (
	"net/http"
	"slices"

	"github.com/rotor-auth/rotor/shared/internal/web"
)

// Endpoints returns all public endpoints, for a server that has others as well.
func (a *API) Endpoints() []web.Endpoint {
	return slices.Concat(a.tokenEndpoints(), a.revokeEndpoints(), a.introspectEndpoints(), a.discoveryEndpoints())
}

// tokenEndpoints returns the endpoints of the function token.
func (a *API) tokenEndpoints() []web.Endpoint {
	return []web.Endpoint{
		{Path: tokenPath, Wrap: a.corsForPosts, Methods: map[string]web.Handler{http.MethodPost: a.token}},
		{Path: "/healthz", Methods: map[string]web.Handler{http.MethodGet: a.health}},
		// Browsers call these by themselves. Pages of other origins have no CORS for them.
		{Path: registrationPath, Methods: map[string]web.Handler{http.MethodPost: a.registerDevice}},
		{Path: renewalPath, Methods: map[string]web.Handler{http.MethodPost: a.renewDevice}},
		a.supabaseTokenEndpoint(),
	}
}

// revokeEndpoints returns the endpoints of the function revoke. Those of a logout in a browser have no
// CORS, since browsers are led there and no script calls them.
func (a *API) revokeEndpoints() []web.Endpoint {
	return []web.Endpoint{
		{Path: "/oauth/revoke", Wrap: a.corsForPosts, Methods: map[string]web.Handler{http.MethodPost: a.revoke}},
		{Path: "/oauth/logout", Methods: map[string]web.Handler{http.MethodGet: a.logout, http.MethodPost: a.logout}},
		{Path: "/v2/logout", Methods: map[string]web.Handler{http.MethodGet: a.auth0Logout}},
		a.supabaseLogoutEndpoint(),
	}
}

// introspectEndpoints returns the endpoints of the function introspect.
func (a *API) introspectEndpoints() []web.Endpoint {
	return []web.Endpoint{
		{Path: "/oauth/introspect", Methods: map[string]web.Handler{http.MethodPost: a.introspect}},
		a.supabaseUserEndpoint(),
	}
}

// discoveryEndpoints returns the endpoints of the function discovery.
func (a *API) discoveryEndpoints() []web.Endpoint {
	get := func(path string, h web.Handler) web.Endpoint {
		return web.Endpoint{Path: path, Wrap: corsForAll, Methods: map[string]web.Handler{http.MethodGet: h}}
	}
	endpoints := []web.Endpoint{
		get("/.well-known/jwks.json", a.jwks),
		get("/.well-known/oauth-authorization-server", a.metadata),
		get("/.well-known/openid-configuration", a.metadata),
		get(documentPath, a.document),
		{Path: "/authorize", Methods: map[string]web.Handler{http.MethodGet: a.authorize, http.MethodPost: a.authorize}},
	}
	// RFC 8414 §3.1 puts the well-known path before the issuer's, OpenID Connect puts it
	// after. Clients request either document either way (§5).
	if path := web.PrefixOf(a.Issuer).Escaped; path != "" {
		endpoints = append(endpoints,
			get("/.well-known/oauth-authorization-server"+path, a.metadata),
			get("/.well-known/openid-configuration"+path, a.metadata))
	}
	return append(endpoints, a.supabaseDocuments()...)
}
