package server_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestIdempotencyKeyChangesNoFamily checks that a login with a key makes the same family as
// one without: the body is stored exactly as sent, and measured as sent.
func TestIdempotencyKeyChangesNoFamily(t *testing.T) {
	w := newWorld(t)
	claims := `{"z":1.50,"a":"<&>","text":"` + strings.Repeat("<", 2000) + `"}`
	body := `{"user_id":"u","client_id":"app","scope":"write read","audience":["https://b.example","https://a.example"],"claims":` + claims +
		`,"auth_time":"2026-01-15T08:00:00+01:00","acr":"<aal2>","amr":["pwd","<otp>"],"device":"<Pixel>","absolute_lifetime":7200}`
	var shown []string
	for _, a := range []answer{w.issue(body), w.issueAs("k1", body)} {
		if a.status != http.StatusCreated {
			t.Fatal(a)
		}
		f := w.send(http.MethodGet, "/v1/families/"+a.text("family"), "", "")
		shown = append(shown, strings.ReplaceAll(f.body, a.text("family"), "FAMILY"))
	}
	if shown[0] != shown[1] {
		t.Errorf("without a key it is\n%s\nand with one\n%s", shown[0], shown[1])
	}
}

const signIn = `{"user_id":"u","client_id":"app","scope":"read write"}`

// issueAs starts a family under an idempotency key, or asks for it again.
func (w *world) issueAs(key, body string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/v1/families", jsonType, body, "Idempotency-Key", key)
}

// onRecord returns the number of families of user "u".
func (w *world) onRecord() int {
	w.t.Helper()
	families, _, err := w.table.FamiliesBefore(w.t.Context(), w.keys.Users.Key("u"), [16]byte{}, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(families)
}

// same checks that the answer repeats that of the first try.
func (a answer) same(t testing.TB, first answer) {
	t.Helper()
	if a.status != http.StatusCreated || a.text("refresh_token") != first.text("refresh_token") || a.text("family") != first.text("family") ||
		a.text("scope") != first.text("scope") || a.header.Get("Location") != first.header.Get("Location") || a.header.Get("Cache-Control") != "no-store" ||
		a.text("access_token") == "" {
		t.Errorf("got %v, not what was answered first: %v", a, first)
	}
}

// TestIdempotencyKey checks that a login which got no answer and tries again is given the
// family that it already started.
func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	first := w.issueAs("k1", signIn)
	w.clock.Advance(time.Minute)
	w.store.Counted()
	again := w.issueAs("k1", signIn)
	if calls := strings.Join(w.store.Counted(), " "); strings.Contains(calls, "Put") || strings.Contains(calls, "Update") || strings.Contains(calls, "Write") {
		t.Errorf("the second try made the requests %s", calls)
	}
	again.same(t, first)
	if n := w.onRecord(); n != 1 || w.owner().Active != 1 {
		t.Errorf("%d families, counted %d", n, w.owner().Active)
	}
	// Each of these starts another family: another key, no key, the same key for another user
	// or in another client.
	families := map[string]bool{first.text("family"): true}
	for _, a := range []answer{
		w.issueAs("k2", signIn), w.issue(signIn),
		w.issueAs("k1", `{"user_id":"v","client_id":"app","scope":"read write"}`),
		w.issueAs("k1", `{"user_id":"u","client_id":"web","scope":"read write"}`),
	} {
		if a.status != http.StatusCreated || families[a.text("family")] {
			t.Errorf("got %v", a)
		}
		families[a.text("family")] = true
	}
	w.rotate(again.text("refresh_token"))
}

