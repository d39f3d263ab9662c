//go:build tabs

package tabs

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/server"
)

// TestDeviceUsers checks that sessions in one browser keep apart: two users, of two clients. Within Chromium's limit of
// signatures some of them are not bound, and go on as if the browser did not bind any.
func TestDeviceUsers(t *testing.T) {
	for _, limited := range []bool{true, false} {
		name := map[bool]string{true: "with the limit", false: "without"}[limited]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// One challenge, so that only a new key needs a signature.
			w := newDeviceWorld(t, server.Config{DeviceChallengeLife: 10_000 * time.Hour}, "other")
			var p *profile
			if limited {
				p = newProfile(t)
			} else {
				p, _ = startProfile(t, t.TempDir(), binding+":RefreshQuota/false")
			}
			type holder struct {
				client, user string
				tab          *device
				login        deviceLogin
			}
			var holders []*holder
			for _, client := range []string{"spa", "other"} {
				for _, user := range []string{"alice", "bob"} {
					h := &holder{client: client, user: user, tab: w.device(p, client, user)}
					h.login = w.plainLogin(h.tab, client, user)
					h.tab.hears("creation", 1)
					holders = append(holders, h)
				}
			}
			check := func(gone *holder) {
				t.Helper()
				for _, h := range holders {
					if h == gone {
						continue
					}
					h.tab.refreshes(h.client, h.login)
					h.tab.uses(h.user)
					w.alive(h.login.family)
				}
			}
			for range 3 {
				check(nil)
				for _, h := range holders {
					h.tab.expire()
				}
				w.later()
				w.later() // no more is under way that was sent before a binding
				for _, name := range p.names() {
					if strings.HasSuffix(name, ".bound") {
						w.forget(holders[0].tab, name)
					}
				}
			}
			bound := 0
			for _, h := range holders {
				if f := w.family(h.login); !f.DeviceBoundAt.IsZero() {
					bound++
				}
			}
			t.Logf("%d of %d sessions are bound", bound, len(holders))
			if !limited && bound != len(holders) || bound == 0 {
				t.Errorf("%d sessions are bound", bound)
			}
			// Each answer is about the session that was asked for.
			for _, a := range w.of(token, 0) {
				if a.status != http.StatusOK {
					t.Errorf("a refresh: %v", a)
				}
			}
			// A logout ends one of them.
			gone := holders[0]
			eval[any](gone.tab.tab, "session.logout()")
			if f := w.family(gone.login); f.Status != "revoked" || slices.Contains(p.names(), gone.login.cookie(gone.client)) {
				t.Errorf("after the logout the family is %s, and there are the cookies %v", f.Status, p.names())
			}
			check(gone)
			if got := eval[string](gone.tab.tab, refresh(gone.client, gone.login.sid)); got != "400 invalid_grant" {
				t.Errorf("logged out: %s", got)
			}
			check(gone)
		})
	}
}
