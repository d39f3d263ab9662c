package command_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// file writes a file of clients, and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const twoClients = `# the clients of the shop
clients:
  shop:
    type: public
    scope: openid orders openid
    audience: https://api.example.com
    policy:
      dpop: off
  backend:
    type: confidential
    preset: auth0
    policy:
      reuse_interval: 30
      dpop: allowed
    audience: [https://a.example.com, https://b.example.com, https://a.example.com]
    may_forward: true
    redirect_uris: [https://a.example.com/cb, https://b.example.com/cb, https://a.example.com/cb]
    post_logout_redirect_uris: [https://a.example.com/]
`

// TestApply checks that a file says what changes, changes it, and changes nothing a second time.
func TestApply(t *testing.T) {
	w := newWorld(t)
	path := file(t, "clients.yaml", twoClients)
	if r := w.run("", "clients", "apply", path); r.code != 2 || !strings.Contains(r.err, "say --yes, or --dry-run") {
		t.Errorf("without --yes: %+v", r)
	}
	if r := w.run(twoClients, "clients", "apply", "-"); r.code != 2 || !strings.Contains(r.err, "cannot be asked") {
		t.Errorf("the standard input without --yes: %+v", r)
	}
	if _, err := w.Registration(t.Context(), "shop"); err == nil {
		t.Error("a client is registered without --yes")
	}
	dry := w.ok("clients", "apply", path, "--dry-run")
	if _, err := w.Registration(t.Context(), "shop"); err == nil {
		t.Error("a dry run registers a client")
	}
	for _, want := range []string{
		"+ shop: new\n", "+   scope: openid orders\n", "+   policy.reuse_interval: 60\n",
		"+ backend: new\n", "+   policy.reuse_interval: 30\n", "+   policy.evict: oldest\n", "+   policy.invalid_grant_status: 403\n", "+   policy.dpop: allowed\n", "+   policy.dpop: off\n", "2 clients would change\n",
	} {
		if !strings.Contains(dry, want) {
			t.Errorf("a dry run does not say %q:\n%s", want, dry)
		}
	}
	r := w.run("", "clients", "apply", path, "--yes")
	if r.code != 0 || !strings.HasSuffix(r.out, "2 clients changed\n") || !strings.Contains(r.err, "warning: backend: what the client reports") {
		t.Errorf("applied: %+v", r)
	}
	c, err := w.Registration(t.Context(), "backend")
	if err != nil || c.Policy.ReuseInterval != 30 || c.Policy.DPoP != "allowed" || c.Policy.Evict != "oldest" || len(c.Audience) != 2 || !c.MayForward || c.Preset != "auth0" || len(c.RedirectURIs) != 2 || len(c.PostLogoutRedirectURIs) != 1 {
		t.Errorf("the client is %+v, %v", c, err)
	}
	if r := w.run("", "clients", "apply", path, "--yes"); r.out != "  shop: no change\n  backend: no change\nno change\n" || r.err != "" || r.code != 0 {
		t.Errorf("the second time: %+v", r)
	}
	if r := w.run("", "clients", "apply", path); r.code != 0 || !strings.Contains(r.out, "no change") {
		t.Errorf("nothing changes, and nobody can be asked: %+v", r)
	}
	after, err := w.Registration(t.Context(), "backend")
	if err != nil || !after.UpdatedAt.Equal(c.UpdatedAt) {
		t.Errorf("the second time the client is written: %+v, %v", after, err)
	}

	// JSON is YAML. What is left out gets its default; not_before and secrets stay.
	secret, _, err := w.AddSecret(t.Context(), "backend")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Register(t.Context(), "shop", &manage.Settings{Type: "public", Scope: "openid orders", NotBefore: time.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	path = file(t, "clients.json", `{"clients": {"backend": {"type": "confidential", "preset": "auth0", "audience": "https://a.example.com"}, "shop": {"type": "public", "scope": "openid orders"}}}`)
	r = w.run("", "clients", "apply", path, "--yes", "--json")
	got := decode[struct {
		Clients []struct {
			ClientID string `json:"client_id"`
			Change   string
			Fields   []struct{ Field, From, To string }
		}
	}](t, r.out)
	if r.code != 0 || len(got.Clients) != 2 || got.Clients[0].Change != "changed" || got.Clients[1].Change != "none" {
		t.Fatalf("as JSON: %+v", r)
	}
	var changed []string
	for _, f := range got.Clients[0].Fields {
		changed = append(changed, f.Field+" "+f.From+" "+f.To)
	}
	if want := []string{"policy.reuse_interval 30 0", "policy.dpop allowed off", "audience https://a.example.com, https://b.example.com https://a.example.com", "may_forward true false", "redirect_uris https://a.example.com/cb, https://b.example.com/cb ", "post_logout_redirect_uris https://a.example.com/ "}; !slices.Equal(changed, want) {
		t.Errorf("the changes are %q", changed)
	}
	if c, err := w.Registration(t.Context(), "backend"); err != nil || len(c.Secrets) != 1 || c.Secrets[0].ID != secret {
		t.Errorf("the secrets are %+v, %v", c, err)
	}
	if c, err := w.Registration(t.Context(), "shop"); err != nil || c.NotBefore.IsZero() {
		t.Errorf("not_before is gone: %+v, %v", c, err)
	}

	r = w.run("clients: {shop: {type: public, scope: openid}}\n", "clients", "apply", "-", "--yes")
	if r.code != 0 || !strings.Contains(r.out, "~ shop\n~   scope: openid orders -> openid\n") {
		t.Errorf("the standard input: %+v", r)
	}
	until := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339Nano)
	path = file(t, "observe.yaml", "clients: {shop: {type: public, policy: {reuse_detection: observe, observe_until: "+until+"}, not_before: 2026-01-02T03:04:05.678912Z}}")
	for _, want := range []string{"1 client changed\n", "no change\n"} {
		if got := w.ok("clients", "apply", path, "--yes"); !strings.HasSuffix(got, want) {
			t.Errorf("observe: %s", got)
		}
	}
	w.advance("48h") // an end that has passed since is no reason to refuse a file that changes nothing
	if got := w.ok("clients", "apply", path, "--yes"); !strings.HasSuffix(got, "no change\n") {
		t.Errorf("observe, later: %s", got)
	}
}

// TestApplyTrustedIssuers checks that a file's issuers are applied once, that inline keys are told by
// their hash, and that what the service refuses is told where the list stands, without a private key.
func TestApplyTrustedIssuers(t *testing.T) {
	w := newWorld(t)
	const key = `{kty: OKP, crv: Ed25519, kid: k, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}`
	text := `clients:
  shop:
    type: public
    trusted_issuers:
      - issuer: https://one.example
        jwks_uri: https://one.example/keys
        audience: [us, us]
      - issuer: https://two.example
        jwks: {keys: [` + key + `]}
        audience: [us]
        algorithms: [EdDSA]
        user_claim: uid
        max_age: 60
        user_prefix: "two:"
`
	path := file(t, "issuers.yaml", text)
	r := w.run("", "clients", "apply", path, "--yes")
	for _, want := range []string{
		`https://one.example (jwks_uri https://one.example/keys, audience us, algorithms RS256, user_claim sub, max_age 300, user_prefix "https://one.example|"); `,
		`https://two.example (jwks of 1 key, SHA-256 `, `, audience us, algorithms EdDSA, user_claim uid, max_age 60, user_prefix "two:")`,
	} {
		if r.code != 0 || !strings.Contains(r.out, want) {
			t.Errorf("applied, it does not say %q: %+v", want, r)
		}
	}
	if got := w.ok("clients", "apply", path, "--yes"); !strings.HasSuffix(got, "no change\n") {
		t.Errorf("the second time: %s", got)
	}
	if got := w.ok("clients", "show", "shop"); !strings.Contains(got, "trusted_issuers") || !strings.Contains(got, "https://two.example (jwks of 1 key") {
		t.Errorf("shown: %s", got)
	}
	other := strings.Replace(text, "kid: k,", "kid: l,", 1)
	if got := w.ok("clients", "apply", file(t, "other.yaml", other), "--dry-run"); !strings.Contains(got, "1 client would change") {
		t.Errorf("with another key: %s", got)
	}
	private := strings.Replace(text, "kid: k,", "kid: k, d: nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A,", 1)
	r = w.run("", "clients", "apply", file(t, "private.yaml", private), "--yes")
	if r.code == 0 || !strings.Contains(r.err, ":4:5: clients.shop: trusted_issuers[1].jwks") || strings.Contains(r.out+r.err, "nWGxne") {
		t.Errorf("with a private key: %+v", r)
	}
}

// TestApplyKeys checks that the keys of a file are applied, and once, that an operator is warned of new
// ones alone, and that a private key of the file is told nowhere.
func TestApplyKeys(t *testing.T) {
	w := newWorld(t)
	const key = `{kty: OKP, crv: Ed25519, kid: k, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}`
	const caution = "whoever has one of the private keys"
	text := func(members string) string {
		return "clients:\n  backend:\n    type: confidential\n    " + members + "\n"
	}
	path := file(t, "keys.yaml", text("jwks: {keys: ["+key+"]}"))
	r := w.run("", "clients", "apply", path, "--yes")
	if r.code != 0 || !strings.Contains(r.out, "of 1 key, SHA-256 ") || !strings.Contains(r.out+r.err, caution) {
		t.Errorf("applied: %+v", r)
	}
	if got := w.ok("clients", "apply", path, "--yes"); !strings.HasSuffix(got, "no change\n") {
		t.Errorf("the second time: %s", got)
	}
	if got := w.ok("clients", "show", "backend"); !strings.Contains(got, "of 1 key, SHA-256 ") {
		t.Errorf("shown: %s", got)
	}
	r = w.run("", "clients", "apply", file(t, "elsewhere.yaml", text("jwks_uri: https://a.example/keys")), "--yes")
	if r.code != 0 || !strings.Contains(r.out, "https://a.example/keys") || !strings.Contains(r.out+r.err, caution) {
		t.Errorf("with an address: %+v", r)
	}
	r = w.run("", "clients", "apply", file(t, "less.yaml", text("may_forward: true")), "--yes")
	if r.code != 0 || strings.Contains(r.out+r.err, caution) || !strings.Contains(r.out+r.err, "nobody can authenticate") {
		t.Errorf("without keys: %+v", r)
	}
	private := strings.Replace(key, "kid: k,", "kid: k, d: nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A,", 1)
	r = w.run("", "clients", "apply", file(t, "private.yaml", text("jwks: {keys: ["+private+"]}")), "--yes")
	if r.code == 0 || !strings.Contains(r.err, ":4:5: clients.backend: jwks") || strings.Contains(r.out+r.err, "nWGxne") {
		t.Errorf("with a private key: %+v", r)
	}
}

// TestApplyAdopt checks that the provider of a file is applied once, with its defaults, and that an operator is warned
// of it.
func TestApplyAdopt(t *testing.T) {
	w := newWorld(t)
	text := `clients:
  shop:
    type: public
    adopt:
      token_endpoint: https://old.example/token
      client_id: shop-old
      auth: client_secret_post
      secret_name: rotor/adopt/shop
      user: {from: id_token}
      length: 43
`
	path := file(t, "adopt.yaml", text)
	const shown = "https://old.example/token (client_id shop-old, auth client_secret_post, secret_name rotor/adopt/shop, user sub of the id_token, length 43, repeatable false, per_second 10)"
	r := w.run("", "clients", "apply", path, "--yes")
	if r.code != 0 || !strings.Contains(r.out, shown) || !strings.Contains(r.out+r.err, "whom this token endpoint names") {
		t.Errorf("applied: %+v", r)
	}
	if got := w.ok("clients", "apply", path, "--yes"); !strings.HasSuffix(got, "no change\n") {
		t.Errorf("the second time: %s", got)
	}
	if got := w.ok("clients", "show", "shop"); !strings.Contains(got, shown) {
		t.Errorf("shown: %s", got)
	}
	if got := w.ok("clients", "apply", file(t, "other.yaml", strings.Replace(text, "length: 43", "prefix: v1.", 1)), "--dry-run"); !strings.Contains(got, "1 client would change") {
		t.Errorf("with another shape: %s", got)
	}
	bad := strings.Replace(text, "auth: client_secret_post", "auth: private", 1)
	if r := w.run("", "clients", "apply", file(t, "bad.yaml", bad), "--yes"); r.code == 0 || !strings.Contains(r.err, ":4:5: clients.shop: adopt.auth") {
		t.Errorf("with a mistake: %+v", r)
	}
}

// TestBadFiles checks that what is wrong is named with its place, all at once, and that nothing is done.
func TestBadFiles(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"unknown members": {
			"clients:\n  shop:\n    type: public\n    scopes: openid\n    policy:\n      reuse_intervall: 30\n      Rotation: true\nversion: 1\n",
			[]string{":4:5: there is no member clients.shop.scopes", ":6:7: there is no member clients.shop.policy.reuse_intervall", ":7:7: there is no member clients.shop.policy.Rotation", `:8:1: there is no member "version"`},
		},
		"wrong types": {
			"clients:\n  shop:\n    type: public\n    scope: [openid]\n    policy: {reuse_interval: \"30\", rotation: 1}\n    may_forward: maybe\n    redirect_uris: https://a.example\n",
			[]string{":4:12: clients.shop.scope is a list, but must be a string", ":5:30: clients.shop.policy.reuse_interval is a string, but must be a number", "clients.shop.policy.rotation is a number, but must be true or false", ":6:18: clients.shop.may_forward is a string", ":7:20: clients.shop.redirect_uris is a string, but must be a list"},
		},
		"out of range": {
			"clients:\n  shop:\n    type: public\n    policy:\n      reuse_interval: -1\n      max_active: 0\n",
			[]string{":5:7: clients.shop.policy.reuse_interval is -1, but must be from 0 to 2592000", ":6:7: clients.shop.policy.max_active is 0, but must be from 1 to 1000"},
		},
		"a preset that is none":     {"clients:\n  shop:\n    type: public\n    preset: okta\n", []string{":4:5: clients.shop.preset is okta, but must be one of default, auth0"}},
		"no type":                   {"clients:\n  shop: {scope: openid}\n", []string{`:2:9: clients.shop.type is "", but must be public or confidential`}},
		"twice":                     {"clients:\n  shop: {type: public}\n  shop: {type: public}\n", []string{":3:3: shop stands twice in clients"}},
		"a value that is forgotten": {"clients:\n  shop:\n    type: public\n    scope:\n", []string{":4:5: clients.shop.scope has no value"}},
		"no clients":                {"clients: {}\n", []string{"there are no clients"}},
		"a list":                    {"- shop\n", []string{":1:1: the file must be a mapping"}},
		"a client that is a word":   {"clients: {shop: public}\n", []string{":1:17: clients.shop must be a mapping"}},
		"nothing":                   {"", []string{":1:1: the file is empty"}},
		"comments":                  {"# no clients\n", []string{":1:1: the file is empty"}},
		"no YAML":                   {"clients: {shop\n", []string{":1:15: did not find"}},
		"no YAML within":            {"clients:\n  a: b\n c: d\n", []string{":3:2: did not find"}},
		"no text":                   {"a: \x00", []string{":1:1: control characters are not allowed"}},
		"a second document":         {"clients:\n  shop: {type: public}\n---\nclients: {}\n", []string{":3:1: a second document begins"}},
		"a second one that is none": {"clients:\n  shop: {type: public}\n---\n[\n", []string{":4:2: did not find"}},
		"an alias":                  {"clients:\n  a: {type: public, audience: &a [x]}\n  b: {type: public, audience: *a}\n", []string{":3:31: an alias is not allowed: write what *a stands for"}},
		"aliases of aliases":        {bomb(), []string{"an alias is not allowed"}},
		"a loop":                    {"clients: &x {a: *x}\n", []string{":1:17: an alias is not allowed"}},
		"a mapping as a name":       {"clients:\n  ? {a: b}\n  : {type: public}\n", []string{":2:5: a name in clients must be a string"}},
		"an empty id":               {"clients:\n  \"\": {type: public}\n", []string{":2:3: a name in clients is empty"}},
		"all faults":                {"clients:\n  a: {type: public, policy: {max_active: 0}}\n  b: {scope: x}\n", []string{":2:30: clients.a.policy.max_active is 0", ":3:6: clients.b.type"}},
		"too many":                  {"clients:\n" + many(1001), []string{"1001 clients in the file, but at most 1000"}},
		"too long":                  {strings.Repeat("#", 1<<20+1), []string{"longer than"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "clients.yaml", test.text)
			r := w.run("", "clients", "apply", path, "--yes")
			if r.code != 2 || r.out != "" {
				t.Errorf("ended with %d: %+v", r.code, r)
			}
			for _, want := range test.want {
				if !strings.Contains(r.err, want) {
					t.Errorf("the error does not say %q:\n%s", want, r.err)
				}
			}
		})
	}
	// What the service alone can tell has its place, too.
	path := file(t, "clients.yaml", "clients:\n  shop:\n    type: public\n    may_introspect: true\n    scope: \"a\\tb\"\n")
	r := w.run("", "clients", "apply", path, "--yes")
	if r.code != 1 || !strings.Contains(r.err, ":4:5: clients.shop: may_introspect is true") || !strings.Contains(r.err, ":5:5: clients.shop: scope must be") {
		t.Errorf("refused by the service: %+v", r)
	}
	if _, err := w.Registration(t.Context(), "shop"); err == nil {
		t.Error("a client of a bad file is registered")
	}
}

