package proof_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rotor-auth/rotor/shared/proof"
)

// TestURL checks which spellings are those of a URL (RFC 9449 §4.3 no. 9).
func TestURL(t *testing.T) {
	const same, other = proof.Reason(""), proof.WrongURL
	key := keyFor("EdDSA")
	for _, group := range []struct {
		url string
		htu map[string]proof.Reason
	}{
		{goodURL, map[string]proof.Reason{
			"https://auth.example/oauth/token":           same,
			"HTTPS://Auth.EXAMPLE/oauth/token":           same,
			"https://auth.example:443/oauth/token":       same,
			"https://auth.example:/oauth/token":          same,
			"https://auth.example/oauth/token?":          same,
			"https://auth.example/oauth/token?a=b#c":     same,
			"https://auth.example/oauth/token#":          same,
			"https://auth.example/oauth/token#?@\n":      same,
			"https://auth.example/oauth/./token":         same,
			"https://auth.example/./oauth/token":         same,
			"https://auth.example/../oauth/token":        same,
			"https://auth.example/a/../oauth/token":      same,
			"https://auth.example/a/b/../../oauth/token": same,
			"https://auth.example/a/..//../oauth/token":  same,
			"https://auth.example/%6Fauth/token":         same,
			"https://auth.example/%6fauth/t%6f%6Ben":     same,
			"https://auth.example/a/%2E%2e/oauth/token":  same,
			"https://auth.example/%2e/oauth/token":       same,
			"https://%61uth.example/oauth/token":         same,
			"https://%41uth%2Eexample/oauth/token":       same,

			"":                                                      other,
			"/oauth/token":                                          other,
			"//auth.example/oauth/token":                            other,
			"auth.example/oauth/token":                              other,
			"https:/auth.example/oauth/token":                       other,
			"https:auth.example/oauth/token":                        other,
			"http://auth.example/oauth/token":                       other,
			"http://auth.example:443/oauth/token":                   other,
			"wss://auth.example/oauth/token":                        other,
			" https://auth.example/oauth/token":                     other,
			"https://auth.example/oauth/token ":                     other,
			"https://auth.example/oauth/token\n":                    other,
			"https://auth.example:80/oauth/token":                   other,
			"https://auth.example:8443/oauth/token":                 other,
			"https://auth.example:0443/oauth/token":                 other,
			"https://auth.example:443:443/oauth/token":              other,
			"https://auth.example:+443/oauth/token":                 other,
			"https://auth.example:x/oauth/token":                    other,
			"https://auth.example./oauth/token":                     other,
			"https://evil.example/oauth/token":                      other,
			"https://auth.example.evil/oauth/token":                 other,
			"https://[auth.example]/oauth/token":                    other,
			"https://auth.example@evil.example/oauth/token":         other,
			"https://evil@auth.example/oauth/token":                 other,
			"https://@auth.example/oauth/token":                     other,
			"https://evil:x@auth.example/oauth/token":               other,
			"https://evil%40auth.example/oauth/token":               other,
			"https://evil.example#@auth.example/oauth/token":        other,
			"https://evil.example?@auth.example/oauth/token":        other,
			"https://evil.example/https://auth.example/oauth/token": other,
			"https://evil.example\\@auth.example/oauth/token":       other,
			"https:\\\\auth.example\\oauth\\token":                  other,
			"https://auth.example\\oauth/token":                     other,
			"https:///oauth/token":                                  other,
			"https://:443/oauth/token":                              other,
			"https://auth.example":                                  other,
			"https://auth.example/":                                 other,
			"https://auth.example?/oauth/token":                     other,
			"https://auth.example/oauth/token/":                     other,
			"https://auth.example/oauth/token/.":                    other,
			"https://auth.example/oauth/token/..":                   other,
			"https://auth.example/oauth//token":                     other,
			"https://auth.example//oauth/token":                     other,
			"https://auth.example/oauth/Token":                      other,
			"https://auth.example/oauth/token%20":                   other,
			"https://auth.example/oauth/token%00":                   other,
			"https://auth.example/oauth%2Ftoken":                    other,
			"https://auth.example/oauth/%2E%2E%2Foauth/token":       other,
			"https://auth.example/oauth/token%":                     other,
			"https://auth.example/oauth/toke%6":                     other,
			"https://auth.example/oauth/toke%6g":                    other,
			"https://auth.example/oauth/toke%256e":                  other,
			"https://auth.example/oauth/token%3F":                   other,
			"https://auth.example/oauth/token;a":                    other,
			"https://auth.example/oauth/tökén":                      other,
			"https://auth.example/oauth/...":                        other,
			"https://xn--auth.example/oauth/token":                  other,
			"https://ａuth.example/oauth/token":                      other,
			"https://AUTH.EXAMPLE/OAUTH/TOKEN":                      other,
			"\u017fttps://auth.example/oauth/token":                 other,
		}},
		{"https://auth.example", map[string]proof.Reason{
			"https://auth.example":        same,
			"https://auth.example/":       same,
			"https://auth.example:443":    same,
			"https://auth.example:443/?a": same,
			"https://auth.example?a":      same,
			"https://auth.example#a":      same,
			"https://auth.example/.":      same,
			"https://auth.example/a/..":   same,
			"https://auth.example/../..":  same,
			"https://auth.example//":      other,
			"https://auth.example/a":      other,
			"https://auth.example/..a":    other,
		}},
		{"http://[::1]:8080/t/", map[string]proof.Reason{
			"http://[::1]:8080/t/":     same,
			"HTTP://[::1]:8080/t/.":    same,
			"http://[::1]:8080/t/a/..": same,
			"http://[::1]:8080/t":      other,
			"http://[::1]/t/":          other,
			"http://[::1]:80/t/":       other,
			"http://[::2]:8080/t/":     other,
			"http://::1:8080/t/":       other,
			"http://[::1:8080/t/":      other,
			"http://::1]:8080/t/":      other,
			"http://[::1]8080/t/":      other,
			"http://[%3A:1]:8080/t/":   other,
			"http://[]:8080/t/":        other,
		}},
		{"http://[2001:db8::A]/%7Ea%2fb%C3%A9", map[string]proof.Reason{
			"http://[2001:DB8::a]:80/~a%2Fb%c3%a9": same,
			"http://[2001:db8::a]/~a/b%c3%a9":      other,
			"http://[2001:db8::a]/~a%2Fb%c3%89":    other,
			"http://[2001:db8::a]/~A%2Fb%c3%a9":    other,
			"http://[2001:db8::a]/~a%2FbÃ©":        other,
		}},
		{"https://a%2Fb%C3.example/!$&'()*+,;=:@", map[string]proof.Reason{
			"https://A%2fB%c3.example/!$&'()*+,;=:@":   same,
			"https://a%2Fb%C3.example/%21$&'()*+,;=:@": other, // a reserved character is not its escape
			"https://a/b%C3.example/!$&'()*+,;=:@":     other,
		}},
	} {
		for htu, reason := range group.htu {
			t.Run(group.url+" "+htu, func(t *testing.T) {
				want := expected()
				want.URL = group.url
				checkDPoP(t, dpop(t, "EdDSA", key, nil, members{"htu": htu}), want, reason)
			})
		}
	}
	// A service without a URL, or with one that is none, accepts nothing.
	for _, url := range []string{"", "auth.example", "https://a b.example/"} {
		want := expected()
		want.URL = url
		checkDPoP(t, dpop(t, "EdDSA", key, nil, members{"htu": url + "#"}), want, proof.WrongURL)
	}
	want := expected()
	want.URL = ""
	checkDPoP(t, dpop(t, "EdDSA", key, nil, members{"htu": ""}), want, proof.WrongURL)
}

