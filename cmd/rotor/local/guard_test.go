package local

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/cmd/rotor/loopback"
)

// wantProblem checks that the response is a problem document with the given status.
func wantProblem(t *testing.T, got reply, status int) {
	t.Helper()
	if got.status != status {
		t.Errorf("%d, want %d: %v", got.status, status, got.body)
	}
	if mediaType := got.header.Get("Content-Type"); mediaType != "application/problem+json" {
		t.Errorf("Content-Type is %s", mediaType)
	}
	if got.text("detail") == "" || got.body["status"] != float64(status) || got.text("type") != "about:blank" || got.text("title") != http.StatusText(status) {
		t.Errorf("the problem is %v", got.body)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the header is %v", got.header)
	}
}

// TestForeignHostIsRefused checks a page whose own name resolves to loopback. To its browser
// it has the same origin, so only the Host shows that it is foreign.
func TestForeignHostIsRefused(t *testing.T) {
	p := start(t, nil)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"evil.example", "evil.example:" + port, "127.0.0.1.evil.example:" + port, "localhost.evil.example", "localhost.",
		"0.0.0.0:" + port, "192.168.1.1:" + port, "[::]:" + port, "[::1:" + port, "127.0.0.1:evil", "127.0.0.1:", "::1",
		"127.0.0.1:" + port + ":" + port, "127.0.0.2",
	} {
		for _, path := range []string{"/oauth/token", "/.well-known/jwks.json", "/openapi.json", "/authorize", "/v2/logout", "/v1/clients", "/local/clock", "/local/sweep", "/nowhere"} {
			r := p.request(http.MethodGet, path, "")
			r.Host = host
			t.Run(host+path, func(t *testing.T) { wantProblem(t, p.send(r), http.StatusMisdirectedRequest) })
		}
	}
	for _, host := range []string{"127.0.0.1", "127.0.0.1:" + port, "localhost", "LocalHost:1", "[::1]", "[::1]:" + port} {
		r := p.request(http.MethodGet, "/local/clock", "")
		r.Host = host
		if got := p.send(r); got.status != http.StatusOK {
			t.Errorf("%s: %d %v", host, got.status, got.body)
		}
	}
}

func TestNoHostIsRefused(t *testing.T) {
	p := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET /v1/clients HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("got %d", answer.StatusCode)
	}
}

// TestOtherLoopbackAddress checks that the host which the program listens on is allowed, but
// only in that run.
func TestOtherLoopbackAddress(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.2": true, "127.0.0.2:3000": true, "localhost:3000": true, "127.0.0.3:3000": false} {
		if got := loopback.IsOwnHost(host, "127.0.0.2"); got != want {
			t.Errorf("%s: %t", host, got)
		}
	}
	if loopback.IsOwnHost("", "127.0.0.2") {
		t.Error("no host at all")
	}
}

// TestCrossOriginIsRefused checks that pages of another origin cannot change anything,
// whatever they send.
func TestCrossOriginIsRefused(t *testing.T) {
	p := start(t, nil)
	calls := []struct{ method, path, body string }{
		{http.MethodPost, "/v1/families", `{"user_id":"mallory","client_id":"demo-spa"}`},
		{http.MethodPut, "/v1/clients/demo-spa", `{"type":"public","preset":"supabase"}`},
		{http.MethodDelete, "/v1/clients/demo-spa", ""},
		{http.MethodPost, "/v1/clients/demo-web/secrets", ""},
		{http.MethodDelete, "/v1/families?user_id=alice", ""},
		{http.MethodPost, "/v1/explain", `{"family":"x"}`},
		{http.MethodPost, "/local/clock", `{"advance":"1000d"}`},
		{http.MethodPost, "/local/sweep", ""},
		{http.MethodPost, "/%761/families", `{"user_id":"mallory","client_id":"demo-spa"}`},
		{http.MethodPost, "/", ""},
	}
	before := p.must(http.StatusOK, http.MethodGet, "/v1/clients/demo-spa", "")
	for _, c := range calls {
		for _, header := range [][2]string{
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"}, // a page on another port of localhost
			{"Origin", "https://evil.example"},
			{"Origin", "null"},
			{"Origin", "http://localhost:1"},
		} {
			r := p.request(c.method, c.path, c.body)
			r.Header.Set(header[0], header[1])
			t.Run(c.method+" "+c.path+" "+header[1], func(t *testing.T) { wantProblem(t, p.send(r), http.StatusForbidden) })
		}
	}
	after := p.must(http.StatusOK, http.MethodGet, "/v1/clients/demo-spa", "")
	if before.text("updated_at") == "" || before.text("updated_at") != after.text("updated_at") {
		t.Errorf("demo-spa was changed: %v, then %v", before.body, after.body)
	}

	// A page that the program itself serves is of its own origin.
	r := p.request(http.MethodPost, "/v1/families", `{"user_id":"alice","client_id":"demo-spa"}`)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Origin", p.url)
	if got := p.send(r); got.status != http.StatusCreated {
		t.Errorf("same origin: %d %v", got.status, got.body)
	}
}

