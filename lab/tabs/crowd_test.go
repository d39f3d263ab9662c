//go:build tabs

package tabs

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// lifetime is that of the access tokens.
	lifetime = 2 * time.Second
	// soonest is how old an access token is at least when the package replaces it because it runs out. The package does
	// so an eighth to a quarter of the lifetime before its end; the rest is for a request that takes longer than the next.
	soonest = lifetime*3/4 - 100*time.Millisecond

	// tabsOpen is how many tabs there are, except for the moment in which one takes another's place.
	tabsOpen = 10
)

// crowd is the tabs of one session, what happens to them, and what they do.
type crowd struct {
	t       testing.TB
	w       *world
	door    *door
	profile *profile
	address func(tab string) string

	mu       sync.Mutex
	random   *rand.Rand
	deck     []string
	tabs     map[string]*member
	opened   int
	spans    []span
	happened map[string]int
	told     []string // what tabs say of the end of their session
	broken   []string // what of the test itself failed
	calls    int
	inForce  *reply // the newest answer whose access token a tab has used
	lastUse  time.Time
	quiet    time.Duration // the longest time without a call of the API
	working  sync.WaitGroup
	trace    []moment
}

// moment is something that happened to tabs.
type moment struct {
	at   time.Time
	what string
}

// note notes what happens. The caller holds the lock.
func (c *crowd) note(format string, args ...any) {
	c.trace = append(c.trace, moment{time.Now(), fmt.Sprintf(format, args...)})
}

// around returns what happened shortly before a time and after it.
func (c *crowd) around(at time.Time) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, m := range c.trace {
		if d := m.at.Sub(at); d > -6*time.Second && d < 4*time.Second {
			lines = append(lines, fmt.Sprintf("  %6d ms: %s", d.Milliseconds(), m.what))
		}
	}
	return strings.Join(lines, "\n")
}

// member is a tab of a crowd.
type member struct {
	*tab
	name            string
	frozen, offline bool
	stillUntil      time.Time // of a frozen tab: calls until then were under way before
	callsFrozen     int
}

// span is a time in which a tab could not take an answer.
type span struct {
	tab      string
	frozen   bool
	from, to time.Time // to is zero while it lasts
}

// newCrowd returns a crowd without tabs, of sessions of the client "spa". What happens to answers is decided by chance; without
// it nothing happens.
func newCrowd(w *world, transport string, forAnswers *rand.Rand) *crowd {
	w.t.Helper()
	c := &crowd{
		t: w.t, w: w, door: newDoor(w.service), random: forAnswers, tabs: map[string]*member{}, happened: map[string]int{},
		address: func(tab string) string {
			return w.query("/pages/tab.html", "client", "spa", "transport", transport, "tab", tab)
		},
	}
	c.door.harm = c.harm
	w.door = c.door
	w.handle("GET", "/api", c.serveAPI)
	w.handle("POST", "/report", c.serveReport)
	c.profile = newProfile(w.t)
	return c
}

// refreshFaults is what happens to two hundred refreshes, in an order by chance. All but a short delay cost a refresh more, as a
// rule: eight are less than half of the tenth that TestTabs allows.
var refreshFaults = map[string]int{
	"a short delay": 10, "a long delay": 1, "no answer": 1, "half an answer": 1, "a late body": 1, "an outage": 1,
	"the tab crashes": 1, "the tab is closed": 1, "the tab is frozen": 1,
}

// deckSize is how many refreshes refreshFaults is for.
const deckSize = 200

// tabFaults is what happens to tabs meanwhile, in an order by chance.
var tabFaults = map[string]int{"close": 5, "crash": 4, "freeze": 2, "cut its network": 1, "cut all networks": 3}

