//go:build linux && rie

// Package rie_test runs the functions' built programs as Lambda does: each from its zip, in an
// environment with nothing else in it, under the runtime interface emulator that `sam local`
// uses. They are invoked with the events that API Gateway and the scheduler send. They share a
// table in DynamoDB Local and the machine's clock. run.sh sets all this up.
package rie_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/version"
)

// TestSamples checks that each sample event is answered by the function that it is named
// after.
func TestSamples(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	files, err := filepath.Glob(filepath.Join(root, "events", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	const last = "manage-delete-client" // it deletes the client that others ask for
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if function, _, _ := strings.Cut(name, "-"); function == "sweep" || function == "keys" {
			continue // these have tests of their own
		}
		if name != last {
			names = append(names, name)
		}
	}
	if names = append(names, last); len(names) < 30 {
		t.Errorf("only %d events were found", len(names))
	}
	for _, name := range names {
		a := w.play(name)
		if a.Status == 0 || a.Status >= http.StatusInternalServerError || a.Status == http.StatusNotFound && name != "discovery-no-route" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}

// TestLife checks the life of a family: it is issued, refreshed in each form, introspected,
// explained and revoked. Its access token verifies with nothing else than what discovery
// publishes.
func TestLife(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.withoutInterval()
	issued := w.login("manage-issue-family")
	first := issued.text("refresh_token")
	var last answer
	for _, name := range []string{"token-refresh", "token-refresh-base64", "token-refresh-json"} {
		last = w.want(w.play(name), http.StatusOK)
		if next := last.text("refresh_token"); next == "" || next == w.values["REFRESH_TOKEN"] {
			t.Errorf("%s: the refresh token is not a new one", name)
		}
		w.values["REFRESH_TOKEN"] = last.text("refresh_token")
	}
	if last.Headers["Cache-Control"] != "no-store" || last.Headers["Access-Control-Allow-Origin"] != "https://app.example.com" {
		t.Errorf("the headers are %v", last.Headers)
	}
	if f := w.want(w.play("manage-get-family"), http.StatusOK); f.text("status") != "active" || f.json["counter"] != 4.0 || f.text("last_ip") != "203.0.113.24" {
		t.Errorf("after three refreshes the family is %s", f.Body)
	}

	w.wantText(w.want(w.play("discovery-oauth-metadata"), http.StatusOK), "issuer", issuer)
	w.wantText(w.want(w.play("discovery-openid-metadata"), http.StatusOK), "jwks_uri", issuer+"/.well-known/jwks.json")
	w.want(w.play("discovery-no-route"), http.StatusNotFound)
	jwks := w.want(w.play("discovery-jwks"), http.StatusOK).Body
	claims := verify(t, jwks, last.text("access_token"), "at+jwt")
	if claims["iss"] != issuer || claims["sub"] != "user|1234" || claims["aud"] != "https://orders.example.com" ||
		claims["client_id"] != "example-spa" || claims["sid"] == nil {
		t.Errorf("the access token says %v", claims)
	}
	if until, _ := claims["exp"].(float64); time.Until(time.Unix(int64(until), 0)).Round(time.Minute) != time.Hour {
		t.Errorf("the access token ends at %v", claims["exp"])
	}
	if claims := verify(t, jwks, last.text("id_token"), "JWT"); claims["iss"] != issuer || claims["sub"] != "user|1234" || claims["aud"] != "example-spa" {
		t.Errorf("the id token says %v", claims)
	}

	w.values["REFRESH_TOKEN"] = last.text("access_token") // example-web may introspect it, though it is another client's
	if a := w.want(w.play("introspect-token"), http.StatusOK); a.json["active"] != true || a.text("sub") != "user|1234" {
		t.Errorf("the access token is introspected as %s", a.Body)
	}
	w.values["REFRESH_TOKEN"] = last.text("refresh_token")
	w.wantText(w.want(w.play("manage-explain-token"), http.StatusOK), "verdict", "valid")

	w.values["REFRESH_TOKEN"] = first // a superseded token revokes its family as well
	w.want(w.play("revoke-token"), http.StatusOK)
	w.values["REFRESH_TOKEN"] = last.text("refresh_token")
	w.wantText(w.want(w.play("token-refresh"), http.StatusBadRequest), "error", "invalid_grant")
	explained := w.want(w.play("manage-explain-token"), http.StatusOK)
	w.wantText(explained, "verdict", "dead")
	w.wantText(explained, "cause", "revoked_by_client")
	w.values["REFRESH_TOKEN"] = last.text("access_token")
	if a := w.want(w.play("introspect-token"), http.StatusOK); a.json["active"] != false || len(a.json) != 1 {
		t.Errorf("after the revocation the access token is introspected as %s", a.Body)
	}

	// A confidential client introspects its own refresh token.
	w.login("manage-issue-confidential-family")
	w.values["REFRESH_TOKEN"] = w.want(w.play("token-refresh-confidential"), http.StatusOK).text("refresh_token")
	if a := w.want(w.play("introspect-token"), http.StatusOK); a.json["active"] != true {
		t.Errorf("the refresh token is introspected as %s", a.Body)
	}
	w.values["CLIENT_SECRET"] = "wrong"
	if a := w.want(w.play("token-refresh-confidential"), http.StatusUnauthorized); a.Headers["Www-Authenticate"] == "" {
		t.Errorf("the refusal's headers are %v", a.Headers)
	}
	w.wantLogged(`"type":"sertft"`, `"type":"srrt"`, `"type":"fertft"`, `"function_request_id":"`, `"service":"rotor","version":"`+version.Number+`"`)
}

// wantLogged fails the test for each text that no instance has printed.
func (w *world) wantLogged(texts ...string) {
	w.t.Helper()
	logged := w.logged()
	for _, text := range texts {
		if !strings.Contains(logged, text) {
			w.t.Errorf("%s is not in the log:\n%s", text, logged)
		}
	}
}

// verify returns the claims of a token after checking its signature with a key of the set.
func verify(t *testing.T, jwks, token, typ string) map[string]any {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(jwks), &set); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	header := signed.Signatures[0].Protected
	keys := set.Key(header.KeyID)
	if len(keys) != 1 || header.ExtraHeaders[jose.HeaderType] != typ {
		t.Fatalf("the token's header is %+v, its key %d of the set's %d", header, len(keys), len(set.Keys))
	}
	payload, err := signed.Verify(keys[0])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// together sends the event to all instances at the same time and returns their answers.
func (w *world) together(instances []*instance, e event) []answer {
	w.t.Helper()
	answers := make([]answer, len(instances))
	begin := make(chan struct{})
	var all sync.WaitGroup
	for n, i := range instances {
		all.Go(func() {
			<-begin
			answers[n] = w.send(i, e)
		})
	}
	close(begin)
	all.Wait()
	return answers
}

// several starts new instances of the token function.
func (w *world) several() []*instance {
	w.t.Helper()
	var instances []*instance
	for range 8 {
		instances = append(instances, w.fresh("token"))
	}
	return instances
}

// TestFreeAddress checks that no address is returned twice, as emulators are started side by
// side. Among 1,000 random addresses there would be duplicates.
func TestFreeAddress(t *testing.T) {
	given := map[string]bool{}
	for range 1000 {
		address := freeAddress(t)
		if given[address] {
			t.Fatalf("%s is given out twice", address)
		}
		given[address] = true
	}
}

// withoutInterval gives the sample events' public client a reuse interval of 0, as the
// functions' clock is the machine's and cannot be moved.
func (w *world) withoutInterval() {
	w.t.Helper()
	function, e := w.sample("manage-put-client")
	body := map[string]any{}
	text, _ := e["body"].(string)
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		w.t.Fatal(err)
	}
	body["policy"] = map[string]int{"reuse_interval": 0}
	changed, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	e["body"] = string(changed)
	w.want(w.send(w.instance(function), e), http.StatusOK)
}

// TestRace checks that many widgets on one page get the same successor from all environments
// that Lambda starts for them, whether just started or warm. The token works again inside the
// interval.
func TestRace(t *testing.T) {
	w := newWorld(t)
	w.register()
	instances := w.several()
	for round := range 5 {
		w.login("manage-issue-family") // the family of the round before is held
		function, e := w.sample("token-refresh")
		answers := w.together(instances, e)
		successor := answers[0].text("refresh_token")
		if successor == "" || successor == w.values["REFRESH_TOKEN"] {
			t.Fatalf("round %d: %s answers %d %s", round, function, answers[0].Status, answers[0].Body)
		}
		for _, a := range answers {
			if a.Status != http.StatusOK || a.text("refresh_token") != successor || a.text("access_token") == "" {
				t.Errorf("round %d: not the same successor: %d %s", round, a.Status, a.Body)
			}
		}
		w.values["REFRESH_TOKEN"] = successor
		_, e = w.sample("token-refresh")
		for _, a := range w.together(instances, e) {
			if a.Status != http.StatusOK || a.text("refresh_token") != successor || a.text("access_token") == "" {
				t.Errorf("round %d: the successor is not held: %d %s", round, a.Status, a.Body)
			}
		}
		if f := w.want(w.play("manage-get-family"), http.StatusOK); f.json["counter"] != 2.0 {
			t.Errorf("round %d: the family is %s", round, f.Body)
		}
	}
}

// strict registers the sample events' public client without a reuse interval, and starts a
// family.
func (w *world) strict() {
	w.t.Helper()
	w.want(w.manage(http.MethodPut, "/v1/clients/example-spa", "", `{"type":"public","policy":{"reuse_interval":0}}`), http.StatusCreated)
	w.login("manage-issue-family")
}

// TestReplay checks that a token which is used again after the interval ends the family, and
// that explain says so.
func TestReplay(t *testing.T) {
	w := newWorld(t)
	w.strict()
	old := w.values["REFRESH_TOKEN"]
	successor := w.want(w.play("token-refresh"), http.StatusOK).text("refresh_token")
	w.wantText(w.want(w.play("token-refresh"), http.StatusBadRequest), "error", "invalid_grant")
	w.values["REFRESH_TOKEN"] = successor
	w.wantText(w.want(w.play("token-refresh"), http.StatusBadRequest), "error", "invalid_grant")

	for _, presented := range []string{old, successor} {
		w.values["REFRESH_TOKEN"] = presented
		explained := w.want(w.play("manage-explain-token"), http.StatusOK)
		w.wantText(explained, "verdict", "dead")
		w.wantText(explained, "cause", "reuse_detected")
		if explained.text("summary") == "" || explained.text("advice") == "" {
			t.Errorf("nothing is explained: %s", explained.Body)
		}
	}
	w.wantLogged(`"type":"ferrt"`, `"ReuseDetected":1`)
}

// TestStrictRace checks that without an interval exactly one caller succeeds, whichever
// environment it reaches.
func TestStrictRace(t *testing.T) {
	w := newWorld(t)
	w.strict()
	_, e := w.sample("token-refresh")
	won := 0
	for _, a := range w.together(w.several(), e) {
		switch {
		case a.Status == http.StatusOK:
			won++
		case a.Status != http.StatusBadRequest || a.text("error") != "invalid_grant":
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if won != 1 {
		t.Errorf("%d callers have won", won)
	}
	w.wantText(w.want(w.play("manage-get-family"), http.StatusOK), "cause", "reuse_detected")
	if n := strings.Count(w.logged(), `"type":"ferrt"`); n != 1 {
		t.Errorf("%d detections are in the log", n)
	}
}

// TestRevokeUser checks that after a changed password one call ends all families of the user.
func TestRevokeUser(t *testing.T) {
	w := newWorld(t)
	w.register()
	for range 3 {
		w.login("manage-issue-family")
	}
	w.login("manage-issue-confidential-family")
	if a := w.want(w.play("manage-revoke-user"), http.StatusOK); a.json["revoked"] != 4.0 || a.json["dry_run"] != true {
		t.Errorf("the dry run answers %s", a.Body)
	}
	w.want(w.play("token-refresh-confidential"), http.StatusOK)
	const query = "user_id=user%7C1234&cause=password_changed"
	if a := w.want(w.manage(http.MethodDelete, "/v1/families", query, ""), http.StatusOK); a.json["revoked"] != 4.0 || a.json["dry_run"] != nil {
		t.Errorf("the revocation answers %s", a.Body)
	}
	w.wantText(w.want(w.play("manage-get-family"), http.StatusOK), "cause", "password_changed")
	if a := w.want(w.manage(http.MethodDelete, "/v1/families", query, ""), http.StatusOK); a.json["revoked"] != 0.0 {
		t.Errorf("the second revocation answers %s", a.Body)
	}
	w.want(w.play("token-refresh-confidential"), http.StatusForbidden) // the status that its preset, atlassian, sets
	if n := strings.Count(w.logged(), `"type":"srrt"`); n != 1 {
		t.Errorf("%d revocations are in the log", n)
	}
}

// TestSweep checks that the scheduled event ends the oldest families of users who have too
// many.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	w.want(w.manage(http.MethodPut, "/v1/clients/example-spa", "", `{"type":"public","policy":{"max_active":2}}`), http.StatusCreated)
	var families []string
	for range 4 {
		families = append(families, w.login("manage-issue-family").text("family"))
	}
	_, schedule := w.sample("sweep-schedule")
	for run, want := range []string{`{"owners":1,"removed":2}`, `{"owners":0,"removed":0}`} {
		if got, err := w.raw("sweep", schedule); err != nil || got != want {
			t.Errorf("run %d answers %s, %v", run, got, err)
		}
	}
	for n, family := range families {
		w.values["FAMILY"] = family
		f := w.want(w.play("manage-get-family"), http.StatusOK)
		if n < 2 {
			w.wantText(f, "cause", "limit_exceeded")
		} else {
			w.wantText(f, "status", "active")
		}
	}
	w.wantLogged(`"type":"resource_cleanup"`, `"Removed":2`)
}

// raw invokes a function that does not answer the gateway, and returns its output.
func (w *world) raw(function string, e event) (string, error) {
	w.t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	out, err := w.instance(function).invoke(ctx, payload)
	return string(out), err
}

// TestForeignEvent checks that an event of another kind is an error of the invocation, and
// that the same program serves the next event.
func TestForeignEvent(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	_, schedule := w.sample("sweep-schedule")
	for _, function := range []string{"token", "revoke", "introspect", "discovery", "manage"} {
		out, err := w.raw(function, schedule)
		if failed := (*failure)(nil); !errors.As(err, &failed) || !strings.Contains(failed.Message, "not an event of an API Gateway HTTP API") {
			t.Errorf("%s answers %s, %v", function, out, err)
		}
	}
	for _, name := range []string{"token-refresh", "introspect-token", "discovery-jwks", "revoke-token"} { // the last one ends the family
		w.want(w.play(name), http.StatusOK)
		function, _, _ := strings.Cut(name, "-")
		if n := strings.Count(w.instance(function).logged(), "Init Duration"); n != 1 {
			t.Errorf("%s was started %d times", function, n)
		}
	}
}

// TestManageAsksForIAM checks that the built program rejects callers that IAM did not
// authorize at the API that its environment names.
func TestManageAsksForIAM(t *testing.T) {
	w := newWorld(t)
	w.register()
	for name, change := range map[string]func(context map[string]any){
		"no authorizer": func(context map[string]any) { delete(context, "authorizer") },
		"another API":   func(context map[string]any) { context["apiId"] = "z9y8x7w6v5" },
	} {
		function, e := w.sample("manage-issue-family")
		change(e["requestContext"].(map[string]any))
		if a := w.send(w.instance(function), e); a.Status != http.StatusForbidden || a.Headers["Content-Type"] != "application/problem+json" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	w.login("manage-issue-family")
	w.wantLogged(`"reason":"no_identity"`, `"reason":"another_api"`, `"operation":"issue_family"`, `"by":"arn:aws:sts::123456789012:assumed-role/login/login"`)
}

// TestSilentStore checks a store that does not answer. The client is answered before Lambda
// would end the invocation, and is not told that the token is dead.
func TestSilentStore(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only after this the server notices that the client has gone
		<-r.Context().Done()
	}))
	t.Cleanup(silent.Close)
	w.with("AWS_ENDPOINT_URL_DYNAMODB", silent.URL)
	w.with("AWS_LAMBDA_FUNCTION_TIMEOUT", "5")
	a := w.want(w.play("token-refresh"), http.StatusServiceUnavailable)
	if a.text("error") != "temporarily_unavailable" || a.Headers["Retry-After"] == "" {
		t.Errorf("the answer is %s with %v", a.Body, a.Headers)
	}
	w.play("discovery-jwks") // this needs no store
}

// TestMisconfigured checks that the program ends if its configuration is wrong, and that the
// log lists everything that is wrong.
func TestMisconfigured(t *testing.T) {
	w := newWorld(t)
	w.with("ROTOR_TABLE", "")
	w.with("ROTOR_ISSUER", "http://auth.example.com")
	_, e := w.sample("token-refresh")
	out, err := w.raw("token", e)
	if err == nil {
		t.Errorf("it answers %s", out)
	}
	w.wantLogged("ROTOR_TABLE is not set", `ROTOR_ISSUER is \"http://auth.example.com\"`)
}
