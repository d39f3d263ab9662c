package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// settings returns an error unless the log groups and the stage of the API have these settings.
func (d *deployment) settings(ctx context.Context, retentionDays int, rate float64) error {
	groups, err := d.allLogGroups(ctx)
	if err != nil {
		return err
	}
	for name, days := range groups {
		if days != retentionDays {
			return fmt.Errorf("log group %s keeps its lines for %d days, not %d", name, days, retentionDays)
		}
	}
	var stage struct {
		Default struct {
			Rate float64 `json:"throttlingRateLimit"`
		} `json:"defaultRouteSettings"`
	}
	api := strings.SplitN(strings.TrimPrefix(d.url, "https://"), ".", 2)[0]
	if err := d.aws.call(ctx, "apigateway", http.MethodGet, "/v2/apis/"+api+"/stages/"+url.PathEscape("$default"), nil, nil, &stage); err != nil {
		return err
	}
	if stage.Default.Rate != rate {
		return fmt.Errorf("the stage takes %v requests a second, not %v", stage.Default.Rate, rate)
	}
	return nil
}

// sameService returns an error unless two deployments have the same address, table and secret.
func sameService(before, after *deployment) error {
	for _, name := range []string{"Url", "Issuer", "TableName", "KeysSecret", "ManageArn"} {
		if before.outputs[name] != after.outputs[name] {
			return fmt.Errorf("%s was %s before and is %s now: what callers or tokens depend on was replaced", name, before.outputs[name], after.outputs[name])
		}
	}
	return nil
}

// logGroups returns the stack's log groups that are there, with the number of days for which each keeps its lines.
func (d *deployment) logGroups(ctx context.Context) (map[string]int, error) {
	found := map[string]int{}
	for _, g := range d.assembly.all("AWS::Logs::LogGroup") {
		name := d.physical[g.id]
		var out struct {
			LogGroups []struct {
				LogGroupName    string
				RetentionInDays int
			}
		}
		if err := d.aws.targeted(ctx, "logs", "Logs_20140328.DescribeLogGroups", map[string]any{"logGroupNamePrefix": name}, &out); err != nil {
			return nil, err
		}
		for _, l := range out.LogGroups {
			if l.LogGroupName == name {
				found[name] = l.RetentionInDays
			}
		}
	}
	return found, nil
}

// allLogGroups returns what logGroups does. One that is not there is an error.
func (d *deployment) allLogGroups(ctx context.Context) (map[string]int, error) {
	found, err := d.logGroups(ctx)
	if err != nil {
		return nil, err
	}
	if want := len(d.assembly.all("AWS::Logs::LogGroup")); want == 0 || len(found) != want {
		return nil, fmt.Errorf("of %d log groups there are %v", want, slices.Sorted(maps.Keys(found)))
	}
	return found, nil
}

// retained are the types of which docs/deploy.md says that they stay when the stack is deleted.
var retained = []string{"AWS::DynamoDB::GlobalTable", "AWS::Logs::LogGroup", "AWS::SecretsManager::Secret"}

// destroy deletes the stack by the CLI, and looks at what is left: table, secrets and logs, and nothing else.
func (r *rehearsal) destroy(ctx context.Context, d *deployment) (string, error) {
	for id, value := range d.assembly.resources() {
		resource, _ := value.(map[string]any)
		kind, _ := resource["Type"].(string)
		if stays := resource["DeletionPolicy"] == "Retain"; stays != slices.Contains(retained, kind) {
			return "", fmt.Errorf("%s (%s): it stays when the stack is deleted: %t", id, kind, stays)
		}
	}
	if err := r.cdk(ctx, r.dir, "destroy", "--force", "--app", r.this.dir); err != nil {
		return "", err
	}
	table := map[string]any{"TableName": d.outputs["TableName"]}
	if err := r.aws.targeted(ctx, "dynamodb", "DynamoDB_20120810.DescribeTable", table, nil); err != nil {
		return "", fmt.Errorf("the table is gone: %w", err)
	}
	for _, output := range []string{"KeysSecret", "SigningKeysSecret"} {
		secret, err := d.describeSecret(ctx, d.outputs[output])
		if err != nil {
			return "", fmt.Errorf("%s is gone: %w", output, err)
		}
		if secret.DeletedDate != nil {
			return "", fmt.Errorf("%s is deleted at %v", output, secret.DeletedDate)
		}
	}
	groups, err := d.allLogGroups(ctx)
	if err != nil {
		return "", err
	}
	if err := d.gone(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("the table, the secrets and %d log groups stay; functions and API are gone", len(groups)), nil
}

// gone returns an error if a function or the API is still there.
func (d *deployment) gone(ctx context.Context) error {
	for _, f := range d.assembly.all("AWS::Lambda::Function") {
		path := "/2015-03-31/functions/" + url.PathEscape(d.physical[f.id])
		if err := d.aws.call(ctx, "lambda", http.MethodGet, path, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "404") {
			return fmt.Errorf("function %s is not gone: %w", d.physical[f.id], err)
		}
	}
	var api struct{ Items []any }
	if err := d.aws.call(ctx, "apigateway", http.MethodGet, "/v2/apis", nil, nil, &api); err != nil {
		return err
	}
	if len(api.Items) != 0 {
		return fmt.Errorf("the API is not gone: %v", api.Items)
	}
	return nil
}

// destroyPreview deletes the stack that was deployed with retain=false: nothing is left.
func (r *rehearsal) destroyPreview(ctx context.Context, d *deployment) (string, error) {
	if err := r.cdk(ctx, r.dir, "destroy", "--force", "--app", r.preview.dir); err != nil {
		return "", err
	}
	if err := d.gone(ctx); err != nil {
		return "", err
	}
	table := map[string]any{"TableName": d.outputs["TableName"]}
	err := r.aws.targeted(ctx, "dynamodb", "DynamoDB_20120810.DescribeTable", table, nil)
	if err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		return "", fmt.Errorf("the table is not gone: %w", err)
	}
	for _, output := range []string{"KeysSecret", "SigningKeysSecret"} {
		secret, err := d.describeSecret(ctx, d.outputs[output])
		if missing := err != nil && strings.Contains(err.Error(), "ResourceNotFoundException"); !missing && secret.DeletedDate == nil {
			return "", fmt.Errorf("%s is not gone: %w", output, err)
		}
	}
	groups, err := d.logGroups(ctx)
	if err == nil && len(groups) > 0 {
		err = fmt.Errorf("log groups are left: %v", slices.Sorted(maps.Keys(groups)))
	}
	return "nothing is left", err
}

