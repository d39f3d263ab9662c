package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// expected is the status of each sample event, once both clients are registered and
// its words in capitals are replaced.
var expected = map[string]int{
	"discovery-authorize":              http.StatusFound,
	"discovery-jwks":                   http.StatusOK,
	"discovery-no-route":               http.StatusNotFound,
	"discovery-oauth-metadata":         http.StatusOK,
	"discovery-openapi":                http.StatusOK,
	"discovery-openid-metadata":        http.StatusOK,
	"discovery-supabase-jwks":          http.StatusOK,
	"introspect-supabase-user":         http.StatusOK,
	"introspect-token":                 http.StatusOK,
	"manage-add-secret":                http.StatusCreated,
	"manage-authorize":                 http.StatusOK,
	"manage-delete-client":             http.StatusNoContent,
	"manage-explain-family":            http.StatusOK,
	"manage-explain-token":             http.StatusOK,
	"manage-get-client":                http.StatusOK,
	"manage-get-family":                http.StatusOK,
	"manage-import-tokens":             http.StatusOK,
	"manage-issue-confidential-family": http.StatusCreated,
	"manage-issue-family":              http.StatusCreated,
	"manage-issue-family-once":         http.StatusCreated,
	"manage-list-clients":              http.StatusOK,
	"manage-list-events":               http.StatusOK,
	"manage-list-families":             http.StatusOK,
	"manage-list-user-events":          http.StatusOK,
	"manage-patch-family":              http.StatusOK,
	"manage-patch-user":                http.StatusOK,
	"manage-put-client":                http.StatusOK,
	"manage-put-confidential-client":   http.StatusOK,
	"manage-put-cookie-client":         http.StatusCreated,
	"manage-remove-secret":             http.StatusNoContent,
	"manage-erase-user":                http.StatusOK,
	"manage-revoke-family":             http.StatusOK,
	"manage-revoke-others":             http.StatusOK,
	"manage-revoke-user":               http.StatusOK,
	"revoke-auth0-logout":              http.StatusSeeOther,
	"revoke-cookie":                    http.StatusOK,
	"revoke-logout":                    http.StatusSeeOther,
	"revoke-preflight":                 http.StatusNoContent,
	"revoke-supabase-logout":           http.StatusNoContent,
	"revoke-token":                     http.StatusOK,
	"revoke-token-json":                http.StatusOK,
	"token-assertion":                  http.StatusBadRequest, // example-spa trusts nobody
	"token-code":                       http.StatusOK,
	"token-device-registration":        http.StatusOK,
	"token-device-renewal":             http.StatusOK,
	"token-exchange":                   http.StatusBadRequest,
	"token-foreign-origin":             http.StatusForbidden,
	"token-health":                     http.StatusOK,
	"token-preflight":                  http.StatusNoContent,
	"token-refresh":                    http.StatusOK,
	"token-refresh-base64":             http.StatusOK,
	"token-refresh-cookie":             http.StatusOK,
	"token-refresh-confidential":       http.StatusOK,
	"token-refresh-forwarded":          http.StatusOK,
	"token-refresh-json":               http.StatusOK,
	"token-supabase":                   http.StatusOK,
	"token-wrong-method":               http.StatusMethodNotAllowed,
}

// sampleNames returns the names of all samples.
func sampleNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(samples, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no sample events in %s (%v)", samples, err)
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".json"))
	}
	return names
}

// httpNames returns the names of the samples that the gateway sends, which are all
// except those for sweep and keys.
func httpNames(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(sampleNames(t), func(name string) bool { return strings.HasPrefix(name, "sweep-") || strings.HasPrefix(name, "keys-") })
}

