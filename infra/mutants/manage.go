package main

// manage breaks how families are started and changed through the management API.
var manage = []chapter{
	{"The scope of a client", []mutant{
		{
			rule: "a refresh grants what the client no longer has", file: "shared/api/respond.go", test: "api.TestScopeOfTheClientBoundsRefreshes",
			edits: []edit{{`scope = client.Bound(scope)`, `_ = client.Bound(scope)`}},
		},
		{
			rule: "a client without a scope is granted nothing", file: "shared/store/client.go", test: "api.TestScopeOfTheClientBoundsRefreshes",
			edits: []edit{{`	if c.Scope == nil {
		return scope
	}
	var bound`, `	var bound`}},
		},
		{
			rule: "a client that has nothing left is not told so", file: "shared/api/respond.go", test: "api.TestScopeOfTheClientBoundsRefreshes",
			edits: []edit{{`if len(f.Scope) > 0 {`, `if access.Scope != "" {`}},
		},
		{
			rule: "who was never granted a scope is said to have an empty one", file: "shared/api/respond.go", test: "api.TestScopeOfTheClientGrantsNothing",
			edits: []edit{{`if len(f.Scope) > 0 {`, `if f.ClientID != "" {`}},
		},
		{
			rule: "a scope that the client lost, and that is asked for, rotates", file: "shared/api/refresh.go", test: "api.TestScopeThatTheClientLost",
			edits: []edit{{`if len(u.client.Bound(u.scope)) < len(u.scope) {`, `if len(u.client.Bound(u.scope)) > len(u.scope) {`}},
		},
		{
			rule: "of the scopes asked for it is enough that the client has one", file: "shared/api/refresh.go", test: "api.TestScopeThatTheClientLost",
			edits: []edit{{`if len(u.client.Bound(u.scope)) < len(u.scope) {`, `if len(u.scope) > 0 && len(u.client.Bound(u.scope)) == 0 {`}},
		},
		{
			rule: "introspection says more than a refresh would grant", file: "shared/api/introspect.go", test: "api.TestIntrospectionIsBoundByTheClient",
			edits: []edit{{`strings.Join(client.Bound(f.Scope), " ")`, `strings.Join(f.Scope, " ")`}},
		},
	}},
}
