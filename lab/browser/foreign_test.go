//go:build browser

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// attacks is a page that tries to make the server at target act, by all means that a page has.
// It counts what it could read, and says when it is done.
const attacks = `<!doctype html><html lang="en"><title>A page</title><body><script>
	const target = "TARGET", family = "FAMILY", read = [], tried = [];
	const form = "application/x-www-form-urlencoded";
	const posts = [
		["/console/users/end?user_id=alice", "cause=revoked_by_admin"],
		["/console/users/end?user_id=alice&family=" + family, ""],
		["/console/clients/demo-web/secrets", ""],
		["/console/clients/demo-spa/policy", "updated_at=x&reuse_interval=9999"],
		["/console/explain", "pasted=" + family],
		["/console/play", "do=login&client=demo-spa"],
		["/local/clock", '{"advance":"30d"}'],
		["/v1/families", '{"user_id":"mallory","client_id":"demo-spa"}'],
	];
	const gets = ["/", "/console/users?user_id=alice", "/console/users/end?user_id=alice", "/console/clients/demo-web", "/console/events", "/v1/clients", "/console/assets/console.css"];
	const settled = (what, promise) => tried.push(promise.then(async r => { if (r.type != "opaque" && (await r.text()).length > 0) read.push(what + " " + r.status); }, () => {}));
	for (const [path, body] of posts) {
		for (const mode of ["no-cors", "cors"]) {
			for (const type of [form, "text/plain", "application/json"]) {
				settled("POST " + path, fetch(target + path, {method: "POST", mode, body, credentials: "include", headers: {"Content-Type": type}}));
			}
		}
		const frame = document.createElement("iframe");
		frame.name = "frame" + tried.length;
		document.body.append(frame);
		const f = document.createElement("form");
		f.method = "post"; f.action = target + path; f.target = frame.name;
		for (const [name, value] of new URLSearchParams(body)) { const i = document.createElement("input"); i.name = name; i.value = value; f.append(i); }
		document.body.append(f);
		tried.push(new Promise(done => { frame.onload = done; f.submit(); }));
	}
	settled("DELETE", fetch(target + "/v1/families?user_id=alice", {method: "DELETE"}));
	for (const path of gets) {
		for (const mode of ["no-cors", "cors"]) settled("GET " + path, fetch(target + path, {mode, credentials: "include"}));
		tried.push(new Promise(done => { const i = new Image(); i.onload = i.onerror = done; i.src = target + path; document.body.append(i); }));
		tried.push(new Promise(done => { const i = document.createElement("iframe"); i.onload = done; i.src = target + path; document.body.append(i); }));
		tried.push(new Promise(done => { const s = document.createElement("script"); s.onload = s.onerror = done; s.src = target + path; document.body.append(s); }));
	}
	const framed = () => [...document.querySelectorAll("iframe")].filter(f => { try { return f.contentDocument.body.innerText.includes("alice"); } catch { return false; } }).length;
	Promise.all(tried).then(() => { window.done = {read, framed: framed(), tried: tried.length}; });
</script>`

// TestForeignPages lets pages of other origins attack the console: of another port of this machine,
// and of another name. Whatever they send is refused, and they read nothing.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", foreign} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			victim := newVictim(t, s)
			page := strings.NewReplacer("TARGET", s.url, "FAMILY", victim.family).Replace(attacks)
			evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = w.Write([]byte(page))
			}))
			t.Cleanup(evil.Close)
			p := newTab(t, s.url)
			p.attacks = true
			p.open("/console/explain") // a tab of the console was open before
			p.visit(strings.Replace(evil.URL, "127.0.0.1", host, 1))
			p.attacked()
			victim.unharmed(http.StatusForbidden)

			// A form that takes the whole tab there.
			p.eval(fmt.Sprintf(`{
				const f = document.createElement("form");
				f.method = "post"; f.action = %q;
				document.body.append(f);
			}`, s.url+"/console/users/end?user_id=alice"))
			status, err := p.arrive(chromedp.Evaluate[chromedp.Void](`document.forms[document.forms.length-1].submit()`))
			if err != nil || status != http.StatusForbidden {
				t.Errorf("a form from elsewhere is answered with %d, %v", status, err)
			}
			p.sees("main", "another origin")
			victim.unharmed(http.StatusForbidden)
		})
	}
}

// TestRebinding lets a page attack whose own name has come to mean this machine: to the browser it
// is of the console's origin.
func TestRebinding(t *testing.T) {
	t.Parallel()
	s := start(t)
	victim := newVictim(t, s)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	// What answers under this name is first the attacker's server, and then the console's.
	var page atomic.Value
	console := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
		r.Out.Host = r.In.Host
	}}
	name := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if text, _ := page.Swap("").(string); text != "" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(text))
			return
		}
		console.ServeHTTP(w, r)
	}))
	t.Cleanup(name.Close)
	own := strings.Replace(name.URL, "127.0.0.1", foreign, 1)
	page.Store(strings.NewReplacer("TARGET", own, "FAMILY", victim.family).Replace(attacks))
	p := newTab(t, own)
	p.attacks = true
	p.open("/")
	p.attacked()
	victim.unharmed(http.StatusMisdirectedRequest)
	if status := p.open("/console/users?user_id=alice"); status != http.StatusMisdirectedRequest {
		t.Errorf("another name is answered with %d", status)
	}
}

// attacked waits until the page has tried everything, and checks that it has read nothing.
func (p *tab) attacked() {
	p.t.Helper()
	p.waits("window.done")
	done := read(p, chromedp.Evaluate[struct {
		Read          []string
		Framed, Tried int
	}]("window.done"))
	for _, what := range done.Read {
		// To the rebound name the refusal can be read, and nothing else.
		if !strings.HasSuffix(what, " 421") {
			p.t.Errorf("the page has read %s", what)
		}
	}
	if done.Framed != 0 || done.Tried < 60 {
		p.t.Errorf("%d frames show the console; %d things were tried", done.Framed, done.Tried)
	}
}

// victim is what an attack must leave as it is.
type victim struct {
	*server
	family string
	before string
}

func newVictim(t *testing.T, s *server) *victim {
	t.Helper()
	v := &victim{server: s, family: s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa"}).Family}
	v.before = v.state()
	return v
}

// state returns all that an attack could change.
func (v *victim) state() string {
	v.t.Helper()
	family, err := v.api.Family(v.t.Context(), v.family)
	if err != nil {
		v.t.Fatal(err)
	}
	state := []any{family, v.registration("demo-spa"), v.registration("demo-web")}
	for other, err := range v.api.Families(v.t.Context(), manage.FamilyFilter{UserID: "mallory"}) {
		if err != nil {
			v.t.Fatal(err)
		}
		state = append(state, other)
	}
	text, err := json.Marshal(state)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text)
}

// unharmed checks that nothing has changed, and that the attack has reached the server and was
// refused.
func (v *victim) unharmed(status int) {
	v.t.Helper()
	if after := v.state(); after != v.before {
		v.t.Errorf("an attack has changed\n%s\nto\n%s", v.before, after)
	}
	refused := 0
	for line := range strings.Lines(v.log.String()) {
		var entry struct {
			Msg, Method, Path string
			Status            int
		}
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg != "request" {
			continue
		}
		if entry.Status == status {
			refused++
		}
		if entry.Path == "/local/clock" && entry.Status == http.StatusOK {
			v.t.Error("the clock was moved")
		}
	}
	if refused < 40 {
		v.t.Errorf("only %d requests were refused with %d:\n%s", refused, status, v.log)
	}
}
