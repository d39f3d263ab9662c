package manage

import (
	"net/http"

	"github.com/rotor-auth/rotor/shared/internal/web"
)

// endpoint is a path with a handler for each of its methods.
type endpoint struct {
	path    string // a pattern of http.ServeMux, without method
	methods map[string]web.Handler
	// operations has the audit log's name, by method, for each call that changes something.
	// See [endpoint.operation].
	operations map[string]string
	maxBody    int64 // 0 for [web.MaxBody]
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
		{path: "/v1/authorize", methods: map[string]web.Handler{http.MethodPost: a.authorize}, operations: map[string]string{http.MethodPost: "authorize_user"}},
		{path: "/v1/imports", methods: map[string]web.Handler{http.MethodPost: a.importTokens}, operations: map[string]string{http.MethodPost: "import_tokens"}, maxBody: maxImportBody},
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
