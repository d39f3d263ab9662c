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
	// erasedPerCall limits the families that one call erases. It also limits the items of
	// other kinds.
	erasedPerCall = 1000
	// countedPerCall limits the items that one call of a dry run counts.
	countedPerCall = 10_000
	// eraseConcurrency is the number of items erased at the same time.
	eraseConcurrency = 16
)

// erasedJSON is the answer to an erasure.
type erasedJSON struct {
	Families int    `json:"families"`
	Events   int    `json:"events"`
	DryRun   bool   `json:"dry_run,omitempty"`
	Next     string `json:"next,omitempty"`
}

// eraseUser serves DELETE /v1/users?user_id=&dry_run=&next=, or with user_key= in place of
// user_id=. It erases everything that is stored of a user: families, events, and all else
// in the user's partition. If the answer has a next, there is more, and the caller repeats
// the call with it. Repeating an erasure is safe. Each call that finds anything stores one
// event, and so does the first call in any case. The event has only the user's key, and
// outlives the erasure.
//
// Families are erased first, so that no family can be used after its events are gone. When
// the answer has no next, the partition was seen empty after that. Nothing but a new login
// can fill it again, since all other writes there require a family or an owner to exist.
func (a *API) eraseUser(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	operation := operationOf(r.Context())
	operation.UserID = "" // the audit log has only the key, like the event
	budget, cancel := a.NewBudget(r.Context())
	defer cancel()
	q, err := readQuery(r, "user_id", "user_key", "dry_run", "next")
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
		userKey = keys.Users.Key(userID)
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
		e, more, err := a.eraseBatch(r.Context(), userKey, after == "", web.CallerOf(r), budget, now)
		if err != nil {
			return err
		}
		answer.Families, answer.Events = e.ErasedFamilies, e.ErasedEvents
		if more {
			answer.Next = pages.seal("more") // the next call starts from the beginning, as what it would skip is gone
		}
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// userOrKey returns the query's user_id, or its user_key if that is given instead.
func (in *input) userOrKey(q url.Values) (userID string, userKey [16]byte) {
	if !q.Has("user_key") {
		return in.user(q), userKey
	}
	if q.Has("user_id") {
		in.wrong("user_key", "", "left out if user_id is given")
	}
	userKey, ok := audit.DecodeUserKey(q.Get("user_key"))
	if !ok {
		in.wrong("user_key", "", "the userKey of an erasure's event: 22 characters of base64url")
	}
	return "", userKey
}

// eraseBatch erases as much of a user as one call may, and returns the event that counts it.
// more reports whether there may be more. The event is stored before anything is erased, and
// logged afterwards.
func (a *API) eraseBatch(ctx context.Context, userKey [16]byte, first bool, caller session.Caller, budget session.Budget, now time.Time) (e *audit.Event, more bool, err error) {
	found, more, err := a.findErasable(ctx, userKey)
	if err != nil {
		return nil, false, err
	}
	event := audit.New(audit.Erased, now)
	e = &event
	// The caller's address and user agent are left out, as they may be the user's.
	e.RequestID, e.By, e.User = caller.RequestID, caller.By, userKey
	if found.Empty() && !first {
		return e, more, nil
	}
	e.ErasedFamilies, e.ErasedEvents = len(found.Families), len(found.Events)
	if err := a.Table.PutEvent(ctx, e); err != nil {
		return nil, false, err
	}
	e.ErasedFamilies, e.ErasedEvents = 0, 0
	more, err = a.eraseFound(ctx, userKey, found, more, budget, e)
	if e.ErasedFamilies < len(found.Families) || e.ErasedEvents < len(found.Events) {
		if putErr := a.Table.PutEvent(ctx, e); putErr != nil {
			a.Log.ErrorContext(ctx, "a stored event counts items that were not erased", slog.String("event_id", e.ID.String()), slog.Any("error", putErr))
		}
	}
	a.Trail.Record(ctx, e)
	return e, more, err
}

// findErasable returns what one call erases of a user: up to erasedPerCall families and, if
// there are no more, items of other kinds. more reports whether that leaves any.
func (a *API) findErasable(ctx context.Context, userKey [16]byte) (found *store.UserItems, more bool, err error) {
	families, err := a.Table.UserFamilies(ctx, userKey, erasedPerCall)
	if err != nil || families.Next != "" {
		return families, true, err
	}
	found, err = a.Table.UserItems(ctx, userKey, "", len(families.Families)+erasedPerCall)
	if err != nil {
		return nil, false, err
	}
	more = found.Next != "" || len(found.Families) > len(families.Families)
	found.Families = families.Families // newer ones are left to the next call
	return found, more, nil
}

// eraseFound erases what findErasable found and counts it in e. It returns whether there may
// be more; the parameter more is what findErasable said.
func (a *API) eraseFound(ctx context.Context, userKey [16]byte, found *store.UserItems, more bool, budget session.Budget, e *audit.Event) (bool, error) {
	var err error
	if e.ErasedFamilies, err = a.eraseItems(ctx, userKey, found.Families, budget); err != nil || e.ErasedFamilies < len(found.Families) {
		return true, err
	}
	left, err := a.Table.UserFamilies(ctx, userKey, 1)
	if err != nil || !left.Empty() {
		return true, err
	}
	if n, err := a.eraseItems(ctx, userKey, found.Others, budget); err != nil || n < len(found.Others) {
		return true, err
	}
	if e.ErasedEvents, err = a.eraseItems(ctx, userKey, found.Events, budget); err != nil || e.ErasedEvents < len(found.Events) {
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

// eraseItems erases items until the budget is spent, at least one, and returns how many.
func (a *API) eraseItems(ctx context.Context, userKey [16]byte, items []string, budget session.Budget) (int, error) {
	erased := make([]bool, len(items))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(eraseConcurrency)
	for i, sk := range items {
		if i > 0 && (budget.Spent() || groupCtx.Err() != nil) {
			break
		}
		group.Go(func() error {
			err := a.Table.Erase(groupCtx, userKey, sk)
			erased[i] = err == nil
			return err
		})
	}
	err := group.Wait()
	n := 0
	for _, ok := range erased {
		if ok {
			n++
		}
	}
	return n, err
}
