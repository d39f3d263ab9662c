// Package manage is the management API, /v1: families, clients, events, the explanation of
// why a token was rejected, and the erasure of users.
package manage

import (
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
		all = append(all, web.Endpoint{Path: e.path, Methods: e.methods, WrapMethod: func(method string, next http.HandlerFunc) http.HandlerFunc {
			if name := e.operation(method); name != changesNothing {
				return a.audited(name, next)
			}
			return next
		}})
	}
	return all
}

// Route is a call of the management API.
type Route struct {
	Method, Path string
	Declared     bool   // its endpoint names the operation, if only to say that it changes nothing
	Operation    string // its name in the audit log; "" for a call that changes nothing
}

// Routes returns all calls of the management API, in the order of the table.
func (a *API) Routes() []Route {
	var routes []Route
	for _, e := range a.endpoints() {
		for _, method := range slices.Sorted(maps.Keys(e.methods)) {
			_, declared := e.operations[method]
			routes = append(routes, Route{method, e.path, declared, e.operation(method)})
		}
	}
	return routes
}

// endpoint is a path with a handler for each of its methods.
type endpoint struct {
	path    string // a pattern of http.ServeMux, without method
	methods map[string]web.Handler
	// operations has the audit log's name, by method, for each call that changes something.
	// See [endpoint.operation].
	operations map[string]string
}

// endpoints returns the route table of /v1. Callers have been authorized before a request gets
// here, by the gateway (SigV4) or by the local program (loopback).
func (a *API) endpoints() []endpoint {
	return []endpoint{
		{path: "/v1/families", methods: map[string]web.Handler{
			http.MethodPost: a.issueFamily, http.MethodGet: a.listFamilies, http.MethodPatch: a.changeFamilies, http.MethodDelete: a.revokeFamilies,
		}, operations: map[string]string{
			http.MethodPost: "issue_family", http.MethodPatch: "change_families", http.MethodDelete: "revoke_families",
		}},
		{path: "/v1/families/{family}", methods: map[string]web.Handler{
			http.MethodGet: a.showFamily, http.MethodPatch: a.changeFamily, http.MethodDelete: a.revokeFamily,
		}, operations: map[string]string{
			http.MethodPatch: "change_family", http.MethodDelete: "revoke_family",
		}},
		{path: "/v1/users", methods: map[string]web.Handler{http.MethodDelete: a.eraseUser}, operations: map[string]string{http.MethodDelete: "erase_user"}},
		{path: "/v1/explain", methods: map[string]web.Handler{http.MethodPost: a.explain}, operations: map[string]string{http.MethodPost: changesNothing}},
		{path: "/v1/events", methods: map[string]web.Handler{http.MethodGet: a.listEvents}},
		{path: "/v1/clients", methods: map[string]web.Handler{http.MethodGet: a.listClients}},
		{path: "/v1/clients/{client_id}", methods: map[string]web.Handler{
			http.MethodGet: a.showClient, http.MethodPut: a.putClient, http.MethodDelete: a.deleteClient,
		}, operations: map[string]string{
			http.MethodPut: "put_client", http.MethodDelete: "delete_client",
		}},
		{path: "/v1/clients/{client_id}/secrets", methods: map[string]web.Handler{
			http.MethodPost: a.addSecret,
		}, operations: map[string]string{
			http.MethodPost: "add_secret",
		}},
		{path: "/v1/clients/{client_id}/secrets/{secret_id}", methods: map[string]web.Handler{
			http.MethodDelete: a.removeSecret,
		}, operations: map[string]string{
			http.MethodDelete: "remove_secret",
		}},
	}
}
