package session

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/token"
)

// ExchangeCode exchanges an authorization code for the first tokens of its family, or returns
// one of the errors of a refresh. A code is the family's token number 0, and its exchange is the
// same single write. The scope was fixed when the code was issued, so u.Scope must be nil.
func (e *Engine) ExchangeCode(ctx context.Context, u Use) (*Tokens, error) {
	u.Origin = family.Code
	if err := e.checkProof(ctx, u); err != nil {
		return nil, err
	}
	keys, err := e.Keys.Keys(ctx, u.Now)
	if err != nil {
		return nil, err
	}
	code, keys, err := e.parseToken(ctx, keys, u.Token, (*token.Codec).ParseCode, u.Now)
	if err != nil {
		return nil, e.refuseUnreadable(ctx, u, err)
	}
	f, err := e.exchange(ctx, u, code)
	if err != nil {
		return nil, err
	}
	return e.tokens(keys, f, u.Client, grant{resource: u.Resource, nonce: f.Origin.Nonce, jkt: u.accessKey(f)}, u.Now)
}

// Code returns the authorization code of a pending family. It is the same each time.
func (e *Engine) Code(ctx context.Context, f *family.Family, now time.Time) (string, error) {
	keys, err := e.Keys.Keys(ctx, now)
	if err != nil {
		return "", err
	}
	return keys.Codec.MintCode(f.ID, now).Reveal(), nil
}

// Challenge returns the code challenge of a code verifier, in bytes (RFC 7636 §4.2, S256).
func Challenge(verifier string) []byte {
	sum := sha256.Sum256([]byte(verifier))
	return sum[:]
}

// redirectHashSize is in bytes. The hash need only tell the addresses of one client apart.
const redirectHashSize = 16

// HashRedirect returns what a family's record keeps of a redirect URI, or of none, which is "".
func HashRedirect(uri string) []byte {
	sum := sha256.Sum256([]byte(uri))
	return sum[:redirectHashSize]
}
