package family

import (
	"fmt"
	"time"
)

// explainForeign explains another provider's refresh token, with which the family began, given
// the verdict on its use.
func explainForeign(f *Family, p *Policy, v Verdict) Explanation {
	this := "This is another provider's refresh token, " + f.moved()
	exchanged := fmt.Sprintf("It was exchanged %s ago, for token 1", age(v.Age))
	if v.AgeAtLeast {
		exchanged = fmt.Sprintf("It was exchanged before the last rotation, which was %s ago", age(v.Age))
	}
	interval := age(p.ReuseInterval.Duration())
	switch v.Kind {
	case Current:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("%s. The application has not presented it here yet. %s", this, worksUntil(f, p)),
			Advice:  "Nothing is wrong with it. The application sends it to the token endpoint in the place of a refresh token of ours, and gets one of ours for it.",
		}
	case Newest:
		return Explanation{
			Verdict: ValidInReuseInterval,
			Summary: fmt.Sprintf("%s. %s; within the reuse interval of %s it still gets the newest, %d.", this, exchanged, interval, f.Counter),
			Advice:  "This is harmless: two tabs or a retry. Save the refresh token of each response before using its access token, and send that one from then on.",
		}
	case Proven:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("%s. %s. The family is bound to a key: who proves to have it still gets the newest, %d, at any age; anybody else is refused, and ends nothing.", this, exchanged, f.Counter),
			Advice:  provenAdvice,
		}
	case Observed:
		return Explanation{
			Verdict: ValidInReuseInterval,
			Summary: fmt.Sprintf("%s. %s, and that is outside the reuse interval of %s. Reuse is only observed until %s, so it still gets the newest, %d; from then on it would revoke the family.",
				this, exchanged, interval, stamp(p.ObserveUntil), f.Counter),
			Advice: reuseAdvice(f, 0, v.Age, p),
		}
	case Lost:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("%s. %s, but what it was exchanged for was never used: it is taken for a lost response and gets a new token.", this, exchanged),
			Advice:  "Nothing is wrong with it. Whoever presents the unused token of ours from then on is taken for a thief.",
		}
	default:
		return Explanation{
			Verdict: DeadToken, Cause: Superseded,
			Summary: fmt.Sprintf("%s. %s, and the newest is %d. The family lives, but presenting this token again would be reuse, and revoke it.", this, exchanged, f.Counter),
			Advice:  reuseAdvice(f, 0, v.Age, p),
		}
	}
}

// moved returns how and when another provider's session moved in.
func (f *Family) moved() string {
	if f.Origin.Kind == Adopted {
		return "which Rotor exchanged there on " + stamp(f.IssuedAt())
	}
	return "imported on " + stamp(f.IssuedAt())
}

// givenTo returns what has made token n of the family one of its client's.
func (f *Family) givenTo(n uint32) string {
	if n == 0 && f.Origin.Kind.Foreign() {
		return string(f.Origin.Kind) + " for"
	}
	return "issued to"
}

// worksUntil returns until when another provider's token begins its family.
func worksUntil(f *Family, p *Policy) string {
	end := f.End(p)
	switch {
	case end.IsZero():
		return "There is no end to the time in which it works."
	case end.Equal(f.ExpiresAt):
		return fmt.Sprintf("It works until %s, when the absolute lifetime ends.", stamp(end))
	default:
		return fmt.Sprintf("It works until %s, when the idle lifetime ends.", stamp(end))
	}
}

// explainForeignGone explains another provider's refresh token that began a family whose record is
// gone.
func explainForeignGone(moved time.Time) Explanation {
	return Explanation{
		Verdict: DeadToken, Cause: Purged,
		Summary: fmt.Sprintf("This is another provider's refresh token. Its family began here on %s, and its record is gone: families are forgotten some time after their end, or at once when their user is erased (event sdu).", stamp(moved)),
		Advice:  "The user must log in again. Importing the token once more does not bring its family back. Look for the family in the log lines of its time; a longer retention keeps records for longer.",
	}
}

// explainForeignExpired completes the explanation of a family of another provider's token that
// has reached its absolute end.
func explainForeignExpired(f *Family, p *Policy, e *Explanation) {
	used := "whatever was refreshed since (last on " + stamp(f.LastUsedAt) + ")"
	if f.Pending() {
		used = "and the application has never presented the other provider's token"
	}
	set := "at the import"
	if f.Origin.Kind == Adopted {
		set = "when it was adopted"
	}
	e.Summary = fmt.Sprintf("The family was %s on %s, and its absolute lifetime ended on %s, %s.", f.Origin.Kind, stamp(f.IssuedAt()), stamp(f.ExpiresAt), used)
	e.Advice = fmt.Sprintf("This is the end that was set %s: refreshing does not extend it. Let the user log in again. %s", set, absoluteAdvice(f, p))
}

// explainForeignReused completes the explanation of a family that ended because another provider's
// token, with which it began, came again.
func explainForeignReused(f *Family, p *Policy, e *Explanation) {
	r := f.Revoked
	e.Summary = fmt.Sprintf("The family was revoked on %s: the other provider's refresh token with which it began was presented again %s after it had been exchanged, outside the reuse interval; the newest was %d.",
		stamp(r.At), age(r.ReuseAge), f.Counter)
	if f.predecessor() > 0 {
		e.Summary = fmt.Sprintf("The family was revoked on %s: the other provider's refresh token with which it began was presented again. It had been superseded before the last rotation, which was %s earlier; the newest was %d.",
			stamp(r.At), age(r.ReuseAge), f.Counter)
	}
	e.Advice = reuseAdvice(f, 0, r.ReuseAge, p)
}