// TestApplyTransport checks that a file says how a client's refresh tokens travel, and that what it leaves out
// is no change.
func TestApplyTransport(t *testing.T) {
	w := newWorld(t)
	cookies := "clients: {spa: {type: public, transport: cookie}}"
	if r := w.run(cookies, "clients", "apply", "-", "--yes"); r.code != 0 || !strings.Contains(r.out, "+   transport: cookie\n+   cookie_same_site: strict\n") {
		t.Errorf("new: %+v", r)
	}
	for _, test := range []struct{ file, says string }{
		{cookies, "no change\n"},
		{"clients: {spa: {type: public, transport: cookie, cookie_same_site: strict}}", "no change\n"},
		{"clients: {spa: {type: public, transport: cookie, cookie_same_site: lax}}", "~   cookie_same_site: strict -> lax\n"},
		{"clients: {spa: {type: public, transport: body}}", "~   transport: cookie -> (none)\n~   cookie_same_site: lax -> (none)\n"},
		{"clients: {spa: {type: public}}", "no change\n"},
	} {
		if r := w.run(test.file, "clients", "apply", "-", "--yes"); r.code != 0 || !strings.Contains(r.out, test.says) {
			t.Errorf("%s: %+v", test.file, r)
		}
	}
	if r := w.run("clients: {spa: {type: confidential, transport: cookie, cookie_same_site: none}}", "clients", "apply", "-", "--yes"); r.code == 0 || !strings.Contains(r.err, "cookie_same_site") {
		t.Errorf("refused: %+v", r)
	}
}

