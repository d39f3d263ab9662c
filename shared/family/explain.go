package family

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// State is the outcome that a refresh with a token would have.
type State string

const (
	Valid                State = "valid"
	ValidInReuseInterval State = "valid_in_reuse_interval"
	DeadToken            State = "dead"
)

// Superseded is the cause of a token that would be reuse if it were presented. Its family is
// alive until then.
const Superseded Cause = "superseded"

// Explanation says, for people, why a token works or does not.
type Explanation struct {
	Verdict State
	Cause   Cause  // set for a dead token
	Summary string // a sentence with the facts
	Advice  string // what to change
}

// Explain returns why the token of the attempt works or does not. f is the record of
// its family, or nil if there is none; issued is the time in the token, which is used
// if there is no record.
func Explain(f *Family, p *Policy, issued time.Time, a Attempt) Explanation {
	if f == nil && a.Counter == 0 && a.Origin.Foreign() {
		return explainForeignGone(issued)
	}
	if f == nil {
		return Explanation{
			Verdict: DeadToken, Cause: Purged,
			Summary: fmt.Sprintf("We issued this on %s, and its record is gone: families are forgotten some time after their end, or at once when their user is erased (event sdu).", stamp(issued)),
			Advice:  "The user must log in again. Look for the family in the log lines of its time; a longer retention keeps records for longer.",
		}
	}
	v := Decide(f, p, a)
	e := explainVerdict(f, p, a, v)
	if f.Bound() && v.Active() && v.Kind != Proven {
		e.Summary += " The family is bound to a key: only with a proof of it does the token work."
	}
	return e
}

// explainVerdict explains a verdict on a family.
func explainVerdict(f *Family, p *Policy, a Attempt, v Verdict) Explanation {
	if a.Counter == 0 && v.Kind != Dead && v.Kind != Unclear {
		return explainOrigin(f, p, v)
	}
	switch v.Kind {
	case Current, Ours:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("This is token %d, the newest of a family issued on %s; it was last used %s ago. %s",
				a.Counter, stamp(f.IssuedAt()), age(a.Now.Sub(f.LastUsedAt)), endsIn(f, p)),
			Advice: "Nothing is wrong with it.",
		}
	case Held:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("This is token %d, the newest of a family issued on %s. It was made %s ago, so it is held: until the reuse interval of %s has passed, a refresh answers with the same token again. %s",
				a.Counter, stamp(f.IssuedAt()), age(v.Age), age(p.ReuseInterval.Duration()), endsIn(f, p)),
			Advice: "Nothing is wrong with it.",
		}
	case Newest:
		return Explanation{
			Verdict: ValidInReuseInterval,
			Summary: fmt.Sprintf("This is token %d, superseded %s ago; within the reuse interval of %s it still gets the newest, %d.",
				a.Counter, age(v.Age), age(p.ReuseInterval.Duration()), f.Counter),
			Advice: "This is harmless: two tabs or a retry. Save the refresh token of each response before using its access token.",
		}
	case Proven:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("This is token %d, superseded %s, of a family that is bound to a key. Who proves to have the key still gets the newest, %d, at any age; anybody else is refused, and ends nothing.",
				a.Counter, superseded(v.Age, v.AgeAtLeast), f.Counter),
			Advice: provenAdvice,
		}
	case Unproven:
		return Explanation{
			Verdict: DeadToken, Cause: v.Cause,
			Summary: fmt.Sprintf("This is token %d of a family that is bound to a key, and its bearer has not proven to have that key. The family is untouched.", a.Counter),
			Advice:  "If this was the application, it has lost its key: the user must log in again. Otherwise somebody has a copy of the token, which is worthless without the key.",
		}
	case Observed:
		return Explanation{
			Verdict: ValidInReuseInterval,
			Summary: fmt.Sprintf("This is token %d, superseded %s, outside the reuse interval of %s. Reuse is only observed until %s, so it still gets the newest, %d; from then on it would revoke the family.",
				a.Counter, superseded(v.Age, v.AgeAtLeast), age(p.ReuseInterval.Duration()), stamp(p.ObserveUntil), f.Counter),
			Advice: reuseAdvice(f, a.Counter, v.Age, p),
		}
	case Lost:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("This is token %d, superseded %s ago, but its successor was never used: it is taken for a lost response and gets a new successor.",
				a.Counter, age(v.Age)),
			Advice: "Nothing is wrong with it. Whoever presents the unused successor from then on is taken for a thief.",
		}
	case Ahead:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("This is token %d, but the record knows of %d alone: the table was restored from a backup older than the token.", a.Counter, f.Counter),
			Advice:  "The family moves ahead at its next refresh. Replay the revocations since the backup from the log.",
		}
	case Refused:
		return Explanation{
			Verdict: DeadToken, Cause: v.Cause,
			Summary: "This token has the largest number there is, and can have no successor.",
			Advice:  "The user must log in again.",
		}
	case Reuse:
		return Explanation{
			Verdict: DeadToken, Cause: Superseded,
			Summary: fmt.Sprintf("This is token %d, superseded %s; the newest is %d. The family lives, but presenting this token would revoke it.",
				a.Counter, superseded(v.Age, v.AgeAtLeast), f.Counter),
			Advice: reuseAdvice(f, a.Counter, v.Age, p),
		}
	case Dead:
		return explainDead(f, p, a, v.Cause)
	default:
		return Explanation{Verdict: DeadToken, Summary: "The record says nothing that explains this token.", Advice: "Report this as a defect of Rotor."}
	}
}

