package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

const (
	supabaseToken  = "/auth/v1/token?grant_type=refresh_token"
	supabaseLogout = "/auth/v1/logout"
	supabaseUser   = "/auth/v1/user"
)

// supabase makes a request as Supabase's SDKs do, with the headers that they always send. header may replace them.
func (w *world) supabase(method, path, body string, header ...string) answer {
	w.t.Helper()
	contentType := ""
	if body != "" {
		contentType = "application/json;charset=UTF-8"
	}
	all := map[string]string{"Apikey": "app", "X-Client-Info": "gotrue-js/2.110.0", "X-Supabase-Api-Version": "2024-01-01"}
	for i := 0; i < len(header); i += 2 {
		all[http.CanonicalHeaderKey(header[i])] = header[i+1]
	}
	var pairs []string
	for name, value := range all {
		if value != "" {
			pairs = append(pairs, name, value)
		}
	}
	return w.send(method, path, contentType, body, pairs...)
}

// supabaseRefresh presents a token at Supabase's token endpoint.
func (w *world) supabaseRefresh(refreshToken string, header ...string) answer {
	w.t.Helper()
	return w.supabase(http.MethodPost, supabaseToken, object("refresh_token", refreshToken), header...)
}

// supabaseAs makes a request with an access token.
func (w *world) supabaseAs(accessToken, method, path string, header ...string) answer {
	w.t.Helper()
	return w.supabase(method, path, "", append([]string{"Authorization", "Bearer " + accessToken}, header...)...)
}

// saysSupabase checks an error of the shape that an SDK of today understands.
func (a answer) saysSupabase(t testing.TB, status int, code, message string) {
	t.Helper()
	if a.status != status || len(a.json) != 2 || a.text("code") != code || !strings.Contains(a.text("message"), message) {
		t.Errorf("got %v, not %d %s %q", a, status, code, message)
	}
	if a.header.Get("X-Supabase-Api-Version") != "2024-01-01" || a.header.Get("X-Sb-Error-Code") != code || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the headers of %s: %v", code, a.header)
	}
}

const supabaseClaims = `{"role":"authenticated","email":"ada@example.com","phone":"4915112345678","app_metadata":{"provider":"email","n":12345678901234567890},` +
	`"user_metadata":{"name":"Ada"},"is_anonymous":true,"created_at":"2024-05-01T09:00:00.123456Z","updated_at":"2025-06-01T09:00:00Z"}`

// TestSupabaseRefresh checks a refresh on Supabase's wire: what the session and its user are made of, and that it is the
// refresh of /oauth/token, with the same cost.
func TestSupabaseRefresh(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":5000}}`)
	issued := w.issue(`{"user_id":"5a1c8d2e-3b4f-4a6b-8c7d-9e0f1a2b3c4d","client_id":"app","scope":"openid","audience":["authenticated","other"],"auth_time":"` +
		w.clock.Now().Add(-time.Hour).Format(time.RFC3339) + `","claims":` + supabaseClaims + `}`)
	login := w.clock.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	w.supabaseRefresh("none") // from now on the client is known
	w.store.Counted()
	w.store.Consumed()
	a := w.supabaseRefresh(issued.text("refresh_token"))
	if calls := strings.Join(w.store.Counted(), " "); calls != "UpdateItem" {
		t.Errorf("a refresh makes the requests %q", calls)
	}
	w.consumed(1, 0, 0)
	var user any
	if err := json.Unmarshal([]byte(`{"id":"5a1c8d2e-3b4f-4a6b-8c7d-9e0f1a2b3c4d","aud":"authenticated","role":"authenticated","email":"ada@example.com","phone":"4915112345678",
		"app_metadata":{"provider":"email","n":12345678901234567890},"user_metadata":{"name":"Ada"},"identities":[],"is_anonymous":true,
		"created_at":"2024-05-01T09:00:00.123456Z","updated_at":"2025-06-01T09:00:00Z","last_sign_in_at":"`+login+`"}`), &user); err != nil {
		t.Fatal(err)
	}
	now := float64(w.clock.Now().Unix())
	want := map[string]any{"token_type": "bearer", "expires_in": 3600.0, "expires_at": now + 3600, "user": user}
	got := map[string]any{}
	for name, value := range a.json {
		if name != "access_token" && name != "refresh_token" {
			got[name] = value
		}
	}
	if diff := cmp.Diff(want, got); a.status != http.StatusOK || diff != "" {
		t.Fatalf("%v (-want +got)\n%s", a, diff)
	}
	if !strings.Contains(a.body, "12345678901234567890") || a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Supabase-Api-Version") != "" {
		t.Errorf("the answer: %v %v", a.header, a)
	}
	if _, claims := decodeJWT(t, a.text("access_token")); fmt.Sprint(claims["exp"]) != fmt.Sprint(w.clock.Now().Unix()+3600) || claims["email"] != "ada@example.com" {
		t.Errorf("the access token has %v", claims)
	}

	// A racer gets the same successor, here and there, and the next refresh one more.
	if b := w.supabaseRefresh(issued.text("refresh_token"), "Apikey", "", "X-Supabase-Api-Version", ""); b.status != http.StatusUnauthorized {
		t.Errorf("without a key: %v", b)
	}
	b := w.send(http.MethodPost, supabaseToken+"&apikey=app", jsonType, object("refresh_token", issued.text("refresh_token")))
	c := w.refresh(issued.text("refresh_token"))
	if b.text("refresh_token") != a.text("refresh_token") || c.text("refresh_token") != a.text("refresh_token") {
		t.Errorf("racers got %v and %v", b, c)
	}
	w.clock.Advance(50 * time.Minute)
	d := w.supabaseRefresh(a.text("refresh_token"))
	if d.status != http.StatusOK || d.text("refresh_token") == a.text("refresh_token") || d.number("expires_in") != 2000 || d.number("expires_at") != now+5000 {
		t.Errorf("at the end of the session: %v", d)
	}
	if uses := w.logged("sertft"); len(uses) != 4 {
		t.Errorf("%d uses are logged", len(uses))
	}
}

