// Package load puts load on a Rotor that runs, for tests and benchmarks: apps that
// refresh as fast as they are answered, and follow rotation as apps do. The token
// of an answer is the next one that they present.
//
// Only a rotation is a success: an answer of status 200, whole, with a token that is
// another than the one presented. All else is counted apart, the token presented
// among it: an app may rely on that as well, but it was held, and rotated nothing.
// A family rotates once in a reuse interval. So who is to rotate again at once has
// none, and who is to race has one, and rotates again after it.
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

// timeout is how long a request may take. The local program gives up earlier.
const timeout = time.Minute

// NoInterval is the policy under which every refresh rotates, however soon it comes.
// Nothing is forgiven under it either: a token that is presented again, because its
// answer was lost, ends its family.
const NoInterval = `{"reuse_interval":0}`

// Options are what a [Generator] is made from.
type Options struct {
	URL      string // of the Rotor
	Client   string // the id of the client that is registered; "load"
	Policy   string // the client's policy, a JSON object; [NoInterval]
	Sessions int    // how many families are started, each of a user of its own
}

// Generator makes load over its sessions. It is safe for concurrent use: calls
// share the sessions, and no two hold the same one at the same time.
type Generator struct {
	http     *http.Client
	url      string
	template *http.Request // a refresh, but for its body
	prefix   []byte        // of the body: all but the token

	sessions int
	free     chan *session // those that nobody holds
	taking   sync.Mutex    // held by who takes many of them
}

// session is a family, and the token that its app holds.
type session struct{ token string }

// Open registers the client and starts the families.
func Open(ctx context.Context, o Options) (*Generator, error) {
	client := cmp.Or(o.Client, "load")
	g := &Generator{
		http: &http.Client{Timeout: timeout, Transport: &http.Transport{
			MaxIdleConnsPerHost: 10_000, // every connection is kept: apps do not come and go
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
	users := rand.Text() // others than those of a run before, on a store that stays
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

// Close closes the connections that are open, unless in use. The families stay.
func (g *Generator) Close() { g.http.CloseIdleConnections() }

// take is n sessions, once that many are free. They must be given back.
func (g *Generator) take(ctx context.Context, n int) ([]*session, error) {
	if n < 1 || n > g.sessions {
		return nil, fmt.Errorf("there are %d sessions, not %d", g.sessions, n)
	}
	g.taking.Lock() // two who each had half of what they need would wait for ever
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