const provenAdvice = "Nothing is wrong with the token, but its holder has an old one: an answer was lost, a newer token could not be saved, or the application's data came from a backup. " +
	"If the key can be copied (a file, not a key store), the holder may also be a second one: look at the late_use events of this family for other addresses."

func explainDead(f *Family, p *Policy, a Attempt, cause Cause) Explanation {
	e := Explanation{Verdict: DeadToken, Cause: cause}
	switch cause {
	case WrongClient:
		e.Summary = fmt.Sprintf("It was %s client %s, but %s presented it.", f.givenTo(a.Counter), f.ClientID, a.ClientID)
		e.Advice = "Send it with the client_id of that client. The family is untouched."
	case CodeExpired:
		explainCodeExpired(f, &e)
	case ExpiredAbsolute:
		if f.Origin.Kind.Foreign() {
			explainForeignExpired(f, p, &e)
			break
		}
		e.Summary = fmt.Sprintf("The user logged in on %s, and the absolute lifetime of %s ended on %s, whatever was refreshed since (last on %s).",
			stamp(f.IssuedAt()), age(f.ExpiresAt.Sub(f.IssuedAt())), stamp(f.ExpiresAt), stamp(f.LastUsedAt))
		e.Advice = "This is the end that was set at the login: refreshing does not extend it. Let the user log in again. " + absoluteAdvice(f, p)
	case ExpiredIdle:
		e.Summary = fmt.Sprintf("It was last used on %s, and the idle lifetime of %s ended on %s.",
			stamp(f.LastUsedAt), age(p.IdleLifetime.Duration()), stamp(f.IdleEnd(p)))
		e.Advice = "The application did not refresh for that long. Let the user log in again."
		if f.Pending() && f.Origin.Kind.Foreign() {
			e.Summary = fmt.Sprintf("It was %s on %s, and the application has never presented it. The idle lifetime of %s, which counts from then on, ended on %s.",
				f.Origin.Kind, stamp(f.LastUsedAt), age(p.IdleLifetime.Duration()), stamp(f.IdleEnd(p)))
			e.Advice = "The user did not come back for that long, or the application did not send its old token here. Let the user log in again."
		}
		if p.IdleLifetime < MaxLifetime {
			e.Advice += " Raise idle_lifetime if users come back later than that."
		}
	case ReuseDetected:
		r := f.Revoked
		if r.TokenCounter == 0 && f.Origin.Kind.Foreign() {
			explainForeignReused(f, p, &e)
			break
		}
		if r.TokenCounter == 0 {
			explainCodeReused(f, &e)
			break
		}
		e.Summary = fmt.Sprintf("The family was revoked on %s: token %d was presented again %s after it had been superseded, outside the reuse interval; the newest was %d.",
			stamp(r.At), r.TokenCounter, age(r.ReuseAge), f.Counter)
		if r.TokenCounter < f.predecessor() {
			e.Summary = fmt.Sprintf("The family was revoked on %s: token %d was presented again, which had been superseded before the last rotation, %s earlier; the newest was %d.",
				stamp(r.At), r.TokenCounter, age(r.ReuseAge), f.Counter)
		}
		e.Advice = reuseAdvice(f, r.TokenCounter, r.ReuseAge, p)
	case LimitExceeded:
		e.Summary = limitSummary(f, p)
		e.Advice = "Either the user has that many devices and browsers, or something logs in again and again instead of refreshing " +
			"(a test, a health check, a script that forgets its token): it should keep its refresh token, or revoke it when done. The resource_cleanup event names all that were ended, " +
			"and GET /v1/families?user_id= shows their devices."
		if p.MaxActive < MaxMaxActive {
			e.Advice += " Raise max_active if users have more devices than that."
		}
	case RevokedByClient:
		e.Summary = fmt.Sprintf("The application revoked it on %s.", stamp(f.Revoked.At))
		e.Advice = "This is what a logout does. If the user did not log out, look for code that revokes on an error."
	case RevokedByAdmin:
		e.Summary = fmt.Sprintf("It was revoked through the management API on %s.", stamp(f.Revoked.At))
		e.Advice = "The srrt event of that time says by which request. The user must log in again."
	case PasswordChanged:
		e.Summary = fmt.Sprintf("All of the user's families were revoked on %s, because the password was changed.", stamp(f.Revoked.At))
		e.Advice = "This is meant: the user must log in again with the new password."
	case ClientNotBefore:
		e.Summary = fmt.Sprintf("It was issued on %s, and all families of client %s from before %s were ended by its not_before.",
			stamp(f.IssuedAt()), f.ClientID, stamp(p.NotBefore))
		e.Advice = "This is meant: all users of the application must log in again."
	default:
		e.Summary = fmt.Sprintf("It ended: %s.", cause)
		e.Advice = "The user must log in again."
	}
	return e
}