// TestSupabaseRefusals checks that a dead refresh token is refused with the code that Supabase has for its cause.
func TestSupabaseRefusals(t *testing.T) {
	const notFound, alreadyUsed, expired = "refresh_token_not_found", "refresh_token_already_used", "session_expired"
	ended := func(query string) func(*world) string {
		return func(w *world) string {
			first, _ := w.login()
			w.send(http.MethodDelete, "/v1/families?user_id=u"+query, "", "")
			return first
		}
	}
	for name, tt := range map[string]struct {
		prepare       func(w *world) string
		code, message string
	}{
		"malformed": {func(*world) string { return "no-token-of-ours" }, "validation_failed", "Refresh token is not valid"},
		"forged": {func(*world) string {
			return "rotor_AQFAPU6ez4epLy5tPhZz_9fAAaIi7SG8OW--SLgmjVGWgQAAAAH3YA2g7KTgQFRX74vM89dtjPKTFQ"
		}, notFound, "Refresh Token Not Found"},
		"of another client": {func(w *world) string {
			w.putClient("other", `{"type":"public"}`)
			return w.issue(`{"user_id":"u","client_id":"other"}`).text("refresh_token")
		}, notFound, "Refresh Token Not Found"},
		"erased": {func(w *world) string {
			first, _ := w.login()
			w.erase("user_id=u")
			return first
		}, notFound, "Refresh Token Not Found"},
		"revoked":          {ended(""), notFound, "Refresh Token Not Found"},
		"password changed": {ended("&cause=password_changed"), notFound, "Refresh Token Not Found"},
		"reused": {func(w *world) string {
			first, _ := w.login()
			w.rotate(first)
			w.clock.Advance(2 * time.Minute)
			return first
		}, alreadyUsed, "Already Used"},
		"of a family that was reused": {func(w *world) string {
			first, _ := w.login()
			next := w.rotate(first)
			w.clock.Advance(2 * time.Minute)
			w.refresh(first)
			return next
		}, alreadyUsed, "Already Used"},
		"idle": {func(w *world) string {
			first, _ := w.login()
			w.clock.Advance(16 * 24 * time.Hour)
			return first
		}, expired, "Session Expired (Inactivity)"},
		"too old": {func(w *world) string {
			w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":60,"idle_lifetime":0}}`)
			first, _ := w.login()
			w.clock.Advance(time.Minute)
			return first
		}, expired, "Session Expired"},
		"one too many": {func(w *world) string {
			w.putClient("app", `{"type":"public","policy":{"max_active":1}}`)
			first, _ := w.login()
			w.clock.Advance(time.Second)
			w.login()
			w.sweep()
			return first
		}, expired, "Revoked by Newer Login"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tok := tt.prepare(w)
			a := w.supabaseRefresh(tok)
			a.saysSupabase(t, http.StatusBadRequest, tt.code, tt.message)
			old := w.supabaseRefresh(tok, "X-Supabase-Api-Version", "")
			want := map[string]any{"code": 400.0, "error_code": tt.code, "msg": a.text("message")}
			if diff := cmp.Diff(want, old.json); old.status != http.StatusBadRequest || diff != "" || old.header.Get("X-Supabase-Api-Version") != "" {
				t.Errorf("without a version: %v %v\n%s", old, old.header, diff)
			}
			if at := w.refresh(tok); !at.refused(http.StatusBadRequest) {
				t.Errorf("/oauth/token answers %v", at)
			}
		})
	}
}

