package server_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// erase erases user "u" in as many calls as it takes, and returns the sums.
func (w *world) erase(params string) (families, events int) {
	w.t.Helper()
	for _, a := range w.paged(0, "/v1/users?"+params, func() {}) {
		families += int(a.number("families"))
		events += int(a.number("events"))
	}
	return families, events
}

// kept returns what is stored about "u".
func (w *world) kept() *store.UserItems {
	w.t.Helper()
	items, err := w.table.UserItems(context.Background(), w.keys.Users.Key("u"), "", 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	return items
}

func (w *world) overLimit() int {
	w.t.Helper()
	owners, _, err := w.table.OverLimit(context.Background(), nil, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(owners)
}

// nothingKept checks that nothing is stored about "u".
func (w *world) nothingKept() {
	w.t.Helper()
	if items := w.kept(); !items.Empty() {
		w.t.Errorf("there is %v", items.InOrder())
	}
	if n := w.overLimit(); n != 0 {
		w.t.Errorf("%d on the work list", n)
	}
}

// lived makes a user "u" with something of every kind: live and dead families in two clients,
// events, owners, an entry on the work list. It returns a token of each family.
func (w *world) lived() (tokens []string) {
	w.t.Helper()
	w.putClient("app", `{"type":"public","policy":{"max_active":2}}`)
	w.putClient("other", `{"type":"public"}`)
	first, _ := w.login()
	newest := w.rotate(first)
	w.clock.Advance(2 * time.Minute)
	w.refresh(first) // reuse
	second, id := w.login()
	w.send(http.MethodDelete, "/v1/families/"+id, "", "")
	living, _ := w.login()
	other := w.issue(`{"user_id":"u","client_id":"other"}`).text("refresh_token")
	if w.overLimit() != 1 || w.storedEvents("ferrt") != 1 {
		w.t.Fatal("there is not something of every kind")
	}
	return []string{newest, second, living, other}
}

// TestErase checks that everything stored about a user is erased and nothing else. Only an
// event remains, which does not name the user.
func TestErase(t *testing.T) {
	w := newWorld(t)
	tokens := w.lived()
	w.issue(`{"user_id":"v","client_id":"app"}`)
	w.send(http.MethodDelete, "/v1/families?user_id=v&dry_run=false", "", "")
	foreign := w.issue(`{"user_id":"v","client_id":"app"}`)
	if err := w.store.Put(t.Context(), map[string]string{"pk": "u#" + audit.EncodeUserKey(w.keys.Users.Key("u")), "sk": "a#of another kind"}); err != nil {
		t.Fatal(err)
	}
	before := w.kept()
	if a := w.send(http.MethodDelete, "/v1/users?user_id=u&dry_run=true", "", ""); a.body != `{"families":4,"events":2,"dry_run":true}`+"\n" {
		t.Errorf("a dry run is answered %v", a)
	}
	if after := w.kept(); !slices.Equal(before.InOrder(), after.InOrder()) || len(w.events("type=sdu")) != 0 || len(w.logged("sdu")) != 0 {
		t.Errorf("a dry run changed %v to %v", before.InOrder(), after.InOrder())
	}
	a := w.send(http.MethodDelete, "/v1/users?user_id=u", "", "", "User-Agent", "the-users-own")
	if a.status != http.StatusOK || a.body != `{"families":4,"events":2}`+"\n" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %v", a)
	}
	w.nothingKept()
	for i, tok := range tokens {
		w.dead(tok, family.Purged, "client_id", []string{"app", "app", "app", "other"}[i])
	}
	w.rotate(foreign.text("refresh_token"))
	if n := len(w.events("user_id=v")); n != 1 {
		t.Errorf("%d events of the other user", n)
	}
	if a := w.send(http.MethodGet, "/v1/families?user_id=u", "", ""); a.body != `{"families":[]}`+"\n" {
		t.Errorf("the families are %v", a)
	}
	if n := len(w.events("user_id=u")) + len(w.events("type=ferrt")); n != 0 {
		t.Errorf("%d events are left", n)
	}
	key := audit.EncodeUserKey(w.keys.Users.Key("u"))
	events, logged := w.events("type=sdu"), w.logged("sdu")
	if len(events) != 1 || len(logged) != 1 {
		t.Fatalf("the events are %v, logged %v", events, logged)
	}
	for _, e := range []map[string]any{events[0], logged[0]} {
		if e["userKey"] != key || e["erasedFamilies"] != 4.0 || e["erasedEvents"] != 2.0 || e["eventId"] != events[0]["eventId"] || e["http_request_id"] == "" {
			t.Errorf("an event is %v", e)
		}
		for _, name := range []string{"userId", "ip", "userAgent", "clientId", "families", "familyId"} {
			if _, ok := e[name]; ok {
				t.Errorf("an event has %s: %v", name, e)
			}
		}
	}

	w.clock.Advance(time.Second)
	// A second erasure finds nothing; the event of the first remains, and there is one of the
	// second.
	if a := w.send(http.MethodDelete, "/v1/users?user_id=u", "", ""); a.body != `{"families":0,"events":0}`+"\n" {
		t.Errorf("again: %v", a)
	}
	events = w.events("type=sdu")
	if len(events) != 2 || events[0]["erasedFamilies"] != 0.0 || events[1]["erasedFamilies"] != 4.0 || len(w.logged("sdu")) != 2 {
		t.Errorf("the events are %v", events)
	}

	// The user can log in again.
	again, id := w.login()
	w.rotate(again)
	if f := w.family(id); f.text("status") != "active" {
		t.Errorf("the new family is %v", f)
	}
}

// TestEraseByKey checks that after a backup was restored, an erasure can be repeated with the
// key in its event.
func TestEraseByKey(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	parsed, err := family.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.table.Family(t.Context(), parsed)
	if err != nil {
		t.Fatal(err)
	}
	w.erase("user_id=u")
	key, _ := w.events("type=sdu")[0]["userKey"].(string)
	policy := family.DefaultPolicy()
	if err := w.table.Issue(t.Context(), f, &policy); err != nil { // as if restored from the backup
		t.Fatal(err)
	}
	next := w.rotate(tok)
	if families, _ := w.erase("user_key=" + key); families != 1 {
		t.Errorf("%d families", families)
	}
	w.nothingKept()
	w.dead(next, family.Purged)
	if events := w.events("type=sdu"); len(events) != 2 || events[0]["userKey"] != key {
		t.Errorf("the events are %v", events)
	}
}

func TestEraseQueriesRefused(t *testing.T) {
	w := newWorld(t)
	w.login()
	key := audit.EncodeUserKey(w.keys.Users.Key("u"))
	for query, field := range map[string]string{
		"":                               "user_id",
		"user_id=":                       "user_id",
		"user_id=u&user_id=v":            "user_id",
		"user_id=%00":                    "user_id",
		"user_id=u&client_id=app":        "client_id",
		"user_id=u&user_key=" + key:      "user_key",
		"user_key=x":                     "user_key",
		"user_key=":                      "user_key",
		"user_key=" + key + "A":          "user_key",
		"user_key=" + key + "%0A":        "user_key",
		"user_key=" + key[:21] + "%2B":   "user_key",
		"user_id=u&dry_run=maybe":        "dry_run",
		"user_id=u&next=x":               "next",
		"user_id=u&dry_run=true&next=xx": "next",
	} {
		w.send(http.MethodDelete, "/v1/users?"+query, "", "").names(t, field)
	}
	if len(w.kept().Families) != 1 || len(w.events("type=sdu")) != 0 {
		t.Error("something was erased")
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
		if a := w.send(method, "/v1/users?user_id=u", "", ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != http.MethodDelete {
			t.Errorf("%s: %v", method, a)
		}
	}
}

// TestEraseInPages checks that a user with many records is erased in several calls, families
// first. While a family is left, all events remain. A cursor works only for its user and its
// kind of call.
func TestEraseInPages(t *testing.T) {
	parallel(t)
	const families, events = 1500, 1200
	w := newWorld(t)
	w.issueMany(families)
	userKey := w.keys.Users.Key("u")
	w.putEvents(events, func(i int) audit.Event {
		e := audit.New(audit.Revoked, w.clock.Now().Add(-time.Duration(i)*time.Second))
		e.User, e.UserID = userKey, "u"
		return e
	})
	if f, e := w.erase("user_id=u&dry_run=true"); f != families || e != events {
		t.Errorf("a dry run counts %d families and %d events", f, e)
	}
	first := w.send(http.MethodDelete, "/v1/users?user_id=u", "", "")
	if items := w.kept(); first.number("families") != 1000 || first.number("events") != 0 || len(items.Families) != families-1000 || len(items.Events) != events {
		t.Errorf("after %v there are %d families and %d events", first, len(items.Families), len(items.Events))
	}
	next := url.QueryEscape(first.text("next"))
	for _, query := range []string{"user_id=v&next=" + next, "user_id=u&dry_run=true&next=" + next} {
		w.send(http.MethodDelete, "/v1/users?"+query, "", "").names(t, "next")
	}
	second := w.send(http.MethodDelete, "/v1/users?user_id=u&next="+next, "", "")
	f, e := w.erase("user_id=u&next=" + url.QueryEscape(second.text("next")))
	if f += int(second.number("families")); f != families-1000 || e+int(second.number("events")) != events {
		t.Errorf("then %d families and %d events", f, e+int(second.number("events")))
	}
	w.nothingKept()
	f, e = 0, 0
	for _, event := range w.events("type=sdu") {
		f += int(event["erasedFamilies"].(float64))
		e += int(event["erasedEvents"].(float64))
	}
	if f != families || e != events {
		t.Errorf("the stored events count %d families and %d events", f, e)
	}
}

// TestEraseOnASlowStore checks that an erasure which runs out of time answers with a cursor,
// and that answers and events count what was erased.
func TestEraseOnASlowStore(t *testing.T) {
	parallel(t)
	const families = 400
	w := newWorld(t)
	w.issueMany(families)
	w.send(http.MethodDelete, "/v1/families/"+w.devices(1, "app")[0].id, "", "")
	server := w.slowly("DeleteItem")
	answers := w.paged(server, "/v1/users?user_id=u", func() {
		if items := w.kept(); len(items.Events) != 1 || len(items.Families) == 0 {
			t.Errorf("between there are %d families and %d events", len(items.Families), len(items.Events))
		}
		w.store.Slow("DeleteItem", 0)
	})
	erased, counted := 0, 0
	for i, a := range answers {
		erased += int(a.number("families"))
		counted += int(w.logged("sdu")[i]["erasedFamilies"].(float64))
	}
	stored := 0
	for _, e := range w.events("type=sdu") {
		stored += int(e["erasedFamilies"].(float64))
	}
	if erased != families+1 || counted != erased || stored != erased || len(answers) < 2 {
		t.Errorf("erased %d, logged %d, stored %d: %v", erased, counted, stored, answers)
	}
	w.nothingKept()
}

// TestEraseFaults checks that a fault is answered with 503, and that the call can be repeated.
// Whatever the fault leaves behind, no family whose events are gone can be used.
func TestEraseFaults(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		for _, lasting := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/lasting %t", name, lasting), func(t *testing.T) {
				t.Parallel()
				broken := 0
				for call := 1; ; call++ {
					w := newWorld(t)
					w.lived()
					all := w.kept()
					w.store.Break(func(n int, _ string) storetest.Fault {
						if n == call || lasting && n > call {
							return fault
						}
						return storetest.None
					})
					a := w.send(http.MethodDelete, "/v1/users?user_id=u", "", "")
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						break
					}
					broken++
					if lasting != a.unavailableProblem() || !lasting && a.body != `{"families":4,"events":2}`+"\n" {
						t.Errorf("call %d: %v", call, a)
					}
					left := w.kept()
					if len(left.Families) > 0 && len(left.Events) < len(all.Events) {
						t.Errorf("call %d: %d families are left, and %d of %d events", call, len(left.Families), len(left.Events), len(all.Events))
					}
					if len(left.InOrder()) < len(all.InOrder()) && len(w.events("type=sdu")) == 0 {
						t.Errorf("call %d: something was erased, and no event says so", call)
					}
					w.erase("user_id=u")
					w.nothingKept()
					if n := len(w.logged("sdu")); n == 0 {
						t.Errorf("call %d: nothing was logged", call)
					}
				}
				if broken < 12 {
					t.Errorf("%d calls broken", broken)
				}
			})
		}
	}
}

