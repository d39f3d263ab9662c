package main

var clientScopes = chapter{"The scope of a client", []mutant{
	{
		rule: "a refresh grants what the client no longer has", pkg: "session", test: "server.TestScopeOfTheClientBoundsRefreshes",
		edits: []edit{{`scope = client.Bound(scope)`, `_ = client.Bound(scope)`}},
	},
	{
		rule: "a client without a scope is granted nothing", pkg: "store", test: "server.TestScopeOfTheClientBoundsRefreshes",
		edits: []edit{{`	if c.Scope == nil {
		return scope
	}
	var bound`, `	var bound`}},
	},
	{
		rule: "a client that has nothing left is not told so", pkg: "session", test: "server.TestScopeOfTheClientBoundsRefreshes",
		edits: []edit{{`if len(f.Scope) > 0 {`, `if access.Scope != "" {`}},
	},
	{
		rule: "who was never granted a scope is said to have an empty one", pkg: "session", test: "server.TestScopeOfTheClientGrantsNothing",
		edits: []edit{{`if len(f.Scope) > 0 {`, `if f.ClientID != "" {`}},
	},
	{
		rule: "a scope that the client lost, and that is asked for, rotates", pkg: "session", file: "refresh.go", test: "server.TestScopeThatTheClientLost",
		edits: []edit{{`if len(u.Client.Bound(u.Scope)) < len(u.Scope) {`, `if len(u.Client.Bound(u.Scope)) > len(u.Scope) {`}},
	},
	{
		rule: "of the scopes asked for it is enough that the client has one", pkg: "session", file: "refresh.go", test: "server.TestScopeThatTheClientLost",
		edits: []edit{{`if len(u.Client.Bound(u.Scope)) < len(u.Scope) {`, `if len(u.Scope) > 0 && len(u.Client.Bound(u.Scope)) == 0 {`}},
	},
	{
		rule: "introspection says more than a refresh would grant", pkg: "oauth", test: "server.TestIntrospectionIsBoundByTheClient",
		edits: []edit{{`strings.Join(q.client.Bound(f.Scope), " ")`, `strings.Join(f.Scope, " ")`}},
	},
}}

var clientSecrets = chapter{"Secrets of clients", []mutant{
	{
		rule: "a new secret whose answer was lost takes both places, and outlives its deletion", pkg: "store", test: "server.TestSecretWhoseAnswerWasLostToTheSDK",
		edits: []edit{{`			if have.ID == s.ID {
				return nil // this is our own write, whose answer was lost
			}
`, `			_ = have
`}},
	},
	{
		rule: "a deletion whose answer was lost fails", pkg: "store", file: "clientsecret.go", test: "server.TestSecretWhoseAnswerWasLost",
		edits: []edit{{`if err != nil && !errors.As(err, &gone) {`, `if err != nil || errors.As(err, &gone) {`}},
	},
	{
		rule: "a third secret takes the place of the first", pkg: "store", test: "server.TestSecrets",
		edits: []edit{{`"#type = :confidential AND " + slot + " = :none"`, `"#type = :confidential AND (" + slot + " = :none OR " + slot + " <> :none)"`}},
	},
	{
		rule: "a deleted secret works on where it was deleted", pkg: "manage", test: "server.TestSecrets",
		edits: []edit{{`	err = a.Table.RemoveSecret(r.Context(), id, secretID.String())
	a.Clients.Forget(id)
`, `	err = a.Table.RemoveSecret(r.Context(), id, secretID.String())
`}},
	},
	{
		rule: "a secret is compared with the first alone", pkg: "oauth", test: "server.TestSecrets",
		edits: []edit{{`		match |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
`, `		match |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
		break //nolint:staticcheck // a mutant
`}},
	},
}}

var clientWire = chapter{"Who a client is, on the wire", []mutant{
	{
		rule: "a 401 says how to authenticate only where the header was tried", pkg: "oauth", file: "errors.go", test: "server.TestEvery401SaysHow",
		edits: []edit{{`if e.status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {`, `if e.status == http.StatusUnauthorized && r.Header.Get("Authorization") != "" {`}},
	},
	{
		rule: "a public client that introspects is told that it is known", pkg: "oauth", test: "server.TestStrangersLearnNothing",
		edits: []edit{{`authenticationFailed("public_client"), now)`, `invalidClient("public_client", "Only confidential clients may introspect."), now)`}},
	},
}}