// TestNothingIsForOtherPages checks that paths only for people and tools refuse pages of
// another origin, whatever the method. A profile takes CPU for as long as requested, even if
// the page cannot read the response.
func TestNothingIsForOtherPages(t *testing.T) {
	p := start(t, nil)
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{
		"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/profile?seconds=30", "/debug/pprof/trace?seconds=30",
		"/debug", "/debug/vars", "/local/clock", "/local/sweep", "/v1/clients", "/v1/families?user_id=alice", "/",
	}
	for _, path := range paths {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost} {
			for _, header := range [][]string{
				{"Sec-Fetch-Site", "cross-site"}, // <script src>, fetch without CORS
				{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, // a link
				{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},   // a frame
				{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1"},                              // another program's page
				{"Sec-Fetch-Site", "anything"},          // a future value
				{"Origin", "https://evil.example"},      // an old browser
				{"Origin", "null"},                      // a sandboxed frame
				{"Origin", "http://127.0.0.1:1"},        // another program's page, in an old browser
				{"Origin", "http://127.0.0.1"},          // the same
				{"Origin", "https://127.0.0.1:" + port}, // the same
				{"Origin", p.url + ".evil.example"},     // a name that begins like ours
			} {
				r := p.request(method, path, "")
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				t.Run(method+" "+path+" "+strings.Join(header, " "), func(t *testing.T) {
					got := p.send(r)
					if method == http.MethodHead {
						if got.status != http.StatusForbidden {
							t.Errorf("%d", got.status)
						}
						return
					}
					wantProblem(t, got, http.StatusForbidden)
				})
			}
			// To its browser, a page whose own name now resolves to this machine has the same
			// origin, and only its Host shows that it is foreign (DNS rebinding).
			r := p.request(method, path, "")
			r.Host = "evil.example:" + port
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Origin", "http://evil.example:"+port)
			if got := p.send(r); got.status != http.StatusMisdirectedRequest {
				t.Errorf("%s %s of a rebound name: %d", method, path, got.status)
			}
		}
	}
	// These are a user who types the address, a page of the program's own, and tools.
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Site", "same-origin", "Origin", p.url}, {"Origin", p.url}, nil,
	} {
		for _, path := range []string{"/debug/pprof/cmdline", "/local/clock", "/v1/clients"} {
			r := p.request(http.MethodGet, path, "")
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			answer, err := p.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
				t.Errorf("%s with %q: %d", path, header, answer.StatusCode)
			}
		}
	}
}

