package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// device holds a family of "u": its id and its newest token.
type device struct{ id, token string }

func (w *world) devices(n int, clientID string) (devices []device) {
	w.t.Helper()
	for range n {
		w.clock.Advance(time.Second)
		a := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":%q}`, clientID))
		devices = append(devices, device{a.text("family"), a.text("refresh_token")})
	}
	return devices
}

// allBut calls DELETE /v1/families and excepts that device.
func (w *world) allBut(keep device, more string) answer {
	w.t.Helper()
	return w.send(http.MethodDelete, "/v1/families?user_id=u&except="+keep.id+more, "", "")
}

// statuses returns the causes of the devices' ends, "" for one that is active.
func (w *world) statuses(devices []device) (causes []string) {
	w.t.Helper()
	for _, d := range devices {
		causes = append(causes, w.family(d.id).text("cause"))
	}
	return causes
}

// unfit checks that the call was refused because the family to keep is not an active one of
// the user.
func (a answer) unfit(t testing.TB) {
	t.Helper()
	const want = `{"type":"about:blank","title":"Unprocessable Entity","status":422,"detail":"except must be a living family of that user",` +
		`"errors":[{"field":"except","detail":"except must be a living family of that user"}]}` + "\n"
	if a.status != http.StatusUnprocessableEntity || a.body != want || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %v", a)
	}
}

// TestRevokeAllBut checks that all families of a user except one end, in every application,
// under one event.
func TestRevokeAllBut(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	here := w.devices(4, "app")
	other := w.devices(1, "other")[0]
	foreign := w.issue(`{"user_id":"v","client_id":"app"}`)
	if a := w.allBut(here[2], "&dry_run=true"); a.body != `{"revoked":4,"dry_run":true}`+"\n" || w.storedEvents("srrt") != 0 {
		t.Errorf("a dry run is answered %v", a)
	}
	if a := w.allBut(here[2], "&cause=password_changed"); a.status != http.StatusOK || a.body != `{"revoked":4}`+"\n" {
		t.Errorf("got %v", a)
	}
	for _, d := range []device{here[0], here[1], here[3]} {
		w.dead(d.token, family.PasswordChanged)
	}
	w.dead(other.token, family.PasswordChanged, "client_id", "other")
	w.rotate(here[2].token)
	w.rotate(foreign.text("refresh_token"))
	logged := w.logged("srrt")
	if len(logged) != 1 || w.storedEvents("srrt") != 1 || logged[0]["removedCount"] != 4.0 || len(logged[0]["families"].([]any)) != 4 {
		t.Errorf("%d events stored, logged %v", w.storedEvents("srrt"), logged)
	}
	// A second call finds nothing to end and records nothing.
	if a := w.allBut(here[2], ""); a.body != `{"revoked":0}`+"\n" || w.storedEvents("srrt") != 1 {
		t.Errorf("again: %v", a)
	}
}

// TestRevokeAllButOfOneClient checks the same for one application. The family that is kept may
// belong to another application.
func TestRevokeAllButOfOneClient(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	here, others := w.devices(3, "app"), w.devices(2, "other")
	if a := w.allBut(here[0], "&client_id=other"); a.body != `{"revoked":2}`+"\n" {
		t.Errorf("got %v", a)
	}
	if a := w.allBut(here[0], "&client_id=app"); a.body != `{"revoked":2}`+"\n" {
		t.Errorf("got %v", a)
	}
	w.rotate(here[0].token)
	w.dead(others[0].token, family.RevokedByAdmin, "client_id", "other")
}

