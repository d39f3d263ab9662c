package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// wholeOrNothing checks what a login with a key leaves during an erasure: nothing, or one
// active family with everything that belongs to it. The key must not name a family that does
// not exist.
func (w *world) wholeOrNothing(a answer, key, where string) {
	w.t.Helper()
	items := w.kept()
	switch {
	case a.status == http.StatusConflict && strings.Contains(a.text("detail"), "gone"):
	case a.status != http.StatusCreated:
		w.t.Errorf("%s: the login got %v", where, a)
	}
	if len(items.Families) == 0 && !items.Empty() || len(items.Families) > 1 {
		w.t.Errorf("%s: the login got %v, and there is %v", where, a, items.InOrder())
	}
	again := w.issueAs(key, signIn)
	if again.status != http.StatusCreated {
		w.t.Errorf("%s: another try got %v", where, again)
		return
	}
	if len(items.Families) == 1 && again.text("family") != a.text("family") {
		w.t.Errorf("%s: another try got another family than %v", where, a)
	}
	w.rotate(again.text("refresh_token"))
	if n := w.onRecord(); n != 1 {
		w.t.Errorf("%s: %d families", where, n)
	}
}

// TestIdempotencyKeyBesideAnErasure checks an erasure during a login with a key, its first try
// or a later one, between any two store requests of either.
func TestIdempotencyKeyBesideAnErasure(t *testing.T) {
	parallel(t)
	for _, tried := range []bool{false, true} {
		for _, at := range []struct {
			n         int64
			operation string
		}{{2, "GetItem"}, {3, "GetItem"}, {1, "UpdateItem"}, {1, "TransactWriteItems"}} {
			if tried != (at.n == 3) && at.operation != "GetItem" || !tried && at.n == 3 {
				continue
			}
			w := newWorld(t)
			if tried {
				w.issueAs("key", signIn)
			}
			server := w.meanwhile(at.n, at.operation, func() { w.erase("user_id=u") })
			a := w.sendTo(server, http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", "key")
			w.wholeOrNothing(a, "key", fmt.Sprintf("tried %t, erased before %s %d", tried, at.operation, at.n))
		}
		for _, at := range []struct {
			n         int64
			operation string
		}{{1, "Query"}, {2, "Query"}, {3, "Query"}, {4, "Query"}, {1, "PutItem"}, {1, "DeleteItem"}, {2, "DeleteItem"}, {3, "DeleteItem"}} {
			if !tried && at.operation == "DeleteItem" {
				continue // nothing is left to delete
			}
			w := newWorld(t)
			if tried {
				w.issueAs("key", signIn)
			}
			var a answer
			server := w.meanwhile(at.n, at.operation, func() { a = w.issueAs("key", signIn) })
			w.paged(server, "/v1/users?user_id=u", func() {})
			if a.status == http.StatusConflict { // the family was deleted before its alias
				if items := w.kept(); !items.Empty() {
					t.Errorf("before %s %d of the erasure: there is %v", at.operation, at.n, items.InOrder())
				}
			}
			w.wholeOrNothing(a, "key", fmt.Sprintf("tried %t, before %s %d of the erasure", tried, at.operation, at.n))
		}
	}
}

// TestErasureTakesKeys checks that an erasure deletes the user's keys. A later login under the
// same key is a new one.
func TestErasureTakesKeys(t *testing.T) {
	w := newWorld(t)
	first := w.issueAs("key", signIn)
	w.erase("user_id=u")
	w.nothingKept()
	second := w.issueAs("key", `{"user_id":"u","client_id":"app"}`) // there is no 422, as the first login has been forgotten
	if second.status != http.StatusCreated || second.text("family") == first.text("family") {
		t.Errorf("got %v", second)
	}
	w.dead(first.text("refresh_token"), family.Purged)
}

// TestIdempotencyKeyBesideASweep checks a sweep that ends the family of a key during another
// try, at each of its reads. The try does not start a replacement, and does not hand out an
// ended family.
func TestIdempotencyKeyBesideASweep(t *testing.T) {
	for _, n := range []int64{2, 3} { // reads of the client, the alias and the family
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"max_active":1}}`)
		first := w.issueAs("key", signIn)
		w.clock.Advance(time.Minute)
		newer, _ := w.login()
		server := w.meanwhile(n, "GetItem", func() {
			if r := w.sweep(); r.Removed != 1 {
				t.Errorf("swept %+v", r)
			}
		})
		a := w.sendTo(server, http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", "key")
		a.problem(t, http.StatusConflict)
		if !strings.Contains(a.text("detail"), "limit_exceeded") || w.onRecord() != 2 {
			t.Errorf("swept before request %d: %v, %d families", n, a, w.onRecord())
		}
		w.dead(first.text("refresh_token"), family.LimitExceeded)
		w.rotate(newer)
		if r := w.sweep(); r.Removed != 0 {
			t.Errorf("then swept %+v", r)
		}
	}
}

// TestIdempotencyKeyWhenTheClientHasChanged checks a try after the client has changed, which
// each server learns within a minute. The family is handed out only if the client could still
// get it.
func TestIdempotencyKeyWhenTheClientHasChanged(t *testing.T) {
	for _, tt := range []struct {
		name, put string
		says      string // in the 409; "" if the family is given
		scope     string
	}{
		{"a narrower scope", `{"type":"public","scope":"read"}`, "", "read"},
		{"no scope that the family has", `{"type":"public","scope":"admin"}`, "", ""},
		{"a shorter absolute lifetime, which is of new families", `{"type":"public","policy":{"absolute_lifetime":60}}`, "", "read write"},
		{"a shorter idle lifetime", `{"type":"public","policy":{"idle_lifetime":60}}`, "expired_idle", ""},
		{"confidential", `{"type":"confidential"}`, "", "read write"},
		{"fewer families", `{"type":"public","policy":{"max_active":1}}`, "", "read write"},
		{"no rotation", `{"type":"confidential","policy":{"rotation":false}}`, "", "read write"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, servers(2), oneIssuer())
			try := func(server int) answer {
				return w.sendTo(server, http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", "key")
			}
			first := try(0)
			try(1).same(t, first)
			w.putClient("app", tt.put)
			w.clock.Advance(time.Minute)
			for server := range 2 {
				a := try(server)
				if tt.says != "" {
					a.problem(t, http.StatusConflict)
					if !strings.Contains(a.text("detail"), tt.says) {
						t.Errorf("server %d: %v", server, a)
					}
					continue
				}
				if a.status != http.StatusCreated || a.text("refresh_token") != first.text("refresh_token") || a.text("scope") != tt.scope {
					t.Errorf("server %d: %v", server, a)
				}
			}
			if n := w.onRecord(); n != 1 {
				t.Errorf("%d families", n)
			}
		})
	}
	t.Run("deleted, and made again", func(t *testing.T) {
		w := newWorld(t)
		first := w.issueAs("key", signIn)
		w.send(http.MethodDelete, "/v1/clients/app", "", "")
		w.issueAs("key", signIn).names(t, "client_id")
		w.putClient("app", `{"type":"public"}`)
		w.issueAs("key", signIn).same(t, first)
	})
}

// TestIdempotencyKeyAfterARestoredBackup checks that after a backup was restored, a key names
// what the table has: the family with its first token until its device presents a newer one,
// or nothing.
func TestIdempotencyKeyAfterARestoredBackup(t *testing.T) {
	w := newWorld(t)
	first := w.issueAs("key", signIn)
	id, err := family.ParseID(first.text("family"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.table.Family(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	newest := w.later(w.rotate(first.text("refresh_token")))
	w.issueAs("key", signIn).problem(t, http.StatusConflict)
	policy := family.DefaultPolicy()
	w.putBack(f, &policy)
	w.issueAs("key", signIn).same(t, first)
	w.clock.Advance(time.Minute)
	newest = w.rotate(newest)
	if n := len(w.logged("ahead")); n != 1 {
		t.Errorf("%d came back ahead", n)
	}
	w.issueAs("key", signIn).problem(t, http.StatusConflict)
	w.rotate(newest)
}

// TestIdempotencyKeyAtItsEndOnTwoServers checks two servers whose clocks differ and that get
// the same key at the end of its day. One new family is started, and both return it.
func TestIdempotencyKeyAtItsEndOnTwoServers(t *testing.T) {
	for _, by := range []time.Duration{0, 2 * time.Second, -2 * time.Second} {
		var clocks movable
		w := newWorld(t, servers(2), skewed(clocks.of), oneIssuer())
		clocks.by[1].Store(int64(by))
		first := w.issueAs("key", signIn)
		w.clock.Advance(24*time.Hour + 3*time.Second)
		var got [2]answer
		for i := range got {
			got[i] = w.sendTo(i, http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", "key")
		}
		got[1].same(t, got[0])
		if got[0].text("family") == first.text("family") || w.onRecord() != 2 {
			t.Errorf("clocks differ by %v: %v, %d families", by, got[0], w.onRecord())
		}
	}
}

// TestAliasAndFamilyAreOne checks that the alias and the family are written in one
// transaction: if either cannot be written, neither is.
func TestAliasAndFamilyAreOne(t *testing.T) {
	w := newWorld(t)
	w.login()
	before := w.kept()
	w.store.Counted()
	w.issueAs("key", signIn)
	calls := w.store.Counted()
	writes := slices.DeleteFunc(calls, func(s string) bool { return s == "GetItem" || s == "Query" })
	if want := []string{"UpdateItem", "TransactWriteItems"}; !slices.Equal(writes, want) { // the count of the owner may be too high
		t.Errorf("the writes are %v", writes)
	}
	after := w.kept()
	if len(after.Families) != len(before.Families)+1 || len(after.Others) != len(before.Others)+1 {
		t.Errorf("there was %v, and is %v", before.InOrder(), after.InOrder())
	}
}
