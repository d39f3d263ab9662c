package gateway_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/openapi/openapitest"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

const samples = "../../../events"

// sampleAPI is the id of the API in the samples.
const sampleAPI = "a1b2c3d4e5"

// origins returns the set of valid origins.
func origins(list ...string) origin.Set {
	return origin.ParseSet(list, func(value, want string) { panic(value + " must be " + want) })
}

// world holds the functions over one store.
type world struct {
	t         *testing.T
	store     *transport
	functions map[string]lambda.Handler // the functions that the gateway invokes
	server    *server.Server
	manage    func(gateway.Callers) lambda.Handler
	sweep     lambda.Handler
	now       time.Time // time of the last request
	log       bytes.Buffer
	values    map[string]string // values of the words in capitals in the sample events
}

// transport leads to the store until it is silenced. Then no request is answered, or none that
// contains a certain text.
type transport struct {
	http.RoundTripper
	requests atomic.Int64
	silent   bool
	silentOn string // "" for none
	broken   string // requests that contain this text fail at once; "" for none
}

func (rt *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	rt.requests.Add(1)
	switch {
	case rt.broken != "" && bytes.Contains(body, []byte(rt.broken)):
		return nil, errors.New("connection reset")
	case rt.silent, rt.silentOn != "" && bytes.Contains(body, []byte(rt.silentOn)):
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return rt.RoundTripper.RoundTrip(r)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, "https://auth.example.com")
}

// newWorldAt returns a world with another issuer.
func newWorldAt(t *testing.T, issuer string) *world {
	t.Helper()
	w := &world{t: t, store: &transport{RoundTripper: embedded.New()}, values: map[string]string{"OWN_ORIGIN": origin.Of(issuer)}}
	table := store.New(embedded.Config(w.store), "rotor", store.DefaultRetention)
	if err := table.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.now = time.Date(2026, time.January, 15, 10, 0, 5, 0, time.UTC)
	document, err := keyring.Generate(signing.ES256, w.now)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(&w.log, nil))
	// Requests come one at a time, each in its own millisecond.
	tick := func() time.Time {
		w.now = w.now.Add(time.Millisecond)
		return w.now
	}
	a := server.New(server.Config{
		Issuer:  issuer,
		Table:   table,
		Keys:    keys,
		Log:     log,
		Metrics: true,
		Now:     tick,
		Origins: origins("https://app.example.com"),

		AuthorizationEndpoint: "https://login.example.com/",
	})
	w.server = a
	w.manage = func(c gateway.Callers) lambda.Handler {
		return gateway.NewHandler(gateway.Authorized(a.Manage.Handler(), c, log), log)
	}
	w.functions = map[string]lambda.Handler{
		"token":      gateway.NewHandler(a.OAuth.Token(), log),
		"revoke":     gateway.NewHandler(a.OAuth.Revoke(), log),
		"introspect": gateway.NewHandler(a.OAuth.Introspect(), log),
		"discovery":  gateway.NewHandler(a.OAuth.Discovery(), log),
		"manage":     w.manage(gateway.Callers{APIID: sampleAPI}),
	}
	w.sweep = lambda.NewHandler(boot.Sweep(table, "", log, tick))
	return w
}

type event = events.APIGatewayV2HTTPRequest

