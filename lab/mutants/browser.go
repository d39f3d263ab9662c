package main

var webOrigins = chapter{"Web origins", []mutant{
	{
		rule: "a request from a foreign origin is answered", pkg: "oauth", test: "server.TestForeignOriginSpendsNothing",
		edits: []edit{{`if from == "" || a.originAllowed(from)`, `if from != "x" || a.originAllowed(from)`}},
	},
	{
		rule: "a foreign origin's preflight is answered like any other", pkg: "oauth", test: "server.TestForeignOriginSpendsNothing",
		edits: []edit{{`return a.refuseOtherOrigins(cors.New(options).Handler(h))`, `return cors.New(options).Handler(a.refuseOtherOrigins(h))`}},
	},
	{
		rule: "where no origin is configured any may call", pkg: "oauth", test: "server.TestForeignOriginSpendsNothing",
		edits: []edit{{`return a.Origins.Has(header) ||`, `return a.Origins.String() == "" || a.Origins.Has(header) ||`}},
	},
	{
		rule: "of two Origin headers the first one counts", pkg: "oauth", test: "server.TestWhoseOriginMayCall",
		edits: []edit{{`strings.Join(r.Header.Values("Origin"), ", ")`, `r.Header.Get("Origin")`}},
	},
	{
		rule: "the service's own origin is refused", pkg: "oauth", test: "server.TestWhoseOriginMayCall",
		edits: []edit{{`a.ownOrigin != "" && header == a.ownOrigin`, `a.ownOrigin == ""`}},
	},
	{
		rule: "a page's own proxy is refused", pkg: "oauth", test: "server.TestWhoseOriginMayCall",
		edits: []edit{{`len(site) == 1 && site[0] == "same-origin"`, `len(site) == 9`}},
	},
	{
		rule: "any page of the same site may call", pkg: "oauth", test: "server.TestWhoseOriginMayCall",
		edits: []edit{{`site[0] == "same-origin"`, `strings.HasPrefix(site[0], "same-")`}},
	},
	{
		rule: "of two Sec-Fetch-Site headers the first one counts", pkg: "oauth", test: "server.TestWhoseOriginMayCall",
		edits: []edit{{`len(site) == 1 && site[0]`, `len(site) > 0 && site[0]`}},
	},
	{
		rule: "introspection asks for an origin, too", pkg: "oauth", test: "server.TestWhoseOriginMayCall",
		edits: []edit{{`Path: "/oauth/introspect",`, `Path: "/oauth/introspect", Wrap: a.corsForPosts,`}},
	},
	{
		rule: "a refused origin is not logged", pkg: "oauth", file: "crossorigin.go", test: "server.TestForeignOriginIsLogged",
		edits: []edit{{`a.Trail.Record(r.Context(), &e)`, `_ = e`}},
	},
	{
		rule: "a refused origin is not counted", pkg: "audit", test: "server.TestForeignOriginIsLogged",
		edits: []edit{{`		count(MetricOrigin)
`, `		count(MetricRefused)
`}},
	},
	{
		rule: "each refused origin is a metric of its own", pkg: "audit", test: "server.TestForeignOriginIsLogged",
		edits: []edit{{`	dimensions := [][]string{all}
`, `	dimensions := [][]string{all}
	if e.Origin != "" {
		dimensions = append(dimensions, []string{"origin"})
	}
`}},
	},
	{
		rule: "a token in the place of an origin is logged", pkg: "oauth", test: "server.TestForeignOriginIsLogged",
		edits: []edit{{`audit.Hide(header)`, `header`}},
	},
	{
		rule: "an origin is logged at any length", pkg: "oauth", test: "server.TestForeignOriginIsLogged",
		edits: []edit{{`const maxLoggedOrigin = 256`, `const maxLoggedOrigin = 4096`}},
	},
	{
		rule: "what cannot be printed is logged", pkg: "oauth", test: "server.TestForeignOriginIsLogged",
		edits: []edit{{`if !unicode.IsPrint(c) {`, `if c == utf8.MaxRune {`}, {`	"unicode"
`, `	"unicode/utf8"
`}},
	},
	{
		rule: "Retry-After is not exposed to pages", pkg: "oauth", test: "server.TestAnswersCanBeRead",
		edits: []edit{{`{"Retry-After", "WWW-Authenticate", nonceHeader}`, `{"WWW-Authenticate", nonceHeader}`}},
	},
	{
		rule: "WWW-Authenticate is not exposed to pages", pkg: "oauth", test: "server.TestAnswersCanBeRead",
		edits: []edit{{`{"Retry-After", "WWW-Authenticate", nonceHeader}`, `{"Retry-After", nonceHeader}`}},
	},
	{
		rule: "a pattern is an origin", pkg: "origin", test: "origin.TestParseRefuses",
		edits: []edit{{`if strings.Contains(authority, "*") {`, `if authority == "*" {`}, {`0123456789-._") != ""`, `0123456789-._*") != ""`}},
	},
	{
		rule: "the scheme's own port stays", pkg: "origin", test: "origin.TestParse",
		edits: []edit{{`scheme == "https" && port == "443" ||`, `scheme == "https" && port == "" ||`}},
	},
	{
		rule: "letter case stays", pkg: "origin", test: "origin.TestParse",
		edits: []edit{{`host: strings.ToLower(host), port: port}`, `host: host, port: port}`}},
	},
	{
		rule: "a path is dropped without a word", pkg: "origin", test: "origin.TestParseRefuses",
		edits: []edit{{`if rest[i:] != "/" {`, `if rest[i:] == "" {`}},
	},
	{
		rule: "a user is dropped without a word", pkg: "origin", test: "origin.TestParseRefuses",
		edits: []edit{{`		return parts{}, instead("without a user", scheme, authority[i+1:])
`, `		authority = authority[i+1:]
`}},
	},
	{
		rule: "an IPv4 address may have any spelling", pkg: "origin", test: "origin.TestParseRefuses",
		edits: []edit{{`if isNumber(labels[len(labels)-1]) {`, `if isNumber(labels[0]) && len(labels) == 0 {`}},
	},
	{
		rule: "what no browser sends is an origin that may call", pkg: "origin", test: "origin.TestSet",
		edits: []edit{{`if err != nil || !strings.EqualFold(o, header) {`, `if err != nil {`}},
	},
	{
		rule: "a name that ends like localhost is this machine", pkg: "origin", test: "origin.TestSetOfLoopback",
		edits: []edit{{`strings.HasSuffix(p.host, ".localhost")`, `strings.HasSuffix(p.host, "localhost")`}},
	},
	{
		rule: "the configured origins do not reach the functions' API", pkg: "boot", test: "boot.TestNewAPI",
		edits: []edit{{`oauth.Config{Origins: c.Origins, `, `oauth.Config{`}},
	},
	{
		rule: "the configured origins do not reach the local program's API", pkg: "local", test: "local.TestOrigins",
		edits: []edit{{`Origins: c.origins, Timeout`, `Timeout`}},
	},
	{
		rule: "pages of this machine may not call the local program", pkg: "local", test: "local.TestPagesOfThisMachineMayCall",
		edits: []edit{{`cmp.Or(getenv("ORIGINS"), origin.Loopback)`, `cmp.Or(getenv("ORIGINS"), "")`}},
	},
}}

