package local

import (
	"container/list"
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
	"github.com/rotor-auth/rotor/shared/audit"
)

// maxTrail limits the uses that a [trail] keeps. Each takes about 150 bytes.
const maxTrail = 100_000

// trail keeps the uses of tokens that the log has, so that the console can show every rotation
// of a family. If there are too many, it forgets whole families, those first that were not used
// for longest. It is safe for concurrent use.
type trail struct {
	mu       sync.Mutex
	families map[string]*list.Element
	used     list.List // of *trailed; the one used last is in front
	size     int
}

type trailed struct {
	family  string
	moments []timeline.Moment
}

func newTrail() *trail { return &trail{families: map[string]*list.Element{}} }

// of returns what was seen of a family, in order.
func (t *trail) of(family string) []timeline.Moment {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.families[family]
	if !ok {
		return nil
	}
	return append([]timeline.Moment(nil), e.Value.(*trailed).moments...)
}

func (t *trail) add(family string, m timeline.Moment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.families[family]
	if !ok {
		e = t.used.PushFront(&trailed{family: family})
		t.families[family] = e
	}
	t.used.MoveToFront(e)
	kept := e.Value.(*trailed)
	if n := len(kept.moments); n > 0 && kept.moments[n-1].From == m.From {
		m.From = kept.moments[n-1].From // one copy of the text
	}
	if len(kept.moments) == maxTrail {
		kept.moments = append(kept.moments[:0], kept.moments[maxTrail/2:]...)
		t.size = len(kept.moments) // it is the only one
	}
	kept.moments = append(kept.moments, m)
	for t.size++; t.size > maxTrail; {
		oldest := t.used.Remove(t.used.Back()).(*trailed)
		delete(t.families, oldest.family)
		t.size -= len(oldest.moments)
	}
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
	var held, reused, lost bool
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "type":
			eventType = a.Value.String()
		case "eventId":
			id = a.Value.String()
		case "familyId":
			family = a.Value.String()
		case "tokenCounter":
			m.Token = uint32(a.Value.Uint64()) //nolint:gosec // was one
		case "latestCounter":
			m.Newest = uint32(a.Value.Uint64()) //nolint:gosec // was one
		case "held":
			held = true
		case "reused":
			reused = true
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
	case audit.Refused:
		m.Kind = timeline.Refused
	case audit.Exchanged:
		switch {
		case held:
			m.Kind = timeline.Used
		case reused:
			m.Kind = timeline.Reused
		case lost:
			m.Kind = timeline.Skipped
		default:
			m.Kind = timeline.Rotated
		}
	default:
		return "", m, false
	}
	return family, m, true
}
