package main

var keyBinding = chapter{"Binding to a key", []mutant{
	{
		rule: "the decision asks for no proof", pkg: "family", test: "server.TestBoundSession",
		edits: []edit{{`	case !f.Bound() || bytes.Equal(f.JKT, jkt):`, `	case !f.Bound() || len(f.JKT) > 0:`}},
	},
	{
		rule: "any key is good", pkg: "family", test: "server.TestBoundSession",
		edits: []edit{{`	case !f.Bound() || bytes.Equal(f.JKT, jkt):`, `	case !f.Bound() || jkt != nil:`}},
	},
	{
		rule: "another key is as good as none", pkg: "family", test: "server.TestBoundSession",
		edits: []edit{{`	case jkt == nil:
		return NoProof`, `	case jkt == nil || f.Bound():
		return NoProof`}},
	},
	{
		rule: "a superseded token is reuse, with the key or without", pkg: "family", test: "server.TestBoundSessionCannotBeLost",
		edits: []edit{{`	case f.Bound(): // and the caller has the key`, `	case f.Bound() && n > pred: // and the caller has the key`}},
	},
	{
		rule: "a token that was superseded in the interval is a late one", pkg: "family", test: "server.TestFaultsOfABoundFamily",
		edits: []edit{{`	case n == pred && f.sinceRotation(now) < p.ReuseInterval.Duration():`, `	case n == pred && !f.Bound() && f.sinceRotation(now) < p.ReuseInterval.Duration():`}},
	},
	{
		rule: "a late use is stored twice an hour", pkg: "family", test: "server.TestLateUse",
		edits: []edit{{`const lateStored = time.Hour`, `const lateStored = 30 * time.Minute`}},
	},
	{
		rule: "a late use is stored every two hours", pkg: "family", test: "server.TestLateUse",
		edits: []edit{{`const lateStored = time.Hour`, `const lateStored = 2 * time.Hour`}},
	},
	{
		rule: "a confidential client needs no key for its code", pkg: "family", test: "server.TestCodeOfAKey",
		edits: []edit{{`return a.Unbinds && a.Counter > 0 && f.Pending() && f.Origin.Kind == Code`, `return a.Unbinds && f.Pending() && f.Origin.Kind == Code`}},
	},
	{
		rule: "a family is not bound any more once its client is confidential", pkg: "family", test: "server.TestClientThatChangesItsType",
		edits: []edit{{`return a.Unbinds && a.Counter > 0 && f.Pending() && f.Origin.Kind == Code`, `return a.Unbinds && a.Counter > 0 && f.Origin.Kind == Code`}},
	},
	{
		rule: "a restored record binds a confidential client", pkg: "family", test: "server.TestRestoredCodeOfAConfidentialClient",
		edits: []edit{{`return a.Unbinds && a.Counter > 0 && f.Pending() && f.Origin.Kind == Code`, `return a.Unbinds && a.Counter > 0 && f.Pending() && f.Origin.Kind == Imported`}},
	},
	{
		rule: "the write asks for no proof", pkg: "store", test: "server.TestBoundSession",
		edits: []edit{{`		return refreshCondition + unboundCondition`, `		return refreshCondition`}},
	},
	{
		rule: "the write takes any key", pkg: "store", test: "server.TestBoundSession",
		edits: []edit{{`(attribute_not_exists(jkt) OR jkt = :jkt)`, `(attribute_not_exists(jkt) OR attribute_exists(jkt) OR jkt = :jkt)`}},
	},
	{
		rule: "no use binds a family", pkg: "store", test: "server.TestDoorsBind",
		edits: []edit{{`	if r.Attempt.Binds {
		return bindSet`, `	if r.Attempt.Binds && r.Attempt.JKT == nil {
		return bindSet`}},
	},
	{
		rule: "each use with a proof binds the family", pkg: "store", test: "server.TestNeverBoundLater",
		edits: []edit{{`	if r.Attempt.Binds {
		return bindSet`, `	if r.Attempt.JKT != nil {
		return bindSet`}},
	},
	{
		rule: "a code binds the family of a confidential client", pkg: "store", test: "server.TestCodeOfAKey",
		edits: []edit{{`	if a.Unbinds && a.Origin == family.Code && a.JKT != nil {`, `	if a.Unbinds && a.Origin == family.Code && a.JKT == nil {`}},
	},
	{
		rule: "each refresh of a confidential client unbinds its family", pkg: "store", test: "server.TestClientThatChangesItsType",
		edits: []edit{{`	if a.Unbinds && a.Origin == family.Code && a.JKT != nil {`, `	if a.Unbinds && a.JKT != nil {`}},
	},
	{
		rule: "a restored record keeps the key of a code", pkg: "store", test: "server.TestRestoredCodeOfAConfidentialClient",
		edits: []edit{{`	if seen.Bound() && !next.Bound() {`, `	if seen.Bound() && next == nil {`}},
	},
	{
		rule: "a restored record from before the first use binds nobody", pkg: "store", test: "server.TestRestoredBoundFamily",
		edits: []edit{{`	set += r.bind()
	condition := r.condition(values)
	if seen`, `	condition := r.condition(values)
	if seen`}},
	},
	{
		rule: "each of many racers stores a late use", pkg: "store", test: "storetest.TestEventWhoseAnswerWasLost",
		edits: []edit{{`(attribute_not_exists(observed_at) OR observed_at <= :recently)`, `(attribute_not_exists(observed_at) OR NOT observed_at = :recently)`}},
	},
	{
		rule: "it is not remembered when a late use was stored", pkg: "store", test: "server.TestLateUse",
		edits: []edit{{`aws.String(useSet + ", observed_at = :now")`, `aws.String(useSet)`}},
	},
	{
		rule: "a bad proof is as good as none", pkg: "session", test: "server.TestProofAttacks",
		edits: []edit{{`	case u.Proof.Key != nil, p == family.DPoPOff:`, `	case u.Proof.Key != nil, p != family.DPoPRequired:`}},
	},
	{
		rule: "a confidential client need not prove a key", pkg: "session", test: "server.TestDoorsOfConfidentialClients",
		edits: []edit{{`!= proof.NoProof, p == family.DPoPRequired && u.Client.Confidential:`, `!= proof.NoProof:`}},
	},
	{
		rule: "a confidential client's families are bound", pkg: "session", test: "server.TestDoorsOfConfidentialClients",
		edits: []edit{{`u.Client.Policy.DPoP != family.DPoPOff && !u.Client.Confidential`, `u.Client.Policy.DPoP != family.DPoPOff`}},
	},
	{
		rule: "a family is bound where the policy is off", pkg: "session", test: "server.TestDoorsOff",
		edits: []edit{{`u.Client.Policy.DPoP != family.DPoPOff && !u.Client.Confidential`, `!u.Client.Confidential`}},
	},
	{
		rule: "a family begins without the key that is required", pkg: "session", test: "server.TestProofAttacks",
		edits: []edit{{`return u.Client.Policy.DPoP == family.DPoPRequired }`, `return u.Client.Policy.DPoP == "" }`}},
	},
	{
		rule: "an access token is bound where the policy is off", pkg: "session", test: "server.TestDoorsOff",
		edits: []edit{{`	if u.Client.Policy.DPoP == family.DPoPOff && f.KeyThumbprint() == "" {`, `	if u.Client.Policy.DPoP == "" && f.KeyThumbprint() == "" {`}},
	},
	{
		rule: "the access tokens of a bound family are not bound once the policy is off", pkg: "session", test: "server.TestBoundWhateverThePolicy",
		edits: []edit{{`	if u.Client.Policy.DPoP == family.DPoPOff && f.KeyThumbprint() == "" {`, `	if u.Client.Policy.DPoP == family.DPoPOff {`}},
	},
	{
		rule: "each request for a nonce is logged", pkg: "session", test: "server.TestProofAttacks",
		edits: []edit{{`	if refused.Refusal.NeedsNonce() {`, `	if refused.Refusal == nil {`}},
	},
	{
		rule: "the log does not say what is wrong with a proof", pkg: "session", test: "server.TestProofAttacks",
		edits: []edit{{`	event.Cause, event.Reason = cause, string(refused.Refusal.Reason)`, `	event.Cause = cause`}},
	},
	{
		rule: "whoever has another key is told to send a proof", pkg: "session", test: "server.TestBoundSession",
		edits: []edit{{`	if cause == family.WrongKey {`, `	if cause == "" {`}},
	},
	{
		rule: "another provider's token binds a family that has begun", pkg: "session", test: "server.TestOnlyTheFirstUseBinds",
		edits: []edit{{`		write.Attempt.Binds = begins && u.binds()
`, ``}},
	},
	{
		rule: "what a family without a key began with needs one", pkg: "session", test: "server.TestDoorsDoNotBindLater",
		edits: []edit{{`		if begins && v.Active() && u.mustBind()`, `		if tok.Counter == 0 && v.Active() && u.mustBind()`}},
	},
	{
		rule: "a restored record begins without the key that is required", pkg: "session", test: "server.TestRestoredBoundFamily",
		edits: []edit{{`		if begins && v.Active() && u.mustBind()`, `		if tok.Counter == 0 && begins && v.Active() && u.mustBind()`}},
	},
	{
		rule: "a token is adopted without the key that is required", pkg: "session", test: "server.TestProofAttacks",
		edits: []edit{{`	if u.mustBind() && u.Proof.Key == nil { // its family would not begin, and the token would be spent
		return token.Token{}, e.refuseProof(ctx, *u)
	}
`, ``}},
	},
	{
		rule: "an assertion binds only where it must", pkg: "session", test: "server.TestDoorsBind",
		edits: []edit{{`	if u.binds() {
		f.JKT`, `	if u.mustBind() {
		f.JKT`}},
	},
	{
		rule: "an assertion comes again without the key", pkg: "session", test: "server.TestProofAttacks",
		edits: []edit{{`Issuer: e.Issuer, JKT: u.Proof.Key, Now: u.Now})`, `Issuer: e.Issuer, JKT: f.JKT, Now: u.Now})`}},
	},
	{
		rule: "a proof is for the host that was called", pkg: "oauth", test: "server.TestRaceOfABoundFamily",
		edits: []edit{{`URL: a.Issuer + r.URL.Path, AccessToken`, `URL: "http://" + r.Host + r.URL.Path, AccessToken`}},
	},
	{
		rule: "the first of several proofs counts", pkg: "oauth", test: "server.TestProofAttacks",
		edits: []edit{{`	key, err := proof.CheckDPoP(presented, proof.Expected{`, `	key, err := proof.CheckDPoP(presented[:1], proof.Expected{`}},
	},
	{
		rule: "an answer has no nonce for the next proof", pkg: "oauth", test: "server.TestNonce",
		edits: []edit{{`	w.Header().Set(nonceHeader, keys.Codec.Nonce(now))
`, ``}},
	},
	{
		rule: "any nonce is good", pkg: "oauth", test: "server.TestNonce",
		edits: []edit{{`return keys.Codec.IsNonce(s, now) }`, `return keys != nil }`}},
	},
	{
		rule: "a page cannot read the nonce", pkg: "oauth", test: "server.TestNonce",
		edits: []edit{{`"WWW-Authenticate", nonceHeader}`, `"WWW-Authenticate"}`}},
	},
	{
		rule: "nothing is imported for a client that requires a key", pkg: "manage", test: "server.TestProofAttacks",
		edits: []edit{{`policy == family.DPoPRequired && begins && !client.Confidential`, `policy == family.DPoPRequired && !client.Confidential`}},
	},
	{
		rule: "a login begins a family without the key that is required", pkg: "manage", test: "server.TestThumbprintsThatAreRefused",
		edits: []edit{{`policy == family.DPoPRequired && begins && !client.Confidential`, `policy == "" && begins && !client.Confidential`}},
	},
	{
		rule: "a login names a key where the policy is off", pkg: "manage", test: "server.TestThumbprintsThatAreRefused",
		edits: []edit{{`	case policy == family.DPoPOff:`, `	case policy == "":`}},
	},
	{
		rule: "a login binds a family of a confidential client", pkg: "manage", test: "server.TestThumbprintsThatAreRefused",
		edits: []edit{{`	case client.Confidential && begins:`, `	case client.Confidential && policy == "":`}},
	},
	{
		rule: "an authorization request names a key where the policy is off", pkg: "manage", test: "server.TestPolicyBetweenCodeAndExchange",
		edits: []edit{{`	if client.Policy.DPoP == family.DPoPOff { // it is ignored`, `	if family.DPoPOff == "" { // it is ignored`}},
	},
	{
		rule: "an authorization request names any text as its key", pkg: "manage", test: "server.TestThumbprintsThatAreRefused",
		edits: []edit{{`	case jkt != "" && notThumbprint != nil:`, `	case jkt != "" && notThumbprint != nil && len(jkt) > 1000:`}},
	},
	{
		rule: "an authorization request names two keys", pkg: "manage", test: "server.TestThumbprintsThatAreRefused",
		edits: []edit{{`"request", "request_uri", "dpop_jkt",`, `"request", "request_uri",`}},
	},
	{
		rule: "the embedded store removes nothing", pkg: "embedded", test: "embedded.TestRemove",
		edits: []edit{{`	names := u.names()
	if len(names) == 0 {`, `	names := u.names()
	if len(names) > 0 {`}},
	},
}}
