package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// leaving is a client with addresses after a logout.
const leaving = `{"type":"public","scope":"openid","redirect_uris":["https://app.example.com/callback"],
	"post_logout_redirect_uris":["https://app.example.com/","https://app.example.com/bye?a=b","http://127.0.0.1/bye","com.example.app:/bye"]}`

const home = "https://app.example.com/"

// leave is a world with a client that logs out.
type leave struct {
	*world
	t *testing.T
}

func newLeave(t *testing.T) leave {
	w := newWorld(t)
	w.putClient("app", leaving)
	return leave{w, t}
}

// start starts a family of u and returns it with its id token.
func (w leave) start() (family, idToken string) {
	w.t.Helper()
	a := w.issue(`{"user_id":"u","client_id":"app"}`)
	if a.text("id_token") == "" {
		w.t.Fatalf("there is no id token in %v", a)
	}
	return a.text("family"), a.text("id_token")
}

// logout leads a browser to a path with these parameters, in pairs.
func (w leave) logout(method, path string, pairs ...string) answer {
	w.t.Helper()
	if method == http.MethodPost {
		return w.send(method, path, formType, form(pairs...))
	}
	return w.send(method, path+"?"+form(pairs...), "", "")
}

// ended checks how a family has ended, "" if it is alive.
func (w leave) ended(family, cause string) {
	w.t.Helper()
	if got := w.family(family).text("cause"); got != cause {
		w.t.Errorf("the cause is %q, not %q", got, cause)
	}
}

// entrances are the ways to log out, with the name that each has for the address.
var entrances = []struct{ method, path, address string }{
	{http.MethodGet, "/oauth/logout", "post_logout_redirect_uri"},
	{http.MethodPost, "/oauth/logout", "post_logout_redirect_uri"},
	{http.MethodGet, "/v2/logout", "returnTo"},
}

// TestLogout checks that a logout ends the family of its id token, once, records it as a
// revocation does, and goes on to the address of the app with the state.
func TestLogout(t *testing.T) {
	for _, e := range entrances {
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			w := newLeave(t)
			family, hint := w.start()
			other, _ := w.start()
			for _, age := range []time.Duration{0, time.Minute, 3 * time.Hour} { // the last is longer than an id token lives
				w.clock.Advance(age)
				a := w.logout(e.method, e.path, "id_token_hint", hint, e.address, home, "state", "a b&c", "logout_hint", "alice", "ui_locales", "de", "ui_locales", "en")
				a.leads(t, http.StatusSeeOther, home+"?state=a+b%26c")
				w.ended(family, "revoked_by_client")
			}
			w.ended(other, "")
			logged := w.logged("srrt")
			if len(logged) != 1 || logged[0]["cause"] != "revoked_by_client" || logged[0]["userId"] != "u" || logged[0]["clientId"] != "app" || logged[0]["familyId"] != family {
				t.Errorf("logged are %v", logged)
			}
			if n := w.storedEvents("srrt"); n != 1 {
				t.Errorf("%d events are stored", n)
			}
			if strings.Contains(w.log.String(), hint) {
				t.Error("the id token is in the log")
			}
		})
	}
}

