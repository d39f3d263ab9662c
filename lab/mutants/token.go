package main

var tokens = chapter{"The token", []mutant{
	{
		rule: "of the tag only 16 bytes are compared", pkg: "token", test: "token.TestParseRefusesEveryFlippedBit",
		edits: []edit{{`subtle.ConstantTimeCompare(full[:tagSize], raw[atTag:]) != 1`, `subtle.ConstantTimeCompare(full[:16], raw[atTag:atTag+16]) != 1`}},
	},
	{
		rule: "the counter is not under the MAC", pkg: "token", test: "token.TestParseRefusesEveryFlippedBit",
		edits: []edit{{`full := sum(k.mac, message[:labelSize+atTag])`, `full := sum(k.mac, message[:len(label)+atCounter])`}, {`full := sum(key.mac, message[:labelSize+atTag])`, `full := sum(key.mac, message[:len(label)+atCounter])`}},
	},
	{
		rule: "the user key is not under the MAC", pkg: "token", test: "token.TestParseRefusesEveryFlippedBit",
		edits: []edit{{`full := sum(k.mac, message[:labelSize+atTag])`, `full := sum(k.mac, message[len(label)+atFamily+userKeySize:len(label)+atTag])`}, {`full := sum(key.mac, message[:labelSize+atTag])`, `full := sum(key.mac, message[len(label)+atFamily+userKeySize:len(label)+atTag])`}},
	},
	{
		rule: "the label is not under the MAC", pkg: "token", test: "token.TestGolden",
		edits: []edit{{`full := sum(k.mac, message[:labelSize+atTag])`, `full := sum(k.mac, message[len(label):len(label)+atTag])`}, {`full := sum(key.mac, message[:labelSize+atTag])`, `full := sum(key.mac, message[len(label):len(label)+atTag])`}},
	},
	{
		rule: "stray bits at the end are accepted", pkg: "token", test: "token.TestParseRefusesStrayTrailingBits",
		edits: []edit{{`base64.RawURLEncoding.Strict()`, `base64.RawURLEncoding`}},
	},
	{
		rule: "line breaks are accepted", pkg: "token", test: "token.TestParseRefusesLineBreaksInTheRightLength",
		edits: []edit{{`err != nil || n != size {`, `err != nil || n > size {`}},
	},
	{
		rule: "any version is accepted", pkg: "token", test: "token.TestParseSigned",
		edits: []edit{{`if raw[atVersion] != version || (counter == 0) != (label == codeLabel) {`, `if counter == 0 {`}},
	},
	{
		rule: "a counter of 0 is accepted", pkg: "token", test: "token.TestParseSigned",
		edits: []edit{{`if raw[atVersion] != version || (counter == 0) != (label == codeLabel) {`, `if raw[atVersion] != version {`}},
	},
	{
		rule: "a key mints before its time", pkg: "token", test: "token.TestMintChoosesTheKey",
		edits: []edit{{`!k.from.After(now)`, `!k.from.IsZero()`}},
	},
	{
		rule: "a token under a key that was replaced is forged", pkg: "token", test: "token.TestRotation",
		edits: []edit{{`return k.id == raw[atKey] })`, `return k.id == raw[atKey] && k.id == c.keys[len(c.keys)-1].id })`}},
	},
	{
		rule: "a token that was minted prints as it is", pkg: "token", test: "token.TestSecretsDoNotPrint",
		edits: []edit{{`func (e Encoded) String() string { return redactedToken }`, `func (e Encoded) String() string { return e.token }`}},
	},
	{
		rule: "a new MAC key mints at once", pkg: "keyring", test: "keyring.TestRotate",
		edits: []edit{{`Secret: newSecret(), From: now.Add(macLead)})`, `Secret: newSecret(), From: now})`}},
	},
	{
		rule: "a new signing key signs at once", pkg: "keyring", test: "keyring.TestRotate",
		edits: []edit{{`signing.GenerateKey(alg, now.Add(signingLead))`, `signing.GenerateKey(alg, now)`}},
	},
	{
		rule: "a signing key is withdrawn with its last token still living", pkg: "keyring", test: "keyring.TestRotate",
		edits: []edit{{`k.Until = stops.Add(longestAccessToken)`, `k.Until = stops`}},
	},
}}

