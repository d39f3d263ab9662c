package command

import (
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// cautions returns what a change of a client makes unsafe, before is nil for a new one. The
// service warns too, and of more, but only when the change is made.
func cautions(before, after *manage.Registration, now time.Time) []manage.FieldError {
	if before == nil {
		before = &manage.Registration{Policy: manage.Policy{Rotation: true, AbsoluteLifetime: 1}}
	}
	var all []manage.FieldError
	add := func(unsafe bool, field, format string, args ...any) {
		if unsafe {
			all = append(all, manage.FieldError{Field: field, Detail: fmt.Sprintf(format, args...)})
		}
	}
	was, is := &before.Policy, &after.Policy
	endless := func(p *manage.Policy) bool { return p.AbsoluteLifetime == 0 && p.IdleLifetime == 0 }
	observing := func(p *manage.Policy) bool { return p.ReuseDetection == "observe" && now.Before(p.ObserveUntil) }
	add(before.Type == "confidential" && after.Type == "public", "type",
		"the client becomes public: its secrets (%d) are deleted, and its refresh tokens work without one", len(before.Secrets))
	add(was.Rotation && !is.Rotation, "policy.rotation",
		"the refresh token stays the same, so that a stolen copy is never detected")
	add(was.LostResponse != "until_used" && is.LostResponse == "until_used", "policy.lost_response",
		"a superseded token is forgiven at any age while its successor is unused")
	add(!endless(was) && endless(is), "policy.absolute_lifetime",
		"there is neither an absolute nor an idle lifetime: a stolen token works until it is revoked")
	add(observing(is) && (!observing(was) || is.ObserveUntil.After(was.ObserveUntil)), "policy.reuse_detection",
		"until %s reuse is recorded but stops nobody: a thief can go on using a stolen token", moment(is.ObserveUntil))
	add(!before.MayIntrospect && after.MayIntrospect, "may_introspect",
		"the client can find out of every client's access tokens whether they are active, and whose they are")
	add(!before.MayForward && after.MayForward, "may_forward",
		"what the client reports as its users' addresses is believed: who has its secret can claim any address")
	add(trustsMore(before.TrustedIssuers, after.TrustedIssuers), "trusted_issuers",
		"whoever has a key of these issuers can log in as any of their users")
	add(addsKeys(before, after), "jwks",
		"whoever has one of the private keys can authenticate as the client")
	add(after.Adopt != nil && providerText(before.Adopt) != providerText(after.Adopt), "adopt",
		"whom this token endpoint names is logged in as that user, and the client's unknown tokens are sent there")
	add(before.Transport == "cookie" && after.Transport != "cookie", "transport",
		"refresh tokens are within reach of scripts, and the sessions that are in cookies are over for their pages")
	add(after.NotBefore.Before(before.NotBefore), "not_before",
		"it was %s: families issued between the two times live again", moment(before.NotBefore))
	return all
}

// warn writes warnings about a client, unless they are told already.
func (e *env) warn(c *clientChange) {
	for _, w := range c.Warnings {
		if !c.told[w.Field] {
			e.io.Errorf("%s %s\n", e.io.PaintErr(terminal.Yellow, "warning:"), terminal.Inert(c.ClientID+": "+w.Detail))
		}
		c.told[w.Field] = true
	}
}
