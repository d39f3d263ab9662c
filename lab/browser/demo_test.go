//go:build browser

package browser

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/rotor-auth/rotor/clients/manage"
)

// TestScriptApp goes the whole circle with the app that is a script: from the playground to the
// app, its login and back, through refreshes, to the logout.
func TestScriptApp(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newTab(t, s.url)
	p.open("/")
	p.follow("main a[href='/demo/']")
	p.sees("h1", "The whole circle")
	p.look("demo")
	p.accessible()
	p.follow("main a[href='/demo/spa/']")
	p.sees("#out", "Nobody is logged in")
	p.look("demo-spa-out")
	p.accessible()

	p.follow("#login")
	p.sees("h1", "demo-spa")
	p.sees(".scope", "openid")
	p.sees("form", s.url+"/demo/spa/")
	p.look("demo-login")
	p.accessible()
	p.logIn("bob")
	p.sees("#said", "Logged in.")
	p.sees("#who", "bob")
	p.sees("#access", "openid profile")
	p.sees("#id", "nonce")
	first := p.held()
	if p.address() != s.url+"/demo/spa/" {
		t.Errorf("the code stays in the address %s", p.address())
	}
	p.look("demo-spa-in")
	p.accessible()

	p.do(chromedp.Click(chromedp.CSS("#refresh")))
	p.sees("#said", "the same refresh token")
	p.do(chromedp.Click(chromedp.CSS("#wait")))
	p.sees("#said", "moved on by 2 minutes")
	p.do(chromedp.Click(chromedp.CSS("#refresh")))
	p.sees("#said", "a new refresh token")
	p.sees("#number", "2")
	second := p.held()
	if first == second {
		t.Error("the app still holds the first token")
	}
	family := s.familyOf("bob", "demo-spa")
	if family.Counter != 2 || family.Status != "active" || family.AuthTime.IsZero() || family.Device == "" {
		t.Errorf("the service has %+v", family)
	}

	p.follow("#logout")
	p.sees("#said", "Logged out.")
	p.sees("#out", "Nobody is logged in")
	if family := s.familyOf("bob", "demo-spa"); family.Status != "revoked" {
		t.Errorf("after the logout the family is %s", family.Status)
	}
	if p.address() != s.url+"/demo/spa/" || p.held() != "" {
		t.Errorf("after the logout, at %s, the app holds something", p.address())
	}
	p.onlyCodes(first, second)
}

// TestScriptAppInTwoTabs lets two tabs of one browser refresh the same token at the same moment,
// which gives both the same successor. What one of them does, the other sees.
func TestScriptAppInTwoTabs(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newTab(t, s.url)
	p.open("/demo/spa/")
	p.follow("#login")
	p.logIn("alice")
	p.sees("#said", "Logged in.")
	other := p.another()
	other.open("/demo/spa/")
	other.sees("#who", "alice")
	other.sees("#no-access", "none yet")
	p.do(chromedp.Click(chromedp.CSS("#wait")))
	p.sees("#said", "moved on")
	p.do(chromedp.Click(chromedp.CSS("#all")))
	for _, tab := range []*tab{p, other} {
		tab.waits("document.querySelectorAll('#answers li').length == 2")
		tab.sees("#number", "2")
		tab.sees("#access", "alice")
		answers := tab.texts("#answers li")
		ends := map[string]bool{}
		for _, answer := range answers {
			_, end, _ := strings.Cut(answer, "…")
			ends[end[:6]] = true
		}
		if len(ends) != 1 || !strings.Contains(strings.Join(answers, " "), "This tab") {
			t.Errorf("the tabs got %q", answers)
		}
	}
	p.look("demo-spa-tabs")
	p.accessible()
	if family := s.familyOf("alice", "demo-spa"); family.Counter != 2 || family.Status != "active" {
		t.Errorf("the service has %+v", family)
	}
	p.follow("#logout")
	p.sees("#said", "Logged out.")
	other.sees("#out", "Nobody is logged in")
}

