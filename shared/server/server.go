// Package server serves the public endpoints and the management API in one process, over
// one engine. The local program runs it, and its tests, over HTTP, are those of Rotor as a
// whole.
package server

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/manage"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// MaxBody is the largest size of a request body, in bytes.
const MaxBody = web.MaxBody

// Config holds what [New] needs to make a [Server].
type Config struct {
	Issuer  string           // the issuer identifier, an https URL (RFC 8414 §2); http is for local runs
	Table   *store.Table     // holds families, clients and events
	Keys    keyring.Source   // makes and checks tokens
	Log     *slog.Logger     // receives audit events and failures
	Metrics bool             // adds CloudWatch's embedded metrics to the audit lines
	Stage   string           // the stage of the metrics, see [audit.Trail]
	Now     func() time.Time // read once for each request
	Origins origin.Set       // web origins that may call the token and revocation endpoints, besides the issuer's own
	Timeout time.Duration    // limits the work on one request, which is then answered 503; 0 for no limit

	AuthorizationEndpoint string            // the URL of the login page, or "" if there is none
	Assertions            assertion.Options // how assertions of trusted issuers are verified
	Providers             foreign.Options   // how tokens are exchanged at other providers

	DeviceCookieLife, DeviceChallengeLife time.Duration // see [oauth.Config]
	CallBudget                            time.Duration // see [session.Config]
}

// Server has both APIs. It is safe for concurrent use.
type Server struct {
	*session.Engine
	OAuth  *oauth.API
	Manage *manage.API
}

// New returns a Server for the given configuration.
func New(c Config) *Server {
	engine := session.New(session.Config{Issuer: c.Issuer, Table: c.Table, Keys: c.Keys, Log: c.Log, Metrics: c.Metrics, Stage: c.Stage, Now: c.Now, Assertions: c.Assertions, Providers: c.Providers, CallBudget: c.CallBudget})
	return &Server{
		Engine: engine,
		OAuth: oauth.New(engine, oauth.Config{
			Origins: c.Origins, Timeout: c.Timeout, AuthorizationEndpoint: c.AuthorizationEndpoint,
			DeviceCookieLife: c.DeviceCookieLife, DeviceChallengeLife: c.DeviceChallengeLife,
		}),
		Manage: manage.New(engine, manage.Config{Timeout: c.Timeout}),
	}
}

// Handler returns a handler of every endpoint.
func (s *Server) Handler() http.Handler {
	both := web.Server{Issuer: s.Issuer, Log: s.Log, Timeout: s.OAuth.Timeout, Fail: s.fail}
	return both.Serve(slices.Concat(s.OAuth.Endpoints(), s.Manage.Endpoints())...)
}

// fail writes the answer for an error in the format of the API that the path belongs to.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/v1/") || r.URL.Path == "/v1" {
		s.Manage.Fail(w, r, err)
		return
	}
	s.OAuth.Fail(w, r, err)
}
