package server_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// everyFault returns the ways in which a call to the store can fail. Where that is slow, it
// returns two: a call that was not applied, and one that was.
func everyFault() map[string]storetest.Fault {
	faults := map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost}
	if !storetest.Slow() {
		faults["throttled"], faults["no answer"] = storetest.Throttled, storetest.Timeout
	}
	return faults
}

// TestRevocationFaults checks that a logout which was answered 200 has ended the family, and
// that any other is a 503 that works when tried again. Whatever fails, one event is stored.
func TestRevocationFaults(t *testing.T) {
	parallel(t)
	for name, fault := range everyFault() {
		for _, times := range []int{1, 100} { // faults that the SDK's retries make up for, and longer ones
			t.Run(fmt.Sprintf("%s, %d times", name, times), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				for _, kind := range []string{"refresh_token", "access_token"} {
					for call := 1; ; call++ {
						issued := w.issue(`{"user_id":"u","client_id":"app"}`)
						w.clock.Advance(2 * time.Hour) // so that the client is read again, and the copy is too old to be used
						before := w.storedEvents("srrt")
						logged := len(w.logged("srrt"))
						body := form("client_id", "app", "token", issued.text(kind))
						w.store.Break(func(n int, _ string) storetest.Fault {
							if n >= call && n < call+times {
								return fault
							}
							return storetest.None
						})
						a := w.send(http.MethodPost, "/oauth/revoke", formType, body)
						reached := len(w.store.Counted()) >= call
						w.store.Break(nil)
						if !reached {
							if call < 4 { // reads the client, reads the family, writes the transaction
								t.Errorf("%d requests were broken", call-1)
							}
							break
						}
						revoked := w.family(issued.text("family")).text("status") == "revoked"
						switch {
						case a.status == http.StatusOK && revoked:
							if n := len(w.logged("srrt")) - logged; n != 1 {
								t.Errorf("%s, call %d broken: %d lines", kind, call, n)
							}
						case a.status == http.StatusOK || !a.unavailable():
							t.Errorf("%s, call %d broken: %v, and revoked is %v", kind, call, a, revoked)
						case times == 1:
							t.Errorf("%s, call %d broken once: %v", kind, call, a)
						}
						if a := w.send(http.MethodPost, "/oauth/revoke", formType, body); a.status != http.StatusOK {
							t.Errorf("%s, mended: %v", kind, a)
						}
						if f := w.family(issued.text("family")); f.text("cause") != "revoked_by_client" {
							t.Errorf("%s, mended: the family is %v", kind, f)
						}
						if n := w.storedEvents("srrt") - before; n != 1 {
							t.Errorf("%s, call %d broken: %d events are stored", kind, call, n)
						}
					}
				}
			})
		}
	}
}

// TestIntrospectionFaults checks that introspection answers 503 if it cannot read what it
// needs, and never "inactive", which would make a resource server turn a user away. A
// gateway's introspection reads two clients and the family.
func TestIntrospectionFaults(t *testing.T) {
	parallel(t)
	for name, fault := range everyFault() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.putClient("gateway", `{"type":"confidential","may_introspect":true}`)
			w.putClient("web", `{"type":"confidential","policy":{"access_token_lifetime":86400}}`)
			secrets := map[string]string{"web": w.addSecret("web"), "gateway": w.addSecret("gateway")}
			issued := w.issue(`{"user_id":"u","client_id":"web"}`)
			for _, ask := range []struct {
				client, kind string
				reads        int
			}{{"web", "refresh_token", 2}, {"web", "access_token", 2}, {"gateway", "access_token", 3}} {
				for call := 1; ; call++ {
					w.clock.Advance(time.Hour + time.Minute) // so that no copy of a client can be used
					w.store.Break(func(n int, _ string) storetest.Fault {
						if n >= call {
							return fault
						}
						return storetest.None
					})
					a := w.introspectAs(ask.client, secrets[ask.client], issued.text(ask.kind))
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						if call != ask.reads+1 || a.json["active"] != true {
							t.Errorf("%s of %s: %d requests, %v", ask.kind, ask.client, call-1, a)
						}
						break
					}
					if !a.unavailable() {
						t.Errorf("%s by %s, call %d broken: %v", ask.kind, ask.client, call, a)
					}
				}
			}
		})
	}
}

// introspectAs introspects a token as a client.
func (w *world) introspectAs(client, secret, tok string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/introspect", formType, form("token", tok), "Authorization", basic(client, secret))
}