// TestIdempotencyKeyAtTheLimit checks that tries which repeat a key do not count towards the
// limit, so they do not end other families.
func TestIdempotencyKeyAtTheLimit(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"max_active":2}}`)
	phone, _ := w.login()
	for range 5 {
		w.clock.Advance(time.Second)
		w.issueAs("desk", signIn)
	}
	if r := w.sweep(); r.Removed != 0 {
		t.Errorf("swept %+v", r)
	}
	w.rotate(phone)
}

// TestIdempotencyKeyOfOtherParameters checks that the same key with other parameters is
// refused as a mistake of the login. The spelling of the JSON does not matter, and neither do
// empty members.
func TestIdempotencyKeyOfOtherParameters(t *testing.T) {
	w := newWorld(t)
	const body = `{"user_id":"u","client_id":"app","scope":"read","audience":"api","claims":{"a":1,"b":{"c":"x","d":1.50}},"acr":"1","amr":["pwd","otp"],` +
		`"device":"d","auth_time":"2029-12-31T10:00:00Z","absolute_lifetime":600}`
	first := w.issueAs("key", body)
	for _, same := range []string{
		` { "client_id" : "app", "user_id":"u", "claims":{"b":{"d":1.50,"c":"x"},"a":1}, "audience":"api", "scope":"read", "acr":"1", "amr":[ "pwd","otp"],` +
			`"absolute_lifetime":600,"device":"d","auth_time":"2029-12-31T11:00:00+01:00"} `,
		strings.Replace(body, `"app"`, `"\u0061pp"`, 1),
	} {
		w.issueAs("key", same).same(t, first)
	}
	for _, change := range [][2]string{
		{`"scope":"read",`, ``},
		{`"scope":"read"`, `"scope":""`},
		{`"scope":"read"`, `"scope":"read write"`},
		{`"api"`, `"other"`},
		{`"a":1`, `"a":2`},
		{`"a":1`, `"a":1.0`},
		{`"a":1`, `"a":"1"`},
		{`"acr":"1"`, `"acr":"2"`},
		{`"pwd","otp"`, `"otp","pwd"`},
		{`"device":"d"`, `"device":"e"`},
		{`10:00:00Z`, `10:00:01Z`},
		{`600`, `601`},
		{`600`, `null`},
	} {
		other := strings.Replace(body, change[0], change[1], 1)
		if other == body {
			t.Fatalf("%v changes nothing", change)
		}
		a := w.issueAs("key", other)
		a.problem(t, http.StatusUnprocessableEntity)
		if a.text("refresh_token") != "" || !strings.Contains(a.text("detail"), "Idempotency-Key") {
			t.Errorf("%v: %v", change, a)
		}
	}
	if n := w.onRecord(); n != 1 {
		t.Errorf("%d families", n)
	}
	bare := w.issueAs("bare", `{"user_id":"u","client_id":"app"}`)
	w.issueAs("bare", `{"user_id":"u","client_id":"app","scope":null,"audience":"","amr":null,"claims":null,"device":"","auth_time":null}`).same(t, bare)
	// The client's defaults are not part of the request.
	w.putClient("app", `{"type":"public","scope":"read"}`)
	w.issueAs("bare", `{"user_id":"u","client_id":"app"}`).same(t, bare)
}

// TestIdempotencyKeyOfAUsedFamily checks that a family whose first token was used, or that has
// ended, is not handed out again.
func TestIdempotencyKeyOfAUsedFamily(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		happens    func(w *world, a answer)
		says       string
	}{
		{"refreshed", signIn, func(w *world, a answer) { w.rotate(a.text("refresh_token")) }, "refreshed"},
		{"refreshed, and past the interval", signIn, func(w *world, a answer) { w.later(w.rotate(a.text("refresh_token"))) }, "refreshed"},
		{"revoked by the client", signIn, func(w *world, a answer) {
			w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", a.text("refresh_token")))
		}, "revoked_by_client"},
		{"revoked", signIn, func(w *world, a answer) { w.bulk("user_id", "u") }, "revoked_by_admin"},
		{"at its end", `{"user_id":"u","client_id":"app","absolute_lifetime":60}`, func(w *world, _ answer) { w.clock.Advance(time.Minute) }, "expired_absolute"},
		{"before its client's not_before", signIn, func(w *world, _ answer) {
			w.clock.Advance(time.Second)
			w.putClient("app", `{"type":"public","not_before":"`+w.clock.Now().Format(time.RFC3339Nano)+`"}`)
		}, "client_not_before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.happens(w, w.issueAs("key", tt.body))
			for range 2 {
				a := w.issueAs("key", tt.body)
				a.problem(t, http.StatusConflict)
				if !strings.Contains(a.text("detail"), tt.says) || strings.Contains(a.body, "rotor_") {
					t.Errorf("got %v", a)
				}
			}
			w.issueAs("key", `{"user_id":"u","client_id":"app","device":"other"}`).problem(t, http.StatusUnprocessableEntity)
			if n := w.onRecord(); n != 1 {
				t.Errorf("%d families", n)
			}
		})
	}
	t.Run("gone", func(t *testing.T) { // the record is purged before the key
		w := newWorld(t)
		_, server := w.another(store.New(w.store.Config(), w.store.Name(), store.Retention{Families: time.Second, Events: time.Second}), keysAsTheyAre{w.keys})
		issue := func() answer {
			return w.sendTo(server, http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app","absolute_lifetime":1}`, "Idempotency-Key", "key")
		}
		issue()
		w.clock.Advance(time.Hour)
		w.purge()
		if n := w.onRecord(); n != 0 {
			t.Fatalf("%d families", n)
		}
		issue().problem(t, http.StatusConflict)
		if n := w.onRecord(); n != 0 {
			t.Errorf("%d families", n)
		}
	})
}

