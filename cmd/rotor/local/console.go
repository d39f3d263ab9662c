package local

import (
	"io"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console"
	"github.com/rotor-auth/rotor/shared/session"
)

// inProcess makes calls to a handler in this process. The calls are by the [caller] of all
// calls here, and come from this machine.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(session.WithPrincipal(r.Context(), caller))
	r.RemoteAddr = "127.0.0.1:0"
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := &answer{header: http.Header{}}
	t.handler.ServeHTTP(w, r)
	_ = r.Body.Close() // was read from memory
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}, nil
}

// newConsole returns the console of this run, whose calls stay in this process.
func newConsole(c *config, issuer string, clock *clock, trail *trail, api http.Handler) (*console.Console, error) {
	client, err := manage.New(issuer, manage.Options{
		HTTPClient: &http.Client{Transport: inProcess{api}}, UserAgent: "rotor-console",
	})
	if err != nil {
		return nil, err
	}
	return console.New(console.Config{API: client, Now: clock.now, Host: c.addr.host, Base: c.base, Trail: trail.of}), nil
}

// withConsole returns a handler that serves the console, and passes other requests to next.
// The console guards itself. The address that the program prints is / without a page for
// programs, which ask for no HTML.
func withConsole(c *config, console *console.Console, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isConsole(c, r) {
			console.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isConsole(c *config, r *http.Request) bool {
	at := c.pathOf(r)
	isPage := console.Owns(at)
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
	return isPage || (at == "/" || at == c.base) && isRead && strings.Contains(r.Header.Get("Accept"), "text/html")
}
