package manage

import (
	"context"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// recommendation is a reuse interval for a client, computed from its recent reuse.
type recommendation struct {
	family.Recommendation
	PresentInterval family.Seconds `json:"present_interval"`
	Days            int            `json:"days"` // how far back the reuse was looked at
}

const (
	recommendDays = 30
	// recommendEvents limits the events that a recommendation reads, newest first.
	recommendEvents = 1000
)

// recommend returns a reuse interval for the client, computed from its reuse of the last 30
// days. It returns nil if no longer interval than the present one would have kept a family
// alive.
func (a *API) recommend(ctx context.Context, client *store.Client, now time.Time) (*recommendation, error) {
	filter := eventFilter{eventType: audit.Reuse, span: store.Span{
		From: now.AddDate(0, 0, -recommendDays), To: now.Add(time.Millisecond),
	}}
	var lost []time.Duration
	all := 0
	var at position
	for read := 0; read < recommendEvents; {
		events, next, err := a.events(ctx, &filter, at)
		if err != nil {
			return nil, err
		}
		for i := range events {
			e := &events[i]
			if e.ClientID != client.ID {
				continue
			}
			all++
			// If lost responses are forgiven, a token that is refused inside the interval is
			// one that was skipped: two hold the session, and no interval keeps that.
			skipped := client.Policy.LostResponse == family.UntilUsed && e.Age < client.Policy.ReuseInterval.Duration()
			if !skipped && family.LostResponseLikely(e.OriginToken, e.TokenCounter, e.LatestCounter, e.Age) {
				lost = append(lost, e.Age)
			}
		}
		read += max(1, len(events))
		if at = next; at.event == (ulid.ULID{}) {
			break
		}
	}
	if all == 0 {
		return nil, nil
	}
	present := client.Policy.ReuseInterval
	best := family.Recommend(present, lost, all)
	if best.ReuseInterval == present {
		return nil, nil // it is set to that already
	}
	return &recommendation{best, present, recommendDays}, nil
}