var localPages = chapter{"What the local program keeps from pages", []mutant{
	{
		rule: "a GET from another page is answered", pkg: "local", test: "local.TestNothingIsForOtherPages",
		edits: []edit{{`case loopback.FromElsewhere(r):`, `case r.Method != http.MethodGet && loopback.FromElsewhere(r):`}},
	},
	{
		rule: "a page of another port is answered", pkg: "loopback", test: "local.TestNothingIsForOtherPages",
		edits: []edit{{`case "same-origin", "none":`, `case "same-origin", "same-site", "none":`}},
	},
	{
		rule: "an old browser's page is answered", pkg: "loopback", test: "local.TestNothingIsForOtherPages",
		edits: []edit{{`return from != "" && from != "http://"+r.Host`, `return false && from != ""`}},
	},
	{
		rule: "of an origin only the beginning counts", pkg: "loopback", test: "local.TestNothingIsForOtherPages",
		edits: []edit{{`from != "http://"+r.Host`, `!strings.HasPrefix(from, "http://"+r.Host)`}},
	},
	{
		rule: "a rebound name is answered", pkg: "local", test: "local.TestNothingIsForOtherPages",
		edits: []edit{{`case !loopback.IsOwnHost(r.Host, host):`, `case !loopback.IsOwnHost(r.Host, host) && loopback.FromElsewhere(r):`}},
	},
	{
		rule: "profiles are for pages, as /oauth is", pkg: "local", test: "local.TestNothingIsForOtherPages",
		edits: []edit{{`strings.HasPrefix(path, "/.well-known/")`, `strings.HasPrefix(path, "/.well-known/") || strings.HasPrefix(path, "/debug/")`}},
	},
}}

