//go:build examples

package examples

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/lab/chromium"
)

// patience is how long a tab waits for what must come.
const patience = 30 * time.Second

// chrome is the one Chromium of all tests. Each test has a profile of its own in it.
var chrome context.Context

func TestMain(m *testing.M) {
	os.Exit(chromium.Run(m, &chrome, "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"))
}

// tab is a tab of Chromium.
type tab struct {
	t   *testing.T
	w   *world
	ctx context.Context //nolint:containedctx // the tab's, as chromedp has it

	mu       sync.Mutex
	thrown   []string // exceptions of its pages
	requests []string // the addresses of all requests
}

// newTab opens a tab in a profile of its own.
func (w *world) newTab() *tab { return w.openTab(chromedp.WithNewBrowserContext()) }

// another opens another tab of the same browser.
func (p *tab) another() *tab {
	return p.w.openTab(chromedp.WithExistingBrowserContext(chromedp.FromContext(p.ctx).BrowserContextID))
}

// openTab opens a tab in a profile. When the test ends it must have thrown nothing, and have asked
// for no address with a token.
func (w *world) openTab(profile chromedp.ContextOption) *tab {
	w.t.Helper()
	p := &tab{t: w.t, w: w}
	ctx, cancel := chromedp.NewContext(chrome, profile, chromedp.WithListener(p.listen))
	p.ctx = ctx
	// The first actions open the tab, which would close at the end of their context.
	if err := chromedp.Do(ctx, command(network.Enable, network.EnableParams{})); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, text := range p.thrown {
			w.t.Errorf("a page throws: %s", text)
		}
		for _, address := range p.requests {
			if !strings.Contains(address, "?code=") && secrets.MatchString(address) {
				w.t.Errorf("an address has a token: %s", secrets.ReplaceAllString(address, "[SECRET]"))
			}
		}
	})
	return p
}

// command returns the action that sends a command of the DevTools protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		p.thrown = append(p.thrown, text)
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
	}
}

// read runs an action that has a result.
func read[T any](p *tab, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, a)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.body())
	}
	return value
}

// eval evaluates an expression, or waits for its promise, and returns the value.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	return read(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// open shows the first page of the app.
func (p *tab) open() { p.visit(p.w.app + "/") }

// visit shows the page at an address.
func (p *tab) visit(address string) {
	p.t.Helper()
	read(p, chromedp.Navigate(address))
}

// click clicks on what the selector finds, once it is shown.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.waits(fmt.Sprintf(`document.querySelector(%s)?.checkVisibility()`, quoted(selector)))
	read(p, chromedp.Click(chromedp.CSS(selector)))
}

// logIn logs alice in, on the login page of the local run.
func (p *tab) logIn() {
	p.t.Helper()
	p.click("#login")
	p.waits(`location.pathname == "/demo/login"`)
	p.click("input[value='alice']")
	p.click("button[value='allow']")
}

// sees waits until the status of the page has the text.
func (p *tab) sees(text string) {
	p.t.Helper()
	p.waits(fmt.Sprintf(`document.querySelector("#status")?.innerText.includes(%s)`, quoted(text)))
}

// blank takes the status away, so that it is seen when there is a new one.
func (p *tab) blank() {
	p.t.Helper()
	eval[bool](p, `(document.querySelector("#status").textContent = "", true)`)
}

// waits waits until the expression is true.
func (p *tab) waits(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	// A page that is replaced ends the wait on it, and the wait goes on upon the next one.
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if err == nil && ok {
			return
		}
		if ctx.Err() != nil {
			p.t.Fatalf("this does not become true: %s (%v)\n%s", expression, err, p.body())
		}
		_ = chromedp.Do(ctx, chromedp.Sleep(20*time.Millisecond))
	}
}

// expire waits until an access token that the app has now is over.
func (p *tab) expire() {
	p.t.Helper()
	p.waits(fmt.Sprintf("Date.now() > %d", time.Now().Add(lifetime).UnixMilli()))
}

// body returns what the page shows, for a message.
func (p *tab) body() string {
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("location.origin + location.pathname + '\\n' + document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// address returns the address of the page.
func (p *tab) address() string { return read(p, chromedp.Location()) }

// cookies returns the cookies of the browser by their names.
func (p *tab) cookies() map[string]*network.Cookie {
	p.t.Helper()
	byName := map[string]*network.Cookie{}
	read(p, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		all, err := cdp.Call(ctx, t, network.GetCookies, network.GetCookiesParams{URLs: []string{p.w.app}})
		if err != nil {
			return err
		}
		for _, c := range all.Cookies {
			byName[c.Name] = c
		}
		return nil
	}))
	return byName
}

// quoted returns a text as a literal of JavaScript.
func quoted(text string) string {
	literal, _ := json.Marshal(text)
	return string(literal)
}

// at runs a script of the page at a moment, without waiting for it.
func (p *tab) at(moment time.Time, script string) {
	p.t.Helper()
	eval[int](p, fmt.Sprintf("setTimeout(() => { %s }, %d - Date.now())", script, moment.UnixMilli()))
}
