package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// introspecting makes "app" a confidential client that accepts imported tokens.
func (w *world) introspecting() {
	w.t.Helper()
	w.putClient("app", `{"type":"confidential","accepts_imported":true}`)
	if w.secret == "" {
		w.secret = w.addSecret("app")
	}
}

// TestIntrospectForeign checks that introspection calls another provider's token active while a
// refresh with it would succeed, and that it changes nothing.
func TestIntrospectForeign(t *testing.T) {
	w := newWorld(t)
	w.introspecting()
	w.putClient("other", `{"type":"confidential","accepts_imported":true,"may_introspect":true}`)
	other := w.addSecret("other")
	old, now := foreignToken(1), w.clock.Now()
	id := w.importToken("u", old, "scope", "read")
	inactive := func(what string, a answer) {
		t.Helper()
		if a.status != http.StatusOK || a.body != `{"active":false}`+"\n" {
			t.Errorf("%s: %v", what, a)
		}
	}
	w.clock.Advance(time.Hour)
	a := w.introspectAs("app", w.secret, old)
	if a.json["active"] != true || a.text("sub") != "u" || a.text("client_id") != "app" || a.number("iat") != float64(now.Unix()) ||
		a.number("exp") != float64(now.Add(15*day).Unix()) || a.text("scope") != "read" || a.number("refresh_token_timeout") != (15*day-time.Hour).Seconds() || a.number("authorization_expires_in") != (30*day-time.Hour).Seconds() {
		t.Errorf("pending: %v", a)
	}
	inactive("another client's", w.introspectAs("other", other, old))
	inactive("unknown", w.introspectAs("app", w.secret, foreignToken(2)))
	if f := w.family(id); f.text("status") != "pending" {
		t.Fatalf("introspection changed the family: %v", f)
	}

	first := w.rotate(old)
	for _, tok := range []string{old, first} {
		if a := w.introspectAs("app", w.secret, tok); a.json["active"] != true {
			t.Errorf("inside the interval: %v", a)
		}
	}
	w.clock.Advance(time.Minute)
	inactive("superseded", w.introspectAs("app", w.secret, old))
	if n := len(w.logged("ferrt")); n != 0 {
		t.Errorf("introspection is logged as %d reuses", n)
	}
	second := w.rotate(first) // the family lives
	inactive("superseded twice", w.introspectAs("app", w.secret, old))
	w.send(http.MethodDelete, "/v1/families/"+id, "", "")
	inactive("revoked", w.introspectAs("app", w.secret, old))
	inactive("the newest of what is revoked", w.introspectAs("app", w.secret, second))

	w.importToken("u", foreignToken(3))
	w.clock.Advance(15 * day)
	inactive("at its idle end", w.introspectAs("app", w.secret, foreignToken(3)))
	w.importToken("u", foreignToken(4))
	w.putClient("app", `{"type":"confidential"}`)
	inactive("of a client that accepts none any more", w.introspectAs("app", w.secret, foreignToken(4)))
}

// TestRevokeForeign checks that a logout with another provider's token ends its family, also before
// the token was first used: an application that was not updated still holds it.
func TestRevokeForeign(t *testing.T) {
	for name, prepare := range map[string]func(w *world, old string){
		"pending":             func(*world, string) {},
		"inside the interval": func(w *world, old string) { w.rotate(old) },
		"superseded":          func(w *world, old string) { w.later(w.later(old)) },
	} {
		t.Run(name, func(t *testing.T) {
			w, old, id := foreignWorld(t)
			prepare(w, old)
			for range 2 { // the second time, it has ended already
				if a := w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", old)); a.status != http.StatusOK {
					t.Errorf("got %v", a)
				}
			}
			w.dead(old, family.RevokedByClient)
			w.explain("refresh_token", old).says(t, "dead", "revoked_by_client", "application revoked it")
			if f := w.family(id); f.text("cause") != "revoked_by_client" || w.storedEvents("srrt") != 1 || w.storedEvents("ferrt") != 0 {
				t.Errorf("the family is %v", f)
			}
		})
	}
	t.Run("of another client", func(t *testing.T) {
		w, old, id := foreignWorld(t)
		w.putClient("other", `{"type":"public","accepts_imported":true}`)
		w.putClient("plain", `{"type":"public"}`)
		for _, client := range []string{"other", "plain"} {
			w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", client, "token", old))
		}
		if a := w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", foreignToken(2))); a.status != http.StatusOK {
			t.Errorf("an unknown token got %v", a)
		}
		if f := w.family(id); f.text("status") != "pending" {
			t.Errorf("the family is %v", f)
		}
	})
}