// TestLogoutAddresses checks where a logout leads: to the letter where the client has registered
// it, and else nowhere, with nothing ended.
func TestLogoutAddresses(t *testing.T) {
	w := newLeave(t)
	for _, tt := range []struct{ address, state, want string }{
		{home, "", home},
		{home, "x", home + "?state=x"},
		{"https://app.example.com/bye?a=b", "x", "https://app.example.com/bye?a=b&state=x"},
		{"http://127.0.0.1:5000/bye", "\r\nx", "http://127.0.0.1:5000/bye?state=%0D%0Ax"},
		{"com.example.app:/bye", "x", "com.example.app:/bye?state=x"},
		{home, strings.Repeat("x", 2048), home + "?state=" + strings.Repeat("x", 2048)},

		{"https://app.example.com", "", ""},
		{"https://app.example.com/?", "", ""},
		{"https://app.example.com/callback", "", ""},
		{"https://app.example.com.evil.example/", "", ""},
		{"https://evil.example/", "", ""},
		{"//evil.example/", "", ""},
		{"javascript:alert(1)", "", ""},
		{"http://localhost:5000/bye", "", ""},
		{"https://app.example.com/\r\nSet-Cookie: a=b", "", ""},
	} {
		for _, e := range entrances {
			family, hint := w.start()
			for _, pairs := range [][]string{{"client_id", "app"}, {"id_token_hint", hint}, {"id_token_hint", hint, "client_id", "app"}} {
				a := w.logout(e.method, e.path, append(pairs, e.address, tt.address, "state", tt.state)...)
				switch {
				case tt.want != "":
					a.leads(t, http.StatusSeeOther, tt.want)
				case a.status != http.StatusBadRequest || a.header.Get("Location") != "" ||
					a.body != `{"error":"invalid_request","error_description":"`+e.address+` is not registered for this client."}`+"\n":
					t.Errorf("%q: %v", tt.address, a)
				}
				if tt.want == "" || pairs[0] == "client_id" {
					w.ended(family, "")
				} else {
					w.ended(family, "revoked_by_client")
				}
			}
		}
	}
}

