//go:build tabs

package tabs

import (
	"strings"
	"testing"
)

// keyed has what a script can do with the key of a session, of which IndexedDB has the object.
const keyed = `(async () => {
  const db = await new Promise((f) => Object.assign(indexedDB.open('rotor'), { onsuccess() { f(this.result); } }));
  const { pair } = await new Promise((f) => Object.assign(db.transaction('sessions').objectStore('sessions').get(['spa default', 'dpop']), { onsuccess() { f(this.result); } }));
  db.close();
  const refused = await Promise.all(['jwk', 'pkcs8', 'raw'].map((format) => crypto.subtle.exportKey(format, pair.privateKey).then(() => format, (error) => error.name)));
  const { x } = await crypto.subtle.exportKey('jwk', pair.publicKey);
  return { extractable: pair.privateKey.extractable, refused, x };
})()`

// TestBoundTabs checks that the tabs of a page have one key, which outlives them, that no script gets the private key, and
// that a refresh token without it is worthless.
func TestBoundTabs(t *testing.T) {
	for _, transport := range []string{"cookie", "token"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w, d, p, first, login := hostile(t, transport, "dpop", "1")
			second := p.newTab()
			second.visit(w.query("/hostile", "client", "spa", "transport", transport, "tab", "2", "dpop", "1"))
			tabs := []*tab{first, second}
			first.uses("alice")
			second.uses("alice")
			for n := range 6 { // by turns, one tab needs a token first, and the other takes that
				if n%2 == 1 {
					w.later()
				}
				tabs[n%2].expire()
				tabs[n%2].uses("alice")
				tabs[1-n%2].uses("alice")
			}
			key := eval[string](first, "session.thumbprint()")
			if other := eval[string](second, "session.thumbprint()"); other != key || len(key) != 43 {
				t.Errorf("the tabs have the keys %q and %q", key, other)
			}
			asked := map[string]int{}
			for _, p := range d.all() {
				if p.grant == "refresh_token" && p.status == 200 {
					asked[p.tab]++
				}
			}
			if len(asked) != 2 {
				t.Errorf("refreshes by tab: %v", asked)
			}

			// A script finds the key, and cannot have it.
			held := eval[struct {
				Extractable bool
				Refused     []string
				X           string
			}](first, keyed)
			if held.Extractable || strings.Join(held.Refused, " ") != "InvalidAccessError InvalidAccessError InvalidAccessError" {
				t.Errorf("the private key can be extracted: %+v", held)
			}
			private, public, made := 0, 0, 0
			for _, b := range tabs {
				for _, f := range eval[[][2]string](b, "search()") {
					place, text := f[0], f[1]
					if strings.Contains(text, `"d":`) || strings.Contains(text, "dpop_key") {
						private++
					}
					switch {
					case place == "exportKey" && strings.Contains(text, held.X):
						public++
					case place == "exportKey":
						t.Errorf("a script has seen another key than the public one")
					case place == "wrapKey":
						t.Error("the key was wrapped")
					case place == "generateKey":
						made++
						if !strings.HasPrefix(text, "[false,") {
							t.Errorf("the key was made so that it can be extracted: %.10s", text)
						}
					}
				}
			}
			if private != 0 || public == 0 || made == 0 {
				t.Errorf("the script found the private key %d times, the public one %d times, and %d keys that were made", private, public, made)
			}

			// The key and the session outlive the tabs.
			first.close()
			second.close()
			w.later()
			third := p.newTab()
			third.visit(w.query("/hostile", "client", "spa", "transport", transport, "tab", "3", "dpop", "1"))
			third.uses("alice")
			if got := eval[string](third, "session.thumbprint()"); got != key {
				t.Errorf("after a while the key is %q, and not %q", got, key)
			}

			// Without the key: a page that has the token, or the cookie, gets nothing and ends nothing.
			without := `(async () => {
			  const record = await new Promise((f) => { indexedDB.open('rotor').onsuccess = ({ target }) => {
			    target.result.transaction('sessions').objectStore('sessions').get('spa default').onsuccess = ({ target }) => f(JSON.parse(target.result.data)); }; });
			  const body = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'spa', ...(record.sid ? { sid: record.sid } : { refresh_token: record.refresh_token }) });
			  const answer = await fetch(` + quoted(w.url(authHost)+"/oauth/token") + `, { method: 'POST', body, credentials: record.sid ? 'include' : 'omit', headers: record.sid ? { 'Rotor-Transport': 'cookie' } : {} });
			  return (await answer.json()).error;
			})()`
			if got := eval[string](third, without); got != "invalid_dpop_proof" {
				t.Errorf("without a proof: %s", got)
			}
			third.expire()
			third.uses("alice")
			w.alive(login.family)
		})
	}
}
