package manage

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// familyQuery is the query of a call for many families: those of one user, in all clients
// or in one.
type familyQuery struct {
	url.Values
	userID   string
	clientID string // "" for all clients
}

// familyQuery reads the query of a call for many families, which may also have the
// parameters in more.
func (in *input) familyQuery(r *http.Request, more ...string) (familyQuery, error) {
	values, err := readQuery(r, append([]string{"user_id", "client_id", "next"}, more...)...)
	if err != nil {
		return familyQuery{}, err
	}
	q := familyQuery{Values: values, userID: in.user(values), clientID: values.Get("client_id")}
	if q.clientID != "" {
		in.clientID(q.clientID)
	}
	return q, nil
}

// familyCursors are the cursors of a list of a user's families, newest first.
type familyCursors struct {
	cursors
	userKey [16]byte
	before  ulid.ULID // the list goes on with families older than this one; zero at its start
}

// familyCursors opens the query's cursor. list names the call with all of its parameters.
func (a *API) familyCursors(ctx context.Context, q familyQuery, list string, now time.Time) (familyCursors, error) {
	keys, err := a.Keys.Keys(ctx, now)
	if err != nil {
		return familyCursors{}, err
	}
	c := familyCursors{cursors: cursors{keys, list}, userKey: keys.Users.Key(q.userID)}
	position, err := c.open(q.Get("next"))
	if err == nil && position != "" {
		c.before, err = ulid.ParseStrict(position) // never fails: its MAC is ours
	}
	return c, err
}

// next returns the cursor for the families older than before, "" if before is zero.
func (c familyCursors) next(before ulid.ULID) string {
	if before == (ulid.ULID{}) {
		return ""
	}
	return c.seal(before.String())
}

// selection says which of a user's living families a call changes or revokes.
type selection struct {
	userKey  [16]byte
	clientID string        // "" for all clients
	keep     *store.Ending // a family that is left out, or nil
	unbegun  bool          // also those whose code was not exchanged in time
	budget   workBudget    // for reading them, and for the work on them
	now      time.Time
}

// livingFamilies returns up to revokedPerCall families of the selection that are older
// than before, newest first. Families older than next may follow; next is zero at the end.
func (a *API) livingFamilies(ctx context.Context, s *selection, before ulid.ULID) (living []store.Ending, next ulid.ULID, err error) {
	next = before
	for {
		var families []*family.Family
		families, next, err = a.Table.FamiliesBefore(ctx, s.userKey, next, revokedPerCall-len(living))
		if err != nil {
			return nil, next, err
		}
		for _, f := range families {
			if s.clientID != "" && f.ClientID != s.clientID || s.keep != nil && f.ID == s.keep.Family.ID {
				continue
			}
			client, err := a.findClient(ctx, f.ClientID, s.now)
			if err != nil {
				return nil, next, err
			}
			policy := policyOf(client)
			death := (*family.Family).Death
			if s.unbegun {
				death = (*family.Family).DeathOnceBegun
			}
			if death(f, policy, s.now) == "" {
				living = append(living, store.Ending{Family: f, Policy: policy})
			}
		}
		if next == (ulid.ULID{}) || len(living) == revokedPerCall || s.budget.spent() {
			return living, next, nil
		}
	}
}

// findClient returns the client with that id, nil if it is not registered.
func (a *API) findClient(ctx context.Context, id string, now time.Time) (*store.Client, error) {
	client, err := a.Clients.Client(ctx, id, now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return client, err
}

// policyOf returns the policy of the client's families. If client is nil, not registered,
// the policy is one without lifetimes, so that only a family's own end counts.
func policyOf(client *store.Client) *family.Policy {
	if client == nil {
		return &family.Policy{}
	}
	return &client.Policy
}
