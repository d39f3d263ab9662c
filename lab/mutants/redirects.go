package main

var redirects = chapter{"Redirect URIs", []mutant{
	{
		rule: "a path that begins like a registered one matches", pkg: "session", test: "session.TestIsRegistered",
		edits: []edit{{`if slices.Contains(registered, uri) {`, `if slices.ContainsFunc(registered, func(r string) bool { return strings.HasPrefix(uri, r) }) {`}},
	},
	{
		rule: "the port of localhost is free", pkg: "session", test: "session.TestIsRegistered",
		edits: []edit{{`{"http://127.0.0.1", "http://[::1]"}`, `{"http://127.0.0.1", "http://[::1]", "http://localhost"}`}},
	},
	{
		rule: "the port of [::1] is not free", pkg: "session", test: "session.TestIsRegistered",
		edits: []edit{{`{"http://127.0.0.1", "http://[::1]"}`, `{"http://127.0.0.1"}`}},
	},
	{
		rule: "whatever stands after a loopback address is its port", pkg: "session", test: "session.TestIsRegistered",
		edits: []edit{{`if err != nil || port != ":"`, `if err != nil && number > 0 || port == ":"`}},
	},
	{
		rule: "the path of a loopback address is free", pkg: "session", test: "session.TestIsRegistered",
		edits: []edit{{`rest = after`, `_, rest = after, ""`}},
	},
	{
		rule: "a fragment is registered", pkg: "session", test: "session.TestCheckRedirectURI",
		edits: []edit{{`case strings.Contains(uri, "#"):`, `case strings.HasSuffix(uri, "##"):`}},
	},
	{
		rule: "a wildcard is registered", pkg: "session", test: "session.TestCheckRedirectURI",
		edits: []edit{{`case strings.Contains(uri, "*"):`, `case strings.HasSuffix(uri, "**"):`}, {`@!$&'()+,;=%"`, `@!$&'()+,;=%*"`}},
	},
	{
		rule: "a space is registered", pkg: "session", test: "session.TestCheckRedirectURI",
		edits: []edit{{`@!$&'()+,;=%"`, `@!$&'()+,;=% "`}},
	},
	{
		rule: "a user is registered", pkg: "session", test: "session.TestCheckRedirectURI",
		edits: []edit{{`case u.User != nil:`, `case u.User != nil && u.Host == "":`}},
	},
	{
		rule: "http is registered for any host", pkg: "session", test: "session.TestCheckRedirectURI",
		edits: []edit{{`if !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname()) {`, `if u.Hostname() == "" {`}},
	},
	{
		rule: "a script is registered", pkg: "session", test: "session.TestCheckRedirectURI",
		edits: []edit{{`case !strings.Contains(u.Scheme, "."):`, `case !strings.Contains(uri, "."):`}, {`case !public:`, `case !public && u.Scheme != "javascript":`}},
	},
	{
		rule: "a backend registers an app's scheme", pkg: "session", test: "session.TestCheckRedirectURI",
		edits: []edit{{`case !public:`, `case !public && u.Host == "":`}},
	},
	{
		rule: "nobody is warned of localhost", pkg: "session", test: "server.TestWarnings",
		edits: []edit{{`u.Scheme == "http" && u.Hostname() == "localhost"`, `u.Scheme == "http" && u.Host == "localhost."`}},
	},
	{
		rule: "a redirect URI is not checked after a logout", pkg: "manage", test: "server.TestClientLimits",
		edits: []edit{{`in.redirectURIs("post_logout_redirect_uris", body.postLogoutRedirectURIs, !c.Confidential)`, `body.postLogoutRedirectURIs`}},
	},
	{
		rule: "a new redirect URI is not on record", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`hasMore(put.RedirectURIs, before.RedirectURIs) || `, ``}},
	},
	{
		rule: "a PUT keeps the redirect URIs", pkg: "store", test: "server.TestClientMembers",
		edits: []edit{{`" redirect_uris = :redirect_uris, post_`, `" redirect_uris = if_not_exists(redirect_uris, :redirect_uris), post_`}},
	},
	{
		rule: "the console drops the redirect URIs", pkg: "console", test: "console.TestPolicyRoundTrip",
		edits: []edit{{`		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
`, ``}},
	},
	{
		rule: "rotor drops the redirect URIs", pkg: "command", test: "command.TestApply",
		edits: []edit{{`		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
`, ``}},
	},
}}
