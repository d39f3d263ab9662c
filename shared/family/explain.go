package family

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// State says what a refresh with a token would come to.
type State string

const (
	Valid                State = "valid"
	ValidInReuseInterval State = "valid_in_reuse_interval"
	DeadToken            State = "dead"
)

// Superseded is of a token that would be taken for reuse if it were presented:
// its family lives, and would end.
const Superseded Cause = "superseded"

// Explanation is why a token works or does not, for people.
type Explanation struct {
	Verdict State
	Cause   Cause  // of a dead token
	Summary string // one sentence, with the numbers
	Advice  string // what to change
}

// Explain is the story of the token numbered n as client asks for it at now; f
// is nil where there is no record, and issued then the time the token bears.
func Explain(f *Family, p *Policy, issued time.Time, a Attempt) Explanation {
	if f == nil {
		return Explanation{
			Verdict: DeadToken, Cause: Purged,
			Summary: fmt.Sprintf("We issued this on %s, and its record is gone: families are forgotten some time after their end.", stamp(issued)),
			Advice:  "The user must log in again. Look for the family in the log lines of its time; a longer retention keeps records for longer.",
		}
	}
	v := Decide(f, p, a)
	switch v.Kind {
	case Current, Ours:
		return Explanation{
			Verdict: Valid,
			Summary: fmt.Sprintf("This is token %d, the newest of a family issued on %s; it was last used %s ago%s.",
				a.Counter, stamp(f.IssuedAt()), age(a.Now.Sub(f.LastUsedAt)), endsIn(f, p)),
			Advice: "Nothing is wrong with it.",
		}
	case Newest, Observed:
		return Explanation{
			Verdict: ValidInReuseInterval,
			Summary: fmt.Sprintf("This is token %d, superseded %s ago by token %d; within the reuse interval of %s it still gets the newest, %d.",
				a.Counter, age(v.Age), a.Counter+1, age(p.ReuseInterval.Duration()), f.Counter),
			Advice: "This is harmless: two tabs or a retry. Save the refresh token of each response before using its access token.",
		}
	case Skip:
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
		return explainRefused(f, a, v)
	case Reuse:
		return Explanation{
			Verdict: DeadToken, Cause: Superseded,
			Summary: fmt.Sprintf("This is token %d, superseded %s ago; the newest is %d. The family lives, but presenting this token would revoke it.",
				a.Counter, since(v.Age, v.AgeAtLeast), f.Counter),
			Advice: copyAdvice(f.Counter, a.Counter, v.Age, p),
		}
	case Dead:
		return explainDead(f, p, a, v.Cause)
	default:
		return Explanation{Verdict: DeadToken, Summary: "The record says nothing that explains this token.", Advice: "Report this as a defect of Rotor."}
	}
}

func explainRefused(f *Family, a Attempt, v Verdict) Explanation {
	e := Explanation{Verdict: DeadToken, Cause: v.Cause}
	if v.Cause == TooOld {
		e.Summary = fmt.Sprintf("This is token %d, superseded more than %d rotations ago; the newest is %d. It is no longer honoured, but the family lives.",
			a.Counter, KnownRotations, f.Counter)
		e.Advice = "Something refreshes very often, or holds on to old tokens: share one token source within a process, and between processes that share a session."
		return e
	}
	e.Summary = "This token has the largest number there is, and can have no successor."
	e.Advice = "The user must log in again."
	return e
}