// TestSupabaseVersions checks which shape an error has by the version that the request names.
func TestSupabaseVersions(t *testing.T) {
	w := newWorld(t)
	for version, isNew := range map[string]bool{"2024-01-01": true, "2031-12-31": true, "2023-12-31": false, "today": false, "2024-01-01T00:00:00Z": false} {
		a := w.supabaseRefresh("none", "X-Supabase-Api-Version", version)
		if isNew {
			a.saysSupabase(t, http.StatusBadRequest, "validation_failed", "")
		} else if a.status != http.StatusBadRequest || a.text("error_code") != "validation_failed" || a.number("code") != 400 || a.header.Get("X-Supabase-Api-Version") != "" {
			t.Errorf("for %s: %v", version, a)
		}
	}
}

// TestSupabaseKey checks that the apikey must be the id of a public client, and that a refused key is logged and spends no
// token.
func TestSupabaseKey(t *testing.T) {
	w := newWorld(t)
	w.addSecret("web")
	first, _ := w.login()
	access := w.refresh(first).text("access_token")
	refused := 0
	for _, key := range []string{"", "nobody", "web", "a key", "app, app"} {
		for _, ask := range []func() answer{
			func() answer { return w.supabaseRefresh(first, "Apikey", key) },
			func() answer { return w.supabaseAs(access, http.MethodGet, supabaseUser, "Apikey", key) },
			func() answer { return w.supabaseAs(access, http.MethodPost, supabaseLogout, "Apikey", key) },
		} {
			a := ask()
			a.saysSupabase(t, http.StatusUnauthorized, "no_authorization", "the apikey must be the id of a public client")
			if a.header.Get("WWW-Authenticate") == "" {
				t.Error("the 401 does not say how")
			}
			refused++
		}
	}
	w.send(http.MethodPost, supabaseToken+"&apikey=app&apikey=app", jsonType, object("refresh_token", first))
	refused++
	lines := w.logged("fertft")
	reasons := map[any]int{}
	for _, l := range lines {
		if l["cause"] != "invalid_client" {
			t.Errorf("logged as %v", l)
		}
		reasons[l["reason"]]++
	}
	if diff := cmp.Diff(map[any]int{"missing_client_id": 3, "unknown_client": 3, "missing_secret": 3, "malformed_client_id": 7}, reasons); diff != "" || len(lines) != refused {
		t.Errorf("%d lines: %s", len(lines), diff)
	}
	if a := w.supabaseRefresh(first); a.status != http.StatusOK {
		t.Errorf("then %v", a)
	}
}

