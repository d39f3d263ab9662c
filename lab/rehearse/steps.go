package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// login registers clients, starts families and refreshes, and asks for what has a route of its own.
func (d *deployment) login(ctx context.Context) (string, error) {
	put := map[string]any{"type": "public"}
	for who, key := range map[string]aws.Credentials{"unsigned": {}, "signed by a user without permission": d.stranger} {
		got, err := d.manageAs(ctx, key, http.MethodPut, "/v1/clients/demo", put)
		if err != nil {
			return "", err
		}
		if err := got.want(http.StatusForbidden); err != nil {
			return "", fmt.Errorf("%s: %w", who, err)
		}
	}
	if err := d.register(ctx); err != nil {
		return "", err
	}
	login, err := d.start(ctx, "demo", "user|1")
	if err != nil {
		return "", err
	}
	next, err := d.refreshed(ctx, "demo", login.text("refresh_token"))
	if err != nil {
		return "", err
	}
	if next.text("refresh_token") == login.text("refresh_token") {
		return "", errors.New("the refresh did not rotate")
	}
	if err := d.verify(ctx, next.text("access_token")); err != nil {
		return "", err
	}
	if err := d.introspected(ctx, next.text("access_token"), true); err != nil {
		return "", err
	}
	return "unsigned and not permitted: 403; the login starts a family, which is refreshed and introspected", d.routes(ctx)
}

// firstCommand runs the command that the stack's outputs name, as somebody who may call /v1.
func (r *rehearsal) firstCommand(ctx context.Context, d *deployment) (string, error) {
	env := []string{
		"AWS_ACCESS_KEY_ID=" + d.allowed.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + d.allowed.SecretAccessKey, "AWS_SESSION_TOKEN=",
		"CURL_CA_BUNDLE=" + r.emulator.certFile, "NO_PROXY=*", "no_proxy=*",
	}
	said, err := r.command(ctx, r.dir, env, "bash", "-c", d.outputs["FirstCommand"]+" --silent --show-error --write-out '%{http_code}'")
	if err != nil {
		return "", err
	}
	if !strings.HasSuffix(said, "201") || !strings.Contains(said, `"client_id":"demo-spa"`) {
		return "", fmt.Errorf("it answers %s", said)
	}
	return "curl has registered a client", nil
}

// register puts the clients of the rehearsal: demo, strict (every refresh rotates; two families at most), and backend,
// which has a secret and may introspect.
func (d *deployment) register(ctx context.Context) error {
	for client, body := range map[string]map[string]any{
		"demo":    {"type": "public"},
		"strict":  {"type": "public", "policy": map[string]any{"reuse_interval": 0, "max_active": 2}},
		"backend": {"type": "confidential", "may_introspect": true},
	} {
		if _, err := d.managed(ctx, http.StatusCreated, http.MethodPut, "/v1/clients/"+client, body); err != nil {
			return err
		}
	}
	added, err := d.managed(ctx, http.StatusCreated, http.MethodPost, "/v1/clients/backend/secrets", nil)
	d.secret = added.text("client_secret")
	return err
}

// policies makes calls as a user of each managed policy: those that the policy allows, and those that it does not.
func (d *deployment) policies(ctx context.Context) (string, error) {
	family := map[string]any{"user_id": "guest", "client_id": "demo"}
	for _, who := range []struct {
		output             string
		login, show, admin int // the status of a login, of a list of families, and of a change of a client
	}{
		{"LoginPolicyArn", http.StatusCreated, http.StatusForbidden, http.StatusForbidden},
		{"SupportPolicyArn", http.StatusForbidden, http.StatusOK, http.StatusForbidden},
		{"AdminPolicyArn", http.StatusCreated, http.StatusOK, http.StatusOK},
	} {
		policy := d.outputs[who.output]
		if policy == "" {
			return "", fmt.Errorf("the stack has no output %s", who.output)
		}
		name := who.output + rand.Text()
		key, err := d.aws.user(ctx, name, policy)
		if err != nil {
			return "", err
		}
		for _, call := range []struct {
			status       int
			method, path string
			body         any
		}{
			{who.login, http.MethodPost, "/v1/families", family},
			{who.show, http.MethodGet, "/v1/families?user_id=guest", nil},
			{who.admin, http.MethodPut, "/v1/clients/demo", map[string]any{"type": "public"}},
		} {
			got, err := d.manageAs(ctx, key, call.method, call.path, call.body)
			if err == nil {
				err = got.want(call.status)
			}
			if err != nil {
				return "", fmt.Errorf("%s: %s %s: %w", who.output, call.method, call.path, err)
			}
		}
		// IAM deletes no policy that is attached, and then the stack could not be deleted.
		if err := d.aws.iam(ctx, "DetachUserPolicy", map[string]string{"UserName": name, "PolicyArn": policy}, nil); err != nil {
			return "", err
		}
	}
	return "login, support and admin may do what they are for", nil
}

