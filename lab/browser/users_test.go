//go:build browser

package browser

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// TestSignOut signs a user out by clicking, of one session, of all but one, and of all.
func TestSignOut(t *testing.T) {
	t.Parallel()
	s := start(t)
	tokens := map[string]string{}
	for _, device := range []string{"phone", "laptop", "tablet", "desktop"} {
		l := &manage.Login{UserID: "alice", ClientID: "demo-spa", Device: device, IP: "192.0.2.7", UserAgent: "Example/1.0"}
		tokens[device] = s.login(l).RefreshToken
	}
	other := s.login(&manage.Login{UserID: "bob", ClientID: "demo-spa"}).RefreshToken
	alive := func(want ...string) {
		t.Helper()
		found := map[string]bool{}
		for family, err := range s.api.Families(t.Context(), manage.FamilyFilter{UserID: "alice", Status: "active"}) {
			if err != nil {
				t.Fatal(err)
			}
			found[family.Device] = true
		}
		for _, device := range want {
			if !found[device] {
				t.Errorf("the session on %s has ended", device)
			}
		}
		if len(found) != len(want) {
			t.Errorf("%v are active, want %v", found, want)
		}
	}
	p := newTab(t, s.url)
	p.open("/console/users")
	p.fill("#user_id", "alice")
	p.follow("form.ask button")
	if got := p.address(); got != s.url+"/console/users?user_id=alice" {
		t.Errorf("the user is shown at %s", got)
	}
	if n := p.count("tbody tr"); n != 4 {
		t.Fatalf("%d sessions are shown:\n%s", n, p.body())
	}
	p.sees("tbody", "192.0.2.7")
	p.sees("tbody", "Example/1.0")
	p.look("user")
	p.accessible()

	p.follow(row("phone") + " a[href*='family='][href*='/end']")
	p.sees("main", "phone")
	p.accessible()
	alive("phone", "laptop", "tablet", "desktop")
	p.follow("form button.danger")
	p.sees(".told", "One session was ended.")
	alive("laptop", "tablet", "desktop")
	p.sees(row("phone"), "revoked by admin")

	p.follow(row("laptop") + " a[href*='except=']")
	p.sees(".count", "2")
	p.look("end-others")
	p.accessible()
	alive("laptop", "tablet", "desktop")
	p.follow("form button.danger")
	p.sees(".told", "2 sessions were ended.")
	alive("laptop")

	p.follow("a.danger")
	p.sees(".count", "1")
	p.look("end-all")
	p.accessible()
	p.do(choose("#cause", "password_changed"))
	p.follow("form button.danger")
	p.sees(".told", "One session was ended.")
	p.sees(row("laptop"), "password changed")
	alive()
	p.look("user-ended")
	for device, token := range tokens {
		if s.refresh(token) != "" {
			t.Errorf("the token on %s is still good", device)
		}
	}
	if s.refresh(other) == "" {
		t.Error("another user was signed out")
	}

	// The note is shown once, and nothing is left to end.
	p.open(strings.TrimPrefix(p.address(), s.url))
	if p.count(".told") != 0 {
		t.Error("the note is shown again")
	}
	if p.count("a.danger") != 0 {
		t.Error("it offers to end what has ended")
	}
	p.open("/console/users/end?user_id=alice")
	p.sees("main", "nothing to end")
	if p.count("form") != 0 {
		t.Error("there is a form that ends nothing")
	}
}

// row returns the selector of the table's row of a device.
func row(device string) string { return "tr[data-device='" + device + "']" }

// TestThousandSessions goes through all pages of a user who has a thousand.
func TestThousandSessions(t *testing.T) {
	t.Parallel()
	s := start(t)
	const all = 1000
	for i := range all {
		s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa", Device: fmt.Sprintf("device %d", i)})
	}
	p := newTab(t, s.url)
	p.open("/console/users?user_id=alice")
	seen := map[string]bool{}
	pages := 1
	for ; ; pages++ {
		for _, device := range p.texts("tbody td:first-child") {
			seen[device] = true
		}
		if p.count("a.next") == 0 || pages > all/100+1 {
			break
		}
		if pages == 1 {
			p.accessible()
		}
		if status := p.follow("a.next"); status != http.StatusOK {
			t.Fatalf("page %d: %d", pages, status)
		}
	}
	if len(seen) != all || pages != all/100+1 {
		t.Errorf("%d sessions on %d pages", len(seen), pages)
	}
	p.sees("main", "There are no more sessions.")
	p.follow("nav.pages a")
	p.follow("a.danger")
	p.sees(".count", "1000")
	p.follow("form button.danger")
	p.sees(".told", "1000 sessions were ended.")
}

// TestUserIDs checks what the form says about what is no user id, and that a token that is
// pasted into it gets into no address.
func TestUserIDs(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa"}).RefreshToken
	p := newTab(t, s.url)
	for _, test := range []struct{ typed, want string }{
		{token, "That was a token"},
		{strings.Repeat("x", 200), "must be at most 128 bytes"},
		{" ", "Type the id"},
	} {
		p.open("/console/users")
		p.fill("#user_id", test.typed)
		if status := p.follow("form.ask button"); status != http.StatusBadRequest {
			t.Errorf("%q is answered with %d", test.want, status)
		}
		p.sees("#user_id-fault", test.want)
		if p.count("#user_id[aria-invalid='true'][aria-describedby='user_id-fault']") != 1 {
			t.Errorf("%q: the field is not marked", test.want)
		}
		p.accessible()
	}
	p.leaks(token)
	p.open("/console/users?user_id=nobody")
	p.sees("main", "no sessions on record")
	p.accessible()
}
