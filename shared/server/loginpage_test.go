package server_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestGoToTheLoginPage checks that /authorize leads to the login page with all parameters as they
// are, and asks nobody.
func TestGoToTheLoginPage(t *testing.T) {
	const login = "https://login.example.com/start"
	for _, tt := range []struct{ page, query, want string }{
		{login, "?response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fa.example%2Fcb&scope=openid%20a+b&state=%7e&nonce=n&code_challenge=c&code_challenge_method=S256&x=1&x=2&auth0Client=e30%3D", ""},
		{login, "?a&=&b=1&c=%26d", ""},
		{login, "", login},
		{login + "?tenant=a%20b", "?client_id=app", login + "?tenant=a%20b&client_id=app"},
		{login + "?", "?client_id=app", login + "?client_id=app"},
		{login + "?tenant=a&", "?client_id=app", login + "?tenant=a&client_id=app"},
		{login + "?tenant=a", "", login + "?tenant=a"},
		{"http://127.0.0.1:9000/login", "?client_id=app", "http://127.0.0.1:9000/login?client_id=app"},
		{login, "?state=" + strings.Repeat("x", 8<<10-len("state=")), ""},
	} {
		w := newWorld(t, loginPage(tt.page))
		if tt.want == "" {
			tt.want = tt.page + tt.query
		}
		w.store.Break(func(int, string) storetest.Fault { return storetest.Failed }) // which nobody notices
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := w.send(method, "/authorize"+tt.query, "", "", "Origin", "https://any.example")
			a.leads(t, http.StatusFound, tt.want)
			if a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("a script may read it: %v", a.header)
			}
		}
		if log := w.log.String(); strings.Contains(log, "response_type") {
			t.Errorf("the request is in the log: %s", log)
		}
	}
	w := newWorld(t, loginPage(login), below("/auth"))
	w.send(http.MethodGet, "/auth/authorize?client_id=app", "", "").leads(t, http.StatusFound, login+"?client_id=app")
}

// leads checks that an answer leads a browser to an address, and that neither caches nor the page
// there learn the request's.
func (a answer) leads(t *testing.T, status int, to string) {
	t.Helper()
	want := map[string]string{"Location": to, "Cache-Control": "no-store", "Pragma": "no-cache", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
	got := map[string]string{}
	for name := range want {
		got[name] = strings.Join(a.header.Values(name), ", ")
	}
	if diff := cmp.Diff(want, got); diff != "" || a.status != status || a.body != "" {
		t.Errorf("got %v (-want +got):\n%s", a, diff)
	}
}

// TestGoToTheLoginPageByForm checks that a form leads to the login page, where it is the query
// string.
func TestGoToTheLoginPageByForm(t *testing.T) {
	w := newWorld(t, loginPage("https://login.example.com/?tenant=a"))
	for body, want := range map[string]url.Values{
		"":                          nil,
		"client_id=app&state=a+b&x": {"client_id": {"app"}, "state": {"a b"}},
		"x=1&x=2&scope=a%20b":       {"x": {"1", "2"}, "scope": {"a b"}},
		"state=%0d%0aSet-Cookie:+a&redirect_uri=https://a.example/?b=c%26d#e": {"state": {"\r\nSet-Cookie: a"}, "redirect_uri": {"https://a.example/?b=c&d#e"}},
	} {
		to := "https://login.example.com/?tenant=a"
		if want != nil {
			to += "&" + want.Encode()
		}
		w.send(http.MethodPost, "/authorize?ignored=1", formType, body).leads(t, http.StatusSeeOther, to)
	}
}

// TestLoginPageErrors checks each error of /authorize to the byte.
func TestLoginPageErrors(t *testing.T) {
	w, without := newWorld(t, loginPage("https://login.example.com/")), newWorld(t)
	const missing = `{"error":"not_found","error_description":"There is nothing at this path."}`
	for _, tt := range []struct {
		name, method, query, contentType, body string
		at                                     *world
		status                                 int
		want                                   string
	}{
		{"no login page", http.MethodGet, "?client_id=app", "", "", without, http.StatusNotFound, missing},
		{"no login page for a form", http.MethodPost, "", formType, "client_id=app", without, http.StatusNotFound, missing},
		{"another method", http.MethodPut, "", "", "", w, http.StatusMethodNotAllowed, `{"error":"invalid_request","error_description":"The method is not allowed here. See the Allow header."}`},
		{"a long query", http.MethodGet, "?" + strings.Repeat("x", 8<<10+1), "", "", w, http.StatusRequestURITooLong, `{"error":"invalid_request","error_description":"The query string is longer than 8 KiB."}`},
		{"a letter that is not encoded", http.MethodGet, "?state=ü", "", "", w, http.StatusBadRequest, `{"error":"invalid_request","error_description":"The query string is malformed."}`},
		{"a long form", http.MethodPost, "", formType, "x=" + strings.Repeat("x", 8<<10-1), w, http.StatusRequestEntityTooLarge, `{"error":"invalid_request","error_description":"The form is longer than 8 KiB."}`},
		{"JSON", http.MethodPost, "", jsonType, "{}", w, http.StatusBadRequest, `{"error":"invalid_request","error_description":"Content-Type must be application/x-www-form-urlencoded."}`},
		{"no form", http.MethodPost, "", formType, "a=%zz", w, http.StatusBadRequest, `{"error":"invalid_request","error_description":"The request body is not form-encoded."}`},
		{"a form that is not UTF-8", http.MethodPost, "", formType, "a=%ff", w, http.StatusBadRequest, `{"error":"invalid_request","error_description":"A parameter is not UTF-8."}`},
		{"a client twice", http.MethodPost, "", formType, "client_id=a&client_id=b", w, http.StatusBadRequest, `{"error":"invalid_request","error_description":"client_id is repeated."}`},
	} {
		if a := tt.at.send(tt.method, "/authorize"+tt.query, tt.contentType, tt.body); a.status != tt.status || a.body != tt.want+"\n" || a.header.Get("Location") != "" {
			t.Errorf("%s: %v", tt.name, a)
		}
	}
	// Go's client sends no such query string, but a gateway may hand one on.
	r := post(t.Context(), "/authorize", "")
	r.Method, r.URL.RawQuery = http.MethodGet, "state=ü\r\nSet-Cookie: a=b"
	h := w.api(func(c *server.Config) { c.AuthorizationEndpoint = "https://login.example.com/" }).Handler()
	if a := handled(h, r); a.status != http.StatusBadRequest || a.body != `{"error":"invalid_request","error_description":"The query string is malformed."}`+"\n" {
		t.Errorf("line breaks: %v", a)
	}
}

// TestMetadataOfALoginPage checks what the metadata say if there is a login page.
func TestMetadataOfALoginPage(t *testing.T) {
	w := newWorld(t, loginPage("https://login.example.com/start?tenant=a"))
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		a := w.send(http.MethodGet, path, "", "")
		for name, want := range map[string]any{
			"authorization_endpoint": "https://login.example.com/start?tenant=a", "response_types_supported": []any{"code"}, "response_modes_supported": []any{"query"},
			"authorization_response_iss_parameter_supported": true, "code_challenge_methods_supported": []any{"S256"},
		} {
			if diff := cmp.Diff(want, a.json[name]); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", path, name, diff)
			}
		}
	}
}
