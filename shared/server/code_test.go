package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// verifier is a code verifier, and challenge its code challenge.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

const callback = "https://app.example.com/callback"

// authorizing is a client that has a redirect URI.
const authorizing = `{"type":"public","scope":"openid read write","redirect_uris":["` + callback + `","http://127.0.0.1/callback"]}`

// authorizationRequest returns the parameters of an authorization request of "app".
func authorizationRequest(more ...string) map[string]any {
	q := map[string]any{
		"response_type": "code", "client_id": "app", "redirect_uri": callback, "scope": "openid read", "state": "s t",
		"code_challenge": challengeOf(verifier), "code_challenge_method": "S256", "nonce": "n-1",
	}
	for i := 0; i < len(more); i += 2 {
		if q[more[i]] = more[i+1]; more[i+1] == "" {
			delete(q, more[i])
		}
	}
	return q
}

// authorizeBody returns the body of POST /v1/authorize for a user, with more members.
func authorizeBody(user string, request map[string]any, more ...any) string {
	body := map[string]any{"user_id": user, "request": request}
	for i := 0; i < len(more); i += 2 {
		if body[more[i].(string)] = more[i+1]; more[i+1] == nil {
			delete(body, more[i].(string))
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// authorize answers the request of alice, with more members of the body.
func (w *world) authorize(request map[string]any, more ...any) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/v1/authorize", jsonType, authorizeBody("alice", request, more...))
}

// code authorizes alice in "app" and returns the code.
func (w *world) code(more ...string) string {
	w.t.Helper()
	a := w.authorize(authorizationRequest(more...))
	to, err := url.Parse(a.text("redirect_to"))
	if err != nil || a.status != http.StatusOK || to.Query().Get("code") == "" {
		w.t.Fatalf("authorize got %v", a)
	}
	return to.Query().Get("code")
}

// exchangeForm returns a request of "app" that exchanges a code.
func exchangeForm(code string, more ...string) string {
	v := url.Values{"grant_type": {"authorization_code"}, "client_id": {"app"}, "code": {code}, "code_verifier": {verifier}, "redirect_uri": {callback}}
	for i := 0; i < len(more); i += 2 {
		if v.Set(more[i], more[i+1]); more[i+1] == "" {
			v.Del(more[i])
		}
	}
	return v.Encode()
}

func (w *world) exchange(code string, more ...string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/token", formType, exchangeForm(code, more...))
}

// codeRefused reports whether the answer is the one that every dead code gets.
func (a answer) codeRefused() bool {
	return a.status == http.StatusBadRequest && a.body == `{"error":"invalid_grant","error_description":"Unknown or invalid authorization code."}`+"\n"
}

// newCodeWorld returns a world in which "app" has a redirect URI.
func newCodeWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	w := newWorld(t, opts...)
	w.putClient("app", authorizing)
	return w
}

// familyOfCode returns the family of a code.
func (w *world) familyOfCode(code string) string {
	w.t.Helper()
	tok, err := w.keys.Codec.ParseCode(code)
	if err != nil {
		w.t.Fatalf("parse a code: %v", err)
	}
	return family.ID(tok.Family).String()
}

// refusal returns the cause in the last line about a refused code, and how many lines there are.
func (w *world) refusal() (cause any, lines int) {
	w.t.Helper()
	all := w.logged("feacft")
	if len(all) == 0 {
		return nil, 0
	}
	return all[len(all)-1]["cause"], len(all)
}

// TestCode walks from an authorization request to a refresh.
func TestCode(t *testing.T) {
	w := newCodeWorld(t)
	a := w.authorize(authorizationRequest())
	to, err := url.Parse(a.text("redirect_to"))
	if err != nil || to.Query().Get("state") != "s t" || to.Query().Get("iss") != w.servers[0].URL || a.number("expires_in") != 60 {
		t.Fatalf("got %v", a)
	}
	pending := w.family(a.text("family"))
	if pending.text("status") != "pending" || pending.number("counter") != 0 || pending.text("origin") != "code" {
		t.Fatalf("the family is %v", pending)
	}
	w.clock.Advance(59 * time.Second)
	w.store.Counted()
	first := w.exchange(to.Query().Get("code"))
	if calls := w.store.Counted(); len(calls) != 1 {
		t.Errorf("an exchange makes the requests %v", calls)
	}
	if first.status != http.StatusOK || first.text("scope") != "openid read" {
		t.Fatalf("got %v", first)
	}
	if id, n := w.content(first.text("refresh_token")); n != 1 || id.String() != a.text("family") {
		t.Fatalf("token %d of %s", n, id)
	}
	if _, claims := decodeJWT(t, first.text("id_token")); claims["nonce"] != "n-1" {
		t.Fatalf("the id token has %v", claims)
	}
	live := w.family(a.text("family"))
	if live.text("status") != "active" || live.text("purge_at") <= pending.text("purge_at") {
		t.Fatalf("the family is %v, and was %v", live, pending)
	}
	w.clock.Advance(61 * time.Second)
	again := w.refresh(first.text("refresh_token"))
	if again.status != http.StatusOK || again.text("refresh_token") == first.text("refresh_token") {
		t.Fatalf("got %v", again)
	}
	if _, claims := decodeJWT(t, again.text("id_token")); claims["nonce"] != nil {
		t.Fatalf("the second id token has %v", claims)
	}
	if lines := w.logged("seacft"); len(lines) != 1 || lines[0]["originToken"] != "code" || lines[0]["userId"] != "alice" {
		t.Fatalf("the log has %v", lines)
	}
}

// TestCodeRefused presents codes that must not be exchanged. Each is refused, and the code works
// afterwards unless its family has ended.
func TestCodeRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(w *world, code string) // what happens before
		change  []string                    // parameters other than those of the right exchange
		status  int
		err     string
		cause   any
		ended   bool
	}{
		{"no code", nil, []string{"code", ""}, 400, "invalid_request", nil, false},
		{"a code that is none", nil, []string{"code", "x"}, 400, "invalid_grant", "malformed", false},
		{"a forged code", nil, []string{"code", "rotor_AQF9OWB3jfXIPf5lKSDHyQ9nAaJSI5RHEqvk3LcJ6u0T_gAAAABQKH5G7RdGNvGCPf3oLQOvNtdxQg"}, 400, "invalid_grant", "never_issued", false},
		{"another client", nil, []string{"client_id", "other"}, 400, "invalid_grant", "wrong_client", false},
		{"a client without authentication", nil, []string{"client_id", "web"}, 401, "invalid_client", nil, false},
		{"another redirect URI", nil, []string{"redirect_uri", callback + "/"}, 400, "invalid_grant", "wrong_redirect_uri", false},
		{"no redirect URI", nil, []string{"redirect_uri", ""}, 400, "invalid_grant", "wrong_redirect_uri", false},
		{"another verifier", nil, []string{"code_verifier", verifier[1:] + "x"}, 400, "invalid_grant", "wrong_verifier", false},
		{"the challenge as verifier", nil, []string{"code_verifier", challengeOf(verifier)}, 400, "invalid_grant", "wrong_verifier", false},
		{"no verifier", nil, []string{"code_verifier", ""}, 400, "invalid_request", nil, false},
		{"a short verifier", nil, []string{"code_verifier", verifier[1:]}, 400, "invalid_request", nil, false},
		{"a long verifier", nil, []string{"code_verifier", strings.Repeat("a", 129)}, 400, "invalid_request", nil, false},
		{"a verifier with a space", nil, []string{"code_verifier", verifier[1:] + " "}, 400, "invalid_request", nil, false},
		{"another resource", nil, []string{"resource", "https://other.example"}, 400, "invalid_target", nil, false},
		{"too late", func(w *world, _ string) { w.clock.Advance(time.Minute) }, nil, 400, "invalid_grant", "code_expired", true},
		{"revoked", func(w *world, code string) {
			w.send(http.MethodDelete, "/v1/families/"+w.familyOfCode(code), "", "")
		}, nil, 400, "invalid_grant", "revoked_by_admin", true},
		{"a password change", func(w *world, _ string) {
			w.send(http.MethodDelete, "/v1/families?user_id=alice&cause=password_changed", "", "")
		}, nil, 400, "invalid_grant", "password_changed", true},
		{"an erased user", func(w *world, _ string) { w.send(http.MethodDelete, "/v1/users?user_id=alice", "", "") }, nil, 400, "invalid_grant", "purged", true},
		{"a client's not_before", func(w *world, _ string) {
			w.clock.Advance(time.Second)
			w.putClient("app", strings.TrimSuffix(authorizing, "}")+`,"not_before":"`+w.clock.Now().Format(time.RFC3339Nano)+`"}`)
		}, nil, 400, "invalid_grant", "client_not_before", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newCodeWorld(t)
			w.putClient("other", authorizing)
			code := w.code()
			if tt.prepare != nil {
				tt.prepare(w, code)
			}
			a := w.exchange(code, tt.change...)
			if a.status != tt.status || a.text("error") != tt.err || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %v", a)
			}
			if cause, _ := w.refusal(); cause != tt.cause {
				t.Errorf("the log has the cause %v", cause)
			}
			if after := w.exchange(code); (after.status == http.StatusOK) == tt.ended {
				t.Errorf("the code then got %v", after)
			}
			if len(w.logged("ferrt")) != 0 {
				t.Error("it was taken for reuse")
			}
		})
	}
}

