package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// reads returns how many requests have read a client.
func (w *world) reads() (n int) {
	for _, call := range w.store.Counted() {
		if call == "GetItem" {
			n++
		}
	}
	return n
}

// TestRegistryUnreachable checks that while the registry cannot be read, a known client is
// served from its copy for an hour and not longer. An unknown one gets 503 and not a refusal.
func TestRegistryUnreachable(t *testing.T) {
	parallel(t)
	for _, fault := range []storetest.Fault{storetest.Failed, storetest.Throttled, storetest.Timeout, storetest.Lost} {
		t.Run(fmt.Sprint(fault), func(t *testing.T) {
			w := newWorld(t)
			w.putClient("other", `{"type":"public"}`)
			tok, _ := w.login()
			tok = w.rotate(tok)
			w.store.Break(func(_ int, operation string) storetest.Fault {
				if operation == "GetItem" {
					return fault
				}
				return storetest.None
			})
			steps := []time.Duration{time.Minute, 30 * time.Minute, 29*time.Minute - time.Millisecond}
			for _, step := range steps {
				w.clock.Advance(step)
				tok = w.rotate(tok)
			}
			logged := 0
			for _, line := range w.lines("client not read again, the old copy stays in use") {
				if line["client_id"] != "app" || line["level"] != "WARN" || line["read_at"] == nil || line["error"] == nil {
					t.Errorf("logged %v", line)
				}
				logged++
			}
			if logged != len(steps) {
				t.Errorf("logged %d times", logged)
			}
			if a := w.refresh("none", "client_id", "other"); !a.unavailable() {
				t.Errorf("a client that was never read got %v", a)
			}
			w.clock.Advance(time.Millisecond)
			if a := w.refresh(tok); !a.unavailable() {
				t.Errorf("an hour after the last read: %v", a)
			}
			w.store.Break(nil)
			w.rotate(tok)
		})
	}
}

// TestRegistryReadsArePaced checks that a failed read is not repeated by each request, and
// that a read which hangs delays nobody for long.
func TestRegistryReadsArePaced(t *testing.T) {
	w := newWorld(t, servers(2))
	tok, _ := w.login()
	tok = w.rotate(tok)
	w.clock.Advance(time.Minute)
	w.store.Break(func(_ int, operation string) storetest.Fault {
		if operation == "GetItem" {
			return storetest.Hang
		}
		return storetest.None
	})
	w.store.Counted()
	for range 20 {
		tok = w.rotate(tok)
	}
	if n := w.reads(); n != 1 {
		t.Errorf("%d reads of a table that does not answer", n)
	}
	w.store.Break(nil)
	w.clock.Advance(5 * time.Second)
	w.sendTo(1, http.MethodPut, "/v1/clients/app", jsonType, `{"type":"public","policy":{"invalid_grant_status":403}}`)
	if a := w.refresh("none"); a.status != http.StatusForbidden {
		t.Errorf("after the pause the client was not read again: %v", a)
	}
}

// TestMadeUpClientsDriveNobodyOut checks that made-up ids do not drive clients out of the
// cache.
func TestMadeUpClientsDriveNobodyOut(t *testing.T) {
	w := newWorld(t)
	tok, _ := w.login()
	tok = w.rotate(tok)
	w.store.Counted()
	const made = 1200
	for i := range made {
		if a := w.refresh("none", "client_id", fmt.Sprintf("made-up-%d", i)); a.status != http.StatusUnauthorized {
			t.Fatalf("got %v", a)
		}
		if i%100 == 0 {
			tok = w.rotate(tok)
		}
	}
	if n := w.reads(); n != made {
		t.Errorf("%d reads for %d ids that were made up and one that was known", n, made)
	}
	// An unknown id is read at most once a minute, for all callers together.
	for range 3 {
		w.refresh("none", "client_id", fmt.Sprintf("made-up-%d", made-1))
	}
	if n := w.reads(); n != 0 {
		t.Errorf("%d reads of an unknown id", n)
	}
}

