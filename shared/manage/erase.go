package manage

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

const (
	// erasedPerCall is how many families one call erases at most, and how many items of
	// other kinds.
	erasedPerCall = 1000
	// countedPerCall is how many items one call of a dry run counts at most.
	countedPerCall = 10_000
	// eraseConcurrency is how many items are erased at the same time.
	eraseConcurrency = 16
)

// erasedJSON is the answer of an erasure.
type erasedJSON struct {
	Families int    `json:"families"`
	Events   int    `json:"events"`
	DryRun   bool   `json:"dry_run,omitempty"`
	Next     string `json:"next,omitempty"`
}

// eraseUser erases all that is kept of a user: families, stored events, and whatever
// else is in the user's partition: DELETE /v1/users?user_id=&dry_run=&next=, or with
// user_key= in the place of user_id=. While the answer has a next there is more: call
// again with it. It can be repeated. One event is stored for each call that finds
// anything, and for each first one: it has the user's key, and outlives the erasure.
//
// Families go before anything else, so that none can be used whose events are gone. A
// call without a next in its answer has seen the partition empty after that: whatever
// writes there does so on the condition that a family or an owner exists, but for a
// login, which makes both.
func (a *API) eraseUser(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	operation := operationOf(r.Context())
	operation.UserID = "" // the trail has the key alone, as the event does
	limited, cancel := newBudget(r.Context())
	defer cancel()
	q, err := query(r, "user_id", "user_key", "dry_run", "next")
	if err != nil {
		return err
	}
	var in input
	dryRun := in.dryRun(q)
	userID, userKey := in.userOrKey(q)
	if err := in.err(); err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	if userID != "" {
		userKey = keys.Codec.UserKey(userID)
	}
	operation.User = userKey
	pages := cursors{keys, fmt.Sprintf("erase\x00%s\x00%t", audit.EncodeUserKey(userKey), dryRun)}
	after, err := pages.open(q.Get("next"))
	if err != nil {
		return err
	}
	answer := erasedJSON{DryRun: dryRun}
	if dryRun {
		found, err := a.Table.UserItems(r.Context(), userKey, after, countedPerCall)
		if err != nil {
			return err
		}
		answer.Families, answer.Events, answer.Next = len(found.Families), len(found.Events), pages.seal(found.Next)
	} else {
		e, more, err := a.erase(r.Context(), userKey, after == "", web.CallerOf(r), limited, now)
		if err != nil {
			return err
		}
		answer.Families, answer.Events = e.ErasedFamilies, e.ErasedEvents
		if more {
			answer.Next = pages.seal("more") // what has been erased need not be passed over
		}
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// userOrKey checks the query's user_id, or its user_key where that is given instead.
func (in *input) userOrKey(q url.Values) (userID string, userKey [16]byte) {
	if !q.Has("user_key") {
		return in.user(q), userKey
	}
	if q.Has("user_id") {
		in.wrong("user_key", "", "left out where user_id is given")
	}
	userKey, ok := audit.DecodeUserKey(q.Get("user_key"))
	if !ok {
		in.wrong("user_key", "", "the userKey of an erasure's event: 22 characters of base64url")
	}
	return "", userKey
}

// erase erases what one call can of a user; more says whether there may be more. The
// event, which says how many there were, is stored before and logged after it.
func (a *API) erase(ctx context.Context, userKey [16]byte, first bool, by session.Caller, b budget, now time.Time) (e *audit.Event, more bool, err error) {
	found, more, err := a.erasable(ctx, userKey)
	if err != nil {
		return nil, false, err
	}
	event := audit.New(audit.Erased, now)
	e = &event
	// The caller's address and program stay out: they may be the user's.
	e.RequestID, e.By, e.User = by.RequestID, by.By, userKey
	if found.Empty() && !first {
		return e, more, nil
	}
	e.ErasedFamilies, e.ErasedEvents = len(found.Families), len(found.Events)
	if err := a.Table.PutEvent(ctx, e); err != nil {
		return nil, false, err
	}
	e.ErasedFamilies, e.ErasedEvents = 0, 0
	more, err = a.eraseItems(ctx, userKey, found, more, b, e)
	if e.ErasedFamilies < len(found.Families) || e.ErasedEvents < len(found.Events) {
		if putErr := a.Table.PutEvent(ctx, e); putErr != nil {
			a.Log.ErrorContext(ctx, "an event counts what it did not erase", slog.String("event_id", e.ID.String()), slog.Any("error", putErr))
		}
	}
	a.Trail.Record(ctx, e)
	return e, more, err
}

// erasable is what one call erases of a user: families, or where those are all of
// them, other items too; more says whether that leaves any.
func (a *API) erasable(ctx context.Context, userKey [16]byte) (found *store.UserItems, more bool, err error) {
	families, err := a.Table.UserFamilies(ctx, userKey, erasedPerCall)
	if err != nil || families.Next != "" {
		return families, true, err
	}
	found, err = a.Table.UserItems(ctx, userKey, "", len(families.Families)+erasedPerCall)
	if err != nil {
		return nil, false, err
	}
	more = found.Next != "" || len(found.Families) > len(families.Families)
	found.Families = families.Families // what has come since is the next call's
	return found, more, nil
}

// eraseItems erases what was found, and counts it in e. more says whether there may be
// more, as more did before.
func (a *API) eraseItems(ctx context.Context, userKey [16]byte, found *store.UserItems, more bool, b budget, e *audit.Event) (bool, error) {
	var err error
	if e.ErasedFamilies, err = a.eraseAll(ctx, userKey, found.Families, b); err != nil || e.ErasedFamilies < len(found.Families) {
		return true, err
	}
	left, err := a.Table.UserFamilies(ctx, userKey, 1)
	if err != nil || !left.Empty() {
		return true, err
	}
	if n, err := a.eraseAll(ctx, userKey, found.Others, b); err != nil || n < len(found.Others) {
		return true, err
	}
	if e.ErasedEvents, err = a.eraseAll(ctx, userKey, found.Events, b); err != nil || e.ErasedEvents < len(found.Events) {
		return true, err
	}
	if more {
		return true, nil
	}
	left, err = a.Table.UserItems(ctx, userKey, "", 1)
	if err != nil {
		return true, err
	}
	return !left.Empty(), nil
}

// eraseAll erases items, as many as the budget allows, and one at least; it returns how
// many.
func (a *API) eraseAll(ctx context.Context, userKey [16]byte, items []string, b budget) (int, error) {
	gone := make([]bool, len(items))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(eraseConcurrency)
	for i, sk := range items {
		if i > 0 && (b.spent() || groupCtx.Err() != nil) {
			break
		}
		group.Go(func() error {
			err := a.Table.Erase(groupCtx, userKey, sk)
			gone[i] = err == nil
			return err
		})
	}
	err := group.Wait()
	n := 0
	for _, g := range gone {
		if g {
			n++
		}
	}
	return n, err
}
