package console

import (
	"container/list"
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// Playground is what the playground of a local run needs.
type Playground struct {
	Clients []Choice                                          // public clients to log in to; the first is the default
	Advance func(ctx context.Context, by time.Duration) error // moves the service's clock
	From    func(address, userAgent string) http.RoundTripper // calls the service in this process, as from there
}

// Choice is a client to log in to.
type Choice struct {
	ID       string
	Interval time.Duration // of reuse
}

// maxPlays limits the browsers whose play is kept. The one that was used longest ago is dropped.
const maxPlays = 64

// plays are the plays of all browsers, by their cookies. It is safe for concurrent use.
type plays struct {
	mu   sync.Mutex
	all  map[string]*list.Element
	used list.List // of *play; the one used last is in front
}

// play is what one browser has done. Its tokens leave this process in no page.
type play struct {
	id string

	mu     sync.Mutex
	client Choice
	family string
	first  string // the token of the login, which the thief has copied
	held   string // the token that the app has saved
	behind bool   // a response was lost: the app holds an old token
	ended  bool   // a step has seen that the family has ended
	told   bool   // the app knows it
	steps  []step
}

// step is one thing that was done, in words.
type step struct {
	At    time.Time
	Did   string // what was done
	Got   string // what came of it
	Class string // bad, or ""
}

// maxSteps limits the steps that are kept of a play.
const maxSteps = 40

func (p *play) did(at time.Time, did, got, class string) {
	if len(p.steps) == maxSteps {
		p.steps = append(p.steps[:0], p.steps[1:]...)
	}
	p.steps = append(p.steps, step{at, did, got, class})
}

// cookieName is the name of the cookie that tells browsers apart.
const cookieName = "rotor-playground"

// of returns the play of the browser, or nil if it has none.
func (ps *plays) of(r *http.Request) *play {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	e, ok := ps.all[cookie.Value]
	if !ok {
		return nil
	}
	ps.used.MoveToFront(e)
	return e.Value.(*play)
}

// begin makes a play, instead of the browser's last one.
func (ps *plays) begin(w http.ResponseWriter, r *http.Request, path string) *play {
	ps.end(r)
	p := &play{id: rand.Text()}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.all == nil {
		ps.all = map[string]*list.Element{}
	}
	ps.all[p.id] = ps.used.PushFront(p)
	if ps.used.Len() > maxPlays {
		delete(ps.all, ps.used.Remove(ps.used.Back()).(*play).id)
	}
	//nolint:gosec // a local run has no TLS, and the cookie is worth nothing elsewhere
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: p.id, Path: path, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return p
}

// end forgets the browser's play.
func (ps *plays) end(r *http.Request) {
	if p := ps.of(r); p != nil {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		if e, ok := ps.all[p.id]; ok {
			ps.used.Remove(e)
			delete(ps.all, p.id)
		}
	}
}

// played is what the page shows.
type played struct {
	Clients []Choice
	Client  Choice
	Groups  []group // of what can be done; none before the login
	Steps   []step
	Last    step
	Family  string
	Answer  *manage.Explanation
	Picture *picture
}

// group is a group of buttons.
type group struct {
	Name    string
	Buttons []button
}

// button is one step that can be done.
type button struct {
	Do, Text string
	Next     bool // it tells the story on
}

var playPage = newPage[*played]("playground")

// showPlay shows the play of the browser, and what the service says about the token that the
// app holds.
func (c *Console) showPlay(w http.ResponseWriter, r *http.Request) error {
	page := &played{Clients: c.Playground.Clients}
	if p := c.plays.of(r); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err := c.show(r.Context(), p, page); err != nil {
			return err
		}
	}
	write(c, w, r, http.StatusOK, playPage, "Playground", page)
	return nil
}

func (c *Console) show(ctx context.Context, p *play, page *played) error {
	if p.family == "" {
		return nil
	}
	page.Client, page.Family, page.Steps = p.client, p.family, p.steps
	page.Last = p.steps[len(p.steps)-1]
	var err error
	if page.Answer, err = c.API.Explain(ctx, &manage.Question{RefreshToken: p.held}); err != nil {
		return err
	}
	page.Groups = groups(p.next(c.Now(), page.Answer))
	if f := page.Answer.Family; f != nil {
		page.Picture, err = c.draw(ctx, f, page.Answer.Timeline, nil)
	}
	return err
}

// next returns the step that tells the story on: five tabs, a pause, a thief.
func (p *play) next(now time.Time, e *manage.Explanation) string {
	f := e.Family
	switch {
	case (f == nil || f.Status != "active") && !p.told:
		return "refresh"
	case f == nil, f.Status != "active":
		return "again"
	case f.Counter == 1 && now.Sub(f.IssuedAt) < time.Minute:
		return "tabs"
	case f.Counter == 1:
		return "refresh"
	}
	rotated := f.IssuedAt
	for _, m := range e.Timeline {
		if m.Event == "rotated" {
			rotated = m.At
		}
	}
	if now.Sub(rotated) > p.client.Interval {
		return "thief"
	}
	for _, pause := range pauses {
		if d, err := time.ParseDuration(pause.by); err == nil && d > p.client.Interval {
			return "wait-" + pause.by
		}
	}
	return "thief"
}

// groups returns the buttons of the page. next is the one that tells the story on.
func groups(next string) []group {
	all := []group{
		{"The app", []button{{"refresh", "Refresh", false}, {"tabs", "Five tabs at once", false}, {"lose", "Lose a response", false}}},
		{"Time passes", nil},
		{"The end", []button{{"thief", "A thief replays token 1", false}, {"logout", "Log out", false}, {"again", "Start again", false}}},
	}
	for _, pause := range pauses {
		all[1].Buttons = append(all[1].Buttons, button{"wait-" + pause.by, capital(pause.words), false})
	}
	for _, g := range all {
		for i := range g.Buttons {
			g.Buttons[i].Next = g.Buttons[i].Do == next
		}
	}
	return all
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
