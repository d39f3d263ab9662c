package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/rotor-auth/rotor/lab/process"
)

// service is a running Rotor, with the name of its table.
type service struct {
	*process.Rotor
	table string
}

// newTable returns a new name for a table.
func newTable() string { return "bench-" + rand.Text() }

// start starts the local program over the store at the URL, or over the embedded one
// if that is "", with a new table.
func (b *bench) start(ctx context.Context, store string, env ...string) (*service, error) {
	return b.startOn(ctx, store, newTable(), env...)
}

// startOn starts the local program with the given table, which it creates if
// necessary.
func (b *bench) startOn(ctx context.Context, store, table string, env ...string) (*service, error) {
	return startProgram(ctx, b.rotor, store, table, env...)
}

// startProgram starts a build of the local program.
func startProgram(ctx context.Context, program, store, table string, env ...string) (*service, error) {
	env = append(env, "TABLE="+table)
	if store != "" {
		env = append(env, "AWS_ENDPOINT_URL_DYNAMODB="+store)
	}
	r, err := process.StartRotor(ctx, program, env...)
	if err != nil {
		return nil, err
	}
	return &service{r, table}, nil
}

// call makes a request that must be answered with the given status, and reads the
// response into v unless that is nil.
func (s *service) call(ctx context.Context, status int, method, path, contentType, body string, v any) error {
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode != status {
		return fmt.Errorf("%s %s is answered with %s, not %d", method, path, response.Status, status)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// manage calls the management API, or /local.
func (s *service) manage(ctx context.Context, status int, method, path, body string, v any) error {
	return s.call(ctx, status, method, path, "application/json", body, v)
}

// register registers a public client.
func (s *service) register(ctx context.Context, client, policy string) error {
	return s.manage(ctx, http.StatusCreated, http.MethodPut, "/v1/clients/"+client, `{"type":"public","policy":`+policy+`}`, nil)
}

// issued is the response to starting a family.
type issued struct {
	Family       string `json:"family"`
	RefreshToken string `json:"refresh_token"`
}

func (s *service) issue(ctx context.Context, user, client string) (issued, error) {
	var i issued
	err := s.manage(ctx, http.StatusCreated, http.MethodPost, "/v1/families", fmt.Sprintf(`{"user_id":%q,"client_id":%q}`, user, client), &i)
	return i, err
}

// refresh presents a token, and fails unless it gets the given status.
func (s *service) refresh(ctx context.Context, status int, client, token string) error {
	_, err := s.present(ctx, status, client, token)
	return err
}

// rotate presents a token of the client app, and returns its successor.
func (s *service) rotate(ctx context.Context, token string) (string, error) {
	next, err := s.present(ctx, http.StatusOK, app, token)
	if err == nil && next == token {
		err = errors.New("a refresh that should rotate is answered with the token presented")
	}
	return next, err
}

// hold presents a token of the client app that is younger than the reuse interval,
// and fails unless it gets the same one.
func (s *service) hold(ctx context.Context, token string) error {
	next, err := s.present(ctx, http.StatusOK, app, token)
	if err == nil && next != token {
		err = errors.New("a refresh inside the interval is answered with another token than the one presented")
	}
	return err
}

// present presents a token, fails unless it gets the given status, and returns the
// token of the response.
func (s *service) present(ctx context.Context, status int, client, token string) (string, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}
	var answer issued
	err := s.call(ctx, status, http.MethodPost, "/oauth/token", "application/x-www-form-urlencoded", form.Encode(), &answer)
	return answer.RefreshToken, err
}

// usualPolicy is Rotor's default policy.
const usualPolicy = "{}"

// pass moves the service's clock ahead by more than the default reuse interval.
func (s *service) pass(ctx context.Context) error {
	return s.manage(ctx, http.StatusOK, http.MethodPost, "/local/clock", `{"advance":"2m"}`, nil)
}

// meet makes the service read the client, which it then caches for a minute.
func (s *service) meet(ctx context.Context, client string) error {
	return s.refresh(ctx, http.StatusBadRequest, client, "none")
}
