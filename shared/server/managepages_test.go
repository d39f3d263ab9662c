package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
)

// listed follows a list to its end. The items are in member, and id is what tells them apart.
func (w *world) listed(path, member, id string) (ids []string, pages []int) {
	w.t.Helper()
	for next := ""; ; {
		a := w.get(path + next)
		list, ok := a.json[member].([]any)
		if a.status != http.StatusOK || !ok || len(pages) > 10 {
			w.t.Fatalf("page %d: %v", len(pages), a)
		}
		for _, m := range list {
			m, _ := m.(map[string]any)
			s, _ := m[id].(string)
			ids = append(ids, s)
		}
		if pages = append(pages, len(list)); a.text("next") == "" {
			return ids, pages
		}
		next = "&next=" + url.QueryEscape(a.text("next"))
	}
}

// each checks that a list has the wanted number of items, each once, in pages of at most 100.
// Every page except the last must be full.
func each(t *testing.T, ids []string, pages []int, want int) {
	t.Helper()
	seen := map[string]bool{}
	for _, id := range ids {
		if id == "" || seen[id] {
			t.Fatalf("%q is listed twice", id)
		}
		seen[id] = true
	}
	if len(ids) != want {
		t.Errorf("%d listed of %d, in pages of %v", len(ids), want, pages)
	}
	for i, n := range pages {
		if n > 100 || i < len(pages)-2 && n < 100 {
			t.Errorf("the pages have %v", pages)
		}
	}
}

// TestPagesThatAreExactlyFull checks a page that is exactly full, and one item more or less.
// Each item is listed once, whether all items match or those at the seams do not.
func TestPagesThatAreExactlyFull(t *testing.T) {
	parallel(t)
	for _, n := range []int{99, 100, 101, 199, 200, 201} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.putClient("other", `{"type":"public"}`)
			// At each seam lies a family of another client: the newest, the oldest, and one in
			// between.
			w.devices(1, "other")
			w.clock.Advance(time.Second)
			w.issueMany(n)
			w.clock.Advance(time.Second)
			w.devices(1, "other")
			for query, want := range map[string]int{
				"user_id=u": n + 2, "user_id=u&client_id=app": n, "user_id=u&client_id=app&status=active": n, "user_id=u&client_id=other": 2, "user_id=u&status=revoked": 0,
			} {
				ids, pages := w.listed("/v1/families?"+query, "families", "family")
				each(t, ids, pages, want)
			}
			for i := range n {
				e := audit.New(audit.Revoked, w.clock.Now().Add(time.Duration(i-n)*time.Millisecond))
				e.User, e.UserID = w.keys.Users.Key("u"), "u"
				if err := w.table.PutEvent(t.Context(), &e); err != nil {
					t.Fatal(err)
				}
			}
			w.clock.Advance(time.Second)
			_, id := w.login()
			w.send(http.MethodDelete, "/v1/families/"+id, "", "")
			w.clock.Advance(time.Second)
			e := audit.New(audit.Ahead, w.clock.Now()) // the newest event has another type
			e.User, e.UserID = w.keys.Users.Key("u"), "u"
			if err := w.table.PutEvent(t.Context(), &e); err != nil {
				t.Fatal(err)
			}
			for query, want := range map[string]int{"user_id=u": n + 2, "type=srrt": n + 1, "user_id=u&type=srrt": n + 1, "user_id=u&type=ferrt": 0, "family=" + id: 1} {
				ids, pages := w.listed("/v1/events?"+query, "events", "eventId")
				each(t, ids, pages, want)
			}
			for i := range n - 3 { // beside "app", "web" and "other"
				w.putClient(fmt.Sprintf("client-%03d", i), `{"type":"public"}`)
			}
			ids, pages := w.listed("/v1/clients?", "clients", "client_id")
			each(t, ids, pages, n)
		})
	}
}

// TestCallsThatAreExactlyFull checks as many families as one call ends, changes or erases, and
// one more. All are done, and each is counted once.
func TestCallsThatAreExactlyFull(t *testing.T) {
	parallel(t)
	for _, n := range []int{1000, 1001} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.issueMany(n)
			if got, calls := w.changeAll(`{"acr":"x"}`, "user_id", "u"); got != n || calls > 2 {
				t.Errorf("%d changed in %d calls", got, calls)
			}
			if got, calls := w.bulk("user_id", "u", "dry_run", "true"); got != n || calls > 2 {
				t.Errorf("a dry run counts %d in %d calls", got, calls)
			}
			if got, calls := w.bulk("user_id", "u"); got != n || calls > 2 {
				t.Errorf("%d ended in %d calls", got, calls)
			}
			w.eventsAreTrue()
			stored := len(w.events("user_id=u"))
			if families, events := w.erase("user_id=u"); families != n || events != stored {
				t.Errorf("%d families and %d events erased", families, events)
			}
			w.nothingKept()
		})
	}
}

// TestCursorsOfARevocation checks that a cursor of a mass revocation works only with the same
// parameters. Above all, a cursor of a dry run must not continue as a revocation.
func TestCursorsOfARevocation(t *testing.T) {
	w := newWorld(t)
	w.issueMany(1001)
	keep := w.devices(1, "app")[0].id
	next := url.QueryEscape(w.send(http.MethodDelete, "/v1/families?user_id=u&client_id=app&dry_run=true&cause=password_changed&except="+keep, "", "").text("next"))
	if next == "" {
		t.Fatal("there is one page")
	}
	for _, query := range []string{
		"user_id=u&client_id=app&cause=password_changed&except=" + keep,
		"user_id=u&client_id=app&dry_run=false&cause=password_changed&except=" + keep,
		"user_id=u&client_id=app&dry_run=true&except=" + keep,
		"user_id=u&client_id=app&dry_run=true&cause=revoked_by_admin&except=" + keep,
		"user_id=u&client_id=app&dry_run=true&cause=password_changed",
		"user_id=u&dry_run=true&cause=password_changed&except=" + keep,
		"user_id=u&client_id=web&dry_run=true&cause=password_changed&except=" + keep,
		"user_id=v&client_id=app&dry_run=true&cause=password_changed&except=" + keep,
	} {
		w.send(http.MethodDelete, "/v1/families?"+query+"&next="+next, "", "").names(t, "next")
	}
	if n := w.storedEvents("srrt"); n != 0 {
		t.Errorf("%d events", n)
	}
	if a := w.send(http.MethodDelete, "/v1/families?user_id=u&client_id=app&dry_run=1&cause=password_changed&except="+keep+"&next="+next, "", ""); a.status != http.StatusOK || a.number("revoked") > 1 {
		t.Errorf("the cursor itself: %v", a)
	}
}

// TestOperationIsOfItsPath checks that the trail names what the path names, even if the query
// has a parameter that the call does not know.
func TestOperationIsOfItsPath(t *testing.T) {
	w := newWorld(t)
	a, line := w.did(http.MethodPut, "/v1/clients/sh?client_id=op", `{"type":"public"}`)
	if a.status != http.StatusBadRequest || line["clientId"] != "sh" {
		t.Errorf("got %v, and the line %v", a, line)
	}
}
