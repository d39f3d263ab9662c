package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// eventsShown is what the page of events shows: the filter as it was typed, and what it finds.
type eventsShown struct {
	Type, UserID, Family, From, To string
	Faults                         map[string]string // what is wrong with a field of the filter
	Events                         []*manage.Event
	Later                          bool
	Next                           string
}

// Types returns the types of events that are stored.
func (*eventsShown) Types() []eventType { return eventTypes }

// eventType is a type of stored events, with its name in words.
type eventType struct{ Type, Name string }

var eventTypes = []eventType{
	{"ferrt", "reuse of a refresh token"},
	{"srrt", "sessions revoked"},
	{"resource_cleanup", "sessions over the limit"},
	{"ahead", "token ahead of its record"},
	{"sdu", "user erased"},
}

// eventName returns the name of a type in words.
func eventName(of string) string {
	for _, t := range eventTypes {
		if t.Type == of {
			return t.Name
		}
	}
	return of
}

var eventsPage = newPage[*eventsShown]("events")

// eventFields are the fields of the filter, under their names in the API.
var eventFields = []string{"type", "user_id", "family", "from", "to"}

// events lists the stored events that the query asks for. Without a query they are those of
// reuse.
func (c *Console) events(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if len(q) == 0 {
		q.Set("type", "ferrt")
	}
	page, filter := readEvents(q)
	if len(page.Faults) == 0 {
		found, err := c.API.EventPage(r.Context(), filter, q.Get("next"))
		for _, field := range eventFields {
			if fault := faultOf(err, field); fault != "" {
				page.Faults[field] = fault
			}
		}
		if err != nil && len(page.Faults) == 0 {
			return err
		}
		page.Events = found.Items
		page.Later = q.Has("next")
		page.Next = found.Next
	}
	status := http.StatusOK
	if len(page.Faults) > 0 {
		status = http.StatusBadRequest
	}
	write(c, w, r, status, eventsPage, "Events", page)
	return nil
}

// findEvents leads to the events that the form asks for.
func (c *Console) findEvents(w http.ResponseWriter, r *http.Request) error {
	page, _ := readEvents(r.PostForm)
	q := url.Values{}
	for _, field := range eventFields {
		value := strings.TrimSpace(r.PostForm.Get(field))
		if value != "" {
			q.Set(field, value)
		}
		if isSecret(value) {
			page.Faults[field] = "That was a token. The page Explain takes it."
		}
	}
	if len(q) == 0 {
		page.Faults["type"] = "Choose a type, or name a user or a family."
	}
	if len(page.Faults) > 0 {
		for _, value := range []*string{&page.Type, &page.UserID, &page.Family, &page.From, &page.To} {
			if isSecret(*value) {
				*value = ""
			}
		}
		write(c, w, r, http.StatusBadRequest, eventsPage, "Events", page)
		return nil
	}
	return c.redirect(w, r, "/console/events?"+q.Encode())
}

// readEvents reads the filter.
func readEvents(q url.Values) (*eventsShown, manage.EventFilter) {
	get := func(field string) string { return strings.TrimSpace(q.Get(field)) }
	page := &eventsShown{
		Type: get("type"), UserID: get("user_id"), Family: get("family"), From: get("from"), To: get("to"),
		Faults: map[string]string{},
	}
	filter := manage.EventFilter{Type: page.Type, UserID: page.UserID, Family: page.Family}
	for field, t := range map[string]*time.Time{"from": &filter.From, "to": &filter.To} {
		var ok bool
		if *t, ok = readTime(get(field)); !ok {
			page.Faults[field] = field + " must be a time such as 2026-05-04T10:00, in UTC"
		}
	}
	return page, filter
}

// readTime reads a time as browsers send it, in UTC, or as the API does. ok reports whether it
// is one; nothing is the zero time.
func readTime(s string) (t time.Time, ok bool) {
	if s == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
