package tokensource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// program is a process that holds a token.
type program interface {
	token(ctx context.Context) (accessToken string, err error)
}

// contender is a way to write a program.
type contender struct {
	name  string
	login func(e *env, t *oauth2.Token) // puts the first token into the store
	start func(e *env) program
}

// env is the environment of a scenario.
type env struct {
	*world
	t      testing.TB
	client string
	family string
	first  string // the refresh token of the login
	store  *faultyStore
	skew   atomic.Int64 // how wrong the wall clock of the next process is
	real   bool         // whether to wait in real time, for tests with many goroutines
	who    contender
	reach  chan struct{} // closed when a save hangs
}

// brings reports whether a record holds a newer refresh token than the login's.
func (e *env) brings(r tokensource.Record) bool { return !bytes.Contains(r.Data, []byte(e.first)) }

// job does what a program does every two minutes, and reports whether it got an
// access token that it can use.
func (e *env) job(p program) bool {
	token, err := p.token(e.t.Context())
	if err != nil {
		trail.print(err)
		return false
	}
	return e.active(token)
}

// together runs a job in each program at once, and lets the given number of requests
// arrive before the first is answered.
func (e *env) together(requests int, programs ...program) {
	e.wire.gate(requests)
	var all sync.WaitGroup
	for _, p := range programs {
		all.Go(func() { e.job(p) })
	}
	all.Wait()
	e.wire.gate(0)
}

func repeat(p program, n int) []program {
	all := make([]program, n)
	for i := range all {
		all[i] = p
	}
	return all
}

// ours, plain and naive are the contenders.
var (
	ours = contender{
		name: "tokensource",
		login: func(e *env, t *oauth2.Token) {
			if err := e.source(e.client, e.store, nil).Login(e.t.Context(), t); err != nil {
				e.t.Fatal(err)
			}
		},
		start: func(e *env) program {
			if e.real {
				return ourProgram{e.onRealTime(e.client, e.store)}
			}
			var skew atomic.Int64
			skew.Store(e.skew.Load())
			return ourProgram{e.source(e.client, e.store, &skew)}
		},
	}

	// plain uses only golang.org/x/oauth2: it gets a token when the program starts,
	// and does not save the next one.
	plain = contender{
		name:  "oauth2.Config",
		login: saveToken,
		start: func(e *env) program {
			t, err := readToken(e.t.Context(), e.store)
			if err != nil {
				e.t.Fatal(err)
			}
			ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: e.wire})
			return &plainProgram{e: e, src: e.conf(e.client).TokenSource(ctx, &oauth2.Token{RefreshToken: t})}
		},
	}

	// naive reads the token, refreshes it and writes the new one.
	naive = contender{
		name: "read, refresh, write", login: saveToken,
		start: func(e *env) program { return naiveProgram{e} },
	}
)

type ourProgram struct{ src *tokensource.Source }

func (p ourProgram) token(ctx context.Context) (string, error) {
	t, err := p.src.TokenContext(ctx)
	if err != nil {
		return "", err
	}
	return t.AccessToken, nil
}

// plainProgram has no clock that tests can move, so the token in its source is made
// to expire by the world's time.
type plainProgram struct {
	e   *env
	src oauth2.TokenSource

	mu  sync.Mutex
	got *oauth2.Token
	at  time.Time
}

func (p *plainProgram) token(context.Context) (string, error) {
	p.mu.Lock()
	if p.got != nil && p.e.clock.Now().Sub(p.at) >= lifetime {
		p.got.Expiry = time.Unix(1, 0)
	}
	p.mu.Unlock()
	t, err := p.src.Token()
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.got != t {
		p.got, p.at = t, p.e.clock.Now()
	}
	return t.AccessToken, nil
}

type naiveProgram struct{ e *env }

func (p naiveProgram) token(ctx context.Context) (string, error) {
	refreshToken, err := readToken(ctx, p.e.store)
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {p.e.client}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.e.server.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.e.wire.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var t struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&t); err != nil || resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("refresh: %d, %w", resp.StatusCode, err)
	}
	return t.AccessToken, writeToken(ctx, p.e.store, t.RefreshToken)
}

func saveToken(e *env, t *oauth2.Token) {
	if err := writeToken(e.t.Context(), e.store, t.RefreshToken); err != nil {
		e.t.Fatal(err)
	}
}

func readToken(ctx context.Context, s tokensource.Store) (string, error) {
	r, err := s.Load(ctx)
	return string(r.Data), err
}

// writeToken overwrites the record.
func writeToken(ctx context.Context, s tokensource.Store, refreshToken string) error {
	for {
		r, err := s.Load(ctx)
		if err != nil {
			return err
		}
		err = s.Save(ctx, tokensource.Record{Version: r.Version + 1, Data: []byte(refreshToken)})
		if !errors.Is(err, tokensource.ErrConflict) {
			return err
		}
	}
}

// scenario is what happens to a session whose access token has expired. It returns
// the program that continues afterwards.
type scenario struct {
	name     string
	row      string // row of the table in docs/tokensource.md, which may hold several scenarios
	strict   bool
	real     bool
	run      func(e *env) program
	requests int    // the most that ours may make
	dies     string // the contenders that must lose the session, by construction; the others must not
}

