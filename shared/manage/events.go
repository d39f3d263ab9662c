package manage

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

const (
	eventsPerPage = 100
	// defaultSpan is how far back a list of events goes if from is left out.
	defaultSpan = 30 * 24 * time.Hour
	// maxClockSkew is how far into the future a list of events goes if to is left out, since
	// the clock of the server that stored an event may be ahead of this server's.
	maxClockSkew = time.Hour
	// maxSpan limits the time that a list covers. A list by type reads it day by day.
	maxSpan = 400 * 24 * time.Hour
)

// storedTypes are the types of stored events. Others are only logged.
var storedTypes = []audit.Type{audit.Reuse, audit.Revoked, audit.Cleanup, audit.LateUse, audit.Ahead, audit.Erased}

// eventJSON is a stored event as the management API shows it. Its members have the same names
// as in the log.
type eventJSON struct {
	ID            string            `json:"eventId"`
	Type          audit.Type        `json:"type"`
	At            time.Time         `json:"at"`
	UserID        string            `json:"userId,omitempty"`
	ClientID      string            `json:"clientId,omitempty"`
	Family        string            `json:"familyId,omitempty"`
	Cause         family.Cause      `json:"cause,omitempty"`
	OriginToken   family.OriginKind `json:"originToken,omitempty"`
	TokenCounter  uint32            `json:"tokenCounter,omitempty"`
	LatestCounter uint32            `json:"latestCounter,omitempty"`
	AgeMS         *int64            `json:"ageMs,omitempty"`
	Observed      bool              `json:"observed,omitempty"`
	OtherIP       bool              `json:"otherIp,omitempty"`
	OtherAgent    bool              `json:"otherUserAgent,omitempty"`
	Evict         family.Evict      `json:"evict,omitempty"`
	Start         *int              `json:"start,omitempty"`
	Removed       *int              `json:"removedCount,omitempty"`
	End           *int              `json:"endCount,omitempty"`
	Families      []string          `json:"families,omitempty"` // the full ids of the families
	IP            string            `json:"ip,omitempty"`
	UserAgent     string            `json:"userAgent,omitempty"`
	ForwardedBy   string            `json:"forwardedBy,omitempty"`
	RequestID     string            `json:"http_request_id,omitempty"`
	By            string            `json:"by,omitempty"`

	// Set for an erasure.
	UserKey        string `json:"userKey,omitempty"`
	ErasedFamilies *int   `json:"erasedFamilies,omitempty"`
	ErasedEvents   *int   `json:"erasedEvents,omitempty"`
}

func newEventJSON(e *audit.Event) eventJSON {
	s := eventJSON{
		ID: e.ID.String(), Type: e.Type, At: e.At, UserID: e.UserID, ClientID: e.ClientID, Cause: e.Cause,
		OriginToken: e.OriginToken, TokenCounter: e.TokenCounter, LatestCounter: e.LatestCounter,
		Observed: e.Observed, OtherIP: e.OtherIP, OtherAgent: e.OtherAgent,
		IP: e.IP, UserAgent: e.UserAgent, ForwardedBy: e.ForwardedBy, RequestID: e.RequestID, By: e.By,
	}
	if e.Family != (family.ID{}) {
		s.Family = e.Family.String()
	}
	if e.Type == audit.Reuse || e.Type == audit.LateUse {
		ms := e.Age.Milliseconds()
		s.AgeMS = &ms
	}
	if e.Families != nil {
		s.Removed = &e.Removed
		for _, u := range e.Families {
			s.Families = append(s.Families, family.JoinID(e.UserKey(), u).String())
		}
	}
	switch e.Type {
	case audit.Cleanup:
		s.Evict, s.Start, s.End = e.Evict, &e.Start, &e.End
	case audit.Erased:
		s.UserKey, s.ErasedFamilies, s.ErasedEvents = audit.EncodeUserKey(e.User), &e.ErasedFamilies, &e.ErasedEvents
	}
	return s
}

// eventFilter says which events a list has.
type eventFilter struct {
	eventType audit.Type
	userKey   *[16]byte
	family    *family.ID
	span      store.Span
}

// matches reports whether the filter's type and family fit the event. The reads themselves
// apply the user and the span.
func (f *eventFilter) matches(e *audit.Event) bool {
	if f.eventType != "" && e.Type != f.eventType {
		return false
	}
	return f.family == nil || e.Family == *f.family || slices.Contains(e.Families, f.family.ULID())
}

