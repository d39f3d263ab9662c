package main

var movedIn = chapter{"What people are told of sessions that moved in", []mutant{
	{
		rule: "another provider's token is explained as a code", pkg: "family", test: "family.TestExplainForeign",
		edits: []edit{{`	if f.Origin.Kind.Foreign() {
		return explainForeign(f, p, v)`, `	if f.Origin.Kind == "" {
		return explainForeign(f, p, v)`}},
	},
	{
		rule: "the reuse of another provider's token is explained as that of a code", pkg: "family", test: "family.TestExplainForeign",
		edits: []edit{{`if r.TokenCounter == 0 && f.Origin.Kind.Foreign() {`, `if r.TokenCounter == 0 && f.Origin.Kind == "" {`}},
	},
	{
		rule: "a family that waits is said to have been in use", pkg: "family", test: "family.TestExplainForeign",
		edits: []edit{{`		if f.Pending() && f.Origin.Kind.Foreign() {
			e.Summary`, `		if f.Pending() && f.Origin.Kind == "" {
			e.Summary`}},
	},
	{
		rule: "the exchange of another provider's token is said to be the last rotation", pkg: "family", test: "family.TestExchangedAt",
		edits: []edit{{`case f.Origin.Kind.Foreign() && f.Counter == 1:`, `case f.Origin.Kind.Foreign() && f.Counter > 0:`}},
	},
	{
		rule: "no interval is recommended for the lost answers of those who moved in", pkg: "family", test: "family.TestLostResponseLikely",
		edits: []edit{{`return (token > 0 || origin.Foreign()) && newest-token == 1`, `return token > 0 && newest-token == 1`}},
	},
	{
		rule: "another provider's token that looks like a family id is not looked up", pkg: "manage", test: "server.TestExplainForeignForms",
		edits: []edit{{`if foreign, ok, err := a.explainForeign(ctx, keys, pasted, q.clientID, now); ok || err != nil {`, `if foreign, ok, err := a.explainForeign(ctx, keys, pasted, q.clientID, now); ok && err != nil {`}},
	},
	{
		rule: "another provider's token whose shape its client refuses is called good", pkg: "manage", test: "server.TestExplainUnfit",
		edits: []edit{{`if err != nil || client == nil || client.KnowsForeign(presented) {`, `if err != nil || client == nil || presented != "" {`}},
	},
	{
		rule: "a token that nobody imported is called malformed, and the log says otherwise", pkg: "manage", test: "server.TestExplainStranger",
		edits: []edit{{`Verdict: family.DeadToken, Cause: family.NeverImported,`, `Verdict: family.DeadToken, Cause: family.Malformed,`}},
	},
	{
		rule: "a token of ours that was cut is said to be never imported", pkg: "manage", test: "server.TestExplainStranger",
		edits: []edit{{`	if strings.HasPrefix(presented, token.Prefix) {
		return answer, false, nil`, `	if presented == token.Prefix {
		return answer, false, nil`}},
	},
	{
		rule: "a store that fails makes another provider's token unknown to support", pkg: "manage", test: "server.TestExplainForeignFaults",
		edits: []edit{{`	case err != nil:
		return answer, false, err
	case found.Claim != nil:`, `	case err != nil:
		return answer, false, nil
	case found.Claim != nil:`}},
	},
	{
		rule: "the timeline of a session that moved in begins with a login", pkg: "manage", test: "server.TestExplainForeign",
		edits: []edit{{`m[0].Event, m[0].Counter = string(f.Origin.Kind), 0`, `m[0].Counter = 0`}},
	},
	{
		rule: "the timeline does not say which token was reused while reuse is observed", pkg: "manage", test: "server.TestExplainObservedForeign",
		edits: []edit{{`Event: "reuse_observed", OriginToken: e.OriginToken, `, `Event: "reuse_observed", `}},
	},
	{
		rule: "a logout with another provider's token ends nothing", pkg: "session", test: "server.TestRevokeForeign",
		edits: []edit{{`	tok, err := e.ParseAny(ctx, keys, client, presented, now)
	if err == nil {`, `	tok, err := e.ParseToken(ctx, keys, presented, now)
	if err == nil {`}},
	},
	{
		rule: "a store that fails makes another provider's token inactive", pkg: "oauth", test: "server.TestForeignFaults",
		edits: []edit{{`if session.IsBadToken(err) {`, `if err != nil {`}},
	},
	{
		rule: "the histogram leaves out the reuse of those who moved in", pkg: "console", test: "console.TestReuseOfForeignTokensIsInTheHistogram",
		edits: []edit{{`, e.OriginToken != "" && !isForeign(e.OriginToken): //`, `, e.OriginToken != "": //`}},
	},
	{
		rule: "the page names another provider's token by its form", pkg: "console", test: "console.TestExplainForeignForms",
		edits: []edit{{`case page.Kind != aRefreshToken && isOfForeign(q, page.Answer):`, `case page.Kind == unknown && isOfForeign(q, page.Answer):`}},
	},
	{
		rule: "a family that waits for its token has no end in the picture", pkg: "console", test: "console.TestExplainForeign",
		edits: []edit{{`if f.Status == "active" || waitsForForeign(f) {`, `if f.Status == "active" {`}},
	},
	{
		rule: "the picture has no interval after the first use of another provider's token", pkg: "timeline", test: "timeline.TestMovedIn",
		edits: []edit{{`m.Kind != Issued && (m.Kind != Exchanged || isForeign(m.Origin))`, `m.Kind != Issued && m.Kind != Exchanged`}},
	},
}}
