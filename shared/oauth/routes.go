package oauth

import (
	"net/http"
	"slices"

	"github.com/rotor-auth/rotor/shared/internal/web"
)

// Endpoints returns all public endpoints, for a server that has others as well.
func (a *API) Endpoints() []web.Endpoint {
	return slices.Concat(a.tokenEndpoint(), a.healthEndpoint(), a.revokeEndpoint(), a.introspectEndpoint(), a.discoveryEndpoints())
}

func (a *API) tokenEndpoint() []web.Endpoint {
	return []web.Endpoint{{
		Path: "/oauth/token", Wrap: a.corsForOrigins,
		Methods: map[string]web.Handler{http.MethodPost: a.token},
	}}
}

func (a *API) healthEndpoint() []web.Endpoint {
	return []web.Endpoint{{Path: "/healthz", Methods: map[string]web.Handler{http.MethodGet: a.health}}}
}

func (a *API) revokeEndpoint() []web.Endpoint {
	return []web.Endpoint{{
		Path: "/oauth/revoke", Wrap: a.corsForOrigins,
		Methods: map[string]web.Handler{http.MethodPost: a.revoke},
	}}
}

func (a *API) introspectEndpoint() []web.Endpoint {
	return []web.Endpoint{{
		Path:    "/oauth/introspect",
		Methods: map[string]web.Handler{http.MethodPost: a.introspect},
	}}
}

func (a *API) discoveryEndpoints() []web.Endpoint {
	get := func(path string, h web.Handler) web.Endpoint {
		return web.Endpoint{Path: path, Wrap: corsForAll, Methods: map[string]web.Handler{http.MethodGet: h}}
	}
	endpoints := []web.Endpoint{
		get("/.well-known/jwks.json", a.jwks),
		get("/.well-known/oauth-authorization-server", a.metadata),
		get("/.well-known/openid-configuration", a.metadata),
		get(documentPath, a.document),
	}
	// RFC 8414 §3.1 puts the well-known path before the issuer's, OpenID Connect puts it
	// after. Clients request either document either way (§5).
	if path := web.PrefixOf(a.Issuer).Escaped; path != "" {
		endpoints = append(endpoints,
			get("/.well-known/oauth-authorization-server"+path, a.metadata),
			get("/.well-known/openid-configuration"+path, a.metadata))
	}
	return endpoints
}
