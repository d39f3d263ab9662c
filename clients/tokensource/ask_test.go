package tokensource_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// provider is a token endpoint other than Rotor's.
type provider struct {
	*httptest.Server
	forms []url.Values
	auth  []string
}

func newProvider(t *testing.T, answer func(rw http.ResponseWriter, r *http.Request, n int)) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		id, secret, _ := r.BasicAuth()
		p.forms, p.auth = append(p.forms, r.PostForm), append(p.auth, id+":"+secret)
		answer(rw, r, len(p.forms))
	}))
	t.Cleanup(p.Close)
	return p
}

// source returns a source on its own clock, which holds the refresh token secret-r1.
func (p *provider) source(t *testing.T, conf oauth2.Config, opts ...tokensource.Option) (*tokensource.Source, *storetest.Clock) {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock()}
	w.start = w.clock.Now()
	conf.Endpoint.TokenURL = p.URL
	src := tokensource.New(&conf, tokensource.NewMemory(), append([]tokensource.Option{
		tokensource.WithClock(w.clock.Now, func() time.Duration { return w.clock.Now().Sub(w.start) }, w.sleep),
	}, opts...)...)
	if err := src.Login(t.Context(), &oauth2.Token{RefreshToken: "secret-r1"}); err != nil {
		t.Fatal(err)
	}
	trail.secrets(map[string]any{"refresh_token": "secret-r1", "access_token": "secret-a1", "client_secret": "secret-s"})
	return src, w.clock
}

func writeJSON(rw http.ResponseWriter, status int, body string) {
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_, _ = io.WriteString(rw, body)
}

// TestNoRefreshToken checks that the old refresh token is kept if a response has
// none.
func TestNoRefreshToken(t *testing.T) {
	p := newProvider(t, func(rw http.ResponseWriter, _ *http.Request, n int) {
		writeJSON(rw, 200, fmt.Sprintf(`{"access_token":"secret-a%d","expires_in":"600","id_token":"id%d","scope":"s","token_type":"bearer"}`, n, n))
	})
	src, clock := p.source(t, oauth2.Config{ClientID: "c"}, tokensource.WithExtra("id_token", "none"))
	for n := 1; n <= 2; n++ {
		token, err := src.Token()
		if err != nil {
			t.Fatal(err)
		}
		if token.Extra("id_token") != fmt.Sprintf("id%d", n) || token.Extra("scope") != nil || token.Type() != "Bearer" {
			t.Errorf("extra %v, %v", token.Extra("id_token"), token.Extra("scope"))
		}
		if !token.Expiry.Equal(clock.Now().Add(10*time.Minute)) || token.ExpiresIn != 600 {
			t.Errorf("expires in %d, at %v", token.ExpiresIn, token.Expiry)
		}
		clock.Advance(time.Hour)
	}
	for _, form := range p.forms {
		if form.Get("refresh_token") != "secret-r1" || form.Get("grant_type") != "refresh_token" || form.Get("client_id") != "c" {
			t.Error("the form is wrong")
		}
	}
}

// TestFormEncoded checks form-encoded responses, which some providers send.
func TestFormEncoded(t *testing.T) {
	p := newProvider(t, func(rw http.ResponseWriter, _ *http.Request, n int) {
		rw.Header().Set("Content-Type", "application/x-www-form-urlencoded")
		_, _ = fmt.Fprintf(rw, "access_token=secret-a%d&refresh_token=secret-r%d&expires_in=600", n, n+1)
	})
	src, clock := p.source(t, oauth2.Config{ClientID: "c"})
	for range 3 {
		token, err := src.Token()
		if err != nil || !token.Expiry.Equal(clock.Now().Add(10*time.Minute)) {
			t.Fatalf("%v", err)
		}
		clock.Advance(time.Hour)
	}
	if len(p.forms) != 3 || p.forms[2].Get("refresh_token") != "secret-r3" {
		t.Errorf("%d requests", len(p.forms))
	}
}

// TestNoExpiry checks that a token without expires_in is used until it is rejected.
func TestNoExpiry(t *testing.T) {
	p := newProvider(t, func(rw http.ResponseWriter, _ *http.Request, _ int) {
		writeJSON(rw, 200, `{"access_token":"secret-a1"}`)
	})
	src, clock := p.source(t, oauth2.Config{ClientID: "c"})
	for range 3 {
		if token, err := src.Token(); err != nil || !token.Expiry.IsZero() {
			t.Fatalf("%v", err)
		}
		clock.Advance(1000 * time.Hour)
	}
	if len(p.forms) != 1 {
		t.Errorf("%d requests", len(p.forms))
	}
}

