package family

import (
	"bytes"
	"math"
	"slices"
	"time"
)

// Attempt is one use of a refresh token.
type Attempt struct {
	Counter  uint32   // number of the presented token; 0 for the family's [Origin]
	ClientID string   // the client that presents it
	Scope    []string // the requested scope; nil asks for everything that was granted
	Resource []string // the requested resources of the family's audience; nil asks for all of it
	Issuer   string   // the audience of a family that has none of its own
	WriteID  []byte   // the mark of this request's own write, or nil

	// JKT is the thumbprint of the key that the caller has proven to have, or nil. Binds says that a family
	// which is not bound becomes bound to it. Unbinds says that the key of a code is needed for its exchange
	// alone, since the family's tokens are bound to the client's credentials (RFC 9449 §5).
	JKT     []byte
	Binds   bool
	Unbinds bool

	// Origin is the kind of token that is presented, if Counter is 0.
	Origin OriginKind
	// Challenge and Redirect are what an authorization code must be bound to: the SHA-256 of
	// the code verifier, and a hash of the redirect URI, that came with it.
	Challenge, Redirect []byte

	Now time.Time // in whole milliseconds
}

// Kind is the outcome of an [Attempt].
type Kind int

const (
	// Unclear means that the record does not explain the attempt. The caller must retry.
	Unclear Kind = iota
	// Current is the newest token of a living family: the condition of the write holds.
	Current
	// Held is the newest token within the reuse interval after its rotation. The
	// caller gets the same token again.
	Held
	// Ours means that the record shows this request's own rotation, whose answer was
	// lost.
	Ours
	// Newest is the predecessor within the reuse interval. The caller gets the newest
	// token.
	Newest
	// Proven is a superseded token, outside the reuse interval, of a family that is bound to a key which
	// the caller has. So it is a lost response, or a copy that its owner restored, and the caller gets
	// the newest token.
	Proven
	// Observed is reuse where the client's policy only observes it. The caller gets
	// the newest token.
	Observed
	// Lost is a lost response: the predecessor came back and the newest token was never
	// used. The caller gets a new token, and the unused one is skipped; see
	// [Family.AfterLost].
	Lost
	// Ahead is a token newer than the record; see [Family.AfterRestore].
	Ahead
	// ScopeNotGranted means that the family is alive, but was never granted a scope that the
	// attempt asks for.
	ScopeNotGranted
	// TargetNotGranted means that the family is alive, but its audience lacks a resource that
	// the attempt asks for.
	TargetNotGranted
	// Unproven is a token of a living family that is bound to a key, and the caller has not proven to
	// have that key. Nothing changes.
	Unproven
	// Refused is a token of a living family that gets no successor: the one with the largest
	// number, or an authorization code that came a second time or with a wrong proof.
	Refused
	// Reuse means that the token has a second holder. The family must be revoked.
	Reuse
	// Dead means that the token or its family has already ended.
	Dead
)

// Verdict is the outcome of [Decide].
type Verdict struct {
	Kind  Kind
	Cause Cause // set for Dead, Unproven and Refused
	// Age is, for Newest, Proven, Observed, Lost and Reuse, how long before the attempt the
	// token was superseded, and for Held how long before the attempt it was made. It is
	// never negative. AgeAtLeast is set where only a lower bound is known.
	Age        time.Duration
	AgeAtLeast bool
}

// Active reports whether a refresh with this verdict gives the caller a token.
func (v Verdict) Active() bool {
	switch v.Kind {
	case Current, Held, Ours, Newest, Proven, Observed, Lost, Ahead:
		return true
	default:
		return false
	}
}

