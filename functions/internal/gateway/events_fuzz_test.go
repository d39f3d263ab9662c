package gateway_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// invoked lists the functions, each with the prefix of the paths for which the
// gateway invokes it. The last one is invoked by the schedule.
var invoked = []struct{ function, prefix string }{
	{"token", "/oauth/token"}, {"revoke", "/oauth/revoke"}, {"introspect", "/oauth/introspect"}, {"discovery", "/.well-known/"}, {"manage", "/v1/"}, {"sweep", ""},
}

// deployed holds the functions over one new store, in which the samples' clients are
// registered and have a family each.
type deployed struct {
	server    *server.Server
	functions map[string]lambda.Handler
	sweep     lambda.Handler
	log       bytes.Buffer
	secrets   []string
	fill      *strings.Replacer // replaces the samples' words in capitals
}

func deploy(tb testing.TB) *deployed {
	tb.Helper()
	table := store.New(embedded.Config(embedded.New()), "rotor", store.DefaultRetention)
	if err := table.Create(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	at := time.Date(2026, time.January, 15, 10, 0, 5, 0, time.UTC)
	now := func() time.Time { return at }
	document, err := keyring.Generate(signing.ES256, at)
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		tb.Fatal(err)
	}
	d := &deployed{}
	log := slog.New(slog.NewJSONHandler(&d.log, nil))
	a := server.New(server.Config{
		Issuer: "https://auth.example.com", Table: table, Keys: keys, Log: log, Metrics: true, Now: now, Origins: origins("https://app.example.com"),

		AuthorizationEndpoint: "https://login.example.com/",
	})
	d.server = a
	d.functions = map[string]lambda.Handler{
		"token":      gateway.NewHandler(a.OAuth.Token(), log),
		"revoke":     gateway.NewHandler(a.OAuth.Revoke(), log),
		"introspect": gateway.NewHandler(a.OAuth.Introspect(), log),
		"discovery":  gateway.NewHandler(a.OAuth.Discovery(), log),
		"manage":     gateway.NewHandler(gateway.Authorized(a.Manage.Handler(), gateway.Callers{APIID: sampleAPI}, log), log),
	}
	d.sweep = lambda.NewHandler(boot.Sweep(table, "", log, now))
	must := func(name string) map[string]any {
		tb.Helper()
		out, err := d.functions["manage"].Invoke(tb.Context(), sampleText(tb, name))
		if err != nil {
			tb.Fatal(err)
		}
		var response events.APIGatewayV2HTTPResponse
		var body map[string]any
		if err := json.Unmarshal(out, &response); err != nil || response.StatusCode != http.StatusCreated || json.Unmarshal([]byte(response.Body), &body) != nil {
			tb.Fatalf("%s: %s", name, out)
		}
		return body
	}
	must("manage-put-client")
	must("manage-put-confidential-client")
	must("manage-put-cookie-client")
	secret := must("manage-add-secret")
	family := must("manage-issue-family")
	var words []string
	for word, value := range map[string]any{
		"REFRESH_TOKEN": family["refresh_token"], "FAMILY": family["family"], "CLIENT_SECRET": secret["client_secret"], "SECRET_ID": secret["secret_id"],
		"ACCESS_TOKEN": family["access_token"], "ID_TOKEN": family["id_token"],
	} {
		text, _ := value.(string)
		words = append(words, word, text)
		if word == "REFRESH_TOKEN" || word == "CLIENT_SECRET" || word == "ACCESS_TOKEN" || word == "ID_TOKEN" {
			d.secrets = append(d.secrets, text)
		}
	}
	d.fill = strings.NewReplacer(words...)
	return d
}

