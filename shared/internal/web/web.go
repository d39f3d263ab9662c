// Package web is what the public endpoints and the management API have in common as
// HTTP: routes, limits of a request, and how answers are written.
package web

import (
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

// MaxBody is the size of the largest request body that is read.
const MaxBody = 16 << 10

// Handler answers a request, or returns an error before anything is written.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Endpoint is a path and what it does for each method.
type Endpoint struct {
	Path    string // a pattern of http.ServeMux, without method
	Methods map[string]Handler
	// Around returns next, for a method that there is, with something around it; nil for
	// nothing.
	Around func(method string, next http.HandlerFunc) http.HandlerFunc
	// Wrap returns all of the endpoint with something around it, also for methods that
	// there are none of; nil for nothing.
	Wrap func(http.Handler) http.Handler
}

// Server serves endpoints.
type Server struct {
	Issuer  string        // whose path may be in front of every other
	Log     *slog.Logger  // of panics
	Timeout time.Duration // of a request's own work; 0 is none
	// Fail answers with an error: that of a handler, or one of this package's.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
}

// Serve returns a handler of these endpoints and of nothing else.
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
				// The value may hold anything: its type and the stack say where to look.
				s.Log.ErrorContext(ctx, "panic", slog.String("value_type", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
				s.Fail(w, r, ErrInternal)
			}
		}()
		r = prefix.off(mux, r)
		// ServeMux would redirect to the clean path; to a token endpoint that is an
		// answer no client expects.
		if p := r.URL.Path; p != path.Clean("/"+strings.TrimPrefix(p, "/")) {
			s.Fail(w, r, ErrNoRoute)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) methods(e Endpoint) http.Handler {
	var allow []string
	for m := range e.Methods {
		allow = append(allow, m)
		if m == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	slices.Sort(allow)
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
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		var serve http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > MaxBody {
				s.Fail(w, r, ErrTooLarge)
				return
			}
			if err := h(w, r); err != nil {
				s.Fail(w, r, err)
			}
		}
		if e.Around != nil {
			serve = e.Around(method, serve)
		}
		serve(w, r)
	})
}
