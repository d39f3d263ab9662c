package manage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// revokedJSON is the answer to the revocation of one family and of many.
type revokedJSON struct {
	Revoked int    `json:"revoked"`
	DryRun  bool   `json:"dry_run,omitempty"`
	Next    string `json:"next,omitempty"`
}

// revokeFamily serves DELETE /v1/families/{family}, which revokes one family. A family that
// has ended is left as it is.
func (a *API) revokeFamily(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := familyID(r)
	if err != nil {
		return err
	}
	f, client, err := a.familyAndClient(r.Context(), id, now)
	if err != nil {
		return err
	}
	policy := policyOf(client)
	answer := revokedJSON{}
	if f.DeathOnceBegun(policy, now) == "" {
		done, err := a.RevokeLiving(r.Context(), f, policy, family.RevokedByAdmin, 0, web.CallerOf(r), now)
		if err != nil {
			return err
		}
		if done {
			answer.Revoked = 1
		}
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

const (
	// revokedPerCall limits the families that one call changes or revokes. It is how many a
	// stored event can name.
	revokedPerCall = 1000
	// revokeConcurrency is the number of families changed or revoked at the same time.
	revokeConcurrency = 16
)

// revocation is a request to revoke many families.
type revocation struct {
	selection
	userID string
	cause  family.Cause
	caller session.Caller
}

// revokeFamilies serves DELETE /v1/families?user_id=&client_id=&except=&cause=&dry_run=&next=.
// It revokes a user's families: all of them or those in one client, and all but one if
// except names it. Reads are strongly consistent, so that no family issued before the call
// is missed. If the answer has a next, the caller repeats the call with it to revoke the
// rest. Each call that revokes anything stores one event, in one transaction with its first
// revocation.
func (a *API) revokeFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	budget, cancel := newBudget(r.Context())
	defer cancel()
	var in input
	q, err := in.familyQuery(r, "except", "cause", "dry_run")
	if err != nil {
		return err
	}
	rev := revocation{
		selection: selection{clientID: q.clientID, unbegun: true, budget: budget, now: now},
		userID:    q.userID, cause: family.Cause(q.Get("cause")), caller: web.CallerOf(r),
	}
	switch rev.cause {
	case "":
		rev.cause = family.RevokedByAdmin
	case family.RevokedByAdmin, family.PasswordChanged:
	default:
		in.wrong("cause", strconv.Quote(session.Cut(string(rev.cause), 32)), "revoked_by_admin or password_changed")
	}
	dryRun := in.dryRun(q.Values)
	if err := in.err(); err != nil {
		return err
	}
	list := fmt.Sprintf("revoke\x00%s\x00%s\x00%s\x00%s\x00%t", q.userID, q.clientID, q.Get("except"), rev.cause, dryRun)
	pages, err := a.familyCursors(r.Context(), q, list, now)
	if err != nil {
		return err
	}
	rev.userKey = pages.userKey
	if except := q.Get("except"); except != "" {
		if rev.keep, err = a.familyToKeep(r.Context(), except, rev.userKey, now); err != nil {
			return err
		}
	}
	answer := revokedJSON{DryRun: dryRun}
	before := pages.before
	switch {
	case dryRun:
		var living []store.Ending
		living, before, err = a.livingFamilies(r.Context(), &rev.selection, before)
		answer.Revoked = len(living)
	case rev.keep != nil:
		answer.Revoked, before, err = a.revokeAllBut(r.Context(), &rev, before)
	default:
		answer.Revoked, before, err = a.revokeAll(r.Context(), &rev, before)
	}
	if err != nil {
		return err
	}
	answer.Next = pages.next(before)
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// errNoFamilyToKeep is returned if the family in except is not a living family of the user.
var errNoFamilyToKeep = &unprocessable{Field: "except", Want: "a living family of that user"}

// familyToKeep returns the user's family with the id in except.
func (a *API) familyToKeep(ctx context.Context, except string, userKey [16]byte, now time.Time) (*store.Ending, error) {
	id, err := family.ParseID(except)
	if err != nil || id.UserKey() != userKey {
		return nil, errNoFamilyToKeep
	}
	f, err := a.Table.Family(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNoFamilyToKeep
	}
	if err != nil {
		return nil, err
	}
	client, err := a.findClient(ctx, f.ClientID, now)
	if err != nil {
		return nil, err
	}
	if client == nil || f.Death(&client.Policy, now) != "" {
		return nil, errNoFamilyToKeep
	}
	return &store.Ending{Family: f, Policy: &client.Policy}, nil
}

// event returns the event of revoking these families.
func (rev *revocation) event(families []store.Ending) *audit.Event {
	e := rev.caller.Event(audit.Revoked, rev.now)
	e.User, e.UserID, e.ClientID, e.Cause = rev.userKey, rev.userID, rev.clientID, rev.cause
	setFamilies(&e, families)
	return &e
}

// setFamilies makes e name these families and no others.
func setFamilies(e *audit.Event, families []store.Ending) {
	e.Families = nil
	for _, f := range families {
		e.Families = append(e.Families, f.Family.ID.ULID())
	}
	e.Removed = len(e.Families)
}

// revokeAll revokes up to revokedPerCall families older than before. Families older than
// next may be left; next is zero if there are none.
func (a *API) revokeAll(ctx context.Context, rev *revocation, before ulid.ULID) (revoked int, next ulid.ULID, err error) {
	for {
		living, next, err := a.livingFamilies(ctx, &rev.selection, before)
		if err != nil || len(living) == 0 {
			return 0, next, err
		}
		e := rev.event(living)
		// The event is stored in one transaction with the end of a family. On its own it
		// could be stored after the user has been erased. That family is the oldest:
		// concurrent calls work from the newest on, and rarely meet there.
		oldest := living[len(living)-1]
		others := living[:len(living)-1]
		done, err := a.Table.Revoke(ctx, oldest.Family, oldest.Policy, e)
		if err != nil {
			a.amendEvent(ctx, e, []store.Ending{oldest})
			return 0, next, err
		}
		if !done {
			continue // it ended after it was read
		}
		ended, tried, err := a.endFamilies(ctx, rev, others, e)
		if tried < len(others) {
			next = others[tried-1].Family.ID.ULID()
		}
		a.recordRevocation(ctx, e, append(ended, oldest))
		return e.Removed, next, err
	}
}

// endFamilies revokes families in their order under an event that is stored already. It
// tries at least one, and no more once the budget is spent; tried is their number. ended has
// those that were revoked under the event, and those of which an error leaves that unknown.
func (a *API) endFamilies(ctx context.Context, rev *revocation, families []store.Ending, e *audit.Event) (ended []store.Ending, tried int, err error) {
	ours := make([]bool, len(families))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(revokeConcurrency)
	for i, f := range families {
		if i > 0 && (rev.budget.spent() || groupCtx.Err() != nil) {
			break
		}
		tried++
		group.Go(func() error {
			done, err := a.Table.End(groupCtx, f.Family.ID, f.Policy, family.Revocation{At: e.At, Cause: e.Cause, Event: e.ID})
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
func (a *API) recordRevocation(ctx context.Context, e *audit.Event, ended []store.Ending) {
	a.amendEvent(ctx, e, ended)
	a.Trail.Record(ctx, e)
}

// amendEvent makes the event, and its stored copy if there is one, name only those families.
func (a *API) amendEvent(ctx context.Context, e *audit.Event, ended []store.Ending) {
	stored := e.Removed
	if setFamilies(e, ended); e.Removed < stored {
		if err := a.Table.AmendEvent(ctx, e); err != nil {
			a.Log.ErrorContext(ctx, "a stored event names families that were not revoked", slog.String("event_id", e.ID.String()), slog.Any("error", err))
		}
	}
}

// revokeAllBut revokes up to revokedPerCall families older than before, on condition that the
// family to keep lives. Two concurrent calls therefore cannot revoke the families that they
// are to keep. Families older than next may be left; next is zero if there are none.
func (a *API) revokeAllBut(ctx context.Context, rev *revocation, before ulid.ULID) (revoked int, next ulid.ULID, err error) {
	living, next, err := a.livingFamilies(ctx, &rev.selection, before)
	if err != nil || len(living) == 0 {
		return 0, next, err
	}
	e := rev.event(living)
	var ended []store.Ending
	for len(living) > 0 && err == nil {
		if len(ended) > 0 && rev.budget.spent() {
			next = ended[len(ended)-1].Family.ID.ULID()
			break
		}
		n := min(len(living), store.MaxOthers)
		done, dead, endErr := a.Table.EndOthers(ctx, *rev.keep, living[:n], e, len(ended) == 0)
		switch {
		case endErr != nil && len(ended) == 0:
			a.amendEvent(ctx, e, living[:n])
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
				setFamilies(e, living)
			}
		case len(ended) == 0:
			err = errNoFamilyToKeep
		default:
			err = conflict("the family to keep has ended meanwhile: some of the others have not been revoked")
		}
	}
	if len(ended) > 0 {
		a.recordRevocation(ctx, e, ended)
	}
	return len(ended), next, err
}
