package server_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// meanwhile starts one more server and returns its number. Right before that server's n-th
// request of an operation, something happens.
func (w *world) meanwhile(n int64, operation string, happens func()) (server int) {
	w.t.Helper()
	_, server = w.another(w.store.Meanwhile(n, operation, happens), keysAsTheyAre{w.keys})
	return server
}

// also makes a request to the first server and checks its status. It is for use in what
// happens meanwhile.
func (w *world) also(status int, method, path, contentType, body string) {
	if a, err := w.try(0, method, path, contentType, body); err != nil || a.status != status {
		w.t.Errorf("meanwhile: %v, %v", a, err)
	}
}

// keysAsTheyAre is a source of keys that never change.
type keysAsTheyAre struct{ keys *keyring.Keys }

func (k keysAsTheyAre) Keys(context.Context, time.Time) (*keyring.Keys, error) { return k.keys, nil }

func (k keysAsTheyAre) Newer(context.Context, time.Time) (*keyring.Keys, error) { return k.keys, nil }

// TestSkipIsOfTheRecordSeen checks that a lost response is skipped only in the record that was
// read. If the record has changed, the use is decided anew.
func TestSkipIsOfTheRecordSeen(t *testing.T) {
	for _, tt := range []struct {
		name    string
		happens func(w *world, newest, id string)
		cause   family.Cause
	}{
		{"its successor was used", func(w *world, newest, _ string) {
			w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(newest))
		}, family.ReuseDetected},
		{"revoked", func(w *world, _, id string) {
			w.also(http.StatusOK, http.MethodDelete, "/v1/families/"+id, "", "")
		}, family.RevokedByAdmin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
			first, id := w.login()
			newest := w.rotate(first)
			w.clock.Advance(time.Hour)
			server := w.meanwhile(2, "UpdateItem", func() { tt.happens(w, newest, id) })
			if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first)); !a.refused(http.StatusBadRequest) {
				t.Errorf("got %v", a)
			}
			if f := w.family(id); f.text("cause") != string(tt.cause) {
				t.Errorf("the family is %v", f)
			}
		})
	}
}

// TestMoveAheadIsOfTheRecordSeen checks that a family which was revoked after it was read does
// not move ahead.
func TestMoveAheadIsOfTheRecordSeen(t *testing.T) {
	w := newWorld(t)
	_, id := w.login()
	server := w.meanwhile(1, "TransactWriteItems", func() { w.also(http.StatusOK, http.MethodDelete, "/v1/families/"+id, "", "") })
	if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(w.mint(id, 7))); !a.refused(http.StatusBadRequest) {
		t.Errorf("got %v", a)
	}
	if f := w.family(id); f.text("cause") != string(family.RevokedByAdmin) || f.number("counter") != 1 || len(w.logged("ahead")) != 0 {
		t.Errorf("the family is %v, logged %v", f, w.logged("ahead"))
	}
}

// TestMoveAheadBesideAnother checks that of two callers with a token newer than the record, the
// one that comes second to move the record gets what it would have got right after the first,
// whose server's clock is two seconds behind.
func TestMoveAheadBesideAnother(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy string
		want   int // the token that the second gets; 0 if it is refused
		after  int // the family's newest then
		log    string
	}{
		{"held", `{}`, 7, 7, "sertft"},
		{"held no longer", `{"reuse_interval":1}`, 8, 8, "sertft"},
		{"without rotation", `{"rotation":false}`, 7, 7, "sertft"},
		{"strict", `{"reuse_interval":0}`, 0, 8, "ferrt"},
		{"strict, forgiving", `{"reuse_interval":0,"lost_response":"until_used"}`, 9, 9, "sertft"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.confidential(tt.policy)
			_, id := w.login()
			form := refreshForm(w.mint(id, 7), "client_secret", w.secret)
			server := w.meanwhile(1, "TransactWriteItems", func() {
				w.clock.Advance(-2 * time.Second)
				w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, form)
				w.clock.Advance(2 * time.Second)
			})
			a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, form)
			if got := w.successor(a); int(got) != tt.want || tt.want == 0 && !a.refused(http.StatusBadRequest) {
				t.Errorf("token %d, got %v", got, a)
			}
			if n := w.counter(id); n != tt.after {
				t.Errorf("the counter is %d", n)
			}
			if ahead := len(w.logged("ahead")); ahead != 1 || ahead != w.storedEvents("ahead") || len(w.logged(tt.log)) != 1 {
				t.Errorf("%d moved ahead, logged %v", ahead, w.logged(tt.log))
			}
		})
	}
}

