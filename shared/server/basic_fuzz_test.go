package server_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzBasic checks that a Basic header authenticates a client exactly when RFC 7617 §2 and
// RFC 6749 §2.3.1 say so: the scheme in any case, then the base64 of id and secret, each
// form-encoded, with a colon between. The pair is sent unchanged if plain is set, and in
// base64 otherwise. SECRET in it stands for the secret of "web".
func FuzzBasic(f *testing.F) {
	q := newQuiet(f)
	q.must(f, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	q.must(f, http.MethodPut, "/v1/clients/web", `{"type":"confidential"}`)
	secret := q.secret(f, "web")

	for _, pair := range []string{
		"web:SECRET", "web:SECRET ", "web: SECRET", "web:SECRET:", "%77eb:SECRET", "web%3ASECRET", "web:%SECRET", "web:", "web",
		"app:", "app:SECRET", "%61pp:", "app", ":", "", ":SECRET", "nobody:x", "web:\x00", "\xff:\xff", strings.Repeat("a", 65) + ":",
		"we\x00b:SECRET", "WEB:SECRET", "web\n:SECRET", "app:%00", "app:+",
	} {
		f.Add("Basic ", pair, false)
	}
	for _, scheme := range []string{"basic ", "BASIC   ", "Basic", "Basic\t", " Basic ", "Bearer ", ""} {
		f.Add(scheme, "app:", false)
	}
	for _, pair := range []string{"YXBwOg==", "YXBwOg", "YXBw\nOg==", "YXBwOg==  ", "YXBwOh==", "YXBwOg==, x", "=", "\x00"} {
		f.Add("Basic ", pair, true)
	}
	f.Fuzz(func(t *testing.T, scheme, pair string, plain bool) {
		pair = strings.ReplaceAll(pair, "SECRET", secret)
		if !plain {
			pair = base64.StdEncoding.EncodeToString([]byte(pair))
		}
		authorization := scheme + pair
		if authorization == "" {
			return // no header
		}
		a := q.ask(t, http.MethodPost, "/oauth/token", formType, authorization, "grant_type=refresh_token&refresh_token=x")
		if who(authorization, secret) {
			if !a.refused(http.StatusBadRequest) {
				t.Errorf("%q: %v", authorization, a)
			}
			return
		}
		if a.status != http.StatusUnauthorized || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%q: %v %v", authorization, a, a.header)
		}
	})
}

// who reports whether the header has the credentials of a registered client.
func who(authorization, secret string) bool {
	if len(authorization) < 6 || !strings.EqualFold(authorization[:6], "Basic ") {
		return false
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(authorization[6:]))
	if err != nil {
		return false
	}
	id, password, found := strings.Cut(string(pair), ":")
	id, idErr := url.QueryUnescape(id)
	password, passwordErr := url.QueryUnescape(password)
	if !found || idErr != nil || passwordErr != nil {
		return false
	}
	return id == "app" && password == "" || id == "web" && password == secret
}