// until returns a fault that lasts for the world's next five seconds.
func (e *env) until(f fault) func(int) fault {
	end := e.clock.Now().Add(5 * time.Second)
	return func(int) fault {
		if e.clock.Now().Before(end) {
			return f
		}
		return none
	}
}

func (e *env) storeDown() func() error {
	end := e.clock.Now().Add(5 * time.Second)
	return func() error {
		if e.clock.Now().Before(end) {
			return errStore
		}
		return nil
	}
}

func faulty(f func(e *env) func(int) fault) func(e *env) program {
	return func(e *env) program {
		p := e.who.start(e)
		e.wire.breaks(f(e))
		e.job(p)
		return p
	}
}

func fifty(e *env) program {
	requests := map[string]int{ours.name: 1, plain.name: 1, naive.name: 50}[e.who.name]
	p := e.who.start(e)
	e.together(requests, repeat(p, 50)...)
	return e.goesOn(p)
}

func four(e *env) program {
	requests := map[string]int{ours.name: 1, plain.name: 4, naive.name: 4}[e.who.name]
	p := e.who.start(e)
	e.together(requests, p, e.who.start(e), e.who.start(e), e.who.start(e))
	return e.goesOn(p)
}

// goesOn returns p, or the next process if p lives in real time.
func (e *env) goesOn(p program) program {
	if !e.real || e.who.name != ours.name {
		return p
	}
	e.real = false
	return e.who.start(e)
}

var scenarios = []scenario{
	{
		name: "nothing", requests: 1,
		run: faulty(func(*env) func(int) fault { return nil }),
	},
	{
		name: "response lost", requests: 2, dies: "oauth2.Config; read, refresh, write",
		row: "a response is lost, is cut, or is a 503 although the refresh was done",
		run: faulty(func(*env) func(int) fault { return first(lost) }),
	},
	{
		name: "response cut in the middle", requests: 2, dies: "oauth2.Config; read, refresh, write",
		row: "a response is lost, is cut, or is a 503 although the refresh was done",
		run: faulty(func(*env) func(int) fault { return first(cut) }),
	},
	{
		name: "503, although it was done", requests: 2, dies: "oauth2.Config; read, refresh, write",
		row: "a response is lost, is cut, or is a 503 although the refresh was done",
		run: faulty(func(*env) func(int) fault { return first(failedAfter) }),
	},
	{
		name: "server answers 503 for 5 s", requests: 7,
		row: "the server fails, or cannot be reached, for 5 s",
		run: faulty(func(e *env) func(int) fault { return e.until(failed) }),
	},
	{
		name: "responses lost for 5 s", requests: 7, dies: "oauth2.Config; read, refresh, write",
		row: "a response is lost, is cut, or is a 503 although the refresh was done",
		run: faulty(func(e *env) func(int) fault { return e.until(lost) }),
	},
	{
		name: "server cannot be reached for 5 s", requests: 7,
		row: "the server fails, or cannot be reached, for 5 s",
		run: faulty(func(e *env) func(int) fault { return e.until(unreachable) }),
	},
	{
		name: "save fails for 5 s", requests: 1, dies: "read, refresh, write",
		row: "saving fails for 5 s",
		run: func(e *env) program {
			p := e.who.start(e)
			down := e.storeDown()
			e.store.saving = func(r tokensource.Record) error {
				if e.brings(r) {
					return down()
				}
				return nil
			}
			e.job(p)
			e.store.mend()
			return p
		},
	},
	{
		name: "store unreachable for 5 s", requests: 1,
		run: func(e *env) program {
			p := e.who.start(e)
			down := e.storeDown()
			e.store.load = func(int) error { return down() }
			e.store.save = func(int) error { return down() }
			e.job(p)
			e.store.mend()
			return p
		},
	},
	{
		name: "killed between response and save, back in 20 s", requests: 2,
		row: "killed between response and save, back inside the reuse interval",
		run: func(e *env) program {
			p := e.who.start(e)
			gone := make(chan struct{})
			e.t.Cleanup(func() { close(gone) })
			e.store.saving = func(r tokensource.Record) error {
				if !e.brings(r) {
					return nil
				}
				close(e.reach)
				<-gone // this process does nothing more
				return errStore
			}
			if e.who.name == plain.name {
				e.job(p) // it does not save, so it is killed here
			} else {
				go func() { _, _ = p.token(context.Background()) }()
				<-e.reach
			}
			e.store.mend()
			e.clock.Advance(20 * time.Second)
			p = e.who.start(e)
			e.job(p)
			return p
		},
	},
	{
		name: "killed after the save, back in two minutes", requests: 1, dies: "oauth2.Config",
		row: "killed after the save, back later",
		run: func(e *env) program {
			e.job(e.who.start(e))
			return e.who.start(e)
		},
	},
	{
		name: "another process's wall clock is an hour ahead", requests: 2,
		row: "the wall clock is an hour wrong",
		run: func(e *env) program {
			e.job(e.who.start(e))
			e.skew.Store(int64(time.Hour))
			p := e.who.start(e)
			for range 10 {
				e.job(p)
			}
			return p
		},
	},
	{
		name: "another process's wall clock is an hour behind", requests: 1,
		row: "the wall clock is an hour wrong",
		run: func(e *env) program {
			e.job(e.who.start(e))
			e.skew.Store(-int64(time.Hour))
			p := e.who.start(e)
			for range 10 {
				e.job(p)
			}
			return p
		},
	},
	{
		name: "two machines, two minutes apart", requests: 2, dies: "oauth2.Config",
		row: "two machines, minutes apart",
		run: func(e *env) program {
			a, b := e.who.start(e), e.who.start(e)
			e.job(a)
			e.clock.Advance(2 * time.Minute)
			e.job(b)
			return b
		},
	},
	{
		name: "another process signs in again, and the old session ends", requests: 2, dies: "oauth2.Config",
		row: "the user signs in again by another process, and the old session ends",
		run: func(e *env) program {
			p := e.who.start(e)
			e.job(p)
			login, _ := e.login(e.client)
			login.AccessToken = ""
			e.who.login(e, login)
			e.call(http.MethodDelete, "/v1/families/"+e.family, "")
			e.clock.Advance(10 * time.Second)
			e.job(p)
			return p
		},
	},
	{name: "fifty callers", row: "fifty callers, four processes, at once", real: true, requests: 1, run: fifty},
	{name: "fifty callers, strict provider", row: "the same, and a provider without a reuse interval", real: true, strict: true, requests: 1, run: fifty, dies: "read, refresh, write"},
	{name: "four processes", row: "fifty callers, four processes, at once", real: true, requests: 1, run: four},
	{name: "four processes, strict provider", row: "the same, and a provider without a reuse interval", real: true, strict: true, requests: 1, run: four, dies: "oauth2.Config; read, refresh, write"},
}

