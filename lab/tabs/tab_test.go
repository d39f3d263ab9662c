//go:build tabs

package tabs

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// patience is how long a tab waits for what must come.
const patience = time.Minute

// profile is a profile of Chromium, whose tabs share cookies and storage.
type profile struct {
	t   testing.TB
	ctx context.Context
}

// newProfile returns an empty profile, which lives as long as the test.
func newProfile(t testing.TB) *profile {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return &profile{t, ctx}
}

// cookies returns the profile's cookies.
func (p *profile) cookies() []*network.Cookie {
	p.t.Helper()
	c := chromedp.FromContext(p.ctx)
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	answer, err := cdp.Call(ctx, c.Browser, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: c.BrowserContextID})
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.Cookies
}

// sessions returns what is in the service's session cookies, of which a session may have two, by client and sid.
func (p *profile) sessions() map[string]string {
	p.t.Helper()
	all := map[string]string{}
	for _, cookie := range p.cookies() {
		session, ok := strings.CutPrefix(cookie.Name, "__Host-Http-rotor.")
		if !ok || cookie.Domain != authHost {
			continue
		}
		if !cookie.HTTPOnly || !cookie.Secure || cookie.Path != "/" {
			p.t.Errorf("the cookie of %s has the attributes %+v", session, cookie)
		}
		all[strings.TrimSuffix(session, ".2")] += cookie.Value + " "
	}
	return all
}

// tab is a tab of a profile.
type tab struct {
	t     testing.TB
	ctx   context.Context
	close context.CancelFunc
}

// newTab opens a tab, which shows nothing yet.
func (p *profile) newTab() *tab {
	p.t.Helper()
	b, err := p.open("about:blank")
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// open opens a tab that shows an address.
func (p *profile) open(address string, more ...chromedp.ContextOption) (*tab, error) {
	ctx, cancel := chromedp.NewContext(p.ctx, more...)
	b := &tab{p.t, ctx, cancel}
	err := chromedp.Do(ctx) // without a deadline, at which the tab would close
	if err == nil && address != "about:blank" {
		err = b.try(chromedp.Navigate(address))
	}
	if err != nil {
		cancel()
	}
	return b, err
}

// try runs actions, and returns their error.
func (b *tab) try(actions ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Do(ctx, actions...)
}

// visit shows an address.
func (b *tab) visit(address string) {
	b.t.Helper()
	if err := b.try(chromedp.Navigate(address)); err != nil {
		b.t.Fatalf("%s: %v", address, err)
	}
}

// command returns the action that sends a command of the DevTools protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// freeze stops the tab's scripts, as a browser does that saves power, or lets them go on.
func (b *tab) freeze(frozen bool) error {
	state := page.SetWebLifecycleStateStateActive
	if frozen {
		state = page.SetWebLifecycleStateStateFrozen
	}
	return b.try(command(page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state}))
}

// offline cuts the tab's network, or restores it.
func (b *tab) offline(offline bool) error {
	conditions := []*network.Conditions{{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}}
	return b.try(command(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: conditions}))
}

// crash kills the tab's process, and closes what is left of the tab.
func (b *tab) crash() {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	_ = chromedp.Do(ctx, command(page.Crash, cdp.Empty{})) // nobody is left to answer
	b.close()
}

// ask evaluates an expression, which may be a promise.
func ask[T any](b *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// eval evaluates an expression, which may be a promise, and returns its value.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := ask[T](b, expression)
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// call returns the expression that calls a function of the page.
func call(function string, arguments ...any) string {
	texts := make([]string, len(arguments))
	for i, argument := range arguments {
		texts[i] = quoted(argument)
	}
	return function + "(" + strings.Join(texts, ", ") + ")"
}

// quoted returns a value as it is written in a script.
func quoted(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}
