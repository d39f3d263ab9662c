package rotor

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/lab/process"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// account runs the stack's functions as Lambda does: their programs over one table and two secrets, each with the
// environment and the role of the template.
type account struct {
	t         *testing.T
	start     map[string]func() // starts the program of a function, instead of the one that runs
	functions map[string]*process.Function
	secrets   *keyringtest.SecretsManager
	table     http.RoundTripper

	mu     sync.Mutex
	asked  map[string]map[string]bool // by function, what was asked of AWS
	denied []string                   // what a role does not allow
}

// deploy starts the programs of all functions of the stack. The secret of the token keys has the given text.
func deploy(t *testing.T, s synthesized, keys string) *account {
	t.Helper()
	a := &account{
		t: t, functions: map[string]*process.Function{}, start: map[string]func(){}, secrets: keyringtest.New(t, keys),
		table: embedded.New(), asked: map[string]map[string]bool{},
	}
	// What the template refers to.
	resolve := strings.NewReplacer("Api.ApiEndpoint", "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com", "Api", "a1b2c3d4e5", "Table", "rotor-table", "SigningKeys", keyringtest.SigningID, "Keys", keyringtest.ID)
	if err := store.New(embedded.Config(a.table), "rotor-table", store.DefaultRetention).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	roles, dir := s.resources("AWS::IAM::Role"), t.TempDir()
	for name, f := range s.functionsByName() {
		program, err := process.Build(dir, "./functions/"+name, "-tags", "lambda.norpc")
		if err != nil {
			t.Fatal(err)
		}
		a.asked[name] = map[string]bool{}
		role := properties(roles[at(f, "Role", "Fn::GetAtt", 0).(string)])
		dynamodb := httptest.NewServer(a.dynamodb(name, allowedRequests(role)))
		t.Cleanup(dynamodb.Close)
		secrets := httptest.NewServer(a.secretsManager(name, allowedOfSecrets(role)))
		t.Cleanup(secrets.Close)
		env := []string{"AWS_ENDPOINT_URL_DYNAMODB=" + dynamodb.URL, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + secrets.URL}
		for variable, value := range at(f, "Environment", "Variables").(object) {
			text := plain(value)
			if _, reference := value.(object); reference {
				text = resolve.Replace(text)
			}
			env = append(env, variable+"="+text)
		}
		memory, _ := f["MemorySize"].(float64)
		a.start[name] = func() {
			started, err := process.StartFunction(t.Context(), program, name, int(memory), env...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = started.Kill() }) // it may have ended, of which the test has told
			a.functions[name] = started
		}
		a.start[name]()
	}
	return a
}

// refuse answers as AWS does if a role does not allow a request.
func (a *account) refuse(w http.ResponseWriter, function, what string) {
	a.mu.Lock()
	a.denied = append(a.denied, function+": "+what)
	a.mu.Unlock()
	body := []byte(`{"__type":"com.amazon.coral.service#AccessDeniedException","message":"not authorized to perform: ` + what + `"}`)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(body)))
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(body)
}

func (a *account) note(function, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[function][what] = true
}

// dynamodb returns a handler that serves the table to a function, under its role.
func (a *account) dynamodb(function string, allowed map[string]bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		lines := map[string]bool{}
		resp, err := seen{roundTrip(func(r *http.Request) (*http.Response, error) {
			for line := range lines {
				a.note(function, line)
				if !allowed[line] {
					return nil, nil
				}
			}
			return a.table.RoundTrip(r)
		}), &sync.Mutex{}, lines}.RoundTrip(r.Clone(r.Context()))
		switch {
		case err != nil:
			a.t.Error(err)
		case resp == nil:
			a.refuse(w, function, fmt.Sprint(lines))
		default:
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				a.t.Error(err)
			}
			w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
			w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE(body)))
			w.WriteHeader(resp.StatusCode)
			_, _ = w.Write(body)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// secretsManager returns a handler that serves the secrets to a function, under its role.
