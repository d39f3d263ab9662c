package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// The types of token, in the header's "typ".
const (
	typAccess = "at+jwt" // RFC 9068 §2.1
	typID     = "JWT"
)

// signer is a key with its private half, ready to sign. The tokens of one type have the same header, so
// it is made once. go-jose, which verifies, would make it anew for each signature, by maps and reflection.
type signer struct {
	key        Key
	access, id string // the encoded headers
}

func newSigner(k Key) (s signer, err error) {
	s.key = k
	if s.access, err = encodeHeader(k, typAccess); err != nil {
		return signer{}, err
	}
	s.id, err = encodeHeader(k, typID)
	return s, err
}

// encodeHeader returns the header of a token (RFC 7515 §4.1), in base64url.
func encodeHeader(k Key, typ string) (string, error) {
	header, err := encode(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{k.JWK.Algorithm, k.JWK.KeyID, typ})
	return base64.RawURLEncoding.EncodeToString(header), err
}

// sign returns a token in the compact form (RFC 7515 §3.1). Its payload is the claims, followed by the
// custom ones, which must not have the name of any of the claims.
func (s *signer) sign(header string, c claims, custom map[string]any) (string, error) {
	payload, err := encode(c)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	if len(custom) > 0 {
		more, err := encode(custom)
		if err != nil {
			return "", fmt.Errorf("claims: %w", err)
		}
		payload = append(append(payload[:len(payload)-1], ','), more[1:]...)
	}
	tok := make([]byte, 0, len(header)+len(payload)*4/3+rsaBits/6+4) // which is enough
	tok = append(append(tok, header...), '.')
	tok = base64.RawURLEncoding.AppendEncode(tok, payload)
	signature, err := s.signature(sha256.Sum256(tok))
	if err != nil {
		return "", err
	}
	tok = base64.RawURLEncoding.AppendEncode(append(tok, '.'), signature)
	return string(tok), nil
}

// signature returns a signature in the form of RFC 7518: RSASSA-PKCS1-v1_5 (§3.3), or the R and S of ECDSA, of
// 32 bytes each (§3.4).
func (s *signer) signature(digest [sha256.Size]byte) ([]byte, error) {
	switch private := s.key.JWK.Key.(type) {
	case *rsa.PrivateKey:
		return rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	default:
		return nil, fmt.Errorf("a %T cannot sign", private)
	}
}
