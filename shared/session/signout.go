package session

import (
	"context"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// ErrManyLeft is returned by a logout that had no time for all of the user's families. It can be
// repeated.
var ErrManyLeft = errors.New("the user has more families than can be ended in the time of one call")

// SignOut revokes a family for its client.
func (e *Engine) SignOut(ctx context.Context, f *family.Family, client *store.Client, from Caller, now time.Time) error {
	_, err := e.RevokeLiving(ctx, f, &client.Policy, family.RevokedByClient, 0, from, now)
	return err
}

// SignOutElsewhere revokes all other families of f's user in the client. If f has ended, the error is
// [ErrNotKept] or [ErrKeptEnded].
func (e *Engine) SignOutElsewhere(ctx context.Context, f *family.Family, client *store.Client, from Caller, now time.Time) error {
	return e.signOutOthers(ctx, f, client, from, now, e.RevokeAllBut)
}

// SignOutEverywhere revokes all families of f's user in the client. f is the last to end, so that a
// call which fails can be repeated with f's access token.
func (e *Engine) SignOutEverywhere(ctx context.Context, f *family.Family, client *store.Client, from Caller, now time.Time) error {
	if err := e.signOutOthers(ctx, f, client, from, now, e.RevokeAll); err != nil {
		return err
	}
	return e.SignOut(ctx, f, client, from, now)
}

// signOutOthers calls revoke for all families of f's user in the client, except for f.
func (e *Engine) signOutOthers(ctx context.Context, f *family.Family, client *store.Client, from Caller, now time.Time,
	revoke func(context.Context, *Revocation, ulid.ULID) (int, ulid.ULID, error),
) error {
	budget, cancel := e.NewBudget(ctx)
	defer cancel()
	rev := &Revocation{
		Selection: Selection{
			UserKey: f.ID.UserKey(), ClientID: client.ID, Keep: &store.Ending{Family: f, Policy: &client.Policy},
			Unbegun: true, Budget: budget, Now: now,
		},
		UserID: f.UserID, Cause: family.RevokedByClient, From: from,
	}
	var before ulid.ULID
	for {
		var err error
		if _, before, err = revoke(ctx, rev, before); err != nil || before == (ulid.ULID{}) {
			return err
		}
		if budget.Spent() {
			return ErrManyLeft
		}
	}
}