// TestEverySpelling checks that a proof is accepted however its key holder spells the URL, as
// long as RFC 3986 says that the spelling is of that URL; and refused for a URL that differs in
// one part, however it is spelled.
func TestEverySpelling(t *testing.T) {
	name := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,9}(\.[a-z]{1,5}){0,2}`)
	segment := rapid.StringMatching(`[A-Za-z0-9_~.-]{0,6}[A-Za-z0-9_~-]|[a-z]{0,3}[!$&'()*+,;=:@][a-z]{0,3}|%2F[a-z]|`)
	rapid.Check(t, func(t *rapid.T) {
		u := parts{
			scheme: rapid.SampledFrom([]string{"https", "http"}).Draw(t, "scheme"),
			host:   name.Draw(t, "host"),
			port:   rapid.SampledFrom([]string{"", "8443", "65535"}).Draw(t, "port"),
			path:   rapid.SliceOfN(segment, 0, 4).Draw(t, "path"),
		}
		want := expected()
		want.URL = u.plain()
		key := keyFor("EdDSA")
		check := func(htu string, reason proof.Reason) {
			s := dpop(t, "EdDSA", key, nil, members{"htu": htu})
			_, err := proof.CheckDPoP([]string{s}, want)
			switch {
			case reason == "" && err != nil:
				t.Fatalf("%s is not %s: %v", htu, want.URL, err)
			case reason != "" && (err == nil || err.Error() != (&proof.RefusedError{Reason: reason}).Error()):
				t.Fatalf("%s is %s: %v", htu, want.URL, err)
			}
		}
		check(u.spell(t), "")
		switch rapid.IntRange(0, 3).Draw(t, "what differs") {
		case 0:
			u.scheme = map[string]string{"https": "http", "http": "https"}[u.scheme]
		case 1:
			u.host += "x"
		case 2:
			u.port += "1"
		case 3:
			u.path = append(u.path, "x")
		}
		check(u.spell(t), proof.WrongURL)
	})
}

