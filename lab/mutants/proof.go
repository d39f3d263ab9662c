package main

var proofs = chapter{"Proofs of the possession of a key", []mutant{
	{
		rule: "of two proofs one is checked", pkg: "proof", test: "proof.TestHeaders",
		edits: []edit{{`len(headers) > 1 || `, ``}},
	},
	{
		rule: "of two proofs that a gateway joined one is checked", pkg: "proof", test: "proof.TestHeaders",
		edits: []edit{{`strings.Contains(headers[0], ",")`, `strings.Contains(headers[0], ";")`}},
	},
	{
		rule: "a proof may be of any length", pkg: "proof", test: "proof.TestSize",
		edits: []edit{{`	if len(presented) > maxSize {`, `	if len(presented) > 16*maxSize {`}},
	},
	{
		rule: "a proof of the greatest length is refused", pkg: "proof", test: "proof.TestSize",
		edits: []edit{{`	if len(presented) > maxSize {`, `	if len(presented) >= maxSize {`}},
	},
	{
		rule: "the parameters of a header field may be of any length", pkg: "proof", test: "proof.TestResponseHeader",
		edits: []edit{{`len(headers) == 1 && len(headers[0]) > maxSize`, `len(headers) == 1 && len(headers[0]) > 16*maxSize`}},
	},
	{
		rule: "a proof may have stray bits", pkg: "proof", test: "proof.TestMalformed",
		edits: []edit{{`base64.RawURLEncoding.Strict()`, `base64.RawURLEncoding`}},
	},
	{
		rule: "a proof may have line breaks", pkg: "proof", test: "proof.TestMalformed",
		edits: []edit{{` && !strings.ContainsAny(s, "\r\n")`, ``}},
	},
	{
		rule: "a proof may be something else than UTF-8", pkg: "proof", test: "proof.TestMalformed",
		edits: []edit{{`!ok || i < 2 && !utf8.Valid(decoded)`, `!ok || i > 2 && !utf8.Valid(decoded)`}},
	},
	{
		rule: "any signed JWT is a proof", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`!isType(h.Typ, typ)`, `h.Typ == ""`}},
	},
	{
		rule: "the type of a proof may not be written out", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`typ = typ[len(prefix):]`, `typ = typ[1:]`}},
	},
	{
		rule: "the type of a proof is compared with regard to case", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`len(typ) == len(want) && strings.EqualFold(typ, want)`, `typ == want`}},
	},
	{
		rule: "a type that folds to a proof's is one", pkg: "proof", test: "proof.TestRegistrationRefused",
		edits: []edit{{`len(typ) == len(want) && strings.EqualFold(typ, want)`, `strings.EqualFold(typ, want)`}},
	},
	{
		rule: "a device proves its key by any algorithm", pkg: "proof", test: "proof.TestRegistrationRefused",
		edits: []edit{{`parse(presented, "dbsc+jwt", deviceAlgorithms)`, `parse(presented, "dbsc+jwt", dpopAlgorithms)`}},
	},
	{
		rule: "a proof may have critical extensions", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`h.Crit != nil || `, ``}},
	},
	{
		rule: "a proof may say that its payload is not encoded", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`h.B64 != nil || `, ``}},
	},
	{
		rule: "a proof may say where its key is", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`h.JKU != nil || `, ``}},
	},
	{
		rule: "a proof may say where its certificate is", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`h.X5U != nil || `, ``}},
	},
	{
		rule: "a proof may bring a certificate", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || h.X5C != nil`, ``}},
	},
	{
		rule: "a proof's key may have a certificate", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.X5C != nil || `, ``}},
	},
	{
		rule: "a proof's key may say where its certificate is", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || k.X5U != nil`, ``}},
	},
	{
		rule: "a proof may bring a shared secret", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.K != nil || `, ``}},
	},
	{
		rule: "a proof may bring the private half of its key", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.D != nil || `, ``}},
	},
	{
		rule: "a proof may bring a prime of its key", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.P != nil || `, ``}},
	},
	{
		rule: "a proof may bring the other prime of its key", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.Q != nil || `, ``}},
	},
	{
		rule: "a proof may bring more primes of its key", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.Oth != nil || `, ``}},
	},
	{
		rule: "a proof may bring a factor's exponent", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.DP != nil || `, ``}},
	},
	{
		rule: "a proof may bring the other factor's exponent", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.DQ != nil || `, ``}},
	},
	{
		rule: "a proof may bring the coefficient of its key", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.QI != nil || `, ``}},
	},
	{
		rule: "a proof may bring the seed of its key", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || k.Priv != nil`, ``}},
	},
	{
		rule: "a key may be any point", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, MalformedKey
	}
	return key, ""`, `	_, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	key := &ecdsa.PublicKey{Curve: curve, X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	if err != nil && len(x) == 0 {
		return nil, MalformedKey
	}
	return key, ""`}},
	},
	{
		rule: "the length of a coordinate is not looked at", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || len(x) != size || len(y) != size`, ` || len(x)+len(y) != 2*size`}},
	},
	{
		rule: "an Ed25519 key may be a key for agreement", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || k.Crv != "Ed25519"`, ``}},
	},
	{
		rule: "a modulus may have several spellings", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`n[0] == 0 || `, ``}},
	},
	{
		rule: "an exponent may have several spellings", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || e[0] == 0`, ``}},
	},
	{
		rule: "an exponent is cut", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`len(e) > 4`, `len(e) > 9`}},
	},
	{
		rule: "an RSA key may be weak", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`minRSABits = 2048`, `minRSABits = 1024`}},
	},
	{
		rule: "an RSA key may be of any length", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`maxRSABits = 4096`, `maxRSABits = 8192`}},
	},
	{
		rule: "an RSA key of the greatest length is refused", pkg: "proof", test: "proof.TestDevice",
		edits: []edit{{`bits > maxRSABits`, `bits >= maxRSABits`}},
	},
	{
		rule: "an RSA key may have a trivial exponent", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.E < 3`, `k.E < 1`}},
	},
	{
		rule: "a modulus may be even", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.N.Bit(0) == 0 || `, ``}},
	},
	{
		rule: "an exponent may be even", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || k.E%2 == 0`, ``}},
	},
	{
		rule: "an exponent may be larger than those that verify", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`k.E > math.MaxInt32`, `k.E > math.MaxInt64-1`}},
	},
	{
		rule: "a key proves itself by an algorithm that it is not for", pkg: "proof", test: "proof.TestEveryAlgorithm",
		edits: []edit{{`		if !signs(s.key, h.Alg) {
			return nil, WrongAlgorithm
		}
`, ``}},
	},
	{
		rule: "a key proves itself by the algorithm of another curve", pkg: "proof", test: "proof.TestEveryAlgorithm",
		edits: []edit{{`alg == jose.ES384 && k.Curve == elliptic.P384()`, `alg == jose.ES384`}},
	},
	{
		rule: "a device's key proves itself by an algorithm that it is not for", pkg: "proof", test: "proof.TestRenewalRefused",
		edits: []edit{{`	if !signs(key.key, s.alg) {`, `	if key.key == nil {`}},
	},
	{
		rule: "the signature is not looked at", pkg: "proof", test: "proof.TestForged",
		edits: []edit{{`	if !s.isBy(key) {`, `	if len(s.signature) == 0 {`}},
	},
	{
		rule: "a signature may be cut or longer", pkg: "proof", test: "proof.TestForged",
		edits: []edit{{`		if len(s.signature) != 2*size {`, `		if len(s.signature) < size {`}},
	},
	{
		rule: "a salt may have any length", pkg: "proof", test: "proof.TestForged",
		edits: []edit{{`&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}`, `nil`}},
	},
	{
		rule: "the claims are looked at before the signature", pkg: "proof", test: "proof.TestForged",
		edits: []edit{{`	var claims dpopClaims
`, `	var claims dpopClaims
	if json.Unmarshal(s.payload, &claims) == nil && claims.Nonce == "" {
		return Thumbprint{}, refused(NoNonce)
	}
`}, {`	"github.com/go-jose/go-jose/v4/jwt"
`, `	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
`}},
	},
	{
		rule: "a proof needs no nonce", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	case !want.Nonce(c.Nonce):`, `	case c.Nonce != "" && !want.Nonce(c.Nonce):`}, {`	case c.Nonce == "":
		return NoNonce
`, ``}},
	},
	{
		rule: "a proof may have any nonce", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	case !want.Nonce(c.Nonce):
		return StaleNonce
`, ``}},
	},
	{
		rule: "the nonce is looked at last", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	case c.Nonce == "":
		return NoNonce
`, ``}, {`		return WrongAccessToken
	}
`, `		return WrongAccessToken
	case c.Nonce == "":
		return NoNonce
	}
`}},
	},
	{
		rule: "a client with a stale nonce is not told that it needs one", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{` || e.Reason == StaleNonce`, ``}},
	},
	{
		rule: "a client without a nonce is not told that it needs one", pkg: "proof", test: "proof.TestRFC9449",
		edits: []edit{{`e.Reason == NoNonce || `, ``}},
	},
	{
		rule: "a proof for another method is good", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	case c.HTM != want.Method:`, `	case c.HTM == "":`}},
	},
	{
		rule: "methods are compared without regard to case", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	case c.HTM != want.Method:`, `	case !strings.EqualFold(c.HTM, want.Method):`}},
	},
	{
		rule: "a proof for another URL is good", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	case !sameURL(c.HTU, want.URL):`, `	case !sameURL(c.HTU, c.HTU):`}},
	},
	{
		rule: "a proof needs no jti", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`	case c.JTI == "":
		return NoJTI
	case len`, `	case len`}},
	},
	{
		rule: "a jti may be of any length", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`maxJTI = 256`, `maxJTI = 512`}},
	},
	{
		rule: "a jti of the greatest length is refused", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`len(c.JTI) > maxJTI`, `len(c.JTI) >= maxJTI`}},
	},
	{
		rule: "a proof of last week is good", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`want.Now.Sub(c.IAT.Time()).Abs() > maxAge`, `c.IAT.Time().Sub(want.Now) > maxAge`}},
	},
	{
		rule: "a proof of next week is good", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`want.Now.Sub(c.IAT.Time()).Abs() > maxAge`, `want.Now.Sub(c.IAT.Time()) > maxAge`}},
	},
	{
		rule: "a proof by a clock that is a day off is refused", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`want.Now.Sub(c.IAT.Time()).Abs() > maxAge`, `want.Now.Sub(c.IAT.Time()).Abs() >= maxAge`}},
	},
	{
		rule: "a proof for another access token is good", pkg: "proof", test: "proof.TestAccessToken",
		edits: []edit{{`!isHash(c.ATH, want.AccessToken)`, `c.ATH == ""`}},
	},
	{
		rule: "a proof for no access token is good with one", pkg: "proof", test: "proof.TestAccessToken",
		edits: []edit{{`want.AccessToken != "" && !isHash`, `want.AccessToken != "" && c.ATH != "" && !isHash`}},
	},
	{
		rule: "a proof needs the hash of an access token that is not there", pkg: "proof", test: "proof.TestRefused",
		edits: []edit{{`want.AccessToken != "" && !isHash`, `!isHash`}},
	},
	{
		rule: "a URL may have user information", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`	authority, ok = normalizeAuthority(authority, defaultPort)`, `	authority, ok = normalizeAuthority(authority[strings.LastIndexByte(authority, '@')+1:], defaultPort)`}},
	},
	{
		rule: "the query of a URL is compared", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`strings.IndexAny(s, "?#")`, `strings.IndexAny(s, "#")`}},
	},
	{
		rule: "the fragment of a URL is compared", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`strings.IndexAny(s, "?#")`, `strings.IndexAny(s, "?")`}},
	},
	{
		rule: "a query ends at the last question mark", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`strings.IndexAny(s, "?#")`, `strings.LastIndexAny(s, "?#")`}},
	},
	{
		rule: "schemes are compared with regard to case", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`	scheme = strings.ToLower(scheme)
`, ``}},
	},
	{
		rule: "https and http are the same", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`return scheme + "://"`, `return "://"`}},
	},
	{
		rule: "hosts are compared with regard to case", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`strings.ToLower(inner)`, `inner`}},
	},
	{
		rule: "a default port is compared", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`port == "" || port == defaultPort`, `port == ""`}},
	},
	{
		rule: "the default port of another scheme is left out", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`port == "" || port == defaultPort`, `port == "" || port == "443"`}},
	},
	{
		rule: "ports are not compared", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`	return inner + ":" + port, true`, `	return inner, true`}},
	},
	{
		rule: "escapes are compared as they are spelled", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`b.WriteString(strings.ToUpper(s[i : i+3]))`, `b.WriteString(s[i : i+3])`}},
	},
	{
		rule: "unreserved characters differ from their escapes", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`			if isUnreserved(decoded) {`, `			if decoded == 0 {`}},
	},
	{
		rule: "reserved characters are the same as their escapes", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`			if isUnreserved(decoded) {`, `			if decoded < 128 {`}},
	},
	{
		rule: "a URL may have any character", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`		default:
			return "", false
		}
	}
	return b.String(), true`, `		default:
			b.WriteByte('-')
		}
	}
	return b.String(), true`}},
	},
	{
		rule: "dot segments are compared", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`authority + removeDots(path)`, `authority + path`}},
	},
	{
		rule: "the segment before two dots stays", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`				kept = kept[:len(kept)-1]`, `				kept = kept[:len(kept)]`}},
	},
	{
		rule: "a path that ends in dots ends without a slash", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`			if isLast {
				kept = append(kept, "")
			}
`, `			_ = isLast
`}},
	},
	{
		rule: "dot segments are removed before escapes", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`	path, ok = decodeUnreserved(path, pathCharacters)`, `	path, ok = decodeUnreserved(removeDots(path), pathCharacters)`}, {`authority + removeDots(path)`, `authority + path`}},
	},
	{
		rule: "an empty path is not that of the slash", pkg: "proof", test: "proof.TestURL",
		edits: []edit{{`		if path == "" {
			return "/"
		}
`, ``}},
	},
	{
		rule: "a thumbprint may have several spellings", pkg: "proof", test: "proof.TestThumbprint",
		edits: []edit{{`err != nil || n != len(t)`, `err != nil || n == 0`}},
	},
	{
		rule: "a registration brings no key", pkg: "proof", test: "proof.TestRegistrationRefused",
		edits: []edit{{`	if reason == "" && s.key == nil {
		reason = NoKey
	}
`, ``}},
	},
	{
		rule: "a renewal may bring its key", pkg: "proof", test: "proof.TestRenewalRefused",
		edits: []edit{{`	if s.key != nil { // the`, `	if s.key != nil && s.alg == "" { // the`}},
	},
	{
		rule: "a renewal is by the key that it brings", pkg: "proof", test: "proof.TestRenewalRefused",
		edits: []edit{{`	if s.key != nil { // the draft: "It MUST not be present for refresh requests"
		return "", refused(ForbiddenHeader)
	}
`, `	if s.key != nil {
		key.key = s.key
	}
`}},
	},
	{
		rule: "a device's proof answers no challenge", pkg: "proof", test: "proof.TestRegistrationRefused",
		edits: []edit{{`	if c.JTI == "" {
		return c, NoJTI
	}
	return c, ""`, `	return c, ""`}},
	},
	{
		rule: "a quote may be left open", pkg: "proof", test: "proof.TestResponseHeader",
		edits: []edit{{`		if presented, ok = strings.CutSuffix(inner, ` + "`\"`" + `); !ok {
			return nil, Malformed
		}
`, `		presented, _ = strings.CutSuffix(inner, ` + "`\"`" + `)
`}},
	},
	{
		rule: "a header field may not have parameters", pkg: "proof", test: "proof.TestResponseHeader",
		edits: []edit{{`	presented, _, _ = strings.Cut(presented, ";")
`, ``}},
	},
	{
		rule: "the sign of a stored point is lost", pkg: "proof", test: "proof.TestDevice",
		edits: []edit{{`2 | point[2*coordinateSize]&1`, `2 | point[2*coordinateSize]&0`}},
	},
	{
		rule: "a stored key may be weak", pkg: "proof", test: "proof.TestParseDeviceKey",
		edits: []edit{{`		if checkRSA(key) != "" {`, `		if key.E == 0 {`}},
	},
	{
		rule: "a stored modulus may have several spellings", pkg: "proof", test: "proof.TestParseDeviceKey",
		edits: []edit{{` && b[1+exponentSize] != 0`, ``}},
	},
}}
