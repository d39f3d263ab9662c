package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// The calls that the plot and the aims name.
const (
	listFamilies  = "list a user's families"
	revokeAll     = "revoke all of a user"
	sweepOfOwner  = "sweep of an owner, 10 over the limit"
	sweepOfNobody = "sweep, nobody over the limit"
)

// place is a table that calls are made on.
type place struct {
	*filler
	s        *service
	store    string // the URL of the store, for the sweep
	table    string
	families int // how many it was filled with
}

// grownCall is a call that is measured on tables of different size. Calls are
// numbered from 0 on.
type grownCall struct {
	name    string
	do      func(ctx context.Context, p *place, i int) error
	prepare func(ctx context.Context, p *place, i int) error // before do, if not nil
	slow    bool                                             // a tenth of the calls is timed
}

// The thirds divide a table's families, so that calls which change a family have
// their own.
const (
	rotated = iota
	revoked
	asked
	thirds
)

// seeded returns the owner of the family for the i-th call in a third. Consecutive
// calls do not use neighbours in the table.
func (p *place) seeded(third, i int) owner {
	const prime = 7919 // has no common divisor with any size
	n := third*(p.families/thirds) + i
	return owner{user: userOf(1 + n*prime%p.families), client: app, families: 1}
}

// tableCalls are the API calls on tables of different size. The reuse of a refreshed
// token and the use of a revoked one come after the calls that they depend on.
var tableCalls = []grownCall{
	{name: oneRefresh, do: func(ctx context.Context, p *place, i int) error {
		_, err := p.refresh(ctx, p.s, http.StatusOK, p.token(p.seeded(rotated, i)))
		return err
	}},
	{name: "reuse", do: func(ctx context.Context, p *place, i int) error {
		_, err := p.refresh(ctx, p.s, http.StatusBadRequest, p.token(p.seeded(rotated, i)))
		return err
	}},
	{name: "revoke a family", do: func(ctx context.Context, p *place, i int) error {
		return p.revoke(ctx, 1, "/v1/families/"+p.id(p.seeded(revoked, i), 0).String())
	}},
	{name: "dead token", do: func(ctx context.Context, p *place, i int) error {
		_, err := p.refresh(ctx, p.s, http.StatusBadRequest, p.token(p.seeded(revoked, i)))
		return err
	}},
	{name: "explain a token", do: func(ctx context.Context, p *place, i int) error {
		body := `{"refresh_token":"` + p.token(p.seeded(asked, i)) + `"}`
		return p.s.manage(ctx, http.StatusOK, http.MethodPost, "/v1/explain", body, nil)
	}},
	{name: "introspect", do: func(ctx context.Context, p *place, i int) error {
		return p.introspect(ctx, p.s, p.token(p.seeded(asked, i)))
	}},
	{name: listFamilies, do: func(ctx context.Context, p *place, i int) error {
		return p.list(ctx, 1, p.seeded(asked, i).user)
	}},
	// For users that have logged in before.
	{name: "issue", do: func(ctx context.Context, p *place, i int) error {
		_, err := p.s.issue(ctx, p.seeded(rotated, i).user, app)
		return err
	}},
}

// tableSweeps are the sweeps on tables of different size. No local program runs
// meanwhile, because it would sweep once a minute.
var tableSweeps = []grownCall{
	{name: sweepOfOwner, slow: true, prepare: func(ctx context.Context, p *place, i int) error {
		return p.add(ctx, p.table, owner{userOf(1 + 2*p.families + i), limited(usualLimit), usualLimit + excess, true})
	}, do: func(ctx context.Context, p *place, _ int) error {
		return p.sweep(ctx, 1, excess)
	}},
	{name: sweepOfNobody, do: func(ctx context.Context, p *place, _ int) error {
		return p.sweep(ctx, 0, 0)
	}},
}

// usualLimit is the limit of families of the owners that are swept.
const usualLimit = 5

// revoke makes a call that must revoke the given number of families.
func (p *place) revoke(ctx context.Context, want int, path string) error {
	var answer struct{ Revoked int }
	if err := p.s.manage(ctx, http.StatusOK, http.MethodDelete, path, "", &answer); err != nil {
		return err
	}
	if answer.Revoked != want {
		return fmt.Errorf("%d families were revoked, not %d", answer.Revoked, want)
	}
	return nil
}

// list requests the first page of a user's families, and fails unless it has the
// given number.
func (p *place) list(ctx context.Context, want int, user string) error {
	var answer struct{ Families []struct{} }
	if err := p.s.manage(ctx, http.StatusOK, http.MethodGet, "/v1/families?user_id="+url.QueryEscape(user), "", &answer); err != nil {
		return err
	}
	if len(answer.Families) != want {
		return fmt.Errorf("%d families are listed, not %d", len(answer.Families), want)
	}
	return nil
}

// sweep sweeps as the function sweep does.
func (p *place) sweep(ctx context.Context, owners, removed int) error {
	table := tableAt(p.store, p.table)
	sweeper := sweep.Sweeper{Table: table, Clients: store.NewRegistry(table, slog.New(slog.DiscardHandler)), Trail: audit.Trail{Log: slog.New(slog.DiscardHandler)}}
	got, err := sweeper.Sweep(ctx, time.Now().UTC().Truncate(time.Millisecond))
	if err != nil {
		return err
	}
	if want := (sweep.Result{Owners: owners, Removed: removed}); got != want {
		return fmt.Errorf("swept %+v, not %+v", got, want)
	}
	return nil
}
