// Package load puts load on a running Rotor, for tests and benchmarks. It simulates
// apps that refresh as soon as they have a response, and present the token of that
// response next.
//
// Only a rotation is a success: a complete response of status 200 with another token
// than the one presented. Everything else is counted separately, including a
// response with the token presented, which an app may use as well but which rotated
// nothing. A family rotates once in a reuse interval. A client that rotates
// continuously therefore has no interval, and one that races has one, and rotates
// again after it.
package load

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// timeout is how long a request may take, which is longer than the local program's
// own limit.
const timeout = time.Minute

// NoInterval is the policy under which every refresh rotates, however soon. Under
// it, a token that is presented again because its response was lost ends its family.
const NoInterval = `{"reuse_interval":0}`

// Options configure a [Generator].
type Options struct {
	URL      string // of the Rotor
	Client   string // the id of the client to register; by default "load"
	Policy   string // the client's policy, a JSON object; by default [NoInterval]
	Sessions int    // how many families to start, each for its own user
}

// Generator makes load with its sessions. It is safe for concurrent use: calls share
// the sessions, and no two use the same one at the same time.
type Generator struct {
	http     *http.Client
	url      string
	template *http.Request // a refresh without its body
	prefix   []byte        // the body up to the token

	sessions int
	free     chan *session // the sessions that nobody uses
	taking   sync.Mutex    // held while taking several sessions
}

// session is a family, with the token that its app has.
type session struct{ token string }

// Open registers the client and starts the families.
func Open(ctx context.Context, o Options) (*Generator, error) {
	client := cmp.Or(o.Client, "load")
	g := &Generator{
		http: &http.Client{Timeout: timeout, Transport: &http.Transport{
			MaxIdleConnsPerHost: 10_000, // so that every connection is kept
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
		}},
		url:      o.URL,
		prefix:   []byte("grant_type=refresh_token&client_id=" + url.QueryEscape(client) + "&refresh_token="),
		sessions: o.Sessions,
		free:     make(chan *session, o.Sessions),
	}
	var err error
	if g.template, err = http.NewRequestWithContext(ctx, http.MethodPost, o.URL+"/oauth/token", nil); err != nil {
		return nil, fmt.Errorf("open a load: %w", err)
	}
	g.template.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	g.template.Header.Set("User-Agent", "rotor-load")
	if err := g.open(ctx, client, o); err != nil {
		g.Close()
		return nil, fmt.Errorf("open a load: %w", err)
	}
	return g, nil
}

func (g *Generator) open(ctx context.Context, client string, o Options) error {
	registration := map[string]any{"type": "public", "policy": json.RawMessage(cmp.Or(o.Policy, NoInterval))}
	if err := g.manage(ctx, http.MethodPut, "/v1/clients/"+client, registration, nil); err != nil {
		return err
	}
	users := rand.Text() // so that they differ from those of an earlier run on the same store
	for i := range o.Sessions {
		var first tokenAnswer
		family := map[string]any{"user_id": users + "-" + strconv.Itoa(i), "client_id": client}
		if err := g.manage(ctx, http.MethodPost, "/v1/families", family, &first); err != nil {
			return err
		}
		if first.RefreshToken == "" {
			return errors.New("start a family: the answer has no refresh_token")
		}
		g.free <- &session{first.RefreshToken}
	}
	return nil
}

// manage makes a call of the management API.
func (g *Generator) manage(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, g.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := g.http.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	return nil
}

// Close closes the idle connections. The families stay.
func (g *Generator) Close() { g.http.CloseIdleConnections() }

// take waits until n sessions are free, and returns them. They must be given back.
func (g *Generator) take(ctx context.Context, n int) ([]*session, error) {
	if n < 1 || n > g.sessions {
		return nil, fmt.Errorf("there are %d sessions, not %d", g.sessions, n)
	}
	g.taking.Lock() // otherwise two callers that each have half of what they need would wait forever
	defer g.taking.Unlock()
	taken := make([]*session, 0, n)
	for len(taken) < n {
		select {
		case s := <-g.free:
			taken = append(taken, s)
		case <-ctx.Done():
			g.giveBack(taken...)
			return nil, ctx.Err()
		}
	}
	return taken, nil
}

func (g *Generator) giveBack(sessions ...*session) {
	for _, s := range sessions {
		g.free <- s // there is room for all
	}
}