// TestCautions checks that what becomes unsafe is told before it is done.
func TestCautions(t *testing.T) {
	w := newWorld(t)
	if r := w.run("clients: {c: {type: confidential}}", "clients", "apply", "-", "--yes"); r.code != 0 || r.err != "" {
		t.Fatalf("a safe client: %+v", r)
	}
	for range 2 {
		if _, _, err := w.AddSecret(t.Context(), "c"); err != nil {
			t.Fatal(err)
		}
	}
	until := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	for _, test := range []struct{ text, want string }{
		{"type: public", "becomes public: its secrets (2) are deleted"},
		{"type: confidential, policy: {rotation: false}", "never detected"},
		{"type: confidential, policy: {lost_response: until_used}", "forgiven at any age"},
		{"type: confidential, policy: {absolute_lifetime: 0, idle_lifetime: 0}", "neither an absolute nor an idle lifetime"},
		{"type: confidential, policy: {reuse_detection: observe, observe_until: " + until + "}", "stops nobody"},
		{"type: confidential, may_introspect: true", "every client's access tokens"},
		{"type: confidential, may_forward: true", "can claim any address"},
		{"type: confidential, trusted_issuers: [{issuer: i, jwks_uri: 'https://i.example/', audience: [a]}]", "can log in as any of their users"},
	} {
		file := "clients: {c: {" + test.text + "}}"
		r := w.run(file, "clients", "apply", "-", "--dry-run")
		if r.code != 0 || !strings.Contains(r.err, "warning: c: ") || !strings.Contains(r.err, test.want) {
			t.Errorf("%s: %+v", test.text, r)
		}
		if r := w.run(file, "clients", "apply", "-", "--dry-run", "--json"); r.code != 0 || !strings.Contains(r.out, test.want) {
			t.Errorf("%s, as JSON: %+v", test.text, r)
		}
		if test.text == "type: public" {
			continue // would lose the secrets
		}
		if r := w.run(file, "clients", "apply", "-", "--yes"); r.code != 0 || strings.Count(r.err, "warning:") != 1 {
			t.Errorf("%s is applied with other warnings: %+v", test.text, r)
		}
		if r := w.run(file, "clients", "apply", "-", "--dry-run"); r.code != 0 || r.err != "" {
			t.Errorf("%s is no change, and warned of: %+v", test.text, r)
		}
	}
}

