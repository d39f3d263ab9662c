package main

var assertions = chapter{"Assertions of other issuers", []mutant{
	{
		rule: "an issuer may sign by any algorithm", pkg: "assertion", test: "assertion.TestEveryAlgorithm",
		edits: []edit{{`if !slices.Contains(issuer.Algorithms, string(p.alg)) {`, `if len(issuer.Algorithms) == 0 {`}},
	},
	{
		rule: "a MAC by the public key is a signature", pkg: "assertion", test: "assertion.TestForged",
		edits: []edit{{`if !slices.Contains(k.algorithms, fields.Alg) {`, `if fields.Alg == "" {`}},
	},
	{
		rule: "a key signs by an algorithm that it is not for", pkg: "assertion", test: "assertion.TestEveryAlgorithm",
		edits: []edit{{`(k.Algorithm == "" || same(k.Algorithm, alg)) && `, ``}},
	},
	{
		rule: "an access token is an assertion", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`		return refused(WrongType)
`, `		return parse(strings.Replace(presented, parts[0], base64.RawURLEncoding.EncodeToString([]byte("{}")), 1), k)
`}},
	},
	{
		rule: "an access token whose header does not say so is an assertion", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`c.all["scp"]`, `c.all["scp "]`}},
	},
	{
		rule: "a logout token whose header does not say so is an assertion", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`c.all["events"]`, `c.all["events "]`}},
	},
	{
		rule: "a token of Cognito for any use is an assertion", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`used && use != "id"`, `used && use == ""`}},
	},
	{
		rule: "an assertion may bring its key", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`"jwk", "jku",`, `"jku",`}},
	},
	{
		rule: "an assertion may say where its key is", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`"jwk", "jku",`, `"jwk",`}},
	},
	{
		rule: "an assertion for somebody else is good", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`return slices.Contains(issuer.Audience, a) }`, `return a != "" }`}},
	},
	{
		rule: "an assertion without an end is good", pkg: "assertion", test: "assertion.TestRefused", file: "claims.go",
		edits: []edit{{`	case c.expiry == nil:
		return NoExpiry
`, `	case c.expiry == nil:
		return ""
`}},
	},
	{
		rule: "an expired assertion is good", pkg: "assertion", test: "assertion.TestRefused", file: "claims.go",
		edits: []edit{{`	case !now.Before(c.expiry.Time().Add(Skew)):`, `	case !now.Before(c.expiry.Time().Add(2*Skew)):`}},
	},
	{
		rule: "an old assertion is good while it has not expired", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`	case !now.Before(c.made.Time().Add(maxAge + Skew)):`, `	case !now.Before(c.made.Time().Add(maxAge + 2*Skew)):`}},
	},
	{
		rule: "an assertion of tomorrow is good today", pkg: "assertion", test: "assertion.TestRefused",
		edits: []edit{{`, c.made.Time().After(now.Add(Skew)):`, `:`}},
	},
	{
		rule: "nbf is not looked at", pkg: "assertion", test: "assertion.TestRefused", file: "claims.go",
		edits: []edit{{`case c.before != nil && c.before.Time().After(now.Add(Skew)), `, `case `}},
	},
	{
		rule: "two issuers share a user", pkg: "assertion", test: "assertion.TestEveryAlgorithm",
		edits: []edit{{`return i.UserPrefix + name, ""`, `return name, ""`}},
	},
	{
		rule: "an assertion has another name with its signature turned", pkg: "assertion", test: "assertion.TestDigestNamesTheAssertion",
		edits: []edit{{`sha256.Sum256([]byte(p.signingInput))`, `sha256.Sum256([]byte(presented))`}},
	},
	{
		rule: "an assertion has another name with stray bits", pkg: "assertion", test: "assertion.TestMalformed",
		edits: []edit{{`base64.RawURLEncoding.Strict().DecodeString(part)`, `base64.RawURLEncoding.DecodeString(part)`}},
	},
	{
		rule: "without a key id any key will do", pkg: "assertion", test: "assertion.TestKeyIDs",
		edits: []edit{{`	if kid == "" && len(fit) > 1 {`, `	if kid == "" && len(fit) > 99 {`}},
	},
	{
		rule: "the name of an assertion is forgotten while its age may still be raised", pkg: "assertion", test: "assertion.TestWhatAnAssertionSays",
		edits: []edit{{`c.made.Time().Add(MaxMaxAge.Duration())`, `c.made.Time().Add(DefaultMaxAge.Duration())`}},
	},
}}

