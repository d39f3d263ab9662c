package proof_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rotor-auth/rotor/shared/proof"
)

// checkDPoP checks a proof, and that it is refused for a reason, or accepted if there is none.
func checkDPoP(t *testing.T, presented string, want proof.Expected, reason proof.Reason) {
	t.Helper()
	thumbprint, err := proof.CheckDPoP([]string{presented}, want)
	if reason != "" {
		if thumbprint != (proof.Thumbprint{}) {
			t.Errorf("a proof that is refused has the thumbprint %s", thumbprint)
		}
		checkRefused(t, err, reason, presented)
		return
	}
	if err != nil {
		t.Errorf("it is refused: %v", err)
	}
}

// TestRFC9449 checks the proof of RFC 9449 §4.1. It is signed well, but has no nonce.
func TestRFC9449(t *testing.T) {
	const example = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik" +
		"VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR" +
		"nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE" +
		"QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj" +
		"oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia" +
		"WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg" +
		"4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	want := expected()
	want.URL = "https://server.example.com/token"
	checkDPoP(t, example, want, proof.NoNonce)
	// Its signature is looked at first.
	checkDPoP(t, strings.Replace(example, ".2-Gx", ".2-Gy", 1), want, proof.WrongSignature)
}

// TestEveryAlgorithm checks that a key signs by each algorithm of its kind, and by no
// other, whether the JWT was made by hand or by go-jose.
func TestEveryAlgorithm(t *testing.T) {
	if got := proof.Algorithms(); !slices.Equal(got, algorithms) {
		t.Fatalf("the algorithms are %v", got)
	}
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			key := keyFor(alg)
			thumbprint, err := proof.CheckDPoP([]string{dpop(t, alg, key, nil, nil)}, expected())
			if err != nil || thumbprint.String() != thumbprintOf(key) {
				t.Errorf("made by hand: it is %s, %v", thumbprint, err)
			}
			if alg != "Ed25519" { // whose name go-jose does not know
				thumbprint, err = proof.CheckDPoP([]string{byGoJOSE(t, alg, key)}, expected())
				if err != nil || thumbprint.String() != thumbprintOf(key) {
					t.Errorf("made by go-jose: it is %s, %v", thumbprint, err)
				}
			}
			for _, other := range algorithms {
				header := members{"alg": other}
				switch {
				case keyFor(other).Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()):
					if hashOf(other) == hashOf(alg) && other[0] == alg[0] {
						continue // it is the same, perhaps under another name
					}
					checkDPoP(t, dpop(t, alg, key, header, nil), expected(), proof.WrongSignature)
				default:
					checkDPoP(t, dpop(t, alg, key, header, nil), expected(), proof.WrongAlgorithm)
				}
			}
		})
	}
}

