package boot

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// wired holds the functions, wired as their mains wire them, from an environment alone.
type wired struct {
	t         *testing.T
	functions map[string]lambda.Handler
	sweep     func() error
	log       bytes.Buffer

	mu    sync.Mutex
	items []map[string]struct{ N, S string } // items that were put, also in transactions
	sets  []map[string]struct{ N, S string } // values of updates
	names map[string]bool                    // names of the tables that were used
}

// serve returns a DynamoDB that records its requests.
func (w *wired) serve(db http.RoundTripper) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.t.Error(err)
			return
		}
		type request struct {
			TableName                 string
			Item                      map[string]struct{ N, S string }
			ExpressionAttributeValues map[string]struct{ N, S string }
		}
		var all struct {
			request
			TransactItems []map[string]request
		}
		if err := json.Unmarshal(body, &all); err != nil {
			w.t.Error(err)
		}
		w.mu.Lock()
		requests := []request{all.request}
		for _, parts := range all.TransactItems {
			for _, part := range parts {
				requests = append(requests, part)
			}
		}
		for _, q := range requests {
			if q.TableName != "" {
				w.names[q.TableName] = true
			}
			if q.Item != nil {
				w.items = append(w.items, q.Item)
			}
			w.sets = append(w.sets, q.ExpressionAttributeValues)
		}
		w.mu.Unlock()
		out := r.Clone(r.Context())
		out.Body = io.NopCloser(bytes.NewReader(body))
		resp, err := db.RoundTrip(out)
		if err != nil {
			w.t.Error(err)
			return
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			w.t.Error(err)
		}
		rw.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		rw.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(answer)))
		rw.WriteHeader(resp.StatusCode)
		_, _ = rw.Write(answer)
	}
}

// wireAll wires every function that uses the table, with changes to the environment, which are
// pairs of a name and a value. The clock is the machine's.
func wireAll(t *testing.T, changes ...string) *wired {
	t.Helper()
	w := &wired{t: t, functions: map[string]lambda.Handler{}, names: map[string]bool{}}
	db := embedded.New()
	server := httptest.NewServer(w.serve(db))
	t.Cleanup(server.Close)
	sdkEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", server.URL)
	keys := filepath.Join(t.TempDir(), "keys.json")
	if _, err := keyring.File(keys, signing.ES256, time.Now()); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"ROTOR_TABLE": "rotor", "ROTOR_ISSUER": "https://auth.example.com", "ROTOR_KEYS_FILE": keys, "ROTOR_API_ID": "a1b2c3d4e5",
	}
	for i := 0; i+1 < len(changes); i += 2 {
		env[changes[i]] = changes[i+1]
	}
	getenv := func(name string) string { return env[name] }
	if err := store.New(embedded.Config(db), env["ROTOR_TABLE"], store.DefaultRetention).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(&w.log, nil))
	add := func(name string, made any, err error) {
		t.Helper()
		handler, ok := made.(lambda.Handler)
		if err != nil || !ok {
			t.Fatalf("%s is wired as %T, %v", name, made, err)
		}
		w.functions[name] = handler
	}
	c, err := LoadConfig(getenv)
	if err != nil {
		t.Fatal(err)
	}
	for name, endpoints := range map[string]func(*oauth.API) http.Handler{
		"token": (*oauth.API).Token, "revoke": (*oauth.API).Revoke, "introspect": (*oauth.API).Introspect, "discovery": (*oauth.API).Discovery,
	} {
		made, err := wire(endpoints, (*session.Engine).WarmKeys, keyring.ToIssue)(t.Context(), c, log)
		add(name, made, err)
	}
	m, err := LoadManageConfig(getenv)
	if err != nil {
		t.Fatal(err)
	}
	made, err := wireManage(t.Context(), m, log)
	add("manage", made, err)
	tc, err := LoadTableConfig(getenv)
	if err != nil {
		t.Fatal(err)
	}
	table, err := NewTable(t.Context(), tc)
	if err != nil {
		t.Fatal(err)
	}
	w.sweep = func() error {
		_, err := Sweep(table, "test", log, time.Now)(t.Context())
		return err
	}
	return w
}

