package manage

import (
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// explainClaim explains another provider's refresh token that Rotor was to adopt, and that has no
// family.
func explainClaim(c *store.Claim, now time.Time) explanation {
	asked := fmt.Sprintf("This is another provider's refresh token. Client %s presented it, and its provider was asked about it on %s UTC", c.ClientID, c.At.Format(time.DateTime))
	answer := explanation{Verdict: family.DeadToken, OriginToken: family.Adopted, Cause: c.Cause}
	switch {
	case c.Cause == family.AdoptionRefused:
		answer.Summary = asked + ", which said that it is not good."
		answer.Advice = "It was used there before, had expired or was revoked, or another client presented it. The log of that provider knows which. The user must log in again."
		if now.Before(c.Until) {
			answer.Advice += " The provider is asked again from " + c.Until.Format(time.DateTime) + " UTC on, or if another client presents the token."
		}
	case c.Cause == family.ClientNotBefore:
		answer.Summary = asked + ", which said that the user had logged in there before the client's not_before."
		answer.Advice = "This is meant: all users of the application must log in again."
	case c.Settled():
		lost, look := lostBy(c.Reason)
		answer.Summary = asked + ". It may have been spent there, and nobody knows: " + lost + "."
		answer.Advice = "The user must log in again. If this happens often, look " + look + " first. " +
			"Set adopt.repeatable of the client only if the provider lets a token be exchanged again: it does not rotate them, or forgives a second use for some time."
	case session.IsBeingAsked(c, now):
		answer.Verdict = family.Valid
		answer.Summary = asked + ". There is no answer yet."
		answer.Advice = "Ask again in half a minute. Until then the application gets 503, and should try again with the same token."
	default:
		answer.Cause = family.AdoptionLost
		answer.Summary = asked + ". Whoever asked did not write down what came of it: it may have been spent there, and nobody knows."
		answer.Advice = "At the next use the token is refused, and the user must log in again; or the provider is asked again, if adopt.repeatable of the client is true."
	}
	return answer
}

// explainUnasked explains a token that the client would adopt, and that nobody has presented.
func explainUnasked(client *store.Client) explanation {
	return explanation{
		Verdict: family.Valid, OriginToken: family.Adopted,
		Summary: "This is no token of ours. It may be a refresh token of the provider whose tokens client " + client.ID + " adopts; nothing that became of it is on record here.",
		Advice: "Whether it is good, only that provider knows. It is asked once the application sends the token to the token endpoint. " +
			"If the application gets 503, the log says why it could not be asked, in lines \"unavailable\".",
	}
}

// lostBy returns in words why nobody knows what became of a token, and where to look then.
func lostBy(reason string) (why, look string) {
	look = "at the provider"
	switch reason {
	case "nobody_settled_it":
		return "whoever asked did not write down what came of it", look
	case "no_answer":
		return "there was no answer, or none in time", look
	case "answer_cut":
		return "the answer was cut off", look
	case "provider_failed":
		return "the provider failed", look
	case "answer_too_large":
		return "the answer was too large", look
	default:
		return "the answer does not name the user as the client's adopt says (" + reason + ")", "at adopt.user and adopt.client_id of the client, and at what that provider answers,"
	}
}
