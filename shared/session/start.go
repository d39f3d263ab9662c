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

// keyLifetime is how long the key of a [Start] names the family that it started.
const keyLifetime = 24 * time.Hour

// Start asks for a new family.
type Start struct {
	UserID string
	Client *store.Client
	// Family makes the family, all but its id, or says what is wrong with it. It is not
	// called where the key has started one.
	Family func() (*family.Family, error)
	// Key is what the login has made up for this sign-in, so that it can ask again;
	// "" for none. Asked is all that is asked for, in one spelling.
	Key   string
	Asked []byte
}

// Errors of a start with a key.
var (
	ErrKeyOfAnother = errors.New("the key has been used with other parameters")
	ErrKeyPurged    = errors.New("the family that the key started is gone")
	ErrKeyRefreshed = errors.New("the family that the key started has been refreshed")
	ErrKeyDead      = errors.New("the family that the key started has ended") // with its cause behind it
)

// DeadError is an [ErrKeyDead] with the family's cause.
type DeadError struct{ Cause family.Cause }

func (e *DeadError) Error() string { return ErrKeyDead.Error() + ": " + string(e.Cause) }

// Unwrap returns ErrKeyDead.
func (e *DeadError) Unwrap() error { return ErrKeyDead }

// Start puts the family on record that is asked for, or returns the one that the key
// has started, for its first token to be given again: as long as nobody has used it, and
// it lives. The id is that of the family as far as there is one, also with an error.
func (en *Engine) Start(ctx context.Context, s Start, now time.Time) (id family.ID, f *family.Family, err error) {
	keys, err := en.startingKeys(ctx, now)
	if err != nil {
		return id, nil, err
	}
	userKey := keys.Codec.UserKey(s.UserID)
	alias := s.alias(keys, now)
	if s.Key != "" {
		switch there, err := en.Table.Alias(ctx, userKey, alias.Name, now); {
		case err == nil:
			return en.started(ctx, there, alias.Asked, &s.Client.Policy, now)
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
	if s.Key == "" {
		return f.ID, f, en.Table.Issue(ctx, f, &s.Client.Policy)
	}
	there, err := en.Table.IssueAs(ctx, f, &s.Client.Policy, alias)
	if err != nil || there == nil {
		return f.ID, f, err
	}
	return en.started(ctx, there, alias.Asked, &s.Client.Policy, now)
}

// alias returns the name that the key gives to the family which is asked for. A key is
// of its user and client: MACs stand for it and for what is asked, so that neither can
// be read, or guessed, from the table.
func (s *Start) alias(keys *keyring.Keys, now time.Time) store.Alias {
	// Under the key of user ids, none of which has a NUL.
	mac := func(of, what string) [16]byte {
		return keys.Codec.UserKey("\x00" + of + "\x00" + s.UserID + "\x00" + s.Client.ID + "\x00" + what)
	}
	return store.Alias{Name: mac("idempotency", s.Key), Asked: mac("asked", string(s.Asked)), Until: now.Add(keyLifetime)}
}

// started returns the family that an alias names.
func (en *Engine) started(ctx context.Context, there *store.Alias, asked [16]byte, p *family.Policy, now time.Time) (family.ID, *family.Family, error) {
	if there.Asked != asked {
		return there.Family, nil, ErrKeyOfAnother
	}
	f, err := en.Table.Family(ctx, there.Family)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return there.Family, nil, ErrKeyPurged
	case err != nil:
		return there.Family, nil, err
	case f.Counter != 1:
		return there.Family, nil, ErrKeyRefreshed
	case f.Death(p, now) != "":
		return there.Family, nil, &DeadError{f.Death(p, now)}
	}
	return there.Family, f, nil
}

// startingKeys returns the keys to start a family with. It is an error where they
// are so old that other instances could take the family's tokens for forged (see
// [token.Codec.Parse]).
func (en *Engine) startingKeys(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	keys, err := en.Keys.Keys(ctx, now)
	if err != nil {
		return nil, err
	}
	if keys.Stale {
		return nil, fmt.Errorf("start a family: %w: the copy at hand is too old", keyring.ErrUnavailable)
	}
	return keys, nil
}
