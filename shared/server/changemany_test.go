package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// changedFrom calls PATCH on one server and then on the first until no page is left, and
// returns the answers.
func (w *world) changedFrom(server int, path, body string, between func()) (answers []answer) {
	w.t.Helper()
	for next := ""; ; server = 0 {
		a := w.sendTo(server, http.MethodPatch, path+next, jsonType, body)
		if a.status != http.StatusOK {
			w.t.Fatal(a)
		}
		if answers = append(answers, a); a.text("next") == "" {
			return answers
		}
		if len(answers) == 1 {
			between()
		}
		next = "&next=" + url.QueryEscape(a.text("next"))
	}
}

// TestChangeAllOnASlowStore checks a change of many families that runs out of time. Its answer
// has a cursor, and the next call does the rest: no family is skipped, and each is counted
// once.
func TestChangeAllOnASlowStore(t *testing.T) {
	parallel(t)
	const families = 400
	w := newWorld(t)
	w.issueMany(families)
	server := w.slowly("UpdateItem")
	answers := w.changedFrom(server, "/v1/families?user_id=u", `{"acr":"x"}`, func() { w.store.Slow("UpdateItem", 0) })
	changed := 0
	for _, a := range answers {
		changed += int(a.number("changed"))
	}
	if changed != families || len(answers) < 2 || answers[0].number("changed") == 0 {
		t.Errorf("%d of %d changed: %v", changed, families, answers)
	}
	for _, f := range w.families("user_id=u") {
		if f["acr"] != "x" {
			t.Fatalf("the family is %v", f)
		}
	}
}

// families returns what GET /v1/families lists.
func (w *world) families(query string) (all []map[string]any) {
	w.t.Helper()
	for next := ""; ; {
		a := w.send(http.MethodGet, "/v1/families?"+query+next, "", "")
		list, ok := a.json["families"].([]any)
		if a.status != http.StatusOK || !ok {
			w.t.Fatal(a)
		}
		for _, f := range list {
			f, _ := f.(map[string]any)
			all = append(all, f)
		}
		if a.text("next") == "" {
			return all
		}
		next = "&next=" + url.QueryEscape(a.text("next"))
	}
}

// TestManyOnAStoreThatIsSlowToRead checks a call whose matches lie behind more families than
// it has time to read. Its answer has a cursor, and does not claim that there are no matches.
func TestManyOnAStoreThatIsSlowToRead(t *testing.T) {
	parallel(t)
	for name, ask := range map[string]func(w *world, server int, next string) (a answer, n int){
		"revoke": func(w *world, server int, next string) (answer, int) {
			a := w.sendTo(server, http.MethodDelete, "/v1/families?user_id=u&client_id=other"+next, "", "")
			return a, int(a.number("revoked"))
		},
		"dry run": func(w *world, server int, next string) (answer, int) {
			a := w.sendTo(server, http.MethodDelete, "/v1/families?user_id=u&client_id=other&dry_run=true"+next, "", "")
			return a, int(a.number("revoked"))
		},
		"change": func(w *world, server int, next string) (answer, int) {
			a := w.sendTo(server, http.MethodPatch, "/v1/families?user_id=u&client_id=other"+next, jsonType, `{"acr":"x"}`)
			return a, int(a.number("changed"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.putClient("other", `{"type":"public"}`)
			w.devices(3, "other")
			w.clock.Advance(time.Second)
			w.issueMany(1100)
			server := w.slowly("Query")
			w.store.Slow("Query", longTimeout*7/10) // a call starts nothing new after two thirds of its time
			a, found := ask(w, server, "")
			w.store.Slow("Query", 0)
			if a.status != http.StatusOK || found != 0 || a.text("next") == "" {
				t.Fatalf("got %v", a)
			}
			calls := 0
			for a.text("next") != "" && calls < 3 {
				var n int
				a, n = ask(w, 0, "&next="+url.QueryEscape(a.text("next")))
				found += n
				calls++
			}
			if found != 3 {
				t.Errorf("%d of 3, after %d calls more: %v", found, calls, a)
			}
		})
	}
}

// TestChangeAllIsRefusedBeforeAnyIsChanged checks that a change of many families is refused
// before any is changed, even if there are more families than one call changes. The reason
// given must be true of them.
func TestChangeAllIsRefusedBeforeAnyIsChanged(t *testing.T) {
	parallel(t)
	for _, tt := range []struct {
		name, oldest, scope, says string
	}{
		{"one that is left with nothing", "openid", "read", "openid"},
		{"a scope that none has", "read", "read wirte", "wirte"},
		{"a scope that the oldest has", "read write", "read write", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			oldest := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","scope":%q}`, tt.oldest)).text("family")
			w.clock.Advance(time.Second)
			w.issueScoped(1000, "read")
			w.clock.Advance(time.Second)
			newest := w.issue(`{"user_id":"u","client_id":"app","scope":"read admin"}`).text("family")
			if tt.says != "" {
				w.send(http.MethodPatch, "/v1/families?user_id=u", jsonType, `{"scope":"`+tt.scope+`"}`).names(t, "scope", tt.says)
				for id, scope := range map[string]string{oldest: tt.oldest, newest: "read admin"} {
					if f := w.family(id); f.text("scope") != scope {
						t.Errorf("the family is %v", f)
					}
				}
				return
			}
			if n, _ := w.changeAll(`{"scope":"`+tt.scope+`"}`, "user_id", "u"); n != 1002 {
				t.Errorf("%d changed", n)
			}
			for id, scope := range map[string]string{oldest: "read write", newest: "read"} {
				if f := w.family(id); f.text("scope") != scope {
					t.Errorf("the family is %v", f)
				}
			}
		})
	}
}