// shuffled returns a deck that has each name so often, filled up to size with "".
func shuffled(random *rand.Rand, faults map[string]int, size int) []string {
	var deck []string
	for name, n := range faults {
		deck = append(deck, slices.Repeat([]string{name}, n)...)
	}
	deck = append(deck, make([]string, max(0, size-len(deck)))...)
	slices.Sort(deck)
	random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// between returns a duration by chance. Short ones are more frequent.
func between(random *rand.Rand, low, high time.Duration) time.Duration {
	x := random.Float64()
	return low + time.Duration(x*x*float64(high-low))
}

// harm decides what happens to the answer of a refresh.
func (c *crowd) harm(p *reply) harm {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.random == nil { // nothing happens, or all is over
		return harm{}
	}
	if len(c.deck) == 0 {
		c.deck = shuffled(c.random, refreshFaults, deckSize)
	}
	h := harm{name: c.deck[0]}
	c.deck = c.deck[1:]
	short, long, nap := between(c.random, 50*time.Millisecond, 1200*time.Millisecond), between(c.random, 2*time.Second, 30*time.Second), between(c.random, time.Second, 30*time.Second)
	switch h.name {
	case "":
		return h
	case "a short delay":
		h.delay = short
	case "a long delay":
		h.delay = long
	case "no answer":
		h.cut = true
	case "half an answer":
		h.middle = true
	case "a late body":
		h.late = long / 3
	case "an outage":
		h.before = func() { c.w.store.Break(func(int, string) storeFault { return failed }) }
		h.after = func() { c.w.store.Break(nil) }
	case "the tab crashes":
		h.after = func() { c.remove(p.tab, (*tab).crash) }
	case "the tab is closed":
		h.after = func() { c.remove(p.tab, func(b *tab) { b.close() }) }
	case "the tab is frozen":
		h.after = func() { c.freeze(p.tab, nap) }
	}
	c.happened[h.name]++
	c.note("refresh %d of tab %s: %s, %v", p.ordinal, p.tab, h.name, h.delay+h.late)
	return h
}

// open opens a tab, which goes on with the session.
func (c *crowd) open(work bool) *member {
	c.mu.Lock()
	c.opened++
	c.note("open tab %d", c.opened)
	m := &member{name: strconv.Itoa(c.opened)}
	c.mu.Unlock()
	address := c.address(m.name)
	if work {
		address += "&work"
	}
	b, err := c.profile.open(address)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.broken = append(c.broken, fmt.Sprintf("open tab %s: %v", m.name, err))
		return nil
	}
	m.tab = b
	c.tabs[m.name] = m
	return m
}

// remove takes a tab out, and ends it.
func (c *crowd) remove(name string, end func(*tab)) {
	c.mu.Lock()
	m := c.tabs[name]
	delete(c.tabs, name)
	if m != nil {
		c.note("end tab %s", name)
		c.spans = append(c.spans, span{tab: name, from: time.Now()})
	}
	c.mu.Unlock()
	if m != nil {
		end(m.tab)
	}
}

// disturb does something to a tab, and undoes it after a while.
func (c *crowd) disturb(name string, d time.Duration, frozen bool, set func(m *member, on bool) error) {
	c.mu.Lock()
	m := c.tabs[name]
	if m == nil {
		c.mu.Unlock()
		return
	}
	i := len(c.spans)
	c.spans = append(c.spans, span{tab: name, frozen: frozen, from: time.Now()})
	c.working.Add(1)
	c.note("disturb tab %s for %v, frozen: %v", name, d, frozen)
	c.mu.Unlock()
	c.check(name, set(m, true))
	go func() {
		defer c.working.Done()
		wait(c.t.Context(), d)
		err := set(m, false)
		c.mu.Lock()
		c.spans[i].to = time.Now()
		c.note("tab %s is well again", name)
		c.mu.Unlock()
		c.check(name, err)
	}()
}

// check notes an error that a tab which is still there has given.
func (c *crowd) check(name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.tabs[name] != nil {
		c.broken = append(c.broken, fmt.Sprintf("tab %s: %v", name, err))
	}
}

// freeze stops a tab's scripts for a while.
func (c *crowd) freeze(name string, d time.Duration) {
	c.disturb(name, d, true, func(m *member, on bool) error {
		if !on {
			c.mu.Lock()
			m.frozen = false
			c.mu.Unlock()
		}
		err := m.freeze(on)
		if on {
			c.mu.Lock()
			m.frozen, m.stillUntil = true, time.Now().Add(time.Second)
			c.mu.Unlock()
		}
		return err
	})
}

// cut cuts a tab's network for a while.
func (c *crowd) cut(name string, d time.Duration) {
	c.disturb(name, d, false, func(m *member, on bool) error {
		c.mu.Lock()
		m.offline = on
		c.mu.Unlock()
		return m.tab.offline(on)
	})
}

