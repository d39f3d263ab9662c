package manage

import (
	"net/http"
	"strconv"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
)

// familiesPerPage limits the families on one page of GET /v1/families.
const familiesPerPage = 100

// listFamilies serves GET /v1/families?user_id=&client_id=&status=&next=, which lists a
// user's families, newest first. A page can be short if many families do not match. It has
// a next as long as there may be more.
func (a *API) listFamilies(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	var in input
	q, err := in.familyQuery(r, "status")
	if err != nil {
		return err
	}
	status := q.Get("status")
	switch status {
	case "", "active", "pending", "expired", "revoked", "unregistered":
	default:
		in.wrong("status", strconv.Quote(session.Cut(status, 32)), "active, pending, expired, revoked or unregistered")
	}
	if err := in.err(); err != nil {
		return err
	}
	pages, err := a.familyCursors(r.Context(), q, "families\x00"+q.userID+"\x00"+q.clientID+"\x00"+status, now)
	if err != nil {
		return err
	}
	before := pages.before
	page := struct {
		Families []familyJSON `json:"families"`
		Next     string       `json:"next,omitempty"`
	}{Families: []familyJSON{}}
	const reads = 5 // of a page's size each, before a short page is returned
	for range reads {
		var families []*family.Family
		families, before, err = a.Table.FamiliesBefore(r.Context(), pages.userKey, before, familiesPerPage)
		if err != nil {
			return err
		}
		for i, f := range families {
			if q.clientID != "" && f.ClientID != q.clientID {
				continue
			}
			client, err := a.FindClient(r.Context(), f.ClientID, now)
			if err != nil {
				return err
			}
			shown := newFamilyJSON(f, client, now)
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
	page.Next = pages.next(before)
	web.WriteJSON(w, http.StatusOK, page)
	return nil
}