// TestCompare runs every scenario with three programs. -v shows the table, whose
// results docs/tokensource.md quotes.
func TestCompare(t *testing.T) {
	contenders := []contender{ours, plain, naive}
	var table strings.Builder
	tab := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	row := func(format string, args ...any) { _, _ = fmt.Fprintf(tab, format, args...) } // Flush returns the error
	row("\t%s\t%s\t%s\n", ours.name, plain.name, naive.name)
	page := map[string][]string{}
	for _, s := range scenarios {
		row("%s", s.name)
		if s.row != "" && page[s.row] == nil {
			page[s.row] = []string{"lives", "lives", "lives"}
		}
		for i, who := range contenders {
			survived, requests := s.play(t, who)
			if survived == strings.Contains(s.dies, who.name) {
				t.Errorf("%s, %s: the session survived: %v", s.name, who.name, survived)
			}
			if who.name == ours.name && requests > s.requests {
				t.Errorf("%s: %d requests, at most %d are due", s.name, requests, s.requests)
			}
			fate := "survives"
			if !survived {
				fate = "DIES"
				if s.row != "" {
					page[s.row][i] = "dies"
				}
			}
			row("\t%s, %d sent", fate, requests)
		}
		row("\n")
	}
	if err := tab.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	text, err := os.ReadFile("../../docs/tokensource.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, fates := range page {
		cells := make([]string, 0, 3)
		_, rest, _ := strings.Cut(string(text), "\n| "+name+" |")
		line, _, _ := strings.Cut(rest, "\n")
		for cell := range strings.SplitSeq(strings.Trim(line, " |"), " | ") {
			fate, _, _ := strings.Cut(cell, ":") // the rest is the number of requests
			cells = append(cells, fate)
		}
		if !slices.Equal(cells, fates) {
			t.Errorf("docs/tokensource.md says of %q %v, and it is %v", name, cells, fates)
		}
	}
}

// lifetime is the lifetime of access tokens in scenarios, so short that each job needs
// another.
const lifetime = time.Minute

// play runs the scenario, and then two more jobs, each two minutes later. The
// session has survived if the last one gets a token. requests counts those of the
// scenario only.
func (s scenario) play(t *testing.T, who contender) (survived bool, requests int) {
	w := newWorld(t)
	e := &env{world: w, t: t, client: "jobs", who: who, real: s.real, reach: make(chan struct{}), store: &faultyStore{Store: tokensource.NewMemory()}}
	policy := `{"type":"public","policy":{"access_token_lifetime":60}}`
	if s.strict {
		e.client, policy = "jobs-strict", `{"type":"public","policy":{"access_token_lifetime":60,"reuse_interval":0}}`
	}
	w.call(http.MethodPut, "/v1/clients/"+e.client, policy)
	login, family := w.login(e.client)
	login.AccessToken, e.first, e.family = "", login.RefreshToken, family
	who.login(e, login)
	w.wire.breaks(nil)
	p := s.run(e)
	requests = w.wire.requests()
	w.wire.breaks(nil)
	for range 2 {
		w.clock.Advance(2 * time.Minute)
		survived = e.job(p)
	}
	return survived, requests
}
