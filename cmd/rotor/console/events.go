package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
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
	Newest                         bool // there may be older events than these, of all types
}

// Types returns the types of events that are stored.
func (*eventsShown) Types() []eventType { return eventTypes }

// eventType is a type of stored events, with its name in words.
type eventType struct{ Type, Name string }

var eventTypes = []eventType{
	{"ferrt", "reuse of a token"},
	{"srrt", "sessions revoked"},
	{"resource_cleanup", "sessions over the limit"},
	{"late_use", "late use with the key"},
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

// eventLabels are the names that the form has for the fields.
var eventLabels = map[string]string{"type": "Type", "user_id": "User id", "family": "Family", "from": "From", "to": "To"}

// newestEvents is how many events are shown if no type, user or family is chosen.
const newestEvents = 100

func isAll(f manage.EventFilter) bool { return f.Type == "" && f.UserID == "" && f.Family == "" }

// eventPage returns a page of events. The service lists those of one type, of a user or of a family.
// If none is chosen, they are the newest of all types.
func (c *Console) eventPage(ctx context.Context, f manage.EventFilter, next string) (*manage.Page[*manage.Event], error) {
	if !isAll(f) {
		return c.API.EventPage(ctx, f, next)
	}
	all := &manage.Page[*manage.Event]{}
	for _, t := range eventTypes {
		f.Type = t.Type
		found, err := c.API.EventPage(ctx, f, "")
		if err != nil {
			return all, err
		}
		all.Items = append(all.Items, found.Items...)
	}
	slices.SortStableFunc(all.Items, func(a, b *manage.Event) int { return b.At.Compare(a.At) })
	all.Items = all.Items[:min(len(all.Items), newestEvents)]
	return all, nil
}

// events lists the stored events that the query asks for. Without a query they are those of
// reuse.
func (c *Console) events(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if len(q) == 0 {
		q.Set("type", "ferrt")
	}
	page, filter := readEvents(q)
	if len(page.Faults) == 0 {
		found, err := c.eventPage(r.Context(), filter, q.Get("next"))
		for _, field := range eventFields {
			if fault := faultOf(err, field); fault != "" {
				page.Faults[field] = eventLabels[field] + strings.TrimPrefix(fault, field)
			}
		}
		if err != nil && len(page.Faults) == 0 {
			return err
		}
		page.Events = found.Items
		page.Later = q.Has("next")
		page.Next = found.Next
		page.Newest = isAll(filter) && len(found.Items) == newestEvents
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
		q.Set("type", "") // all; an address without a query shows reuse
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
			page.Faults[field] = eventLabels[field] + " must be a time such as 2026-05-04T10:00, in UTC."
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
