package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// keyed is a world in which the client "web" authenticates by keys.
type keyed struct {
	*world
	key jose.JSONWebKey
}

// newKeyed returns a world whose "web" has one key of its own.
func newKeyed(t testing.TB, opts ...option) *keyed {
	t.Helper()
	w := &keyed{newWorld(t, opts...), assertiontest.NewKey(t, jose.ES256, "k1")}
	w.putClient("web", withKeys(t, w.key))
	return w
}

// withKeys returns the body of a PUT of a confidential client with these keys.
func withKeys(t testing.TB, keys ...jose.JSONWebKey) string {
	return `{"type":"confidential","jwks":` + assertiontest.JWKS(t, keys...) + `}`
}

// claims returns what "web" says of itself now, with changes; nil leaves a claim out.
func (w *keyed) claims(changes map[string]any) map[string]any {
	now := w.clock.Now()
	all := map[string]any{"iss": "web", "sub": "web", "aud": w.servers[0].URL, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": fmt.Sprint(assertionsMade.Add(1))}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return all
}

func (w *keyed) sign(changes map[string]any) string {
	return assertiontest.Sign(w.t, w.key, nil, w.claims(changes))
}

// with returns the parameters of a client that authenticates by an assertion, and more.
func with(assertion string, more ...string) []string {
	return append([]string{"client_assertion_type", jwtBearer, "client_assertion", assertion}, more...)
}

// session starts a family of "web" and returns its first refresh token.
func (w *world) session() string {
	w.t.Helper()
	return w.issue(`{"user_id":"u","client_id":"web"}`).text("refresh_token")
}

// TestPrivateKeyJWT checks that a client authenticates by its key at each endpoint, in a form and in
// JSON, with and without a client_id, and beside a secret that it has as well.
func TestPrivateKeyJWT(t *testing.T) {
	w := newKeyed(t)
	issuer := w.servers[0].URL
	secret := w.addSecret("web")
	tok := w.session()
	for name, changes := range map[string]map[string]any{
		"the issuer": nil, "the token endpoint": {"aud": issuer + "/oauth/token"}, "both": {"aud": []string{issuer, issuer + "/oauth/token"}},
		"nothing more": {"iat": nil, "jti": nil},
	} {
		for _, more := range [][]string{nil, {"client_id", "web"}} {
			a := w.send(http.MethodPost, "/oauth/token", formType, form(with(w.sign(changes), append(more, "grant_type", "refresh_token", "refresh_token", tok)...)...))
			if a.status != http.StatusOK {
				t.Errorf("for %s, with %q: %v", name, more, a)
			}
		}
	}
	for path, params := range map[string]map[string]string{
		"token":      {"grant_type": "refresh_token", "refresh_token": tok},
		"introspect": {"token": tok},
		"revoke":     {"token": w.session()},
	} {
		params["client_assertion_type"], params["client_assertion"] = jwtBearer, w.sign(map[string]any{"aud": issuer + "/oauth/" + path})
		body, err := json.Marshal(params)
		if err != nil {
			t.Fatal(err)
		}
		if a := w.send(http.MethodPost, "/oauth/"+path, jsonType, string(body)); a.status != http.StatusOK || path == "introspect" && a.json["active"] != true {
			t.Errorf("%s: %v", path, a)
		}
	}
	forTokens := w.sign(map[string]any{"aud": issuer + "/oauth/token"})
	if a := w.send(http.MethodPost, "/oauth/introspect", formType, form(with(forTokens, "token", tok)...)); a.status != http.StatusOK {
		t.Errorf("for the token endpoint, at introspection: %v", a)
	}
	header := []string{"Authorization", basic("web", secret)}
	if a := w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "refresh_token", tok, "client_assertion", "", "client_assertion_type", ""), header...); a.status != http.StatusOK {
		t.Errorf("by the secret: %v", a)
	}
	another := w.sign(map[string]any{"aud": issuer + "/oauth/introspect"})
	w.refusesClient(form(with(another, "token", tok)...), "revoke", "web", "assertion_wrong_audience")
	if lines := w.logged("fertft"); len(lines) != 1 {
		t.Errorf("refused were %v", lines)
	}
}

