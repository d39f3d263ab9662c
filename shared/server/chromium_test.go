package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// chromium is a browser that binds sessions to keys as Chromium does (Device Bound Session Credentials).
type chromium struct {
	*browser
	sessions map[string]*boundSession // by identifier
	expires  map[string]time.Time     // of cookies, by name
	without  bool                     // it does not know DBSC
	own      string                   // the service's origin
	sameSite string                   // of the device cookies, Strict unless the client says otherwise
	paths    string                   // the path of the issuer
	// lose reports whether the answer of that path is lost on its way, or with cut only its body.
	lose func(path string) (lost, cut bool)
	// asks are the paths of the requests that it made by itself, in order.
	asks []string
}

// boundSession is what the browser keeps of a session.
type boundSession struct {
	key        *ecdsa.PrivateKey
	identifier string
	renewal    string // path
	paths      []string
	cookie     string // name
	challenge  string // the last one, "" for none
}

// newChromium returns a world with the device-bound cookie client "spa", and a browser.
func newChromium(t testing.TB) *chromium {
	t.Helper()
	w := newWorld(t, origins(page))
	w.putClient("spa", `{"type":"public","transport":"cookie","device_bound":true,"scope":"read write openid"}`)
	return w.chromium()
}

// chromium returns a browser without sessions.
func (w *world) chromium() *chromium {
	return &chromium{browser: w.browser(), own: w.servers[0].URL, sameSite: "Strict", sessions: map[string]*boundSession{}, expires: map[string]time.Time{}}
}

// deviceBound returns a browser at a world's own pages, with the device-bound client "spa".
func (w *world) deviceBound() *chromium {
	w.t.Helper()
	w.putClient("spa", `{"type":"public","transport":"cookie","device_bound":true}`)
	c := w.chromium()
	c.origin = w.servers[0].URL
	return c
}

// renewal returns a renewal of the browser's only session.
func (c *chromium) renewal() func(*world) answer {
	s := c.only()
	proof := deviceProof(c.t, s.key, s.challenge, false)
	return func(*world) answer {
		a, _ := c.ask(s.renewal, "Sec-Secure-Session-Id", s.identifier, "Secure-Session-Response", proof)
		return a
	}
}

// post sends a form as a page does. Before that the browser renews each session in whose scope the path is and whose
// cookie is gone; afterwards it does what the headers of the answer ask for.
func (c *chromium) post(path string, form ...string) answer {
	c.t.Helper()
	var skipped []string
	for _, identifier := range slices.Sorted(maps.Keys(c.sessions)) {
		s := c.sessions[identifier]
		c.forgetExpired()
		if !slices.Contains(s.paths, c.paths+path) || c.cookies[s.cookie] != nil {
			continue
		}
		if reason := c.renewSession(s); reason != "" {
			skipped = append(skipped, fmt.Sprintf(`%s;session_identifier=%q`, reason, identifier))
		}
	}
	c.forgetExpired()
	held := c.header
	if skipped != nil {
		c.header = append(slices.Clip(c.header), "Secure-Session-Skipped", strings.Join(skipped, ", "))
	}
	a := c.browser.post(path, form...)
	c.header = held
	c.age(a)
	c.remember(a)
	if h := a.header.Get("Secure-Session-Registration"); h != "" && !c.without {
		c.register(h)
	}
	return a
}

// renew refreshes a session of "spa".
func (c *chromium) renew(sid string) answer {
	c.t.Helper()
	return c.post("/oauth/token", "grant_type", "refresh_token", "client_id", "spa", "sid", sid)
}

// login starts a session of "spa" and returns its sid.
func (c *chromium) login(user string) string {
	c.t.Helper()
	code := c.issue(`{"client_id":"spa","user_id":` + quote(user) + `,"deliver":"code","code_challenge":` + quote(challengeOf(verifier)) + `}`).text("code")
	a := c.post("/oauth/token", "grant_type", "authorization_code", "client_id", "spa", "code", code, "code_verifier", verifier)
	if a.status != http.StatusOK || a.text("sid") == "" {
		c.t.Fatalf("login: %v", a)
	}
	return a.text("sid")
}

// bound returns the sid of a session of "spa" that is bound to the browser's key.
func (c *chromium) bound(user string) string {
	c.t.Helper()
	sid := c.login(user)
	if a := c.renew(sid); a.status != http.StatusOK || c.cookies[boundName(sid)] == nil || c.token("spa", sid) != "" {
		c.t.Fatalf("the session of %s was not bound: %v, with the cookies %v", user, a, slices.Collect(maps.Keys(c.cookies)))
	}
	return sid
}

func boundName(sid string) string { return "__Host-rotor.spa." + sid + ".bound" }

// age notes when the cookies of an answer expire.
func (c *chromium) age(a answer) {
	for _, text := range a.header.Values("Set-Cookie") {
		if set, err := http.ParseSetCookie(text); err == nil {
			c.expires[set.Name] = c.clock.Now().Add(time.Duration(set.MaxAge) * time.Second)
		}
	}
}

