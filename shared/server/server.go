// Package server is the whole of Rotor in one process: both doors, the public endpoints
// and the management API, over one engine. The local program serves it, and the tests of
// what Rotor does are here, over HTTP.
package server

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/manage"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// MaxBody is the size of the largest request body that is read.
const MaxBody = web.MaxBody

// Config is what a [Server] is made of.
type Config struct {
	Issuer  string           // the issuer identifier, an https URL (RFC 8414 §2); http is for local runs
	Table   *store.Table     // where families, clients and events are
	Keys    keyring.Source   // what tokens are made and checked with
	Log     *slog.Logger     // audit events and failures
	Metrics bool             // adds to the audit lines what CloudWatch makes metrics of
	Now     func() time.Time // read once for each request
	Origins origin.Set       // web origins that may call the token and revocation endpoints, besides the issuer's own
	Timeout time.Duration    // of a request's own work, after which it is answered 503; 0 is none
}

// Server has both doors. It is safe for concurrent use.
type Server struct {
	*session.Engine
	OAuth  *oauth.API
	Manage *manage.API
}

// New returns a Server made of c.
func New(c Config) *Server {
	engine := session.New(session.Config{Issuer: c.Issuer, Table: c.Table, Keys: c.Keys, Log: c.Log, Metrics: c.Metrics, Now: c.Now})
	return &Server{
		Engine: engine,
		OAuth:  oauth.New(engine, oauth.Config{Origins: c.Origins, Timeout: c.Timeout}),
		Manage: manage.New(engine, manage.Config{Timeout: c.Timeout}),
	}
}

// Handler returns a handler of every endpoint.
func (s *Server) Handler() http.Handler {
	both := web.Server{Issuer: s.Issuer, Log: s.Log, Timeout: s.OAuth.Timeout, Fail: s.fail}
	return both.Serve(slices.Concat(s.OAuth.Endpoints(), s.Manage.Endpoints())...)
}

// fail answers with an error in the form of the door that the path is behind.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/v1/") || r.URL.Path == "/v1" {
		s.Manage.Fail(w, r, err)
		return
	}
	s.OAuth.Fail(w, r, err)
}
