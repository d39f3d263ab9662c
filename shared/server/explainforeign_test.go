package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// foreignWorld returns a world whose client "app" accepts imported tokens, and a foreign token of u
// that was imported, with its family.
func foreignWorld(t *testing.T) (w *world, old, id string) {
	t.Helper()
	w = newWorld(t)
	w.acceptImported("true")
	old = foreignToken(1)
	return w, old, w.importToken("u", old)
}

// moments returns the events of a timeline, each with the number and origin of the token presented.
func (a answer) moments(t testing.TB) (all []string) {
	t.Helper()
	list, _ := a.json["timeline"].([]any)
	for _, m := range list {
		m, _ := m.(map[string]any)
		all = append(all, strings.TrimSpace(fmt.Sprintf("%v %v %s", m["event"], m["counter"], textOf(m["origin_token"]))))
	}
	return all
}

func textOf(v any) string {
	s, _ := v.(string)
	return s
}

// explained asks about a foreign token and about its family, which must have the same cause, and
// checks the timeline.
func (w *world) explained(old, id, verdict, cause string, moments []string, parts ...string) {
	w.t.Helper()
	a := w.explain("refresh_token", old)
	a.says(w.t, verdict, cause, parts...)
	if a.text("origin_token") != "imported" || a.number("token_counter") != 0 {
		w.t.Errorf("the token is %v", a)
	}
	if diff := cmp.Diff(moments, a.moments(w.t)); diff != "" {
		w.t.Errorf("the timeline (-want +got) %s", diff)
	}
	if f := w.family(id); f.text("origin") != "imported" || !cmp.Equal(moments, f.moments(w.t)) {
		w.t.Errorf("the family is %v", f)
	}
	if strings.Contains(a.body, old) || strings.Contains(a.body, hashOf(old)) {
		w.t.Errorf("the answer has the token: %v", a)
	}
}

// TestExplainForeign follows another provider's token from its import to its reuse, and asks at
// each step. Asking changes nothing.
func TestExplainForeign(t *testing.T) {
	w, old, id := foreignWorld(t)
	imported := w.clock.Now()
	w.clock.Advance(time.Hour)
	w.explained(old, id, "valid", "", []string{"imported 0"}, "another provider's refresh token, imported on "+imported.Format(time.DateTime), "not presented it here yet",
		"It works until "+imported.Add(15*day).Format(time.DateTime))
	if f := w.family(id); f.text("status") != "pending" || f.text("idle_expires_at") == "" || f.text("expires_at") == "" {
		t.Errorf("the family is %v", f)
	}
	w.explain("family", id).says(t, "valid", "", "another provider's refresh token")
	if list := w.families("user_id=u&status=pending"); len(list) != 1 || list[0]["origin"] != "imported" {
		t.Errorf("the list is %v", list)
	}

	first := w.rotate(old)
	w.clock.Advance(20 * time.Second)
	w.explained(old, id, "valid_in_reuse_interval", "", []string{"imported 0", "exchanged 1 imported"}, "exchanged 20 s ago, for token 1", "interval of 1 min", "harmless")
	w.explain("refresh_token", first).says(t, "valid", "", "token 1")
	w.clock.Advance(40 * time.Second)
	w.explained(old, id, "dead", "superseded", []string{"imported 0", "exchanged 1 imported"}, "exchanged 1 min ago, for token 1", "would be reuse", "A reuse_interval of 61 seconds would have covered this")
	second := w.rotate(first)
	w.explained(old, id, "dead", "superseded", []string{"imported 0", "rotated 2"}, "before the last rotation", "newest is 2", "old SDK kept it")

	w.clock.Advance(time.Hour)
	if a := w.refresh(old); !a.refused(http.StatusBadRequest) {
		t.Fatalf("the reuse got %v", a)
	}
	w.explained(old, id, "dead", "reuse_detected", []string{"imported 0", "rotated 2", "reuse_detected 2 imported"}, "the other provider's refresh token with which it began was presented again", "newest was 2")
	w.explain("refresh_token", second).says(t, "dead", "reuse_detected", "the other provider's refresh token")
	events := w.events("type=ferrt&user_id=u")
	if len(events) != 1 || events[0]["originToken"] != "imported" || events[0]["tokenCounter"] != nil || events[0]["latestCounter"] != 2.0 || events[0]["familyId"] != id {
		t.Errorf("the events are %v", events)
	}
}

