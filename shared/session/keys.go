package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// ParseToken reads a refresh token. One whose key the keys do not have may be of a
// newer key. Where newer ones cannot be read the error is [keyring.ErrUnavailable]:
// that is not the token's fault.
func (en *Engine) ParseToken(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (token.Token, error) {
	tok, _, err := en.parseToken(ctx, keys, presented, now)
	return tok, err
}

// parseToken is ParseToken, and returns the keys by which the token was read.
func (en *Engine) parseToken(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (token.Token, *keyring.Keys, error) {
	tok, err := keys.Codec.Parse(presented)
	if !errors.Is(err, token.ErrUnknownKey) {
		return tok, keys, err
	}
	newer, err := en.Keys.Newer(ctx, now)
	if err != nil {
		return token.Token{}, keys, err
	}
	tok, err = newer.Codec.Parse(presented)
	if newer.Overdue && errors.Is(err, token.ErrUnknownKey) {
		return token.Token{}, newer, fmt.Errorf("parse a refresh token: %w: its key may be newer than ours", keyring.ErrUnavailable)
	}
	return tok, newer, err
}

// VerifyAccess is ParseToken for access tokens: verify is the method to ask.
func (en *Engine) VerifyAccess(ctx context.Context, keys *keyring.Keys, presented string, now time.Time,
	verify func(set *signing.Set, presented, issuer string, now time.Time) (signing.Access, error),
) (signing.Access, error) {
	access, err := verify(keys.Signing, presented, en.Issuer, now)
	if !errors.Is(err, signing.ErrUnknownKey) {
		return access, err
	}
	keys, err = en.Keys.Newer(ctx, now)
	if err != nil {
		return signing.Access{}, err
	}
	access, err = verify(keys.Signing, presented, en.Issuer, now)
	if keys.Overdue && errors.Is(err, signing.ErrUnknownKey) {
		return signing.Access{}, fmt.Errorf("verify an access token: %w: its key may be newer than ours", keyring.ErrUnavailable)
	}
	return access, err
}