// byGoJOSE returns a good proof that go-jose makes.
func byGoJOSE(t *testing.T, alg string, key crypto.Signer) string {
	t.Helper()
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwt.Signed(signer).Claims(goodClaims()).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestHeaders checks that a request has exactly one proof.
func TestHeaders(t *testing.T) {
	good := dpop(t, "ES256", keyFor("ES256"), nil, nil)
	checkDPoP(t, good, expected(), "")
	for _, tt := range []struct {
		name    string
		headers []string
		want    proof.Reason
	}{
		{"none", nil, proof.NoProof},
		{"none, in an empty list", []string{}, proof.NoProof},
		{"the same twice", []string{good, good}, proof.SeveralProofs},
		{"a good one and an empty one", []string{good, ""}, proof.SeveralProofs},
		{"two that a gateway joined", []string{good + "," + good}, proof.SeveralProofs},
		{"two that a gateway joined, with a space", []string{good + ", " + good}, proof.SeveralProofs},
		{"an empty one", []string{""}, proof.Malformed},
		{"a space", []string{" " + good}, proof.Malformed},
	} {
		_, err := proof.CheckDPoP(tt.headers, expected())
		t.Run(tt.name, func(t *testing.T) { checkRefused(t, err, tt.want, good) })
	}
}

// TestRefused checks each reason for which a header, a key or claims are refused, with proofs
// that are signed well. Limits are tried on both sides.
func TestRefused(t *testing.T) {
	ec, ed, rs := keyFor("ES256"), keyFor("EdDSA"), keyFor("RS256")
	jwk := func(key crypto.Signer, changes members) members { return members{"jwk": with(jwkOf(key), changes)} }
	for _, tt := range []struct {
		name   string
		alg    string
		header members
		claims members
		want   proof.Reason // "" if it is good
	}{
		{"good", "ES256", nil, nil, ""},
		{"members that nobody knows", "ES256", members{"kid": "k", "x5t": "AAAA", "epk": 1, "url": goodURL}, members{"iss": 1, "exp": "x", "crit": []string{"a"}}, ""},

		{"typ in capitals", "ES256", members{"typ": "DPoP+JWT"}, nil, ""},
		{"typ, whole", "ES256", members{"typ": "application/dpop+jwt"}, nil, ""},
		{"typ, whole and in capitals", "ES256", members{"typ": "Application/DPOP+JWT"}, nil, ""},
		{"typ of another kind", "ES256", members{"typ": "text/dpop+jwt"}, nil, proof.WrongType},
		{"typ with the prefix twice", "ES256", members{"typ": "application/application/dpop+jwt"}, nil, proof.WrongType},
		{"a prefix without a typ", "ES256", members{"typ": "application/"}, nil, proof.WrongType},
		{"a plain JWT", "ES256", members{"typ": "JWT"}, nil, proof.WrongType},
		{"an access token", "ES256", members{"typ": "at+jwt"}, nil, proof.WrongType},
		{"a proof of a device-bound session", "ES256", members{"typ": "dbsc+jwt"}, nil, proof.WrongType},
		{"typ with a parameter", "ES256", members{"typ": "dpop+jwt;v=1"}, nil, proof.WrongType},
		{"no typ", "ES256", members{"typ": absent}, nil, proof.WrongType},
		{"typ a number", "ES256", members{"typ": 1}, nil, proof.Malformed},

		{"no alg", "ES256", members{"alg": absent}, nil, proof.WrongAlgorithm},
		{"alg in small letters", "ES256", members{"alg": "es256"}, nil, proof.WrongAlgorithm},
		{"alg a list", "ES256", members{"alg": []string{"ES256"}}, nil, proof.Malformed},
		{"an algorithm of another curve", "ES256", members{"alg": "ES256K"}, nil, proof.WrongAlgorithm},
		{"an algorithm that is no signature's", "ES256", members{"alg": "RSA-OAEP"}, nil, proof.WrongAlgorithm},

		{"crit", "ES256", members{"crit": []string{"exp"}, "exp": 1}, nil, proof.ForbiddenHeader},
		{"crit of what go-jose knows", "ES256", members{"crit": []string{"b64"}, "b64": true}, nil, proof.ForbiddenHeader},
		{"crit null", "ES256", members{"crit": nil}, nil, proof.ForbiddenHeader},
		{"crit empty", "ES256", members{"crit": []string{}}, nil, proof.ForbiddenHeader},
		{"b64", "ES256", members{"b64": true}, nil, proof.ForbiddenHeader},
		{"jku", "ES256", members{"jku": "https://a.example/keys"}, nil, proof.ForbiddenHeader},
		{"jku instead of a key", "ES256", members{"jku": "https://a.example/keys", "jwk": absent}, nil, proof.ForbiddenHeader},
		{"x5u", "ES256", members{"x5u": "https://a.example/cert"}, nil, proof.ForbiddenHeader},
		{"x5c", "ES256", members{"x5c": []string{"AAAA"}}, nil, proof.ForbiddenHeader},
		{"x5c in the key", "ES256", jwk(ec, members{"x5c": []string{"AAAA"}}), nil, proof.ForbiddenHeader},
		{"x5u in the key", "ES256", jwk(ec, members{"x5u": "https://a.example/cert"}), nil, proof.ForbiddenHeader},

		{"no key", "ES256", members{"jwk": absent}, nil, proof.NoKey},
		{"key null", "ES256", members{"jwk": nil}, nil, proof.MalformedKey},
		{"key a string", "ES256", members{"jwk": "AAAA"}, nil, proof.MalformedKey},
		{"key a list", "ES256", members{"jwk": []any{jwkOf(ec)}}, nil, proof.MalformedKey},
		{"key empty", "ES256", members{"jwk": members{}}, nil, proof.MalformedKey},
		{"key of another kind", "ES256", jwk(ec, members{"kty": "AKP"}), nil, proof.MalformedKey},
		{"kty in small letters", "ES256", jwk(ec, members{"kty": "ec"}), nil, proof.MalformedKey},
		{"key with members that nobody knows", "ES256", jwk(ec, members{"ext": true, "key_ops": []string{"verify"}, "use": "enc", "alg": "RS256", "kid": "k"}), nil, ""},

		{"a symmetric key", "ES256", members{"jwk": members{"kty": "oct", "k": "AAAA"}}, nil, proof.SymmetricKey},
		{"a symmetric key without k", "ES256", members{"jwk": members{"kty": "oct"}}, nil, proof.SymmetricKey},
		{"k in a public key", "ES256", jwk(ec, members{"k": "AAAA"}), nil, proof.SymmetricKey},
		{"d in an EC key", "ES256", jwk(ec, members{"d": "AAAA"}), nil, proof.PrivateKey},
		{"d null", "ES256", jwk(ec, members{"d": nil}), nil, proof.PrivateKey},
		{"d in an Ed25519 key", "EdDSA", jwk(ed, members{"d": "AAAA"}), nil, proof.PrivateKey},
		{"d in an RSA key", "RS256", jwk(rs, members{"d": "AAAA"}), nil, proof.PrivateKey},
		{"p", "RS256", jwk(rs, members{"p": "AAAA"}), nil, proof.PrivateKey},
		{"q", "RS256", jwk(rs, members{"q": "AAAA"}), nil, proof.PrivateKey},
		{"dp", "RS256", jwk(rs, members{"dp": "AAAA"}), nil, proof.PrivateKey},
		{"dq", "RS256", jwk(rs, members{"dq": "AAAA"}), nil, proof.PrivateKey},
		{"qi", "RS256", jwk(rs, members{"qi": "AAAA"}), nil, proof.PrivateKey},
		{"oth", "RS256", jwk(rs, members{"oth": []any{}}), nil, proof.PrivateKey},
		{"priv", "ES256", jwk(ec, members{"priv": "AAAA"}), nil, proof.PrivateKey},

		{"no crv", "ES256", jwk(ec, members{"crv": absent}), nil, proof.MalformedKey},
		{"a curve that nobody knows", "ES256", jwk(ec, members{"crv": "secp256k1"}), nil, proof.MalformedKey},
		{"another curve of the same length", "ES256", jwk(ec, members{"crv": "P-384"}), nil, proof.MalformedKey},
		{"no x", "ES256", jwk(ec, members{"x": absent}), nil, proof.MalformedKey},
		{"no y", "ES256", jwk(ec, members{"y": absent}), nil, proof.MalformedKey},
		{"x a number", "ES256", jwk(ec, members{"x": 1}), nil, proof.MalformedKey},
		{"a point that is not on the curve", "ES256", jwk(ec, members{"x": jwkOf(ec)["y"], "y": jwkOf(ec)["x"]}), nil, proof.MalformedKey},
		{"the point at infinity", "ES256", jwk(ec, members{"x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}), nil, proof.MalformedKey},
		{"x that is longer", "ES256", jwk(ec, members{"x": encode(append([]byte{0}, coordinate(t, ec, "x")...))}), nil, proof.MalformedKey},
		{"y that is longer", "ES256", jwk(ec, members{"y": encode(append([]byte{0}, coordinate(t, ec, "y")...))}), nil, proof.MalformedKey},
		{"y moved to x", "ES256", jwk(ec, members{"x": encode(append(coordinate(t, ec, "x"), coordinate(t, ec, "y")...)), "y": ""}), nil, proof.MalformedKey},
		{"x with a line break", "ES256", jwk(ec, members{"x": jwkOf(ec)["x"].(string) + "\n"}), nil, proof.MalformedKey},
		{"y with padding", "ES256", jwk(ec, members{"y": jwkOf(ec)["y"].(string) + "="}), nil, proof.MalformedKey},
		{"x with stray bits", "EdDSA", jwk(ed, members{"x": strayBits(jwkOf(ed)["x"].(string))}), nil, proof.MalformedKey},
		{"an Ed25519 key that is shorter", "EdDSA", jwk(ed, members{"x": encode(coordinate(t, ed, "x")[:31])}), nil, proof.MalformedKey},
		{"a key of X25519", "EdDSA", jwk(ed, members{"crv": "X25519"}), nil, proof.MalformedKey},

		{"no modulus", "RS256", jwk(rs, members{"n": absent}), nil, proof.MalformedKey},
		{"no exponent", "RS256", jwk(rs, members{"e": absent}), nil, proof.MalformedKey},
		{"a modulus with a zero before it", "RS256", jwk(rs, members{"n": encode(append([]byte{0}, coordinate(t, rs, "n")...))}), nil, proof.MalformedKey},
		{"an exponent with a zero before it", "RS256", jwk(rs, members{"e": encode([]byte{0, 1, 0, 1})}), nil, proof.MalformedKey},
		{"a modulus with a line break", "RS256", jwk(rs, members{"n": jwkOf(rs)["n"].(string) + "\n"}), nil, proof.MalformedKey},
		{"an exponent with a line break", "RS256", jwk(rs, members{"e": "AQ\nAB"}), nil, proof.MalformedKey},
		{"512 bits", "RS256", jwk(rs, members{"n": modulus(512)}), nil, proof.WeakKey},
		{"1024 bits", "RS256", jwk(rs, members{"n": modulus(1024)}), nil, proof.WeakKey},
		{"2047 bits", "RS256", jwk(rs, members{"n": modulus(2047)}), nil, proof.WeakKey},
		{"2048 bits of another key", "RS256", jwk(rs, members{"n": modulus(2048)}), nil, proof.WrongSignature},
		{"4096 bits of another key", "RS256", jwk(rs, members{"n": modulus(4096)}), nil, proof.WrongSignature},
		{"4097 bits", "RS256", jwk(rs, members{"n": modulus(4097)}), nil, proof.WeakKey},
		{"8192 bits", "RS256", jwk(rs, members{"n": modulus(8192)}), nil, proof.WeakKey},
		{"an even modulus", "RS256", jwk(rs, members{"n": encode(append(coordinate(t, rs, "n")[:255], 2))}), nil, proof.WeakKey},
		{"exponent 1", "RS256", jwk(rs, members{"e": "AQ"}), nil, proof.WeakKey},
		{"exponent 2", "RS256", jwk(rs, members{"e": "Ag"}), nil, proof.WeakKey},
		{"exponent 3, of another key", "RS256", jwk(rs, members{"e": "Aw"}), nil, proof.WrongSignature},
		{"an even exponent", "RS256", jwk(rs, members{"e": encode([]byte{1, 0, 0})}), nil, proof.WeakKey},
		{"the greatest exponent, of another key", "RS256", jwk(rs, members{"e": encode([]byte{0x7f, 0xff, 0xff, 0xff})}), nil, proof.WrongSignature},
		{"an exponent of 32 bits", "RS256", jwk(rs, members{"e": encode([]byte{0x80, 0, 0, 1})}), nil, proof.WeakKey},
		{"an exponent of 72 bits", "RS256", jwk(rs, members{"e": encode([]byte{1, 0, 0, 0, 0, 0, 0, 0, 3})}), nil, proof.WeakKey},

		{"no nonce", "ES256", nil, members{"nonce": absent}, proof.NoNonce},
		{"an empty nonce", "ES256", nil, members{"nonce": ""}, proof.NoNonce},
		{"nonce null", "ES256", nil, members{"nonce": nil}, proof.NoNonce},
		{"nonce a number", "ES256", nil, members{"nonce": 1}, proof.Malformed},
		{"the nonce of somebody else", "ES256", nil, members{"nonce": "another"}, proof.StaleNonce},
		{"the nonce in the header", "ES256", members{"nonce": goodNonce}, members{"nonce": absent}, proof.NoNonce},
		{"no nonce and nothing else", "ES256", nil, members{"nonce": absent, "htm": absent, "htu": absent, "jti": absent, "iat": absent}, proof.NoNonce},

		{"another method", "ES256", nil, members{"htm": "GET"}, proof.WrongMethod},
		{"the method in small letters", "ES256", nil, members{"htm": "post"}, proof.WrongMethod},
		{"no method", "ES256", nil, members{"htm": absent}, proof.WrongMethod},
		{"method a list", "ES256", nil, members{"htm": []string{"POST"}}, proof.Malformed},
		{"another path", "ES256", nil, members{"htu": "https://auth.example/oauth/revoke"}, proof.WrongURL},
		{"no URL", "ES256", nil, members{"htu": absent}, proof.WrongURL},
		{"URL null", "ES256", nil, members{"htu": nil}, proof.WrongURL},
		{"URL a list", "ES256", nil, members{"htu": []string{goodURL}}, proof.Malformed},

		{"no jti", "ES256", nil, members{"jti": absent}, proof.NoJTI},
		{"an empty jti", "ES256", nil, members{"jti": ""}, proof.NoJTI},
		{"jti a number", "ES256", nil, members{"jti": 1}, proof.Malformed},
		{"a jti of one character", "ES256", nil, members{"jti": "a"}, ""},
		{"a long jti", "ES256", nil, members{"jti": strings.Repeat("a", 256)}, ""},
		{"a jti that is too long", "ES256", nil, members{"jti": strings.Repeat("a", 257)}, proof.TooLong},

		{"no iat", "ES256", nil, members{"iat": absent}, proof.NoTime},
		{"iat null", "ES256", nil, members{"iat": nil}, proof.NoTime},
		{"iat a string", "ES256", nil, members{"iat": "1850000000"}, proof.Malformed},
		{"iat a list", "ES256", nil, members{"iat": []int64{now.Unix()}}, proof.Malformed},
		{"iat in fractions", "ES256", nil, members{"iat": float64(now.Unix()) + 0.25}, ""},
		{"made a day ago", "ES256", nil, members{"iat": now.Unix() - 86400}, ""},
		{"made more than a day ago", "ES256", nil, members{"iat": now.Unix() - 86401}, proof.WrongTime},
		{"made in a day", "ES256", nil, members{"iat": now.Unix() + 86400}, ""},
		{"made in more than a day", "ES256", nil, members{"iat": now.Unix() + 86401}, proof.WrongTime},
		{"made in milliseconds", "ES256", nil, members{"iat": now.UnixMilli()}, proof.WrongTime},
		{"made before all time", "ES256", nil, members{"iat": -4e18}, proof.WrongTime},
		{"made after all time", "ES256", nil, members{"iat": 4e18}, proof.WrongTime},
		{"made at a time beyond what an integer holds", "ES256", nil, members{"iat": 1e30}, proof.Malformed},

		{"an access token that is not asked for", "ES256", nil, members{"ath": "AAAA"}, ""},
		{"ath a number", "ES256", nil, members{"ath": 1}, proof.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			checkDPoP(t, dpop(t, tt.alg, keyFor(tt.alg), tt.header, tt.claims), expected(), tt.want)
		})
	}
}

// coordinate returns a member of the JWK of a key, decoded.
func coordinate(t *testing.T, key crypto.Signer, name string) []byte {
	t.Helper()
	return decode(t, jwkOf(key)[name].(string))
}

// modulus returns an odd number of so many bits.
func modulus(bits uint) string {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return encode(n.SetBit(n, 0, 1).Bytes())
}

// strayBits returns another spelling of bytes, whose last character has bits that none of them
// has.
func strayBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])+1])
}

