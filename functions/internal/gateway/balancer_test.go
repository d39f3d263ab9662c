package gateway_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/server"
)

type balancedEvent = events.ALBTargetGroupRequest

// publicFunctions returns the functions that a load balancer invokes.
func publicFunctions(a *server.Server, log *slog.Logger) map[string]lambda.Handler {
	return map[string]lambda.Handler{
		"token":      gateway.NewBalancerHandler(a.OAuth.Token(), log),
		"revoke":     gateway.NewBalancerHandler(a.OAuth.Revoke(), log),
		"introspect": gateway.NewBalancerHandler(a.OAuth.Introspect(), log),
		"discovery":  gateway.NewBalancerHandler(a.OAuth.Discovery(), log),
	}
}

// behindBalancer puts the public functions behind a load balancer.
func (w *world) behindBalancer() *world {
	for name, f := range publicFunctions(w.server, slog.New(slog.NewJSONHandler(&w.log, nil))) {
		w.functions[name] = f
	}
	return w
}

// fromBalancer returns the event that a load balancer makes of the request in a gateway's event. The client
// has sent an X-Forwarded-For of its own.
func fromBalancer(e event) balancedEvent {
	b := balancedEvent{
		HTTPMethod: e.RequestContext.HTTP.Method, Path: (&url.URL{Path: e.RawPath}).EscapedPath(),
		MultiValueQueryStringParameters: map[string][]string{}, MultiValueHeaders: map[string][]string{},
		Body: e.Body, IsBase64Encoded: e.IsBase64Encoded,
	}
	b.RequestContext.ELB.TargetGroupArn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/rotor-prod-token/6d0ecf831eec9f09"
	for pair := range strings.SplitSeq(e.RawQueryString, "&") {
		if name, value, _ := strings.Cut(pair, "="); pair != "" {
			b.MultiValueQueryStringParameters[name] = append(b.MultiValueQueryStringParameters[name], value)
		}
	}
	for name, value := range e.Headers {
		b.MultiValueHeaders[strings.ToLower(name)] = []string{value}
	}
	if len(e.Cookies) > 0 {
		b.MultiValueHeaders["cookie"] = e.Cookies
	}
	b.MultiValueHeaders["x-forwarded-for"] = []string{"192.0.2.66, " + e.RequestContext.HTTP.SourceIP}
	if contentType := strings.Join(b.MultiValueHeaders["content-type"], ""); !e.IsBase64Encoded && !strings.HasPrefix(contentType, "application/json") && !strings.HasPrefix(contentType, "text/") {
		b.Body, b.IsBase64Encoded = base64.StdEncoding.EncodeToString([]byte(e.Body)), true
	}
	return b
}

// toBalancer returns a response to a load balancer as one to the gateway. It must have what a load balancer asks for.
func toBalancer(t *testing.T, out []byte) events.APIGatewayV2HTTPResponse {
	t.Helper()
	var members map[string]json.RawMessage
	var a events.ALBTargetGroupResponse
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("the answer is not one to a load balancer: %v: %s", err, out)
	}
	if err := json.Unmarshal(out, &members); err != nil || string(members["isBase64Encoded"]) != "false" || a.StatusDescription != fmt.Sprintf("%d %s", a.StatusCode, http.StatusText(a.StatusCode)) {
		t.Errorf("the answer lacks what a load balancer asks for: %s", out)
	}
	// Load balancers have answered 502 to a member that is null, and headers is that of target groups without multi-value headers.
	for name, value := range members {
		if name == "headers" || string(value) == "null" {
			t.Errorf("the answer has %s: %s", name, out)
		}
	}
	response := events.APIGatewayV2HTTPResponse{StatusCode: a.StatusCode, Headers: map[string]string{}, Body: a.Body, Cookies: a.MultiValueHeaders["Set-Cookie"]}
	for name, values := range a.MultiValueHeaders {
		if name != "Set-Cookie" {
			response.Headers[name] = strings.Join(values, ",")
		}
	}
	return response
}

