package assertion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"code.dny.dev/ssrf"
	"github.com/go-jose/go-jose/v4"
)

// DefaultTimeout limits one fetch of keys, from the look-up of the host's name to the last
// byte.
const DefaultTimeout = 3 * time.Second

// fetcher fetches JWK Sets.
type fetcher struct{ client *http.Client }

// public refuses addresses that are not in the public internet: private, loopback,
// link-local, shared and multicast ones, documentation, and every form of IPv6 that wraps
// an address of IPv4.
var public = ssrf.New(ssrf.WithAnyPort())

// orLoopback refuses what public refuses, except loopback.
var orLoopback = ssrf.New(ssrf.WithAnyPort(),
	ssrf.WithAllowedV4Prefixes(netip.MustParsePrefix("127.0.0.0/8")),
	ssrf.WithAllowedV6Prefixes(netip.MustParsePrefix("::1/128")))

// newFetcher returns a fetcher that connects to public addresses alone, or with loopback
// also to those. The address is checked when the connection is made, so that a name cannot
// resolve to one address when it is checked and to another when it is used. Proxies are not
// used: the address would be theirs.
func newFetcher(loopback bool, timeout time.Duration) *fetcher {
	guard := public
	if loopback {
		guard = orLoopback
	}
	dialer := &net.Dialer{Control: guard.Safe}
	return &fetcher{client: &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext,
			DisableKeepAlives:      true, // a connection would not live until the next fetch
			DisableCompression:     true,
			MaxResponseHeaderBytes: 16 * 1024,
		},
		// A redirect is an answer that is not 200, and so an error.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// fetch fetches the keys at an address that Check has accepted.
func (f *fetcher) fetch(ctx context.Context, uri string) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	req.Header.Set("User-Agent", "Rotor")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSetSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxSetSize:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxSetSize)
	}
	keys, err := parsePublished(body)
	if err != nil {
		return nil, errors.New("the answer: " + err.Error())
	}
	return keys, nil
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
