//go:build tabs

package tabs

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// TestLateAnswers checks that a browser keeps its session in whatever order answers arrive, and however late, if each tab
// refreshes without regard to the others: without the package and its lock. The service's clock moves so that there are
// many rotations meanwhile.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register("spa", nil)
	d := newDoor(w.service)
	w.door = d
	arrived := make(chan chan struct{})
	d.harm = func(*reply) harm {
		goes := make(chan struct{})
		return harm{after: func() {
			arrived <- goes
			<-goes
		}}
	}
	p := newProfile(t)
	var tabs []*tab
	for range 3 {
		b := p.newTab()
		b.visit(w.query("/pages/raw.html", "client", "spa"))
		tabs = append(tabs, b)
	}
	login := w.code("spa", "alice")
	sid := eval[string](tabs[0], call("login", login.Code, login.Verifier))

	// held is a refresh whose answer the door holds back.
	type held struct {
		tab  *tab
		name string
		goes chan struct{}
		left time.Duration // until the gateway would have given up
	}
	var all []held
	random := rand.New(rand.NewPCG(3, 4))
	release := func(i int) {
		t.Helper()
		h := all[i]
		all = append(all[:i], all[i+1:]...)
		close(h.goes)
		if got := eval[string](h.tab, "pending["+quoted(h.name)+"]"); got != "200" {
			t.Fatalf("refresh %s got %s", h.name, got)
		}
	}
	sent := 0
	send := func() {
		t.Helper()
		sent++
		h := held{tab: tabs[random.IntN(len(tabs))], name: fmt.Sprint(sent), left: 29 * time.Second}
		eval[any](h.tab, "void (pending["+quoted(h.name)+"] = refresh("+quoted(sid)+"))")
		h.goes = <-arrived
		all = append(all, h)
	}
	pass := func(d time.Duration) { w.ahead.Add(int64(d)) }

	// An answer with a token that is the newest arrives after the next rotation, and long before the next refresh.
	pass(time.Minute)
	send()
	release(0)
	pass(58 * time.Second)
	send() // its answer comes late
	pass(3 * time.Second)
	for range 2 {
		send()
		release(1)
	}
	pass(25 * time.Second)
	release(0)
	pass(5 * time.Minute)
	send()
	release(0)

	const refreshes = 150
	for sent < refreshes || len(all) > 0 {
		switch n := random.IntN(10); {
		case n < 4 && sent < refreshes && len(all) < 5: // a browser has no more connections to one host
			send()
		case n < 7 && len(all) > 0:
			release(random.IntN(len(all)))
		default: // time goes by, and no request takes longer than the gateway lets it
			d := time.Duration(random.Int64N(int64(90 * time.Second)))
			for _, h := range all {
				d = min(d, h.left)
			}
			for i := range all {
				all[i].left -= d
			}
			pass(d)
		}
	}
	rotations, granted := map[string]bool{}, 0
	for _, r := range d.all() {
		if r.grant == "refresh_token" && r.status == http.StatusOK {
			granted++
		}
		for _, c := range r.cookies {
			if c.MaxAge > 0 {
				rotations[c.Value] = true
			}
		}
	}
	if granted != refreshes || len(rotations) < 10 {
		t.Errorf("%d refreshes were granted, and gave %d tokens", granted, len(rotations))
	}
	w.alive(login.family)
	t.Logf("%d refreshes gave %d tokens", granted, len(rotations))
}
