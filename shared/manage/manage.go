// Package manage is the management API, /v1: families, clients, events, the explanation of
// why a token was rejected, and the erasure of users.
package manage

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
)

// Config holds what [New] needs to make an [API], besides the engine.
type Config struct {
	Timeout time.Duration // limits the work on one request, which is then answered 503; 0 for no limit
}

// API serves /v1. It is safe for concurrent use.
type API struct {
	*session.Engine
	Config
}

// New returns an API that works with the given engine.
func New(engine *session.Engine, c Config) *API { return &API{engine, c} }

// Handler returns a handler of /v1.
func (a *API) Handler() http.Handler {
	s := web.Server{Issuer: a.Issuer, Log: a.Log, Timeout: a.Timeout, Fail: a.Fail}
	return s.Serve(a.Endpoints()...)
}

// Endpoints returns the endpoints of /v1, for a server that has others as well.
func (a *API) Endpoints() []web.Endpoint {
	var all []web.Endpoint
	for _, e := range a.endpoints() {
		all = append(all, web.Endpoint{Path: e.path, Methods: e.methods, MaxBody: e.maxBody, WrapMethod: func(method string, next http.HandlerFunc) http.HandlerFunc {
			if name := e.operation(method); name != changesNothing {
				next = a.audited(name, next)
			}
			return func(w http.ResponseWriter, r *http.Request) {
				web.NoStore(w) // an answer is about users, or settings that may change
				next(w, r)
			}
		}})
	}
	return all
}

// Route is a call of the management API.
type Route struct {
	Method, Path string
	Declared     bool   // its endpoint names the operation, if only to say that it changes nothing
	Operation    string // its name in the audit log; "" for a call that changes nothing
	MaxBody      int64  // the largest size of its body, in bytes
}

// Routes returns all calls of the management API, in the order of the table.
func (a *API) Routes() []Route {
	var routes []Route
	for _, e := range a.endpoints() {
		for _, method := range slices.Sorted(maps.Keys(e.methods)) {
			_, declared := e.operations[method]
			routes = append(routes, Route{method, e.path, declared, e.operation(method), cmp.Or(e.maxBody, web.MaxBody)})
		}
	}
	return routes
}
