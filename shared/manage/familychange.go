package manage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// changedFamily is the body of a PATCH of one family or of many. A member that is left out
// stays as it is; an empty one is removed.
type changedFamily struct {
	scope    *string
	claims   json.RawMessage
	authTime *time.Time
	acr      *string
	amr      *[]string
	device   *string
}

func (body *changedFamily) fields() map[string]any {
	return map[string]any{
		"scope": &body.scope, "claims": &body.claims, "auth_time": &body.authTime, "acr": &body.acr, "amr": &body.amr, "device": &body.device,
	}
}

// toChange returns the change that the body asks for. It checks all that can be checked
// without a family.
func (body *changedFamily) toChange(now time.Time) (*store.Change, error) {
	var in input
	c := &store.Change{ACR: body.acr, AMR: body.amr}
	if body.scope != nil {
		scope := in.scope("scope", *body.scope)
		if *body.scope == "" {
			in.wrong("scope", "", "at least one scope token: a family that should have none can be revoked")
		}
		c.Scope = &scope
	}
	if body.claims != nil {
		claims := in.claims(body.claims)
		c.Claims = &claims
	}
	if body.authTime != nil {
		at := in.authTime(*body.authTime, now)
		c.AuthTime = &at
	}
	if body.acr != nil {
		in.text("acr", *body.acr, maxACR)
	}
	if body.amr != nil {
		in.amr(*body.amr)
	}
	if body.device != nil {
		device := session.Describe(*body.device)
		c.Device = &device
	}
	if *c == (store.Change{}) && len(in.errs) == 0 {
		return nil, badRequest("there is nothing to change: give scope, claims, auth_time, acr, amr or device")
	}
	return c, in.err()
}

// changeFamily serves PATCH /v1/families/{family}, which changes what the tokens of one family
// say from its next refresh on. Its scope can be narrowed, but never widened.
func (a *API) changeFamily(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := familyID(r)
	if err != nil {
		return err
	}
	var body changedFamily
	if err := readJSON(r, body.fields()); err != nil {
		return err
	}
	change, err := body.toChange(now)
	if err != nil {
		return err
	}
	f, client, err := a.familyAndClient(r.Context(), id, now)
	if err != nil {
		return err
	}
	narrowed := func(f *family.Family) (*store.Change, error) {
		if change.Scope != nil && !f.Granted(*change.Scope) {
			return nil, fieldErrors{{
				Field: "scope", Value: strconv.Quote(strings.Join(*change.Scope, " ")),
				Want: "within the family's: " + strings.Join(f.Scope, " "),
			}}
		}
		return change, nil
	}
	if f, err = a.writeChange(r.Context(), f, session.PolicyOf(client), narrowed, now); err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, newFamilyJSON(f, client, now))
	return nil
}

// writeChange changes a family that has not ended, and returns it as it is then. narrowed
// returns the change for the family as it was last read, first for f.
func (a *API) writeChange(ctx context.Context, f *family.Family, p *family.Policy, narrowed func(*family.Family) (*store.Change, error), now time.Time) (*family.Family, error) {
	const attempts = 8 // each fails only if another call narrows the scope meanwhile
	for range attempts {
		if f == nil {
			return nil, store.ErrNotFound
		}
		if cause := f.Death(p, now); cause != "" {
			return nil, conflict("the family has ended: " + string(cause))
		}
		c, err := narrowed(f)
		if err != nil {
			return nil, err
		}
		if err := checkRecordSize(c.Of(f)); err != nil {
			return nil, err
		}
		after, done, err := a.Table.Change(ctx, f, p, c, now)
		if err != nil || done {
			return after, err
		}
		f = after
	}
	return nil, fmt.Errorf("change family %s: its record kept changing", f.ID)
}

// changedJSON is the answer to a change of many families.
type changedJSON struct {
	Changed int    `json:"changed"`
	Next    string `json:"next,omitempty"`
}