// TestChangeOfScopesOnAStoreThatIsSlowToRead checks that a call without the time to read all
// families does not claim that no family has a scope.
func TestChangeOfScopesOnAStoreThatIsSlowToRead(t *testing.T) {
	w := newWorld(t)
	oldest := w.issue(`{"user_id":"u","client_id":"app","scope":"read write"}`).text("family")
	w.clock.Advance(time.Second)
	w.issueScoped(1001, "read")
	server := w.slowly("Query")
	w.store.Slow("Query", longTimeout*7/10)
	changed := 0
	for _, a := range w.changedFrom(server, "/v1/families?user_id=u", `{"scope":"read write"}`, func() { w.store.Slow("Query", 0) }) {
		changed += int(a.number("changed"))
	}
	if f := w.family(oldest); changed != 1002 || f.text("scope") != "read write" {
		t.Errorf("%d changed, the oldest is %v", changed, f)
	}
}

// TestManagementRefusesWhatIsAmbiguous checks that the management API refuses a member or a
// parameter that is given twice, data after a body, and text that is not UTF-8.
func TestManagementRefusesWhatIsAmbiguous(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	for body, says := range map[string]string{
		`{"acr":"a","acr":"b"}`:                 "given once",
		`{"acr":"a","Acr":"b"}`:                 "no such member",
		`{"acr":"a"}{"acr":"b"}`:                "more than one",
		`{"acr":"a"}]`:                          "more than one",
		`{"acr":"a"`:                            "not valid JSON",
		`["acr"]`:                               "must be a JSON object",
		"{\"acr\":\"\xff\"}":                    "not UTF-8",
		`{"claims":{"a":1},"claims":{"a":2}}`:   "given once",
		`{"scope":"read","scope":"read write"}`: "given once",
		`{"device":"d","device":null}`:          "given once",
	} {
		for _, path := range []string{"/v1/families/" + id, "/v1/families?user_id=u"} {
			a := w.send(http.MethodPatch, path, jsonType, body)
			a.problem(t, http.StatusBadRequest)
			if !strings.Contains(a.text("detail"), says) {
				t.Errorf("%s: %v", body, a)
			}
		}
	}
	for query, says := range map[string]string{
		"user_id=u&client_id=": "given a value", "user_id=u&client_id": "given a value", "user_id=u&clientid=app": "no such query parameter",
		"user_id=u&client_id=app&client_id=web": "given once", "user_id=u&user_id=u": "given once", "user_id=%ff": "UTF-8", "user_id=u&cause=": "given a value", "user_id=u&except=": "given a value",
		"user_id=u&dry_run=": "given a value", "user_id=u&next=": "given a value",
	} {
		a := w.send(http.MethodDelete, "/v1/families?"+query, "", "")
		a.problem(t, http.StatusBadRequest)
		if !strings.Contains(a.text("detail"), says) {
			t.Errorf("%s: %v", query, a)
		}
	}
	if n := w.storedEvents("srrt"); n != 0 {
		t.Errorf("%d events", n)
	}
	w.refresh(tok).granted(t, "read write", false)
}