// balancedSample returns the event of a file, with w.values in it.
func (w *world) balancedSample(name string) (function string, b balancedEvent) {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, "load-balancer", name+".json"))
	if err != nil {
		w.t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	var pairs []string
	for word, value := range w.values {
		pairs = append(pairs, word, value)
	}
	fill := strings.NewReplacer(pairs...)
	for _, values := range []map[string][]string{b.MultiValueHeaders, b.MultiValueQueryStringParameters} {
		for _, list := range values {
			for i := range list {
				list[i] = fill.Replace(list[i])
			}
		}
	}
	if b.IsBase64Encoded {
		raw, err := base64.StdEncoding.DecodeString(b.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		b.Body = base64.StdEncoding.EncodeToString([]byte(fill.Replace(string(raw))))
	} else {
		b.Body = fill.Replace(b.Body)
	}
	function, _, _ = strings.Cut(name, "-")
	return function, b
}

// send sends a load balancer's event to a function and returns the answer.
func (w *world) send(function string, b balancedEvent) answer {
	w.t.Helper()
	payload, err := json.Marshal(b)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := w.functions[function].Invoke(w.t.Context(), payload)
	if err != nil {
		w.t.Fatalf("the invocation failed: %v", err)
	}
	a := answer{APIGatewayV2HTTPResponse: toBalancer(w.t, out)}
	_ = json.Unmarshal([]byte(a.Body), &a.json) // where it is no object, none
	return a
}

// TestBalancedSamples checks that the sample events of a load balancer are answered.
func TestBalancedSamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(samples, "load-balancer", "*.json"))
	if err != nil || len(files) != 3 {
		t.Errorf("there are %q, %v", files, err)
	}
	w := newWorld(t).behindBalancer()
	w.register()
	w.login("manage-issue-family")
	a := w.want(w.send(w.balancedSample("token-refresh")), http.StatusOK)
	if a.text("refresh_token") == "" || a.Headers["Access-Control-Allow-Origin"] != "https://app.example.com" || a.Headers["Cache-Control"] != "no-store" {
		t.Errorf("a refresh: %v %s", a.Headers, a.Body)
	}
	if a := w.want(w.send(w.balancedSample("revoke-logout")), http.StatusSeeOther); a.Headers["Location"] != "https://app.example.com/?state=x+y%26z" {
		t.Errorf("a logout leads to %q", a.Headers["Location"])
	}
	w.loginPage()
	w.now = w.now.Add(time.Minute)
	a = w.want(w.send(w.balancedSample("token-refresh-cookie")), http.StatusOK)
	name := "__Host-Http-rotor.example-page." + w.values["SESSION"]
	if len(a.Cookies) != 2 || !strings.HasPrefix(a.Cookies[0], name+".2=rotor_") || !strings.HasPrefix(a.Cookies[1], name+"=; Path=/; Max-Age=0; ") {
		t.Errorf("the cookies are %q", a.Cookies)
	}
	if strings.Contains(w.log.String(), "rotor_") || strings.Contains(w.log.String(), "__Host-") {
		t.Errorf("a token is in the log: %s", &w.log)
	}
}