// says is what the responses to some samples must contain if one family was started.
var says = map[string]string{
	"token-health":         `{"status":"ok",`,
	"token-refresh-cookie": `"sid":"`,

	"token-device-registration": `"refresh_url":"/`,
	"token-device-renewal":      `"allowed_refresh_initiators":["app.example.com"]`,

	"manage-put-cookie-client": `"transport":"cookie","cookie_same_site":"strict"`,
	"introspect-supabase-user": `"identities":[]`,
	"introspect-token":         `"active":true`,
	"manage-erase-user":        `{"families":1,"events":0,"dry_run":true}`,
	"manage-explain-family":    `"verdict":"valid"`,
	"manage-explain-token":     `"verdict":"valid"`,
	"manage-import-tokens":     `{"tokens":[{"result":"imported","family":"`,
	"manage-list-events":       `"type":"srrt"`,
	"manage-list-families":     `"status":"active"`,
	"manage-list-user-events":  `"familyId":"`,
	"manage-patch-family":      `"acr":"aal2"`,
	"manage-patch-user":        `{"changed":1}`,
	"manage-revoke-family":     `{"revoked":1}`,
	"manage-revoke-others":     `{"revoked":0}`,
	"manage-revoke-user":       `{"revoked":1,"dry_run":true}`,
}

// leads is where some samples lead a browser.
var leads = map[string]string{
	"discovery-authorize": "https://login.example.com/?response_type=code&client_id=example-spa&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback" +
		"&scope=openid&state=xyz&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
	"revoke-auth0-logout": "https://app.example.com/",
	"revoke-logout":       "https://app.example.com/?state=xyz",
}

func TestSamples(t *testing.T) {
	names := httpNames(t)
	if len(names) != len(expected) {
		t.Errorf("%d sample events, of which %d are expected here", len(names), len(expected))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { newWorld(t).answersSample(name) })
		if !strings.HasPrefix(name, "manage-") {
			t.Run(name+" behind a load balancer", func(t *testing.T) { newWorld(t).behindBalancer().answersSample(name) })
		}
	}
}

// answersSample checks the answer to a sample.
func (w *world) answersSample(name string) {
	t := w.t
	w.prepare(name)
	a := w.want(w.play(name), expected[name])
	switch {
	case a.StatusCode == http.StatusNoContent && a.Body != "":
		t.Errorf("204 with a body: %s", a.Body)
	case a.StatusCode >= http.StatusMultipleChoices && a.StatusCode < http.StatusBadRequest:
		if a.Body != "" || inOrder(a.Headers["Location"]) != inOrder(leads[name]) {
			t.Errorf("it leads to %q: %s", a.Headers["Location"], a.Body)
		}
	case a.StatusCode != http.StatusNoContent && a.json == nil:
		t.Error("the answer has no body")
	case !strings.Contains(a.Body, says[name]):
		t.Errorf("the answer has no %s: %s", says[name], a.Body)
	case strings.HasSuffix(name, "-preflight") && a.Headers["Access-Control-Allow-Origin"] != "https://app.example.com":
		t.Errorf("the preflight is refused: %v", a.Headers)
	}
}

// inOrder returns a URL with its parameters in order, which a load balancer does not keep.
func inOrder(address string) string {
	page, query, _ := strings.Cut(address, "?")
	parameters := strings.Split(query, "&")
	slices.Sort(parameters)
	return page + "?" + strings.Join(parameters, "&")
}

// prepare registers both clients and starts a family, before a sample is sent.
func (w *world) prepare(name string) {
	w.t.Helper()
	w.register()
	if slices.Contains([]string{"token-refresh-confidential", "token-refresh-forwarded", "introspect-token"}, name) {
		w.login("manage-issue-confidential-family")
	} else {
		w.login("manage-issue-family")
	}
	if name == "token-code" {
		w.authorize()
	}
	if strings.HasSuffix(name, "-cookie") {
		w.loginPage()
	}
	if strings.HasPrefix(name, "token-device-") {
		w.device(name == "token-device-renewal")
	}
	if strings.HasSuffix(name, "-events") { // there must be an event to list
		w.want(w.play("manage-revoke-family"), http.StatusOK)
	}
}

