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
	alias := s.alias(keys, now)
	first, err := e.startAs(ctx, keys.Users.Key(s.UserID), &s.Client.Policy, alias, s.Family, now)
	if err == nil && first.existing != nil {
		return e.alreadyStarted(ctx, first.existing, alias.Asked, &s.Client.Policy, now)
	}
	if first.family != nil {
		id = first.family.ID
	}
	return id, first.family, err
}

// begun is what a start has come to: a new family, or the record of the one that had been
// started under that name.
type begun struct {
	family   *family.Family
	existing *store.Alias
}

// startAs stores a new family of the user under a name, nil for none, unless the name has
// started one before.
func (e *Engine) startAs(ctx context.Context, userKey [16]byte, p *family.Policy, name *store.Alias, makeFamily func() (*family.Family, error), now time.Time) (begun, error) {
	if name != nil {
		switch existing, err := e.Table.Alias(ctx, userKey, name.Name, now); {
		case err == nil:
			return begun{existing: existing}, nil
		case !errors.Is(err, store.ErrNotFound):
			return begun{}, err
		}
	}
	f, err := makeFamily()
	if err != nil {
		return begun{}, err
	}
	if f.ID, err = family.NewID(userKey, now); err != nil {
		return begun{}, err
	}
	if name == nil {
		return begun{family: f}, e.Table.Issue(ctx, f, p)
	}
	existing, err := e.Table.IssueAs(ctx, f, p, *name)
	return begun{family: f, existing: existing}, err
}

// alias returns the record that leads from the idempotency key to the family, nil if there is
// no key. A key counts for one user and one client. The record has MACs in place of the key
// and the request, so that neither can be read from the table, nor guessed by trying values.
func (s *Start) alias(keys *keyring.Keys, now time.Time) *store.Alias {
	if s.IdempotencyKey == "" {
		return nil
	}
	return &store.Alias{
		Name:  macFor(keys, "idempotency", s.UserID, s.Client.ID, s.IdempotencyKey),
		Asked: macFor(keys, "asked", s.UserID, s.Client.ID, string(s.Asked)),
		Until: now.Add(idempotencyLifetime),
	}
}

// macFor returns a MAC of a value for one purpose, user and client. Its key is that of user
// ids, which have no NUL, so the two never collide.
func macFor(keys *keyring.Keys, purpose, userID, clientID, value string) [16]byte {
	return keys.Users.Key("\x00" + purpose + "\x00" + userID + "\x00" + clientID + "\x00" + value)
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
