package server_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
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

func (w *world) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(w.log, nil)) }

func (w *world) freshClients(table *store.Table) *store.Registry {
	return store.NewRegistry(table, w.logger())
}

// events returns all pages of GET /v1/events.
func (w *world) events(query string) []map[string]any {
	w.t.Helper()
	var events []map[string]any
	for next := ""; ; {
		a := w.send(http.MethodGet, "/v1/events?"+query+next, "", "")
		if a.status != http.StatusOK {
			w.t.Fatal(a)
		}
		for _, e := range a.json["events"].([]any) {
			events = append(events, e.(map[string]any))
		}
		if a.text("next") == "" {
			return events
		}
		next = "&next=" + url.QueryEscape(a.text("next"))
	}
}

// seed stores n events of other users, one a minute up to now.
func (w *world) seed(eventType audit.Type, n int) {
	w.t.Helper()
	now := w.clock.Now()
	w.putEvents(n, func(i int) audit.Event {
		e := audit.New(eventType, now.Add(-time.Duration(i)*time.Minute))
		user := fmt.Sprint("other-", i%1000)
		id, err := family.NewID(w.keys.Users.Key(user), e.At)
		if err != nil {
			w.t.Fatal(err)
		}
		e.UserID, e.ClientID, e.Family, e.Cause = user, "app", id, family.ReuseDetected
		return e
	})
}