// TestSupabaseUser checks what is said of a user with an access token, and when nothing is.
func TestSupabaseUser(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(`{"user_id":"u","client_id":"app","claims":{"role":7,"email":null,"app_metadata":[],"user_metadata":"x","is_anonymous":"true","created_at":1}}`)
	access, id := issued.text("access_token"), issued.text("family")
	login := w.clock.Now().UTC().Format(time.RFC3339)
	a := w.supabaseAs(access, http.MethodGet, supabaseUser)
	want := map[string]any{
		"id": "u", "aud": w.servers[0].URL, "role": "", "email": "", "phone": "", "app_metadata": map[string]any{}, "user_metadata": map[string]any{},
		"identities": []any{}, "created_at": login, "updated_at": login, "last_sign_in_at": login, "is_anonymous": false,
	}
	if diff := cmp.Diff(want, a.json); a.status != http.StatusOK || diff != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v %v\n%s", a, a.header, diff)
	}
	if b := w.supabaseAs(access, http.MethodGet, supabaseUser+"?apikey=app", "Apikey", ""); b.body != a.body {
		t.Errorf("with the key in the query: %v", b)
	}
	w.change(id, `{"claims":{"email":"new@example.com"}}`)
	if a := w.supabaseAs(access, http.MethodGet, supabaseUser); a.text("email") != "new@example.com" {
		t.Errorf("after a change: %v", a)
	}

	w.putClient("other", `{"type":"public"}`)
	for name, header := range map[string]string{"none": "", "another scheme": "Basic " + access, "no token": "Bearer ", "the word alone": "Bearer"} {
		if a := w.supabase(http.MethodGet, supabaseUser, "", "Authorization", header); a.header.Get("WWW-Authenticate") != `Bearer realm="rotor"` {
			t.Errorf("%s: %v", name, a.header)
		} else {
			a.saysSupabase(t, http.StatusUnauthorized, "no_authorization", "requires a valid Bearer token")
		}
	}
	for name, header := range map[string][]string{
		"a refresh token": {"Authorization", "Bearer " + issued.text("refresh_token")}, "damaged": {"Authorization", "Bearer " + access + "x"},
		"for another client": {"Authorization", "Bearer " + access, "Apikey", "other"}, "two": {"Authorization", "Bearer " + access + ", Bearer " + access},
	} {
		t.Run(name, func(t *testing.T) {
			w.supabase(http.MethodGet, supabaseUser, "", header...).saysSupabase(t, http.StatusForbidden, "bad_jwt", "invalid JWT")
			w.supabase(http.MethodPost, supabaseLogout, "", header...).saysSupabase(t, http.StatusForbidden, "bad_jwt", "invalid JWT")
		})
	}
	w.clock.Advance(time.Hour + time.Second)
	w.supabaseAs(access, http.MethodGet, supabaseUser).saysSupabase(t, http.StatusForbidden, "bad_jwt", "expired")
	access = w.refresh(issued.text("refresh_token")).text("access_token")
	if a := w.supabaseAs(access, http.MethodGet, supabaseUser); a.status != http.StatusOK {
		t.Errorf("after a refresh: %v", a)
	}
	w.send(http.MethodDelete, "/v1/families/"+id, "", "")
	w.supabaseAs(access, http.MethodGet, supabaseUser).saysSupabase(t, http.StatusForbidden, "session_not_found", "Session from session_id claim")
	w.erase("user_id=u")
	w.supabaseAs(access, http.MethodGet, supabaseUser).saysSupabase(t, http.StatusForbidden, "session_not_found", "Session from session_id claim")
}

// TestSupabaseLogout checks which families a logout ends in each scope: those of the user in this client alone, and that
// the trail has it.
func TestSupabaseLogout(t *testing.T) {
	const lives, ended = "", "revoked_by_client"
	for _, tt := range []struct {
		query  string
		status int
		want   []string // of the own family, then of the others
		events int
	}{
		{"", 204, []string{ended, ended, ended}, 2},
		{"?scope=global", 204, []string{ended, ended, ended}, 2},
		{"?scope=", 204, []string{ended, ended, ended}, 2},
		{"?scope=local", 204, []string{ended, lives, lives}, 1},
		{"?scope=others", 204, []string{lives, ended, ended}, 1},
		{"?scope=all", 400, []string{lives, lives, lives}, 0},
		{"?scope=local&scope=global", 400, []string{lives, lives, lives}, 0},
	} {
		t.Run(tt.query, func(t *testing.T) {
			w := newWorld(t)
			w.putClient("other", `{"type":"public"}`)
			strangers := w.devices(1, "other")
			strangers = append(strangers, device{w.issue(`{"user_id":"v","client_id":"app"}`).text("family"), ""})
			mine := w.issue(`{"user_id":"u","client_id":"app"}`)
			all := append([]device{{mine.text("family"), mine.text("refresh_token")}}, w.devices(2, "app")...)
			a := w.supabaseAs(mine.text("access_token"), http.MethodPost, supabaseLogout+tt.query)
			if tt.status == http.StatusBadRequest {
				a.saysSupabase(t, tt.status, "validation_failed", "scope")
			} else if a.status != tt.status || a.body != "" || a.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("answered %v %v", a, a.header)
			}
			if diff := cmp.Diff(tt.want, w.statuses(all)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff([]string{lives, lives}, w.statuses(strangers)); diff != "" {
				t.Errorf("others: %s", diff)
			}
			if got := w.storedEvents("srrt"); got != tt.events || len(w.logged("srrt")) != tt.events {
				t.Errorf("%d events, and %d lines", got, len(w.logged("srrt")))
			}
			if tt.status != 204 || tt.want[0] == lives {
				return
			}
			w.supabaseAs(mine.text("access_token"), http.MethodPost, supabaseLogout+tt.query).saysSupabase(t, http.StatusForbidden, "session_not_found", "")
			w.supabaseRefresh(mine.text("refresh_token")).saysSupabase(t, http.StatusBadRequest, "refresh_token_not_found", "")
		})
	}
}

