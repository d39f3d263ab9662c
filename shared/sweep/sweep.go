// Package sweep keeps each owner, a user in an application, to as many active
// families as the client's policy has in max_active. Which of them go is the
// policy's evict: the least recently used, or the oldest.
//
// Issuing counts a family to its owner before it puts it on record, and puts an
// owner whose count is past the limit on a work list. A sweep reads that list,
// so its cost grows with the owners on it and not with the table. For an owner
// that really has too many it first stores a plan (which families, the event's
// id), then ends them, and removes the plan together with storing one
// resource_cleanup event that names them. Whoever finds a plan carries it out.
// Each step can be repeated: running a sweep twice, two at once, or dying anywhere
// does no harm and leaves one event.
//
// A family that is counted and not on record may be one that is being issued. So it
// counts until the last login is five minutes old, and an owner whom it takes past the
// limit stays on the list.
//
// A plan may be old when it is carried out: its sweep died. So a family ends under
// it only if it was not used since; one that was falls out, and the next plan is made
// of what is active then.
//
// What a sweep reads of an owner grows with the families that are active, and those
// that were issued since the last sweep or in the five minutes before it; not with
// those that ended. It remembers for that how far back it need not look, and which
// active families are older than that (see [store.Horizon]).
package sweep

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
	// maxPlanSize is how many families one plan ends at most: what its record and its
	// event hold with room to spare.
	maxPlanSize = 1000
	// revokeConcurrency is how many families are read or ended at the same time.
	revokeConcurrency = 16
	// settleAge is how old a family is whose issuing has surely ended, one way or
	// the other, and how long ago an idle end must be that no use under way can undo:
	// what is younger is looked at again.
	settleAge = 5 * time.Minute
	// maxFruitless is how many plans one sweep of an owner carries out that end nothing,
	// because all of their families came into use.
	maxFruitless = 3
)

// Sweeper sweeps the owners that are over their limit.
type Sweeper struct {
	Table   *store.Table
	Clients *store.Registry
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
// settles its count. An owner whose families come into use as fast as they are
// planned stays on the work list.
func (s *Sweeper) sweepOwner(ctx context.Context, id store.OwnerID, now time.Time) (removed int, err error) {
	client, err := s.Clients.Client(ctx, id.ClientID, now)
	if errors.Is(err, store.ErrNotFound) {
		return 0, s.Table.DropOverLimit(ctx, id) // its families can no longer be used
	}
	if err != nil {
		return 0, err
	}
	for fruitless := 0; fruitless < maxFruitless; {
		o, err := s.Table.Owner(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			if done, err := s.findOwner(ctx, id, &client.Policy, now); err != nil || done {
				return removed, err
			}
			continue
		}
		if err != nil {
			return removed, err
		}
		if o.Plan == nil {
			found, err := s.read(ctx, o, &client.Policy, now)
			if err != nil {
				return removed, err
			}
			excess := client.Policy.Excess(found.active)
			if len(excess) == 0 {
				return removed, s.settle(ctx, o, found, client.Policy.MaxActive, now)
			}
			if o.Plan, err = newPlan(excess[:min(len(excess), maxPlanSize)], len(found.active), &client.Policy, now); err != nil {
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
		if n == 0 {
			fruitless++
		}
	}
	return removed, nil
}

// settle corrects the count of an owner who is within the limit, and takes it off the
// work list. A family is counted before it is on record: so what is counted and not
// found may be one that is being issued, unless the last was counted longer ago than
// that takes. Until then it counts, and an owner whom it takes past the limit is looked
// at again by the next sweep.
func (s *Sweeper) settle(ctx context.Context, o *store.Owner, found *reading, limit int, now time.Time) error {
	active := len(found.active)
	// A login whose clock is ahead must not keep the owner on the list for as long.
	if now.Sub(o.CountedAt).Abs() < settleAge {
		active = max(active, o.Active)
	}
	if active > limit {
		return s.Table.Recount(ctx, o, active, found.horizon, found.purgeAt)
	}
	return s.Table.Settle(ctx, o, active, found.horizon, found.purgeAt)
}

// findOwner looks for the families of an owner whose own record is gone: it was
// kept for as long as they were expected to live, and some may have lived longer.
// Where there are any it is put on record again; otherwise the owner is done with.
func (s *Sweeper) findOwner(ctx context.Context, id store.OwnerID, p *family.Policy, now time.Time) (done bool, err error) {
	found, err := s.read(ctx, &store.Owner{ID: id}, p, now)
	if err != nil {
		return false, err
	}
	if len(found.active) == 0 {
		return true, s.Table.DropOverLimit(ctx, id)
	}
	var keep time.Time
	for _, f := range found.active {
		if f.PurgeAt.After(keep) {
			keep = f.PurgeAt
		}
	}
	_, err = s.Table.MakeOwner(ctx, id, len(found.active), keep)
	return false, err
}

func newPlan(ending []*family.Family, active int, p *family.Policy, now time.Time) (*store.Plan, error) {
	event, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make an event id: %w", err)
	}
	plan := &store.Plan{Event: event, At: now, UserID: ending[0].UserID, Start: active, Evict: p.Evict}
	for _, f := range ending {
		plan.Add(f)
	}
	return plan, nil
}

// carryOut does what the owner's plan says. A family that was revoked before it
// could be ended, for another cause, keeps that cause, and one that came into use
// lives on: the event does not name them.
func (s *Sweeper) carryOut(ctx context.Context, o *store.Owner, p *family.Policy) (removed int, err error) {
	plan := o.Plan
	r := family.Revocation{At: plan.At, Cause: family.LimitExceeded, Event: plan.Event, Evict: plan.Evict, Active: plan.Start}
	ours := make([]bool, len(plan.Families))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(revokeConcurrency)
	for i, u := range plan.Families {
		group.Go(func() (err error) {
			id := family.JoinID(o.ID.UserKey, u)
			if seen, ok := plan.SeenUsed(i); ok {
				ours[i], err = s.Table.EndUnused(groupCtx, id, p, r, seen)
			} else {
				ours[i], err = s.Table.End(groupCtx, id, p, r)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	e := audit.Event{
		ID: plan.Event, Type: audit.Cleanup, At: plan.At, User: o.ID.UserKey, UserID: plan.UserID, ClientID: o.ID.ClientID,
		Cause: family.LimitExceeded, Evict: plan.Evict, Start: plan.Start,
	}
	for i, u := range plan.Families {
		if ours[i] {
			e.Families = append(e.Families, u)
		}
	}
	e.Removed = len(e.Families)
	e.End = e.Start - e.Removed
	if e.Removed == 0 {
		_, err := s.Table.FinishPlan(ctx, o.ID, plan, nil)
		return 0, err
	}
	stored, err := s.Table.FinishPlan(ctx, o.ID, plan, &e)
	if err != nil || !stored {
		return 0, err // another sweep has stored it
	}
	s.Trail.Record(ctx, &e)
	return e.Removed, nil
}