// TestServerApp goes the whole circle with the app that is a server.
func TestServerApp(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newTab(t, s.url)
	p.open("/demo/")
	p.follow("main a[href='/demo/app/']")
	p.sees("main", "Nobody is logged in")
	p.look("demo-app-out")
	p.accessible()
	p.follow("a[href='/demo/app/login']")
	p.sees("h1", "demo-web")
	p.logIn("carol")
	p.sees("[role=status]", "Logged in.")
	p.sees("#who", "carol")
	p.sees("#number", "1")
	p.look("demo-app-in")
	p.accessible()
	p.follow("button[formaction$='/refresh']")
	p.sees("[role=status]", "the same refresh token")
	s.wait("2m")
	p.follow("button[formaction$='/refresh']")
	p.sees("[role=status]", "a new refresh token")
	p.sees("#number", "2")
	if family := s.familyOf("carol", "demo-web"); family.Counter != 2 || family.Status != "active" {
		t.Errorf("the service has %+v", family)
	}
	if text := p.body() + strings.Join(p.heard(), " "); strings.Contains(text, "rotor_secret") || secrets.MatchString(p.body()) {
		t.Error("the browser gets a token")
	}
	if kept := read(p, chromedp.Evaluate[int]("localStorage.length + sessionStorage.length + document.cookie.length")); kept != 0 {
		t.Error("scripts of the page can read what the app keeps")
	}
	p.follow("form[action='/console/explain'] button")
	p.sees("main", "carol")
	p.sees("#verdict", "valid")
	p.open("/demo/app/")
	p.follow("button[formaction$='/logout']")
	p.sees("[role=status]", "Logged out.")
	p.sees("main", "Nobody is logged in")
	if family := s.familyOf("carol", "demo-web"); family.Status != "revoked" {
		t.Errorf("after the logout the family is %s", family.Status)
	}
	// A family that was ended elsewhere.
	p.follow("a[href='/demo/app/login']")
	p.logIn("carol")
	p.sees("#who", "carol")
	for _, err := range s.api.RevokeFamilies(t.Context(), manage.Revocation{UserID: "carol", Cause: "password_changed"}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	p.follow("button[formaction$='/refresh']")
	p.sees("[role=status]", "the family has ended")
	p.sees("main", "Nobody is logged in")
	p.onlyCodes()
}

// TestDenied denies both apps. They learn why, and nothing has begun.
func TestDenied(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newTab(t, s.url)
	for path, login := range map[string]string{"/demo/spa/": "#login", "/demo/app/": "a[href='/demo/app/login']"} {
		p.open(path)
		p.waits(`document.querySelector("` + login + `").checkVisibility()`)
		p.follow(login)
		p.sees("h1", "Log in")
		p.follow("button[value='deny']")
		p.sees(".last", "access_denied")
		p.sees("main", "Nobody is logged in")
		if p.address() != s.url+path {
			t.Errorf("%s: after the refusal the browser is at %s", path, p.address())
		}
		p.accessible()
	}
	for _, person := range []string{"alice", "bob", "carol"} {
		for f, err := range s.api.Families(t.Context(), manage.FamilyFilter{UserID: person}) {
			t.Errorf("a family has begun: %v, %v", f, err)
		}
	}
}

// TestAnswersAreTakenOnce opens the address that has the answer to a login again, goes back to
// the login and allows once more, and brings the answer into another browser. The apps send
// nothing to the service for it, and sessions go on.
func TestAnswersAreTakenOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, app := range []struct{ path, callback, login, who, client string }{
		{"/demo/spa/", "/demo/spa/", "#login", "#who", "demo-spa"},
		{"/demo/app/", "/demo/app/callback", "a[href='/demo/app/login']", "#who", "demo-web"},
	} {
		p := newTab(t, s.url)
		p.open(app.path)
		p.waits(`document.querySelector("` + app.login + `").checkVisibility()`)
		p.follow(app.login)
		p.logIn("alice")
		p.sees(app.who, "alice")
		before := s.familyOf("alice", app.client)
		answer := p.answers(s.url + app.callback)
		if len(answer) != 1 {
			t.Fatalf("%s: the browser was sent back %d times", app.client, len(answer))
		}
		exchanges := s.count("/oauth/token")
		p.visit(answer[0])
		p.sees("main", "Nobody asked for this")
		stranger := newTab(t, s.url)
		stranger.visit(answer[0])
		stranger.sees("main", "Nobody asked for this")
		p.open(app.path)
		p.sees(app.who, "alice")

		// Back to the login, whose answer the app no longer waits for.
		p.goBackTo("/demo/login")
		p.sees("h1", "Log in")
		p.logIn("bob")
		p.sees("main", "Nobody asked for this")
		p.open(app.path)
		p.sees(app.who, "alice")
		if n := s.count("/oauth/token"); n != exchanges {
			t.Errorf("%s: the service was asked %d times", app.client, n-exchanges)
		}
		if after := s.familyOf("alice", app.client); after.Status != "active" || after.Counter != before.Counter {
			t.Errorf("%s: the family has become %+v", app.client, after)
		}
		p.take() // the server app answers 400
		stranger.take()
	}
}

