package manage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

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
	policy := session.PolicyOf(client)
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

// revokeFamilies serves DELETE /v1/families?user_id=&client_id=&except=&cause=&dry_run=&next=.
// It revokes a user's families: all of them or those in one client, and all but one if
// except names it. Reads are strongly consistent, so that no family issued before the call
// is missed. If the answer has a next, the caller repeats the call with it to revoke the
// rest. Each call that revokes anything stores one event, in one transaction with its first
// revocation.
func (a *API) revokeFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	budget, cancel := a.NewBudget(r.Context())
	defer cancel()
	var in input
	q, err := in.familyQuery(r, "except", "cause", "dry_run")
	if err != nil {
		return err
	}
	rev := session.Revocation{
		Selection: session.Selection{ClientID: q.clientID, Unbegun: true, Budget: budget, Now: now},
		UserID:    q.userID, Cause: family.Cause(q.Get("cause")), From: web.CallerOf(r),
	}
	switch rev.Cause {
	case "":
		rev.Cause = family.RevokedByAdmin
	case family.RevokedByAdmin, family.PasswordChanged:
	default:
		in.wrong("cause", strconv.Quote(session.Cut(string(rev.Cause), 32)), "revoked_by_admin or password_changed")
	}
	dryRun := in.dryRun(q.Values)
	if err := in.err(); err != nil {
		return err
	}
	list := fmt.Sprintf("revoke\x00%s\x00%s\x00%s\x00%s\x00%t", q.userID, q.clientID, q.Get("except"), rev.Cause, dryRun)
	pages, err := a.familyCursors(r.Context(), q, list, now)
	if err != nil {
		return err
	}
	rev.UserKey = pages.userKey
	if except := q.Get("except"); except != "" {
		if rev.Keep, err = a.familyToKeep(r.Context(), except, rev.UserKey, now); err != nil {
			return err
		}
	}
	answer := revokedJSON{DryRun: dryRun}
	before := pages.before
	switch {
	case dryRun:
		var living []store.Ending
		living, before, err = a.LivingFamilies(r.Context(), &rev.Selection, before)
		answer.Revoked = len(living)
	case rev.Keep != nil:
		answer.Revoked, before, err = a.RevokeAllBut(r.Context(), &rev, before)
	default:
		answer.Revoked, before, err = a.RevokeAll(r.Context(), &rev, before)
	}
	switch {
	case errors.Is(err, session.ErrNotKept):
		return errNoFamilyToKeep
	case errors.Is(err, session.ErrKeptEnded):
		return conflict(err.Error())
	case err != nil:
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
	client, err := a.FindClient(ctx, f.ClientID, now)
	if err != nil {
		return nil, err
	}
	if client == nil || f.Death(&client.Policy, now) != "" {
		return nil, errNoFamilyToKeep
	}
	return &store.Ending{Family: f, Policy: &client.Policy}, nil
}