// TestRefusedLogoutEndsNothing checks each error of a logout to the byte, and that nothing has
// ended and no browser is led anywhere.
func TestRefusedLogoutEndsNothing(t *testing.T) {
	w := newLeave(t)
	w.putClient("other", `{"type":"public","post_logout_redirect_uris":["https://other.example.com/"]}`)
	issued := w.issue(`{"user_id":"u","client_id":"app"}`)
	family, hint := issued.text("family"), issued.text("id_token")
	parts := strings.Split(hint, ".")
	sign := func(set *signing.Set, change func(*signing.ID)) string {
		now := w.clock.Now()
		id := signing.ID{Issuer: w.servers[0].URL, Subject: "u", ClientID: "app", SessionID: issued.text("sid"), IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
		change(&id)
		signed, err := set.SignID(now, id)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	foreign, err := keyring.Generate(signing.ES256, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	source, err := keyring.Local(foreign)
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := source.Keys(t.Context(), w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	const (
		badHint  = "id_token_hint is not an id token of this service."
		notThere = "post_logout_redirect_uri is not registered for this client."
	)
	for _, tt := range []struct {
		name  string
		pairs []string
		want  string
	}{
		{"an access token", []string{"id_token_hint", issued.text("access_token"), "post_logout_redirect_uri", home}, badHint},
		{"a refresh token", []string{"id_token_hint", issued.text("refresh_token"), "post_logout_redirect_uri", home}, badHint},
		{"a text", []string{"id_token_hint", "x", "post_logout_redirect_uri", home}, badHint},
		{"no signature", []string{"id_token_hint", parts[0] + "." + parts[1] + ".", "post_logout_redirect_uri", home}, badHint},
		{"another spelling", []string{"id_token_hint", hint + "=", "post_logout_redirect_uri", home}, badHint},
		{"keys of others", []string{"id_token_hint", sign(strangers.Signing, func(*signing.ID) {}), "post_logout_redirect_uri", home}, badHint},
		{"another issuer", []string{"id_token_hint", sign(w.keys.Signing, func(i *signing.ID) { i.Issuer = "https://evil.example" }), "post_logout_redirect_uri", home}, badHint},
		{"another client", []string{"id_token_hint", hint, "client_id", "other", "post_logout_redirect_uri", "https://other.example.com/"}, "client_id is not the client of id_token_hint."},
		{"another client's address", []string{"id_token_hint", hint, "post_logout_redirect_uri", "https://other.example.com/"}, notThere},
		{"another client's address, without an id token", []string{"client_id", "app", "post_logout_redirect_uri", "https://other.example.com/"}, notThere},
		{"an unknown client", []string{"client_id", "nobody", "post_logout_redirect_uri", home}, notThere},
		{"no client id", []string{"client_id", "a b", "post_logout_redirect_uri", home}, notThere},
		{"nobody's address", []string{"post_logout_redirect_uri", home}, "client_id or id_token_hint is missing: it says whose address post_logout_redirect_uri is."},
		{"a long state", []string{"id_token_hint", hint, "post_logout_redirect_uri", home, "state", strings.Repeat("x", 2049)}, "state is longer than 2 KiB."},
		{"two id tokens", []string{"id_token_hint", hint, "id_token_hint", hint}, "id_token_hint is repeated."},
		{"two clients", []string{"client_id", "app", "client_id", "app"}, "client_id is repeated."},
		{"two addresses", []string{"id_token_hint", hint, "post_logout_redirect_uri", home, "post_logout_redirect_uri", home}, "post_logout_redirect_uri is repeated."},
		{"two states", []string{"id_token_hint", hint, "state", "a", "state", "b"}, "state is repeated."},
		{"no UTF-8", []string{"id_token_hint", hint, "state", "\xff"}, "A parameter is not UTF-8."},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := w.logout(method, "/oauth/logout", tt.pairs...)
			if want := fmt.Sprintf(`{"error":"invalid_request","error_description":%q}`+"\n", tt.want); a.status != http.StatusBadRequest || a.body != want || a.header.Get("Location") != "" {
				t.Errorf("%s %s: %v", method, tt.name, a)
			}
		}
	}
	for _, tt := range []struct {
		name, method, query, contentType, body string
		status                                 int
		want                                   string
	}{
		{"a malformed query", http.MethodGet, "?id_token_hint=%zz", "", "", http.StatusBadRequest, "The query string is malformed."},
		{"a long query", http.MethodGet, "?x=" + strings.Repeat("x", 8<<10), "", "", http.StatusRequestURITooLong, "The query string is longer than 8 KiB."},
		{"JSON", http.MethodPost, "", jsonType, object("id_token_hint", hint), http.StatusBadRequest, "Content-Type must be application/x-www-form-urlencoded."},
		{"no form", http.MethodPost, "", formType, "a=%zz", http.StatusBadRequest, "The request body is not form-encoded."},
		{"a long form", http.MethodPost, "", formType, "x=" + strings.Repeat("x", 17<<10), http.StatusRequestEntityTooLarge, "The request body is larger than 16 KiB."},
		{"another method", http.MethodDelete, "?id_token_hint=" + hint, "", "", http.StatusMethodNotAllowed, "The method is not allowed here. See the Allow header."},
	} {
		a := w.send(tt.method, "/oauth/logout"+tt.query, tt.contentType, tt.body)
		if want := fmt.Sprintf(`{"error":"invalid_request","error_description":%q}`+"\n", tt.want); a.status != tt.status || a.body != want {
			t.Errorf("%s: %v", tt.name, a)
		}
	}
	a := w.send(http.MethodGet, "/v2/logout?x="+strings.Repeat("x", 8<<10), "", "")
	if a.status != http.StatusRequestURITooLong || a.body != `{"error":"invalid_request","error_description":"The query string is longer than 8 KiB."}`+"\n" {
		t.Errorf("a long query at /v2/logout: %v", a)
	}
	w.ended(family, "")
	if logged := w.logged("srrt"); len(logged) != 0 {
		t.Errorf("logged are %v", logged)
	}
	// A hint of a family that never was, or was purged, goes on.
	for _, session := range []string{"01M8GAJ5KKYWW40K4KMERPD8GP", "x", ""} {
		unknown := sign(w.keys.Signing, func(i *signing.ID) { i.SessionID = session })
		w.logout(http.MethodGet, "/oauth/logout", "id_token_hint", unknown, "post_logout_redirect_uri", home).leads(t, http.StatusSeeOther, home)
	}
}

// TestLogoutOfADeletedClient checks that a logout ends the family of a client that was deleted,
// since it says so and the family would live again with its client.
func TestLogoutOfADeletedClient(t *testing.T) {
	w := newLeave(t)
	family, hint := w.start()
	if a := w.send(http.MethodDelete, "/v1/clients/app", "", ""); a.status != http.StatusNoContent {
		t.Fatal(a)
	}
	if a := w.logout(http.MethodGet, "/oauth/logout", "id_token_hint", hint, "post_logout_redirect_uri", home); a.status != http.StatusBadRequest {
		t.Errorf("to an address: %v", a)
	}
	w.ended(family, "")
	if a := w.logout(http.MethodGet, "/oauth/logout", "id_token_hint", hint); a.status != http.StatusOK || !strings.Contains(a.body, "You are signed out.") {
		t.Errorf("got %v", a)
	}
	w.putClient("app", leaving)
	w.ended(family, "revoked_by_client")
}

// TestLogoutOfAnotherSite checks that a page of another site, which has no id token, can lead a
// browser here by any method and ends nothing. A script may not read the answer.
func TestLogoutOfAnotherSite(t *testing.T) {
	w := newLeave(t)
	family, hint := w.start()
	from := []string{"Origin", "https://evil.example", "Referer", "https://evil.example/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}
	for _, e := range entrances {
		for _, pairs := range [][]string{{}, {"client_id", "app"}, {"client_id", "app", e.address, home}, {"client_id", "app", "logout_hint", "alice", "sid", w.family(family).text("family")}} {
			query, contentType, body := "?"+form(pairs...), "", ""
			if e.method == http.MethodPost {
				query, contentType, body = "", formType, form(pairs...)
			}
			a := w.send(e.method, e.path+query, contentType, body, from...)
			if a.status != http.StatusSeeOther && a.status != http.StatusOK {
				t.Errorf("%s %s %v: %v", e.method, e.path, pairs, a)
			}
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s %s has CORS: %v", e.method, e.path, a.header)
				}
			}
		}
		if a := w.send(http.MethodOptions, e.path, "", "", "Origin", "https://evil.example", "Access-Control-Request-Method", e.method); a.status != http.StatusMethodNotAllowed {
			t.Errorf("a preflight of %s: %v", e.path, a)
		}
	}
	// A program that looks where a link leads does not follow it.
	if a := w.send(http.MethodHead, "/oauth/logout?"+form("id_token_hint", hint, "post_logout_redirect_uri", home), "", ""); a.status != http.StatusSeeOther {
		t.Errorf("HEAD: %v", a)
	}
	w.ended(family, "")
}

// TestSignedOutPage checks the pages of a logout without an address: they say what happened, and
// run nothing.
func TestSignedOutPage(t *testing.T) {
	w := newLeave(t)
	for _, e := range entrances {
		_, hint := w.start()
		for want, pairs := range map[string][]string{
			"<p>You are signed out.</p>":                               {"id_token_hint", hint, "state", "<script>"},
			"<p>The app named no session, so none was ended here.</p>": {"client_id", "app"},
		} {
			a := w.logout(e.method, e.path, pairs...)
			if a.status != http.StatusOK || !strings.Contains(a.body, want) || strings.Contains(a.body, "script") {
				t.Errorf("%s %s: %v", e.method, e.path, a)
			}
			for name, value := range map[string]string{
				"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
				"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
			} {
				if got := a.header.Get(name); got != value {
					t.Errorf("%s is %q", name, got)
				}
			}
		}
	}
}

// TestLogoutFaults checks that a logout which goes on has ended the family, and that any other is
// a 503 that works when tried again. Whatever fails, one event is stored.
func TestLogoutFaults(t *testing.T) {
	parallel(t)
	for name, fault := range everyFault() {
		for _, times := range []int{1, 100} {
			t.Run(fmt.Sprintf("%s, %d times", name, times), func(t *testing.T) {
				t.Parallel()
				w := newLeave(t)
				for call := 1; ; call++ {
					family, hint := w.start()
					w.clock.Advance(2 * time.Hour) // so that the client is read again, and the copy is too old to be used
					before, logged := w.storedEvents("srrt"), len(w.logged("srrt"))
					w.store.Break(func(n int, _ string) storetest.Fault {
						if n >= call && n < call+times {
							return fault
						}
						return storetest.None
					})
					a := w.logout(http.MethodPost, "/oauth/logout", "id_token_hint", hint, "post_logout_redirect_uri", home)
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						if call != 4 { // reads the client, reads the family, writes the transaction
							t.Errorf("%d requests were broken", call-1)
						}
						return
					}
					revoked := w.family(family).text("status") == "revoked"
					switch {
					case a.status == http.StatusSeeOther && revoked:
						if n := len(w.logged("srrt")) - logged; n != 1 {
							t.Errorf("call %d broken: %d lines", call, n)
						}
					case a.status == http.StatusSeeOther || !a.unavailable() || a.header.Get("Location") != "":
						t.Errorf("call %d broken: %v, and revoked is %v", call, a, revoked)
					case times == 1:
						t.Errorf("call %d broken once: %v", call, a)
					}
					w.logout(http.MethodPost, "/oauth/logout", "id_token_hint", hint, "post_logout_redirect_uri", home).leads(t, http.StatusSeeOther, home)
					w.ended(family, "revoked_by_client")
					if n := w.storedEvents("srrt") - before; n != 1 {
						t.Errorf("call %d broken: %d events are stored", call, n)
					}
				}
			})
		}
	}
	t.Run("no keys", func(t *testing.T) {
		w := newLeave(t)
		family, hint := w.start()
		_, broken := w.another(w.store.Table(), brokenKeys{})
		if a := w.sendTo(broken, http.MethodGet, "/oauth/logout?"+form("id_token_hint", hint), "", ""); !a.unavailable() {
			t.Error(a)
		}
		w.ended(family, "")
		w.sendTo(broken, http.MethodGet, "/oauth/logout?"+form("client_id", "app", "post_logout_redirect_uri", home), "", "").leads(t, http.StatusSeeOther, home)
	})
}

// TestLogoutWithACodesToken checks that the id token of a code logs out, and that a later logout
// of the same token leaves the families of the next login alone.
func TestLogoutWithACodesToken(t *testing.T) {
	w := newLeave(t)
	first := w.exchange(w.code("scope", "openid"))
	to := w.logout(http.MethodGet, "/v2/logout", "client_id", "app", "returnTo", home, "id_token_hint", first.text("id_token"), "auth0Client", "e30=", "federated", "")
	to.leads(t, http.StatusSeeOther, home)
	w.dead(first.text("refresh_token"), "revoked_by_client")
	second := w.exchange(w.code("scope", "openid"))
	w.logout(http.MethodGet, "/oauth/logout", "id_token_hint", first.text("id_token"), "post_logout_redirect_uri", home).leads(t, http.StatusSeeOther, home)
	w.rotate(second.text("refresh_token"))
}

// TestLogoutAfterALeak checks that an id token under a revoked key ends nothing: anyone who
// has the key could end anybody's family.
func TestLogoutAfterALeak(t *testing.T) {
	plain, v := newVaultWorld(t, 1, oneIssuer())
	plain.putClient("app", leaving)
	w := leave{plain, t}
	family, hint := w.start()
	if !v.document().Signing[0].Revoked.IsZero() || kid(t, hint) != v.document().Signing[0].JWK.KeyID {
		t.Fatal("the id token has another key")
	}
	w.clock.Advance(time.Minute)
	v.emergency(w.clock.Now(), keyring.Leak{Signing: []string{kid(t, hint)}})
	w.clock.Advance(10 * time.Minute) // and the server has read the keys again
	a := w.logout(http.MethodGet, "/oauth/logout", "id_token_hint", hint)
	if a.status != http.StatusBadRequest || a.body != `{"error":"invalid_request","error_description":"id_token_hint is not an id token of this service."}`+"\n" {
		t.Error(a)
	}
	w.ended(family, "")
	later, fresh := w.start()
	w.logout(http.MethodGet, "/oauth/logout", "id_token_hint", fresh, "post_logout_redirect_uri", home).leads(t, http.StatusSeeOther, home)
	w.ended(later, "revoked_by_client")
}
