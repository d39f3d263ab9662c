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

// revokedJSON is the answer of both revocations.
type revokedJSON struct {
	Revoked int    `json:"revoked"`
	DryRun  bool   `json:"dry_run,omitempty"`
	Next    string `json:"next,omitempty"`
}

// revokeOne ends one family: DELETE /v1/families/{family}. One that is dead
// already is left as it is.
func (a *API) revokeOne(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := familyID(r)
	if err != nil {
		return err
	}
	f, err := a.Table.Family(r.Context(), id)
	if err != nil {
		return err
	}
	about(operationOf(r.Context()), f.UserID, f.ClientID)
	policy, err := a.policy(r.Context(), f.ClientID, now)
	if err != nil {
		return err
	}
	answer := revokedJSON{}
	if f.Death(policy, now) == "" {
		done, err := a.RevokeLiving(r.Context(), f, policy, family.RevokedByAdmin, 0, web.CallerOf(r), now)
		if err != nil {
			return err
		}
		if done {
			answer.Revoked = 1
		}
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// policy is the policy that a client's families live by.
func (a *API) policy(ctx context.Context, clientID string, now time.Time) (*family.Policy, error) {
	client, err := a.registered(ctx, clientID, now)
	if err != nil {
		return nil, err
	}
	return policyOf(client), nil
}

// policyOf is the policy that the client's families live by: that of no ends
// where it is nil, not registered.
func policyOf(client *store.Client) *family.Policy {
	if client == nil {
		return &family.Policy{}
	}
	return &client.Policy
}

const (
	// revokedPerCall is how many families one call ends at most: what its event
	// can name.
	revokedPerCall = 1000
	// revokeConcurrency is how many are ended at the same time.
	revokeConcurrency = 16
)

// revocation is a revocation of many: what it was asked for.
type revocation struct {
	userKey  [16]byte
	userID   string
	clientID string // or "" for all
	cause    family.Cause
	kept     *store.Ending // the family that lives on, or nil
	now      time.Time
	caller   session.Caller
	budget   budget
}

// revokeFamilies ends all of a user's families, or those in one client, or all but
// one: DELETE /v1/families?user_id=&client_id=&except=&cause=&dry_run=&next=. It reads
// strongly consistent, so that nothing issued before the call is missed. While
// the answer has a next there may be more to end: call again with it. One event is
// stored for each call that ends anything, together with the first of the ends.
func (a *API) revokeFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	limited, cancel := newBudget(r.Context())
	defer cancel()
	q, err := query(r, "user_id", "client_id", "except", "cause", "dry_run", "next")
	if err != nil {
		return err
	}
	var in input
	rev := revocation{userID: in.user(q), clientID: q.Get("client_id"), cause: family.Cause(q.Get("cause")), now: now, caller: web.CallerOf(r), budget: limited}
	if rev.clientID != "" {
		in.clientID(rev.clientID)
	}
	switch rev.cause {
	case "":
		rev.cause = family.RevokedByAdmin
	case family.RevokedByAdmin, family.PasswordChanged:
	default:
		in.wrong("cause", strconv.Quote(session.Cut(string(rev.cause), 32)), "revoked_by_admin or password_changed")
	}
	dryRun := in.dryRun(q)
	if err := in.err(); err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	rev.userKey = keys.Codec.UserKey(rev.userID)
	pages := cursors{keys, fmt.Sprintf("revoke\x00%s\x00%s\x00%s\x00%s\x00%t", rev.userID, rev.clientID, q.Get("except"), rev.cause, dryRun)}
	before, err := pages.openULID(q.Get("next"))
	if err != nil {
		return err
	}
	if except := q.Get("except"); except != "" {
		if rev.kept, err = a.kept(r.Context(), except, rev.userKey, now); err != nil {
			return err
		}
	}
	answer := revokedJSON{DryRun: dryRun}
	switch {
	case dryRun:
		var living []store.Ending
		living, before, err = a.living(r.Context(), &rev, before)
		answer.Revoked = len(living)
	case rev.kept != nil:
		answer.Revoked, before, err = a.revokeAllBut(r.Context(), &rev, before)
	default:
		answer.Revoked, before, err = a.revokeAll(r.Context(), &rev, before)
	}
	if err != nil {
		return err
	}
	answer.Next = pages.sealULID(before)
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// errNotKept is returned where the family that is to live on is none of the user's
// living ones.
var errNotKept = &unprocessable{Field: "except", Want: "a living family of that user"}

// kept is the user's family that is to live on.
func (a *API) kept(ctx context.Context, text string, userKey [16]byte, now time.Time) (*store.Ending, error) {
	id, err := family.ParseID(text)
	if err != nil || id.UserKey() != userKey {
		return nil, errNotKept
	}
	f, err := a.Table.Family(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNotKept
	}
	if err != nil {
		return nil, err
	}
	client, err := a.registered(ctx, f.ClientID, now)
	if err != nil {
		return nil, err
	}
	if client == nil || f.Death(&client.Policy, now) != "" {
		return nil, errNotKept
	}
	return &store.Ending{Family: f, Policy: &client.Policy}, nil
}

// living are up to revokedPerCall living families that the revocation is of, newest
// first, from before the ULID on; next is where to go on.
func (a *API) living(ctx context.Context, rev *revocation, before ulid.ULID) (living []store.Ending, next ulid.ULID, err error) {
	next = before
	for {
		var families []*family.Family
		families, next, err = a.Table.FamiliesBefore(ctx, rev.userKey, next, revokedPerCall-len(living))
		if err != nil {
			return nil, next, err
		}
		for _, f := range families {
			if rev.clientID != "" && f.ClientID != rev.clientID || rev.kept != nil && f.ID == rev.kept.Family.ID {
				continue
			}
			policy, err := a.policy(ctx, f.ClientID, rev.now)
			if err != nil {
				return nil, next, err
			}
			if f.Death(policy, rev.now) == "" {
				living = append(living, store.Ending{Family: f, Policy: policy})
			}
		}
		if next == (ulid.ULID{}) || len(living) == revokedPerCall || rev.budget.spent() {
			return living, next, nil
		}
	}
}

// event is the event of ending these families.
func (rev *revocation) event(families []store.Ending) *audit.Event {
	e := rev.caller.Event(audit.Revoked, rev.now)
	e.User, e.UserID, e.ClientID, e.Cause = rev.userKey, rev.userID, rev.clientID, rev.cause
	names(&e, families)
	return &e
}

// names makes e an event of these families.
func names(e *audit.Event, families []store.Ending) {
	e.Families = nil
	for _, f := range families {
		e.Families = append(e.Families, f.Family.ID.ULID())
	}
	e.Removed = len(e.Families)
}

// revokeAll ends up to revokedPerCall families, from before the ULID on; next is where
// to go on.
func (a *API) revokeAll(ctx context.Context, rev *revocation, before ulid.ULID) (revoked int, next ulid.ULID, err error) {
	for {
		living, next, err := a.living(ctx, rev, before)
		if err != nil || len(living) == 0 {
			return 0, next, err
		}
		e := rev.event(living)
		// The event is stored together with the end of a family, or it could come after
		// an erasure of the user. That family is the oldest: of two calls at once, which
		// begin with the newest, neither is in the other's way.
		oldest := living[len(living)-1]
		others := living[:len(living)-1]
		done, err := a.Table.Revoke(ctx, oldest.Family, oldest.Policy, e)
		if err != nil {
			a.amend(ctx, e, []store.Ending{oldest})
			return 0, next, err
		}
		if !done {
			continue // it ended since it was read
		}
		ended, tried, err := a.end(ctx, rev, others, e)
		if tried < len(others) {
			next = others[tried-1].Family.ID.ULID()
		}
		a.record(ctx, e, append(ended, oldest))
		return e.Removed, next, err
	}
}

// end ends families under an event that is stored, in their order, as many as the
// budget allows, and one at least: tried is how many. ended are those that bear the
// event, or may: of those that an error left open nobody knows.
func (a *API) end(ctx context.Context, rev *revocation, families []store.Ending, e *audit.Event) (ended []store.Ending, tried int, err error) {
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

// record writes down which of the families that the stored event names were ended
// under it: in the log, and where it is fewer, in the event.
func (a *API) record(ctx context.Context, e *audit.Event, ended []store.Ending) {
	a.amend(ctx, e, ended)
	a.Trail.Record(ctx, e)
}

// amend has the event, if it is stored, name those families alone.
func (a *API) amend(ctx context.Context, e *audit.Event, ended []store.Ending) {
	stored := e.Removed
	if names(e, ended); e.Removed < stored {
		if err := a.Table.AmendEvent(ctx, e); err != nil {
			a.Log.ErrorContext(ctx, "an event names families that it did not end", slog.String("event_id", e.ID.String()), slog.Any("error", err))
		}
	}
}

// revokeAllBut ends up to revokedPerCall families, from before the ULID on, on the
// condition that the one which is kept lives: two such calls at once cannot end each
// other's. next is where to go on.
func (a *API) revokeAllBut(ctx context.Context, rev *revocation, before ulid.ULID) (revoked int, next ulid.ULID, err error) {
	living, next, err := a.living(ctx, rev, before)
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
		done, dead, endErr := a.Table.EndOthers(ctx, *rev.kept, living[:n], e, len(ended) == 0)
		switch {
		case endErr != nil && len(ended) == 0:
			a.amend(ctx, e, living[:n])
			return 0, next, endErr
		case endErr != nil:
			ended, err = append(ended, living[:n]...), endErr // they may bear the event
		case done:
			ended = append(ended, living[:n]...)
			living = living[n:]
		case len(dead) > 0: // they ended since they were read
			for _, i := range slices.Backward(dead) {
				living = slices.Delete(living, i, i+1)
			}
			if len(ended) == 0 {
				names(e, living)
			}
		case len(ended) == 0:
			err = errNotKept
		default:
			err = conflict("the family to keep ended before all of the others had")
		}
	}
	if len(ended) > 0 {
		a.record(ctx, e, ended)
	}
	return len(ended), next, err
}
