package origin_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/origin"
)

// accepted lists origins as they are written, and as a browser sends them. Those with http and
// https are as in Node's new URL(…).origin; the others are as webviews and browsers send
// their own.
var accepted = []struct{ written, sent string }{
	{"https://a.example", "https://a.example"},
	{"http://a.example", "http://a.example"},
	{"https://a.example/", "https://a.example"},
	{"https://a.example:443", "https://a.example"},
	{"https://a.example:443/", "https://a.example"},
	{"https://a.example:0443", "https://a.example"},
	{"https://a.example:", "https://a.example"},
	{"http://a.example:80", "http://a.example"},
	{"https://a.example:80", "https://a.example:80"},
	{"http://a.example:443", "http://a.example:443"},
	{"https://a.example:8443", "https://a.example:8443"},
	{"https://a.example:08443", "https://a.example:8443"},
	{"https://a.example:0", "https://a.example:0"},
	{"https://a.example:65535", "https://a.example:65535"},
	{"HTTPS://App.Example.COM", "https://app.example.com"},
	{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
	{"https://XN--Bcher-KVA.example", "https://xn--bcher-kva.example"},
	{"https://a_b-c.example", "https://a_b-c.example"},
	{"https://intranet", "https://intranet"},
	{"http://localhost:5173", "http://localhost:5173"},
	{"http://127.0.0.1:5173", "http://127.0.0.1:5173"},
	{"http://[::1]:5173", "http://[::1]:5173"},
	{"http://[0:0:0:0:0:0:0:1]:80", "http://[::1]"},
	{"http://[2001:DB8:0:0:1:0:0:1]", "http://[2001:db8::1:0:0:1]"},
	{"http://[1:2:3:4:5:6:7::]", "http://[1:2:3:4:5:6:7:0]"},
	{"http://[::ffff:1.2.3.4]", "http://[::ffff:102:304]"},
	{"http://[::1.2.3.4]", "http://[::102:304]"},
	{"http://1.2.3.4", "http://1.2.3.4"},
	{"https://1.example", "https://1.example"},
	{"https://0x1.example", "https://0x1.example"},

	{"capacitor://localhost", "capacitor://localhost"},
	{"ionic://localhost", "ionic://localhost"},
	{"tauri://localhost", "tauri://localhost"},
	{"http://tauri.localhost", "http://tauri.localhost"},
	{"app://.", "app://."},
	{"app://-", "app://-"},
	{"chrome-extension://abcdefghijklmnopabcdefghijklmnop", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"},
	{"Chrome-Extension://abcdefghijklmnopabcdefghijklmnop/", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"},
	{"moz-extension://4ed7f644-c3b5-4bf1-983f-2c8718f52222", "moz-extension://4ed7f644-c3b5-4bf1-983f-2c8718f52222"},
	{"safari-web-extension://3B1D0A6E-6A59-4F0E-9C3C-1F2E3D4C5B6A", "safari-web-extension://3b1d0a6e-6a59-4f0e-9c3c-1f2e3d4c5b6a"},
	{"com.example.app://localhost:443", "com.example.app://localhost:443"},
}

func TestParse(t *testing.T) {
	for _, tt := range accepted {
		if got, err := origin.Parse(tt.written); err != nil || got != tt.sent {
			t.Errorf("%s became %q, %v; a browser sends %s", tt.written, got, err, tt.sent)
		}
	}
}

// TestParseRefuses checks that each error tells what to write instead.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ written, want string }{
		{"", "such as https://app.example.com"},
		{"app.example.com", "such as https://app.example.com"},
		{"//app.example.com", "such as https://app.example.com"},
		{"https:app.example.com", "such as https://app.example.com"},
		{"https:/app.example.com", "such as https://app.example.com"},
		{"https://", "such as https://app.example.com"},
		{"https:///", "such as https://app.example.com"},
		{"https://:443", "such as https://app.example.com"},
		{"://app.example.com", "such as https://app.example.com"},
		{"1app://localhost", "such as https://app.example.com"},
		{" https://app.example.com", "such as https://app.example.com"},
		{"https://app.example.com ", "such as https://app.example.com"},
		{"https://app.exa mple.com", "such as https://app.example.com"},
		{"https://app.example.com\n", "such as https://app.example.com"},
		{"https://app..example.com", "such as https://app.example.com"},
		{"https://app.example.com:x", "such as https://app.example.com"},
		{"https://app.example.com:-1", "such as https://app.example.com"},
		{"https://app.example.com:1:2", "such as https://app.example.com"},
		{"https://a%2eexample", "such as https://app.example.com"},
		{"https://a.example,https://b.example", "such as https://app.example.com"},
		{"https://[::1", "such as https://app.example.com"},
		{"https://::1]", "such as https://app.example.com"},
		{"https://[::1]x", "such as https://app.example.com"},
		{"https://[fe80::1%25eth0]", "such as https://app.example.com"},
		{"https://[1.2.3.4]", "such as https://app.example.com"},
		{"https://[[::1]]", "such as https://app.example.com"},
		{"https://[[::1]", "such as https://app.example.com"},
		{"https://[]", "such as https://app.example.com"},
		{"https://app.example.com:65536", "a port from 0 to 65535"},
		{"https://app.example.com:99999999999999999999", "a port from 0 to 65535"},
		{"https://app.example.com.", "without the dot"},
		{"https://app.example.com/login", "without a path, a query or a fragment: https://app.example.com"},
		{"https://App.example.com:443/login", "without a path, a query or a fragment: https://app.example.com"},
		{"https://app.example.com//", "without a path, a query or a fragment: https://app.example.com"},
		{`https://app.example.com\`, "without a path, a query or a fragment: https://app.example.com"},
		{"https://app.example.com?x", "without a path, a query or a fragment: https://app.example.com"},
		{"https://app.example.com#x", "without a path, a query or a fragment: https://app.example.com"},
		{"https://me@app.example.com", "without a user: https://app.example.com"},
		{"https://me:secret@app.example.com:8443/", "without a user: https://app.example.com:8443"},
		{"https://*.example.com", "there are no patterns"},
		{"https://*", "there are no patterns"},
		{"http://localhost:*", "there are no patterns"},
		{"chrome-extension://*", "there are no patterns"},
		{"*", "such as https://app.example.com"}, // this is not an origin; a Set has its own place for it
		{"https://bücher.example", "Punycode"},
		{"https://\u212aelvin.example", "Punycode"}, // the Kelvin sign, whose small letter is k
		{"https://127.1", "four decimal numbers"},
		{"https://2130706433", "four decimal numbers"},
		{"https://0x7f000001", "four decimal numbers"},
		{"https://a.0x", "four decimal numbers"},
		{"https://0177.0.0.1", "four decimal numbers"},
		{"https://1.2.3.4.5", "four decimal numbers"},
		{"https://app.1", "four decimal numbers"},
		{"null", "null is sent by every sandboxed frame"},
		{"file://", "every file of a device"},
		{"file:///index.html", "every file of a device"},
		{"wss://app.example.com", "no page has the scheme wss"},
		{"ftp://app.example.com", "no page has the scheme ftp"},
		{"ws://app.example.com", "no page has the scheme ws"},
		{"data://x", "no page has the scheme data"},
		{"blob://x", "no page has the scheme blob"},
		{"about://x", "no page has the scheme about"},
		{"JavaScript://x", "no page has the scheme javascript"},
		{"blob:https://app.example.com/x", "such as https://app.example.com"},
		{"about:blank", "such as https://app.example.com"},
	} {
		got, err := origin.Parse(tt.written)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q became %q, %v; want an error with %q", tt.written, got, err, tt.want)
		}
	}
}

func TestOf(t *testing.T) {
	for u, want := range map[string]string{
		"https://auth.example.com":          "https://auth.example.com",
		"https://Auth.example.com:443":      "https://auth.example.com",
		"https://auth.example.com/rotor/v2": "https://auth.example.com",
		"http://127.0.0.1:3000":             "http://127.0.0.1:3000",
		"http://[::1]:3000":                 "http://[::1]:3000",
		"":                                  "",
		"/oauth/token":                      "",
		"https://%zz":                       "",
	} {
		if got := origin.Of(u); got != want {
			t.Errorf("%s: %q, want %q", u, got, want)
		}
	}
}

// set returns the Set of a list with no wrong values.
func set(t *testing.T, values ...string) origin.Set {
	t.Helper()
	return origin.ParseSet(values, func(value, want string) { t.Errorf("%s must be %s", value, want) })
}

func TestSet(t *testing.T) {
	s := set(t, " https://App.example:443/", "", "capacitor://localhost", "https://app.example", "safari-web-extension://3B1D")
	if got, want := s.String(), "https://app.example,capacitor://localhost,safari-web-extension://3b1d"; got != want {
		t.Errorf("the set is %s, want %s", got, want)
	}
	for header, want := range map[string]bool{
		"https://app.example":         true,
		"capacitor://localhost":       true,
		"safari-web-extension://3B1D": true,
		"https://app.example:443":     false, // browsers leave the default port out
		"https://app.example/":        false,
		"https://app.example.evil":    false,
		"https://evil.example":        false,
		"https://xapp.example":        false,
		"http://app.example":          false,
		"https://app.example:8443":    false,
		"capacitor://localhost:1":     false,
		"http://localhost":            false,
		"null":                        false,
		"*":                           false,
		"":                            false,
		"https://app.example, https://app.example": false,
	} {
		if got := s.Has(header); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
	if (origin.Set{}).Has("https://app.example") || (origin.Set{}).Any() || (origin.Set{}).String() != "" {
		t.Error("the zero set has something in it")
	}
	if !s.Equal(s) || s.Equal(origin.Set{}) || s.Equal(s.AndLoopback()) || s.Equal(set(t, "https://app.example")) {
		t.Error("sets are compared wrongly")
	}
}

func TestSetOfAny(t *testing.T) {
	s := set(t, "*", "https://app.example")
	for _, header := range []string{"https://evil.example", "null", "capacitor://localhost", "nonsense"} {
		if !s.Has(header) {
			t.Errorf("%s is not any", header)
		}
	}
	if !s.Any() || s.String() != "*,https://app.example" {
		t.Errorf("the set is %s", s)
	}
	if !set(t, " * ").Any() || set(t, "*").Equal(origin.Set{}) || !set(t, "*").Equal(set(t, "*")) {
		t.Error("any alone is not any")
	}
}

func TestSetOfLoopback(t *testing.T) {
	plain := set(t, "https://app.example")
	s := plain.AndLoopback()
	if s.String() != "loopback,https://app.example" || s.Any() || plain.Has("http://localhost") || plain.String() != "https://app.example" {
		t.Errorf("the set is %s, and was %s", s, plain)
	}
	for header, want := range map[string]bool{
		"https://app.example":              true,
		"http://localhost:5173":            true,
		"http://localhost":                 true,
		"https://localhost:8443":           true,
		"http://app.localhost:3000":        true,
		"http://127.0.0.1:5173":            true,
		"http://127.8.9.1:1":               true,
		"http://[::1]:5173":                true,
		"http://localhost.evil.example":    false,
		"http://evil-localhost":            false,
		"http://127.0.0.1.evil.example":    false,
		"http://0.0.0.0:5173":              false,
		"http://192.168.1.1":               false,
		"http://localhost:5173/":           false,
		"http://localhost:80":              false, // browsers leave the default port out
		"capacitor://localhost":            false,
		"chrome-extension://localhost":     false,
		"null":                             false,
		"http://localhost:5173@evil":       false,
		"http://localhost:5173.evil:5173/": false,
	} {
		if got := s.Has(header); got != want {
			t.Errorf("%q: %t", header, got)
		}
	}
}

func TestParseSetNamesAllThatIsWrong(t *testing.T) {
	var wrong []string
	s := origin.ParseSet([]string{"one", "https://app.example", " null "}, func(value, want string) {
		if want == "" {
			t.Errorf("%s must be nothing", value)
		}
		wrong = append(wrong, value)
	})
	if !slices.Equal(wrong, []string{"one", "null"}) || s.String() != "https://app.example" {
		t.Errorf("wrong are %q, right %s", wrong, s)
	}
}

// FuzzParse checks that what is accepted is what a browser sends for it: a scheme, a host and
// a port, in the form in which browsers write them. Parsing it again gives the same, and it is
// the origin of the URL that was given.
func FuzzParse(f *testing.F) {
	for _, tt := range accepted {
		f.Add(tt.written)
	}
	for _, s := range []string{
		"https://a.example/x?y#z", "https://me@a.example", "https://*.example", "null", "file:///x", "https://1.2.3", "http://[::ffff:1.2.3.4%1]",
		"https://a.example:65536", "https://ü.example", "https://\u212a.example", "x://0x0", "https://a..b", "https://a.example.", "a://[::]:1", "https://a:b:c",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := origin.Parse(s)
		if err != nil {
			if err.Error() == "" || got != "" {
				t.Errorf("%q: %q, %v", s, got, err)
			}
			return
		}
		if again, err := origin.Parse(got); err != nil || again != got {
			t.Errorf("%q became %q, and that %q, %v", s, got, again, err)
		}
		set := origin.ParseSet([]string{s}, func(value, want string) { t.Errorf("%q must be %s", value, want) })
		if !set.Has(got) || set.String() != got {
			t.Errorf("%q is not in the set %s", got, set)
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme+"://"+u.Host != got || u.User != nil {
			t.Fatalf("%q became %q, which is %+v, %v", s, got, u, err)
		}
		if got != strings.ToLower(got) || strings.ContainsFunc(got, func(c rune) bool { return c <= ' ' || c > '~' }) || strings.ContainsAny(got, "*@?#,\\%\"<>^`{|}") {
			t.Errorf("%q became %q, which no browser sends", s, got)
		}
		if port := u.Port(); strings.HasSuffix(u.Host, ":") || len(port) > 1 && port[0] == '0' || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
			t.Errorf("%q became %q: of the port %q", s, got, port)
		}
		// The given text may differ only in letter case, the port, a slash, or the spelling of
		// an IPv6 address.
		written := strings.TrimSuffix(strings.ToLower(s), "/")
		if host := strings.TrimSuffix(got, ":"+u.Port()); !strings.HasPrefix(written, host) && !strings.Contains(host, "[") {
			t.Errorf("%q became %q", s, got)
		}
	})
}