var forwarded = chapter{"A backend's word about its user", []mutant{
	{
		rule: "any confidential client is believed", pkg: "oauth", test: "server.TestForwardedByOthers",
		edits: []edit{{`!client.Confidential || !client.MayForward`, `!client.Confidential`}},
	},
	{
		rule: "an address that is none is passed over", pkg: "oauth", test: "server.TestForwardedMalformed",
		edits: []edit{{`		return session.Caller{}, invalidRequest(err.Error()`, `		return c, nil
	}
	if err != nil {
		return session.Caller{}, invalidRequest(err.Error()`}},
	},
	{
		rule: "of two addresses the first one counts", pkg: "web", test: "server.TestForwardedMalformed",
		edits: []edit{{`strings.Join(r.Header.Values(ClientIPHeader), ", ")`, `r.Header.Get(ClientIPHeader)`}},
	},
	{
		rule: "an address may have a zone", pkg: "web", test: "server.TestForwardedMalformed",
		edits: []edit{{`if err != nil || ip.Zone() != "" {`, `if err != nil {`}},
	},
	{
		rule: "an IPv4 address in IPv6 is another", pkg: "web", test: "server.TestForwardedUser",
		edits: []edit{{`c.IP = ip.Unmap().String()`, `c.IP = ip.String()`}},
	},
	{
		rule: "what is not told of the user is the backend's", pkg: "oauth", test: "server.TestForwardedUser",
		edits: []edit{{`	user.RequestID, user.ForwardedBy =`, `	user.UserAgent = cmp.Or(user.UserAgent, c.UserAgent)
	user.RequestID, user.ForwardedBy =`}},
	},
	{
		rule: "an agent that is told is kept at any length", pkg: "web", test: "server.TestForwardedUser",
		edits: []edit{{`userAgent(strings.Join(agents, ""))`, `strings.Join(agents, "")`}},
	},
	{
		rule: "an event does not say whose word an address is", pkg: "oauth", test: "server.TestForwardedUser",
		edits: []edit{{`cmp.Or(c.IP, "unknown")`, `cmp.Or("", "")`}},
	},
	{
		rule: "a stored event does not say whose word an address is", pkg: "store", test: "server.TestForwardedUser",
		edits: []edit{{`		ForwardedBy:   e.ForwardedBy,
`, ``}},
	},
	{
		rule: "a revocation does not say whose word an address is", pkg: "session", test: "server.TestForwardedUser",
		edits: []edit{{`RevokedByClient, counter, from, now)`, `RevokedByClient, counter, Caller{IP: from.IP, UserAgent: from.UserAgent}, now)`}},
	},
	{
		rule: "that the headers were ignored is not logged", pkg: "oauth", test: "server.TestForwardedByOthers",
		edits: []edit{{`c.ForwardIgnored = hasForwardingHeaders(r.Header)`, `_ = hasForwardingHeaders(r.Header)`}},
	},
	{
		rule: "an address that is not told is another one", pkg: "session", test: "server.TestForwardedReuse",
		edits: []edit{{` && (u.From.IP != "" || u.From.ForwardedBy == "")`, ``}},
	},
	{
		rule: "a public client may be told to forward", pkg: "manage", test: "server.TestPagesDoNotForward",
		edits: []edit{{`if body.mayForward && !c.Confidential {`, `if body.mayForward && c.UpdatedAt.IsZero() {`}},
	},
	{
		rule: "a page may ask to forward", pkg: "oauth", test: "server.TestPagesDoNotForward",
		edits: []edit{{`if preflightsForwarding(r) {`, `if preflightsForwarding(r) && from == "" {`}},
	},
	{
		rule: "the login's own address is the user's", pkg: "manage", test: "server.TestForwardedLogin",
		edits: []edit{{`	f.LastIP, f.LastUserAgent = user.IP, user.UserAgent
`, `	f.LastIP, f.LastUserAgent = user.IP, user.UserAgent
	if user == (session.Caller{}) {
		f.LastIP = web.CallerOf(r).IP
	}
`}},
	},
}}