// TestForeignFaults checks that a store which fails makes introspection and revocation of another
// provider's token fail. The token is neither called inactive nor taken for revoked.
func TestForeignFaults(t *testing.T) {
	for name, fault := range everyFault() {
		w := newWorld(t)
		w.introspecting()
		old := foreignToken(1)
		id := w.importToken("u", old)
		w.introspectAs("app", w.secret, old) // the client is read
		for _, path := range []string{"/oauth/introspect", "/oauth/revoke"} {
			for call := 1; ; call++ {
				w.store.Break(func(n int, _ string) storetest.Fault {
					if n >= call {
						return fault
					}
					return storetest.None
				})
				a := w.send(http.MethodPost, path, formType, form("token", old), "Authorization", basic("app", w.secret))
				reached := len(w.store.Counted()) >= call
				w.store.Break(nil)
				if !reached {
					if call < 3 {
						t.Errorf("%s made %d requests", path, call-1)
					}
					break
				}
				if !a.unavailable() && (path == "/oauth/introspect" || a.status != http.StatusOK) {
					t.Errorf("%s, %s, request %d: %v", name, path, call, a)
				}
				// What is answered is true of the family. A revocation whose answer was lost is done.
				if ended := w.family(id).text("cause"); ended != "" && path == "/oauth/introspect" || a.status == http.StatusOK && ended != "revoked_by_client" {
					t.Errorf("%s, %s, request %d: %v, the cause is %q", name, path, call, a, ended)
				}
			}
		}
		if f := w.family(id); f.text("cause") != "revoked_by_client" || w.storedEvents("srrt") != 1 {
			t.Errorf("%s: the family is %v", name, f)
		}
	}
}

// TestForeignStaysDead checks that no way to end a pending family leaves a token that works, and
// that importing the list again revives nobody.
func TestForeignStaysDead(t *testing.T) {
	for name, end := range map[string]struct {
		by    func(w *world, id string)
		cause family.Cause
	}{
		"one family":         {func(w *world, id string) { w.send(http.MethodDelete, "/v1/families/"+id, "", "") }, family.RevokedByAdmin},
		"all of the user":    {func(w *world, _ string) { w.bulk("user_id", "u") }, family.RevokedByAdmin},
		"a changed password": {func(w *world, _ string) { w.bulk("user_id", "u", "cause", "password_changed") }, family.PasswordChanged},
		"everywhere else": {func(w *world, _ string) {
			_, here := w.login()
			if a := w.send(http.MethodDelete, "/v1/families?user_id=u&except="+here, "", ""); a.status != http.StatusOK {
				w.t.Fatal(a)
			}
		}, family.RevokedByAdmin},
		"an erasure": {func(w *world, _ string) {
			if families, _ := w.erase("user_id=u"); families != 1 {
				w.t.Fatalf("%d families are erased", families)
			}
			w.nothingKept()
		}, family.Purged},
	} {
		t.Run(name, func(t *testing.T) {
			w, old, id := foreignWorld(t)
			end.by(w, id)
			w.dead(old, end.cause)
			w.explain("refresh_token", old).says(t, "dead", string(end.cause))
			for range 2 {
				got := w.importTokens(importRow("u", old), importRow("u", foreignToken(2)))
				if got[0] != (imported{"already", id}) || got[1].Family == id {
					t.Errorf("the second import has come to %v", got)
				}
			}
			if got := w.importTokens(importRow("v", old)); got[0].Result != "conflict" {
				t.Errorf("the import for somebody else has come to %v", got)
			}
			w.dead(old, end.cause)
			w.rotate(foreignToken(2)) // what else the list has is imported
		})
	}
}

// TestErasedForeign checks what the table keeps of an erased user who moved in: the item of the
// token, which has the user's key in the id of the family, and neither the token nor its hash.
func TestErasedForeign(t *testing.T) {
	w, old, id := foreignWorld(t)
	w.erase("user_id=u")
	contents, err := w.store.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := family.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	items := 0
	for _, value := range contents {
		if value == string(parsed[:]) {
			items++
		}
		if strings.Contains(value, old) || strings.Contains(value, hashOf(old)) || value == "u" {
			t.Errorf("the table has %q", value)
		}
	}
	if items != 1 {
		t.Errorf("%d items lead to the family", items)
	}
	if e := w.events("type=sdu"); len(e) != 1 || e[0]["erasedFamilies"] != 1.0 || e[0]["userKey"] != audit.EncodeUserKey(parsed.UserKey()) {
		t.Errorf("the event is %v", e)
	}
	// The item is deleted a year after the import.
	w.clock.Advance(366 * day)
	w.purge()
	w.dead(old, family.NeverImported)
	w.explain("refresh_token", old).says(t, "dead", "never_imported")
}