func (a *account) secretsManager(function string, allowed []secretsStatement) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			a.t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var in struct {
			SecretID     string `json:"SecretId"`
			VersionStage string
		}
		if err := json.Unmarshal(body, &in); err != nil {
			a.t.Error(err)
		}
		action := strings.Replace(r.Header.Get("X-Amz-Target"), ".", ":", 1)
		line := action + " " + in.SecretID
		if in.VersionStage != "" {
			line += " " + in.VersionStage
		}
		a.note(function, line)
		secret := map[string]*keyringtest.Secret{keyringtest.ID: a.secrets.Secret, keyringtest.SigningID: a.secrets.Signing}[in.SecretID]
		if !slices.ContainsFunc(allowed, func(s secretsStatement) bool {
			return s.action == action && s.secret == in.SecretID && (s.stage == "" || s.stage == in.VersionStage) &&
				(s.withoutTag == "" || secret.Tag(s.withoutTag) == "")
		}) {
			a.refuse(w, function, line)
			return
		}
		a.secrets.ServeHTTP(w, r)
	}
}

// secretsStatement is an action on a secret that a role allows, of the version with a label alone, or while the secret
// has no tag of that name.
type secretsStatement struct{ action, secret, stage, withoutTag string }

// allowedOfSecrets returns what a role allows of Secrets Manager. A condition that it does not know allows nothing.
func allowedOfSecrets(role object) (allowed []secretsStatement) {
	for _, p := range list(role["Policies"]) {
		for _, statement := range list(at(p, "PolicyDocument", "Statement")) {
			for _, action := range list(at(statement, "Action")) {
				s := secretsStatement{action: plain(action), secret: secretIDs[plain(at(statement, "Resource"))]}
				known := true
				conditions, _ := at(statement, "Condition").(object)
				for operator, keys := range conditions {
					for key, value := range keys.(object) {
						tag, isTag := strings.CutPrefix(key, "secretsmanager:ResourceTag/")
						switch {
						case operator == "ForAnyValue:StringEquals" && key == "secretsmanager:VersionStage":
							s.stage = plain(value)
						case operator == "Null" && isTag && value == "true":
							s.withoutTag = tag
						default:
							known = false
						}
					}
				}
				if known {
					allowed = append(allowed, s)
				}
			}
		}
	}
	return allowed
}

// rotate does the four steps of a rotation of a secret, as Secrets Manager does.
func (a *account) rotate(secret *keyringtest.Secret, id, version string) {
	a.t.Helper()
	secret.Begin(version)
	for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
		a.invoke("keys", object{"Step": step, "SecretId": id, "ClientRequestToken": version})
	}
}