// TestPrivateKeyJWTOfEveryGrant checks that a client authenticates by its key in each grant, in a form
// and in JSON.
func TestPrivateKeyJWTOfEveryGrant(t *testing.T) {
	w := newKeyed(t)
	login := &trust{w.world, assertiontest.New(t)}
	w.putClient("web", strings.TrimSuffix(withKeys(t, w.key), "}")+`,"trusted_issuers":[`+trusted(login.issuer)+`]}`)
	for name, grant := range map[string]func() map[string]string{
		"refresh_token": func() map[string]string { return map[string]string{"refresh_token": w.session()} },
		"authorization_code": func() map[string]string {
			a := w.issue(`{"user_id":"u","client_id":"web","deliver":"code","code_challenge":"` + challengeOf(verifier) + `"}`)
			return map[string]string{"code": a.text("code"), "code_verifier": verifier}
		},
		bearerGrant: func() map[string]string { return map[string]string{"assertion": login.assertion()} },
		exchangeGrant: func() map[string]string {
			return map[string]string{"subject_token": login.assertion(), "subject_token_type": jwtType}
		},
	} {
		for _, contentType := range []string{formType, jsonType} {
			params := grant()
			params["grant_type"], params["client_assertion_type"], params["client_assertion"] = name, jwtBearer, w.sign(nil)
			var pairs []string
			for name, value := range params {
				pairs = append(pairs, name, value)
			}
			body := form(pairs...)
			if contentType == jsonType {
				text, err := json.Marshal(params)
				if err != nil {
					t.Fatal(err)
				}
				body = string(text)
			}
			if a := w.send(http.MethodPost, "/oauth/token", contentType, body); a.status != http.StatusOK || a.text("refresh_token") == "" {
				t.Errorf("%s as %s: %v", name, contentType, a)
			}
			if a := w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", name, "client_id", "web")); a.status != http.StatusUnauthorized {
				t.Errorf("%s without it: %v", name, a)
			}
		}
	}
}

// refusesClient sends a request to an endpoint, and checks that the client is not believed, and that
// the log has its id, or nil, and the reason.
func (w *world) refusesClient(body, operation string, id any, reason string) {
	w.t.Helper()
	before := len(w.logged("fertft"))
	a := w.send(http.MethodPost, "/oauth/"+operation, formType, body)
	if a.status != http.StatusUnauthorized || a.body != `{"error":"invalid_client","error_description":"Client authentication failed."}`+"\n" {
		w.t.Errorf("%s at %s: got %v", reason, operation, a)
	}
	lines := w.logged("fertft")
	if len(lines) != before+1 {
		w.t.Fatalf("%s at %s: %d lines more", reason, operation, len(lines)-before)
	}
	line := lines[before]
	if line["cause"] != "invalid_client" || line["reason"] != reason || line["clientId"] != id || line["operation"] != operation {
		w.t.Errorf("%s at %s: on record is %v", reason, operation, line)
	}
}