// TestCodeIsNoRefreshToken checks that neither passes for the other.
func TestCodeIsNoRefreshToken(t *testing.T) {
	w := newCodeWorld(t)
	code := w.code()
	w.dead(code, family.Malformed)
	first := w.exchange(code).text("refresh_token")
	if a := w.exchange(first); !a.codeRefused() {
		t.Fatalf("got %v", a)
	}
	w.later(first)
}

// TestCodeAgain presents a code a second time.
func TestCodeAgain(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy string
		later  time.Duration
		rotate int // refreshes before
		change []string
		lives  bool
	}{
		{"at once", `{}`, 0, 0, nil, true},
		{"just inside", `{}`, 10*time.Second - time.Millisecond, 0, nil, true},
		{"with another redirect URI", `{}`, time.Second, 0, []string{"redirect_uri", "https://thief.example"}, true},
		{"after ten seconds", `{}`, 10 * time.Second, 0, nil, false},
		{"much later", `{}`, time.Hour, 1, nil, false},
		{"at once with another verifier", `{}`, 0, 0, []string{"code_verifier", verifier[1:] + "x"}, false},
		{"after refreshes", `{"reuse_interval":0}`, 9 * time.Second, 3, nil, true},
		{"where a lost response is forgiven", `{"lost_response":"until_used"}`, time.Hour, 0, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newCodeWorld(t)
			w.putClient("app", strings.TrimSuffix(authorizing, "}")+`,"policy":`+tt.policy+`}`)
			code := w.code()
			token := w.exchange(code).text("refresh_token")
			for range tt.rotate {
				token = w.rotate(token)
			}
			w.clock.Advance(tt.later)
			if a := w.exchange(code, tt.change...); !a.codeRefused() {
				t.Fatalf("got %v", a)
			}
			if reuse := w.logged("ferrt"); len(reuse) != map[bool]int{true: 0, false: 1}[tt.lives] {
				t.Errorf("the log has %v", reuse)
			}
			if events := w.events("type=ferrt"); !tt.lives && (len(events) != 1 || events[0]["originToken"] != "code") {
				t.Errorf("the events are %v", events)
			}
			if a := w.refresh(token); (a.status == http.StatusOK) != tt.lives {
				t.Errorf("the family's token got %v", a)
			}
			if cause, _ := w.refusal(); tt.lives && cause != "code_used" {
				t.Errorf("the log has the cause %v", cause)
			}
			e := w.send(http.MethodPost, "/v1/explain", jsonType, `{"refresh_token":"`+code+`"}`)
			cause := map[bool]string{true: "code_used", false: "reuse_detected"}[tt.lives]
			if e.text("verdict") != "dead" || e.text("cause") != cause || e.text("origin_token") != "code" {
				t.Errorf("it is explained as %v", e)
			}
		})
	}
}

