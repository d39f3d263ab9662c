package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const rsaBits = 2048

// Key is a signing key with the times of its use. It signs from From on, until a key
// with a later From takes over, and its public half is published until Until. A key
// that was replaced may be kept without its private half. It is then published and
// verifies, but does not sign.
//
// A Key that is printed, logged or marshaled to JSON shows its id, algorithm and
// times, and nothing of the private half.
type Key struct {
	// JWK holds the private or public key, its id, and the only algorithm that it is
	// used with.
	JWK  jose.JSONWebKey
	From time.Time
	// Until is the end of publication; zero means no end.
	Until time.Time
	// Revoked is when the key was revoked because it leaked, or zero. A revoked key
	// is not published, and neither signs nor verifies anything at any time. It is
	// kept only so that all who have a copy of it learn that.
	Revoked time.Time
}

// GenerateKey generates a private key that signs from the given time on: RSA with
// 2048 bits, or ECDSA on P-256. Its id is its thumbprint (RFC 7638), so equal ids
// mean equal keys.
func GenerateKey(alg Algorithm, from time.Time) (Key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		_, err = ParseAlgorithm(string(alg))
	}
	if err != nil {
		return Key{}, fmt.Errorf("signing: generate key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: private, Algorithm: string(alg), Use: "sig"}
	thumbprint, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return Key{}, fmt.Errorf("signing: generate key: thumbprint: %w", err)
	}
	jwk.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint[:sha256.Size])
	return Key{JWK: jwk, From: from}, nil
}

// Private reports whether the key has its private half, without which it cannot
// sign.
func (k Key) Private() bool {
	switch k.JWK.Key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey:
		return true
	}
	return false
}

// Retired returns the key without its private half, published until the given
// time.
func (k Key) Retired(until time.Time) Key {
	return Key{JWK: k.JWK.Public(), From: k.From, Until: until, Revoked: k.Revoked}
}

// publishedAt reports whether the key is published at now, which it no longer is at
// Until itself.
func (k Key) publishedAt(now time.Time) bool {
	return k.Until.IsZero() || now.Before(k.Until)
}

// half returns which half the key holds, for people to read.
func (k Key) half() string {
	if k.Private() {
		return "private"
	}
	return "public"
}

// String returns the key's id, algorithm and times.
func (k Key) String() string {
	s := fmt.Sprintf("signing key %q %s %s from %s", k.JWK.KeyID, k.JWK.Algorithm, k.half(), k.From.UTC().Format(time.RFC3339))
	if !k.Until.IsZero() {
		s += " until " + k.Until.UTC().Format(time.RFC3339)
	}
	if !k.Revoked.IsZero() {
		s += " revoked " + k.Revoked.UTC().Format(time.RFC3339)
	}
	return s
}

// Format prints String for every verb, so that %+v and %#v hide the key as well.
func (k Key) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, k.String())
}

// LogValue logs String.
func (k Key) LogValue() slog.Value {
	return slog.StringValue(k.String())
}

// MarshalJSON returns String as a JSON string, so that a key does not leak when a
// value that contains it is marshaled. To store a key, marshal its JWK.
func (k Key) MarshalJSON() ([]byte, error) {
	return json.Marshal(k.String())
}

// checked returns a key that is safe to use: its algorithm is pinned, its
// material fits the algorithm and is strong enough, and its halves belong
// together. The result shares no mutable state with k.
func (k Key) checked() (Key, error) {
	if k.JWK.KeyID == "" {
		return Key{}, errors.New("has no id")
	}
	if use := k.JWK.Use; use != "" && use != "sig" {
		return Key{}, fmt.Errorf("is for use %q, not for signatures", use)
	}
	alg, err := ParseAlgorithm(k.JWK.Algorithm)
	if err != nil {
		return Key{}, err
	}
	material, err := checkedMaterial(alg, k.JWK.Key)
	if err != nil {
		return Key{}, err
	}
	return Key{
		JWK:     jose.JSONWebKey{Key: material, KeyID: k.JWK.KeyID, Algorithm: string(alg), Use: "sig"},
		From:    k.From,
		Until:   k.Until,
		Revoked: k.Revoked,
	}, nil
}

func checkedMaterial(alg Algorithm, material any) (any, error) {
	if !whole(material) {
		return nil, fmt.Errorf("is not a complete RSA or ECDSA key, which %s requires", alg)
	}
	switch m := material.(type) {
	case *rsa.PublicKey:
		return m, checkRSA(alg, m)
	case *rsa.PrivateKey:
		err := checkRSA(alg, &m.PublicKey)
		if err != nil {
			return nil, err
		}
		// A key that was parsed from a JWK lacks its precomputed values, and would
		// compute them again for every signature.
		private := &rsa.PrivateKey{PublicKey: m.PublicKey, D: m.D, Primes: m.Primes}
		private.Precompute()
		if private.Validate() != nil {
			return nil, errors.New("is not a consistent RSA key")
		}
		return private, nil
	case *ecdsa.PublicKey:
		return m, checkECDSA(alg, m)
	case *ecdsa.PrivateKey:
		err := checkECDSA(alg, &m.PublicKey)
		if err != nil {
			return nil, err
		}
		return checkedPrivateECDSA(m)
	}
	return nil, fmt.Errorf("is not an RSA or ECDSA key, which %s requires", alg)
}

// whole reports whether the key has all its parts. The crypto packages may panic on
// one that does not.
func whole(material any) bool {
	switch m := material.(type) {
	case *rsa.PublicKey:
		if m == nil {
			return false
		}
	case *rsa.PrivateKey:
		if m == nil {
			return false
		}
	case *ecdsa.PublicKey:
		if m == nil {
			return false
		}
	case *ecdsa.PrivateKey:
		if m == nil {
			return false
		}
	}
	jwk := jose.JSONWebKey{Key: material}
	return jwk.Valid()
}

func checkRSA(alg Algorithm, public *rsa.PublicKey) error {
	switch {
	case alg != RS256:
		return fmt.Errorf("is an RSA key, which %s cannot use", alg)
	case public.N.BitLen() < rsaBits: // RFC 7518 §3.3
		return fmt.Errorf("has %d bits, fewer than %d", public.N.BitLen(), rsaBits)
	}
	return nil
}

func checkECDSA(alg Algorithm, public *ecdsa.PublicKey) error {
	switch {
	case alg != ES256:
		return fmt.Errorf("is an ECDSA key, which %s cannot use", alg)
	case public.Curve != elliptic.P256(): // RFC 7518 §3.4
		return fmt.Errorf("is on the curve %s, not P-256", public.Curve.Params().Name)
	}
	_, err := public.Bytes()
	if err != nil {
		return errors.New("is not a point on its curve")
	}
	return nil
}

// checkedPrivateECDSA checks that the private half belongs to the public half,
// without which nobody could verify its signatures.
func checkedPrivateECDSA(m *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	mismatch := errors.New("is not a consistent ECDSA key")
	raw, err := m.Bytes()
	if err != nil {
		return nil, mismatch
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil || !private.PublicKey.Equal(&m.PublicKey) {
		return nil, mismatch
	}
	return private, nil
}