var trustedKeys = chapter{"Keys of other issuers", []mutant{
	{
		rule: "a redirect leads to other keys", pkg: "outbound", test: "assertion.TestAnswersThatAreNoKeys",
		edits: []edit{{`return http.ErrUseLastResponse }`, `return nil }`}},
	},
	{
		rule: "a private address is connected to", pkg: "outbound", test: "assertion.TestPrivateAddressesAreNotConnectedTo",
		edits: []edit{{`dialer := &net.Dialer{Control: guard.Safe}`, `dialer := &net.Dialer{Control: orLoopback.Safe}
	_ = guard`}},
	},
	{
		rule: "a private address is accepted in the settings", pkg: "outbound", test: "assertion.TestCheckOfAddresses",
		edits: []edit{{`	case !local && refusesHost(u.Hostname()):`, `	case u.Host == "":`}},
	},
	{
		rule: "keys come by plain http", pkg: "outbound", test: "assertion.TestCheckOfAddresses",
		edits: []edit{{`(u.Scheme != "http" || !local)`, `u.Scheme != "http"`}},
	},
	{
		rule: "an answer may be of any length", pkg: "assertion", test: "assertion.TestAnswersThatAreNoKeys",
		edits: []edit{{`	case len(body) > maxSetSize:`, `	case len(body) > 2*maxSetSize:`}, {`io.LimitReader(resp.Body, maxSetSize+1)`, `io.LimitReader(resp.Body, 2*maxSetSize)`}},
	},
	{
		rule: "a fetch may take any time", pkg: "outbound", test: "assertion.TestSlowIssuer", hangs: true,
		edits: []edit{{`		Timeout: timeout,
`, ``}},
	},
	{
		rule: "an issuer that is down has no keys", pkg: "assertion", test: "assertion.TestIssuerThatIsDown",
		edits: []edit{{`	if len(fit) > 0 {
		return fit, nil
	}
	return nil, fmt.Errorf`, `	return nil, fmt.Errorf`}},
	},
	{
		rule: "the keys of an issuer that is down serve for ever", pkg: "assertion", test: "assertion.TestIssuerThatIsDown",
		edits: []edit{{`if s.keys != nil && age(now, s.fetchedAt) >= staleFor {`, `if s.keys != nil && age(now, s.fetchedAt) >= 24*staleFor {`}},
	},
	{
		rule: "a key that may be new is refused while the issuer is down", pkg: "assertion", test: "assertion.TestIssuerThatIsDown",
		edits: []edit{{`	if len(fit) > 0 {
		return fit, nil
	}
	return nil, fmt.Errorf`, `	if len(s.keys) > 0 {
		return fit, nil
	}
	return nil, fmt.Errorf`}},
	},
	{
		rule: "an issuer that fails is asked each time", pkg: "assertion", test: "assertion.TestIssuerThatIsDown",
		edits: []edit{{`	case s.err == nil || age(now, s.failedAt) >= failurePause:`, `	case s.err == nil || s.err != nil:`}, {`		case s.err != nil && age(now, s.failedAt) < failurePause:
			return s, s.err
`, ``}},
	},
	{
		rule: "a made-up key id causes a fetch each time", pkg: "assertion", test: "assertion.TestKeysAreCached",
		edits: []edit{{`(len(fit) > 0 || age(now, s.fetchedAt) < refetchPause)`, `len(fit) > 0`}, {`		case s.keys != nil && age(now, s.fetchedAt) < refetchPause:
			return s, nil
`, ``}},
	},
	{
		rule: "a new key is not known for ten minutes", pkg: "assertion", test: "assertion.TestKeysAreCached",
		edits: []edit{{`case fresh && (len(fit) > 0 || age(now, s.fetchedAt) < refetchPause):`, `case fresh:`}},
	},
	{
		rule: "each racer fetches", pkg: "assertion", test: "assertion.TestOneFetchForManyRacers",
		edits: []edit{{`c.fetching.DoChan(uri, func`, `new(singleflight.Group).DoChan(uri, func`}},
	},
	{
		rule: "a caller who gives up takes the keys from the others", pkg: "assertion", test: "assertion.TestOneFetchForManyRacers",
		edits: []edit{{`c.fetch(context.WithoutCancel(ctx), uri)`, `c.fetch(ctx, uri)`}},
	},
	{
		rule: "the cache of keys grows with the issuers", pkg: "assertion", test: "assertion.TestManyIssuers",
		edits: []edit{{`		c.dropOldest()
	}
	if err`, `	}
	if err`}},
	},
	{
		rule: "an assertion for somebody else causes a fetch", pkg: "assertion", test: "assertion.TestNoFetchForWhatCannotBeGood",
		edits: []edit{{`		return refuse(WrongAudience)
`, `		_, _ = v.signedBy(ctx, issuer, p, now)
		return refuse(WrongAudience)
`}},
	},
	{
		rule: "one key of an unknown kind spoils a set", pkg: "assertion", test: "assertion.TestKeysOfOtherKinds",
		edits: []edit{{`		if k, err := parseKey(data); err == nil {
			keys = append(keys, *k)
		}
`, `		k, err := parseKey(data)
		if err != nil {
			return nil, err
		}
		keys = append(keys, *k)
`}},
	},
}}

