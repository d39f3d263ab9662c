package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// emergency revokes leaked keys and returns the keys that there are afterwards.
func (v *vault) emergency(now time.Time, leak keyring.Leak) *keyring.Inventory {
	v.t.Helper()
	keys, err := v.rotation.Emergency(v.t.Context(), now, leak)
	if err != nil {
		v.t.Fatal(err)
	}
	trail.keys(v.t, v.document())
	return keys
}

// kid returns the id of the key that an access token is signed with.
func kid(t testing.TB, access string) string {
	t.Helper()
	header, _ := decodeJWT(t, access)
	id, _ := header["kid"].(string)
	return id
}

// published returns the ids in the key set of a server.
func (w *world) published(server int) []string {
	w.t.Helper()
	a := w.sendTo(server, http.MethodGet, "/.well-known/jwks.json", "", "")
	if a.status != http.StatusOK || a.header.Get("Cache-Control") != "public, max-age=300" {
		w.t.Fatalf("key set: %v, %v", a, a.header)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(a.body), &set); err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}

// TestEmergencySigningKey rehearses docs/operations.md for a leaked signing key: forged tokens
// are rejected everywhere in bounded time, and no session is lost.
func TestEmergencySigningKey(t *testing.T) {
	w, v := newVaultWorld(t, 2, oneIssuer())
	secret := basic("web", w.addSecret("web"))
	introspect := func(server int, tok string) any {
		t.Helper()
		a := w.sendTo(server, http.MethodPost, "/oauth/introspect", formType, "token="+tok, "Authorization", secret)
		if a.status != http.StatusOK {
			t.Fatalf("introspect: %v", a)
		}
		return a.json["active"]
	}
	refresh := func(server int, tok string) answer {
		t.Helper()
		a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, "grant_type=refresh_token&refresh_token="+tok, "Authorization", secret)
		if a.status != http.StatusOK {
			t.Fatalf("refresh: %v", a)
		}
		return a
	}
	a := w.issue(`{"user_id":"u","client_id":"web","scope":"openid"}`)
	access, session := a.text("access_token"), a.text("refresh_token")
	leaked := kid(t, access)
	rs := &resourceServer{keep: 300 * time.Second, fetch: func() (string, error) {
		a, err := w.try(1, http.MethodGet, "/.well-known/jwks.json", "", "")
		return a.body, err
	}}

	// Before the emergency, the key signs and is published, and its tokens are valid. A
	// thief's tokens are valid too.
	stolen := v.document().Signing[0]
	thief, err := signing.NewSet([]signing.Key{stolen})
	if err != nil {
		t.Fatal(err)
	}
	forged, err := thief.SignAccess(w.clock.Now(), signing.Access{
		Issuer: "https://auth.example.com", Subject: "u", Audience: signing.Audience{"a"}, ClientID: "web", SessionID: sidIn(t, access),
		Scope: "everything", IssuedAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(24 * time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range []string{access, forged} {
		if introspect(0, tok) != true || introspect(1, tok) != true || rs.verify(w.clock.Now(), tok) != nil {
			t.Error("before the emergency a token is not good")
		}
	}
	if ids := w.published(1); !slices.Equal(ids, []string{leaked}) || leaked != stolen.JWK.KeyID {
		t.Errorf("published are %v", ids)
	}

	w.clock.Advance(time.Minute)
	keys := v.emergency(w.clock.Now(), keyring.Leak{Signing: []string{leaked}})
	fresh := keys.Signing[1].ID

	// A server that reads the keys signs with the new key at once, and publishes only that.
	late, err := newServer(w, v)
	if err != nil {
		t.Fatal(err)
	}
	if ids := w.published(late); !slices.Equal(ids, []string{fresh}) {
		t.Errorf("published are %v", ids)
	}
	a = refresh(late, session)
	session = a.text("refresh_token")
	if kid(t, a.text("access_token")) != fresh || kid(t, a.text("id_token")) != fresh {
		t.Error("the leaked key signs")
	}
	if introspect(late, access) != false || introspect(late, forged) != false {
		t.Error("a token under the leaked key is active")
	}
	// The other servers keep their older copy until they see a token of the new key,
	if introspect(0, forged) != true || introspect(0, a.text("access_token")) != true || introspect(0, forged) != false {
		t.Error("a token of the new key has not brought the keys along")
	}
	// or until the copy is five minutes old.
	w.clock.Advance(4*time.Minute + time.Millisecond)
	if introspect(1, access) != false || !slices.Equal(w.published(1), []string{fresh}) {
		t.Error("five minutes later the leaked key is good")
	}
	// A resource server reads the key set again when its copy is too old.
	for _, tok := range []string{access, forged} {
		if err := rs.verify(w.clock.Now(), tok); err == nil {
			t.Error("a resource server that has read the key set again takes a token under the leaked key")
		}
	}
	if err := rs.verify(w.clock.Now(), a.text("access_token")); err != nil {
		t.Errorf("and none under the new one: %v", err)
	}

	w.explain("access_token", access).says(t, "dead", "never_issued", "revoked")

	// No session is lost, and the leaked key cannot end one.
	w.sendTo(1, http.MethodPost, "/oauth/revoke", formType, "token="+forged, "Authorization", secret)
	refresh(1, session)
	if n := len(w.logged("fertft")); n != 0 {
		t.Errorf("%d refusals", n)
	}
}

// newServer starts one more server of the vault's keys, which has read nothing yet.
func newServer(w *world, v *vault) (server int, err error) {
	a, server := w.another(w.store.Table(), v.source(0))
	a.Issuer = "https://auth.example.com"
	return server, a.Warm(w.t.Context())
}

func sidIn(t testing.TB, access string) string {
	t.Helper()
	_, claims := decodeJWT(t, access)
	sid, _ := claims["sid"].(string)
	return sid
}

// TestEmergencyMACKey rehearses docs/operations.md for a leaked MAC key: tokens under it are
// rejected everywhere in bounded time, and tokens under other keys still work.
func TestEmergencyMACKey(t *testing.T) {
	w, v := newVaultWorld(t, 2, oneIssuer())
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":31536000,"idle_lifetime":0}}`)
	secret := basic("web", w.addSecret("web"))
	asleep, _ := w.login() // its token remains under the first key
	v.mustRotate(w.clock.Now())
	w.clock.Advance(time.Hour)
	awake, id := w.login()
	tok := w.mustRefreshAt(1, awake)
	web := w.issue(`{"user_id":"u","client_id":"web"}`)
	if macID(asleep) != 1 || macID(tok) != 2 {
		t.Fatalf("under the keys %d and %d", macID(asleep), macID(tok))
	}

	// Before the emergency, anyone who has the key can take over a session whose id they know.
	thief := v.alone(2)
	f, err := family.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	forged := thief.Mint(token.Token{Family: f, Counter: 2}, w.clock.Now()).Reveal()
	taken := w.mustRefreshAt(0, forged)
	w.explain("refresh_token", taken).says(t, "valid", "")

	w.clock.Advance(time.Minute)
	at := w.clock.Now()
	keys := v.emergency(at, keyring.Leak{MAC: []int{2}})
	if keys.MAC[1].Use != keyring.Revoked || keys.MAC[2].Use != keyring.InUse {
		t.Fatalf("the keys are %+v", keys.MAC)
	}

	// After it, all tokens of that key are rejected with a cause of their own. A server does
	// so once it has read the keys again, when its copy is five minutes old at the latest.
	late, err := newServer(w, v)
	if err != nil {
		t.Fatal(err)
	}
	if a := w.refreshAt(late, tok); !a.refused(http.StatusBadRequest) {
		t.Errorf("a token of the revoked key: %v", a)
	}
	w.clock.Advance(5*time.Minute + time.Millisecond)
	for _, tok := range []string{tok, taken, forged, thief.Mint(token.Token{Family: f, Counter: 9}, w.clock.Now()).Reveal()} {
		w.dead(tok, family.KeyRevoked)
		a := w.explain("refresh_token", tok)
		a.says(t, "dead", "key_revoked", at.UTC().Format(time.DateTime), "revoked", "log in again")
		if shown, _ := a.json["family"].(map[string]any); shown["family"] != id || a.number("token_counter") == 0 || a.json["timeline"] == nil {
			t.Errorf("explained without its family: %v", a)
		}
	}
	lines := w.logged("fertft")
	if line := lines[len(lines)-1]; line["familyId"] != id || line["tokenCounter"] != 9.0 || line["clientId"] != "app" {
		t.Errorf("the log says %v", line)
	}
	if a := w.send(http.MethodPost, "/oauth/introspect", formType, "token="+web.text("refresh_token"), "Authorization", secret); a.json["active"] != false {
		t.Errorf("introspection: %v", a)
	}
	// A token under that key no longer ends a session, and the record remains.
	if a := w.send(http.MethodPost, "/oauth/revoke", formType, "client_id=app&token="+forged); a.status != http.StatusOK {
		t.Errorf("revocation: %v", a)
	}
	if w.family(id).text("status") != "active" || len(w.logged("srrt"))+len(w.logged("ferrt")) != 0 {
		t.Errorf("the family is %v", w.family(id))
	}

	// Tokens of other keys still work, and new tokens are made under the new key.
	for server := range 2 {
		asleep = w.mustRefreshAt(server, asleep)
		if macID(asleep) != 3 {
			t.Errorf("a token is minted under key %d", macID(asleep))
		}
	}
	a := w.issue(`{"user_id":"u","client_id":"app"}`)
	if macID(a.text("refresh_token")) != 3 {
		t.Errorf("a session begins under key %d", macID(a.text("refresh_token")))
	}
	// The next rotation keeps the list of revoked keys.
	v.mustRotate(w.clock.Now())
	w.clock.Advance(time.Hour)
	w.dead(tok, family.KeyRevoked)
	w.mustRefreshAt(0, asleep)
	w.mustRefreshAt(1, a.text("refresh_token"))
}

// TestEmergencyOldMACKey shows a limit: a thief who exchanged a token of an old key holds one
// of the newest key, which the revocation of the old key does not reach. The client's
// not_before ends that family.
func TestEmergencyOldMACKey(t *testing.T) {
	w, v := newVaultWorld(t, 1)
	first, id := w.login()
	v.mustRotate(w.clock.Now())
	w.clock.Advance(time.Hour)
	f, err := family.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	taken := w.rotate(v.alone(1).Mint(token.Token{Family: f, Counter: 1}, w.clock.Now()).Reveal())
	v.emergency(w.clock.Now(), keyring.Leak{MAC: []int{1}})
	if mac := v.document().MAC; len(mac) != 2 {
		t.Errorf("there are %v, though the key that mints is good", mac)
	}
	w.clock.Advance(5*time.Minute + time.Millisecond)
	w.dead(first, family.KeyRevoked)
	taken = w.rotate(taken)
	w.putClient("app", `{"type":"public","not_before":"`+w.clock.Now().Format(time.RFC3339)+`"}`)
	w.dead(taken, family.ClientNotBefore)
}

// TestNewKeyReachesOtherServers checks that tokens of a new key work at once on a server whose
// copy of the keys is older. It reads the keys again, once, however many such tokens or forged
// ones arrive.
func TestNewKeyReachesOtherServers(t *testing.T) {
	w, v := newVaultWorld(t, 2, oneIssuer())
	w.issueAt(1)
	w.clock.Advance(time.Minute)
	v.emergency(w.clock.Now(), keyring.Leak{MAC: []int{1}})
	late, err := newServer(w, v)
	if err != nil {
		t.Fatal(err)
	}
	a := w.issueAt(late)
	v.m.Calls()
	tok := w.mustRefreshAt(1, a.text("refresh_token"))
	if calls := v.m.Calls(); !slices.Equal(calls, []string{"GetSecretValue", "GetSecretValue"}) {
		t.Errorf("the secret was asked %v", calls)
	}
	unknown := forgedUnder(t, 77)
	for range 50 {
		w.mustRefreshAt(1, tok)
		w.dead(unknown, family.NeverIssued)
		if a := w.refreshAt(1, unknown); !a.refused(http.StatusBadRequest) {
			t.Errorf("a token under a key that there is not: %v", a)
		}
	}
	if calls := v.m.Calls(); len(calls) != 2 { // made by the first server, whose copy was a minute old
		t.Errorf("the secret was asked %v", calls)
	}
	w.clock.Advance(30*time.Second + time.Millisecond)
	for range 50 {
		w.refreshAt(1, unknown)
	}
	if calls := v.m.Calls(); len(calls) != 2 {
		t.Errorf("half a minute later the secret was asked %v", calls)
	}
	// While the keys cannot be read, a server cannot know that there is no such key.
	w.clock.Advance(time.Minute)
	v.outages[1].Store(true)
	for range 2 {
		if a := w.refreshAt(1, unknown); !a.unavailable() {
			t.Errorf("without the secret: %v", a)
		}
	}
	w.mustRefreshAt(1, tok)
}

// forgedUnder returns a token of a key that the vault does not have.
func forgedUnder(t testing.TB, id byte) string {
	t.Helper()
	codec, err := token.NewCodec([]token.Key{{ID: id, Secret: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	return codec.Mint(token.Token{Counter: 1}, time.Time{}).Reveal()
}