// TestRevokeAllButNothing checks that nothing is written unless the family to keep is an
// active one of the user.
func TestRevokeAllButNothing(t *testing.T) {
	w := newWorld(t)
	w.putClient("gone", `{"type":"public"}`)
	w.putClient("brief", `{"type":"public","policy":{"idle_lifetime":60}}`)
	expired, unregistered := w.devices(1, "brief")[0], w.devices(1, "gone")[0]
	foreign := device{id: w.issue(`{"user_id":"v","client_id":"app"}`).text("family")}
	revoked := w.devices(1, "app")[0]
	w.send(http.MethodDelete, "/v1/families/"+revoked.id, "", "")
	w.send(http.MethodDelete, "/v1/clients/gone", "", "")
	w.clock.Advance(2 * time.Minute)
	living := w.devices(2, "app")
	purged, err := family.NewID(w.keys.Users.Key("u"), w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	before := w.storedEvents("srrt")
	for name, keep := range map[string]device{
		"expired": expired, "unregistered": unregistered, "another user's": foreign, "revoked": revoked, "purged": {id: purged.String()},
		"not an id": {id: "x"}, "a token": living[0], "longer": {id: living[0].id + "A"},
	} {
		if name == "a token" {
			keep.id = keep.token
		}
		t.Run(name, func(t *testing.T) {
			for _, more := range []string{"", "&dry_run=true", "&client_id=app"} {
				w.store.Counted()
				w.allBut(keep, more).unfit(t)
				for _, call := range w.store.Counted() {
					if call != "GetItem" {
						t.Errorf("the store was asked for %s", call)
					}
				}
			}
		})
	}
	w.send(http.MethodDelete, "/v1/families?user_id=u&except=", "", "").names(t, "except")
	if got := w.statuses(living); !slices.Equal(got, []string{"", ""}) || w.storedEvents("srrt") != before {
		t.Errorf("the families are %v", got)
	}
}

// TestRevokeAllButRace checks that two devices which sign out all others at the same time do
// not sign out each other. One of the two calls is refused, whenever the other arrives.
func TestRevokeAllButRace(t *testing.T) {
	for _, at := range []struct {
		n         int64
		operation string
	}{{1, "GetItem"}, {1, "Query"}, {1, "TransactWriteItems"}} {
		w := newWorld(t)
		devices := w.devices(4, "app")
		server := w.meanwhile(at.n, at.operation, func() {
			w.also(http.StatusOK, http.MethodDelete, "/v1/families?user_id=u&except="+devices[1].id, "", "")
		})
		if at.operation == "GetItem" { // of the family, not of the client
			w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("none"))
		}
		w.sendTo(server, http.MethodDelete, "/v1/families?user_id=u&except="+devices[0].id, "", "").unfit(t)
		want := slices.Repeat([]string{string(family.RevokedByAdmin)}, 4)
		want[1] = ""
		if got := w.statuses(devices); !slices.Equal(got, want) {
			t.Errorf("before the %s the families are %v", at.operation, got)
		}
		if logged := w.logged("srrt"); len(logged) != 1 || w.storedEvents("srrt") != 1 {
			t.Errorf("logged %v", logged)
		}
	}
}

