package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

func (w *world) change(id, body string) answer {
	w.t.Helper()
	return w.send(http.MethodPatch, "/v1/families/"+id, jsonType, body)
}

// changeAll calls PATCH /v1/families until there is no next, and returns how many families it
// changed in how many calls.
func (w *world) changeAll(body string, params ...string) (changed, calls int) {
	w.t.Helper()
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	for {
		a := w.send(http.MethodPatch, "/v1/families?"+q.Encode(), jsonType, body)
		if a.status != http.StatusOK {
			w.t.Fatalf("change: %v", a)
		}
		calls++
		changed += int(a.number("changed"))
		if a.text("next") == "" {
			return changed, calls
		}
		q.Set("next", a.text("next"))
	}
}

// claims returns the claims of an answer's access token.
func (a answer) claims(t testing.TB) map[string]any {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatal(a)
	}
	_, claims := decodeJWT(t, a.text("access_token"))
	return claims
}

// TestChangeFamily checks that a change is in the tokens of the next refresh, whether that
// rotates or is held. Nothing else about the family changes.
func TestChangeFamily(t *testing.T) {
	w := newWorld(t)
	a := w.issue(`{"user_id":"u","client_id":"app","scope":"openid read write","audience":"api","claims":{"tenant":"t","role":"admin"},` +
		`"auth_time":"2029-12-31T10:00:00Z","acr":"aal1","amr":["pwd"],"device":"Pixel 9"}`)
	tok, id := w.rotate(a.text("refresh_token")), a.text("family")
	before := w.family(id)
	w.clock.Advance(10 * time.Second)
	got := w.change(id, `{"scope":"read openid","claims":{"tenant":"t2"},"auth_time":"2030-01-01T10:00:00+01:00","acr":"aal2","amr":["pwd","otp"],"device":"Pixel 10"}`)
	if got.status != http.StatusOK || got.header.Get("Cache-Control") != "no-store" {
		t.Fatal(got)
	}
	want := maps.Clone(before.json)
	maps.Copy(want, map[string]any{
		"scope": "read openid", "claims": map[string]any{"tenant": "t2"}, "auth_time": "2030-01-01T09:00:00Z", "acr": "aal2", "amr": []any{"pwd", "otp"}, "device": "Pixel 10",
	})
	if diff := cmp.Diff(want, w.family(id).json); diff != "" {
		t.Errorf("the family (-want +got):\n%s", diff)
	}
	delete(want, "timeline")
	if diff := cmp.Diff(want, got.json); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
	for _, wait := range []time.Duration{0, 50 * time.Second} { // held, and rotated
		w.clock.Advance(wait)
		a := w.refresh(tok)
		c := a.claims(t)
		if c["scope"] != "read openid" || c["tenant"] != "t2" || c["role"] != nil || c["acr"] != "aal2" || fmt.Sprint(c["amr"]) != "[pwd otp]" || fmt.Sprint(c["auth_time"]) != "1893488400" || c["aud"] != "api" {
			t.Errorf("after %v the access token says %v", wait, c)
		}
		if _, c := decodeJWT(t, a.text("id_token")); c["acr"] != "aal2" || fmt.Sprint(c["auth_time"]) != "1893488400" {
			t.Errorf("after %v the id token says %v", wait, c)
		}
	}
	if c := w.refresh(tok).claims(t); c["acr"] != "aal2" { // the predecessor is held
		t.Errorf("the access token says %v", c)
	}
}

