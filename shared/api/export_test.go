package api

import (
	"maps"
	"slices"
)

// Route is a call of the management API, for tests that go through all of them.
type Route struct {
	Method, Path string
	Declared     bool   // its endpoint says what the trail calls it
	Operation    string // as the trail calls it; "" for what changes nothing
}

// ManageRoutes are all calls of the management API, in the order of the table.
func (a *API) ManageRoutes() []Route {
	var routes []Route
	for _, e := range a.manageEndpoints() {
		for _, method := range slices.Sorted(maps.Keys(e.methods)) {
			_, declared := e.operations[method]
			routes = append(routes, Route{method, e.path, declared, e.operation(method)})
		}
	}
	return routes
}
