package assertion

import (
	"time"

	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

// claims are the claims of an assertion.
type claims struct {
	issuer               string
	audience             []string
	expiry, before, made *jwt.NumericDate
	all                  map[string]json.RawMessage
}

// readClaims reads the claims. go-jose's JSON knows names by their exact spelling and
// refuses repeated ones.
func readClaims(payload []byte) (claims, error) {
	var registered jwt.Claims
	var all map[string]json.RawMessage
	if err := json.Unmarshal(payload, &registered); err != nil {
		return claims{}, err
	}
	if err := json.Unmarshal(payload, &all); err != nil {
		return claims{}, err
	}
	return claims{
		issuer: registered.Issuer, audience: registered.Audience,
		expiry: registered.Expiry, before: registered.NotBefore, made: registered.IssuedAt, all: all,
	}, nil
}

// areOthers reports whether the claims are those of a JWT of another kind, whose header does
// not say so (RFC 8725 §3.12). An access token has been shown to others than the client: Entra's
// have an scp, Cognito's a token_use, and Keycloak's a typ. A logout token (OpenID Connect
// Back-Channel Logout §2.4) and any other security event (RFC 8417) have events.
func (c *claims) areOthers() bool {
	_, access := c.all["scp"]
	_, event := c.all["events"]
	_, used := c.all["token_use"]
	use, _ := c.text("token_use")
	kind, _ := c.text("typ")
	return access || event || used && use != "id" || kind == "Bearer" || kind == "Logout"
}

// checkTimes returns why the assertion is not good at now, "" if it is.
func (c *claims) checkTimes(maxAge time.Duration, now time.Time) Reason {
	switch {
	case c.expiry == nil:
		return NoExpiry
	case c.made == nil:
		return NoIssueTime
	case !now.Before(c.expiry.Time().Add(Skew)):
		return Expired
	case c.before != nil && c.before.Time().After(now.Add(Skew)), c.made.Time().After(now.Add(Skew)):
		return NotYetValid
	case !now.Before(c.made.Time().Add(maxAge + Skew)):
		return TooOld
	}
	return ""
}

// usableUntil returns the time from which checkTimes refuses the assertion with any
// permitted maxAge.
func (c *claims) usableUntil() time.Time {
	end := c.made.Time().Add(MaxMaxAge.Duration())
	if expiry := c.expiry.Time(); expiry.Before(end) {
		end = expiry
	}
	return end.Add(Skew).UTC()
}

// user returns the user's id, or why there is none.
func (c *claims) user(i *Issuer) (string, Reason) {
	name, ok := c.text(i.UserClaim)
	switch {
	case !ok || name == "":
		return "", NoUser
	case !isPrintable(name):
		return "", UserUnprintable
	case len(i.UserPrefix)+len(name) > MaxUserID:
		return "", UserTooLong
	}
	return i.UserPrefix + name, ""
}

// text returns a claim that is a string.
func (c *claims) text(name string) (string, bool) {
	raw, ok := c.all[name]
	if !ok || len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	ok = decode(raw, &s)
	return s, ok
}

// decode decodes raw into target and reports whether it could.
func decode(raw json.RawMessage, target any) bool { return json.Unmarshal(raw, target) == nil }

// authentication returns what the issuer says of the user's authentication. Claims of
// another type count as left out, and so does a time in the future.
func (c *claims) authentication(now time.Time) (at time.Time, acr string, amr []string) {
	var seconds jwt.NumericDate
	if raw, ok := c.all["auth_time"]; ok && decode(raw, &seconds) && seconds > 0 && !seconds.Time().After(now.Add(Skew)) {
		at = seconds.Time().UTC()
	}
	if s, ok := c.text("acr"); ok && isPrintable(s) {
		acr = s
	}
	var methods []string
	if raw, ok := c.all["amr"]; ok && decode(raw, &methods) {
		amr = methods
	}
	return at, acr, amr
}