// answer is a function's response, with its body if that is a JSON object.
type answer struct {
	events.APIGatewayV2HTTPResponse
	json map[string]any
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

// noRoute reports whether the function does not serve the path.
func (a answer) noRoute() bool {
	return a.StatusCode == http.StatusNotFound && (a.text("error") == "not_found" || a.text("detail") == "there is nothing at this path" || a.text("code") == "not_served" || a.text("error_code") == "not_served")
}

// invoke sends an event to a function and returns the answer. The response must be JSON or
// have no body.
func (w *world) invoke(ctx context.Context, function string, e event) answer {
	w.t.Helper()
	_, balanced := w.functions[function].(*gateway.BalancerHandler)
	var sent any = e
	if balanced {
		sent = fromBalancer(e)
	}
	payload, err := json.Marshal(sent)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := w.functions[function].Invoke(ctx, payload)
	if err != nil {
		w.t.Fatalf("the invocation failed: %v", err)
	}
	var a answer
	if balanced {
		a.APIGatewayV2HTTPResponse = toBalancer(w.t, out)
	} else if err := json.Unmarshal(out, &a.APIGatewayV2HTTPResponse); err != nil {
		w.t.Fatalf("the answer is not one to the gateway: %v: %s", err, out)
	}
	if a.Body == "" {
		return a
	}
	if mediaType := a.Headers["Content-Type"]; !strings.HasSuffix(mediaType, "json") {
		w.t.Errorf("the answer is of type %q: %s", mediaType, a.Body)
	}
	if err := json.Unmarshal([]byte(a.Body), &a.json); err != nil {
		w.t.Errorf("the answer is not a JSON object: %v: %s", err, a.Body)
	}
	return a
}

// sample returns the event of a file, with w.values in it, and its function.
func (w *world) sample(name string) (function string, e event) {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(samples, name+".json"))
	if err != nil {
		w.t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields() // unknown fields are never sent by the gateway
	if err := d.Decode(&e); err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	w.fill(&e)
	function, _, _ = strings.Cut(name, "-")
	return function, e
}

// play sends the event of a file to its function and returns the answer. The OpenAPI document must have both.
func (w *world) play(name string) answer {
	w.t.Helper()
	function, e := w.sample(name)
	a := w.invoke(w.t.Context(), function, e)
	w.documented(e, a)
	return a
}

// documented checks an event and its answer by the OpenAPI document.
func (w *world) documented(e event, a answer) {
	w.t.Helper()
	exchange := &openapitest.Exchange{
		Method: e.RequestContext.HTTP.Method, Path: (&url.URL{Path: e.RawPath}).EscapedPath(), Query: e.RawQueryString,
		Header: http.Header{}, Body: []byte(e.Body), Status: a.StatusCode, AnswerHeader: http.Header{}, AnswerBody: []byte(a.Body),
	}
	for name, value := range e.Headers {
		exchange.Header.Set(name, value)
	}
	for name, value := range a.Headers {
		exchange.AnswerHeader.Set(name, value)
	}
	for _, cookie := range a.Cookies {
		exchange.AnswerHeader.Add("Set-Cookie", cookie)
	}
	if e.IsBase64Encoded {
		var err error
		if exchange.Body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := openapitest.Load().Check(exchange); err != nil {
		w.t.Errorf("the OpenAPI document does not say it: %v", err)
	}
}

func (w *world) fill(e *event) {
	w.t.Helper()
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
	e.RawPath = replacer.Replace(e.RawPath)
	for i, cookie := range e.Cookies {
		e.Cookies[i] = replacer.Replace(cookie)
	}
	for name, value := range e.Headers {
		e.Headers[name] = replacer.Replace(value)
	}
	for name, value := range e.PathParameters {
		e.PathParameters[name] = replacer.Replace(value)
	}
	e.RawQueryString = replacer.Replace(e.RawQueryString)
	if e.IsBase64Encoded {
		e.Body = encoded(e.Body)
	} else {
		e.Body = replacer.Replace(e.Body)
	}
	if pair, ok := strings.CutPrefix(e.Headers["authorization"], "Basic "); ok {
		e.Headers["authorization"] = "Basic " + encoded(pair)
	} else if e.Headers["authorization"] != "" {
		e.Headers["authorization"] = replacer.Replace(e.Headers["authorization"])
	}
}

// register puts both clients of the samples and a secret for one.
func (w *world) register() {
	w.t.Helper()
	w.want(w.play("manage-put-client"), http.StatusCreated)
	w.want(w.play("manage-put-confidential-client"), http.StatusCreated)
	secret := w.want(w.play("manage-add-secret"), http.StatusCreated)
	w.values["CLIENT_SECRET"] = secret.text("client_secret")
	w.values["SECRET_ID"] = secret.text("secret_id")
}

// login starts a family with the event of a file.
func (w *world) login(name string) {
	w.t.Helper()
	issued := w.want(w.play(name), http.StatusCreated)
	w.values["REFRESH_TOKEN"] = issued.text("refresh_token")
	w.values["FAMILY"] = issued.text("family")
	w.values["ACCESS_TOKEN"] = issued.text("access_token")
	w.values["ID_TOKEN"] = issued.text("id_token")
}

// authorize answers an authorization request with the event of a file.
func (w *world) authorize() {
	w.t.Helper()
	to, err := url.Parse(w.want(w.play("manage-authorize"), http.StatusOK).text("redirect_to"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.values["CODE"] = to.Query().Get("code")
}

func (w *world) want(a answer, status int) answer {
	w.t.Helper()
	if a.StatusCode != status {
		w.t.Fatalf("the answer is %d, not %d: %s", a.StatusCode, status, a.Body)
	}
	return a
}