// TestEraseBesideOthers checks that a request which arrives during an erasure, between any two
// of its requests to the store, brings nothing back.
func TestEraseBesideOthers(t *testing.T) {
	parallel(t)
	for name, happens := range map[string]func(w *world, tokens []string){
		"a refresh":           func(w *world, tokens []string) { w.beside("/oauth/token", refreshForm(tokens[2])) },
		"a reuse":             func(w *world, tokens []string) { w.beside("/oauth/token", refreshForm(tokens[0])) },
		"a logout":            func(w *world, tokens []string) { w.beside("/oauth/revoke", "client_id=app&token="+tokens[2]) },
		"a revocation of all": func(w *world, _ []string) { w.besideCall(http.MethodDelete, "/v1/families?user_id=u") },
		"another erasure":     func(w *world, _ []string) { w.besideCall(http.MethodDelete, "/v1/users?user_id=u") },
		"a sweep":             func(w *world, _ []string) { w.sweep() },
	} {
		for _, at := range []struct {
			n         int64
			operation string
		}{{1, "Query"}, {2, "Query"}, {3, "Query"}, {4, "Query"}, {1, "PutItem"}, {1, "DeleteItem"}, {3, "DeleteItem"}, {5, "DeleteItem"}, {7, "DeleteItem"}, {9, "DeleteItem"}} {
			w := newWorld(t)
			tokens := w.lived()
			once := false
			server := w.meanwhile(at.n, at.operation, func() {
				if !once {
					once = true
					happens(w, tokens)
				}
			})
			w.paged(server, "/v1/users?user_id=u", func() {})
			if items := w.kept(); !items.Empty() || w.overLimit() != 0 {
				t.Errorf("%s before request %d of %s: there is %v, %d on the work list", name, at.n, at.operation, items.InOrder(), w.overLimit())
			}
		}
	}
}

