package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// ImportResult is what an import has come to.
type ImportResult string

// The results of an import. Only the first one has changed anything.
const (
	ImportDone     ImportResult = "imported" // the token has a family now
	ImportAlready  ImportResult = "already"  // the token has a family of the same user and client, which may have ended since
	ImportConflict ImportResult = "conflict" // the token has a family of another user or client
	ImportExpired  ImportResult = "expired"  // the family's time is over
)

// Import is a foreign token that moves in.
type Import struct {
	Hash   [sha256.Size]byte // of the token, from [HashForeign]
	Family *family.Family    // to start, without id and origin
	Policy *family.Policy    // of its client
	DryRun bool              // nothing is written
}

// Import stores a pending family whose number 0 is a foreign token, and returns the token's
// family. If the token has one already, it changes nothing, also if that family has ended or its
// user was erased: so an import can be repeated, and revives nobody. The id is zero if there is no
// family, which is so after a dry run and for a family whose time is over.
func (e *Engine) Import(ctx context.Context, i Import, now time.Time) (ImportResult, family.ID, error) {
	keys, err := e.freshKeys(ctx, now)
	if err != nil {
		return "", family.ID{}, err
	}
	name, f := nameForeign(keys, i.Hash), i.Family
	if f.ID, err = family.NewID(keys.Users.Key(f.UserID), now); err != nil {
		return "", family.ID{}, err
	}
	there, err := e.Table.Foreign(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		switch {
		case !f.ExpiresAt.IsZero() && !now.Before(f.ExpiresAt):
			return ImportExpired, family.ID{}, nil
		case i.DryRun:
			return ImportDone, family.ID{}, nil
		}
		f.Origin, f.Counter = family.Origin{Kind: family.Imported}, 0
		there, err = e.Table.IssueForeign(ctx, f, i.Policy, name)
	}
	switch {
	case err != nil:
		return "", family.ID{}, err
	case there.Family == f.ID:
		return ImportDone, f.ID, nil
	case there.Family.UserKey() == f.ID.UserKey() && there.ClientID == f.ClientID:
		return ImportAlready, there.Family, nil
	default:
		return ImportConflict, there.Family, nil
	}
}
