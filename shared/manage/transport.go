package manage

import (
	"strconv"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// The members of a client that say how its refresh tokens travel, and their values.
const (
	transportField = "transport"
	inBody         = "body"
	inCookie       = "cookie"

	sameSiteField = "cookie_same_site"
	strictCookie  = "strict"
	laxCookie     = "lax"

	deviceBoundField = "device_bound"
)

// minCookieInterval is the shortest reuse interval of a cookie client. An answer that is late by no more than the
// interval overwrites no newer token, and API Gateway waits for 30 s.
const minCookieInterval family.Seconds = 60

// transport checks these members of PUT /v1/clients/{client_id}, and sets them in the client.
func (in *input) transport(body *newClient, c *store.Client) {
	switch body.transport {
	case "", inBody:
	case inCookie:
		c.Cookie = true
	default:
		in.wrong(transportField, strconv.Quote(session.Cut(body.transport, 32)), `"body" or "cookie"`)
		return
	}
	switch body.cookieSameSite {
	case "", strictCookie:
	case laxCookie:
		c.CookieLax = true
	default:
		in.wrong(sameSiteField, strconv.Quote(session.Cut(body.cookieSameSite, 32)), `"strict" or "lax"`)
	}
	c.DeviceBound = body.deviceBound
	if c.DeviceBound && !c.Cookie {
		in.wrong(deviceBoundField, "true", `false unless transport is "cookie": browsers bind cookies alone`)
	}
	if c.DeviceBound && c.Policy.DPoP == family.DPoPRequired {
		in.wrong(deviceBoundField, "true", `false where policy.dpop is "required": a session is bound to one key`)
	}
	if !c.Cookie {
		if body.cookieSameSite != "" {
			in.wrong(sameSiteField, strconv.Quote(body.cookieSameSite), `left out unless transport is "cookie"`)
		}
		return
	}
	if c.Confidential {
		in.wrong(transportField, strconv.Quote(inCookie), `"body" for a confidential client: a server keeps its tokens itself`)
	}
	if c.Policy.ReuseInterval < minCookieInterval {
		in.wrong("policy.reuse_interval", strconv.FormatInt(int64(c.Policy.ReuseInterval), 10),
			`at least 60 with the transport "cookie": an answer that arrives late sets the cookie to a token that must still be good`)
	}
}

// showTransport returns these members of a client, which are "" for one without cookies.
func showTransport(c *store.Client) (transport, sameSite string) {
	switch {
	case !c.Cookie:
		return "", ""
	case c.CookieLax:
		return inCookie, laxCookie
	}
	return inCookie, strictCookie
}