// absoluteAdvice returns how to make sessions last longer. A family's absolute end was
// fixed at its login, and the policy may have changed since.
func absoluteAdvice(f *Family, p *Policy) string {
	switch {
	case p.AbsoluteLifetime == 0:
		return "Families of this client have no absolute end any more, unless the login sets one."
	case f.ExpiresAt.Before(f.IssuedAt().Add(p.AbsoluteLifetime.Duration())):
		return fmt.Sprintf("Families of this client may last for %s now; this one was issued with less, by the policy of its time or by the login.", age(p.AbsoluteLifetime.Duration()))
	case p.AbsoluteLifetime < MaxLifetime:
		return "Raise absolute_lifetime if sessions are to last longer."
	default:
		return "No absolute_lifetime is longer; 0 is none."
	}
}

// limitSummary returns by which rule the limit ended f, and of how many families.
func limitSummary(f *Family, p *Policy) string {
	had := "more active families"
	if f.Revoked.Active > 0 {
		had = fmt.Sprintf("%d active families", f.Revoked.Active)
	}
	as := "one of the oldest: it was issued on " + stamp(f.IssuedAt())
	switch {
	case f.Revoked.Evict == LeastRecentlyUsed && f.Pending() && f.Origin.Kind.Foreign():
		as = fmt.Sprintf("one of the least recently used: it was %s on %s, and not used since", f.Origin.Kind, stamp(f.LastUsedAt))
	case f.Revoked.Evict == LeastRecentlyUsed:
		as = "one of the least recently used: that was last on " + stamp(f.LastUsedAt)
	}
	return fmt.Sprintf("The user had %s in client %s, more than its max_active allows (%d): on %s this one was ended as %s.",
		had, f.ClientID, p.MaxActive, stamp(f.Revoked.At), as)
}

// maxLostResponseAge is the longest time after its rotation at which the previous token is
// presented if a response was lost or could not be saved.
const maxLostResponseAge = time.Hour

