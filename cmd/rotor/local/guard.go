package local

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/session"
)

// guard keeps web pages out. What is served here asks for no signature, and any
// page in a browser on this machine can send requests to loopback.
//
//   - A Host that is not this machine's own is refused: else a page could have
//     its own name resolve to loopback and be of the same origin (DNS rebinding).
//   - What is not for browsers, which is all but /oauth and /.well-known, refuses
//     requests that come from another origin, whatever their method, and takes JSON
//     alone: what a form can send is none.
//
// c says what the program was told to listen on, and its base path.
func guard(c *config, next http.Handler) http.Handler {
	protected, host := jsonOnly(next), c.addr.host
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isOwnHost(r.Host, host):
			problem.Write(w, http.StatusMisdirectedRequest, "the Host header must be 127.0.0.1, [::1] or localhost, with any port")
		case forBrowsers(c.pathOf(r)):
			next.ServeHTTP(w, r)
		case fromElsewhere(r):
			problem.Write(w, http.StatusForbidden, "this request comes from a web page of another origin")
		default:
			protected.ServeHTTP(w, r)
		}
	})
}

// forBrowsers says whether the path is one of those that web pages may call, as
// far as the API's own CORS rules let them. No other one is: a path that is added
// later is guarded.
func forBrowsers(path string) bool {
	return strings.HasPrefix(path, "/oauth/") || strings.HasPrefix(path, "/.well-known/")
}

// fromElsewhere reports whether a page of another origin has made the request. Browsers
// say so by Sec-Fetch-Site, and older ones by Origin, where they send it. A GET is no
// exception, as it is for net/http's CrossOriginProtection: a profile takes a processor
// for as long as it is told to, whoever reads the answer.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // a page of this program's, or a person who typed the address
		return false
	case "":
		from := r.Header.Get("Origin")
		return from != "" && from != "http://"+r.Host
	}
	return true
}

// isOwnHost says whether a Host header names this machine: a loopback address,
// localhost, or the host listened on; with or without a port.
func isOwnHost(header, listened string) bool {
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

// jsonOnly refuses a body that is not JSON, and a request that says it has
// another one: also where the API itself would not look at it.
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
		panic(err) // every value written here is made of strings, numbers and times of ours
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(body, '\n')) // the client may be gone: nobody is left to tell
}

// caller is who calls the management API here, in the audit trail: whoever reaches
// this program.
const caller = "local"

// logRequests logs each request under the id that its audit events have. Those of
// the management API, under the base path too, have a caller there as well.
func logRequests(c *config, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		id := rand.Text()
		answer := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		ctx := session.WithRequestID(r.Context(), id)
		if strings.HasPrefix(c.pathOf(r), "/v1/") {
			ctx = session.WithPrincipal(ctx, caller)
		}
		next.ServeHTTP(answer, r.WithContext(ctx))
		log.InfoContext(r.Context(), "request",
			slog.String("method", r.Method), slog.String("path", loggedPath(r.URL.Path)),
			slog.Int("status", answer.status), slog.Float64("took_ms", float64(time.Since(began).Microseconds())/1000),
			slog.String("http_request_id", id))
	})
}

// loggedPath is the path without what may be a token or a secret that was put
// there by mistake: no part of the API's paths looks like one.
func loggedPath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) > 64 || strings.Contains(part, "rotor_") {
			parts[i] = "[redacted]"
		}
	}
	return strings.Join(parts, "/")
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer below, by which net/http/pprof puts off the deadline of
// an answer that takes long.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
