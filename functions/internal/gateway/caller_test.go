package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/openapi/openapitest"
)

// authorizer holds what the gateway reports about who was authorized, and how.
type authorizer = events.APIGatewayV2HTTPRequestContextAuthorizerDescription

func identity(arn string) *authorizer {
	return &authorizer{IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{UserARN: arn}}
}

// line is a line of the log.
type line struct {
	Level, Msg, Type, Operation, By, Reason string
	APIID                                   string `json:"api_id"`
	RequestID                               string `json:"http_request_id"`
}

func (w *world) lines() []line {
	w.t.Helper()
	var lines []line
	for text := range strings.Lines(w.log.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			w.t.Fatalf("a log line is not JSON: %v: %s", err, text)
		}
		lines = append(lines, l)
	}
	return lines
}

// TestManageAsksForIAM checks that a caller that did not come through the IAM authorizer of
// the function's own API gets nothing, and that nothing is read for it. Such callers come
// through function URLs, other APIs that invoke the function, and routes that were added
// without an authorizer.
func TestManageAsksForIAM(t *testing.T) {
	const url = "abcdefghijklmnopqrstuvwxyz012345"
	tests := []struct {
		name   string
		change func(*event)
		reason string // "" if the caller is let through
	}{
		{"the API's own route", func(*event) {}, ""},
		{"under a domain of its own", func(e *event) {
			e.Headers["host"], e.RequestContext.DomainName, e.RequestContext.DomainPrefix = "auth.example.com", "auth.example.com", "auth"
		}, ""},
		{"in another stage", func(e *event) { e.RequestContext.Stage = "live" }, ""},
		{"on a route of its own", func(e *event) { e.RouteKey, e.RequestContext.RouteKey = "POST /v1/families", "POST /v1/families" }, ""},
		{"as a user", func(e *event) { e.RequestContext.Authorizer = identity("arn:aws:iam::123456789012:user/ada") }, ""},
		{"in China", func(e *event) { e.RequestContext.Authorizer = identity("arn:aws-cn:iam::123456789012:user/ada") }, ""},
		{"no authorizer", func(e *event) { e.RequestContext.Authorizer = nil }, "no_identity"},
		{"an authorizer that says nothing", func(e *event) { e.RequestContext.Authorizer = &authorizer{} }, "no_identity"},
		{"an empty identity", func(e *event) { e.RequestContext.Authorizer = identity("") }, "no_identity"},
		{"an identity that is no ARN", func(e *event) { e.RequestContext.Authorizer = identity("local") }, "no_identity"},
		{"a JWT", func(e *event) {
			e.RequestContext.Authorizer = &authorizer{JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{
				Claims: map[string]string{"sub": "ada", "userArn": "arn:aws:iam::123456789012:user/ada"},
			}}
		}, "no_identity"},
		{"an authorizer of Lambda's", func(e *event) {
			e.RequestContext.Authorizer = &authorizer{Lambda: map[string]any{"userArn": "arn:aws:iam::123456789012:user/ada"}}
		}, "no_identity"},
		{"another API", func(e *event) { e.RequestContext.APIID = "z9y8x7w6v5" }, "another_api"},
		{"no API", func(e *event) { e.RequestContext.APIID = "" }, "another_api"},
		{"an API whose name begins like ours", func(e *event) { e.RequestContext.APIID += "0" }, "another_api"},
		{"a function URL for everyone", func(e *event) {
			e.RouteKey, e.RequestContext.RouteKey = "$default", "$default"
			e.RequestContext.APIID, e.RequestContext.DomainPrefix = url, url
			e.RequestContext.DomainName = url + ".lambda-url.eu-central-1.on.aws"
			e.RequestContext.Authorizer = nil
		}, "no_identity"},
		{"a function URL with IAM", func(e *event) {
			e.RouteKey, e.RequestContext.RouteKey = "$default", "$default"
			e.RequestContext.APIID, e.RequestContext.DomainPrefix = url, url
			e.RequestContext.DomainName = url + ".lambda-url.eu-central-1.on.aws"
		}, "another_api"},
		{"what it says in its headers", func(e *event) {
			e.RequestContext.Authorizer = nil
			e.Headers["x-amzn-userarn"], e.Headers["userarn"] = "arn:aws:iam::123456789012:user/ada", "arn:aws:iam::123456789012:user/ada"
		}, "no_identity"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.register()
			w.log.Reset()
			w.store.requests.Store(0)
			_, e := w.sample("manage-issue-family")
			tt.change(&e)
			a := w.invoke(t.Context(), "manage", e)
			lines := w.lines()
			if tt.reason == "" {
				w.want(a, http.StatusCreated)
				if len(lines) != 1 || lines[0].Type != "sapi" || lines[0].Operation != "issue_family" || lines[0].By != e.RequestContext.Authorizer.IAM.UserARN {
					t.Errorf("on record is %+v", lines)
				}
				return
			}
			if a.StatusCode != http.StatusForbidden || a.Headers["Content-Type"] != "application/problem+json" || a.json["status"] != 403.0 ||
				a.text("type") != "about:blank" || a.text("title") != "Forbidden" || a.text("detail") == "" || a.Headers["Cache-Control"] != "no-store" {
				t.Errorf("the answer is %d %v %s", a.StatusCode, a.Headers, a.Body)
			}
			if len(lines) != 1 || lines[0].Msg != "caller refused" || lines[0].Level != "WARN" || lines[0].Reason != tt.reason ||
				lines[0].APIID != e.RequestContext.APIID || lines[0].RequestID != e.RequestContext.RequestID {
				t.Errorf("the log has %+v", lines)
			}
			if w.store.requests.Load() != 0 {
				t.Errorf("the store was asked %d times", w.store.requests.Load())
			}
		})
	}
}