// TestSupabaseLogoutAlone checks a logout of others by a user who has none.
func TestSupabaseLogoutAlone(t *testing.T) {
	w := newWorld(t)
	mine := w.issue(`{"user_id":"u","client_id":"app"}`)
	for _, scope := range []string{"others", "global"} {
		if a := w.supabaseAs(mine.text("access_token"), http.MethodPost, supabaseLogout+"?apikey=app&scope="+scope, "Apikey", ""); a.status != http.StatusNoContent {
			t.Errorf("%s: %v", scope, a)
		}
	}
	if n := w.storedEvents("srrt"); n != 1 {
		t.Errorf("%d events", n)
	}
}

// TestSupabaseLogoutOfMany checks that a logout ends more families than one event can name.
func TestSupabaseLogoutOfMany(t *testing.T) {
	w := newWorld(t)
	w.issueMany(1001)
	mine := w.issue(`{"user_id":"u","client_id":"app"}`)
	if a := w.supabaseAs(mine.text("access_token"), http.MethodPost, supabaseLogout); a.status != http.StatusNoContent {
		t.Fatal(a)
	}
	if revoked, _ := w.bulk("user_id", "u"); revoked != 0 {
		t.Errorf("%d families are left", revoked)
	}
	if n := w.storedEvents("srrt"); n != 3 {
		t.Errorf("%d events", n)
	}
}

// TestSupabaseLogoutThatFails checks that a logout which fails midway can be repeated: the family of its access token is the
// last to end.
func TestSupabaseLogoutThatFails(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Failed, storetest.Lost} {
		for n := 1; ; n++ {
			w := newWorld(t)
			all := w.devices(3, "app")
			mine := w.issue(`{"user_id":"u","client_id":"app"}`)
			all = append(all, device{mine.text("family"), ""})
			w.supabaseRefresh("none")
			w.store.Counted()
			w.store.Break(func(call int, _ string) storetest.Fault {
				if call >= n {
					return fault
				}
				return storetest.None
			})
			a := w.supabaseAs(mine.text("access_token"), http.MethodPost, supabaseLogout)
			w.store.Break(nil)
			if a.status == http.StatusNoContent {
				if n < 4 {
					t.Errorf("%v: no call failed", fault)
				}
				break
			}
			a.saysSupabase(t, http.StatusServiceUnavailable, "unexpected_failure", "try again")
			if a.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			again := w.supabaseAs(mine.text("access_token"), http.MethodPost, supabaseLogout)
			if again.status != http.StatusNoContent && again.text("code") != "session_not_found" {
				t.Errorf("%v at call %d: again %v", fault, n, again)
			}
			if causes := w.statuses(all); slices.Contains(causes, "") {
				t.Errorf("%v at call %d: %q", fault, n, causes)
			}
		}
	}
}

// TestSupabaseOutage checks that a failure of the store is a 503, and never a refused token.
func TestSupabaseOutage(t *testing.T) {
	for _, fault := range []storetest.Fault{storetest.Failed, storetest.Lost} {
		w := newWorld(t)
		first, _ := w.login()
		w.supabaseRefresh("none")
		w.store.Break(func(int, string) storetest.Fault { return fault })
		a := w.supabaseRefresh(first)
		w.store.Break(nil)
		a.saysSupabase(t, http.StatusServiceUnavailable, "unexpected_failure", "try again with the same token")
		if again := w.supabaseRefresh(first); again.status != http.StatusOK {
			t.Errorf("%v: then %v", fault, again)
		}
	}
}

