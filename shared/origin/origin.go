// Package origin says what a web origin is: what may be configured as one, how it is
// written, and which Origin header may call.
//
// An origin is written as browsers send it in the Origin header (RFC 6454 §6.2, and the
// HTML standard's "serialization of an origin"): scheme://host in lower case, and :port
// unless it is the scheme's default. The schemes are http, https and those of native
// webviews and extensions, such as capacitor and chrome-extension.
package origin

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// example is the origin that error messages show.
const example = "https://app.example.com"

var errNotOrigin = errors.New("a web origin as browsers send it, such as " + example)

// Parse returns the origin that a browser sends for a page at s. It accepts what a
// browser's own parser would rewrite (letter case, the scheme's default port, a slash at
// the end), and refuses anything that is more than an origin. Its error says what s must
// be and what to write instead, in words that follow "it must be".
//
// Parse refuses a host that is not ASCII. It does not check labels in Punycode.
func Parse(s string) (string, error) {
	p, err := parse(s)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// Of returns the origin of a URL, or "" if it has none.
func Of(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	o, err := Parse(u.Scheme + "://" + u.Host)
	if err != nil {
		return ""
	}
	return o
}

// parts are the parts of an origin as a browser writes them. port is "" for the scheme's
// default.
type parts struct{ scheme, host, port string }

func (p parts) String() string {
	if p.port == "" {
		return p.scheme + "://" + p.host
	}
	return p.scheme + "://" + p.host + ":" + p.port
}

func parse(s string) (parts, error) {
	if s == "null" {
		return parts{}, errors.New("the origin of somebody: null is sent by every sandboxed frame, data: URL and local file")
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return parts{}, errNotOrigin
	}
	scheme = strings.ToLower(scheme)
	switch scheme {
	case "file":
		return parts{}, errors.New("the origin of somebody: file:// is every file of a device. A webview can serve its files under a scheme of their own, such as capacitor://localhost")
	case "ws", "wss", "ftp", "data", "blob", "about", "javascript":
		return parts{}, errors.New("the origin of a page, such as " + example + ": no page has the scheme " + scheme)
	}
	authority := rest
	if i := strings.IndexAny(rest, `/\?#`); i >= 0 {
		authority = rest[:i]
		if rest[i:] != "/" {
			return parts{}, instead("without a path, a query or a fragment", scheme, authority)
		}
	}
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		return parts{}, instead("without a user", scheme, authority[i+1:])
	}
	if strings.Contains(authority, "*") {
		return parts{}, errors.New("whole: there are no patterns. List each origin, or write * alone, which is any")
	}
	if strings.ContainsFunc(authority, func(c rune) bool { return c > '~' }) { // before lower case makes a letter of the Kelvin sign
		return parts{}, errors.New("in Punycode, as browsers send it, such as https://xn--bcher-kva.example: in a browser's console, new URL(\"…\").origin says how")
	}
	host, port, err := splitPort(authority)
	if err != nil {
		return parts{}, err
	}
	p := parts{scheme: scheme, host: strings.ToLower(host), port: port}
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		p.port = ""
	}
	if strings.HasPrefix(host, "[") {
		ip, err := netip.ParseAddr(host[1 : len(host)-1])
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return parts{}, errNotOrigin
		}
		p.host = "[" + ipv6(ip) + "]"
		return p, nil
	}
	return p, checkHost(p)
}

// instead returns the error for an origin with too much in it. want says what must not be
// in it, and the error shows the origin without that.
func instead(want, scheme, authority string) error {
	p, err := parse(scheme + "://" + authority)
	if err != nil {
		return err
	}
	return errors.New(want + ": " + p.String())
}

// isScheme reports whether s is a scheme (RFC 3986 §3.1).
func isScheme(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	return s != "" && strings.Trim(s[:1], letters) == "" && strings.Trim(s, letters+"0123456789+-.") == ""
}

// splitPort splits host:port. An IPv6 address keeps its brackets. The port is a number
// without leading zeros, or "".
func splitPort(authority string) (host, port string, err error) {
	end := strings.IndexByte(authority, ']') + 1 // 0 where there are no brackets
	if strings.HasPrefix(authority, "[") != (end > 0) {
		return "", "", errNotOrigin
	}
	host = authority
	if i := strings.IndexByte(authority[end:], ':'); i >= 0 {
		host, port = authority[:end+i], authority[end+i+1:]
	}
	if end > 0 && len(host) != end {
		return "", "", errNotOrigin
	}
	if port == "" {
		return host, "", nil
	}
	if strings.Trim(port, "0123456789") != "" {
		return "", "", errNotOrigin
	}
	n, err := strconv.ParseUint(cmp.Or(strings.TrimLeft(port, "0"), "0"), 10, 16)
	if err != nil {
		return "", "", errors.New("with a port from 0 to 65535, or without one")
	}
	return host, strconv.FormatUint(n, 10), nil
}

// checkHost returns an error if the host is a name that browsers would not send as it is.
func checkHost(p parts) error {
	if p.host == "" || strings.Trim(p.host, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
		return errNotOrigin
	}
	labels := strings.Split(p.host, ".")
	web := p.scheme == "http" || p.scheme == "https"
	if web && strings.HasSuffix(p.host, ".") {
		return errors.New("without the dot at the end of its host: " + example)
	}
	for _, l := range labels {
		if web && l == "" {
			return errNotOrigin
		}
	}
	// Browsers take a name whose last label is a number for an IPv4 address. They accept
	// many spellings of it, and send this one.
	if isNumber(labels[len(labels)-1]) {
		if ip, err := netip.ParseAddr(p.host); err != nil || ip.String() != p.host {
			return errors.New("with an IPv4 address of four decimal numbers, such as http://127.0.0.1")
		}
	}
	return nil
}

// isNumber reports whether browsers take label, the last of a host, for a number.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return label != "" && strings.Trim(label, "0123456789") == ""
}

// ipv6 returns the address as browsers write it, which is in hexadecimal to the end.
func ipv6(ip netip.Addr) string {
	if !ip.Is4In6() {
		return ip.String()
	}
	b := ip.As16()
	hex := func(i int) string { return strconv.FormatUint(uint64(b[i])<<8|uint64(b[i+1]), 16) }
	return "::ffff:" + hex(12) + ":" + hex(14)
}

// isLoopback reports whether the origin is that of a page served over http or https by
// this machine: by localhost, a name under it (RFC 6761 §6.3), or a loopback address.
func (p parts) isLoopback() bool {
	if p.scheme != "http" && p.scheme != "https" {
		return false
	}
	ip, err := netip.ParseAddr(strings.Trim(p.host, "[]"))
	return p.host == "localhost" || strings.HasSuffix(p.host, ".localhost") || err == nil && ip.IsLoopback()
}
