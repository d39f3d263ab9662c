package store

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// Horizon saves a sweep from reading families that have ended for good. Of the families that
// began before From, only those in Kept may still be active.
type Horizon struct {
	From ulid.ULID
	Kept []ulid.ULID // is stored in a record of its own, since each login writes the owner's
	// Idle and NotBefore are those of the policy under which the horizon was found. It
	// does not hold under one that lets families live for longer.
	Idle      family.Seconds // 0 means no idle end
	NotBefore time.Time
}

// Holds reports whether the horizon holds under the policy.
func (h *Horizon) Holds(p *family.Policy) bool {
	longer := h.Idle != 0 && (p.IdleLifetime == 0 || p.IdleLifetime > h.Idle)
	return !longer && !p.NotBefore.Before(h.NotBefore)
}

func keptKey(id OwnerID) item { return key(userPK(id.UserKey), schema.KeptPrefix+id.ClientID) }

// kept reads which families before an owner's horizon may be active. It returns nil if the
// record is gone or belongs to another horizon.
func (t *Table) kept(ctx context.Context, id OwnerID, from string) ([]ulid.ULID, error) {
	m, err := t.read(ctx, keptKey(id))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var i struct {
		From     string `dynamodbav:"from"`
		Families string `dynamodbav:"families"`
	}
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, err
	}
	if i.From != from {
		return nil, nil
	}
	return splitULIDs(i.Families)
}