// TestOthersBesideAnErasure checks the reverse: an erasure that happens between any two store
// requests of another request. Nothing is brought back.
func TestOthersBesideAnErasure(t *testing.T) {
	parallel(t)
	untilUsed := `{"type":"public","policy":{"lost_response":"until_used"}}`
	observing := func(w *world) string {
		return fmt.Sprintf(`{"type":"public","policy":{"reuse_detection":"observe","observe_until":%q}}`, w.clock.Now().Add(24*time.Hour).Format(time.RFC3339))
	}
	// Each function prepares a family of "u" and returns a request for it.
	requests := map[string]func(w *world) (method, path, contentType, body string){
		"a refresh": func(w *world) (string, string, string, string) {
			first, _ := w.login()
			return http.MethodPost, "/oauth/token", formType, refreshForm(first)
		},
		"a use that is held": func(w *world) (string, string, string, string) {
			w.putClient("app", untilUsed)
			first, _ := w.login()
			return http.MethodPost, "/oauth/token", formType, refreshForm(w.rotate(first))
		},
		"a lost response": func(w *world) (string, string, string, string) {
			w.putClient("app", untilUsed)
			first, _ := w.login()
			w.rotate(first)
			w.clock.Advance(time.Hour)
			return http.MethodPost, "/oauth/token", formType, refreshForm(first)
		},
		"a reuse": func(w *world) (string, string, string, string) {
			first, _ := w.login()
			w.rotate(first)
			w.clock.Advance(time.Hour)
			return http.MethodPost, "/oauth/token", formType, refreshForm(first)
		},
		"an observed reuse": func(w *world) (string, string, string, string) {
			w.putClient("app", observing(w))
			first, _ := w.login()
			w.rotate(first)
			w.clock.Advance(time.Hour)
			return http.MethodPost, "/oauth/token", formType, refreshForm(first)
		},
		"a token that is ahead": func(w *world) (string, string, string, string) {
			_, id := w.login()
			return http.MethodPost, "/oauth/token", formType, refreshForm(w.mint(id, 9))
		},
		"a logout": func(w *world) (string, string, string, string) {
			first, _ := w.login()
			return http.MethodPost, "/oauth/revoke", formType, "client_id=app&token=" + first
		},
		"a revocation": func(w *world) (string, string, string, string) {
			_, id := w.login()
			return http.MethodDelete, "/v1/families/" + id, "", ""
		},
		"a revocation of all": func(w *world) (string, string, string, string) {
			w.devices(3, "app")
			return http.MethodDelete, "/v1/families?user_id=u", "", ""
		},
		"a revocation of all but one": func(w *world) (string, string, string, string) {
			return http.MethodDelete, "/v1/families?user_id=u&except=" + w.devices(3, "app")[1].id, "", ""
		},
		"an erasure": func(w *world) (string, string, string, string) {
			w.devices(3, "app")
			return http.MethodDelete, "/v1/users?user_id=u", "", ""
		},
	}
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for at := 1; ; at++ {
				w := newWorld(t)
				method, path, contentType, body := requests[name](w)
				_, server := w.another(w.store.Table(), keysAsTheyAre{w.keys})
				w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm("none")) // caches the client
				calls := 0
				waits := make(chan struct{})
				goes := make(chan struct{})
				w.store.HoldAt(func(call int) bool { calls = call; return call == at }, waits, goes)
				answered := make(chan answer, 1)
				go func() {
					a, err := w.try(server, method, path, contentType, body)
					if err != nil {
						t.Error(err)
					}
					answered <- a
				}()
				select {
				case a := <-answered:
					w.store.Break(nil)
					if calls >= at || at == 1 {
						t.Errorf("request %d of %d did not wait: %v", at, calls, a)
					}
					return
				case <-waits:
				}
				w.store.Break(nil)
				w.erase("user_id=u")
				close(goes)
				a := <-answered
				if a.status >= 500 {
					t.Errorf("request %d: %v", at, a)
				}
				if items := w.kept(); !items.Empty() {
					t.Errorf("request %d: there is %v after %v", at, items.InOrder(), a)
				}
				if strings.HasPrefix(path, "/oauth/token") && a.status == http.StatusOK {
					if again := w.refresh(a.text("refresh_token")); !again.refused(http.StatusBadRequest) {
						t.Errorf("request %d: a token of an erased user got %v", at, again)
					}
				}
			}
		})
	}
}