// play lets things happen to tabs until the time comes when enough have expired.
func (c *crowd) play(random *rand.Rand, enough func() bool) {
	var deck []string
	for !enough() {
		if c.count(nil) < tabsOpen {
			c.open(true)
			continue
		}
		if len(deck) == 0 {
			deck = shuffled(random, tabFaults, 0)
		}
		action := deck[0]
		deck = deck[1:]
		wait(c.t.Context(), between(random, 200*time.Millisecond, 9*time.Second))
		pick, while := random.IntN(tabsOpen), between(random, 300*time.Millisecond, 8*time.Second)
		names := c.names()
		name := names[pick%len(names)]
		switch action {
		case "close":
			c.remove(name, func(b *tab) { b.close() })
		case "crash":
			c.remove(name, (*tab).crash)
		case "freeze":
			if c.count(func(m *member) bool { return m.frozen }) >= 3 {
				continue
			}
			c.freeze(name, while)
		case "cut its network":
			c.cut(name, while/4)
		case "cut all networks":
			for _, name := range names {
				c.cut(name, while)
			}
		}
		c.mu.Lock()
		c.happened[action]++
		c.mu.Unlock()
	}
}

// names returns the names of the tabs, in order.
func (c *crowd) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.tabs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	return names
}

// count returns how many tabs there are of a kind, or of all for nil.
func (c *crowd) count(kind func(*member) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, m := range c.tabs {
		if kind == nil || kind(m) {
			n++
		}
	}
	return n
}

// serveAPI answers calls with an access token, and notes which one it was.
func (c *crowd) serveAPI(rw http.ResponseWriter, r *http.Request) {
	p := c.door.of(r)
	if p == nil {
		http.Error(rw, "an unknown access token", http.StatusUnauthorized)
		return
	}
	now := time.Now()
	c.mu.Lock()
	c.calls++
	if d := now.Sub(c.lastUse); !c.lastUse.IsZero() && d > c.quiet {
		c.quiet = d
		c.note("a call after %v without one", d)
	}
	c.lastUse = now
	if m := c.tabs[r.URL.Query().Get("tab")]; m != nil && m.frozen && now.After(m.stillUntil) {
		m.callsFrozen++
	}
	before := c.inForce
	c.mu.Unlock()
	c.door.mu.Lock()
	if !p.used {
		p.used = true
		p.needed = before == nil || p.at.Sub(before.at) >= soonest
	}
	newer := before == nil || p.at.After(before.at)
	c.door.mu.Unlock()
	if newer {
		c.mu.Lock()
		c.inForce = p
		c.mu.Unlock()
	}
	_, _ = io.WriteString(rw, p.user)
}

// serveReport notes what a tab says of the end of its session.
func (c *crowd) serveReport(_ http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, string(text))
}

// bill says what became of each refresh that reached the endpoint.
type bill struct {
	refreshes int // all of them
	needed    int // gave an access token that was used once the one before had run out
	overdue   int // gave an access token that had run out when it arrived
	withheld  int // got no answer or half of one, or one that came too late for the tab that asked, or met an outage
	absent    int // gave an access token to a tab that was closed, frozen or without network by then
	stalled   int // gave an access token that the tab could not save: a frozen tab held the database
	excess    []reply
}

// expiries returns how often an access token ran out that a tab had.
func (b *bill) expiries() int { return b.needed + b.overdue }

// bill sorts what reached the endpoint until now.
func (c *crowd) bill() *bill {
	var b bill
	for _, p := range c.door.all() {
		if p.grant != "refresh_token" || p.sent.IsZero() {
			continue
		}
		b.refreshes++
		switch {
		case p.used && p.needed:
			b.needed++
		case p.used:
			b.excess = append(b.excess, p)
		case p.access == "" && p.fault == "an outage" || p.gone || strings.HasSuffix(p.fault, " answer"):
			b.withheld++
		case c.during(p, func(s span) bool { return s.tab == p.tab }):
			b.absent++
		case p.sent.Sub(p.at) >= soonest:
			b.overdue++
		case c.during(p, func(s span) bool { return s.frozen }):
			b.stalled++
		default:
			b.excess = append(b.excess, p)
		}
	}
	return &b
}

// during reports whether there was such a span while the answer was on its way, or the token fresh.
func (c *crowd) during(p reply, kind func(span) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.spans, func(s span) bool {
		return kind(s) && s.from.Before(p.sent.Add(lifetime)) && (s.to.IsZero() || s.to.After(p.at))
	})
}
