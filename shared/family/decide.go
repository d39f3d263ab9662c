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
	Resource []string  // asked for, of the family's audience; nil asks for all of it
	Issuer   string    // what a family without an audience is for
	WriteID  []byte    // the mark of this request's own write, or nil
	Now      time.Time // whole milliseconds
}

// Kind is what becomes of an [Attempt].
type Kind int

const (
	// Unclear: the record explains nothing; never guess.
	Unclear Kind = iota
	// Current: the newest token of a living family; the condition of the write holds.
	Current
	// Held: the newest token, inside the interval after its rotation; gets itself.
	Held
	// Ours: the record shows this request's own rotation, whose answer was lost.
	Ours
	// Newest: the predecessor inside the reuse interval; gets the newest token.
	Newest
	// Observed: reuse of a family whose client only observes; gets the newest token.
	Observed
	// Skip: a lost response; the unused successor is to be skipped ([Family.Skip]).
	Skip
	// Ahead: the token is newer than the record ([Family.MoveAhead]).
	Ahead
	// ScopeNotGranted: the family lives, but was never granted a scope asked for.
	ScopeNotGranted
	// TargetNotGranted: the family lives, but a resource asked for is not one of its
	// audience.
	TargetNotGranted
	// Refused: this token can have no successor; the family lives.
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
	// exactly, AgeAtLeast is set: it is that long or longer. Of Held it is how long
	// before the attempt the token was made.
	Age        time.Duration
	AgeAtLeast bool
}

// Active says whether a refresh with this verdict gives the caller a token.
func (v Verdict) Active() bool {
	switch v.Kind {
	case Current, Held, Ours, Newest, Observed, Skip, Ahead:
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
	if v.Active() && !f.For(a.Resource, a.Issuer) {
		return Verdict{Kind: TargetNotGranted}
	}
	return v
}

func decideCounter(f *Family, p *Policy, n uint32, now time.Time) Verdict {
	switch pred := f.predecessor(); {
	case n == math.MaxUint32: // there is no number for its successor
		return Verdict{Kind: Refused, Cause: CounterSpent}
	case n == f.Counter && f.holds(p, now):
		return Verdict{Kind: Held, Age: f.sinceRotation(now)}
	case n == f.Counter:
		return Verdict{Kind: Current}
	case n > f.Counter:
		return Verdict{Kind: Ahead}
	case n > pred: // skipped
		return reuse(f, p, n, now)
	// With an interval of 0 nothing is inside, not even the same millisecond.
	case n == pred && f.sinceRotation(now) < p.ReuseInterval.Duration():
		return Verdict{Kind: Newest, Age: f.sinceRotation(now)}
	case n == pred && p.LostResponse == UntilUsed && f.Held != f.Counter && f.Counter < math.MaxUint32:
		return Verdict{Kind: Skip, Age: f.sinceRotation(now)}
	case n < pred && now.Before(f.RotatedAt) && p.ReuseInterval > 0 && !p.Observing(now):
		// The request is older than the newest rotation: at its time the token may
		// have been good.
		return Verdict{Kind: Unclear}
	default:
		return reuse(f, p, n, now)
	}
}

// reuse is the verdict on token n, which is in other hands.
func reuse(f *Family, p *Policy, n uint32, now time.Time) Verdict {
	v := Verdict{Kind: Reuse, Age: f.sinceRotation(now), AgeAtLeast: n < f.predecessor()}
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

// For reports whether every resource asked for is one of the family's audience,
// which is the issuer where none was given (RFC 8707 §2).
func (f *Family) For(resource []string, issuer string) bool {
	audience := f.Audience
	if len(audience) == 0 {
		audience = []string{issuer}
	}
	for _, r := range resource {
		if !slices.Contains(audience, r) {
			return false
		}
	}
	return true
}

// Skip returns f after a lost response of token n at now: a new newest token, and
// all between n and it skipped.
func (f *Family) Skip(n uint32, now time.Time) *Family {
	g := *f
	g.Counter = f.Counter + 1
	g.Skipped = Range{From: n + 1, To: f.Counter}
	g.RotatedAt = now
	return &g
}

// MoveAhead returns f after token n, newer than the record, was presented at now:
// the table was restored from a backup older than the token, whose MAC proves
// that we issued it. The token becomes the newest one, used and held from now on:
// when it was made is lost, and its predecessor may still be on its way. Where
// nothing is ever held, it gets its successor.
func (f *Family) MoveAhead(n uint32, p *Policy, now time.Time) *Family {
	g := *f
	g.Counter = n
	g.Held = n
	g.Skipped = Range{}
	g.RotatedAt = now
	if p.Rotation && p.ReuseInterval == 0 {
		g.Counter = n + 1
	}
	return &g
}
