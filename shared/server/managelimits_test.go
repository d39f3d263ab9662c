package server_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// TestManagementLimitsAreExact checks limits to the byte and to the second. A request at a
// limit works, and one beyond it is refused with the name of the limit.
func TestManagementLimitsAreExact(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now()
	x := func(n int) string { return strings.Repeat("x", n) }
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339Nano) }
	_, id := w.login()
	const familyPath, all = "/v1/families/", "/v1/families?user_id=u"
	for _, tt := range []struct{ name, method, path, ok, over, field string }{
		{"auth_time of a login", http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"app","auth_time":"` + at(time.Minute) + `"}`, `{"user_id":"u","client_id":"app","auth_time":"` + at(time.Minute+time.Millisecond) + `"}`, "auth_time"},
		{"auth_time", http.MethodPatch, familyPath + id, `{"auth_time":"` + at(time.Minute) + `"}`, `{"auth_time":"` + at(time.Minute+time.Millisecond) + `"}`, "auth_time"},
		{"acr", http.MethodPatch, familyPath + id, `{"acr":"` + x(128) + `"}`, `{"acr":"` + x(129) + `"}`, "acr"},
		{"amr", http.MethodPatch, all, `{"amr":["` + x(63) + `","` + x(64) + `"]}`, `{"amr":["` + x(64) + `","` + x(64) + `"]}`, "amr"},
		{"claims", http.MethodPatch, all, `{"claims":{"c":"` + x(2040) + `"}}`, `{"claims":{"c":"` + x(2041) + `"}}`, "claims"},
		{"user_id of a sid", http.MethodPost, "/v1/explain", `{"sid":"01Q3G9AD6EZQWNTVCJPNXVG2EE","user_id":"` + x(128) + `"}`, `{"sid":"01Q3G9AD6EZQWNTVCJPNXVG2EE","user_id":"` + x(129) + `"}`, "user_id"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := w.send(tt.method, tt.path, jsonType, tt.ok); a.status >= 300 {
				t.Errorf("at its limit: %v", a)
			}
			w.send(tt.method, tt.path, jsonType, tt.over).names(t, tt.field)
		})
	}
	for _, tt := range []struct{ name, method, ok, over, field string }{
		{"user_id of a list", http.MethodGet, "/v1/families?user_id=" + x(128), "/v1/families?user_id=" + x(129), "user_id"},
		{"user_id of a revocation", http.MethodDelete, "/v1/families?user_id=" + x(128), "/v1/families?user_id=" + x(129), "user_id"},
		{"user_id of an erasure", http.MethodDelete, "/v1/users?user_id=" + x(128), "/v1/users?user_id=" + x(129), "user_id"},
		{"user_id of events", http.MethodGet, "/v1/events?user_id=" + x(128), "/v1/events?user_id=" + x(129), "user_id"},
		{"span of events", http.MethodGet, "/v1/events?user_id=u&from=" + at(-400*day) + "&to=" + at(0), "/v1/events?user_id=u&from=" + at(-400*day-time.Millisecond) + "&to=" + at(0), "from"},
		{"span of events to now", http.MethodGet, "/v1/events?user_id=u&from=" + at(-400*day+time.Millisecond), "/v1/events?user_id=u&from=" + at(-400*day), "from"},
		{"least span of events", http.MethodGet, "/v1/events?user_id=u&from=" + at(-time.Millisecond) + "&to=" + at(0), "/v1/events?user_id=u&from=" + at(0) + "&to=" + at(0), "from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if a := w.send(tt.method, tt.ok, "", ""); a.status != http.StatusOK {
				t.Errorf("at its limit: %v", a)
			}
			w.send(tt.method, tt.over, "", "").names(t, tt.field)
		})
	}
}

// TestRecordAtItsLimit checks that a login or a change can fill a record to the last byte. A
// refusal says how long the largest member may be, and a member of that length is accepted.
func TestRecordAtItsLimit(t *testing.T) {
	w := newWorld(t)
	rest := `"acr":"` + strings.Repeat("r", 128) + `","device":"` + strings.Repeat("d", 256) + `"`
	base := `"user_id":"` + strings.Repeat("u", 128) + `","client_id":"app","scope":"` + strings.Repeat("s", 1024) + `","audience":["` + strings.Repeat("a", 512) + `"],` + rest
	claims := func(n int) string { return `"claims":{"c":"` + strings.Repeat("c", n-len(`{"c":""}`)) + `"}` }
	for what, ask := range map[string]func(claims string) answer{
		"a login": func(claims string) answer {
			return w.send(http.MethodPost, "/v1/families", jsonType, `{`+base+`,`+claims+`}`)
		},
		"a change": func(claims string) answer {
			return w.change(w.issue(`{`+base+`}`).text("family"), `{`+claims+`}`)
		},
	} {
		a := ask(claims(2048))
		a.names(t, "claims", "4096")
		m := regexp.MustCompile(`at most (\d+) bytes`).FindStringSubmatch(a.text("detail"))
		if m == nil {
			t.Fatalf("%s: %v", what, a)
		}
		most, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if a := ask(claims(most)); a.status >= 300 {
			t.Errorf("%s: %d bytes are refused, which were told: %v", what, most, a)
		}
		ask(claims(most+1)).names(t, "claims", m[1])
	}
}

// TestListsThatFindLittle checks that a list with few matches among many items continues until
// it has found them.
func TestListsThatFindLittle(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	oldest := w.devices(1, "other")[0]
	w.clock.Advance(time.Second)
	w.issueMany(1100)
	for _, query := range []string{"client_id=other", "client_id=other&status=active"} {
		if ids, _ := w.listed("/v1/families?user_id=u&"+query, "families", "family"); len(ids) != 1 || ids[0] != oldest.id {
			t.Errorf("%s: %v", query, ids)
		}
	}
	event := func(eventType audit.Type, ago time.Duration) audit.Event {
		e := audit.New(eventType, w.clock.Now().Add(-ago))
		e.User, e.UserID, e.ClientID = w.keys.Users.Key("u"), "u", "app"
		e.TokenCounter, e.LatestCounter, e.Age = 1, 2, 80*time.Second
		return e
	}
	ahead := event(audit.Ahead, 2*time.Hour)
	first := ahead.ID.String()
	w.putEvents(1, func(int) audit.Event { return ahead })
	w.putEvents(1050, func(i int) audit.Event { return event(audit.Reuse, time.Hour+time.Duration(i)*time.Millisecond) })
	if ids, _ := w.listed("/v1/events?user_id=u&type=ahead", "events", "eventId"); len(ids) != 1 || ids[0] != first {
		t.Errorf("the events are %v", ids)
	}
	// A recommendation also uses more than one page of events: the newest 1,000.
	r, _ := w.get("/v1/clients/app").json["recommendation"].(map[string]any)
	if r["of"] != 1000.0 || r["would_have_kept"] != 1000.0 || r["reuse_interval"] != 120.0 {
		t.Errorf("recommended is %v", r)
	}
	if r, _ := w.get("/v1/clients/other").json["recommendation"].(map[string]any); r != nil {
		t.Errorf("another client's is %v", r)
	}
}

// TestEventsOfAClockThatIsAhead checks that a family's timeline and the list of events include
// what a server whose clock is ahead has stored.
func TestEventsOfAClockThatIsAhead(t *testing.T) {
	var clocks movable
	w := newWorld(t, servers(2), skewed(clocks.of), oneIssuer())
	clocks.by[1].Store(int64(2 * time.Second))
	_, id := w.login()
	w.sendTo(1, http.MethodDelete, "/v1/families/"+id, "", "")
	for _, query := range []string{"user_id=u", "family=" + id, "type=srrt"} {
		if n := len(w.events(query)); n != 1 {
			t.Errorf("%s: %d events", query, n)
		}
	}
	until := w.clock.Now().Format(time.RFC3339Nano)
	if n := len(w.events("user_id=u&to=" + until)); n != 0 {
		t.Errorf("%d events before it", n)
	}
}

// TestTimelineOfAClockThatIsBehind checks that the timeline includes a reuse that was observed
// by a server whose clock is behind.
func TestTimelineOfAClockThatIsBehind(t *testing.T) {
	var clocks movable
	w := newWorld(t, servers(2), skewed(clocks.of), oneIssuer())
	w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_interval":0,"reuse_detection":"observe","observe_until":%q}}`, w.clock.Now().Add(day).Format(time.RFC3339)))
	first, id := w.login()
	w.rotate(first)
	clocks.by[1].Store(int64(-time.Minute))
	if a := w.refreshAt(1, first); a.status != http.StatusOK {
		t.Fatal(a)
	}
	told := false
	timeline, _ := w.family(id).json["timeline"].([]any)
	for _, m := range timeline {
		m, _ := m.(map[string]any)
		told = told || m["event"] == "reuse_observed"
	}
	if !told || w.family(id).text("status") != "active" {
		t.Errorf("the timeline is %v", timeline)
	}
	if a := w.explain("family", id); a.text("cause") == string(family.ReuseDetected) {
		t.Errorf("explained as %v", a)
	}
}
