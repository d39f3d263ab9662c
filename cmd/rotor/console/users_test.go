package console

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// active returns how many families of a user are alive.
func (w *world) active(userID string) int {
	w.tb.Helper()
	n := 0
	for _, err := range w.api.Families(w.tb.Context(), manage.FamilyFilter{UserID: userID, Status: "active"}) {
		if err != nil {
			w.tb.Fatal(err)
		}
		n++
	}
	return n
}

// led follows the redirect after a form.
func (w *world) led(a answered) answered {
	w.tb.Helper()
	if a.status != http.StatusSeeOther {
		w.tb.Fatalf("%d, and no redirect:\n%s", a.status, a.body)
	}
	return w.get(a.header.Get("Location"))
}

// TestSignOut checks which sessions end, that the page before says how many, and that asking ends
// none. The user's id is one that an address may come to grief over.
func TestSignOut(t *testing.T) {
	for _, tt := range []struct {
		name          string
		address       func(user string, families []string) string
		asked, said   string
		left, revoked int
	}{
		{
			"one", func(user string, f []string) string { return user + "&family=" + f[0] },
			"This session of", "One session was ended.", 2, 1,
		},
		{
			"all others", func(user string, f []string) string { return user + "&except=" + f[0] },
			`<strong class="count">2</strong> active sessions`, "2 sessions were ended.", 1, 2,
		},
		{
			"all", func(user string, _ []string) string { return user },
			`<strong class="count">3</strong> active sessions`, "3 sessions were ended.", 0, 3,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			const user = "a&b=c d\u202e/é%#?+"
			var families []string
			for range 3 {
				families = append(families, w.login(&manage.Login{UserID: user, Device: "phone"}).Family)
			}
			w.login(&manage.Login{UserID: "bob"})
			address := "/console/users/end?user_id=" + tt.address(url.QueryEscape(user), families)
			page := w.get(address)
			page.wants(t, tt.asked)
			if got := w.active(user); got != 3 {
				t.Fatalf("asking has left %d sessions", got)
			}
			// As a browser does, from the form of the page.
			action := regexp.MustCompile(`<form method="post" action="([^"]*)"`).FindStringSubmatch(page.body)
			if action == nil {
				t.Fatalf("the page has no form:\n%s", page.body)
			}
			done := w.post(strings.ReplaceAll(action[1], "&amp;", "&"), url.Values{"cause": {"password_changed"}})
			w.led(done).wants(t, tt.said, "phone")
			if got := w.active(user); got != tt.left {
				t.Errorf("%d sessions are left, want %d", got, tt.left)
			}
			if w.active("bob") != 1 {
				t.Error("another user was signed out")
			}
			w.get(address).wants(t, map[bool]string{true: "has ended already", false: "nothing to end"}[tt.name == "one"])
			if n := strings.Count(w.led(done).body, tt.said); n != 0 {
				t.Error("it is said again")
			}
		})
	}
}

// TestCauseOfSigningOut checks that the families have the cause that was chosen.
func TestCauseOfSigningOut(t *testing.T) {
	w := newWorld(t)
	for _, cause := range []string{"revoked_by_admin", "password_changed"} {
		id := w.login(&manage.Login{UserID: "alice"}).Family
		w.led(w.post("/console/users/end?user_id=alice", url.Values{"cause": {cause}}))
		if f, err := w.api.Family(t.Context(), id); err != nil || f.Cause != cause {
			t.Errorf("%+v, %v", f, err)
		}
	}
	if got := w.post("/console/users/end?user_id=alice", url.Values{"cause": {"boredom"}}); got.status != http.StatusBadRequest {
		t.Errorf("another cause: %d", got.status)
	}
}

// TestEndings checks addresses that name no sessions which can end.
func TestEndings(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.login(&manage.Login{UserID: "alice"}).Family, w.login(&manage.Login{UserID: "bob"}).Family
	for query, want := range map[string]string{
		"":                "must name a user",
		"user_id=":        "must name a user",
		"family=" + alice: "must name a user",
		"user_id=alice&family=" + alice + "&except=" + alice: "at most one family",
		"user_id=alice&family=" + bob:                        "of another user",
		"user_id=alice&except=" + bob:                        "of another user",
		"user_id=alice&family=x":                             "family",
	} {
		for method, got := range map[string]answered{
			"GET": w.get("/console/users/end?" + query), "POST": w.post("/console/users/end?"+query, url.Values{"cause": {"revoked_by_admin"}}),
		} {
			if got.status/100 != 4 || !strings.Contains(got.body, want) {
				t.Errorf("%s %s: %d:\n%s", method, query, got.status, got.body)
			}
		}
	}
	if w.active("alice") != 1 || w.active("bob") != 1 {
		t.Error("a session has ended")
	}
}