// TestManagementTakesJSONAlone checks that the management API accepts only JSON. Any page can
// send a form without a preflight, but not JSON.
func TestManagementTakesJSONAlone(t *testing.T) {
	p := start(t, nil)
	calls := []struct{ method, path, body string }{
		{http.MethodPost, "/v1/families", `{"user_id":"mallory","client_id":"demo-spa"}`},
		{http.MethodPut, "/v1/clients/demo-spa", `{"type":"public"}`},
		{http.MethodPost, "/v1/clients/demo-web/secrets", "anything"},
		{http.MethodPost, "/v1/clients/demo-web/secrets", ""},
		{http.MethodDelete, "/v1/clients/demo-spa", "anything"},
		{http.MethodPost, "/v1/explain", `{"family":"x"}`},
		{http.MethodPost, "/local/clock", `{"advance":"1s"}`},
		{http.MethodPost, "/local/sweep", `{}`},
	}
	for _, c := range calls {
		for _, mediaType := range []string{
			"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
			"text/plain; application/json", "application/json, text/plain", "",
		} {
			r := p.request(c.method, c.path, c.body)
			r.Header["Content-Type"] = []string{mediaType}
			t.Run(c.method+" "+c.path+" "+mediaType, func(t *testing.T) {
				wantProblem(t, p.send(r), http.StatusUnsupportedMediaType)
			})
		}
		if c.body == "" {
			continue
		}
		r := p.request(c.method, c.path, c.body)
		r.Header.Del("Content-Type")
		t.Run(c.method+" "+c.path+" none", func(t *testing.T) { wantProblem(t, p.send(r), http.StatusUnsupportedMediaType) })
		r = p.request(c.method, c.path, c.body)
		r.Header["Content-Type"] = []string{"application/json", "text/plain"}
		t.Run(c.method+" "+c.path+" both", func(t *testing.T) { wantProblem(t, p.send(r), http.StatusUnsupportedMediaType) })
	}
	p.must(http.StatusOK, http.MethodGet, "/v1/clients/demo-spa", "")
	r := p.request(http.MethodPost, "/local/clock", `{"advance":"1s"}`)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	if got := p.send(r); got.status != http.StatusOK {
		t.Errorf("JSON: %d %v", got.status, got.body)
	}
}

// TestOrigins checks that only the origins in ORIGINS may refresh and revoke, and that none
// may call the management API.
func TestOrigins(t *testing.T) {
	const app, other = "https://app.example.com", "https://evil.example"
	p := start(t, map[string]string{"ORIGINS": app})
	if !strings.Contains(p.stdout, "CORS   "+app) {
		t.Errorf("stdout does not name it:\n%s", p.stdout)
	}
	for _, c := range []struct{ path, origin, want string }{
		{"/oauth/token", app, app},
		{"/oauth/revoke", app, app},
		{"/oauth/token", other, ""},
		{"/oauth/introspect", app, ""},
		{"/v1/families", app, ""},
		{"/v1/explain", app, ""},
		{"/local/clock", app, ""},
		{"/local/sweep", app, ""},
	} {
		r := p.request(http.MethodOptions, c.path, "")
		r.Header.Set("Origin", c.origin)
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		if got := p.send(r).header.Get("Access-Control-Allow-Origin"); got != c.want {
			t.Errorf("%s from %s: allowed is %q, want %q", c.path, c.origin, got, c.want)
		}
	}
	_, token := p.issue("demo-spa")
	r := p.request(http.MethodPost, "/oauth/token", `{"grant_type":"refresh_token","client_id":"demo-spa","refresh_token":"`+token+`"}`)
	r.Header.Set("Origin", app)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := p.send(r); got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != app {
		t.Errorf("a refresh from the app: %d %v", got.status, got.body)
	}
}

// TestPagesOfThisMachineMayCall checks that an app which is started beside the program needs
// no configuration: pages of this machine may call, on any port.
func TestPagesOfThisMachineMayCall(t *testing.T) {
	p := start(t, nil)
	if !strings.Contains(p.stdout, "CORS   loopback\n") {
		t.Errorf("stdout does not say so:\n%s", p.stdout)
	}
	for _, from := range []string{
		"http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:3001", "https://localhost", "http://app.localhost:3000", p.url,
	} {
		r := p.request(http.MethodOptions, "/oauth/token", "")
		r.Header.Set("Origin", from)
		r.Header.Set("Access-Control-Request-Method", http.MethodPost)
		if got := p.send(r); got.header.Get("Access-Control-Allow-Origin") != from {
			t.Errorf("the preflight from %s: %d %v", from, got.status, got.header)
		}
		_, token := p.issue("demo-auth0")
		r = p.request(http.MethodPost, "/oauth/token", refreshForm("demo-auth0", token))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", from)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := p.send(r); got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != from {
			t.Errorf("a refresh from %s: %d %v %v", from, got.status, got.body, got.header)
		}
	}
}

