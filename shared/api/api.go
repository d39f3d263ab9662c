// Package api is Rotor's HTTP API: one file for each endpoint, and the one
// place that maps errors to the wire. A function in AWS serves the endpoints of
// one group, the local program all of them; the code is the same.
package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/store"
)

// MaxBody is the size of the largest request body that is read.
const MaxBody = 16 << 10

// Config is what an [API] is made of.
type Config struct {
	Issuer  string           // the issuer identifier, an https URL (RFC 8414 §2); http is for local runs
	Table   *store.Table     // where families, clients and events are
	Keys    keyring.Source   // what tokens are made and checked with
	Log     *slog.Logger     // audit events and failures
	Metrics bool             // adds to the audit lines what CloudWatch makes metrics of
	Now     func() time.Time // read once for each request
	Origins origin.Set       // web origins that may call the token and revocation endpoints, besides the issuer's own
	Timeout time.Duration    // of a request's own work, after which it is answered 503; 0 is none
}

// API are the handlers. It is safe for concurrent use.
type API struct {
	Config
	clients   *store.Registry
	trail     audit.Trail
	ownOrigin string // the issuer's
}

// New is the API of c.
func New(c Config) *API {
	return &API{
		Config: c, clients: store.NewRegistry(c.Table, c.Log), trail: audit.Trail{Log: c.Log, Metrics: c.Metrics},
		ownOrigin: origin.Of(c.Issuer),
	}
}

// Warm reads ahead what requests need, the keys and clients, both at once. Whatever
// fails is read again by the first request that needs it.
func (a *API) Warm(ctx context.Context) error {
	now := a.now()
	var keys error
	var reading sync.WaitGroup
	reading.Go(func() { _, keys = a.Keys.Keys(ctx, now) })
	clients := a.clients.Warm(ctx, now)
	reading.Wait()
	return errors.Join(keys, clients)
}

// WarmKeys is Warm for endpoints that need no clients.
func (a *API) WarmKeys(ctx context.Context) error {
	_, err := a.Keys.Keys(ctx, a.now())
	return err
}

// Handler serves every endpoint.
func (a *API) Handler() http.Handler {
	return a.serve(slices.Concat(a.tokenEndpoint(), a.revokeEndpoint(), a.introspectEndpoint(), a.discoveryEndpoints(), a.manageEndpoints())...)
}

// Token serves POST /oauth/token.
func (a *API) Token() http.Handler { return a.serve(a.tokenEndpoint()...) }

// Revoke serves POST /oauth/revoke.
func (a *API) Revoke() http.Handler { return a.serve(a.revokeEndpoint()...) }

// Introspect serves POST /oauth/introspect.
func (a *API) Introspect() http.Handler { return a.serve(a.introspectEndpoint()...) }

// Discovery serves the documents under /.well-known, and whatever has no route.
func (a *API) Discovery() http.Handler { return a.serve(a.discoveryEndpoints()...) }

// Manage serves /v1.
func (a *API) Manage() http.Handler { return a.serve(a.manageEndpoints()...) }

// handler answers a request, or returns an error before anything is written.
type handler func(w http.ResponseWriter, r *http.Request) error

// endpoint is a path and what it does for each method.
type endpoint struct {
	path    string // a pattern of http.ServeMux, without method
	methods map[string]handler
	// operations names, by method, each call of the management API that changes
	// something: the trail has it under that name. See [endpoint.operation].
	operations map[string]string
	browser    bool // may be called from the configured web origins, and from no others
	public     bool // may be read from any web origin
}

// serve is a handler of these endpoints and of nothing else.
func (a *API) serve(endpoints ...endpoint) http.Handler {
	mux := http.NewServeMux()
	for _, e := range endpoints {
		mux.Handle(e.path, a.crossOrigin(e, a.methods(e)))
	}
	prefix := a.prefix()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.fail(w, r, errNoRoute) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if a.Timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, a.Timeout)
			defer cancel()
		}
		if requestID(ctx) == "" {
			ctx = WithRequestID(ctx, rand.Text())
		}
		r = r.WithContext(ctx)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		defer func() {
			if v := recover(); v != nil {
				// The value may hold anything: its type and the stack say where to look.
				a.Log.ErrorContext(ctx, "panic", slog.String("value_type", fmt.Sprintf("%T", v)), slog.String("stack", string(debug.Stack())))
				a.fail(w, r, errInternal)
			}
		}()
		r = prefix.off(mux, r)
		// ServeMux would redirect to the clean path; to a token endpoint that is an
		// answer no client expects.
		if p := r.URL.Path; p != path.Clean("/"+strings.TrimPrefix(p, "/")) {
			a.fail(w, r, errNoRoute)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (a *API) methods(e endpoint) http.Handler {
	var allow []string
	for m := range e.methods {
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
		h, ok := e.methods[method]
		if !ok {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			a.fail(w, r, errMethod)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		serve := func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > MaxBody {
				a.fail(w, r, errTooLarge)
				return
			}
			if err := h(w, r); err != nil {
				a.fail(w, r, err)
			}
		}
		if name := e.operation(method); name != changesNothing {
			a.onRecord(name, serve)(w, r)
			return
		}
		serve(w, r)
	})
}

// caller is where a request came from, cut to what the records keep.
type caller struct {
	ip, userAgent, requestID, by string

	forwardedBy    string // the address of the client whose word the others are, "" where they were seen
	forwardIgnored bool   // another caller was told of, by a client that may not
}

func callerOf(r *http.Request) caller {
	c := caller{requestID: requestID(r.Context()), by: principal(r.Context())}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.ip = ap.Addr().Unmap().WithZone("").String()
	} else if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil { // API Gateway knows no port
		c.ip = ip.Unmap().WithZone("").String()
	}
	c.userAgent = keptAgent(r.UserAgent())
	return c
}

// keptAgent returns what the records keep of a user agent.
func keptAgent(s string) string { return description(strings.ToValidUTF8(s, "?")) }

// cut is the longest prefix of s that has at most n bytes and ends with a whole
// character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// now is the time of the request, which everything it does is measured by.
func (a *API) now() time.Time { return a.Now().UTC().Truncate(time.Millisecond) }

// event is an event of this request.
func (c caller) event(t audit.Type, now time.Time) audit.Event {
	e := audit.New(t, now)
	e.IP, e.UserAgent, e.RequestID, e.By = c.ip, c.userAgent, c.requestID, c.by
	e.ForwardedBy, e.ForwardIgnored = c.forwardedBy, c.forwardIgnored
	return e
}

type requestIDKey struct{}

// WithRequestID sets the id under which a request is logged: the one that the
// client sees. Without it one is made up.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

type principalKey struct{}

// maxPrincipal is more than the ARN of a user or role has, in bytes.
const maxPrincipal = 1024

// WithCaller sets who calls the management API, for the audit trail: the ARN of
// the IAM principal that the gateway has authorized.
func WithCaller(ctx context.Context, arn string) context.Context {
	return context.WithValue(ctx, principalKey{}, cut(arn, maxPrincipal))
}

func principal(ctx context.Context) string {
	arn, _ := ctx.Value(principalKey{}).(string)
	return arn
}
