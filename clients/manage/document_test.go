package manage_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/rotor-auth/rotor/clients/manage"
)

// parameter is a parameter in the OpenAPI document, or a reference to one.
type parameter struct {
	Ref      string `yaml:"$ref"`
	Name, In string
}

// documented returns the calls of /v1 in docs/openapi.yaml, each with the names of its query parameters and headers.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths      map[string]map[string]yaml.Node
		Components struct{ Parameters map[string]parameter }
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	calls := map[string][]string{}
	for path, item := range document.Paths {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for method, node := range item {
			if method == "parameters" { // which are all in the path
				continue
			}
			var operation struct{ Parameters []parameter }
			if err := node.Decode(&operation); err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for _, p := range operation.Parameters {
				if p.Ref != "" {
					p = document.Components.Parameters[p.Ref[strings.LastIndex(p.Ref, "/")+1:]]
				}
				if p.In == "query" || p.In == "header" {
					names = append(names, p.Name)
				}
			}
			slices.Sort(names)
			calls[strings.ToUpper(method)+" "+path] = names
		}
	}
	return calls
}

// TestEveryCall checks that each call of the OpenAPI document has a method, which sends each parameter.
func TestEveryCall(t *testing.T) {
	var mu sync.Mutex
	got := map[string][]string{}
	paths := strings.NewReplacer("C-1", "{client_id}", "S-1", "{secret_id}", "F-1", "{family}")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		call := r.Method + " " + paths.Replace(r.URL.Path)
		names := got[call]
		if names == nil {
			names = []string{}
		}
		for name := range r.URL.Query() {
			names = append(names, name)
		}
		for _, name := range []string{"Idempotency-Key", "Rotor-Client-Ip", "Rotor-Client-User-Agent"} {
			if r.Header.Get(name) != "" {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		got[call] = slices.Compact(names)
		answer := map[string]any{ // has what one call or the other needs
			"clients": []any{}, "events": []any{}, "families": []any{}, "revoked": 1, "changed": 1, "verdict": "valid",
			"client_id": "C-1", "type": "public", "secret_id": "S-1", "client_secret": "s", "status": "active", "family": "F-1",
			"access_token": "a", "refresh_token": "r", "redirect_to": "https://app.example", "code": "c", "tokens": []any{map[string]any{"result": "imported"}},
		}
		switch call {
		case "DELETE /v1/clients/{client_id}", "DELETE /v1/clients/{client_id}/secrets/{secret_id}":
			w.WriteHeader(http.StatusNoContent)
			return
		case "POST /v1/explain":
			delete(answer, "family")
		case "DELETE /v1/users":
			answer["families"], answer["events"] = 1, 1
		}
		if !r.URL.Query().Has("next") {
			answer["next"] = "page-2"
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer srv.Close()
	c, err := manage.New(srv.URL, manage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, now, change := t.Context(), time.Now(), &manage.Change{}
	all(t, c.Registrations(ctx))
	all(t, c.Families(ctx, manage.FamilyFilter{UserID: "u", ClientID: "c", Status: "active"}))
	all(t, c.ChangeFamilies(ctx, "u", "c", change))
	all(t, c.RevokeFamilies(ctx, manage.Revocation{UserID: "u", ClientID: "c", Except: "f", Cause: "password_changed", DryRun: true}))
	all(t, c.EraseUser(ctx, manage.Erasure{UserID: "u", UserKey: "k", DryRun: true}))
	all(t, c.Events(ctx, manage.EventFilter{Type: "srrt", UserID: "u", Family: "f", From: now, To: now}))
	for name, call := range map[string]func() error{
		"Register":     func() error { _, err := c.Register(ctx, "C-1", &manage.Settings{}); return err },
		"Registration": func() error { _, err := c.Registration(ctx, "C-1"); return err },
		"Deregister":   func() error { return c.Deregister(ctx, "C-1") },
		"AddSecret":    func() error { _, _, err := c.AddSecret(ctx, "C-1"); return err },
		"RemoveSecret": func() error { return c.RemoveSecret(ctx, "C-1", "S-1") },
		"Authorize": func() error {
			_, err := c.Authorize(ctx, &manage.Authorization{IdempotencyKey: "k", IP: "192.0.2.1", UserAgent: "a"})
			return err
		},
		"StartWithCode": func() error {
			_, err := c.StartWithCode(ctx, &manage.Login{IdempotencyKey: "k", IP: "192.0.2.1", UserAgent: "a"}, manage.CodeRequest{})
			return err
		},
		"StartFamily": func() error {
			_, err := c.StartFamily(ctx, &manage.Login{IdempotencyKey: "k", IP: "192.0.2.1", UserAgent: "a"})
			return err
		},
		"Family":       func() error { _, err := c.Family(ctx, "F-1"); return err },
		"ChangeFamily": func() error { _, err := c.ChangeFamily(ctx, "F-1", change); return err },
		"RevokeFamily": func() error { _, err := c.RevokeFamily(ctx, "F-1"); return err },
		"Import":       func() error { _, err := c.Import(ctx, "C-1", []manage.Import{{}}, true); return err },
		"Explain":      func() error { _, err := c.Explain(ctx, &manage.Question{Family: "F-1"}); return err },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff(documented(t), got); diff != "" {
		t.Errorf("the calls differ (-document +methods):\n%s", diff)
	}
}
