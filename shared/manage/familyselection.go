package manage

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/oklog/ulid/v2"
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
