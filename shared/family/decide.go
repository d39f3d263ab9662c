package family

import (
	"bytes"
	"math"
	"slices"
	"time"
)

// Attempt is one use of a refresh token.
type Attempt struct {
	Counter  uint32    // of the token presented
	ClientID string    // of the client that presented it
	Scope    []string  // asked for; nil asks for all that was granted
	WriteID  []byte    // the mark of this request's own write, or nil
	Now      time.Time // whole milliseconds
}

// Kind is what becomes of an [Attempt].
type Kind int

const (
	// Unclear: the record explains nothing; never guess.
	Unclear Kind = iota
	// Current: the newest token of a living family; the rotation's condition holds.
	Current
	// Ours: the record shows this request's own rotation, whose answer was lost.
	Ours
	// Newest: a superseded token inside the reuse interval gets the newest token.
	Newest
	// Observed: reuse of a family whose client only observes; gets the newest token.
	Observed
	// Skip: a lost response; the unused successor is to be skipped ([Family.Skip]).
	Skip
	// Ahead: the token is newer than the record ([Family.MoveAhead]).
	Ahead
	// ScopeNotGranted: the family lives, but was never granted a scope asked for.
	ScopeNotGranted
	// Refused: this token is no longer honoured; the family lives.
	Refused
	// Reuse: a copy of the token is in other hands; the family is to be revoked.
	Reuse
	// Dead: the token or its family had ended before.
	Dead
)

// Verdict is the outcome of [Decide].
type Verdict struct {
	Kind  Kind
	Cause Cause // of Dead and Refused
	// Age is how long before the attempt the token had been superseded, never
	// negative; of Newest, Observed, Skip and Reuse. Where that is not known
	// exactly, AgeAtLeast is set: it is that long or longer.
	Age        time.Duration
	AgeAtLeast bool
}

// Active says whether a refresh with this verdict gives the caller a token.
func (v Verdict) Active() bool {
	switch v.Kind {
	case Current, Ours, Newest, Observed, Skip, Ahead:
		return true
	default:
		return false
	}
}

// Decide says what an attempt on the record f means; f is nil where there is no
// record. The first rule that applies wins.
func Decide(f *Family, p *Policy, a Attempt) Verdict {
	n := a.Counter
	if f == nil {
		return Verdict{Kind: Dead, Cause: Purged}
	}
	if f.ClientID != a.ClientID {
		return Verdict{Kind: Dead, Cause: WrongClient}
	}
	if cause := f.Death(p, a.Now); cause != "" {
		return Verdict{Kind: Dead, Cause: cause}
	}
	if len(a.WriteID) > 0 && bytes.Equal(f.RotationID, a.WriteID) {
		return Verdict{Kind: Ours}
	}
	v := decideCounter(f, p, n, a.Now)
	if v.Active() && !f.Granted(a.Scope) {
		return Verdict{Kind: ScopeNotGranted}
	}
	return v
}

func decideCounter(f *Family, p *Policy, n uint32, now time.Time) Verdict {
	switch {
	case n == math.MaxUint32: // there is no number for its successor
		return Verdict{Kind: Refused, Cause: CounterSpent}
	case n == f.Counter:
		return Verdict{Kind: Current}
	case n > f.Counter:
		return Verdict{Kind: Ahead}
	}
	at, exact := f.superseded(n)
	v := Verdict{Kind: Reuse, Age: max(now.Sub(at), 0), AgeAtLeast: !exact}
	// With an interval of 0 nothing is inside, not even the same millisecond.
	inside := v.Age < p.ReuseInterval.Duration()
	switch {
	case f.Skipped.Has(n): // reuse
	case inside && exact:
		v.Kind = Newest
		return v
	case inside:
		return Verdict{Kind: Refused, Cause: TooOld}
	case n == f.lastUsed() && p.LostResponse == UntilUsed && f.Counter < math.MaxUint32:
		v.Kind = Skip
		return v
	}
	if p.Observing(now) {
		v.Kind = Observed
	}
	return v
}

// Granted says whether every scope asked for was granted to the family.
func (f *Family) Granted(scope []string) bool {
	for _, s := range scope {
		if !slices.Contains(f.Scope, s) {
			return false
		}
	}
	return true
}

// Skip is f after a lost response of token n at now: a new newest token, all
// between n and it skipped, and n superseded now, so that those who race with
// the same n are inside the interval.
func (f *Family) Skip(n uint32, now time.Time) *Family {
	g := *f
	g.Counter = f.Counter + 1
	g.Skipped = Range{From: n + 1, To: f.Counter}
	copy(g.RotatedAt[1:], f.RotatedAt[:])
	for i := range g.RotatedAt {
		if uint64(g.Counter)-1-uint64(i) < uint64(n) {
			break
		}
		g.RotatedAt[i] = now
	}
	return &g
}

// MoveAhead is f after token n, newer than the record, was presented at now:
// the table was restored from a backup older than the token, whose MAC proves
// that we issued it. What is known of earlier rotations no longer holds.
func (f *Family) MoveAhead(n uint32, now time.Time) *Family {
	g := *f
	g.Counter = n + 1
	g.Skipped = Range{}
	g.RotatedAt = [KnownRotations]time.Time{now}
	return &g
}