// device starts a session that is to be bound to the key of a browser's device, and registers that key if it shall. It
// sets the values of the browser's next request.
func (w *world) device(registered bool) {
	w.t.Helper()
	_, put := w.sample("manage-put-cookie-client")
	put.Body = strings.Replace(put.Body, `"cookie"`, `"cookie", "device_bound": true`, 1)
	w.want(w.invoke(w.t.Context(), "manage", put), http.StatusCreated)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	challenge := regexp.MustCompile(`^\(ES256 RS256\);path="[^"]*/oauth/dbsc/registration";challenge="([^"]+)"$`)
	m := challenge.FindStringSubmatch(w.startSession().Headers["Secure-Session-Registration"])
	if m == nil {
		w.t.Fatal("the answer asks for no registration")
	}
	w.values["DEVICE_PROOF"] = w.deviceProof(key, m[1], true)
	if !registered {
		return
	}
	a := w.want(w.play("token-device-registration"), http.StatusOK)
	m = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`).FindStringSubmatch(a.Headers["Secure-Session-Challenge"])
	if m == nil || m[2] != a.text("session_identifier") {
		w.t.Fatalf("the challenge is %v", a.Headers)
	}
	w.values["DEVICE_PROOF"], w.values["BOUND_ID"] = w.deviceProof(key, m[1], false), m[2]
}

// deviceProof returns a browser's signature over a challenge, with its key if it registers that.
func (w *world) deviceProof(key *ecdsa.PrivateKey, challenge string, withKey bool) string {
	w.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: withKey}).WithType("dbsc+jwt"))
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"jti":"` + challenge + `"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	proof, err := signed.CompactSerialize()
	if err != nil {
		w.t.Fatal(err)
	}
	return proof
}

// loginPage registers the client with cookies, and starts a session of it as its page does.
func (w *world) loginPage() {
	w.t.Helper()
	w.want(w.play("manage-put-cookie-client"), http.StatusCreated)
	w.startSession()
}

// startSession starts a session of the client with cookies, and returns the answer to the exchange.
func (w *world) startSession() answer {
	w.t.Helper()
	_, issue := w.sample("manage-issue-family")
	issue.Body = `{"user_id":"ada","client_id":"example-page","deliver":"code","code_challenge":"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}`
	_, exchange := w.sample("token-code")
	code := w.want(w.invoke(w.t.Context(), "manage", issue), http.StatusCreated).text("code")
	exchange.Headers["rotor-transport"] = "cookie"
	exchange.Body = "grant_type=authorization_code&client_id=example-page&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&code=" + code
	a := w.want(w.invoke(w.t.Context(), "token", exchange), http.StatusOK)
	w.documented(exchange, a)
	if len(a.Cookies) != 1 {
		w.t.Fatalf("the cookies are %v", a.Cookies)
	}
	c, err := http.ParseSetCookie(a.Cookies[0])
	if err != nil || !strings.HasPrefix(c.Name, "__Host-Http-rotor.example-page.") {
		w.t.Fatalf("the cookie is %v, %v", c, err)
	}
	w.values["SESSION"], w.values["REFRESH_TOKEN"] = a.text("sid"), c.Value
	return a
}

// TestSessionCookies checks that session cookies go through the gateway both ways: it takes them out of the
// header, and sets as many as there are in the answer.
func TestSessionCookies(t *testing.T) {
	t.Run("gateway", func(t *testing.T) { newWorld(t).keepsSession() })
	t.Run("load balancer", func(t *testing.T) { newWorld(t).behindBalancer().keepsSession() })
}

// keepsSession checks a session from its login to its end.
func (w *world) keepsSession() {
	t := w.t
	w.register()
	w.login("manage-issue-family")
	w.loginPage()
	first := w.values["REFRESH_TOKEN"]
	name := "__Host-Http-rotor.example-page." + w.values["SESSION"]
	w.now = w.now.Add(time.Minute)
	a := w.want(w.play("token-refresh-cookie"), http.StatusOK)
	if len(a.Cookies) != 2 || !strings.HasPrefix(a.Cookies[0], name+".2=rotor_") || !strings.HasPrefix(a.Cookies[1], name+"=; Path=/; Max-Age=0; ") || a.Headers["Set-Cookie"] != "" {
		t.Errorf("the cookies are %v, and the headers %v", a.Cookies, a.Headers)
	}
	if a.text("refresh_token") != "" || a.text("sid") != w.values["SESSION"] {
		t.Errorf("the answer is %s", a.Body)
	}
	c, err := http.ParseSetCookie(a.Cookies[0])
	if err != nil {
		t.Fatal(err)
	}
	_, e := w.sample("token-refresh-cookie")
	e.Cookies = append(e.Cookies, "theme=dark", c.Name+"="+c.Value) // the cookie of before has arrived late
	if a := w.want(w.invoke(t.Context(), "token", e), http.StatusOK); !strings.Contains(a.Cookies[0], "="+c.Value+";") {
		t.Errorf("the cookies are %v", a.Cookies)
	}
	if a := w.want(w.play("revoke-cookie"), http.StatusOK); len(a.Cookies) != 2 || !strings.Contains(a.Cookies[0], "Max-Age=0") || !strings.Contains(a.Cookies[1], "Max-Age=0") {
		t.Errorf("after the revocation the cookies are %v", a.Cookies)
	}
	if strings.Contains(w.log.String(), first) || strings.Contains(w.log.String(), c.Value) || strings.Contains(w.log.String(), "__Host-") {
		t.Errorf("a cookie is in the log:\n%s", &w.log)
	}
	if w.now = w.now.Add(time.Minute); w.want(w.play("token-refresh-cookie"), http.StatusBadRequest).text("error") != "invalid_grant" {
		t.Error("the session lives")
	}
}

// TestForwardedUser checks that what a backend forwards about its user arrives through the
// gateway, and so does the address of the backend itself.
func TestForwardedUser(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-confidential-family")
	w.want(w.play("token-refresh-forwarded"), http.StatusOK)
	if f := w.want(w.play("manage-get-family"), http.StatusOK); f.text("last_ip") != "203.0.113.24" || !strings.HasPrefix(f.text("last_user_agent"), "Mozilla/5.0") {
		t.Errorf("the family is %s", f.Body)
	}
	for _, want := range []string{`"ip":"203.0.113.24"`, `"forwardedBy":"198.51.100.7"`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("%s is not in the log:\n%s", want, &w.log)
		}
	}
}