// bomb returns a short file with 10¹² values.
func bomb() string {
	text := "clients:\n  a: &0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		text += fmt.Sprintf("  c%d: &%d [%s*%d]\n", i, i+1, strings.Repeat(fmt.Sprintf("*%d, ", i), 9), i)
	}
	return text
}

// many returns n clients.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  c%d: {type: public}\n", i)
	}
	return b.String()
}

func TestClients(t *testing.T) {
	w := newWorld(t)
	all := rows(w.ok("clients", "list"))
	if len(all) != 6 || !slices.Equal(all[3], []string{"demo-spa", "public", "default", "60", "2592000", "1296000", "enforce", ""}) {
		t.Errorf("the list is %q", all)
	}
	if lines := strings.Split(strings.TrimSpace(w.ok("clients", "list", "--json")), "\n"); len(lines) != 6 || decode[manage.Registration](t, lines[3]+"\n").ClientID != "demo-spa" {
		t.Errorf("as JSON: %q", lines)
	}
	shown := rows(w.ok("clients", "show", "demo-auth0"))
	for _, want := range [][]string{{"client", "demo-auth0"}, {"preset", "auth0"}, {"policy.reuse_interval", "0"}, {"policy.evict", "oldest"}} {
		if !slices.ContainsFunc(shown, func(row []string) bool { return slices.Equal(row, want) }) {
			t.Errorf("%q is not in %q", want, shown)
		}
	}
	if c := decode[manage.Registration](t, w.ok("clients", "show", "demo-auth0", "--json")); c.Policy.InvalidGrantStatus != 403 {
		t.Errorf("as JSON: %+v", c)
	}
	if got := w.ok("clients", "delete", "demo-auth0", "--yes"); got != "deleted demo-auth0\n" {
		t.Errorf("deleted: %s", got)
	}
	for _, args := range [][]string{{"clients", "show", "demo-auth0"}, {"clients", "delete", "demo-auth0", "--yes"}, {"secrets", "list", "demo-auth0"}} {
		if r := w.run("", args...); r.code != 1 || !strings.Contains(r.err, "404") || !strings.Contains(r.err, `client "demo-auth0"`) {
			t.Errorf("%v, of a client that is gone: %+v", args, r)
		}
	}
}