// TestCodeRace lets a hundred callers present one code at once, as pages do that mount twice. One
// gets tokens, and the family lives.
func TestCodeRace(t *testing.T) {
	w := newCodeWorld(t, servers(3))
	code := w.code()
	const racers = 100
	answers := make(chan answer)
	for i := range racers {
		go func() {
			a, err := w.try(i%3, http.MethodPost, "/oauth/token", formType, exchangeForm(code))
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	var won []string
	for range racers {
		switch a := <-answers; {
		case a.status == http.StatusOK:
			won = append(won, a.text("refresh_token"))
		case !a.codeRefused():
			t.Errorf("got %v", a)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d callers got tokens", len(won))
	}
	w.later(won[0])
	if _, n := w.refusal(); n != racers-1 || len(w.logged("ferrt")) != 0 {
		t.Errorf("%d refusals, and %d of reuse", n, len(w.logged("ferrt")))
	}
}

// breakCall gives one request to the store a fault, and unless it is only once, all after it.
func (w *world) breakCall(call int, fault storetest.Fault, once bool) {
	if once {
		w.store.Once(call, fault)
		return
	}
	w.store.Break(func(n int, _ string) storetest.Fault {
		if n >= call {
			return fault
		}
		return storetest.None
	})
}

// TestCodeFaults breaks each storage call of an exchange. A caller gets tokens or a 503. If the
// exchange was not done, the same code works afterwards; if it was, the code is refused, and the
// family lives.
func TestCodeFaults(t *testing.T) {
	for name, fault := range everyFault() {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " once ", once), func(t *testing.T) {
				t.Parallel()
				for call := 1; ; call++ {
					w := newCodeWorld(t)
					code := w.code()
					w.restart(0)
					w.store.Counted()
					w.breakCall(call, fault, once)
					a := w.exchange(code)
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						break
					}
					done := w.counter(w.familyOfCode(code)) == 1
					switch {
					case a.status != http.StatusOK && !a.unavailable(), a.status == http.StatusOK && !done, once && a.status != http.StatusOK:
						t.Fatalf("call %d: got %v, done is %v", call, a, done)
					case a.status == http.StatusOK:
						if _, claims := decodeJWT(t, a.text("id_token")); claims["nonce"] != "n-1" {
							t.Errorf("call %d: the id token has %v", call, claims)
						}
						w.later(a.text("refresh_token"))
					default:
						if again := w.exchange(code); (again.status == http.StatusOK) == done || done && !again.codeRefused() {
							t.Errorf("call %d: done is %v, and then it got %v", call, done, again)
						}
					}
					if w.family(w.familyOfCode(code)).text("status") != "active" || len(w.logged("ferrt")) != 0 {
						t.Errorf("call %d: the family has ended", call)
					}
				}
			})
		}
	}
}