// TestAnswerOfAnAdvanceLostToTheSDK checks that the SDK's retry of a skip or of a move ahead
// recognizes its own write. The family advances once, however strict the policy is, and that
// is logged.
func TestAnswerOfAnAdvanceLostToTheSDK(t *testing.T) {
	for _, tt := range []struct {
		name    string
		present func(w *world, first, id string) string
		want    int
	}{
		{"skip", func(w *world, first, _ string) string { w.rotate(first); return first }, 3},
		{"ahead", func(w *world, _, id string) string { return w.mint(id, 7) }, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used","reuse_interval":0}}`)
			first, id := w.login()
			presented := tt.present(w, first, id)
			w.refresh("none") // the client is cached
			w.store.Once(2, storetest.Lost)
			successor := w.rotate(presented)
			if calls := w.store.Counted(); len(calls) != 3 {
				t.Errorf("the store was asked %v", calls)
			}
			w.store.Break(nil)
			if _, n := w.content(successor); int(n) != tt.want || w.counter(id) != tt.want {
				t.Errorf("token %d, counter %d", n, w.counter(id))
			}
			if n := len(w.logged("ferrt")) + len(w.logged("fertft")); n != 1 { // the refusal of "none"
				t.Errorf("%d refusals were logged", n)
			}
			lost := slices.DeleteFunc(w.logged("sertft"), func(line map[string]any) bool { return line["lostResponse"] != true })
			if ahead := w.logged("ahead"); len(ahead)+len(lost) != 1 || len(ahead) != w.storedEvents("ahead") {
				t.Errorf("logged %v and %v", lost, ahead)
			}
			w.rotate(successor)
		})
	}
}

// TestAnswerOfARevocationLostToTheSDK checks that the SDK's retry of a revocation recognizes
// its own event, and that the event is logged.
func TestAnswerOfARevocationLostToTheSDK(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	newest := w.rotate(first)
	w.clock.Advance(time.Hour)
	w.refresh("none") // the client is cached
	w.store.Once(2, storetest.Lost)
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
		t.Errorf("got %v", a)
	}
	w.store.Break(nil)
	if logged, stored := len(w.logged("ferrt")), w.storedEvents("ferrt"); logged != 1 || stored != 1 {
		t.Errorf("%d events logged, %d stored", logged, stored)
	}
	w.dead(newest, family.ReuseDetected)
}

// TestReplayDuringAReplay checks that of two simultaneous replays the second is refused like
// any dead token, and records nothing.
func TestReplayDuringAReplay(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	newest := w.rotate(first)
	w.clock.Advance(time.Hour)
	server := w.meanwhile(1, "TransactWriteItems", func() {
		w.also(http.StatusBadRequest, http.MethodPost, "/oauth/token", formType, refreshForm(first))
	})
	if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first)); !a.refused(http.StatusBadRequest) {
		t.Errorf("got %v", a)
	}
	lines := w.logged("ferrt")
	if len(lines) != 1 || w.storedEvents("ferrt") != 1 {
		t.Fatalf("%d events logged, %d stored", len(lines), w.storedEvents("ferrt"))
	}
	timeline := w.family(id).json["timeline"].([]any)
	if last := timeline[len(timeline)-1].(map[string]any); last["event"] != "reuse_detected" || last["event_id"] != lines[0]["eventId"] {
		t.Errorf("the last moment is %v, the event %v", last, lines[0])
	}
	w.dead(newest, family.ReuseDetected)
}

// TestReuseThatCannotBeRecorded checks that a family is revoked and its event stored, or
// neither. Whichever request fails, the next replay leaves one event, and no failure is blamed
// on the token.
func TestReuseThatCannotBeRecorded(t *testing.T) {
	for _, operation := range []string{"TransactWriteItems", "PutItem"} {
		t.Run(operation, func(t *testing.T) {
			w := newWorld(t)
			first, _ := w.login()
			newest := w.rotate(first)
			w.clock.Advance(time.Hour)
			failed := false
			w.store.Break(func(_ int, op string) storetest.Fault {
				if op == operation {
					failed = true
					return storetest.Failed
				}
				return storetest.None
			})
			if a := w.refresh(first); failed && !a.unavailable() {
				t.Errorf("broken: %v", a)
			}
			w.store.Break(nil)
			if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
				t.Errorf("mended: %v", a)
			}
			if logged, stored := len(w.logged("ferrt")), w.storedEvents("ferrt"); logged != 1 || stored != 1 {
				t.Errorf("%d events logged, %d stored", logged, stored)
			}
			w.dead(newest, family.ReuseDetected)
		})
	}
}

