package manage

import (
	"context"
	"iter"
	"time"
)

// Event is a stored event. Its members have the names of the log.
type Event struct {
	ID             string    `json:"eventId"`
	Type           string    `json:"type"` // ferrt, srrt, resource_cleanup, late_use, ahead or sdu
	At             time.Time `json:"at"`
	UserID         string    `json:"userId,omitempty"`
	ClientID       string    `json:"clientId,omitempty"`
	FamilyID       string    `json:"familyId,omitempty"`
	Cause          string    `json:"cause,omitempty"`
	OriginToken    string    `json:"originToken,omitempty"` // set if the family's number 0 was presented: code, imported or adopted
	TokenCounter   uint32    `json:"tokenCounter,omitempty"`
	LatestCounter  uint32    `json:"latestCounter,omitempty"`
	AgeMS          *int64    `json:"ageMs,omitempty"` // since the token was superseded; of reuse
	Observed       bool      `json:"observed,omitempty"`
	OtherIP        bool      `json:"otherIp,omitempty"`
	OtherUserAgent bool      `json:"otherUserAgent,omitempty"`
	Evict          string    `json:"evict,omitempty"`
	Start          *int      `json:"start,omitempty"`
	Removed        *int      `json:"removedCount,omitempty"`
	End            *int      `json:"endCount,omitempty"`
	Families       []string  `json:"families,omitempty"`
	IP             string    `json:"ip,omitempty"`
	UserAgent      string    `json:"userAgent,omitempty"`
	ForwardedBy    string    `json:"forwardedBy,omitempty"`
	RequestID      string    `json:"http_request_id,omitempty"`
	By             string    `json:"by,omitempty"`
	UserKey        string    `json:"userKey,omitempty"`
	ErasedFamilies *int      `json:"erasedFamilies,omitempty"`
	ErasedEvents   *int      `json:"erasedEvents,omitempty"`
}

// EventFilter says which events are listed: those of a type, a user or a family.
type EventFilter struct {
	Type     string
	UserID   string
	Family   string
	From, To time.Time // zero for the last 30 days
}

// Events yields stored events, newest first.
func (c *Client) Events(ctx context.Context, f EventFilter) iter.Seq2[*Event, error] {
	return pages(func(next string) (*Page[*Event], error) { return c.EventPage(ctx, f, next) })
}

// EventPage returns the page that next names, "" for the first one. It has up to 100 events.
func (c *Client) EventPage(ctx context.Context, f EventFilter, next string) (*Page[*Event], error) {
	return page[*Event](ctx, c, get("/v1/events", "type", f.Type, "user_id", f.UserID, "family", f.Family,
		"from", instant(f.From), "to", instant(f.To), "next", next), "events")
}

func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
