package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
)

// Whom the steps come from. The addresses are reserved for documentation.
const (
	appAddress, appAgent     = "192.0.2.10", "the app in your browser"
	thiefAddress, thiefAgent = "198.51.100.66", "the thief's script"
)

// tabs is how many tabs refresh at once.
const tabs = 5

// playStep does one step, and sends the browser back to the page.
func (c *Console) playStep(w http.ResponseWriter, r *http.Request) error {
	do := r.PostForm.Get("do")
	if do == "login" {
		if err := c.login(w, r); err != nil {
			return err
		}
		return c.redirect(w, r, "/#play")
	}
	if do == "again" {
		c.plays.end(r)
		return c.redirect(w, r, "/")
	}
	p := c.plays.of(r)
	if p == nil {
		return c.redirect(w, r, "/") // it was dropped, or the program was started again
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.family == "" {
		return c.redirect(w, r, "/")
	}
	if err := c.do(r.Context(), p, do); err != nil {
		return err
	}
	return c.redirect(w, r, "/#play")
}

// login starts a family, as a login does that has just succeeded.
func (c *Console) login(w http.ResponseWriter, r *http.Request) error {
	id := r.PostForm.Get("client")
	at := slices.IndexFunc(c.Playground.Clients, func(c Choice) bool { return c.ID == id })
	if at < 0 {
		return &inputError{"There is no such client to play with."}
	}
	tokens, err := c.API.StartFamily(r.Context(), &manage.Login{
		UserID: "alice", ClientID: id, Device: "Alice's laptop", IP: appAddress, UserAgent: appAgent,
	})
	if err != nil {
		return err
	}
	p := c.plays.begin(w, r, cmp.Or(c.Base, "/"))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.client, p.family, p.first, p.held = c.Playground.Clients[at], tokens.Family, tokens.RefreshToken, tokens.RefreshToken
	p.did(c.Now(), "Alice logged in.", "A family of tokens began. The app saved token 1, and a thief has copied it.", "")
	return nil
}

func (c *Console) do(ctx context.Context, p *play, do string) error {
	if by, ok := strings.CutPrefix(do, "wait-"); ok {
		return c.waitFor(ctx, p, by)
	}
	switch do {
	case "refresh":
		return c.refreshOnce(ctx, p)
	case "tabs":
		return c.refreshTabs(ctx, p)
	case "lose":
		return c.loseResponse(ctx, p)
	case "thief":
		return c.steal(ctx, p)
	case "logout":
		return c.logout(ctx, p)
	}
	return &inputError{"There is no such step."}
}

func (c *Console) refreshOnce(ctx context.Context, p *play) error {
	got, err := c.refresh(ctx, p, p.held, appAddress, appAgent)
	if err != nil {
		return err
	}
	did := "The app refreshed."
	if p.behind {
		did = "The app tried again, with the token that it had saved."
	}
	p.save(c.Now(), did, got)
	return nil
}

// save lets the app save the token of an answer.
func (p *play) save(now time.Time, did string, got answer) {
	before := p.ended
	p.ended, p.told = p.ended || got.Token == "", p.told || got.Token == ""
	switch {
	case got.Token == "" && before:
		p.did(now, did, fmt.Sprintf("It was answered %d %s, as the family had ended: Alice has to log in again. Start again.", got.Status, got.Code), "bad")
	case got.Token == "":
		p.did(now, did, fmt.Sprintf("It was answered %d %s: Alice has to log in again.", got.Status, got.Code), "bad")
	case got.Token == p.held:
		p.did(now, did, "It got the same token again: nothing rotates inside the reuse interval.", "")
	default:
		p.held, p.behind = got.Token, false
		p.did(now, did, "It got a newer token, and saved it.", "")
	}
}

// refreshTabs refreshes in several tabs at the same moment, each with the token that the app
// has saved.
func (c *Console) refreshTabs(ctx context.Context, p *play) error {
	var (
		wait    sync.WaitGroup
		answers [tabs]answer
		errs    [tabs]error
	)
	for i := range tabs {
		wait.Go(func() { answers[i], errs[i] = c.refresh(ctx, p, p.held, appAddress, appAgent) })
	}
	wait.Wait()
	different := map[string]bool{}
	good := 0
	for i, a := range answers {
		if errs[i] != nil {
			return errs[i]
		}
		if a.Token != "" {
			different[a.Token] = true
			good++
		}
	}
	const did = "Five tabs refreshed at the same moment, with the same token."
	switch {
	case good == tabs && len(different) == 1:
		p.held, p.behind = answers[0].Token, false
		p.did(c.Now(), did, "Five answers, and one token in all of them. Nobody was logged out.", "")
	case good > 0:
		for token := range different {
			p.held = token // whichever was saved last
		}
		got := fmt.Sprintf("%d of five got an answer, with %d different tokens.", good, len(different))
		if p.client.Interval == 0 {
			got = fmt.Sprintf("Only %d of five got a token. This client has no reuse interval: the race was taken for theft, and the family has ended.", good)
			p.ended = true
		}
		p.did(c.Now(), did, got, "bad")
	default:
		p.save(c.Now(), did, answers[0])
	}
	return nil
}

// loseResponse refreshes, and the app never sees the answer.
func (c *Console) loseResponse(ctx context.Context, p *play) error {
	got, err := c.refresh(ctx, p, p.held, appAddress, appAgent)
	if err != nil {
		return err
	}
	const did = "The app refreshed, but the response was lost in a tunnel."
	switch {
	case got.Token == "":
		p.ended = true
		p.did(c.Now(), did, "It would have said that the token is dead.", "bad")
	case got.Token == p.held:
		p.did(c.Now(), did, "No harm: it had the same token again.", "")
	default:
		p.behind = true
		p.did(c.Now(), did, "The app still holds the old token. Let it refresh: inside the reuse interval it gets the newer one. After it, this looks like theft.", "")
	}
	return nil
}

// pauses are what the clock may be moved by, from the shortest on.
var pauses = []struct {
	by    string
	words string
}{{"20s", "20 seconds"}, {"2m", "2 minutes"}, {"3h", "3 hours"}, {"24h", "a day"}, {"360h", "15 days"}}

func (c *Console) waitFor(ctx context.Context, p *play, by string) error {
	for _, pause := range pauses {
		if pause.by != by {
			continue
		}
		d, err := time.ParseDuration(by)
		if err != nil {
			return err
		}
		if err := c.Playground.Advance(ctx, d); err != nil {
			return err
		}
		got := "That is past the reuse interval of a rotation before."
		switch {
		case p.ended:
			got = "The family has ended, and time does not bring it back."
		case d <= p.client.Interval:
			got = "The reuse interval of this client is " + timeline.Span(p.client.Interval) + "."
		}
		p.did(c.Now(), "The clock moved on by "+pause.words+".", got, "")
		return nil
	}
	return &inputError{"The clock is not moved by that."}
}

// steal replays the token of the login, from elsewhere.
func (c *Console) steal(ctx context.Context, p *play) error {
	got, err := c.refresh(ctx, p, p.first, thiefAddress, thiefAgent)
	if err != nil {
		return err
	}
	const did = "The thief replayed the token of the login."
	before := p.ended
	p.ended = p.ended || got.Token == ""
	switch {
	case got.Token == "" && before:
		p.did(c.Now(), did, "The thief got nothing: the family had ended before.", "")
	case got.Token == "":
		p.did(c.Now(), did, "The thief got nothing, and the family has ended, with its newest token. Let the app refresh: it is told that Alice has to log in again.", "bad")
	default:
		p.did(c.Now(), did, "Inside the reuse interval a thief looks like another tab, and got the token that the app has. The event names the other address. Wait, and try again.", "bad")
	}
	return nil
}

// logout revokes the token that the app holds, as an app does.
func (c *Console) logout(ctx context.Context, p *play) error {
	got, err := c.post(ctx, "/oauth/revoke", url.Values{"client_id": {p.client.ID}, "token": {p.held}}, appAddress, appAgent)
	if err != nil {
		return err
	}
	came := "and the family has ended on every tab."
	if p.ended {
		came = "which changed nothing: the family had ended before."
	}
	p.ended, p.told = true, true
	p.did(c.Now(), "Alice logged out.", fmt.Sprintf("The app revoked its token (status %d), %s", got.Status, came), "")
	return nil
}

// answer is the answer of a token endpoint.
type answer struct {
	Status int
	Code   string `json:"error"`
	Token  string `json:"refresh_token"`
}

func (c *Console) refresh(ctx context.Context, p *play, token, address, agent string) (answer, error) {
	return c.post(ctx, "/oauth/token", url.Values{
		"grant_type": {"refresh_token"}, "client_id": {p.client.ID}, "refresh_token": {token},
	}, address, agent)
}

// post posts a form to the service in this process.
func (c *Console) post(ctx context.Context, path string, form url.Values, address, agent string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.API.Address()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.Playground.From(address, agent).RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxForm))
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: res.StatusCode}
	if len(body) > 0 {
		err = json.Unmarshal(body, &a)
	}
	if err == nil && a.Status >= 500 {
		err = &inputError{"The service is busy. Nothing is lost: do the step again."}
	}
	return a, err
}
