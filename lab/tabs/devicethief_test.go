//go:build tabs

package tabs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/server"
)

// TestDeviceCookieCopied checks what somebody has who has copied a device cookie into another browser: access tokens until
// the cookie's end, and nothing after it. They cannot renew it, whatever else they know, nor end the owner's session.
func TestDeviceCookieCopied(t *testing.T) {
	t.Parallel()
	w := newDeviceWorld(t, server.Config{})
	owner, other := newProfile(t), newProfile(t)
	b := w.device(owner, "spa", "alice")
	l := w.bound(b)
	thief := w.device(other, "spa", "alice")
	copied := network.SetCookieParams{Name: l.cookie("spa"), Value: owner.value(l.cookie("spa")), URL: w.url(authHost) + "/"}
	uses := func() string {
		t.Helper()
		if err := thief.try(command(network.SetCookie, copied)); err != nil {
			t.Fatal(err)
		}
		return eval[string](thief.tab, refresh("spa", l.sid))
	}
	after := w.now()
	if got := uses(); got != "200 "+l.sid {
		t.Errorf("the copied cookie: %s", got)
	}

	// Its end is over. The service deletes it where it finds it, and the thief sets it again.
	w.ahead.Add(int64(12 * time.Minute))
	for range 3 {
		if got := uses(); got != "503 temporarily_unavailable" || len(other.names()) != 0 {
			t.Errorf("the copied cookie, after its end: %s, and there are the cookies %v", got, other.names())
		}
	}
	if len(w.of(renewal, after)) != 0 || len(w.of(registration, after)) != 0 {
		t.Errorf("after step %d: the thief's browser has asked for a renewal", after)
	}

	// The thief makes the requests of a browser, with another key.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	identifier, challenge := w.session()
	for _, tt := range []struct {
		what, path, session, proof string
		status                     int
	}{
		{"a renewal without a proof", renewal, identifier, "", http.StatusForbidden},
		{"a renewal with another key", renewal, identifier, proof(t, key, challenge, false), http.StatusUnauthorized},
		{"a renewal with another key, which it brings", renewal, identifier, proof(t, key, challenge, true), http.StatusUnauthorized},
		{"a registration without the refresh token", registration, "", proof(t, key, challenge, true), http.StatusForbidden},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url(authHost)+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Origin": w.url(authHost), "Sec-Fetch-Site": "same-origin", "Sec-Secure-Session-Id": tt.session, "Secure-Session-Response": tt.proof} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		answer, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != tt.status {
			t.Errorf("%s: %s", tt.what, answer.Status)
		}
		for _, c := range answer.Cookies() {
			if c.MaxAge > 0 {
				t.Errorf("%s sets the cookie %s", tt.what, c.Name)
			}
		}
	}
	if got := uses(); got != "503 temporarily_unavailable" {
		t.Errorf("the copied cookie, after all that: %s", got)
	}

	// The owner has noticed nothing. The owner's cookie has run out as well.
	w.forget(b, l.cookie("spa"))
	after = w.now()
	b.refreshes("spa", l)
	if renewed := w.of(renewal, after); len(renewed) == 0 || renewed[len(renewed)-1].status != http.StatusOK {
		t.Errorf("after step %d: the owner's browser has not renewed", after)
	}
	if got := eval[string](thief.tab, refresh("spa", l.sid)); got != "400 invalid_grant" {
		t.Errorf("without the cookie: %s", got)
	}
	b.refreshes("spa", l)
	w.alive(l.family)
}

// value returns the value of a cookie.
func (p *profile) value(name string) string {
	p.t.Helper()
	all := p.cookies()
	i := slices.IndexFunc(all, func(c *network.Cookie) bool { return c.Name == name && c.Domain == authHost })
	if i < 0 {
		p.t.Fatalf("there is no cookie %s", name)
	}
	return all[i].Value
}

// session returns the identifier and the challenge of the last renewal.
func (w *deviceWorld) session() (identifier, challenge string) {
	w.t.Helper()
	all := w.of(renewal, 0)
	m := parameter.FindAllStringSubmatch(all[len(all)-1].answer.Get("Secure-Session-Challenge"), -1)
	if len(m) != 2 {
		w.t.Fatal("the last renewal has no challenge")
	}
	return m[1][1], m[0][1]
}

// proof returns what a browser with that key would send.
func proof(t testing.TB, key *ecdsa.PrivateKey, challenge string, withKey bool) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: withKey}).WithType("dbsc+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"jti":` + quoted(challenge) + `}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDeviceXSS checks that a script of somebody else in the page finds no cookie, no proof, no challenge and no identifier of
// a session, wherever it looks, from the login to the logout.
func TestDeviceXSS(t *testing.T) {
	t.Parallel()
	w := newDeviceWorld(t, server.Config{})
	html, err := os.ReadFile("pages/tab.html")
	if err != nil {
		t.Fatal(err)
	}
	w.page(appHost, "/hostile", `<!doctype html><script src="/pages/hostile.js"></script>`+string(html))
	p := newProfile(t)
	b := w.deviceAt(p, "/hostile", "client", "spa", "transport", "cookie", "tab", "1", "patient", "")
	l := w.login(b)
	b.uses("alice")
	for _, what := range []fault{none, unavailable, cut} { // the last two for a renewal each
		b.expire()
		w.forget(b, l.cookie("spa"))
		failed := false
		w.harm(func(path string) fault {
			if path != renewal || failed {
				return none
			}
			failed = true
			return what
		})
		b.uses("alice")
	}
	found := eval[[][2]string](b.tab, "search()")
	eval[any](b.tab, "session.logout()")
	_ = eval[string](b.tab, refresh("spa", l.sid)) // so that the browser asks for a renewal in vain
	found = append(found, eval[[][2]string](b.tab, "search()")...)
	hidden := w.secrets()
	if len(hidden) < 6 || len(w.of(renewal, 0)) < 4 {
		t.Fatalf("there were %d secrets to find", len(hidden))
	}
	access := 0
	for _, f := range found {
		if strings.Contains(f[1], "eyJ") {
			access++
		}
		for _, secret := range hidden {
			if strings.Contains(f[1], secret) {
				t.Errorf("the script found a secret in %s", f[0])
			}
		}
		if strings.Contains(strings.ToLower(f[1]), "secure-session-") {
			t.Errorf("the script found a header of the browser in %s", f[0])
		}
	}
	if access == 0 {
		t.Error("the script found no access token, so that it cannot have looked well")
	}
}
