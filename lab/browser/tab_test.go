//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long a tab waits for what must come.
const patience = 15 * time.Second

// tab is a tab of Chromium with a profile of its own.
type tab struct {
	t    testing.TB
	base string // the address of the server whose pages it shows
	ctx  context.Context

	attacks bool // that its pages may do what no page of the console may

	mu       sync.Mutex
	problems []string       // what no page may do
	requests []string       // the addresses of all requests
	referers []string       // that they named
	headers  []string       // of all answers
	statuses map[string]int // of the documents that were answered with an error
}

// newTab opens a tab for the pages of the server at base. When the test ends, the tab is closed,
// and the test fails if a page in it has written an error to the console, thrown an exception,
// asked for something beyond loopback, or broken its CSP.
func newTab(t testing.TB, base string) *tab {
	t.Helper()
	return openTab(t, base, chromedp.WithNewBrowserContext())
}

// openTab opens a tab in a profile.
func openTab(t testing.TB, base string, profile chromedp.ContextOption) *tab {
	t.Helper()
	p := &tab{t: t, base: base, statuses: map[string]int{}}
	ctx, cancel := chromedp.NewContext(chrome, profile, chromedp.WithListener(p.listen))
	p.ctx = ctx
	p.do(
		command(audits.Enable, cdp.Empty{}), command(log.Enable, cdp.Empty{}), command(network.Enable, network.EnableParams{}),
		chromedp.EmulateViewport(1200, 900),
	)
	t.Cleanup(func() {
		if !p.attacks {
			for _, problem := range p.take() {
				t.Error(problem)
			}
		}
		if t.Failed() {
			t.Logf("the last address was %s", p.address())
		}
		cancel()
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

// listen collects what no page may do.
func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	problem := func(format string, args ...any) { p.problems = append(p.problems, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		problem("exception: %s", text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text, _ := json.Marshal(e.Args)
			problem("console: %s", text)
		}
	case *log.EventEntryAdded:
		// The status of a document is for the test to look at; see [tab.status].
		if e.Entry.Level == log.EntryLevelError && p.statuses[e.Entry.URL] == 0 {
			problem("console: %s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details.ContentSecurityPolicyIssueDetails; d != nil {
			problem("CSP: %s: %s", d.ViolatedDirective, d.BlockedURL)
		}
	case *network.EventRequestWillBeSent:
		p.requests = append(p.requests, e.Request.URL)
		for name, value := range e.Request.Headers {
			if strings.EqualFold(name, "Referer") {
				p.referers = append(p.referers, fmt.Sprint(value))
			}
		}
		if !isLocal(e.Request.URL) {
			problem("request: it leaves loopback: %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		p.headers = append(p.headers, fmt.Sprint(e.Response.Headers))
		if e.Type == network.ResourceTypeDocument && e.Response.Status >= 400 {
			p.statuses[e.Response.URL] = int(e.Response.Status)
		}
	case *network.EventLoadingFailed:
		if e.BlockedReason != "" {
			problem("request: it was blocked: %s", e.BlockedReason)
		}
	}
}

// isLocal reports whether a request for the address stays on this machine.
func isLocal(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	local := []string{"127.0.0.1", "localhost", "::1"}
	return u.Scheme == "data" || u.Scheme == "blob" || slices.Contains(local, u.Hostname())
}

// take returns the problems until now, and forgets them: a test that provokes one asks for it.
func (p *tab) take() []string {
	p.t.Helper()
	p.eval("0") // what came before its answer has been heard
	p.mu.Lock()
	defer p.mu.Unlock()
	problems := p.problems
	p.problems = nil
	return problems
}

// urls returns the addresses of all requests until now.
func (p *tab) urls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// named returns the referrers of all requests until now.
func (p *tab) named() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.referers)
}

// heard returns the headers of all answers until now.
func (p *tab) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.headers)
}

// do runs actions.
func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := p.try(actions...); err != nil {
		p.t.Fatal(err)
	}
}

// try runs actions, and returns their error.
func (p *tab) try(actions ...chromedp.Action[chromedp.Void]) error {
	// The first actions open the tab, which would close at the end of their context.
	if chromedp.FromContext(p.ctx).Target == nil {
		return chromedp.Do(p.ctx, actions...)
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// read runs an action that has a result.
func read[T any](p *tab, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, a)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

// open shows the page at the path, and returns its status.
func (p *tab) open(path string) int {
	p.t.Helper()
	return p.visit(p.base + path)
}

// visit shows the page at an address, and returns its status.
func (p *tab) visit(address string) int {
	p.t.Helper()
	return int(read(p, chromedp.NavigateResponse(address)).Status)
}

// follow clicks on what the selector finds, which leads to another page, and returns the status
// of that.
func (p *tab) follow(selector string) int {
	p.t.Helper()
	status, err := p.arrive(chromedp.Click(chromedp.CSS(selector)))
	if err != nil {
		p.t.Fatalf("click on %s: %v\n%s", selector, err, p.body())
	}
	return status
}

// arrive does what leads to another page, and returns the status of that.
func (p *tab) arrive(actions ...chromedp.Action[chromedp.Void]) (int, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, actions...)
	if err != nil {
		return 0, err
	}
	return int(response.Status), nil
}

// fill types a text into a field, in place of what was there.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	p.do(chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent("a", chromedp.KeyModifiers(kb.ModifierCtrl)),
		chromedp.KeyEvent(kb.Delete), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// text returns the text of what the selector finds, as it is shown.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return read(p, chromedp.Text(chromedp.CSS(selector)))
}

// sees waits until what the selector finds has the text.
func (p *tab) sees(selector, text string) {
	p.t.Helper()
	quoted, _ := json.Marshal([]string{selector, text})
	p.waits(fmt.Sprintf(`(([s, text]) => [...document.querySelectorAll(s)].some(e => e.checkVisibility() && e.innerText.includes(text)))(%s)`, quoted))
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

// body returns the text of the page, for a message.
func (p *tab) body() string {
	text, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	if err != nil {
		return err.Error()
	}
	return text
}

// eval evaluates an expression whose value does not matter.
func (p *tab) eval(expression string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](expression))
}

