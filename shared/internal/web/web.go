// Package web is the HTTP that the public endpoints and the management API share: routing,
// limits on requests, and the writing of answers.
package web

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/session"
)

// MaxBody is the largest size of a request body, in bytes, unless its endpoint has another limit.
const MaxBody = 16 << 10

// Handler answers a request. If it returns an error, it has written nothing.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Endpoint is a path with a handler for each of its methods.
type Endpoint struct {
	Path    string // a pattern of http.ServeMux, without method
	Methods map[string]Handler
	MaxBody int64 // 0 for [MaxBody]
	// WrapMethod, if not nil, wraps the handler of one method.
	WrapMethod func(method string, next http.HandlerFunc) http.HandlerFunc
	// Wrap, if not nil, wraps the whole endpoint, including the answer to methods that it
	// does not have.
	Wrap func(http.Handler) http.Handler
}

// Server serves endpoints.
type Server struct {
	Issuer  string        // its path may precede that of every endpoint
	Log     *slog.Logger  // receives panics
	Timeout time.Duration // limits the work on one request; 0 for no limit
	// Fail writes the answer for an error, of a handler or of this package.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

// Serve returns a handler of these endpoints. Any other path is answered with [ErrNoRoute].
func (s *Server) Serve(endpoints ...Endpoint) http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		h := s.methods(e)
		if e.Wrap != nil {
			h = e.Wrap(h)
		}
		mux.Handle(e.Path, h)
	}
	prefix := PrefixOf(s.Issuer)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.Fail(w, r, ErrNoRoute) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if s.Timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, s.Timeout)
			defer cancel()
		}
		if session.RequestID(ctx) == "" {
			ctx = session.WithRequestID(ctx, rand.Text())
		}
		r = r.WithContext(ctx)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if v := recover(); v != nil {
				// The value itself stays out of the log: it may hold a token or a secret.
				s.Log.ErrorContext(ctx, "panic", slog.String("value_type", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
				s.Fail(w, r, ErrInternal)
			}
		}()
		r = prefix.strip(mux, r)
		// ServeMux would redirect to the clean path, which no client of a token endpoint
		// expects.
		if p := r.URL.Path; p != path.Clean("/"+strings.TrimPrefix(p, "/")) {
			s.Fail(w, r, ErrNoRoute)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// methods returns a handler that picks the endpoint's handler by the request's method. HEAD
// is served like GET.
func (s *Server) methods(e Endpoint) http.Handler {
	var allow []string
	for m := range e.Methods {
		allow = append(allow, m)
		if m == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
	limit := cmp.Or(e.MaxBody, MaxBody)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		h, ok := e.Methods[method]
		if !ok {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			s.Fail(w, r, ErrMethod)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		var serve http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > limit {
				s.Fail(w, r, &TooLargeError{limit})
				return
			}
			if err := h(w, r); err != nil {
				s.Fail(w, r, err)
			}
		}
		if e.WrapMethod != nil {
			serve = e.WrapMethod(method, serve)
		}
		serve(w, r)
	})
}