// TestChangeOneMember checks that members which are left out remain, and that empty ones are
// removed.
func TestChangeOneMember(t *testing.T) {
	const body = `{"user_id":"u","client_id":"app","scope":"read write","claims":{"a":1},"auth_time":"2029-12-31T10:00:00Z","acr":"1","amr":["pwd"],"device":"d"}`
	for _, tt := range []struct {
		change string
		member string
		want   any
	}{
		{`{"scope":"write"}`, "scope", "write"},
		{`{"claims":{"b":[2.50]}}`, "claims", map[string]any{"b": []any{2.5}}},
		{`{"claims":{}}`, "claims", nil},
		{`{"auth_time":"2029-12-31T10:00:01.9Z"}`, "auth_time", "2029-12-31T10:00:01Z"},
		{`{"acr":"2"}`, "acr", "2"},
		{`{"acr":""}`, "acr", nil},
		{`{"amr":["otp","pwd"]}`, "amr", []any{"otp", "pwd"}},
		{`{"amr":[]}`, "amr", nil},
		{`{"device":"e\nf"}`, "device", "e f"},
		{`{"device":""}`, "device", nil},
		{`{"device":"` + strings.Repeat("é", 200) + `"}`, "device", strings.Repeat("é", 128)},
		{`{"acr":"2","claims":null,"scope":null,"auth_time":null,"amr":null,"device":null}`, "acr", "2"},
	} {
		w := newWorld(t)
		id := w.issue(body).text("family")
		want := maps.Clone(w.family(id).json)
		if want[tt.member] = tt.want; tt.want == nil {
			delete(want, tt.member)
		}
		for range 2 {
			if a := w.change(id, tt.change); a.status != http.StatusOK {
				t.Fatalf("%s: %v", tt.change, a)
			}
			if diff := cmp.Diff(want, w.family(id).json); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.change, diff)
			}
		}
	}
}

// TestChangeNarrowsTheScope checks that a scope can be narrowed but not widened.
func TestChangeNarrowsTheScope(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","scope":"read write admin"}`)
	a := w.issue(`{"user_id":"u","client_id":"app","scope":"read write"}`)
	tok, id := a.text("refresh_token"), a.text("family")
	for _, wider := range []string{"admin", "read admin", "read write admin", "readwrite", "rea"} {
		w.change(id, `{"scope":"`+wider+`","acr":"x"}`).names(t, "scope", wider, "within the family's: read write")
	}
	w.change(id, `{"scope":""}`).names(t, "scope", "revoked")
	if f := w.family(id); f.text("scope") != "read write" || f.json["acr"] != nil {
		t.Errorf("refused, the family is %v", f)
	}
	if a := w.change(id, `{"scope":"write"}`); a.status != http.StatusOK || a.text("scope") != "write" {
		t.Fatal(a)
	}
	w.change(id, `{"scope":"read"}`).names(t, "scope", "within the family's: write")
	w.refresh(tok, "scope", "read").is(t, http.StatusBadRequest, "invalid_scope")
	if w.counter(id) != 1 {
		t.Errorf("the counter is %d", w.counter(id))
	}
	w.refresh(tok).granted(t, "write", false)
	// An empty scope cannot be narrowed.
	none := w.issue(`{"user_id":"u","client_id":"app","scope":""}`).text("family")
	w.change(none, `{"scope":"read"}`).names(t, "scope")
}

func TestChangeFamilyRefuses(t *testing.T) {
	w := newWorld(t)
	_, id := w.login()
	before := w.family(id)
	x := strings.Repeat
	for _, tt := range []struct{ name, body, field string }{
		{"nothing", `{}`, ""},
		{"nothing but nulls", `{"acr":null,"scope":null}`, ""},
		{"no object", `[]`, ""},
		{"cut", `{"acr":"x"`, ""},
		{"another member", `{"acr":"x","audience":"api"}`, "audience"},
		{"user_id", `{"user_id":"v"}`, "user_id"},
		{"client_id", `{"client_id":"web"}`, "client_id"},
		{"absolute_lifetime", `{"absolute_lifetime":60}`, "absolute_lifetime"},
		{"in other letters", `{"Acr":"x"}`, "Acr"},
		{"twice", `{"acr":"x","acr":"y"}`, "acr"},
		{"acr too long", `{"acr":"` + x("r", 129) + `"}`, "acr"},
		{"acr with a tab", `{"acr":"a\tb"}`, "acr"},
		{"acr a number", `{"acr":2}`, "acr"},
		{"amr too long", `{"amr":["` + x("m", 129) + `"]}`, "amr"},
		{"amr with an empty value", `{"amr":[""]}`, "amr"},
		{"amr with a space", `{"amr":["a b"]}`, "amr"},
		{"amr a string", `{"amr":"pwd"}`, "amr"},
		{"claims too long", `{"claims":{"c":"` + x("c", 2048) + `"}}`, "claims"},
		{"claims an array", `{"claims":[]}`, "claims"},
		{"a reserved claim", `{"claims":{"sub":"v"}}`, "claims.sub"},
		{"auth_time in the future", `{"auth_time":"2030-01-02T03:06:00Z"}`, "auth_time"},
		{"auth_time too early", `{"auth_time":"1970-01-01T00:00:00Z"}`, "auth_time"},
		{"auth_time of the year 0", `{"auth_time":"0000-01-01T00:00:00Z"}`, "auth_time"},
		{"auth_time a number", `{"auth_time":5}`, "auth_time"},
		{"scope malformed", `{"scope":"read  write"}`, "scope"},
		{"scope too long", `{"scope":"` + x("s", 1025) + `"}`, "scope"},
		{"scope a list", `{"scope":["read"]}`, "scope"},
		{"device a number", `{"device":1}`, "device"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/v1/families/" + id, "/v1/families?user_id=u"} {
				a := w.send(http.MethodPatch, path, jsonType, tt.body)
				if tt.field == "" {
					a.problem(t, http.StatusBadRequest)
				} else {
					a.names(t, tt.field)
				}
			}
		})
	}
	for _, contentType := range []string{"", formType, "application/merge-patch+json"} {
		w.send(http.MethodPatch, "/v1/families/"+id, contentType, `{"acr":"x"}`).problem(t, http.StatusUnsupportedMediaType)
	}
	if diff := cmp.Diff(before.json, w.family(id).json); diff != "" {
		t.Errorf("refused, the family has changed: %s", diff)
	}
	unknown, err := family.NewID(w.keys.Users.Key("u"), w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.change(unknown.String(), `{"acr":"x"}`).problem(t, http.StatusNotFound)
	w.change("x", `{"acr":"x"}`).names(t, "family")
	for query, field := range map[string]string{
		"": "user_id", "user_id=": "user_id", "user_id=u&client_id=a%2Fb": "client_id", "user_id=u&dry_run=true": "dry_run", "user_id=u&next=x": "next",
	} {
		w.send(http.MethodPatch, "/v1/families?"+query, jsonType, `{"acr":"x"}`).names(t, field)
	}
}

