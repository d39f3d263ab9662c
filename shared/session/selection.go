package session

import (
	"context"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

const (
	// MaxFamilies limits the families that one call changes or revokes. It is how many a stored
	// event can name.
	MaxFamilies = 1000
	// Concurrency is the number of families changed or revoked at the same time.
	Concurrency = 16
)

// Selection says which of a user's living families a call changes or revokes.
type Selection struct {
	UserKey  [16]byte
	ClientID string        // "" for all clients
	Keep     *store.Ending // a family that is left out, or nil
	Unbegun  bool          // also those whose code was not exchanged in time
	Budget   Budget        // for reading them, and for the work on them
	Now      time.Time
}

// LivingFamilies returns up to [MaxFamilies] families of the selection that are older
// than before, newest first. Families older than next may follow; next is zero at the end.
func (e *Engine) LivingFamilies(ctx context.Context, s *Selection, before ulid.ULID) (living []store.Ending, next ulid.ULID, err error) {
	next = before
	for {
		var families []*family.Family
		families, next, err = e.Table.FamiliesBefore(ctx, s.UserKey, next, MaxFamilies-len(living))
		if err != nil {
			return nil, next, err
		}
		for _, f := range families {
			if s.ClientID != "" && f.ClientID != s.ClientID || s.Keep != nil && f.ID == s.Keep.Family.ID {
				continue
			}
			client, err := e.FindClient(ctx, f.ClientID, s.Now)
			if err != nil {
				return nil, next, err
			}
			policy := PolicyOf(client)
			death := (*family.Family).Death
			if s.Unbegun {
				death = (*family.Family).DeathOnceBegun
			}
			if death(f, policy, s.Now) == "" {
				living = append(living, store.Ending{Family: f, Policy: policy})
			}
		}
		if next == (ulid.ULID{}) || len(living) == MaxFamilies || s.Budget.Spent() {
			return living, next, nil
		}
	}
}

// FindClient returns the client with that id, nil if it is not registered.
func (e *Engine) FindClient(ctx context.Context, id string, now time.Time) (*store.Client, error) {
	client, err := e.Clients.Client(ctx, id, now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return client, err
}

// PolicyOf returns the policy of the client's families. If client is nil, not registered,
// the policy is one without lifetimes, so that only a family's own end counts.
func PolicyOf(client *store.Client) *family.Policy {
	if client == nil {
		return &family.Policy{}
	}
	return &client.Policy
}
