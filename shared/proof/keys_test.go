package proof_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/shared/proof"
)

// The keys of the tests are always the same, so that a proof which fuzzing found stays what it
// is.

// testRSA returns the RSA key with two primes, in hex.
func testRSA(p, q string) *rsa.PrivateKey {
	one := big.NewInt(1)
	a, _ := new(big.Int).SetString(p, 16)
	b, _ := new(big.Int).SetString(q, 16)
	k := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(a, b), E: 65537}, Primes: []*big.Int{a, b}}
	k.D = new(big.Int).ModInverse(big.NewInt(65537), new(big.Int).Mul(new(big.Int).Sub(a, one), new(big.Int).Sub(b, one)))
	k.Precompute()
	return k
}

var rsa2048 = sync.OnceValue(func() *rsa.PrivateKey {
	return testRSA(
		"c8062cbea95f14b39e84c174ddb352bb4cb0c49cecc3ed55bb0542c6a347049162dc789065588610ab205ccd3ec12a7785dc2e48b17d426c72d16596ccb86b8a"+
			"fdb0922cfca5367e024afe3b35ae4f2342e69ab60004ec4862011f98cb28c35896f7ade8f8cb2422754dcbb9c473a737544ac6c68cad1ef062c180bc2b6999ad",
		"e6678cc89490909b067d980c44588b2b1cc34a49e918ba8f6f0353eafa24ede5500362958b2317bd100a6fda765e071b562ed5a873eeea46a4aeaa5a4c46ac46"+
			"5740fd0896687458382dec35a48f765607bd8e70ef053509bcc9702bc91615b3b5e9af8f702bff0caf3a5a0550b78f8a401f1e5f708479b8a4e07fb3d17b0991",
	)
})

var rsa4096 = sync.OnceValue(func() *rsa.PrivateKey {
	return testRSA(
		"c7cf81eb3fb28d3ae6b565fd758b05463567172c1f63824b2f5e82d9ed0adb612f55edaf188646ae7fa824163c07978b2f5d24345da4d1bdaf62de2352f57754"+
			"3e6a5d8c32a48dce3398d02c6f60fd6f6915aa0f90cae5e37ad7ff0006afae9d233d29eeb36a7835aa7c53f8877203adc3fb236c1ed3cdbc611ee9849bd0b3a5"+
			"afde2d2f776dee30d8ba67fb55340227d91382f706486872b8ae9da634bd85dd4e1f064991e16b63871e3811f795193f27757626455e6b316cd356e6bba886e0"+
			"fac50a343bfd734805a7066de9b0b6feedfe516134ee3a0533684aadd2b2ce4d3c60385533aef311ab02fafe3d7112acf33e482d5c8148adcdc27a34c02c0a1b",
		"e8f16c419fb0f81c5611820e30ffb39c0f463d554663eac23cf3f6e8659a5079ff292adf87c3fd0339d00b4984ef80bc02d89e6a972559c7163b21b1ec37878e"+
			"4082965cecf374eff9c8e4c2e4558f1e651243a5d990a5c686f8b2b3b9901dac7c5c2d169c2568088dbfd4f63df05a7b20907818ba639d533eb8c3b2ce4219b0"+
			"439f47bbe98aa33f5a6e58a94f5e6e5158a4fa2411ae6f535aa6e6b06ee0b6f42bea7698c3fc8f882eb7642c444ec7e5730917a96143375097526fcc48312010"+
			"82371707ff4e05f7ccd3f865e507748ab0a57a0ed5d47a43ccff85244769a182a4ccdd840fc236fc5b2dfb7734e736657d813824836f18a22bb862c3424bdf21",
	)
})

// testEC returns a key on a curve.
func testEC(curve elliptic.Curve, seed byte) *ecdsa.PrivateKey {
	scalar := make([]byte, (curve.Params().BitSize+7)/8)
	scalar[len(scalar)-1], scalar[len(scalar)/2] = seed, seed
	k, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		panic(err)
	}
	return k
}

// keyFor returns a key that signs by an algorithm.
func keyFor(alg string) crypto.Signer {
	switch alg {
	case "ES256":
		return testEC(elliptic.P256(), 1)
	case "ES384":
		return testEC(elliptic.P384(), 2)
	case "ES512":
		return testEC(elliptic.P521(), 3)
	case "EdDSA", "Ed25519":
		return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	}
	return rsa2048()
}

