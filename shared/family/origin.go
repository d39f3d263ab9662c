package family

import (
	"crypto/subtle"
	"time"
)

// OriginKind says what a family was started from.
type OriginKind string

// Code is an authorization code (RFC 6749 §4.1.2). The user's login had it issued, and the
// client exchanges it once.
const Code OriginKind = "code"

// Assertion is a JWT by which a trusted issuer says who the user is (RFC 7523). Its first use
// starts the family, with its token 1.
const Assertion OriginKind = "assertion"

// Imported is the refresh token of another provider, which the team brought along with a list of
// hashes. Its first use by the application takes the family from 0 to 1.
const Imported OriginKind = "imported"

// Adopted is the refresh token of another provider, which Rotor exchanged there when the
// application first presented it. From then on it is like an imported one.
const Adopted OriginKind = "adopted"

// Foreign reports whether the kind is a refresh token of another provider.
func (k OriginKind) Foreign() bool { return k == Imported || k == Adopted }

// CodeLifetime is how long an authorization code can be exchanged.
const CodeLifetime = 60 * time.Second

// codeForgiven is how long after its exchange a code may be presented again without harm to
// the family. A page that mounts twice does that, and so does a client that got no answer.
const codeForgiven = 10 * time.Second

// Origin is what a family was started from: its token number 0. The first use of a code or of
// another provider's token takes the family's counter from 0 to 1, which is the same write as
// every other rotation. Before that the family is pending: it has no tokens of its own. The zero
// Origin is that of a family whose first token was given to its login.
type Origin struct {
	Kind OriginKind // "" for none
	// Until is, for a code, the end of the time for its first use, at which a pending family ends.
	// After that use, it is the end of the time in which a second use does no harm. It is zero
	// for everything else: a family that waits for another provider's token ends as others do.
	Until time.Time
	// Challenge and Redirect bind a code to the client's request: the SHA-256 of the code
	// verifier (RFC 7636 §4.2, method S256), and a hash of the redirect URI.
	Challenge, Redirect []byte
	Nonce               string // for the first id token (OpenID Connect Core §3.1.2.1)
}

// Pending reports whether the family waits for the first use of its origin.
func (f *Family) Pending() bool { return f.Counter == 0 }

// decideOrigin returns what a use of the family's token number 0 means.
func decideOrigin(f *Family, p *Policy, a Attempt) Verdict {
	switch f.Origin.Kind {
	case Code:
		return decideCode(f, p, a)
	case Assertion:
		return decideAssertion(f, p, a)
	case Imported, Adopted: // it is as any token that was, or will be, superseded
		return decideCounter(f, p, 0, a.Now)
	default:
		return Verdict{Kind: Unclear}
	}
}

// decideCode returns what a use of the family's authorization code means. A code is never
// honoured twice (RFC 6749 §4.1.2). It is not spent by somebody who got hold of it but cannot
// prove that the request was theirs, so a pending family outlives a wrong proof. Nor does a family end by its code
// that is bound to a key: the code came from who has the key.
func decideCode(f *Family, p *Policy, a Attempt) Verdict {
	verified := subtle.ConstantTimeCompare(f.Origin.Challenge, a.Challenge) == 1
	age := f.sinceExchange(a.Now)
	switch {
	case f.Pending() && !verified:
		return Verdict{Kind: Refused, Cause: WrongVerifier}
	case f.Pending() && subtle.ConstantTimeCompare(f.Origin.Redirect, a.Redirect) != 1:
		return Verdict{Kind: Refused, Cause: WrongRedirect}
	case f.Pending():
		return Verdict{Kind: Current}
	case f.Bound(): // the caller has its key, without which the code and the tokens are worthless
		return Verdict{Kind: Refused, Cause: CodeUsed, Age: age}
	// Where reuse is only observed, the code is refused as well, and the family lives.
	case verified && a.Now.Before(f.Origin.Until), p.Observing(a.Now):
		return Verdict{Kind: Refused, Cause: CodeUsed, Age: age}
	default:
		return Verdict{Kind: Reuse, Age: age}
	}
}

// decideAssertion returns what a second use of the family's assertion means. Its first use made
// the record. A second one is most often a retry by the login, which can make
// another assertion: so it gets the token that its first use got, and later it is refused.
func decideAssertion(f *Family, p *Policy, a Attempt) Verdict {
	if age := f.sinceRotation(a.Now); f.Counter == 1 && age < p.ReuseInterval.Duration() {
		return Verdict{Kind: Newest, Age: age}
	}
	return Verdict{Kind: Refused, Cause: AssertionUsed}
}

// AfterExchange returns until when a second use of a code does no harm, if the first is at now.
func AfterExchange(now time.Time) time.Time { return now.Add(codeForgiven) }

// ExchangedAt returns when the family's number 0 was exchanged for its token 1, or zero if it was
// not. Of another provider's token, the record knows this until the next rotation; it is zero
// from then on.
func (f *Family) ExchangedAt() time.Time {
	switch {
	case f.Origin.Kind == Code && !f.Pending():
		return f.Origin.Until.Add(-codeForgiven)
	case f.Origin.Kind.Foreign() && f.Counter == 1:
		return f.RotatedAt
	default:
		return time.Time{}
	}
}

// sinceExchange returns how long before now the family's code was exchanged. It is never
// negative, although the clocks of servers differ.
func (f *Family) sinceExchange(now time.Time) time.Duration {
	return max(now.Sub(f.ExchangedAt()), 0)
}
