package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// TestEventsAreFiltered checks that each field of the filter is used, and kept in the form.
func TestEventsAreFiltered(t *testing.T) {
	w := newWorld(t)
	_, newest := w.stolen()
	family, err := w.api.Explain(t.Context(), &manage.Question{RefreshToken: newest})
	if err != nil {
		t.Fatal(err)
	}
	reused := family.Family.ID
	w.clock.Advance(time.Hour)
	ended := w.login(&manage.Login{UserID: "bob"}).Family
	if _, err := w.api.RevokeFamily(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	now := w.clock.Now().UTC()
	const layout = "2006-01-02T15:04:05"
	for _, tt := range []struct {
		query        string
		reuse, other int
	}{
		{"", 1, 0},
		{"type=", 1, 1},
		{"type=&from=" + now.Add(-10*time.Minute).Format(layout), 0, 1},
		{"type=ferrt", 1, 0},
		{"type=srrt", 0, 1},
		{"user_id=bob", 0, 1},
		{"type=ferrt&user_id=bob", 0, 0},
		{"family=" + reused, 1, 0},
		{"type=ferrt&from=" + now.Add(-10*time.Minute).Format(layout), 0, 0},
		{"type=srrt&from=" + now.Add(-10*time.Minute).Format(layout), 0, 1},
		{"type=srrt&from=" + now.Add(-2*time.Hour).Format(layout) + "&to=" + now.Add(-10*time.Minute).Format(layout), 0, 0},
		{"type=ferrt&to=" + now.Add(-10*time.Minute).Format(time.RFC3339), 1, 0},
	} {
		got := w.get("/console/events?" + tt.query)
		if got.status != http.StatusOK {
			t.Errorf("%s: %d:\n%s", tt.query, got.status, got.body)
		}
		if a, b := strings.Count(got.body, `class="event ferrt"`), strings.Count(got.body, `class="event srrt"`); a != tt.reuse || b != tt.other {
			t.Errorf("%s: %d of reuse and %d of revocation", tt.query, a, b)
		}
		values, _ := url.ParseQuery(tt.query)
		for _, field := range []string{"user_id", "family", "from", "to"} {
			if v := values.Get(field); v != "" {
				got.wants(t, `value="`+v+`"`)
			}
		}
	}
	w.get("/console/events").wants(t, "/console/explain?family="+reused, "/console/users?user_id=", "/console/clients/app",
		"Token 1 came back 2 min after it was superseded; the newest was 2.")
}

// TestEventFormLeadsToAnAddress checks that the form leads to an address with what is filled in,
// unless that is wrong or a token.
func TestEventFormLeadsToAnAddress(t *testing.T) {
	w := newWorld(t)
	token := w.login(&manage.Login{UserID: "alice"}).RefreshToken
	got := w.post("/console/events", url.Values{"type": {"srrt"}, "user_id": {" a&b "}, "family": {""}, "from": {"2026-05-04T10:00"}})
	if at := got.header.Get("Location"); at != "/console/events?from=2026-05-04T10%3A00&type=srrt&user_id=a%26b" {
		t.Errorf("%d to %s", got.status, at)
	}
	for field, values := range map[string]url.Values{
		"user_id": {"type": {"ferrt"}, "user_id": {token}},
		"family":  {"family": {token}},
		"from":    {"type": {"ferrt"}, "from": {token}},
		"to":      {"type": {"ferrt"}, "to": {"yesterday"}},
	} {
		got := w.post("/console/events", values)
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" || strings.Contains(got.body, token) {
			t.Errorf("%s: %d to %q", field, got.status, got.header.Get("Location"))
		}
		got.wants(t, `aria-invalid="true" aria-describedby="`+field+`-fault"`, `id="`+field+`-fault"`)
	}
	for field, query := range map[string]string{
		"type": "type=x", "family": "family=x", "user_id": "user_id=" + strings.Repeat("x", 200), "from": "type=ferrt&from=2020-01-01", "to": "type=ferrt&to=now",
	} {
		got := w.get("/console/events?" + query)
		if got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", query, got.status)
		}
		got.wants(t, `id="`+field+`-fault"`)
	}
}

// TestEventsArePaged goes through 120 events, and the filter stays.
func TestEventsArePaged(t *testing.T) {
	w := newWorld(t)
	for range 120 {
		if _, err := w.api.RevokeFamily(t.Context(), w.login(&manage.Login{UserID: "a&b"}).Family); err != nil {
			t.Fatal(err)
		}
	}
	first := w.get("/console/events?type=srrt&user_id=a%26b")
	next := regexp.MustCompile(`class="button plain next" href="([^"]*)"`).FindStringSubmatch(first.body)
	if next == nil {
		t.Fatalf("there is no second page:\n%s", first.body)
	}
	second := w.get(strings.ReplaceAll(next[1], "&amp;", "&"))
	if a, b := strings.Count(first.body, `class="event srrt"`), strings.Count(second.body, `class="event srrt"`); a != 100 || b != 20 {
		t.Errorf("%d and %d events", a, b)
	}
	second.wants(t, `value="a&amp;b"`, `<option value="srrt" selected>`)
	// Of all types the newest are shown, in order.
	w.clock.Advance(time.Minute)
	w.stolen()
	got := w.post("/console/events", url.Values{})
	if at := got.header.Get("Location"); at != "/console/events?type=" {
		t.Fatalf("%d to %q", got.status, at)
	}
	all := w.get(got.header.Get("Location"))
	all.wants(t, "These are the newest of all types.")
	kinds := regexp.MustCompile(`class="event (\w+)"`).FindAllStringSubmatch(all.body, -1)
	if len(kinds) != newestEvents || kinds[0][1] != "ferrt" || kinds[1][1] != "srrt" {
		t.Errorf("%d events: %v", len(kinds), kinds)
	}
}

// TestAgesBeforeTheLastRotation checks that an age is said to be a lower bound where it is one, and
// that such ages are in no row of the histogram.
func TestAgesBeforeTheLastRotation(t *testing.T) {
	w := newWorld(t)
	first := w.login(&manage.Login{UserID: "alice"}).RefreshToken
	newest := first
	for range 2 {
		if newest = w.refresh(newest); newest == "" {
			t.Fatal("the refresh was refused")
		}
		w.clock.Advance(2 * time.Minute)
	}
	if w.refresh(first) != "" {
		t.Fatal("token 1 was taken")
	}
	w.get("/console/events").wants(t, "Token 1 came back at least 2 min after it was superseded; the newest was 3.")
	const unknown = "1 token came back that had been superseded before the last rotation."
	got := w.get("/console/clients/app")
	got.wants(t, unknown)
	if strings.Contains(got.body, `class="histogram"`) || strings.Contains(got.body, "No superseded token") {
		t.Errorf("it is counted, or said not to be:\n%s", got.body)
	}
	w.stolen()
	w.get("/console/clients/app").wants(t, unknown, `class="histogram"`, "1 time in the last 30 days")
}

// TestNoteOnMissingUses checks that uses are said to be missing only where there may be some.
func TestNoteOnMissingUses(t *testing.T) {
	w := newWorld(t)
	login := w.login(&manage.Login{UserID: "alice"})
	const note = "there may have been other uses between them"
	if got := w.get("/console/explain?family=" + login.Family); got.status != http.StatusOK || strings.Contains(got.body, note) {
		t.Errorf("it was never refreshed: %d\n%s", got.status, got.body)
	}
	if w.refresh(login.RefreshToken) == "" {
		t.Fatal("the refresh was refused")
	}
	w.get("/console/explain?family="+login.Family).wants(t, note)
}
