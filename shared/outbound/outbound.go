// Package outbound makes requests to addresses that a client's settings name: the keys of
// issuers, and the token endpoints of other providers. They must not lead into the network in
// which Rotor runs.
package outbound

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// MaxURL limits an address, in bytes.
const MaxURL = 512

// public refuses addresses that are not in the public internet: private, loopback,
// link-local, shared and multicast ones, documentation, and every form of IPv6 that wraps
// an address of IPv4.
var public = ssrf.New(ssrf.WithAnyPort())

// orLoopback refuses what public refuses, except loopback.
var orLoopback = ssrf.New(ssrf.WithAnyPort(),
	ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("127.0.0.0/8")),
	ssrf.WithAllowedV6Prefixes(netip.MustParsePrefix("::1/128")))

// NewClient returns an HTTP client that connects to public addresses alone, or with loopback
// also to those. The address is checked when the connection is made, so that a name cannot
// resolve to one address when it is checked and to another when it is used. Proxies are not
// used: the address would be theirs. The timeout limits a request, from the look-up of the
// host's name to the last byte of the answer. Redirects are not followed.
func NewClient(loopback bool, timeout time.Duration) *http.Client {
	guard := public
	if loopback {
		guard = orLoopback
	}
	dialer := &net.Dialer{Control: guard.Safe}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext,
			DisableKeepAlives:      true, // a connection would not live until the next request
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 * 1024,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// CheckURL returns what an address must be, "" if it is right. It must be https. With loopback,
// it may also be an address of this machine, and plain http there.
func CheckURL(s string, loopback bool) string {
	const want = "an https URL with a host, and without user and fragment"
	if len(s) > MaxURL {
		return fmt.Sprintf("at most %d bytes long", MaxURL)
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || strings.Contains(s, "#") || u.String() != s {
		return want
	}
	local := loopback && isLoopback(u.Hostname())
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !local):
		return want
	case !local && refusesHost(u.Hostname()):
		return want + ", in the public internet"
	}
	return ""
}

// refusesHost reports whether a host is an address that is never connected to. A name may
// still resolve to one.
func refusesHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && public.SafeAddr(ip) != nil
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback() && !ip.Is4In6()
}
