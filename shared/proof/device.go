package proof

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"math/big"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// deviceAlgorithms are the algorithms of device-bound sessions. The draft also has "none", for
// a session that is bound to nothing.
var deviceAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.RS256}

// DeviceKey is the public key of a browser's device-bound session: one on P-256 for ES256, or
// an RSA key of 2048 to 4096 bits for RS256. No proof is good for its zero value.
type DeviceKey struct {
	key any // *ecdsa.PublicKey or *rsa.PublicKey, which parseKey accepts
}

// Thumbprint returns the thumbprint of the key.
func (k DeviceKey) Thumbprint() Thumbprint {
	return thumbprint(k.key)
}

// The first byte of an encoded key.
const (
	codeES256 = 1
	codeRS256 = 2
)

const (
	coordinateSize = 32 // of P-256, in bytes
	exponentSize   = 4
)

var errDeviceKey = errors.New("it is not an encoded key of a device")

// MarshalBinary returns the key in the form that [ParseDeviceKey] reads: 34 bytes for ES256,
// and 5 more than the modulus has for RS256.
func (k DeviceKey) MarshalBinary() ([]byte, error) {
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		sign := 2 | point[2*coordinateSize]&1 // SEC 1 §2.3.3
		return append([]byte{codeES256, sign}, point[1:1+coordinateSize]...), nil
	case *rsa.PublicKey:
		b := binary.BigEndian.AppendUint32([]byte{codeRS256}, uint32(key.E)) //nolint:gosec // checkRSA limits it
		return append(b, key.N.Bytes()...), nil
	}
	return nil, errDeviceKey
}

// ParseDeviceKey returns the key whose MarshalBinary returns b.
func ParseDeviceKey(b []byte) (DeviceKey, error) {
	if len(b) == 2+coordinateSize && b[0] == codeES256 {
		x, y := elliptic.UnmarshalCompressed(elliptic.P256(), b[1:])
		if x == nil {
			return DeviceKey{}, errDeviceKey
		}
		point := make([]byte, 1+2*coordinateSize)
		point[0] = 4
		x.FillBytes(point[1 : 1+coordinateSize])
		y.FillBytes(point[1+coordinateSize:])
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return DeviceKey{}, errDeviceKey
		}
		return DeviceKey{key}, nil
	}
	if len(b) > 1+exponentSize && b[0] == codeRS256 && b[1+exponentSize] != 0 {
		key := &rsa.PublicKey{
			E: int(binary.BigEndian.Uint32(b[1:])),
			N: new(big.Int).SetBytes(b[1+exponentSize:]),
		}
		if checkRSA(key) != "" {
			return DeviceKey{}, errDeviceKey
		}
		return DeviceKey{key}, nil
	}
	return DeviceKey{}, errDeviceKey
}

// deviceClaims are the claims of the JWTs of a device-bound session.
type deviceClaims struct {
	JTI           string `json:"jti"`
	Authorization string `json:"authorization"`
}

// CheckRegistration checks the JWT with which a browser registers a key. headers are the
// values of all Secure-Session-Response header fields of the request. The challenge and the
// authorization, which may be "", are those that the service gave it; the caller checks them.
// The error is a [*RefusedError].
func CheckRegistration(headers []string) (key DeviceKey, challenge, authorization string, err error) {
	s, reason := parseDevice(headers)
	if reason == "" && s.key == nil {
		reason = NoKey
	}
	if reason != "" {
		return DeviceKey{}, "", "", refused(reason)
	}
	claims, reason := s.deviceClaims(s.key)
	if reason != "" {
		return DeviceKey{}, "", "", refused(reason)
	}
	return DeviceKey{s.key}, claims.JTI, claims.Authorization, nil
}

// CheckRenewal checks the JWT of a renewal against the registered key, and returns the
// challenge that it answers, which the caller checks. The error is a [*RefusedError].
func CheckRenewal(headers []string, key DeviceKey) (challenge string, err error) {
	s, reason := parseDevice(headers)
	if reason != "" {
		return "", refused(reason)
	}
	if s.key != nil { // the draft: "It MUST not be present for refresh requests"
		return "", refused(ForbiddenHeader)
	}
	if !signs(key.key, s.alg) {
		return "", refused(WrongAlgorithm)
	}
	claims, reason := s.deviceClaims(key.key)
	if reason != "" {
		return "", refused(reason)
	}
	return claims.JTI, nil
}

// parseDevice parses a JWT of a device-bound session. Its header field is a string of RFC 9651,
// whose parameters are ignored; it is accepted without quotes, too.
func parseDevice(headers []string) (*signed, Reason) {
	if len(headers) == 1 && len(headers[0]) > maxSize {
		return nil, TooLong
	}
	presented, reason := single(headers)
	if reason != "" {
		return nil, reason
	}
	presented, _, _ = strings.Cut(presented, ";")
	presented = strings.Trim(presented, " ")
	if inner, ok := strings.CutPrefix(presented, `"`); ok {
		if presented, ok = strings.CutSuffix(inner, `"`); !ok {
			return nil, Malformed
		}
	}
	return parse(presented, "dbsc+jwt", deviceAlgorithms)
}

// deviceClaims verifies the signature by the key and returns the claims.
func (s *signed) deviceClaims(key any) (c deviceClaims, reason Reason) {
	if reason := s.claims(key, &c); reason != "" {
		return c, reason
	}
	if c.JTI == "" {
		return c, NoJTI
	}
	return c, ""
}