// forgetExpired deletes the cookies that have expired.
func (c *chromium) forgetExpired() {
	for name := range c.cookies {
		if end, ok := c.expires[name]; ok && !c.clock.Now().Before(end) {
			delete(c.cookies, name)
		}
	}
}

var cachedChallenge = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`)

// remember keeps the challenge of an answer.
func (c *chromium) remember(a answer) {
	if m := cachedChallenge.FindStringSubmatch(a.header.Get("Secure-Session-Challenge")); m != nil && c.sessions[m[2]] != nil {
		c.sessions[m[2]].challenge = m[1]
	}
}

// ask makes a request of the browser itself, and keeps the cookies of the answer. ok is false if the answer is lost; its
// cookies are kept if only its body is cut.
func (c *chromium) ask(path string, header ...string) (a answer, ok bool) {
	c.t.Helper()
	c.asks = append(c.asks, path)
	held := c.browser.header
	origin := c.origin
	c.browser.header, c.origin = append([]string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"}, header...), c.own
	a = c.send(http.MethodPost, path, "", "", c.headers()...)
	c.browser.header, c.origin = held, origin
	lost, cut := false, false
	if c.lose != nil {
		lost, cut = c.lose(path)
	}
	if !lost {
		c.keep(a)
		c.age(a)
	}
	return a, !lost && !cut
}

var registration = regexp.MustCompile(`^\(ES256 RS256\);path="([^"]+)";challenge="([^"]+)"$`)

// register does what a registration header asks for.
func (c *chromium) register(header string) {
	c.t.Helper()
	m := registration.FindStringSubmatch(header)
	if m == nil {
		c.t.Fatalf("the registration header is %q", header)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	a, ok := c.ask(m[1], "Secure-Session-Response", deviceProof(c.t, key, m[2], true))
	if !ok || a.status != http.StatusOK {
		return // it is never tried again, and nothing remains
	}
	s := &boundSession{key: key}
	c.configure(s, a)
	c.remember(a)
}

// configure does what the JSON of an answer says.
func (c *chromium) configure(s *boundSession, a answer) {
	c.t.Helper()
	var config struct {
		Identifier string `json:"session_identifier"`
		RefreshURL string `json:"refresh_url"`
		Scope      struct {
			IncludeSite   *bool                         `json:"include_site"`
			Specification []struct{ Type, Path string } `json:"scope_specification"`
		} `json:"scope"`
		Credentials []struct{ Type, Name, Attributes string } `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(a.body), &config); err != nil {
		c.t.Fatal(err)
	}
	rules := config.Scope.Specification
	if config.Identifier == "" || config.Scope.IncludeSite == nil || *config.Scope.IncludeSite || len(config.Credentials) != 1 ||
		len(rules) < 2 || rules[0].Type != "exclude" || rules[0].Path != "/" {
		c.t.Fatalf("the browser accepts no such session: %s", a.body)
	}
	cookie := config.Credentials[0]
	// Chromium refuses names that begin so.
	if cookie.Type != "cookie" || strings.HasPrefix(cookie.Name, "__Host-Http-") || cookie.Attributes != "Path=/; Secure; HttpOnly; SameSite="+c.sameSite {
		c.t.Fatalf("the browser accepts no such cookie: %+v", cookie)
	}
	s.identifier, s.renewal, s.cookie, s.paths, s.challenge = config.Identifier, config.RefreshURL, cookie.Name, nil, ""
	for _, rule := range rules[1:] {
		s.paths = append(s.paths, rule.Path)
	}
	c.sessions[s.identifier] = s
}

// renewSession renews a session's cookie as Chromium does. It returns why it could not, "" if it could or if the session
// has ended.
func (c *chromium) renewSession(s *boundSession) (skipped string) {
	c.t.Helper()
	for range 5 {
		header := []string{"Sec-Secure-Session-Id", s.identifier}
		if s.challenge != "" {
			header = append(header, "Secure-Session-Response", deviceProof(c.t, s.key, s.challenge, false))
		}
		a, ok := c.ask(s.renewal, header...)
		switch {
		case !ok:
			return "unreachable"
		case a.status == http.StatusOK:
			before := s.identifier
			c.configure(s, a)
			if s.identifier != before { // it ends the session
				delete(c.sessions, before)
				delete(c.sessions, s.identifier)
				return ""
			}
			c.remember(a)
			return ""
		case a.status >= 500:
			return "server_error"
		case a.status != http.StatusForbidden || cachedChallenge.FindStringSubmatch(a.header.Get("Secure-Session-Challenge")) == nil:
			delete(c.sessions, s.identifier)
			return ""
		}
		c.remember(a)
	}
	delete(c.sessions, s.identifier) // too many challenges
	return ""
}

// deviceProof returns a JWT of a device-bound session over a challenge; with its key for a registration.
func deviceProof(t testing.TB, key *ecdsa.PrivateKey, challenge string, withKey bool) string {
	t.Helper()
	payload, err := json.Marshal(map[string]string{"jti": challenge})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: withKey}).WithType("dbsc+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
