package proof

import (
	"crypto/ed25519"
	"errors"
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
	jws *jose.JSONWebSignature
	alg jose.SignatureAlgorithm
	key any // the one that it brings, by which alg signs; nil if it brings none
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
	s := &signed{alg: h.Alg}
	if h.JWK != nil {
		var reason Reason
		if s.key, reason = parseKey(h.JWK); reason != "" {
			return nil, reason
		}
		if !signs(s.key, h.Alg) {
			return nil, WrongAlgorithm
		}
	}
	var err error
	if s.jws, err = jose.ParseSignedCompact(presented, algorithms); err != nil {
		return nil, Malformed
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
	return strings.EqualFold(typ, want)
}

// claims verifies that the key signed the proof, and reads the claims into target.
func (s *signed) claims(key, target any) Reason {
	if public, ok := key.(ed25519.PublicKey); ok && s.alg == ed25519Algorithm {
		key = ed25519Verifier(public)
	}
	payload, err := s.jws.Verify(key)
	if err != nil {
		return WrongSignature
	}
	if json.Unmarshal(payload, target) != nil {
		return Malformed
	}
	return ""
}

// ed25519Verifier verifies signatures of [ed25519Algorithm].
type ed25519Verifier ed25519.PublicKey

var errSignature = errors.New("wrong signature")

// VerifyPayload returns an error unless the key signed the payload.
func (v ed25519Verifier) VerifyPayload(payload, signature []byte, _ jose.SignatureAlgorithm) error {
	if !ed25519.Verify(ed25519.PublicKey(v), payload, signature) {
		return errSignature
	}
	return nil
}
