package main

var signatures = chapter{"Signing", []mutant{
	{
		rule: "a revoked signing key is published and verifies", pkg: "signing", test: "signing.TestRevokedKey",
		edits: []edit{{`		if checked.Revoked.IsZero() {
`, `		if checked.Revoked.IsZero() || checked.From.IsZero() == checked.Revoked.IsZero() {
`}},
	},
	{
		rule: "a revoked signing key is taken for one that may be newer", pkg: "signing", test: "signing.TestRevokedKey",
		edits: []edit{{`		s.ids[k.JWK.KeyID] = true
`, `		s.ids[k.JWK.KeyID] = checked.Revoked.IsZero()
`}},
	},
	{
		rule: "a signing key that is retired is good again", pkg: "signing", test: "signing.TestRevokedKey",
		edits: []edit{{`Until: until, Revoked: k.Revoked}`, `Until: until}`}},
	},
	{
		rule: "a token of another issuer is taken for one of a newer key", pkg: "signing", test: "signing.TestUnknownKey",
		edits: []edit{{`	a, err := readAccess(payload)
	if err != nil {
		return Access{}, refused("claims: %w", err)
	}
`, `	a, err := readAccess(payload)
	if unknown != nil {
		return a, unknown
	}
	if err != nil {
		return Access{}, refused("claims: %w", err)
	}
`}},
	},
	{
		rule: "a token that has expired is taken for one of a newer key", pkg: "signing", test: "signing.TestUnknownKey",
		edits: []edit{{`if err != nil && !errors.Is(err, ErrUnknownKey) {`, `if err != nil {`}},
	},
	{
		rule: "what an unknown key has signed is believed", pkg: "signing", test: "signing.TestUnknownKey",
		edits: []edit{{`	return a, unknown
`, `	return a, nil
`}},
	},
	{
		rule: "the header of a token chooses the algorithm", pkg: "signing", test: "signing.TestVerifyRefusesOtherAlgorithms",
		edits: []edit{{`	case header.Algorithm != key.Algorithm: // RFC 8725 §3.1
		return nil, refused("its algorithm is not that of its key")
`, ``}, {`jose.RS256, jose.ES256})`, `jose.RS256, jose.ES256, jose.PS256, jose.RS512})`}},
	},
	{
		rule: "an id token is taken for an access token", pkg: "signing", test: "signing.TestVerifyType",
		edits: []edit{{`if !strings.EqualFold(typ, wanted) && !strings.EqualFold(typ, "application/"+wanted) {`, `if typ == "" {`}},
	},
	{
		rule: "an access token has two spellings", pkg: "signing", test: "signing.TestVerifyRefusesTampering",
		edits: []edit{{`		_, err := base64.RawURLEncoding.Strict().DecodeString(part)`, `		_, err := base64.RawURLEncoding.DecodeString(part)`}},
	},
	{
		rule: "an access token of another issuer is ours", pkg: "signing", test: "signing.TestVerifyClaims",
		edits: []edit{{`if a.Issuer != issuer {`, `if a.Issuer == "" {`}},
	},
	{
		rule: "at the second of its end an access token is good", pkg: "signing", test: "signing.TestVerifyExpiry",
		edits: []edit{{`if !a.ExpiresAt.After(now) {`, `if a.ExpiresAt.Before(now) {`}},
	},
	{
		rule: "an access token lives for ever", pkg: "signing", test: "signing.TestVerifyExpiry",
		edits: []edit{{`if !a.ExpiresAt.After(now) {`, `if a.ExpiresAt.IsZero() {`}},
	},
	{
		rule: "a key that is no longer published verifies", pkg: "signing", test: "signing.TestVerifyRetiredKey",
		edits: []edit{{`key, ok := s.publicationAt(now).keys[header.KeyID]`, `key, ok := s.publications[0].keys[header.KeyID]`}},
	},
	{
		rule: "a key that is yet to sign is not published", pkg: "signing", test: "signing.TestJWKS",
		edits: []edit{{`if !k.Until.IsZero() && (p.end`, `if i := len(ends); i > 0 && k.From.After(ends[i-1]) || !k.Until.IsZero() && (p.end`}},
	},
	{
		rule: "a key is published past its end", pkg: "signing", test: "signing.TestJWKS",
		edits: []edit{{`if now.Before(s.publications[i].end) {`, `if !now.After(s.publications[i].end) {`}},
	},
	{
		rule: "the private half of a key is published", pkg: "signing", test: "signing.TestJWKS",
		edits: []edit{{`public := k.JWK.Public()`, `public := k.JWK`}},
	},
	{
		rule: "who asks for the key set can change it", pkg: "signing", test: "signing.TestJWKS",
		edits: []edit{{`return bytes.Clone(s.publicationAt(now).jwks)`, `return bytes.TrimSpace(s.publicationAt(now).jwks)`}},
	},
	{
		rule: "a new key signs before its time", pkg: "signing", test: "signing.TestKeyChoice",
		edits: []edit{{`if chosen == nil || !candidate.key.From.After(now) {`, `if chosen == nil || !candidate.key.From.IsZero() {`}},
	},
	{
		rule: "a key signs what nobody can verify", pkg: "signing", test: "signing.TestSignPastEveryEnd",
		edits: []edit{{`		if !candidate.key.publishedAt(now) {
			continue
		}
`, ``}},
	},
	{
		rule: "a custom claim replaces one of ours", pkg: "signing", test: "signing.TestCustomClaimsCannotOverride",
		edits: []edit{{`if strings.EqualFold(name, reserved) {`, `if strings.EqualFold(name, reserved) && name == "nbf" {`}},
	},
	{
		rule: "a claim that is reserved is free in capitals", pkg: "signing", test: "signing.TestCustomClaimsCannotOverride",
		edits: []edit{{`if strings.EqualFold(name, reserved) {`, `if strings.EqualFold(name, reserved) && name == reserved {`}},
	},
	{
		rule: "all access tokens have one jti", pkg: "signing", test: "signing.TestSignAccessAgainstStandardLibrary",
		edits: []edit{{`	_, _ = rand.Read(id[:]) // never returns an error
`, `	_, _ = rand.Read(nil) // never returns an error
`}},
	},
	{
		rule: "an access token without an audience is signed", pkg: "signing", file: "access.go", test: "signing.TestSignAccessRequires",
		edits: []edit{{`claim{"aud", a.Audience.present()},`, `claim{"aud", true},`}},
	},
	{
		rule: "an id token without a subject is signed", pkg: "signing", test: "signing.TestSignIDRequires",
		edits: []edit{{`claim{"sub", i.Subject != ""}, claim{"aud", i.ClientID != ""},
`, `claim{"sub", true}, claim{"aud", i.ClientID != ""},
`}},
	},
	{
		rule: "an id token is signed as an access token", pkg: "signing", test: "signing.TestSignID",
		edits: []edit{{`sign(key.id, claims{`, `sign(key.access, claims{`}},
	},
	{
		rule: "an RSA key of 1024 bits is taken", pkg: "signing", test: "signing.TestNewSetRefuses",
		edits: []edit{{`case public.N.BitLen() < rsaBits:`, `case public.N.BitLen() < rsaBits/2:`}},
	},
	{
		rule: "a key whose halves do not belong together is taken", pkg: "signing", test: "signing.TestNewSetRefuses",
		edits: []edit{{`if err != nil || !private.PublicKey.Equal(&m.PublicKey) {`, `if err != nil {`}},
	},
	{
		rule: "a key's id is any number", pkg: "signing", test: "signing.TestGenerateKey",
		edits: []edit{{`base64.RawURLEncoding.EncodeToString(thumbprint[:sha256.Size])`, `base64.RawURLEncoding.EncodeToString(thumbprint[:sha256.Size/2])`}},
	},
	{
		rule: "a signing key prints its private half", pkg: "signing", test: "signing.TestRedaction",
		edits: []edit{{`	_, _ = io.WriteString(f, k.String())
`, `	_, _ = io.WriteString(f, fmt.Sprintf("%+v", k.JWK.Key))
`}},
	},
}}