var unsafeSettings = chapter{"Settings that trade safety away", []mutant{
	{
		rule: "a public client need not rotate", pkg: "manage", test: "server.TestPublicClientRotates",
		edits: []edit{{`if body.clientType == "public" && !policy.Rotation && policy.DPoP != family.DPoPRequired {`, `if body.clientType == "" && !policy.Rotation && policy.DPoP != family.DPoPRequired {`}},
	},
	{
		rule: "a confidential client must rotate", pkg: "manage", test: "server.TestPublicClientRotates",
		edits: []edit{{`if body.clientType == "public" && !policy.Rotation && policy.DPoP != family.DPoPRequired {`, `if !policy.Rotation {`}},
	},
	{
		rule: "a PUT does not warn", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`shown.Warnings = warnings(before, after, now)`, `_ = warnings(before, after, now)`}},
	},
	{
		rule: "nobody is warned when a client becomes public", pkg: "manage", test: "server.TestWarningsOfChanges",
		edits: []edit{{`shown.Warnings = warnings(before, after, now)`, `shown.Warnings = warnings(nil, after, now)`}},
	},
	{
		rule: "nobody is warned of a family that never ends", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(p.AbsoluteLifetime == 0 && p.IdleLifetime == 0,`, `add(p.AbsoluteLifetime < 0,`}},
	},
	{
		rule: "nobody is warned that until_used undoes strictness", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(forgives && p.ReuseInterval == 0,`, `add(false,`}},
	},
	{
		rule: "a usual interval is warned of", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(p.ReuseInterval > longLifetime,`, `add(p.ReuseInterval >= longLifetime,`}},
	},
	{
		rule: "a not_before that is left out is warned of", pkg: "manage", test: "server.TestWarningsOfChanges",
		edits: []edit{{`shown.Warnings = warnings(before, after, now)`, `shown.Warnings = warnings(before, client, now)`}},
	},
}}

var clientCache = chapter{"The registry's cache", []mutant{
	{
		rule: "a known client fails while the table cannot be read", pkg: "store", test: "server.TestRegistryUnreachable",
		edits: []edit{{`if err == nil || errors.Is(err, ErrNotFound) || kept.client == nil {`, `if err == nil || errors.Is(err, ErrNotFound) || kept.client != nil {`}},
	},
	{
		rule: "a copy serves for ever while the table cannot be read", pkg: "store", test: "server.TestRegistryUnreachable",
		edits: []edit{{`if kept.client != nil && age(now, kept.readAt) >= staleFor {`, `if kept.client != nil && age(now, kept.readAt) < 0 {`}},
	},
	{
		rule: "that an old copy serves is not logged", pkg: "store", test: "server.TestRegistryUnreachable",
		edits: []edit{{`	if r.failed(id, now) {
`, `	if r.failed(id, now) && kept.client == nil {
`}},
	},
	{
		rule: "a table that does not answer is read by each request", pkg: "store", test: "server.TestRegistryReadsArePaced",
		edits: []edit{{`|| !kept.failedAt.IsZero() && age(now, kept.failedAt) < failurePause):`, `):`}},
	},
	{
		rule: "a read that hangs holds up the next", pkg: "store", test: "server.TestRegistryReadsArePaced",
		edits: []edit{{`	r.reads.Forget(id) // a read that hangs must not hold up the next one
`, ``}},
	},
	{
		rule: "made-up ids drive known clients out", pkg: "store", test: "server.TestMadeUpClientsDriveNobodyOut",
		edits: []edit{{`	if client == nil {
		makeRoom`, `	if client == nil {
		makeRoom(r.known, func(kept clientCopy) time.Time { return kept.readAt.Add(-time.Duration(len(r.unknown))) })
		if len(r.unknown) >= maxCached-1 {
			clear(r.known)
		}
		makeRoom`}},
	},
	{
		rule: "an unknown id is read each time", pkg: "store", test: "server.TestMadeUpClientsDriveNobodyOut",
		edits: []edit{{`	case unknown:
`, `	case unknown && r == nil:
`}},
	},
	{
		rule: "an unknown id stays unknown", pkg: "store", test: "server.TestRegistryFollows",
		edits: []edit{{`ok && age(now, readAt) < freshFor`, `ok && age(now, readAt) < staleFor`}},
	},
	{
		rule: "a clock that was set back keeps a copy", pkg: "store", test: "server.TestRegistryWhenTheClockIsSetBack",
		edits: []edit{{`{ return now.Sub(t).Abs() }`, `{ return now.Sub(t) }`}},
	},
}}
