package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// userShown is what the page of a user shows.
type userShown struct {
	UserID   string
	Fault    string // what is wrong with the user id
	Families []*manage.Family
	Later    bool   // that this is not the first page
	Next     string // names the next page
	Note     *note
}

// isOpen reports whether a family can be ended: its tokens work, or its code can be exchanged.
func isOpen(f *manage.Family) bool { return f.Status == "active" || f.Status == "pending" }

// MayEnd reports whether the user may have families to end, here or on other pages.
func (u *userShown) MayEnd() bool {
	return u.Later || u.Next != "" || slices.ContainsFunc(u.Families, isOpen)
}

var userPage = newPage[*userShown]("user")

const userTitle = "Sessions of a user"

// user shows the form, or the families of the user in the query.
func (c *Console) user(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page := &userShown{UserID: q.Get("user_id"), Later: q.Has("next"), Note: c.notes.take(q.Get("note"), time.Now())}
	if page.UserID == "" {
		write(c, w, r, http.StatusOK, userPage, userTitle, page)
		return nil
	}
	families, err := c.API.FamilyPage(r.Context(), manage.FamilyFilter{UserID: page.UserID}, q.Get("next"))
	if fault := faultOf(err, "user_id"); fault != "" {
		page.Fault = fault
		write(c, w, r, http.StatusBadRequest, userPage, userTitle, page)
		return nil
	}
	if err != nil {
		return err
	}
	page.Families, page.Next = families.Items, families.Next
	write(c, w, r, http.StatusOK, userPage, "Sessions of "+page.UserID, page)
	return nil
}

// findUser leads to the page of the user in the form.
func (c *Console) findUser(w http.ResponseWriter, r *http.Request) error {
	id := strings.TrimSpace(r.PostForm.Get("user_id"))
	page := &userShown{UserID: id}
	switch {
	case id == "":
		page.Fault = "Type the id that your login has for the user."
	case isSecret(id):
		page.UserID, page.Fault = "", "That was a token, and no user id. The page Explain takes it, and names the user."
	default:
		return c.redirect(w, r, "/console/users?"+url.Values{"user_id": {id}}.Encode())
	}
	write(c, w, r, http.StatusBadRequest, userPage, userTitle, page)
	return nil
}

// secret matches a refresh token, a client's secret, or a JWT, whose header begins with {".
var secret = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{16,}|eyJ[A-Za-z0-9_-]{8,}\.`)

// isSecret reports whether a text must be in no address.
func isSecret(s string) bool { return secret.MatchString(s) }

// faultOf returns what the service says about a field, or "" if the error says nothing about it.
func faultOf(err error, field string) string {
	var refused *manage.Error
	if errors.As(err, &refused) {
		for _, f := range refused.Fields {
			if f.Field == field {
				return f.Detail
			}
		}
	}
	return ""
}

// ending says which families of a user end: one, all, or all but one.
type ending struct {
	UserID         string
	Family, Except string         // ids
	Shown          *manage.Family // the one that ends, or that stays
	Count          int            // how many would end, or did
}

var endPage = newPage[*ending]("end")

// newEnding reads which families are meant.
func (c *Console) newEnding(r *http.Request) (*ending, error) {
	q := r.URL.Query()
	e := &ending{UserID: q.Get("user_id"), Family: q.Get("family"), Except: q.Get("except")}
	if e.UserID == "" || e.Family != "" && e.Except != "" {
		return nil, &inputError{"This address must name a user, and at most one family."}
	}
	if id := cmp.Or(e.Family, e.Except); id != "" {
		var err error
		if e.Shown, err = c.API.Family(r.Context(), id); err != nil {
			return nil, err
		}
		if e.Shown.UserID != e.UserID {
			return nil, &inputError{"This family is of another user."}
		}
	}
	return e, nil
}

// askEnd shows what would end, and asks.
func (c *Console) askEnd(w http.ResponseWriter, r *http.Request) error {
	e, err := c.newEnding(r)
	if err != nil {
		return err
	}
	switch {
	case e.Family == "":
		for would, err := range c.API.RevokeFamilies(r.Context(), manage.Revocation{UserID: e.UserID, Except: e.Except, DryRun: true}) {
			if err != nil {
				return err
			}
			e.Count += would.Families
		}
	case isOpen(e.Shown):
		e.Count = 1
	}
	write(c, w, r, http.StatusOK, endPage, "Sign out "+e.UserID, e)
	return nil
}

// end ends the families, and leads back to the user.
func (c *Console) end(w http.ResponseWriter, r *http.Request) error {
	e, err := c.newEnding(r)
	if err != nil {
		return err
	}
	if e.Family != "" {
		alive, err := c.API.RevokeFamily(r.Context(), e.Family)
		if err != nil {
			return err
		}
		if alive {
			e.Count = 1
		}
		return c.tell(w, r, e.UserID, counted(e.Count)+".")
	}
	what := manage.Revocation{UserID: e.UserID, Except: e.Except, Cause: r.PostForm.Get("cause")}
	for done, err := range c.API.RevokeFamilies(r.Context(), what) {
		if err != nil && e.Count == 0 {
			return err
		}
		if err != nil {
			return c.tell(w, r, e.UserID, fmt.Sprintf("%s, and then the service failed: %v. Sign the user out again for the rest.", counted(e.Count), err))
		}
		e.Count += done.Families
	}
	return c.tell(w, r, e.UserID, counted(e.Count)+".")
}

// tell leads to the page of a user, which shows the text once.
func (c *Console) tell(w http.ResponseWriter, r *http.Request, userID, text string) error {
	key := c.notes.put(note{Text: text}, time.Now())
	return c.redirect(w, r, "/console/users?"+url.Values{"user_id": {userID}, "note": {key}}.Encode())
}

func counted(ended int) string {
	switch ended {
	case 0:
		return "No session was active, and none was ended"
	case 1:
		return "One session was ended"
	}
	return fmt.Sprintf("%d sessions were ended", ended)
}