// TestKeyboardLogin logs in with the keyboard alone.
func TestKeyboardLogin(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := newTab(t, s.url)
	p.open("/demo/spa/")
	p.waits(`document.querySelector("#login").checkVisibility()`)
	press := func(selector string) {
		t.Helper()
		p.reach(selector)
		if _, err := p.arrive(chromedp.KeyEvent(kb.Enter)); err != nil {
			t.Fatal(err)
		}
	}
	press("#login")
	p.reach("input[value=alice]")
	p.do(chromedp.KeyEvent(kb.ArrowDown))
	press("button[value=allow]")
	p.sees("#who", "bob")
}

// TestLoginFromElsewhere lets an app of another origin use the demo's login, and checks that
// other pages can neither frame the login nor decide for its user.
func TestLoginFromElsewhere(t *testing.T) {
	t.Parallel()
	s := start(t)
	elsewhere := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	app := serve(t, "", "<p>An app")
	if _, err := s.api.Register(t.Context(), "shop", &manage.Settings{Type: "public", RedirectURIs: []string{app + "/callback?x=1"}}); err != nil {
		t.Fatal(err)
	}
	request := url.Values{
		"response_type": {"code"}, "client_id": {"shop"}, "redirect_uri": {app + "/callback?x=1"}, "state": {"s t"}, "code_challenge_method": {"S256"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"},
	}
	p := newTab(t, s.url)
	p.visit(app)
	status, err := p.arrive(chromedp.Evaluate[chromedp.Void]("location.href = " + quoted(s.url+"/authorize?"+request.Encode())))
	if err != nil || status != http.StatusOK {
		t.Fatalf("the login answers %d, %v", status, err)
	}
	p.logIn("alice")
	got, err := url.Parse(p.address())
	if err != nil {
		t.Fatal(err)
	}
	if q := got.Query(); got.Path != "/callback" || q.Get("x") != "1" || q.Get("state") != "s t" || q.Get("iss") != s.url || len(q.Get("code")) != 84 {
		t.Errorf("the browser is sent to %s?%v", got.Path, slices.Sorted(maps.Keys(got.Query())))
	}

	before := s.count("/demo/login")
	p.attacks = true
	p.visit(app)
	p.eval(`for (const target of [` + quoted(s.url) + `, ` + quoted(elsewhere) + `]) {
		const frame = document.createElement("iframe");
		frame.name = "f" + document.querySelectorAll("iframe").length;
		frame.src = target + "/demo/login?` + request.Encode() + `";
		frame.onload = () => { window.loaded = (window.loaded ?? 0) + 1; };
		document.body.append(frame);
		fetch(target + "/demo/login?` + request.Encode() + `", {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({user: "bob", do: "allow"})})
			.finally(() => { window.loaded = (window.loaded ?? 0) + 1; });
	}`)
	p.waits("window.loaded >= 4")
	if read(p, chromedp.Evaluate[bool](`[...document.querySelectorAll("iframe")].map(f => f.contentWindow).some(f => { try { return f.document.body.innerText.includes("Who are you"); } catch { return false; } })`)) {
		t.Error("another page shows the login inside of it")
	}
	if n := s.count("/demo/login") - before; n < 2 {
		t.Errorf("the attack has reached the login %d times", n)
	}
	for f, err := range s.api.Families(t.Context(), manage.FamilyFilter{UserID: "bob"}) {
		t.Errorf("another page has decided for the user: %v, %v", f, err)
	}
}

// quoted returns a text as a literal of JavaScript.
func quoted(text string) string {
	literal, _ := json.Marshal(text)
	return string(literal)
}

// logIn chooses a user on the demo's login page, and allows the app what it asks for.
func (p *tab) logIn(user string) {
	p.t.Helper()
	p.do(chromedp.Click(chromedp.CSS("input[value='" + user + "']")))
	if status := p.follow("button[value='allow']"); status >= http.StatusInternalServerError {
		p.t.Fatalf("after the login the browser gets %d", status)
	}
}

// held returns the refresh token that the script's app holds, or "".
func (p *tab) held() string {
	p.t.Helper()
	return read(p, chromedp.Evaluate[string](`JSON.parse(localStorage.getItem("rotor-demo-spa") ?? "{}").refresh ?? ""`))
}

// answers returns the addresses to which the login has sent the browser back with a code.
func (p *tab) answers(callback string) []string {
	p.t.Helper()
	return slices.DeleteFunc(p.urls(), func(address string) bool { return !strings.HasPrefix(address, callback+"?code=") })
}

// onlyCodes checks that no address had a token in it, except for codes in that of a callback, which
// are not in the history either.
func (p *tab) onlyCodes(tokens ...string) {
	p.t.Helper()
	code := regexp.MustCompile(`\?code=rotor_[A-Za-z0-9_-]{78}&`)
	codes := 0
	for _, address := range p.urls() {
		codes += len(code.FindAllString(address, -1))
		if rest := code.ReplaceAllString(address, "?"); secrets.MatchString(rest) || slices.ContainsFunc(tokens, func(token string) bool { return strings.Contains(rest, token) }) {
			p.t.Error("an address has a token")
		}
	}
	if codes == 0 {
		p.t.Error("no address has a code")
	}
	if kept := strings.Join(p.history(), " "); secrets.MatchString(kept) {
		p.t.Errorf("the history has a token or a code: %s", secrets.ReplaceAllString(kept, "[SECRET]"))
	}
	if named := strings.Join(p.named(), ""); named != "" {
		p.t.Errorf("pages are told the referrers %q", named)
	}
}

// another opens another tab of the same browser.
func (p *tab) another() *tab {
	p.t.Helper()
	return openTab(p.t, p.base, chromedp.WithExistingBrowserContext(chromedp.FromContext(p.ctx).BrowserContextID))
}

// goBackTo goes back in the history to the last page at the path.
func (p *tab) goBackTo(path string) {
	p.t.Helper()
	h := read(p, chromedp.NavigationEntries())
	for i := h.CurrentIndex; i >= 0; i-- {
		if strings.HasPrefix(h.Entries[i].URL, p.base+path) {
			p.do(chromedp.NavigateToHistoryEntry(h.Entries[i].ID))
			return
		}
	}
	p.t.Fatalf("the history has no %s: %q", path, p.history())
}

// familyOf returns the newest family of a user in a client.
func (s *server) familyOf(user, client string) *manage.Family {
	s.t.Helper()
	for f, err := range s.api.Families(s.t.Context(), manage.FamilyFilter{UserID: user, ClientID: client}) {
		if err != nil {
			s.t.Fatal(err)
		}
		return f
	}
	s.t.Fatalf("%s has no family in %s", user, client)
	return nil
}

// count returns how many requests of browsers for the path the log has.
func (s *server) count(path string) int {
	return strings.Count(s.log.String(), `"path":"`+path+`"`)
}