// changeFamilies serves PATCH /v1/families?user_id=&client_id=&next=, which changes all living
// families of a user, or those in one client. Of the scope in the body, each family keeps
// what it had before. If the answer has a next, the caller repeats the call with it to change
// the rest.
func (a *API) changeFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	budget, cancel := a.NewBudget(r.Context())
	defer cancel()
	var in input
	q, err := in.familyQuery(r)
	if err != nil {
		return err
	}
	if err := in.err(); err != nil {
		return err
	}
	var body changedFamily
	if err := readJSON(r, body.fields()); err != nil {
		return err
	}
	change, err := body.toChange(now)
	if err != nil {
		return err
	}
	pages, err := a.familyCursors(r.Context(), q, "change\x00"+q.userID+"\x00"+q.clientID, now)
	if err != nil {
		return err
	}
	selected := &session.Selection{UserKey: pages.userKey, ClientID: q.clientID, Budget: budget, Now: now}
	living, next, err := a.LivingFamilies(r.Context(), selected, pages.before)
	if err != nil {
		return err
	}
	first := pages.before == ulid.ULID{}
	if err := a.checkChanges(r.Context(), selected, living, next, change, first); err != nil {
		return err
	}
	changed, tried, err := a.changeAll(r.Context(), living, change, budget, now)
	if err != nil {
		return err
	}
	if tried < len(living) { // the budget is spent
		next = living[tried-1].Family.ID.ULID()
	}
	web.WriteJSON(w, http.StatusOK, changedJSON{Changed: changed, Next: pages.next(next)})
	return nil
}

// narrowChange returns the change for one family of many: its scope is what of the change's
// scope the family has. It fails if that is nothing.
func narrowChange(c *store.Change, f *family.Family) (*store.Change, error) {
	if c.Scope == nil {
		return c, nil
	}
	scope := slices.DeleteFunc(slices.Clone(f.Scope), func(s string) bool { return !slices.Contains(*c.Scope, s) })
	if len(scope) == 0 {
		return nil, fieldErrors{{
			Field: "scope", Value: strconv.Quote(strings.Join(*c.Scope, " ")),
			Want: "a scope that shares at least one token with that of family " + f.ID.String() + " (" + strings.Join(f.Scope, " ") + "): revoke that family, or give another client_id",
		}}
	}
	narrower := *c
	narrower.Scope = &scope
	return &narrower, nil
}

// checkChanges returns an error if one of the families cannot be changed, before any of them
// is. The first of several calls checks all families of the selection, also those older than
// next. It also refuses a scope token that none of them has: it is misspelled, or meant to
// widen a scope.
func (a *API) checkChanges(ctx context.Context, s *session.Selection, living []store.Ending, next ulid.ULID, c *store.Change, first bool) error {
	granted, some := map[string]bool{}, false
	for {
		for _, l := range living {
			some = true
			for _, token := range l.Family.Scope {
				granted[token] = true
			}
			narrower, err := narrowChange(c, l.Family)
			if err != nil {
				return err
			}
			if err := checkRecordSize(narrower.Of(l.Family)); err != nil {
				return err
			}
		}
		if !first || next == (ulid.ULID{}) || s.Budget.Spent() {
			break
		}
		var err error
		if living, next, err = a.LivingFamilies(ctx, s, next); err != nil {
			return err
		}
	}
	if c.Scope == nil || !first || !some || next != (ulid.ULID{}) {
		return nil
	}
	for _, token := range *c.Scope {
		if !granted[token] {
			return fieldErrors{{
				Field: "scope", Value: strconv.Quote(strings.Join(*c.Scope, " ")),
				Want: "made of scope tokens that the families have: none has " + strconv.Quote(token),
			}}
		}
	}
	return nil
}

// changeAll changes the families in their order. It tries at least one, and no more once the
// budget is spent; tried is their number. Families that ended or were purged meanwhile are
// skipped.
func (a *API) changeAll(ctx context.Context, living []store.Ending, c *store.Change, budget session.Budget, now time.Time) (changed, tried int, err error) {
	var done atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(session.Concurrency)
	for i, l := range living {
		if i > 0 && (budget.Spent() || groupCtx.Err() != nil) {
			break
		}
		tried++
		group.Go(func() error {
			_, err := a.writeChange(groupCtx, l.Family, l.Policy, func(f *family.Family) (*store.Change, error) { return narrowChange(c, f) }, now)
			var ended conflict
			switch {
			case err == nil:
				done.Add(1)
			case errors.As(err, &ended), errors.Is(err, store.ErrNotFound):
				return nil
			}
			return err
		})
	}
	err = group.Wait()
	var unfit fieldErrors
	if errors.As(err, &unfit) { // all fitted when they were checked
		err = conflict(fmt.Sprintf("another call changed some of the families meanwhile: %d are changed as asked. Look at them, and call again. The first that cannot be: %v", done.Load(), unfit))
	}
	return int(done.Load()), tried, err
}