// reuseAdvice returns what the reuse of token n of f, superseded for so long, may mean, and
// what to change in each case. A reuse shows that a token was used twice, but not by whom. So
// the advice names every possible cause, and each setting that would help and is not in force.
func reuseAdvice(f *Family, n uint32, after time.Duration, p *Policy) string {
	pred := f.predecessor()
	previous := "The previous token"
	if n == 0 {
		previous = "The other provider's token"
	}
	var says []string
	switch {
	case n > pred:
		says = append(says, "The token was passed over, because its predecessor came back first: so two holders refresh this session, and each has a token that the other has not. "+
			"They are two programs with a copy each, or one of them is a thief.")
	case n == pred && f.Held == f.Counter:
		says = append(says, previous+" came back although its successor had been used: either the application uses a new token but fails to save it, "+
			"or two holders have a copy each (two programs, a restored backup, or a thief). Save the new token before using it.")
	case n == pred:
		says = append(says, previous+" came back: a response was lost, or its token could not be saved and the application tried again with the old one; "+
			"or two holders have a copy each (two programs, a restored backup, or a thief). Save the new token before using it.")
		if cover := SecondsToCover(after); after < maxLostResponseAge && cover > p.ReuseInterval && cover <= MaxReuseInterval {
			says = append(says, fmt.Sprintf("A reuse_interval of %d seconds would have covered this (it is %d).", cover, p.ReuseInterval))
		}
		if p.LostResponse != UntilUsed {
			says = append(says, "lost_response \"until_used\" forgives a lost response however late.")
		}
		if p.DPoP == DPoPOff {
			says = append(says, "If the application can have a key, policy.dpop \"allowed\" binds its sessions to it: then no token that comes with the key is reuse.")
		}
	case n == 0:
		says = append(says, "The other provider's token came back after tokens of ours had been used: a copy of it lives outside the code that rotates "+
			"(where the old SDK kept it, in a second store, on another device), or it was stolen. Delete it as soon as the first token of ours is saved.")
	case n == 1:
		says = append(says, "The first token, the one of the login, came back after later ones had been used: a copy of it lives outside the code that rotates "+
			"(saved at the login, in an environment variable, in a second store), or it was stolen. Find who keeps the token of the login and never replaces it.")
	default:
		says = append(says, "A token of several rotations ago came back: two holders refresh the same session (two programs or machines, a restored backup, or a thief). "+
			"Let one of them refresh and the others read what it saved.")
	}
	if copies := p.copiesInterval(); p.ReuseInterval < copies && after < copies.Duration() {
		says = append(says, fmt.Sprintf("If several programs are meant to hold a copy each, and refresh when their own access token expires, "+
			"a reuse_interval of two access token lifetimes, %d seconds, keeps them alive (preset \"copies\"). The price: theft is found that much later.", copies))
	}
	return strings.Join(says, " ")
}

// copiesInterval returns a reuse interval with which programs that hold a copy of one
// token each, and refresh when their own access token expires, do not log each other
// out. Each of them refreshes within an access token's lifetime of every rotation, and
// the interval leaves as long again for a late start or a retry.
func (p *Policy) copiesInterval() Seconds {
	return min(2*p.AccessTokenLifetime, MaxReuseInterval)
}

// SecondsToCover returns the smallest reuse interval within which a token superseded
// that long ago is still good.
func SecondsToCover(age time.Duration) Seconds { return Seconds(age/time.Second) + 1 }

// Recommendation is a reuse interval for a client, derived from the reuse that it saw.
type Recommendation struct {
	ReuseInterval Seconds `json:"reuse_interval"`
	WouldHaveKept int     `json:"would_have_kept"` // families that it would have kept alive
	Of            int     `json:"of"`              // families that were ended for reuse
}

// Recommend returns the smallest customary interval that would have covered nineteen
// in twenty of the lost responses. ages are those of the lost responses, that is of
// reuse of the previous token within an hour; no interval should cover other reuse.
// all is the number of reuses of any kind. The interval is never below the present one.
func Recommend(present Seconds, ages []time.Duration, all int) Recommendation {
	kept := func(interval Seconds) int {
		n := 0
		for _, a := range ages {
			if a < interval.Duration() {
				n++
			}
		}
		return n
	}
	enough := int(math.Ceil(float64(len(ages)) * 0.95))
	best := present
	for _, interval := range [...]Seconds{10, 30, 60, 120, 300, 600, 1800, 3600} {
		if kept(best) >= enough {
			break
		}
		best = max(best, interval)
	}
	return Recommendation{ReuseInterval: best, WouldHaveKept: kept(best), Of: all}
}

// LostResponseLikely reports whether a reuse looks like a lost response: it was of the refresh
// token before the newest, within an hour. origin is set if that was the family's number 0, which
// may be another provider's refresh token.
func LostResponseLikely(origin OriginKind, token, newest uint32, after time.Duration) bool {
	return (token > 0 || origin.Foreign()) && newest-token == 1 && after < maxLostResponseAge
}

func endsIn(f *Family, p *Policy) string {
	end := f.End(p)
	if end.IsZero() {
		return "The family has no end."
	}
	if end.Equal(f.ExpiresAt) {
		return fmt.Sprintf("The family ends on %s, used or not.", stamp(end))
	}
	return fmt.Sprintf("The family ends on %s if it is not used before.", stamp(end))
}

// superseded returns when a token was superseded. Of one that is older than the predecessor,
// the record knows only that it was before the last rotation, which was d ago.
func superseded(d time.Duration, older bool) string {
	if older {
		return "before the last rotation, which was " + age(d) + " ago"
	}
	return age(d) + " ago"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// age returns a duration as people say it, in at most two units.
func age(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	units := []struct {
		name string
		d    time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	var parts []string
	for _, u := range units {
		if n := d / u.d; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.d
		}
	}
	if len(parts) > 2 {
		parts = parts[:2]
	}
	return strings.Join(parts, " ")
}