// TestRegistryFollows checks that a client is known within a minute of its registration
// elsewhere, and unknown within a minute of its deletion.
func TestRegistryFollows(t *testing.T) {
	w := newWorld(t, servers(2))
	present := func() int { return w.refresh("none", "client_id", "late").status }
	if got := present(); got != http.StatusUnauthorized {
		t.Errorf("before: %d", got)
	}
	if a := w.sendTo(1, http.MethodPut, "/v1/clients/late", jsonType, `{"type":"public"}`); a.status != http.StatusCreated {
		t.Fatal(a)
	}
	w.clock.Advance(time.Minute)
	if got := present(); got != http.StatusBadRequest {
		t.Errorf("a minute after it was registered: %d", got)
	}
	if a := w.sendTo(1, http.MethodDelete, "/v1/clients/late", "", ""); a.status != http.StatusNoContent {
		t.Fatal(a)
	}
	w.clock.Advance(time.Minute)
	if got := present(); got != http.StatusUnauthorized {
		t.Errorf("a minute after it was deleted: %d", got)
	}
}

// TestRegistryWhenTheClockIsSetBack checks that a clock which was set back does not keep a
// copy for longer.
func TestRegistryWhenTheClockIsSetBack(t *testing.T) {
	w := newWorld(t, servers(2))
	w.refresh("none") // the first server has a copy
	w.sendTo(1, http.MethodPut, "/v1/clients/app", jsonType, `{"type":"public","policy":{"invalid_grant_status":403}}`)
	w.clock.Advance(-24 * time.Hour)
	if a := w.refresh("none"); a.status != http.StatusForbidden {
		t.Errorf("got %v", a)
	}
}

// afterwards is a transport that does something once, after the first answer to an operation.
type afterwards struct {
	below     aws.HTTPClient
	operation string
	done      atomic.Bool
	happens   func()
}

func (a *afterwards) Do(r *http.Request) (*http.Response, error) {
	resp, err := a.below.Do(r)
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+a.operation) {
		if a.done.CompareAndSwap(false, true) {
			a.happens()
		}
	}
	return resp, err
}

// TestChangeBesideAReadOfTheRegistry checks that a server sees its own change of a client at
// once, even if another request reads the old client at the same time.
func TestChangeBesideAReadOfTheRegistry(t *testing.T) {
	for name, change := range map[string]func(w *world, server int) answer{
		"put": func(w *world, server int) answer {
			return w.sendTo(server, http.MethodPut, "/v1/clients/app", jsonType, `{"type":"confidential"}`)
		},
		"deleted": func(w *world, server int) answer {
			return w.sendTo(server, http.MethodDelete, "/v1/clients/app", "", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first, _ := w.login()
			cfg, server := w.store.Config(), 0
			cfg.HTTPClient = &afterwards{below: cfg.HTTPClient, operation: "GetItem", happens: func() {
				if a := change(w, server); a.status >= 300 {
					t.Errorf("the change got %v", a)
				}
				beside := make(chan answer, 1)
				go func() {
					a, _ := w.try(server, http.MethodPost, "/oauth/token", formType, refreshForm(first))
					beside <- a
				}()
				select {
				case a := <-beside:
					if a.status != http.StatusUnauthorized {
						t.Errorf("after the change, and beside the read, it goes by that: %v", a)
					}
				case <-time.After(3 * time.Second):
					t.Error("after the change it waits for a read that began before")
				}
			}}
			_, server = w.another(store.New(cfg, w.store.Name(), store.DefaultRetention), keysAsTheyAre{w.keys})
			w.refreshAt(server, first)
			if a := w.refreshAt(server, first); a.status != http.StatusUnauthorized {
				t.Errorf("after the change it goes by what was read before: %v", a)
			}
		})
	}
}
