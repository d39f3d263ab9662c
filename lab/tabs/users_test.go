//go:build tabs

package tabs

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// shuffler holds the answers to refreshes back until there are so many of them, and lets them go one after another, in an
// order by chance.
type shuffler struct {
	mu      sync.Mutex
	random  *rand.Rand
	want    int // 0 holds nothing back
	waiting []chan struct{}
}

// harm decides what happens to an answer; see [door.harm].
func (s *shuffler) harm(*reply) harm {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.want == 0 {
		return harm{}
	}
	goes := make(chan struct{})
	var waits bool
	return harm{name: "shuffled", after: func() {
		s.mu.Lock()
		waits = s.want > 0 // and not let go meanwhile
		if waits {
			s.waiting = append(s.waiting, goes)
		}
		if waits && len(s.waiting) == s.want {
			s.random.Shuffle(len(s.waiting), func(i, j int) { s.waiting[i], s.waiting[j] = s.waiting[j], s.waiting[i] })
			close(s.waiting[0])
		}
		s.mu.Unlock()
		if waits {
			<-goes
		}
	}, sent: func() {
		if !waits {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.waiting = s.waiting[1:]
		if len(s.waiting) > 0 {
			close(s.waiting[0])
		} else {
			s.want = 0
		}
	}}
}

// hold makes the next answers wait for each other.
func (s *shuffler) hold(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want = n
}

// TestTwoUsers checks that sessions in one browser keep apart: two users of a client, and two clients on one host. Their logins
// and refreshes are answered in any order. A logout, a revocation and an outage touch no other session.
func TestTwoUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register("spa", nil)
	w.register("other", nil)
	d := newDoor(w.service)
	order := &shuffler{random: rand.New(rand.NewPCG(1, 2))}
	d.harm = order.harm
	w.door = d
	w.handle("GET", "/api", d.serveAPI)
	w.handle("POST", "/report", func(http.ResponseWriter, *http.Request) {})
	p := newProfile(t)

	type holder struct {
		client, user string
		login        code
		sid          string
		tabs         [2]*tab
	}
	holders := []*holder{{client: "spa", user: "alice"}, {client: "spa", user: "bob"}, {client: "other", user: "alice"}, {client: "other", user: "bob"}}
	for _, h := range holders {
		for i := range h.tabs {
			h.tabs[i] = p.newTab()
			h.tabs[i].visit(w.query("/pages/tab.html", "client", h.client, "transport", "cookie", "name", h.user, "tab", h.client+h.user))
		}
	}
	// login logs a holder in, and returns the sid of its cookie, which is the only one that it changes.
	login := func(h *holder) {
		h.login = w.code(h.client, h.user)
		before := p.sessions()
		eval[any](h.tabs[0], call("session.login", h.login))
		after := p.sessions()
		for name, value := range before {
			if after[name] != value {
				t.Errorf("the login of %s with %s changed the cookie %s", h.user, h.client, name)
			}
			delete(after, name)
		}
		if len(after) != 1 {
			t.Fatalf("the login of %s with %s made %d cookies", h.user, h.client, len(after))
		}
		for name := range after {
			h.sid = strings.TrimPrefix(name, h.client+".")
		}
	}
	for _, h := range holders {
		login(h)
	}
	// Each round refreshes all sessions at once, whose answers come in another order.
	for round := range 6 {
		w.later()
		for _, h := range holders {
			for _, b := range h.tabs {
				b.expire()
			}
		}
		order.hold(len(holders))
		for _, h := range holders {
			for _, b := range h.tabs {
				eval[any](b, "void (late = use())")
			}
		}
		for _, h := range holders {
			for i, b := range h.tabs {
				if got := eval[string](b, "late"); got != h.user {
					t.Fatalf("round %d: tab %d of %s and %s is one of %q: %s", round, i, h.client, h.user, got, eval[string](b, "JSON.stringify(errors)"))
				}
			}
		}
		if got := p.sessions(); len(got) != len(holders) {
			t.Fatalf("round %d: there are %d cookies", round, len(got))
		}
		// One of them logs in anew, while nothing else happens. It logs out before, so that its old session ends.
		if round == 2 {
			h := holders[round]
			eval[any](h.tabs[1], "session.logout()")
			login(h)
		}
	}
	for _, r := range d.all() {
		for _, c := range r.cookies {
			if !strings.HasSuffix(strings.TrimSuffix(c.Name, ".2"), "."+r.sid) {
				t.Errorf("the answer about %s sets the cookie %s", r.sid, c.Name)
			}
		}
	}
	cookieOf := func(h *holder) string { return p.sessions()[h.client+"."+h.sid] }
	told := func(h *holder, want string) {
		t.Helper()
		for i, b := range h.tabs {
			all := eval[[]string](b, "(async () => { while (!told.includes("+quoted(want)+")) await new Promise((f) => setTimeout(f, 20)); return told })()")
			if n := len(slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s != want })); n != 1 {
				t.Errorf("tab %d of %s and %s was told %q", i, h.client, h.user, all)
			}
		}
	}
	others := func(gone *holder) {
		t.Helper()
		for _, h := range holders {
			if h != gone && h.login.Code != "" {
				for _, b := range h.tabs {
					b.uses(h.user)
				}
				w.alive(h.login.family)
			}
		}
	}

	// A 503 keeps the cookie.
	alice := holders[0]
	held := cookieOf(alice)
	w.later()
	for _, b := range alice.tabs {
		b.expire()
	}
	w.store.Break(func(int, string) storeFault { return failed })
	eval[any](alice.tabs[0], "void (late = use())")
	answer := d.until(t, func(r reply) bool { return r.status == http.StatusServiceUnavailable })
	if len(answer.cookies) != 0 || cookieOf(alice) != held || held == "" {
		t.Errorf("a 503 touched the cookies: %v", answer.cookies)
	}
	w.store.Break(nil)
	if got := eval[string](alice.tabs[0], "late"); got != "alice" {
		t.Errorf("after the outage: %s", got)
	}

	// A logout ends the session in all of its tabs, and no other session.
	eval[any](alice.tabs[0], "session.logout()")
	told(alice, "logout")
	for _, b := range alice.tabs {
		if got := eval[string](b, "use()"); got != "LoginRequiredError" {
			t.Errorf("after the logout: %s", got)
		}
	}
	if cookieOf(alice) != "" || len(p.sessions()) != 3 {
		t.Errorf("after the logout there are the cookies of %v", slices.Collect(maps.Keys(p.sessions())))
	}
	if f, err := w.api.Family(t.Context(), alice.login.family); err != nil || f.Status != "revoked" {
		t.Errorf("the family that logged out: %+v, %v", f, err)
	}
	alice.login.Code = ""
	others(alice)

	// invalid_grant ends a session once, in all of its tabs.
	bob := holders[1]
	if _, err := w.api.RevokeFamily(t.Context(), bob.login.family); err != nil {
		t.Fatal(err)
	}
	bob.tabs[0].expire()
	bob.tabs[1].expire()
	for _, b := range bob.tabs {
		eval[any](b, "void (late = use())")
	}
	for _, b := range bob.tabs {
		if got := eval[string](b, "late"); got != "LoginRequiredError" {
			t.Errorf("after the revocation: %s", got)
		}
	}
	told(bob, "login_required")
	refused := 0
	for _, r := range d.all() {
		if r.status == http.StatusBadRequest {
			refused++
			if len(r.cookies) == 0 {
				t.Error("the refusal deletes no cookie")
			}
			for _, c := range r.cookies {
				if c.MaxAge >= 0 || !strings.HasSuffix(strings.TrimSuffix(c.Name, ".2"), ".spa."+bob.sid) {
					t.Errorf("the refusal sets the cookie %s, to live for %d s", c.Name, c.MaxAge)
				}
			}
		}
	}
	if refused != 1 || cookieOf(bob) != "" || len(p.sessions()) != 2 {
		t.Errorf("%d requests were refused, and there are %d cookies", refused, len(p.sessions()))
	}
	bob.login.Code = ""
	others(bob)
}