// TestIdempotencyKeyWithoutRotation checks that a family which does not rotate is still handed
// out after its first refresh, as its token is the same.
func TestIdempotencyKeyWithoutRotation(t *testing.T) {
	w := newWorld(t)
	w.confidential(`{"rotation":false}`)
	first := w.issueAs("key", signIn)
	w.rotate(first.text("refresh_token"))
	w.issueAs("key", signIn).same(t, first)
}

// TestIdempotencyKeyLastsADay checks that a key is valid for a day from its first use. The
// clock decides: an item that still exists does not extend it, and neither does another try.
func TestIdempotencyKeyLastsADay(t *testing.T) {
	w := newWorld(t)
	first := w.issueAs("key", signIn)
	w.clock.Advance(12 * time.Hour)
	w.issueAs("key", signIn).same(t, first)
	w.clock.Advance(12*time.Hour - time.Millisecond)
	w.issueAs("key", signIn).same(t, first)
	w.clock.Advance(time.Millisecond)
	second := w.issueAs("key", signIn)
	if second.status != http.StatusCreated || second.text("family") == first.text("family") {
		t.Fatalf("got %v", second)
	}
	w.issueAs("key", signIn).same(t, second)
	w.rotate(first.text("refresh_token"))
	w.clock.Advance(day + time.Second)
	w.purge() // only now is the item deleted
	contents, err := w.store.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range contents {
		if strings.HasPrefix(s, "i#") {
			t.Errorf("%s is still there", s)
		}
	}
}

func TestIdempotencyKeyForms(t *testing.T) {
	w := newWorld(t)
	visible := ""
	for c := '!'; c <= '~'; c++ {
		visible += string(c)
	}
	for _, key := range []string{"x", visible, strings.Repeat("k", 255), `"8e03978e-40d5-43dd-bc93-6894a57f9324"`} {
		first := w.issueAs(key, signIn)
		w.issueAs(key, signIn).same(t, first)
	}
	n := w.onRecord()
	w.store.Counted()
	for _, key := range []string{"", strings.Repeat("k", 256), "a b", "é", "a\tb"} {
		w.issueAs(key, signIn).names(t, "Idempotency-Key", "255 visible ASCII")
	}
	w.send(http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", "a", "Idempotency-Key", "a").names(t, "Idempotency-Key", "once")
	if calls := w.store.Counted(); len(calls) != 0 {
		t.Errorf("the store was asked %v", calls)
	}
	if w.onRecord() != n {
		t.Errorf("%d families", w.onRecord())
	}
	// A refused body does not use up its key.
	w.issueAs("later", `{"user_id":"u","client_id":"app","scope":"a  b"}`).names(t, "scope")
	if a := w.issueAs("later", signIn); a.status != http.StatusCreated {
		t.Errorf("got %v", a)
	}
}

// TestIdempotencyKeyFaults checks that after any fault, whether or not the write was applied,
// a login that tries again with its key leaves one family.
func TestIdempotencyKeyFaults(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "no answer": storetest.Timeout, "answer lost": storetest.Lost} {
		for _, lasting := range []bool{true, false} {
			for call := 1; ; call++ {
				w := newWorld(t)
				w.login()
				w.refresh("none") // the client is cached
				w.store.Break(func(n int, _ string) storetest.Fault {
					if n == call || lasting && n > call {
						return fault
					}
					return storetest.None
				})
				a := w.issueAs("key", signIn)
				reached := len(w.store.Counted()) >= call
				w.store.Break(nil)
				if !reached {
					if call < 4 { // the reads of the alias, the count, and the write of both
						t.Errorf("%d calls broken", call-1)
					}
					break
				}
				if a.status != http.StatusCreated && a.status != http.StatusServiceUnavailable || !lasting && a.status != http.StatusCreated {
					t.Fatalf("%s, call %d: %v", name, call, a)
				}
				again := w.issueAs("key", signIn)
				if a.status != http.StatusCreated {
					a = again
				}
				again.same(t, a)
				if n, active := w.onRecord(), w.owner().Active; n != 2 || active < 2 || !lasting && fault == storetest.Failed && active != 2 {
					t.Errorf("%s, call %d: %d families, counted %d", name, call, n, active)
				}
				w.rotate(again.text("refresh_token"))
			}
		}
	}
}

