package api

import (
	"cmp"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// The headers in which a backend tells whom it speaks for. A proxy's own, such as
// X-Forwarded-For, are not looked at: anybody can have sent a part of those.
const (
	clientIPHeader    = "Rotor-Client-Ip"
	clientAgentHeader = "Rotor-Client-User-Agent"
)

// endUser returns who is behind a request of the client, which has authenticated.
// One that may forward is believed: what it does not tell of its user is not known,
// and what it tells is marked with the address that it came from. Of others only
// that they told something is kept.
func endUser(r *http.Request, client *store.Client) (caller, error) {
	c := callerOf(r)
	if !client.Confidential || !client.MayForward {
		c.forwardIgnored = forwards(r.Header)
		return c, nil
	}
	user, err := toldBy(r)
	if err != nil {
		return caller{}, invalidRequest(clientIPHeader + " must be one IPv4 or IPv6 address.")
	}
	if user == (caller{}) {
		return c, nil
	}
	user.requestID, user.forwardedBy = c.requestID, cmp.Or(c.ip, "unknown")
	return user, nil
}

// forwards reports whether the header tells anything of another caller.
func forwards(h http.Header) bool {
	return h.Get(clientIPHeader) != "" || h.Get(clientAgentHeader) != ""
}

// toldBy returns the address and the agent that a request tells, cut to what the
// records keep. A header without a value counts as left out; its error names the
// address, where it is none.
func toldBy(r *http.Request) (caller, error) {
	var c caller
	if text := strings.Join(r.Header.Values(clientIPHeader), ", "); text != "" { // one that is repeated is none
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return caller{}, fieldErrors{&family.FieldError{Field: clientIPHeader, Value: strconv.Quote(cut(text, 64)), Want: "one IPv4 or IPv6 address"}}
		}
		c.ip = ip.Unmap().String()
	}
	c.userAgent = keptAgent(strings.Join(r.Header.Values(clientAgentHeader), ", "))
	return c, nil
}

// asksToForward reports whether a page asks, by its preflight, to tell of a caller.
// It may not: what a page says of where it is would be its own word.
func asksToForward(r *http.Request) bool {
	asked := strings.ToLower(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","))
	return r.Method == http.MethodOptions && (strings.Contains(asked, strings.ToLower(clientIPHeader)) || strings.Contains(asked, strings.ToLower(clientAgentHeader)))
}
