package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// decodeJWT reads header and claims of a JWT, without checking its signature.
func decodeJWT(t testing.TB, jwt string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("a JWT of %d parts", len(parts))
	}
	for i, to := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		if err := d.Decode(to); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func members(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// uncached checks the headers that every answer of the token endpoint has.
func (a answer) uncached(t testing.TB) {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

// is checks that the answer is an OAuth error (RFC 6749 §5.2).
func (a answer) is(t testing.TB, status int, code string) {
	t.Helper()
	if a.status != status || a.text("error") != code {
		t.Errorf("got %v, not %d %s", a, status, code)
		return
	}
	if got := members(a.json); !slices.Equal(got, []string{"error", "error_description"}) {
		t.Errorf("the members are %q", got)
	}
	// error_description = 1*( %x20-21 / %x23-5B / %x5D-7E )
	if d := a.text("error_description"); d == "" || strings.ContainsFunc(d, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
		t.Errorf("the description %q has other characters than RFC 6749 §5.2 allows", d)
	}
	a.uncached(t)
}

func form(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func object(pairs ...string) string {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func TestTokenAnswer(t *testing.T) {
	const none = -1
	for _, tt := range []struct {
		name, client  string
		uses          []time.Duration // a refresh after each of these
		expiresIn     float64
		refreshEnds   float64 // the earlier of the ends
		timeout       float64 // the idle end, named as in draft-ietf-oauth-refresh-token-expiration
		authorization float64 // the absolute end, named as there
	}{
		{"defaults: the idle end comes first", `{"type":"public"}`, []time.Duration{time.Minute}, 3600, 15 * 86400, 15 * 86400, 30*86400 - 60},
		{"near its absolute end", `{"type":"public"}`, []time.Duration{10 * day, 10 * day}, 3600, 10 * 86400, 10 * 86400, 10 * 86400},
		{"seconds are rounded down", `{"type":"public"}`, []time.Duration{10 * day, 10*day + time.Millisecond}, 3600, 10*86400 - 1, 10*86400 - 1, 10*86400 - 1},
		{"an absolute end alone", `{"type":"public","policy":{"idle_lifetime":0}}`, []time.Duration{time.Hour}, 3600, 30*86400 - 3600, none, 30*86400 - 3600},
		{"an idle end alone", `{"type":"public","policy":{"absolute_lifetime":0}}`, []time.Duration{time.Hour}, 3600, 15 * 86400, 15 * 86400, none},
		{"no end", `{"type":"public","preset":"supabase"}`, []time.Duration{400 * day}, 3600, none, none, none},
		{"a lifetime of its own", `{"type":"public","policy":{"access_token_lifetime":300}}`, []time.Duration{0}, 300, 15 * 86400, 15 * 86400, 30 * 86400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.putClient("app", tt.client)
			last, _ := w.login()
			var a answer
			for _, d := range tt.uses {
				w.clock.Advance(d)
				presented := last
				a = w.refresh(last)
				last = a.text("refresh_token")
				if last == "" || last == presented {
					t.Fatalf("no new refresh token: %v", a)
				}
			}
			if a.status != http.StatusOK {
				t.Fatal(a)
			}
			a.uncached(t)
			want := []string{"access_token", "expires_in", "refresh_token", "scope", "token_type"}
			for name, seconds := range map[string]float64{
				"refresh_token_expires_in": tt.refreshEnds, "refresh_token_timeout": tt.timeout, "authorization_expires_in": tt.authorization,
			} {
				if seconds != none {
					want = append(want, name)
				}
				if got, ok := a.json[name].(float64); ok && got != seconds {
					t.Errorf("%s is %v, not %v", name, got, seconds)
				}
			}
			slices.Sort(want)
			if got := members(a.json); !slices.Equal(got, want) {
				t.Errorf("members %q, not %q", got, want)
			}
			if a.text("token_type") != "Bearer" || a.text("scope") != "read write" || a.text("access_token") == "" {
				t.Errorf("got %v", a)
			}
			if got := a.number("expires_in"); got != tt.expiresIn {
				t.Errorf("expires_in %v, not %v", got, tt.expiresIn)
			}
		})
	}
}

// TestIDToken checks that iss, sub, aud and auth_time of a refreshed ID token are those of the
// login (OpenID Connect Core §12.2).
func TestIDToken(t *testing.T) {
	w := newWorld(t)
	login := w.clock.Now().Add(-time.Hour).Truncate(time.Second)
	issued := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","scope":"openid read","auth_time":%q,"acr":"aal2","amr":["pwd","otp"]}`, login.Format(time.RFC3339)))
	_, first := decodeJWT(t, issued.text("id_token"))
	w.clock.Advance(2 * time.Hour)
	a := w.refresh(issued.text("refresh_token"))
	header, claims := decodeJWT(t, a.text("id_token"))
	if header["alg"] != "ES256" || header["kid"] == nil || header["typ"] != "JWT" {
		t.Errorf("the header is %v", header)
	}
	_, access := decodeJWT(t, a.text("access_token"))
	now := w.clock.Now().Unix()
	want := map[string]any{
		"iss": w.servers[0].URL, "sub": "u", "aud": "app", "sid": access["sid"],
		"iat": num(now), "exp": num(now + 3600), "auth_time": num(login.Unix()), "acr": "aal2", "amr": []any{"pwd", "otp"},
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	for _, name := range []string{"iss", "sub", "aud", "auth_time"} {
		if diff := cmp.Diff(first[name], claims[name]); diff != "" {
			t.Errorf("%s since the login (-then +now):\n%s", name, diff)
		}
	}
	if a := w.refresh(a.text("refresh_token"), "scope", "read"); a.status != http.StatusOK || a.json["id_token"] != nil {
		t.Errorf("narrowed to a scope without openid: %v", members(a.json))
	}
	without, _ := w.login()
	if a := w.refresh(without); a.status != http.StatusOK || a.json["id_token"] != nil {
		t.Errorf("a family without openid: %v", members(a.json))
	}
}

func num(n int64) json.Number { return json.Number(fmt.Sprint(n)) }

func TestTokenBodies(t *testing.T) {
	w := newWorld(t)
	tok, _ := w.login()
	for _, tt := range []struct{ name, path, contentType, body string }{
		{"form", "", formType, refreshForm(tok)},
		{"form with a charset", "", formType + ";charset=UTF-8", refreshForm(tok)},
		{"form, the media type in capitals", "", "Application/X-WWW-Form-URLEncoded", refreshForm(tok)},
		{"form with unknown parameters", "", formType, refreshForm(tok, "prompt", "x", "device_id", "y")},
		{"form with an unknown parameter several times", "", formType, refreshForm(tok) + "&x=1&x=2&x="},
		{"form with an empty resource", "", formType, refreshForm(tok, "resource", "")},
		{"form with an empty scope", "", formType, refreshForm(tok, "scope", "")},
		{"form with an empty secret", "", formType, refreshForm(tok, "client_secret", "")},
		{"form with parameters in the query", "?refresh_token=x&client_id=web&grant_type=password&scope=admin", formType, refreshForm(tok)},
		{"json", "", jsonType, object("grant_type", "refresh_token", "refresh_token", tok, "client_id", "app")},
		{"json with a charset", "", jsonType + "; charset=utf-8", object("grant_type", "refresh_token", "refresh_token", tok, "client_id", "app")},
		{"json with nulls", "", jsonType, `{"scope":null,"client_secret":null,"grant_type":"refresh_token","client_id":"app","refresh_token":"` + tok + `"}`},
		{"json with unknown members", "", jsonType, `{"retries":3,"context":{"a":[1]},"grant_type":"refresh_token","client_id":"app","refresh_token":"` + tok + `"}`},
		{"json with an unknown member several times", "", jsonType, `{"x":1,"grant_type":"refresh_token","client_id":"app","x":["2"],"refresh_token":"` + tok + `"}`},
		{"json without a resource", "", jsonType, `{"resource":[],"grant_type":"refresh_token","client_id":"app","refresh_token":"` + tok + `"}`},
		{"json with spaces about", "", jsonType, " \r\n" + object("grant_type", "refresh_token", "refresh_token", tok, "client_id", "app") + "\n\t"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.send(http.MethodPost, "/oauth/token"+tt.path, tt.contentType, tt.body)
			if a.status != http.StatusOK || a.text("refresh_token") == "" || a.text("scope") != "read write" {
				t.Errorf("got %v", a)
			}
		})
	}
	t.Run("all in the query", func(t *testing.T) {
		w.send(http.MethodPost, "/oauth/token?"+refreshForm(tok), formType, "").is(t, http.StatusBadRequest, "invalid_request")
	})
	t.Run("the client in the query", func(t *testing.T) {
		w.send(http.MethodPost, "/oauth/token?client_id=app", formType, form("grant_type", "refresh_token", "refresh_token", tok)).
			is(t, http.StatusUnauthorized, "invalid_client")
	})
}

// TestOneAnswerForEveryDeadToken checks that the answer to a dead token does not tell why it
// is dead.
func TestOneAnswerForEveryDeadToken(t *testing.T) {
	for _, status := range []int{400, 403} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := newWorld(t)
			w.putClient("other", `{"type":"public"}`)
			w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"invalid_grant_status":%d}}`, status))
			live, _ := w.login()
			expired := w.issue(`{"user_id":"u","client_id":"app","absolute_lifetime":1}`).text("refresh_token")
			idle, _ := w.login()
			revoked, _ := w.login()
			w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", revoked))
			reused, _ := w.login()
			afterReuse := w.rotate(reused)
			others := w.issue(`{"user_id":"u","client_id":"other"}`).text("refresh_token")
			unknown, err := family.NewID(w.keys.Users.Key("nobody"), w.clock.Now())
			if err != nil {
				t.Fatal(err)
			}
			rotated := w.refresh(live)
			access := rotated.text("access_token")
			w.clock.Advance(14 * day)
			live = w.rotate(rotated.text("refresh_token"))
			if a := w.refresh(reused); a.status != status {
				t.Fatalf("reuse got %v", a)
			}
			w.clock.Advance(day)
			var first answer
			for _, tt := range []struct{ name, token string }{
				{"malformed", "x"},
				{"the prefix alone", "rotor_"},
				{"cut", live[:len(live)-1]},
				{"longer", live + "A"},
				{"a space after it", live + " "},
				{"a line break after it", live + "\n"},
				{"another alphabet", strings.ReplaceAll(live, "rotor_", "ROTOR_")},
				{"not ASCII", "rötör"},
				{"long", strings.Repeat("x", 15000)},
				{"an access token", access},
				{"forged", forge(live)},
				{"of another client", others},
				{"expired", expired},
				{"idle", idle},
				{"revoked", revoked},
				{"reused", reused},
				{"descended from a reused one", afterReuse},
				{"without a record", w.mint(unknown.String(), 1)},
			} {
				a := w.refresh(tt.token)
				if !a.refused(status) {
					t.Errorf("%s: got %v", tt.name, a)
				}
				a.uncached(t)
				for _, volatile := range []string{"Date", "Connection"} {
					a.header.Del(volatile)
				}
				if first.header == nil {
					first = a
				}
				if diff := cmp.Diff(first.header, a.header); diff != "" {
					t.Errorf("%s: headers (-others +this):\n%s", tt.name, diff)
				}
			}
			w.rotate(live)
		})
	}
}

func TestClientAuthentication(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	// odd is a secret that has to be encoded. Rotor makes no such secrets, but clients encode
	// every secret as RFC 6749 §2.3.1 says.
	const odd = "p w:%+é"
	err := w.table.AddSecret(t.Context(), "web", store.Secret{ID: ulid.Make().String(), Hash: sha256.Sum256([]byte(odd)), CreatedAt: w.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w.putClient("web", `{"type":"confidential"}`) // so that the server reads the client again
	app, appID := w.login()
	issued := w.issue(`{"user_id":"u","client_id":"web"}`)
	web, webID := issued.text("refresh_token"), issued.text("family")
	everyCharacter := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			fmt.Fprintf(&b, "%%%02x", c)
		}
		return b.String()
	}

	for _, tt := range []struct {
		name  string
		token string
		auth  string
		body  []string
	}{
		{"client_secret_basic", web, basic("web", secret), nil},
		{"client_secret_post", web, "", []string{"client_id", "web", "client_secret", secret}},
		{"none", app, "", []string{"client_id", "app"}},
		{"the scheme in small letters", web, "basic " + strings.TrimPrefix(basic("web", secret), "Basic "), nil},
		{"every character encoded", web, basic(everyCharacter("web"), everyCharacter(secret)), nil},
		{"a plus is a space, %3A a colon", web, basic("web", "p+w%3A%25%2B%C3%A9"), nil},
		{"a space as %20", web, basic("web", "p%20w%3a%25%2b%c3%a9"), nil},
		{"the odd secret by post", web, "", []string{"client_id", "web", "client_secret", odd}},
		{"public by Basic with an empty secret", app, basic("app", ""), nil},
		{"Basic, and its client_id in the body", web, basic("web", secret), []string{"client_id", "web"}},
		{"Basic, and an empty secret in the body", web, basic("web", secret), []string{"client_secret", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := append([]string{"grant_type", "refresh_token", "refresh_token", tt.token}, tt.body...)
			var header []string
			if tt.auth != "" {
				header = []string{"Authorization", tt.auth}
			}
			for contentType, b := range map[string]string{formType: form(body...), jsonType: object(body...)} {
				if a := w.send(http.MethodPost, "/oauth/token", contentType, b, header...); a.status != http.StatusOK {
					t.Errorf("%s: %v", contentType, a)
				}
			}
		})
	}
	appCounter, webCounter := w.counter(appID), w.counter(webID)

	for _, tt := range []struct {
		name   string
		token  string
		auth   []string // Authorization headers
		body   []string
		status int
		code   string
	}{
		{"Basic and post at once", web, []string{basic("web", secret)}, []string{"client_id", "web", "client_secret", secret}, 400, "invalid_request"},
		{"Basic and a secret in the body", web, []string{basic("web", secret)}, []string{"client_secret", secret}, 400, "invalid_request"},
		{"another client_id in the body", web, []string{basic("web", secret)}, []string{"client_id", "app"}, 400, "invalid_request"},
		{"two Authorization headers", web, []string{basic("web", secret), basic("web", secret)}, nil, 400, "invalid_request"},
		{"wrong secret by Basic", web, []string{basic("web", "wrong")}, nil, 401, "invalid_client"},
		{"wrong secret by post", web, nil, []string{"client_id", "web", "client_secret", "wrong"}, 401, "invalid_client"},
		{"the secret cut", web, nil, []string{"client_id", "web", "client_secret", secret[:len(secret)-1]}, 401, "invalid_client"},
		{"a plus that was not encoded", web, []string{basic("web", "p+w%3A%25+%C3%A9")}, nil, 401, "invalid_client"},
		{"confidential without a secret", web, nil, []string{"client_id", "web"}, 401, "invalid_client"},
		{"confidential with an empty secret", web, nil, []string{"client_id", "web", "client_secret", ""}, 401, "invalid_client"},
		{"confidential by Basic with an empty secret", web, []string{basic("web", "")}, nil, 401, "invalid_client"},
		{"unknown client", web, nil, []string{"client_id", "nobody"}, 401, "invalid_client"},
		{"unknown client by Basic", web, []string{basic("nobody", secret)}, nil, 401, "invalid_client"},
		{"a client id that cannot be", web, nil, []string{"client_id", "a/b"}, 401, "invalid_client"},
		{"a client id that is not ASCII", web, nil, []string{"client_id", "wéb"}, 401, "invalid_client"},
		{"a colon in the client id", web, []string{basic("web%3A", secret)}, nil, 401, "invalid_client"},
		{"a space in the client id", web, []string{basic("we+b", secret)}, nil, 401, "invalid_client"},
		{"a line break after the client id", web, nil, []string{"client_id", "web\n", "client_secret", secret}, 401, "invalid_client"},
		{"no client_id", web, nil, nil, 401, "invalid_client"},
		{"an empty client_id", web, nil, []string{"client_id", ""}, 401, "invalid_client"},
		{"a secret without client_id", web, nil, []string{"client_secret", secret}, 401, "invalid_client"},
		{"an empty name by Basic", web, []string{basic("", secret)}, nil, 401, "invalid_client"},
		{"not base64", web, []string{"Basic ???"}, nil, 401, "invalid_client"},
		{"Basic alone", web, []string{"Basic"}, nil, 401, "invalid_client"},
		{"base64 without padding", web, []string{"Basic " + base64.RawStdEncoding.EncodeToString([]byte("web:12"))}, nil, 401, "invalid_client"},
		{"no colon", web, []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("web"))}, nil, 401, "invalid_client"},
		{"broken percent-encoding in the name", web, []string{basic("w%zz", secret)}, nil, 401, "invalid_client"},
		{"broken percent-encoding in the secret", web, []string{basic("web", secret+"%")}, nil, 401, "invalid_client"},
		{"another scheme", web, []string{"Bearer " + web}, nil, 401, "invalid_client"},
		{"another scheme beside a public client's id", app, []string{"Bearer x"}, []string{"client_id", "app"}, 401, "invalid_client"},
		{"an empty Authorization header", web, []string{""}, []string{"client_id", "web", "client_secret", secret}, 401, "invalid_client"},
		{"public with a secret by post", app, nil, []string{"client_id", "app", "client_secret", "x"}, 401, "invalid_client"},
		{"public with a secret by Basic", app, []string{basic("app", "x")}, nil, 401, "invalid_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var header []string
			for _, v := range tt.auth {
				header = append(header, "Authorization", v)
			}
			for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
				// A client that fails to authenticate gets the same answer for every token,
				// because the client is checked first.
				for _, tok := range []string{tt.token, "none", forge(tt.token)} {
					body := append([]string{"grant_type", "refresh_token", "refresh_token", tok, "token", tok}, tt.body...)
					a := w.send(http.MethodPost, path, formType, form(body...), header...)
					a.is(t, tt.status, tt.code)
					challenge := a.header.Get("WWW-Authenticate")
					if want := tt.status == 401; strings.HasPrefix(challenge, "Basic ") != want || want == (challenge == "") {
						t.Errorf("%s: WWW-Authenticate %q", path, challenge)
					}
				}
			}
		})
	}
	if a, b := w.counter(appID), w.counter(webID); a != appCounter || b != webCounter {
		t.Errorf("the counters are %d and %d, not %d and %d", a, b, appCounter, webCounter)
	}
	w.rotate(app)
	if a := w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "refresh_token", web), "Authorization", basic("web", secret)); a.status != http.StatusOK {
		t.Errorf("after all of it: %v", a)
	}
}

// TestSecretsAreReplaced checks that a client can have two secrets while one replaces the
// other.
func TestSecretsAreReplaced(t *testing.T) {
	w := newWorld(t)
	first := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
	second := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
	tok := w.issue(`{"user_id":"u","client_id":"web"}`).text("refresh_token")
	refresh := func(secret string) answer {
		return w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "refresh_token", tok), "Authorization", basic("web", secret))
	}
	for _, a := range []answer{first, second} {
		if a := refresh(a.text("client_secret")); a.status != http.StatusOK {
			t.Errorf("a live secret got %v", a)
		}
	}
	if a := w.send(http.MethodDelete, "/v1/clients/web/secrets/"+first.text("secret_id"), "", ""); a.status != http.StatusNoContent {
		t.Fatalf("delete: %v", a)
	}
	refresh(first.text("client_secret")).is(t, http.StatusUnauthorized, "invalid_client")
	if a := refresh(second.text("client_secret")); a.status != http.StatusOK {
		t.Errorf("the other secret got %v", a)
	}
	third := w.addSecret("web")
	if a := refresh(third); a.status != http.StatusOK {
		t.Errorf("a new secret got %v", a)
	}
}

func TestBadTokenRequests(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	valid := refreshForm(tok)
	validJSON := object("grant_type", "refresh_token", "refresh_token", tok, "client_id", "app")
	for _, tt := range []struct {
		name, contentType, body string
		status                  int
		code                    string
	}{
		{"repeated refresh_token", formType, valid + "&refresh_token=" + tok, 400, "invalid_request"},
		{"repeated grant_type", formType, valid + "&grant_type=refresh_token", 400, "invalid_request"},
		{"repeated client_id", formType, valid + "&client_id=app", 400, "invalid_request"},
		{"repeated without a value", formType, valid + "&scope=&scope=", 400, "invalid_request"},
		{"repeated, spelled otherwise", formType, valid + "&client%5Fid=app", 400, "invalid_request"},
		{"repeated parameter of another endpoint", formType, valid + "&token=1&token=2", 400, "invalid_request"},
		{"repeated JSON member", jsonType, strings.Replace(validJSON, "{", `{"client_id":"app",`, 1), 400, "invalid_request"},
		{"repeated JSON member, spelled otherwise", jsonType, strings.Replace(validJSON, "{", `{"client\u005fid":"app",`, 1), 400, "invalid_request"},
		{"repeated JSON null", jsonType, strings.Replace(validJSON, "{", `{"scope":null,"scope":null,`, 1), 400, "invalid_request"},
		{"repeated JSON resource", jsonType, strings.Replace(validJSON, "{", `{"resource":"https://a.example","resource":"https://b.example",`, 1), 400, "invalid_request"},
		{"a number for resource", jsonType, strings.Replace(validJSON, "{", `{"resource":1,`, 1), 400, "invalid_request"},
		{"an object for resource", jsonType, strings.Replace(validJSON, "{", `{"resource":{"a":"b"},`, 1), 400, "invalid_request"},
		{"a number among resources", jsonType, strings.Replace(validJSON, "{", `{"resource":["https://a.example",1],`, 1), 400, "invalid_request"},
		{"an array among resources", jsonType, strings.Replace(validJSON, "{", `{"resource":[["https://a.example"]],`, 1), 400, "invalid_request"},
		{"text/plain", "text/plain", valid, 400, "invalid_request"},
		{"multipart", "multipart/form-data; boundary=x", valid, 400, "invalid_request"},
		{"JSON of another kind", "application/vnd.api+json", validJSON, 400, "invalid_request"},
		{"a content type that is none", ";;;", valid, 400, "invalid_request"},
		{"no content type", "", valid, 400, "invalid_request"},
		{"JSON said to be a form", formType, validJSON, 400, "invalid_request"},
		{"a form said to be JSON", jsonType, valid, 400, "invalid_request"},
		{"empty form", formType, "", 400, "invalid_request"},
		{"empty JSON body", jsonType, "", 400, "invalid_request"},
		{"empty JSON object", jsonType, "{}", 400, "invalid_request"},
		{"form not UTF-8", formType, valid + "&x=\xff", 400, "invalid_request"},
		{"form not UTF-8, percent-encoded, the second time", formType, valid + "&x=1&x=%ff", 400, "invalid_request"},
		{"form not UTF-8, percent-encoded", formType, valid + "&x=%ff", 400, "invalid_request"},
		{"a name not UTF-8, percent-encoded", formType, valid + "&%c3%28=x", 400, "invalid_request"},
		{"JSON not UTF-8", jsonType, strings.Replace(validJSON, "{", "{\"x\":\"\xff\",", 1), 400, "invalid_request"},
		{"JSON in UTF-16", jsonType, "\xff\xfe{\x00}\x00", 400, "invalid_request"},
		{"broken percent-encoding", formType, valid + "&x=%zz", 400, "invalid_request"},
		{"percent-encoding cut", formType, valid + "&x=%2", 400, "invalid_request"},
		{"JSON array", jsonType, "[" + validJSON + "]", 400, "invalid_request"},
		{"JSON string", jsonType, `"grant_type"`, 400, "invalid_request"},
		{"JSON null", jsonType, "null", 400, "invalid_request"},
		{"an object for refresh_token", jsonType, `{"grant_type":"refresh_token","client_id":"app","refresh_token":{"a":1}}`, 400, "invalid_request"},
		{"an array for refresh_token", jsonType, `{"grant_type":"refresh_token","client_id":"app","refresh_token":["` + tok + `"]}`, 400, "invalid_request"},
		{"an array for scope", jsonType, strings.Replace(validJSON, "{", `{"scope":["read"],`, 1), 400, "invalid_request"},
		{"a number for client_id", jsonType, `{"grant_type":"refresh_token","client_id":1,"refresh_token":"` + tok + `"}`, 400, "invalid_request"},
		{"a boolean for grant_type", jsonType, `{"grant_type":true,"client_id":"app","refresh_token":"` + tok + `"}`, 400, "invalid_request"},
		{"null for refresh_token", jsonType, `{"grant_type":"refresh_token","client_id":"app","refresh_token":null}`, 400, "invalid_request"},
		{"null for grant_type", jsonType, `{"grant_type":null,"client_id":"app","refresh_token":"` + tok + `"}`, 400, "invalid_request"},
		{"null for client_id", jsonType, `{"grant_type":"refresh_token","client_id":null,"refresh_token":"` + tok + `"}`, 401, "invalid_client"},
		{"data after the JSON", jsonType, validJSON + "{}", 400, "invalid_request"},
		{"a bracket after the JSON", jsonType, validJSON + "}", 400, "invalid_request"},
		{"JSON cut", jsonType, validJSON[:len(validJSON)-1], 400, "invalid_request"},
		{"a comma too many", jsonType, strings.Replace(validJSON, "}", ",}", 1), 400, "invalid_request"},
		{"deep JSON", jsonType, `{"x":` + strings.Repeat("[", 12000), 400, "invalid_request"},
		{"JSON that is deep and whole", jsonType, `{"client_id":"app","x":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `}`, 400, "invalid_request"},
		{"no grant_type", formType, form("client_id", "app", "refresh_token", tok), 400, "invalid_request"},
		{"an empty grant_type", formType, form("grant_type", "", "client_id", "app", "refresh_token", tok), 400, "invalid_request"},
		{"another grant_type", formType, form("grant_type", "password", "client_id", "app", "username", "x"), 400, "unsupported_grant_type"},
		{"the password grant", jsonType, object("grant_type", "password", "client_id", "app", "username", "u"), 400, "unsupported_grant_type"},
		{"grant_type in capitals", formType, form("grant_type", "REFRESH_TOKEN", "client_id", "app", "refresh_token", tok), 400, "unsupported_grant_type"},
		{"no refresh_token", formType, form("grant_type", "refresh_token", "client_id", "app"), 400, "invalid_request"},
		{"an empty refresh_token", formType, form("grant_type", "refresh_token", "client_id", "app", "refresh_token", ""), 400, "invalid_request"},
		{"17 KiB", formType, valid + "&x=" + strings.Repeat("x", 17<<10), 413, "invalid_request"},
		{"17 KiB of JSON", jsonType, strings.Replace(validJSON, "{", `{"x":"`+strings.Repeat("x", 17<<10)+`",`, 1), 413, "invalid_request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.send(http.MethodPost, "/oauth/token", tt.contentType, tt.body).is(t, tt.status, tt.code)
			a := w.stream(http.MethodPost, "/oauth/token", tt.contentType, tt.body)
			a.is(t, tt.status, tt.code)
		})
	}
	if n := w.counter(id); n != 1 {
		t.Errorf("the counter is %d", n)
	}
	w.rotate(tok)
}

// stream sends a body whose length is not announced.
func (w *world) stream(method, path, contentType, body string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.servers[0].URL+path, io.MultiReader(strings.NewReader(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(b)}
	if json.Unmarshal(b, &a.json) == nil {
		trail.saw(a)
	}
	return a
}

func TestBodySize(t *testing.T) {
	w := newWorld(t)
	tok, _ := w.login()
	body := refreshForm(tok) + "&x="
	body += strings.Repeat("x", 16<<10-len(body))
	for name, send := range map[string]func(string) answer{
		"length announced": func(b string) answer { return w.send(http.MethodPost, "/oauth/token", formType, b) },
		"chunked":          func(b string) answer { return w.stream(http.MethodPost, "/oauth/token", formType, b) },
	} {
		if a := send(body); a.status != http.StatusOK {
			t.Errorf("%s: 16 KiB got %v", name, a)
		}
		send(body+"x").is(t, http.StatusRequestEntityTooLarge, "invalid_request")
	}
}

func TestScope(t *testing.T) {
	claim := func(t *testing.T, a answer) any {
		t.Helper()
		if a.status != http.StatusOK {
			t.Fatal(a)
		}
		_, claims := decodeJWT(t, a.text("access_token"))
		return claims["scope"]
	}
	t.Run("narrowed, it is not lost", func(t *testing.T) {
		w := newWorld(t)
		tok, _ := w.login()
		for _, tt := range []struct{ ask, want string }{
			{"read", "read"},
			{"write", "write"},
			{"write read", "write read"},
			{"read read", "read"},
			{"", "read write"},
		} {
			a := w.refresh(tok, "scope", tt.ask)
			if got := claim(t, a); got != tt.want || a.text("scope") != tt.want {
				t.Errorf("%q gave the claim %q and the scope %q", tt.ask, got, a.text("scope"))
			}
			tok = a.text("refresh_token")
		}
	})
	t.Run("narrowed inside the reuse interval", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		second := w.rotate(first)
		a := w.refresh(first, "scope", "write")
		if got := claim(t, a); got != "write" || a.text("refresh_token") != second {
			t.Errorf("the claim is %q", got)
		}
	})
	for _, interval := range []int{60, 0} {
		for _, ask := range []string{"admin", "read admin", "admin read write", "READ", "rea", "openid"} {
			t.Run(fmt.Sprintf("widened to %q at an interval of %d", ask, interval), func(t *testing.T) {
				w := newWorld(t)
				w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_interval":%d,"invalid_grant_status":403}}`, interval))
				tok, id := w.login()
				for range 2 {
					w.refresh(tok, "scope", ask).is(t, http.StatusBadRequest, "invalid_scope")
				}
				if w.counter(id) != 1 {
					t.Errorf("the counter is %d", w.counter(id))
				}
				if got := claim(t, w.refresh(tok)); got != "read write" {
					t.Errorf("afterwards the scope is %q", got)
				}
			})
		}
	}
	t.Run("malformed", func(t *testing.T) {
		w := newWorld(t)
		tok, id := w.login()
		for _, ask := range []string{" ", "read  write", " read", "read ", "read\twrite", `re"ad`, `re\ad`, "réad", "read\x00", strings.Repeat("x", 1025)} {
			w.refresh(tok, "scope", ask).is(t, http.StatusBadRequest, "invalid_scope")
		}
		if w.counter(id) != 1 {
			t.Errorf("the counter is %d", w.counter(id))
		}
		w.rotate(tok)
	})
	t.Run("of a family that was granted none", func(t *testing.T) {
		w := newWorld(t)
		a := w.issue(`{"user_id":"u","client_id":"app"}`)
		w.refresh(a.text("refresh_token"), "scope", "read").is(t, http.StatusBadRequest, "invalid_scope")
		a = w.refresh(a.text("refresh_token"))
		if got := claim(t, a); got != nil || a.json["scope"] != nil {
			t.Errorf("the claim is %q, the scope %q", got, a.json["scope"])
		}
	})
	// Each scope that is asked for is part of the write's condition, and DynamoDB accepts
	// expressions of 4 KB.
	t.Run("as many as there may be", func(t *testing.T) {
		w := newWorld(t)
		for _, length := range []int{3, 15} { // 256 short scopes and 64 long ones, both 1,023 bytes with their spaces
			var tokens []string
			for i := range 1024 / (length + 1) {
				tokens = append(tokens, fmt.Sprintf("%0*d", length, i))
			}
			all := strings.Join(tokens, " ")
			issued := w.issue(object("user_id", "u", "client_id", "app", "scope", all))
			asked := slices.Clone(tokens[:64])
			slices.Reverse(asked)
			backwards := strings.Join(asked, " ")
			a := w.refresh(issued.text("refresh_token"), "scope", backwards)
			if got := claim(t, a); got != backwards {
				t.Errorf("the claim is %q", got)
			}
			w.clock.Advance(time.Minute)
			if len(tokens) > 64 {
				over := w.refresh(a.text("refresh_token"), "scope", strings.Join(tokens[:65], " "))
				over.is(t, http.StatusBadRequest, "invalid_scope")
				if !strings.Contains(over.text("error_description"), "64") || w.counter(issued.text("family")) != 2 {
					t.Errorf("65 got %v", over)
				}
			}
			if got := claim(t, w.refresh(a.text("refresh_token"))); got != all {
				t.Errorf("without a scope the claim is %q", got)
			}
		}
	})
}

func TestMethods(t *testing.T) {
	w := newWorld(t)
	_, id := w.login()
	for path, allow := range map[string]string{
		"/oauth/token": "POST", "/oauth/revoke": "POST", "/oauth/introspect": "POST",
		"/.well-known/jwks.json": "GET, HEAD", "/.well-known/oauth-authorization-server": "GET, HEAD", "/.well-known/openid-configuration": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"} {
			if strings.Contains(allow, method) {
				continue
			}
			t.Run(method+" "+path, func(t *testing.T) {
				a := w.send(method, path, "", "")
				if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != allow || a.header.Get("Content-Type") != jsonType {
					t.Errorf("got %v, Allow %q", a, a.header.Get("Allow"))
				}
				if method != http.MethodHead && a.text("error") == "" {
					t.Errorf("the body is %q", a.body)
				}
			})
		}
	}
	for path, some := range map[string]string{
		"/v1/families": "POST", "/v1/families/" + id: "GET", "/v1/clients": "GET", "/v1/clients/app": "PUT",
		"/v1/clients/app/secrets": "POST", "/v1/clients/web/secrets/" + ulid.Make().String(): "DELETE",
	} {
		for _, method := range []string{"PATCH", "OPTIONS", "TRACE"} {
			if method == "PATCH" && strings.HasPrefix(path, "/v1/families") {
				continue
			}
			t.Run(method+" "+path, func(t *testing.T) {
				a := w.send(method, path, "", "")
				a.problem(t, http.StatusMethodNotAllowed)
				if allow := strings.Split(a.header.Get("Allow"), ", "); !slices.Contains(allow, some) || slices.Contains(allow, method) {
					t.Errorf("Allow %q", allow)
				}
			})
		}
	}
}

func TestPaths(t *testing.T) {
	w := newWorld(t)
	w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	tok, id := w.login()
	for _, path := range []string{
		"/", "/oauth", "/oauth/", "/oauth/token/", "//oauth/token", "/oauth//token", "/oauth/../oauth/token", "/oauth/./token",
		"/oauth/%2e%2e/oauth/token", "/oauth%2Ftoken", "/oauth/token%2F", "/oauth/token%20", "/oauth/token%00", "/OAuth/Token", "/oauth/token/x",
		"/oauth/authorize", "/token", "/.well-known", "/.well-known/", "/.well-known/jwks.json/", "/.well-known//jwks.json", "/favicon.ico", "/v2/families", "/v1x", "/index.html", "/{$}",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(method+" "+path, func(t *testing.T) {
				a := w.send(method, path, formType, refreshForm(tok))
				if a.status != http.StatusNotFound || a.text("error") == "" || a.header.Get("Content-Type") != jsonType || a.header.Get("Location") != "" {
					t.Errorf("got %v, Location %q", a, a.header.Get("Location"))
				}
			})
		}
	}
	for _, path := range []string{
		"/v1", "/v1/", "/v1/nothing", "/v1/families/", "/v1/families/" + id + "/", "/v1//families", "/v1/clients/", "/v1/clients/app/",
		"/v1/clients/app/secrets/", "/v1/clients/../families", "/v1/clients/app/nothing", "/v1/local",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(method+" "+path, func(t *testing.T) {
				a := w.send(method, path, jsonType, `{}`)
				a.problem(t, http.StatusNotFound)
				if a.header.Get("Location") != "" {
					t.Errorf("Location %q", a.header.Get("Location"))
				}
			})
		}
	}
	if w.counter(id) != 1 {
		t.Errorf("the counter is %d", w.counter(id))
	}
}

func TestRevoke(t *testing.T) {
	type tokens struct{ first, second, newest, access, id string }
	for _, tt := range []struct {
		name   string
		after  time.Duration
		pick   func(tokens) string
		counts float64 // the token's number in the log
	}{
		{"the newest token", 0, func(k tokens) string { return k.newest }, 3},
		{"a superseded token inside the interval", 0, func(k tokens) string { return k.second }, 2},
		{"a superseded token outside the interval", time.Hour, func(k tokens) string { return k.first }, 1},
		{"an access token", 0, func(k tokens) string { return k.access }, 0},
		{"an expired access token", 10 * day, func(k tokens) string { return k.access }, 0},
	} {
		for _, contentType := range []string{formType, jsonType} {
			t.Run(tt.name+" as "+contentType, func(t *testing.T) {
				w := newWorld(t)
				var k tokens
				issued := w.issue(`{"user_id":"u","client_id":"app","scope":"read"}`)
				k.first, k.access, k.id = issued.text("refresh_token"), issued.text("access_token"), issued.text("family")
				k.second = w.rotate(k.first)
				k.newest = w.later(k.second)
				other, _ := w.login()
				w.clock.Advance(tt.after)
				pairs := []string{"client_id", "app", "token", tt.pick(k), "token_type_hint", "whatever"}
				body := form(pairs...)
				if contentType == jsonType {
					body = object(pairs...)
				}
				for range 2 {
					a := w.send(http.MethodPost, "/oauth/revoke", contentType, body)
					if a.status != http.StatusOK || strings.TrimSpace(a.body) != "{}" {
						t.Fatalf("got %v", a)
					}
					a.uncached(t)
				}
				lines := w.logged("srrt")
				if len(lines) != 1 || w.storedEvents("srrt") != 1 {
					t.Fatalf("%d srrt lines and %d events", len(lines), w.storedEvents("srrt"))
				}
				want := map[string]any{"cause": "revoked_by_client", "familyId": k.id, "userId": "u", "clientId": "app", "latestCounter": 3.0, "tokenCounter": tt.counts}
				if tt.counts == 0 {
					want["tokenCounter"] = nil
				}
				for name, v := range want {
					if lines[0][name] != v {
						t.Errorf("%s is %v, not %v", name, lines[0][name], v)
					}
				}
				for _, dead := range []string{k.first, k.second, k.newest} {
					w.dead(dead, family.RevokedByClient)
				}
				if f := w.family(k.id); f.text("status") != "revoked" || f.text("cause") != "revoked_by_client" || f.text("revoked_at") == "" {
					t.Errorf("the family is %v", f)
				}
				w.rotate(other)
			})
		}
	}
}

func TestRevokeIsRefusedOrIdle(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	secret := w.addSecret("web")
	issued := w.issue(`{"user_id":"u","client_id":"app","scope":"openid"}`)
	first, id := issued.text("refresh_token"), issued.text("family")
	newest := w.rotate(first)
	revoke := func(pairs ...string) answer {
		return w.send(http.MethodPost, "/oauth/revoke", formType, form(pairs...))
	}
	for _, tt := range []struct{ name, token string }{
		{"newest", newest}, {"superseded", first}, {"access", issued.text("access_token")},
	} {
		for _, client := range [][]string{{"client_id", "other"}, {"client_id", "web", "client_secret", secret}} {
			a := revoke(append(client, "token", tt.token)...)
			// Another client's token is refused, and the client is told (RFC 7009 §2.1
			// and §2.2.1, RFC 6749 §5.2).
			if a.status != http.StatusBadRequest || a.text("error") == "" {
				t.Errorf("%s token by %s: %v", tt.name, client[1], a)
			}
		}
	}
	unknown, err := family.NewID(w.keys.Users.Key("nobody"), w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]string{
		"garbage": "x", "forged": forge(newest), "never recorded": w.mint(unknown.String(), 1), "a JWT of nobody's": "eyJhbGciOiJub25lIn0.e30.",
		"an access token with another signature": forgeSignature(issued.text("access_token")), "an id token": issued.text("id_token"),
	} {
		if a := revoke("client_id", "app", "token", tok); a.status != http.StatusOK || strings.TrimSpace(a.body) != "{}" {
			t.Errorf("%s: %v", name, a)
		}
	}
	revoke("client_id", "app").is(t, http.StatusBadRequest, "invalid_request")
	revoke("client_id", "app", "token", newest, "token", newest).is(t, http.StatusBadRequest, "invalid_request")
	revoke("token", newest).is(t, http.StatusUnauthorized, "invalid_client")
	w.send(http.MethodPost, "/oauth/revoke?token="+newest, formType, "client_id=app").is(t, http.StatusBadRequest, "invalid_request")
	if f := w.family(id); f.text("status") != "active" || len(w.logged("srrt")) != 0 {
		t.Errorf("the family is %v, srrt %v", f, w.logged("srrt"))
	}
	// A family that has already ended is not revoked as well.
	w.clock.Advance(20 * day)
	if a := revoke("client_id", "app", "token", newest); a.status != http.StatusOK {
		t.Errorf("an expired token got %v", a)
	}
	if f := w.family(id); f.text("cause") != "expired_idle" || len(w.logged("srrt")) != 0 {
		t.Errorf("the family is %v", f)
	}
}

// forgeSignature returns the JWT with another signature.
func forgeSignature(jwt string) string {
	at := strings.LastIndexByte(jwt, '.') + 5
	c := byte('A')
	if jwt[at] == c {
		c = 'B'
	}
	return jwt[:at] + string(c) + jwt[at+1:]
}

const inactive = `{"active":false}`

func TestIntrospect(t *testing.T) {
	w := newWorld(t)
	secrets := map[string]string{}
	for id, client := range map[string]string{
		"web": `{"type":"confidential"}`, "other": `{"type":"confidential"}`, "gateway": `{"type":"confidential","may_introspect":true}`,
	} {
		w.putClient(id, client)
		secrets[id] = w.addSecret(id)
	}
	introspect := func(client, tok string) answer {
		t.Helper()
		a := w.send(http.MethodPost, "/oauth/introspect", formType, form("token", tok), "Authorization", basic(client, secrets[client]))
		if a.status != http.StatusOK {
			t.Fatalf("introspect as %s: %v", client, a)
		}
		a.uncached(t)
		return a
	}
	issue := func() answer {
		t.Helper()
		return w.issue(`{"user_id":"u","client_id":"web","scope":"read write","claims":{"tenant":"t"}}`)
	}
	active := func(t *testing.T, what string, a answer) {
		t.Helper()
		if a.json["active"] != true {
			t.Errorf("%s: %v", what, a)
		}
	}
	dead := func(t *testing.T, what string, a answer) {
		t.Helper()
		if strings.TrimSpace(a.body) != inactive {
			t.Errorf("%s: %v", what, a)
		}
	}
	refresh := func(tok string) string {
		t.Helper()
		a := w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "refresh_token", tok), "Authorization", basic("web", secrets["web"]))
		if a.status != http.StatusOK {
			t.Fatal(a)
		}
		return a.text("refresh_token")
	}

	t.Run("refresh token", func(t *testing.T) {
		issued := issue()
		_, claims := decodeJWT(t, issued.text("access_token"))
		at := w.clock.Now().Unix()
		got := introspect("web", issued.text("refresh_token")).json
		want := map[string]any{
			"active": true, "scope": "read write", "client_id": "web", "sub": "u", "iss": w.servers[0].URL, "sid": claims["sid"],
			"iat": float64(at), "exp": float64(at + 15*86400), "refresh_token_timeout": 15 * 86400.0, "authorization_expires_in": 30 * 86400.0,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		a := w.send(http.MethodPost, "/oauth/introspect", jsonType,
			object("token", issued.text("refresh_token"), "client_id", "web", "client_secret", secrets["web"], "token_type_hint", "access_token"))
		active(t, "as JSON, by post, with a wrong hint", a)
		for _, client := range []string{"other", "gateway"} {
			dead(t, "as "+client, introspect(client, issued.text("refresh_token")))
		}
		if w.counter(issued.text("family")) != 1 {
			t.Error("introspection moved the counter")
		}
		newest := refresh(issued.text("refresh_token"))
		active(t, "superseded", introspect("web", issued.text("refresh_token")))
		w.clock.Advance(time.Minute - time.Millisecond)
		active(t, "superseded, at the interval's end", introspect("web", issued.text("refresh_token")))
		w.clock.Advance(time.Millisecond)
		dead(t, "superseded, outside", introspect("web", issued.text("refresh_token")))
		active(t, "the newest; asking is no reuse", introspect("web", newest))
		dead(t, "forged", introspect("web", forge(newest)))
		dead(t, "garbage", introspect("web", "x"))
	})
	t.Run("access token", func(t *testing.T) {
		issued := issue()
		tok := issued.text("access_token")
		_, claims := decodeJWT(t, tok)
		at := w.clock.Now().Unix()
		want := map[string]any{
			"active": true, "token_type": "Bearer", "scope": "read write", "client_id": "web", "sub": "u", "aud": w.servers[0].URL, "iss": w.servers[0].URL,
			"sid": claims["sid"], "jti": claims["jti"], "iat": float64(at), "exp": float64(at + 3600),
		}
		for _, client := range []string{"web", "gateway"} {
			if diff := cmp.Diff(want, introspect(client, tok).json); diff != "" {
				t.Errorf("as %s (-want +got):\n%s", client, diff)
			}
		}
		dead(t, "by a client that may not", introspect("other", tok))
		dead(t, "with another signature", introspect("web", forgeSignature(tok)))
		w.clock.Advance(time.Hour - time.Second)
		active(t, "about to expire", introspect("web", tok))
		w.clock.Advance(time.Second)
		dead(t, "expired", introspect("web", tok))
	})
	t.Run("id token", func(t *testing.T) {
		issued := w.issue(`{"user_id":"u","client_id":"web","scope":"openid"}`)
		dead(t, "an id token is for its client alone", introspect("web", issued.text("id_token")))
	})
	for _, tt := range []struct {
		name string
		end  func(answer)
	}{
		{"revoked", func(issued answer) {
			w.send(http.MethodPost, "/oauth/revoke", formType, form("token", issued.text("refresh_token")), "Authorization", basic("web", secrets["web"]))
		}},
		{"reused", func(issued answer) {
			refresh(issued.text("refresh_token"))
			w.clock.Advance(2 * time.Minute)
			w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "refresh_token", issued.text("refresh_token")), "Authorization", basic("web", secrets["web"]))
		}},
		{"idle", func(answer) {
			w.clock.Advance(10 * time.Minute)
			w.putClient("web", `{"type":"confidential","policy":{"idle_lifetime":600}}`)
		}},
		{"client not_before", func(answer) {
			w.clock.Advance(time.Second)
			w.putClient("web", `{"type":"confidential","not_before":"`+w.clock.Now().Format(time.RFC3339Nano)+`"}`)
		}},
	} {
		t.Run("once its family is dead: "+tt.name, func(t *testing.T) {
			w.putClient("web", `{"type":"confidential"}`)
			issued := issue()
			for _, name := range []string{"refresh_token", "access_token"} {
				active(t, "before", introspect("web", issued.text(name)))
			}
			tt.end(issued)
			for _, name := range []string{"refresh_token", "access_token"} {
				dead(t, name, introspect("web", issued.text(name)))
			}
			dead(t, "access_token by the gateway, which had the owner cached at most", introspect("gateway", issued.text("access_token")))
		})
	}
	t.Run("of a client that is gone", func(t *testing.T) {
		w.putClient("short", `{"type":"public"}`)
		tok := w.issue(`{"user_id":"u","client_id":"short"}`).text("access_token")
		active(t, "before", introspect("gateway", tok))
		if a := w.send(http.MethodDelete, "/v1/clients/short", "", ""); a.status != http.StatusNoContent {
			t.Fatal(a)
		}
		dead(t, "after", introspect("gateway", tok))
	})
	t.Run("by a public client", func(t *testing.T) {
		tok, _ := w.login()
		a := w.send(http.MethodPost, "/oauth/introspect", formType, form("token", tok, "client_id", "app"))
		a.is(t, http.StatusUnauthorized, "invalid_client")
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Error("no WWW-Authenticate, where none was tried")
		}
		a = w.send(http.MethodPost, "/oauth/introspect", formType, form("token", tok), "Authorization", basic("app", ""))
		a.is(t, http.StatusUnauthorized, "invalid_client")
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Error("no WWW-Authenticate")
		}
	})
	t.Run("without a token", func(t *testing.T) {
		w.send(http.MethodPost, "/oauth/introspect", formType, "", "Authorization", basic("web", secrets["web"])).is(t, http.StatusBadRequest, "invalid_request")
	})
}

func TestDiscovery(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.ES256, signing.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			w := newWorld(t, algorithm(alg))
			issuer := w.servers[0].URL
			auth := []any{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}
			want := map[string]any{
				"issuer":                                        issuer,
				"token_endpoint":                                issuer + "/oauth/token",
				"jwks_uri":                                      issuer + "/.well-known/jwks.json",
				"response_types_supported":                      []any{"none"},
				"grant_types_supported":                         []any{"refresh_token", "authorization_code", bearerGrant, exchangeGrant},
				"token_endpoint_auth_methods_supported":         auth,
				"revocation_endpoint":                           issuer + "/oauth/revoke",
				"revocation_endpoint_auth_methods_supported":    auth,
				"introspection_endpoint":                        issuer + "/oauth/introspect",
				"introspection_endpoint_auth_methods_supported": auth[1:],
				"subject_types_supported":                       []any{"public"},
				"id_token_signing_alg_values_supported":         []any{string(alg)},
				"refresh_token_expiration_types_supported":      []any{"authorization", "token_timeout"},
			}
			for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
				a := w.send(http.MethodGet, path, "", "")
				if a.status != http.StatusOK || a.header.Get("Content-Type") != jsonType {
					t.Fatalf("%s: %v", path, a)
				}
				cached(t, a)
				for name, v := range want {
					if diff := cmp.Diff(v, a.json[name]); diff != "" {
						t.Errorf("%s: %s (-want +got):\n%s", path, name, diff)
					}
				}
				if _, ok := a.json["authorization_endpoint"]; ok {
					t.Errorf("%s: there is no authorization endpoint", path)
				}
			}

			a := w.send(http.MethodGet, "/.well-known/jwks.json", "", "")
			if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/jwk-set+json" {
				t.Fatal(a)
			}
			cached(t, a)
			keys, _ := a.json["keys"].([]any)
			if len(keys) != 1 {
				t.Fatalf("%d keys", len(keys))
			}
			key, _ := keys[0].(map[string]any)
			public := []string{"alg", "crv", "kid", "kty", "use", "x", "y"}
			if alg == signing.RS256 {
				public = []string{"alg", "e", "kid", "kty", "n", "use"}
			}
			if got := members(key); !slices.Equal(got, public) {
				t.Errorf("the key's members are %q, not %q", got, public)
			}
			header, _ := decodeJWT(t, w.issue(`{"user_id":"u","client_id":"app"}`).text("access_token"))
			if key["alg"] != string(alg) || key["use"] != "sig" || key["kid"] == "" || key["kid"] != header["kid"] {
				t.Errorf("the key is %v, a token's header %v", key, header)
			}
		})
	}
}

