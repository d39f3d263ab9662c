package tokensource

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// WithDPoP binds the session to a key (RFC 9449), so that its tokens are of no use without it. The key
// is made once, and kept in the record beside the token. A session is bound when it begins, which
// is before [Source.Login]: see [Source.DPoPThumbprint] and [Source.LoginClient].
//
// A record that has a key is refreshed with a proof, whatever the option says. So programs that share a
// session need not all have it.
func WithDPoP() Option { return func(s *Source) { s.makesKey = true } }

// WithDPoPKey does what [WithDPoP] does, with a key that is kept elsewhere, such as in a key store which it
// never leaves. The key is an RSA key, an Ed25519 key, or an ECDSA key of P-256, P-384 or P-521. All programs that
// share the session need it.
func WithDPoPKey(key crypto.Signer) Option {
	return func(s *Source) {
		s.ownKey, s.keyMistake = newDPoPKey(key)
	}
}

// dpopKey makes the proofs that its holder has a key.
type dpopKey struct {
	signer     jose.Signer
	thumbprint string
}

func newDPoPKey(key crypto.Signer) (*dpopKey, error) {
	if key == nil {
		return nil, errors.New("WithDPoPKey: there is no key")
	}
	opaque := cryptosigner.Opaque(key)
	algorithms := opaque.Algs()
	if len(algorithms) == 0 {
		return nil, fmt.Errorf("WithDPoPKey: keys of the type %T are not supported", key.Public())
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithms[0], Key: opaque}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		return nil, fmt.Errorf("WithDPoPKey: %w", err)
	}
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("WithDPoPKey: %w", err)
	}
	return &dpopKey{signer, base64.RawURLEncoding.EncodeToString(sum)}, nil
}

// proof returns a proof for one request (RFC 9449 §4.2). accessToken is the one that the request presents, or "".
func (k *dpopKey) proof(method, url, accessToken, nonce string, now time.Time) (string, error) {
	claims := struct {
		ID     string `json:"jti"`
		Method string `json:"htm"`
		URL    string `json:"htu"`
		At     int64  `json:"iat"`
		Hash   string `json:"ath,omitempty"`
		Nonce  string `json:"nonce,omitempty"`
	}{ID: rand.Text(), Method: method, URL: url, At: now.Unix(), Nonce: nonce}
	if accessToken != "" {
		sum := sha256.Sum256([]byte(accessToken))
		claims.Hash = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("make a DPoP proof: %w", err)
	}
	signed, err := k.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("make a DPoP proof: %w", err)
	}
	return signed.CompactSerialize()
}

// recordKey is the key in a record, a JWK (RFC 7518 §6.2) of P-256.
type recordKey struct {
	private *ecdsa.PrivateKey
	*dpopKey
}

// errRecordKey is returned for a key in a record that is none of ours.
var errRecordKey = errors.New("the DPoP key is damaged, or of a type that this program does not support")

// makeKey returns a new key.
func makeKey() (*recordKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a DPoP key: %w", err)
	}
	return newRecordKey(private)
}

func newRecordKey(private *ecdsa.PrivateKey) (*recordKey, error) {
	key, err := newDPoPKey(private)
	return &recordKey{private, key}, err
}

// jwk holds the members of a recordKey. Others are ignored.
type jwk struct {
	Type  string `json:"kty"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
	D     string `json:"d"`
}

// MarshalJSON returns the key as a JWK.
func (k *recordKey) MarshalJSON() ([]byte, error) {
	public, err := k.private.PublicKey.Bytes() // 4, x and y
	if err != nil {
		return nil, err
	}
	private, err := k.private.Bytes()
	if err != nil {
		return nil, err
	}
	encode := base64.RawURLEncoding.EncodeToString
	return json.Marshal(jwk{"EC", "P-256", encode(public[1:33]), encode(public[33:]), encode(private)})
}

// UnmarshalJSON reads a JWK. Its error quotes nothing.
func (k *recordKey) UnmarshalJSON(b []byte) error {
	var members jwk
	if json.Unmarshal(b, &members) != nil || members.Type != "EC" || members.Curve != "P-256" {
		return errRecordKey
	}
	point := []byte{4}
	for _, s := range []string{members.X, members.Y} {
		n, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(n) != 32 {
			return errRecordKey
		}
		point = append(point, n...)
	}
	d, err := base64.RawURLEncoding.DecodeString(members.D)
	if err != nil {
		return errRecordKey
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		return errRecordKey
	}
	if public, err := private.PublicKey.Bytes(); err != nil || !slices.Equal(public, point) {
		return errRecordKey
	}
	read, err := newRecordKey(private)
	if err != nil {
		return errRecordKey
	}
	*k = *read
	return nil
}