// TestEventsOfOthers checks that a function answers the events of what it is deployed behind, and no others: those
// of the gateway would have another address, and those of the load balancer no caller that IAM has authorized.
func TestEventsOfOthers(t *testing.T) {
	const canary = "canary-0123456789"
	e := event{Version: "2.0", RawPath: "/oauth/token", Body: canary}
	e.RequestContext.HTTP.Method = http.MethodPost
	b := fromBalancer(e)
	b.MultiValueHeaders["host"] = []string{"auth.example.com"}
	singly := b
	singly.Headers, singly.MultiValueHeaders = map[string]string{"host": "auth.example.com"}, nil
	noMethod := b
	noMethod.HTTPMethod = ""
	for _, c := range []struct {
		name               string
		payload            any
		gateways, balanced bool
	}{
		{"the gateway's", e, true, false},
		{"the load balancer's", b, false, true},
		{"one without multi-value headers", singly, false, false},
		{"one without a method", noMethod, false, false},
		{"a REST API's", map[string]any{"httpMethod": "POST", "path": "/oauth/token", "multiValueHeaders": b.MultiValueHeaders, "requestContext": map[string]any{"apiId": sampleAPI}, "body": canary}, false, false},
		{"no object", []string{canary}, false, false},
		{"a body of another type", map[string]any{"httpMethod": "POST", "requestContext": b.RequestContext, "body": map[string]string{"x": canary}}, false, false},
		{"a schedule's", map[string]any{"version": "0", "detail": canary}, false, false},
	} {
		payload, err := json.Marshal(c.payload)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range []*world{newWorld(t), newWorld(t).behindBalancer()} {
			for name, f := range w.functions {
				w.log.Reset()
				_, balanced := f.(*gateway.BalancerHandler)
				want := c.gateways && !balanced || c.balanced && balanced
				if out, err := f.Invoke(t.Context(), payload); (err == nil) != want {
					t.Errorf("%s to %s, balanced %v: %s, %v", c.name, name, balanced, out, err)
				} else if err != nil && (!strings.Contains(w.log.String(), "event refused") || strings.Contains(err.Error()+w.log.String(), canary)) {
					t.Errorf("%s to %s: %v; %s", c.name, name, err, &w.log)
				}
			}
		}
	}
}

// TestSender checks that the address on record is the one that the load balancer has added: the last of all. Every entry
// before it is what the client says.
func TestSender(t *testing.T) {
	w := newWorld(t).behindBalancer()
	w.register()
	w.login("manage-issue-family")
	for _, c := range []struct {
		forwarded []string
		want      string
	}{
		{[]string{"203.0.113.24"}, "203.0.113.24"},
		{[]string{"198.51.100.7, 203.0.113.24"}, "203.0.113.24"},
		{[]string{"198.51.100.7,10.0.0.1,203.0.113.24"}, "203.0.113.24"},
		{[]string{"198.51.100.7", "192.0.2.1, 203.0.113.24"}, "203.0.113.24"},
		{[]string{"198.51.100.7, 192.0.2.1", "203.0.113.24"}, "203.0.113.24"},
		{[]string{"unknown, \"_hidden\", 203.0.113.24"}, "203.0.113.24"},
		{[]string{"198.51.100.7, 2001:db8::1"}, "2001:db8::1"},
		{[]string{"198.51.100.7, [2001:db8::1]"}, "2001:db8::1"},
		{[]string{"203.0.113.24:46532"}, "203.0.113.24"},
		{[]string{"198.51.100.7:1, [2001:db8::1]:46532"}, "2001:db8::1"},
		{[]string{"::ffff:203.0.113.24"}, "203.0.113.24"},
		// No address is better than a wrong one.
		{nil, ""},
		{[]string{}, ""},
		{[]string{""}, ""},
		{[]string{"198.51.100.7,"}, ""},
		{[]string{"198.51.100.7", ""}, ""},
		{[]string{"198.51.100.7, unknown"}, ""},
		{[]string{"198.51.100.7, 203.0.113.24 x"}, ""},
		{[]string{"198.51.100.7, 203.0.113.256"}, ""},
		{[]string{"198.51.100.7, 203.0.113.24:99999"}, ""},
		{[]string{strings.Repeat("1.1.1.1,", 5000)}, ""},
	} {
		w.log.Reset()
		function, b := w.balancedSample("token-refresh")
		b.MultiValueHeaders["x-forwarded-for"] = c.forwarded
		b.MultiValueHeaders["forwarded"], b.MultiValueHeaders["x-real-ip"] = []string{"for=198.51.100.9"}, []string{"198.51.100.9"}
		w.want(w.send(function, b), http.StatusOK)
		line := w.log.String()
		if want := `"ip":"` + c.want + `"`; c.want != "" && !strings.Contains(line, want) || c.want == "" && strings.Contains(line, `"ip":`) || strings.Contains(line, "198.51.100") {
			t.Errorf("%q: the log has %s", c.forwarded, line)
		}
	}
	// What a trusted backend says of its user stands beside the backend's own address.
	w.login("manage-issue-confidential-family")
	w.log.Reset()
	w.want(w.play("token-refresh-forwarded"), http.StatusOK)
	for _, want := range []string{`"ip":"203.0.113.24"`, `"forwardedBy":"198.51.100.7"`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("%s is not in the log: %s", want, &w.log)
		}
	}
}

