package session_test

import (
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/session"
)

// TestCheckRedirectURI checks which addresses a client may register, and that the error says why
// not.
func TestCheckRedirectURI(t *testing.T) {
	const anyClient, publicAlone, none = "any", "public", "none"
	for _, tt := range []struct {
		uri, who string
		says     string // of a public client, whom the least is refused
	}{
		{"https://app.example.com/callback", anyClient, ""},
		{"https://app.example.com", anyClient, ""},
		{"https://app.example.com:8443/cb?tenant=a&x=%20", anyClient, ""},
		{"https://127.0.0.1/cb", anyClient, ""},
		{"https://[2001:db8::1]/cb", anyClient, ""},
		{"https://a.example/" + strings.Repeat("x", 512-len("https://a.example/")), anyClient, ""},
		{"http://127.0.0.1/cb", anyClient, ""},
		{"http://127.0.0.1:8080/cb", anyClient, ""},
		{"http://[::1]:8080", anyClient, ""},
		{"http://localhost:3000/cb", anyClient, ""},
		{"com.example.app:/cb", publicAlone, ""},
		{"com.example.app://cb", publicAlone, ""},
		{"com.example.app:cb", publicAlone, ""},

		{"", none, "absolute"},
		{"/callback", none, "absolute"},
		{"//app.example.com/cb", none, "absolute"},
		{"app.example.com/cb", none, "absolute"},
		{"com.example.app:", none, "absolute"},
		{"https://", none, "absolute"},
		{"https:///cb", none, "absolute"},
		{"https:app.example.com/cb", none, "absolute"},
		{"https://?host=a", none, "absolute"},
		{"https://a..example/cb", none, "absolute"},
		{"https://a.example:x/cb", none, "absolute"},
		{"https://a.example:65536/cb", none, "absolute"},
		{"https://%C3%BC.example/cb", none, "absolute"},
		{"https://a.example/%zz", none, "absolute"},
		{"HTTPS://app.example.com/cb", none, "lower case"},
		{"https://user@app.example.com/cb", none, "without a user"},
		{"https://user:password@app.example.com/cb", none, "without a user"},
		{"com.example.app://user@cb", none, "without a user"},
		{"https://app.example.com/cb#", none, "fragment"},
		{"https://app.example.com/cb#x", none, "fragment"},
		{"https://*.example.com/cb", none, "wildcard"},
		{"https://app.example.com/*", none, "wildcard"},
		{"https://app.example.com/a b", none, "spaces"},
		{" https://app.example.com/", none, "spaces"},
		{"https://app.example.com/\r\nSet-Cookie: a=b", none, "spaces"},
		{"https://app.example.com/\x00", none, "spaces"},
		{`https://app.example.com\cb`, none, "characters"},
		{"https://bücher.example/cb", none, "characters"},
		{"https://a.example/" + strings.Repeat("x", 513-len("https://a.example/")), none, "512 bytes"},
		{"http://app.example.com/cb", none, "http is for 127.0.0.1"},
		{"http://127.0.0.2/cb", none, "http is for 127.0.0.1"},
		{"http://127.1/cb", none, "http is for 127.0.0.1"},
		{"http://127.0.0.1.example.com/cb", none, "http is for 127.0.0.1"},
		{"http://localhost.example.com/cb", none, "http is for 127.0.0.1"},
		{"http://app.localhost/cb", none, "http is for 127.0.0.1"},
		{"http://[::2]/cb", none, "http is for 127.0.0.1"},
		{"http://127.0.0.1:99999/cb", none, "absolute"},
		{"http://::1/cb", none, "absolute"},
		{"javascript:alert(1)", none, "scheme https"},
		{"data:text/html,x", none, "scheme https"},
		{"file:///etc/passwd", none, "scheme https"},
		{"blob:https://a.example/1", none, "scheme https"},
		{"about:blank", none, "scheme https"},
		{"view-source:https://a.example/", none, "scheme https"},
		{"ftp://a.example/", none, "scheme https"},
		{"ws://a.example/", none, "scheme https"},
		{"myapp://cb", none, "scheme https"},
		{"urn:ietf:wg:oauth:2.0:oob", none, "scheme https"},
	} {
		for _, public := range []bool{true, false} {
			err := session.CheckRedirectURI(tt.uri, public)
			if accepted := tt.who == anyClient || tt.who == publicAlone && public; (err == nil) != accepted {
				t.Errorf("%q of a client that is public=%t: %v", tt.uri, public, err)
			}
			if public && err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q must be %v, which does not say %q", tt.uri, err, tt.says)
			}
		}
	}
	if err := session.CheckRedirectURI("com.example.app:/cb", false); err == nil || !strings.Contains(err.Error(), "public clients") {
		t.Errorf("an app's scheme of a confidential client: %v", err)
	}
}

// TestIsRegistered checks that an address matches to the letter, apart from the port of http on a
// loopback address.
func TestIsRegistered(t *testing.T) {
	for _, tt := range []struct {
		registered, given string
		want              bool
	}{
		{"https://a.example/cb", "https://a.example/cb", true},
		{"https://a.example/cb", "https://a.example/cb/", false},
		{"https://a.example/cb", "https://a.example/CB", false},
		{"https://a.example/cb", "https://A.example/cb", false},
		{"https://a.example/cb", "https://a.example:443/cb", false},
		{"https://a.example/cb", "https://a.example/cb?x", false},
		{"https://a.example/cb?x=1", "https://a.example/cb?x=1", true},
		{"https://a.example/cb", "https://a.example/%63b", false},
		{"https://a.example/cb", "https://a.example/x/../cb", false},
		{"https://a.example/cb", "http://a.example/cb", false},
		{"https://a.example", "https://a.example.evil.example", false},
		{"https://a.example", "https://a.example/", false},
		{"https://a.example/cb", "", false},
		{"https://127.0.0.1/cb", "https://127.0.0.1:8443/cb", false},
		{"http://localhost/cb", "http://localhost/cb", true},
		{"http://localhost/cb", "http://localhost:8080/cb", false},
		{"com.example.app:/cb", "com.example.app:/cb", true},
		{"com.example.app:/cb", "com.example.app:/cb?x", false},

		{"http://127.0.0.1/cb", "http://127.0.0.1/cb", true},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb", true},
		{"http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", true},
		{"http://127.0.0.1:8080/cb", "http://127.0.0.1/cb", true},
		{"http://127.0.0.1", "http://127.0.0.1:8080", true},
		{"http://127.0.0.1?x", "http://127.0.0.1:8080?x", true},
		{"http://[::1]/cb", "http://[::1]:8080/cb", true},
		{"http://[::1]/cb", "http://127.0.0.1:8080/cb", false},
		{"http://127.0.0.1/cb", "http://[::1]:8080/cb", false},
		{"http://127.0.0.1/cb", "http://localhost:8080/cb", false},
		{"http://127.0.0.1/cb", "https://127.0.0.1:8080/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/other", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb?x", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb#x", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:080/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:+80/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:80:80/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1@evil.example/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false},
		{"http://127.0.0.1", "http://127.0.0.1:80\\@evil.example", false},
		{"http://127.0.0.1/cb", "http://127.0.0.10/cb", false},
		{"http://127.0.0.1/cb", "HTTP://127.0.0.1:80/cb", false},
	} {
		if got := session.IsRegistered(tt.given, []string{"https://other.example/", tt.registered}); got != tt.want {
			t.Errorf("%q, where %q is registered: %t", tt.given, tt.registered, got)
		}
	}
	if session.IsRegistered("", nil) || session.IsRegistered("https://a.example/", nil) {
		t.Error("something matches where nothing is registered")
	}
}
