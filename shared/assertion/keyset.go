package assertion

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Limits of a JWK Set.
const (
	maxSetSize = 256 * 1024 // bytes
	maxKeys    = 64
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192 // a longer one costs more to verify than it protects
)

// KeySet is a JWK Set (RFC 7517 §5) of public keys.
type KeySet struct{ keys []jose.JSONWebKey }

// Keys returns the keys of the set, which may be nil.
func (s *KeySet) Keys() []jose.JSONWebKey {
	if s == nil {
		return nil
	}
	return s.keys
}

// MarshalJSON writes the set with what is needed to verify by it.
func (s *KeySet) MarshalJSON() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: s.keys})
}

// UnmarshalJSON reads a set that [ParseKeySet] accepts.
func (s *KeySet) UnmarshalJSON(data []byte) error {
	set, err := ParseKeySet(data)
	if err == nil {
		*s = *set
	}
	return err
}

// within reports whether every key of s is in other.
func (s *KeySet) within(other *KeySet) bool {
	return !slices.ContainsFunc(s.Keys(), func(k jose.JSONWebKey) bool {
		one, err := k.MarshalJSON()
		return err != nil || !slices.ContainsFunc(other.Keys(), func(o jose.JSONWebKey) bool {
			another, err := o.MarshalJSON()
			return err == nil && bytes.Equal(one, another)
		})
	})
}

// Equal reports whether both sets have the same keys, in any order.
func (s *KeySet) Equal(other *KeySet) bool { return s.within(other) && other.within(s) }

// Errors of a key.
var (
	errPrivate     = errors.New("it is private or symmetric")
	errUnsupported = errors.New("it is not an RSA key of 2048 to 8192 bits, nor an EC key on P-256 or P-384, nor an Ed25519 key")
	errNotASet     = errors.New(`it is not a JWK Set: a JSON object with a list "keys"`)
)

// ParseKeySet parses a JWK Set that was given by hand, in which every key must be public
// and usable. Its errors repeat nothing of the text, which may hold a private key.
func ParseKeySet(data []byte) (*KeySet, error) {
	raw, err := splitSet(data)
	if err != nil {
		return nil, err
	}
	set := &KeySet{}
	for n, data := range raw {
		k, err := parseKey(data)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", n+1, err)
		}
		set.keys = append(set.keys, *k)
	}
	return set, nil
}

// parsePublished returns the usable keys of a JWK Set that an issuer publishes. Others are
// left out (RFC 7517 §5), but there must be one.
func parsePublished(data []byte) ([]jose.JSONWebKey, error) {
	raw, err := splitSet(data)
	if err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, data := range raw {
		if k, err := parseKey(data); err == nil {
			keys = append(keys, *k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("none of its keys is usable")
	}
	return keys, nil
}

// splitSet returns the keys of a JWK Set, each as it is written.
func splitSet(data []byte) ([]json.RawMessage, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch {
	case json.Unmarshal(data, &set) != nil || set.Keys == nil:
		return nil, errNotASet
	case len(set.Keys) == 0:
		return nil, errors.New("it has no keys")
	case len(set.Keys) > maxKeys:
		return nil, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	return set.Keys, nil
}

// parseKey parses a public key for signatures.
func parseKey(data []byte) (*jose.JSONWebKey, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil, errUnsupported
	}
	for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := members[secret]; ok {
			return nil, errPrivate
		}
	}
	// Certificates are not looked at. go-jose would refuse a key for a faulty one.
	for _, needless := range []string{"x5c", "x5u", "x5t", "x5t#S256"} {
		delete(members, needless)
	}
	bare, err := json.Marshal(members)
	if err != nil {
		return nil, errUnsupported
	}
	var k jose.JSONWebKey
	if k.UnmarshalJSON(bare) != nil || !k.IsPublic() || !k.Valid() || !supported(k.Key) {
		return nil, errUnsupported
	}
	if k.Use != "" && k.Use != "sig" {
		return nil, errors.New("it is not for signatures")
	}
	return &k, nil
}

// supported reports whether signatures by this key are verified.
func supported(key any) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= minRSABits && k.N.BitLen() <= maxRSABits
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return true
	}
	return false
}

// fitting returns the keys that can have made a signature with that key id and algorithm.
// Without a key id there must be only one.
func fitting(set []jose.JSONWebKey, kid string, alg jose.SignatureAlgorithm) []jose.JSONWebKey {
	var fit []jose.JSONWebKey
	for _, k := range set {
		if (kid == "" || k.KeyID == kid) && (k.Algorithm == "" || same(k.Algorithm, alg)) && signs(k.Key, alg) {
			fit = append(fit, k)
		}
	}
	if kid == "" && len(fit) > 1 {
		return nil
	}
	return fit
}

// same reports whether the algorithm of a key is that of a signature. Ed25519 has two names (RFC
// 9864).
func same(name string, alg jose.SignatureAlgorithm) bool {
	isEd25519 := func(alg jose.SignatureAlgorithm) bool { return alg == jose.EdDSA || alg == algEd25519 }
	return name == string(alg) || isEd25519(jose.SignatureAlgorithm(name)) && isEd25519(alg)
}

// signs reports whether a key of this type makes signatures of the algorithm (RFC 8725
// §3.1).
func signs(key any, alg jose.SignatureAlgorithm) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		switch alg {
		case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
			return true
		}
	case *ecdsa.PublicKey:
		return alg == jose.ES256 && k.Curve == elliptic.P256() || alg == jose.ES384 && k.Curve == elliptic.P384()
	case ed25519.PublicKey:
		return alg == jose.EdDSA || alg == algEd25519
	}
	return false
}
