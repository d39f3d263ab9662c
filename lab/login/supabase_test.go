//go:build logins

package login

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// movedIn returns a world whose client was an app of Supabase's, with the refresh tokens that
// Supabase has left: five of alice and four of bob.
func movedIn(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "public", "/callback")
	settings := &manage.Settings{Type: "public", AcceptsImported: &manage.TokenShape{Length: 12}}
	if _, err := w.api.Register(t.Context(), clientID, settings); err != nil {
		t.Fatal(err)
	}
	var tokens []manage.Import
	for i := range 9 {
		hash := sha256.Sum256([]byte(oldToken(i)))
		user := "alice"
		if i >= 5 {
			user = "bob"
		}
		tokens = append(tokens, manage.Import{
			UserID: user, TokenSHA256: hex.EncodeToString(hash[:]), Audience: manage.Audience{"authenticated"},
			Claims: json.RawMessage(`{"role":"authenticated","email":"alice@example.com","user_metadata":{"name":"Alice"}}`),
		})
	}
	imported, err := w.api.Import(t.Context(), clientID, tokens, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range imported {
		if i.Result != "imported" {
			t.Fatalf("a token is %s", i.Result)
		}
	}
	t.Cleanup(func() {
		if strings.Contains(w.log.String(), "aaaaaaaa") {
			t.Error("the log has a token of Supabase")
		}
	})
	return w
}

// oldToken returns a refresh token as Supabase makes them.
func oldToken(i int) string { return fmt.Sprintf("old%daaaaaaaa", i) }

// supabase runs a case of the app in Node, and reads what it returns.
func (w *world) supabase(name string, into any) {
	w.t.Helper()
	text := node("supabase.mjs")(w.t, w, name)
	if err := json.Unmarshal(text, into); err != nil {
		w.t.Fatalf("%v: %s", err, secrets.ReplaceAll(text, []byte("[SECRET]")))
	}
}

// TestSupabase checks that an unmodified auth-js keeps a session alive that began at Supabase, reads its
// user and its claims, waits for the end of an outage, and logs out.
func TestSupabase(t *testing.T) {
	t.Parallel()
	w := movedIn(t)
	var o struct {
		User, Role, Claims, Algorithm, Held, Error string

		Metadata map[string]string
		Seen     []string
		Left     *string
		Events   []string
	}
	w.supabase("circle", &o)
	if o.User != "alice@example.com" || o.Role != "authenticated" || o.Metadata["name"] != "Alice" || o.Claims != "alice" || o.Algorithm != "RS256" {
		t.Errorf("the app saw the user %q (%s, %v), and %q in a token of %s", o.User, o.Role, o.Metadata, o.Claims, o.Algorithm)
	}
	checkSeen(t, o.Seen, 1+refreshes)
	if o.Held != o.Seen[refreshes] || o.Left != nil || o.Error != "refresh_token_not_found" {
		t.Errorf("a refresh within the interval has left another token: %t; the logout has left one: %t; then it is refused with %q", o.Held != o.Seen[refreshes], o.Left != nil, o.Error)
	}
	if diff := cmp.Diff([]string{"INITIAL_SESSION", "TOKEN_REFRESHED", "SIGNED_OUT"}, o.Events); diff != "" {
		t.Errorf("the events (-want +got)\n%s", diff)
	}
	if n := w.tokens.Load(); n != 1+refreshes+1+3+1 {
		t.Errorf("the app sent %d token requests", n)
	}
	for _, f := range w.families() {
		if f.Status != "revoked" || f.Cause != "revoked_by_client" {
			t.Errorf("after a logout a family is %s by %q", f.Status, f.Cause)
		}
	}
}

