package web

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/rotor-auth/rotor/shared/session"
)

// CallerOf returns where a request came from.
func CallerOf(r *http.Request) session.Caller {
	c := session.Caller{RequestID: session.RequestID(r.Context()), By: session.Principal(r.Context())}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.IP = ap.Addr().Unmap().WithZone("").String()
	} else if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil { // API Gateway knows no port
		c.IP = ip.Unmap().WithZone("").String()
	}
	c.UserAgent = keptAgent(r.UserAgent())
	return c
}

// keptAgent returns what the records keep of a user agent.
func keptAgent(s string) string { return session.Describe(strings.ToValidUTF8(s, "?")) }

// The headers in which a backend tells whom it speaks for. A proxy's own, such as
// X-Forwarded-For, are not looked at: anybody can have sent a part of those.
const (
	ClientIPHeader    = "Rotor-Client-Ip"
	ClientAgentHeader = "Rotor-Client-User-Agent"
)

// AddressError is returned for a [ClientIPHeader] that is not one address.
type AddressError struct{ Value string }

func (e *AddressError) Error() string { return ClientIPHeader + " must be one IPv4 or IPv6 address" }

// ToldBy returns the address and the agent that a request tells, cut to what the
// records keep. A header without a value counts as left out; the error is an
// [AddressError].
func ToldBy(r *http.Request) (session.Caller, error) {
	var c session.Caller
	if text := strings.Join(r.Header.Values(ClientIPHeader), ", "); text != "" { // one that is repeated is none
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return session.Caller{}, &AddressError{text}
		}
		c.IP = ip.Unmap().String()
	}
	c.UserAgent = keptAgent(strings.Join(r.Header.Values(ClientAgentHeader), ", "))
	return c, nil
}
