package proof

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math"
	"math/big"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Limits of RSA keys.
const (
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 4096 // a longer one costs more to verify than it protects
)

// jwk has the members of a JWK that are looked at. The use and the algorithm that a key names
// are ignored: its holder may name any.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv"`
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

	// Certificates, and the address of one.
	X5C json.RawMessage `json:"x5c"`
	X5U json.RawMessage `json:"x5u"`
}

// isPrivate reports whether the key has a member of a private key.
func (k *jwk) isPrivate() bool {
	return k.D != nil || k.P != nil || k.Q != nil || k.DP != nil || k.DQ != nil || k.QI != nil || k.Oth != nil || k.Priv != nil
}

// parseKey parses a JWK. It returns why the key is refused, "" if it is not.
func parseKey(data []byte) (key any, reason Reason) {
	var k jwk
	if json.Unmarshal(data, &k) != nil {
		return nil, MalformedKey
	}
	switch {
	case k.K != nil || k.Kty == "oct":
		return nil, SymmetricKey
	case k.isPrivate():
		return nil, PrivateKey
	case k.X5C != nil || k.X5U != nil:
		return nil, ForbiddenHeader
	}
	switch k.Kty {
	case "EC":
		return k.ec()
	case "RSA":
		return k.rsa()
	case "OKP":
		return k.okp()
	}
	return nil, MalformedKey
}

// ec returns the key on an elliptic curve (RFC 7518 §6.2.1).
func (k *jwk) ec() (any, Reason) {
	var curve elliptic.Curve
	switch k.Crv {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, MalformedKey
	}
	x, okX := decode(k.X)
	y, okY := decode(k.Y)
	// Coordinates have the length of the curve's, so that a key has one spelling.
	if size := (curve.Params().BitSize + 7) / 8; !okX || !okY || len(x) != size || len(y) != size {
		return nil, MalformedKey
	}
	point := append(append([]byte{4}, x...), y...) // SEC 1 §2.3.3
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, MalformedKey
	}
	return key, ""
}

// rsa returns the RSA key (RFC 7518 §6.3.1). Neither number has leading zeros, so that a key
// has one spelling.
func (k *jwk) rsa() (any, Reason) {
	n, okN := decode(k.N)
	e, okE := decode(k.E)
	if !okN || !okE || len(n) == 0 || n[0] == 0 || len(e) == 0 || e[0] == 0 {
		return nil, MalformedKey
	}
	if len(e) > 4 {
		return nil, WeakKey
	}
	exponent := 0
	for _, b := range e {
		exponent = exponent<<8 | int(b)
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: exponent}
	return key, checkRSA(key)
}

// checkRSA returns why an RSA key is refused, "" if it is not. crypto/rsa verifies nothing by
// an even modulus or exponent, or a larger exponent.
func checkRSA(k *rsa.PublicKey) Reason {
	bits := k.N.BitLen()
	if bits < minRSABits || bits > maxRSABits || k.N.Bit(0) == 0 || k.E < 3 || k.E > math.MaxInt32 || k.E%2 == 0 {
		return WeakKey
	}
	return ""
}

// okp returns the key on Curve25519 (RFC 8037 §2).
func (k *jwk) okp() (any, Reason) {
	x, ok := decode(k.X)
	if !ok || k.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
		return nil, MalformedKey
	}
	return ed25519.PublicKey(x), ""
}

// signs reports whether a key makes signatures of an algorithm (RFC 8725 §3.1).
func signs(key any, alg jose.SignatureAlgorithm) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		switch alg {
		case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
			return true
		}
	case *ecdsa.PublicKey:
		return alg == jose.ES256 && k.Curve == elliptic.P256() || alg == jose.ES384 && k.Curve == elliptic.P384() || alg == jose.ES512 && k.Curve == elliptic.P521()
	case ed25519.PublicKey:
		return alg == jose.EdDSA || alg == ed25519Algorithm
	}
	return false
}

// thumbprint returns the thumbprint of a key that parseKey accepts.
func thumbprint(key any) Thumbprint {
	var t Thumbprint
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err == nil { // there is one for each kind of key
		copy(t[:], sum)
	}
	return t
}
