package session

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// Errors of a revocation of all families but one.
var (
	ErrNotKept   = errors.New("the family to keep has ended")
	ErrKeptEnded = errors.New("the family to keep has ended meanwhile: some of the others have not been revoked")
)

// Revocation is a request to revoke many families of a user.
type Revocation struct {
	Selection
	UserID string
	Cause  family.Cause
	From   Caller
}

// event returns the event of revoking these families.
func (rev *Revocation) event(families []store.Ending) *audit.Event {
	event := rev.From.Event(audit.Revoked, rev.Now)
	event.User, event.UserID, event.ClientID, event.Cause = rev.UserKey, rev.UserID, rev.ClientID, rev.Cause
	setFamilies(&event, families)
	return &event
}

// setFamilies makes e name these families and no others.
func setFamilies(e *audit.Event, families []store.Ending) {
	e.Families = nil
	for _, f := range families {
		e.Families = append(e.Families, f.Family.ID.ULID())
	}
	e.Removed = len(e.Families)
}

// RevokeAll revokes up to MaxFamilies families older than before. Families older than
// next may be left; next is zero if there are none.
func (e *Engine) RevokeAll(ctx context.Context, rev *Revocation, before ulid.ULID) (revoked int, next ulid.ULID, err error) {
	for {
		living, next, err := e.LivingFamilies(ctx, &rev.Selection, before)
		if err != nil || len(living) == 0 {
			return 0, next, err
		}
		event := rev.event(living)
		// The event is stored in one transaction with the end of a family. On its own it
		// could be stored after the user has been erased. That family is the oldest:
		// concurrent calls work from the newest on, and rarely meet there.
		oldest := living[len(living)-1]
		others := living[:len(living)-1]
		done, err := e.Table.Revoke(ctx, oldest.Family, oldest.Policy, event)
		if err != nil {
			e.amendEvent(ctx, event, []store.Ending{oldest})
			return 0, next, err
		}
		if !done {
			continue // it ended after it was read
		}
		ended, tried, err := e.endFamilies(ctx, rev, others, event)
		if tried < len(others) {
			next = others[tried-1].Family.ID.ULID()
		}
		e.recordRevocation(ctx, event, append(ended, oldest))
		return event.Removed, next, err
	}
}

// endFamilies revokes families in their order under an event that is stored already. It
// tries at least one, and no more once the budget is spent; tried is their number. ended has
// those that were revoked under the event, and those of which an error leaves that unknown.
func (e *Engine) endFamilies(ctx context.Context, rev *Revocation, families []store.Ending, event *audit.Event) (ended []store.Ending, tried int, err error) {
	ours := make([]bool, len(families))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(Concurrency)
	for i, f := range families {
		if i > 0 && (rev.Budget.Spent() || groupCtx.Err() != nil) {
			break
		}
		tried++
		group.Go(func() error {
			done, err := e.Table.End(groupCtx, f.Family.ID, f.Policy, family.Revocation{At: event.At, Cause: event.Cause, Event: event.ID})
			ours[i] = done || err != nil
			return err
		})
	}
	err = group.Wait()
	for i, f := range families {
		if ours[i] {
			ended = append(ended, f)
		}
	}
	return ended, tried, err
}

// recordRevocation logs the event with the families that were revoked under it. If they are
// fewer than the stored event names, it amends that as well.
func (e *Engine) recordRevocation(ctx context.Context, event *audit.Event, ended []store.Ending) {
	e.amendEvent(ctx, event, ended)
	e.Trail.Record(ctx, event)
}

// amendEvent makes the event, and its stored copy if there is one, name only those families.
func (e *Engine) amendEvent(ctx context.Context, event *audit.Event, ended []store.Ending) {
	stored := event.Removed
	if setFamilies(event, ended); event.Removed < stored {
		if err := e.Table.AmendEvent(ctx, event); err != nil {
			e.Log.ErrorContext(ctx, "a stored event names families that were not revoked", slog.String("event_id", event.ID.String()), slog.Any("error", err))
		}
	}
}

// RevokeAllBut revokes up to MaxFamilies families older than before, on condition that the
// family to keep lives. Two concurrent calls therefore cannot revoke the families that they
// are to keep. Families older than next may be left; next is zero if there are none. If the family
// to keep has ended, the error is [ErrNotKept], or [ErrKeptEnded] if others have been revoked.
func (e *Engine) RevokeAllBut(ctx context.Context, rev *Revocation, before ulid.ULID) (revoked int, next ulid.ULID, err error) {
	living, next, err := e.LivingFamilies(ctx, &rev.Selection, before)
	if err != nil || len(living) == 0 {
		return 0, next, err
	}
	event := rev.event(living)
	var ended []store.Ending
	for len(living) > 0 && err == nil {
		if len(ended) > 0 && rev.Budget.Spent() {
			next = ended[len(ended)-1].Family.ID.ULID()
			break
		}
		n := min(len(living), store.MaxOthers)
		done, dead, endErr := e.Table.EndOthers(ctx, *rev.Keep, living[:n], event, len(ended) == 0)
		switch {
		case endErr != nil && len(ended) == 0:
			e.amendEvent(ctx, event, living[:n])
			return 0, next, endErr
		case endErr != nil:
			ended, err = append(ended, living[:n]...), endErr // they may have been revoked
		case done:
			ended = append(ended, living[:n]...)
			living = living[n:]
		case len(dead) > 0: // they ended after they were read
			for _, i := range slices.Backward(dead) {
				living = slices.Delete(living, i, i+1)
			}
			if len(ended) == 0 {
				setFamilies(event, living)
			}
		case len(ended) == 0:
			err = ErrNotKept
		default:
			err = ErrKeptEnded
		}
	}
	if len(ended) > 0 {
		e.recordRevocation(ctx, event, ended)
	}
	return len(ended), next, err
}