// TestSupabaseBug checks the answer to a bug, which an SDK takes for an outage.
func TestSupabaseBug(t *testing.T) {
	w := newWorld(t)
	_, buggy := w.another(w.store.Table(), keysAsTheyAre{w.keys}, func(c *server.Config) { c.Now = func() time.Time { panic("the clock is broken") } })
	w.sendTo(buggy, http.MethodGet, supabaseUser, "", "", "X-Supabase-Api-Version", "2024-01-01").saysSupabase(t, http.StatusInternalServerError, "unexpected_failure", "Internal error")
}

// TestSupabaseRequests checks that a request which is not as it must be is refused before the token is spent.
func TestSupabaseRequests(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	for body, code := range map[string]string{
		``: "bad_json", `[]`: "bad_json", `{"refresh_token"`: "bad_json", `{"refresh_token":7}`: "bad_json", "{\"refresh_token\":\"\xff\"}": "validation_failed",
		`{"refresh_token":"` + first + `"} 1`: "bad_json", `{"refresh_token":"` + first + `","refresh_token":"x"}`: "bad_json",
		`{}`: "validation_failed", `{"refresh_token":null}`: "validation_failed", `{"refresh_token":""}`: "validation_failed",
	} {
		w.supabase(http.MethodPost, supabaseToken, body).saysSupabase(t, http.StatusBadRequest, code, "")
	}
	for _, query := range []string{"", "?grant_type=", "?grant_type=password", "?grant_type=pkce", "?grant_type=id_token", "?grant_type=web3"} {
		w.supabase(http.MethodPost, "/auth/v1/token"+query, object("refresh_token", first)).saysSupabase(t, http.StatusBadRequest, "not_served", "users sign in elsewhere")
	}
	w.supabase(http.MethodPost, supabaseToken+"&grant_type=password", object("refresh_token", first)).saysSupabase(t, http.StatusBadRequest, "validation_failed", "grant_type is repeated")
	long := "x=" + strings.Repeat("x", 8<<10)
	w.supabase(http.MethodPost, supabaseToken+"&"+long, object("refresh_token", first)).saysSupabase(t, http.StatusRequestURITooLong, "validation_failed", "8 KiB")
	w.supabase(http.MethodPost, supabaseLogout+"?"+long, "").saysSupabase(t, http.StatusRequestURITooLong, "validation_failed", "8 KiB")
	w.supabase(http.MethodGet, supabaseUser+"?"+long, "").saysSupabase(t, http.StatusRequestURITooLong, "validation_failed", "8 KiB")
	w.supabase(http.MethodPost, supabaseToken, object("refresh_token", strings.Repeat("x", 17<<10))).saysSupabase(t, http.StatusRequestEntityTooLarge, "validation_failed", "16 KiB")
	if uses := w.logged("sertft"); len(uses) != 0 {
		t.Errorf("the token was used: %v", uses)
	}
}

// TestSupabaseNotServed checks that everything else of Supabase Auth is answered so that its SDKs, also in a page, can tell.
func TestSupabaseNotServed(t *testing.T) {
	w := newWorld(t)
	for _, call := range []string{
		"POST signup", "POST otp", "POST verify", "POST recover", "POST magiclink", "POST resend", "GET reauthenticate", "GET authorize?provider=github",
		"POST sso", "GET settings", "GET health", "POST factors", "DELETE factors/1", "POST factors/1/challenge", "GET admin/users", "PUT admin/users/1",
		"GET user/identities/authorize", "DELETE user/identities/1", "GET .well-known/openid-configuration",
	} {
		method, path, _ := strings.Cut(call, " ")
		a := w.supabase(method, "/auth/v1/"+path, "", "Origin", "https://any.example")
		a.saysSupabase(t, http.StatusNotFound, "not_served", "Users sign up, sign in")
		if a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "X-Supabase-Api-Version") {
			t.Errorf("%s: a page cannot read it: %v", call, a.header)
		}
		p := w.send(http.MethodOptions, "/auth/v1/"+path, "", "", "Origin", "https://any.example", "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "apikey,authorization")
		if p.status != http.StatusNoContent || p.header.Get("Access-Control-Allow-Methods") != method {
			t.Errorf("%s: the preflight is answered %v %v", call, p, p.header)
		}
	}
	for _, call := range []string{"PUT user", "GET token", "GET logout", "DELETE user", "POST .well-known/jwks.json"} {
		method, path, _ := strings.Cut(call, " ")
		a := w.supabase(method, "/auth/v1/"+path, "")
		a.saysSupabase(t, http.StatusMethodNotAllowed, "not_served", "")
		if a.header.Get("Allow") == "" {
			t.Errorf("%s: %v", call, a.header)
		}
	}
}

