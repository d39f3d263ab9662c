package local

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/cmd/rotor/loopback"
	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/session"
)

// guard returns a handler that keeps web pages out. This program requires no
// signatures, and any page in a browser on this machine can send requests to
// loopback.
//
//   - It refuses a Host that does not name this machine. Otherwise a page could make
//     its own name resolve to loopback and be of the same origin (DNS rebinding).
//   - Outside /oauth, /authorize, /v2/logout, /auth/v1, /.well-known and /openapi.json, which are for browsers, it refuses
//     requests of pages of another origin, whatever their method, and bodies that are not
//     JSON, which is all that a form can send.
//
// c has the address that the program listens on, and its base path.
func guard(c *config, next http.Handler) http.Handler {
	protected, host := jsonOnly(next), c.addr.host
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopback.IsOwnHost(r.Host, host):
			problem.Write(w, http.StatusMisdirectedRequest, "the Host header must be 127.0.0.1, [::1] or localhost, with any port")
		case forBrowsers(c.pathOf(r)):
			next.ServeHTTP(w, r)
		case loopback.FromElsewhere(r):
			problem.Write(w, http.StatusForbidden, "this request comes from a web page of another origin")
		default:
			protected.ServeHTTP(w, r)
		}
	})
}

// forBrowsers reports whether web pages may call the path, as far as the API's own
// CORS rules allow. All other paths are guarded, including any that are added later.
func forBrowsers(path string) bool {
	return strings.HasPrefix(path, "/oauth/") || strings.HasPrefix(path, "/.well-known/") || path == "/openapi.json" ||
		path == "/authorize" || path == "/v2/logout" || strings.HasPrefix(path, "/auth/v1/")
}

// jsonOnly returns a handler that refuses requests whose Content-Type is not JSON,
// and bodies without one, even if the API would not read them.
func jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		types := r.Header.Values("Content-Type")
		if len(types) == 0 && r.ContentLength == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if len(types) == 1 {
			if mediaType, _, err := mime.ParseMediaType(types[0]); err == nil && mediaType == "application/json" {
				next.ServeHTTP(w, r)
				return
			}
		}
		problem.Write(w, http.StatusUnsupportedMediaType, "Content-Type must be application/json")
	})
}

// writeJSON answers 200 with v as JSON.
func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // every value consists of our strings, numbers and times
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(body, '\n')) // fails only if the client has gone away
}

// caller is the name that the audit trail has for callers of the management API,
// since anybody who reaches this program may call it.
const caller = "local"

// logRequests returns a handler that logs each request with the id that its audit
// events have. A token request that succeeded has no line of its own, since its audit event
// says as much. logRequests also sets the [caller] of requests of the management API, under
// the base path as well.
func logRequests(c *config, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := rand.Text()
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		ctx := session.WithRequestID(r.Context(), id)
		if isManagement(c, r) {
			ctx = session.WithPrincipal(ctx, caller)
		}
		next.ServeHTTP(answer, r.WithContext(ctx))
		if r.Method == http.MethodPost && answer.status == http.StatusOK && c.pathOf(r) == "/oauth/token" {
			return
		}
		log.InfoContext(r.Context(), "request",
			slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)),
			slog.Int("status", answer.status), slog.Float64("took_ms", float64(time.Since(began).Microseconds())/1000),
			slog.String("http_request_id", id))
	})
}

// isManagement reports whether a request is for the management API.
func isManagement(c *config, r *http.Request) bool { return strings.HasPrefix(c.pathOf(r), "/v1/") }

// loggedPath returns the path without segments that may be a token or a secret put
// there by mistake. No segment of the API's paths looks like one.
func loggedPath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) > 64 || strings.Contains(part, "rotor_") {
			parts[i] = "[redacted]"
		}
	}
	return strings.Join(parts, "/")
}

// statusWriter records the status of a response.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the underlying writer, with which net/http/pprof extends the
// deadline of a long response.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