// call sends a request to a function as the gateway does. header holds pairs of a name and a
// value.
func (w *wired) call(function, method, path, body string, header ...string) (events.APIGatewayV2HTTPResponse, map[string]any) {
	w.t.Helper()
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: path, Body: body, Headers: map[string]string{"content-type": "application/json"}}
	e.RequestContext.HTTP.Method = method
	e.RequestContext.APIID = "a1b2c3d4e5"
	if path, query, ok := strings.Cut(path, "?"); ok {
		e.RawPath, e.RawQueryString = path, query
	}
	if function == "manage" {
		e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{UserARN: "arn:aws:iam::123456789012:user/ada"},
		}
	}
	for i := 0; i+1 < len(header); i += 2 {
		e.Headers[header[i]] = header[i+1]
	}
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	out, err := w.functions[function].Invoke(ctx, payload)
	if err != nil {
		w.t.Fatalf("%s: %v", function, err)
	}
	var a events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(out, &a); err != nil {
		w.t.Fatal(err)
	}
	var answer map[string]any
	_ = json.Unmarshal([]byte(a.Body), &answer) // an empty body has no members
	return a, answer
}

// must does what call does, and fails unless it gets the given status.
func (w *wired) must(status int, function, method, path, body string) map[string]any {
	w.t.Helper()
	a, answer := w.call(function, method, path, body)
	if a.StatusCode != status {
		w.t.Fatalf("%s: %s %s: %d %s", function, method, path, a.StatusCode, a.Body)
	}
	return answer
}

