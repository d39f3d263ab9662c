package server_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// reads counts how often its keys are read.
type reads struct {
	keysAsTheyAre
	n   int
	err error
}

func (r *reads) Keys(ctx context.Context, now time.Time) (*keyring.Keys, error) {
	r.n++
	if r.err != nil {
		return nil, r.err
	}
	return r.keysAsTheyAre.Keys(ctx, now)
}

// TestWarm checks that a server which was warmed has the keys and the clients, and asks the
// store only for the write. A minute later it reads the client again.
func TestWarm(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	keys := &reads{keysAsTheyAre: keysAsTheyAre{w.keys}}
	a, server := w.another(w.store.Table(), keys)
	w.store.Counted()
	if err := a.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if calls := w.store.Counted(); !slices.Equal(calls, []string{"Query"}) || keys.n != 1 {
		t.Errorf("warmed by %v, and %d reads of the keys", calls, keys.n)
	}
	refresh := func(want ...string) {
		t.Helper()
		answer := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first))
		if calls := w.store.Counted(); answer.status != http.StatusOK || !slices.Equal(calls, want) {
			t.Errorf("answered %v, by %v", answer, calls)
		}
		first = answer.text("refresh_token")
	}
	refresh("UpdateItem")
	w.clock.Advance(time.Minute)
	refresh("GetItem", "UpdateItem")

	// A client that was registered after the warming is found.
	a, server = w.another(w.store.Table(), keysAsTheyAre{w.keys})
	if err := a.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.putClient("later", `{"type":"public"}`)
	if answer := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("none", "client_id", "later")); answer.text("error") != "invalid_grant" {
		t.Errorf("a new client is answered %v", answer)
	}
}

// TestNotWarmed checks that a request reads for itself what could not be read ahead.
func TestNotWarmed(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	keys := &reads{keysAsTheyAre: keysAsTheyAre{w.keys}, err: keyring.ErrUnavailable}
	a, server := w.another(w.store.Table(), keys)
	w.store.Break(func(int, string) storetest.Fault { return storetest.Failed })
	if err := a.Warm(t.Context()); !errors.Is(err, keyring.ErrUnavailable) || !strings.Contains(err.Error(), "list clients") {
		t.Errorf("warmed: %v", err)
	}
	if err := a.WarmKeys(t.Context()); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("keys warmed: %v", err)
	}
	w.store.Break(nil)
	keys.err = nil
	if answer := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first)); answer.status != http.StatusOK {
		t.Errorf("answered %v", answer)
	}
}
