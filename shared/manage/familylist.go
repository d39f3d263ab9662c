package manage

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// familiesPerPage is how many families a page of GET /v1/families has at most.
const familiesPerPage = 100

// listFamilies lists a user's families, newest first:
// GET /v1/families?user_id=&client_id=&status=&next=. A page may have fewer
// families than another where many do not match; next is there while there may be
// more.
func (a *API) listFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	q, err := query(r, "user_id", "client_id", "status", "next")
	if err != nil {
		return err
	}
	var in input
	userID, clientID, status := in.user(q), q.Get("client_id"), q.Get("status")
	if clientID != "" {
		in.clientID(clientID)
	}
	switch status {
	case "", "active", "expired", "revoked", "unregistered":
	default:
		in.wrong("status", strconv.Quote(session.Cut(status, 32)), "active, expired, revoked or unregistered")
	}
	if err := in.err(); err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	pages := cursors{keys, "families\x00" + userID + "\x00" + clientID + "\x00" + status}
	before, err := pages.openULID(q.Get("next"))
	if err != nil {
		return err
	}
	page := struct {
		Families []familyJSON `json:"families"`
		Next     string       `json:"next,omitempty"`
	}{Families: []familyJSON{}}
	const reads = 5 // of a page's worth each, while few match
	for range reads {
		var families []*family.Family
		families, before, err = a.Table.FamiliesBefore(r.Context(), keys.Codec.UserKey(userID), before, familiesPerPage)
		if err != nil {
			return err
		}
		for i, f := range families {
			if clientID != "" && f.ClientID != clientID {
				continue
			}
			client, err := a.registered(r.Context(), f.ClientID, now)
			if err != nil {
				return err
			}
			shown := show(f, client, now)
			if status != "" && shown.Status != status {
				continue
			}
			page.Families = append(page.Families, shown)
			if len(page.Families) == familiesPerPage && i < len(families)-1 {
				before = f.ID.ULID()
				break
			}
		}
		if before == (ulid.ULID{}) || len(page.Families) == familiesPerPage {
			break
		}
	}
	page.Next = pages.sealULID(before)
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, page)
	return nil
}

// registered is the client, nil where it is not registered.
func (a *API) registered(ctx context.Context, id string, now time.Time) (*store.Client, error) {
	client, err := a.Clients.Client(ctx, id, now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return client, err
}

func (c cursors) sealULID(u ulid.ULID) string {
	if u == (ulid.ULID{}) {
		return ""
	}
	return c.seal(u.String())
}

func (c cursors) openULID(cursor string) (ulid.ULID, error) {
	position, err := c.open(cursor)
	if err != nil || position == "" {
		return ulid.ULID{}, err
	}
	return ulid.ParseStrict(position) // it is under our MAC
}
