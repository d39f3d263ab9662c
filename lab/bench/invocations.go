package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rotor-auth/rotor/lab/load"
	"github.com/rotor-auth/rotor/lab/price"
	"github.com/rotor-auth/rotor/lab/process"
)

// invocations measures the warm function token as Lambda runs it. Its program has a
// Runtime API of ours and a store in a separate process. It makes one refresh after
// another, each with the token of the last response. The client has no reuse
// interval, so that each of them rotates.
func (b *bench) invocations(ctx context.Context) error {
	if runtime.GOOS != "linux" {
		return nil // the built functions only run there
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
	defer func() { _ = os.RemoveAll(scratch) }() // it holds only temporary files
	store, err := b.startStore(ctx, embeddedStore)
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, store.Stop()) }()
	keys := filepath.Join(scratch, "keys.json")
	s, err := b.start(ctx, store.url, "KEYS="+keys, "ALG="+alg) // creates the keys and the table, and issues families
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	families, err := s.families(ctx, sessions, load.NoInterval)
	if err != nil {
		return i, err
	}
	f, err := process.StartFunction(ctx, filepath.Join(b.functions, "token", "bootstrap"), "token", price.Memory,
		"AWS_ENDPOINT_URL_DYNAMODB="+store.url, "ROTOR_TABLE="+s.table, "ROTOR_KEYS_FILE="+keys,
		"ROTOR_ISSUER=https://auth.example.com", "ROTOR_ORIGINS=https://app.example.com")
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, f.Kill()) }() // it would wait for its next event forever

	event, err := process.SampleEvent("token-refresh")
	if err != nil {
		return i, err
	}
	refresh := func(n int) error {
		family := &families[n%len(families)]
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {family.RefreshToken}}
		payload, err := event.WithBody(form.Encode())
		if err != nil {
			return err
		}
		answer, err := invoke(ctx, f, payload)
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

// successor returns the refresh token in a function's response to the gateway.
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

// invoke gives the program an event and returns its response.
func invoke(ctx context.Context, f *process.Function, event []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	answer, err := f.Invoke(ctx, event)
	return answer.Body, err
}
