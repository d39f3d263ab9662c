package proof

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// ed25519Algorithm is EdDSA with Ed25519 under the name of RFC 9864, which go-jose does not
// know.
const ed25519Algorithm jose.SignatureAlgorithm = "Ed25519"

// signed is a proof whose signature has not been verified.
type signed struct {
	input     string // what is signed
	payload   []byte
	signature []byte
	alg       jose.SignatureAlgorithm
	key       any // the one that it brings, by which alg signs; nil if it brings none
}

// header has the members of a JOSE header that are looked at. Others are ignored (RFC 7515
// §4).
type header struct {
	Typ string                  `json:"typ"`
	Alg jose.SignatureAlgorithm `json:"alg"`
	JWK json.RawMessage         `json:"jwk"`

	// What would let a proof choose how it is verified.
	Crit json.RawMessage `json:"crit"`
	B64  json.RawMessage `json:"b64"`
	JKU  json.RawMessage `json:"jku"`
	X5U  json.RawMessage `json:"x5u"`
	X5C  json.RawMessage `json:"x5c"`
}

// isForbidden reports whether the header has a member that no proof may have.
func (h *header) isForbidden() bool {
	return h.Crit != nil || h.B64 != nil || h.JKU != nil || h.X5U != nil || h.X5C != nil
}

// parse parses a proof of a type by one of the algorithms. It returns why the proof is refused,
// "" if it is not.
func parse(presented, typ string, algorithms []jose.SignatureAlgorithm) (*signed, Reason) {
	if len(presented) > maxSize {
		return nil, TooLong
	}
	parts := strings.Split(presented, ".")
	if len(parts) != 3 {
		return nil, Malformed
	}
	var raw [3][]byte
	for i, part := range parts {
		decoded, ok := decode(part)
		if !ok || i < 2 && !utf8.Valid(decoded) {
			return nil, Malformed
		}
		raw[i] = decoded
	}
	var h header
	// go-jose's JSON knows names by their exact spelling and refuses repeated ones.
	if json.Unmarshal(raw[0], &h) != nil {
		return nil, Malformed
	}
	switch {
	case !isType(h.Typ, typ):
		return nil, WrongType
	case !slices.Contains(algorithms, h.Alg):
		return nil, WrongAlgorithm
	case h.isForbidden():
		return nil, ForbiddenHeader
	}
	s := &signed{input: presented[:len(parts[0])+1+len(parts[1])], payload: raw[1], signature: raw[2], alg: h.Alg}
	if h.JWK != nil {
		var reason Reason
		if s.key, reason = parseKey(h.JWK); reason != "" {
			return nil, reason
		}
		if !signs(s.key, h.Alg) {
			return nil, WrongAlgorithm
		}
	}
	return s, ""
}

// decode decodes base64url of which each string of bytes has only one spelling. Decoders skip
// line breaks.
func decode(s string) ([]byte, bool) {
	b, err := encoding.DecodeString(s)
	return b, err == nil && !strings.ContainsAny(s, "\r\n")
}

// isType reports whether typ is the media type application/want, whose prefix may be left out
// (RFC 7515 §4.1.9).
func isType(typ, want string) bool {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	// Some letters that are longer fold to one of ASCII.
	return len(typ) == len(want) && strings.EqualFold(typ, want)
}

// claims verifies that the key signed the proof, and reads the claims into target.
func (s *signed) claims(key, target any) Reason {
	if !s.isBy(key) {
		return WrongSignature
	}
	if json.Unmarshal(s.payload, target) != nil {
		return Malformed
	}
	return ""
}

// isBy reports whether a key made the signature. The algorithm must be one of the key's.
func (s *signed) isBy(key any) bool {
	if k, ok := key.(ed25519.PublicKey); ok {
		return ed25519.Verify(k, []byte(s.input), s.signature)
	}
	hash := hashes[s.alg]
	h := hash.New()
	h.Write([]byte(s.input))
	digest := h.Sum(nil)
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		// Both numbers have the length of a coordinate (RFC 7518 §3.4).
		size := (k.Curve.Params().BitSize + 7) / 8
		if len(s.signature) != 2*size {
			return false
		}
		return ecdsa.Verify(k, digest, new(big.Int).SetBytes(s.signature[:size]), new(big.Int).SetBytes(s.signature[size:]))
	case *rsa.PublicKey:
		switch s.alg {
		case jose.PS256, jose.PS384, jose.PS512: // RFC 7518 §3.5
			return rsa.VerifyPSS(k, hash, digest, s.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(k, hash, digest, s.signature) == nil
	}
	return false
}

// hashes has the hash functions of the algorithms that sign a hash.
var hashes = map[jose.SignatureAlgorithm]crypto.Hash{
	jose.ES256: crypto.SHA256, jose.ES384: crypto.SHA384, jose.ES512: crypto.SHA512,
	jose.PS256: crypto.SHA256, jose.PS384: crypto.SHA384, jose.PS512: crypto.SHA512,
	jose.RS256: crypto.SHA256, jose.RS384: crypto.SHA384, jose.RS512: crypto.SHA512,
}
