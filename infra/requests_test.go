package rotor

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
	"github.com/rotor-auth/rotor/shared/audit"
	providers "github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// seen records a function's requests to DynamoDB as lines such as "dynamodb:GetItem clients".
type seen struct {
	below http.RoundTripper
	mu    *sync.Mutex
	lines map[string]bool
}

// RoundTrip implements [http.RoundTripper].
func (s seen) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	type request struct {
		IndexName                 string
		Key, Item                 map[string]struct{ S string }
		ExpressionAttributeValues map[string]struct{ S string }
	}
	var all struct {
		request
		TransactItems []map[string]request
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if operation == "TransactWriteItems" {
		for _, item := range all.TransactItems {
			for kind, part := range item {
				s.add(kind+"Item", part.IndexName, part.Key["pk"].S+part.Item["pk"].S)
			}
		}
	} else {
		s.add(operation, all.IndexName, all.Key["pk"].S+all.Item["pk"].S+all.ExpressionAttributeValues[":pk"].S)
	}
	return s.below.RoundTrip(r)
}

func (s seen) add(operation, index, pk string) {
	if index != "" {
		pk = "index " + index
	} else if strings.HasPrefix(pk, "u#") {
		pk = users
	} else if strings.HasPrefix(pk, "x#") {
		pk = foreign
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines["dynamodb:"+operation+" "+pk] = true
}

// Without this a role could lack what the function's code requests of DynamoDB, which would only show in AWS, or still
// allow what it no longer requests. Each function's handlers run here on the embedded store, and their roles must allow
// exactly their requests.
func TestRolesAllowWhatTheCodeRequests(t *testing.T) {
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	document, err := keyring.Generate(signing.ES256, now)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	below := embedded.New()
	if err := store.New(embedded.Config(below), "rotor", store.DefaultRetention).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	requested := map[string]map[string]bool{}
	as := func(function string) *store.Table {
		if requested[function] == nil {
			requested[function] = map[string]bool{}
		}
		return store.New(embedded.Config(seen{below, &mu, requested[function]}), "rotor", store.DefaultRetention)
	}
	log := slog.New(slog.DiscardHandler)
	old := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // another provider
		if r.PostFormValue("refresh_token") != "old-now" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		claims, err := json.Marshal(map[string]any{"iss": "i", "sub": "eve", "aud": "us", "exp": now.Unix() + 60})
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"a","token_type":"Bearer","id_token":"%s.%s.c2ln"}`, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)), base64.RawURLEncoding.EncodeToString(claims))
	}))
	defer old.Close()
	serve := func(function string) *server.Server {
		return server.New(server.Config{
			Issuer: "https://auth.example.com", Table: as(function), Keys: keys, Log: log, Now: func() time.Time { return now }, Providers: providers.Options{Loopback: true},
		})
	}
	call := func(h http.Handler, want int, method, target, body string) map[string]any {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		if strings.HasPrefix(target, "/v1") && body != "" {
			r.Header.Set("Content-Type", "application/json")
		} else if body != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Fatalf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
		var answer map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &answer)
		return answer
	}
	warm := func(function string) *server.Server {
		t.Helper()
		a := serve(function)
		if err := a.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	manage, token, revoke, introspect := warm("manage").Manage.Handler(), warm("token").OAuth.Token(), warm("revoke").OAuth.Revoke(), warm("introspect").OAuth.Introspect()

	call(manage, 201, "PUT", "/v1/clients/web", `{"type":"confidential","policy":{"reuse_interval":0,"max_active":2}}`)
	secret := fmt.Sprint(call(manage, 201, "POST", "/v1/clients/web/secrets", "")["client_secret"])
	as1 := "client_id=web&client_secret=" + secret
	call(manage, 200, "GET", "/v1/clients", "")
	call(manage, 201, "PUT", "/v1/clients/gone", `{"type":"public"}`)
	call(manage, 204, "DELETE", "/v1/clients/gone", "")
	issue := func() (refreshToken, family string) {
		a := call(manage, 201, "POST", "/v1/families", `{"user_id":"ada","client_id":"web"}`)
		return fmt.Sprint(a["refresh_token"]), fmt.Sprint(a["family"])
	}
	first, _ := issue()
	second, _ := issue()
	third, _ := issue()

	call(introspect, 200, "POST", "/oauth/introspect", as1+"&token="+first)
	call(token, 200, "POST", "/oauth/token", as1+"&grant_type=refresh_token&refresh_token="+first)
	call(token, 400, "POST", "/oauth/token", as1+"&grant_type=refresh_token&refresh_token="+first) // reuse
	call(revoke, 200, "POST", "/oauth/revoke", as1+"&token="+second)
	call(manage, 201, "PUT", "/v1/clients/page", `{"type":"public","scope":"openid","post_logout_redirect_uris":["https://app.example.com/"]}`)
	leaving := call(manage, 201, "POST", "/v1/families", `{"user_id":"ada","client_id":"page"}`)
	call(revoke, 303, "POST", "/oauth/logout", fmt.Sprintf("post_logout_redirect_uri=https://app.example.com/&id_token_hint=%s", leaving["id_token"]))

	for _, scope := range []string{"others", "global"} {
		page := call(manage, 201, "POST", "/v1/families", `{"user_id":"ada","client_id":"page"}`)
		call(manage, 201, "POST", "/v1/families", `{"user_id":"ada","client_id":"page"}`)
		as := func(method, target string) *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
			r.Header.Set("Authorization", "Bearer "+fmt.Sprint(page["access_token"]))
			return r
		}
		for _, c := range []struct {
			h    http.Handler
			r    *http.Request
			want int
		}{{introspect, as("GET", "/auth/v1/user?apikey=page"), 200}, {revoke, as("POST", "/auth/v1/logout?apikey=page&scope="+scope), 204}} {
			w := httptest.NewRecorder()
			if c.h.ServeHTTP(w, c.r); w.Code != c.want {
				t.Fatalf("%s: %d %s", c.r.URL, w.Code, w.Body)
			}
		}
	}

	// Tokens of another provider.
	call(manage, 201, "PUT", "/v1/clients/moved", `{"type":"confidential","accepts_imported":{"prefix":"old-"}}`)
	asMoved := "client_id=moved&client_secret=" + fmt.Sprint(call(manage, 201, "POST", "/v1/clients/moved/secrets", "")["client_secret"])
	call(manage, 200, "POST", "/v1/imports", fmt.Sprintf(`{"client_id":"moved","tokens":[{"user_id":"eve","token_sha256":"%x"}]}`, sha256.Sum256([]byte("old-token"))))
	call(introspect, 200, "POST", "/oauth/introspect", asMoved+"&token=old-token")
	call(token, 200, "POST", "/oauth/token", asMoved+"&grant_type=refresh_token&refresh_token=old-token")
	call(revoke, 200, "POST", "/oauth/revoke", asMoved+"&token=old-token")
	call(manage, 201, "PUT", "/v1/clients/adopting", `{"type":"public","adopt":{"token_endpoint":"`+old.URL+`","client_id":"us","auth":"none","user":{"from":"id_token"},"prefix":"old-"}}`)
	call(token, 503, "POST", "/oauth/token", "client_id=adopting&grant_type=refresh_token&refresh_token=old-later") // the claim is released
	call(token, 200, "POST", "/oauth/token", "client_id=adopting&grant_type=refresh_token&refresh_token=old-now")

	login := assertiontest.NewKey(t, jose.ES256, "k")
	call(manage, 201, "PUT", "/v1/clients/trusting", `{"type":"public","policy":{"max_active":1},"trusted_issuers":[{"issuer":"i","jwks":`+assertiontest.JWKS(t, login)+`,"audience":"us","algorithms":["ES256"]}]}`)
	for _, jti := range []string{"1", "1", "2"} { // the second is a second use, the third one too many
		assertion := assertiontest.Sign(t, login, nil, map[string]any{"iss": "i", "sub": "ada", "aud": "us", "iat": now.Unix(), "exp": now.Unix() + 60, "jti": jti})
		call(token, 200, "POST", "/oauth/token", "client_id=trusting&grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion="+assertion)
	}

	// A use that rotates nothing, and is recorded.
	call(manage, 201, "PUT", "/v1/clients/app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	held := fmt.Sprint(call(manage, 201, "POST", "/v1/families", `{"user_id":"ada","client_id":"app"}`)["refresh_token"])
	for range 2 {
		held = fmt.Sprint(call(token, 200, "POST", "/oauth/token", "client_id=app&grant_type=refresh_token&refresh_token="+held)["refresh_token"])
	}
	issue()
	issue()
	call(manage, 200, "GET", "/v1/families?user_id=ada", "")
	call(manage, 200, "PATCH", "/v1/families?user_id=ada", `{"acr":"aal2"}`)
	once := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/families", strings.NewReader(`{"user_id":"ada","client_id":"app"}`))
	once.Header.Set("Content-Type", "application/json")
	once.Header.Set("Idempotency-Key", "key")
	answer := httptest.NewRecorder()
	if manage.ServeHTTP(answer, once); answer.Code != 201 {
		t.Fatalf("under a key: %d %s", answer.Code, answer.Body)
	}
	call(manage, 200, "POST", "/v1/explain", `{"refresh_token":"`+third+`"}`)
	call(manage, 200, "GET", "/v1/events?type=ferrt", "")

	sweeper := sweep.Sweeper{Table: as("sweep"), Clients: store.NewRegistry(as("sweep"), log), Trail: audit.Trail{Log: log}}
	if result, err := sweeper.Sweep(t.Context(), now); err != nil || result.Removed != 2 {
		t.Fatalf("swept %+v, %v", result, err)
	}
	// Until then a login may be under way. This sweep takes the owner off the list.
	if result, err := sweeper.Sweep(t.Context(), now.Add(5*time.Minute)); err != nil || result.Removed != 0 {
		t.Fatalf("later swept %+v, %v", result, err)
	}
	_, last := issue()
	call(manage, 200, "PATCH", "/v1/families/"+last, `{"acr":"aal2"}`)
	call(manage, 200, "DELETE", "/v1/families/"+last, "")
	_, kept := issue()
	issue()
	call(manage, 200, "DELETE", "/v1/families?user_id=ada&except="+kept, "")
	call(manage, 200, "DELETE", "/v1/users?user_id=ada", "")
	call(serve("discovery").OAuth.Discovery(), 200, "GET", "/.well-known/jwks.json", "")

	s := standardStack(t)
	roles := s.resources("AWS::IAM::Role")
	for name, f := range s.functionsByName() {
		if name == "keys" {
			continue // DynamoDB is none of its business
		}
		allowed := allowedRequests(properties(roles[at(f, "Role", "Fn::GetAtt", 0).(string)]))
		if diff := cmp.Diff(slices.Sorted(maps.Keys(allowed)), slices.Sorted(maps.Keys(requested[name]))); diff != "" {
			t.Errorf("%s: allowed (-), requested (+)\n%s", name, diff)
		}
	}
	if n := len(requested["manage"]); n < 8 {
		t.Errorf("manage made %d kinds of requests", n)
	}
}

// allowedRequests returns the requests to DynamoDB that a role allows, as lines of [seen].
func allowedRequests(role object) map[string]bool {
	allowed := map[string]bool{}
	for _, p := range list(role["Policies"]) {
		for _, statement := range list(at(p, "PolicyDocument", "Statement")) {
			for _, action := range list(at(statement, "Action")) {
				if !strings.HasPrefix(plain(action), "dynamodb:") {
					continue
				}
				if _, index, ok := strings.Cut(plain(at(statement, "Resource")), "/index/"); ok {
					allowed[plain(action)+" index "+index] = true
				}
				for _, partition := range list(at(statement, "Condition", "ForAllValues:StringLike", "dynamodb:LeadingKeys")) {
					allowed[plain(action)+" "+plain(partition)] = true
				}
			}
		}
	}
	return allowed
}
