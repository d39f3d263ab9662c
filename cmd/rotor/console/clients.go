package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// clientsShown is what the list of clients shows.
type clientsShown struct {
	Clients []*manage.Registration
	Later   bool
	Next    string
}

var clientsPage = newPage[*clientsShown]("clients")

// clients lists the registered clients.
func (c *Console) clients(w http.ResponseWriter, r *http.Request) error {
	next := r.URL.Query().Get("next")
	found, err := c.API.RegistrationPage(r.Context(), next)
	if err != nil {
		return err
	}
	write(c, w, r, http.StatusOK, clientsPage, "Clients", &clientsShown{found.Items, next != "", found.Next})
	return nil
}

// clientShown is what the page of a client shows.
type clientShown struct {
	*manage.Registration
	Ages    *histogram // nil if it could not be made
	Missing string     // the permission that it would take
	Note    *note
}

// KeyIDs returns what the client's own keys are called: by their ids, or else by their kinds.
func (c *clientShown) KeyIDs() []string {
	var set struct {
		Keys []struct {
			ID   string `json:"kid"`
			Kind string `json:"kty"`
		} `json:"keys"`
	}
	if json.Unmarshal(c.JWKS, &set) != nil { // as if there were none
		return nil
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, cmp.Or(k.ID, k.Kind+" without a key id"))
	}
	return ids
}

var clientPage = newPage[*clientShown]("client")

// client shows a client: its policy, at which ages its tokens came back, and its secrets.
func (c *Console) client(w http.ResponseWriter, r *http.Request) error {
	found, err := c.API.Registration(r.Context(), r.PathValue("client"))
	if err != nil {
		return err
	}
	page := &clientShown{Registration: found, Note: c.notes.take(r.URL.Query().Get("note"), time.Now())}
	ages, unknown, err := c.reuseAges(r.Context(), found.ClientID)
	var refused *manage.Error
	switch {
	case errors.As(err, &refused) && refused.Denied():
		page.Missing = refused.Action()
	case err != nil:
		return err
	default:
		var recommended int64
		if found.Recommendation != nil {
			recommended = found.Recommendation.ReuseInterval
		}
		page.Ages = newHistogram(ages, seconds(found.Policy.ReuseInterval), seconds(recommended))
		page.Ages.Unknown = unknown
	}
	write(c, w, r, http.StatusOK, clientPage, "Client "+found.ClientID, page)
	return nil
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

const (
	reuseDays   = 30   // how far back reuse is looked at, as the recommendation does
	reuseEvents = 1000 // how many events of all clients are read, newest first
)

// reuseAges returns how long after they were superseded the client's refresh tokens came back, and how many
// came back of which that is not known.
func (c *Console) reuseAges(ctx context.Context, clientID string) (ages []time.Duration, unknown int, err error) {
	read := 0
	for e, err := range c.API.Events(ctx, manage.EventFilter{Type: "ferrt", From: c.Now().AddDate(0, 0, -reuseDays)}) {
		switch {
		case err != nil:
			return nil, 0, err
		case e.ClientID != clientID, e.OriginToken != "" && !isForeign(e.OriginToken): // no interval would have saved what works once
		case e.AgeMS == nil, isLowerBound(e):
			unknown++
		default:
			ages = append(ages, time.Duration(*e.AgeMS)*time.Millisecond)
		}
		if read++; read == reuseEvents {
			break
		}
	}
	return ages, unknown, nil
}

// policyShown is what the page shows that edits a policy.
type policyShown struct {
	*manage.Registration
	Form *policyForm
}

var policyPage = newPage[*policyShown]("policy")

// askPolicy shows the form of a client's policy. The query may propose values.
func (c *Console) askPolicy(w http.ResponseWriter, r *http.Request) error {
	found, err := c.API.Registration(r.Context(), r.PathValue("client"))
	if err != nil {
		return err
	}
	form := newPolicyForm(found)
	form.fill(r.URL.Query())
	write(c, w, r, http.StatusOK, policyPage, "Policy of "+found.ClientID, &policyShown{found, form})
	return nil
}

// setPolicy changes a client's policy to what is in the form.
func (c *Console) setPolicy(w http.ResponseWriter, r *http.Request) error {
	found, err := c.API.Registration(r.Context(), r.PathValue("client"))
	if err != nil {
		return err
	}
	form := newPolicyForm(found)
	form.fill(r.PostForm)
	again := func(status int) error {
		write(c, w, r, status, policyPage, "Policy of "+found.ClientID, &policyShown{found, form})
		return nil
	}
	if r.PostForm.Get("updated_at") != form.UpdatedAt {
		form.Faults = []string{"The client was changed at " + instant(found.UpdatedAt) + ", after this form was shown. Compare the values with the client's, and save again."}
		return again(http.StatusConflict)
	}
	saved, err := c.API.Register(r.Context(), found.ClientID, form.settings(found))
	var refused *manage.Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		form.mark(refused)
		return again(http.StatusBadRequest)
	}
	if err != nil {
		return err
	}
	n := note{Text: "The policy was saved. All servers know it within a minute."}
	for _, warning := range saved.Warnings {
		n.Warnings = append(n.Warnings, warning.Detail)
	}
	return c.tellClient(w, r, found.ClientID, n)
}

// addSecret makes a secret. The client's page shows it once.
func (c *Console) addSecret(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("client")
	_, made, err := c.API.AddSecret(r.Context(), id)
	if err != nil {
		return err
	}
	return c.tellClient(w, r, id, note{Text: "This is the new secret. It is shown this once:", Secret: made})
}

func (c *Console) removeSecret(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("client")
	if err := c.API.RemoveSecret(r.Context(), id, r.PathValue("secret")); err != nil {
		return err
	}
	return c.tellClient(w, r, id, note{Text: "The secret was removed. All servers refuse it within a minute."})
}

// tellClient leads to the page of a client, which shows the note once.
func (c *Console) tellClient(w http.ResponseWriter, r *http.Request, clientID string, n note) error {
	return c.redirect(w, r, "/console/clients/"+url.PathEscape(clientID)+"?note="+c.notes.put(n, time.Now()))
}
