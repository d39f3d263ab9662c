package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// ParseToken parses a refresh token and verifies its MAC. If its key is not among keys,
// it reads the key store again, since the key may be newer than this copy. If that fails,
// the error is [keyring.ErrUnavailable], which says nothing about the token.
func (e *Engine) ParseToken(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (token.Token, error) {
	tok, _, err := e.parseToken(ctx, keys, presented, (*token.Codec).Parse, now)
	return tok, err
}

// ParseCode does with an authorization code what ParseToken does with a refresh token.
func (e *Engine) ParseCode(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (token.Token, error) {
	code, _, err := e.parseToken(ctx, keys, presented, (*token.Codec).ParseCode, now)
	return code, err
}

// parseToken does the work of ParseToken with the given method of [token.Codec]. It also returns
// the keys that it used last.
func (e *Engine) parseToken(ctx context.Context, keys *keyring.Keys, presented string, parse func(*token.Codec, string) (token.Token, error), now time.Time) (token.Token, *keyring.Keys, error) {
	return parsed(ctx, e, keys, presented, parse, now)
}

// sealed is what [token.Codec.Open] returns.
type sealed struct {
	family  family.ID
	content []byte
}

// open opens what was sealed for a purpose. It reads the key store again as parseToken does, and also returns the keys
// that it used last.
func (e *Engine) open(ctx context.Context, keys *keyring.Keys, p token.Purpose, presented string, now time.Time) (sealed, *keyring.Keys, error) {
	return parsed(ctx, e, keys, presented, func(c *token.Codec, s string) (opened sealed, err error) {
		opened.family, opened.content, err = c.Open(p, s)
		return opened, err
	}, now)
}

// parsed returns what parse makes of a string under a MAC, and the keys that it used last.
func parsed[Content any](ctx context.Context, e *Engine, keys *keyring.Keys, presented string, parse func(*token.Codec, string) (Content, error), now time.Time) (Content, *keyring.Keys, error) {
	var none Content
	content, err := parse(keys.Codec, presented)
	if !errors.Is(err, token.ErrUnknownKey) {
		return content, keys, err
	}
	newer, err := e.Keys.Newer(ctx, now)
	if err != nil {
		return none, keys, err
	}
	content, err = parse(newer.Codec, presented)
	if newer.Overdue && errors.Is(err, token.ErrUnknownKey) {
		return none, newer, fmt.Errorf("parse a token: %w: its key may be newer than ours", keyring.ErrUnavailable)
	}
	return content, newer, err
}

// VerifyAccess verifies an access token with the given method of [signing.Set]. Like
// ParseToken, it reads the key store again if the token's key is not among keys.
func (e *Engine) VerifyAccess(ctx context.Context, keys *keyring.Keys, presented string, now time.Time,
	verify func(set *signing.Set, presented, issuer string, now time.Time) (signing.Access, error),
) (signing.Access, error) {
	return verified(ctx, e, keys, presented, now, verify)
}

// VerifyID verifies an id token, expired or not, as VerifyAccess does an access token.
func (e *Engine) VerifyID(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (signing.ID, error) {
	return verified(ctx, e, keys, presented, now, (*signing.Set).VerifyID)
}

// verified returns the claims of a token that verify accepts.
func verified[Claims any](ctx context.Context, e *Engine, keys *keyring.Keys, presented string, now time.Time,
	verify func(set *signing.Set, presented, issuer string, now time.Time) (Claims, error),
) (Claims, error) {
	var none Claims
	claims, err := verify(keys.Signing, presented, e.Issuer, now)
	if !errors.Is(err, signing.ErrUnknownKey) {
		return claims, err
	}
	keys, err = e.Keys.Newer(ctx, now)
	if err != nil {
		return none, err
	}
	claims, err = verify(keys.Signing, presented, e.Issuer, now)
	if keys.Overdue && errors.Is(err, signing.ErrUnknownKey) {
		return none, fmt.Errorf("verify a token: %w: its key may be newer than ours", keyring.ErrUnavailable)
	}
	return claims, err
}