// TestPagesElsewhereSpendNothing checks that a page elsewhere cannot use a token, whose second
// use would end the family under the strict policy. The log names the origin of the page.
func TestPagesElsewhereSpendNothing(t *testing.T) {
	p := start(t, nil)
	family, token := p.issue("demo-auth0")
	for range 2 {
		for _, from := range []string{"https://app.example.com", "capacitor://localhost", "null", "http://localhost.evil.example"} {
			r := p.request(http.MethodPost, "/oauth/token", refreshForm("demo-auth0", token))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", from)
			if got := p.send(r); got.status != http.StatusForbidden || got.text("error") != "invalid_request" || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("a refresh from %s: %d %v %v", from, got.status, got.body, got.header)
			}
			if line := `"type":"fco"`; !strings.Contains(p.stderr.String(), line) || !strings.Contains(p.stderr.String(), `"origin":"`+from+`"`) {
				t.Errorf("the log does not name %s:\n%s", from, p.stderr)
			}
		}
	}
	if got := p.must(http.StatusOK, http.MethodGet, "/v1/families/"+family, ""); got.text("status") != "active" || got.body["counter"] != 1.0 {
		t.Errorf("the family is %v", got.body)
	}
	if got := p.refresh("demo-auth0", token); got.status != http.StatusOK {
		t.Errorf("its token: %d %v", got.status, got.body)
	}
}

