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
	"github.com/rotor-auth/rotor/shared/token"
)

// ErrOtherClient is returned if a token was issued to a client other than the caller.
var ErrOtherClient = errors.New("the token was issued to another client")

// RevokeByToken revokes the family of a refresh or access token, expired or not, for the
// client that the token was issued to. It succeeds without doing anything if the token is
// unknown or its family has ended.
func (e *Engine) RevokeByToken(ctx context.Context, keys *keyring.Keys, client *store.Client, presented string, from Caller, now time.Time) (id family.ID, ok bool, err error) {
	id, counter, ok, err := e.familyOf(ctx, keys, client, presented, now)
	if err != nil || !ok {
		return id, false, err
	}
	return id, true, e.revoke(ctx, client, id, counter, from, now)
}

// RevokeByCookie revokes the family of a session whose cookies hold one of its refresh tokens, or a device cookie, however
// old. It succeeds without doing anything if they hold anything else, or if the family is unknown or has ended. If they
// hold nothing because the browser could not renew the device cookie, the error is [ErrNotRenewed].
func (e *Engine) RevokeByCookie(ctx context.Context, keys *keyring.Keys, client *store.Client, c *Cookie, from Caller, now time.Time) error {
	held, err := e.familyInCookie(ctx, keys, c, now)
	if IsBadToken(err) {
		u := Use{Client: client, Cookie: c, From: from, Now: now, unrenewed: "skipped"}
		skipped, err := e.wasSkipped(ctx, keys, u)
		if skipped {
			err = e.notRenewed(ctx, u, token.Token{}, nil)
		}
		return err
	}
	if err != nil {
		return err
	}
	return e.revoke(ctx, client, held.family, held.counter, from, now)
}

// RevokeByID revokes the family of an id token of the client, which [Engine.VerifyID]
// returned. It succeeds without doing anything if the family is unknown or has ended.
func (e *Engine) RevokeByID(ctx context.Context, keys *keyring.Keys, client *store.Client, hint signing.ID, from Caller, now time.Time) error {
	id, ok := familyNamed(keys, hint.Subject, hint.SessionID)
	if !ok {
		return nil
	}
	return e.revoke(ctx, client, id, 0, from, now)
}

// revoke revokes a family for the client that it belongs to, unless it has ended.
func (e *Engine) revoke(ctx context.Context, client *store.Client, id family.ID, counter uint32, from Caller, now time.Time) error {
	f, err := e.Table.Family(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if f.ClientID != client.ID {
		return ErrOtherClient
	}
	if f.DeathOnceBegun(&client.Policy, now) != "" {
		return nil
	}
	_, err = e.RevokeLiving(ctx, f, &client.Policy, family.RevokedByClient, counter, from, now)
	return err
}

// familyOf returns the family of a refresh or access token that we issued, or of another
// provider's refresh token that started a family, and the refresh token's counter, which is 0 for
// an access token. ok is false for any other token. It is false for a token under a revoked key as well: anyone who has that key can
// forge tokens, and could revoke the families of others with them.
func (e *Engine) familyOf(ctx context.Context, keys *keyring.Keys, client *store.Client, presented string, now time.Time) (id family.ID, counter uint32, ok bool, err error) {
	tok, err := e.ParseAny(ctx, keys, client, presented, now)
	if err == nil {
		return tok.Family, tok.Counter, true, nil
	}
	if !IsBadToken(err) {
		return family.ID{}, 0, false, err
	}
	access, err := e.VerifyAccess(ctx, keys, presented, now, (*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {
		return family.ID{}, 0, false, err
	}
	if err != nil {
		return family.ID{}, 0, false, nil
	}
	id, ok = familyNamed(keys, access.Subject, access.SessionID)
	return id, 0, ok, nil
}

// LivingFamily returns the family of an access token of the client, read strongly consistent. It
// returns [store.ErrNotFound] if there is none, or if it has ended.
func (e *Engine) LivingFamily(ctx context.Context, keys *keyring.Keys, access signing.Access, client *store.Client, now time.Time) (*family.Family, error) {
	id, ok := familyNamed(keys, access.Subject, access.SessionID)
	if !ok {
		return nil, store.ErrNotFound
	}
	f, err := e.Table.Family(ctx, id)
	if err != nil {
		return nil, err
	}
	if f.ClientID != client.ID || f.DeathOnceBegun(&client.Policy, now) != "" {
		return nil, store.ErrNotFound
	}
	return f, nil
}

// familyNamed returns the family that a token names by its "sub" and "sid".
func familyNamed(keys *keyring.Keys, subject, session string) (id family.ID, ok bool) {
	sid, err := ulid.ParseStrict(session)
	if err != nil {
		return family.ID{}, false
	}
	return family.JoinID(keys.Users.Key(subject), sid), true
}

// RevokeLiving revokes a family that has not ended and records the event. done is false
// if the family ended meanwhile. counter is that of the token presented for revocation,
// 0 if there was none.
func (e *Engine) RevokeLiving(ctx context.Context, f *family.Family, p *family.Policy, cause family.Cause, counter uint32, from Caller, now time.Time) (done bool, err error) {
	event := from.Event(audit.Revoked, now)
	event.UserID, event.ClientID, event.Family = f.UserID, f.ClientID, f.ID
	event.Cause, event.TokenCounter, event.LatestCounter = cause, counter, f.Counter
	done, err = e.Table.Revoke(ctx, f, p, &event)
	if err == nil && done {
		e.Trail.Record(ctx, &event)
	}
	return done, err
}
