//go:build tabs

package tabs

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/lab/chromium"
	"github.com/rotor-auth/rotor/shared/server"
)

// startProfile starts a Chromium of its own with the profile in a folder. stop ends it as a user does.
func startProfile(t testing.TB, folder, features string) (p *profile, stop func()) {
	t.Helper()
	certificate, err := identity()
	if err != nil {
		t.Fatal(err)
	}
	ctx, end, err := chromium.Start(folder, resolver, trusting(certificate), chromedp.Flag("enable-features", features))
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		if err := end(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return &profile{t, ctx}, stop
}

// TestDeviceRestart checks that a session outlives its browser: with a device cookie that lives, with one that ran out
// meanwhile, and without any cookie.
func TestDeviceRestart(t *testing.T) {
	for _, tt := range []struct {
		what string
		life time.Duration
	}{{"lives", 0}, {"ran out", 3 * time.Second}} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			w := newDeviceWorld(t, server.Config{DeviceCookieLife: tt.life})
			folder := t.TempDir()
			p, stop := startProfile(t, folder, binding)
			l := w.bound(w.device(p, "spa", "alice"))
			stop()
			p, stop = startProfile(t, folder, binding)
			if tt.life > 0 {
				p.without(l.cookie("spa"))
			}
			after := w.now()
			b := w.device(p, "spa", "alice")
			b.uses("alice")
			switch renewed := w.of(renewal, after); {
			case tt.life == 0 && len(renewed) != 0:
				t.Errorf("after step %d: the browser renews a cookie that lives", after)
			case tt.life > 0 && (len(renewed) < 2 || renewed[0].status != http.StatusForbidden || renewed[1].status != http.StatusOK):
				t.Errorf("after step %d: the browser has not renewed the cookie", after)
			}
			if tt.life > 0 {
				return
			}
			// What a crash costs: Chromium writes cookies only twice a minute, and sessions sooner.
			for _, name := range p.names() {
				w.forget(b, name)
			}
			stop()
			p, _ = startProfile(t, folder, binding)
			if names := p.names(); len(names) != 0 {
				t.Errorf("there are the cookies %v", names)
			}
			after = w.now()
			w.device(p, "spa", "alice").uses("alice")
			if a := w.of(token, after)[0]; a.status != http.StatusOK || !slices.Contains(a.cookies, l.cookie("spa")) {
				t.Errorf("without cookies: %v", a)
			}
			w.alive(l.family)
		})
	}
}

// TestWithoutDeviceBinding checks that a Chromium which does not bind sessions keeps those of a client that asks for it,
// with their refresh tokens.
func TestWithoutDeviceBinding(t *testing.T) {
	t.Parallel()
	w := newDeviceWorld(t, server.Config{})
	p, _ := startProfile(t, t.TempDir(), "")
	b := w.device(p, "spa", "alice")
	l := w.plainLogin(b, "spa", "alice")
	for range 3 {
		w.later()
		b.refreshes("spa", l)
	}
	b.uses("alice")
	for _, a := range w.of(token, 0) {
		if a.status != http.StatusOK || a.answer.Get("Secure-Session-Registration") == "" {
			t.Errorf("a refresh: %v", a)
		}
	}
	if len(w.of(registration, 0)) != 0 || len(w.of(renewal, 0)) != 0 {
		t.Error("the browser binds sessions")
	}
	if f := w.family(l); f.Counter < 4 || !f.DeviceBoundAt.IsZero() || f.Status != "active" {
		t.Errorf("the family: %+v", f)
	}
	eval[any](b.tab, "session.logout()")
	if f := w.family(l); f.Status != "revoked" || len(p.names()) != 0 {
		t.Errorf("after the logout the family is %s, and there are the cookies %v", f.Status, p.names())
	}
}
