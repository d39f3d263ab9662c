//go:build logins

package login

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// TestBoundLogins checks that SDKs hold sessions that are bound to a key, and that a thief who has a refresh token
// without the key gets nothing and ends nothing. Every tenth answer is lost to the app, and before each tenth refresh
// there is a pause in which the nonce runs out.
func TestBoundLogins(t *testing.T) {
	for _, s := range []struct {
		name, path string
		run        func(t *testing.T, w *world, name string) []byte
		lost       int
		thefts     []string // without a key, and with one of the thief's own
	}{
		{"oauth4webapi", "/callback", node("oauth4webapi.mjs"), refreshes / 10, []string{"invalid_dpop_proof", "invalid_grant"}},
		{"openid-client", "/callback", node("openid-client.mjs"), refreshes / 10, []string{"invalid_dpop_proof", "invalid_grant"}},
		{"dpop", "/callback", node("dpop.mjs"), refreshes / 10, []string{"invalid_dpop_proof", "invalid_grant"}},
		{"auth0-spa-js", "/pages/auth0-spa-js.html", page("auth0-spa-js"), 0, []string{"invalid_dpop_proof"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "public", s.path)
			settings := &manage.Settings{
				Type: "public", Scope: "openid profile orders", RedirectURIs: []string{w.callback}, Policy: map[string]any{"dpop": "required"},
			}
			if _, err := w.api.Register(t.Context(), clientID, settings); err != nil {
				t.Fatal(err)
			}
			var o struct {
				Seen    []string
				Bound   bool
				Thefts  []string
				Failure string
			}
			if err := json.Unmarshal(s.run(t, w, "bound"), &o); err != nil {
				t.Fatal(err)
			}
			if o.Failure != "" {
				t.Fatalf("the app failed: %s\n%s", o.Failure, w.log)
			}
			if !o.Bound {
				t.Error("an access token is not bound to the key")
			}
			if !slices.Equal(o.Thefts, s.thefts) {
				t.Errorf("the thief was refused with %q", o.Thefts)
			}
			checkSeen(t, o.Seen, 1+refreshes-s.lost+1)
			// A refresh whose answer was lost does not rotate again: the next one gets the token that nobody has used.
			w.checkFamily("active", "", uint32(1+refreshes-s.lost+1))
			// What was sent again with a nonce: the first requests of both who have a key, and those after a pause.
			sent, nonces := 1+refreshes+len(s.thefts)+1, len(s.thefts)+refreshes/10
			if n := w.tokens.Load(); n != int64(sent+nonces) {
				t.Errorf("the app sent %d token requests, and not %d, of which %d are for nonces", n, sent+nonces, nonces)
			}
		})
	}
}

// TestBoundProgram runs the program of docs/sdks.md that holds a bound session, as it is written except for the service's address.
func TestBoundProgram(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "public", "/callback")
	if _, err := w.api.Register(t.Context(), clientID, &manage.Settings{Type: "public", Policy: map[string]any{"dpop": "required"}}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/sdks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, begins := strings.Cut(string(page), "```js\n// bound.mjs\n")
	program, _, ends := strings.Cut(program, "```\n")
	const address = "http://127.0.0.1:3000"
	if !begins || !ends || strings.Count(program, address) != 1 || strings.Count(program, "client_id: '"+clientID+"'") != 2 {
		t.Fatal("the page has no such program, or it names something else")
	}
	file := filepath.Join(t.TempDir(), "bound.mjs")
	if err := os.WriteFile(file, []byte(strings.Replace(program, address, w.rotor.URL, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := string(w.command("", []string{file}, "node", "bound.mjs")); out != "dpop\n" {
		t.Errorf("it prints %q", out)
	}
	w.checkFamily("active", "", 2)
}
