package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// cookieHistory is a browser in which users log in, refresh and log out at random, while answers take up to a
// minute and overtake each other, and the store fails.
type cookieHistory struct {
	*browser
	rand   *rand.Rand
	alive  map[string]string // the users of the sessions that live, by sid
	ended  map[string]bool   // the sids of those that do not
	under  []late            // answers that have not arrived
	script []string
}

// TestCookieHistories plays random histories of a browser, and checks that a session lives until its user
// logs out, that it stays its user's, and that one that has ended stays so.
func TestCookieHistories(t *testing.T) {
	parallel(t)
	for seed := range storetest.Size(300, 2) {
		h := &cookieHistory{
			browser: newBrowser(t), rand: rand.New(rand.NewPCG(19, uint64(seed))),
			alive: map[string]string{}, ended: map[string]bool{},
		}
		for step := range 150 {
			h.step(step)
			if t.Failed() {
				t.Fatalf("seed %d, after %s", seed, strings.Join(h.script, ", "))
			}
		}
		if lines := h.logged("ferrt"); len(lines) > 0 {
			t.Fatalf("seed %d: %v after %s", seed, lines, strings.Join(h.script, ", "))
		}
	}
}

// sids returns the sids of a map, sorted, so that a seed always plays the same.
func sids[V any](m map[string]V) []string {
	var all []string
	for sid := range m {
		all = append(all, sid)
	}
	slices.Sort(all)
	return all
}

// step does one thing at random, after the answers that are due have arrived.
func (h *cookieHistory) step(n int) {
	h.t.Helper()
	h.arrive(h.clock.Now().Add(time.Duration(h.rand.IntN(25_000)) * time.Millisecond))
	if h.rand.IntN(20) == 0 {
		h.arrive(h.clock.Now().Add(time.Minute))
		h.clock.Advance(time.Hour) // nobody uses the browser
	}
	living, dead := sids(h.alive), sids(h.ended)
	switch p := h.rand.IntN(20); {
	case len(living) == 0 || p == 0 && len(living) < 3:
		user := fmt.Sprint("user", n)
		h.script = append(h.script, "login of "+user)
		h.alive[h.login("spa", user)] = user
	case p == 1:
		sid := living[h.rand.IntN(len(living))]
		h.script = append(h.script, "logout of "+h.alive[sid])
		if a := h.post("/oauth/revoke", "client_id", "spa", "sid", sid); a.status != http.StatusOK || h.token("spa", sid) != "" {
			h.t.Errorf("the logout got %v", a)
		}
		delete(h.alive, sid)
		h.ended[sid] = true
	case p == 2 && len(dead) > 0:
		if a := h.renew(dead[h.rand.IntN(len(dead))]); !a.refused(http.StatusBadRequest) {
			h.t.Errorf("a session that has ended got %v", a)
		}
	default:
		h.refresh(living[h.rand.IntN(len(living))])
	}
	for sid, user := range h.alive {
		if h.token("spa", sid) == "" {
			h.t.Errorf("%s has no cookie", user)
		}
	}
}

// refresh sends a refresh with the cookies that the browser has now. If the store fails it is sent again, as
// pages do.
func (h *cookieHistory) refresh(sid string) {
	h.t.Helper()
	user := h.alive[sid]
	faults := []storetest.Fault{storetest.Failed, storetest.Lost, storetest.Timeout}
	fault := append(faults, make([]storetest.Fault, 40)...)[h.rand.IntN(43)] // the others are none
	h.store.Break(func(int, string) storetest.Fault { return fault })
	send := func() answer {
		return h.send(http.MethodPost, "/oauth/token", formType, form(refreshWith(h.browser, sid)...), h.headers()...)
	}
	a := send()
	h.store.Break(nil)
	if a.status == http.StatusServiceUnavailable {
		if a.header.Get("Set-Cookie") != "" {
			h.t.Errorf("a failure sets %v", a.header.Values("Set-Cookie"))
		}
		a = send()
	}
	delay := time.Duration(h.rand.IntN(60_000)) * time.Millisecond
	if h.rand.IntN(2) == 0 {
		delay = 0
	}
	h.script = append(h.script, fmt.Sprintf("refresh of %s at %s, answered after %v", user, h.clock.Now().Format("15:04:05.000"), delay))
	if a.status != http.StatusOK || a.text("sid") != sid || a.claims(h.t)["sub"] != user {
		h.t.Errorf("%s got %v", user, a)
		return
	}
	h.under = append(h.under, late{h.clock.Now().Add(delay), a})
}

// arrive moves the clock, and gives the browser the answers that arrive until then.
func (h *cookieHistory) arrive(until time.Time) {
	slices.SortStableFunc(h.under, func(a, b late) int { return a.at.Compare(b.at) })
	for len(h.under) > 0 && !h.under[0].at.After(until) {
		h.clock.Advance(max(0, h.under[0].at.Sub(h.clock.Now())))
		h.keep(h.under[0].a)
		h.under = h.under[1:]
	}
	h.clock.Advance(until.Sub(h.clock.Now()))
}