// TestAccessToken checks that a proof is for the access token that comes with it (RFC 9449
// §4.3 no. 12). The hash is that of the token of §7.1.
func TestAccessToken(t *testing.T) {
	want := expected()
	want.AccessToken = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	const hash = "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
	for ath, reason := range map[any]proof.Reason{
		hash:                              "",
		absent:                            proof.WrongAccessToken,
		"":                                proof.WrongAccessToken,
		hash + "=":                        proof.WrongAccessToken,
		hash[:42]:                         proof.WrongAccessToken,
		strayBits(hash):                   proof.WrongAccessToken,
		want.AccessToken:                  proof.WrongAccessToken,
		encode(make([]byte, sha256.Size)): proof.WrongAccessToken,
		strings.ToLower(hash):             proof.WrongAccessToken,
		thumbprintOf(keyFor("ES256")):     proof.WrongAccessToken,
		"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU": proof.WrongAccessToken, // of the empty one
	} {
		checkDPoP(t, dpop(t, "ES256", keyFor("ES256"), nil, members{"ath": ath}), want, reason)
	}
}

// TestForged checks what was signed by nobody, by another key, by a key that was taken for
// something else, or for another text.
func TestForged(t *testing.T) {
	key, stranger := keyFor("ES256"), testEC(elliptic.P256(), 9)
	good := dpop(t, "ES256", key, nil, nil)
	parts := strings.Split(good, ".")
	rsaKey := keyFor("RS256")
	header := func(alg string) string {
		return encode([]byte(toJSON(t, with(goodHeader("ES256", key), members{"alg": alg}))))
	}
	mac := func(header string, secret []byte) string {
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(header + "." + parts[1]))
		return header + "." + parts[1] + "." + encode(m.Sum(nil))
	}
	point, err := testEC(elliptic.P256(), 1).PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der := func() string { // the form of signatures elsewhere
		text := parts[0] + "." + parts[1]
		digest := sha256.Sum256([]byte(text))
		s, err := key.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + encode(s)
	}
	turned := func() string { // the other good signature, of the same text
		raw := decode(t, parts[2])
		s := new(big.Int).SetBytes(raw[32:])
		s.Sub(elliptic.P256().Params().N, s).FillBytes(raw[32:])
		return parts[0] + "." + parts[1] + "." + encode(raw)
	}
	beyond := func() string { // r is larger than the order of the group
		raw := decode(t, parts[2])
		for i := range raw[:32] {
			raw[i] = 0xff
		}
		return parts[0] + "." + parts[1] + "." + encode(raw)
	}
	shortSalt := func() string { // RFC 7518 §3.5 has it as long as the hash
		text := encode([]byte(toJSON(t, goodHeader("PS256", rsaKey)))) + "." + parts[1]
		digest := sha256.Sum256([]byte(text))
		s, err := rsaKey.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + encode(s)
	}
	for _, tt := range []struct {
		name      string
		presented string
		want      proof.Reason
	}{
		{"good", good, ""},
		{"none", header("none") + "." + parts[1] + ".", proof.WrongAlgorithm},
		{"None", header("None") + "." + parts[1] + ".", proof.WrongAlgorithm},
		{"none with a signature", header("none") + "." + parts[1] + "." + parts[2], proof.WrongAlgorithm},
		{"HS256 by the public key", mac(header("HS256"), point), proof.WrongAlgorithm},
		{"HS256 by the key as it is written", mac(header("HS256"), []byte(toJSON(t, jwkOf(key)))), proof.WrongAlgorithm},
		{"HS256 by nothing", mac(header("HS256"), nil), proof.WrongAlgorithm},
		{"no signature", parts[0] + "." + parts[1] + ".", proof.WrongSignature},
		{"zeros", parts[0] + "." + parts[1] + "." + encode(make([]byte, 64)), proof.WrongSignature},
		{"a signature that is shorter", parts[0] + "." + parts[1] + "." + encode(decode(t, parts[2])[:63]), proof.WrongSignature},
		{"a signature that is longer", parts[0] + "." + parts[1] + "." + encode(append(decode(t, parts[2]), 0)), proof.WrongSignature},
		{"a signature with a zero before s", parts[0] + "." + parts[1] + "." + encode(slices.Insert(decode(t, parts[2]), 32, 0)), proof.WrongSignature},
		{"r beyond the order", beyond(), proof.WrongSignature},
		{"the signature in DER", der(), proof.WrongSignature},
		{"the signature turned", turned(), ""},
		{"another key's signature", sign(t, "ES256", stranger, toJSON(t, goodHeader("ES256", key)), toJSON(t, goodClaims())), proof.WrongSignature},
		{"another key's signature, by another algorithm", sign(t, "RS256", rsaKey, toJSON(t, goodHeader("ES256", key)), toJSON(t, goodClaims())), proof.WrongSignature},
		{"another key instead", encode([]byte(toJSON(t, goodHeader("ES256", stranger)))) + "." + parts[1] + "." + parts[2], proof.WrongSignature},
		{"a salt of another length", shortSalt(), proof.WrongSignature},
		{"other claims", parts[0] + "." + encode([]byte(toJSON(t, with(goodClaims(), members{"jti": "2"})))) + "." + parts[2], proof.WrongSignature},
		{"other claims without a nonce", parts[0] + "." + encode([]byte(toJSON(t, with(goodClaims(), members{"nonce": absent})))) + "." + parts[2], proof.WrongSignature},
		{"other claims of the wrong type", parts[0] + "." + encode([]byte(`[]`)) + "." + parts[2], proof.WrongSignature},
	} {
		t.Run(tt.name, func(t *testing.T) { checkDPoP(t, tt.presented, expected(), tt.want) })
	}
}