// putEvents stores n events, many at once.
func (w *world) putEvents(n int, event func(i int) audit.Event) {
	w.t.Helper()
	err := w.store.Fill(w.t.Context(), func(table *store.Table) error {
		for i := range n {
			e := event(i)
			if err := table.PutEvent(w.t.Context(), &e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestEvents checks that support can answer its questions from the audit trail alone: all
// events of a type in a week, all of one user, all of one family. Each answer costs the pages
// that it returns, even among thousands of events of other users.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	w.clock.Advance(365 * day)
	others := storetest.Size(10_000, 1000) // the events of a week
	w.seed(audit.Revoked, others)
	first, id := w.login()
	w.rotate(first)
	otherTok, other := w.login()
	w.rotate(otherTok)
	w.clock.Advance(2 * time.Minute)
	w.refresh(first)
	w.clock.Advance(day)
	w.send(http.MethodDelete, "/v1/families/"+other, "", "")
	w.clock.Advance(day)
	_, third := w.login()
	w.bulk("user_id", "u", "cause", "password_changed")

	types := func(events []map[string]any) []string {
		var s []string
		for _, e := range events {
			s = append(s, e["type"].(string))
		}
		return s
	}
	expect := func(query string, calls int, want ...string) []map[string]any {
		t.Helper()
		w.store.Counted()
		got := w.events(query)
		if n := len(w.store.Counted()); n != calls {
			t.Errorf("%s: %d requests to the store, not %d", query, n, calls)
		}
		if !slices.Equal(types(got), want) {
			t.Errorf("%s: %v, not %v", query, types(got), want)
		}
		return got
	}
	lastWeek := "&from=" + w.clock.Now().Add(-7*day).Format(time.RFC3339)
	ferrt := expect("type=ferrt"+lastWeek, 8, "ferrt") // one request for each day, since a page holds them all
	if e := ferrt[0]; e["familyId"] != id || e["userId"] != "u" || e["tokenCounter"] != 1.0 || e["latestCounter"] != 2.0 ||
		e["ageMs"] != 120_000.0 || e["cause"] != "reuse_detected" || e["clientId"] != "app" || e["ip"] != "127.0.0.1" {
		t.Errorf("the event is %v", e)
	}
	all := expect("user_id=u", 1, "srrt", "srrt", "ferrt")
	expect("user_id=u&type=ferrt", 1, "ferrt")
	expect("family="+id, 1, "ferrt")
	expect("family="+other, 1, "srrt")
	if e := expect("family="+third, 1, "srrt")[0]; e["removedCount"] != 1.0 || e["cause"] != "password_changed" {
		t.Errorf("the event is %v", e)
	}
	expect("user_id=u&from="+w.clock.Now().Add(-day).Format(time.RFC3339Nano), 1, "srrt", "srrt")
	expect("user_id=u&to="+w.clock.Now().Format(time.RFC3339Nano), 1, "srrt", "ferrt")
	expect("user_id=nobody", 1)
	expect("type=ahead"+lastWeek, 8)
	expect("user_id=u&from="+w.clock.Now().Add(-time.Millisecond).Format(time.RFC3339Nano), 1, "srrt")
	for i := 1; i < len(all); i++ {
		if all[i-1]["at"].(string) < all[i]["at"].(string) {
			t.Errorf("not newest first: %v, %v", all[i-1]["at"], all[i]["at"])
		}
	}

	// Thousands of events of a type are listed in pages of 100, each event once and in order.
	w.store.Counted()
	srrt := w.events("type=srrt")
	if n := len(w.store.Counted()); n > others/100+1+31+8 { // for pages, days, and days that ended within a page
		t.Errorf("%d requests to the store for %d events", n, others+2)
	}
	seen := map[any]bool{}
	for _, e := range srrt {
		seen[e["eventId"]] = true
	}
	if len(srrt) != others+2 || len(seen) != others+2 || !slices.IsSortedFunc(srrt, func(a, b map[string]any) int {
		return strings.Compare(b["eventId"].(string), a["eventId"].(string))
	}) {
		t.Errorf("%d events, %d different", len(srrt), len(seen))
	}

	// Events are kept for their own retention, and no longer.
	w.clock.Advance(87 * day)
	w.purge()
	from := "&from=" + w.clock.Now().Add(-100*day).Format(time.RFC3339)
	if n := len(w.events("user_id=u" + from)); n != 3 {
		t.Errorf("%d events after 89 days", n)
	}
	w.clock.Advance(2*day + time.Second)
	w.purge()
	if n := len(w.events("user_id=u" + from)); n != 1 {
		t.Errorf("%d events after 91 days", n)
	}
}

func TestEventQueriesRefused(t *testing.T) {
	w := newWorld(t)
	w.seed(audit.Reuse, 101)
	_, id := w.login()
	next := w.send(http.MethodGet, "/v1/events?type=ferrt", "", "").text("next")
	if next == "" {
		t.Fatal("there is no second page")
	}
	for query, field := range map[string]string{
		"":                          "type",
		"type=sertft":               "type",
		"type=x":                    "type",
		"family=x":                  "family",
		"user_id=v&family=" + id:    "family",
		"type=ferrt&from=yesterday": "from",
		"type=ferrt&to=1":           "to",
		"type=ferrt&from=2030-01-01T00:00:00Z&to=2029-01-01T00:00:00Z": "from",
		"type=ferrt&from=2020-01-01T00:00:00Z&to=2029-01-01T00:00:00Z": "from",
		"type=ferrt&next=" + flip(next):                                "next",
		"type=srrt&next=" + next:                                       "next",
		"type=ferrt&limit=7":                                           "limit",
	} {
		w.send(http.MethodGet, "/v1/events?"+query, "", "").names(t, field)
	}
	if a := w.send(http.MethodGet, "/v1/events?type=ferrt&next="+next, "", ""); len(a.json["events"].([]any)) != 1 || a.text("next") != "" {
		t.Errorf("the second page is %v", a)
	}
}

// TestMetrics checks the lines from which CloudWatch makes metrics: each directive names
// members of its line, and a client id is a dimension only if the client is registered.
func TestMetrics(t *testing.T) {
	w := newWorld(t, metrics())
	began := w.clock.Now()
	first, _ := w.login()
	newest := w.rotate(first)
	w.clock.Advance(7 * time.Second)
	w.rotate(first)
	w.clock.Advance(time.Minute)
	w.refresh(first)
	w.dead(newest, family.ReuseDetected)
	w.dead("rotor_x", family.Malformed)
	for range 3 {
		w.login()
	}
	w.bulk("user_id", "u", "client_id", "app")
	got := map[string]float64{}
	for line := range strings.Lines(w.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m["msg"] != "audit" {
			continue
		}
		directive, ok := m["_aws"].(map[string]any)
		if !ok && m["type"] == "sapi" { // most operations are not counted
			continue
		}
		if !ok {
			t.Fatalf("no directive in %s", line)
		}
		// The time must be in milliseconds. CloudWatch drops a line with any other, and then
		// no alarm fires.
		if at := time.UnixMilli(int64(directive["Timestamp"].(float64))); at.Before(began) || at.After(w.clock.Now()) {
			t.Errorf("the time is %v in %s", at, line)
		}
		for _, set := range directive["CloudWatchMetrics"].([]any) {
			set := set.(map[string]any)
			if set["Namespace"] != "Rotor" {
				t.Errorf("the namespace is %v", set["Namespace"])
			}
			for _, metric := range set["Metrics"].([]any) {
				name := metric.(map[string]any)["Name"].(string)
				got[name] += m[name].(float64)
			}
			for _, dimensions := range set["Dimensions"].([]any) {
				for _, d := range dimensions.([]any) {
					if s, ok := m[d.(string)].(string); !ok || s == "" {
						t.Errorf("dimension %v has no value in %s", d, line)
					}
					if d == "client" && (m["client"] != "app" || m["type"] == "srrt") {
						t.Errorf("dimension client is %v in %s", m["client"], line)
					}
				}
			}
		}
	}
	want := map[string]float64{"Exchanged": 2, "Reused": 1, "ReuseAge": 7_000 + 67_000, "ReuseDetected": 1, "Refused": 2, "Revoked": 3}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counted %v, not %v", got, want)
	}
}

// counted returns the sum of a metric over all that was logged.
func (w *world) counted(metric string) float64 {
	w.t.Helper()
	sum := 0.0
	for line := range strings.Lines(w.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			w.t.Fatal(err)
		}
		n, _ := m[metric].(float64)
		sum += n
	}
	return sum
}

// TestEventsWhileTheSpanMovesOn checks that a cursor of the default span works for as long as
// it is kept. Events that have left the span meanwhile are no longer listed.
func TestEventsWhileTheSpanMovesOn(t *testing.T) {
	for _, query := range []string{"type=srrt", "user_id=u"} {
		t.Run(query, func(t *testing.T) {
			w := newWorld(t)
			w.clock.Advance(365 * day)
			for range 101 {
				_, id := w.login()
				w.send(http.MethodDelete, "/v1/families/"+id, "", "")
				w.clock.Advance(time.Millisecond)
			}
			w.clock.Advance(30*day - time.Second)
			next := w.send(http.MethodGet, "/v1/events?"+query, "", "").text("next")
			if next == "" {
				t.Fatal("there is one page")
			}
			w.clock.Advance(time.Minute)
			a := w.send(http.MethodGet, "/v1/events?"+query+"&next="+url.QueryEscape(next), "", "")
			if a.status != http.StatusOK || len(a.json["events"].([]any)) != 0 || a.text("next") != "" {
				t.Errorf("got %v", a)
			}
		})
	}
}

// TestEventsOfNoSpan checks that a span shorter than a millisecond, the unit of events, is
// refused.
func TestEventsOfNoSpan(t *testing.T) {
	w := newWorld(t)
	for _, query := range []string{"type=srrt", "user_id=u"} {
		w.send(http.MethodGet, "/v1/events?"+query+"&from=2030-01-02T03:04:05.0001Z&to=2030-01-02T03:04:05.0005Z", "", "").names(t, "from")
	}
}
