package local

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

const (
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	callback = "http://127.0.0.1:9999/callback"
)

// loginRequest returns the query of an authorization request of the client shop. The changes come
// in pairs; an empty value takes a parameter away.
func loginRequest(changes ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {"shop"}, "redirect_uri": {callback}, "scope": {"openid read"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		if q.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	return q.Encode()
}

// startWithShop runs the program with a client that has a redirect URI.
func startWithShop(t *testing.T, env map[string]string) (*program, *browser) {
	t.Helper()
	p := start(t, env)
	p.must(http.StatusCreated, http.MethodPut, "/v1/clients/shop", `{"type":"public","redirect_uris":["http://127.0.0.1/callback"]}`)
	b := p.browser()
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) { // where nobody listens
			return http.ErrUseLastResponse
		}
		return nil
	}
	return p, b
}

// sentBack posts the login's form, and returns the query with which the browser is sent back.
func (b *browser) sentBack(query string, form url.Values) url.Values {
	b.p.tb.Helper()
	to := ""
	follow := b.http.CheckRedirect
	defer func() { b.http.CheckRedirect = follow }()
	b.http.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		to = r.URL.String()
		return follow(r, via)
	}
	method := http.MethodPost
	if form == nil {
		method = http.MethodGet
	}
	status, page := b.send(method, "/demo/login?"+query, form)
	rest, ok := strings.CutPrefix(to, callback+"?")
	if !ok || status != http.StatusSeeOther {
		b.p.tb.Fatalf("the login answers %d, to %q:\n%s", status, to, page)
	}
	q, err := url.ParseQuery(rest)
	if err != nil {
		b.p.tb.Fatal(err)
	}
	return q
}

// TestDemoLogin goes from the authorization request of any registered client to its tokens, also
// under a base path.
func TestDemoLogin(t *testing.T) {
	for _, base := range []string{"", "/auth"} {
		p, b := startWithShop(t, map[string]string{"BASE_PATH": base})
		metadata := p.must(http.StatusOK, http.MethodGet, "/.well-known/openid-configuration", "")
		if got := metadata.text("authorization_endpoint"); got != p.url+"/demo/login" {
			t.Errorf("the login is at %s", got)
		}
		status, page := b.send(http.MethodGet, "/authorize?"+loginRequest(), nil)
		if status != http.StatusOK {
			t.Fatalf("the login answers %d:\n%s", status, page)
		}
		b.wants(page, "Log in to go on to shop", "<code>openid</code>", "<code>read</code>", callback, "Alice", "Bob", "Carol", base+"/demo/assets/demo.css")
		got := b.sentBack(loginRequest(), url.Values{"do": {"allow"}, "user": {"bob"}})
		if got.Get("state") != "s" || got.Get("iss") != p.url || got.Has("error") {
			t.Errorf("the answer has the state %q, the issuer %q, the error %q", got.Get("state"), got.Get("iss"), got.Get("error"))
		}
		tokens := p.form("/oauth/token", url.Values{
			"grant_type": {"authorization_code"}, "client_id": {"shop"}, "code": {got.Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier},
		})
		if tokens.status != http.StatusOK || tokens.text("scope") != "" && tokens.text("scope") != "openid read" || tokens.text("refresh_token") == "" || tokens.text("id_token") == "" {
			t.Fatalf("the code is answered %d", tokens.status)
		}
		families := p.must(http.StatusOK, http.MethodGet, "/v1/families?user_id=bob", "")
		f := families.body["families"].([]any)[0].(map[string]any)
		if f["client_id"] != "shop" || f["scope"] != "openid read" || f["auth_time"] == nil || f["device"] != "the demo's browser" {
			t.Errorf("the family is %v", f)
		}
	}
}

