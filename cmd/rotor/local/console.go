package local

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console"
	"github.com/rotor-auth/rotor/shared/session"
)

// inProcess makes calls to a handler in this process, which come from the address. Calls of the
// management API are by the [caller] of all such calls here.
type inProcess struct {
	config             *config
	handler            http.Handler
	address, userAgent string // the user agent is that of the call if it is ""
}

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if isManagement(t.config, r) {
		ctx = session.WithPrincipal(ctx, caller)
	}
	r = r.Clone(ctx)
	r.RemoteAddr = t.address
	if t.userAgent != "" {
		r.Header.Set("User-Agent", t.userAgent)
	}
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
func newConsole(c *config, issuer string, sweep sweeper, trail *trail, demo []demoClient, api http.Handler, log *slog.Logger) (*console.Console, error) {
	from := func(address, userAgent string) http.RoundTripper { return inProcess{c, api, address, userAgent} }
	client, err := manage.New(issuer, manage.Options{
		HTTPClient: &http.Client{Transport: from("127.0.0.1", "")}, UserAgent: "rotor-console",
	})
	if err != nil {
		return nil, err
	}
	playground := &console.Playground{From: from, Advance: func(ctx context.Context, by time.Duration) error {
		if !sweep.clock.advance(by) {
			return errTooFarAhead
		}
		_, err := sweep.table.Purge(ctx, sweep.clock.now())
		return err
	}}
	for _, d := range demo {
		if d.Type == "public" {
			playground.Clients = append(playground.Clients, console.Choice{ID: d.ID, Interval: d.Policy.ReuseInterval.Duration()})
		}
	}
	return console.New(console.Config{
		API: client, Now: sweep.clock.now, Host: c.addr.host, Base: c.base, Trail: trail.of, Playground: playground, Log: log,
	}), nil
}

var errTooFarAhead = errors.New("the clock cannot be moved more than 100 years ahead: start the program again")

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
