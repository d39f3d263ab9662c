package tokensource

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// assertionType is the client_assertion_type of a JWT (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionLifetime is how long the JWT of a request is good.
const assertionLifetime = time.Minute

// clientKey is the key by which the client authenticates.
type clientKey struct {
	issuer string
	sign   jose.Signer
	err    error // why there is no signer
}

// WithClientKey authenticates the client by its private key (private_key_jwt, OpenID Connect Core §9)
// and not by a secret: each request has a JWT of its own that the key signs. The issuer is the
// provider's identifier, to the letter, for which the JWT is. keyID is the kid under which the
// provider knows the public key, or "" if it has only that one.
//
// The key may be in a KMS or an HSM. RSA keys sign with RS256, EC keys with ES256, ES384 or
// ES512, and Ed25519 keys with EdDSA. If the key fails to sign, nothing is sent, and the refresh
// token is not used up. The JWT is good for a minute, by the wall clock.
//
// New returns no error for a key of another kind or a Config that has a secret as well; instead
// each Token and Login does.
func WithClientKey(issuer string, key crypto.Signer, keyID string) Option {
	k := &clientKey{issuer: issuer}
	opaque := cryptosigner.Opaque(key)
	if algorithms := opaque.Algs(); len(algorithms) == 0 {
		k.err = errors.New("WithClientKey: the key is of an unknown kind")
	} else {
		var o jose.SignerOptions
		o.WithType("JWT")
		if keyID != "" {
			o.WithHeader("kid", keyID)
		}
		k.sign, k.err = jose.NewSigner(jose.SigningKey{Algorithm: algorithms[0], Key: opaque}, &o)
	}
	return func(s *Source) { s.clientKey = k }
}

// check returns an error if requests cannot be made by the key.
func (k *clientKey) check(secret string) error {
	switch {
	case k == nil:
		return nil
	case secret != "":
		return errors.New("WithClientKey: the Config has a client secret as well")
	}
	return k.err
}

// assertion returns the JWT of one request at now.
func (k *clientKey) assertion(clientID string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": clientID, "sub": clientID, "aud": k.issuer, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed, err := k.sign.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("sign with the client's key: %w", err)
	}
	return signed.CompactSerialize()
}

// assertionOf is the key of a context under which a request has its assertion.
type assertionOf struct{}

// withAssertion returns a context whose request is authenticated by the assertion.
func withAssertion(ctx context.Context, assertion string) context.Context {
	return context.WithValue(ctx, assertionOf{}, url.Values{"client_assertion_type": {assertionType}, "client_assertion": {assertion}}.Encode())
}