// TestManageAsksForIAMEverywhere checks that every call requires IAM, including reads, unknown
// paths and other methods. The OpenAPI document has the refusal at each of its operations.
func TestManageAsksForIAMEverywhere(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	w.store.requests.Store(0)
	calls := 0
	for _, name := range httpNames(t) {
		function, e := w.sample(name)
		if function != "manage" {
			continue
		}
		e.RequestContext.Authorizer = nil
		for i, method := range []string{e.RequestContext.HTTP.Method, http.MethodHead, http.MethodOptions, "BREW"} {
			calls++
			e.RequestContext.HTTP.Method = method
			a := w.invoke(t.Context(), function, e)
			if a.StatusCode != http.StatusForbidden {
				t.Errorf("%s by %s: %d %s", name, method, a.StatusCode, a.Body)
			}
			if i == 0 {
				w.documented(e, a)
			}
		}
	}
	_, e := w.sample("manage-get-client")
	e.RequestContext.Authorizer = nil
	for _, path := range []string{"/v1", "/v1/nothing", "/", "", "/oauth/token", "//evil.example/v1/clients"} {
		calls++
		e.RawPath = path
		if a := w.invoke(t.Context(), "manage", e); a.StatusCode != http.StatusForbidden {
			t.Errorf("%q: %d %s", path, a.StatusCode, a.Body)
		}
	}
	for _, part := range openapitest.Load().Unseen() {
		if strings.Contains(part, " /v1/") && strings.HasSuffix(part, ": the answer 403") {
			t.Errorf("no sample was refused: %s", part)
		}
	}
	if calls < 60 || w.store.requests.Load() != 0 {
		t.Errorf("of %d calls the store was asked %d times", calls, w.store.requests.Load())
	}
}

// TestCallerRefusedShowsNoText checks that the log shows only an id of a foreign event.
func TestCallerRefusedShowsNoText(t *testing.T) {
	w := newWorld(t)
	_, e := w.sample("manage-get-client")
	e.RequestContext.Authorizer, e.RequestContext.APIID = nil, strings.Repeat("canary ", 20)
	w.want(w.invoke(t.Context(), "manage", e), http.StatusForbidden)
	if strings.Contains(w.log.String(), "canary") {
		t.Errorf("the log has %s", &w.log)
	}
}

// TestLocalCaller checks that the function can be run by SAM on a developer's machine, which
// has no IAM. The event is what SAM makes (aws-sam-cli's RequestContextV2).
func TestLocalCaller(t *testing.T) {
	w := newWorld(t)
	w.functions["manage"] = w.manage(gateway.Callers{APIID: sampleAPI, Local: "sam"})
	w.register()
	w.log.Reset()
	_, e := w.sample("manage-issue-family")
	e.RequestContext.Authorizer, e.RequestContext.APIID = nil, "1234567890"
	e.RequestContext.DomainName, e.RequestContext.DomainPrefix = "localhost", "localhost"
	w.want(w.invoke(t.Context(), "manage", e), http.StatusCreated)
	if lines := w.lines(); len(lines) != 1 || lines[0].By != "sam" {
		t.Errorf("on record is %+v", lines)
	}
	// Callers that come through a gateway are still checked.
	for _, change := range []func(*event){
		func(e *event) { e.RequestContext.APIID = "z9y8x7w6v5" },
		func(e *event) { e.RequestContext.Authorizer = &authorizer{} },
		func(e *event) { e.RequestContext.Authorizer = identity("") },
	} {
		_, e := w.sample("manage-issue-family")
		change(&e)
		w.want(w.invoke(t.Context(), "manage", e), http.StatusForbidden)
	}
}