// TestRevocationDuringARevocation checks that of two simultaneous logouts both are answered
// 200, and one is recorded.
func TestRevocationDuringARevocation(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	body := form("client_id", "app", "token", tok)
	server := w.meanwhile(1, "TransactWriteItems", func() { w.also(http.StatusOK, http.MethodPost, "/oauth/revoke", formType, body) })
	if a := w.sendTo(server, http.MethodPost, "/oauth/revoke", formType, body); a.status != http.StatusOK {
		t.Errorf("got %v", a)
	}
	if logged, stored := len(w.logged("srrt")), w.storedEvents("srrt"); logged != 1 || stored != 1 {
		t.Errorf("%d lines, %d events", logged, stored)
	}
	if f := w.family(id); f.text("cause") != "revoked_by_client" {
		t.Errorf("the family is %v", f)
	}
}

// TestRevocationOfAnothersToken checks that a client which asked for 403 as the status of dead
// tokens still gets 400 for a token of another client, as that token is not dead.
func TestRevocationOfAnothersToken(t *testing.T) {
	w := newWorld(t)
	w.putClient("forbids", `{"type":"public","preset":"auth0"}`)
	issued := w.issue(`{"user_id":"u","client_id":"app"}`)
	for _, kind := range []string{"refresh_token", "access_token"} {
		a := w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "forbids", "token", issued.text(kind)))
		a.is(t, http.StatusBadRequest, "invalid_grant")
	}
	if f := w.family(issued.text("family")); f.text("status") != "active" || len(w.logged("srrt")) != 0 {
		t.Errorf("the family is %v", f)
	}
}

// TestIntrospectionOfAnEndlessFamily checks that introspection leaves out what the family does
// not have: an end, or a scope.
func TestIntrospectionOfAnEndlessFamily(t *testing.T) {
	w := newWorld(t)
	w.putClient("web", `{"type":"confidential","preset":"supabase"}`)
	secret := w.addSecret("web")
	issued := w.issue(`{"user_id":"u","client_id":"web"}`)
	_, claims := decodeJWT(t, issued.text("access_token"))
	want := map[string]any{
		"active": true, "client_id": "web", "sub": "u", "iss": w.servers[0].URL, "sid": claims["sid"], "iat": float64(w.clock.Now().Unix()),
	}
	if diff := cmp.Diff(want, w.introspectAs("web", secret, issued.text("refresh_token")).json); diff != "" {
		t.Errorf("a refresh token (-want +got):\n%s", diff)
	}
	want["token_type"], want["aud"], want["jti"], want["exp"] = "Bearer", w.servers[0].URL, claims["jti"], want["iat"].(float64)+3600
	if diff := cmp.Diff(want, w.introspectAs("web", secret, issued.text("access_token")).json); diff != "" {
		t.Errorf("an access token (-want +got):\n%s", diff)
	}
}

// TestTokensFromAheadOfTheClock checks that a server whose clock is behind accepts a token
// that another has just made: introspection shows it as active, and a logout ends its family.
func TestTokensFromAheadOfTheClock(t *testing.T) {
	var clocks movable
	w := newWorld(t, servers(2), skewed(clocks.of), oneIssuer())
	secret := w.addSecret("web")
	for _, behind := range []time.Duration{time.Second, time.Minute, time.Hour} {
		clocks.by[1].Store(int64(-behind))
		for _, kind := range []string{"refresh_token", "access_token"} {
			issued := w.issue(`{"user_id":"u","client_id":"web"}`)
			a := w.sendTo(1, http.MethodPost, "/oauth/introspect", formType, form("token", issued.text(kind)), "Authorization", basic("web", secret))
			if a.json["active"] != true {
				t.Errorf("%s, behind by %v: introspection says %v", kind, behind, a)
			}
			a = w.sendTo(1, http.MethodPost, "/oauth/revoke", formType, form("token", issued.text(kind)), "Authorization", basic("web", secret))
			if f := w.family(issued.text("family")); a.status != http.StatusOK || f.text("cause") != "revoked_by_client" {
				t.Errorf("%s, behind by %v: %v, and the family is %v", kind, behind, a, f)
			}
		}
		a := w.sendTo(1, http.MethodGet, "/.well-known/jwks.json", "", "")
		if b := w.send(http.MethodGet, "/.well-known/jwks.json", "", ""); a.status != http.StatusOK || a.body != b.body {
			t.Errorf("behind by %v it publishes %v", behind, a)
		}
	}
}