// invoke gives a function an event, and returns its answer.
func (a *account) invoke(function string, event any) []byte {
	a.t.Helper()
	payload, err := json.Marshal(event)
	if err != nil {
		a.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	answer, err := a.functions[function].Invoke(ctx, payload)
	if err != nil || !strings.HasSuffix(answer.Path, "/response") {
		a.t.Fatalf("%s: %s %s %v\n%s", function, answer.Path, answer.Body, err, a.functions[function].Output())
	}
	return answer.Body
}

// gatewayAnswer is a function's response to the gateway, with its body.
type gatewayAnswer struct {
	StatusCode int
	Headers    map[string]string
	Body       string
	json       map[string]any
}

func (g gatewayAnswer) text(name string) string { return fmt.Sprint(g.json[name]) }

// call sends a function a request as the gateway would, with a caller for /v1. change modifies the event.
func (a *account) call(status int, function, method, path, body string, change ...func(event object)) gatewayAnswer {
	a.t.Helper()
	contentType := "application/x-www-form-urlencoded"
	if function == "manage" {
		contentType = "application/json"
	}
	route, query, _ := strings.Cut(path, "?")
	request := object{"apiId": "a1b2c3d4e5", "requestId": "r1", "http": object{"method": method, "sourceIp": "203.0.113.24"}}
	if function == "manage" {
		request["authorizer"] = object{"iam": object{"userArn": "arn:aws:iam::123456789012:user/ada"}}
	}
	event := object{
		"version": "2.0", "rawPath": route, "rawQueryString": query, "body": body,
		"headers": object{"content-type": contentType, "host": "auth.example.com"}, "requestContext": request,
	}
	for _, c := range change {
		c(event)
	}
	var g gatewayAnswer
	if err := json.Unmarshal(a.invoke(function, event), &g); err != nil || g.StatusCode != status {
		a.t.Fatalf("%s: %s %s: %d %s, not %d\n%s", function, method, path, g.StatusCode, g.Body, status, a.functions[function].Output())
	}
	_ = json.Unmarshal([]byte(g.Body), &g.json) // where it is no object, none
	return g
}

// Without this a main could serve the endpoints of another, read what its role forbids, or ignore its settings, and it
// would only show in AWS. Each function's program runs here with the environment of the template, and may only make the
// requests to AWS that its role allows.
func TestMainsOnTheirRoles(t *testing.T) {
	s := synth(t, map[string]any{
		"domain": "auth.example.com", "certificateArn": certificate, "origins": "https://app.example.com", "signingAlgorithm": "ES256",
		"familyRetentionDays": "60", "eventRetentionDays": "400", "authorizationEndpoint": "https://login.example.com/",
	})
	a := deploy(t, s, "a word, and no keys yet")

	// Secrets Manager's rotation makes the first keys. Until then there are none, and the functions start nevertheless.
	if g := a.call(503, "discovery", "GET", "/.well-known/jwks.json", ""); g.Headers["Retry-After"] == "" {
		t.Errorf("without keys: %v", g)
	}
	const version = "00000000-0000-4000-8000-000000000001"
	a.rotate(a.secrets.Secret, keyringtest.ID, version)
	a.rotate(a.secrets.Signing, keyringtest.SigningID, version)

	// manage: for callers that IAM has authorized, at this API.
	stranger := func(event object) { delete(event["requestContext"].(object), "authorizer") }
	elsewhere := func(event object) { event["requestContext"].(object)["apiId"] = "z9y8x7w6v5" }
	a.call(403, "manage", "PUT", "/v1/clients/web", `{"type":"public"}`, stranger)
	a.call(403, "manage", "PUT", "/v1/clients/web", `{"type":"public"}`, elsewhere)
	a.call(201, "manage", "PUT", "/v1/clients/web", `{"type":"confidential","policy":{"max_active":1}}`)
	a.call(201, "manage", "PUT", "/v1/clients/app", `{"type":"public","scope":"openid","policy":{"reuse_interval":0},"post_logout_redirect_uris":["https://app.example.com/"]}`)
	web := "client_id=web&client_secret=" + a.call(201, "manage", "POST", "/v1/clients/web/secrets", "").text("client_secret")
	issue := func(client string) gatewayAnswer {
		return a.call(201, "manage", "POST", "/v1/families", `{"user_id":"ada","client_id":"`+client+`"}`)
	}
	first, second, third := issue("app"), issue("web"), issue("web")

	// A family's record is kept for the configured retention.
	shown := a.call(200, "manage", "GET", "/v1/families/"+first.text("family"), "")
	expires, err1 := time.Parse(time.RFC3339, shown.text("expires_at"))
	purged, err2 := time.Parse(time.RFC3339, shown.text("purge_at"))
	if kept := purged.Sub(expires); err1 != nil || err2 != nil || kept < 60*24*time.Hour || kept > 60*24*time.Hour+time.Second {
		t.Errorf("the record is kept for %v: %s", kept, shown.Body)
	}

	// token: for pages of the configured origin; the issuer is the domain.
	from := func(origin string) func(object) {
		return func(event object) { event["headers"].(object)["origin"] = origin }
	}
	refresh := func(g gatewayAnswer) string {
		return "grant_type=refresh_token&client_id=app&refresh_token=" + g.text("refresh_token")
	}
	a.call(403, "token", "POST", "/oauth/token", refresh(first), from("https://evil.example"))
	refreshed := a.call(200, "token", "POST", "/oauth/token", refresh(first), from("https://app.example.com"))
	if refreshed.Headers["Access-Control-Allow-Origin"] != "https://app.example.com" {
		t.Errorf("the page cannot read the answer: %v", refreshed.Headers)
	}
	for _, name := range []string{"access_token", "id_token"} {
		header, rest, _ := strings.Cut(refreshed.text(name), ".")
		claims, _, _ := strings.Cut(rest, ".")
		h, err1 := base64.RawURLEncoding.DecodeString(header)
		c, err2 := base64.RawURLEncoding.DecodeString(claims)
		if err1 != nil || err2 != nil || !bytes.Contains(h, []byte(`"ES256"`)) || !bytes.Contains(c, []byte(`"iss":"https://auth.example.com"`)) {
			t.Errorf("the %s has %s %s", name, h, c)
		}
	}
	a.call(400, "token", "POST", "/oauth/token", refresh(first)) // reuse
	if g := a.call(200, "manage", "POST", "/v1/explain", `{"refresh_token":"`+first.text("refresh_token")+`"}`); g.text("cause") != "reuse_detected" {
		t.Errorf("explained as %s", g.Body)
	}

	// introspect, sweep and revoke, on the remaining families.
	if g := a.call(200, "introspect", "POST", "/oauth/introspect", web+"&token="+second.text("refresh_token")); g.json["active"] != true {
		t.Errorf("introspected as %s", g.Body)
	}
	if out := string(a.invoke("sweep", object{"source": "aws.scheduler"})); out != `{"owners":1,"removed":1}` {
		t.Errorf("the sweep says %s", out)
	}
	a.call(200, "revoke", "POST", "/oauth/revoke", web+"&token="+third.text("refresh_token"))
	fourth := issue("app")
	if g := a.call(303, "revoke", "GET", "/oauth/logout?post_logout_redirect_uri=https%3A%2F%2Fapp.example.com%2F&id_token_hint="+fourth.text("id_token"), ""); g.Headers["Location"] != "https://app.example.com/" {
		t.Errorf("a logout leads to %q", g.Headers["Location"])
	}
	for family, cause := range map[string]string{second.text("family"): "limit_exceeded", third.text("family"): "revoked_by_client", fourth.text("family"): "revoked_by_client"} {
		if g := a.call(200, "manage", "GET", "/v1/families/"+family, ""); g.text("cause") != cause {
			t.Errorf("the family is %s, and not for %s", g.Body, cause)
		}
	}

	// discovery.
	if g := a.call(200, "discovery", "GET", "/.well-known/oauth-authorization-server", ""); g.text("issuer") != "https://auth.example.com" {
		t.Errorf("the metadata are %s", g.Body)
	}
	a.call(200, "discovery", "GET", "/.well-known/jwks.json", "")
	a.call(404, "discovery", "GET", "/oauth/nothing", "")

	// keys, in an emergency: with the secret that its environment names, and the configured algorithm.
	var keys keyring.Inventory
	for range 2 { // MAC key 2 is there from the first emergency on, and stays
		if err := json.Unmarshal(a.invoke("keys", object{"action": "emergency", "mac": []int{1}}), &keys); err != nil {
			t.Fatal(err)
		}
	}
	if len(keys.MAC) != 2 || keys.MAC[0].Use != keyring.Revoked || keys.MAC[1].Use != keyring.InUse || keys.Signing[0].Use != keyring.InUse {
		t.Errorf("after the emergency the keys are %+v", keys)
	}
	if err := json.Unmarshal(a.invoke("keys", object{"action": "emergency", "signing": []string{keys.Signing[0].ID}}), &keys); err != nil {
		t.Fatal(err)
	}
	if len(keys.Signing) != 2 || keys.Signing[1].Use != keyring.InUse || keys.Signing[1].Algorithm != "ES256" {
		t.Errorf("after the emergency the signing keys are %+v", keys.Signing)
	}

	if g := a.call(302, "discovery", "GET", "/authorize?client_id=app", ""); g.Headers["Location"] != "https://login.example.com/?client_id=app" {
		t.Errorf("the login page is at %q", g.Headers["Location"])
	}

	// Each serves its own endpoints.
	for function, path := range map[string]string{"token": "/oauth/revoke", "revoke": "/oauth/token", "introspect": "/oauth/token", "discovery": "/v1/clients", "manage": "/oauth/token"} {
		a.call(404, function, "POST", path, "")
	}

	if len(a.denied) > 0 {
		t.Errorf("what roles do not allow was asked for: %q", a.denied)
	}
	if len(a.functions) != 7 {
		t.Errorf("%d functions", len(a.functions))
	}
	for name, f := range a.functions {
		if len(a.asked[name]) == 0 {
			t.Errorf("%s asked AWS for nothing", name)
		}
		for line := range strings.Lines(f.Output()) {
			var logged map[string]any
			if err := json.Unmarshal([]byte(line), &logged); err != nil {
				t.Errorf("%s has printed a line that is not JSON: %s", name, line)
			}
			// Every line says of which stage it is, as does every metric, whose dimensions are members of the line.
			if logged["stage"] != "prod" || strings.Count(line, `"stage":`) != 1 {
				t.Errorf("%s has printed a line without its stage: %s", name, line)
			}
			for _, dimensions := range list(at(logged, "_aws", "CloudWatchMetrics", 0, "Dimensions")) {
				for i, dimension := range list(dimensions) {
					if value, ok := logged[dimension.(string)].(string); !ok || value == "" || (i == 0) != (dimension == "stage") {
						t.Errorf("%s counts by %v: %s", name, dimensions, line)
					}
				}
				if len(list(dimensions)) == 0 {
					t.Errorf("%s counts without a stage: %s", name, line)
				}
			}
		}
	}
	for name, want := range map[string]string{
		"manage": `"by":"arn:aws:iam::123456789012:user/ada"`, "token": `"ReuseDetected":1`, "sweep": `"Removed":1`, "revoke": `"Revoked":1`, "keys": `"message":"keys made"`,
	} {
		if output := a.functions[name].Output(); !strings.Contains(output, want) {
			t.Errorf("%s has not logged %s:\n%s", name, want, output)
		}
	}

	// The log lines that a filter on the function's log counts: two unauthorized calls, and two emergencies, one of
	// which was repeated.
	counted := map[string]int{}
	pattern := regexp.MustCompile(`^\{ \$\.message = "([^"]+)" \}$`)
	for _, f := range s.resources("AWS::Logs::MetricFilter") {
		p := properties(f)
		message := pattern.FindStringSubmatch(fmt.Sprint(p["FilterPattern"]))
		if message == nil {
			t.Fatalf("a filter is %v", p["FilterPattern"])
		}
		for name, function := range s.functionsByName() {
			if at(function, "LoggingConfig", "LogGroup", "Ref") != at(p, "LogGroupName", "Ref") {
				continue
			}
			for line := range strings.Lines(a.functions[name].Output()) {
				var logged struct{ Message string }
				if json.Unmarshal([]byte(line), &logged) == nil && logged.Message == message[1] {
					counted[fmt.Sprint(at(p, "MetricTransformations", 0, "MetricName"), " of ", name)]++
				}
			}
		}
	}
	if diff := cmp.Diff(map[string]int{"CallerRefused of manage": 2, "KeysRevoked of keys": 2}, counted); diff != "" {
		t.Error(diff)
	}
}
