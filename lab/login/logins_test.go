//go:build logins

package login

import (
	"encoding/json"
	"testing"
)

// refreshes is how often each SDK refreshes.
const refreshes = 50

// outcome is what an app has seen in a case.
type outcome struct {
	User  string   `json:"user"`
	Seen  []string `json:"seen"`  // its refresh tokens, in their order
	Held  string   `json:"held"`  // the refresh token that a refresh within the interval has left it
	Back  bool     `json:"back"`  // whether it came back from the logout as it should
	Error string   `json:"error"` // what the last call was refused with

	Active []bool `json:"active"` // what introspection said of its token, before and after it was revoked

	Failure string `json:"failure"` // of the app itself
}

// sdk is an SDK, and what its apps are told in the cases that end badly. Those that it has no
// part in are left out.
type sdk struct {
	name   string
	kind   string // of the client: public, confidential, or with its keys in its record (keys) or at an address (jwks_uri)
	path   string // of the redirect URI
	run    func(t *testing.T, w *world, name string) []byte
	errors map[string]string
	sent   int64 // how many of two callbacks at once exchange the code
}

var sdks = []sdk{
	{
		name: "oauth4webapi", kind: "public", path: "/callback", run: node("oauth4webapi.mjs"), sent: 2,
		errors: map[string]string{
			"state":  `unexpected "state" response parameter value`,
			"issuer": `unexpected "iss" (issuer) response parameter value`,
			"denied": "access_denied", "twice": "invalid_grant",
		},
	},
	{
		name: "openid-client", kind: "confidential", path: "/callback", run: node("openid-client.mjs"), sent: 2,
		errors: map[string]string{
			"state":  `unexpected "state" response parameter value`,
			"issuer": `unexpected "iss" (issuer) response parameter value`,
			"denied": "access_denied", "twice": "invalid_grant",
		},
	},
	{name: "oauth4webapi-by-key", kind: "keys", path: "/callback", run: node("oauth4webapi.mjs"), errors: map[string]string{"ends": "invalid_grant"}},
	{name: "openid-client-by-key", kind: "jwks_uri", path: "/callback", run: node("openid-client.mjs"), errors: map[string]string{"ends": "invalid_grant"}},
	{
		name: "authlib", kind: "confidential", path: "/callback", run: python, sent: 2,
		errors: map[string]string{"state": "mismatching_state", "denied": "access_denied", "twice": "invalid_grant"},
	},
	{
		name: "oauth2", kind: "public", path: "/callback", run: golang, sent: 2,
		errors: map[string]string{"twice": "invalid_grant"},
	},
	{
		name: "oidc-client-ts", kind: "public", path: "/pages/oidc-client-ts.html", run: page("oidc-client-ts"), sent: 2,
		errors: map[string]string{
			"state": "No matching state found in storage", "denied": "access_denied", "twice": "invalid_grant",
		},
	},
	{
		name: "auth0-spa-js", kind: "public", path: "/pages/auth0-spa-js.html", run: page("auth0-spa-js"), sent: 1,
		errors: map[string]string{"state": "state_mismatch", "denied": "access_denied", "twice": "missing_transaction", "memory": "missing_refresh_token", "plain": ""},
	},
}

// TestLogins checks each SDK in each case.
func TestLogins(t *testing.T) {
	for _, s := range sdks {
		t.Run(s.name, func(t *testing.T) {
			t.Run("circle", func(t *testing.T) { s.circle(t) })
			for name, want := range s.errors {
				t.Run(name, func(t *testing.T) {
					switch name {
					case "twice":
						s.twice(t, want)
					case "memory":
						s.memory(t, want)
					case "plain":
						s.plain(t)
					case "ends":
						s.ends(t, want)
					default:
						s.refused(t, name, want)
					}
				})
			}
		})
	}
}

// play runs a case in a world of its own.
func (s *sdk) play(t *testing.T, name string) (*world, outcome) {
	t.Helper()
	t.Parallel()
	w := newWorld(t, s.kind, s.path)
	text := s.run(t, w, name)
	var o outcome
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v: %s", err, secrets.ReplaceAll(text, []byte("[SECRET]")))
	}
	if o.Failure != "" {
		t.Fatalf("the app failed: %s\n%s", o.Failure, w.log)
	}
	return w, o
}

