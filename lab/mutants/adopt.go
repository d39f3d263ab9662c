package main

var adoption = chapter{"Adopting another provider's tokens", []mutant{
	{
		rule: "an outage of the provider costs every session that is presented", pkg: "session", test: "server.TestAdoptOutage",
		edits: []edit{{`		a.outages.lost(a.u.Client.ID, a.u.Now)`, `		_ = a.u.Client.ID`}},
	},
	{
		rule: "three tokens that are lost at any time are an outage", pkg: "session", test: "server.TestAdoptOutage",
		edits: []edit{{`	a.outages.over(a.u.Client.ID)
	if`, `	if`}},
	},
	{
		rule: "an outage never ends", pkg: "session", test: "server.TestAdoptOutage",
		edits: []edit{{`seen.lost >= outageAfter && now.Sub(seen.last).Abs() < outageFor`, `seen.lost >= outageAfter`}},
	},
	{
		rule: "after 30 seconds of an outage all tokens are tried", pkg: "session", test: "server.TestAdoptOutage",
		edits: []edit{{`	return seen.lost >= outageAfter &&`, `	return seen.lost == outageAfter &&`}},
	},
	{
		rule: "each racer asks the provider", pkg: "store", test: "server.TestAdoptClaimedMeanwhile",
		edits: []edit{{`	condition := "attribute_not_exists(pk)"
	values := item{
		":id"`, `	condition := "attribute_not_exists(pk) OR attribute_exists(pk)"
	values := item{
		":id"`}},
	},
	{
		rule: "a family is written although the claim was settled", pkg: "store", test: "server.TestAdoptCrash",
		edits: []edit{{`t.leadTo(f, name, isClaim, isClaimValues(c, "")),`, `t.leadTo(f, name, "attribute_not_exists(family_id)", nil),`}},
	},
	{
		rule: "a claim is anybody's to settle", pkg: "store", test: "server.TestAdoptTakenOver",
		edits: []edit{{`const isClaim = "claim = :claim AND cause = :seen AND attribute_not_exists(family_id)"`, `const isClaim = "NOT claim = :none AND cause = :seen"`}, {`return item{":claim": &types.AttributeValueMemberB{Value: c.ID[:]}, ":seen"`, `return item{":none": &types.AttributeValueMemberB{Value: make([]byte, len(c.ID))}, ":seen"`}},
	},
	{
		rule: "a token is lost as soon as somebody asks about it", pkg: "session", test: "server.TestAdoptFaults",
		edits: []edit{{`return !c.Settled() && now.Sub(c.At) < claimFor`, `return !c.Settled() && now.Sub(c.At) < claimFor/2`}},
	},
	{
		rule: "what may be spent is asked about again", pkg: "session", test: "server.TestAdoptFailures",
		edits: []edit{{`		if !a.u.Client.Adopt.Repeatable {`, `		if a.u == nil {`}},
	},
	{
		rule: "what may be spent is lost where it could be asked about again", pkg: "session", test: "server.TestAdoptFailures",
		edits: []edit{{`		if !a.u.Client.Adopt.Repeatable {`, `		if a.u != nil {`}},
	},
	{
		rule: "a claim that nobody settled is taken over although the token may be spent", pkg: "session", test: "server.TestAdoptCrash",
		edits: []edit{{`case !a.u.Client.Adopt.Repeatable || over.ClientID != a.u.Client.ID:`, `case over.ClientID != a.u.Client.ID:`}},
	},
	{
		rule: "an adoption ends when its caller hangs up", pkg: "session", test: "server.TestAdoptHangsUp",
		edits: []edit{{`detached := context.WithoutCancel(ctx)`, `detached := ctx`}},
	},
	{
		rule: "a refusal is not remembered by the instance", pkg: "session", test: "server.TestAdoptFlood",
		edits: []edit{{`	a.strangers.add(a.name, a.u.Client.ID, err, a.u.Now)
`, ``}, {`	case known.Claim.Refuses(client.ID, now):
		e.strangers.add(name, client.ID, &UnadoptedError{known.Claim}, now)
`, ``}},
	},
	{
		rule: "a refusal is forgotten within the hour", pkg: "session", test: "server.TestAdoptFailures",
		edits: []edit{{`refusedFor = time.Hour`, `refusedFor = 30 * time.Minute`}},
	},
	{
		rule: "a refusal is for every client", pkg: "store", test: "server.TestAdoptOtherClient",
		edits: []edit{{`c.ClientID == clientID && now.Before(c.Until))`, `now.Before(c.Until))`}},
	},
	{
		rule: "a flood reaches the provider", pkg: "session", test: "server.TestAdoptFlood",
		edits: []edit{{`	if err := a.count(ctx); err != nil {
		return store.Known{}, err
	}
`, ``}},
	},
	{
		rule: "each server has a budget of its own", pkg: "store", test: "server.TestAdoptClocks",
		edits: []edit{{`case there > second && there <= second+aheadBy:`, `case there > second+aheadBy:`}},
	},
	{
		rule: "one clock that is ahead uses up the budget of the others", pkg: "store", test: "server.TestAdoptClocks",
		edits: []edit{{`case there > second && there <= second+aheadBy:`, `case there > second:`}},
	},
	{
		rule: "a damaged token of ours is sent to the provider", pkg: "store", test: "server.TestAdoptShape",
		edits: []edit{{`return !strings.HasPrefix(presented, token.Prefix) && (`, `return len(token.Prefix) > 0 && (`}},
	},
	{
		rule: "a login from before not_before is adopted", pkg: "session", test: "server.TestAdoptNotBefore",
		edits: []edit{{`said.AuthTime.Before(a.u.Client.Policy.NotBefore) && !said.AuthTime.IsZero() {`, `said == nil {`}},
	},
	{
		rule: "an import gives way to a claim", pkg: "store", test: "server.TestAdoptImported",
		edits: []edit{{`t.leadTo(f, name, "attribute_not_exists(family_id)", nil),`, `t.leadTo(f, name, "attribute_not_exists(pk)", nil),`}},
	},
	{
		rule: "what was not sent is lost", pkg: "foreign", test: "server.TestAdoptNotSent",
		edits: []edit{{`		if !sent.Load() {`, `		if sent.Load() {`}},
	},
	{
		rule: "a provider that is overloaded loses the token", pkg: "foreign", test: "server.TestAdoptFailures",
		edits: []edit{{`	case status == http.StatusServiceUnavailable:`, `	case status == http.StatusContinue:`}},
	},
	{
		rule: "a failure of the provider is a refusal", pkg: "foreign", test: "server.TestAdoptFailures",
		edits: []edit{{`	case status >= 500:`, `	case status > 600:`}},
	},
	{
		rule: "a wrong secret loses the token", pkg: "foreign", test: "server.TestAdoptFailures",
		edits: []edit{{`	case status >= 400: // the request`, `	case status > 600: // the request`}, {`		return &Failure{Kind: Unspent, Reason: "redirect"}`, `		return &Failure{Kind: Unknown, Reason: "redirect"}`}, {`		return &Failure{Kind: Unspent, Reason: "client_refused"}`, `		return &Failure{Kind: Unknown, Reason: "client_refused"}`}},
	},
	{
		rule: "an id token for another app names the user", pkg: "foreign", test: "server.TestAdoptUser",
		edits: []edit{{`!standard.Audience.Contains(p.ClientID):`, `len(standard.Audience) == 0:`}},
	},
	{
		rule: "an old id token names the user", pkg: "foreign", test: "server.TestAdoptUser",
		edits: []edit{{`now.After(standard.Expiry.Time().Add(assertion.Skew)):`, `now.Before(time.Time{}):`}},
	},
	{
		rule: "a user id may be of any length", pkg: "foreign", test: "server.TestAdoptUser",
		edits: []edit{{`case len(said.UserID) > assertion.MaxUserID:`, `case len(said.UserID) > 2*assertion.MaxUserID:`}},
	},
	{
		rule: "any number of exchanges are in progress", pkg: "foreign", test: "server.TestAdoptBusy",
		edits: []edit{{`atATime   = 10 `, `atATime   = 11 `}},
	},
	{
		rule: "the secret is read for each exchange", pkg: "foreign", test: "server.TestAdoptSecret",
		edits: []edit{{`secretFor = time.Minute`, `secretFor = 0`}},
	},
	{
		rule: "any secret of the account can be named", pkg: "foreign", test: "server.TestAdoptSettings",
		edits: []edit{{`if !ok || name == "" ||`, `if name == "" ||`}, {`name, ok := strings.CutPrefix(p.SecretName, SecretPrefix)`, `name, _ := strings.CutPrefix(p.SecretName, SecretPrefix)`}},
	},
	{
		rule: "a client that adopts is not named in the audit log", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`	add(audit.AdoptionOn, put.Adopt != nil && (before.Adopt == nil || *put.Adopt != *before.Adopt))
`, ``}},
	},
	{
		rule: "a claim whose answer was lost stays, and the token is lost for it", pkg: "session", test: "server.TestAdoptClaimLost",
		edits: []edit{{`	case err != nil: // it may be written: nobody asks the provider, and the token must not be lost for it
		return store.Known{}, errors.Join(err, a.release(ctx, claim))`, `	case err != nil:
		return store.Known{}, err`}},
	},
	{
		rule: "who waits for another client's claim is told what its provider says", pkg: "session", test: "server.TestAdoptOthersRace",
		edits: []edit{{`	case !known.Claim.Refuses(a.u.Client.ID, a.u.Now):
`, `	case a.u == nil:
`}},
	},
	{
		rule: "a logout does nothing while the token is being adopted", pkg: "session", test: "server.TestAdoptRevokedMeanwhile",
		edits: []edit{{`unadopted.Claim.ClientID == client.ID && IsBeingAsked(unadopted.Claim, now)`, `client == nil`}},
	},
	{
		rule: "a refused adoption is a failure on Supabase's wire", pkg: "session", test: "server.TestSupabaseUnadopted",
		edits: []edit{{`	return &DeadTokenError{claim.Cause}`, `	return ErrDeadToken`}},
	},
	{
		rule: "a provider is asked that must answer too late", pkg: "foreign", test: "server.TestAdoptLate",
		edits: []edit{{`time.Until(end) < e.client.Timeout+afterwards`, `time.Until(end) < 0`}},
	},
	{
		rule: "the log quotes what a provider sent", pkg: "foreign", test: "server.TestAdoptFailuresInTheLog",
		edits: []edit{{`Reason: "no_answer", err: withoutText(err)}`, `Reason: "no_answer", err: err}`}},
	},
}}