func sampleText(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(samples, name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// FuzzEvent checks that a function answers any event of the gateway in JSON, or leads a
// browser where it may, without an internal error, if the path is its own. Any other event is an error, except
// that a sweep ignores its event. No error, response to an error or log line has a
// secret. In the event, the samples' words in capitals and ACCESS_TOKEN stand for
// living values.
func FuzzEvent(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(samples, "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no sample events in %s (%v)", samples, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		var small bytes.Buffer
		if err := json.Compact(&small, sampleText(f, name)); err != nil {
			f.Fatal(err)
		}
		function, _, _ := strings.Cut(name, "-")
		for i, p := range invoked {
			if p.function == function {
				f.Add(uint8(i), small.String())
			}
		}
		if function == "sweep" {
			f.Add(uint8(0), small.String())
		}
	}
	for i, p := range invoked {
		event := `{"version":"2.0","rawPath":"` + p.prefix + `","requestContext":{"http":{"method":"POST"}}`
		for _, more := range []string{
			`}`, `,"body":"REFRESH_TOKEN","isBase64Encoded":true}`, `,"headers":{"Host":"a b","":"\n"}}`, `,"headers":null,"cookies":["a","\u0000"],"rawQueryString":"%zz"}`,
			`,"body":"\ud800","headers":{"content-type":"application/json","content-length":"-1"}}`, `,"Version":"1.0"}`, `,"rawPath":"//CLIENT_SECRET/../%"}`,
			`,"headers":{"rotor-transport":"cookie","sec-fetch-site":"same-origin","content-type":"application/json"},"cookies":["__Host-Http-rotor.example-page.01ARZ3NDEKTSV4RRFFQ69G5FAV=REFRESH_TOKEN"],"body":"{\"grant_type\":\"refresh_token\",\"client_id\":\"example-page\"}"}`,
			`,"headers":{"authorization":"Bearer ACCESS_TOKEN","transfer-encoding":"chunked","origin":"https://app.example.com"}}`,
		} {
			f.Add(uint8(i), event+more)
		}
	}
	f.Add(uint8(3), `{"version":"2.0","rawPath":"/.well-known/jwks.json","requestContext":{"http":{"method":"HEAD"}}}`)
	f.Add(uint8(4), `{"version":"2.0","rawPath":"/v1/nowhere","requestContext":{"http":{"method":"HEAD"}}}`)
	for _, payload := range []string{``, `null`, `[]`, `{}`, `{"version":"2.0"}`, `{"version":"1.0","httpMethod":"POST","body":"REFRESH_TOKEN"}`, `{"Records":[]}`} {
		f.Add(uint8(0), payload)
	}
	d := deploy(f)
	f.Fuzz(func(t *testing.T, function uint8, payload string) {
		p := invoked[int(function)%len(invoked)]
		payload = d.fill.Replace(payload)
		d.log.Reset()
		if p.function == "sweep" {
			if out, err := d.sweep.Invoke(t.Context(), []byte(payload)); err != nil || string(out) != `{"owners":0,"removed":0}` || d.log.Len() > 0 {
				t.Errorf("the sweep: %s, %v, %s", out, err, &d.log)
			}
			return
		}
		out, err := d.functions[p.function].Invoke(t.Context(), []byte(payload))
		said := d.log.String()
		if p.function == "manage" {
			said = "" // this operation's line may show a user id, which may be any text
		}
		var e event
		isEvent := json.Unmarshal([]byte(payload), &e) == nil && e.Version == "2.0" && e.RequestContext.HTTP.Method != ""
		if (err == nil) != isEvent {
			t.Fatalf("of an event of the gateway (%t): %v", isEvent, err)
		}
		if err != nil {
			said += err.Error()
		} else {
			a := response(t, out, e.RequestContext.HTTP.Method)
			if a.StatusCode >= 300 {
				said += a.Body
			}
			supabase := p.function == "discovery" && strings.HasPrefix(e.RawPath, "/auth/v1/") // the keys, and preflights for what is not served
			if a.StatusCode < 400 && !strings.HasPrefix(e.RawPath, p.prefix) && !slices.Contains(others[p.function], e.RawPath) && !supabase {
				t.Errorf("%s answers %q with %d", p.function, e.RawPath, a.StatusCode)
			}
			if method := e.RequestContext.HTTP.Method; a.StatusCode < 400 && (p.function == "revoke" || p.function == "manage" && method != http.MethodGet && method != http.MethodHead) {
				defer func() { d = deploy(t) }()
			}
		}
		for _, secret := range d.secrets {
			if strings.Contains(said, secret) {
				t.Errorf("a secret is said: %s", said)
			}
		}
	})
}

// others are the paths of functions that have none of the prefixes above.
var others = map[string][]string{
	"token": {"/healthz", "/auth/v1/token"}, "revoke": {"/oauth/logout", "/v2/logout", "/auth/v1/logout"}, "introspect": {"/auth/v1/user"},
	"discovery": {"/openapi.json", "/authorize"},
}

// response returns a function's response, and fails unless the gateway can pass it
// on and a client of the API understands it.
func response(t *testing.T, out []byte, method string) events.APIGatewayV2HTTPResponse {
	t.Helper()
	var a events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(out, &a); err != nil || a.IsBase64Encoded || a.StatusCode < 200 || a.StatusCode >= 500 || a.Headers["X-Content-Type-Options"] != "nosniff" {
		t.Fatalf("answered %s: %v", out, err)
	}
	leads := a.StatusCode == http.StatusFound && strings.HasPrefix(a.Headers["Location"], "https://login.example.com/") ||
		a.StatusCode == http.StatusSeeOther && (strings.HasPrefix(a.Headers["Location"], "https://login.example.com/") || strings.HasPrefix(a.Headers["Location"], "https://app.example.com/"))
	if leads != (a.Headers["Location"] != "") && a.StatusCode != http.StatusCreated || strings.ContainsAny(a.Headers["Location"], "\r\n") {
		t.Errorf("leads to %q with %d", a.Headers["Location"], a.StatusCode)
	}
	if a.StatusCode == http.StatusNoContent || method == http.MethodHead || leads {
		if a.Body != "" {
			t.Errorf("answered %s", out)
		}
		return a
	}
	if a.StatusCode == http.StatusOK && a.Headers["Content-Type"] == "text/html; charset=utf-8" && strings.HasPrefix(a.Body, "<!DOCTYPE html>") {
		return a // the page after a logout
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(a.Body), &body); err != nil || body == nil || !strings.HasSuffix(a.Headers["Content-Type"], "json") {
		t.Fatalf("answered %s: %v", out, err)
	}
	if a.StatusCode >= 300 {
		text, _ := body["error_description"].(string)
		if a.Headers["X-Sb-Error-Code"] != "" { // Supabase's form, newer or older
			text, _ = cmp.Or(body["message"], body["msg"]).(string)
		}
		if a.Headers["Content-Type"] == "application/problem+json" {
			text, _ = body["detail"].(string)
		}
		if text == "" || a.Headers["Cache-Control"] != "no-store" {
			t.Errorf("answered %s", out)
		}
	}
	return a
}
