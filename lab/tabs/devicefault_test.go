//go:build tabs

package tabs

import (
	"net/http"
	"slices"
	"testing"

	"github.com/rotor-auth/rotor/shared/server"
)

// TestDeviceFaults checks that no session ends by a renewal that fails: since the service or what stands before it answers
// 503, since the connection is cut, before the service has done its work or after, or since nobody answers. The page tries
// again, and the session goes on.
func TestDeviceFaults(t *testing.T) {
	for _, tt := range []struct {
		what  fault
		first bool // it happens to the renewal that would bind the session
		times int
	}{
		{unavailable, true, 1},
		{lost, true, 1},
		{outage, false, 2},
		{unavailable, false, 2},
		{cut, false, 2},
		{lost, false, 2},
		{silent, false, 1}, // for the 20 seconds that Chromium waits
	} {
		said, reason := "renewal Unreachable", "unreachable"
		if tt.what == unavailable || tt.what == outage {
			said, reason = "renewal ServerError", "server_error"
		}
		name := string(tt.what)
		if tt.first {
			name += " at first"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newDeviceWorld(t, server.Config{})
			b := w.device(newProfile(t), "spa", "alice")
			l := w.login(b)
			if !tt.first {
				b.refreshes("spa", l)
			}
			b.uses("alice")
			b.expire()
			w.forget(b, l.cookie("spa"))
			after := w.now()
			w.harm(func(path string) fault {
				if path != renewal || b.heard(said) >= tt.times {
					return none
				}
				return tt.what
			})
			b.uses("alice")
			b.hears(said, tt.times)
			b.refreshes("spa", l)
			skipped := 0
			for _, a := range w.of(token, after) {
				if a.skipped() == reason {
					skipped++
				}
				// Until the first renewal the refresh token is good.
				refreshToken := tt.first && a.status == http.StatusOK
				if bound := slices.Contains(a.cookies, l.cookie("spa")); bound != (a.skipped() == "") || bound != (a.status == http.StatusOK) && !refreshToken {
					t.Errorf("a refresh: %v", a)
				}
			}
			if skipped < tt.times {
				t.Errorf("%d refreshes went out without a renewal", skipped)
			}
			if f := w.family(l); f.Status != "active" || f.DeviceBoundAt.IsZero() {
				t.Errorf("the family: %+v", f)
			}
			if b.heard("end RefreshFatalError") != 0 || !tt.first && len(w.of(registration, after)) != 0 {
				t.Errorf("after step %d: the browser has ended the session", after)
			}
		})
	}
}

// TestDeviceRegistrationFails checks that a registration which fails leaves the session as it was, and that the next answer
// offers another.
func TestDeviceRegistrationFails(t *testing.T) {
	for _, what := range []fault{unavailable, cut} {
		t.Run(string(what), func(t *testing.T) {
			t.Parallel()
			w := newDeviceWorld(t, server.Config{})
			p := newProfile(t)
			b := w.device(p, "spa", "alice")
			failing := true
			w.harm(func(path string) fault {
				if path == registration && failing {
					return what
				}
				return none
			})
			l := w.plainLogin(b, "spa", "alice")
			w.until(t, registration, 0, func(a asked) bool { return a.status != http.StatusOK })
			w.harm(nil)
			b.refreshes("spa", l)
			b.hears("creation Success", 1)
			b.refreshes("spa", l)
			if f := w.family(l); f.DeviceBoundAt.IsZero() || f.Status != "active" {
				t.Errorf("the family: %+v", f)
			}
		})
	}
}