// TestSessionsArePaged goes through 250 sessions.
func TestSessionsArePaged(t *testing.T) {
	w := newWorld(t)
	for i := range 250 {
		w.login(&manage.Login{UserID: "a&b", Device: fmt.Sprintf("device-%d-", i)})
	}
	seen := map[string]bool{}
	path := "/console/users?user_id=a%26b"
	for pages := 1; ; pages++ {
		page := w.get(path)
		for _, device := range regexp.MustCompile(`<bdi>(device-\d+-)</bdi>`).FindAllStringSubmatch(page.body, -1) {
			seen[device[1]] = true
		}
		next := regexp.MustCompile(`class="button plain next" href="([^"]*)"`).FindStringSubmatch(page.body)
		if next == nil {
			if pages != 3 || len(seen) != 250 {
				t.Errorf("%d sessions on %d pages", len(seen), pages)
			}
			return
		}
		path = strings.ReplaceAll(next[1], "&amp;", "&")
	}
}

// TestWrongUserIDs checks that the form says what is wrong, and that a token which is pasted into
// it gets neither into an address nor into the page.
func TestWrongUserIDs(t *testing.T) {
	w := newWorld(t)
	tokens := w.login(&manage.Login{UserID: "alice"})
	for _, typed := range []string{"", "  ", tokens.RefreshToken, "x " + tokens.RefreshToken, tokens.AccessToken} {
		got := w.post("/console/users", url.Values{"user_id": {typed}})
		if got.status != http.StatusBadRequest || got.header.Get("Location") != "" {
			t.Errorf("%d to %q", got.status, got.header.Get("Location"))
		}
		got.wants(t, `aria-invalid="true" aria-describedby="user_id-fault"`, `id="user_id-fault"`)
		if len(typed) > 20 && strings.Contains(got.body, typed[len(typed)-20:]) {
			t.Error("the page has a token")
		}
	}
	got := w.get("/console/users?user_id=" + strings.Repeat("x", 129))
	if got.status != http.StatusBadRequest {
		t.Errorf("a long id: %d", got.status)
	}
	got.wants(t, "at most 128 bytes", `aria-invalid="true"`, strings.Repeat("x", 129))
	if got := w.post("/console/users", url.Values{"user_id": {" a.b.c "}}); got.header.Get("Location") != "/console/users?user_id=a.b.c" {
		t.Errorf("%d to %q", got.status, got.header.Get("Location"))
	}
}

// TestSigningOutInParts checks what is said if the service fails after it has ended a part of the
// sessions.
func TestSigningOutInParts(t *testing.T) {
	w := newWorld(t)
	for range 1001 {
		w.login(&manage.Login{UserID: "alice"})
	}
	w.get("/console/users/end?user_id=alice").wants(t, `<strong class="count">1001</strong>`)
	calls := 0
	w.refuse = func(r *http.Request) bool {
		if r.Method == http.MethodDelete {
			calls++
		}
		return calls > 1
	}
	done := w.post("/console/users/end?user_id=alice", url.Values{"cause": {"revoked_by_admin"}})
	w.refuse = nil
	w.led(done).wants(t, "1000 sessions were ended, and then the service failed", "Sign the user out again for the rest.")
	w.led(w.post("/console/users/end?user_id=alice", url.Values{"cause": {"revoked_by_admin"}})).wants(t, "One session was ended.")
}

// TestPagesUnderAPath checks that forms, links and redirects have the path that the console is
// served under.
func TestPagesUnderAPath(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Base = "/auth" })
	family := w.login(&manage.Login{UserID: "alice"}).Family
	w.register("backend", &manage.Settings{Type: "confidential"})
	link := regexp.MustCompile(`(?:href|action|src)="([^"#]*)"`)
	for _, path := range []string{
		"/console/users?user_id=alice", "/console/users/end?user_id=alice", "/console/users/end?user_id=alice&family=" + family,
		"/console/clients", "/console/clients/backend", "/console/clients/backend/policy", "/console/events", "/console/events?user_id=alice",
	} {
		got := w.get("/auth" + path)
		found := link.FindAllStringSubmatch(got.body, -1)
		if got.status != http.StatusOK || len(found) < 8 {
			t.Errorf("%s: %d, with %d links", path, got.status, len(found))
		}
		for _, l := range found {
			if !strings.HasPrefix(l[1], "/auth/") {
				t.Errorf("%s has %s", path, l[1])
			}
		}
	}
	for path, form := range map[string]url.Values{
		"/console/users":                       {"user_id": {"alice"}},
		"/console/events":                      {"type": {"ferrt"}},
		"/console/clients/backend/secrets":     {},
		"/console/users/end?user_id=alice":     {"cause": {"revoked_by_admin"}},
		"/console/users/end?user_id=nobody%26": {"cause": {"revoked_by_admin"}},
	} {
		if at := w.post("/auth"+path, form).header.Get("Location"); !strings.HasPrefix(at, "/auth/console/") {
			t.Errorf("%s leads to %q", path, at)
		}
	}
}

// TestUserWithoutActiveSessions checks that nothing to end is offered where all has ended.
func TestUserWithoutActiveSessions(t *testing.T) {
	w := newWorld(t)
	w.login(&manage.Login{UserID: "alice"})
	const path, offer = "/console/users?user_id=alice", "Sign out everywhere"
	w.get(path).wants(t, offer)
	w.clock.Advance(16 * 24 * time.Hour)
	got := w.get(path)
	got.wants(t, `<span class="status expired">expired</span> <span class="quiet">idle</span>`)
	if strings.Contains(got.body, offer) {
		t.Errorf("it offers to end what has ended:\n%s", got.body)
	}
}
