package main

var numberZero = chapter{"Number 0", []mutant{
	{
		rule: "whoever has a pending code may exchange it", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case f.Pending() && !verified:`, `case f.Pending() && !verified && len(f.Origin.Challenge) == 0:`}},
	},
	{
		rule: "a code goes to any redirect URI of the client", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case f.Pending() && subtle.ConstantTimeCompare(f.Origin.Redirect, a.Redirect) != 1:`, `case f.Pending() && subtle.ConstantTimeCompare(f.Origin.Redirect, a.Redirect) > 1:`}},
	},
	{
		rule: "a wrong verifier ends a pending family", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`return Verdict{Kind: Refused, Cause: WrongVerifier}`, `return Verdict{Kind: Reuse}`}},
	},
	{
		rule: "a second use of a code is honoured", pkg: "family", test: "family.TestCodeIsUsedOnce",
		edits: []edit{{`p.Observing(a.Now):
		return Verdict{Kind: Refused, Cause: CodeUsed, Age: age}`, `p.Observing(a.Now):
		return Verdict{Kind: Newest, Age: age}`}},
	},
	{
		rule: "a code that comes again ends a family that is bound to a key", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case f.Bound(): // the caller has its key, without`, `case f.Bound() && p == nil: // the caller has its key, without`}},
	},
	{
		rule: "a page that mounts twice ends its family", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case verified && a.Now.Before(f.Origin.Until), p.Observing(a.Now):`, `case p.Observing(a.Now):`}},
	},
	{
		rule: "a second use of a code with the right verifier never ends the family", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case verified && a.Now.Before(f.Origin.Until), p.Observing(a.Now):`, `case verified, p.Observing(a.Now):`}},
	},
	{
		rule: "a second use of a code without its verifier does no harm for ten seconds", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case verified && a.Now.Before(f.Origin.Until), p.Observing(a.Now):`, `case a.Now.Before(f.Origin.Until), p.Observing(a.Now):`}},
	},
	{
		rule: "the ten seconds of a code include their end", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case verified && a.Now.Before(f.Origin.Until), p.Observing(a.Now):`, `case verified && !a.Now.After(f.Origin.Until), p.Observing(a.Now):`}},
	},
	{
		rule: "a second use of a code ends the family while reuse is observed", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`case verified && a.Now.Before(f.Origin.Until), p.Observing(a.Now):`, `case verified && a.Now.Before(f.Origin.Until):`}},
	},
	{
		rule: "a second use is forgiven for twenty seconds", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`return now.Add(codeForgiven)`, `return now.Add(2 * codeForgiven)`}},
	},
	{
		rule: "a code never expires", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`if pending && f.Origin.Kind == Code && !now.Before(f.Origin.Until) {`, `if pending && f.Origin.Until.IsZero() {`}},
	},
	{
		rule: "at the millisecond of its end a code is good", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`if pending && f.Origin.Kind == Code && !now.Before(f.Origin.Until) {`, `if pending && f.Origin.Kind == Code && now.After(f.Origin.Until) {`}},
	},
	{
		rule: "a token of a family whose record is pending is dead when the code is", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`	if n > 0 {
		cause`, `	if n > 0 && !f.Pending() {
		cause`}},
	},
	{
		rule: "a token of a family whose record is pending outlives the family", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`		cause = f.DeathOnceBegun(p, a.Now)
`, `		if cause == CodeExpired {
			cause = ""
		}
`}},
	},
	{
		rule: "an assertion is good for as long as it lasts", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`f.Counter == 1 && age < p.ReuseInterval.Duration() {`, `f.Counter == 1 && age < p.AbsoluteLifetime.Duration() {`}},
	},
	{
		rule: "an assertion gets a token that its client has not got yet", pkg: "family", test: "family.TestDecideOrigin",
		edits: []edit{{`f.Counter == 1 && age < p.ReuseInterval.Duration() {`, `age < p.ReuseInterval.Duration() {`}},
	},
	{
		rule: "the reuse of a code is taken for a lost response", pkg: "family", test: "family.TestLostResponseLikely",
		edits: []edit{{`return (token > 0 || origin.Foreign()) && newest-token == 1`, `return newest-token == 1`}},
	},
	{
		rule: "a code is made as a refresh token is", pkg: "token", test: "token.TestGoldenCode",
		edits: []edit{{`return c.mint(codeLabel, `, `return c.mint(label, `}},
	},
	{
		rule: "a refresh token parses as a code", pkg: "token", test: "token.TestCodeIsNoRefreshToken",
		edits: []edit{{`(counter == 0) != (label == codeLabel) {`, `counter == 0 && label != codeLabel {`}},
	},
	{
		rule: "a logout after a restore ends nothing if the record is pending", pkg: "session", test: "server.TestRestoredPendingFamilyEnds",
		edits: []edit{{`if f.DeathOnceBegun(&client.Policy, now) != "" {`, `if f.Death(&client.Policy, now) != "" {`}},
	},
	{
		rule: "after a restore an access token is inactive if the record is pending", pkg: "session", test: "server.TestRestoredPendingFamily",
		edits: []edit{{`f.ClientID != client.ID || f.DeathOnceBegun(&client.Policy, now) != ""`, `f.ClientID != client.ID || f.Death(&client.Policy, now) != ""`}},
	},
	{
		rule: "an administrator cannot end a pending family that was restored", pkg: "manage", test: "server.TestRestoredPendingFamilyEnds",
		edits: []edit{{`if f.DeathOnceBegun(policy, now) == "" {`, `if f.Death(policy, now) == "" {`}},
	},
	{
		rule: "who changes a password leaves the code of a slow request", pkg: "session", test: "server.TestPendingFamily",
		edits: []edit{{`if s.Unbegun {`, `if s.Unbegun && f.Counter > 0 {`}},
	},
	{
		rule: "a code that is too late is exchanged, if nobody else looks", pkg: "store", test: "server.TestSavedHistories",
		edits: []edit{{`" AND origin_until > :now AND`, `" AND (origin_until > :now OR origin_until <= :now) AND`}},
	},
	{
		rule: "at the millisecond of its end a code is exchanged", pkg: "store", test: "server.TestSavedHistories",
		edits: []edit{{`" AND origin_until > :now AND`, `" AND origin_until >= :now AND`}},
	},
	{
		rule: "the write of an exchange does not ask for the verifier", pkg: "store", test: "server.TestSavedHistories",
		edits: []edit{{`AND challenge = :challenge AND`, `AND (challenge = :challenge OR challenge <> :challenge) AND`}},
	},
	{
		rule: "the write of an exchange does not ask for the redirect URI", pkg: "store", test: "server.TestSavedHistories",
		edits: []edit{{`AND redirect = :redirect"`, `AND (redirect = :redirect OR redirect <> :redirect)"`}},
	},
	{
		rule: "the exchange does not begin the ten seconds", pkg: "store", test: "server.TestSavedHistories",
		edits: []edit{{`number(family.AfterExchange(a.Now).UnixMilli())`, `number(a.Now.UnixMilli())`}},
	},
	{
		rule: "without rotation a code is exchanged again and again", pkg: "store", test: "server.TestSavedHistories",
		edits: []edit{{`if r.Policy.Rotation || a.Counter == 0 {`, `if r.Policy.Rotation {`}},
	},
	{
		rule: "the record of a family that never began is kept as if it had", pkg: "store", test: "server.TestSavedHistories",
		edits: []edit{{`	if f.Pending() && f.Origin.Kind == family.Code {
		f.PurgeAt = f.Origin.Until.Add(pendingKept)
	}
`, ``}},
	},
	{
		rule: "a browser asks for any scope, where the client has none", pkg: "manage", test: "server.TestAuthorizeWithoutAScope",
		edits: []edit{{`return !slices.Contains(client.Scope, s) })
	if len(granted)`, `return client.Scope != nil && !slices.Contains(client.Scope, s) })
	if len(granted)`}},
	},
	{
		rule: "of a parameter that comes twice in the JSON the last counts", pkg: "manage", test: "server.TestAuthorizeRefused",
		edits: []edit{{`request[name] = append(request[name], values...)`, `request[name] = values`}},
	},
	{
		rule: "a restored family that was pending is said to go a day after its code", pkg: "store", test: "storetest.TestWritesReturnTheRecord",
		edits: []edit{{`if after.PurgeAt = after.KeepUntil; after.KeepUntil.IsZero() {`, `if after.KeepUntil.IsZero() {`}},
	},
	{
		rule: "a start that arrives late undoes what happened since", pkg: "store", test: "storetest.TestIssuedAgain",
		edits: []edit{{`Item: m, ConditionExpression: aws.String("attribute_not_exists(pk)")})
	var there`, `Item: m, ConditionExpression: aws.String("attribute_not_exists(nothing)")})
	var there`}},
	},
}}
