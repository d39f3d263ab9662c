package tokensource_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// TestParams checks that each refresh has the parameters, as often as they are given
// and in that order, in addition to its own, however the client authenticates. It is
// still one request.
func TestParams(t *testing.T) {
	for _, test := range []struct {
		name string
		conf oauth2.Config
	}{
		{"public", oauth2.Config{ClientID: "c"}},
		{"with a secret", oauth2.Config{ClientID: "c", ClientSecret: "secret-s"}},
		{"in the form", oauth2.Config{ClientID: "c", ClientSecret: "secret-s", Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer := func(rw http.ResponseWriter, _ *http.Request, n int) {
				writeJSON(rw, 200, fmt.Sprintf(`{"access_token":"secret-a%d","expires_in":600}`, n))
			}
			without, with := newProvider(t, answer), newProvider(t, answer)
			params := url.Values{"resource": {"https://b.example/?x=1&y", "https://a.example"}, "scope": {"read write"}}
			option := tokensource.WithParams(params)
			params.Set("resource", "https://changed.example")
			recorder := &recording{}
			src, clock := with.source(t, test.conf,
				option, tokensource.WithParams(url.Values{"audience": {"ü & =", ""}}),
				tokensource.WithHTTPClient(&http.Client{Transport: recorder}))
			plain, _ := without.source(t, test.conf)
			if _, err := plain.Token(); err != nil {
				t.Fatal(err)
			}
			want := without.forms[0]
			want["resource"], want["scope"], want["audience"] = []string{"https://b.example/?x=1&y", "https://a.example"}, []string{"read write"}, []string{"ü & =", ""}
			for n := range 2 {
				if _, err := src.Token(); err != nil {
					t.Fatal(err)
				}
				if len(with.forms) != n+1 || !reflect.DeepEqual(with.forms[n], want) || with.auth[n] != without.auth[0] {
					t.Errorf("%d requests, the last with %v by %s", len(with.forms), mapKeys(with.forms[n]), with.auth[n])
				}
				clock.Advance(time.Hour)
			}
			for _, r := range recorder.bodies {
				if r.again != r.body || r.length != strconv.Itoa(len(r.body)) {
					t.Errorf("a body of %d bytes has the length %s; sent again it is the same: %v", len(r.body), r.length, r.again == r.body)
				}
			}
		})
	}
}

func mapKeys(v url.Values) []string {
	var names []string
	for name, values := range v {
		names = append(names, fmt.Sprintf("%s (%d)", name, len(values)))
	}
	return names
}

// recording is a round tripper that keeps the bodies of requests.
type recording struct{ bodies []recorded }

type recorded struct{ body, again, length string }

func (r *recording) RoundTrip(req *http.Request) (*http.Response, error) {
	again, err := req.GetBody()
	if err != nil {
		return nil, err
	}
	second, _ := io.ReadAll(again)
	first, _ := io.ReadAll(req.Body)
	r.bodies = append(r.bodies, recorded{string(first), string(second), strconv.FormatInt(req.ContentLength, 10)})
	req.Body = io.NopCloser(strings.NewReader(string(first)))
	return http.DefaultTransport.RoundTrip(req)
}

