package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
)

const (
	bearerGrant   = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	idTokenType   = "urn:ietf:params:oauth:token-type:id_token"
	jwtType       = "urn:ietf:params:oauth:token-type:jwt"
	accessType    = "urn:ietf:params:oauth:token-type:access_token"
	refreshType   = "urn:ietf:params:oauth:token-type:refresh_token"
)

// assertionsMade counts the assertions of all tests, each of which has a jti of its own.
var assertionsMade atomic.Int64

// trust is a world in which "app" trusts an issuer.
type trust struct {
	*world
	issuer *assertiontest.Issuer
}

// newTrust returns a trust. members are more members of the client, as JSON with a comma before.
func newTrust(t testing.TB, members string, opts ...option) *trust {
	t.Helper()
	w := &trust{world: newWorld(t, opts...), issuer: assertiontest.New(t)}
	w.putClient("app", `{"type":"public","scope":"openid read write","trusted_issuers":[`+trusted(w.issuer)+`]`+members+`}`)
	return w
}

// trusting makes "app" trust an issuer.
func (w *world) trusting() *trust {
	w.t.Helper()
	a := &trust{world: w, issuer: assertiontest.New(w.t)}
	w.putClient("app", `{"type":"public","trusted_issuers":[`+trusted(a.issuer)+`]}`)
	return a
}