var trustSettings = chapter{"Whom a client trusts", []mutant{
	{
		rule: "a client's issuers are not stored", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`		":trusted_issuers":  text(issuers),`, `		":trusted_issuers":  text(issuers[:0]),`}},
	},
	{
		rule: "a private key is accepted", pkg: "assertion", test: "assertion.TestKeySetsByHand",
		edits: []edit{{`			return nil, errPrivate
`, `			delete(members, secret)
`}},
	},
	{
		rule: "a private key in the wrong place is repeated", pkg: "manage", test: "server.TestPrivateKeysAreNotRepeated",
		edits: []edit{{`		if mayBeSecret(field) {
			shown = ""
		}
`, ``}},
	},
	{
		rule: "a weak key is accepted", pkg: "assertion", test: "assertion.TestKeySetsByHand",
		edits: []edit{{`k.N.BitLen() >= minRSABits && `, ``}},
	},
	{
		rule: "one issuer's prefix may begin another's", pkg: "assertion", test: "assertion.TestCheckOfTwoIssuers",
		edits: []edit{{`case strings.HasPrefix(other.UserPrefix, i.UserPrefix) || strings.HasPrefix(i.UserPrefix, other.UserPrefix):`, `case other.UserPrefix == i.UserPrefix:`}},
	},
	{
		rule: "of two issuers one may be without a prefix", pkg: "assertion", test: "assertion.TestCheckOfTwoIssuers",
		edits: []edit{{`if i.UserPrefix == "" && len(issuers) > 1 {`, `if i.UserPrefix == "" && len(issuers) > 99 {`}, {`		case strings.HasPrefix(other.UserPrefix, i.UserPrefix) ||`, `		case i.UserPrefix != "" && strings.HasPrefix(other.UserPrefix, i.UserPrefix) || other.UserPrefix != "" &&`}},
	},
	{
		rule: "the service trusts itself", pkg: "manage", test: "server.TestTrustedIssuersAreRefused",
		edits: []edit{{`		if i.Issuer == a.Issuer {
`, `		if i.Issuer == "" {
`}},
	},
	{
		rule: "bare users are not warned of", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(i.UserPrefix == "", fmt`, `add(i.UserPrefix == "?", fmt`}},
	},
	{
		rule: "users by address are not warned of", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(i.Reassignable(), fmt`, `add(i.UserClaim == "", fmt`}},
	},
	{
		rule: "wider trust leaves no trace", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`	add(audit.TrustWidened, assertion.Widens(before.TrustedIssuers, put.TrustedIssuers))
`, `	_ = assertion.Widens
`}},
	},
	{
		rule: "saving a policy in the console takes the trusted issuers away", pkg: "console", test: "console.TestPolicyRoundTrip",
		edits: []edit{{`		TrustedIssuers: c.TrustedIssuers,
`, ``}},
	},
	{
		rule: "a file of clients leaves trusted issuers out", pkg: "command", test: "command.TestApplyTrustedIssuers",
		file: "clientfile.go", edits: []edit{{`		TrustedIssuers: c.TrustedIssuers, AcceptsImported: c.AcceptsImported.TokenShape, Adopt: c.Adopt,
		JWKSURI: c.JWKSURI, JWKS: c.JWKS,
	}
	members`, `		AcceptsImported: c.AcceptsImported.TokenShape, Adopt: c.Adopt,
	}
	members`}},
	},
}}

