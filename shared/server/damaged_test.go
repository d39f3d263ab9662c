package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestDamagedRecords checks that a record which cannot be read is answered as a fault of the
// storage. No token is refused for it, the management API does not write over it, and other
// users are not affected. Once it is repaired, everything works as before.
func TestDamagedRecords(t *testing.T) {
	short := []byte("short")
	for _, tt := range []struct {
		name, prefix, attribute string
		value                   any
		refresh                 bool // fails too
		asks                    [][3]string
	}{
		{"a family", "f#", "user_id", true, true, [][3]string{
			{http.MethodGet, "/v1/families/{family}", ""},
			{http.MethodGet, "/v1/families?user_id=u", ""},
			{http.MethodPatch, "/v1/families/{family}", `{"acr":"2"}`},
			{http.MethodDelete, "/v1/families/{family}", ""},
			{http.MethodDelete, "/v1/families?user_id=u", ""},
			{http.MethodPost, "/v1/explain", `{"family":"{family}"}`},
		}},
		{"a family's counter", "f#", "held", "many", true, [][3]string{{http.MethodGet, "/v1/families/{family}", ""}}},
		{"a client", "app", "policy", "{", true, [][3]string{
			{http.MethodGet, "/v1/clients/app", ""},
			{http.MethodGet, "/v1/clients", ""},
			{http.MethodPut, "/v1/clients/app", `{"type":"public"}`},
			{http.MethodPost, "/v1/families", signIn},
		}},
		{"a client's secret", "app", "secret_2", `{"id":"x","hash":"c2hvcnQ="}`, true, [][3]string{{http.MethodGet, "/v1/clients/app", ""}}},
		{"a key's family", "i#", "family_id", short, false, [][3]string{{http.MethodPost, "/v1/families", signIn}}},
		{"what a key was for", "i#", "asked", 7, false, [][3]string{{http.MethodPost, "/v1/families", signIn}}},
		{"what a key was for, cut", "i#", "asked", short, false, [][3]string{{http.MethodPost, "/v1/families", signIn}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			a := w.issueAs("key", signIn)
			tok, id := a.text("refresh_token"), a.text("family")
			other := w.issue(`{"user_id":"v","client_id":"web"}`).text("family")
			w.clock.Advance(2 * time.Minute) // so that the client is read again
			before := map[string]int{"fertft": len(w.logged("fertft")), "ferrt": len(w.logged("ferrt"))}
			mend, err := w.store.Damage(t.Context(), tt.prefix, tt.attribute, tt.value)
			if err != nil {
				t.Fatal(err)
			}
			_, server := w.another(w.store.Table(), keysAsTheyAre{w.keys}) // this server has no copy of the client
			damaged, err := w.store.Contents(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, ask := range tt.asks {
				contentType := ""
				if ask[2] != "" {
					contentType = jsonType
				}
				a := w.sendTo(server, ask[0], strings.ReplaceAll(ask[1], "{family}", id), contentType, strings.ReplaceAll(ask[2], "{family}", id), "Idempotency-Key", "key")
				if a.problem(t, http.StatusServiceUnavailable); a.header.Get("Retry-After") == "" {
					t.Errorf("%s %s: %v", ask[0], ask[1], a)
				}
			}
			after, err := w.store.Contents(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(after) != len(damaged) {
				t.Errorf("of %d texts in the table there are now %d", len(damaged), len(after))
			}
			if tt.refresh {
				if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(tok)); !a.unavailable() {
					t.Errorf("a refresh got %v", a)
				}
			}
			for eventType, n := range before {
				if now := len(w.logged(eventType)); now != n {
					t.Errorf("%d lines of %s", now-n, eventType)
				}
			}
			if tt.prefix != "f#" {
				w.family(other)
			}
			if err := mend(); err != nil {
				t.Fatal(err)
			}
			if a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(tok)); a.status != http.StatusOK {
				t.Errorf("mended: %v", a)
			}
		})
	}
}