var introspection = chapter{"Reading, introspection, explanation", []mutant{
	{
		rule: "a family is read eventually consistent", pkg: "store", test: "server.TestIntrospect",
		edits: []edit{{`Key: key, ConsistentRead: aws.Bool(true)})`, `Key: key})`}},
	},
	{
		rule: "a user's families are listed eventually consistent", pkg: "store", file: "userfamilies.go", test: "server.TestListFamilies",
		edits: []edit{{`ConsistentRead:            aws.Bool(true),`, `ConsistentRead:            aws.Bool(false),`}},
	},
	{
		rule: "the work list is read eventually consistent", pkg: "store", file: "worklist.go", test: "sweep.TestSweep",
		edits: []edit{{`ConsistentRead:            aws.Bool(true),`, `ConsistentRead:            aws.Bool(false),`}},
	},
	{
		rule: "a refresh token is active while its family lives", pkg: "oauth", test: "server.TestIntrospect",
		edits: []edit{{`if !v.Active() {`, `if v.Kind == family.Dead {`}},
	},
	{
		rule: "another client's refresh token is active", pkg: "oauth", test: "server.TestIntrospect",
		edits: []edit{{`ClientID: q.client.ID, JKT: f.JKT, Now: q.now})`, `ClientID: f.ClientID, JKT: f.JKT, Now: q.now})`}},
	},
	{
		rule: "an access token is active after its family's death", pkg: "session", test: "server.TestIntrospect",
		edits: []edit{{`f.ClientID != client.ID || f.DeathOnceBegun(&client.Policy, now) != ""`, `f.ClientID != client.ID`}},
	},
	{
		rule: "an access token lives by the policy of who asks", pkg: "oauth", test: "server.TestIntrospect",
		edits: []edit{{`a.LivingFamily(ctx, q.keys, access, owner, q.now)`, `a.LivingFamily(ctx, q.keys, access, &store.Client{ID: owner.ID, Policy: q.client.Policy}, q.now)`}},
	},
	{
		rule: "any confidential client may introspect access tokens", pkg: "oauth", test: "server.TestIntrospect",
		edits: []edit{{`access.ClientID != q.client.ID && !q.client.MayIntrospect {`, `access.ClientID == "" {`}},
	},
	{
		rule: "a superseded token is explained as one that was revoked for reuse", pkg: "family", test: "server.TestExplainValid",
		edits: []edit{{`Verdict: DeadToken, Cause: Superseded,
			Summary: fmt.Sprintf("This is token`, `Verdict: DeadToken, Cause: ReuseDetected,
			Summary: fmt.Sprintf("This is token`}},
	},
	{
		rule: "a forged token is explained as purged", pkg: "manage", test: "server.TestExplainCauses",
		edits: []edit{{`Verdict: family.DeadToken, Cause: family.NeverIssued,
			Summary: "We never`, `Verdict: family.DeadToken, Cause: family.Purged,
			Summary: "We never`}},
	},
	{
		rule: "a purged family is explained as never issued", pkg: "family", test: "server.TestExplainCauses",
		edits: []edit{{`Verdict: DeadToken, Cause: Purged,
			Summary: fmt.Sprintf("We`, `Verdict: DeadToken, Cause: NeverIssued,
			Summary: fmt.Sprintf("We`}},
	},
	{
		rule: "the interval that would have saved it is a second too short", pkg: "family", test: "server.TestExplainCauses",
		edits: []edit{{`return Seconds(age/time.Second) + 1 }`, `return Seconds(age / time.Second) }`}},
	},
	{
		rule: "the first token's return is advised upon like any other's", pkg: "family", test: "server.TestExplainCauses",
		edits: []edit{{`	case n == 1:
`, `	case n == 0:
`}},
	},
	{
		rule: "the asking client is not told apart", pkg: "manage", test: "server.TestExplainCauses",
		edits: []edit{{`	if clientID == "" {
		attempt.ClientID`, `	if attempt.ClientID != f.ClientID {
		attempt.ClientID`}},
	},
	{
		rule: "to explain reads the family twice", pkg: "manage", file: "familyshow.go", test: "server.TestExplainOneRead",
		edits: []edit{{`	f, err := a.Table.Family(ctx, id)
`, `	_, _ = a.Table.Family(ctx, id)
	f, err := a.Table.Family(ctx, id)
`}},
	},
}}

