package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/rotor-auth/rotor/infra/price"
	"github.com/rotor-auth/rotor/infra/process"
)

// invocations measures the function token as Lambda runs it, once it is warm: its
// program over a Lambda Runtime API of our own and a store in a process of its own,
// one refresh after the other, each with the token of the last answer.
func (b *bench) invocations(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return nil // the built functions run there alone
	}
	for _, alg := range []string{"ES256", "RS256"} {
		i, err := b.invoke(ctx, alg)
		if err != nil {
			return fmt.Errorf("%s: %w", alg, err)
		}
		b.report.Invocations = append(b.report.Invocations, i)
	}
	return nil
}

func (b *bench) invoke(ctx context.Context, alg string) (i Invocations, err error) {
	i = Invocations{Algorithm: alg}
	scratch, err := os.MkdirTemp("", "rotor-bench-")
	if err != nil {
		return i, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // nothing is lost with it
	store, err := b.startStore(ctx, embeddedStore)
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, store.Stop()) }()
	keys := filepath.Join(scratch, "keys.json")
	s, err := b.start(ctx, store.url, "KEYS="+keys, "ALG="+alg) // makes the keys and the table, and issues
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	families, err := s.families(ctx, sessions)
	if err != nil {
		return i, err
	}
	f, err := b.startFunction(ctx, "token", "AWS_ENDPOINT_URL_DYNAMODB="+store.url, "ROTOR_TABLE="+s.table, "ROTOR_KEYS_FILE="+keys)
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, f.stop()) }()

	refresh := func(n int) error {
		family := &families[n%len(families)]
		answer, err := f.invoke(ctx, refreshEvent(family.RefreshToken))
		if err != nil {
			return err
		}
		next, err := successor(answer)
		if err == nil && next == family.RefreshToken {
			err = errors.New("the successor is the token presented")
		}
		family.RefreshToken = next
		return err
	}
	if err := times(b.size.warm, refresh); err != nil {
		return i, err
	}
	before, err := f.CPU()
	if err != nil {
		return i, err
	}
	if err := times(b.size.invocations, refresh); err != nil {
		return i, err
	}
	after, err := f.CPU()
	if err != nil {
		return i, err
	}
	i.Count, i.CPU = b.size.invocations, milliseconds(after-before)/float64(b.size.invocations)
	rss, err := f.RSS()
	i.RSS = megabytes(rss)
	return i, err
}

// refreshEvent is API Gateway's event of a refresh by app: what a browser sends.
func refreshEvent(token string) map[string]any {
	headers := map[string]string{
		"accept": "application/json", "accept-encoding": "gzip, deflate, br", "content-type": "application/x-www-form-urlencoded",
		"host": "auth.example.com", "origin": "https://app.example.com", "user-agent": usualAgent,
		"x-amzn-trace-id": "Root=1-6968baa5-0f1e2d3c4b5a69788796a5b4", "x-forwarded-for": usualIP, "x-forwarded-port": "443", "x-forwarded-proto": "https",
	}
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {token}}
	return map[string]any{
		"version": "2.0", "routeKey": "ANY /oauth/token", "rawPath": "/oauth/token", "rawQueryString": "", "headers": headers,
		"requestContext": map[string]any{
			"http":      map[string]string{"method": http.MethodPost, "path": "/oauth/token", "protocol": "HTTP/1.1", "sourceIp": usualIP, "userAgent": usualAgent},
			"requestId": "L5fx6RabOe7RCjZ=", "routeKey": "ANY /oauth/token", "stage": "$default", "timeEpoch": time.Now().UnixMilli(),
		},
		"body": form.Encode(), "isBase64Encoded": false,
	}
}

// successor is the refresh token in a function's answer to the gateway.
func successor(answer []byte) (string, error) {
	var a struct {
		StatusCode int
		Body       string
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return "", fmt.Errorf("read the function's answer: %w", err)
	}
	if a.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the function answers with %d", a.StatusCode)
	}
	var i issued
	if err := json.Unmarshal([]byte(a.Body), &i); err != nil || i.RefreshToken == "" {
		return "", errors.Join(errors.New("the function's answer has no refresh token"), err)
	}
	return i.RefreshToken, nil
}

// function is a built function that runs, over a Lambda Runtime API that gives it
// one event at a time.
type function struct {
	*process.Process
	server  *http.Server
	events  chan []byte
	answers chan []byte
}

// startFunction starts the function's program for this machine's architecture, with
// the environment that Lambda gives it, and env.
func (b *bench) startFunction(ctx context.Context, name string, env ...string) (*function, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &function{events: make(chan []byte), answers: make(chan []byte, 1)}
	f.server = &http.Server{Handler: f, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = f.server.Serve(listener) }() // until stop
	program := filepath.Join(b.functions, name, "bootstrap")
	f.Process, err = process.Start(ctx, program, append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(),
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_SESSION_TOKEN=local", "AWS_REGION=us-east-1",
		"AWS_LAMBDA_FUNCTION_NAME=rotor-" + name, "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(price.Memory),
		"AWS_LAMBDA_LOG_FORMAT=JSON", "ROTOR_ISSUER=https://auth.example.com", "ROTOR_ORIGINS=https://app.example.com",
	}, env...)...)
	if err != nil {
		return nil, errors.Join(err, f.server.Close())
	}
	return f, nil
}

// ServeHTTP is so much of Lambda's Runtime API as invocations need: the program asks
// for the next event, and gives its answer to it.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		select {
		case event := <-f.events:
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Lambda-Runtime-Aws-Request-Id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(10*time.Second).UnixMilli(), 10))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:rotor")
			_, _ = w.Write(event) // should the program be gone, nothing is answered
		case <-r.Context().Done():
		}
		return
	}
	answer, err := io.ReadAll(r.Body)
	if err != nil {
		return // the program is gone
	}
	w.WriteHeader(http.StatusAccepted)
	f.answers <- answer
}

// invoke has the program answer an event.
func (f *function) invoke(ctx context.Context, event any) ([]byte, error) {
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	select {
	case f.events <- payload:
	case <-f.Ended():
		return nil, fmt.Errorf("the function has ended: %s", f.Output())
	case <-late.C:
		return nil, errors.New("the function asks for nothing")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case answer := <-f.answers:
		return answer, nil
	case <-f.Ended():
		return nil, fmt.Errorf("the function has ended: %s", f.Output())
	case <-late.C:
		return nil, errors.New("the function does not answer")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// stop ends the program, which waits for its next event for ever.
func (f *function) stop() error { return errors.Join(f.Kill(), f.server.Close()) }
