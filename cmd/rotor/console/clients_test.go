package console

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/clients/manage"
)

func (w *world) registration(id string) *manage.Registration {
	w.tb.Helper()
	r, err := w.api.Registration(w.tb.Context(), id)
	if err != nil {
		w.tb.Fatal(err)
	}
	return r
}

// form returns the form of a page as a browser posts it: what is in its fields, and where to.
func (a answered) form(tb testing.TB) (action string, values url.Values) {
	tb.Helper()
	found := regexp.MustCompile(`(?s)<form class="card policy" method="post" action="([^"]*)".*?</form>`).FindStringSubmatch(a.body)
	if found == nil {
		tb.Fatalf("%d: the page has no form:\n%s", a.status, a.body)
	}
	values = url.Values{}
	for _, input := range regexp.MustCompile(`<input[^>]* name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(found[0], -1) {
		values.Set(input[1], html.UnescapeString(input[2]))
	}
	for _, list := range regexp.MustCompile(`(?s)<select[^>]* name="([^"]*)".*?<option value="([^"]*)" selected`).FindAllStringSubmatch(found[0], -1) {
		values.Set(list[1], list[2])
	}
	return found[1], values
}

// TestPolicyRoundTrip checks that saving a policy as it is shown changes nothing, whatever the
// client is like.
func TestPolicyRoundTrip(t *testing.T) {
	w := newWorld(t)
	until := w.clock.Now().Add(48 * time.Hour).Truncate(time.Second)
	for id, s := range map[string]*manage.Settings{
		"default":   {Type: "public"},
		"auth0":     {Type: "public", Preset: "auth0", Scope: "openid orders"},
		"supabase":  {Type: "public", Preset: "supabase", Audience: manage.Audience{"a", "b"}},
		"backend":   {Type: "confidential", Policy: map[string]any{"rotation": false}, MayIntrospect: true, MayForward: true, Audience: manage.Audience{"a"}},
		"web":       {Type: "confidential", RedirectURIs: []string{"https://a.example/cb", "https://b.example/cb"}, PostLogoutRedirectURIs: []string{"https://a.example/"}},
		"observing": {Type: "public", Policy: map[string]any{"reuse_detection": "observe", "observe_until": until}},
		"trusting":  {Type: "public", TrustedIssuers: []manage.TrustedIssuer{{Issuer: "https://i.example", JWKSURI: "https://i.example/keys", Audience: []string{"a"}, UserPrefix: new("")}}},
		"keyed":     {Type: "confidential", JWKS: json.RawMessage(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k-1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)},
		"published": {Type: "confidential", JWKSURI: "https://i.example/keys"},
		"adopting":  {Type: "public", Adopt: &manage.Provider{TokenEndpoint: "https://i.example/token", ClientID: "a", Auth: "client_secret_post", SecretName: "rotor/adopt/a", User: manage.ProviderUser{From: "id_token"}, Prefix: "v1.", Length: 40, PerSecond: 3}},
		"moving":    {Type: "public", AcceptsImported: &manage.TokenShape{Prefix: "v1.", Length: 40}},
		"any":       {Type: "public", AcceptsImported: &manage.TokenShape{}},
		"bound":     {Type: "public", Policy: map[string]any{"dpop": "required"}},
		"cookies":   {Type: "public", Transport: "cookie", CookieSameSite: "lax"},
		"ended":     {Type: "public", NotBefore: w.clock.Now().Add(-time.Hour).Truncate(time.Second)},
	} {
		w.register(id, s)
		before := w.registration(id)
		switch page := w.get("/console/clients/" + id); id {
		case "moving":
			page.wants(t, "Accepts imported tokens", "<bdi>v1.</bdi>, of 40 characters")
		case "cookies":
			page.wants(t, "Refresh tokens", "in lax cookies")
		case "keyed":
			page.wants(t, "Authenticates by keys of its own", "<bdi>k-1</bdi>", "only its keys authenticate it")
		case "published":
			page.wants(t, "Authenticates by the keys at", "<bdi>https://i.example/keys</bdi>")
		case "web":
			page.wants(t, "nobody can authenticate as this client")
		case "any":
			page.wants(t, "Accepts imported tokens", "of any shape")
		}
		action, values := w.get("/console/clients/" + id + "/policy").form(t)
		if len(values) != 13 {
			t.Errorf("%s: the form has %v", id, values)
		}
		w.clock.Advance(time.Second)
		w.led(w.post(action, values)).wants(t, "The policy was saved.")
		after := w.registration(id)
		if !after.UpdatedAt.After(before.UpdatedAt) {
			t.Errorf("%s: nothing was saved", id)
		}
		after.UpdatedAt = before.UpdatedAt
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s has changed:\n%s", id, diff)
		}
	}
}

// TestRefusedPolicy checks that the service's own validation marks each field, that what was typed
// is kept, and that nothing is saved.
func TestRefusedPolicy(t *testing.T) {
	w := newWorld(t)
	before := w.registration("app")
	action, values := w.get("/console/clients/app/policy").form(t)
	typed := map[string]string{
		"reuse_interval": "-1", "absolute_lifetime": `a "few" days`, "idle_lifetime": "", "access_token_lifetime": "1e99", "max_active": "1001",
		"observe_until": "tomorrow", "rotation": "false", "lost_response": "forgive", "evict": "none", "reuse_detection": "sleep", "invalid_grant_status": "500", "dpop": "maybe",
	}
	for name, value := range typed {
		values.Set(name, value)
	}
	// The service looks at values of the wrong kind first, and then at all others.
	marked := map[string]bool{}
	for range 2 {
		got := w.post(action, values)
		if got.status != http.StatusBadRequest {
			t.Fatalf("%d:\n%s", got.status, got.body)
		}
		got.wants(t, `role="alert"`, `<li><a href="#reuse_interval">Reuse interval</a>: `)
		for _, fault := range regexp.MustCompile(`<p class="fault" id="([a-z_]*)-fault">([^<]*)<`).FindAllStringSubmatch(got.body, -1) {
			name := fault[1]
			marked[name] = true
			got.wants(t, `aria-describedby="`+name+`-hint `+name+`-fault" aria-invalid="true"`)
			if !strings.Contains(html.UnescapeString(fault[2]), "must be") {
				t.Errorf("%s: %s", name, fault[2])
			}
			if name != "lost_response" && name != "evict" && name != "reuse_detection" && name != "invalid_grant_status" && name != "dpop" && name != "rotation" {
				got.wants(t, ` name="`+name+`" value="`+html.EscapeString(typed[name])+`"`)
			}
		}
		for name, right := range map[string]string{"absolute_lifetime": "60", "idle_lifetime": "60", "access_token_lifetime": "60", "observe_until": ""} {
			values.Set(name, right)
		}
	}
	if len(marked) != len(typed) {
		t.Errorf("%v were marked, of %v", marked, typed)
	}
	if diff := cmp.Diff(before, w.registration("app")); diff != "" {
		t.Errorf("the client has changed:\n%s", diff)
	}
}

// TestStalePolicy checks that a form which was shown before somebody else's change does not undo
// that.
func TestStalePolicy(t *testing.T) {
	w := newWorld(t)
	action, values := w.get("/console/clients/app/policy").form(t)
	values.Set("reuse_interval", "7")
	w.clock.Advance(time.Second)
	w.register("app", &manage.Settings{Type: "public", Policy: map[string]any{"max_active": 3}})
	got := w.post(action, values)
	if got.status != http.StatusConflict {
		t.Errorf("%d", got.status)
	}
	got.wants(t, "after this form was shown", `name="reuse_interval" value="7"`)
	if p := w.registration("app").Policy; p.MaxActive != 3 || p.ReuseInterval != 60 {
		t.Errorf("the policy is %+v", p)
	}
	// Saved again, it is what was typed.
	w.led(w.post(got.form(t)))
	if p := w.registration("app").Policy; p.MaxActive != 200 || p.ReuseInterval != 7 {
		t.Errorf("the policy is %+v", p)
	}
}

// TestWarningsAreShown checks that what the service warns about is said once, beside the client.
func TestWarningsAreShown(t *testing.T) {
	w := newWorld(t)
	action, values := w.get("/console/clients/app/policy").form(t)
	values.Set("lost_response", "until_used")
	done := w.post(action, values)
	w.led(done).wants(t, "The service warns", "forgiven at any age")
	if strings.Contains(w.led(done).body, "The service warns") {
		t.Error("the warning is shown again")
	}
}

// TestSecretsAreShownOnce checks that a new secret is on one page, once, and in no address.
func TestSecretsAreShownOnce(t *testing.T) {
	w := newWorld(t)
	w.register("backend", &manage.Settings{Type: "confidential"})
	made := w.post("/console/clients/backend/secrets", url.Values{})
	secret := regexp.MustCompile(`rotor_secret_[A-Za-z0-9_-]+`)
	if secret.MatchString(made.header.Get("Location") + made.body) {
		t.Error("the redirect has the secret")
	}
	page := w.led(made)
	shown := secret.FindString(page.body)
	if shown == "" || page.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the page has no secret, or may be kept (%s):\n%s", page.header.Get("Cache-Control"), page.body)
	}
	if secret.MatchString(w.led(made).body) || secret.MatchString(w.get("/console/clients/backend").body) {
		t.Error("the secret is shown again")
	}
	ids := w.registration("backend").Secrets
	w.led(w.post("/console/clients/backend/secrets", url.Values{}))
	if got := w.post("/console/clients/backend/secrets", url.Values{}); got.status != http.StatusConflict {
		t.Errorf("a third secret: %d", got.status)
	}
	w.led(w.post("/console/clients/backend/secrets/"+ids[0].ID+"/remove", url.Values{})).wants(t, "The secret was removed.")
	if left := w.registration("backend").Secrets; len(left) != 1 || left[0].ID == ids[0].ID {
		t.Errorf("left are %v", left)
	}
	if got := w.post("/console/clients/app/secrets", url.Values{}); got.status != http.StatusConflict {
		t.Errorf("a secret for a public client: %d", got.status)
	}
}

// TestAgesAreOfTheClient checks that the histogram has the client's own reuse, and the interval
// that is recommended.
func TestAgesAreOfTheClient(t *testing.T) {
	w := newWorld(t)
	w.register("other", &manage.Settings{Type: "public"})
	first := w.login(&manage.Login{UserID: "alice"}).RefreshToken
	w.refresh(first)
	w.clock.Advance(90 * time.Second)
	w.refresh(first)
	w.get("/console/clients/app").wants(t, "1 time in the last 30 days", "today’s interval: 1 min", "the recommended interval: 2 min",
		`<th scope="row">1 min to 2 min</th><td>1</td>`, `href="/console/clients/app/policy?reuse_interval=120"`)
	w.get("/console/clients/other").wants(t, "No superseded token of this client came back")
	w.refuse = func(r *http.Request) bool { return r.URL.Path == "/v1/events" }
	w.get("/console/clients/app").wants(t, "Reuse interval", "execute-api:Invoke on …/GET/v1/events")
}

// TestClientsArePaged goes through 150 clients.
func TestClientsArePaged(t *testing.T) {
	w := newWorld(t)
	for i := range 150 {
		w.register(fmt.Sprintf("client-%03d", i), &manage.Settings{Type: "public"})
	}
	first := w.get("/console/clients")
	first.wants(t, "client-000")
	next := regexp.MustCompile(`class="button plain next" href="([^"]*)"`).FindStringSubmatch(first.body)
	if next == nil || strings.Contains(first.body, "client-149") {
		t.Fatalf("there is no second page:\n%s", first.body)
	}
	second := w.get(next[1])
	second.wants(t, "client-149", "First page")
	if strings.Contains(second.body, "client-000") || strings.Contains(second.body, " next\"") {
		t.Errorf("the second page has what the first has, or there is a third:\n%s", second.body)
	}
}

// TestNotes checks that notes are forgotten once they are shown, when nobody comes for them, and
// when there are too many.
func TestNotes(t *testing.T) {
	var n notes
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	key := n.put(note{Text: "a"}, now)
	if n.take("", now) != nil || n.take(key+"x", now) != nil {
		t.Error("another key has a note")
	}
	if got := n.take(key, now); got == nil || got.Text != "a" || n.take(key, now) != nil {
		t.Errorf("got %v, or it again", got)
	}
	key = n.put(note{Text: "b"}, now)
	if n.take(key, now.Add(noteLife)) != nil || len(n.waiting) != 0 {
		t.Error("a note waits for longer than its life")
	}
	keys := make([]string, maxNotes+1)
	for i := range keys {
		keys[i] = n.put(note{}, now)
	}
	if len(n.waiting) != maxNotes || n.take(keys[0], now) != nil || n.take(keys[1], now) == nil || n.take(keys[maxNotes], now) == nil {
		t.Error("not the oldest note was forgotten")
	}
}
