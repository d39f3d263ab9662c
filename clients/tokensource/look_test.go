package tokensource_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// running returns a source that has a fresh token, and the login of that token.
func (w *world) running(store tokensource.Store, opts ...tokensource.Option) (*tokensource.Source, *oauth2.Token, string) {
	w.t.Helper()
	login, family := w.login("app")
	src := w.source("app", store, nil, opts...)
	if err := src.Login(w.t.Context(), login); err != nil {
		w.t.Fatal(err)
	}
	if token := w.good(src); token.AccessToken != login.AccessToken {
		w.t.Fatal("another token than that of the login")
	}
	w.wire.breaks(nil)
	return src, login, family
}

// TestLoginElsewhere checks a login by another process while this one has a fresh
// token. Within ten seconds it has the token of the new session, without a refresh.
func TestLoginElsewhere(t *testing.T) {
	path := filepath.Join(private(t), "token")
	memory := tokensource.NewMemory()
	for name, open := range map[string]func() tokensource.Store{
		"memory": func() tokensource.Store { return memory },
		"file":   func() tokensource.Store { return tokensource.NewFile(path) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			src, first, _ := w.running(open())
			for range 3 {
				other, _ := w.login("app")
				if err := w.source("app", open(), nil).Login(t.Context(), other); err != nil {
					t.Fatal(err)
				}
				w.clock.Advance(9 * time.Second)
				if token := w.good(src); token.AccessToken != first.AccessToken {
					t.Error("the store was read too early")
				}
				w.clock.Advance(time.Second)
				if token := w.good(src); token.AccessToken != other.AccessToken {
					t.Error("not the token of the new session")
				}
				first = other
			}
			// The next login has only a refresh token.
			other, family := w.login("app")
			if err := w.source("app", open(), nil).Login(t.Context(), &oauth2.Token{RefreshToken: other.RefreshToken}); err != nil {
				t.Fatal(err)
			}
			if w.wire.requests() != 0 {
				t.Errorf("%d requests", w.wire.requests())
			}
			w.clock.Advance(10 * time.Second)
			w.good(src)
			if counter, status := w.family(family); counter != 2 || status != "active" || w.wire.requests() != 1 {
				t.Errorf("%d requests, counter %d, %s", w.wire.requests(), counter, status)
			}
		})
	}
}

