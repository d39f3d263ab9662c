package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// startingKeys returns the keys to start a family with. It is an error where they
// are so old that other instances could take the family's tokens for forged (see
// [token.Codec.Parse]).
func (a *API) startingKeys(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	keys, err := a.Keys.Keys(ctx, now)
	if err != nil {
		return nil, err
	}
	if keys.Stale {
		return nil, fmt.Errorf("start a family: %w: the copy at hand is too old", keyring.ErrUnavailable)
	}
	return keys, nil
}

// parseToken reads a refresh token. One whose key the keys do not have may be of a
// newer key. Where newer ones cannot be read the error is [keyring.ErrUnavailable]:
// that is not the token's fault.
func (a *API) parseToken(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (token.Token, error) {
	tok, err := keys.Codec.Parse(presented)
	if !errors.Is(err, token.ErrUnknownKey) {
		return tok, err
	}
	keys, err = a.Keys.Newer(ctx, now)
	if err != nil {
		return token.Token{}, err
	}
	tok, err = keys.Codec.Parse(presented)
	if keys.Overdue && errors.Is(err, token.ErrUnknownKey) {
		return token.Token{}, fmt.Errorf("parse a refresh token: %w: its key may be newer than ours", keyring.ErrUnavailable)
	}
	return tok, err
}

// verifyAccess is parseToken for access tokens: verify is the method to ask.
func (a *API) verifyAccess(ctx context.Context, keys *keyring.Keys, presented string, now time.Time,
	verify func(set *signing.Set, presented, issuer string, now time.Time) (signing.Access, error),
) (signing.Access, error) {
	access, err := verify(keys.Signing, presented, a.Issuer, now)
	if !errors.Is(err, signing.ErrUnknownKey) {
		return access, err
	}
	keys, err = a.Keys.Newer(ctx, now)
	if err != nil {
		return signing.Access{}, err
	}
	access, err = verify(keys.Signing, presented, a.Issuer, now)
	if keys.Overdue && errors.Is(err, signing.ErrUnknownKey) {
		return signing.Access{}, fmt.Errorf("verify an access token: %w: its key may be newer than ours", keyring.ErrUnavailable)
	}
	return access, err
}
