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

// HeaderError is returned for a forwarding header that is not what it must be.
type HeaderError struct{ Header, Value, Want string }

func (e *HeaderError) Error() string { return e.Header + " must be " + e.Want }

// ForwardedCaller returns the address and user agent in the request's forwarding headers,
// in the form that records keep. A header without a value counts as left out. The error
// is a [HeaderError].
func ForwardedCaller(r *http.Request) (session.Caller, error) {
	var c session.Caller
	if text := strings.Join(r.Header.Values(ClientIPHeader), ", "); text != "" { // a repeated header is not one address
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return session.Caller{}, &HeaderError{ClientIPHeader, text, "one IPv4 or IPv6 address"}
		}
		c.IP = ip.Unmap().String()
	}
	agents := r.Header.Values(ClientAgentHeader)
	if len(agents) > 1 {
		return session.Caller{}, &HeaderError{ClientAgentHeader, strings.Join(agents, ", "), "given once"}
	}
	c.UserAgent = userAgent(strings.Join(agents, ""))
	return c, nil
}
