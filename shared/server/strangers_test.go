package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// wire returns everything in an answer that a stranger sees, except the time.
func (a answer) wire() string {
	var lines []string
	for name, values := range a.header {
		if name != "Date" {
			lines = append(lines, fmt.Sprintf("%s: %q", name, values))
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("%d\n%s\n%s", a.status, strings.Join(lines, "\n"), a.body)
}

// TestStrangersLearnNothing checks that a caller who does not know a client's secret cannot
// learn whether there is such a client: all of these answers are the same to the byte.
func TestStrangersLearnNothing(t *testing.T) {
	const origin = "https://app.example"
	w := newWorld(t, origins(origin))
	secret := w.addSecret("web")
	w.putClient("fresh", `{"type":"confidential"}`) // has no secret yet
	tok := w.issue(`{"user_id":"u","client_id":"web"}`).text("refresh_token")
	post := func(path string, more ...string) func(header ...string) answer {
		return func(header ...string) answer {
			body := append([]string{"grant_type", "refresh_token", "refresh_token", tok, "token", tok}, more...)
			return w.send(http.MethodPost, path, formType, form(body...), header...)
		}
	}
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		var first string
		for _, tt := range []struct {
			name, id, secret string
			introspection    bool // only at introspection: elsewhere it is how a public client identifies itself
		}{
			{"unknown", "nobody", "", false},
			{"unknown, with a secret", "nobody", "x", false},
			{"unknown, with a secret of another", "nobody", secret, false},
			{"no client could have the id", "no/body", "x", false},
			{"a wrong secret", "web", "x", false},
			{"a secret cut short", "web", secret[:len(secret)-1], false},
			{"no secret", "web", "", false},
			{"a secret where there is none yet", "fresh", "x", false},
			{"no secret where there is none yet", "fresh", "", false},
			{"a public client with a secret", "app", "x", false},
			{"a public client with the secret of another", "app", secret, false},
			{"a public client", "app", "", true},
		} {
			if tt.introspection && path != "/oauth/introspect" {
				continue
			}
			for how, ask := range map[string]func(header ...string) answer{
				"by post": post(path, "client_id", tt.id, "client_secret", tt.secret),
				"by Basic": func(header ...string) answer {
					return post(path)(append(header, "Authorization", basic(tt.id, tt.secret))...)
				},
			} {
				a := ask()
				a.is(t, http.StatusUnauthorized, "invalid_client")
				if first == "" {
					first = a.wire()
				}
				if got := a.wire(); got != first {
					t.Errorf("%s: %s %s got\n%s\nand not\n%s", path, tt.name, how, got, first)
				}
			}
		}
	}
}

// TestEvery401SaysHow checks that every 401 names how to authenticate (RFC 9110 §15.5.2),
// whichever method was tried.
func TestEvery401SaysHow(t *testing.T) {
	w := newWorld(t)
	w.addSecret("web")
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect"} {
		for name, ask := range map[string]struct {
			body   []string
			header []string
		}{
			"nothing at all":     {nil, nil},
			"an unknown client":  {[]string{"client_id", "nobody"}, nil},
			"client_secret_post": {[]string{"client_id", "web", "client_secret", "x"}, nil},
			"no secret":          {[]string{"client_id", "web"}, nil},
			"another scheme":     {nil, []string{"Authorization", "Bearer x"}},
			"malformed":          {nil, []string{"Authorization", "Basic ?"}},
		} {
			for contentType, body := range map[string]string{
				formType: form(append([]string{"grant_type", "refresh_token", "refresh_token", "x", "token", "x"}, ask.body...)...),
				jsonType: object(append([]string{"grant_type", "refresh_token", "refresh_token", "x", "token", "x"}, ask.body...)...),
			} {
				a := w.send(http.MethodPost, path, contentType, body, ask.header...)
				a.is(t, http.StatusUnauthorized, "invalid_client")
				if got := a.header.Values("WWW-Authenticate"); len(got) != 1 || got[0] != `Basic realm="rotor", charset="UTF-8"` {
					t.Errorf("%s, %s: WWW-Authenticate is %q", path, name, got)
				}
			}
		}
	}
}
