package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// longTimeout is the timeout of a request with slow operations. Everything else that it does takes
// far less time, even on a busy machine.
const longTimeout = 12 * time.Second

// slowly starts one more server, on a store that is slow to perform this operation, with less
// time than its requests take.
func (w *world) slowly(operation string) (number int) {
	w.t.Helper()
	slow := 300 * time.Millisecond
	if operation == "UpdateItem" || operation == "DeleteItem" { // many are made at once
		slow *= 2
	}
	srv := httptest.NewServer(server.New(server.Config{
		Issuer: w.servers[0].URL, Table: w.store.Table(), Keys: keysAsTheyAre{w.keys}, Log: w.logger(), Now: w.clock.Now,
		Metrics: true, Timeout: longTimeout,
	}).Handler())
	w.t.Cleanup(srv.Close)
	w.servers = append(w.servers, srv)
	w.store.Slow(operation, slow)
	w.t.Cleanup(func() { w.store.Slow(operation, 0) })
	return len(w.servers) - 1
}

// paged repeats a call until its answer has no next, first on one server and then on the first
// one, and returns the answers.
func (w *world) paged(server int, path string, between func()) (answers []answer) {
	w.t.Helper()
	for next := ""; ; server = 0 {
		a := w.sendTo(server, http.MethodDelete, path+next, "", "")
		if a.status != http.StatusOK {
			w.t.Fatal(a)
		}
		answers = append(answers, a)
		if a.text("next") == "" {
			return answers
		}
		if len(answers) == 1 {
			between()
		}
		path, _, _ = strings.Cut(path, "&next=")
		next = "&next=" + url.QueryEscape(a.text("next"))
	}
}

// TestRevokeAllOnASlowStore checks a revocation of many families that runs out of time. Its
// answer has a cursor, and the next call does the rest: no family is skipped. Answers, events
// and metrics count each ended family once.
func TestRevokeAllOnASlowStore(t *testing.T) {
	parallel(t)
	for name, tt := range map[string]struct{ query, operation string }{
		"all":     {"", "UpdateItem"},
		"all but": {"&except=", "TransactWriteItems"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const families = 400
			w := newWorld(t, metrics())
			w.issueMany(families)
			keep := w.devices(1, "app")[0]
			want := families + 1
			if name == "all but" {
				tt.query += keep.id
				want = families
			}
			server := w.slowly(tt.operation)
			if name == "all but" {
				w.store.Slow(tt.operation, longTimeout/5) // four transactions begin in the time, of 98 families each
			}
			answers := w.paged(server, "/v1/families?user_id=u"+tt.query, func() { w.store.Slow(tt.operation, 0) })
			revoked := 0
			for _, a := range answers {
				revoked += int(a.number("revoked"))
			}
			if revoked != want || len(answers) < 2 || answers[0].number("revoked") == 0 {
				t.Errorf("%d families ended of %d: %v", revoked, want, answers)
			}
			metric := 0
			for i, e := range w.logged("srrt") {
				metric += int(e["Revoked"].(float64))
				if i < len(answers) && e["removedCount"] != answers[i].number("revoked") {
					t.Errorf("the event of call %d counts %v, the answer %v", i, e["removedCount"], answers[i].number("revoked"))
				}
			}
			if metric != want {
				t.Errorf("the metric counts %d", metric)
			}
			w.eventsAreTrue()
			list := w.send(http.MethodGet, "/v1/families?user_id=u&status=active", "", "")
			if left := len(list.json["families"].([]any)); left != families+1-want {
				t.Errorf("%d families are left", left)
			}
		})
	}
}

// TestRevokeAllTwiceAtOnce checks that two simultaneous revocations of all families end each
// family once, and that each event names the families that it ended.
func TestRevokeAllTwiceAtOnce(t *testing.T) {
	for _, n := range []int64{1, 3} {
		w := newWorld(t)
		w.devices(5, "app")
		server := w.meanwhile(n, map[int64]string{1: "TransactWriteItems", 3: "UpdateItem"}[n], func() {
			w.also(http.StatusOK, http.MethodDelete, "/v1/families?user_id=u", "", "")
		})
		a := w.sendTo(server, http.MethodDelete, "/v1/families?user_id=u", "", "")
		other := 0
		for _, e := range w.logged("srrt") {
			other += int(e["removedCount"].(float64))
		}
		if a.status != http.StatusOK || other != 5 {
			t.Errorf("got %v, and the events count %d", a, other)
		}
		w.eventsAreTrue()
	}
}

// TestRevokeAllFailsMidway checks that the event of a revocation which fails midway names all
// families that may name it.
func TestRevokeAllFailsMidway(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		for ended := range 4 {
			w := newWorld(t)
			devices := w.devices(4, "app")
			updates := 0
			w.store.Break(func(_ int, operation string) storetest.Fault {
				if operation == "UpdateItem" {
					if updates++; updates > ended {
						return fault
					}
				}
				return storetest.None
			})
			a := w.send(http.MethodDelete, "/v1/families?user_id=u", "", "")
			w.store.Break(nil)
			if ended < 3 != a.unavailableProblem() {
				t.Errorf("%s after %d: %v", name, ended, a)
			}
			w.bulk("user_id", "u")
			named := map[string]bool{}
			for _, e := range w.events("user_id=u&type=srrt") {
				for _, id := range e["families"].([]any) {
					named[e["eventId"].(string)+id.(string)] = true
				}
			}
			for _, d := range devices {
				timeline := w.family(d.id).json["timeline"].([]any)
				last := timeline[len(timeline)-1].(map[string]any)
				event, _ := last["event_id"].(string)
				if last["event"] != "revoked" || !named[event+d.id] {
					t.Errorf("%s after %d: a family ended under an event that does not name it: %v", name, ended, last)
				}
			}
		}
	}
}