// TestMalformed checks what is not a JWT, and JWTs that could be read in two ways.
func TestMalformed(t *testing.T) {
	key := keyFor("EdDSA")
	header, claims := toJSON(t, goodHeader("EdDSA", key)), toJSON(t, goodClaims())
	good := sign(t, "EdDSA", key, header, claims)
	parts := strings.Split(good, ".")
	resign := func(text string) string { return text + "." + encode(signature(t, "EdDSA", key, text)) }
	jwk := toJSON(t, jwkOf(key))
	for _, tt := range []struct {
		name      string
		presented string
		want      proof.Reason
	}{
		{"good", good, ""},
		{"text", "DPoP", proof.Malformed},
		{"dots", "..", proof.Malformed},
		{"two parts", parts[0] + "." + parts[1], proof.Malformed},
		{"four parts", good + ".", proof.Malformed},
		{"five parts", good + ".AAAA.AAAA", proof.Malformed},
		{"a JWS in JSON", `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`, proof.SeveralProofs},
		{"a line break at the end", good + "\n", proof.Malformed},
		{"a line break in the header", resign(parts[0][:9] + "\n" + parts[0][9:] + "." + parts[1]), proof.Malformed},
		{"a line break in the claims", resign(parts[0] + "." + parts[1] + "\r"), proof.Malformed},
		{"stray bits", parts[0] + "." + parts[1] + "." + strayBits(parts[2]), proof.Malformed},
		{"padding", resign(parts[0] + "." + encode([]byte(claims+" ")) + "="), proof.Malformed},
		{"no header", resign("." + parts[1]), proof.Malformed},
		{"a header that is no JSON", resign(encode([]byte("{")) + "." + parts[1]), proof.Malformed},
		{"a header that is a list", resign(encode([]byte("["+header+"]")) + "." + parts[1]), proof.Malformed},
		{"a header that is null", resign(encode([]byte("null")) + "." + parts[1]), proof.WrongType},
		{"two headers", resign(encode([]byte(header+header)) + "." + parts[1]), proof.Malformed},
		{"a header that is not UTF-8", sign(t, "EdDSA", key, header[:len(header)-1]+",\"a\":\"\xff\"}", claims), proof.Malformed},
		{"a member twice", sign(t, "EdDSA", key, header[:len(header)-1]+`,"typ":"dpop+jwt"}`, claims), proof.Malformed},
		{"a member twice, once escaped", sign(t, "EdDSA", key, header[:len(header)-1]+`,"\u0061lg":"EdDSA"}`, claims), proof.Malformed},
		{"a member that nobody knows twice", sign(t, "EdDSA", key, header[:len(header)-1]+`,"a":1,"a":1}`, claims), proof.Malformed},
		{"a key twice", sign(t, "EdDSA", key, header[:len(header)-1]+`,"jwk":`+jwk+`}`, claims), proof.Malformed},
		{"a member of the key twice", sign(t, "EdDSA", key, strings.Replace(header, `"crv":"Ed25519"`, `"crv":"Ed25519","crv":"Ed25519"`, 1), claims), proof.MalformedKey},
		{"names in capitals", sign(t, "EdDSA", key, strings.Replace(header, `"typ"`, `"TYP"`, 1), claims), proof.WrongType},
		{"the key's name in capitals", sign(t, "EdDSA", key, strings.Replace(header, `"jwk"`, `"JWK"`, 1), claims), proof.NoKey},
		{"a claim's name in capitals", sign(t, "EdDSA", key, header, strings.Replace(claims, `"nonce"`, `"NONCE"`, 1)), proof.NoNonce},
		{"D in capitals", sign(t, "EdDSA", key, strings.Replace(header, `"kty"`, `"D":"AAAA","kty"`, 1), claims), ""},
		{"no claims", resign(parts[0] + "."), proof.Malformed},
		{"claims that are no JSON", sign(t, "EdDSA", key, header, claims[1:]), proof.Malformed},
		{"claims that are a list", sign(t, "EdDSA", key, header, "["+claims+"]"), proof.Malformed},
		{"claims that are null", sign(t, "EdDSA", key, header, "null"), proof.NoNonce},
		{"claims that are not UTF-8", sign(t, "EdDSA", key, header, claims[:len(claims)-1]+",\"a\":\"\xff\"}"), proof.Malformed},
		{"a claim twice", sign(t, "EdDSA", key, header, claims[:len(claims)-1]+`,"htm":"POST"}`), proof.Malformed},
		{"a claim twice, of which one is null", sign(t, "EdDSA", key, header, claims[:len(claims)-1]+`,"nonce":null}`), proof.Malformed},
		{"spaces in the JSON", sign(t, "EdDSA", key, " "+header+"\n", "\t"+claims+" "), ""},
		{"members of the wrong type that nobody reads", dpop(t, "EdDSA", key, members{"kid": 1, "nonce": 1, "cty": nil}, nil), ""},
	} {
		t.Run(tt.name, func(t *testing.T) { checkDPoP(t, tt.presented, expected(), tt.want) })
	}
}

