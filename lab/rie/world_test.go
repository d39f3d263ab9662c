//go:build linux && rie

package rie_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/lab/process"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

const (
	issuer = "https://auth.example.com"
	region = "eu-central-1"
)

// world is the functions over a table and keys of their own.
type world struct {
	t      *testing.T
	env    []string             // environment of each function, besides what Lambda sets
	warm   map[string]*instance // instances that are invoked one call at a time
	values map[string]string    // values of the words in capitals in the sample events

	outputs []output

	mu      sync.Mutex
	secrets map[string]string // values that no output may contain, and what they are
}

func newWorld(t *testing.T) *world {
	t.Helper()
	_, table := storetest.Open(t)
	keys := filepath.Join(t.TempDir(), "keys.json")
	if _, err := keyring.File(keys, signing.RS256, time.Now()); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t,
		env: []string{
			"AWS_ENDPOINT_URL_DYNAMODB=" + storetest.Endpoint(),
			"ROTOR_TABLE=" + table.Name(),
			"ROTOR_ISSUER=" + issuer,
			"ROTOR_ORIGINS=https://app.example.com",
			"ROTOR_AUTHORIZATION_ENDPOINT=https://login.example.com/",
			"ROTOR_API_ID=a1b2c3d4e5", // as in the sample events
			"ROTOR_KEYS_FILE=" + keys,
		},
		warm: map[string]*instance{}, values: map[string]string{}, secrets: map[string]string{},
	}
	document, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	w.keepKeys(document)
	t.Cleanup(w.checkLogs)
	return w
}

// with changes one variable of the environment, or removes it if the value is empty.
func (w *world) with(name, value string) {
	w.t.Helper()
	var env []string
	for _, variable := range w.env {
		if !strings.HasPrefix(variable, name+"=") {
			env = append(env, variable)
		}
	}
	if value != "" {
		env = append(env, name+"="+value)
	}
	w.env = env
}

// environment returns everything that a function's program finds, under the names that Lambda
// uses.
func (w *world) environment(function string) []string {
	return append([]string{
		"AWS_ACCESS_KEY_ID=local",
		"AWS_SECRET_ACCESS_KEY=local",
		"AWS_SESSION_TOKEN=local",
		"AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region,
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_LAMBDA_FUNCTION_NAME=rotor-" + function,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_LAMBDA_FUNCTION_TIMEOUT=10", // in seconds; this is the emulator's, as Lambda tells programs a deadline
		"AWS_LAMBDA_LOG_FORMAT=JSON",
		"LAMBDA_TASK_ROOT=" + filepath.Dir(programs[function]),
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"TZ=:UTC",
		"_HANDLER=bootstrap",
	}, w.env...)
}

// fresh starts a new instance of a function.
func (w *world) fresh(function string) *instance {
	w.t.Helper()
	i := start(w.t, function, w.environment(function))
	w.output(i.output)
	return i
}

// output registers an output to be checked when the test ends, and returns it.
func (w *world) output(o output) output {
	w.outputs = append(w.outputs, o)
	return o
}

// instance returns the instance of a function that is invoked again and again.
func (w *world) instance(function string) *instance {
	w.t.Helper()
	if w.warm[function] == nil {
		w.warm[function] = w.fresh(function)
	}
	return w.warm[function]
}

// event is the event that API Gateway sends.
type event process.Event

// sample returns the event of a file, filled in from w.values, and its function.
func (w *world) sample(name string) (function string, e event) {
	w.t.Helper()
	read, err := process.SampleEvent(name)
	if err != nil {
		w.t.Fatal(err)
	}
	e = event(read)
	var pairs []string
	for word, value := range w.values {
		pairs = append(pairs, word, value)
	}
	replacer := strings.NewReplacer(pairs...)
	encoded := func(s string) string {
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			w.t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString([]byte(replacer.Replace(string(raw))))
	}
	if path, ok := e["rawPath"].(string); ok {
		e.setPath(replacer.Replace(path))
		parameters, _ := e["pathParameters"].(map[string]any)
		for name, value := range parameters {
			parameters[name] = replacer.Replace(value.(string))
		}
	}
	if query, ok := e["rawQueryString"].(string); ok {
		e["rawQueryString"] = replacer.Replace(query)
	}
	if body, ok := e["body"].(string); ok {
		if e["isBase64Encoded"] == true {
			e["body"] = encoded(body)
		} else {
			e["body"] = replacer.Replace(body)
		}
	}
	if headers, ok := e["headers"].(map[string]any); ok {
		authorization, _ := headers["authorization"].(string)
		if pair, ok := strings.CutPrefix(authorization, "Basic "); ok {
			headers["authorization"] = "Basic " + encoded(pair)
		} else if authorization != "" {
			headers["authorization"] = replacer.Replace(authorization)
		}
	}
	function, _, _ = strings.Cut(name, "-")
	return function, e
}

func (e event) http() map[string]any {
	context, _ := e["requestContext"].(map[string]any)
	http, _ := context["http"].(map[string]any)
	return http
}

func (e event) setPath(path string) {
	e["rawPath"] = path
	e.http()["path"] = path
}

// answer is a function's answer to the gateway, with its body if that is a JSON object.
type answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	json    map[string]any
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