func TestSecrets(t *testing.T) {
	w := newWorld(t)
	if got := w.ok("clients", "apply", file(t, "c.yaml", "clients: {backend: {type: confidential}}"), "--yes"); got == "" {
		t.Fatal("nothing is applied")
	}
	r := w.run("", "secrets", "add", "backend")
	if r.code != 0 || strings.Count(r.out, "\n") != 1 || !strings.HasPrefix(r.out, "rotor_secret_") || strings.Contains(r.err, "rotor_secret_") {
		t.Errorf("added: %+v", r)
	}
	second := decode[map[string]string](t, w.ok("secrets", "add", "backend", "--json"))
	if !strings.HasPrefix(second["client_secret"], "rotor_secret_") || second["secret_id"] == "" {
		t.Errorf("as JSON: %v", second)
	}
	if r := w.run("", "secrets", "add", "backend"); r.code != 1 || !strings.Contains(r.err, "2 secrets already") {
		t.Errorf("a third: %+v", r)
	}
	all := rows(w.ok("secrets", "list", "backend"))
	if len(all) != 2 || !strings.Contains(r.err, all[0][0]) || all[1][0] != second["secret_id"] {
		t.Errorf("the list is %q, after %+v", all, r)
	}
	if got := w.ok("secrets", "remove", "backend", all[0][0], "--yes"); got != "removed "+all[0][0]+"\n" {
		t.Errorf("removed: %s", got)
	}
	if all := rows(w.ok("secrets", "list", "backend", "--json")); len(all) != 1 {
		t.Errorf("the list is %q", all)
	}
}
