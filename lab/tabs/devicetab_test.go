//go:build tabs

package tabs

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/server"
)

// deviceWorld has a service whose clients ask browsers to bind sessions to a key.
type deviceWorld struct {
	*world
	*recorder
}

// newDeviceWorld starts a service with the device-bound client "spa" and whichever else are named.
func newDeviceWorld(t testing.TB, config server.Config, clients ...string) *deviceWorld {
	t.Helper()
	w := startWorld(t, config)
	for _, client := range append(clients, "spa") {
		w.register(client, func(s *manage.Settings) { s.DeviceBound = true })
	}
	d := newDoor(w.service)
	w.handle("GET", "/api", d.serveAPI)
	w.handle("POST", "/report", func(http.ResponseWriter, *http.Request) {})
	g := &recorder{service: d, broken: func(broken bool) {
		w.store.Break(nil)
		if broken {
			w.store.Break(func(int, string) storeFault { return failed })
		}
	}}
	w.door = g
	t.Cleanup(func() {
		log := w.log.String()
		for _, secret := range g.secrets() {
			if strings.Contains(log, secret) {
				t.Error("the log has a cookie, a proof, or an identifier of a session")
			}
		}
		if t.Failed() {
			t.Logf("the service was asked:\n%s", g.story(0))
		}
	})
	return &deviceWorld{w, g}
}

// device is a tab, and what the browser says of its sessions.
type device struct {
	*tab
	mu   sync.Mutex
	said []string
}

// device opens a page of a client, for a session of that name.
func (w *deviceWorld) device(p *profile, client, name string) *device {
	w.t.Helper()
	return w.deviceAt(p, "/pages/tab.html", "client", client, "transport", "cookie", "name", name, "tab", name, "patient", "")
}

// deviceAt opens a page with parameters.
func (w *deviceWorld) deviceAt(p *profile, path string, parameters ...string) *device {
	w.t.Helper()
	b := &device{}
	var err error
	if b.tab, err = p.open("about:blank", chromedp.WithListener(b.listen)); err != nil {
		w.t.Fatal(err)
	}
	if err := b.try(command(network.Enable, network.EnableParams{}),
		command(network.EnableDeviceBoundSessions, network.EnableDeviceBoundSessionsParams{Enable: true})); err != nil {
		w.t.Fatal(err)
	}
	b.visit(w.query(path, parameters...))
	return b
}

// listen notes what Chromium says of its sessions: what it did, and how that went.
func (b *device) listen(event any) {
	e, ok := event.(*network.EventDeviceBoundSessionEventOccurred)
	if !ok {
		return
	}
	var said string
	switch {
	case e.CreationEventDetails != nil:
		said = "creation " + string(e.CreationEventDetails.FetchResult)
	case e.RefreshEventDetails != nil:
		said = "renewal " + string(e.RefreshEventDetails.RefreshResult)
	case e.TerminationEventDetails != nil:
		said = "end " + string(e.TerminationEventDetails.DeletionReason)
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.said = append(b.said, said)
}

// heard returns how often Chromium has said what begins so.
func (b *device) heard(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, said := range b.said {
		if strings.HasPrefix(said, what) {
			n++
		}
	}
	return n
}

// hears waits until Chromium has said what begins so that often.
func (b *device) hears(what string, times int) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); b.heard(what) < times; wait(b.t.Context(), 10*time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("the browser has not said %q so often as %d times, but %q", what, times, b.said)
		}
	}
}

// deviceLogin is a session in a browser.
type deviceLogin struct {
	code
	sid string
}

// cookie returns the name of the session's device cookie.
func (l deviceLogin) cookie(client string) string {
	return "__Host-rotor." + client + "." + l.sid + ".bound"
}

// login logs alice in with the client "spa", and waits until the browser has registered a key for the session.
func (w *deviceWorld) login(b *device) deviceLogin {
	w.t.Helper()
	created := b.heard("creation Success")
	l := w.plainLogin(b, "spa", "alice")
	b.hears("creation Success", created+1)
	return l
}

// plainLogin logs a user in.
func (w *deviceWorld) plainLogin(b *device, client, user string) deviceLogin {
	w.t.Helper()
	l := deviceLogin{code: w.code(client, user)}
	after := w.now()
	eval[any](b.tab, call("session.login", l.code))
	a := w.until(w.t, token, after, func(a asked) bool { return a.status == http.StatusOK })
	for _, c := range a.set {
		if sid, ok := strings.CutPrefix(c.Name, "__Host-Http-rotor."+client+"."); ok && c.MaxAge > 0 {
			l.sid = strings.TrimSuffix(sid, ".2")
		}
	}
	if l.sid == "" {
		w.t.Fatalf("the login of %s sets no cookie", user)
	}
	return l
}

// bound does what login does, and binds the session by a refresh.
func (w *deviceWorld) bound(b *device) deviceLogin {
	w.t.Helper()
	l := w.login(b)
	b.refreshes("spa", l)
	if f := w.family(l); f.DeviceBoundAt.IsZero() {
		w.t.Fatal("the session is not bound")
	}
	return l
}

// family returns the family of a session.
func (w *deviceWorld) family(l deviceLogin) *manage.Family {
	w.t.Helper()
	f, err := w.api.Family(w.t.Context(), l.family)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// names returns the names of the cookies that the profile has for the service.
func (p *profile) names() []string {
	p.t.Helper()
	var names []string
	for _, c := range p.cookies() {
		if c.Domain == authHost {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// without waits until the profile has no cookie of that name.
func (p *profile) without(name string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); slices.Contains(p.names(), name); wait(p.t.Context(), 20*time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("the cookie %s is still there", name)
		}
	}
}

// forget deletes cookies of the service, as if they had run out.
func (w *deviceWorld) forget(b *device, names ...string) {
	w.t.Helper()
	for _, name := range names {
		if err := b.try(command(network.DeleteCookies, network.DeleteCookiesParams{Name: name, URL: w.url(authHost) + "/"})); err != nil {
			w.t.Fatal(err)
		}
	}
}

// refreshes checks that a refresh is answered.
func (b *device) refreshes(client string, l deviceLogin) {
	b.t.Helper()
	if got := eval[string](b.tab, refresh(client, l.sid)); got != "200 "+l.sid {
		b.t.Fatalf("the refresh of %s: %s", l.sid, got)
	}
}

// refresh returns the script of a refresh that does without the package. Its value is the status, and the error or the sid.
func refresh(client, sid string) string {
	return call(`(async (client_id, sid) => {
		const answer = await fetch(location.origin.replace('//app.', '//auth.') + '/oauth/token', { method: 'POST', credentials: 'include', headers: { 'Rotor-Transport': 'cookie' },
			body: new URLSearchParams({ grant_type: 'refresh_token', client_id, sid }) });
		const { error, sid: got } = await answer.json();
		return answer.status + ' ' + (error ?? got);
	})`, client, sid)
}
