package web

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/rotor-auth/rotor/shared/session"
)

// CallerOf returns the sender of a request, by its connection.
func CallerOf(r *http.Request) session.Caller {
	c := session.Caller{RequestID: session.RequestID(r.Context()), By: session.Principal(r.Context())}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.IP = ap.Addr().Unmap().WithZone("").String()
	} else if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil { // API Gateway gives no port
		c.IP = ip.Unmap().WithZone("").String()
	}
	c.UserAgent = userAgent(r.UserAgent())
	return c
}

// userAgent returns a user agent in the form that records keep.
func userAgent(s string) string { return session.Describe(strings.ToValidUTF8(s, "?")) }

// Headers in which a backend reports the user on whose behalf it calls. Those of proxies,
// such as X-Forwarded-For, are ignored, since a part of them can come from anybody.
const (
	ClientIPHeader    = "Rotor-Client-Ip"
	ClientAgentHeader = "Rotor-Client-User-Agent"
)

// AddressError is returned for a [ClientIPHeader] that is not one address.
type AddressError struct{ Value string }

func (e *AddressError) Error() string { return ClientIPHeader + " must be one IPv4 or IPv6 address" }

// ForwardedCaller returns the address and user agent in the request's forwarding headers,
// in the form that records keep. A header without a value counts as left out. The error
// is an [AddressError].
func ForwardedCaller(r *http.Request) (session.Caller, error) {
	var c session.Caller
	if text := strings.Join(r.Header.Values(ClientIPHeader), ", "); text != "" { // a repeated header is not one address
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return session.Caller{}, &AddressError{text}
		}
		c.IP = ip.Unmap().String()
	}
	c.UserAgent = userAgent(strings.Join(r.Header.Values(ClientAgentHeader), ", "))
	return c, nil
}