// session is a family that began before the upgrade.
type session struct {
	client        string
	first, newest answer // of the login, and of the last refresh
}

// upgrade deploys the earlier version, begins sessions there, and deploys this tree over it, with other
// settings: all tokens still work. It returns the upgraded deployment.
// The emulator gives the names of the deleted stack again, and what has them is then new and empty.
func (r *rehearsal) upgrade(ctx context.Context) (after *deployment, err error) {
	var before *deployment
	var sessions []session
	err = r.step(ctx, "deploy the earlier version", func(ctx context.Context) (said string, err error) {
		if before, err = r.deploy(ctx, r.before); err != nil {
			return "", err
		}
		if err := before.settings(ctx, 30, 500); err != nil {
			return "", err
		}
		if err := before.rotate(ctx); err != nil {
			return "", err
		}
		if err := before.register(ctx); err != nil {
			return "", err
		}
		sessions, err = before.sessions(ctx)
		return fmt.Sprintf("%s, with %d sessions", r.from, len(sessions)), err
	})
	if err != nil {
		return nil, err
	}
	err = r.step(ctx, "upgrade to this tree, and change settings", func(ctx context.Context) (said string, err error) {
		if after, err = r.deploy(ctx, r.this); err != nil {
			return "", err
		}
		if err := after.settings(ctx, 90, 1000); err != nil {
			return "", err
		}
		after.secret = before.secret
		return "the same address, table and secret, and the changed settings", sameService(before, after)
	})
	if err != nil {
		return nil, err
	}
	return after, r.step(ctx, "tokens of the earlier version", func(ctx context.Context) (string, error) {
		// Half of them while the signing keys are still in the earlier version's secret, and half when they have their own.
		for n, s := range sessions[:len(sessions)/2] {
			if err := after.goesOn(ctx, s); err != nil {
				return "", fmt.Errorf("session %d: %w", n, err)
			}
		}
		before, err := after.jwks(ctx)
		if err != nil {
			return "", err
		}
		if err := after.rotate(ctx); err != nil {
			return "", err
		}
		for n, s := range sessions[len(sessions)/2:] {
			if err := after.goesOn(ctx, s); err != nil {
				return "", fmt.Errorf("session %d, after the rotation: %w", n+len(sessions)/2, err)
			}
		}
		return fmt.Sprintf("%d sessions go on, with %d keys published; the keys rotate", len(sessions), len(before.Keys)), nil
	})
}

// sessions begins sessions of each client, half of which have been refreshed.
func (d *deployment) sessions(ctx context.Context) ([]session, error) {
	var all []session
	for _, client := range []string{"demo", "strict", "backend"} {
		for n := range 4 {
			login, err := d.start(ctx, client, fmt.Sprintf("%s-%d", client, n/2)) // two families of each user
			if err != nil {
				return nil, err
			}
			s := session{client: client, first: login, newest: login}
			if n%2 == 1 {
				if s.newest, err = d.refreshed(ctx, client, login.text("refresh_token")); err != nil {
					return nil, err
				}
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// goesOn returns an error unless the tokens of a session still work: the access token is active and verifies, the
// refresh token is accepted, and so is the one before it inside the interval.
func (d *deployment) goesOn(ctx context.Context, s session) error {
	if err := d.verify(ctx, s.newest.text("access_token")); err != nil {
		return err
	}
	if err := d.introspected(ctx, s.newest.text("access_token"), true); err != nil {
		return err
	}
	next, err := d.refreshed(ctx, s.client, s.newest.text("refresh_token"))
	if err != nil {
		return err
	}
	if s.client == "strict" {
		_, err = d.refreshed(ctx, s.client, next.text("refresh_token"))
		return err
	}
	held, err := d.refreshed(ctx, s.client, s.first.text("refresh_token"))
	if err == nil && held.text("refresh_token") != next.text("refresh_token") {
		err = errors.New("the superseded token has another successor")
	}
	return err
}
