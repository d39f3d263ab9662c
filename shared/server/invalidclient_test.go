package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestInvalidClientIsOnRecord checks that a failed client authentication is logged once, with
// its reason. The answer does not tell a wrong secret from an unknown client, but the log
// does.
func TestInvalidClientIsOnRecord(t *testing.T) {
	w := newWorld(t, metrics())
	secret := w.addSecret("web")
	unknown := "nobody-" + strings.Repeat("x", 40)
	for _, tt := range []struct {
		name   string
		header []string
		body   []string
		id     any // in the line, nil for none
		reason string
	}{
		{"wrong secret by Basic", []string{basic("web", "wrong")}, nil, "web", "wrong_secret"},
		{"wrong secret by post", nil, []string{"client_id", "web", "client_secret", "wrong"}, "web", "wrong_secret"},
		{"no secret", nil, []string{"client_id", "web"}, "web", "missing_secret"},
		{"a public client's secret", nil, []string{"client_id", "app", "client_secret", "x"}, "app", "needless_secret"},
		{"unknown client", nil, []string{"client_id", "nobody"}, "nobody", "unknown_client"},
		{"unknown client with a secret", []string{basic("nobody", secret)}, nil, "nobody", "unknown_client"},
		{"an unknown id, cut", nil, []string{"client_id", unknown}, unknown[:24], "unknown_client"},
		{"an id that can be none", nil, []string{"client_id", "a/b"}, nil, "malformed_client_id"},
		{"no id", nil, nil, nil, "missing_client_id"},
		{"another scheme", []string{"Bearer x"}, []string{"client_id", "app"}, nil, "another_scheme"},
		{"no base64", []string{"Basic ???"}, nil, nil, "malformed_header"},
		{"the secret in the place of the id", nil, []string{"client_id", secret}, "[redacted]", "unknown_client"},
		{"id and secret the wrong way round", []string{basic(secret, "web")}, nil, "[redacted]", "unknown_client"},
	} {
		for _, operation := range []string{"token", "revoke", "introspect"} {
			t.Run(tt.name+"/"+operation, func(t *testing.T) {
				before, failures := len(w.logged("fertft")), w.counted("InvalidClient")
				refusals := w.counted("Refused")
				var header []string
				for _, v := range tt.header {
					header = append(header, "Authorization", v)
				}
				body := append([]string{"grant_type", "refresh_token", "refresh_token", "x", "token", "x"}, tt.body...)
				w.send(http.MethodPost, "/oauth/"+operation, formType, form(body...), header...).is(t, http.StatusUnauthorized, "invalid_client")
				lines := w.logged("fertft")
				if len(lines) != before+1 {
					t.Fatalf("%d lines more: %v", len(lines)-before, lines[before:])
				}
				line := lines[before]
				if line["cause"] != "invalid_client" || line["reason"] != tt.reason || line["clientId"] != tt.id || line["operation"] != operation ||
					line["ip"] != "127.0.0.1" || line["userAgent"] == nil || line["http_request_id"] == nil {
					t.Errorf("on record is %v", line)
				}
				// Made-up ids must not become dimensions of a metric.
				var client any
				if tt.id == "web" || tt.id == "app" {
					client = tt.id
				}
				if line["client"] != client || line["metric_cause"] != nil {
					t.Errorf("the dimensions are %v and %v", line["client"], line["metric_cause"])
				}
				if n := w.counted("InvalidClient") - failures; n != 1 {
					t.Errorf("it counts %v", n)
				}
				if n := w.counted("Refused") - refusals; n != 0 {
					t.Errorf("%v refusals of a token are counted", n)
				}
			})
		}
	}
	t.Run("a public client introspects", func(t *testing.T) {
		before := len(w.logged("fertft"))
		w.send(http.MethodPost, "/oauth/introspect", formType, form("client_id", "app", "token", "x")).is(t, http.StatusUnauthorized, "invalid_client")
		lines := w.logged("fertft")
		if len(lines) != before+1 || lines[before]["reason"] != "public_client" || lines[before]["clientId"] != "app" || lines[before]["client"] != "app" {
			t.Errorf("on record is %v", lines[before:])
		}
	})
}

// TestOtherErrorsAreNoInvalidClient checks that malformed requests and failures of the service
// are not logged as failed authentication.
func TestOtherErrorsAreNoInvalidClient(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	tok, _ := w.login()
	for _, body := range []string{
		"grant_type=password&client_id=nobody", "grant_type=refresh_token&client_id=app", refreshForm(tok),
		form("grant_type", "refresh_token", "client_id", "app", "refresh_token", tok, "scope", "admin"),
	} {
		w.send(http.MethodPost, "/oauth/token", formType, body)
	}
	w.send(http.MethodPost, "/oauth/token", formType, "grant_type=refresh_token&client_secret="+secret, "Authorization", basic("web", secret))
	w.clock.Advance(2 * time.Hour)
	w.store.Break(func(int, string) storetest.Fault { return storetest.Failed })
	if a := w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "stranger", "refresh_token", "x")); !a.unavailable() {
		t.Errorf("answered %v", a)
	}
	w.store.Break(nil)
	if lines := w.logged("fertft"); len(lines) != 0 {
		t.Errorf("on record is %v", lines)
	}
}

// TestInvalidClientHidesCredentials checks that no line has a credential, wherever the request
// carried it. The scan of the log at the end of the run checks this as well.
func TestInvalidClientHidesCredentials(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	tok, _ := w.login()
	for _, pasted := range []string{secret, tok} {
		for _, header := range []string{
			basic(pasted, pasted), basic(pasted, ""), basic("web", pasted+"x"), "Bearer " + pasted,
			"Basic " + base64.StdEncoding.EncodeToString([]byte(pasted)), "Basic " + pasted, pasted,
		} {
			w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "refresh_token", "x"), "Authorization", header, "User-Agent", pasted)
		}
	}
	lines := w.logged("fertft")
	if len(lines) != 14 {
		t.Errorf("%d lines", len(lines))
	}
	for _, line := range lines {
		if s := fmt.Sprint(line); strings.Contains(s, secret) || strings.Contains(s, tok) {
			t.Errorf("on record is %s", s)
		}
	}
}