// TestSupabaseScopes checks which sessions each scope of a logout ends, as the app sees it.
func TestSupabaseScopes(t *testing.T) {
	t.Parallel()
	w := movedIn(t)
	var o map[string][]any
	w.supabase("scopes", &o)
	want := map[string][]any{
		"local":  {nil, "refresh_token_not_found"},
		"others": {"refresh_token_not_found", "refresh_token_not_found"},
		"global": {nil, "no session", nil, "refresh_token_not_found"},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSupabaseErrors checks the codes that the SDK reads from refusals, and from what is not served.
func TestSupabaseErrors(t *testing.T) {
	t.Parallel()
	w := movedIn(t)
	var o map[string]string
	w.supabase("errors", &o)
	want := map[string]string{
		"unknown": "refresh_token_not_found", "malformed": "validation_failed", "used": "refresh_token_already_used", "ended": "refresh_token_already_used",
		"password": "not_served", "signUp": "not_served", "otp": "not_served",
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSupabaseAutomatic checks that an app which starts with an old session refreshes it by itself, and that one
// whose session is unknown here is signed out.
func TestSupabaseAutomatic(t *testing.T) {
	t.Parallel()
	w := movedIn(t)
	var o struct {
		Seen   []string
		Stored bool
		Events []string
		Gone   []any
	}
	w.supabase("automatic", &o)
	checkSeen(t, o.Seen, 1)
	if diff := cmp.Diff([]any{nil, nil}, o.Gone); !o.Stored || diff != "" || strings.Contains(strings.Join(o.Events, " "), "SIGNED_OUT") {
		t.Errorf("it is stored: %t, the events were %v, and an unknown session: %s", o.Stored, o.Events, diff)
	}
}

// TestSupabaseTabs checks that three tabs of one browser, which share what is stored, race and all end with
// the same session, again and again.
func TestSupabaseTabs(t *testing.T) {
	t.Parallel()
	w := movedIn(t)
	profile, cancel := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext())
	defer cancel()
	first := w.tab(profile, "start")
	if first["stored"] != oldToken(0) {
		t.Fatalf("the app starts with %v", first)
	}
	const rounds = 5
	held := map[any]bool{}
	for range rounds {
		tabs := make(chan map[string]any, 3)
		for range 3 {
			ctx, cancel := chromedp.NewContext(profile)
			defer cancel()
			go func() {
				if err := chromedp.Do(ctx, chromedp.Navigate(w.app.URL+"/pages/supabase.html?case=tab")); err != nil {
					tabs <- map[string]any{"failure": err.Error()}
				}
			}()
			go func() { tabs <- w.report() }()
		}
		token := any(nil)
		for range 3 {
			o := <-tabs
			if o["failure"] != nil {
				t.Fatalf("a tab failed: %v", o["failure"])
			}
			if token == nil {
				token = o["stored"]
			}
			if o["stored"] != token || o["session"] != token || o["user"] != "alice@example.com" || o["signedOut"] != false {
				t.Errorf("a tab has another session, or none: %s", secrets.ReplaceAllString(fmt.Sprint(o), "[SECRET]"))
			}
		}
		if !secrets.MatchString(fmt.Sprint(token)) || held[token] {
			t.Error("the tabs have no new token")
		}
		held[token] = true
		w.later()
		w.tab(profile, "expire")
	}
	if n := len(held); n != rounds {
		t.Errorf("%d tokens in %d rounds", n, rounds)
	}
	active := 0
	for _, f := range w.families() {
		if f.Counter > 0 {
			active++
			if f.Status != "active" || f.Counter != rounds {
				t.Errorf("the family is %s at token %d", f.Status, f.Counter)
			}
		}
	}
	if active != 1 {
		t.Errorf("%d families were used", active)
	}
	if o := w.tab(profile, "leave"); o["stored"] != nil || o["failure"] != nil {
		t.Errorf("after a logout there is %v", o)
	}
	for _, f := range w.families() {
		if f.Status != "revoked" {
			t.Errorf("after a logout a family is %s", f.Status)
		}
	}
}

// tab opens the page in a new tab of the profile, in a case, and returns its report.
func (w *world) tab(profile context.Context, name string) map[string]any {
	w.t.Helper()
	ctx, cancel := chromedp.NewContext(profile)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(w.app.URL+"/pages/supabase.html?case="+name)); err != nil {
		w.t.Fatal(err)
	}
	return w.report()
}

// report returns the next report of a page.
func (w *world) report() (o map[string]any) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case text := <-w.reports:
		if err := json.Unmarshal(text, &o); err != nil {
			return map[string]any{"failure": err.Error()}
		}
		return o
	case <-timeout.C:
		return map[string]any{"failure": "no report"}
	}
}