// circle checks a whole session: the login, each refresh with a new token, one that is held by
// the reuse interval, and the logout, after which the newest token is dead.
func (s *sdk) circle(t *testing.T) {
	w, o := s.play(t, "circle")
	if o.User != "alice" || !o.Back || o.Error != "invalid_grant" {
		t.Errorf("the app saw the user %q, came back from the logout as it should: %t, and was then refused with %q", o.User, o.Back, o.Error)
	}
	checkSeen(t, o.Seen, 1+refreshes)
	if o.Held != o.Seen[len(o.Seen)-1] {
		t.Error("a refresh within the reuse interval has left the app another token")
	}
	w.checkFamily("revoked", "revoked_by_client", 1+refreshes)
	if n := w.tokens.Load(); n != 1+refreshes+1+1 {
		t.Errorf("the app sent %d token requests", n)
	}
}

// twice checks that a code which is exchanged twice at once gives tokens once, and that the
// family lives: a page has mounted twice.
func (s *sdk) twice(t *testing.T, want string) {
	w, o := s.play(t, "twice")
	if o.Error != want {
		t.Errorf("the second callback is refused with %q, and not %q", o.Error, want)
	}
	checkSeen(t, o.Seen, 2)
	w.checkFamily("active", "", 2)
	if n := w.tokens.Load(); n != s.sent+1 {
		t.Errorf("the app sent %d token requests, and not %d", n, s.sent+1)
	}
}

// memory checks a session whose refresh token no page ever sees, until it is revoked.
func (s *sdk) memory(t *testing.T, want string) {
	w, o := s.play(t, "memory")
	if o.User != "alice" || o.Error != want {
		t.Errorf("the app saw the user %q, and was refused with %q, and not %q", o.User, o.Error, want)
	}
	w.checkFamily("revoked", "revoked_by_client", 1+refreshes)
}

// plain checks that a logout which names no session leads back to the app and ends no family:
// any page can lead a browser to it.
func (s *sdk) plain(t *testing.T) {
	w, o := s.play(t, "plain")
	if o.User != "alice" || !o.Back {
		t.Errorf("the app saw the user %q, and came back from the logout as it should: %t", o.User, o.Back)
	}
	w.checkFamily("active", "", 2)
}

// ends checks that a client which authenticates by its key can introspect and revoke a token.
func (s *sdk) ends(t *testing.T, want string) {
	w, o := s.play(t, "ends")
	if len(o.Active) != 2 || !o.Active[0] || o.Active[1] || o.Error != want {
		t.Errorf("introspection said %v, and the app was refused with %q, and not %q", o.Active, o.Error, want)
	}
	w.checkFamily("revoked", "revoked_by_client", 1)
}

// refused checks that an authorization response is refused, so that no code is exchanged.
func (s *sdk) refused(t *testing.T, name, want string) {
	w, o := s.play(t, name)
	if o.Error != want {
		t.Errorf("the callback is refused with %q, and not %q", o.Error, want)
	}
	if n := w.tokens.Load(); n != 0 {
		t.Errorf("the app sent %d token requests all the same", n)
	}
	if n := len(w.families()); name == "denied" && n != 0 {
		t.Errorf("a user that was denied has %d families", n)
	}
}

// checkSeen checks that there are that many refresh tokens, each another.
func checkSeen(t *testing.T, seen []string, want int) {
	t.Helper()
	distinct := map[string]bool{}
	for _, token := range seen {
		if !secrets.MatchString(token) {
			t.Error("a refresh token is none")
		}
		distinct[token] = true
	}
	if len(seen) != want || len(distinct) != want {
		t.Fatalf("the app saw %d refresh tokens, %d of them different, and not %d", len(seen), len(distinct), want)
	}
}

// checkFamily checks the one family of alice.
func (w *world) checkFamily(status, cause string, counter uint32) {
	w.t.Helper()
	all := w.families()
	if len(all) != 1 {
		w.t.Fatalf("alice has %d families", len(all))
	}
	if f := all[0]; f.Status != status || f.Cause != cause || f.Counter != counter {
		w.t.Errorf("the family is %s by %q at token %d, and not %s by %q at token %d", f.Status, f.Cause, f.Counter, status, cause, counter)
	}
}