// TestChangeFitsTheRecord checks that a change, like a login, keeps the record within its
// limit.
func TestChangeFitsTheRecord(t *testing.T) {
	w := newWorld(t)
	id := w.issue(`{"user_id":"` + strings.Repeat("u", 128) + `","client_id":"app","scope":"` + strings.Repeat("s", 1024) + `","audience":["` + strings.Repeat("a", 512) + `"],"acr":"` + strings.Repeat("r", 128) + `"}`).text("family")
	w.change(id, `{"claims":{"c":"`+strings.Repeat("c", 2040)+`"},"device":"`+strings.Repeat("d", 256)+`"}`).names(t, "claims", "4096")
	if a := w.change(id, `{"claims":{"c":"`+strings.Repeat("c", 1000)+`"}}`); a.status != http.StatusOK {
		t.Error(a)
	}
}

// TestChangeOfADeadFamily checks that an ended family cannot be changed.
func TestChangeOfADeadFamily(t *testing.T) {
	for name, end := range map[string]func(w *world, id string){
		"revoked_by_admin": func(w *world, id string) { w.send(http.MethodDelete, "/v1/families/"+id, "", "") },
		"expired_idle":     func(w *world, _ string) { w.clock.Advance(15 * day) },
		"client_not_before": func(w *world, _ string) {
			w.clock.Advance(time.Second)
			w.putClient("app", `{"type":"public","not_before":"`+w.clock.Now().Format(time.RFC3339Nano)+`"}`)
		},
	} {
		w := newWorld(t)
		_, id := w.login()
		end(w, id)
		before := w.family(id)
		a := w.change(id, `{"acr":"x"}`)
		a.problem(t, http.StatusConflict)
		if !strings.Contains(a.text("detail"), name) {
			t.Errorf("%s: %v", name, a)
		}
		if n, _ := w.changeAll(`{"acr":"x"}`, "user_id", "u"); n != 0 {
			t.Errorf("%s: %d changed", name, n)
		}
		if diff := cmp.Diff(before.json, w.family(id).json); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestChangeOfAnUnregisteredFamily checks that a family whose client was deleted can be
// changed. It is active again once the client is registered again.
func TestChangeOfAnUnregisteredFamily(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	w.send(http.MethodDelete, "/v1/clients/app", "", "")
	if a := w.change(id, `{"scope":"read"}`); a.status != http.StatusOK || a.text("status") != "unregistered" {
		t.Errorf("got %v", a)
	}
	w.putClient("app", `{"type":"public"}`)
	w.refresh(tok).granted(t, "read", false)
}

// TestChangeBesideOthers checks a change when something else happens to the family between its
// read and its write: no ended family is revived, no scope is widened, and no change is lost.
func TestChangeBesideOthers(t *testing.T) {
	patch := func(body string) func(w *world, id, tok string) {
		return func(w *world, id, _ string) {
			w.also(http.StatusOK, http.MethodPatch, "/v1/families/"+id, jsonType, body)
		}
	}
	for _, tt := range []struct {
		name, change string
		happens      func(w *world, id, tok string)
		status       int
		want         map[string]any
	}{
		{"narrowed apart", `{"scope":"read"}`, patch(`{"scope":"write"}`), 400, map[string]any{"scope": "write"}},
		{"narrowed more", `{"scope":"read write"}`, patch(`{"scope":"read"}`), 400, map[string]any{"scope": "read"}},
		{"narrowed less", `{"scope":"read"}`, patch(`{"scope":"read write"}`), 200, map[string]any{"scope": "read"}},
		{"narrowed alike", `{"scope":"read"}`, patch(`{"scope":"read"}`), 200, map[string]any{"scope": "read"}},
		{"narrowed, while claims change", `{"claims":{"a":1}}`, patch(`{"scope":"read"}`), 200, map[string]any{"scope": "read", "claims": map[string]any{"a": 1.0}}},
		{"another member", `{"acr":"2"}`, patch(`{"claims":{"a":1},"amr":["otp"]}`), 200, map[string]any{"acr": "2", "claims": map[string]any{"a": 1.0}, "amr": []any{"otp"}}},
		{"refreshed", `{"acr":"2"}`, func(w *world, _, tok string) {
			w.also(http.StatusOK, http.MethodPost, "/oauth/token", formType, refreshForm(tok))
		}, 200, map[string]any{"acr": "2", "counter": 2.0}},
		{"revoked", `{"acr":"2"}`, func(w *world, id, _ string) {
			w.also(http.StatusOK, http.MethodDelete, "/v1/families/"+id, "", "")
		}, 409, map[string]any{"status": "revoked", "cause": "revoked_by_admin"}},
		{"purged", `{"acr":"2"}`, func(w *world, _, _ string) {
			if _, err := w.table.Purge(w.t.Context(), w.clock.Now().Add(365*day)); err != nil {
				w.t.Error(err)
			}
		}, 404, nil},
	} {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, many %t", tt.name, many), func(t *testing.T) {
				w := newWorld(t)
				a := w.issue(`{"user_id":"u","client_id":"app","scope":"read write admin"}`)
				tok, id := a.text("refresh_token"), a.text("family")
				path, status := "/v1/families/"+id, tt.status
				if many {
					path = "/v1/families?user_id=u"
					if status == 404 || status == 409 { // skipped
						status = 200
					}
				}
				if many && tt.name == "narrowed more" { // keeps the scope that it has
					status = 200
				}
				if many && tt.name == "narrowed apart" { // fitted when it was checked
					status = 409
				}
				server := w.meanwhile(1, "UpdateItem", func() { tt.happens(w, id, tok) })
				if got := w.sendTo(server, http.MethodPatch, path, jsonType, tt.change); got.status != status {
					t.Errorf("got %v, not %d", got, status)
				} else if _, given := got.json["changed"]; given && (got.number("changed") == 1) != (tt.status < 404) {
					t.Errorf("got %v", got)
				}
				got := w.get("/v1/families/" + id)
				if tt.want == nil {
					got.problem(t, http.StatusNotFound)
					return
				}
				for _, member := range []string{"scope", "claims", "acr", "amr", "counter", "status", "cause"} {
					want, given := tt.want[member]
					if !given {
						want = map[string]any{"scope": "read write admin", "counter": 1.0, "status": "active"}[member]
					}
					if diff := cmp.Diff(want, got.json[member]); diff != "" {
						t.Errorf("%s: %s", member, diff)
					}
				}
			})
		}
	}
}

