package signing

import "fmt"

// Algorithm is a JWS algorithm of RFC 7518 §3.1. Rotor signs with, and accepts, only
// the two below.
type Algorithm string

const (
	// RS256 is RSASSA-PKCS1-v1_5 with SHA-256. Every verifier supports it, including
	// the JWT authorizer of Amazon API Gateway.
	RS256 Algorithm = "RS256"
	// ES256 is ECDSA on P-256 with SHA-256. Its tokens are smaller and take far less
	// CPU to sign.
	ES256 Algorithm = "ES256"
)

// ParseAlgorithm parses the exact name of an algorithm.
func ParseAlgorithm(name string) (Algorithm, error) {
	switch a := Algorithm(name); a {
	case RS256, ES256:
		return a, nil
	}
	return "", fmt.Errorf("signing: algorithm %q is neither %s nor %s", name, RS256, ES256)
}
