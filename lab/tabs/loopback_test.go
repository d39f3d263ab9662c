//go:build tabs

package tabs

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestLoopback checks that the transport works over http on this machine, where apps are developed: Chromium takes it for secure.
func TestLoopback(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"localhost", "127.0.0.1"} {
		w := newWorld(t)
		w.register("spa", nil)
		plain := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/page" {
				rw.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(rw, "<!doctype html>")
				return
			}
			w.service.ServeHTTP(rw, r) // as the page's own server would
		}))
		t.Cleanup(plain.Close)
		_, port, _ := net.SplitHostPort(plain.Listener.Addr().String())
		p := newProfile(t)
		b := p.newTab()
		b.visit("http://" + host + ":" + port + "/page")
		ask := func(members map[string]string) string {
			return eval[string](b, call(`((members) => fetch('/oauth/token', { method: 'POST', headers: { 'Rotor-Transport': 'cookie' }, body: new URLSearchParams(members) })
				.then((r) => r.json()).then((j) => j.sid ?? j.error))`, members))
		}
		login := w.code("spa", "alice")
		sid := ask(map[string]string{"grant_type": "authorization_code", "client_id": "spa", "code": login.Code, "code_verifier": login.Verifier})
		if got := ask(map[string]string{"grant_type": "refresh_token", "client_id": "spa", "sid": sid}); got != sid || len(p.cookies()) != 1 {
			t.Errorf("%s: the refresh of %s got %q, and the profile has %d cookies", host, sid, got, len(p.cookies()))
		}
	}
}