// TestDemoLoginRefuses checks what the login tells the app, what it tells its user instead, and that
// no family begins.
func TestDemoLoginRefuses(t *testing.T) {
	p, b := startWithShop(t, nil)
	allow := url.Values{"do": {"allow"}, "user": {"alice"}}
	for _, tt := range []struct {
		query string
		form  url.Values
		want  string // the error that the app is told
	}{
		{loginRequest(), url.Values{"do": {"deny"}}, "access_denied"},
		{loginRequest("prompt", "none"), nil, "login_required"},
		{loginRequest("prompt", "login none"), nil, "login_required"},
		{loginRequest("code_challenge", ""), allow, "invalid_request"},
		{loginRequest("code_challenge_method", "plain"), allow, "invalid_request"},
		{loginRequest("response_type", "token"), allow, "unsupported_response_type"},
		{loginRequest("scope", "a\u202eb"), allow, "invalid_scope"},
		{loginRequest("scope", `a"b`), allow, "invalid_scope"},
		{loginRequest("scope", strings.Repeat("x", 1025)), allow, "invalid_scope"},
	} {
		if got := b.sentBack(tt.query, tt.form); got.Get("error") != tt.want || got.Get("state") != "s" || got.Has("code") {
			t.Errorf("%s: the app is told %q, want %q", tt.query, got.Get("error"), tt.want)
		}
	}
	for _, tt := range []struct {
		query string
		form  url.Values
		want  string
	}{
		{"", nil, "no client_id, or several"},
		{loginRequest("client_id", ""), allow, "no client_id, or several"},
		{loginRequest() + "&client_id=demo-spa", nil, "or several"},
		{loginRequest("client_id", "nobody"), nil, "No client is registered as nobody."},
		{loginRequest("client_id", "nobody"), allow, "No client is registered as nobody."},
		{loginRequest("client_id", "../users"), nil, "No client is registered as ../users."},
		{loginRequest("redirect_uri", "https://evil.example/"), allow, "request.redirect_uri"},
		{loginRequest("redirect_uri", "https://evil.example/", "prompt", "none"), nil, "request.redirect_uri"},
		{loginRequest("redirect_uri", ""), allow, "request.redirect_uri"},
		{loginRequest(), url.Values{"do": {"allow"}}, "Who are you?"},
		{loginRequest(), url.Values{"do": {"allow"}, "user": {"mallory"}}, "Who are you?"},
		{loginRequest(), url.Values{"user": {"alice"}}, "Allow or deny?"},
	} {
		method := http.MethodPost
		if tt.form == nil {
			method = http.MethodGet
		}
		status, page := b.send(method, "/demo/login?"+tt.query, tt.form)
		if status != http.StatusBadRequest || !strings.Contains(page, tt.want) {
			t.Errorf("%s %s: %d without %q:\n%s", method, tt.query, status, tt.want, page)
		}
	}
	if status, _ := b.send(http.MethodGet, "/demo/login?"+loginRequest("state", strings.Repeat("x", 8<<10)), nil); status != http.StatusRequestURITooLong {
		t.Errorf("a long request is answered %d", status)
	}
	for _, user := range []string{"alice", "mallory"} {
		if got := p.must(http.StatusOK, http.MethodGet, "/v1/families?user_id="+user, ""); len(got.body["families"].([]any)) != 0 {
			t.Errorf("%s has %v", user, got.body)
		}
	}
}

// TestDemoLoginOfAnother checks that the setting names another login, to which the apps lead then.
func TestDemoLoginOfAnother(t *testing.T) {
	p := start(t, map[string]string{"AUTHORIZATION_ENDPOINT": "https://login.example.com/"})
	metadata := p.must(http.StatusOK, http.MethodGet, "/.well-known/openid-configuration", "")
	if got := metadata.text("authorization_endpoint"); got != "https://login.example.com/" {
		t.Errorf("the login is at %s", got)
	}
}

