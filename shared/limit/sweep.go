// Package limit keeps each owner, a user in an application, to its newest active
// families: as many as the client's policy has in max_active.
//
// Issuing counts a family to its owner before it puts it on record, and puts an
// owner whose count is past the limit on a work list. A sweep reads that list,
// so its cost grows with the owners on it and not with the table. For an owner
// that really has too many it first stores a plan (which families, the event's
// id), then ends the oldest, stores one resource_cleanup event that names them,
// and removes the plan. Whoever finds a plan carries it out. Each step can be
// repeated: running a sweep twice, two at once, or dying anywhere does no harm
// and leaves one event.
package limit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

const (
	ownersPerRead = 100
	// planned is how many families one plan ends at most: what its record and its
	// event hold with room to spare.
	planned = 1000
	// together is how many families are ended at the same time.
	together = 16
	// settled is how old a family is whose issuing has surely ended, one way or
	// the other: what began later is looked at again.
	settled = time.Minute
)

// Sweeper sweeps the owners that are over their limit.
type Sweeper struct {
	Table   *store.Table
	Clients *store.Clients
	Trail   audit.Trail
}

// Result is what a sweep did.
type Result struct {
	Owners  int `json:"owners"`  // that were on the work list
	Removed int `json:"removed"` // families ended
}

// Sweep works through the list. An owner that fails stays on it, and does not
// keep the others waiting: the error has all that failed.
func (s *Sweeper) Sweep(ctx context.Context, now time.Time) (Result, error) {
	var result Result
	var errs []error
	var after *store.OwnerID
	for {
		owners, more, err := s.Table.OverLimit(ctx, after, ownersPerRead)
		if err != nil {
			return result, errors.Join(append(errs, fmt.Errorf("sweep: %w", err))...)
		}
		for _, id := range owners {
			if ctx.Err() != nil {
				return result, errors.Join(append(errs, fmt.Errorf("sweep: %w", ctx.Err()))...)
			}
			result.Owners++
			removed, err := s.sweepOwner(ctx, id, now)
			result.Removed += removed
			if err != nil {
				errs = append(errs, fmt.Errorf("sweep an owner in client %s: %w", id.ClientID, err))
			}
			after = &id
		}
		if !more {
			return result, errors.Join(errs...)
		}
	}
}

// sweepOwner carries out plans until the owner is within its limit, and then
// settles its count.
func (s *Sweeper) sweepOwner(ctx context.Context, id store.OwnerID, now time.Time) (removed int, err error) {
	client, err := s.Clients.Client(ctx, id.ClientID, now)
	if errors.Is(err, store.ErrNotFound) {
		return 0, s.Table.DropOverLimit(ctx, id) // its families can no longer be used
	}
	if err != nil {
		return 0, err
	}
	for {
		o, err := s.Table.Owner(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return removed, s.Table.DropOverLimit(ctx, id)
		}
		if err != nil {
			return removed, err
		}
		if o.Plan == nil {
			active, keptFrom, err := s.active(ctx, o, &client.Policy, now)
			if err != nil {
				return removed, err
			}
			excess := len(active) - client.Policy.MaxActive
			if excess <= 0 {
				return removed, s.Table.Settle(ctx, o, len(active), keptFrom)
			}
			if o.Plan, err = newPlan(active, min(excess, planned), now); err != nil {
				return removed, err
			}
			done, err := s.Table.StorePlan(ctx, id, o.Plan)
			if err != nil {
				return removed, err
			}
			if !done {
				continue // another sweep was first: its plan is the one
			}
		}
		n, err := s.carryOut(ctx, o, &client.Policy)
		removed += n
		if err != nil {
			return removed, err
		}
	}
}

// active are the owner's active families, oldest first; keptFrom is where the
// next sweep need begin: all before it has ended for good.
func (s *Sweeper) active(ctx context.Context, o *store.Owner, p *family.Policy, now time.Time) (active []*family.Family, keptFrom ulid.ULID, err error) {
	families, err := s.Table.FamiliesFrom(ctx, o.ID.UserKey, o.KeptFrom)
	if err != nil {
		return nil, keptFrom, err
	}
	_ = keptFrom.SetTime(ulid.Timestamp(now.Add(-settled))) // fails after the year 10889
	for _, f := range families {
		if f.ClientID != o.ID.ClientID {
			continue
		}
		// An idle end can move when the policy does; the others cannot.
		death := f.Death(p, now)
		if (death == "" || death == family.ExpiredIdle) && f.ID.ULID().Compare(keptFrom) < 0 {
			keptFrom = f.ID.ULID()
		}
		if death == "" {
			active = append(active, f)
		}
	}
	if keptFrom.Compare(o.KeptFrom) < 0 {
		keptFrom = o.KeptFrom
	}
	return active, keptFrom, nil
}

func newPlan(active []*family.Family, n int, now time.Time) (*store.Plan, error) {
	event, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an event id: %w", err)
	}
	p := &store.Plan{Event: event, At: now, UserID: active[0].UserID, Start: len(active)}
	for _, f := range active[:n] {
		p.Families = append(p.Families, f.ID.ULID())
	}
	return p, nil
}

// carryOut does what the owner's plan says. Of a family that was revoked before
// it could be ended, for another cause, the record keeps that cause, and the
// event does not name it.
func (s *Sweeper) carryOut(ctx context.Context, o *store.Owner, p *family.Policy) (removed int, err error) {
	plan := o.Plan
	r := family.Revocation{At: plan.At, Cause: family.LimitExceeded, Event: plan.Event}
	ours := make([]bool, len(plan.Families))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(together)
	for i, u := range plan.Families {
		group.Go(func() (err error) {
			ours[i], err = s.Table.End(groupCtx, family.JoinID(o.ID.UserKey, u), p, r)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	e := audit.Event{
		ID: plan.Event, Type: audit.Cleanup, At: plan.At, User: o.ID.UserKey, UserID: plan.UserID, ClientID: o.ID.ClientID,
		Cause: family.LimitExceeded, Start: plan.Start,
	}
	for i, u := range plan.Families {
		if ours[i] {
			e.Families = append(e.Families, u)
		}
	}
	e.Removed = len(e.Families)
	e.End = e.Start - e.Removed
	if e.Removed > 0 {
		stored, err := s.Table.PutEvent(ctx, &e)
		if err != nil {
			return 0, err
		}
		if stored {
			s.Trail.Record(ctx, &e)
			removed = e.Removed
		}
	}
	return removed, s.Table.FinishPlan(ctx, o.ID, plan)
}
