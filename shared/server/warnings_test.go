package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// warned returns the fields that an answer warns about, in order.
func warned(t testing.TB, a answer) []string {
	t.Helper()
	list, _ := a.json["warnings"].([]any)
	var fields []string
	for _, w := range list {
		w, _ := w.(map[string]any)
		field, _ := w["field"].(string)
		detail, _ := w["detail"].(string)
		if field == "" || len(detail) < 40 || len(w) != 2 {
			t.Errorf("a warning is %v", w)
		}
		fields = append(fields, field)
	}
	return fields
}

// TestWarnings checks that the answer to a PUT warns about each setting that gives up safety,
// and about nothing else.
func TestWarnings(t *testing.T) {
	w := newWorld(t)
	soon := w.clock.Now().Add(time.Hour).Format(time.RFC3339)
	for _, tt := range []struct {
		name, body string
		want       []string
		says       string
	}{
		{"public", `{"type":"public"}`, nil, ""},
		{"confidential", `{"type":"confidential"}`, nil, ""},
		{"preset auth0", `{"type":"public","preset":"auth0"}`, nil, ""},
		{"preset atlassian", `{"type":"public","preset":"atlassian"}`, nil, ""},
		{"preset copies", `{"type":"confidential","preset":"copies"}`, nil, ""},
		{"preset supabase", `{"type":"public","preset":"supabase"}`, []string{"policy.lost_response", "policy.absolute_lifetime"}, ""},
		{"forgiving", `{"type":"public","policy":{"lost_response":"until_used"}}`, []string{"policy.lost_response"}, "owner's next refresh"},
		{"strict and forgiving", `{"type":"public","policy":{"lost_response":"until_used","reuse_interval":0}}`, []string{"policy.lost_response"}, "reuse_interval of 0"},
		{"strict", `{"type":"public","policy":{"reuse_interval":0}}`, nil, ""},
		{"an interval of hours", `{"type":"public","policy":{"reuse_interval":14400}}`, nil, ""},
		{"an interval of more", `{"type":"public","policy":{"reuse_interval":14401}}`, []string{"policy.reuse_interval"}, "14401 s"},
		{"no end", `{"type":"public","policy":{"absolute_lifetime":0,"idle_lifetime":0}}`, []string{"policy.absolute_lifetime"}, "until it is revoked"},
		{"an absolute end", `{"type":"public","policy":{"idle_lifetime":0}}`, nil, ""},
		{"an idle end", `{"type":"public","policy":{"absolute_lifetime":0}}`, nil, ""},
		{"observing", `{"type":"public","policy":{"reuse_detection":"observe","observe_until":"` + soon + `"}}`, []string{"policy.reuse_detection"}, soon},
		{"no rotation", `{"type":"confidential","policy":{"rotation":false}}`, []string{"policy.rotation"}, "stays the same"},
		{"DPoP", `{"type":"public","policy":{"dpop":"allowed"}}`, nil, ""},
		{"DPoP required", `{"type":"public","policy":{"dpop":"required"}}`, nil, ""},
		{"a key in place of rotation", `{"type":"public","policy":{"dpop":"required","rotation":false}}`, nil, ""},
		{"no rotation with DPoP", `{"type":"confidential","policy":{"dpop":"required","rotation":false}}`, []string{"policy.rotation"}, "stays the same"},
		{"long access tokens", `{"type":"confidential","policy":{"access_token_lifetime":14401}}`, []string{"policy.access_token_lifetime"}, "14401 s"},
		{"access tokens of hours", `{"type":"confidential","policy":{"access_token_lifetime":14400}}`, nil, ""},
		{"may introspect", `{"type":"confidential","may_introspect":true}`, []string{"may_introspect"}, "every client's"},
		{"may forward", `{"type":"confidential","may_forward":true}`, []string{"may_forward"}, "addresses"},
		{"tokens of any shape", `{"type":"public","accepts_imported":true}`, []string{"accepts_imported"}, "looked for in the table"},
		{"tokens of a shape", `{"type":"public","accepts_imported":{"prefix":"v1."}}`, nil, ""},
		{"a trusted issuer", trusting(`"issuer":"i","audience":"a","jwks_uri":"https://i.example/"`), nil, ""},
		{"a bare user", trusting(`"issuer":"i","audience":"a","jwks_uri":"https://i.example/","user_prefix":""`), []string{"trusted_issuers[0].user_prefix"}, "logs in another way"},
		{"a user by address", trusting(`"issuer":"i","audience":"a","jwks_uri":"https://i.example/","user_claim":"email"`), []string{"trusted_issuers[0].user_claim"}, "email"},
		{"not_before", `{"type":"public","not_before":"2029-01-01T00:00:00Z"}`, nil, ""},
		{"loopback", `{"type":"public","redirect_uris":["http://127.0.0.1/cb","http://[::1]/cb","https://localhost/cb"],"post_logout_redirect_uris":["http://127.0.0.1/"]}`, nil, ""},
		{"localhost", `{"type":"public","redirect_uris":["https://a.example/","http://localhost:3000/cb"]}`, []string{"redirect_uris"}, "127.0.0.1"},
		{"localhost afterwards", `{"type":"public","post_logout_redirect_uris":["http://localhost/"]}`, []string{"post_logout_redirect_uris"}, "127.0.0.1"},
		{
			"all of it", `{"type":"confidential","may_introspect":true,"policy":{"rotation":false,"reuse_interval":86400,"lost_response":"until_used",
				"absolute_lifetime":0,"idle_lifetime":0,"access_token_lifetime":86400,"reuse_detection":"observe","observe_until":"` + soon + `"}}`,
			[]string{
				"policy.rotation", "policy.reuse_interval", "policy.lost_response", "policy.absolute_lifetime", "policy.access_token_lifetime",
				"policy.reuse_detection", "may_introspect",
			},
			"",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id := strings.ReplaceAll(tt.name, " ", "-")
			a := w.put(id, tt.body)
			if a.status != http.StatusCreated {
				t.Fatal(a)
			}
			if again := w.put(id, tt.body); !slices.Equal(warned(t, again), tt.want) {
				t.Errorf("put again, it is warned of %q", warned(t, again))
			}
			if got := warned(t, a); !slices.Equal(got, tt.want) {
				t.Errorf("warned of %q, not of %q", got, tt.want)
			}
			if _, given := a.json["warnings"]; given != (tt.want != nil) || !strings.Contains(a.body, tt.says) {
				t.Errorf("the answer is %v", a)
			}
			for _, path := range []string{"/v1/clients/" + id, "/v1/clients"} {
				if a := w.get(path); strings.Contains(a.body, "warnings") {
					t.Errorf("GET %s: %v", path, a)
				}
			}
		})
	}
}

