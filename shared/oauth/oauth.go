// Package oauth is the public HTTP API: the token endpoint, revocation, introspection
// and discovery, each in a file of its own, and Supabase's wire for the same. Fail, in errors.go,
// turns their errors into answers.
package oauth

import (
	"cmp"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/session"
)

// Config holds what [New] needs to make an [API], besides the engine.
type Config struct {
	Origins origin.Set    // web origins that may call the token and revocation endpoints, besides the issuer's own
	Timeout time.Duration // limits the work on one request, which is then answered 503; 0 for no limit

	// AuthorizationEndpoint is the URL of the login page, or "" if there is none.
	AuthorizationEndpoint string

	// DeviceCookieLife is how long a browser keeps a device cookie before it renews it, and DeviceChallengeLife for how
	// long it signs the same challenge. 0 stands for 10 and 15 minutes.
	DeviceCookieLife, DeviceChallengeLife time.Duration
}

// API serves the public endpoints. It is safe for concurrent use.
type API struct {
	*session.Engine
	Config
	ownOrigin string // the issuer's web origin, "" if it has none
	checkup   *checkup
}

// New returns an API that works with the given engine.
func New(engine *session.Engine, c Config) *API {
	c.DeviceCookieLife = cmp.Or(c.DeviceCookieLife, deviceCookieLife)
	c.DeviceChallengeLife = cmp.Or(c.DeviceChallengeLife, deviceChallengeLife)
	return &API{Engine: engine, Config: c, ownOrigin: origin.Of(engine.Issuer), checkup: new(checkup)}
}

// Token returns a handler of POST /oauth/token, of its like on Supabase's wire, of the browser's calls under
// /oauth/dbsc, and of GET /healthz.
func (a *API) Token() http.Handler { return a.serve(a.tokenEndpoints()) }

// Revoke returns a handler of POST /oauth/revoke, and of logouts.
func (a *API) Revoke() http.Handler { return a.serve(a.revokeEndpoints()) }

// Introspect returns a handler of POST /oauth/introspect, and of Supabase's user.
func (a *API) Introspect() http.Handler { return a.serve(a.introspectEndpoints()) }

// Discovery returns a handler of the documents under /.well-known, of the OpenAPI document and of
// /authorize. It answers every other path with not_found.
func (a *API) Discovery() http.Handler { return a.serve(a.discoveryEndpoints()) }

// Handler returns a handler of all public endpoints.
func (a *API) Handler() http.Handler { return a.serve(a.Endpoints()) }

func (a *API) serve(endpoints []web.Endpoint) http.Handler {
	s := web.Server{Issuer: a.Issuer, Log: a.Log, Timeout: a.Timeout, Fail: a.Fail}
	return s.Serve(endpoints...)
}
