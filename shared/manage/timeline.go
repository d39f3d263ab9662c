package manage

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// moment is one entry of a family's timeline.
type moment struct {
	At           time.Time         `json:"at"`
	Event        string            `json:"event"`                   // issued, imported, adopted, exchanged, rotated, skipped, used, reuse_observed, reuse_detected, revoked, expired, ahead
	Counter      uint32            `json:"counter"`                 // the family's newest token at that time
	TokenCounter uint32            `json:"token_counter,omitempty"` // the token that was presented
	OriginToken  family.OriginKind `json:"origin_token,omitempty"`  // set if that was the family's number 0
	Cause        family.Cause      `json:"cause,omitempty"`
	IP           string            `json:"ip,omitempty"`
	UserAgent    string            `json:"user_agent,omitempty"`
	ForwardedBy  string            `json:"forwarded_by,omitempty"` // the address of the backend that reported IP and UserAgent
	By           string            `json:"by,omitempty"`           // the IAM principal that called the management API
	EventID      string            `json:"event_id,omitempty"`     // the id of the stored event
}

// eventsInTimeline limits the stored events of the user that a timeline reads.
const eventsInTimeline = 100

// timeline returns what happened to the family, in order, from its record and from the user's
// stored events.
func (a *API) timeline(ctx context.Context, f *family.Family, s familyJSON) ([]moment, error) {
	m := momentsOfRecord(f, s)
	// Servers' clocks differ: an event's time can be in the future here, or before the family
	// began.
	span := store.Span{From: f.IssuedAt(), To: ulid.Time(ulid.MaxTime())}
	for _, at := range []time.Time{f.ObservedAt, f.Revoked.At} {
		if !at.IsZero() {
			span.From = earlier(span.From, at)
		}
	}
	events, _, err := a.Table.UserEvents(ctx, f.ID.UserKey(), span, ulid.ULID{}, eventsInTimeline)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if e.Family != f.ID && !slices.Contains(e.Families, f.ID.ULID()) {
			continue
		}
		if e.ID == f.Revoked.Event {
			at := slices.IndexFunc(m, func(m moment) bool { return m.Event == "revoked" || m.Event == "reuse_detected" })
			if at >= 0 {
				m[at].IP, m[at].UserAgent, m[at].ForwardedBy = e.IP, e.UserAgent, e.ForwardedBy
				m[at].By, m[at].EventID = e.By, e.ID.String()
			}
			continue
		}
		switch {
		case e.Type == audit.Ahead:
			m = append(m, moment{At: e.At, Event: "ahead", TokenCounter: e.TokenCounter, Counter: e.LatestCounter, IP: e.IP, UserAgent: e.UserAgent, ForwardedBy: e.ForwardedBy, EventID: e.ID.String()})
		case e.Type == audit.LateUse:
			m = append(m, moment{At: e.At, Event: "late_use", OriginToken: e.OriginToken, TokenCounter: e.TokenCounter, Counter: e.LatestCounter, IP: e.IP, UserAgent: e.UserAgent, ForwardedBy: e.ForwardedBy, EventID: e.ID.String()})
		case e.Type == audit.Reuse && e.Observed:
			m = append(m, moment{At: e.At, Event: "reuse_observed", OriginToken: e.OriginToken, TokenCounter: e.TokenCounter, Counter: e.LatestCounter, IP: e.IP, UserAgent: e.UserAgent, ForwardedBy: e.ForwardedBy, EventID: e.ID.String()})
		}
	}
	slices.SortStableFunc(m, func(a, b moment) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Counter, b.Counter))
	})
	return m, nil
}

// momentsOfRecord returns the moments that the family's record has.
func momentsOfRecord(f *family.Family, s familyJSON) []moment {
	m := []moment{{At: s.IssuedAt, Event: "issued", Counter: 1}}
	exchanged := f.ExchangedAt()
	switch f.Origin.Kind {
	case family.Code:
		m[0].Counter = 0
	case family.Imported, family.Adopted:
		m[0].Event, m[0].Counter = string(f.Origin.Kind), 0
	}
	if !exchanged.IsZero() {
		m = append(m, moment{At: exchanged, Event: "exchanged", Counter: 1, OriginToken: f.Origin.Kind})
	}
	if f.Skipped.To != 0 && f.Skipped.To == f.Counter-1 {
		m = append(m, moment{At: f.RotatedAt, Event: "skipped", Counter: f.Skipped.To})
	}
	if !f.RotatedAt.IsZero() && f.Counter > 1 {
		m = append(m, moment{At: f.RotatedAt, Event: "rotated", Counter: f.Counter})
	}
	if !f.LastUsedAt.Equal(f.IssuedAt()) && !f.LastUsedAt.Equal(exchanged) && !f.LastUsedAt.Equal(f.RotatedAt) {
		m = append(m, moment{At: f.LastUsedAt, Event: "used", Counter: f.Counter})
	}
	switch {
	case s.Cause == family.ReuseDetected:
		reused := moment{At: s.RevokedAt, Event: "reuse_detected", Cause: s.Cause, TokenCounter: f.Revoked.TokenCounter, Counter: f.Counter}
		if reused.TokenCounter == 0 {
			reused.OriginToken = f.Origin.Kind
		}
		m = append(m, reused)
	case !s.RevokedAt.IsZero():
		m = append(m, moment{At: s.RevokedAt, Event: "revoked", Cause: s.Cause, Counter: f.Counter})
	case s.Cause == family.CodeExpired:
		m = append(m, moment{At: f.Origin.Until, Event: "expired", Cause: s.Cause})
	case s.Cause == family.ExpiredAbsolute:
		m = append(m, moment{At: s.ExpiresAt, Event: "expired", Cause: s.Cause, Counter: f.Counter})
	case s.Cause == family.ExpiredIdle:
		m = append(m, moment{At: s.IdleExpiresAt, Event: "expired", Cause: s.Cause, Counter: f.Counter})
	}
	return m
}