// TestDemoIsSecured checks the headers of every answer of the demo, and that its pages have neither
// scripts nor styles in them.
func TestDemoIsSecured(t *testing.T) {
	p, _ := startWithShop(t, nil)
	p.must(http.StatusOK, http.MethodPut, "/v1/clients/shop", `{"type":"public","redirect_uris":["http://127.0.0.1/callback","https://shop.example.com/","com.example.shop:/back"]}`)
	const plain = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
	toForm := strings.Replace(plain, "form-action 'self'", "form-action 'self' http://127.0.0.1:9999", 1)
	toScript := plain + "; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; script-src " + p.url + "/demo/assets/spa.js"
	inline := regexp.MustCompile(`(?i)<script[^>]*>[^<]|<style|\sstyle=|\son[a-z]+=|javascript:`)
	for path, policy := range map[string]string{
		"/demo": plain, "/demo/": plain, "/demo/app/": plain, "/demo/app/callback": plain, "/demo/nowhere": plain, "/demo/assets/demo.css": plain, "/demo/assets/": plain,
		"/demo/assets/spa.js": plain, "/demo/spa/": toScript, "/demo/login": plain, "/demo/login?" + loginRequest(): toForm,
		// What is not registered, or cannot be said in a policy, is not allowed by it.
		"/demo/login?" + loginRequest("redirect_uri", "https://evil.example/"):       plain,
		"/demo/login?" + loginRequest("redirect_uri", "http://127.0.0.1:9999; x/"):   plain,
		"/demo/login?" + loginRequest("redirect_uri", "http://127.0.0.1.evil.test/"): plain,
		"/demo/login?" + loginRequest("redirect_uri", "https://shop.example.com/"):   strings.Replace(plain, "form-action 'self'", "form-action 'self' https://shop.example.com", 1),
		"/demo/login?" + loginRequest("redirect_uri", "http://[::1]:9999/callback"):  strings.Replace(plain, "form-action 'self'", "form-action 'self' http:", 1),
		"/demo/login?" + loginRequest("redirect_uri", "com.example.shop:/back"):      strings.Replace(plain, "form-action 'self'", "form-action 'self' com.example.shop:", 1),
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
			r := p.request(method, path, "")
			got, err := p.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body := make([]byte, 64<<10)
			n, _ := got.Body.Read(body)
			_ = got.Body.Close()
			want := policy
			if method == http.MethodPost || method == http.MethodPut {
				want = plain
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": want, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
			} {
				if got.Header.Get(name) != want {
					t.Errorf("%s %s: %s is %q, want %q", method, path, name, got.Header.Get(name), want)
				}
			}
			if found := inline.Find(body[:n]); found != nil && strings.HasPrefix(got.Header.Get("Content-Type"), "text/html") {
				t.Errorf("%s %s has %q", method, path, found)
			}
		}
	}
}

