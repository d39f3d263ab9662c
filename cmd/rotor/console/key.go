package console

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
	"sync"
)

// Key opens the console to one browser. Other users of the machine reach the console's port
// too, and it has the operator's rights. The browser that first comes with the key, which only the
// operator was told, gets a cookie, and the key opens nothing from then on.
//
// A browser sends cookies to every port of a host, and any web page can lead it to a port on which
// another user of this machine listens. So the console is served under a random path, and
// the cookie is for that path alone: who does not know the path is not sent the cookie.
type Key struct {
	secret string
	cookie string
	name   string // of the cookie
	base   string // the path before all paths of the console, such as /Zm9v…

	mu   sync.Mutex
	used bool
}

// NewKey returns a new key. port tells the cookies of several consoles apart.
func NewKey(port string) *Key {
	return &Key{secret: random256(), cookie: random256(), name: "rotor-console-" + port, base: "/" + random256()}
}

// random256 returns 256 random bits.
func random256() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// Address returns the address to open first.
func (k *Key) Address(origin string) string { return origin + k.base + "/?key=" + k.secret }

// isUnder reports whether a path is under the secret one.
func (k *Key) isUnder(path string) bool {
	n := len(k.base)
	return len(path) >= n && same(path[:n], k.base) && (len(path) == n || path[n] == '/')
}

// admits reports whether a request, without the secret path, may go on. If not, it has answered.
func (k *Key) admits(w http.ResponseWriter, r *http.Request) bool {
	key, isOpening := r.URL.Query().Get("key"), r.URL.Path == "/" && r.URL.Query().Has("key")
	known := k.knows(r)
	switch {
	case isOpening && r.Method == http.MethodGet && (known || k.open(key)):
		//nolint:gosec // loopback has no TLS
		http.SetCookie(w, &http.Cookie{Name: k.name, Value: k.cookie, Path: k.base, HttpOnly: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, k.base+"/", http.StatusSeeOther) // to an address without the key
		return false
	case known:
		return true
	}
	lock(w)
	return false
}

// lock answers who may not come in. The answer must not name the secret path, so it is none of
// the other pages.
func lock(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	_ = lockedPage.Execute(w, nil) // fails only if the browser has gone away
}

// open uses up the key, and reports whether it was the right one.
func (k *Key) open(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.used || !same(key, k.secret) {
		return false
	}
	k.used = true
	return true
}

// knows reports whether the request has the cookie.
func (k *Key) knows(r *http.Request) bool {
	for _, c := range r.CookiesNamed(k.name) {
		if same(c.Value, k.cookie) {
			return true
		}
	}
	return false
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// lockedPage has no style, since the assets are behind the key as well.
var lockedPage = template.Must(template.New("locked").Parse(strings.TrimSpace(`
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Locked · Rotor</title></head>
<body><main><h1>This console is locked</h1>
<p>Open it with the whole address that <code>rotor console</code> has printed. That address opens one browser, once: start <code>rotor console</code> again for another.</p></main></body>
</html>
`)))
