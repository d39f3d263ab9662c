package main

var demoPages = chapter{"The demo's login and apps", []mutant{
	{
		rule: "a page of another origin decides for the login's user", pkg: "demo", test: "local.TestDemoIsGuarded",
		edits: []edit{{`(isEntrance(r.URL.Path) && loopback.IsVisit(r))`, `isEntrance(r.URL.Path)`}},
	},
	{
		rule: "a page of another origin shows the login inside of it", pkg: "loopback", test: "local.TestDemoIsGuarded",
		edits: []edit{{`r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"`, `r.Header.Get("Sec-Fetch-Mode") == "navigate"`}},
	},
	{
		rule: "a link from elsewhere begins a login", pkg: "demo", test: "local.TestDemoIsGuarded",
		edits: []edit{{`return path == LoginPath || path == ScriptPath || path == ServerCallback`, `return path != ""`}},
	},
	{
		rule: "the login's policy allows any address", pkg: "demo", test: "local.TestDemoIsSecured",
		edits: []edit{{`if !loopback && !slices.Contains(client.RedirectURIs, back) {`, `if !loopback && back == "" {`}},
	},
	{
		rule: "the login shows a form to who asked for none", pkg: "demo", test: "local.TestDemoLoginRefuses",
		edits: []edit{{`slices.Contains(strings.Fields(request.Get("prompt")), "none")`, `request.Get("prompt") == "none"`}},
	},
	{
		rule: "anybody is a user", pkg: "demo", test: "local.TestDemoLoginRefuses",
		edits: []edit{{`return p.ID == user })`, `return p.ID != user })`}},
	},
	{
		rule: "the server app takes an answer that it has not asked for", pkg: "demo", test: "local.TestDemoServerAppDoubts",
		edits: []edit{{`begun == nil || subtle.ConstantTimeCompare([]byte(begun.state), []byte(q.Get("state"))) != 1`, `begun == nil || subtle.ConstantTimeCompare([]byte(begun.state), []byte(q.Get("state"))) > 1`}},
	},
	{
		rule: "the server app takes an answer twice", pkg: "demo", test: "local.TestDemoServerAppDoubts",
		edits: []edit{{`	s.pending = nil
	switch code`, `	switch code`}},
	},
	{
		rule: "the server app takes the answer of another service", pkg: "demo", test: "local.TestDemoServerAppDoubts",
		edits: []edit{{`case q.Get("iss") != d.Issuer:`, `case q.Get("iss") == "":`}},
	},
	{
		rule: "a session keeps its id over a login", pkg: "demo", test: "local.TestDemoServerApp",
		edits: []edit{{`fresh := d.sessions.begin(w, r, d.base+ServerPath)`, `fresh := s`}},
	},
	{
		rule: "the server app's logout leaves the family alive", pkg: "demo", test: "local.TestDemoServerApp",
		edits: []edit{{`	if s.token != nil {
		if err := d.revoke`, `	if s.token == nil {
		if err := d.revoke`}},
	},
}}