// TestBalancedRequestID checks that a request is logged under the id that the load balancer gave, which its access log has
// too, and never under a text of the client's.
func TestBalancedRequestID(t *testing.T) {
	const own, client, invocation = "1-6968baa5-a1b2c3d4e5f60718293a4b5c", "1-6968baa4-0f1e2d3c4b5a69788796a5b4", "f0e1d2c3-b4a5-4687-9788-0123456789ab"
	for _, c := range []struct {
		traces []string
		want   string
	}{
		{[]string{"Root=" + own}, own},
		{[]string{"Self=" + own + ";Root=" + client}, own},
		{[]string{"Root=" + client + ";Parent=53995c3f42cd8ad8;Sampled=1;Self=" + own}, own},
		{[]string{"Root=" + client, "Self=" + own}, own},
		// Nothing tells which one is the load balancer's.
		{[]string{"Self=" + client + ";Root=" + client, "Self=" + own}, invocation},
		{[]string{"Self=" + own + ";Root=" + client, "Self=" + client}, invocation},
		{[]string{"Root=" + own + ";Root=" + client}, invocation},
		{[]string{"Self=" + own + "; Root=" + client + "; CalledFrom=canary"}, own},
		{nil, invocation},
		{[]string{""}, invocation},
		{[]string{"canary"}, invocation},
		{[]string{"Root=canary"}, invocation},
		{[]string{"Self=canary;Root=" + client}, invocation},
		{[]string{"Root=" + own + "-canary"}, invocation},
		{[]string{"Root=1-6968BAA5-A1B2C3D4E5F60718293A4B5C"}, invocation},
		{[]string{"Root=1-6968baa5xa1b2c3d4e5f60718293a4b5c"}, invocation},
		{[]string{"Root=2-6968baa5-a1b2c3d4e5f60718293a4b5c"}, invocation},
	} {
		w := newWorld(t).behindBalancer()
		w.register()
		w.login("manage-issue-family")
		w.log.Reset()
		function, b := w.balancedSample("token-refresh")
		b.MultiValueHeaders["x-amzn-trace-id"] = c.traces
		payload, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: invocation})
		if _, err := w.functions[function].Invoke(ctx, payload); err != nil {
			t.Fatal(err)
		}
		if lines := w.lines(); len(lines) != 1 || lines[0].RequestID != c.want || strings.Contains(w.log.String(), "canary") {
			t.Errorf("%q: the log has %s", c.traces, &w.log)
		}
	}
}

