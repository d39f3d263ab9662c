package signing

import "fmt"

// Algorithm is a JWS algorithm of RFC 7518 §3.1. Only the two below are ever
// signed with or accepted.
type Algorithm string

const (
	// RS256 is RSASSA-PKCS1-v1_5 with SHA-256: what every verifier reads,
	// Amazon API Gateway's JWT authorizer included.
	RS256 Algorithm = "RS256"
	// ES256 is ECDSA on P-256 with SHA-256: smaller tokens for far less CPU.
	ES256 Algorithm = "ES256"
)

// ParseAlgorithm takes the exact name of an algorithm.
func ParseAlgorithm(name string) (Algorithm, error) {
	switch a := Algorithm(name); a {
	case RS256, ES256:
		return a, nil
	}
	return "", fmt.Errorf("signing: algorithm %q is neither %s nor %s", name, RS256, ES256)
}
