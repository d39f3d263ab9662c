package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// bulk calls DELETE /v1/families until there is no next, and returns how many families it
// revoked in how many calls.
func (w *world) bulk(params ...string) (revoked, calls int) {
	w.t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	for {
		a := w.send(http.MethodDelete, "/v1/families?"+q.Encode(), "", "")
		if a.status != http.StatusOK {
			w.t.Fatalf("revoke: %v", a)
		}
		calls++
		revoked += int(a.number("revoked"))
		if a.text("next") == "" {
			return revoked, calls
		}
		q.Set("next", a.text("next"))
	}
}

// issueMany writes n families of "u" in "app" to the table, many at once.
func (w *world) issueMany(n int) {
	w.t.Helper()
	w.issueManyIn("app", n)
}

func (w *world) issueManyIn(clientID string, n int) {
	w.t.Helper()
	w.issueManyOf(&family.Family{ClientID: clientID}, n)
}

// issueScoped writes families with scopes like [world.issueMany].
func (w *world) issueScoped(n int, scope ...string) {
	w.t.Helper()
	w.issueManyOf(&family.Family{ClientID: "app", Scope: scope}, n)
}

func (w *world) issueManyOf(f *family.Family, n int) {
	w.t.Helper()
	now := w.clock.Now()
	policy := family.DefaultPolicy()
	policy.MaxActive = 100_000
	err := w.store.Fill(w.t.Context(), func(table *store.Table) error {
		for range n {
			id, err := family.NewID(w.keys.Users.Key("u"), now)
			if err != nil {
				return err
			}
			if err := table.Issue(w.t.Context(), &family.Family{
				ID: id, UserID: "u", ClientID: f.ClientID, Scope: f.Scope, Counter: 1, LastUsedAt: now, ExpiresAt: now.Add(30 * day),
			}, &policy); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestRevokeOne(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	other, _ := w.login()
	for want := range []int{1, 0} {
		a := w.send(http.MethodDelete, "/v1/families/"+id, "", "")
		if a.status != http.StatusOK || int(a.number("revoked")) != 1-want {
			t.Errorf("got %v", a)
		}
	}
	w.dead(first, family.RevokedByAdmin)
	w.rotate(other)
	if n := w.storedEvents("srrt"); n != 1 || len(w.logged("srrt")) != 1 {
		t.Errorf("%d events", n)
	}
}

// TestRevokeAll checks that all families of a user, even thousands, end over as many calls as
// it takes. None works after the last call, and other users are not affected.
func TestRevokeAll(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	first, id := w.login()
	others := w.issue(`{"user_id":"v","client_id":"app"}`).text("refresh_token")
	half := storetest.SizeWhereSlow(5000, 1100, 550)
	w.issueMany(half - 2)
	expired, _ := w.login()
	w.clock.Advance(16 * day)
	w.dead(expired, family.ExpiredIdle)
	others2 := w.issue(`{"user_id":"v","client_id":"app"}`).text("refresh_token")
	w.issueMany(half - 1)
	last, _ := w.login()
	inOther := w.issue(`{"user_id":"u","client_id":"other"}`).text("refresh_token")

	if n, _ := w.bulk("user_id", "u", "dry_run", "true"); n != half+1 {
		t.Errorf("a dry run counts %d", n)
	}
	if n := w.storedEvents("srrt"); n != 0 {
		t.Errorf("a dry run stored %d events", n)
	}
	last = w.rotate(last)
	n, calls := w.bulk("user_id", "u", "client_id", "app", "cause", "password_changed")
	if n != half || calls < half/1000 {
		t.Errorf("%d families in %d calls", n, calls)
	}
	w.dead(last, family.PasswordChanged)
	w.dead(first, family.ExpiredIdle) // died earlier of another cause
	w.refresh(inOther, "client_id", "other")
	inOther = w.refresh(inOther, "client_id", "other").text("refresh_token")
	w.rotate(others2)
	w.dead(others, family.ExpiredIdle)
	if f := w.family(id); f.text("cause") != "expired_idle" {
		t.Errorf("a family that had expired is %v", f)
	}
	events := w.logged("srrt")
	named := 0
	for _, e := range events {
		named += int(e["removedCount"].(float64))
		if len(e["families"].([]any)) != int(e["removedCount"].(float64)) || e["cause"] != "password_changed" {
			t.Errorf("an event of %v families", e["removedCount"])
		}
	}
	if named != half || len(events) != w.storedEvents("srrt") || len(events) > calls {
		t.Errorf("%d events of %d calls name %d families", len(events), calls, named)
	}
	if n, _ := w.bulk("user_id", "u"); n != 1 {
		t.Errorf("%d were left", n)
	}
	w.dead(inOther, family.RevokedByAdmin, "client_id", "other")
}

// TestRevokeAllRacesWithRefresh checks that a refresh during the revocation happens before it
// or fails. After the answer no token of the families works.
func TestRevokeAllRacesWithRefresh(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	var mu sync.Mutex
	newest := map[string]string{} // family → refresh token
	access := map[string]string{}
	for range 20 {
		a := w.issue(`{"user_id":"u","client_id":"web"}`)
		newest[a.text("family")], access[a.text("family")] = a.text("refresh_token"), a.text("access_token")
	}
	stop := make(chan struct{})
	var refreshing sync.WaitGroup
	for id, tok := range maps.Clone(newest) {
		refreshing.Go(func() {
			for {
				a, err := w.try(0, http.MethodPost, "/oauth/token", formType, refreshForm(tok, "client_id", "web", "client_secret", secret))
				if err != nil || a.status != http.StatusOK {
					return
				}
				tok = a.text("refresh_token")
				mu.Lock()
				newest[id], access[id] = tok, a.text("access_token")
				mu.Unlock()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	if n, _ := w.bulk("user_id", "u"); n != 20 {
		t.Errorf("revoked %d", n)
	}
	mu.Lock()
	for id := range newest { // as they were when the answer arrived, or are now
		for what, body := range map[string]string{"refresh": newest[id], "access": access[id]} {
			v := url.Values{"client_id": {"web"}, "client_secret": {secret}, "token": {body}}
			if a := w.send(http.MethodPost, "/oauth/introspect", formType, v.Encode()); a.body != `{"active":false}`+"\n" {
				t.Errorf("the %s token is %v", what, a)
			}
		}
	}
	mu.Unlock()
	close(stop)
	refreshing.Wait()
	for _, tok := range newest {
		w.dead(tok, family.RevokedByAdmin, "client_id", "web", "client_secret", secret)
	}
}

// TestRevokeAllFaults checks that a fault during a revocation of many families is answered
// with 503, and that repeating the call ends the rest.
func TestRevokeAllFaults(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		for call := 1; ; call++ {
			w := newWorld(t)
			var tokens []string
			for range 3 { // the policy does not say how long their records are kept, so each takes two writes
				tokens = append(tokens, w.issue(`{"user_id":"u","client_id":"app","absolute_lifetime":86400}`).text("refresh_token"))
			}
			w.store.Break(func(n int, _ string) storetest.Fault {
				if n >= call {
					return fault
				}
				return storetest.None
			})
			a := w.send(http.MethodDelete, "/v1/families?user_id=u", "", "")
			reached := len(w.store.Counted()) >= call
			w.store.Break(nil)
			if !reached {
				break
			}
			if a.status != http.StatusServiceUnavailable && a.status != http.StatusOK {
				t.Errorf("%s, call %d: %v", name, call, a)
			}
			w.bulk("user_id", "u")
			for _, tok := range tokens {
				w.dead(tok, family.RevokedByAdmin)
			}
		}
	}
}

func TestListFamilies(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	w.putClient("gone", `{"type":"public"}`)
	var want []string // newest first
	add := func(clientID string) string {
		w.clock.Advance(time.Second)
		id := w.issue(`{"user_id":"u","client_id":"` + clientID + `","device":"phone"}`).text("family")
		want = append([]string{id}, want...)
		return id
	}
	for range 120 {
		add("app")
	}
	revoked, other, orphan := add("app"), add("other"), add("gone")
	w.issue(`{"user_id":"v","client_id":"app"}`)
	w.send(http.MethodDelete, "/v1/families/"+revoked, "", "")
	w.send(http.MethodDelete, "/v1/clients/gone", "", "")

	list := func(query string) []string {
		t.Helper()
		var ids []string
		for next := ""; ; {
			a := w.send(http.MethodGet, "/v1/families?"+query+next, "", "")
			if a.status != http.StatusOK {
				t.Fatal(a)
			}
			for _, f := range a.json["families"].([]any) {
				ids = append(ids, f.(map[string]any)["family"].(string))
			}
			if a.text("next") == "" {
				return ids
			}
			next = "&next=" + url.QueryEscape(a.text("next"))
		}
	}
	same := func(what string, got, want []string) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %d families, not %d", what, len(got), len(want))
		}
	}
	same("all", list("user_id=u"), want)
	same("of one client", list("user_id=u&client_id=other"), []string{other})
	same("revoked", list("user_id=u&status=revoked"), []string{revoked})
	same("unregistered", list("user_id=u&status=unregistered"), []string{orphan})
	same("active", list("user_id=u&status=active"), append([]string{other}, want[3:]...))
	same("expired", list("user_id=u&status=expired"), nil)
	same("of nobody", list("user_id=nobody"), nil)
	w.clock.Advance(15 * day)
	if got := list("user_id=u&status=expired"); len(got) != 121 {
		t.Errorf("%d expired", len(got))
	}
}

func TestFamilyQueriesRefused(t *testing.T) {
	w := newWorld(t)
	for range 101 {
		w.login()
	}
	a := w.send(http.MethodGet, "/v1/families?user_id=u", "", "")
	next := a.text("next")
	if next == "" {
		t.Fatal("there is no second page")
	}
	for query, field := range map[string]string{
		"":                             "user_id",
		"user_id=":                     "user_id",
		"user_id=u&user_id=v":          "user_id",
		"user_id=u&user=v":             "user",
		"user_id=u&client_id=a%2Fb":    "client_id",
		"user_id=u&client_id=":         "client_id",
		"user_id=%00":                  "user_id",
		"user_id=u&next=x":             "next",
		"user_id=u&next=" + next[1:]:   "next",
		"user_id=v&next=" + next:       "next",
		"user_id=u&next=" + flip(next): "next",
	} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			w.send(method, "/v1/families?"+query, "", "").names(t, field)
		}
	}
	w.send(http.MethodGet, "/v1/families?user_id=u&status=dead", "", "").names(t, "status")
	w.send(http.MethodDelete, "/v1/families?user_id=u&cause=limit_exceeded", "", "").names(t, "cause")
	w.send(http.MethodDelete, "/v1/families?user_id=u&dry_run=maybe", "", "").names(t, "dry_run")
	w.send(http.MethodDelete, "/v1/families?user_id=u&next="+next, "", "").names(t, "next") // a cursor of another list
	if a := w.send(http.MethodGet, "/v1/families?user_id=u&next="+next, "", ""); a.status != http.StatusOK {
		t.Errorf("the cursor itself: %v", a)
	}
}

// flip changes one letter in the middle.
func flip(s string) string {
	b := []byte(s)
	if i := len(b) / 2; b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	return string(b)
}