// TestLogHasNoTokens checks that tokens in the wrong place are not logged; start looks for
// them.
func TestLogHasNoTokens(t *testing.T) {
	p := start(t, nil)
	_, token := p.issue("demo-spa")
	refreshed := p.refresh("demo-spa", token)
	for _, secret := range []string{token, refreshed.text("refresh_token"), refreshed.text("access_token"), demoSecret(t, p)} {
		escaped := url.PathEscape(secret)
		p.do(http.MethodGet, "/v1/families/"+escaped, "")
		p.do(http.MethodGet, "/v1/families/x"+escaped, "")
		p.do(http.MethodGet, "/v1/clients?next="+escaped, "")
		p.do(http.MethodGet, "/"+escaped, "")
		p.do(http.MethodPost, "/v1/families", `{"user_id":"alice","client_id":"`+secret+`"}`)
		p.do(http.MethodPost, "/local/clock", `{"advance":"`+secret+`","`+secret+`":1}`)
		p.do(http.MethodPost, "/local/sweep", `{"`+secret+`":1}`)
		p.do(http.MethodPost, "/v1/explain", `{"refresh_token":"`+secret+`"}`)
		p.do(http.MethodPost, "/v1/explain", `{"family":"`+secret+`","client_id":"`+secret+`"}`)
		p.do(http.MethodGet, "/v1/families?user_id="+escaped, "")
		p.do(http.MethodDelete, "/v1/families/"+escaped, "")
		p.do(http.MethodGet, "/v1/events?user_id="+escaped+"&type="+escaped, "")
		p.refresh(secret, secret)
		p.refresh("demo-spa", secret)
		p.form("/oauth/revoke", url.Values{"client_id": {"demo-auth0"}, "token": {secret}})
		r := p.request(http.MethodPost, "/oauth/introspect?token="+escaped, "")
		r.Header.Set("Authorization", "Bearer "+secret)
		p.send(r)
		for _, from := range []string{secret, "https://" + secret, "https://app.example/#" + secret} {
			r := p.request(http.MethodPost, "/oauth/token", "{}")
			r.Header.Set("Origin", from)
			p.send(r)
		}
	}
	log := p.stderr.String()
	for _, want := range []string{`"type":"sertft"`, `"path":"/v1/families/[redacted]"`, `"path":"/oauth/token","status":400`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

// TestOperationsAreByThisMachine checks that changes are recorded as made by this machine. A
// client that revokes its own family makes no operation, and the demo clients leave nothing in
// the log.
func TestOperationsAreByThisMachine(t *testing.T) {
	p := start(t, nil)
	if log := p.stderr.String(); strings.Contains(log, "sapi") {
		t.Errorf("before anything was asked for, on record is %s", log)
	}
	family, _ := p.issue("demo-spa")
	p.must(http.StatusOK, http.MethodDelete, "/v1/families/"+family, "")
	_, token := p.issue("demo-spa")
	p.form("/oauth/revoke", url.Values{"client_id": {"demo-spa"}, "token": {token}})
	var got []string
	for line := range strings.Lines(p.stderr.String()) {
		var entry struct{ Type, Operation, By string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Type != "" {
			got = append(got, strings.TrimSpace(entry.Type+" "+entry.Operation+" by "+entry.By))
		}
	}
	want := "sapi issue_family by local, srrt  by local, sapi revoke_family by local, sapi issue_family by local, srrt  by"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("on record is %s", s)
	}
}

// TestRequestsAreLogged checks that each request is in the log, with the id that its audit events
// have: as a line of its own, or by the event alone for a refresh that succeeded.
func TestRequestsAreLogged(t *testing.T) {
	p := start(t, nil)
	_, token := p.issue("demo-spa")
	p.refresh("demo-spa", token)
	p.form("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"demo-spa"}, "refresh_token": {"rotor_x"}})
	p.do(http.MethodGet, "/local/nothing", "")
	p.do(http.MethodDelete, "/local/clock", "")
	p.do(http.MethodGet, "/v1/clients/nobody", "")
	p.do(http.MethodGet, "/v1/clients/"+strings.Repeat("x", 64), "")
	p.do(http.MethodGet, "/v1/clients/"+strings.Repeat("x", 65), "")
	if err := p.stop(); err != nil { // otherwise the last line may not be written yet
		t.Fatal(err)
	}
	type line struct {
		Msg, Type, Method, Path string
		Status                  int
		Took                    *float64 `json:"took_ms"`
		ID                      string   `json:"http_request_id"`
	}
	var requests, audited []line
	for text := range strings.Lines(p.stderr.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		switch l.Msg {
		case "request":
			requests = append(requests, l)
		case "audit":
			audited = append(audited, l)
		}
	}
	want := []struct {
		method, path string
		status       int
		audited      string
	}{
		{http.MethodPost, "/v1/families", http.StatusCreated, "sapi"},
		{http.MethodPost, "/oauth/token", http.StatusBadRequest, "fertft"},
		{http.MethodGet, "/local/nothing", http.StatusNotFound, ""},
		{http.MethodDelete, "/local/clock", http.StatusMethodNotAllowed, ""},
		{http.MethodGet, "/v1/clients/nobody", http.StatusNotFound, ""},
		{http.MethodGet, "/v1/clients/" + strings.Repeat("x", 64), http.StatusNotFound, ""},
		{http.MethodGet, "/v1/clients/[redacted]", http.StatusBadRequest, ""},
	}
	if len(requests) != len(want) || len(audited) != 3 {
		t.Fatalf("%d requests and %d events are in the log:\n%s", len(requests), len(audited), p.stderr)
	}
	if refresh := audited[1]; refresh.Type != "sertft" || refresh.ID == "" {
		t.Errorf("the refresh is %+v", refresh)
	}
	ids := map[string]bool{audited[1].ID: true}
	audited = slices.Delete(audited, 1, 2)
	for i, w := range want {
		got := requests[i]
		if got.Method != w.method || got.Path != w.path || got.Status != w.status || got.Took == nil || *got.Took < 0 || got.ID == "" || ids[got.ID] {
			t.Errorf("the log has %+v, want %+v", got, w)
		}
		ids[got.ID] = true
		if w.audited != "" && (audited[i].Type != w.audited || audited[i].ID != got.ID) {
			t.Errorf("the event of %+v is %+v", got, audited[i])
		}
	}
}

// TestPagesMayReadTheDocument checks that pages of every origin may read the OpenAPI document, as they may where Rotor is
// deployed.
func TestPagesMayReadTheDocument(t *testing.T) {
	p := start(t, nil)
	r := p.request(http.MethodGet, "/openapi.json", "")
	r.Header.Set("Origin", "https://app.example.com")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	got := p.send(r)
	if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != "*" || got.text("openapi") != "3.1.0" {
		t.Errorf("answered %d %v with OpenAPI %q", got.status, got.header, got.text("openapi"))
	}
}

// TestPagesLeadToLoginAndLogout checks that pages of every origin may lead a browser to the login
// page and to a logout, as they may where Rotor is deployed.
func TestPagesLeadToLoginAndLogout(t *testing.T) {
	p := start(t, map[string]string{"AUTHORIZATION_ENDPOINT": "http://127.0.0.1:9/login"})
	for path, want := range map[string]int{"/authorize?client_id=app": http.StatusFound, "/oauth/logout": http.StatusOK, "/v2/logout": http.StatusOK} {
		r := p.request(http.MethodGet, path, "")
		r.Header.Set("Origin", "https://app.example.com")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		answer, err := p.client.Transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if to := answer.Header.Get("Location"); answer.StatusCode != want || (to != "") != (to == "http://127.0.0.1:9/login?client_id=app") {
			t.Errorf("%s is answered %d and leads to %q", path, answer.StatusCode, to)
		}
	}
}
