package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
)

// idempotencyLifetime is how long an idempotency key leads to the family that it started.
const idempotencyLifetime = 24 * time.Hour

// Start is a request for a new family.
type Start struct {
	UserID string
	Client *store.Client
	// Family makes the family without its id, or returns what is wrong with the request.
	// It is not called if the idempotency key has started a family before.
	Family func() (*family.Family, error)
	// IdempotencyKey is chosen by the login for this sign-in, so that it can repeat the
	// request; "" for none. Asked is the whole request in canonical form, by which a
	// repetition is told from another request under the same key.
	IdempotencyKey string
	Asked          []byte
}

// Errors of a start under an idempotency key that has been used before.
var (
	ErrKeyMismatch  = errors.New("the idempotency key has been used with other parameters")
	ErrKeyPurged    = errors.New("the family that the idempotency key started is gone")
	ErrKeyRefreshed = errors.New("the family that the idempotency key started has been refreshed")
	ErrKeyDead      = errors.New("the family that the idempotency key started has ended") // returned as a [DeadError]
)

// DeadError is an [ErrKeyDead] with the cause of the family's end.
type DeadError struct{ Cause family.Cause }

func (e *DeadError) Error() string { return ErrKeyDead.Error() + ": " + string(e.Cause) }

// Unwrap returns ErrKeyDead.
func (e *DeadError) Unwrap() error { return ErrKeyDead }

// Start stores a new family. If the idempotency key has started one before, Start returns
// that family instead, so that its first token can be given again, provided that it lives
// and has never been refreshed. If a family is known, its id is returned even with an
// error.
func (e *Engine) Start(ctx context.Context, s Start, now time.Time) (id family.ID, f *family.Family, err error) {
	keys, err := e.freshKeys(ctx, now)
	if err != nil {
		return id, nil, err
	}
	userKey := keys.Users.Key(s.UserID)
	alias := s.alias(keys, now)
	if s.IdempotencyKey != "" {
		switch existing, err := e.Table.Alias(ctx, userKey, alias.Name, now); {
		case err == nil:
			return e.alreadyStarted(ctx, existing, alias.Asked, &s.Client.Policy, now)
		case !errors.Is(err, store.ErrNotFound):
			return id, nil, err
		}
	}
	if f, err = s.Family(); err != nil {
		return id, nil, err
	}
	if f.ID, err = family.NewID(userKey, now); err != nil {
		return id, nil, err
	}
	if s.IdempotencyKey == "" {
		return f.ID, f, e.Table.Issue(ctx, f, &s.Client.Policy)
	}
	existing, err := e.Table.IssueAs(ctx, f, &s.Client.Policy, alias)
	if err != nil || existing == nil {
		return f.ID, f, err
	}
	return e.alreadyStarted(ctx, existing, alias.Asked, &s.Client.Policy, now)
}

// alias returns the record that leads from the idempotency key to the family. A key counts
// for one user and one client. The record has MACs in place of the key and the request,
// so that neither can be read from the table, nor guessed by trying values.
func (s *Start) alias(keys *keyring.Keys, now time.Time) store.Alias {
	// The MAC key is that of user ids. User ids have no NUL, so the two never collide.
	mac := func(purpose, value string) [16]byte {
		return keys.Users.Key("\x00" + purpose + "\x00" + s.UserID + "\x00" + s.Client.ID + "\x00" + value)
	}
	return store.Alias{Name: mac("idempotency", s.IdempotencyKey), Asked: mac("asked", string(s.Asked)), Until: now.Add(idempotencyLifetime)}
}

// alreadyStarted returns the family that an alias leads to, or why its first token cannot
// be given again.
func (e *Engine) alreadyStarted(ctx context.Context, existing *store.Alias, asked [16]byte, p *family.Policy, now time.Time) (family.ID, *family.Family, error) {
	if existing.Asked != asked {
		return existing.Family, nil, ErrKeyMismatch
	}
	f, err := e.Table.Family(ctx, existing.Family)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return existing.Family, nil, ErrKeyPurged
	case err != nil:
		return existing.Family, nil, err
	case f.Counter > 1, f.Counter == 1 && f.Origin.Kind == family.Code:
		return existing.Family, nil, ErrKeyRefreshed
	case f.Death(p, now) != "":
		return existing.Family, nil, &DeadError{f.Death(p, now)}
	}
	return existing.Family, f, nil
}

// freshKeys returns keys that may start a family. It fails if this instance's copy is so
// old that other instances could take the family's tokens for forged (see
// [token.Codec.Parse]).
func (e *Engine) freshKeys(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	keys, err := e.Keys.Keys(ctx, now)
	if err != nil {
		return nil, err
	}
	if keys.Stale {
		return nil, fmt.Errorf("start a family: %w: this instance's copy is too old", keyring.ErrUnavailable)
	}
	return keys, nil
}
