package server_test

import (
	"net/http"
	"testing"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// lose makes the store lose its first n answers to the operation.
func (w *world) lose(operation string, n int) {
	w.store.Break(func(_ int, op string) storetest.Fault {
		if op != operation || n == 0 {
			return storetest.None
		}
		n--
		return storetest.Lost
	})
}

// TestDeletedClientWhoseAnswerWasLost checks a deletion that the SDK repeats because an answer
// was lost. It is not answered 404, and the trail has it as done.
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

// TestClientChangedWithoutAnAnswer checks a change whose answers are all lost, so that it may
// have been applied. The server reads the table at once and does not use its copy.
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

// TestRevocationWithoutAnAnswer checks that each family which a call ended names an event that
// names the family, and that events name no others, whichever transaction loses its answers.
func TestRevocationWithoutAnAnswer(t *testing.T) {
	const families = 150 // two transactions if one family is kept
	for name, tt := range map[string]struct {
		except bool
		first  int // the transaction whose answers are lost
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