// listEvents serves GET /v1/events?type=&user_id=&family=&from=&to=&next=, which lists stored
// events, newest first. The caller must give a type, a user or a family. For a user or a
// family only their own events are read, for a type all days from from to to. The default is
// the last 30 days, and an hour of the future, for events of a clock that is ahead.
func (a *API) listEvents(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	q, err := readQuery(r, "type", "user_id", "family", "from", "to", "next")
	if err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	var in input
	filter := eventFilter{eventType: audit.Type(q.Get("type"))}
	if filter.eventType != "" && !slices.Contains(storedTypes, filter.eventType) {
		in.wrong("type", strconv.Quote(session.Cut(string(filter.eventType), 32)), "ferrt, srrt, resource_cleanup, ahead or sdu: other events are only in the log")
	}
	if q.Get("user_id") != "" {
		userKey := keys.Users.Key(in.user(q))
		filter.userKey = &userKey
	}
	if s := q.Get("family"); s != "" {
		id, err := family.ParseID(s)
		if err != nil {
			in.wrong("family", "", "a family id: 43 characters of base64url")
		}
		userKey := id.UserKey()
		if filter.userKey != nil && *filter.userKey != userKey {
			in.wrong("family", "", "of the user in user_id")
		}
		filter.family, filter.userKey = &id, &userKey
	}
	if filter.eventType == "" && filter.userKey == nil {
		in.wrong("type", "", "given, or else user_id or family")
	}
	filter.span.To = in.time("to", q.Get("to"), now.Add(time.Millisecond))
	filter.span.From = in.time("from", q.Get("from"), filter.span.To.Add(-defaultSpan))
	if d := filter.span.To.Sub(filter.span.From); d <= 0 || d > maxSpan {
		in.wrong("from", filter.span.From.Format(time.RFC3339), "before to, by 400 days at most")
	}
	if err := in.err(); err != nil {
		return err
	}
	if q.Get("to") == "" {
		filter.span.To = now.Add(maxClockSkew)
	}
	// The cursor is bound to the parameters as given, since the default span moves with time.
	pages := cursors{keys, "events\x00" + string(filter.eventType) + "\x00" + q.Get("user_id") + "\x00" + q.Get("family") + "\x00" + q.Get("from") + "\x00" + q.Get("to")}
	at, err := pages.open(q.Get("next"))
	if err != nil {
		return err
	}
	position, err := parsePosition(at)
	if err != nil {
		return err
	}
	events, position, err := a.events(r.Context(), &filter, position)
	if err != nil {
		return err
	}
	page := struct {
		Events []eventJSON `json:"events"`
		Next   string      `json:"next,omitempty"`
	}{Events: []eventJSON{}, Next: pages.seal(position.String())}
	for i := range events {
		page.Events = append(page.Events, newEventJSON(&events[i]))
	}
	web.WriteJSON(w, http.StatusOK, page)
	return nil
}

// time returns a time in the query, or otherwise if s is empty or invalid.
func (in *input) time(field, s string, otherwise time.Time) time.Time {
	if s == "" {
		return otherwise
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || !hasStorableYear(t.UTC()) {
		in.wrong(field, strconv.Quote(session.Cut(s, 64)), wantTime)
		return otherwise
	}
	return t.UTC().Truncate(time.Millisecond) // the precision of events
}

// position is an event, before which a list of events goes on. The index needs the event's
// user as well.
type position struct {
	event   ulid.ULID
	userKey [16]byte
}

func (p position) String() string {
	if p.event == (ulid.ULID{}) {
		return ""
	}
	return family.JoinID(p.userKey, p.event).String()
}

func parsePosition(s string) (position, error) {
	if s == "" {
		return position{}, nil
	}
	id, err := family.ParseID(s)
	return position{id.ULID(), id.UserKey()}, err
}

// events returns up to a page of events that match, and the position where the next page
// begins, zero if there is none.
func (a *API) events(ctx context.Context, f *eventFilter, p position) ([]audit.Event, position, error) {
	if p.event != (ulid.ULID{}) && p.event.Timestamp().Before(f.span.From) {
		return nil, position{}, nil // the default span no longer reaches back that far
	}
	if f.userKey != nil {
		return a.userEvents(ctx, f, p)
	}
	var all []audit.Event
	// Day by day, backwards: from the day of the position, or the span's last.
	day := dayOf(f.span.To.Add(-time.Millisecond))
	if p.event != (ulid.ULID{}) {
		day = dayOf(p.event.Timestamp())
	}
	for ; !day.Before(dayOf(f.span.From)); day = day.AddDate(0, 0, -1) {
		span := store.Span{From: later(day, f.span.From), To: earlier(day.AddDate(0, 0, 1), f.span.To)}
		page, next, err := a.Table.DayEvents(ctx, f.eventType, span, p.event, p.userKey, eventsPerPage-len(all))
		if err != nil {
			return nil, position{}, err
		}
		all = append(all, page...)
		// A page that is full may be the last, in which case the next is empty. A page that
		// is not full goes on if DynamoDB ended the read at 1 MB.
		if len(all) == eventsPerPage || next != (ulid.ULID{}) {
			last := all[len(all)-1]
			return all, position{last.ID, last.UserKey()}, nil
		}
		p = position{}
	}
	return all, position{}, nil
}

// userEvents does what events does for the events of one user.
func (a *API) userEvents(ctx context.Context, f *eventFilter, p position) ([]audit.Event, position, error) {
	var all []audit.Event
	const reads = 10 // of a page's size each, before a short page is returned
	for range reads {
		page, next, err := a.Table.UserEvents(ctx, *f.userKey, f.span, p.event, eventsPerPage)
		if err != nil {
			return nil, position{}, err
		}
		p = position{next, *f.userKey}
		for i := range page {
			if !f.matches(&page[i]) {
				continue
			}
			all = append(all, page[i])
			if len(all) == eventsPerPage && i < len(page)-1 {
				p.event = page[i].ID
				break
			}
		}
		if p.event == (ulid.ULID{}) || len(all) == eventsPerPage {
			break
		}
	}
	return all, p, nil
}

func dayOf(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