// TestOneRequest checks that the way of authentication is not probed, redirects are
// not followed, and an error that a retry would not fix is returned at once, without
// giving the token up.
func TestOneRequest(t *testing.T) {
	for _, test := range []struct {
		name string
		conf oauth2.Config
		auth string // in the header
		id   string // in the form
	}{
		{"public", oauth2.Config{ClientID: "c"}, ":", "c"},
		{"with a secret", oauth2.Config{ClientID: "c", ClientSecret: "secret-s"}, "c:secret-s", ""},
		{"in the form", oauth2.Config{ClientID: "c", ClientSecret: "secret-s", Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}}, ":", "c"},
	} {
		for _, refused := range []func(http.ResponseWriter, *http.Request){
			func(rw http.ResponseWriter, _ *http.Request) { writeJSON(rw, 401, `{"error":"invalid_client"}`) },
			func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "/elsewhere", http.StatusPermanentRedirect)
			},
			func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "not here", http.StatusNotFound) },
		} {
			p := newProvider(t, func(rw http.ResponseWriter, r *http.Request, n int) {
				if n == 1 {
					refused(rw, r)
					return
				}
				writeJSON(rw, 200, `{"access_token":"secret-a1","expires_in":600}`)
			})
			src, clock := p.source(t, test.conf)
			_, err := src.Token()
			trail.print(err)
			var answer *oauth2.RetrieveError
			if !errors.As(err, &answer) || errors.Is(err, tokensource.ErrLoginRequired) || len(p.forms) != 1 {
				t.Errorf("%s: %v, after %d requests", test.name, err, len(p.forms))
			}
			if p.auth[0] != test.auth || p.forms[0].Get("client_id") != test.id {
				t.Errorf("%s: the client authenticates as %s, %s", test.name, p.auth[0], p.forms[0].Get("client_id"))
			}
			before := clock.Now()
			if _, err := src.Token(); err != nil || len(p.forms) != 2 || !clock.Now().After(before) {
				t.Errorf("%s: then %v, after %d requests and a pause of %v", test.name, err, len(p.forms), clock.Now().Sub(before))
			}
		}
	}
}

// TestDeadCodes checks the codes by which providers refuse a dead token, and similar
// ones that do not mean that.
func TestDeadCodes(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		dead   bool
	}{
		{400, `{"error":"invalid_grant"}`, true},
		{403, `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`, true},
		{200, `{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or expired."}`, true},
		{200, `{"ok":false,"error":"invalid_refresh_token"}`, true},
		{503, `{"error":"invalid_grant"}`, false},
		{400, `{"error":"temporarily_unavailable"}`, false},
		{200, `{"error":"server_error"}`, false},
		{200, `{"token_type":"Bearer"}`, false},
		{200, `<html>`, false},
		{429, `{"error":"invalid_grant"}`, false},
	} {
		p := newProvider(t, func(rw http.ResponseWriter, _ *http.Request, n int) {
			if n == 1 {
				writeJSON(rw, test.status, test.body)
				return
			}
			writeJSON(rw, 200, `{"access_token":"secret-a1","expires_in":600}`)
		})
		src, _ := p.source(t, oauth2.Config{ClientID: "c"})
		_, err := src.Token()
		if errors.Is(err, tokensource.ErrLoginRequired) != test.dead || !test.dead && (err != nil || len(p.forms) != 2) {
			t.Errorf("%d %s: %v after %d requests", test.status, test.body, err, len(p.forms))
		}
	}
}

// TestEcho checks that errors have no secrets, even if a server quotes the request.
func TestEcho(t *testing.T) {
	for _, test := range []struct {
		status            int
		contentType, body string
	}{
		{400, "application/json", `{"error":"invalid_grant","error_description":"secret-r1 of c, whose secret is secret-s","error_uri":"https://x/?t=secret-r1"}`},
		{401, "application/json", `{"error":"secret-s"}`},
		{400, "text/html", "<p>grant_type=refresh_token&refresh_token=secret-r1"},
		{200, "application/json", `{"access_token":"secret-a1"`},
		{200, "application/json", `{"error":"odd","access_token":"secret-a1"}`},
		{500, "text/plain", "refresh_token=secret-r1;secret-s"},
	} {
		p := newProvider(t, func(rw http.ResponseWriter, _ *http.Request, _ int) {
			rw.Header().Set("Content-Type", test.contentType)
			rw.WriteHeader(test.status)
			_, _ = io.WriteString(rw, test.body)
		})
		src, _ := p.source(t, oauth2.Config{ClientID: "c", ClientSecret: "secret-s"})
		_, err := src.Token()
		trail.print(err)
		var answer *oauth2.RetrieveError
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "secret-") {
			t.Errorf("%d: no error, or one with a secret", test.status)
		}
		if errors.As(err, &answer) {
			trail.print(answer, *answer)
			if strings.Contains(fmt.Sprintf("%+v", *answer), "secret-") {
				t.Errorf("%d: the answer has a secret", test.status)
			}
		}
	}
	// Here the round tripper quotes the request in its error.
	for _, params := range []url.Values{nil, {"resource": {"https://x.example"}}} {
		p := newProvider(t, func(http.ResponseWriter, *http.Request, int) {})
		src, _ := p.source(t, oauth2.Config{ClientID: "c"},
			tokensource.WithHTTPClient(&http.Client{Transport: quoting{}}), tokensource.WithParams(params))
		_, err := src.Token()
		trail.print(err)
		if !strings.Contains(err.Error(), "no route for") {
			t.Errorf("the error is %v", err)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), "secret-") {
				t.Error("an error in the chain has the token")
			}
		}
	}
}

type quoting struct{}

func (quoting) RoundTrip(r *http.Request) (*http.Response, error) {
	b, _ := io.ReadAll(r.Body)
	return nil, fmt.Errorf("no route for %s", b)
}