// TestExplainForeignReads checks that only what can be nothing else is looked up as another
// provider's token.
func TestExplainForeignReads(t *testing.T) {
	w, old, id := foreignWorld(t)
	first, _ := w.login()
	for _, tt := range []struct{ member, value, calls string }{
		{"refresh_token", old, "GetItem GetItem Query"}, // its item, its family, and the family's events
		{"refresh_token", first, "GetItem Query"},
		{"family", id, "GetItem Query"},
		{"refresh_token", "of nobody's shape \u00e9", "Query"}, // which clients accept foreign tokens
	} {
		w.explain(tt.member, tt.value)
		w.store.Counted()
		w.explain(tt.member, tt.value)
		if calls := strings.Join(w.store.Counted(), " "); calls != tt.calls {
			t.Errorf("for %s the store was asked %s, not %s", tt.value, calls, tt.calls)
		}
	}
}

// TestExplainForeignForms checks that a foreign token is recognized also if it looks like a family
// id, a sid, or a JWT, and under any name.
func TestExplainForeignForms(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true")
	jwt := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS512","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"Refresh"}`)) + ".c2ln"
	for form, old := range map[string]string{
		"a family id": "5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc", "a sid": "01Q3G9AD6EZQWNTVCJPNXVG2EE", "a JWT": jwt, "a JWE": "a.b.c.d.e", "short": "x7Kq", "in base64": "YWJjZA==",
	} {
		id := w.importToken("u", old)
		for _, member := range []string{"refresh_token", "access_token", "family", "sid"} {
			a := w.explain(member, " "+old+"\n")
			a.says(t, "valid", "", "another provider's refresh token")
			if f, _ := a.json["family"].(map[string]any); f["family"] != id {
				t.Errorf("%s as %s: %v", form, member, a)
			}
		}
	}
}

// TestExplainStranger checks what is said of a token that nobody imported, which is what the token
// endpoint logs of it.
func TestExplainStranger(t *testing.T) {
	w, _, _ := foreignWorld(t)
	w.putClient("plain", `{"type":"public"}`)
	stranger := foreignToken(2)
	w.dead(stranger, family.NeverImported)
	if line := w.logged("fertft"); len(line) != 1 || line[0]["originToken"] != "imported" {
		t.Errorf("logged %v", line)
	}
	check := []string{"never imported", "SHA-256 of exactly this text", "imported here, for this client", "another one"}
	w.explain("refresh_token", stranger).says(t, "dead", "never_imported", append(check, "accepted for app,")...)
	w.explain("refresh_token", stranger, "client_id", "app").says(t, "dead", "never_imported", check...)
	w.explain("refresh_token", stranger, "client_id", "plain").says(t, "dead", "malformed", "47 bytes")
	w.explain("refresh_token", "eyJhbGciOiJIUzI1NiJ9.e30.x", "client_id", "app").says(t, "dead", "never_imported", check...)
	w.explain("refresh_token", "eyJhbGciOiJIUzI1NiJ9.e30.x").says(t, "dead", "never_issued", "form of a JWT")
	opaque := "5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc" // 32 random bytes look like a family id
	w.explain("refresh_token", opaque).says(t, "dead", "never_imported", check...)
	w.explain("family", opaque).says(t, "dead", "purged", "no record of this family")
	w.explain("refresh_token", "rotor_cut").says(t, "dead", "malformed", "9 bytes")
	w.explain("refresh_token", strings.Repeat("b", 4097), "client_id", "app").says(t, "dead", "malformed", "up to 4096 visible ASCII characters", "4097 characters")
	w.explain("refresh_token", strings.Repeat("b", 4097)).says(t, "dead", "malformed", "4097 bytes")

	// A client that asks for a shape, and what has another one.
	w.acceptImported(`{"prefix":"v1.M","length":47}`)
	w.dead("v1.Mshort", family.Malformed)
	w.explain("refresh_token", "v1.Mshort", "client_id", "app").says(t, "dead", "malformed", `asks for the prefix "v1.M" and 47 characters, and this has 9 characters`, "not looked up")
	w.explain("refresh_token", "v1.Mshort").says(t, "dead", "malformed", "9 bytes")
	for n := range 4 {
		w.putClient(fmt.Sprintf("web%d", n), `{"type":"public","accepts_imported":{"length":47}}`)
	}
	w.explain("refresh_token", stranger).says(t, "dead", "never_imported", "accepted for app, web0, web1, 2 more,")
}

// TestExplainUnfit checks that a token on record is called dead while its client does not accept
// its shape, and that it works once the client does.
func TestExplainUnfit(t *testing.T) {
	w, old, id := foreignWorld(t)
	for accepts, part := range map[string]string{
		`false`:            "the client has no accepts_imported",
		`{"prefix":"v2."}`: `asks for the prefix "v2.", and this has 47 characters`,
		`{"length":40}`:    "asks for 40 characters",
	} {
		w.acceptImported(accepts)
		w.dead(old, family.Malformed)
		a := w.explain("refresh_token", old)
		a.says(t, "dead", "malformed", part, "family of client app", "Set accepts_imported", "The family is untouched")
		if f, _ := a.json["family"].(map[string]any); f["family"] != id || f["status"] != "pending" {
			t.Errorf("the family is %v", a)
		}
	}
	w.acceptImported("true")
	w.explain("refresh_token", old).says(t, "valid", "")
	w.rotate(old)
	w.send(http.MethodDelete, "/v1/families/"+id, "", "")
	w.acceptImported("false")
	w.explain("refresh_token", old).says(t, "dead", "revoked_by_admin") // the story of its family says more
}

// TestExplainForeignEnds checks each end of a family that waits for its foreign token.
func TestExplainForeignEnds(t *testing.T) {
	waiting := []string{"imported 0"}
	t.Run("another client", func(t *testing.T) {
		w, old, _ := foreignWorld(t)
		w.putClient("other", `{"type":"public","accepts_imported":true}`)
		if a := w.send(http.MethodPost, "/oauth/token", formType, "grant_type=refresh_token&client_id=other&refresh_token="+old); !a.refused(http.StatusBadRequest) {
			t.Errorf("another client got %v", a)
		}
		w.explain("refresh_token", old, "client_id", "other").says(t, "dead", "wrong_client", "imported for client app, but other presented it")
		w.explain("refresh_token", old).says(t, "valid", "")
	})
	t.Run("revoked", func(t *testing.T) {
		w, old, id := foreignWorld(t)
		w.send(http.MethodDelete, "/v1/families/"+id, "", "")
		w.dead(old, family.RevokedByAdmin)
		w.explained(old, id, "dead", "revoked_by_admin", append(waiting, "revoked 0"), "management API")
	})
	t.Run("its idle end", func(t *testing.T) {
		w, old, id := foreignWorld(t)
		w.clock.Advance(15 * day)
		w.dead(old, family.ExpiredIdle)
		w.explained(old, id, "dead", "expired_idle", append(waiting, "expired 0"), "has never presented it", "did not send its old token here")
	})
	t.Run("its absolute end", func(t *testing.T) {
		w := newWorld(t)
		w.acceptImported("true")
		old := foreignToken(1)
		end := w.clock.Now().Add(day)
		id := w.importToken("u", old, "expires_at", end.Format(time.RFC3339Nano))
		w.explain("refresh_token", old).says(t, "valid", "", "works until "+end.Format(time.DateTime), "absolute lifetime ends")
		w.clock.Advance(day)
		w.dead(old, family.ExpiredAbsolute)
		w.explained(old, id, "dead", "expired_absolute", append(waiting, "expired 0"), "set at the import", end.Format(time.DateTime))
	})
	t.Run("not_before", func(t *testing.T) {
		w, old, _ := foreignWorld(t)
		w.clock.Advance(time.Second)
		w.acceptImported("true", `"not_before":"`+w.clock.Now().Format(time.RFC3339)+`"`)
		w.dead(old, family.ClientNotBefore)
		w.explain("refresh_token", old).says(t, "dead", "client_not_before", "not_before")
	})
	t.Run("purged", func(t *testing.T) {
		w, old, _ := foreignWorld(t)
		imported := w.clock.Now()
		w.clock.Advance(61 * day)
		w.purge()
		w.dead(old, family.Purged)
		a := w.explain("refresh_token", old)
		a.says(t, "dead", "purged", "Its family began here on "+imported.Format(time.DateTime), "does not bring its family back")
		if a.text("origin_token") != "imported" {
			t.Errorf("the answer is %v", a)
		}
	})
	t.Run("the client is gone", func(t *testing.T) {
		w, old, _ := foreignWorld(t)
		w.send(http.MethodDelete, "/v1/clients/app", "", "")
		w.explain("refresh_token", old).says(t, "dead", "", "not registered")
	})
}

// TestExplainObservedForeign checks a reuse of a foreign token that is only observed.
func TestExplainObservedForeign(t *testing.T) {
	w, old, id := foreignWorld(t)
	w.acceptImported("true", `"policy":{"reuse_detection":"observe","observe_until":"`+w.clock.Now().Add(day).Format(time.RFC3339)+`"}`)
	w.rotate(old)
	w.clock.Advance(time.Hour)
	w.rotate(old)
	w.explained(old, id, "valid_in_reuse_interval", "", []string{"imported 0", "exchanged 1 imported", "reuse_observed 1 imported"}, "only observed until")
}

// TestExplainBoundForeign checks another provider's token whose first use has bound its family: with the key it still
// works, outside the interval.
func TestExplainBoundForeign(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true", `"policy":{"dpop":"allowed"}`)
	old := foreignToken(1)
	w.importToken("u", old)
	p := w.prover()
	token := p.refresh(old).text("refresh_token")
	w.clock.Advance(2 * time.Minute)
	w.explain("refresh_token", old).says(t, "valid", "", "imported on", "exchanged 2 min ago", "bound to a key", "the newest, 1,")
	if a := w.refresh(old); !a.unproven() {
		t.Errorf("without the key: %v", a)
	}
	if a := p.refresh(old); a.status != http.StatusOK || a.text("refresh_token") != token {
		t.Errorf("with the key: %v", a)
	}
}

// TestForeignReuseCountsForRecommendation checks that an old token which came back soon after its
// exchange is taken for a lost response, as a token of ours would be.
func TestForeignReuseCountsForRecommendation(t *testing.T) {
	w, old, _ := foreignWorld(t)
	w.rotate(old)
	w.clock.Advance(75 * time.Second)
	w.refresh(old)
	r, _ := w.explain("refresh_token", old).json["recommendation"].(map[string]any)
	if r["reuse_interval"] != 120.0 || r["would_have_kept"] != 1.0 {
		t.Errorf("recommended is %v", r)
	}
}

// TestExplainAdopted checks what is told of a family whose token was exchanged at the other provider.
func TestExplainAdopted(t *testing.T) {
	w, old, id := foreignWorld(t)
	f := w.record(id)
	f.Origin.Kind = family.Adopted
	p := family.DefaultPolicy()
	w.putBack(f, &p)
	a := w.explain("refresh_token", old)
	a.says(t, "valid", "", "which Rotor exchanged there on")
	if got := a.moments(t); a.text("origin_token") != "adopted" || !cmp.Equal(got, []string{"adopted 0"}) {
		t.Errorf("the answer is %v", a)
	}
	w.rotate(old)
	w.clock.Advance(time.Hour)
	w.refresh(old)
	if got := w.family(id).moments(t); !cmp.Equal(got, []string{"adopted 0", "exchanged 1 adopted", "reuse_detected 1 adopted"}) {
		t.Errorf("the timeline is %v", got)
	}
	if e := w.events("type=ferrt"); len(e) != 1 || e[0]["originToken"] != "adopted" {
		t.Errorf("the events are %v", e)
	}
}

// TestExplainForeignFaults checks that a store which fails makes the explanation fail. It never
// calls a token unknown.
func TestExplainForeignFaults(t *testing.T) {
	w, old, _ := foreignWorld(t)
	body := `{"refresh_token":"` + old + `"}`
	w.explain("refresh_token", old)
	for name, fault := range everyFault() {
		for _, operation := range []string{"GetItem", "Query"} { // of the token and its family, and of the family's events
			w.store.Break(func(_ int, requested string) storetest.Fault {
				if requested == operation {
					return fault
				}
				return storetest.None
			})
			a := w.send(http.MethodPost, "/v1/explain", jsonType, body)
			w.store.Break(nil)
			if a.status != http.StatusServiceUnavailable {
				t.Errorf("%s of %s: %v", name, operation, a)
			}
		}
	}
	w.explain("refresh_token", old).says(t, "valid", "")
}