// TestChangePendingForeign checks that a change of a family that waits for its token is in effect at
// the first use, and that it can be excepted from a sign-out.
func TestChangePendingForeign(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true", `"scope":"read write"`)
	old := foreignToken(1)
	id := w.importToken("u", old, "scope", "read write")
	w.clock.Advance(time.Second)
	if a := w.send(http.MethodPatch, "/v1/families/"+id, jsonType, `{"scope":"read","claims":{"plan":"pro"},"device":"Pixel 9"}`); a.status != http.StatusOK {
		t.Fatal(a)
	}
	w.importToken("u", foreignToken(2))
	if a := w.send(http.MethodDelete, "/v1/families?user_id=u&except="+id, "", ""); a.status != http.StatusOK || a.number("revoked") != 1 {
		t.Errorf("everywhere else: %v", a)
	}
	w.dead(foreignToken(2), family.RevokedByAdmin)
	a := w.refresh(old)
	if a.text("scope") != "read" || a.claims(t)["plan"] != "pro" {
		t.Errorf("the first use got %v", a)
	}
	if f := w.family(id); f.text("device") != "Pixel 9" || f.text("status") != "active" {
		t.Errorf("the family is %v", f)
	}
}

// TestSweepOfForeign checks which families the limit ends where some wait for their tokens. They
// count as active. By the last use, the import is what counts of them, and by age as well.
func TestSweepOfForeign(t *testing.T) {
	for rule, ended := range map[string][]int{"least_recently_used": {1, 2}, "oldest": {0, 1}} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t)
			w.acceptImported("true", `"policy":{"max_active":2,"evict":"`+rule+`"}`)
			var ids []string
			for n := range 3 {
				ids = append(ids, w.importToken("u", foreignToken(n)))
				w.clock.Advance(time.Minute)
			}
			w.rotate(foreignToken(0)) // is in use, the others wait
			w.clock.Advance(time.Minute)
			_, here := w.login()
			if n := w.active(); n != 4 {
				t.Errorf("%d families are active", n)
			}
			if r := w.sweep(); r.Removed != 2 {
				t.Errorf("swept %+v", r)
			}
			for n, id := range ids {
				want := ""
				if n == ended[0] || n == ended[1] {
					want = "limit_exceeded"
				}
				if f := w.family(id); f.text("cause") != want {
					t.Errorf("%d: %v", n, f)
				}
			}
			if w.family(here).text("status") != "active" {
				t.Error("the newest login has ended")
			}
			w.dead(foreignToken(1), family.LimitExceeded)
			part := "one of the least recently used: it was imported on "
			if rule == "oldest" {
				part = "one of the oldest"
			}
			w.explain("refresh_token", foreignToken(1)).says(t, "dead", "limit_exceeded", part, "had 4 active families in client app")
		})
	}
}

// TestRestoredForeign checks a family whose record comes from a backup that is older than the first
// use of its token. Its newest token moves it ahead, and then the old one ends it.
func TestRestoredForeign(t *testing.T) {
	w, old, id := foreignWorld(t)
	backup, p := w.record(id), family.DefaultPolicy()
	second := w.later(w.rotate(old))
	w.clock.Advance(time.Minute)
	w.putBack(backup, &p)
	w.explain("refresh_token", old).says(t, "valid", "", "not presented it here yet") // the record does not know better
	w.explain("refresh_token", second).says(t, "valid", "", "restored from a backup")
	if got := w.rotate(second); got != second || len(w.logged("ahead")) != 1 {
		t.Errorf("the token is %s, %d lines", got, len(w.logged("ahead")))
	}
	w.explain("refresh_token", old).says(t, "dead", "superseded", "before the last rotation")
	w.clock.Advance(time.Minute)
	if a := w.refresh(old); !a.refused(http.StatusBadRequest) {
		t.Errorf("the old token got %v", a)
	}
	w.dead(second, family.ReuseDetected)

	// An erasure that is replayed by the user's key ends what the backup brought back.
	w, old, id = foreignWorld(t)
	backup = w.record(id)
	w.erase("user_id=u")
	if err := w.table.Issue(t.Context(), backup, &p); err != nil {
		t.Fatal(err)
	}
	w.explain("refresh_token", old).says(t, "valid", "")
	w.erase("user_key=" + audit.EncodeUserKey(backup.ID.UserKey()))
	w.nothingKept()
	w.dead(old, family.Purged)
}
