package proof

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// maxAge is how far the iat of a proof may lie from now, in either direction. That a proof
	// is recent, its nonce proves (RFC 9449 §4.3 no. 11); the clocks of devices are often wrong.
	maxAge = 24 * time.Hour
	// maxJTI limits a jti, in bytes.
	maxJTI = 256
)

// dpopAlgorithms are the algorithms of DPoP proofs. All are asymmetric.
var dpopAlgorithms = []jose.SignatureAlgorithm{
	jose.ES256, jose.ES384, jose.ES512, ed25519Algorithm, jose.EdDSA,
	jose.PS256, jose.PS384, jose.PS512, jose.RS256, jose.RS384, jose.RS512,
}

// Algorithms returns the algorithms that a DPoP proof may be signed by, for
// dpop_signing_alg_values_supported (RFC 9449 §5.1).
func Algorithms() []string {
	names := make([]string, len(dpopAlgorithms))
	for i, alg := range dpopAlgorithms {
		names[i] = string(alg)
	}
	return names
}

// Expected is what a DPoP proof must be for.
type Expected struct {
	Method      string            // htm
	URL         string            // htu, without query and fragment
	AccessToken string            // whose hash must be in ath; "" where no access token is presented
	Nonce       func(string) bool // reports whether a nonce is one of the service's, and recent
	Now         time.Time
}

// dpopClaims are the claims of a DPoP proof that are looked at. Others are ignored.
type dpopClaims struct {
	JTI   string           `json:"jti"`
	HTM   string           `json:"htm"`
	HTU   string           `json:"htu"`
	IAT   *jwt.NumericDate `json:"iat"`
	ATH   string           `json:"ath"`
	Nonce string           `json:"nonce"`
}

// CheckDPoP returns the thumbprint of the key that a proof proves the possession of (RFC 9449
// §4.3). headers are the values of all DPoP header fields of the request. The error is a
// [*RefusedError].
//
// A well signed proof without a recent nonce is refused for that before its other claims are
// looked at. The jti is not compared with those of other proofs.
func CheckDPoP(headers []string, want Expected) (Thumbprint, error) {
	presented, reason := single(headers)
	if reason != "" {
		return Thumbprint{}, refused(reason)
	}
	s, reason := parse(presented, "dpop+jwt", dpopAlgorithms)
	if reason != "" {
		return Thumbprint{}, refused(reason)
	}
	if s.key == nil {
		return Thumbprint{}, refused(NoKey)
	}
	var claims dpopClaims
	if reason := s.claims(s.key, &claims); reason != "" {
		return Thumbprint{}, refused(reason)
	}
	if reason := claims.check(want); reason != "" {
		return Thumbprint{}, refused(reason)
	}
	return thumbprint(s.key), nil
}

// single returns the value of the only header field (RFC 9449 §4.3 no. 1). Gateways join the
// values of several by commas.
func single(headers []string) (string, Reason) {
	switch {
	case len(headers) == 0:
		return "", NoProof
	case len(headers) > 1 || strings.Contains(headers[0], ","):
		return "", SeveralProofs
	}
	return headers[0], ""
}

// check returns why the claims are not those of a proof for what is expected, "" if they are.
func (c *dpopClaims) check(want Expected) Reason {
	switch {
	case c.Nonce == "":
		return NoNonce
	case !want.Nonce(c.Nonce):
		return StaleNonce
	case c.HTM != want.Method:
		return WrongMethod
	case !sameURL(c.HTU, want.URL):
		return WrongURL
	case c.JTI == "":
		return NoJTI
	case len(c.JTI) > maxJTI:
		return TooLong
	case c.IAT == nil:
		return NoTime
	case want.Now.Sub(c.IAT.Time()).Abs() > maxAge:
		return WrongTime
	case want.AccessToken != "" && !isHash(c.ATH, want.AccessToken):
		return WrongAccessToken
	}
	return ""
}

// isHash reports whether ath is the hash of an access token (RFC 9449 §4.2).
func isHash(ath, accessToken string) bool {
	sum := sha256.Sum256([]byte(accessToken))
	return subtle.ConstantTimeCompare([]byte(ath), []byte(Thumbprint(sum).String())) == 1
}