// TestBalancedMalformed checks that whatever a client sends gets an answer that it understands, since the load balancer
// would make a 502 of an error. Path and query come as the client has sent them.
func TestBalancedMalformed(t *testing.T) {
	const (
		form                = "grant_type=refresh_token&client_id=example-spa&refresh_token=x"
		unknown             = "Unknown or invalid refresh token."
		notFound, malformed = "There is nothing at this path.", "The request is malformed."
	)
	tests := []struct {
		name        string
		change      func(*balancedEvent)
		status      int
		description string // "" for any
	}{
		{"nothing", func(*balancedEvent) {}, 400, unknown},
		{"a letter of the path escaped", func(b *balancedEvent) { b.Path = "/oauth/%74oken" }, 400, unknown},
		{"the path escaped twice", func(b *balancedEvent) { b.Path = "/oauth/%2574oken" }, 404, notFound},
		{"an escape cut short", func(b *balancedEvent) { b.Path = "/oauth/token%" }, 400, malformed},
		{"an escape of no number", func(b *balancedEvent) { b.Path = "/oauth/%zz" }, 400, malformed},
		{"an escaped slash", func(b *balancedEvent) { b.Path = "/oauth%2Ftoken" }, 404, notFound},
		{"two slashes", func(b *balancedEvent) { b.Path = "/oauth//token" }, 404, notFound},
		{"a host in the path", func(b *balancedEvent) { b.Path = "//evil.example/oauth/token" }, 404, notFound},
		{"a URL for a path", func(b *balancedEvent) { b.Path = "https://evil.example/oauth/token" }, 404, notFound},
		{"a way around", func(b *balancedEvent) { b.Path = "/v1/../oauth/token" }, 404, notFound},
		{"an escaped way around", func(b *balancedEvent) { b.Path = "/v1/%2e%2e/oauth/token" }, 404, notFound},
		{"another function's path", func(b *balancedEvent) { b.Path = "/v1/families" }, 404, notFound},
		{"a null in the path", func(b *balancedEvent) { b.Path = "/oauth/token%00" }, 404, notFound},
		{"a question mark in the path", func(b *balancedEvent) { b.Path = "/oauth/token%3Fx" }, 404, notFound},
		{"no path", func(b *balancedEvent) { b.Path = "" }, 404, notFound},
		{"a method that is none", func(b *balancedEvent) { b.HTTPMethod = "PO ST" }, 400, malformed},
		{"a method nobody knows", func(b *balancedEvent) { b.HTTPMethod = "BREW" }, 405, ""},
		{"a bad escape in the query", func(b *balancedEvent) { b.MultiValueQueryStringParameters["a"] = []string{"%zz"} }, 400, malformed},
		{"a bad escape in a name", func(b *balancedEvent) { b.MultiValueQueryStringParameters["%z"] = []string{"1"} }, 400, malformed},
		{"a line break in the query", func(b *balancedEvent) { b.MultiValueQueryStringParameters["a\nb"] = []string{"\r\nx: y"} }, 400, unknown},
		{"parameters in the query", func(b *balancedEvent) {
			b.MultiValueQueryStringParameters, b.Body = map[string][]string{"grant_type": {"refresh_token"}, "client_id": {"example-spa"}, "refresh_token": {"x"}}, ""
		}, 400, "grant_type is missing."},
		{"no query", func(b *balancedEvent) { b.MultiValueQueryStringParameters = nil }, 400, unknown},
		{"no body", func(b *balancedEvent) { b.Body = "" }, 400, "grant_type is missing."},
		{"a body that is not base64", func(b *balancedEvent) { b.Body = form }, 400, "The request body could not be read."},
		{"base64 cut short", func(b *balancedEvent) { b.Body = b.Body[:9] }, 400, "The request body could not be read."},
		{"a body that is not UTF-8", func(b *balancedEvent) { b.Body = base64.StdEncoding.EncodeToString([]byte("a=\xff")) }, 400, "The request body is not UTF-8."},
		{"a body too large", func(b *balancedEvent) { b.Body = base64.StdEncoding.EncodeToString(make([]byte, 17<<10)) }, 413, ""},
		{"no host", func(b *balancedEvent) { delete(b.MultiValueHeaders, "host") }, 400, unknown},
		{"two hosts", func(b *balancedEvent) { b.MultiValueHeaders["host"] = []string{"evil.example", "auth.example.com"} }, 400, unknown},
		{"a header without values", func(b *balancedEvent) { b.MultiValueHeaders["authorization"] = nil }, 400, unknown},
		{"two types of the body", func(b *balancedEvent) {
			b.MultiValueHeaders["content-type"] = []string{"text/plain", "application/json"}
		}, 400, "Content-Type must be application/x-www-form-urlencoded or application/json."},
		{"a header under two names", func(b *balancedEvent) {
			b.MultiValueHeaders["Content-Type"] = []string{"text/plain"}
		}, 400, malformed},
		{"the client's own address under another name", func(b *balancedEvent) {
			b.MultiValueHeaders["X-Forwarded-For"], b.MultiValueHeaders["x-forwarded-for"] = []string{"203.0.113.24"}, []string{"198.51.100.7"}
		}, 400, malformed},
		{"a header without values, under two names", func(b *balancedEvent) {
			b.MultiValueHeaders["Dpop"], b.MultiValueHeaders["dpop"] = nil, nil
		}, 400, malformed},
		{"two authorizations", func(b *balancedEvent) {
			b.MultiValueHeaders["authorization"] = []string{"Basic ZXhhbXBsZS13ZWI6eA==", "Basic ZXhhbXBsZS13ZWI6eQ=="}
		}, 400, "The Authorization header is repeated."},
		{"two proofs", func(b *balancedEvent) { b.MultiValueHeaders["dpop"] = []string{"a.b.c", "a.b.c"} }, 400, ""},
		{"two origins", func(b *balancedEvent) {
			b.MultiValueHeaders["origin"] = []string{"https://app.example.com", "https://evil.example"}
		}, 403, ""},
	}
	w := newWorld(t).behindBalancer()
	w.register()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			function, b := w.balancedSample("token-refresh")
			b.Body = base64.StdEncoding.EncodeToString([]byte(form))
			tt.change(&b)
			a := w.send(function, b)
			if a.StatusCode != tt.status || tt.description != "" && a.text("error_description") != tt.description {
				t.Errorf("the answer is %d %s", a.StatusCode, a.Body)
			}
			if a.text("error") == "" || a.Headers["Cache-Control"] != "no-store" || a.Headers["X-Content-Type-Options"] != "nosniff" {
				t.Errorf("the answer is no OAuth error: %v %s", a.Headers, a.Body)
			}
		})
	}
}