// TestCodeWithoutRotation checks that a code works once, also where tokens do not rotate.
func TestCodeWithoutRotation(t *testing.T) {
	w := newCodeWorld(t)
	w.putClient("app", strings.TrimSuffix(strings.Replace(authorizing, "public", "confidential", 1), "}")+`,"policy":{"rotation":false}}`)
	w.secret = w.addSecret("app")
	code := w.code("scope", "read")
	a := w.exchange(code, "client_secret", w.secret)
	if a.status != http.StatusOK {
		t.Fatalf("got %v", a)
	}
	if again := w.exchange(code, "client_secret", w.secret); !again.codeRefused() {
		t.Fatalf("got %v", again)
	}
	w.clock.Advance(time.Hour)
	if w.rotate(a.text("refresh_token")) != a.text("refresh_token") {
		t.Error("the token has rotated")
	}
	w.exchange(code, "client_secret", w.secret)
	if b := w.refresh(a.text("refresh_token")); !b.refused(http.StatusBadRequest) {
		t.Errorf("after a replay, the token got %v", b)
	}
}

// TestPendingFamily checks that a family whose code was not exchanged is counted, shown, and over
// after a minute.
func TestPendingFamily(t *testing.T) {
	w := newCodeWorld(t)
	code := w.code()
	id := w.familyOfCode(code)
	list := func(status string) int {
		a := w.send(http.MethodGet, "/v1/families?user_id=alice&status="+status, "", "")
		return len(a.json["families"].([]any))
	}
	if list("pending") != 1 || list("active") != 0 || list("expired") != 0 {
		t.Errorf("pending %d, active %d, expired %d", list("pending"), list("active"), list("expired"))
	}
	explained := func() answer {
		return w.send(http.MethodPost, "/v1/explain", jsonType, `{"refresh_token":"`+code+`"}`)
	}
	if e := explained(); e.text("verdict") != "valid" || e.text("origin_token") != "code" {
		t.Errorf("it is explained as %v", e)
	}
	dry := w.send(http.MethodDelete, "/v1/families?user_id=alice&dry_run=true", "", "")
	w.clock.Advance(time.Minute)
	if dry.number("revoked") != 1 || list("pending") != 0 || list("expired") != 1 || w.family(id).text("cause") != "code_expired" {
		t.Errorf("a dry run says %v; then pending %d, expired %d, the family %v", dry, list("pending"), list("expired"), w.family(id))
	}
	if e := explained(); e.text("verdict") != "dead" || e.text("cause") != "code_expired" {
		t.Errorf("it is explained as %v", e)
	}
	if e := w.send(http.MethodPost, "/v1/explain", jsonType, `{"family":"`+id+`"}`); e.text("cause") != "code_expired" {
		t.Errorf("the family is explained as %v", e)
	}
	// A server whose clock is behind, or a slow request, may still exchange the code. So a
	// revocation ends the family.
	if a := w.send(http.MethodDelete, "/v1/families?user_id=alice&cause=password_changed", "", ""); a.number("revoked") != 1 {
		t.Errorf("of a family that is over were revoked: %v", a)
	}
	if f := w.family(id); f.text("cause") != "password_changed" {
		t.Errorf("the family is %v", f)
	}
}

