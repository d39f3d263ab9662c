//go:build tabs

package tabs

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/server"
)

// TestDeviceBinds checks a session's way from the login to the binding. The browser registers by itself, and the next refresh
// waits until it has proven its key. From then on there is a device cookie and no refresh token, and refreshes go on
// without any renewal while the cookie lives.
func TestDeviceBinds(t *testing.T) {
	t.Parallel()
	w := newDeviceWorld(t, server.Config{})
	p := newProfile(t)
	b := w.device(p, "spa", "alice")
	l := w.login(b)
	if r := w.of(registration, 0); len(r) != 1 || r[0].status != http.StatusOK || len(w.of(renewal, 0)) != 0 {
		t.Fatal("the login")
	}
	if f := w.family(l); !f.DeviceBoundAt.IsZero() {
		t.Errorf("the registration alone has bound the family: %+v", f)
	}
	after := w.now()
	b.refreshes("spa", l)
	renewed, refreshed := w.of(renewal, after), w.of(token, after)
	if len(renewed) != 1 || renewed[0].status != http.StatusOK || len(refreshed) != 1 || refreshed[0].status != http.StatusOK {
		t.Fatalf("after step %d the first refresh", after)
	}
	if refreshed[0].came < renewed[0].left || !slices.Contains(refreshed[0].cookies, l.cookie("spa")) {
		t.Errorf("after step %d the refresh did not wait for the renewal", after)
	}
	if f := w.family(l); f.DeviceBoundAt.IsZero() || f.Status != "active" {
		t.Errorf("the family is not bound: %+v", f)
	}
	if got := p.names(); !slices.Equal(got, []string{l.cookie("spa")}) {
		t.Errorf("the browser has the cookies %v", got)
	}
	after = w.now()
	for range 3 { // by the package, to which it is a session as any other
		w.later()
		b.uses("alice")
		b.expire()
	}
	if len(w.of(renewal, after)) != 0 || len(w.of(registration, after)) != 0 {
		t.Errorf("after step %d, while the cookie lives, the browser asks", after)
	}
	for _, a := range w.of(token, after) {
		if a.status != http.StatusOK || len(a.set) != 0 || a.answer.Get("Secure-Session-Registration") != "" {
			t.Errorf("a refresh with the device cookie: %v", a)
		}
	}
	if f := w.family(l); f.Counter != 1 {
		t.Errorf("a bound family rotates: %+v", f)
	}
}

// TestDeviceCookieRunsOut checks that the browser renews its cookie when it has run out, and that no refresh goes out
// without one. Chromium renews also while the cookie lives, once it has less than two minutes left.
func TestDeviceCookieRunsOut(t *testing.T) {
	t.Parallel()
	w := newDeviceWorld(t, server.Config{DeviceCookieLife: 8 * time.Second})
	p := newProfile(t)
	b := w.device(p, "spa", "alice")
	l := w.bound(b)
	bound := w.now()
	for range 3 {
		p.without(l.cookie("spa"))
		after := w.now()
		b.uses("alice")
		w.until(t, renewal, after, func(a asked) bool { return a.status == http.StatusOK })
	}
	for _, a := range w.of(token, bound) {
		if a.status != http.StatusOK || !slices.Contains(a.cookies, l.cookie("spa")) {
			t.Errorf("a refresh: %v", a)
		}
	}
	for _, a := range w.of(renewal, bound) {
		if a.status != 0 && a.status != http.StatusOK {
			t.Errorf("a renewal: %v", a)
		}
	}
	w.alive(l.family)
}

// TestDeviceRenewals checks that a browser may renew as often as it likes: Chromium makes few signatures, but sends one
// again while the challenge is the same. Requests at once wait for one renewal. A challenge that is too old costs
// one more request.
func TestDeviceRenewals(t *testing.T) {
	t.Parallel()
	w := newDeviceWorld(t, server.Config{})
	p := newProfile(t)
	b := w.device(p, "spa", "alice")
	l := w.bound(b)
	for range 10 {
		w.forget(b, l.cookie("spa"))
		after := w.now()
		b.refreshes("spa", l)
		if renewed := w.of(renewal, after); len(renewed) != 1 || renewed[0].status != http.StatusOK {
			t.Fatalf("after step %d: there is not one renewal", after)
		}
	}
	w.forget(b, l.cookie("spa"))
	after := w.now()
	all := eval[[]string](b.tab, "Promise.all(Array.from({ length: 5 }, () => "+refresh("spa", l.sid)+"))")
	if renewed := w.of(renewal, after); len(renewed) != 1 || len(w.of(token, after)) != 5 || slices.ContainsFunc(all, func(s string) bool { return s != "200 "+l.sid }) {
		t.Errorf("after step %d five refreshes at once: %v", after, all)
	}
	w.forget(b, l.cookie("spa"))
	w.ahead.Add(int64(31 * time.Minute))
	after = w.now()
	b.refreshes("spa", l)
	var statuses []int
	for _, a := range w.of(renewal, after) {
		statuses = append(statuses, a.status)
	}
	if !slices.Equal(statuses, []int{http.StatusForbidden, http.StatusOK}) {
		t.Errorf("with an old challenge the answers to the renewals are %v", statuses)
	}
	w.alive(l.family)
}

// TestDeviceLogout checks that a logout ends the session in the service, and deletes its cookies. The browser finds out by
// its next renewal, which revives nothing. Another login begins another session.
func TestDeviceLogout(t *testing.T) {
	t.Parallel()
	w := newDeviceWorld(t, server.Config{})
	p := newProfile(t)
	b := w.device(p, "spa", "alice")
	l := w.bound(b)
	after := w.now()
	eval[any](b.tab, "session.logout()")
	if f := w.family(l); f.Status != "revoked" {
		t.Errorf("the family is %s", f.Status)
	}
	if names := p.names(); len(names) != 0 {
		t.Errorf("after the logout there are the cookies %v", names)
	}
	if got := eval[string](b.tab, refresh("spa", l.sid)); got != "400 invalid_grant" {
		t.Errorf("a refresh after the logout: %s", got)
	}
	if renewed := w.of(renewal, after); len(renewed) != 1 || renewed[0].status != http.StatusUnauthorized || len(p.names()) != 0 {
		t.Errorf("after step %d: the browser asks, and has the cookies %v", after, p.names())
	}
	b.hears("end RefreshFatalError", 1)
	after = w.now()
	if got := eval[string](b.tab, refresh("spa", l.sid)); got != "400 invalid_grant" || len(w.of(renewal, after)) != 0 {
		t.Errorf("after step %d another: %s", after, got)
	}
	other := w.bound(b)
	if got := p.names(); !slices.Equal(got, []string{other.cookie("spa")}) {
		t.Errorf("after another login the browser has the cookies %v", got)
	}
	// A logout with a cookie that has run out: the browser renews it first.
	w.forget(b, other.cookie("spa"))
	eval[any](b.tab, "session.logout()")
	if f := w.family(other); f.Status != "revoked" || len(p.names()) != 0 {
		t.Errorf("the second logout: the family is %s, and there are the cookies %v", f.Status, p.names())
	}
}