// TestParamsOfRotor checks that a narrower scope only applies to the access token,
// and that a scope which was not granted is refused without ending the session.
func TestParamsOfRotor(t *testing.T) {
	w := newWorld(t)
	m := w.call(http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"app","scope":"read write"}`)
	store := tokensource.NewMemory()
	if err := w.source("app", store, nil).Login(t.Context(), &oauth2.Token{RefreshToken: text(m, "refresh_token")}); err != nil {
		t.Fatal(err)
	}
	w.wire.breaks(nil)
	scope := func(params url.Values) (string, error) {
		t.Helper()
		token, err := w.source("app", store, nil, tokensource.WithParams(params), tokensource.WithExtra("scope")).Token()
		if err != nil {
			trail.print(err)
			return "", err
		}
		scope, _ := token.Extra("scope").(string)
		w.clock.Advance(10 * time.Minute)
		return scope, nil
	}
	if got, err := scope(url.Values{"scope": {"read"}}); err != nil || got != "read" {
		t.Errorf("with a narrower scope: %q, %v", got, err)
	}
	_, err := scope(url.Values{"scope": {"read admin"}})
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) || answer.ErrorCode != "invalid_scope" || errors.Is(err, tokensource.ErrLoginRequired) {
		t.Errorf("with a scope that was not granted: %v", err)
	}
	w.clock.Advance(time.Minute)
	if got, err := scope(nil); err != nil || got != "read write" {
		t.Errorf("without a scope: %q, %v", got, err)
	}
	if counter, status := w.family(text(m, "family")); counter != 3 || status != "active" || w.wire.requests() != 3 {
		t.Errorf("%d requests, counter %d, %s", w.wire.requests(), counter, status)
	}
}

// TestParamsRefused checks that parameters which are not allowed are an error before
// anything is sent or saved.
func TestParamsRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		params url.Values
		says   string
	}{
		{"the grant", url.Values{"grant_type": {"password"}}, "grant_type"},
		{"the token", url.Values{"refresh_token": {"secret-r2"}}, "refresh_token"},
		{"the client", url.Values{"client_id": {"d"}}, "client_id"},
		{"its secret", url.Values{"client_secret": {"secret-s"}}, "client_secret"},
		{"its assertion", url.Values{"client_assertion": {"secret-s"}}, "client_assertion"},
		{"the kind of assertion", url.Values{"client_assertion_type": {"x"}}, "client_assertion_type"},
		{"a name without values", url.Values{"client_id": {}}, "client_id"},
		{"no name", url.Values{"": {"x"}}, "no name"},
		{"too long", url.Values{"resource": {strings.Repeat("x", 4<<10)}}, "4096 are allowed"},
		{"too many", url.Values{"resource": make([]string, 500)}, "4096 are allowed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, func(rw http.ResponseWriter, _ *http.Request, _ int) {
				writeJSON(rw, 200, `{"access_token":"secret-a1"}`)
			})
			store := tokensource.NewMemory()
			conf := &oauth2.Config{ClientID: "c", Endpoint: oauth2.Endpoint{TokenURL: p.URL}}
			if err := tokensource.New(conf, store).Login(t.Context(), &oauth2.Token{RefreshToken: "secret-r1"}); err != nil {
				t.Fatal(err)
			}
			src := tokensource.New(conf, store, tokensource.WithParams(test.params))
			_, err := src.Token()
			loginErr := src.Login(t.Context(), &oauth2.Token{RefreshToken: "secret-r3"})
			_, sendErr := src.Client().Get(p.URL) //nolint:bodyclose // there is none
			for _, err := range []error{err, loginErr, sendErr} {
				if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "secret-") || errors.Is(err, tokensource.ErrLoginRequired) {
					t.Errorf("the error is %v", err)
				}
			}
			if r, err := store.Load(t.Context()); err != nil || r.Version != 1 || len(p.forms) > 0 {
				t.Errorf("%d requests, and the record has version %d, %v", len(p.forms), r.Version, err)
			}
		})
	}
}

// TestParamsTogether checks that the limit applies to the parameters of two options
// together.
func TestParamsTogether(t *testing.T) {
	half := tokensource.WithParams(url.Values{"resource": {strings.Repeat("x", 3<<10)}})
	conf := &oauth2.Config{ClientID: "c", Endpoint: oauth2.Endpoint{TokenURL: "http://127.0.0.1:1"}}
	if _, err := tokensource.New(conf, tokensource.NewMemory(), half).Token(); !errors.Is(err, tokensource.ErrLoginRequired) {
		t.Errorf("one: %v", err)
	}
	if _, err := tokensource.New(conf, tokensource.NewMemory(), half, half).Token(); err == nil || !strings.Contains(err.Error(), "4096 are allowed") {
		t.Errorf("two: %v", err)
	}
}

// TestParamsOfAnother checks that a token is only dead for processes with the same
// parameters, if a provider refuses a parameter with invalid_grant.
func TestParamsOfAnother(t *testing.T) {
	p := newProvider(t, func(rw http.ResponseWriter, r *http.Request, _ int) {
		if r.PostForm.Has("resource") {
			writeJSON(rw, 400, `{"error":"invalid_grant","error_description":"No consent to the resource."}`)
			return
		}
		writeJSON(rw, 200, `{"access_token":"secret-a1","expires_in":600}`)
	})
	store := tokensource.NewMemory()
	conf := &oauth2.Config{ClientID: "c", Endpoint: oauth2.Endpoint{TokenURL: p.URL}}
	with := tokensource.New(conf, store, tokensource.WithParams(url.Values{"resource": {"https://x.example"}}))
	if err := with.Login(t.Context(), &oauth2.Token{RefreshToken: "secret-r1"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		loginRequired(t, with)
	}
	loginRequired(t, tokensource.New(conf, store, tokensource.WithParams(url.Values{"resource": {"https://x.example"}})))
	if len(p.forms) != 1 {
		t.Errorf("%d requests", len(p.forms))
	}
	if token, err := tokensource.New(conf, store).Token(); err != nil || token.AccessToken != "secret-a1" {
		t.Errorf("without the parameter: %v", err)
	}
}