// TestLoginElsewhereRejected checks that a 401 caused by the end of the old session
// leads to the new session at once, without a refresh.
func TestLoginElsewhereRejected(t *testing.T) {
	w := newWorld(t)
	rs := w.resource()
	store := tokensource.NewMemory()
	src, _, family := w.running(store)
	other, _ := w.login("app")
	if err := w.source("app", store, nil).Login(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	w.call("DELETE", "/v1/families/"+family, "")
	resp, err := w.client(src).Get(rs.URL)
	if status, _ := body(t, resp, err); status != 200 || rs.rejected.Load() != 1 || w.wire.requests() != 0 {
		t.Errorf("status %d, %d rejected, %d refreshes", status, rs.rejected.Load(), w.wire.requests())
	}
}

// TestDeadElsewhere checks that a process notices within ten seconds that another
// has marked the token dead, or that the token file was removed.
func TestDeadElsewhere(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	src, _, family := w.running(store)
	w.call("DELETE", "/v1/families/"+family, "")
	if _, err := tokensource.Rejected(w.source("app", store, nil), w.token(src)); !errors.Is(err, tokensource.ErrLoginRequired) {
		t.Fatalf("the other process: %v", err)
	}
	w.wire.breaks(nil)
	w.clock.Advance(10 * time.Second)
	loginRequired(t, src)

	path := filepath.Join(private(t), "token")
	src, _, _ = w.running(tokensource.NewFile(path))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(10 * time.Second)
	if _, err := src.Token(); !errors.Is(err, tokensource.ErrLoginRequired) {
		t.Errorf("without the file: %v", err)
	}
	if w.wire.requests() != 0 {
		t.Errorf("%d requests", w.wire.requests())
	}
}

// token returns the access token of a source, which need not be active.
func (w *world) token(src *tokensource.Source) string {
	w.t.Helper()
	token, err := src.Token()
	if err != nil {
		w.t.Fatal(err)
	}
	return token.AccessToken
}

// TestLooks checks that the store is read once in ten seconds, however many tokens
// are taken, and no more often while it fails and the current token stays in use.
func TestLooks(t *testing.T) {
	for _, failing := range []bool{false, true} {
		w := newWorld(t)
		store := &faultyStore{Store: tokensource.NewMemory()}
		src, login, _ := w.running(store)
		other, _ := w.login("app")
		if err := w.source("app", store.Store, nil).Login(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if failing {
			store.load = func(int) error { return errStore }
		}
		store.loads = 0
		for second := range 60 {
			w.clock.Advance(time.Second)
			for range 20 {
				if token := w.token(src); (token == login.AccessToken) != (failing || second < 9) {
					t.Fatalf("after %d s, failing %v: the wrong token", second+1, failing)
				}
			}
		}
		if store.loads != 6 {
			t.Errorf("failing %v: the store was read %d times in a minute", failing, store.loads)
		}
		store.mend()
		w.clock.Advance(10 * time.Second)
		if w.token(src) != other.AccessToken {
			t.Errorf("failing %v: not the token of the new session", failing)
		}
	}
}

// TestLookHangs checks that a store which does not respond delays callers by at most
// one second in ten. Its late response still counts.
func TestLookHangs(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: tokensource.NewMemory()}
	over := make(chan time.Time)
	close(over)
	var waits []time.Duration
	src, login, _ := w.running(store, tokensource.WithCourtesy(func(d time.Duration) <-chan time.Time {
		waits = append(waits, d)
		return over
	}))
	other, _ := w.login("app")
	if err := w.source("app", store.Store, nil).Login(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	asked, answers := make(chan struct{}, 1), make(chan struct{})
	store.load = func(int) error { asked <- struct{}{}; <-answers; return nil }
	waits = nil
	w.clock.Advance(10 * time.Second)
	for range 5 {
		if w.token(src) != login.AccessToken {
			t.Error("got a token that was not there yet")
		}
	}
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("the store was not read")
	}
	if len(waits) != 1 || waits[0] != time.Second {
		t.Errorf("callers waited %v", waits)
	}
	close(answers)
	late := time.After(10 * time.Second)
	for w.token(src) != other.AccessToken { // waits until the look has ended, which nothing signals
		select {
		case <-late:
			t.Fatal("what the store said did not count")
		default:
		}
	}
}

// TestLookByEitherClock checks that a process reads the store even if its wall clock
// is set back or its steady clock stops.
func TestLookByEitherClock(t *testing.T) {
	for _, test := range []struct {
		name         string
		wall, steady time.Duration
	}{
		{"set back by an hour", -time.Hour, 10 * time.Second},
		{"frozen", 10 * time.Second, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			store := tokensource.NewMemory()
			wall, steady := w.clock.Now(), time.Duration(0)
			src, login, _ := w.running(store, tokensource.WithClock(
				func() time.Time { return wall }, func() time.Duration { return steady }, w.sleep))
			other, _ := w.login("app")
			if err := w.source("app", store, nil).Login(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			if w.token(src) != login.AccessToken {
				t.Error("the store was read too early")
			}
			wall, steady = wall.Add(test.wall), steady+test.steady
			if w.token(src) != other.AccessToken {
				t.Error("not the token of the new session")
			}
		})
	}
}

// TestLoginByAnotherProcess checks the same with a process that runs while this one
// logs in.
func TestLoginByAnotherProcess(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(private(t), "token")
	src, login, _ := w.running(tokensource.NewFile(path))
	p := start(t, job{File: path, TokenURL: w.server.URL + "/oauth/token", Interval: time.Minute, Steps: true})
	if got := p.step(t, 0); got.Token != login.AccessToken || got.Error != "" {
		t.Fatalf("at first: %s", got.Error)
	}
	other, _ := w.login("app")
	if err := src.Login(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if got := p.step(t, 10*time.Second); got.Token != other.AccessToken || got.Error != "" {
		t.Errorf("ten seconds later: %s", got.Error)
	}
	if w.arrived.Load() != 0 {
		t.Errorf("%d requests", w.arrived.Load())
	}
}

// step moves the clocks of the process and returns the token it then takes.
func (p *process) step(t *testing.T, d time.Duration) result {
	t.Helper()
	if _, err := p.in.Write([]byte(d.String() + "\n")); err != nil {
		t.Fatal(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(bytes.TrimSpace(line), &r); err != nil {
		t.Fatal(err)
	}
	trail.secrets(map[string]any{"access_token": r.Token})
	if r.Error != "" {
		trail.print(errors.New(r.Error))
	}
	return r
}
