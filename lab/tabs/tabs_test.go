//go:build tabs

package tabs

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

var (
	expiries = flag.Int("expiries", 200, "how many access tokens run out in each of TestTabs's sessions")
	seed     = flag.Uint64("seed", 0, "what happens in TestTabs; 0 for something new")
)

type storeFault = storetest.Fault

const failed = storetest.Failed

// TestTabs checks that ten tabs share a session whatever happens to them: nobody is logged out, and there is one
// refresh for each expiry, and at most a tenth more with those that the faults cost.
//
// An expiry is an access token that a tab had and that ran out: its successor was asked for once the package had to, and
// was used; or it ran out before it arrived. The log tells apart the refreshes whose answer the test withheld, or found no tab,
// or could not be saved since a frozen tab held the database. (Chromium itself freezes no such tab; the DevTools protocol
// does.)
func TestTabs(t *testing.T) {
	t.Parallel()
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	for i, transport := range []string{"cookie", "token"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			t.Logf("-seed=%d plays it again", s)
			testTabs(t, transport, rand.New(rand.NewPCG(s, uint64(i))), rand.New(rand.NewPCG(s, uint64(i)+100)))
		})
	}
}

// TestWithoutLocks checks that tabs without navigator.locks make about one refresh for each expiry, too, and no more than half
// of them again on a slow machine. Those that do nothing
// about each other make two and a half.
func TestWithoutLocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register("spa", nil)
	c := newCrowd(w, "cookie", nil)
	c.address = func(tab string) string {
		return w.query("/pages/tab.html", "client", "spa", "transport", "cookie", "tab", tab, "unlocked", "")
	}
	first := c.open(false)
	if first == nil {
		t.Fatal(c.broken)
	}
	login := w.code("spa", "alice")
	eval[any](first.tab, call("session.login", login))
	eval[any](first.tab, "void work()")
	for c.count(nil) < tabsOpen && len(c.broken) == 0 {
		c.open(true)
	}
	for deadline := time.Now().Add(2 * time.Minute); c.bill().expiries() < 20 && time.Now().Before(deadline); {
		wait(t.Context(), 100*time.Millisecond)
	}
	b := c.bill()
	t.Logf("%d expiries, %d refreshes, of which %d were too many", b.expiries(), b.refreshes, len(b.excess))
	if b.expiries() < 20 || len(b.excess)*2 > b.expiries() || len(c.told) > 0 || len(c.broken) > 0 {
		t.Errorf("%d refreshes were too many for %d expiries; tabs say %q, and of the test failed %q", len(b.excess), b.expiries(), c.told, c.broken)
	}
	w.alive(login.family)
}

func testTabs(t *testing.T, transport string, forAnswers, forTabs *rand.Rand) {
	w := newWorld(t)
	w.register("spa", func(s *manage.Settings) {
		if transport == "token" {
			s.Transport = ""
		}
	})
	c := newCrowd(w, transport, forAnswers)

	// The login.
	first := c.open(false)
	if first == nil {
		t.Fatal(c.broken)
	}
	login := w.code("spa", "alice")
	eval[any](first.tab, call("session.login", login))
	eval[any](first.tab, "void work()")
	began := time.Now()
	c.play(forTabs, func() bool {
		c.mu.Lock()
		over := len(c.told) > 0 || len(c.broken) > 0
		c.mu.Unlock()
		return over || t.Context().Err() != nil || c.bill().expiries() >= *expiries
	})
	took := time.Since(began)

	// The end: all is well again, and each tab calls the API.
	c.mu.Lock()
	c.random = nil
	c.mu.Unlock()
	c.working.Wait()
	for _, name := range c.names() {
		c.mu.Lock()
		m := c.tabs[name]
		c.mu.Unlock()
		before, err := ask[int](m.tab, "calls")
		if err == nil {
			_, err = ask[any](m.tab, fmt.Sprintf("(async () => { while (calls === %d) await new Promise((f) => setTimeout(f, 50)) })()", before))
		}
		if err != nil {
			t.Errorf("tab %s does not call the API any more: %v\n%s", name, err, eval[string](m.tab, "JSON.stringify([location.href, document.readyState, globalThis.errors, performance.getEntriesByType('resource').map((e) => [e.name, e.responseStatus])])"))
		}
		if told := eval[[]string](m.tab, "told"); slices.Contains(told, "logout") || slices.Contains(told, "login_required") {
			t.Errorf("tab %s was told %q", name, told)
		}
		if m.callsFrozen > 0 {
			t.Errorf("tab %s made %d calls while it was frozen", name, m.callsFrozen)
		}
	}
	b := c.bill()
	if len(c.told) > 0 || len(c.broken) > 0 {
		t.Errorf("tabs say %q, and of the test failed %q", c.told, c.broken)
	}
	all := w.families("alice")
	if len(all) != 1 || all[0].ID != login.family || all[0].Status != "active" {
		t.Errorf("the families are %+v", all)
	}
	for _, p := range c.door.all() {
		if p.status != http.StatusOK && p.fault != "an outage" {
			t.Errorf("request %d, of tab %s, was answered %d", p.ordinal, p.tab, p.status)
		}
	}
	if strings.Contains(w.log.String(), `"reuse_detected"`) {
		t.Error("the log has a reuse")
	}
	if got := b.expiries(); got < *expiries || (b.refreshes-got)*10 > got {
		t.Errorf("there were %d refreshes for %d expiries, of %d wanted", b.refreshes, got, *expiries)
	}
	if *expiries >= deckSize {
		for name := range refreshFaults {
			if c.happened[name] == 0 {
				t.Errorf("this never happened: %s", name)
			}
		}
	}
	t.Logf("%v for %d expiries, of which %d were of tokens that ran out on their way: %d refreshes, of which the test withheld %d answers, %d were for a tab that was gone, frozen or without network, a frozen tab stalled %d, and %d were too many",
		took.Round(time.Second), b.expiries(), b.overdue, b.refreshes, b.withheld, b.absent, b.stalled, len(b.excess))
	t.Logf("%d tabs made %d calls of the API, with %v between two of them at the most; what happened: %v", c.opened, c.calls, c.quiet.Round(time.Millisecond), c.happened)
	for _, p := range b.excess {
		t.Logf("too many: request %d at %v, of tab %s, sent after %v, %q, used %v\n%s", p.ordinal, p.at.Sub(began).Round(time.Millisecond), p.tab, p.sent.Sub(p.at).Round(time.Millisecond), p.fault, p.used, c.around(p.at))
	}
}
