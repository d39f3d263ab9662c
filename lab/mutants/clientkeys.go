package main

var clientKeys = chapter{"Clients that authenticate by a key", []mutant{
	{
		rule: "a client authenticates by an assertion about another", pkg: "assertion", test: "assertion.TestClientRefused",
		edits: []edit{{`!ok || subject != p.claims.issuer {`, `!ok || subject == "" {`}},
	},
	{
		rule: "a client's assertion may also be for others", pkg: "assertion", test: "assertion.TestClientRefused",
		edits: []edit{{`slices.ContainsFunc(p.claims.audience, isOther) {`, `isOther(p.claims.audience[0]) {`}},
	},
	{
		rule: "a client's assertion may be for nobody", pkg: "assertion", test: "assertion.TestClientRefused",
		edits: []edit{{`len(p.claims.audience) == 0 || `, ``}},
	},
	{
		rule: "a client's assertion needs no end", pkg: "assertion", test: "assertion.TestClientRefused", file: "client.go",
		edits: []edit{{`	case c.expiry == nil:
		return NoExpiry
`, `	case c.expiry == nil:
		return ""
`}},
	},
	{
		rule: "a client's assertion lives for ever", pkg: "assertion", test: "assertion.TestClientRefused",
		edits: []edit{{`	case c.expiry.Time().After(now.Add(MaxClientLifetime + Skew)):
		return ExpiresTooLate
`, ``}},
	},
	{
		rule: "a client's assertion outlives its end", pkg: "assertion", test: "assertion.TestClientRefused", file: "client.go",
		edits: []edit{{`	case !now.Before(c.expiry.Time().Add(Skew)):`, `	case !now.Before(c.expiry.Time().Add(2*Skew)):`}},
	},
	{
		rule: "a client's assertion of tomorrow is good today", pkg: "assertion", test: "assertion.TestClientRefused", file: "client.go",
		edits: []edit{{`, c.made != nil && c.made.Time().After(now.Add(Skew)):`, `:`}},
	},
	{
		rule: "the nbf of a client's assertion is not looked at", pkg: "assertion", test: "assertion.TestClientRefused", file: "client.go",
		edits: []edit{{`case c.before != nil && c.before.Time().After(now.Add(Skew)), `, `case `}},
	},
	{
		rule: "a client's assertion must say when it was made", pkg: "assertion", test: "assertion.TestClientRefused", file: "client.go",
		edits: []edit{{`c.made != nil && c.made.Time()`, `c.made == nil || c.made.Time()`}},
	},
	{
		rule: "a client may not name the type of its assertion", pkg: "assertion", test: "assertion.TestClientRefused",
		edits: []edit{{`"client-authentication+jwt", `, ``}},
	},
	{
		rule: "a client's assertion starts a family", pkg: "assertion", test: "assertion.TestOfOneKindOnly",
		edits: []edit{{`	p, err := parse(presented, &ofIssuers)
	if err != nil {
		return nil, err
	}`, `	p, err := parse(presented, &ofClients)
	if err != nil {
		return nil, err
	}`}},
	},
	{
		rule: "any signature by Ed25519 is good", pkg: "assertion", test: "assertion.TestClientAlgorithms",
		edits: []edit{{`		return ed25519.Verify(k, []byte(p.signingInput), p.signature)
`, `		return ed25519.Verify(k, []byte(p.signingInput), p.signature) || len(p.signature) == ed25519.SignatureSize
`}},
	},
	{
		rule: "Ed25519 has one name", pkg: "assertion", test: "assertion.TestClientAlgorithms",
		edits: []edit{{`return name == string(alg) || isEd25519`, `return name == string(alg) || name == "" && isEd25519`}},
	},
	{
		rule: "a client's signature is not verified", pkg: "oauth", test: "server.TestClientAssertionRefused",
		edits: []edit{{`		return client, assertionError(a.Assertions.VerifyClient(ctx, said, client.Keys, names, now))
`, `		_ = names
		return client, nil
`}},
	},
	{
		rule: "a client authenticates as another that the body names", pkg: "oauth", test: "server.TestClientAssertionRefused",
		edits: []edit{{`	case said != nil && said.ClientID != c.id:
		return client, authenticationFailed("other_client_id")
`, ``}},
	},
	{
		rule: "a public client authenticates by any assertion", pkg: "oauth", test: "server.TestClientAssertionRefused",
		edits: []edit{{`	case !client.Confidential && c.assertion != "":
		return client, authenticationFailed("needless_assertion")
`, ``}},
	},
	{
		rule: "an assertion for one endpoint is good at the others", pkg: "oauth", test: "server.TestPrivateKeyJWT",
		edits: []edit{{`a.Issuer + tokenPath, endpoint}`, `a.Issuer + tokenPath, endpoint, a.Issuer + "/oauth/revoke", a.Issuer + "/oauth/introspect"}`}},
	},
	{
		rule: "an assertion for the token endpoint is good there alone", pkg: "oauth", test: "server.TestPrivateKeyJWT",
		edits: []edit{{`[]string{a.Issuer, a.Issuer + tokenPath, endpoint}`, `[]string{a.Issuer, endpoint}`}},
	},
	{
		rule: "a client whose keys cannot be fetched is refused", pkg: "oauth", test: "server.TestClientKeysUnavailable",
		edits: []edit{{`		return authenticationFailed("assertion_" + string(bad.Reason))
	}
	return err
`, `		return authenticationFailed("assertion_" + string(bad.Reason))
	}
	if err != nil {
		return authenticationFailed("assertion_unknown_key")
	}
	return nil
`}},
	},
	{
		rule: "a client authenticates by a secret and a key at once", pkg: "oauth", test: "server.TestOneWayToAuthenticate",
		edits: []edit{{`	if alsoByHeader || p.get("client_secret") != "" {`, `	if alsoByHeader {`}},
	},
	{
		rule: "a client authenticates by a header and a key at once", pkg: "oauth", test: "server.TestOneWayToAuthenticate",
		edits: []edit{{`	if alsoByHeader || p.get("client_secret") != "" {`, `	if p.get("client_secret") != "" {`}},
	},
	{
		rule: "an assertion of any type is a JWT", pkg: "oauth", test: "server.TestOneWayToAuthenticate",
		edits: []edit{{`	if kind != assertionType {`, `	if kind == "" {`}},
	},
	{
		rule: "client_assertion may repeat", pkg: "oauth", test: "server.TestOneWayToAuthenticate",
		edits: []edit{{`"client_assertion", "client_assertion_type", "token"`, `"client_assertion_type", "token"`}},
	},
	{
		rule: "a public client has keys", pkg: "manage", test: "server.TestClientKeysAreRefused",
		edits: []edit{{`if body.clientType == "public" && keys.Any() {`, `if body.clientType == "" && keys.Any() {`}},
	},
	{
		rule: "the keys of a client may be at any address", pkg: "manage", test: "server.TestClientKeysAreRefused",
		edits: []edit{{`	in.errs = append(in.errs, a.Assertions.CheckKeys(keys)...)
`, ``}},
	},
	{
		rule: "the keys of a client are not kept", pkg: "store", test: "server.TestClientKeysOnRecord",
		edits: []edit{{`		":client_keys":      text(keys),`, `		":client_keys":      text(keys[:0]),`}},
	},
	{
		rule: "a new key of a client leaves no trace", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`	add(audit.KeyAdded, put.Keys.Widens(before.Keys))
`, ``}},
	},
	{
		rule: "a new key of a client alarms nobody", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`case SecretAdded, KeyAdded:`, `case SecretAdded:`}},
	},
	{
		rule: "saving a policy in the console takes the keys away", pkg: "console", test: "console.TestPolicyRoundTrip",
		edits: []edit{{`		JWKSURI:        c.JWKSURI, JWKS: c.JWKS,
`, ``}},
	},
	{
		rule: "a file of clients leaves the keys out", pkg: "command", test: "command.TestApplyKeys", file: "clientfile.go",
		edits: []edit{{`		JWKSURI: c.JWKSURI, JWKS: c.JWKS,
	}
	members`, `	}
	members`}},
	},
	{
		rule: "nobody is warned of a key in a file", pkg: "command", test: "command.TestApplyKeys",
		edits: []edit{{`	add(addsKeys(before, after), "jwks",`, `	add(false && addsKeys(before, after), "jwks",`}},
	},
}}