// TestDeliverCode starts a family whose tokens the app fetches with a code.
func TestDeliverCode(t *testing.T) {
	w := newCodeWorld(t)
	own := strings.Repeat("v", 128)
	body := `{"user_id":"alice","client_id":"app","scope":"openid","deliver":"code","nonce":"n-2","code_challenge":"` + challengeOf(own) + `"}`
	a := w.send(http.MethodPost, "/v1/families", jsonType, body, "Idempotency-Key", "k")
	again := w.send(http.MethodPost, "/v1/families", jsonType, body, "Idempotency-Key", "k")
	if a.status != http.StatusCreated || a.text("code") == "" || a.text("refresh_token") != "" || again.body != a.body {
		t.Fatalf("got %v, and then %v", a, again)
	}
	if b := w.exchange(a.text("code"), "code_verifier", own); !b.codeRefused() {
		t.Errorf("with a redirect URI: %v", b)
	}
	b := w.exchange(a.text("code"), "redirect_uri", "", "code_verifier", own)
	if _, claims := decodeJWT(t, b.text("id_token")); b.status != http.StatusOK || claims["nonce"] != "n-2" {
		t.Errorf("got %v", b)
	}
	if c := w.send(http.MethodPost, "/v1/families", jsonType, body, "Idempotency-Key", "k"); c.status != http.StatusConflict {
		t.Errorf("after the exchange: %v", c)
	}
	for name, bad := range map[string]string{
		"deliver":        `"deliver":"token","code_challenge":"` + challengeOf(verifier) + `"`,
		"code_challenge": `"deliver":"code"`,
		"nonce":          `"nonce":"n"`,
	} {
		c := w.send(http.MethodPost, "/v1/families", jsonType, `{"user_id":"alice","client_id":"app",`+bad+`}`)
		if c.status != http.StatusBadRequest || !strings.Contains(c.body, `"`+name+`"`) {
			t.Errorf("%s: got %v", name, c)
		}
	}
	if c := w.send(http.MethodPost, "/v1/families", jsonType, `{"user_id":"alice","client_id":"app","code_challenge":"`+challengeOf(verifier)+`"}`); c.status != http.StatusBadRequest {
		t.Errorf("a challenge without a code: %v", c)
	}
}

// TestCodeAsJSON exchanges the code of a confidential client in JSON, for one of its resources.
func TestCodeAsJSON(t *testing.T) {
	w := newWorld(t)
	w.putClient("web", `{"type":"confidential","scope":"read","audience":["https://a.example","https://b.example"],"redirect_uris":["`+callback+`"]}`)
	secret := w.addSecret("web")
	to, err := url.Parse(w.authorize(authorizationRequest("client_id", "web")).text("redirect_to"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{
		"grant_type": "authorization_code", "client_id": "web", "client_secret": secret, "code": to.Query().Get("code"),
		"code_verifier": verifier, "redirect_uri": callback, "resource": []string{"https://b.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := w.send(http.MethodPost, "/oauth/token", jsonType, string(body))
	if _, claims := decodeJWT(t, a.text("access_token")); a.status != http.StatusOK || claims["aud"] != "https://b.example" {
		t.Fatalf("got %v", a)
	}
	if next := w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "web", "client_secret", secret, "refresh_token", a.text("refresh_token"))); next.status != http.StatusOK {
		t.Errorf("the refresh token got %v", next)
	}
}
