package server_test

import (
	"net/http"
	"testing"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// lose makes the store lose the answers to the operation, the first n of them.
func (w *world) lose(operation string, n int) {
	w.store.Break(func(_ int, op string) storetest.Fault {
		if op != operation || n == 0 {
			return storetest.None
		}
		n--
		return storetest.Lost
	})
}

// A client is deleted whose deletion the SDK had to repeat, since an answer was lost: it
// is no 404, and the trail has it as done.
func TestDeletedClientWhoseAnswerWasLost(t *testing.T) {
	for lost := range 3 {
		w := newWorld(t)
		w.lose("DeleteItem", lost)
		a := w.send(http.MethodDelete, "/v1/clients/app", "", "")
		w.store.Break(nil)
		if a.status != http.StatusNoContent {
			t.Errorf("%d answers lost: %v", lost, a)
		}
		lines := w.logged("sapi")
		if line := lines[len(lines)-1]; line["operation"] != "delete_client" || line["status"] != 204.0 {
			t.Errorf("%d answers lost: the trail has %v", lost, line)
		}
		w.send(http.MethodDelete, "/v1/clients/app", "", "").problem(t, http.StatusNotFound)
	}
}

// Where all answers are lost it may have been done: the server that was asked goes by
// what the table says at once, and not by the copy that it has.
func TestClientChangedWithoutAnAnswer(t *testing.T) {
	t.Run("put", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		w.rotate(first) // the client is cached
		w.lose("UpdateItem", 100)
		a := w.send(http.MethodPut, "/v1/clients/app", jsonType, `{"type":"confidential"}`)
		w.store.Break(nil)
		if !a.unavailableProblem() {
			t.Fatal(a)
		}
		if a := w.refresh(first); a.status != http.StatusUnauthorized {
			t.Errorf("the client has become confidential, and without a secret it got %v", a)
		}
	})
	t.Run("delete", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		w.rotate(first)
		w.lose("DeleteItem", 100)
		a := w.send(http.MethodDelete, "/v1/clients/app", "", "")
		w.store.Break(nil)
		if !a.unavailableProblem() {
			t.Fatal(a)
		}
		if a := w.refresh(first); a.status != http.StatusUnauthorized {
			t.Errorf("the client is gone, and got %v", a)
		}
	})
}

// Everything that one call ended bears an event which names it, and no event names what
// it did not end, whichever transaction the answers are lost of.
func TestRevocationWithoutAnAnswer(t *testing.T) {
	const families = 150 // two transactions, where one is kept
	for name, tt := range map[string]struct {
		except bool
		first  int // transaction whose answers are lost
		ended  int // by the first call
	}{
		"all":                       {false, 1, 1},
		"all but, the first":        {true, 1, 98},
		"all but, one of the later": {true, 2, families},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.issueMany(families)
			query, left := "user_id=u", families
			if tt.except {
				query += "&except=" + w.devices(1, "app")[0].id
			}
			transactions := 0
			w.store.Break(func(_ int, operation string) storetest.Fault {
				if operation != "TransactWriteItems" {
					return storetest.None
				}
				if transactions++; transactions < tt.first {
					return storetest.None
				}
				return storetest.Lost
			})
			a := w.send(http.MethodDelete, "/v1/families?"+query, "", "")
			w.store.Break(nil)
			if !a.unavailableProblem() {
				t.Fatal(a)
			}
			events := w.events("user_id=u&type=srrt")
			if len(events) != 1 || events[0]["removedCount"] != float64(tt.ended) {
				t.Errorf("%d events, the first counts %v of %d", len(events), events[0]["removedCount"], tt.ended)
			}
			left -= tt.ended
			if b := w.send(http.MethodDelete, "/v1/families?"+query, "", ""); b.number("revoked") != float64(left) {
				t.Errorf("again: %v", b)
			}
			named := map[any]bool{}
			for _, e := range w.events("user_id=u&type=srrt") {
				ids, _ := e["families"].([]any)
				for _, id := range ids {
					if named[id] {
						t.Fatalf("family %v is named twice", id)
					}
					named[id] = true
				}
			}
			if len(named) != families {
				t.Errorf("the events name %d families of %d", len(named), families)
			}
		})
	}
}