var diagnosis = chapter{"Diagnosis", []mutant{
	{
		rule: "a lost response is thought of although its successor was used", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`case n == pred && f.Held == f.Counter:`, `case n == pred && f.Held > f.Counter:`}},
	},
	{
		rule: "a token that was passed over is advised upon like the predecessor", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`	case n > pred:
		says`, `	case n > pred && p == nil:
		says`}, {`	case n == pred:
		says`, `	case n >= pred:
		says`}},
	},
	{
		rule: "until_used is recommended where it is set", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`if p.LostResponse != UntilUsed {`, `if p.LostResponse != "" {`}},
	},
	{
		rule: "an interval is recommended that is no longer than the present one", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`after < maxLostResponseAge && cover > p.ReuseInterval &&`, `after < maxLostResponseAge &&`}},
	},
	{
		rule: "an interval is recommended that is longer than any may be", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`after < maxLostResponseAge && cover > p.ReuseInterval && cover <= MaxReuseInterval`, `cover > p.ReuseInterval`}},
	},
	{
		rule: "the preset copies is recommended where its interval is set", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`p.ReuseInterval < copies && after < copies.Duration()`, `after < copies.Duration()`}},
	},
	{
		rule: "a higher limit is recommended where there is none", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`if p.MaxActive < MaxMaxActive {`, `if p.MaxActive <= MaxMaxActive {`}},
	},
	{
		rule: "a longer idle lifetime is recommended where there is none", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`if p.IdleLifetime < MaxLifetime {`, `if p.IdleLifetime <= MaxLifetime {`}},
	},
	{
		rule: "a longer absolute lifetime is recommended where there is none", pkg: "family", test: "family.TestAdvice",
		edits: []edit{{`	case p.AbsoluteLifetime < MaxLifetime:
		return`, `	case p.AbsoluteLifetime <= MaxLifetime:
		return`}},
	},
	{
		rule: "an access token is explained as malformed", pkg: "manage", test: "server.TestExplainWhatIsPasted",
		edits: []edit{{`case strings.Count(pasted, ".") == 2:`, `case strings.Count(pasted, ".") == 3:`}},
	},
	{
		rule: "an expired access token is not explained", pkg: "manage", test: "server.TestExplainWhatIsPasted",
		edits: []edit{{`now, (*signing.Set).VerifyExpired)`, `now, (*signing.Set).Verify)`}},
	},
	{
		rule: "a sid is not looked for among the user's families", pkg: "manage", test: "server.TestExplainWhatIsPasted",
		edits: []edit{{`case notSID == nil && q.userID != "":`, `case notSID == nil && q.userID == "none":`}},
	},
	{
		rule: "the interval that is set is recommended", pkg: "manage", test: "server.TestNoRecommendationOfWhatIsSet",
		edits: []edit{{`if best.ReuseInterval == present {`, `if best.ReuseInterval == 0 {`}},
	},
}}

var tokenEnds = chapter{"Ends", []mutant{
	{
		rule: "an access token outlives its family by a part of a second", pkg: "session", test: "server.TestAccessTokenEndsWithItsFamily",
		edits: []edit{{`	if end := f.ExpiresAt.Truncate(time.Second); end.Before(expires) {`, `	if end := now.Add(time.Duration(max(1, secondsUntil(f.ExpiresAt, now))) * time.Second); end.Before(expires) {`}},
	},
	{
		rule: "an access token outlives its family", pkg: "session", test: "server.TestAccessTokenEndsWithItsFamily",
		edits: []edit{{`	if f.ExpiresAt.IsZero() {
		return expires, expiresIn
	}
	if end`, `	if f.ExpiresAt.IsZero() || f.ID != (family.ID{}) {
		return expires, expiresIn
	}
	if end`}},
	},
	{
		rule: "expires_in is 0", pkg: "session", test: "server.TestAccessTokenEndsWithItsFamily",
		edits: []edit{{`max(1, min(expiresIn, secondsUntil(f.ExpiresAt, now)))`, `max(0, min(expiresIn, secondsUntil(f.ExpiresAt, now)))`}},
	},
	{
		rule: "expires_in is past the family's end", pkg: "session", test: "server.TestAccessTokenEndsWithItsFamily",
		edits: []edit{{`max(1, min(expiresIn, secondsUntil(f.ExpiresAt, now)))`, `max(1, min(expiresIn, 1+secondsUntil(f.ExpiresAt, now)))`}},
	},
	{
		rule: "refresh_token_timeout is past the absolute end", pkg: "session", test: "server.TestTokenAnswer",
		edits: []edit{{`		left := max(0, secondsUntil(f.End(p), now))
		e.RefreshTokenTimeout`, `		left := max(0, secondsUntil(f.IdleEnd(p), now))
		e.RefreshTokenTimeout`}},
	},
	{
		rule: "there is a refresh_token_timeout without an idle end", pkg: "session", test: "server.TestTokenAnswer",
		edits: []edit{{`	if p.IdleLifetime != 0 {
		left`, `	if !f.End(p).IsZero() {
		left`}},
	},
	{
		rule: "authorization_expires_in is the idle end", pkg: "session", test: "server.TestTokenAnswer",
		edits: []edit{{`		left := max(0, secondsUntil(f.ExpiresAt, now))
		e.AuthorizationExpiresIn`, `		left := max(0, secondsUntil(f.End(p), now))
		e.AuthorizationExpiresIn`}},
	},
	{
		rule: "introspection does not say when a refresh token ends", pkg: "oauth", test: "server.TestIntrospect",
		edits: []edit{{`	answer.Expirations = session.ExpirationsOf(f, p, q.now)
`, ``}},
	},
}}