// introspected returns an error unless the token is introspected as active, or as not.
func (d *deployment) introspected(ctx context.Context, token string, active bool) error {
	got, err := d.public(ctx, "/oauth/introspect", url.Values{"token": {token}})
	if err == nil {
		err = got.want(http.StatusOK)
	}
	if err == nil && got.json["active"] != active {
		err = fmt.Errorf("it is not %t: %s", active, got.body)
	}
	if err != nil {
		return fmt.Errorf("introspect: %w", err)
	}
	return nil
}

// routes asks for what the other steps do not: health, metadata, and a path without a route.
func (d *deployment) routes(ctx context.Context) error {
	health, err := d.public(ctx, "/healthz", nil)
	if err != nil {
		return err
	}
	if health.status != http.StatusOK || health.text("status") != "ok" {
		return fmt.Errorf("the health is %d %s", health.status, health.body)
	}
	metadata, err := d.public(ctx, "/.well-known/oauth-authorization-server", nil)
	if err != nil {
		return err
	}
	if metadata.status != http.StatusOK || metadata.text("issuer") != d.outputs["Issuer"] {
		return fmt.Errorf("the metadata is %d %s", metadata.status, metadata.body)
	}
	nothing, err := d.public(ctx, "/no/such/path", nil)
	if err != nil {
		return err
	}
	if nothing.status != http.StatusNotFound || nothing.text("error") != "not_found" {
		return fmt.Errorf("a path without a route is answered with %d %s", nothing.status, nothing.body)
	}
	return nil
}

// race refreshes with one token fifty times at once: there must be one successor.
func (d *deployment) race(ctx context.Context) (string, error) {
	const racers = 50
	login, err := d.start(ctx, "demo", "racer")
	if err != nil {
		return "", err
	}
	successors, errs := make([]string, racers), make([]error, racers)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for n := range racers {
		all.Go(func() {
			<-begin
			var got answer
			got, errs[n] = d.refreshed(ctx, "demo", login.text("refresh_token"))
			successors[n] = got.text("refresh_token")
		})
	}
	close(begin)
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	different := map[string]bool{}
	for _, s := range successors {
		different[s] = true
	}
	if len(different) != 1 || different[login.text("refresh_token")] {
		return "", fmt.Errorf("%d racers have %d successors", racers, len(different))
	}
	return "one successor", nil
}

// replay presents a superseded token, which ends its family, and has both tokens explained.
func (d *deployment) replay(ctx context.Context) (string, error) {
	login, err := d.start(ctx, "strict", "victim")
	if err != nil {
		return "", err
	}
	next, err := d.refreshed(ctx, "strict", login.text("refresh_token"))
	if err != nil {
		return "", err
	}
	for _, token := range []string{login.text("refresh_token"), next.text("refresh_token")} {
		if err := d.dead(ctx, "strict", token, "reuse_detected"); err != nil {
			return "", err
		}
	}
	events, err := d.managed(ctx, http.StatusOK, http.MethodGet, "/v1/events?type=ferrt", nil)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(events.body), `"ferrt"`); n != 1 {
		return "", fmt.Errorf("%d events of reuse are stored, not one: %s", n, events.body)
	}
	return "both tokens are dead, one event", nil
}