// Decide returns what an attempt means, given the family's record f, which is nil if there is
// none. The rules are in order, and the first that applies decides.
func Decide(f *Family, p *Policy, a Attempt) Verdict {
	n := a.Counter
	if f == nil {
		return Verdict{Kind: Dead, Cause: Purged}
	}
	if f.ClientID != a.ClientID {
		return Verdict{Kind: Dead, Cause: WrongClient}
	}
	cause := f.Death(p, a.Now)
	if n > 0 {
		cause = f.DeathOnceBegun(p, a.Now)
	}
	if cause != "" {
		return Verdict{Kind: Dead, Cause: cause}
	}
	if missing := f.unproven(a.JKT); missing != "" && !f.unbound(a) {
		return Verdict{Kind: Unproven, Cause: missing}
	}
	if len(a.WriteID) > 0 && bytes.Equal(f.RotationID, a.WriteID) {
		return Verdict{Kind: Ours}
	}
	var v Verdict
	if n == 0 {
		v = decideOrigin(f, p, a)
	} else {
		v = decideCounter(f, p, n, a.Now)
	}
	if v.Active() && !f.Granted(a.Scope) {
		return Verdict{Kind: ScopeNotGranted}
	}
	if v.Active() && !f.IsFor(a.Resource, a.Issuer) {
		return Verdict{Kind: TargetNotGranted}
	}
	return v
}

// unproven returns why the caller who has the key with this thumbprint, or none, may not use the family,
// or "".
func (f *Family) unproven(jkt []byte) Cause {
	switch {
	case !f.Bound() || bytes.Equal(f.JKT, jkt):
		return ""
	case jkt == nil:
		return NoProof
	default:
		return WrongKey
	}
}

// unbound reports whether the exchange of the family's code has ended its binding, and the record does not know
// of it since the table was restored from a backup.
func (f *Family) unbound(a Attempt) bool {
	return a.Unbinds && a.Counter > 0 && f.Pending() && f.Origin.Kind == Code
}

// KeyAfterRestore returns the thumbprint of the key that the family is bound to after the attempt has caught up,
// or nil. A record from before the first use does not know the key that this use has bound the family to. So
// the first caller with a token binds it, as the first use would.
func (f *Family) KeyAfterRestore(a Attempt) []byte {
	switch {
	case f.unbound(a):
		return nil
	case a.Binds:
		return a.JKT
	default:
		return f.JKT
	}
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
	// With an interval of 0 no use is inside it, not even one in the same millisecond.
	case n == pred && f.sinceRotation(now) < p.ReuseInterval.Duration():
		return Verdict{Kind: Newest, Age: f.sinceRotation(now)}
	case f.Bound(): // and the caller has the key
		return Verdict{Kind: Proven, Age: f.sinceRotation(now), AgeAtLeast: n < pred}
	case n > pred: // it was skipped
		return reuse(f, p, n, now)
	case n == pred && p.LostResponse == UntilUsed && f.Held != f.Counter && f.Counter < math.MaxUint32:
		return Verdict{Kind: Lost, Age: f.sinceRotation(now)}
	case n < pred && now.Before(f.RotatedAt) && p.ReuseInterval > 0 && !p.Observing(now):
		// The request is older than the newest rotation. The token may have been valid when
		// the request was sent.
		return Verdict{Kind: Unclear}
	default:
		return reuse(f, p, n, now)
	}
}

// reuse returns the verdict on token n, which has a second holder.
func reuse(f *Family, p *Policy, n uint32, now time.Time) Verdict {
	v := Verdict{Kind: Reuse, Age: f.sinceRotation(now), AgeAtLeast: n < f.predecessor()}
	if p.Observing(now) {
		v.Kind = Observed
	}
	return v
}

// Granted reports whether the family was granted every one of the scopes.
func (f *Family) Granted(scope []string) bool {
	for _, s := range scope {
		if !slices.Contains(f.Scope, s) {
			return false
		}
	}
	return true
}

// IsFor reports whether every one of the resources is in the family's audience, which is the
// issuer if none was given (RFC 8707 §2).
func (f *Family) IsFor(resource []string, issuer string) bool {
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

// AfterLost returns f after the response to token n was lost and n was presented again at now.
// The newest token is a new one, and those between n and it are skipped.
func (f *Family) AfterLost(n uint32, now time.Time) *Family {
	g := *f
	g.Counter = f.Counter + 1
	g.Skipped = Range{From: n + 1, To: f.Counter}
	g.RotatedAt = now
	return &g
}

// AfterRestore returns f after token n, which is newer than the record, was presented at now.
// That happens if the table was restored from a backup older than the token; the token's MAC
// proves that Rotor issued it. The token becomes the newest one. The time at which it was made
// is lost, and its predecessor may still be on its way, so it counts as used and is held from
// now on. If the policy holds no tokens, the newest is its successor.
func (f *Family) AfterRestore(n uint32, p *Policy, now time.Time) *Family {
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
