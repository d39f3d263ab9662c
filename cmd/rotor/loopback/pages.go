package loopback

import (
	"mime"
	"net/http"
	"strings"
)

// Secure sets the headers of every answer of a server of pages. The policy is its
// Content-Security-Policy.
func Secure(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// IsForm reports whether the body is a form, as browsers send it.
func IsForm(r *http.Request) bool {
	types := r.Header.Values("Content-Type")
	if len(types) != 1 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(types[0])
	return err == nil && strings.EqualFold(mediaType, "application/x-www-form-urlencoded")
}

// IsVisit reports whether a browser asks for a page to show in a tab of its own: by a link,
// by a redirect or by an address that was typed. Pages of other origins may lead there, but
// not show the page inside of theirs.
func IsVisit(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
