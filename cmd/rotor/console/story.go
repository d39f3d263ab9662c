package console

import (
	"context"
	"errors"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
)

// picture is the timeline of a family, for a page.
type picture struct {
	Wide, Narrow template.HTML
	Rows         []timeline.Row
	Interval     time.Duration
	Known        bool   // the interval is known
	Zero         string // names the family's number 0, if it has one to show
	Missing      bool   // there may have been uses that are not known
}

// Widths of the picture, for wide and for narrow windows.
const (
	wideWidth   = 1000
	narrowWidth = 330
)

// draw returns the picture of a family with its timeline. presented is the token that was asked
// about, or nil. The caller may lack the permission to read the client's policy: then there are
// no intervals in the picture.
func (c *Console) draw(ctx context.Context, f *manage.Family, moments []manage.Moment, presented *uint32) (*picture, error) {
	p := &picture{Zero: zeros[f.Origin], Missing: slices.ContainsFunc(moments, func(m manage.Moment) bool {
		return m.Event == "exchanged" || m.Event == "rotated" || m.Event == "used"
	})}
	client, err := c.API.Registration(ctx, f.ClientID)
	var refused *manage.Error
	switch {
	case err == nil:
		p.Known, p.Interval = true, time.Duration(client.Policy.ReuseInterval)*time.Second
		if !client.Policy.Rotation {
			p.Interval = 0
		}
	case errors.As(err, &refused) && (refused.Denied() || refused.NotFound()):
	default:
		return nil, err
	}
	s := &timeline.Story{Now: c.Now(), Interval: p.Interval, Presented: presented, Moments: momentsOf(f, moments)}
	if c.Trail != nil {
		if seen := c.Trail(f.ID); len(seen) > 0 {
			s.Moments, p.Missing = together(s.Moments, seen), false
		}
	}
	if f.Status == "active" || waitsForForeign(f) {
		s.Ends = endsOf(f)
	}
	s.Sort()
	if n := len(s.Moments); n > 0 && s.Moments[n-1].At.After(s.Now) {
		s.Now = s.Moments[n-1].At // the service's clock is ahead of the console's
	}
	drawn := timeline.Draw(s, wideWidth, narrowWidth)
	p.Wide = template.HTML(drawn[0].SVG("family-wide", "wide"))       //nolint:gosec // SVG escapes its texts
	p.Narrow = template.HTML(drawn[1].SVG("family-narrow", "narrow")) //nolint:gosec // the same
	p.Rows = s.Table()
	return p, nil
}

// zeros names the number 0 of a family, by what the family began with.
var zeros = map[string]string{"code": "the authorization code", "imported": "the other provider’s token", "adopted": "the other provider’s token"}

// kinds has the kinds of the events in a timeline of the API. "skipped" stands before the
// rotation that it is about.
var kinds = map[string]timeline.Kind{
	"issued": timeline.Issued, "imported": timeline.Issued, "adopted": timeline.Issued, "exchanged": timeline.Exchanged, "rotated": timeline.Rotated, "used": timeline.Used, "reuse_observed": timeline.Observed,
	"late_use": timeline.Late,
	"ahead":    timeline.Ahead, "reuse_detected": timeline.Ended, "revoked": timeline.Ended, "expired": timeline.Ended,
}

// momentsOf returns what the service's record and its stored events say.
func momentsOf(f *manage.Family, moments []manage.Moment) []timeline.Moment {
	var all []timeline.Moment
	skipped := false
	for _, m := range moments {
		kind, known := kinds[m.Event]
		if !known {
			skipped = skipped || m.Event == "skipped"
			continue
		}
		if kind == timeline.Rotated && skipped {
			kind, skipped = timeline.Skipped, false
		}
		if kind == timeline.Issued {
			m.OriginToken = f.Origin
		}
		all = append(all, timeline.Moment{
			At: m.At, Kind: kind, Origin: m.OriginToken, Token: m.TokenCounter, Newest: m.Counter, Cause: m.Cause,
			From: origin(m.IP, m.UserAgent, m.By),
		})
	}
	return all
}

// origin returns where a use came from, and who called the management API, if anybody did.
func origin(ip, agent, by string) string {
	if by != "" {
		by = "by " + by
	}
	return strings.Join(strings.Fields(strings.Join([]string{ip, agent, by}, " ")), " ")
}

// together returns what the record says and what this process has seen, without what is in
// both. What was seen says more.
func together(recorded, seen []timeline.Moment) []timeline.Moment {
	made, used := map[uint32]bool{}, map[int64]bool{}
	for i := range seen {
		switch m := &seen[i]; m.Kind {
		case timeline.Exchanged, timeline.Rotated, timeline.Skipped:
			made[m.Newest] = true
		default:
			used[m.At.UnixMilli()] = true
		}
	}
	recorded = slices.DeleteFunc(recorded, func(m timeline.Moment) bool {
		isMade := m.Kind == timeline.Exchanged || m.Kind == timeline.Rotated || m.Kind == timeline.Skipped
		return (isMade && made[m.Newest]) || ((m.Kind == timeline.Used || m.Kind == timeline.Late) && used[m.At.UnixMilli()])
	})
	return timeline.Merge(recorded, seen)
}

// endsOf returns the ends that a living family has before it.
func endsOf(f *manage.Family) []timeline.End {
	var ends []timeline.End
	if idle := f.IdleExpiresAt; !idle.IsZero() && (f.ExpiresAt.IsZero() || idle.Before(f.ExpiresAt)) {
		ends = append(ends, timeline.End{At: idle, Name: "idle end"})
	}
	if !f.ExpiresAt.IsZero() {
		ends = append(ends, timeline.End{At: f.ExpiresAt, Name: "absolute end"})
	}
	return ends
}
