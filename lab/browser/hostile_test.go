//go:build browser

package browser

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// attack is a text that does something if a page takes it for HTML, an attribute, a script or a
// style, and that turns the direction of what stands around it. Its characters that nobody sees
// are a right-to-left override, an isolate, a zero-width space and a byte order mark.
const attack = "</td></script><script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1>" +
	"\u202e\u2066\u200b\ufeff{{.}}"

// long is an attack as long as a device name or user agent may be.
var long = attack + strings.Repeat("W", 256-len(attack))

// world is a server with a user, a device and user agents that are attacks, and with everything
// that its pages can show.
type world struct {
	*server
	user, family, token string // of the family that reuse ended
	living              string // another family
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := start(t)
	w := &world{server: s, user: attack[:len(attack)-5]}
	login := &manage.Login{UserID: w.user, ClientID: "demo-spa", Device: long, IP: "192.0.2.7", UserAgent: long}
	tokens := s.login(login)
	w.family, w.token = tokens.Family, tokens.RefreshToken
	s.refresh(w.token, "User-Agent", long)
	s.wait("2m")
	if s.refresh(w.token, "User-Agent", long) != "" {
		t.Fatal("the family lives")
	}
	w.living = s.login(login).Family
	if _, err := s.api.Register(t.Context(), "backend", &manage.Settings{Type: "confidential", Audience: manage.Audience{attack}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, _, err := s.api.AddSecret(t.Context(), "backend"); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// view is a page of the console, and how a browser comes there.
type view struct {
	name, path string
	status     int
	hostile    bool // that it shows an attack
}

// views returns a page of each kind.
func (w *world) views() []view {
	user := url.QueryEscape(w.user)
	ok, bad := http.StatusOK, http.StatusBadRequest
	return []view{
		{"playground", "/", ok, false},
		{"explain", "/console/explain", ok, false},
		{"family", "/console/explain?family=" + w.family, ok, true},
		{"users", "/console/users", ok, false},
		{"user", "/console/users?user_id=" + user, ok, true},
		{"unknown user", "/console/users?user_id=x" + user, ok, true},
		{"user id too long", "/console/users?user_id=" + url.QueryEscape(long), bad, true},
		{"end one", "/console/users/end?user_id=" + user + "&family=" + w.living, ok, true},
		{"end a dead one", "/console/users/end?user_id=" + user + "&family=" + w.family, ok, true},
		{"end others", "/console/users/end?user_id=" + user + "&except=" + w.living, ok, true},
		{"end all", "/console/users/end?user_id=" + user, ok, true},
		{"end without a user", "/console/users/end", bad, false},
		{"clients", "/console/clients", ok, false},
		{"client", "/console/clients/demo-spa", ok, false},
		{"client with secrets", "/console/clients/backend", ok, true},
		{"policy", "/console/clients/backend/policy?reuse_interval=" + user, ok, false},
		{"no client", "/console/clients/" + url.PathEscape("<img src=x onerror=alert(1)>"), bad, false},
		{"events", "/console/events", ok, true},
		{"events of the user", "/console/events?user_id=" + user, ok, true},
		{"events of no type", "/console/events?type=" + user, bad, false},
		{"events of no family", "/console/events?type=ferrt&family=" + user, bad, false},
		{"events of no time", "/console/events?type=ferrt&from=" + user, bad, false},
		{"no page", "/console/" + user, http.StatusNotFound, false},
	}
}

// TestEveryPage looks at each page, with texts in it that are attacks: nothing of them runs,
// characters that nobody sees are written out, axe-core finds no violation in light and dark,
// and on a phone nothing is wider than the window.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, v := range w.views() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := newTab(t, w.url)
			if status := p.open(v.path); status != v.status {
				t.Fatalf("%d, want %d:\n%s", status, v.status, p.body())
			}
			p.unharmed(v.hostile)
			p.look("every-" + strings.ReplaceAll(v.name, " ", "-"))
			p.accessible()
			p.narrow()
			p.guarded()
		})
	}
}