// TestObserveRace checks that of simultaneous observed replays one is recorded, and that later
// replays write nothing.
func TestObserveRace(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_detection":"observe","observe_until":%q}}`,
		w.clock.Now().Add(24*time.Hour).Format(time.RFC3339)))
	first, _ := w.login()
	newest := w.rotate(first)
	w.clock.Advance(time.Hour)
	server := w.meanwhile(1, "TransactWriteItems", func() { w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(first)) })
	a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first))
	if a.status != http.StatusOK || a.text("refresh_token") != newest {
		t.Errorf("got %v", a)
	}
	if logged, stored := len(w.logged("ferrt")), w.storedEvents("ferrt"); logged != 1 || stored != 1 {
		t.Errorf("%d events logged, %d stored", logged, stored)
	}
	w.store.Counted()
	w.rotate(first)
	if calls := w.store.Counted(); !slices.Equal(calls, []string{"UpdateItem"}) {
		t.Errorf("the store was asked %v", calls)
	}
}

// TestRevocationOfAPurgedFamily checks that a revocation does not restore the record of a
// family that was purged after it was read.
func TestRevocationOfAPurgedFamily(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	w.clock.Advance(14 * day)
	server := w.meanwhile(1, "TransactWriteItems", func() {
		if _, err := w.table.Purge(t.Context(), w.clock.Now().Add(365*day)); err != nil {
			t.Error(err)
		}
	})
	if a := w.sendTo(server, http.MethodPost, "/oauth/revoke", formType, "client_id=app&token="+first); a.status != http.StatusOK {
		t.Errorf("got %v", a)
	}
	if a := w.send(http.MethodGet, "/v1/families/"+id, "", ""); a.status != http.StatusNotFound {
		t.Errorf("the family is %v", a)
	}
	if n := len(w.logged("srrt")); n != 0 {
		t.Errorf("%d revocations logged", n)
	}
}

// TestRevokeAllIsRecordedFirst checks that the event of a revocation of all families is stored
// before the first family ends, so that support finds a cause for each ended family.
func TestRevokeAllIsRecordedFirst(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	w.store.Break(func(_ int, operation string) storetest.Fault {
		if operation == "UpdateItem" {
			return storetest.Lost
		}
		return storetest.None
	})
	if a := w.send(http.MethodDelete, "/v1/families?user_id=u", "", ""); a.status != http.StatusServiceUnavailable && a.status != http.StatusOK {
		t.Errorf("got %v", a)
	}
	w.store.Break(nil)
	w.dead(first, family.RevokedByAdmin)
	if n := w.storedEvents("srrt"); n != 1 {
		t.Errorf("%d events stored", n)
	}
}

// TestLargestCounter checks that the token with the largest number has no successor. It is
// refused without a request to the store, and also if the record has come that far.
func TestLargestCounter(t *testing.T) {
	w := newWorld(t)
	_, id := w.login()
	last := w.later(w.rotate(w.mint(id, math.MaxUint32-1)))
	if _, n := w.content(last); n != math.MaxUint32 {
		t.Fatalf("token %d", n)
	}
	w.store.Counted()
	w.dead(last, family.CounterSpent)
	if calls := w.store.Counted(); len(calls) != 0 {
		t.Errorf("the store was asked %v", calls)
	}
	if f := w.family(id); f.text("status") != "active" || f.number("counter") != math.MaxUint32 {
		t.Errorf("the family is %v", f)
	}
}

// TestRevokedBeforeTheRetryOfASkip checks a skip whose answer was lost, of a family that was
// revoked before the SDK retried. A revoked family issues nothing.
func TestRevokedBeforeTheRetryOfASkip(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	first, _ := w.login()
	w.rotate(first)
	w.clock.Advance(time.Hour)
	server := w.meanwhile(3, "UpdateItem", func() {
		w.also(http.StatusOK, http.MethodDelete, "/v1/families?user_id=u&cause=password_changed", "", "")
	})
	w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("none"))
	w.store.Once(2, storetest.Lost)
	if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first)); !a.refused(http.StatusBadRequest) {
		t.Errorf("got %v", a)
	}
}
