//go:build browser

package browser

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// TestEvents filters events, and follows their links.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := start(t)
	stolen := s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa"})
	s.refresh(stolen.RefreshToken)
	s.wait("5m")
	s.refresh(stolen.RefreshToken, "User-Agent", "Thief/1.0")
	for range 101 {
		id := s.login(&manage.Login{UserID: "bob", ClientID: "demo-spa"}).Family
		if _, err := s.api.RevokeFamily(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	p := newTab(t, s.url)
	p.open("/console/events")
	p.sees(".event.ferrt", "Token 1 came back 5 min after it was superseded; the newest was 2.")
	p.sees(".event.ferrt", "Thief/1.0")
	if p.count(".event") != 1 {
		t.Errorf("%d events of reuse", p.count(".event"))
	}
	p.look("events")
	p.accessible()

	p.do(choose("#type", ""))
	p.fill("#user_id", "bob")
	p.follow("form button")
	if p.count(".event.srrt") != 100 {
		t.Errorf("%d events of bob", p.count(".event.srrt"))
	}
	p.follow("a.next")
	if p.count(".event.srrt") != 1 || p.count("a.next") != 0 {
		t.Errorf("%d events of bob on the second page", p.count(".event.srrt"))
	}

	p.open("/console/events")
	p.follow(".event a[href*='/explain?family=" + stolen.Family + "']")
	p.sees("main", "was presented again")
	p.open("/console/events")
	p.follow(".event a[href*='/users?user_id=alice']")
	p.sees("main", "reuse detected")
	p.open("/console/events")
	p.follow(".event a[href$='/clients/demo-spa']")
	p.sees("h1", "demo-spa")

	p.open("/console/events?user_id=alice&from=2020-01-01T00:00&to=2020-02-01T00:00")
	p.sees("main", "There is no such event")
	p.accessible()
	if status := p.open("/console/events?user_id=alice&from=2020-01-01T00:00"); status != http.StatusBadRequest {
		t.Errorf("a span of years is answered with %d", status)
	}
	p.sees("#from-fault", "From is")
	p.look("events-refused")
	p.accessible()
	p.open("/console/events")
	p.do(choose("#type", ""), chromedp.SetValue(chromedp.CSS("#family"), "nonsense"))
	p.follow("form button")
	p.sees("#family-fault", "must be a family id")
	if p.count("#family[aria-invalid='true'][value='nonsense']") != 1 {
		t.Error("the field is not marked, or has lost what was typed")
	}

	p.open("/console/events")
	p.fill("#user_id", stolen.RefreshToken)
	if status := p.follow("form button"); status != http.StatusBadRequest {
		t.Errorf("a token as a user id is answered with %d", status)
	}
	p.sees("#user_id-fault", "That was a token")
	p.leaks(stolen.RefreshToken)
}