// unharmed checks that nothing of an attack has become a part of the page. If it is shown, it is
// shown as it was written.
func (p *tab) unharmed(shown bool) {
	p.t.Helper()
	found := read(p, chromedp.Evaluate[struct {
		Hacked  bool
		Scripts int
		Images  []string
		Hidden  int
		Text    string
	}](`({
		Hacked: "hacked" in window, Scripts: document.scripts.length, Images: [...document.images].map(i => i.getAttribute("src")),
		Hidden: (document.documentElement.outerHTML.match(/[\u202a-\u202e\u2066-\u2069\u200b\ufeff]/g) ?? []).length,
		Text: document.body.innerText + [...document.querySelectorAll("input")].map(i => i.value).join(" "),
	})`))
	if found.Hacked || found.Scripts != 0 {
		p.t.Errorf("a script of an attack is in the page, or has run: %+v", found)
	}
	for _, image := range found.Images {
		if !strings.HasPrefix(image, "/console/assets/") {
			p.t.Errorf("an image of an attack is in the page: %s", image)
		}
	}
	if found.Hidden != 0 {
		p.t.Errorf("%d characters that nobody sees are in the page", found.Hidden)
	}
	if shown && (!strings.Contains(found.Text, "<script>window.hacked=1</script>") || !strings.Contains(found.Text, "⟨U+202E⟩")) {
		p.t.Errorf("the attack is not shown as it was written:\n%s", found.Text)
	}
}

// narrow checks that on a phone nothing is wider than the window.
func (p *tab) narrow() {
	p.t.Helper()
	p.phone()
	width := read(p, chromedp.Evaluate[struct{ Content, Window float64 }](`({
		Content: document.documentElement.scrollWidth, Window: document.documentElement.clientWidth,
	})`))
	if width.Window != 360 || width.Content > width.Window {
		p.t.Errorf("on a phone the page is %v wide, in a window of %v", width.Content, width.Window)
	}
}

// guarded checks that the page's CSP stops what an attack might have put into the page after
// all. It breaks the CSP, and so does not count as a problem of the page.
func (p *tab) guarded() {
	p.t.Helper()
	if problems := p.take(); len(problems) > 0 {
		p.t.Errorf("before the CSP is broken: %s", strings.Join(problems, "\n"))
	}
	p.do(chromedp.Evaluate[chromedp.Void](`
		const put = (tag, set) => { const e = document.createElement(tag); set(e); document.body.append(e); return e; };
		put("script", e => e.textContent = "window.injected = 'a script'");
		put("script", e => e.src = "data:text/javascript,window.injected='a script from elsewhere'");
		put("div", e => e.innerHTML = "<button id='inline' onclick=\"window.injected='a handler'\">x</button>").firstChild.click();
		put("p", e => { e.id = "styled"; e.setAttribute("style", "position: fixed"); });
		put("style", e => e.textContent = "body { display: none }");
		put("iframe", e => e.src = "data:text/html,framed");
		put("form", e => { e.action = "http://127.0.0.1:1/stolen"; e.method = "post"; }).submit();
		fetch("/v1/clients").then(() => window.injected = "a request", () => window.refused = true);
	`))
	p.waits("window.refused")
	if injected := read(p, chromedp.Evaluate[string]("window.injected || ''")); injected != "" {
		p.t.Errorf("the CSP lets through %s", injected)
	}
	p.waits("getComputedStyle(document.body).display != 'none' && getComputedStyle(document.getElementById('styled')).position != 'fixed'")
	breaches := strings.Join(p.take(), "\n")
	for _, directive := range []string{"script-src", "style-src", "default-src", "form-action"} {
		if !strings.Contains(breaches, "CSP: "+directive) && !strings.Contains(breaches, directive) {
			p.t.Errorf("nothing has broken %s:\n%s", directive, breaches)
		}
	}
	for _, address := range p.urls() {
		if strings.HasPrefix(address, "http://127.0.0.1:1/") {
			p.t.Error("a form was sent elsewhere")
		}
	}
}