// TestBalancedQuery checks that parameters arrive decoded once, and each as often as it was sent, whatever way its name was
// written: two addresses to return to must stay two.
func TestBalancedQuery(t *testing.T) {
	var got url.Values
	f := gateway.NewBalancerHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.Query() }), slog.New(slog.DiscardHandler))
	w := newWorld(t)
	_, b := w.balancedSample("revoke-logout")
	b.MultiValueQueryStringParameters = map[string][]string{
		"plus": {"a+b"}, "percent": {"100%25"}, "twice": {"%2541"}, "pair": {"a%3Db%26c"}, "sharp": {"%23x"}, "empty": {""},
		"again": {"1", "2", "1"}, "state": {"a"}, "st%61te": {"b"}, "utf8": {"%C3%A9"}, "semi": {"a;b=c"},
	}
	payload, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Invoke(t.Context(), payload); err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"plus": {"a b"}, "percent": {"100%"}, "twice": {"%41"}, "pair": {"a=b&c"}, "sharp": {"#x"}, "empty": {""},
		"again": {"1", "2", "1"}, "state": {"b", "a"}, "utf8": {"é"}, "semi": {"a;b=c"},
	}
	slices.Sort(got["state"])
	slices.Sort(want["state"])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the query differs (-want +got):\n%s", diff)
	}
}

// TestBalancedHead checks that the answer to HEAD has no body, not even that to a malformed request.
func TestBalancedHead(t *testing.T) {
	w := newWorld(t).behindBalancer()
	function, e := w.sample("discovery-jwks")
	e.RequestContext.HTTP.Method = http.MethodHead
	if a := w.want(w.invoke(t.Context(), function, e), http.StatusOK); a.Body != "" || a.Headers["Content-Type"] != "application/jwk-set+json" {
		t.Errorf("HEAD is answered with %v %q", a.Headers, a.Body)
	}
	function, b := w.balancedSample("token-refresh")
	b.HTTPMethod, b.Path = http.MethodHead, "/%"
	if a := w.want(w.send(function, b), http.StatusBadRequest); a.Body != "" || a.Headers["Content-Type"] != "application/json" {
		t.Errorf("a malformed HEAD is answered with %v %q", a.Headers, a.Body)
	}
}

