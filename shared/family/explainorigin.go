package family

import "fmt"

// explainOrigin explains what a family was started from, given the verdict on its use.
func explainOrigin(f *Family, p *Policy, v Verdict) Explanation {
	issued := stamp(f.IssuedAt())
	if f.Origin.Kind.Foreign() {
		return explainForeign(f, p, v)
	}
	if f.Origin.Kind == Assertion {
		e := Explanation{
			Verdict: ValidInReuseInterval,
			Summary: fmt.Sprintf("This assertion started the family issued on %s, %s ago; within the reuse interval it still gets the family's token.", issued, age(v.Age)),
			Advice:  "This is harmless: a retry. Make a new assertion for each login.",
		}
		if v.Kind != Newest {
			e.Verdict, e.Cause = DeadToken, AssertionUsed
			e.Summary = fmt.Sprintf("This assertion started the family issued on %s, and an assertion starts one family. The family is untouched.", issued)
			e.Advice = "Make a new assertion for each login. To go on with the session, the application refreshes with the token that it got."
		}
		return e
	}
	e := Explanation{Verdict: DeadToken, Cause: v.Cause}
	switch {
	case v.Kind == Current:
		e.Verdict, e.Cause = Valid, ""
		e.Summary = fmt.Sprintf("This is the authorization code of a family issued on %s. It has not been exchanged, and can be until %s.", issued, stamp(f.Origin.Until))
		e.Advice = "Nothing is wrong with it. The client exchanges it at the token endpoint, with the code_verifier and the redirect_uri of its own request."
	case v.Kind == Reuse:
		e.Cause = CodeUsed
		e.Summary = fmt.Sprintf("This is the authorization code of a family issued on %s, exchanged %s ago. A code works once: the family lives, but presenting the code again would revoke it.", issued, age(v.Age))
		e.Advice = codeAdvice
	case v.Cause == CodeUsed:
		e.Summary = fmt.Sprintf("This is the authorization code of a family issued on %s, exchanged %s ago. A code works once: it is refused, and the family lives.", issued, age(v.Age))
		e.Advice = codeAdvice
	case v.Cause == WrongVerifier:
		e.Summary = fmt.Sprintf("This is the authorization code of a family issued on %s. It came with another code_verifier than its code_challenge asks for.", issued)
		e.Advice = "Two sign-ins of one client overwrote each other's verifier (two tabs), or somebody else presented the code. It can still be exchanged until " + stamp(f.Origin.Until) + "."
	default:
		e.Summary = fmt.Sprintf("This is the authorization code of a family issued on %s. It came with another redirect_uri than it was issued for.", issued)
		e.Advice = "Send the redirect_uri of the authorization request to the letter, and none if the code was delivered without one. It can still be exchanged until " + stamp(f.Origin.Until) + "."
	}
	return e
}

// codeAdvice is about a code that came a second time.
var codeAdvice = fmt.Sprintf("A page that is loaded again with the code in its address presents it again, and so does one that mounts twice: "+
	"remove the code from the address, and exchange it once. A code may also have leaked, by a log or a Referer header. "+
	"Up to %s after the exchange, with the right code_verifier, the family outlives it, and one that is bound to a key always does.", age(codeForgiven))

// explainCodeExpired completes the explanation of a family whose code was not exchanged in time.
func explainCodeExpired(f *Family, e *Explanation) {
	e.Summary = fmt.Sprintf("The login issued an authorization code on %s. It was not exchanged until %s, so the family never began.", stamp(f.IssuedAt()), stamp(f.Origin.Until))
	e.Advice = "The client did not call the token endpoint in time: the user closed the page, or the call failed. " +
		"Look for a feacft line of this family, which says what was wrong with a call. The user must log in again."
}

// explainCodeReused completes the explanation of a family that ended because its code came again.
func explainCodeReused(f *Family, e *Explanation) {
	e.Summary = fmt.Sprintf("The family was revoked on %s: its authorization code was presented again, %s after it had been exchanged.", stamp(f.Revoked.At), age(f.Revoked.ReuseAge))
	e.Advice = codeAdvice
}