// TestSize checks the limit of a proof: one by the largest key for a long URL is below it.
func TestSize(t *testing.T) {
	want := expected()
	want.URL = "https://" + strings.Repeat("a", 63) + ".example/" + strings.Repeat("b", 400)
	want.AccessToken = "t"
	sum := sha256.Sum256([]byte("t"))
	claims := members{"htu": want.URL, "jti": strings.Repeat("j", 64), "ath": encode(sum[:])}
	largest := dpop(t, "RS512", rsa4096(), nil, claims)
	checkDPoP(t, largest, want, "")
	t.Logf("it has %d bytes", len(largest))

	key := keyFor("EdDSA")
	of := func(header, claims int) string {
		return dpop(t, "EdDSA", key, members{"a": strings.Repeat("a", header)}, members{"a": strings.Repeat("a", claims)})
	}
	rest := (4096 - len(of(0, 0))) * 3 / 4
	tried := map[int]bool{}
	for header := range 4 {
		for claims := rest - 8; claims < rest+8; claims++ {
			s := of(header, claims)
			tried[len(s)] = true
			reason := proof.TooLong
			if len(s) <= 4096 {
				reason = ""
			}
			checkDPoP(t, s, expected(), reason)
		}
	}
	if !tried[4096] || !tried[4097] {
		t.Error("the limit was not tried")
	}
}