// TestOthersAskForNoIAM checks that the public functions require no identity.
func TestOthersAskForNoIAM(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	for _, name := range []string{"token-refresh", "discovery-jwks", "revoke-token"} {
		function, e := w.sample(name)
		e.RequestContext.Authorizer, e.RequestContext.APIID = nil, "z9y8x7w6v5"
		w.want(w.invoke(t.Context(), function, e), http.StatusOK)
	}
}

// TestManageServesTheCallOfTheRoute checks that a caller cannot reach another call than the one that IAM has allowed,
// by a slash in an id: the gateway has decoded the path, but matched the route before.
func TestManageServesTheCallOfTheRoute(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	family, secret := w.values["FAMILY"], ""
	call := func(route, path string, parameters map[string]string) answer {
		_, e := w.sample("manage-get-client")
		e.RouteKey, e.RequestContext.RouteKey = route, route
		e.RawPath, e.PathParameters, e.Body = path, parameters, ""
		e.RequestContext.HTTP.Method, _, _ = strings.Cut(route, " ")
		return w.invoke(t.Context(), "manage", e)
	}
	added := w.want(call("POST /v1/clients/{client_id}/secrets", "/v1/clients/example-web/secrets", map[string]string{"client_id": "example-web"}), http.StatusCreated)
	secret = added.text("secret_id")

	// The ids have a slash, and the paths look like those of other calls.
	for _, c := range []struct {
		route, path string
		parameters  map[string]string
		says        string
	}{
		{"DELETE /v1/families/{family}", "/v1/families/x/../../clients/example-spa", map[string]string{"family": "x/../../clients/example-spa"}, "nothing at this path"},
		{"DELETE /v1/clients/{client_id}", "/v1/clients/example-web/secrets/" + secret, map[string]string{"client_id": "example-web/secrets/" + secret}, "client_id is"},
		{"DELETE /v1/clients/{client_id}", "/v1/clients/example-web/secrets/" + secret, map[string]string{"client_id": "example-web%2Fsecrets%2F" + secret}, "client_id is"},
		{"GET /v1/clients/{client_id}", "/v1/clients/example-web/secrets", map[string]string{"client_id": "example-web/secrets"}, "client_id is"},
		// These are no events of the gateway.
		{"DELETE /v1/clients/{client_id}", "/v1/clients/example-web/secrets/" + secret, map[string]string{"client_id": "example-web"}, "not that of the gateway"},
		{"DELETE /v1/families/{family}", "/v1/clients/example-web", map[string]string{"family": "example-web"}, "not that of the gateway"},
		{"GET /v1/clients/{client_id}", "/v1/clients/example-web", nil, "not that of the gateway"},
		{"GET /v1/clients/{client_id}", "/v1/clients/%zz", map[string]string{"client_id": "%zz"}, "malformed"},
		{"GET /v1/clients/{client_id}", "/v1/clients/", map[string]string{"client_id": ""}, "not that of the gateway"},
	} {
		if a := call(c.route, c.path, c.parameters); a.StatusCode/100 != 4 || !strings.Contains(a.Body, c.says) {
			t.Errorf("%s for %s: %d %s, not %q", c.path, c.route, a.StatusCode, a.Body, c.says)
		}
	}
	_, e := w.sample("manage-get-client")
	e.RequestContext.HTTP.Method = http.MethodDelete
	w.want(w.invoke(t.Context(), "manage", e), http.StatusBadRequest)

	// An id with characters that are escaped in URLs reaches the endpoint, which refuses it.
	if a := call("GET /v1/families/{family}", "/v1/families/a b", map[string]string{"family": "a b"}); !strings.Contains(a.Body, "family must be a family id") {
		t.Errorf("an id with a space: %d %s", a.StatusCode, a.Body)
	}
	// Nothing is gone.
	w.want(call("DELETE /v1/clients/{client_id}/secrets/{secret_id}", "/v1/clients/example-web/secrets/"+secret, map[string]string{"client_id": "example-web", "secret_id": secret}), http.StatusNoContent)
	w.want(call("GET /v1/families/{family}", "/v1/families/"+family, map[string]string{"family": family}), http.StatusOK)
	w.want(call("GET /v1/clients/{client_id}", "/v1/clients/example-spa", map[string]string{"client_id": "example-spa"}), http.StatusOK)
	// A gateway of an earlier version has one route for all calls.
	_, e = w.sample("manage-get-client")
	e.RouteKey, e.PathParameters = "ANY /v1/{proxy+}", map[string]string{"proxy": "clients/example-spa"}
	w.want(w.invoke(t.Context(), "manage", e), http.StatusOK)
}