// TestWarningsOfChanges checks that an answer warns when its change takes something away.
func TestWarningsOfChanges(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, body string
		want       []string
		says       string
	}{
		{"new", `{"type":"confidential"}`, nil, ""},
		{"public", `{"type":"public"}`, []string{"type"}, "was confidential"},
		{"public still", `{"type":"public"}`, nil, ""},
		{"confidential", `{"type":"confidential"}`, nil, ""},
		{"not_before", `{"type":"confidential","not_before":"2029-01-01T00:00:00Z"}`, nil, ""},
		{"not_before, left out", `{"type":"confidential"}`, nil, ""},
		{"not_before, later", `{"type":"confidential","not_before":"2029-02-01T00:00:00Z"}`, nil, ""},
		{"not_before, back", `{"type":"confidential","not_before":"2029-01-01T00:00:00Z"}`, []string{"not_before"}, "2029-02-01T00:00:00Z"},
		{"cookies", `{"type":"public","transport":"cookie","cookie_same_site":"lax"}`, []string{"type"}, "was confidential"},
		{"cookies still", `{"type":"public","transport":"cookie"}`, nil, ""},
		{"cookies of the device", `{"type":"public","transport":"cookie","device_bound":true}`, nil, ""},
		{"of any device", `{"type":"public","transport":"cookie"}`, []string{"device_bound"}, "those that are bound stay so"},
		{"no cookies", `{"type":"public"}`, []string{"transport"}, "within reach of scripts"},
		{"no cookies still", `{"type":"public","transport":"body"}`, nil, ""},
		{"DPoP", `{"type":"public","policy":{"dpop":"allowed"}}`, nil, ""},
		{"required", `{"type":"public","policy":{"dpop":"required"}}`, nil, ""},
		{"allowed again", `{"type":"public","policy":{"dpop":"allowed"}}`, []string{"policy.dpop"}, "that begins without a proof"},
		{"off", `{"type":"public"}`, []string{"policy.dpop"}, `it was \"allowed\"`},
		{"off still", `{"type":"public"}`, nil, ""},
		{"required again", `{"type":"public","policy":{"dpop":"required"}}`, nil, ""},
		{"all the way off", `{"type":"public"}`, []string{"policy.dpop"}, `it was \"required\"`},
		{"keys", `{"type":"confidential","jwks_uri":"https://a.example/keys"}`, nil, ""},
		{"no keys", `{"type":"confidential"}`, []string{"jwks"}, "nobody can authenticate"},
		{"no keys still", `{"type":"confidential"}`, nil, ""},
	} {
		a := w.put("changing", tt.body)
		if got := warned(t, a); !slices.Equal(got, tt.want) || !strings.Contains(a.body, tt.says) {
			t.Errorf("%s: warned of %q, not of %q: %v", tt.name, got, tt.want, a)
		}
	}
}

// TestPublicClientRotates checks that a public client must rotate. It has no secret, so
// without rotation nobody would notice that its token was copied.
func TestPublicClientRotates(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{
		`{"type":"public","policy":{"rotation":false}}`,
		`{"type":"public","preset":"copies","policy":{"rotation":false,"reuse_interval":0}}`,
		`{"type":"public","policy":{"rotation":false,"dpop":"allowed"}}`,
	} {
		for _, id := range []string{"new", "app", "web"} {
			w.put(id, body).names(t, "policy.rotation", "public", "RFC 9700")
		}
	}
	w.get("/v1/clients/new").problem(t, http.StatusNotFound)
	if a := w.get("/v1/clients/web"); a.text("type") != "confidential" {
		t.Errorf("a refused call made the client %v", a)
	}
	if a := w.put("web", `{"type":"confidential","policy":{"rotation":false}}`); a.status != http.StatusOK {
		t.Error(a)
	}
}
