package session

import (
	"context"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// ErrOtherClient is returned where a token was issued to another client.
var ErrOtherClient = errors.New("the token was issued to another client")

// RevokeByToken ends the family of a refresh or access token, expired or not, for the
// client that it was issued to. A token of no family, or of a dead one, is as revoked as
// can be.
func (en *Engine) RevokeByToken(ctx context.Context, keys *keyring.Keys, client *store.Client, presented string, from Caller, now time.Time) error {
	id, counter, ok, err := en.familyOf(ctx, keys, presented, now)
	if err != nil || !ok {
		return err
	}
	f, err := en.Table.Family(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if f.ClientID != client.ID {
		return ErrOtherClient
	}
	if f.Death(&client.Policy, now) != "" {
		return nil
	}
	_, err = en.RevokeLiving(ctx, f, &client.Policy, family.RevokedByClient, counter, from, now)
	return err
}

// familyOf returns the family of a refresh or access token that we issued; counter is
// 0 for an access token. A token under a revoked key is not ok: whoever has the key
// could make it, and end the families of others.
func (en *Engine) familyOf(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (id family.ID, counter uint32, ok bool, err error) {
	tok, err := en.ParseToken(ctx, keys, presented, now)
	if err == nil {
		return tok.Family, tok.Counter, true, nil
	}
	if errors.Is(err, keyring.ErrUnavailable) {
		return family.ID{}, 0, false, err
	}
	access, err := en.VerifyAccess(ctx, keys, presented, now, (*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {
		return family.ID{}, 0, false, err
	}
	if err != nil {
		return family.ID{}, 0, false, nil
	}
	sid, err := ulid.ParseStrict(access.SessionID)
	if err != nil {
		return family.ID{}, 0, false, nil
	}
	return family.JoinID(keys.Codec.UserKey(access.Subject), sid), 0, true, nil
}

// RevokeLiving ends one living family and records it; not done where another was
// first. counter is of the token that asked for it, or 0.
func (en *Engine) RevokeLiving(ctx context.Context, f *family.Family, p *family.Policy, cause family.Cause, counter uint32, from Caller, now time.Time) (done bool, err error) {
	e := from.Event(audit.Revoked, now)
	e.UserID, e.ClientID, e.Family = f.UserID, f.ClientID, f.ID
	e.Cause, e.TokenCounter, e.LatestCounter = cause, counter, f.Counter
	done, err = en.Table.Revoke(ctx, f, p, &e)
	if err == nil && done {
		en.Trail.Record(ctx, &e)
	}
	return done, err
}
