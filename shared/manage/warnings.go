package manage

import (
	"fmt"
	"slices"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// warning is about a setting of a client that is allowed but makes it less safe.
type warning struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// longLifetime is the longest reuse interval, and the longest lifetime of an access token,
// without a warning.
const longLifetime family.Seconds = 4 * 3600

// warnings returns a warning for each setting that makes the client less safe, and says how.
// before is the client that c replaces, nil if there was none.
func warnings(before, c *store.Client, now time.Time) []warning {
	if before == nil {
		before = c
	}
	var all []warning
	add := func(unsafe bool, field, format string, args ...any) {
		if unsafe {
			all = append(all, warning{field, fmt.Sprintf(format, args...)})
		}
	}
	p := &c.Policy
	forgives := p.LostResponse == family.UntilUsed
	add(before.Confidential && !c.Confidential, "type",
		"the client was confidential: its secrets are gone, and whoever has one of its refresh tokens can now use it without a secret")
	add(c.Confidential && before.Keys.Any() && !c.Keys.Any() && len(c.Secrets) == 0, "jwks",
		"its keys are gone, and it has no secret: nobody can authenticate as this client")
	add(!p.Rotation && (c.Confidential || p.DPoP != family.DPoPRequired), "policy.rotation",
		"the refresh token stays the same, so that a stolen copy is never detected")
	add(before.Policy.DPoP == family.DPoPRequired && p.DPoP == family.DPoPAllowed, "policy.dpop",
		`it was "required": a family that begins without a proof is bound to no key now, and a stolen token of it works. Families that are bound stay so`)
	add(before.Policy.DPoP != family.DPoPOff && p.DPoP == family.DPoPOff, "policy.dpop",
		"it was %q: no family that begins from now on is bound to a key, and a stolen token of it works. Families that are bound stay so", before.Policy.DPoP)
	add(p.ReuseInterval > longLifetime, "policy.reuse_interval",
		"a family rotates once in %d s, and for as long a copy of a superseded token gets the newest: a thief looks like a second tab", p.ReuseInterval)
	add(forgives && p.ReuseInterval == 0, "policy.lost_response",
		`"until_used" undoes what a reuse_interval of 0 is for: a stolen token is forgiven at any age while its successor is unused; `+
			`and of two requests at once the second makes the first one's token reuse. Set an interval, or "revoke"`)
	add(forgives && p.ReuseInterval > 0, "policy.lost_response",
		"a superseded token is forgiven at any age while its successor is unused: a thief who presents it is detected at the owner's next refresh, if there is one")
	add(p.AbsoluteLifetime == 0 && p.IdleLifetime == 0, "policy.absolute_lifetime",
		"there is neither an absolute nor an idle lifetime: a token that was stolen, or forgotten on a device, works until it is revoked")
	add(p.AccessTokenLifetime > longLifetime, "policy.access_token_lifetime",
		"an access token cannot be recalled where it is checked by its signature alone: it works for up to %d s after a logout or a theft", p.AccessTokenLifetime)
	add(p.Observing(now), "policy.reuse_detection",
		"until %s reuse is recorded but stops nobody: a thief can go on using a stolen token", p.ObserveUntil.Format(time.RFC3339))
	add(p.NotBefore.Before(before.Policy.NotBefore), "not_before",
		"it was %s: families issued after the new and before the old time live again, unless they have ended for another reason", before.Policy.NotBefore.Format(time.RFC3339Nano))
	add(c.MayIntrospect, "may_introspect",
		"the client can find out of every client's access tokens whether they are active, and whose they are")
	add(c.MayForward, "may_forward",
		"what the client reports as its users' addresses is believed: whoever has its secret can claim any address")
	add(before.Cookie && !c.Cookie, transportField,
		"refresh tokens are in bodies now, within reach of scripts; and sessions that are in cookies are over for their pages, which cannot read them")
	add(before.DeviceBound && !c.DeviceBound && c.Cookie, deviceBoundField,
		"sessions that begin from now on are not bound to the browser's device, so that a stolen cookie works elsewhere; those that are bound stay so")
	add(c.AcceptsImported != nil && *c.AcceptsImported == foreign.Shape{}, acceptsField,
		"any text may be a token of the other provider, so that each that is made up is looked for in the table: say how the tokens begin, or how long they are")
	for _, uris := range []struct {
		field string
		all   []string
	}{{"redirect_uris", c.RedirectURIs}, {"post_logout_redirect_uris", c.PostLogoutRedirectURIs}} {
		add(slices.ContainsFunc(uris.all, session.NamesLocalhost), uris.field,
			"localhost may lead to another machine or be heard by another program: register 127.0.0.1 or [::1], whose port is free (RFC 8252 section 8.3)")
	}
	for n := range c.TrustedIssuers {
		i := &c.TrustedIssuers[n]
		add(i.UserPrefix == "", fmt.Sprintf("%s[%d].user_prefix", issuersField, n),
			"whoever the issuer names is the user of that id here, also one who logs in another way: only an issuer that gives out the ids of your users may do that")
		add(i.Reassignable(), fmt.Sprintf("%s[%d].user_claim", issuersField, n),
			"the values of %q change and pass from one user to another, and not every issuer verifies them: who gets such a value gets that user's families", i.UserClaim)
	}
	if p := c.Adopt; p != nil {
		i := assertion.Issuer{UserClaim: p.User.Claim}
		add(i.Reassignable(), adoptField+".user.claim",
			"the values of %q change and pass from one user to another: who gets such a value gets that user's families", p.User.Claim)
		add(p.Repeatable, adoptField+".repeatable",
			"a token whose exchange had no answer is exchanged again: if the provider rotates its tokens, it takes that for reuse, and may end the user's sessions there")
	}
	return all
}