// issue starts a family in a client whose users may have up to maxActive.
func (w *wired) issue(maxActive int) (refreshToken, accessToken, family string) {
	w.t.Helper()
	w.call("manage", http.MethodPut, "/v1/clients/app", fmt.Sprintf(`{"type":"public","scope":"openid","policy":{"max_active":%d}}`, maxActive))
	a := w.must(http.StatusCreated, "manage", http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"app"}`)
	return a["refresh_token"].(string), a["access_token"].(string), a["family"].(string)
}

func refreshBody(token string) string {
	return `{"grant_type":"refresh_token","client_id":"app","refresh_token":"` + token + `"}`
}

// claims returns the claims of a JWT.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// near reports whether an epoch time, as DynamoDB stores it, is about d from now.
func near(epoch string, d time.Duration) bool {
	var n int64
	_, _ = fmt.Sscan(epoch, &n) // 0 is near nothing
	off := time.Until(time.Unix(n, 0)) - d
	return off > -time.Hour && off < time.Hour
}

// TestIssuerShows checks that the configured issuer is in every token and in discovery's URLs.
func TestIssuerShows(t *testing.T) {
	w := wireAll(t, "ROTOR_ISSUER", "https://login.example.org/auth")
	refresh, access, _ := w.issue(200)
	a := w.must(http.StatusOK, "token", http.MethodPost, "/oauth/token", refreshBody(refresh))
	for _, token := range []any{access, a["access_token"], a["id_token"]} {
		if iss := claims(t, token.(string))["iss"]; iss != "https://login.example.org/auth" {
			t.Errorf("a token is of %v", iss)
		}
	}
}

// TestTableShows checks that all requests go to the configured table.
func TestTableShows(t *testing.T) {
	w := wireAll(t, "ROTOR_TABLE", "rotor-eu-1")
	refresh, _, id := w.issue(1)
	w.must(http.StatusOK, "token", http.MethodPost, "/oauth/token", refreshBody(refresh))
	w.must(http.StatusOK, "revoke", http.MethodPost, "/oauth/revoke", `{"client_id":"app","token":"`+refresh+`"}`)
	w.must(http.StatusUnauthorized, "introspect", http.MethodPost, "/oauth/introspect", `{"client_id":"app","token":"`+refresh+`"}`)
	w.must(http.StatusOK, "manage", http.MethodGet, "/v1/families/"+id, "")
	if err := w.sweep(); err != nil {
		t.Error(err)
	}
	if len(w.names) != 1 || !w.names["rotor-eu-1"] {
		t.Errorf("asked were %v", w.names)
	}
}

// TestRetentionShows checks that ended families and events are kept for as long as configured.
func TestRetentionShows(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		changes          []string
		families, events time.Duration
	}{
		{nil, 30 * day, 90 * day},
		{[]string{"ROTOR_FAMILY_RETENTION_DAYS", "3", "ROTOR_EVENT_RETENTION_DAYS", "400"}, 3 * day, 400 * day},
	} {
		for _, function := range []string{"token", "revoke", "manage", "sweep"} {
			t.Run(fmt.Sprintf("%s, %v", function, tt.changes), func(t *testing.T) {
				w := wireAll(t, tt.changes...)
				refresh, _, id := w.issue(1)
				if issued := w.items[len(w.items)-1]; !strings.HasPrefix(issued["sk"].S, "f#") || !near(issued["purge_at"].N, 30*day+tt.families) {
					t.Errorf("the family's record is %v", issued)
				}
				w.items, w.sets = nil, nil
				switch function {
				case "token":
					w.must(http.StatusOK, "manage", http.MethodPut, "/v1/clients/app", `{"type":"public","policy":{"reuse_interval":0,"absolute_lifetime":0}}`)
					w.must(http.StatusOK, "token", http.MethodPost, "/oauth/token", refreshBody(refresh))
					w.must(http.StatusBadRequest, "token", http.MethodPost, "/oauth/token", refreshBody(refresh)) // this is reuse
				case "revoke":
					w.must(http.StatusOK, "revoke", http.MethodPost, "/oauth/revoke", `{"client_id":"app","token":"`+refresh+`"}`)
				case "manage":
					w.must(http.StatusOK, "manage", http.MethodDelete, "/v1/families/"+id, "")
				case "sweep":
					w.issue(1)
					w.items, w.sets = nil, nil
					if err := w.sweep(); err != nil {
						t.Fatal(err)
					}
				}
				stored := 0
				for _, item := range w.items {
					if item["log_pk"].S == "" {
						continue
					}
					stored++
					if !near(item["purge_at"].N, tt.events) {
						t.Errorf("the event's record is %v", item)
					}
				}
				if stored != 1 {
					t.Errorf("%d events are stored", stored)
				}
				// After the revocation, a record without a fixed end stays for the idle lifetime and the retention.
				ended := 0
				for _, values := range w.sets {
					if values[":cause"].S == "" {
						continue
					}
					ended++
					if !near(values[":purge_at"].N, 15*day+tt.families) {
						t.Errorf("the revocation has %v", values)
					}
				}
				if ended != 1 {
					t.Errorf("%d revocations", ended)
				}
			})
		}
	}
}

// TestKeysShow checks that the functions read the keys in the file, and so accept each other's
// tokens.
func TestKeysShow(t *testing.T) {
	w := wireAll(t)
	refresh, _, _ := w.issue(200)
	w.must(http.StatusOK, "token", http.MethodPost, "/oauth/token", refreshBody(refresh))
	a, _ := w.call("discovery", http.MethodGet, "/.well-known/jwks.json", "")
	if !strings.Contains(a.Body, `"ES256"`) {
		t.Errorf("the key set is %s", a.Body)
	}
	other := wireAll(t)
	other.issue(200)
	other.must(http.StatusBadRequest, "token", http.MethodPost, "/oauth/token", refreshBody(refresh))
}

// TestOriginsShow checks that a page of a configured origin can read Retry-After, even in a
// response that has nothing else.
func TestOriginsShow(t *testing.T) {
	w := wireAll(t, "ROTOR_ORIGINS", "https://app.example.com,https://shop.example.com")
	refresh, _, _ := w.issue(200)
	for _, from := range []string{"https://app.example.com", "https://shop.example.com"} {
		a, _ := w.call("token", http.MethodPost, "/oauth/token", refreshBody(refresh), "origin", from)
		if a.StatusCode != http.StatusOK || a.Headers["Access-Control-Allow-Origin"] != from {
			t.Errorf("from %s: %d %v", from, a.StatusCode, a.Headers)
		}
	}
	if a, _ := w.call("token", http.MethodPost, "/oauth/token", refreshBody(refresh), "origin", "https://evil.example"); a.StatusCode != http.StatusForbidden {
		t.Errorf("from elsewhere: %d %s", a.StatusCode, a.Body)
	}
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1") // nothing listens there
	c := Config{TableConfig: TableConfig{Table: "rotor", Retention: store.DefaultRetention}, Issuer: "https://app.example.com", KeysFile: filepath.Join(t.TempDir(), "k")}
	if _, err := keyring.File(c.KeysFile, signing.ES256, time.Now()); err != nil {
		t.Fatal(err)
	}
	made, err := wire((*oauth.API).Token, (*session.Engine).WarmKeys, keyring.ToIssue)(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.functions["token"] = made.(lambda.Handler)
	a, _ := w.call("token", http.MethodPost, "/oauth/token", refreshBody(refresh), "origin", "https://app.example.com")
	exposed := strings.ToLower(a.Headers["Access-Control-Expose-Headers"])
	if a.StatusCode != http.StatusServiceUnavailable || a.Headers["Retry-After"] == "" || !strings.Contains(exposed, "retry-after") {
		t.Errorf("the answer is %d %v", a.StatusCode, a.Headers)
	}
}

// TestMetricsShow checks that the log lines of every function have metrics.
func TestMetricsShow(t *testing.T) {
	w := wireAll(t)
	refresh, _, _ := w.issue(1)
	w.issue(1)
	for _, does := range []struct {
		function string
		do       func()
		metric   string
	}{
		{"token", func() { w.must(200, "token", http.MethodPost, "/oauth/token", refreshBody(refresh)) }, `"Exchanged":1`},
		{"revoke", func() { w.must(401, "revoke", http.MethodPost, "/oauth/revoke", `{"client_id":"nobody","token":"x"}`) }, `"InvalidClient":1`},
		{"introspect", func() {
			w.must(401, "introspect", http.MethodPost, "/oauth/introspect", `{"client_id":"app","token":"x"}`)
		}, `"InvalidClient":1`},
		{"manage", func() {
			w.must(201, "manage", http.MethodPut, "/v1/clients/web", `{"type":"confidential","may_introspect":true}`)
		}, `"MayIntrospectOn":1`},
		{"sweep", func() {
			if err := w.sweep(); err != nil {
				t.Error(err)
			}
		}, `"Removed":1`},
	} {
		w.log.Reset()
		does.do()
		if line := w.log.String(); !strings.Contains(line, does.metric) || !strings.Contains(line, `"_aws":{"Timestamp":`) {
			t.Errorf("%s counts nothing: %s", does.function, line)
		}
	}
}

// TestVariablesAreDocumented checks that every variable that is read has a row in
// docs/configuration.md.
func TestVariablesAreDocumented(t *testing.T) {
	asked := map[string]bool{}
	getenv := func(name string) string {
		asked[name] = true
		return ""
	}
	_, _ = LoadConfig(getenv)
	_, _ = LoadManageConfig(getenv)
	_, _ = LoadTableConfig(getenv)
	_, _ = LoadKeysConfig(getenv)
	page, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range asked {
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("docs/configuration.md has no row of %s", name)
		}
	}
	if len(asked) < 9 {
		t.Errorf("only %d variables are read: %v", len(asked), asked)
	}
}
