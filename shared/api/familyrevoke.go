package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
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
	now := a.now()
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
		done, err := a.revokeLiving(r.Context(), f, policy, family.RevokedByAdmin, 0, callerOf(r), now)
		if err != nil {
			return err
		}
		if done {
			answer.Revoked = 1
		}
	}
	noStore(w)
	writeJSON(w, http.StatusOK, "application/json", answer)
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
	// revokeBudget is how long one call of a revocation of many works.
	revokeBudget = 20 * time.Second
	// revokedPerCall is how many families one call ends at most: what its event
	// can name.
	revokedPerCall = 1000
	// revokedTogether is how many are ended at the same time.
	revokedTogether = 16
)

// revokeFamilies ends all of a user's families, or those in one client:
// DELETE /v1/families?user_id=&client_id=&cause=&dry_run=&next=. It reads
// strongly consistent, so that nothing issued before the call is missed. While
// the answer has a next there is more to end: call again with it. One event is
// stored for each call that ends anything, before it does.
func (a *API) revokeFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.now()
	q, err := query(r, "user_id", "client_id", "cause", "dry_run", "next")
	if err != nil {
		return err
	}
	var in input
	userID, clientID, cause := in.user(q), q.Get("client_id"), family.Cause(q.Get("cause"))
	if clientID != "" {
		in.clientID(clientID)
	}
	switch cause {
	case "":
		cause = family.RevokedByAdmin
	case family.RevokedByAdmin, family.PasswordChanged:
	default:
		in.wrong("cause", strconv.Quote(cut(string(cause), 32)), "revoked_by_admin or password_changed")
	}
	dryRun := false
	if v := q.Get("dry_run"); v != "" {
		if dryRun, err = strconv.ParseBool(v); err != nil {
			in.wrong("dry_run", strconv.Quote(cut(v, 32)), "true or false")
		}
	}
	if err := in.err(); err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	pages := cursors{keys, fmt.Sprintf("revoke\x00%s\x00%s\x00%s\x00%t", userID, clientID, cause, dryRun)}
	before, err := pages.openULID(q.Get("next"))
	if err != nil {
		return err
	}
	living, before, err := a.living(r.Context(), keys.Codec.UserKey(userID), clientID, before, now)
	if err != nil {
		return err
	}
	answer := revokedJSON{DryRun: dryRun, Revoked: len(living)}
	if !dryRun && len(living) > 0 {
		e, err := callerOf(r).event(audit.Revoked, now)
		if err != nil {
			return err
		}
		e.User, e.UserID, e.ClientID, e.Cause = keys.Codec.UserKey(userID), userID, clientID, cause
		answer.Revoked, err = a.end(r.Context(), living, &e)
		if err != nil {
			return err
		}
		if answer.Revoked < len(living) {
			before = store.Next(living[0].family.ID.ULID()) // time ran out, or another was first: look at these again
		}
	}
	answer.Next = pages.sealULID(before)
	noStore(w)
	writeJSON(w, http.StatusOK, "application/json", answer)
	return nil
}

// livingFamily is a family that lives, with the policy that it lives by.
type livingFamily struct {
	family *family.Family
	policy *family.Policy
}

// living are up to revokedPerCall living families of the user, newest first, from
// before the ULID on; next is where to go on.
func (a *API) living(ctx context.Context, userKey [16]byte, clientID string, before ulid.ULID, now time.Time) (living []livingFamily, next ulid.ULID, err error) {
	next = before
	for {
		var families []*family.Family
		families, next, err = a.Table.FamiliesBefore(ctx, userKey, next, revokedPerCall-len(living))
		if err != nil {
			return nil, next, err
		}
		for _, f := range families {
			if clientID != "" && f.ClientID != clientID {
				continue
			}
			policy, err := a.policy(ctx, f.ClientID, now)
			if err != nil {
				return nil, next, err
			}
			if f.Death(policy, now) == "" {
				living = append(living, livingFamily{f, policy})
			}
		}
		if next == (ulid.ULID{}) || len(living) == revokedPerCall {
			return living, next, nil
		}
	}
}

// end stores the event, which names all of the families, and ends them, as many
// as the budget allows; it returns how many.
func (a *API) end(ctx context.Context, living []livingFamily, e *audit.Event) (int, error) {
	for _, l := range living {
		e.Families = append(e.Families, l.family.ID.ULID())
	}
	e.Removed = len(e.Families)
	if _, err := a.Table.PutEvent(ctx, e); err != nil {
		return 0, err
	}
	a.trail.Record(ctx, e)
	budget, cancel := context.WithTimeout(ctx, revokeBudget)
	defer cancel()
	var ended atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(revokedTogether)
	for _, l := range living {
		if budget.Err() != nil {
			break
		}
		group.Go(func() error {
			_, err := a.Table.End(groupCtx, l.family.ID, l.policy, family.Revocation{At: e.At, Cause: e.Cause, Event: e.ID})
			if err == nil {
				ended.Add(1) // by us or by another: it is dead
			}
			return err
		})
	}
	err := group.Wait()
	return int(ended.Load()), err
}
