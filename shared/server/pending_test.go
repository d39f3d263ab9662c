package server_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// record reads the family's record.
func (w *world) record(id string) *family.Family {
	w.t.Helper()
	parsed, err := family.ParseID(id)
	if err != nil {
		w.t.Fatal(err)
	}
	f, err := w.table.Family(w.t.Context(), parsed)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// pending starts a family of alice in "app" whose code waits, and returns the code and the
// family's id.
func (w *world) pending() (code, id string) {
	w.t.Helper()
	w.putClient("app", authorizing)
	code = w.code()
	tok, err := w.keys.Codec.ParseCode(code)
	if err != nil {
		w.t.Fatal(err)
	}
	return code, family.ID(tok.Family).String()
}

// putBack writes a family's record as it was, as if a backup had been restored.
func (w *world) putBack(f *family.Family, p *family.Policy) {
	w.t.Helper()
	if err := w.store.Delete(w.t.Context(), schema.FamilyPrefix+f.ID.ULID().String()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.table.Issue(w.t.Context(), f, p); err != nil {
		w.t.Fatal(err)
	}
}

// TestRestoredPendingFamily checks a family whose record comes from a backup that is older than
// the exchange of its code. Its tokens work, also long after the code's end; once one of them was
// used, the code ends the family.
func TestRestoredPendingFamily(t *testing.T) {
	for _, after := range []time.Duration{time.Second, time.Hour - time.Second} {
		w := newWorld(t)
		w.putClient("api", `{"type":"confidential","may_introspect":true}`)
		secret := w.addSecret("api")
		code, id := w.pending()
		backup := w.record(id)
		a := w.exchange(code)
		first := a.text("refresh_token")
		w.clock.Advance(after)
		policy := family.DefaultPolicy()
		w.putBack(backup, &policy)
		for _, tok := range []string{a.text("access_token"), first} {
			if a := w.introspectAs("api", secret, tok); a.json["active"] != (tok != first) { // the refresh token is another client's
				t.Errorf("after %v introspection says %v", after, a)
			}
		}
		if got := w.rotate(first); got != first || len(w.logged("ahead")) != 1 {
			t.Errorf("after %v the token is %s, %d lines", after, got, len(w.logged("ahead")))
		}
		w.clock.Advance(time.Minute)
		second := w.rotate(first)
		if a := w.exchange(code); a.status != http.StatusBadRequest || a.text("error") != "invalid_grant" {
			t.Errorf("after %v the code got %v", after, a)
		}
		w.dead(second, family.ReuseDetected)
	}
}

// TestRestoredPendingFamilyEnds checks that such a record is past its absolute end when its time
// has come, and that it can be ended although its code is past its own.
func TestRestoredPendingFamilyEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, id string) family.Cause{
		"its absolute end": func(w *world, _ string) family.Cause {
			w.clock.Advance(31 * 24 * time.Hour)
			return family.ExpiredAbsolute
		},
		"a logout": func(w *world, id string) family.Cause {
			w.send(http.MethodPost, "/oauth/revoke", formType, url.Values{"client_id": {"app"}, "token": {w.mint(id, 1)}}.Encode())
			return family.RevokedByClient
		},
		"the management API": func(w *world, id string) family.Cause {
			w.send(http.MethodDelete, "/v1/families/"+id, "", "")
			return family.RevokedByAdmin
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.putClient("api", `{"type":"confidential","may_introspect":true}`)
			secret := w.addSecret("api")
			w.putClient("app", `{"type":"public","redirect_uris":["`+callback+`"],"policy":{"idle_lifetime":0}}`)
			code := w.code("scope", "")
			tok, err := w.keys.Codec.ParseCode(code)
			if err != nil {
				t.Fatal(err)
			}
			id := family.ID(tok.Family).String()
			w.clock.Advance(time.Hour)
			cause := end(w, id)
			w.dead(w.mint(id, 1), cause)
			if a := w.introspectAs("api", secret, w.mint(id, 1)); a.json["active"] != false {
				t.Errorf("introspection says %v", a)
			}
		})
	}
}
