// Package loopback tells requests of this machine's user from those of web pages, which
// can send requests to any server on loopback.
package loopback

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// IsOwnHost reports whether a Host header names this machine: a loopback address,
// localhost, or the host listened on, with or without a port. Otherwise a page could make
// its own name resolve to loopback and be of the same origin (DNS rebinding).
func IsOwnHost(header, listened string) bool {
	host, port, err := net.SplitHostPort(header)
	if err != nil {
		host, port, err = net.SplitHostPort(header + ":80")
	}
	if err != nil {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	switch host = strings.ToLower(host); host {
	case "127.0.0.1", "::1", "localhost", strings.ToLower(listened):
		return true
	}
	return false
}

// FromElsewhere reports whether a page of another origin made the request. Browsers
// say so in Sec-Fetch-Site, and older ones in Origin, if they send it. Unlike
// net/http's CrossOriginProtection it makes no exception for GET, because a page that
// is read by a program, such as a profile, costs work even if its caller cannot read it.
func FromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // a page of this program, or a user who typed the address
		return false
	case "":
		from := r.Header.Get("Origin")
		return from != "" && from != "http://"+r.Host
	}
	return true
}