// TestChangesAtOnce checks that many calls which narrow a scope at the same time leave what
// all of them leave.
func TestChangesAtOnce(t *testing.T) {
	w := newWorld(t, servers(2))
	a := w.issue(`{"user_id":"u","client_id":"app","scope":"a b c d e f g h"}`)
	id := a.text("family")
	var at sync.WaitGroup
	for i, drop := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		at.Go(func() {
			left := slices.DeleteFunc(strings.Split("a b c d e f g h", " "), func(s string) bool { return s == drop })
			got, err := w.try(i%2, http.MethodPatch, "/v1/families?user_id=u", jsonType, `{"scope":"`+strings.Join(left, " ")+`"}`)
			if err != nil || got.status != http.StatusOK && got.status != http.StatusBadRequest {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	at.Wait()
	if n, _ := w.changeAll(`{"scope":"h"}`, "user_id", "u"); n != 1 {
		t.Errorf("%d changed", n)
	}
	w.refresh(a.text("refresh_token")).granted(t, "h", false)
	if f := w.family(id); f.text("scope") != "h" {
		t.Errorf("the family is %v", f)
	}
}

// TestChangeFaults checks that after a fault, whether or not the write was applied, repeating
// the call does the rest.
func TestChangeFaults(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		for _, lasting := range []bool{true, false} {
			for _, many := range []bool{false, true} {
				for call := 1; ; call++ {
					w := newWorld(t)
					tokens, path := []string{}, ""
					for range 3 {
						tok, id := w.login()
						tokens, path = append(tokens, tok), "/v1/families/"+id
					}
					if many {
						path = "/v1/families?user_id=u"
					} else {
						tokens = tokens[2:]
					}
					w.refresh("none")
					w.store.Break(func(n int, _ string) storetest.Fault {
						if n == call || lasting && n > call {
							return fault
						}
						return storetest.None
					})
					a := w.send(http.MethodPatch, path, jsonType, `{"scope":"read"}`)
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						break
					}
					if a.status != http.StatusServiceUnavailable && a.status != http.StatusOK || !lasting && a.status != http.StatusOK {
						t.Errorf("%s, call %d: %v", name, call, a)
					}
					if a := w.send(http.MethodPatch, path, jsonType, `{"scope":"read"}`); a.status != http.StatusOK {
						t.Errorf("%s, call %d, again: %v", name, call, a)
					}
					for _, tok := range tokens {
						w.refresh(tok).granted(t, "read", false)
					}
				}
			}
		}
	}
}

// TestChangeAll checks a change of all active families of a user, or of those in one client.
// Each keeps only scopes that it has.
func TestChangeAll(t *testing.T) {
	w := newWorld(t)
	issue := func(user, clientID, scope string) string {
		return w.issue(fmt.Sprintf(`{"user_id":%q,"client_id":%q,"scope":%q}`, user, clientID, scope)).text("family")
	}
	all, some, other, web, dead := issue("u", "app", "read write admin"), issue("u", "app", "openid read"), issue("v", "app", "read admin"), issue("u", "web", "read admin"), issue("u", "app", "read admin")
	w.send(http.MethodDelete, "/v1/families/"+dead, "", "")
	scopes := func() string {
		var got []string
		for _, id := range []string{all, some, other, web, dead} {
			got = append(got, w.family(id).text("scope"))
		}
		return strings.Join(got, ", ")
	}
	refuse := func(body, field string, says ...string) {
		t.Helper()
		before := scopes()
		w.send(http.MethodPatch, "/v1/families?user_id=u", jsonType, body).names(t, field, says...)
		if scopes() != before {
			t.Errorf("refused, the scopes are %s", scopes())
		}
	}
	refuse(`{"scope":"read wirte"}`, "scope", "wirte", "none has")
	refuse(`{"scope":"write admin"}`, "scope", some, "openid read") // one of the families has no scope of these
	if n, _ := w.changeAll(`{"scope":"write read openid","claims":{"a":1}}`, "user_id", "u", "client_id", "app"); n != 2 {
		t.Errorf("%d changed", n)
	}
	if got := scopes(); got != "read write, openid read, read admin, read admin, read admin" {
		t.Errorf("the scopes are %s", got)
	}
	if n, _ := w.changeAll(`{"scope":"read"}`, "user_id", "u"); n != 3 {
		t.Errorf("%d changed", n)
	}
	if got := scopes(); got != "read, read, read admin, read, read admin" {
		t.Errorf("the scopes are %s", got)
	}
	for id, want := range map[string]bool{all: true, some: true, other: false, web: false, dead: false} {
		if _, has := w.family(id).json["claims"]; has != want {
			t.Errorf("claims: %t", has)
		}
	}
	if n, calls := w.changeAll(`{"acr":"x"}`, "user_id", "nobody"); n != 0 || calls != 1 {
		t.Errorf("%d changed in %d calls", n, calls)
	}
}

// TestChangeAllOrNone checks that a call which cannot change one of the families changes none.
func TestChangeAllOrNone(t *testing.T) {
	w := newWorld(t)
	w.issue(`{"user_id":"u","client_id":"app","scope":"openid"}`)
	w.clock.Advance(time.Second)
	var ids []string
	for range 40 {
		_, id := w.login()
		ids = append(ids, id)
	}
	w.send(http.MethodPatch, "/v1/families?user_id=u", jsonType, `{"scope":"read"}`).names(t, "scope", "openid")
	for _, id := range ids {
		if f := w.family(id); f.text("scope") != "read write" {
			t.Fatalf("the family is %v", f)
		}
	}
}

// TestChangeAllPages checks that a change of very many families takes several calls. A cursor
// works only for its user and client.
func TestChangeAllPages(t *testing.T) {
	w := newWorld(t)
	oldest, _ := w.login()
	w.clock.Advance(time.Second)
	w.issueMany(1200)
	w.clock.Advance(time.Second)
	newest, _ := w.login()
	first := w.send(http.MethodPatch, "/v1/families?user_id=u", jsonType, `{"acr":"x"}`)
	next := url.QueryEscape(first.text("next"))
	if first.number("changed") != 1000 || next == "" {
		t.Fatal(first)
	}
	for _, query := range []string{"user_id=v&next=" + next, "user_id=u&client_id=app&next=" + next} {
		w.send(http.MethodPatch, "/v1/families?"+query, jsonType, `{"acr":"x"}`).names(t, "next")
	}
	w.send(http.MethodDelete, "/v1/families?user_id=u&next="+next, "", "").names(t, "next")
	second := w.send(http.MethodPatch, "/v1/families?user_id=u&next="+next, jsonType, `{"acr":"x"}`)
	if second.number("changed") != 202 || second.text("next") != "" {
		t.Errorf("the second call: %v", second)
	}
	for _, tok := range []string{oldest, newest} {
		if c := w.refresh(tok).claims(t); c["acr"] != "x" {
			t.Errorf("the access token says %v", c)
		}
	}
	if n, calls := w.changeAll(`{"acr":"y"}`, "user_id", "u"); n != 1202 || calls != 2 {
		t.Errorf("%d in %d calls", n, calls)
	}
}

// TestChangeAllRacesWithRefresh checks that refreshes go on during a change of all families,
// and carry the change once it has been answered.
func TestChangeAllRacesWithRefresh(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":0}}`)
	var refreshing sync.WaitGroup
	stop := make(chan struct{})
	newest := make([]string, 8)
	for i := range newest {
		newest[i], _ = w.login()
		refreshing.Go(func() {
			for {
				a, err := w.try(0, http.MethodPost, "/oauth/token", formType, refreshForm(newest[i]))
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%v, %v", a, err)
					return
				}
				newest[i] = a.text("refresh_token")
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	if n, _ := w.changeAll(`{"scope":"write","acr":"aal2"}`, "user_id", "u"); n != len(newest) {
		t.Errorf("%d changed", n)
	}
	close(stop)
	refreshing.Wait()
	for _, tok := range newest {
		if c := w.refresh(tok).claims(t); c["acr"] != "aal2" || c["scope"] != "write" {
			t.Errorf("the access token says %v", c)
		}
	}
}

// TestChangeAllBesideAnother checks that a change of many families which meets another is
// answered with 409 and with how many families it changed before.
func TestChangeAllBesideAnother(t *testing.T) {
	w := newWorld(t)
	w.issue(`{"user_id":"u","client_id":"app","scope":"read write"}`)
	number := w.meanwhile(1, "UpdateItem", func() {
		w.also(http.StatusOK, http.MethodPatch, "/v1/families?user_id=u", jsonType, `{"scope":"write"}`)
	})
	a := w.sendTo(number, http.MethodPatch, "/v1/families?user_id=u", jsonType, `{"scope":"read"}`)
	a.problem(t, http.StatusConflict)
	if !strings.Contains(a.text("detail"), "0 are changed") {
		t.Errorf("got %v", a)
	}
	for _, f := range w.families("user_id=u") {
		if f["scope"] != "write" {
			t.Errorf("a family is %v", f)
		}
	}
}