// send invokes an instance with an event and returns the answer. It may be called
// concurrently.
func (w *world) send(i *instance, e event) answer {
	w.t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Error(err)
		return answer{}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	out, err := i.invoke(ctx, payload)
	if err != nil {
		w.t.Errorf("the invocation of %s failed: %v\n%s", i.function, err, i.logged())
		return answer{}
	}
	return w.read(out)
}

// read decodes an answer, and records the secrets in it.
func (w *world) read(out []byte) answer {
	w.t.Helper()
	var a answer
	if err := json.Unmarshal(out, &a); err != nil || a.Status == 0 {
		w.t.Errorf("the answer is not one to the gateway: %v: %s", err, out)
		return answer{}
	}
	if a.Body == "" {
		return a
	}
	if err := json.Unmarshal([]byte(a.Body), &a.json); err != nil {
		w.t.Errorf("the body is not a JSON object: %v: %s", err, a.Body)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range []string{"access_token", "refresh_token", "id_token", "client_secret"} {
		if s := a.text(name); s != "" {
			w.secrets[s] = name
		}
	}
	return a
}

// play sends the event of a file to its function and returns the answer.
func (w *world) play(name string) answer {
	w.t.Helper()
	function, e := w.sample(name)
	return w.send(w.instance(function), e)
}

// manage calls the management API.
func (w *world) manage(method, path, query, body string) answer {
	w.t.Helper()
	function, e := w.sample("manage-put-client")
	e.setPath(path)
	e.http()["method"] = method
	// The route of stacks from before each call had its own. The samples have theirs.
	e["routeKey"] = "ANY /v1/{proxy+}"
	e["rawQueryString"] = query
	e["body"] = body
	return w.send(w.instance(function), e)
}

func (w *world) want(a answer, status int) answer {
	w.t.Helper()
	if a.Status != status {
		w.t.Fatalf("the answer is %d, not %d: %s", a.Status, status, a.Body)
	}
	return a
}

// wantText fails the test unless the member of the answer's body is that text.
func (w *world) wantText(a answer, name, value string) {
	w.t.Helper()
	if a.text(name) != value {
		w.t.Errorf("%s is not %q: %s", name, value, a.Body)
	}
}

// register puts both clients of the sample events, and a secret for one of them.
func (w *world) register() {
	w.t.Helper()
	w.want(w.play("manage-put-client"), http.StatusCreated)
	w.want(w.play("manage-put-confidential-client"), http.StatusCreated)
	secret := w.want(w.play("manage-add-secret"), http.StatusCreated)
	w.values["CLIENT_SECRET"] = secret.text("client_secret")
	w.values["SECRET_ID"] = secret.text("secret_id")
}

// login starts a family with the event of a file.
func (w *world) login(name string) answer {
	w.t.Helper()
	issued := w.want(w.play(name), http.StatusCreated)
	w.values["REFRESH_TOKEN"] = issued.text("refresh_token")
	w.values["FAMILY"] = issued.text("family")
	w.values["ACCESS_TOKEN"] = issued.text("access_token")
	w.values["ID_TOKEN"] = issued.text("id_token")
	return issued
}

// keepKeys records the secrets of a key document.
func (w *world) keepKeys(document []byte) {
	w.t.Helper()
	var keys struct {
		UserKey string `json:"user_key"`
		MAC     []struct{ Key string }
		Signing []struct{ Key struct{ D string } }
	}
	if err := json.Unmarshal(document, &keys); err != nil {
		w.t.Fatal(err)
	}
	w.secrets[keys.UserKey] = "the user key"
	w.secrets[keys.MAC[0].Key] = "a MAC key"
	w.secrets[keys.Signing[0].Key.D] = "a signing key"
}

// logged returns everything that the instances have printed.
func (w *world) logged() string {
	var all strings.Builder
	for _, o := range w.outputs {
		all.WriteString(o.logged())
	}
	return all.String()
}

// otherLines matches the lines that are not JSON: the emulator's own, that of Lambda's Go
// library for an error of the function, and the SDK's complaint that DynamoDB Local's errors
// have no checksum.
var otherLines = regexp.MustCompile(`^(START|END|REPORT) RequestId: |^\d+ \w+ \d+ [0-9:,]+ \[` +
	`|^[0-9/]+ [0-9:]+ {"errorMessage":|^SDK .* response did not match expected checksum, 0, `)

// tokenLike matches a refresh token, a secret or a JWT, whose header begins {"alg":…. "eyJ"
// may also occur in a family's id, but without a dot after it.
var tokenLike = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{20}|eyJhbGciOi|eyJ[A-Za-z0-9_-]{20,}\.`)

// checkLogs checks each line that the ended instances and other programs have printed: the
// functions' lines are JSON, and no line has a token or a key.
func (w *world) checkLogs() {
	w.t.Helper()
	for _, o := range w.outputs {
		log := o.logged()
		for secret, what := range w.secrets {
			if strings.Contains(log, secret) {
				w.t.Errorf("in the log of %s is %s that was given out or kept", o.function, what)
			}
		}
		if found := tokenLike.FindString(log); found != "" {
			w.t.Errorf("in the log of %s is what looks like a token: %.12s…", o.function, found)
		}
		for line := range strings.Lines(log) {
			if !json.Valid([]byte(line)) && !otherLines.MatchString(line) {
				w.t.Errorf("in the log of %s is a line that is not JSON: %s", o.function, line)
			}
		}
	}
}