var assertionDoor = chapter{"A family by an assertion", []mutant{
	{
		rule: "a used assertion is forgotten before it is refused for its age", pkg: "session", test: "server.TestAssertionAgain",
		edits: []edit{{`Until: said.UsableUntil}`, `Until: u.Now.Add(time.Minute)}`}},
	},
	{
		rule: "a client that nobody bounds asks for any scope", pkg: "session", test: "server.TestAssertionRequests",
		edits: []edit{{`return !slices.Contains(u.Client.Scope, s) }) {`, `return len(u.Client.Bound([]string{s})) == 0 }) {`}},
	},
	{
		rule: "an assertion gets a token for the resource of others", pkg: "session", test: "server.TestAssertionRequests",
		edits: []edit{{`	if !f.IsFor(u.Resource, e.Issuer) {`, `	if f == nil {`}},
	},
	{
		rule: "an assertion whose write was applied, but whose answer was lost, is used", pkg: "session", test: "server.TestLostAnswerOfAStrictAssertion",
		edits: []edit{{`first.existing == nil || first.existing.Family == f.ID {`, `first.existing == nil {`}},
	},
	{
		rule: "a retry with an assertion is refused", pkg: "session", test: "server.TestAssertionAgain",
		edits: []edit{{`	f.RotatedAt = u.Now // from number 0
`, ``}},
	},
	{
		rule: "a retry with an assertion starts another family", pkg: "session", test: "server.TestAssertionAgain",
		edits: []edit{{`string(said.Digest[:])`, `u.From.RequestID`}},
	},
	{
		rule: "an issuer that does not answer is a bad assertion", pkg: "session", test: "server.TestIssuerDoesNotAnswer",
		edits: []edit{{`	if err != nil {
		return nil, err
	}
	if said.MadeAt`, `	if err != nil {
		return nil, ErrDeadToken
	}
	if said.MadeAt`}},
	},
	{
		rule: "a client that trusts nobody is told that the assertion is bad", pkg: "oauth", test: "server.TestAssertionWithoutTrust",
		edits: []edit{{`if len(q.client.TrustedIssuers) == 0 {`, `if q.client == nil {`}},
	},
	{
		rule: "the log does not say what is wrong with an assertion", pkg: "session", test: "server.TestAssertionRefused",
		edits: []edit{{`event.Cause, event.Reason, event.Issuer = audit.InvalidAssertion, string(bad.Reason), bad.Issuer`, `event.Cause, event.Issuer = audit.InvalidAssertion, bad.Issuer`}},
	},
	{
		rule: "an issuer fills a record with its acr", pkg: "session", test: "server.TestAssertion",
		edits: []edit{{`	if len(said.ACR) <= MaxACR {`, `	if len(said.ACR) > 0 {`}},
	},
	{
		rule: "the first address of a family by an assertion is not kept", pkg: "session", test: "server.TestAssertion",
		edits: []edit{{`	f.LastIP, f.LastUserAgent = u.From.IP, u.From.UserAgent
	f.AuthTime`, `	f.AuthTime`}},
	},
	{
		rule: "an actor acts for anybody", pkg: "oauth", test: "server.TestTokenExchange",
		edits: []edit{{`	case q.params.get("actor_token") != "":`, `	case q.params.get("actor_token") == "?":`}},
	},
	{
		rule: "a token exchange takes any type of token", pkg: "oauth", test: "server.TestTokenExchange",
		edits: []edit{{`	case kind != typeID && kind != typeJWT:`, `	case kind == "":`}},
	},
	{
		rule: "exchanged assertions are not counted", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`		count(MetricAssertion)
`, ``}},
	},
	{
		rule: "an assertion is explained to a client that does not trust its issuer", pkg: "assertion", test: "server.TestExplainAssertion",
		edits: []edit{{`	if i < 0 {
		return nil, false
	}`, `	if i < 0 {
		return &Assertion{Issuer: p.claims.issuer}, true
	}`}},
	},
	{
		rule: "the explanation of an assertion is that of its family's newest token", pkg: "manage", test: "server.TestExplainAssertion",
		edits: []edit{{`a.explainCounter(ctx, id, &presentedToken{origin: family.Assertion}, clientID, now)`, `a.explainNewest(ctx, id, clientID, now)`}},
	},
	{
		rule: "an assertion from before a client's not_before logs in", pkg: "session", test: "server.TestAssertionBeforeNotBefore",
		edits: []edit{{`if said.MadeAt.Before(u.Client.Policy.NotBefore) {`, `if said.MadeAt.IsZero() {`}},
	},
}}