// trusted returns the JSON of an issuer that is trusted.
func trusted(i *assertiontest.Issuer) string {
	return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"audience":"us","algorithms":["ES256","RS256"]}`, i.URL, i.JWKSURI())
}

// claims returns the claims of an assertion about alice that is made now, with changes; nil leaves a
// claim out. No two are the same.
func (w *trust) claims(changes map[string]any) map[string]any {
	now := w.clock.Now()
	all := map[string]any{"iss": w.issuer.URL, "sub": "alice", "aud": "us", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": fmt.Sprint(assertionsMade.Add(1))}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func (w *trust) assertion() string { return w.issuer.Sign(w.claims(nil)) }

// assertionForm returns a request of "app" with an assertion.
func assertionForm(assertion string, more ...string) string {
	v := url.Values{"grant_type": {bearerGrant}, "client_id": {"app"}, "assertion": {assertion}}
	for i := 0; i < len(more); i += 2 {
		if v.Set(more[i], more[i+1]); more[i+1] == "" {
			v.Del(more[i])
		}
	}
	return v.Encode()
}

func (w *trust) assert(assertion string, more ...string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/token", formType, assertionForm(assertion, more...), "User-Agent", "the app")
}

// assertionRefused reports whether the answer is the one that every refused assertion gets.
func (a answer) assertionRefused() bool {
	return a.status == http.StatusBadRequest && a.body == `{"error":"invalid_grant","error_description":"Unknown or invalid assertion."}`+"\n"
}

// refusedFor checks that the answer is that of a refused assertion, and that the last of n lines says
// why.
func (w *trust) refusedFor(a answer, n int, cause, reason string) {
	w.t.Helper()
	lines := w.logged("fecte")
	if !a.assertionRefused() || len(lines) != n {
		w.t.Fatalf("got %v, and %d lines", a, len(lines))
	}
	last := lines[n-1]
	if text, _ := last["reason"].(string); last["cause"] != cause || text != reason || last["clientId"] != "app" || last["originToken"] != "assertion" {
		w.t.Errorf("the line is %v, and not of %s, %s", last, cause, reason)
	}
}

// started returns the families of a user.
func (w *world) started(user string) []map[string]any {
	w.t.Helper()
	return w.families("user_id=" + url.QueryEscape(user))
}

// TestAssertion walks from an assertion to a refresh, and looks at what became of its claims.
func TestAssertion(t *testing.T) {
	w := newTrust(t, "")
	at := w.clock.Now().Add(-time.Hour).Truncate(time.Second)
	a := w.assert(w.issuer.Sign(w.claims(map[string]any{"auth_time": at.Unix(), "acr": "aal2", "amr": []string{"pwd", "otp"}, "name": "Alice"})))
	if a.status != http.StatusOK || a.text("scope") != "openid read write" || a.text("family") != "" {
		t.Fatal(a)
	}
	user := w.issuer.URL + "|alice"
	for _, token := range []string{"access_token", "id_token"} {
		_, claims := decodeJWT(t, a.text(token))
		want := map[string]any{"sub": user, "acr": "aal2", "amr": []any{"pwd", "otp"}, "auth_time": json.Number(fmt.Sprint(at.Unix()))}
		for name, value := range want {
			if diff := cmp.Diff(value, claims[name]); diff != "" {
				t.Errorf("%s of the %s (-want +got):\n%s", name, token, diff)
			}
		}
		if claims["name"] != nil {
			t.Errorf("the %s has the name", token)
		}
	}
	families := w.started(user)
	if len(families) != 1 || families[0]["counter"] != 1.0 || families[0]["last_ip"] != "127.0.0.1" || families[0]["last_user_agent"] != "the app" {
		t.Errorf("on record is %v", families)
	}
	line := w.logged("secte")
	if len(line) != 1 || line[0]["userId"] != user || line[0]["clientId"] != "app" || line[0]["originToken"] != "assertion" || line[0]["familyId"] == nil || line[0]["reused"] != nil {
		t.Errorf("the lines are %v", line)
	}
	first := a.text("refresh_token")
	if held := w.rotate(first); held != first {
		t.Error("the first token was not held")
	}
	if next := w.later(first); next == first {
		t.Error("a minute later the token did not rotate")
	}
	narrow := w.assert(w.assertion(), "scope", "read")
	if _, claims := decodeJWT(t, narrow.text("access_token")); narrow.text("scope") != "read" || narrow.text("id_token") != "" || claims["auth_time"] != nil {
		t.Errorf("for less scope: %v", narrow)
	}
	strange := w.assert(w.issuer.Sign(w.claims(map[string]any{"acr": strings.Repeat("a", 129), "amr": []string{"a b"}})))
	if _, claims := decodeJWT(t, strange.text("access_token")); strange.status != http.StatusOK || claims["acr"] != nil || claims["amr"] != nil {
		t.Errorf("with what no record keeps: %v", strange)
	}
}

// TestAssertionRefused checks over HTTP that an assertion which is not good starts no family, that
// the answer is the same in each case, and that the log has the reason.
func TestAssertionRefused(t *testing.T) {
	w := newTrust(t, "")
	now := w.clock.Now()
	unix := func(d time.Duration) int64 { return now.Add(d).Unix() }
	stranger := assertiontest.NewKey(t, jose.ES256, "k1")
	header := func(more map[string]any) string {
		return assertiontest.Sign(t, stranger, more, w.claims(nil))
	}
	signed := func(changes map[string]any) string { return w.issuer.Sign(w.claims(changes)) }
	payload, err := json.Marshal(w.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	for n, tt := range []struct{ assertion, reason string }{
		{"no JWT", "malformed"},
		{signed(map[string]any{"iss": "https://login.example"}), "wrong_issuer"},
		{signed(map[string]any{"aud": "them"}), "wrong_audience"},
		{signed(map[string]any{"exp": unix(-time.Minute)}), "expired"},
		{signed(map[string]any{"iat": unix(-6 * time.Minute)}), "too_old"},
		{signed(map[string]any{"nbf": unix(2 * time.Minute)}), "not_yet_valid"},
		{signed(map[string]any{"sub": nil}), "no_user"},
		{header(nil), "wrong_signature"},
		{header(map[string]any{"typ": "at+jwt"}), "wrong_type"},
		{header(map[string]any{"jwk": stranger.Public()}), "forbidden_header"},
		{header(map[string]any{"jku": w.issuer.JWKSURI()}), "forbidden_header"},
		{assertiontest.Sign(t, assertiontest.NewKey(t, jose.ES256, "k9"), nil, w.claims(nil)), "unknown_key"},
		{assertiontest.Sign(t, assertiontest.NewKey(t, jose.ES384, "k1"), nil, w.claims(nil)), "wrong_algorithm"},
		{assertiontest.Raw(`{"alg":"none"}`, string(payload), func([]byte) []byte { return nil }), "wrong_algorithm"},
		{assertiontest.Raw(`{"alg":"HS256","kid":"k1"}`, string(payload), func(in []byte) []byte { return in[:32] }), "wrong_algorithm"},
		{strings.Repeat("a", 8193), "too_long"},
	} {
		w.refusedFor(w.assert(tt.assertion), n+1, "invalid_assertion", tt.reason)
	}
	if lines := w.logged("fecte"); lines[2]["issuer"] != w.issuer.URL || lines[1]["issuer"] != nil {
		t.Errorf("the issuers are not named: %v, %v", lines[1], lines[2])
	}
	if all := w.started(w.issuer.URL + "|alice"); len(all) != 0 {
		t.Errorf("there are families: %v", all)
	}
	w.putClient("app", `{"type":"public","preset":"auth0","trusted_issuers":[`+trusted(w.issuer)+`]}`)
	if a := w.assert("no JWT"); a.status != http.StatusForbidden || a.text("error") != "invalid_grant" {
		t.Errorf("with another status: %v", a)
	}
}

// TestAssertionRequests checks the parameters of the grant.
func TestAssertionRequests(t *testing.T) {
	w := newTrust(t, `,"audience":["https://a.example","https://b.example"]`)
	w.putClient("unbounded", `{"type":"public","trusted_issuers":[`+trusted(w.issuer)+`]}`)
	for _, tt := range []struct {
		name   string
		more   []string
		status int
		error  string
	}{
		{"no assertion", []string{"assertion", ""}, 400, "invalid_request"},
		{"a client that trusts nobody", []string{"client_id", "web2"}, 400, "unauthorized_client"},
		{"a scope of others", []string{"scope", "read admin"}, 400, "invalid_scope"},
		{"a malformed scope", []string{"scope", "a  b"}, 400, "invalid_scope"},
		{"a scope, and none bounds it", []string{"client_id", "unbounded", "scope", "admin"}, 400, "invalid_scope"},
		{"a resource of others", []string{"resource", "https://c.example"}, 400, "invalid_target"},
		{"a resource that is none", []string{"resource", "c"}, 400, "invalid_target"},
	} {
		w.putClient("web2", `{"type":"public"}`)
		if a := w.assert(w.assertion(), tt.more...); a.status != tt.status || a.text("error") != tt.error {
			t.Errorf("%s: %v", tt.name, a)
		}
	}
	if a := w.send(http.MethodPost, "/oauth/token", formType, assertionForm(w.assertion())+"&assertion=x"); a.text("error") != "invalid_request" {
		t.Errorf("twice: %v", a)
	}
	if all := w.started(w.issuer.URL + "|alice"); len(all) != 0 {
		t.Errorf("there are families: %v", all)
	}
	for _, resource := range []string{"https://a.example", "https://b.example"} {
		a := w.assert(w.assertion(), "resource", resource)
		if _, claims := decodeJWT(t, a.text("access_token")); claims["aud"] != resource {
			t.Errorf("for %s: %v", resource, a)
		}
	}
	if a := w.assert(w.assertion(), "client_id", "unbounded"); a.status != http.StatusOK || a.json["scope"] != nil {
		t.Errorf("without a scope: %v", a)
	}
	secret := ""
	w.putClient("backend", `{"type":"confidential","trusted_issuers":[`+trusted(w.issuer)+`]}`)
	secret = w.addSecret("backend")
	if a := w.assert(w.assertion(), "client_id", "backend"); a.status != http.StatusUnauthorized {
		t.Errorf("a confidential client without its secret: %v", a)
	}
	if a := w.assert(w.assertion(), "client_id", "backend", "client_secret", secret); a.status != http.StatusOK {
		t.Errorf("a confidential client: %v", a)
	}
}

// TestAssertionAgain checks what a second use of an assertion gets: inside the reuse interval the
// family's token, as a retry needs it, and later nothing. The family lives in each case.
func TestAssertionAgain(t *testing.T) {
	w := newTrust(t, "")
	assertion := w.assertion()
	first := w.assert(assertion)
	w.clock.Advance(59*time.Second + 999*time.Millisecond)
	again := w.assert(assertion)
	if first.status != http.StatusOK || again.text("refresh_token") != first.text("refresh_token") {
		t.Errorf("at once: %v", again)
	}
	if lines := w.logged("secte"); len(lines) != 2 || lines[1]["reused"] != true || lines[1]["ageMs"] != 59999.0 {
		t.Errorf("the lines are %v", lines)
	}
	if a := w.assert(assertion, "scope", "openid"); a.text("refresh_token") != first.text("refresh_token") || a.text("scope") != "openid" {
		t.Errorf("for less scope: %v", a)
	}
	w.clock.Advance(time.Millisecond)
	w.refusedFor(w.assert(assertion), 1, "assertion_used", "")
	next := w.rotate(first.text("refresh_token"))
	w.refusedFor(w.assert(assertion), 2, "assertion_used", "")
	w.clock.Advance(5 * time.Minute)
	w.refusedFor(w.assert(assertion), 3, "invalid_assertion", "too_old")
	w.later(next)
	user := w.issuer.URL + "|alice"
	if all := w.started(user); len(all) != 1 || all[0]["status"] != "active" || len(w.logged("ferrt")) != 0 {
		t.Errorf("the families are %v", all)
	}

	assertion = w.assertion()
	narrow := w.assert(assertion, "scope", "read")
	if a := w.assert(assertion); a.text("refresh_token") != narrow.text("refresh_token") || a.text("scope") != "read" {
		t.Errorf("what was started with less scope: %v", a)
	}
	if a := w.assert(assertion, "scope", "write"); a.text("error") != "invalid_scope" {
		t.Errorf("for another scope: %v", a)
	}
	id, _ := w.content(narrow.text("refresh_token"))
	w.send(http.MethodDelete, "/v1/families/"+id.String(), "", "")
	w.refusedFor(w.assert(assertion), 4, "revoked_by_admin", "")

	// The age that a client permits may be raised. What was used stays used.
	assertion = w.assertion()
	w.assert(assertion)
	w.clock.Advance(time.Hour)
	w.putClient("app", `{"type":"public","trusted_issuers":[`+strings.Replace(trusted(w.issuer), `{`, `{"max_age":86400,`, 1)+`]}`)
	w.restart(0)
	w.refusedFor(w.assert(assertion), 5, "assertion_used", "")

	strict := newTrust(t, `,"policy":{"reuse_interval":0}`)
	assertion = strict.assertion()
	if a := strict.assert(assertion); a.status != http.StatusOK {
		t.Fatal(a)
	}
	strict.refusedFor(strict.assert(assertion), 1, "assertion_used", "")
}

// TestAssertionRace lets a hundred callers present one assertion at once, on three servers. They get
// one token of one family.
func TestAssertionRace(t *testing.T) {
	w := newTrust(t, "", servers(3))
	assertion := w.assertion()
	const racers = 100
	answers := make(chan answer)
	for i := range racers {
		go func() {
			a, err := w.try(i%3, http.MethodPost, "/oauth/token", formType, assertionForm(assertion))
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	got := map[string]int{}
	for range racers {
		a := <-answers
		if a.status != http.StatusOK {
			t.Errorf("got %v", a)
		}
		got[a.text("refresh_token")]++
	}
	if all := w.started(w.issuer.URL + "|alice"); len(got) != 1 || len(all) != 1 {
		t.Errorf("%d tokens, and %d families", len(got), len(all))
	}
	if n := w.issuer.Requests(); n > 3 { // one for each server
		t.Errorf("the keys were fetched %d times", n)
	}
	for token := range got {
		w.later(token)
	}
}

// TestTwoIssuersAreTwoUsers checks that two issuers with one sub are two users, that neither can speak
// for the other's, and that one issuer may name users as they are.
func TestTwoIssuersAreTwoUsers(t *testing.T) {
	w := newTrust(t, "")
	other := assertiontest.New(t)
	w.putClient("app", `{"type":"public","trusted_issuers":[`+trusted(w.issuer)+`,`+trusted(other)+`]}`)
	subjects := map[any]bool{}
	for _, i := range []*assertiontest.Issuer{w.issuer, other} {
		a := w.assert(i.Sign(w.claims(map[string]any{"iss": i.URL})))
		_, claims := decodeJWT(t, a.text("access_token"))
		subjects[claims["sub"]] = true
	}
	if !subjects[w.issuer.URL+"|alice"] || !subjects[other.URL+"|alice"] || len(subjects) != 2 {
		t.Errorf("the users are %v", subjects)
	}
	w.refusedFor(w.assert(other.Sign(w.claims(nil))), 1, "invalid_assertion", "wrong_signature")
	w.putClient("app", `{"type":"public","trusted_issuers":[`+strings.Replace(trusted(w.issuer), `{`, `{"user_prefix":"","user_claim":"uid",`, 1)+`]}`)
	a := w.assert(w.issuer.Sign(w.claims(map[string]any{"uid": "bob"})))
	if _, claims := decodeJWT(t, a.text("access_token")); claims["sub"] != "bob" {
		t.Errorf("the user is %v", claims["sub"])
	}
}

// TestIssuerDoesNotAnswer checks that an issuer which cannot be asked is a 503 and starts nothing,
// that the same assertion works once it answers again, and that its keys serve while they are stale.
func TestIssuerDoesNotAnswer(t *testing.T) {
	elsewhere := assertiontest.New(t)
	for name, answer := range map[string]http.HandlerFunc{
		"down":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"slow":    func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"huge":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 300<<10)) },
		"redirecting": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.JWKSURI(), http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTrust(t, "")
			w.issuer.Answer(answer)
			assertion := w.assertion()
			if a := w.assert(assertion); !a.unavailable() {
				t.Fatalf("got %v", a)
			}
			if all := w.started(w.issuer.URL + "|alice"); len(all) != 0 || len(w.logged("fecte")) != 0 {
				t.Errorf("there are families: %v", all)
			}
			w.issuer.Answer(nil)
			w.clock.Advance(5 * time.Second)
			if a := w.assert(assertion); a.status != http.StatusOK {
				t.Fatalf("once it answers: %v", a)
			}
			w.issuer.Answer(answer)
			w.clock.Advance(10 * time.Minute)
			if a := w.assert(w.assertion()); a.status != http.StatusOK {
				t.Errorf("with stale keys: %v", a)
			}
			w.issuer.Publish(assertiontest.NewKey(t, jose.ES256, "k2"))
			if a := w.assert(w.assertion()); !a.unavailable() {
				t.Errorf("by a key that may be new: %v", a)
			}
		})
	}
	if n := elsewhere.Requests(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// TestIssuerAtPrivateAddress checks that a deployed service does not fetch keys from a name that
// leads to a private address.
func TestIssuerAtPrivateAddress(t *testing.T) {
	w := &trust{world: newWorld(t, deployed()), issuer: assertiontest.New(t)}
	w.putClient("app", `{"type":"public","trusted_issuers":[{"issuer":"`+w.issuer.URL+`","jwks_uri":"https://localhost:`+w.issuer.URL[strings.LastIndex(w.issuer.URL, ":")+1:]+`/keys","audience":"us","algorithms":["ES256"]}]}`)
	if a := w.assert(w.assertion()); !a.unavailable() || w.issuer.Requests() != 0 || !strings.Contains(w.log.String(), "prohibited IP address") {
		t.Errorf("got %v after %d fetches", a, w.issuer.Requests())
	}
}

// TestAssertionFaults breaks each storage call of an exchange. A caller gets tokens or a 503, and then
// the same assertion works. There is one family in the end.
func TestAssertionFaults(t *testing.T) {
	for name, fault := range everyFault() {
		for _, once := range []bool{true, false} {
			for _, repeated := range []bool{false, true} { // a second use
				t.Run(fmt.Sprint(name, " once ", once, " again ", repeated), func(t *testing.T) {
					t.Parallel()
					calls := 0
					for call := 1; ; call++ {
						w := newTrust(t, "")
						assertion := w.assertion()
						before := ""
						if repeated {
							before = w.assert(assertion).text("refresh_token")
						}
						w.restart(0)
						w.store.Counted()
						w.breakCall(call, fault, once)
						a := w.assert(assertion)
						reached := len(w.store.Counted()) >= call
						w.store.Break(nil)
						if !reached {
							break
						}
						calls++
						if a.status != http.StatusOK && !a.unavailable() || once && a.status != http.StatusOK {
							t.Fatalf("call %d: got %v", call, a)
						}
						if again := w.assert(assertion); again.status != http.StatusOK || a.status == http.StatusOK && again.text("refresh_token") != a.text("refresh_token") ||
							repeated && again.text("refresh_token") != before {
							t.Errorf("call %d: got %v, and then %v", call, a, again)
						}
						if all := w.started(w.issuer.URL + "|alice"); len(all) != 1 || all[0]["status"] != "active" {
							t.Errorf("call %d: there are %d families", call, len(all))
						}
					}
					if calls < 3 {
						t.Errorf("only %d calls were broken", calls)
					}
				})
			}
		}
	}
}

// TestLostAnswerOfAStrictAssertion checks that an exchange succeeds if the SDK repeats a write that
// was applied, also where a second use is refused at once.
func TestLostAnswerOfAStrictAssertion(t *testing.T) {
	w := newTrust(t, `,"policy":{"reuse_interval":0}`)
	w.assert(w.assertion())
	w.lose("TransactWriteItems", 1)
	a := w.assert(w.assertion())
	w.store.Break(nil)
	if a.status != http.StatusOK || len(w.started(w.issuer.URL+"|alice")) != 2 {
		t.Errorf("got %v", a)
	}
}

// TestAssertionOfAnErasedUser checks that erasing a user erases what the assertion left.
func TestAssertionOfAnErasedUser(t *testing.T) {
	w := newTrust(t, "")
	user := w.issuer.URL + "|alice"
	a := w.assert(w.assertion())
	if families, _ := w.erase("user_id=" + url.QueryEscape(user)); families != 1 {
		t.Errorf("%d families were erased", families)
	}
	kept, err := w.table.UserItems(t.Context(), w.keys.Users.Key(user), "", 10)
	if err != nil || !kept.Empty() {
		t.Errorf("there is %v, %v", kept, err)
	}
	w.dead(a.text("refresh_token"), "purged")
}

// TestTokenExchange checks the grant of RFC 8693: its parameters, its answer, and that it is the same
// door, whose assertion works once.
func TestTokenExchange(t *testing.T) {
	w := newTrust(t, "")
	exchange := func(token string, more ...string) answer {
		more = append([]string{"grant_type", exchangeGrant, "assertion", "", "subject_token", token, "subject_token_type", idTokenType}, more...)
		return w.assert("", more...)
	}
	token := w.assertion()
	first := exchange(token)
	if first.status != http.StatusOK || first.text("issued_token_type") != accessType || first.text("token_type") != "Bearer" || first.text("refresh_token") == "" {
		t.Fatal(first)
	}
	for _, more := range [][]string{{"subject_token_type", jwtType}, {"requested_token_type", accessType}, {"requested_token_type", refreshType}, {"scope", "read"}} {
		if a := exchange(token, more...); a.text("refresh_token") != first.text("refresh_token") || a.text("issued_token_type") != accessType {
			t.Errorf("%q: %v", more, a)
		}
	}
	if a := w.assert(token); a.text("refresh_token") != first.text("refresh_token") || a.json["issued_token_type"] != nil {
		t.Errorf("by the other grant: %v", a)
	}
	for _, tt := range []struct {
		more        []string
		error, says string
	}{
		{[]string{"subject_token", ""}, "invalid_request", "subject_token is missing."},
		{[]string{"subject_token_type", ""}, "invalid_request", "subject_token_type is missing."},
		{[]string{"subject_token_type", accessType}, "invalid_request", "The subject_token_type must be " + idTokenType + " or " + jwtType + "."},
		{[]string{"requested_token_type", jwtType}, "invalid_request", "The requested_token_type must be " + accessType + " or " + refreshType + ", or left out."},
		{[]string{"actor_token", "x"}, "invalid_request", "An actor_token is not supported."},
		{[]string{"audience", "x"}, "invalid_target", "An audience is not supported. Name a resource instead."},
		{[]string{"subject_token", "x"}, "invalid_request", "Unknown or invalid subject token."},
		{[]string{"scope", "admin"}, "invalid_scope", "The client may not be granted this scope."},
		{[]string{"client_id", "nobody"}, "unauthorized_client", "The client has no trusted issuers."},
	} {
		w.putClient("nobody", `{"type":"public"}`)
		if a := exchange(w.assertion(), tt.more...); a.status != http.StatusBadRequest || a.text("error") != tt.error || a.text("error_description") != tt.says {
			t.Errorf("%q: %v", tt.more, a)
		}
	}
	for _, body := range []string{
		fmt.Sprintf(`{"grant_type":%q,"client_id":"app","subject_token":%q,"subject_token_type":%q,"requested_token_type":null,"scope":null,"resource":null,"client_secret":null}`, exchangeGrant, token, idTokenType),
		fmt.Sprintf(`{"grant_type":%q,"client_id":"app","assertion":%q,"scope":"read","resource":[%q]}`, bearerGrant, token, w.servers[0].URL),
		fmt.Sprintf(`{"grant_type":%q,"client_id":"app","assertion":%q,"scope":null,"resource":%q,"client_secret":null}`, bearerGrant, token, w.servers[0].URL),
	} {
		if a := w.send(http.MethodPost, "/oauth/token", jsonType, body); a.text("refresh_token") != first.text("refresh_token") {
			t.Errorf("%s: %v", body, a)
		}
	}
	w.putClient("backend", `{"type":"confidential","trusted_issuers":[`+trusted(w.issuer)+`]}`)
	if a := exchange(w.assertion(), "client_id", "backend", "client_secret", w.addSecret("backend"), "resource", w.servers[0].URL); a.status != http.StatusOK {
		t.Errorf("of a confidential client: %v", a)
	}
	w.clock.Advance(time.Minute)
	if a := exchange(token); a.text("error") != "invalid_request" || a.text("error_description") != "Unknown or invalid subject token." {
		t.Errorf("later: %v", a)
	}
}

// TestProviders starts families with id tokens in the shapes of those that providers send.
func TestProviders(t *testing.T) {
	for _, p := range []struct {
		name, issuer, user string
		claims             func(iat, exp int64) map[string]any
	}{
		{"Amazon Cognito", "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI", "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", func(iat, exp int64) map[string]any {
			return map[string]any{
				"sub": "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "email_verified": true, "cognito:username": "alice", "origin_jti": "6f1c1c55-9d1a-4a4d-a3cb-9c3ab1b6a1f0",
				"aud": "us", "event_id": "64f513be-32db-42b0-b78e-b02127b4f463", "token_use": "id", "auth_time": iat, "exp": exp, "iat": iat,
				"jti": "5d1c8a7e-6f0b-4f5e-9f39-6e3c8d4b8c11", "email": "alice@example.com", "cognito:groups": []string{"admins"},
			}
		}},
		{"Google", "https://accounts.google.com", "110169484474386276334", func(iat, exp int64) map[string]any {
			return map[string]any{
				"azp": "us", "aud": "us", "sub": "110169484474386276334", "hd": "example.com", "email": "alice@example.com", "email_verified": true,
				"at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "nonce": "0394852-3190485-2490358", "name": "Alice", "picture": "https://lh3.googleusercontent.com/a/x", "iat": iat, "exp": exp,
			}
		}},
		{"Auth0", "https://example.eu.auth0.com/", "auth0|5f7c8ec7c33c6c004bbafe82", func(iat, exp int64) map[string]any {
			return map[string]any{
				"nickname": "alice", "name": "alice@example.com", "picture": "https://s.gravatar.com/avatar/x", "updated_at": "2029-01-01T00:00:00.000Z", "email": "alice@example.com",
				"email_verified": true, "aud": "us", "iat": iat, "exp": exp, "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "sid": "h0ZtZYDnD3SvUDz-6GcEfkgOdyJ5-nsl", "nonce": "n-1",
			}
		}},
		{"Microsoft Entra v2.0", "https://login.microsoftonline.com/9122040d-6c67-4c5b-b112-36a304b66dad/v2.0", "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", func(iat, exp int64) map[string]any {
			return map[string]any{
				"ver": "2.0", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "aud": "us", "exp": exp, "iat": iat, "nbf": iat, "name": "Alice", "preferred_username": "alice@example.com",
				"oid": "00000000-0000-0000-66f3-3332eca7ea81", "tid": "9122040d-6c67-4c5b-b112-36a304b66dad", "nonce": "123523", "aio": "Df2UVXL1ix!lMCWMSOJBcFatzcGfvFGhjKv8q5g0x732dR5MB5BisvGQO7YWByjd8iQDLq",
				"rh": "0.AAAA", "uti": "x", "amr": []string{"pwd", "mfa"},
			}
		}},
	} {
		t.Run(p.name, func(t *testing.T) {
			w := newTrust(t, "")
			key := assertiontest.NewKey(t, jose.RS256, "1b94c")
			key.Algorithm = ""
			w.issuer.Publish(key)
			w.putClient("app", fmt.Sprintf(`{"type":"public","trusted_issuers":[{"issuer":%q,"jwks_uri":%q,"audience":"us"}]}`, p.issuer, w.issuer.JWKSURI()))
			now := w.clock.Now()
			claims := p.claims(now.Unix(), now.Add(time.Hour).Unix())
			claims["iss"] = p.issuer
			key.Algorithm = "RS256"
			header := map[string]any{"typ": "JWT"}
			if p.name == "Amazon Cognito" {
				header = nil // which has kid and alg alone
			}
			a := w.assert("", "grant_type", exchangeGrant, "subject_token", assertiontest.Sign(t, key, header, claims), "subject_token_type", idTokenType)
			if a.status != http.StatusOK {
				t.Fatalf("got %v, %v", a, w.logged("fecte"))
			}
			if _, got := decodeJWT(t, a.text("access_token")); got["sub"] != p.issuer+"|"+p.user {
				t.Errorf("the user is %v", got["sub"])
			}
			w.later(a.text("refresh_token"))
			access := maps.Clone(claims) // what the provider's API would take
			access["aud"] = "https://api.example.com"
			if a := w.assert(assertiontest.Sign(t, key, header, access)); !a.assertionRefused() {
				t.Errorf("an access token got %v", a)
			}
		})
	}
}

// TestAssertionWithoutTrust checks that a client which trusts nobody is as it was: its metadata name
// the grants, which it may not use.
func TestAssertionWithoutTrust(t *testing.T) {
	w := newTrust(t, "")
	metadata := w.get("/.well-known/oauth-authorization-server")
	grants, _ := metadata.json["grant_types_supported"].([]any)
	if !slices.Contains(grants, any(bearerGrant)) || !slices.Contains(grants, any(exchangeGrant)) {
		t.Errorf("the metadata have %v", grants)
	}
	w.putClient("app", `{"type":"public","scope":"openid read write"}`)
	if a := w.assert(w.assertion()); a.text("error") != "unauthorized_client" || w.issuer.Requests() != 0 || len(w.logged("fecte")) != 0 {
		t.Errorf("got %v", a)
	}
	token, _ := w.login()
	w.later(token)
}

// TestExplainAssertion asks what became of an assertion.
func TestExplainAssertion(t *testing.T) {
	w := newTrust(t, "")
	explain := func(assertion, client string) answer {
		body, err := json.Marshal(map[string]string{"access_token": assertion, "client_id": client})
		if err != nil {
			t.Fatal(err)
		}
		return w.send(http.MethodPost, "/v1/explain", jsonType, string(body))
	}
	assertion := w.assertion()
	if e := explain(assertion, "app"); e.text("verdict") != "dead" || e.text("cause") != "never_issued" || !strings.Contains(e.text("summary"), w.issuer.URL) {
		t.Errorf("before its use: %v", e)
	}
	id, _ := w.content(w.assert(assertion).text("refresh_token"))
	if e := explain(assertion, "app"); e.text("verdict") != "valid_in_reuse_interval" || e.text("origin_token") != "assertion" || e.json["family"].(map[string]any)["family"] != id.String() {
		t.Errorf("at once: %v", e)
	}
	w.clock.Advance(time.Minute)
	if e := explain(assertion, "app"); e.text("verdict") != "dead" || e.text("cause") != "assertion_used" || e.text("origin_token") != "assertion" {
		t.Errorf("later: %v", e)
	}
	for client, name := range map[string]string{"": "without a client", "web": "as a client that trusts nobody", "nobody": "as an unknown client"} {
		if e := explain(assertion, client); e.text("verdict") != "dead" || e.text("cause") != "never_issued" || e.json["family"] != nil || strings.Contains(e.text("summary"), "the client trusts") {
			t.Errorf("%s: %v", name, e)
		}
	}
	w.send(http.MethodDelete, "/v1/families/"+id.String(), "", "")
	if e := explain(assertion, "app"); e.text("verdict") != "dead" || e.text("cause") != "revoked_by_admin" {
		t.Errorf("of a family that was revoked: %v", e)
	}
	if strings.Contains(w.log.String(), assertion) {
		t.Error("the assertion is in the log")
	}
}

// TestAssertionBeforeNotBefore checks that the not_before of a client, by which all its users must
// log in again, also holds for assertions that were made before it.
func TestAssertionBeforeNotBefore(t *testing.T) {
	w := newTrust(t, "")
	before := w.assertion()
	w.clock.Advance(2 * time.Second)
	w.putClient("app", `{"type":"public","not_before":"`+w.clock.Now().Format(time.RFC3339Nano)+`","trusted_issuers":[`+trusted(w.issuer)+`]}`)
	w.restart(0)
	w.refusedFor(w.assert(before), 1, "client_not_before", "")
	w.clock.Advance(time.Second)
	if a := w.assert(w.assertion()); a.status != http.StatusOK {
		t.Errorf("an assertion made since got %v", a)
	}
	if all := w.started(w.issuer.URL + "|alice"); len(all) != 1 {
		t.Errorf("the families are %v", all)
	}
}
