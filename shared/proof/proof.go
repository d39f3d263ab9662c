// Package proof checks proofs of the possession of a key: DPoP proofs (RFC 9449) and the JWTs
// of Device Bound Session Credentials (W3C). It is pure: it does no I/O and reads no clock.
//
// A proof is a JWT that is signed by the key which it proves the possession of. A DPoP proof
// brings its key, and so does the first JWT of a device-bound session. The key says nothing of
// who holds it: the caller compares its thumbprint with the one that it has on record.
//
// The JSON is go-jose's, which knows names by their exact spelling and refuses repeated ones.
// A proof is read once, and the key that is read is the one that verifies: go-jose's JWS would
// read header and key two times more, which is a third of the time of a check.
package proof

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// maxSize limits a proof, in bytes. One by an RSA key of 4096 bits has about 2,500.
const maxSize = 4 * 1024

// encoding is the base64url of JWTs. Each string of bytes has only one spelling in it, except
// that decoders skip line breaks.
var encoding = base64.RawURLEncoding.Strict()

// Thumbprint is the SHA-256 thumbprint of a public key (RFC 7638).
type Thumbprint [sha256.Size]byte

// String returns the thumbprint as base64url, in 43 characters, as it stands in jkt and
// dpop_jkt.
func (t Thumbprint) String() string { return encoding.EncodeToString(t[:]) }

var errThumbprint = errors.New("a thumbprint is the base64url of 32 bytes, in 43 characters")

// ParseThumbprint returns the thumbprint whose String returns s.
func ParseThumbprint(s string) (Thumbprint, error) {
	var t Thumbprint
	if len(s) != encoding.EncodedLen(len(t)) {
		return Thumbprint{}, errThumbprint
	}
	// A string of the right length with line breaks decodes to fewer bytes.
	if n, err := encoding.Decode(t[:], []byte(s)); err != nil || n != len(t) {
		return Thumbprint{}, errThumbprint
	}
	return t, nil
}

// Reason says why a proof is refused. It is for the log.
type Reason string

// The reasons.
const (
	NoProof          Reason = "no_proof"           // the request has none
	SeveralProofs    Reason = "several_proofs"     // the request has more than one
	TooLong          Reason = "too_long"           // the proof or its jti is too long
	Malformed        Reason = "malformed"          // it is not a signed JWT, or a member has the wrong type
	WrongType        Reason = "wrong_type"         // it is a JWT of another kind
	WrongAlgorithm   Reason = "wrong_algorithm"    // it is signed by an algorithm that is not accepted, or not of its key
	ForbiddenHeader  Reason = "forbidden_header"   // it has a critical extension, a certificate, or an address of a key
	NoKey            Reason = "no_key"             // it does not bring its key
	SymmetricKey     Reason = "symmetric_key"      // it brings a shared secret
	PrivateKey       Reason = "private_key"        // it brings the private half of its key
	MalformedKey     Reason = "malformed_key"      // its key has another form, or is a point that is not on its curve
	WeakKey          Reason = "weak_key"           // its RSA key has fewer than 2048 or more than 4096 bits, or a bad exponent
	WrongSignature   Reason = "wrong_signature"    // the key did not sign it
	NoNonce          Reason = "no_nonce"           // it has no nonce
	StaleNonce       Reason = "stale_nonce"        // its nonce is old, or not one of the service's
	WrongMethod      Reason = "wrong_method"       // it is for another HTTP method
	WrongURL         Reason = "wrong_url"          // it is for another URL
	NoJTI            Reason = "no_jti"             // it has no jti
	NoTime           Reason = "no_time"            // it has no iat
	WrongTime        Reason = "wrong_time"         // its iat is more than a day from now
	WrongAccessToken Reason = "wrong_access_token" // it is not for the access token of the request
)

// RefusedError is the error of a proof that is refused. It never holds a part of the proof.
type RefusedError struct{ Reason Reason }

func (e *RefusedError) Error() string { return "the proof is refused: " + string(e.Reason) }

// NeedsNonce reports whether the caller shall try again with a nonce of the service (RFC 9449
// §8).
func (e *RefusedError) NeedsNonce() bool { return e.Reason == NoNonce || e.Reason == StaleNonce }

// refused returns the error of a proof that is refused.
func refused(reason Reason) error { return &RefusedError{Reason: reason} }
