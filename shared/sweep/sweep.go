// Package sweep ends families that are too many. An owner, which is a user in an
// application, may have as many active families as max_active of the client's policy says.
// The policy's evict says which of them end: the least recently used or the oldest.
//
// A login counts its family to the owner before it puts the family on record. If the count
// is then past the limit, it puts the owner on a work list. A sweep reads that list, so its
// cost grows with the owners on it and not with the table. If an owner really has too many
// families, the sweep stores a plan, which has the families that are to end and the id of
// an event. Then it ends them, and at last it removes the plan and stores the event,
// resource_cleanup, which names them. A sweep that finds a plan carries it out. Each step
// can be repeated: it does no harm to run a sweep twice, or two at once, or to stop one
// anywhere, and there is one event.
//
// A family that is counted and not on record may be one that is being issued. So it counts
// until the last login is five minutes ago, and if it takes the owner past the limit, the
// owner stays on the list.
//
// A plan may be old when it is carried out, because its sweep died. So it ends a family
// only if that has not been used since. The next plan is made of the families that are
// active by then.
//
// What a sweep reads of an owner grows with the families that are active, and with those
// that were issued since the last sweep or in the five minutes before it, but not with
// those that have ended. For that it stores how far back the next sweep must look, and
// which active families are older than that; see [store.Horizon].
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
	// maxPlanSize is how many families one plan ends at most. Its record and its event can
	// hold more than that.
	maxPlanSize = 1000
	// revokeConcurrency is how many families are read or ended at the same time.
	revokeConcurrency = 16
	// settleAge is the time after which no login or use can be in progress any more: a family
	// that was counted longer ago is on record or never will be, and an idle end longer ago
	// cannot be undone. The next sweep looks again at what is younger.
	settleAge = 5 * time.Minute
	// maxFruitless is how many plans a sweep of an owner carries out that end nothing because
	// all of their families have been used since.
	maxFruitless = 3
)

// Sweeper ends the families of owners that are over their limit.
type Sweeper struct {
	Table   *store.Table
	Clients *store.Registry
	Trail   audit.Trail
}

// Result says what a sweep did.
type Result struct {
	Owners  int `json:"owners"`  // the number of owners that were on the work list
	Removed int `json:"removed"` // the number of families that it ended
}

// Sweep works through the list. If it fails for an owner, that owner stays on the list and
// Sweep goes on with the others. The error joins all failures.
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

// sweepOwner makes plans and carries them out until the owner is within its limit, and then
// settles its count. An owner whose families are used as fast as plans are made stays on
// the work list.
func (s *Sweeper) sweepOwner(ctx context.Context, id store.OwnerID, now time.Time) (removed int, err error) {
	client, err := s.Clients.Client(ctx, id.ClientID, now)
	if errors.Is(err, store.ErrNotFound) {
		return 0, s.Table.DropOverLimit(ctx, id) // without a client its families cannot be used
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
				continue // another sweep stored its plan first, and that is carried out
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

// settle corrects the count of an owner that is within the limit, and takes the owner off
// the work list. A family is counted before it is on record. So one that is counted and not
// found may be being issued, unless the last was counted longer ago than settleAge. Until
// then it counts, and if it takes the owner past the limit, the next sweep looks again.
func (s *Sweeper) settle(ctx context.Context, o *store.Owner, found *reading, limit int, now time.Time) error {
	active := len(found.active)
	// A login whose clock was ahead must not keep the owner on the list until its time.
	if now.Sub(o.CountedAt).Abs() < settleAge {
		active = max(active, o.Active)
	}
	if active > limit {
		return s.Table.Recount(ctx, o, active, found.horizon, found.purgeAt)
	}
	return s.Table.Settle(ctx, o, active, found.horizon, found.purgeAt)
}

// findOwner looks for active families of an owner whose record is gone. The record was kept
// for as long as they were expected to live, and some may live longer. If there are any,
// findOwner puts the owner on record again. Otherwise it takes the owner off the work list,
// and done is true.
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

// carryOut does what the owner's plan says. A family that was revoked for another cause
// before keeps that cause, and one that has been used since lives on. The event names
// neither.
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
		return 0, err // without an error another sweep has stored the event
	}
	s.Trail.Record(ctx, &e)
	return e.Removed, nil
}