// TestDemoIsGuarded checks that pages of other origins lead a browser to the demo's entrances, and
// do nothing else with it.
func TestDemoIsGuarded(t *testing.T) {
	p, _ := startWithShop(t, nil)
	visit := []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	entrances := []string{"/demo/login?" + loginRequest(), "/demo/spa/", "/demo/app/callback?code=x"}
	others := []string{"/demo/", "/demo/app/", "/demo/app/login", "/demo/assets/spa.js", "/demo/app/refresh", "/demo/nowhere"}
	status := func(method, path, host string, header ...string) int {
		t.Helper()
		r := p.request(method, path, "")
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if host != "" {
			r.Host = host
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := p.client.Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for _, path := range entrances {
		if got := status(http.MethodGet, path, "", visit...); got == http.StatusForbidden || got >= 500 {
			t.Errorf("a visit of %s: %d", path, got)
		}
	}
	for _, path := range others {
		if got := status(http.MethodGet, path, "", visit...); got != http.StatusForbidden {
			t.Errorf("a visit of %s: %d", path, got)
		}
	}
	for _, path := range append(others, entrances...) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for _, header := range [][]string{
				{"Sec-Fetch-Site", "cross-site"},
				{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
				{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"},
				{"Origin", "https://evil.example"},
				{"Origin", "null"},
			} {
				if got := status(method, path, "", header...); got != http.StatusForbidden {
					t.Errorf("%s %s with %q: %d", method, path, header, got)
				}
			}
			if got := status(method, path, "evil.example", "Sec-Fetch-Site", "same-origin"); got != http.StatusMisdirectedRequest {
				t.Errorf("%s %s of another name: %d", method, path, got)
			}
		}
		if got := status(http.MethodPost, path, "", visit...); got != http.StatusForbidden {
			t.Errorf("a form from elsewhere to %s: %d", path, got)
		}
		if got := status(http.MethodPost, path, "", "Content-Type", "application/json"); got != http.StatusUnsupportedMediaType {
			t.Errorf("JSON to %s: %d", path, got)
		}
		if got := status(http.MethodPut, path, ""); got != http.StatusMethodNotAllowed {
			t.Errorf("PUT %s: %d", path, got)
		}
	}
	// What a browser stores belongs to one name of this machine.
	r := p.request(http.MethodGet, "/demo/spa/?code=x", "")
	r.Host = strings.Replace(r.Host, "127.0.0.1", "localhost", 1)
	answer, err := p.client.Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != p.url+"/demo/spa/?code=x" {
		t.Errorf("localhost: %d to %s", answer.StatusCode, answer.Header.Get("Location"))
	}
}

// TestDemoServerApp goes the circle with the server app, whose pages have no token in them, also
// under a base path. A session whose cookie was known before a login is worth nothing after it.
func TestDemoServerApp(t *testing.T) {
	for _, base := range []string{"", "/auth"} {
		p := start(t, map[string]string{"BASE_PATH": base})
		b := p.browser()
		status, page := b.send(http.MethodGet, "/demo/app/", nil)
		b.wants(page, "Nobody is logged in")
		login := func(do string) string {
			t.Helper()
			var at *url.URL
			b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
				at = r.URL
				return nil
			}
			if status, page = b.send(http.MethodGet, "/demo/app/login", nil); status != http.StatusOK || at == nil || at.Path != base+"/demo/login" {
				t.Fatalf("the login answers %d at %v:\n%s", status, at, page)
			}
			_, page = b.send(http.MethodPost, "/demo/login?"+at.RawQuery, url.Values{"do": {do}, "user": {"carol"}})
			return page
		}
		b.wants(login("deny"), "access_denied", "Nobody is logged in")
		before := b.cookies()
		b.wants(login("allow"), "Logged in.", "You are <bdi>carol</bdi>", "nonce", "openid profile")
		if after := b.cookies(); before == "" || after == before {
			t.Error("the session has the id that it had before the login")
		}
		_, page = b.send(http.MethodPost, "/demo/app/refresh", url.Values{})
		b.wants(page, "the same refresh token again")
		p.must(http.StatusOK, http.MethodPost, "/local/clock", `{"advance":"2m"}`)
		_, page = b.send(http.MethodPost, "/demo/app/refresh", url.Values{})
		b.wants(page, "a new refresh token", `<strong id="number">2</strong>`)
		_, page = p.browser().send(http.MethodGet, "/demo/app/", nil)
		b.wants(page, "Nobody is logged in")
		_, page = b.send(http.MethodPost, "/demo/app/logout", url.Values{})
		b.wants(page, "Logged out.", "Nobody is logged in")
		families := p.must(http.StatusOK, http.MethodGet, "/v1/families?user_id=carol", "")
		if f := families.body["families"].([]any)[0].(map[string]any); f["status"] != "revoked" || f["counter"] != 2.0 {
			t.Errorf("after the logout the family is %v", f)
		}
		for _, path := range []string{"/demo/app/refresh", "/demo/app/logout"} {
			if status, page = b.send(http.MethodPost, path, url.Values{}); status != http.StatusOK {
				t.Errorf("%s without a login: %d", path, status)
			}
		}
	}
}

// cookies returns the browser's cookies for the server app.
func (b *browser) cookies() string {
	b.p.tb.Helper()
	r := b.p.request(http.MethodGet, "/demo/app/", "")
	var all []string
	for _, cookie := range b.http.Jar.Cookies(r.URL) {
		all = append(all, cookie.String())
	}
	return strings.Join(all, "; ")
}

// TestDemoOnAnOldTable checks that the server app says what is missing if its secret was made by an
// earlier run, and does not lead to a login then.
func TestDemoOnAnOldTable(t *testing.T) {
	p := start(t, nil)
	c := &config{addr: address{host: "127.0.0.1"}}
	apps, err := newDemo(c, p.url, &clock{}, []demoClient{{ID: "demo-spa"}, {ID: "demo-web"}}, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/demo/app/": http.StatusOK, "/demo/app/login": http.StatusSeeOther} {
		w := &answer{header: http.Header{}}
		apps.ServeHTTP(w, p.request(http.MethodGet, path, ""))
		if w.status != want || w.header.Get("Location") != "" && w.header.Get("Location") != "/demo/app/" {
			t.Errorf("%s: %d to %q", path, w.status, w.header.Get("Location"))
		}
		if want == http.StatusOK && !strings.Contains(w.body.String(), "does not know its secret") {
			t.Errorf("the page is\n%s", w.body.String())
		}
	}
	// A service that is down is no fault of the app's request.
	w := &answer{header: http.Header{}}
	down, err := newDemo(c, p.url, &clock{}, []demoClient{{ID: "demo-web", secret: "x"}}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	if err != nil {
		t.Fatal(err)
	}
	down.ServeHTTP(w, p.request(http.MethodGet, "/demo/login?"+loginRequest(), ""))
	if w.status != http.StatusBadGateway || !strings.Contains(w.body.String(), "Try again") {
		t.Errorf("a service that is down: %d\n%s", w.status, w.body.String())
	}
}

// TestDemoServerAppDoubts checks that the server app takes no answer but that of the service to its
// own request, and that one once. It asks the service for nothing else.
func TestDemoServerAppDoubts(t *testing.T) {
	p := start(t, nil)
	b := p.browser()
	begin := func() url.Values {
		t.Helper()
		var at *url.URL
		b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			at = r.URL
			return nil
		}
		if status, page := b.send(http.MethodGet, "/demo/app/login", nil); status != http.StatusOK {
			t.Fatalf("%d\n%s", status, page)
		}
		return at.Query()
	}
	back := func(q url.Values) (int, string) { return b.send(http.MethodGet, "/demo/app/callback?"+q.Encode(), nil) }
	events := func() int { return strings.Count(p.stderr.String(), `"type":"feacft"`) }

	state := begin().Get("state")
	for _, tt := range []struct {
		state, iss, code, want string
		asks                   int // how often the service is asked
	}{
		{"", p.url, "x", "Nobody asked for this", 0},
		{"x", p.url, "x", "Nobody asked for this", 0},
		{state, p.url, "rotor_" + strings.Repeat("A", 78), "refused the code", 1},
		{state, p.url, "rotor_" + strings.Repeat("A", 78), "Nobody asked for this", 0},
	} {
		before := events()
		if _, page := back(url.Values{"state": {tt.state}, "iss": {tt.iss}, "code": {tt.code}}); !strings.Contains(page, tt.want) {
			t.Errorf("the state %q: the page has no %q:\n%s", tt.state, tt.want, page)
		}
		if n := events() - before; n != tt.asks {
			t.Errorf("the state %q, %q: the service was asked %d times, not %d", tt.state, tt.want, n, tt.asks)
		}
	}
	for _, iss := range []string{"", "https://evil.example", p.url + "/"} {
		before := events()
		if _, page := back(url.Values{"state": {begin().Get("state")}, "iss": {iss}, "code": {"x"}}); !strings.Contains(page, "Somebody else") {
			t.Errorf("the issuer %q: the page is\n%s", iss, page)
		}
		if events() != before {
			t.Errorf("the issuer %q: the service was asked", iss)
		}
	}
	stranger := p.browser()
	if status, page := stranger.send(http.MethodGet, "/demo/app/callback?state="+begin().Get("state")+"&code=x&iss="+url.QueryEscape(p.url), nil); status != http.StatusBadRequest || !strings.Contains(page, "Nobody asked for this") {
		t.Errorf("another browser: %d\n%s", status, page)
	}
}