// TestClientAssertionRefused checks at each endpoint that a client is not believed for each reason, that
// the answer is the same for all, and that the log has the reason.
func TestClientAssertionRefused(t *testing.T) {
	w := newKeyed(t, metrics())
	now := w.clock.Now()
	unix := func(d time.Duration) int64 { return now.Add(d).Unix() }
	stranger := assertiontest.NewKey(t, jose.ES256, "k1")
	forged := func(header map[string]any) string { return assertiontest.Sign(t, stranger, header, w.claims(nil)) }
	payload, err := json.Marshal(w.claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	w.putClient("other", withKeys(t, stranger))
	w.putClient("secretive", `{"type":"confidential"}`)
	as := func(id string) string { return w.sign(map[string]any{"iss": id, "sub": id}) }
	for _, tt := range []struct {
		name, assertion string
		more            []string
		id              any
		reason          string
	}{
		{"no JWT", "no JWT", nil, nil, "assertion_malformed"},
		{"no JWT of a client", "no JWT", []string{"client_id", "web"}, "web", "assertion_malformed"},
		{"too long", strings.Repeat("a", 8193), []string{"client_id", "web"}, "web", "assertion_too_long"},
		{"no such client", as("nobody"), nil, "nobody", "unknown_client"},
		{"an id that can be none", as("a/b"), nil, nil, "malformed_client_id"},
		{"another client_id", w.sign(nil), []string{"client_id", "other"}, "other", "other_client_id"},
		{"by another client's key", as("other"), nil, "other", "assertion_wrong_signature"},
		{"another subject", w.sign(map[string]any{"sub": "other"}), nil, nil, "assertion_wrong_subject"},
		{"a public client", as("app"), nil, "app", "needless_assertion"},
		{"a client without keys", as("secretive"), nil, "secretive", "no_keys"},
		{"somebody else's", w.sign(map[string]any{"aud": "https://other.example"}), nil, "web", "assertion_wrong_audience"},
		{"somebody else's as well", w.sign(map[string]any{"aud": []string{w.servers[0].URL, "https://other.example"}}), nil, "web", "assertion_wrong_audience"},
		{"no end", w.sign(map[string]any{"exp": nil}), nil, "web", "assertion_no_expiry"},
		{"expired", w.sign(map[string]any{"exp": unix(-time.Minute)}), nil, "web", "assertion_expired"},
		{"for an hour", w.sign(map[string]any{"exp": unix(time.Hour)}), nil, "web", "assertion_expires_too_late"},
		{"of tomorrow", w.sign(map[string]any{"iat": unix(day), "exp": unix(time.Minute)}), nil, "web", "assertion_not_yet_valid"},
		{"not yet", w.sign(map[string]any{"nbf": unix(2 * time.Minute)}), nil, "web", "assertion_not_yet_valid"},
		{"a stranger's", forged(nil), nil, "web", "assertion_wrong_signature"},
		{"with its key", forged(map[string]any{"jwk": stranger.Public()}), nil, nil, "assertion_forbidden_header"},
		{"with an address", forged(map[string]any{"jku": "https://a.example"}), []string{"client_id", "web"}, "web", "assertion_forbidden_header"},
		{"an access token", forged(map[string]any{"typ": "at+jwt"}), nil, nil, "assertion_wrong_type"},
		{"another key id", assertiontest.Sign(t, assertiontest.NewKey(t, jose.ES256, "k9"), nil, w.claims(nil)), nil, "web", "assertion_unknown_key"},
		{"none", assertiontest.Raw(`{"alg":"none"}`, string(payload), func([]byte) []byte { return nil }), nil, nil, "assertion_wrong_algorithm"},
		{"a MAC", assertiontest.Raw(`{"alg":"HS256","kid":"k1"}`, string(payload), func(in []byte) []byte { return in[:32] }), nil, nil, "assertion_wrong_algorithm"},
	} {
		for _, operation := range []string{"token", "revoke", "introspect"} {
			t.Run(tt.name+"/"+operation, func(t *testing.T) {
				failures := w.counted("InvalidClient")
				w.refusesClient(form(with(tt.assertion, append(tt.more, "grant_type", "refresh_token", "refresh_token", "x", "token", "x")...)...), operation, tt.id, tt.reason)
				if n := w.counted("InvalidClient") - failures; n != 1 {
					t.Errorf("it counts %v", n)
				}
			})
		}
	}
}

// TestOneWayToAuthenticate checks that a client which authenticates in two ways is refused, whatever
// they are, and that half an assertion is none. Nothing is logged as a client that was not believed.
func TestOneWayToAuthenticate(t *testing.T) {
	w := newKeyed(t)
	secret := w.addSecret("web")
	good := w.sign(nil)
	params := func(more ...string) string {
		return form(append([]string{"grant_type", "refresh_token", "refresh_token", "x", "token", "x"}, more...)...)
	}
	for _, tt := range []struct {
		name, body string
		header     []string
		says       string
	}{
		{"with a secret in the body", params(with(good, "client_secret", secret)...), nil, "more than one way"},
		{"with a secret in the header", params(with(good)...), []string{"Authorization", basic("web", secret)}, "more than one way"},
		{"with a wrong one", params(with(good)...), []string{"Authorization", basic("web", "x")}, "more than one way"},
		{"with another header", params(with(good)...), []string{"Authorization", "Bearer x"}, "more than one way"},
		{"without its type", params("client_assertion", good), nil, "client_assertion_type is missing"},
		{"the type alone", params("client_id", "web", "client_assertion_type", jwtBearer), nil, "client_assertion is missing"},
		{"the type and a secret", params("client_id", "web", "client_secret", secret, "client_assertion_type", jwtBearer), nil, "more than one way"},
		{"twice", params(with(good)...) + "&" + form("client_assertion", good), nil, "client_assertion is repeated"},
		{"its type twice", params(with(good)...) + "&" + form("client_assertion_type", jwtBearer), nil, "client_assertion_type is repeated"},
	} {
		for _, operation := range []string{"token", "revoke", "introspect"} {
			a := w.send(http.MethodPost, "/oauth/"+operation, formType, tt.body, tt.header...)
			if a.is(t, http.StatusBadRequest, "invalid_request"); !strings.Contains(a.body, tt.says) {
				t.Errorf("%s at %s: %v", tt.name, operation, a)
			}
		}
	}
	if lines := w.logged("fertft"); len(lines) != 0 {
		t.Errorf("on record is %v", lines)
	}
	a := w.send(http.MethodPost, "/oauth/token", formType, params("client_id", "web", "client_assertion", good, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"))
	a.is(t, http.StatusUnauthorized, "invalid_client")
	if lines := w.logged("fertft"); len(lines) != 1 || lines[0]["reason"] != "another_assertion_type" || lines[0]["clientId"] != "web" {
		t.Errorf("of another type, on record is %v", lines)
	}
}

// published returns a world whose "web" publishes its keys at an address.
func published(t testing.TB, opts ...option) (*keyed, *assertiontest.Issuer) {
	t.Helper()
	at := assertiontest.New(t)
	w := &keyed{newWorld(t, opts...), assertiontest.NewKey(t, jose.ES256, "k1")}
	at.Publish(w.key)
	w.putClient("web", `{"type":"confidential","jwks_uri":"`+at.JWKSURI()+`"}`)
	return w, at
}

// refreshBy refreshes as "web", by an assertion that is made now.
func (w *keyed) refreshBy(tok string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/token", formType, form(with(w.sign(nil), "grant_type", "refresh_token", "refresh_token", tok)...))
}

// TestClientKeysUnavailable checks that a client whose keys cannot be fetched is not refused but
// answered 503, that nothing is used up, and that keys at hand serve while they are stale.
func TestClientKeysUnavailable(t *testing.T) {
	elsewhere := assertiontest.New(t)
	for name, answer := range map[string]http.HandlerFunc{
		"down":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"empty":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"redirecting": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.JWKSURI(), http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, at := published(t)
			tok := w.session()
			at.Answer(answer)
			if a := w.refreshBy(tok); !a.unavailable() {
				t.Fatalf("got %v", a)
			}
			for _, path := range []string{"/oauth/revoke", "/oauth/introspect"} {
				if a := w.send(http.MethodPost, path, formType, form(with(w.sign(nil), "token", tok)...)); !a.unavailable() {
					t.Errorf("%s: %v", path, a)
				}
			}
			if n := at.Requests(); n != 1 {
				t.Errorf("%d fetches within a moment", n)
			}
			at.Answer(nil)
			w.clock.Advance(5 * time.Second)
			next := w.refreshBy(tok)
			if next.status != http.StatusOK {
				t.Fatalf("once they are there: %v", next)
			}
			at.Answer(answer)
			w.clock.Advance(10 * time.Minute)
			if a := w.refreshBy(next.text("refresh_token")); a.status != http.StatusOK {
				t.Errorf("with stale keys: %v", a)
			}
			w.key = assertiontest.NewKey(t, jose.ES256, "k2")
			if a := w.refreshBy(tok); !a.unavailable() {
				t.Errorf("by a key that may be new: %v", a)
			}
			if lines := w.logged("fertft"); len(lines) != 0 {
				t.Errorf("on record is %v", lines)
			}
			if lines := w.lines("unavailable"); len(lines) != 4 || !strings.Contains(fmt.Sprint(lines[0]["error"]), at.JWKSURI()) {
				t.Errorf("the log says %v", lines)
			}
		})
	}
	if n := elsewhere.Requests(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// TestClientKeysRotate checks that a new key is fetched once, however many requests come with it at
// the same time, and that the old one is refused once it is gone.
func TestClientKeysRotate(t *testing.T) {
	w, at := published(t)
	tok := w.session()
	a := w.refreshBy(tok)
	if a.status != http.StatusOK || at.Requests() != 1 {
		t.Fatalf("%v after %d fetches", a, at.Requests())
	}
	tok = a.text("refresh_token")
	old := w.key
	w.key = assertiontest.NewKey(t, jose.ES256, "k2")
	at.Publish(w.key)
	w.clock.Advance(time.Minute)
	var good atomic.Int32
	var racers sync.WaitGroup
	for range 50 {
		body := form(with(w.sign(nil), "grant_type", "refresh_token", "refresh_token", tok)...)
		racers.Go(func() {
			if a, err := w.try(0, http.MethodPost, "/oauth/token", formType, body); err == nil && a.status == http.StatusOK {
				good.Add(1)
			}
		})
	}
	racers.Wait()
	if good.Load() != 50 || at.Requests() != 2 {
		t.Errorf("%d of 50 were believed, after %d fetches", good.Load(), at.Requests())
	}
	w.key = old
	w.refusesClient(form(with(w.sign(nil), "token", tok)...), "revoke", "web", "assertion_unknown_key")
}

// TestSecretsAndKeysInTurn checks that a client passes from a secret to a key, and back, with no
// moment in which neither works.
func TestSecretsAndKeysInTurn(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	tok := w.session()
	bySecret := func() int {
		return w.send(http.MethodPost, "/oauth/introspect", formType, form("token", tok), "Authorization", basic("web", secret)).status
	}
	k := &keyed{w, assertiontest.NewKey(t, jose.ES256, "k1")}
	byKey := func() int {
		return w.send(http.MethodPost, "/oauth/introspect", formType, form(with(k.sign(nil), "token", tok)...)).status
	}
	const yes, no = http.StatusOK, http.StatusUnauthorized
	check := func(step string, wantSecret, wantKey int) {
		t.Helper()
		if s, k := bySecret(), byKey(); s != wantSecret || k != wantKey {
			t.Errorf("%s: %d by the secret, %d by the key", step, s, k)
		}
	}
	check("a secret", yes, no)
	w.putClient("web", withKeys(t, k.key))
	check("both", yes, yes)
	id := w.secretIDs()[0]
	if a := w.send(http.MethodDelete, "/v1/clients/web/secrets/"+id, "", ""); a.status != http.StatusNoContent {
		t.Fatal(a)
	}
	check("a key", no, yes)
	secret = w.addSecret("web")
	check("both again", yes, yes)
	w.putClient("web", `{"type":"confidential"}`)
	check("a secret again", yes, no)
}

// TestClientKeysOnRecord checks that a client reads back with its keys.
func TestClientKeysOnRecord(t *testing.T) {
	w := newWorld(t)
	keys := assertiontest.JWKS(t, assertiontest.NewKey(t, jose.ES256, "k"), assertiontest.NewKey(t, jose.ES384, "l"), assertiontest.NewKey(t, jose.RS256, "r"),
		jose.JSONWebKey{Key: assertiontest.NewKey(t, jose.EdDSA, "").Key})
	var shown any
	if err := json.Unmarshal([]byte(keys), &shown); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		members   string
		uri, keys any
	}{
		{`"jwks":` + keys, nil, shown},
		{`"jwks_uri":"https://a.example/keys"`, "https://a.example/keys", nil},
		{`"jwks_uri":"https://a.example/keys","jwks":null`, "https://a.example/keys", nil},
		{`"jwks_uri":null,"jwks":` + keys, nil, shown},
		{`"jwks_uri":"","jwks":null`, nil, nil},
	} {
		body := `{"type":"confidential",` + tt.members + `}`
		for _, a := range []answer{w.put("keyed", body), w.get("/v1/clients/keyed")} {
			if diff := cmp.Diff([]any{tt.uri, tt.keys}, []any{a.json["jwks_uri"], a.json["jwks"]}); diff != "" || a.status > 201 {
				t.Errorf("%s (-want +got):\n%s%v", tt.members, diff, a)
			}
		}
	}
	w.putClient("keyed", `{"type":"confidential","jwks":`+keys+`}`)
	if a := w.put("keyed", `{"type":"public"}`); a.status != http.StatusOK || a.json["jwks"] != nil {
		t.Errorf("made public: %v", a)
	}
	if a := w.put("keyed", `{"type":"public","jwks":null,"jwks_uri":""}`); a.status != http.StatusOK {
		t.Errorf("public without: %v", a)
	}
}

// TestClientKeysAreRefused checks that what is wrong with the keys of a client is named by its field,
// and that no private key is repeated.
func TestClientKeysAreRefused(t *testing.T) {
	w := newWorld(t, deployed())
	private, err := json.Marshal(assertiontest.NewKey(t, jose.ES256, "k"))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(strings.SplitAfter(string(private), `"d":"`)[1], `"`)[0]
	keys := assertiontest.JWKS(t, assertiontest.NewKey(t, jose.ES256, "k"))
	with := func(members string) string { return `{"type":"confidential",` + members + `}` }
	for _, tt := range []struct {
		name, body, field string
		says              []string
	}{
		{"a private key", with(`"jwks":{"keys":[` + string(private) + `]}`), "jwks", []string{"private or symmetric"}},
		{"a bare private key", with(`"jwks":` + string(private)), "jwks", []string{"JWK Set"}},
		{"a private key for an address", with(`"jwks_uri":` + string(private)), "jwks_uri", []string{"string"}},
		{"the same as a text", with(`"jwks_uri":"` + secret + `"`), "jwks_uri", []string{"https"}},
		{"a shared secret", with(`"jwks":{"keys":[{"kty":"oct","k":"` + secret + `"}]}`), "jwks", []string{"private or symmetric"}},
		{"a short RSA key", with(`"jwks":{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`), "jwks", []string{"2048"}},
		{"no key", with(`"jwks":{"keys":[]}`), "jwks", []string{"no keys"}},
		{"a list", with(`"jwks":[]`), "jwks", []string{"JWK Set"}},
		{"both", with(`"jwks":` + keys + `,"jwks_uri":"https://a.example/"`), "jwks", []string{"beside jwks_uri"}},
		{"plain http", with(`"jwks_uri":"http://a.example/"`), "jwks_uri", []string{"https"}},
		{"loopback", with(`"jwks_uri":"http://127.0.0.1/keys"`), "jwks_uri", []string{"https"}},
		{"the metadata service", with(`"jwks_uri":"https://169.254.169.254/keys"`), "jwks_uri", []string{"public internet"}},
		{"a long address", with(`"jwks_uri":"https://a.example/` + strings.Repeat("a", 495) + `"`), "jwks_uri", []string{"512"}},
		{"of a public client", `{"type":"public","jwks":` + keys + `}`, "jwks", []string{"public"}},
		{"an address of a public client", `{"type":"public","jwks_uri":"https://a.example/"}`, "jwks_uri", []string{"public"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.put("keyed", tt.body)
			a.names(t, tt.field, tt.says...)
			w.get("/v1/clients/keyed").problem(t, http.StatusNotFound)
			if strings.Contains(a.body, secret[:16]) || strings.Contains(w.log.String(), secret[:16]) {
				t.Errorf("the key is repeated: %v", a)
			}
		})
	}
	if a := w.put("keyed", with(`"jwks_uri":"https://a.example/`+strings.Repeat("a", 494)+`"`)); a.status != http.StatusCreated {
		t.Errorf("an address of 512 bytes: %v", a)
	}
}

// TestClientKeysAtPrivateAddress checks that a deployed service does not fetch keys from a name that
// leads to a private address.
func TestClientKeysAtPrivateAddress(t *testing.T) {
	at := assertiontest.New(t)
	w := newKeyed(t, deployed())
	w.putClient("web", `{"type":"confidential","jwks_uri":"https://localhost:`+at.URL[strings.LastIndex(at.URL, ":")+1:]+`/keys"}`)
	if a := w.refreshBy(w.session()); !a.unavailable() || at.Requests() != 0 || !strings.Contains(w.log.String(), "prohibited IP address") {
		t.Errorf("got %v after %d fetches", a, at.Requests())
	}
}

// TestKeysCostNoStorage checks that a refresh by a key is one request to the table, as one by a secret
// is, also if the keys have to be fetched.
func TestKeysCostNoStorage(t *testing.T) {
	w, at := published(t)
	w.putClient("web", `{"type":"confidential","policy":{"reuse_interval":0},"jwks_uri":"`+at.JWKSURI()+`"}`)
	a := w.refreshBy(w.session()) // which reads the client
	var requests atomic.Int32
	w.store.Break(func(int, string) storetest.Fault {
		requests.Add(1)
		return storetest.None
	})
	for fetches := range 2 {
		before := at.Requests()
		if fetches == 1 {
			w.clock.Advance(30 * time.Second)
			w.key = assertiontest.NewKey(t, jose.ES256, "k2")
			at.Publish(w.key)
		}
		a = w.refreshBy(a.text("refresh_token"))
		if n := requests.Swap(0); a.status != http.StatusOK || n != 1 || at.Requests() != before+fetches {
			t.Errorf("%v after %d requests and %d fetches", a, n, at.Requests()-before)
		}
	}
}