// TestLoginBesideAnErasure checks a login during an erasure, between any two of its requests:
// its family is erased, or it is new and complete.
func TestLoginBesideAnErasure(t *testing.T) {
	whole := func(w *world, a answer, where string) {
		w.t.Helper()
		if a.status != http.StatusCreated {
			w.t.Errorf("%s: the login got %v", where, a)
			return
		}
		got := w.refresh(a.text("refresh_token"))
		there := w.send(http.MethodGet, "/v1/families/"+a.text("family"), "", "")
		switch {
		case got.status == http.StatusOK && there.text("status") == "active" && len(w.kept().Families) == 1:
		case got.refused(http.StatusBadRequest) && w.kept().Empty():
		default:
			w.t.Errorf("%s: a refresh got %v, the family is %v, and there is %v", where, got, there, w.kept().InOrder())
		}
	}
	login := func(w *world, server int) answer {
		a, err := w.try(server, http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
		if err != nil {
			w.t.Error(err)
		}
		return a
	}
	for _, at := range []string{"UpdateItem", "PutItem"} {
		w := newWorld(t)
		w.lived()
		server := w.meanwhile(1, at, func() { w.erase("user_id=u") })
		whole(w, login(w, server), "erased before its "+at)
	}
	for n := int64(1); n <= 4; n++ {
		w := newWorld(t)
		w.lived()
		var a answer
		server := w.meanwhile(n, "Query", func() { a = login(w, 0) })
		w.paged(server, "/v1/users?user_id=u", func() {})
		whole(w, a, fmt.Sprintf("before query %d of the erasure", n))
	}
}

// beside makes a request that happens during another.
func (w *world) beside(path, form string) {
	if _, err := w.try(0, http.MethodPost, path, formType, form); err != nil {
		w.t.Error(err)
	}
}

func (w *world) besideCall(method, path string) {
	if _, err := w.try(0, method, path, "", ""); err != nil {
		w.t.Error(err)
	}
}

// TestErasuresAreListed checks that erasures are listed day by day like other events, page by
// page.
func TestErasuresAreListed(t *testing.T) {
	w := newWorld(t)
	const erasures = 230
	keys := map[any]bool{}
	for i := range erasures {
		w.clock.Advance(15 * time.Minute) // across more than two days
		w.send(http.MethodDelete, fmt.Sprintf("/v1/users?user_id=user-%d", i), "", "")
	}
	for _, e := range w.events("type=sdu") {
		keys[e["userKey"]] = true
	}
	if len(keys) != erasures {
		t.Errorf("%d users of %d", len(keys), erasures)
	}
	w.send(http.MethodGet, "/v1/events?type=sertft", "", "").names(t, "type", "sdu")
}