// TestSamplesRouting checks that a sample is served by the function of its name and by no
// other.
func TestSamplesRouting(t *testing.T) {
	w := newWorld(t)
	w.register()
	w.login("manage-issue-family")
	for _, name := range httpNames(t) {
		owner, e := w.sample(name)
		if w.functions[owner] == nil {
			t.Errorf("%s names no function", name)
		}
		for function := range w.functions {
			if function == owner {
				continue
			}
			e := e
			if function == "manage" {
				e.RequestContext.Authorizer = identity("arn:aws:iam::123456789012:user/ada")
			}
			if a := w.invoke(t.Context(), function, e); !a.noRoute() {
				t.Errorf("%s is answered by %s too: %d %s", name, function, a.StatusCode, a.Body)
			}
		}
		if a := w.invoke(t.Context(), owner, e); a.noRoute() != (name == "discovery-no-route") {
			t.Errorf("%s is answered by %s: %d %s", name, owner, a.StatusCode, a.Body)
		}
	}
}

// TestSamplesUnfilled checks that a sample that is sent without replacing its words gets a
// response.
func TestSamplesUnfilled(t *testing.T) {
	w := newWorld(t)
	for _, name := range httpNames(t) {
		if a := w.play(name); a.StatusCode >= http.StatusInternalServerError {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.Body)
		}
	}
}

func TestSamplesListed(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(samples, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sampleNames(t) {
		function, _, _ := strings.Cut(name, "-")
		if row := "\n| `" + name + ".json` | " + function + " | "; !strings.Contains(string(readme), row) {
			t.Errorf("README.md has no row for %s", name)
		}
	}
	if rows, files := strings.Count(string(readme), "\n| `"), len(sampleNames(t)); rows != files {
		t.Errorf("README.md has %d rows for %d files", rows, files)
	}
}
