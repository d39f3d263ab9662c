package proof

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Limits of RSA keys.
const (
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 4096 // a longer one costs more to verify than it protects
)

// jwk has the members of a JWK that are looked at. The use and the algorithm that a key names
// are ignored: who holds it may name any.
type jwk struct {
	Kty string `json:"kty"`
	X   string `json:"x"`
	Y   string `json:"y"`
	N   string `json:"n"`
	E   string `json:"e"`

	// The shared secret, and the members of private keys (RFC 7518 §6, RFC 8037 §2, RFC 9964).
	K    json.RawMessage `json:"k"`
	D    json.RawMessage `json:"d"`
	P    json.RawMessage `json:"p"`
	Q    json.RawMessage `json:"q"`
	DP   json.RawMessage `json:"dp"`
	DQ   json.RawMessage `json:"dq"`
	QI   json.RawMessage `json:"qi"`
	Oth  json.RawMessage `json:"oth"`
	Priv json.RawMessage `json:"priv"`

	// Certificates are not looked at, and go-jose would parse them.
	X5U json.RawMessage `json:"x5u"`
	X5C json.RawMessage `json:"x5c"`
}

// isPrivate reports whether the key has a member of a private key.
func (k *jwk) isPrivate() bool {
	return k.D != nil || k.P != nil || k.Q != nil || k.DP != nil || k.DQ != nil || k.QI != nil || k.Oth != nil || k.Priv != nil
}

// checkJWK returns why a JWK is refused for the way that it is written, "" if it is not.
func checkJWK(data []byte) Reason {
	var k jwk
	if json.Unmarshal(data, &k) != nil {
		return MalformedKey
	}
	switch {
	case k.K != nil || k.Kty == "oct":
		return SymmetricKey
	case k.isPrivate():
		return PrivateKey
	case k.X5U != nil || k.X5C != nil:
		return ForbiddenHeader
	}
	for _, s := range []string{k.X, k.Y, k.N, k.E} {
		// A number with leading zeros would give one key several spellings, and so several
		// thumbprints where others compute them. Coordinates have a fixed length.
		b, ok := decode(s)
		if !ok || k.Kty == "RSA" && len(b) > 0 && b[0] == 0 {
			return MalformedKey
		}
	}
	switch k.Kty {
	case "EC", "RSA", "OKP":
		return ""
	}
	return MalformedKey
}

// checkKey returns why a key is refused for proofs of an algorithm, "" if it is not (RFC 8725
// §3.1).
func checkKey(key any, alg jose.SignatureAlgorithm) Reason {
	fits := false
	switch k := key.(type) {
	case *rsa.PublicKey:
		if reason := checkRSA(k); reason != "" {
			return reason
		}
		switch alg {
		case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
			fits = true
		}
	case *ecdsa.PublicKey:
		switch alg {
		case jose.ES256:
			fits = k.Curve == elliptic.P256()
		case jose.ES384:
			fits = k.Curve == elliptic.P384()
		case jose.ES512:
			fits = k.Curve == elliptic.P521()
		}
	case ed25519.PublicKey:
		fits = alg == jose.EdDSA || alg == ed25519Algorithm
	default:
		return MalformedKey
	}
	if !fits {
		return WrongAlgorithm
	}
	return ""
}

// checkRSA returns why an RSA key is refused, "" if it is not.
func checkRSA(k *rsa.PublicKey) Reason {
	bits := k.N.BitLen()
	if bits < minRSABits || bits > maxRSABits || k.N.Bit(0) == 0 || k.E < 3 || k.E > math.MaxInt32 || k.E%2 == 0 {
		return WeakKey
	}
	return ""
}