// TestIdempotencyKeyAtOnce checks that of two simultaneous tries one starts the family, and
// both get it.
func TestIdempotencyKeyAtOnce(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		status     int
	}{
		{"the same", signIn, http.StatusCreated},
		{"for something else", `{"user_id":"u","client_id":"app"}`, http.StatusUnprocessableEntity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.login()
			var first answer
			server := w.meanwhile(1, "TransactWriteItems", func() { first = w.issueAs("key", signIn) })
			a := w.sendTo(server, http.MethodPost, "/v1/families", jsonType, tt.body, "Idempotency-Key", "key")
			if a.status != tt.status {
				t.Errorf("got %v", a)
			} else if a.status == http.StatusCreated {
				a.same(t, first)
			}
			if n := w.onRecord(); n != 2 || w.owner().Active < 2 {
				t.Errorf("%d families, counted %d", n, w.owner().Active)
			}
			w.rotate(first.text("refresh_token"))
		})
	}
	t.Run("many", func(t *testing.T) {
		w := newWorld(t, servers(2))
		var tries sync.WaitGroup
		got := make([]answer, 40)
		for i := range got {
			tries.Go(func() {
				var err error
				if got[i], err = w.try(i%2, http.MethodPost, "/v1/families", jsonType, signIn, "Idempotency-Key", "key"); err != nil {
					t.Error(err)
				}
			})
		}
		tries.Wait()
		for _, a := range got {
			a.same(t, got[0])
		}
		if n := w.onRecord(); n != 1 || w.owner().Active < 1 {
			t.Errorf("%d families, counted %d", n, w.owner().Active)
		}
	})
	t.Run("beside another transaction", func(t *testing.T) {
		w := newWorld(t)
		conflicts := 3
		w.store.Break(func(_ int, operation string) storetest.Fault {
			if operation == "TransactWriteItems" && conflicts > 0 {
				conflicts--
				return storetest.Conflict
			}
			return storetest.None
		})
		first := w.issueAs("key", signIn)
		w.store.Break(nil)
		w.issueAs("key", signIn).same(t, first)
		if conflicts != 0 || w.onRecord() != 1 {
			t.Errorf("%d families, %d conflicts left", w.onRecord(), conflicts)
		}
	})
}

// TestIdempotencyKeyIsNotStored checks that neither the key nor the request can be read from
// the table or the log. The key cannot be guessed from its hash without our MAC key.
func TestIdempotencyKeyIsNotStored(t *testing.T) {
	const key = "order-0123456789"
	w := newWorld(t)
	w.issueAs(key, signIn)
	w.issueAs(key, `{"user_id":"u","client_id":"app"}`)
	contents, err := w.store.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	aliases := 0
	for _, s := range contents {
		if strings.Contains(s, key) || strings.Contains(s, base64.RawURLEncoding.EncodeToString([]byte(key))) {
			t.Errorf("the table has %q", s)
		}
		if strings.HasPrefix(s, "i#") {
			aliases++
		}
	}
	if aliases != 1 {
		t.Errorf("looked at %d aliases", aliases)
	}
	if strings.Contains(w.log.String(), key) {
		t.Error("the log has the key")
	}
}

// TestIdempotentOperationIsOnRecord checks that the trail names the family, even for a try
// that starts none.
func TestIdempotentOperationIsOnRecord(t *testing.T) {
	w := newWorld(t)
	first := w.issueAs("key", signIn)
	w.issueAs("key", signIn)
	w.issueAs("key", `{"user_id":"u","client_id":"app"}`)
	lines := w.logged("sapi")
	for i, status := range []float64{201, 201, 422} {
		line := lines[len(lines)-3+i]
		if line["operation"] != "issue_family" || line["status"] != status || line["familyId"] != first.text("family") || line["userId"] != "u" {
			t.Errorf("try %d is on record as %v", i+1, line)
		}
	}
}
