package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/session"
)

// Headers that CloudFront adds to the requests of an API behind it.
const (
	EdgeHeader   = "Rotor-Edge-Secret"
	viewerHeader = "Cloudfront-Viewer-Address"
)

// ThroughEdge returns a handler that passes to h the requests that came through the
// edge: those with its secret. Their remote address is the viewer's, as CloudFront
// says, or none if it does not say. Any other request is logged and answered 403. If
// the secret cannot be read, all are answered 503.
func ThroughEdge(h http.Handler, secret func(context.Context) (string, error), log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, err := secret(r.Context())
		if err != nil || want == "" {
			log.ErrorContext(r.Context(), "edge secret not read", slog.Any("error", err))
			problem.SetRetryAfter(w.Header())
			problem.Write(w, http.StatusServiceUnavailable, "the service is temporarily unavailable")
			return
		}
		given := r.Header.Values(EdgeHeader)
		if len(given) != 1 || !equal(given[0], want) {
			log.WarnContext(r.Context(), "not through the edge", slog.String("http_request_id", session.RequestID(r.Context())))
			problem.Write(w, http.StatusForbidden, "this address serves only what comes through the API's domain")
			return
		}
		r.Header.Del(EdgeHeader)
		r.RemoteAddr = viewer(r.Header.Get(viewerHeader))
		h.ServeHTTP(w, r)
	})
}

// equal reports whether two texts are the same, in a time that tells nothing of either.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// viewer returns the address in CloudFront's header, which has a port after the last
// colon, also after an IPv6 address without brackets. It returns "" if there is none.
func viewer(header string) string {
	end := strings.LastIndexByte(header, ':')
	if end < 0 {
		return ""
	}
	ip, err := netip.ParseAddr(strings.Trim(header[:end], "[]"))
	if err != nil {
		return ""
	}
	return ip.String()
}