// cached checks that a gateway may cache the answer for minutes but not for days.
func cached(t *testing.T, a answer) {
	t.Helper()
	var seconds int
	if _, err := fmt.Sscanf(a.header.Get("Cache-Control"), "public, max-age=%d", &seconds); err != nil || seconds < 60 || seconds > 3600 {
		t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
	}
	if a.header.Get("Pragma") != "" {
		t.Errorf("Pragma %q", a.header.Get("Pragma"))
	}
}

func TestHeadOfDiscovery(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		get, head := w.send(http.MethodGet, path, "", ""), w.send(http.MethodHead, path, "", "")
		if head.status != http.StatusOK || head.body != "" {
			t.Errorf("%s: %v", path, head)
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "Content-Length"} {
			if get.header.Get(name) != head.header.Get(name) {
				t.Errorf("%s: %s is %q, of GET %q", path, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
}

// TestAccessToken checks that access tokens have the format of RFC 9068.
func TestAccessToken(t *testing.T) {
	w := newWorld(t)
	w.putClient("defaults", `{"type":"public","audience":"https://api.example","scope":"a b"}`)
	login := w.clock.Now().Add(-time.Minute).Truncate(time.Second)
	for _, tt := range []struct {
		name, body, client string
		want               map[string]any
	}{
		{"the least", `{"user_id":"u","client_id":"app"}`, "app", map[string]any{"sub": "u", "aud": w.servers[0].URL}},
		{"the client's defaults", `{"user_id":"ü 用户","client_id":"defaults"}`, "defaults", map[string]any{"sub": "ü 用户", "aud": "https://api.example", "scope": "a b"}},
		{"its own", `{"user_id":"u","client_id":"defaults","audience":"other","scope":"b"}`, "defaults", map[string]any{"sub": "u", "aud": "other", "scope": "b"}},
		{"no scope, though the client has one", `{"user_id":"u","client_id":"defaults","scope":""}`, "defaults", map[string]any{"sub": "u", "aud": "https://api.example"}},
		{
			"all there is",
			fmt.Sprintf(`{"user_id":"u","client_id":"app","scope":"read","auth_time":%q,"acr":"aal2","amr":["pwd","otp"],"claims":{"tenant":{"id":"t1"},"roles":["x"],"on":true,"n":null,"s":"<&>"}}`, login.Format(time.RFC3339)),
			"app",
			map[string]any{
				"sub": "u", "aud": w.servers[0].URL, "scope": "read", "auth_time": num(login.Unix()), "acr": "aal2", "amr": []any{"pwd", "otp"},
				"tenant": map[string]any{"id": "t1"}, "roles": []any{"x"}, "on": true, "n": nil, "s": "<&>",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			issued := w.issue(tt.body)
			id, err := family.ParseID(issued.text("family"))
			if err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Minute)
			refreshed := w.refresh(issued.text("refresh_token"), "client_id", tt.client)
			jtis := map[any]bool{}
			for i, a := range []answer{issued, refreshed, w.refresh(issued.text("refresh_token"), "client_id", tt.client)} {
				header, claims := decodeJWT(t, a.text("access_token"))
				if got := members(header); !slices.Equal(got, []string{"alg", "kid", "typ"}) || header["typ"] != "at+jwt" || header["alg"] != "ES256" || header["kid"] == "" {
					t.Errorf("the header is %v", header)
				}
				at := w.clock.Now().Unix()
				if i == 0 {
					at -= 60
				}
				want := maps.Clone(tt.want)
				maps.Copy(want, map[string]any{
					"iss": w.servers[0].URL, "client_id": tt.client, "iat": num(at), "exp": num(at + 3600), "sid": id.ULID().String(), "jti": claims["jti"],
				})
				if diff := cmp.Diff(want, claims); diff != "" {
					t.Errorf("claims (-want +got):\n%s", diff)
				}
				if jti, _ := claims["jti"].(string); len(jti) < 16 || jtis[jti] {
					t.Errorf("jti %q", jti)
				}
				jtis[claims["jti"]] = true
			}
		})
	}
}

// TestCustomNumbersKeepTheirDigits checks that a number which a float64 cannot hold, such as
// an account number, reaches the token unchanged.
func TestCustomNumbersKeepTheirDigits(t *testing.T) {
	w := newWorld(t)
	for _, digits := range []string{"0", "9007199254740993", "18446744073709551615", "0.1", "-1"} {
		a := w.issue(`{"user_id":"u","client_id":"app","claims":{"account":` + digits + `}}`)
		for _, a := range []answer{a, w.refresh(a.text("refresh_token"))} {
			if _, claims := decodeJWT(t, a.text("access_token")); claims["account"] != json.Number(digits) {
				t.Errorf("%s became %v", digits, claims["account"])
			}
		}
	}
}

func TestCORS(t *testing.T) {
	const origin, stranger = "https://app.example", "https://evil.example"
	sdkHeaders := []string{
		"authorization", "content-type", "auth0-client", "x-client-info", "apikey", "x-supabase-api-version", "dpop", "traceparent", "tracestate",
		"baggage", "sentry-trace", "x-requested-with", "x-amz-user-agent",
	}
	w := newWorld(t, origins(origin, "http://localhost:5173"))
	preflight := func(path, from, method string, headers ...string) answer {
		h := []string{"Origin", from, "Access-Control-Request-Method", method}
		if len(headers) > 0 {
			h = append(h, "Access-Control-Request-Headers", strings.Join(headers, ","))
		}
		return w.send(http.MethodOptions, path, "", "", h...)
	}
	allowed := func(a answer) []string {
		var names []string
		for _, v := range a.header.Values("Access-Control-Allow-Headers") {
			for name := range strings.SplitSeq(v, ",") {
				names = append(names, strings.ToLower(strings.TrimSpace(name)))
			}
		}
		return names
	}
	none := func(t *testing.T, what string, a answer) {
		t.Helper()
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s: %q", what, name, a.header.Get(name))
			}
		}
	}
	for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
		for _, from := range []string{origin, "http://localhost:5173"} {
			t.Run("preflight of "+path+" from "+from, func(t *testing.T) {
				slices.Sort(sdkHeaders) // as browsers send them
				a := preflight(path, from, "POST", sdkHeaders...)
				if a.status != http.StatusNoContent && a.status != http.StatusOK {
					t.Fatal(a)
				}
				if got := a.header.Get("Access-Control-Allow-Origin"); got != from {
					t.Errorf("Access-Control-Allow-Origin %q", got)
				}
				if got := a.header.Get("Access-Control-Allow-Methods"); !strings.Contains(got, "POST") {
					t.Errorf("Access-Control-Allow-Methods %q", got)
				}
				names := allowed(a)
				for _, name := range sdkHeaders { // a literal * would not cover authorization
					if !slices.Contains(names, name) {
						t.Errorf("%s is not allowed", name)
					}
				}
				if a.header.Get("Access-Control-Allow-Credentials") != "true" {
					t.Error("cookies are not allowed")
				}
				if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
					t.Errorf("Vary %q", a.header.Values("Vary"))
				}
				if a := preflight(path, from, "POST"); a.header.Get("Access-Control-Allow-Origin") != from {
					t.Errorf("without headers asked for: %v", a.header)
				}
				for _, name := range sdkHeaders {
					if a := preflight(path, from, "POST", name); !slices.Contains(allowed(a), name) {
						t.Errorf("%s alone is not allowed", name)
					}
				}
			})
		}
		for _, from := range []string{stranger, "null", origin + ".evil.example", "http://app.example", "https://APP.example:444"} {
			t.Run("preflight of "+path+" from "+from, func(t *testing.T) {
				none(t, "preflight", preflight(path, from, "POST", "content-type"))
				none(t, "request", w.send(http.MethodPost, path, formType, "", "Origin", from))
			})
		}
		t.Run("preflight of "+path+" for another method", func(t *testing.T) {
			if a := preflight(path, origin, "DELETE"); strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "DELETE") {
				t.Error("DELETE is allowed")
			}
		})
	}
	t.Run("answers", func(t *testing.T) {
		tok, _ := w.login()
		for _, tt := range []struct {
			name, path, contentType, body string
			status                        int
		}{
			{"success", "/oauth/token", formType, refreshForm(tok), 200},
			{"revocation", "/oauth/revoke", formType, "client_id=app&token=x", 200},
			{"dead token", "/oauth/token", formType, refreshForm("x"), 400},
			{"unknown client", "/oauth/token", formType, refreshForm("x", "client_id", "nobody"), 401},
			{"wrong content type", "/oauth/token", "text/plain", "x", 400},
			{"large body", "/oauth/token", formType, strings.Repeat("x", 17<<10), 413},
			{"revocation without a token", "/oauth/revoke", formType, "client_id=app", 400},
		} {
			a := w.send(http.MethodPost, tt.path, tt.contentType, tt.body, "Origin", origin)
			if a.status != tt.status || a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Access-Control-Allow-Credentials") != "true" {
				t.Errorf("%s: %v %v", tt.name, a, a.header)
			}
			if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
				t.Errorf("%s: Vary %q", tt.name, a.header.Values("Vary"))
			}
			none(t, tt.name, w.send(http.MethodPost, tt.path, tt.contentType, tt.body))
		}
	})
	t.Run("not for browsers", func(t *testing.T) {
		for _, path := range []string{"/oauth/introspect", "/v1/families", "/v1/clients", "/v1/clients/app", "/nothing", "/"} {
			for _, method := range []string{"POST", "GET", "PUT"} {
				none(t, "preflight of "+path, preflight(path, origin, method, "content-type"))
				none(t, method+" "+path, w.send(method, path, jsonType, "{}", "Origin", origin))
			}
		}
	})
	t.Run("discovery", func(t *testing.T) {
		for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
			for _, from := range []string{origin, stranger} {
				a := w.send(http.MethodGet, path, "", "", "Origin", from)
				if a.status != http.StatusOK || a.header.Get("Access-Control-Allow-Origin") != "*" || a.header.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s: %v", path, a.header)
				}
				if a := preflight(path, from, "GET", "x-requested-with"); a.header.Get("Access-Control-Allow-Origin") != "*" || !slices.Contains(allowed(a), "x-requested-with") {
					t.Errorf("preflight of %s: %v", path, a.header)
				}
			}
		}
	})
	t.Run("without configured origins", func(t *testing.T) {
		w := newWorld(t)
		tok, _ := w.login()
		none(t, "request", w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok), "Origin", origin))
		none(t, "preflight", w.send(http.MethodOptions, "/oauth/token", "", "", "Origin", origin, "Access-Control-Request-Method", "POST"))
	})
	t.Run("any origin", func(t *testing.T) {
		w := newWorld(t, origins("*"))
		tok, _ := w.login()
		a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok), "Origin", stranger)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != "*" && got != stranger || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("got %v", a.header)
		}
	})
}
