package local

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
	"github.com/rotor-auth/rotor/shared/audit"
)

// maxTrail limits the uses that a [trail] keeps. Each takes about 110 bytes, which are taken at the
// start, so that the program does not grow with the requests that it serves.
const maxTrail = 5_000

// trail keeps the last uses of tokens that the log has, so that the console can show every
// rotation of a family. It is safe for concurrent use.
type trail struct {
	mu     sync.Mutex
	uses   []use             // a ring: the use number n is at n modulo its length
	count  uint64            // of all uses so far, which is the number of the last one
	newest map[string]uint64 // by family, the number of its newest use
}

// use is one use of a family's token.
type use struct {
	family string
	before uint64 // the number of the family's use before it, which may be forgotten by now; 0 for none
	moment timeline.Moment
}

func newTrail() *trail { return &trail{uses: make([]use, maxTrail), newest: map[string]uint64{}} }

func (t *trail) at(n uint64) *use { return &t.uses[n%maxTrail] }

// isKept reports whether the use of that number is not forgotten yet.
func (t *trail) isKept(n uint64) bool { return n > 0 && n+maxTrail > t.count }

// of returns what was seen of a family, in order.
func (t *trail) of(family string) []timeline.Moment {
	t.mu.Lock()
	defer t.mu.Unlock()
	var moments []timeline.Moment
	for n := t.newest[family]; t.isKept(n); n = t.at(n).before {
		moments = append(moments, t.at(n).moment)
	}
	slices.Reverse(moments)
	return moments
}

// add keeps a use instead of the oldest one.
func (t *trail) add(family string, m timeline.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	place := t.at(t.count)
	if place.family != "" && t.newest[place.family]+maxTrail == t.count {
		delete(t.newest, place.family)
	}
	before := t.newest[family]
	if before != 0 { // one copy of the texts
		last := t.at(before)
		family = last.family
		if last.moment.From == m.From {
			m.From = last.moment.From
		}
	}
	*place = use{family, before, m}
	t.newest[family] = t.count
}

// handler returns a handler of log records that also keeps the uses of tokens among them.
func (t *trail) handler(next slog.Handler) slog.Handler { return &trailHandler{next, t} }

type trailHandler struct {
	slog.Handler
	trail *trail
}

// Handle keeps a line of the audit trail that is about a use, and writes every line.
func (h *trailHandler) Handle(ctx context.Context, r slog.Record) error { //nolint:gocritic // the interface's
	if r.Message == "audit" {
		if family, m, ok := useOf(&r); ok {
			h.trail.add(family, m)
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h *trailHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &trailHandler{h.Handler.WithAttrs(attrs), h.trail}
}

func (h *trailHandler) WithGroup(name string) slog.Handler {
	return &trailHandler{h.Handler.WithGroup(name), h.trail}
}

// useOf returns the use of a family's token that a line is about.
func useOf(r *slog.Record) (family string, m timeline.Moment, ok bool) {
	var eventType, id, ip, agent string
	var held, reused, late, lost bool
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "type":
			eventType = a.Value.String()
		case "eventId":
			id = a.Value.String()
		case "familyId":
			family = a.Value.String()
		case "originToken":
			m.Origin = a.Value.String()
		case "tokenCounter":
			m.Token = uint32(a.Value.Uint64()) //nolint:gosec // was one
		case "latestCounter":
			m.Newest = uint32(a.Value.Uint64()) //nolint:gosec // was one
		case "held":
			held = true
		case "reused":
			reused = true
		case "late":
			late = true
		case "lostResponse":
			lost = true
		case "otherIp", "otherUserAgent":
			m.Elsewhere = true
		case "ageMs":
			m.Age = time.Duration(a.Value.Int64()) * time.Millisecond
		case "cause":
			m.Cause = a.Value.String()
		case "ip":
			ip = a.Value.String()
		case "userAgent":
			agent = a.Value.String()
		}
		return true
	})
	event, err := ulid.ParseStrict(id)
	if err != nil || family == "" {
		return "", m, false
	}
	// The line has the time of the machine. The event has that of the clock that is moved.
	m.At, m.From = ulid.Time(event.Time()).UTC(), strings.TrimSpace(ip+" "+agent)
	switch audit.Type(eventType) {
	case audit.Refused, audit.CodeRefused:
		m.Kind = timeline.Refused
	case audit.CodeExchanged:
		m.Kind = timeline.Exchanged
	case audit.Exchanged:
		switch {
		case held:
			m.Kind = timeline.Used
		case reused:
			m.Kind = timeline.Reused
		case late:
			m.Kind = timeline.Late
		case lost:
			m.Kind = timeline.Skipped
		case m.Origin != "":
			m.Kind = timeline.Exchanged
		default:
			m.Kind = timeline.Rotated
		}
	default:
		return "", m, false
	}
	return family, m, true
}
