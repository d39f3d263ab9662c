package main

var openapiDocument = chapter{"The OpenAPI document", []mutant{
	{
		rule: "the metadata name another service's document", pkg: "oauth", test: "server.TestDocumentIsServed",
		edits: []edit{{`a.Issuer + documentPath`, `"https://auth.example.com" + documentPath`}},
	},
	{
		rule: "the document names the example's server", pkg: "openapi", test: "openapi.TestDocumentOfAnIssuer",
		edits: []edit{{`append([]byte(server), url...), 1)`, `append([]byte(server), url...), 0)`}},
	},
	{
		rule: "pages cannot read the document", pkg: "oauth", test: "server.TestDocumentIsServed",
		edits: []edit{{`get(documentPath, a.document),`, `{Path: documentPath, Methods: map[string]web.Handler{http.MethodGet: a.document}},`}},
	},
	{
		rule: "the local program keeps the document from pages", pkg: "local", test: "local.TestPagesMayReadTheDocument",
		edits: []edit{{` || path == "/openapi.json"`, ``}},
	},
	{
		rule: "a route is missing in the document", pkg: "oauth", test: "server.TestRoutesAreThoseOfTheDocument",
		edits: []edit{{`		{Path: "/healthz",`, `		{Path: "/health", Methods: map[string]web.Handler{http.MethodGet: a.health}}, {Path: "/healthz",`}},
	},
	{
		rule: "a limit is narrower than in the document", pkg: "manage", test: "server.TestLimitsOfTheDocument",
		edits: []edit{{`	maxACR      = session.MaxACR`, `	maxACR      = session.MaxACR - 1`}},
	},
	// The check by the document finds what differs.
	{
		rule: "any header may be answered", pkg: "openapitest", test: "openapitest.TestCheck",
		edits: []edit{{`case !slices.Contains(general, name):`, `case !slices.Contains(general, name) && name == "":`}},
	},
	{
		rule: "a header may be left out", pkg: "openapitest", test: "openapitest.TestCheck",
		edits: []edit{{`if h.required && e.AnswerHeader.Get(name) == "" {`, `if h.required && name == "" {`}},
	},
	{
		rule: "any request may be accepted", pkg: "openapitest", test: "openapitest.TestCheck",
		edits: []edit{{`if e.Status < http.StatusBadRequest {`, `if e.Status < http.StatusOK {`}},
	},
	{
		rule: "any query parameter may be accepted", pkg: "openapitest", test: "openapitest.TestCheck",
		edits: []edit{{`if strings.HasPrefix(o.path, "/v1/") {`, `if strings.HasPrefix(o.path, "/v2/") {`}},
	},
	{
		rule: "any text is a time", pkg: "openapitest", test: "openapitest.TestCheck",
		edits: []edit{{`	c.schemas.AssertFormat()
`, ``}},
	},
	{
		rule: "a member of an answer counts as seen without it", pkg: "openapitest", test: "openapitest.TestUnseen",
		edits: []edit{{`			if member, ok := v[name]; ok {
				s.mark(sub, member)`, `			if member := v[name]; name != "" {
				s.mark(sub, member)`}},
	},
	{
		rule: "a member of a request counts as seen without it", pkg: "openapitest", test: "openapitest.TestUnseen",
		edits: []edit{{`			if member, ok := v[name]; ok {
				s.add(part{kind: memberIn, of: sub})`, `			if member := v[name]; name != "" {
				s.add(part{kind: memberIn, of: sub})`}},
	},
}}