// parts are the parts of a URL.
type parts struct {
	scheme, host, port string
	path               []string
}

// plain returns the URL in its usual spelling.
func (u parts) plain() string {
	s := u.scheme + "://" + u.host
	if u.port != "" {
		s += ":" + u.port
	}
	for _, segment := range u.path {
		s += "/" + segment
	}
	return s
}

// spell returns a spelling of the URL.
func (u parts) spell(t *rapid.T) string {
	sometimes := rapid.IntRange(0, 3)
	// characters spells each character in one of the ways that are equivalent.
	characters := func(s string, fold bool) string {
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			c := s[i : i+1]
			if c == "%" {
				b.WriteString(rapid.SampledFrom([]string{s[i : i+3], strings.ToLower(s[i : i+3])}).Draw(t, "escape"))
				i += 2
				continue
			}
			if fold && sometimes.Draw(t, "capital") == 0 {
				c = strings.ToUpper(c)
			}
			if !strings.Contains("!$&'()*+,;=:@", c) {
				switch sometimes.Draw(t, "escaped") {
				case 0:
					c = fmt.Sprintf("%%%02X", c[0])
				case 1:
					c = fmt.Sprintf("%%%02x", c[0])
				}
			}
			b.WriteString(c)
		}
		return b.String()
	}
	s := u.scheme
	if sometimes.Draw(t, "capitals") == 0 {
		s = strings.ToUpper(s)
	}
	s += "://" + characters(u.host, true)
	switch {
	case u.port != "":
		s += ":" + u.port
	case sometimes.Draw(t, "port") == 0:
		s += map[string]string{"https": ":443", "http": ":80"}[u.scheme]
	case sometimes.Draw(t, "colon") == 0:
		s += ":"
	}
	// dots adds dot segments that change nothing.
	dots := func() string {
		return rapid.SampledFrom([]string{"", "", "", "/.", "/%2e", "/a/..", "/a/%2E.", "/a/./b/../.."}).Draw(t, "dots")
	}
	for _, segment := range u.path {
		s += dots() + "/" + characters(segment, false)
	}
	if len(u.path) == 0 {
		s += rapid.SampledFrom([]string{"", "/", "/.", "/..", "/a/.."}).Draw(t, "empty path")
	}
	return s + rapid.SampledFrom([]string{"", "?", "?a=%zz&b", "#", "#a?b", "?a#b@c/d"}).Draw(t, "rest")
}
