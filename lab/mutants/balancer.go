package main

var balancer = chapter{"Behind a load balancer", []mutant{
	{
		rule: "the caller's address is the one that the client says", pkg: "gateway", test: "gateway.TestSender",
		edits: []edit{{`all[strings.LastIndexByte(all, ',')+1:]`, `all[:max(0, strings.IndexByte(all, ','))]`}},
	},
	{
		rule: "of several headers with addresses the client's own counts", pkg: "gateway", test: "gateway.TestSender",
		edits: []edit{{`strings.Join(header.Values("X-Forwarded-For"), ",")`, `header.Get("X-Forwarded-For")`}},
	},
	{
		rule: "the id of a request is the one that the client says", pkg: "gateway", test: "gateway.TestBalancedRequestID",
		edits: []edit{{`	if ids == nil {`, `	if fields["Root"] != nil {`}},
	},
	{
		rule: "any text is the id of a request", pkg: "gateway", test: "gateway.TestBalancedRequestID",
		edits: []edit{{`len(ids) == 1 && isTraceID(ids[0])`, `len(ids) == 1 && ids[0] != ""`}},
	},
	{
		rule: "of several ids of a request the first counts", pkg: "gateway", test: "gateway.TestBalancedRequestID",
		edits: []edit{{`len(ids) == 1 && isTraceID(ids[0])`, `len(ids) > 0 && isTraceID(ids[0])`}},
	},
	{
		rule: "a header that comes twice arrives once", pkg: "gateway", test: "gateway.TestBalancedMalformed",
		edits: []edit{{`r.Header[key] = values`, `r.Header[key] = values[:min(1, len(values))]`}},
	},
	{
		rule: "of a header under two names any one counts", pkg: "gateway", test: "gateway.TestBalancedMalformed",
		edits: []edit{{`if _, twice := r.Header[key]; twice {`, `if _, twice := r.Header[key]; twice && key == "" {`}},
	},
	{
		rule: "a malformed HEAD gets a body", pkg: "gateway", test: "gateway.TestBalancedHead",
		edits: []edit{{`forMethod(w, event.HTTPMethod)`, `forMethod(w, "")`}},
	},
	{
		rule: "a parameter that is written in two ways arrives once", pkg: "gateway", test: "gateway.TestBalancedQuery",
		edits: []edit{{`			query.Add(name, value)`, `			query.Set(name, value)`}},
	},
	{
		rule: "the names of parameters are not decoded", pkg: "gateway", test: "gateway.TestBalancedQuery",
		edits: []edit{{`name, err := url.QueryUnescape(key)`, `name, err := key, error(nil)`}},
	},
	{
		rule: "an event of anybody is a load balancer's", pkg: "gateway", test: "gateway.TestEventsOfOthers",
		edits: []edit{{`event.RequestContext.ELB.TargetGroupArn == "" || event.HTTPMethod == ""`, `event.HTTPMethod == ""`}},
	},
	{
		rule: "a target group that drops headers is served", pkg: "gateway", test: "gateway.TestEventsOfOthers",
		edits: []edit{{`if len(event.MultiValueHeaders) == 0 {`, `if len(event.MultiValueHeaders) < 0 {`}},
	},
	{
		rule: "a function takes the events of what it is not deployed behind", pkg: "boot", test: "boot.TestBehindBalancer",
		edits: []edit{{`	if c.Balancer {
		return`, `	if !c.Balancer {
		return`}},
	},
	{
		rule: "the management API can be put behind a load balancer", pkg: "boot", test: "boot.TestLoadManageConfig",
		edits: []edit{{`	if c.Balancer {
		e.wrong`, `	if c.APIID == "" {
		e.wrong`}},
	},
}}