// TestSupabaseOrigins checks that pages of the configured origins can call, read the answers and the headers that an SDK
// looks at, and that a page of another origin spends no token.
func TestSupabaseOrigins(t *testing.T) {
	const app = "https://app.example.com"
	w := newWorld(t, origins(app))
	first, _ := w.login()
	access := w.refresh(first).text("access_token")
	for _, call := range []string{"POST " + supabaseToken, "POST " + supabaseLogout + "?scope=others", "GET " + supabaseUser} {
		method, path, _ := strings.Cut(call, " ")
		headers := "apikey,authorization,content-type,x-client-info,x-supabase-api-version"
		p := w.send(http.MethodOptions, path, "", "", "Origin", app, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)
		if p.status != http.StatusNoContent || p.header.Get("Access-Control-Allow-Origin") != app || p.header.Get("Access-Control-Allow-Headers") != headers || p.header.Get("Access-Control-Allow-Methods") != method {
			t.Errorf("%s: the preflight is answered %v %v", call, p, p.header)
		}
		body := ""
		if path == supabaseToken {
			body = object("refresh_token", first)
		}
		a := w.supabase(method, path, body, "Origin", app, "Authorization", "Bearer "+access)
		if a.status >= 300 || a.header.Get("Access-Control-Allow-Origin") != app {
			t.Errorf("%s: %v %v", call, a, a.header)
		}
		for _, name := range []string{"X-Supabase-Api-Version", "X-Sb-Error-Code", "Retry-After"} {
			if !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), name) {
				t.Errorf("%s: a page cannot read %s", call, name)
			}
		}
		w.send(http.MethodOptions, path, "", "", "Origin", "https://evil.example", "Access-Control-Request-Method", method, "X-Supabase-Api-Version", "2024-01-01").
			saysSupabase(t, http.StatusForbidden, "no_authorization", "web origin")
		before := len(w.logged("sertft"))
		w.supabase(method, path, body, "Origin", "https://evil.example", "Authorization", "Bearer "+access).saysSupabase(t, http.StatusForbidden, "no_authorization", "web origin")
		if len(w.logged("sertft")) != before || w.family(w.familyOf(first)).text("status") != "active" {
			t.Errorf("%s: something was done", call)
		}
	}
	keys := w.send(http.MethodGet, "/auth/v1/.well-known/jwks.json", "", "", "Origin", "https://any.example")
	if usual := w.send(http.MethodGet, "/.well-known/jwks.json", "", ""); keys.status != http.StatusOK || keys.body != usual.body || keys.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("the keys: %v %v", keys, keys.header)
	}
}

// familyOf returns the id of a refresh token's family.
func (w *world) familyOf(refreshToken string) string {
	w.t.Helper()
	id, _ := w.content(refreshToken)
	return id.String()
}

// TestSupabaseBelowAPath checks the wire of an issuer with a path, also with one that Supabase's paths begin with.
func TestSupabaseBelowAPath(t *testing.T) {
	for _, path := range []string{"/auth", "/sso/eu", "/auth/v1"} {
		w := newWorld(t, below(path))
		for _, at := range []string{path + supabaseToken, supabaseToken} {
			first, _ := w.login()
			if a := w.supabase(http.MethodPost, at, object("refresh_token", first)); a.status != http.StatusOK || a.number("expires_at") == 0 {
				t.Errorf("%s: %s is answered %v", path, at, a)
			}
		}
		if a := w.send(http.MethodGet, path+"/v1/clients", "", ""); a.status != http.StatusOK {
			t.Errorf("%s: the clients are answered %v", path, a)
		}
		if a := w.send(http.MethodGet, path+"/v1/nothing", "", ""); a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: nothing is answered %v", path, a)
		}
	}
}
