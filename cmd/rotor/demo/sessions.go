package demo

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"slices"
	"sync"

	"golang.org/x/oauth2"
)

// session is what the server app knows of one browser. Its tokens leave this process in no page.
type session struct {
	id string

	mu      sync.Mutex // is held while the tokens are used, so that one refresh runs at a time
	pending *attempt
	token   *oauth2.Token // nil if nobody is logged in
	idToken string
	number  int    // of the refresh token: how many there were
	said    string // what happened last
}

// attempt is a login that has begun, and whose answer is waited for.
type attempt struct{ state, nonce, verifier string }

// sessions are the sessions of all browsers, the one used last at the end. It is safe for
// concurrent use.
type sessions struct {
	mu  sync.Mutex
	all []*session
}

// maxSessions limits the sessions that are kept. The one that was used longest ago is dropped.
const maxSessions = 64

// sessionCookie is the name of the cookie that tells browsers apart.
const sessionCookie = "rotor-demo-app"

// of returns the session of the browser, or nil if it has none.
func (s *sessions) of(r *http.Request) *session {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.all, func(x *session) bool {
		return subtle.ConstantTimeCompare([]byte(x.id), []byte(cookie.Value)) == 1
	})
	if i < 0 {
		return nil
	}
	found := s.all[i]
	s.all = append(slices.Delete(s.all, i, i+1), found)
	return found
}

// begin makes a session, in place of the browser's last one.
func (s *sessions) begin(w http.ResponseWriter, r *http.Request, path string) *session {
	s.end(r)
	made := &session{id: rand.Text()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == maxSessions {
		s.all = slices.Delete(s.all, 0, 1)
	}
	s.all = append(s.all, made)
	// Lax, because the login may lead back here from another site.
	//nolint:gosec // a local run has no TLS, and the cookie is worth nothing elsewhere
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: made.id, Path: path, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return made
}

// end forgets the browser's session.
func (s *sessions) end(r *http.Request) {
	if old := s.of(r); old != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = slices.DeleteFunc(s.all, func(x *session) bool { return x == old })
	}
}