// TestRevokeAllButAtOnce checks that one device is left when each of many signs out all others
// at the same time.
func TestRevokeAllButAtOnce(t *testing.T) {
	w := newWorld(t, servers(2))
	devices := w.devices(8, "app")
	var calls sync.WaitGroup
	answers := make([]answer, len(devices))
	for i, d := range devices {
		calls.Go(func() {
			a, err := w.try(i%2, http.MethodDelete, "/v1/families?user_id=u&except="+d.id, "", "")
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	calls.Wait()
	left := 0
	for i, cause := range w.statuses(devices) {
		switch {
		case cause == "" && answers[i].status == http.StatusOK:
			left++
		case answers[i].status != http.StatusUnprocessableEntity:
			t.Errorf("device %d ended of %q, and its call got %v", i, cause, answers[i])
		}
	}
	if left != 1 {
		t.Errorf("%d devices are left: %v", left, answers)
	}
}

// TestRevokeAllButBesideOthers checks a call during a refresh of the family that is kept,
// during a refresh of one that ends, and during a login, whose family does not end.
func TestRevokeAllButBesideOthers(t *testing.T) {
	for name, happens := range map[string]func(w *world, devices []device) string{
		"a refresh of the one that is kept": func(w *world, devices []device) string {
			w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(devices[0].token))
			return ""
		},
		"a refresh of one that ends": func(w *world, devices []device) string {
			w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(devices[1].token))
			return ""
		},
		"a login": func(w *world, _ []device) string {
			a, err := w.try(0, http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
			if err != nil {
				w.t.Error(err)
			}
			return a.text("refresh_token")
		},
		"a logout of one that ends": func(w *world, devices []device) string {
			w.also(http.StatusOK, http.MethodPost, "/oauth/revoke", formType, "client_id=app&token="+devices[2].token)
			return ""
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			devices := w.devices(3, "app")
			var extra string
			server := w.meanwhile(1, "TransactWriteItems", func() { extra = happens(w, devices) })
			a := w.sendTo(server, http.MethodDelete, "/v1/families?user_id=u&except="+devices[0].id, "", "")
			revoked, third := 2, "revoked_by_admin"
			if name == "a logout of one that ends" {
				revoked, third = 1, "revoked_by_client"
			}
			if a.status != http.StatusOK || int(a.number("revoked")) != revoked {
				t.Errorf("got %v", a)
			}
			if got := w.statuses(devices); !slices.Equal(got, []string{"", "revoked_by_admin", third}) {
				t.Errorf("the families are %v", got)
			}
			if extra != "" {
				w.rotate(extra)
			}
			w.eventsAreTrue()
		})
	}
}

// eventsAreTrue checks that each family of "u" that was revoked with others names a stored and
// logged event which names the family, and that those events name no other family.
func (w *world) eventsAreTrue() {
	w.t.Helper()
	bears := map[string]string{} // family, event
	for next := ""; ; {
		a := w.send(http.MethodGet, "/v1/families?user_id=u&status=revoked"+next, "", "")
		for _, m := range a.json["families"].([]any) {
			id, _ := m.(map[string]any)["family"].(string)
			parsed, err := family.ParseID(id)
			if err != nil {
				w.t.Fatal(err)
			}
			f, err := w.table.Family(w.t.Context(), parsed)
			if err != nil {
				w.t.Fatal(err)
			}
			if f.Revoked.Cause != family.RevokedByClient {
				bears[f.ID.ULID().String()] = f.Revoked.Event.String()
			}
		}
		if a.text("next") == "" {
			break
		}
		next = "&next=" + a.text("next")
	}
	stored := map[string]string{}
	for _, e := range w.events("user_id=u&type=srrt") {
		families, _ := e["families"].([]any)
		if e["familyId"] == nil && int(e["removedCount"].(float64)) != len(families) {
			w.t.Errorf("an event counts %v and names %d", e["removedCount"], len(families))
		}
		for _, id := range families {
			parsed, err := family.ParseID(id.(string))
			if err != nil {
				w.t.Fatal(err)
			}
			u := parsed.ULID().String()
			if stored[u] != "" {
				w.t.Errorf("family %s is named twice", u)
			}
			stored[u], _ = e["eventId"].(string)
		}
	}
	logged := map[string]string{}
	for _, e := range w.logged("srrt") {
		families, _ := e["families"].([]any)
		for _, u := range families {
			logged[u.(string)], _ = e["eventId"].(string)
		}
	}
	for what, named := range map[string]map[string]string{"the stored events": stored, "the log": logged} {
		for u, event := range bears {
			if named[u] != event {
				w.t.Errorf("%s name family %s under %q, and it bears %s", what, u, named[u], event)
			}
		}
		if len(named) != len(bears) {
			w.t.Errorf("%s name %d families of %d", what, len(named), len(bears))
		}
	}
}

// TestRevokeAllButMany checks that more families than fit into one transaction end in several,
// under one event. If the kept family ends meanwhile, the answer says so, and the event lists
// what was ended.
func TestRevokeAllButMany(t *testing.T) {
	w := newWorld(t)
	w.issueMany(150)
	keep := w.devices(1, "app")[0]
	if a := w.allBut(keep, ""); a.body != `{"revoked":150}`+"\n" {
		t.Errorf("got %v", a)
	}
	if n := w.storedEvents("srrt"); n != 1 {
		t.Errorf("%d events", n)
	}
	w.eventsAreTrue()
	w.rotate(keep.token)

	w = newWorld(t)
	w.issueMany(150)
	keep = w.devices(1, "app")[0]
	server := w.meanwhile(2, "TransactWriteItems", func() {
		w.also(http.StatusOK, http.MethodPost, "/oauth/revoke", formType, "client_id=app&token="+keep.token)
	})
	if a := w.sendTo(server, http.MethodDelete, "/v1/families?user_id=u&except="+keep.id, "", ""); a.status != http.StatusConflict {
		t.Errorf("got %v", a)
	}
	w.eventsAreTrue()
}

// TestRevokeAllButFaults checks that a fault is answered with 503, and that repeating the call
// ends what is left. Families that the first call ended keep its event.
func TestRevokeAllButFaults(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		for _, lasting := range []bool{true, false} {
			for call := 1; ; call++ {
				w := newWorld(t)
				devices := w.devices(3, "app")
				w.store.Break(func(n int, _ string) storetest.Fault {
					if n == call || lasting && n > call {
						return fault
					}
					return storetest.None
				})
				a := w.allBut(devices[0], "")
				reached := len(w.store.Counted()) >= call
				w.store.Break(nil)
				if !reached {
					break
				}
				if lasting != a.unavailableProblem() || !lasting && a.body != `{"revoked":2}`+"\n" {
					t.Errorf("%s, lasting %t, call %d: %v", name, lasting, call, a)
				}
				if a := w.allBut(devices[0], ""); a.status != http.StatusOK {
					t.Errorf("%s, lasting %t, call %d, again: %v", name, lasting, call, a)
				}
				if got := w.statuses(devices); !slices.Equal(got, []string{"", "revoked_by_admin", "revoked_by_admin"}) {
					t.Errorf("%s, lasting %t, call %d: the families are %v", name, lasting, call, got)
				}
				if n := w.storedEvents("srrt"); n != 1 {
					t.Errorf("%s, lasting %t, call %d: %d events", name, lasting, call, n)
				}
			}
		}
	}
}

// unavailableProblem reports whether the answer is the management API's 503.
func (a answer) unavailableProblem() bool {
	return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
}