func explainDead(f *Family, p *Policy, a Attempt, cause Cause) Explanation {
	e := Explanation{Verdict: DeadToken, Cause: cause}
	switch cause {
	case WrongClient:
		e.Summary = fmt.Sprintf("It was issued to client %s, but %s presented it.", f.ClientID, a.ClientID)
		e.Advice = "Send it with the client_id that it was issued to. The family is untouched."
	case ExpiredAbsolute:
		e.Summary = fmt.Sprintf("The user logged in on %s, and the absolute lifetime of %s ended on %s, whatever was refreshed since (last on %s).",
			stamp(f.IssuedAt()), age(f.ExpiresAt.Sub(f.IssuedAt())), stamp(f.ExpiresAt), stamp(f.LastUsedAt))
		e.Advice = "This is the end that was set at the login: refreshing does not extend it. Let the user log in again; raise absolute_lifetime if sessions are to last longer."
	case ExpiredIdle:
		e.Summary = fmt.Sprintf("It was last used on %s, and the idle lifetime of %s ended on %s.",
			stamp(f.LastUsedAt), age(p.IdleLifetime.Duration()), stamp(f.IdleEnd(p)))
		e.Advice = "The application was not used for that long. Let the user log in again; raise idle_lifetime if users come back later than that."
	case ReuseDetected:
		r := f.Revoked
		e.Summary = fmt.Sprintf("The family was revoked on %s: token %d was presented again %s after it had been superseded, outside the reuse interval; the newest was %d.",
			stamp(r.At), r.TokenCounter, age(r.ReuseAge), f.Counter)
		e.Advice = copyAdvice(f.Counter, r.TokenCounter, r.ReuseAge, p)
	case LimitExceeded:
		e.Summary = fmt.Sprintf("The user had more than the %d active families that an application may have, and this, issued on %s, was among the oldest: it was ended on %s.",
			p.MaxActive, stamp(f.IssuedAt()), stamp(f.Revoked.At))
		e.Advice = "Something logs in again and again instead of refreshing (a test, a health check, a script that forgets its token): keep its refresh token, or revoke it when done. The resource_cleanup event names all that were ended. max_active can be raised."
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

// lostResponse is how long after its rotation the previous token comes back, at
// most, when a response was lost or could not be saved; later, it is a copy.
const lostResponse = time.Hour

// copyAdvice reads the evidence of a reuse: which token, how late.
func copyAdvice(newest, reused uint32, after time.Duration, p *Policy) string {
	switch back := newest - reused; {
	case back == 1 && after < lostResponse:
		saved := SecondsToCover(after)
		return fmt.Sprintf("The previous token came back: a response was lost or its token could not be saved, and the application tried again with the old one. "+
			"A reuse_interval of %d seconds would have saved it (it is %d). Save the new token before using it; lost_response \"until_used\" forgives this however late.",
			saved, p.ReuseInterval)
	case reused == 1 && newest > 2:
		return "The first token, the one of the login, came back after later ones had been used: a copy of it lives outside the code that rotates (saved at login, in an environment variable, in a second store). " +
			"Find who keeps the token of the login and never replaces it. If nobody does, it was stolen."
	case back == 1:
		return "The previous token came back long after its successor was issued: a process that slept, an old device backup, or a thief. " +
			"lost_response \"until_used\" gives such a token a new successor if its own was never used."
	default:
		return "A token of several rotations ago came back: more than one holder refreshes the same session (two processes, two machines, a restored backup). " +
			"Let one of them refresh and the others read what it saved; if there is only one, it was stolen."
	}
}

// SecondsToCover is the smallest reuse interval that honours a token superseded
// that long ago.
func SecondsToCover(age time.Duration) Seconds { return Seconds(age/time.Second) + 1 }

// Recommendation is a reuse interval for a client, from the reuse that it saw.
type Recommendation struct {
	ReuseInterval Seconds `json:"reuse_interval"`
	WouldHaveKept int     `json:"would_have_kept"` // families that it would have kept alive
	Of            int     `json:"of"`              // families that were ended for reuse
}

// Recommend gives the smallest customary interval that would have saved nineteen
// in twenty of the lost responses: reuse of the previous token within an hour.
// Other reuse no interval should forgive. ages are of lost responses, all is how
// many reuses there were; the interval is never below the present one.
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

// LostResponseLikely says whether a reuse looks like a lost response: the token before
// the newest, within an hour.
func LostResponseLikely(token, newest uint32, after time.Duration) bool {
	return newest-token == 1 && after < lostResponse
}

func endsIn(f *Family, p *Policy) string {
	end := f.End(p)
	if end.IsZero() {
		return ", and it has no end"
	}
	text := fmt.Sprintf(", and ends on %s if it is not used before", stamp(end))
	if end.Equal(f.ExpiresAt) {
		text += " or then in any case"
	}
	return text
}

func since(d time.Duration, atLeast bool) string {
	if atLeast {
		return "at least " + age(d)
	}
	return age(d)
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// age is a duration as people say it, in at most two units.
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
