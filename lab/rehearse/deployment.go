package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// deployment is a deployed stack, and those who call it.
type deployment struct {
	aws      *account
	assembly *assembly
	outputs  map[string]string
	physical map[string]string // by logical id
	url      string

	allowed  aws.Credentials // an IAM user that may call what the output ManageArn says
	stranger aws.Credentials // one that may call nothing

	secret string // of the client backend
}

// connect reads what was deployed, and makes the users that call it.
func connect(ctx context.Context, a *account, built *assembly, outputs map[string]string) (*deployment, error) {
	d := &deployment{aws: a, assembly: built, outputs: outputs, physical: map[string]string{}, url: outputs["Url"]}
	for _, name := range []string{"Url", "Issuer", "TableName", "KeysSecret", "ManageArn"} {
		if outputs[name] == "" {
			return nil, fmt.Errorf("the stack has no output %s: %v", name, outputs)
		}
	}
	resources, err := a.resources(ctx, built.stack)
	if err != nil {
		return nil, err
	}
	for _, r := range resources {
		d.physical[r.LogicalID] = r.PhysicalID
		if r.Type == "AWS::SecretsManager::Secret" && strings.HasPrefix(r.PhysicalID, "arn:") {
			return nil, errors.New("the emulator refers to secrets by their ARN by now: remove referByARN")
		}
	}
	if len(resources) != built.deployed {
		return nil, fmt.Errorf("the stack has %d resources, and the template %d", len(resources), built.deployed)
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{
		map[string]any{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": outputs["ManageArn"]},
	}})
	if err != nil {
		return nil, err
	}
	if d.allowed, err = a.user(ctx, "login-"+rand.Text(), string(policy)); err != nil {
		return nil, err
	}
	d.stranger, err = a.user(ctx, "stranger-"+rand.Text(), "")
	return d, err
}

// manage calls /v1, signed by the user who may. A body that is nil is none.
func (d *deployment) manage(ctx context.Context, method, path string, body any) (answer, error) {
	return d.manageAs(ctx, d.allowed, method, path, body)
}

// manageAs calls /v1, signed with a key, or unsigned without one.
func (d *deployment) manageAs(ctx context.Context, key aws.Credentials, method, path string, body any) (answer, error) {
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, nil)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	service := "execute-api"
	if key.AccessKeyID == "" {
		service = ""
	}
	got, err := d.aws.send(r, encoded, service, key)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return got, nil
}

// managed calls /v1 and returns an error unless the answer has the status.
func (d *deployment) managed(ctx context.Context, status int, method, path string, body any) (answer, error) {
	got, err := d.manage(ctx, method, path, body)
	if err != nil {
		return answer{}, err
	}
	if err := got.want(status); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return got, nil
}

// public makes an unsigned request. With a form it is a POST, as the client backend if the form has no client_id.
func (d *deployment) public(ctx context.Context, path string, form url.Values) (answer, error) {
	method, body := http.MethodGet, []byte(nil)
	if form != nil {
		method, body = http.MethodPost, []byte(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, nil)
	if err != nil {
		return answer{}, err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if !form.Has("client_id") {
			r.SetBasicAuth("backend", d.secret)
		}
	}
	got, err := d.aws.send(r, body, "", aws.Credentials{})
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return got, nil
}

// start starts a family and returns the answer of its login.
func (d *deployment) start(ctx context.Context, client, user string) (answer, error) {
	return d.managed(ctx, http.StatusCreated, http.MethodPost, "/v1/families",
		map[string]any{"user_id": user, "client_id": client, "scope": "openid orders"})
}

// refresh presents a refresh token of a public client, or of backend.
func (d *deployment) refresh(ctx context.Context, client, token string) (answer, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if client != "backend" {
		form.Set("client_id", client)
	}
	return d.public(ctx, "/oauth/token", form)
}

// refreshed refreshes and returns the successor. Any answer but a 200 with a refresh token is an error.
func (d *deployment) refreshed(ctx context.Context, client, token string) (answer, error) {
	got, err := d.refresh(ctx, client, token)
	if err == nil {
		err = got.want(http.StatusOK)
	}
	if err == nil && (got.text("refresh_token") == "" || got.text("access_token") == "") {
		err = fmt.Errorf("the answer has not both tokens: %s", got.body)
	}
	if err != nil {
		return answer{}, fmt.Errorf("refresh as %s: %w", client, err)
	}
	return got, nil
}

// dead returns an error unless the token is refused, and explained by that cause.
func (d *deployment) dead(ctx context.Context, client, token, cause string) error {
	got, err := d.refresh(ctx, client, token)
	if err != nil {
		return err
	}
	if got.status != http.StatusBadRequest || got.text("error") != "invalid_grant" {
		return fmt.Errorf("a dead token is answered with %d %s", got.status, got.body)
	}
	explained, err := d.managed(ctx, http.StatusOK, http.MethodPost, "/v1/explain", map[string]any{"refresh_token": token})
	if err != nil {
		return err
	}
	if explained.text("verdict") != "dead" || explained.text("cause") != cause {
		return fmt.Errorf("the token is not explained as dead by %s: %s", cause, explained.body)
	}
	return nil
}