// algorithms are all algorithms of DPoP proofs.
var algorithms = []string{"ES256", "ES384", "ES512", "Ed25519", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}

func decode(t failer, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// failer is a test or a property.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// members are the members of a JSON object.
type members = map[string]any

// jwkOf returns the JWK of the public half of a key.
func jwkOf(key crypto.Signer) members {
	switch k := key.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			panic(err)
		}
		size := len(point) / 2
		return members{"kty": "EC", "crv": k.Curve.Params().Name, "x": encode(point[1 : 1+size]), "y": encode(point[1+size:])}
	case *rsa.PublicKey:
		return members{"kty": "RSA", "n": encode(k.N.Bytes()), "e": encode(big.NewInt(int64(k.E)).Bytes())}
	case ed25519.PublicKey:
		return members{"kty": "OKP", "crv": "Ed25519", "x": encode(k)}
	}
	panic("a key of another kind")
}

// hashOf returns the hash function of an algorithm.
func hashOf(alg string) crypto.Hash {
	switch strings.TrimLeft(alg, "ERPS") {
	case "256":
		return crypto.SHA256
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	}
	return 0
}

// signature returns the signature of a text by the standard library.
func signature(t failer, alg string, key crypto.Signer, text string) []byte {
	t.Helper()
	digest, hash := []byte(text), hashOf(alg)
	if hash != 0 {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	if k, ok := key.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			t.Fatal(err)
		}
		size := (k.Curve.Params().BitSize + 7) / 8
		both := make([]byte, 2*size)
		r.FillBytes(both[:size])
		s.FillBytes(both[size:])
		return both
	}
	var options crypto.SignerOpts = hash
	if strings.HasPrefix(alg, "PS") {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	sum, err := key.Sign(rand.Reader, digest, options)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// sign returns the JWT with a header and a payload.
func sign(t failer, alg string, key crypto.Signer, header, payload string) string {
	t.Helper()
	text := encode([]byte(header)) + "." + encode([]byte(payload))
	return text + "." + encode(signature(t, alg, key, text))
}

// absent stands for a member that is left out.
var absent = new(int)

// with returns the members with changes.
func with(all, changes members) members {
	all = maps.Clone(all)
	for name, value := range changes {
		if all[name] = value; value == absent {
			delete(all, name)
		}
	}
	return all
}

func toJSON(t failer, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const (
	goodURL   = "https://auth.example/oauth/token"
	goodNonce = "nonce-of-the-service"
)

var now = time.Unix(1_850_000_000, 0)

// expected returns what a good proof is for.
func expected() proof.Expected {
	return proof.Expected{Method: "POST", URL: goodURL, Now: now, Nonce: func(s string) bool { return s == goodNonce }}
}

// goodHeader returns the header of a good DPoP proof.
func goodHeader(alg string, key crypto.Signer) members {
	return members{"typ": "dpop+jwt", "alg": alg, "jwk": jwkOf(key)}
}

// goodClaims returns the claims of a good DPoP proof.
func goodClaims() members {
	return members{"jti": "e1j3V_bKic8-LAEB", "htm": "POST", "htu": goodURL, "iat": now.Unix(), "nonce": goodNonce}
}

// dpop returns the proof with changes to the header and the claims of a good one.
func dpop(t failer, alg string, key crypto.Signer, header, claims members) string {
	t.Helper()
	return sign(t, alg, key, toJSON(t, with(goodHeader(alg, key), header)), toJSON(t, with(goodClaims(), claims)))
}

// thumbprintOf returns the thumbprint of a key as the example of RFC 7638 §3.1 does.
func thumbprintOf(key crypto.Signer) string {
	k, canonical := jwkOf(key), ""
	switch k["kty"] {
	case "EC":
		canonical = fmt.Sprintf(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, k["crv"], k["x"], k["y"])
	case "RSA":
		canonical = fmt.Sprintf(`{"e":"%s","kty":"RSA","n":"%s"}`, k["e"], k["n"])
	case "OKP":
		canonical = fmt.Sprintf(`{"crv":"%s","kty":"OKP","x":"%s"}`, k["crv"], k["x"])
	}
	h := crypto.SHA256.New()
	h.Write([]byte(canonical))
	return encode(h.Sum(nil))
}
