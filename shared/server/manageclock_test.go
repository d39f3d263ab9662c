package server_test

import (
	"net/http"
	"testing"
	"time"
)

// TestManageWhereClocksDiffer checks that a server whose clock is behind or ahead of the one
// that started a family can show, explain, change and end it.
func TestManageWhereClocksDiffer(t *testing.T) {
	for _, by := range []time.Duration{-2 * time.Second, -time.Hour, -26 * time.Hour, 2 * time.Second, time.Hour} {
		t.Run(by.String(), func(t *testing.T) {
			var clocks movable
			w := newWorld(t, servers(2), skewed(clocks.of), oneIssuer())
			clocks.by[1].Store(int64(by))
			at := func(server int, method, path, body string) answer {
				t.Helper()
				contentType := ""
				if body != "" {
					contentType = jsonType
				}
				a := w.sendTo(server, method, path, contentType, body)
				if a.status != http.StatusOK {
					t.Errorf("%s %s on server %d: %v", method, path, server, a)
				}
				return a
			}
			for ends := range 2 { // the server that ends it
				issued := w.sendTo(0, http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", w.clock.Now().String()[:10])
				tok, path := issued.text("refresh_token"), "/v1/families/"+issued.text("family")
				w.sendTo(1, http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", w.clock.Now().String()[:10]).same(t, issued)
				if f := at(1, http.MethodGet, path, ""); f.text("status") != "active" {
					t.Errorf("the family is %v", f)
				}
				if a := at(1, http.MethodPost, "/v1/explain", `{"refresh_token":"`+tok+`"}`); a.text("verdict") != "valid" {
					t.Errorf("the token is %v", a)
				}
				if list, _ := at(1, http.MethodGet, "/v1/families?user_id=u&status=active", "").json["families"].([]any); len(list) != 1 {
					t.Errorf("%d families are listed", len(list))
				}
				if a := at(1, http.MethodPatch, path, `{"scope":"read"}`); a.text("scope") != "read" {
					t.Errorf("changed, it is %v", a)
				}
				at(ends, http.MethodDelete, path, "")
				for server := range 2 {
					f := at(server, http.MethodGet, path, "")
					timeline, _ := f.json["timeline"].([]any)
					told := false
					for _, m := range timeline {
						m, _ := m.(map[string]any)
						told = told || m["event"] == "revoked" && m["event_id"] != nil
					}
					if f.text("status") != "revoked" || !told {
						t.Errorf("ended by server %d, server %d does not tell of the event: %v", ends, server, f)
					}
				}
				w.clock.Advance(48 * time.Hour)
			}
		})
	}
}
