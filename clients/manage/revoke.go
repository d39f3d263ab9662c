package manage

import (
	"context"
	"iter"
	"net/http"
)

// RevokeFamily ends a family, and reports whether it was alive. If an attempt ended it and
// its answer was lost, the next attempt reports that it was not.
func (c *Client) RevokeFamily(ctx context.Context, id string) (alive bool, err error) {
	var answer Revoked
	err = c.call(ctx, request{method: http.MethodDelete, path: familyPath(id), needs: []string{"revoked"}}, &answer)
	return answer.Families == 1, err
}

// Revocation says which families of a user end.
type Revocation struct {
	UserID   string // is required
	ClientID string // "" for those in all clients
	Except   string // the family that stays, "" for none
	Cause    string // revoked_by_admin or password_changed; "" for the first
	DryRun   bool   // only counts them
}

// Revoked is what one call has done.
type Revoked struct {
	Families int    `json:"revoked"` // how many it ended, or would
	Next     string `json:"next,omitempty"`
}

// RevokeFamilies ends families, and yields what each call has done, of up to 1,000 families.
// What an attempt did whose answer was lost is not counted.
// After the last one no family that was issued before the first call is alive.
func (c *Client) RevokeFamilies(ctx context.Context, r Revocation) iter.Seq2[Revoked, error] {
	call := request{
		method: http.MethodDelete, path: "/v1/families", query: parameters(
			"user_id", r.UserID, "client_id", r.ClientID, "except", r.Except, "cause", r.Cause, "dry_run", flag(r.DryRun)),
		needs: []string{"revoked"},
	}
	return batches(ctx, c, call, func(d *Revoked) (int, string) { return d.Families, d.Next })
}

// Erasure says who is erased: the user with that id, or with that key, which the event of an
// earlier erasure has.
type Erasure struct {
	UserID, UserKey string
	DryRun          bool // only counts
}

// Erased is what one call has erased, or would.
type Erased struct {
	Families int    `json:"families"`
	Events   int    `json:"events"`
	Next     string `json:"next,omitempty"`
}

// EraseUser deletes all that is stored of a user, and yields what each call has done. It can
// be repeated.
func (c *Client) EraseUser(ctx context.Context, e Erasure) iter.Seq2[Erased, error] {
	call := request{
		method: http.MethodDelete, path: "/v1/users", query: parameters(
			"user_id", e.UserID, "user_key", e.UserKey, "dry_run", flag(e.DryRun)),
		needs: []string{"families", "events"},
	}
	return batches(ctx, c, call, func(d *Erased) (int, string) { return d.Families + d.Events, d.Next })
}