// revocation ends a family by its client, and the families of a user by an operator.
func (d *deployment) revocation(ctx context.Context) (string, error) {
	first, err := d.start(ctx, "backend", "leaver")
	if err != nil {
		return "", err
	}
	second, err := d.start(ctx, "demo", "leaver")
	if err != nil {
		return "", err
	}
	revoked, err := d.public(ctx, "/oauth/revoke", url.Values{"token": {first.text("refresh_token")}})
	if err == nil {
		err = revoked.want(http.StatusOK)
	}
	if err != nil {
		return "", fmt.Errorf("revoke: %w", err)
	}
	if err := d.introspected(ctx, first.text("access_token"), false); err != nil {
		return "", err
	}
	if err := d.dead(ctx, "backend", first.text("refresh_token"), "revoked_by_client"); err != nil {
		return "", err
	}
	all, err := d.managed(ctx, http.StatusOK, http.MethodDelete, "/v1/families?user_id=leaver&cause=password_changed", nil)
	if err != nil {
		return "", err
	}
	if all.json["revoked"] != 1.0 {
		return "", fmt.Errorf("not one family is revoked: %s", all.body)
	}
	return "by the client, and by user", d.dead(ctx, "demo", second.text("refresh_token"), "password_changed")
}

// sweep starts more families than a client allows, and has the emulator's scheduler invoke the schedule's target: by
// another schedule with the same target, which is due at once.
func (d *deployment) sweep(ctx context.Context) (string, error) {
	var logins []answer
	for range 4 {
		login, err := d.start(ctx, "strict", "collector")
		if err != nil {
			return "", err
		}
		logins = append(logins, login)
	}
	schedules := d.assembly.all("AWS::Scheduler::Schedule")
	if len(schedules) != 1 {
		return "", fmt.Errorf("the template has %d schedules, not one", len(schedules))
	}
	var schedule map[string]any
	path := "/schedules/" + url.PathEscape(lastPart(d.physical[schedules[0].id]))
	if err := d.aws.call(ctx, "scheduler", http.MethodGet, path, nil, nil, &schedule); err != nil {
		return "", err
	}
	target, _ := schedule["Target"].(map[string]any)
	function, _ := target["Arn"].(string)
	role, _ := target["RoleArn"].(string)
	if schedule["State"] != "ENABLED" || schedule["ScheduleExpression"] != "rate(5 minutes)" {
		return "", fmt.Errorf("the schedule is %v", schedule)
	}
	if err := d.mayInvoke(ctx, role, function); err != nil {
		return "", err
	}
	err := d.aws.call(ctx, "scheduler", http.MethodPost, "/schedules/rehearsal", nil, map[string]any{
		"ScheduleExpression": time.Now().UTC().Format("at(2006-01-02T15:04:05)"), "Target": target,
		"FlexibleTimeWindow": map[string]any{"Mode": "OFF"}, "ActionAfterCompletion": "DELETE",
	}, nil)
	if err != nil {
		return "", err
	}
	// The sweep ends the families that were used least recently.
	err = eventually(ctx, func() (bool, error) {
		for _, login := range logins[:2] {
			got, err := d.managed(ctx, http.StatusOK, http.MethodGet, "/v1/families/"+login.text("family"), nil)
			if err != nil || got.text("cause") != "limit_exceeded" {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return "", fmt.Errorf("the oldest two of four families do not end: %w", err)
	}
	for _, login := range logins[2:] {
		if _, err := d.refreshed(ctx, "strict", login.text("refresh_token")); err != nil {
			return "", err
		}
	}
	return "two of four families are left", nil
}

// mayInvoke returns an error unless a role allows to invoke a function, as the emulator's IAM evaluates it.
func (d *deployment) mayInvoke(ctx context.Context, role, function string) error {
	var out struct {
		Decision string `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member>EvalDecision"`
	}
	err := d.aws.iam(ctx, "SimulatePrincipalPolicy", map[string]string{
		"PolicySourceArn": role, "ActionNames.member.1": "lambda:InvokeFunction", "ResourceArns.member.1": function,
	}, &out)
	if err != nil {
		return err
	}
	if out.Decision != "allowed" {
		return fmt.Errorf("%s may not invoke %s: %s", role, function, out.Decision)
	}
	return nil
}
