//go:build browser

package browser

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rotor-auth/rotor/clients/manage"
)

// dead makes a family of alice, and ends it by reuse. It returns the token that was newest.
func (s *server) dead() string {
	s.t.Helper()
	first := s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa"}).RefreshToken
	newest := s.refresh(first)
	s.wait("2m")
	if s.refresh(first) != "" || newest == "" {
		s.t.Fatal("the family lives")
	}
	return newest
}

// TestExplain pastes a dead token: the page has verdict, cause, advice and picture, and the token
// gets into no address, log or referrer.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.dead()
	p := newTab(t, s.url)
	p.open("/console/explain")
	p.look("explain-form")
	p.accessible()
	p.fill("#pasted", token)
	p.follow("form.ask button")
	p.verdict("dead")
	p.sees("#verdict", "reuse_detected")
	p.sees(".summary", "token 1 was presented again 2 min after it had been superseded")
	if len(p.text(".advice")) < 40 {
		t.Errorf("the advice is %q", p.text(".advice"))
	}
	p.pictured("token 1")
	p.look("explain")
	p.accessible()
	if strings.Contains(read(p, chromedp.OuterHTML(chromedp.CSS("html"))), token) {
		t.Error("the token is in the page")
	}
	p.follow("nav a[href$='/console/clients']")
	p.leaks(token)
	if strings.Contains(s.log.String(), token[:24]) {
		t.Error("the token is in the log")
	}
}

// TestKeyboard explains a token by keyboard alone. Wherever the focus is, it can be seen.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.dead()
	p := newTab(t, s.url)
	p.open("/console/explain")
	p.reach("a.skip")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.waits("location.hash == '#main' && document.activeElement.id == 'main'")
	p.reach("#pasted")
	p.do(chromedp.KeyEvent(token))
	p.reach("form.ask button")
	if _, err := p.arrive(chromedp.KeyEvent(kb.Enter)); err != nil {
		t.Fatal(err)
	}
	p.verdict("dead")
	p.reach("details summary")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.sees("details table", "token 1")
}

// reach presses Tab until what the selector finds has the focus. Each thing on the way must show
// that it has.
func (p *tab) reach(selector string) {
	p.t.Helper()
	for range 30 {
		p.do(chromedp.KeyEvent(kb.Tab))
		if !read(p, chromedp.Evaluate[bool](`(e => e == document.body || e.matches(":focus-visible") && parseFloat(getComputedStyle(e).outlineWidth) >= 2 && e.checkVisibility())(document.activeElement)`)) {
			p.t.Errorf("the focus cannot be seen at %s", read(p, chromedp.Evaluate[string]("document.activeElement.outerHTML")))
		}
		if read(p, chromedp.Evaluate[bool]("document.activeElement.matches('"+selector+"')")) {
			return
		}
	}
	p.t.Fatalf("Tab does not reach %s", selector)
}

// TestWithoutScript uses the pages with JavaScript switched off.
func TestWithoutScript(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.dead()
	s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa", Device: "phone"})
	p := newTab(t, s.url)
	p.withoutScript()
	p.visit(serve(t, "", `<p id="script">off</p><script>document.getElementById("script").textContent = "on"</script>`))
	if got := p.text("#script"); got != "off" {
		t.Fatalf("JavaScript is %s", got)
	}
	p.open("/console/explain")
	p.fill("#pasted", token)
	p.follow("form.ask button")
	if got := p.text("#verdict"); !strings.Contains(got, "dead") {
		t.Errorf("the verdict is %q", got)
	}
	p.open("/console/users")
	p.fill("#user_id", "alice")
	p.follow("form.ask button")
	p.follow("a.danger")
	p.follow("form button.danger")
	if got := p.text(".told"); !strings.Contains(got, "One session was ended") {
		t.Errorf("the page says %q", got)
	}
	p.open("/console/clients/demo-spa/policy")
	p.fill("#reuse_interval", "90")
	p.follow("form.policy button")
	if got := s.registration("demo-spa").Policy.ReuseInterval; got != 90 {
		t.Errorf("the interval is %d", got)
	}
	p.open("/")
	p.follow("button[value='login']")
	p.follow("button[value='tabs']")
	if got := p.text(".last"); !strings.Contains(got, "one token in all of them") {
		t.Errorf("the playground says %q", got)
	}
}
