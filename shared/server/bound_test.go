package server_test

import (
	"net/http"
	"testing"
	"time"
)

// granted checks what an answer of the token endpoint grants: its scope, the scope of the
// access token, and whether there is an ID token.
func (a answer) granted(t testing.TB, want string, openID bool) {
	t.Helper()
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		t.Fatal(a)
	}
	scope, given := a.json["scope"].(string)
	if !given || scope != want {
		t.Errorf("the scope is %q (%t), not %q", scope, given, want)
	}
	_, claims := decodeJWT(t, a.text("access_token"))
	if claim, given := claims["scope"]; want == "" && given || want != "" && claim != want {
		t.Errorf("the access token's scope is %q, not %q", claim, want)
	}
	if (a.text("id_token") != "") != openID {
		t.Errorf("the id token: %t", !openID)
	}
}

// TestScopeOfTheClientBoundsRefreshes checks that a scope taken from a client is left out of
// its families' answers from the next refresh on, whether that refresh rotates or is held.
func TestScopeOfTheClientBoundsRefreshes(t *testing.T) {
	const all = `{"type":"public","scope":"openid read write admin"}`
	w := newWorld(t)
	w.putClient("app", all)
	a := w.issue(`{"user_id":"u","client_id":"app"}`)
	a.granted(t, "openid read write admin", true)
	a = w.refresh(a.text("refresh_token"))
	a.granted(t, "openid read write admin", true)
	newest := a.text("refresh_token")

	w.putClient("app", `{"type":"public","scope":"write openid read new"}`)
	for range 2 { // held
		a = w.refresh(newest)
		a.granted(t, "openid read write", true)
	}
	w.clock.Advance(time.Minute)
	a = w.refresh(newest) // rotated
	a.granted(t, "openid read write", true)
	previous, newest := newest, a.text("refresh_token")
	w.refresh(previous).granted(t, "openid read write", true)
	w.refresh(newest, "scope", "write").granted(t, "write", false)

	// The other scopes return with the client's; a scope that the login never granted does
	// not.
	w.putClient("app", all)
	w.refresh(newest).granted(t, "openid read write admin", true)
	w.putClient("app", `{"type":"public"}`)
	w.refresh(newest).granted(t, "openid read write admin", true)

	// A family without any scope left is still refreshed.
	w.putClient("app", `{"type":"public","scope":"other"}`)
	a = w.refresh(newest)
	a.granted(t, "", false)
	w.clock.Advance(time.Minute)
	w.refresh(newest).granted(t, "", false)
	// A new login is granted what the client has now.
	w.issue(`{"user_id":"u","client_id":"app"}`).granted(t, "other", false)
}

// TestScopeOfTheClientGrantsNothing checks that a family without a granted scope gets none,
// whatever scopes its client has.
func TestScopeOfTheClientGrantsNothing(t *testing.T) {
	w := newWorld(t)
	a := w.issue(`{"user_id":"u","client_id":"app"}`)
	w.putClient("app", `{"type":"public","scope":"read"}`)
	a = w.refresh(a.text("refresh_token"))
	if _, given := a.json["scope"]; a.status != http.StatusOK || given {
		t.Errorf("got %v", a)
	}
	w.refresh(a.text("refresh_token"), "scope", "read").is(t, http.StatusBadRequest, "invalid_scope")
}

// TestScopeThatTheClientLost checks that a request for a scope that the client no longer has
// is refused before the store is asked for anything.
func TestScopeThatTheClientLost(t *testing.T) {
	for _, interval := range []string{"60", "0"} {
		w := newWorld(t)
		w.putClient("app", `{"type":"public","scope":"read write","policy":{"reuse_interval":`+interval+`}}`)
		a := w.issue(`{"user_id":"u","client_id":"app"}`)
		tok, id := a.text("refresh_token"), a.text("family")
		w.putClient("app", `{"type":"public","scope":"read","policy":{"reuse_interval":`+interval+`}}`)
		w.refresh("none")
		w.store.Counted()
		for _, ask := range []string{"write", "read write"} {
			w.refresh(tok, "scope", ask).is(t, http.StatusBadRequest, "invalid_scope")
		}
		if calls := w.store.Counted(); len(calls) != 0 {
			t.Errorf("the store was asked %v", calls)
		}
		if w.counter(id) != 1 {
			t.Errorf("the counter is %d", w.counter(id))
		}
		w.refresh(tok, "scope", "read").granted(t, "read", false)
	}
}

// TestScopeOfTheClientReachesOtherServers checks that a changed scope reaches other servers
// within a minute.
func TestScopeOfTheClientReachesOtherServers(t *testing.T) {
	w := newWorld(t, servers(2))
	w.putClient("app", `{"type":"public","scope":"read write"}`)
	tok := w.issue(`{"user_id":"u","client_id":"app"}`).text("refresh_token")
	tok = w.rotate(tok)
	if a := w.sendTo(1, http.MethodPut, "/v1/clients/app", jsonType, `{"type":"public","scope":"read"}`); a.status != http.StatusOK {
		t.Fatal(a)
	}
	w.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm(tok)).granted(t, "read", false)
	w.clock.Advance(59 * time.Second)
	w.refresh(tok).granted(t, "read write", false)
	w.clock.Advance(2 * time.Second)
	w.refresh(tok).granted(t, "read", false)
}

// TestIntrospectionIsBoundByTheClient checks that introspection of a refresh token shows the
// scope that a refresh would grant. An access token keeps the scope that it was signed with.
func TestIntrospectionIsBoundByTheClient(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	w.putClient("web", `{"type":"confidential","scope":"read write"}`)
	a := w.issue(`{"user_id":"u","client_id":"web"}`)
	w.putClient("web", `{"type":"confidential","scope":"write"}`)
	for tok, want := range map[string]string{a.text("refresh_token"): "write", a.text("access_token"): "read write"} {
		got := w.send(http.MethodPost, "/oauth/introspect", formType, form("token", tok), "Authorization", basic("web", secret))
		if got.json["active"] != true || got.text("scope") != want {
			t.Errorf("got %v, not %q", got, want)
		}
	}
}
