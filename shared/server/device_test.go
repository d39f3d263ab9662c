package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDeviceBound checks the life of a session that is bound to a key of its browser's device, from the code to the logout.
func TestDeviceBound(t *testing.T) {
	c := newChromium(t)
	sid := c.login("ada")
	if len(c.sessions) != 1 || !slices.Equal(c.asks, []string{"/oauth/dbsc/registration"}) || c.cookies[boundName(sid)] != nil {
		t.Fatalf("after the login the browser has %v, asked for %v, and has the cookies %v", c.sessions, c.asks, c.cookies)
	}
	c.clock.Advance(50 * time.Minute)
	a := c.renew(sid)
	if a.status != http.StatusOK || a.text("sid") != sid || a.json["refresh_token"] != nil || a.text("token_type") != "Bearer" {
		t.Fatalf("the first refresh: %v", a)
	}
	if claims := a.claims(t); claims["sid"] != sid || claims["cnf"] != nil {
		t.Errorf("the access token says %v", claims)
	}
	if c.cookies[boundName(sid)] == nil || c.token("spa", sid) != "" || len(c.cookies) != 1 {
		t.Errorf("the browser has the cookies %v", c.cookies)
	}
	if shown := c.get("/v1/families?user_id=ada"); !strings.Contains(shown.body, `"device_bound_at":`) {
		t.Errorf("the family is shown as %v", shown)
	}
	for range 20 {
		c.clock.Advance(7 * time.Minute)
		if a := c.renew(sid); a.status != http.StatusOK || len(c.cookies) != 1 {
			t.Fatalf("a refresh: %v, and the cookies are %v", a, c.cookies)
		}
	}
	if n := len(c.logged("device_bound")); n != 1 {
		t.Errorf("the log has %d bindings", n)
	}
	if renewed := len(c.logged("device_renewed")); renewed < 10 || renewed > 21 {
		t.Errorf("the log has %d renewals", renewed)
	}
	c.clock.Advance(time.Hour)
	if a := c.post("/oauth/revoke", "client_id", "spa", "sid", sid); a.status != http.StatusOK || len(c.cookies) != 0 {
		t.Errorf("the logout: %v, and the cookies are %v", a, c.cookies)
	}
	if lines := c.logged("srrt"); len(lines) != 1 {
		t.Errorf("the log has the revocations %v", lines)
	}
	if a := c.renew(sid); !a.refused(http.StatusBadRequest) || len(c.sessions) != 0 || len(c.cookies) != 0 {
		t.Errorf("after the logout: %v, and the browser has the sessions %v", a, c.sessions)
	}
}