// address returns the address of the page.
func (p *tab) address() string {
	p.t.Helper()
	return read(p, chromedp.Location())
}

// history returns the addresses that the tab could go back and forth to.
func (p *tab) history() []string {
	p.t.Helper()
	var addresses []string
	for _, entry := range read(p, chromedp.NavigationEntries()).Entries {
		addresses = append(addresses, entry.URL, entry.UserTypedURL)
	}
	return addresses
}

// count returns how many elements the selector finds.
func (p *tab) count(selector string) int {
	p.t.Helper()
	quoted, _ := json.Marshal(selector)
	return read(p, chromedp.Evaluate[int](fmt.Sprintf("document.querySelectorAll(%s).length", quoted)))
}

// colours chooses between "light" and "dark".
func (p *tab) colours(scheme string) {
	p.t.Helper()
	p.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}))
}

// phone makes the tab as wide as a phone.
func (p *tab) phone() {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateMobile))
}

// size gives the tab's window a size.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
}

// withoutScript switches off JavaScript for the pages that are opened from now on.
func (p *tab) withoutScript() {
	p.t.Helper()
	p.do(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
}

// picture returns the tab as a PNG: the whole page, however long.
func (p *tab) picture() []byte {
	p.t.Helper()
	return read(p, chromedp.FullScreenshot(100))
}

// texts returns the text of each element that the selector finds.
func (p *tab) texts(selector string) []string {
	p.t.Helper()
	quoted, _ := json.Marshal(selector)
	return read(p, chromedp.Evaluate[[]string](fmt.Sprintf("[...document.querySelectorAll(%s)].map(e => e.innerText ?? e.textContent)", quoted)))
}

// choose returns the action that chooses an option of a list.
func choose(selector, value string) chromedp.Action[chromedp.Void] {
	return chromedp.SetValue(chromedp.CSS(selector), value)
}

// leaks checks that a secret was in no address, of a request or in the history, and that no page
// is told where its visitor came from.
func (p *tab) leaks(secret string) {
	p.t.Helper()
	places := map[string][]string{"a request": p.urls(), "the history": p.history()}
	if named := append(p.named(), read(p, chromedp.Evaluate[string]("document.referrer"))); strings.Join(named, "") != "" {
		p.t.Errorf("pages are told the referrers %q", named)
	}
	for place, addresses := range places {
		for _, address := range addresses {
			if strings.Contains(address, secret) || strings.Contains(address, secret[:24]) {
				p.t.Errorf("%s has a secret", place)
			}
		}
	}
	if len(places["a request"]) == 0 || len(places["the history"]) == 0 {
		p.t.Error("no address was looked at")
	}
}

// look writes pictures of the page into the folder that ROTOR_PICTURES names, if it does: light,
// dark and as wide as a phone.
func (p *tab) look(name string) {
	p.t.Helper()
	folder := os.Getenv("ROTOR_PICTURES")
	if folder == "" {
		return
	}
	save := func(kind string) {
		if err := os.WriteFile(filepath.Join(folder, name+"-"+kind+".png"), p.picture(), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
	p.colours("dark")
	save("dark")
	p.colours("light")
	save("light")
	p.phone()
	save("phone")
	p.size(1200, 900)
}