// TestBalancedRace checks that fifty refreshes with one token at once all get the same successor.
func TestBalancedRace(t *testing.T) {
	d := deploy(t)
	functions := publicFunctions(d.server, slog.New(slog.DiscardHandler))
	text, err := os.ReadFile(filepath.Join(samples, "token-refresh-json.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e event
	if err := json.Unmarshal([]byte(d.fill.Replace(string(text))), &e); err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(fromBalancer(e))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	successors := map[string]int{}
	var racers sync.WaitGroup
	for range 50 {
		racers.Go(func() {
			out, err := functions["token"].Invoke(t.Context(), payload)
			if err != nil {
				t.Error(err)
				return
			}
			a := toBalancer(t, out)
			var body struct {
				RefreshToken string `json:"refresh_token"`
			}
			if err := json.Unmarshal([]byte(a.Body), &body); err != nil || a.StatusCode != http.StatusOK {
				t.Errorf("%d %s: %v", a.StatusCode, a.Body, err)
			}
			mu.Lock()
			defer mu.Unlock()
			successors[body.RefreshToken]++
		})
	}
	racers.Wait()
	if len(successors) != 1 || successors[""] > 0 {
		t.Errorf("there are %d successors", len(successors))
	}
}

// FuzzBalancedEvent checks that a function answers any event of a load balancer in a form that the load balancer can pass on,
// without an internal error, and that any other event is an error. No error, response to an error or log line has a secret.
func FuzzBalancedEvent(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(samples, "load-balancer", "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no sample events (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		var small bytes.Buffer
		if err := json.Compact(&small, text); err != nil {
			f.Fatal(err)
		}
		f.Add(small.String())
	}
	const start = `{"requestContext":{"elb":{"targetGroupArn":"x"}},"httpMethod":"POST","path":"/oauth/token","multiValueHeaders":{"host":["a"],`
	for _, rest := range []string{
		`"":["\n"]}}`, `"x-forwarded-for":["",","," REFRESH_TOKEN"],"x-amzn-trace-id":["Self=REFRESH_TOKEN;Root="]}}`, `"content-length":["-1"]},"body":"\ud800","isBase64Encoded":true}`,
		`"authorization":["Bearer ACCESS_TOKEN","Basic CLIENT_SECRET"],"cookie":["a","\u0000"]},"multiValueQueryStringParameters":{"%":["%zz"],"REFRESH_TOKEN":[null]}}`,
		`"content-type":["application/json"]},"path":"//CLIENT_SECRET/%2e%2e/%","headers":{"host":"b"}}`,
	} {
		f.Add(start + rest)
	}
	for _, payload := range []string{``, `null`, `[]`, `{}`, `{"version":"2.0","requestContext":{"http":{"method":"POST"}},"body":"REFRESH_TOKEN"}`} {
		f.Add(payload)
	}
	d := deploy(f)
	balanced := func() map[string]lambda.Handler {
		return publicFunctions(d.server, slog.New(slog.NewJSONHandler(&d.log, nil)))
	}
	functions := balanced()
	f.Fuzz(func(t *testing.T, payload string) {
		payload = d.fill.Replace(payload)
		var b balancedEvent
		isEvent := json.Unmarshal([]byte(payload), &b) == nil && b.RequestContext.ELB.TargetGroupArn != "" && b.HTTPMethod != "" && len(b.MultiValueHeaders) > 0
		for name, function := range functions {
			d.log.Reset()
			out, err := function.Invoke(t.Context(), []byte(payload))
			if (err == nil) != isEvent {
				t.Fatalf("of an event of the load balancer (%t): %v", isEvent, err)
			}
			said := d.log.String()
			if err != nil {
				said += err.Error()
			} else {
				plain, err := json.Marshal(toBalancer(t, out))
				if err != nil {
					t.Fatal(err)
				}
				a := response(t, plain, b.HTTPMethod)
				if a.StatusCode >= 300 {
					said += a.Body
				} else if name == "revoke" {
					defer func() { d = deploy(t); functions = balanced() }()
				}
			}
			for _, secret := range d.secrets {
				if strings.Contains(said, secret) {
					t.Errorf("a secret is said: %s", said)
				}
			}
		}
	})
}
