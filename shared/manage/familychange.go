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

// changedFamily is the body of both PATCHes of families. What is left out stays, and
// what is empty is taken away.
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

// change is the change that the body asks for, checked as far as that needs no family.
func (body *changedFamily) change(now time.Time) (*store.Change, error) {
	var in input
	c := &store.Change{ACR: body.acr, AMR: body.amr}
	if body.scope != nil {
		scope := in.scope("scope", *body.scope)
		if *body.scope == "" {
			in.wrong("scope", "", "one scope or more: a family that is to have none is revoked")
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
		return nil, badRequest("nothing is to be changed: give scope, claims, auth_time, acr, amr or device")
	}
	return c, in.err()
}

// changeOne changes what the tokens of one family say from its next refresh on:
// PATCH /v1/families/{family}. A scope can be narrowed, and never widened.
func (a *API) changeOne(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := familyID(r)
	if err != nil {
		return err
	}
	var body changedFamily
	if err := readJSON(r, body.fields()); err != nil {
		return err
	}
	change, err := body.change(now)
	if err != nil {
		return err
	}
	f, err := a.Table.Family(r.Context(), id)
	if err != nil {
		return err
	}
	about(operationOf(r.Context()), f.UserID, f.ClientID)
	client, err := a.registered(r.Context(), f.ClientID, now)
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
	if f, err = a.change(r.Context(), f, policyOf(client), narrowed, now); err != nil {
		return err
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, show(f, client, now))
	return nil
}

// change writes what narrowed makes of the family as it is then, and returns it. The
// first look is at f.
func (a *API) change(ctx context.Context, f *family.Family, p *family.Policy, narrowed func(*family.Family) (*store.Change, error), now time.Time) (*family.Family, error) {
	const looks = 8 // others narrow the scope meanwhile
	for range looks {
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
		if err := fits(c.Of(f)); err != nil {
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

// changedJSON is the answer of the change of many.
type changedJSON struct {
	Changed int    `json:"changed"`
	Next    string `json:"next,omitempty"`
}

// changeFamilies changes all living families of a user, or those in one client:
// PATCH /v1/families?user_id=&client_id=&next=. Each keeps of the scope given what it
// has. While the answer has a next there may be more to change: call again with it.
func (a *API) changeFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	limited, cancel := newBudget(r.Context())
	defer cancel()
	q, err := query(r, "user_id", "client_id", "next")
	if err != nil {
		return err
	}
	var in input
	userID, clientID := in.user(q), q.Get("client_id")
	if clientID != "" {
		in.clientID(clientID)
	}
	if err := in.err(); err != nil {
		return err
	}
	var body changedFamily
	if err := readJSON(r, body.fields()); err != nil {
		return err
	}
	change, err := body.change(now)
	if err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	pages := cursors{keys, fmt.Sprintf("change\x00%s\x00%s", userID, clientID)}
	before, err := pages.openULID(q.Get("next"))
	if err != nil {
		return err
	}
	first := before == ulid.ULID{}
	of := &revocation{userKey: keys.Codec.UserKey(userID), clientID: clientID, now: now, budget: limited}
	living, before, err := a.living(r.Context(), of, before)
	if err != nil {
		return err
	}
	if err := a.changeable(r.Context(), of, living, before, change, first); err != nil {
		return err
	}
	changed, tried, err := a.changeAll(r.Context(), living, change, limited, now)
	if err != nil {
		return err
	}
	if tried < len(living) { // time ran out
		before = living[tried-1].Family.ID.ULID()
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, changedJSON{Changed: changed, Next: pages.sealULID(before)})
	return nil
}

// kept returns the change for one family of many: of the scope it keeps what it has.
func kept(c *store.Change, f *family.Family) (*store.Change, error) {
	if c.Scope == nil {
		return c, nil
	}
	scope := slices.DeleteFunc(slices.Clone(f.Scope), func(s string) bool { return !slices.Contains(*c.Scope, s) })
	if len(scope) == 0 {
		return nil, fieldErrors{{
			Field: "scope", Value: strconv.Quote(strings.Join(*c.Scope, " ")),
			Want: "a scope of which family " + f.ID.String() + " has a part (" + strings.Join(f.Scope, " ") + "): revoke that, or name another client_id",
		}}
	}
	narrower := *c
	narrower.Scope = &scope
	return &narrower, nil
}

// changeable returns an error where a family cannot be changed: before any is. Of many
// calls the first looks at all families, those from next on as well. A scope that none
// of them has was misspelled, or is one that a family cannot gain.
func (a *API) changeable(ctx context.Context, of *revocation, living []store.Ending, next ulid.ULID, c *store.Change, first bool) error {
	had, some := map[string]bool{}, false
	for {
		for _, l := range living {
			some = true
			for _, s := range l.Family.Scope {
				had[s] = true
			}
			narrower, err := kept(c, l.Family)
			if err != nil {
				return err
			}
			if err := fits(narrower.Of(l.Family)); err != nil {
				return err
			}
		}
		if !first || next == (ulid.ULID{}) || of.budget.spent() {
			break
		}
		var err error
		if living, next, err = a.living(ctx, of, next); err != nil {
			return err
		}
	}
	if c.Scope == nil || !first || !some || next != (ulid.ULID{}) {
		return nil
	}
	for _, s := range *c.Scope {
		if !had[s] {
			return fieldErrors{{
				Field: "scope", Value: strconv.Quote(strings.Join(*c.Scope, " ")),
				Want: "of scopes that the families have, and " + strconv.Quote(s) + " none has",
			}}
		}
	}
	return nil
}

// changeAll changes the families in their order, as many as the budget allows, and one
// at least: tried is how many. One that ended or was purged meanwhile is passed over.
func (a *API) changeAll(ctx context.Context, living []store.Ending, c *store.Change, limited budget, now time.Time) (changed, tried int, err error) {
	var done atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(revokeConcurrency)
	for i, l := range living {
		if i > 0 && (limited.spent() || groupCtx.Err() != nil) {
			break
		}
		tried++
		group.Go(func() error {
			_, err := a.change(groupCtx, l.Family, l.Policy, func(f *family.Family) (*store.Change, error) { return kept(c, f) }, now)
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
	return int(done.Load()), tried, err
}
