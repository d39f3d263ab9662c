package oauth

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// transportHeader is the header that every request of a cookie client has. A form cannot send it, and
// a page of another origin can only after a preflight.
const transportHeader = "Rotor-Transport"

// sidParam names the session that a request of a cookie client is about. It is no secret.
const sidParam = "sid"

// cookiePrefix begins the name of every session's cookie; the client's id, a dot and the
// sid follow. Browsers that know __Host-Http- let no script set such a cookie. Others know
// __Host- at least, so that no sibling of this host can set it (RFC 6265bis §4.1.3).
const cookiePrefix = "__Host-Http-rotor."

const (
	// maxSessions is how many sessions of a client one browser keeps. The browser's header
	// must fit into the 10 KB of API Gateway.
	maxSessions = 5

	// maxCookieAge is how long browsers keep a cookie at most (RFC 6265bis §5.5).
	maxCookieAge = 400 * 24 * time.Hour
)

var (
	errNoTransport    = invalidRequest("This client keeps its refresh tokens in cookies. Send the header Rotor-Transport: cookie.")
	errMalformedSID   = invalidRequest("sid is not the id of a session: 26 letters and digits, as in the last answer.")
	errTokenAndSID    = invalidRequest("sid names the session's cookie, so that no token may be sent beside it.")
	errRepeatedCookie = invalidRequest("The browser sent the session's cookie twice. One of them was set by somebody else.")
	errNotAPage       = &oauthError{
		status: http.StatusForbidden, code: "invalid_request",
		description: "Only web pages of this service's origin, or of a configured one, may use the session's cookie. The setting * configures none.",
	}
)

// cookieJar holds the session cookies of one client that came with a request.
type cookieJar struct {
	client *store.Client
	values map[string][]string // by sid
	sid    string              // of the session that the request is about, "" if unknown
}

// cookies returns the client's session cookies in the request, nil for a client that has its refresh tokens
// in bodies. It refuses a request that another page may have caused.
func (a *API) cookies(r *http.Request, client *store.Client) (*cookieJar, error) {
	if !client.Cookie {
		return nil, nil
	}
	if r.Header.Get(transportHeader) != "cookie" {
		return nil, errNoTransport
	}
	from := sentOrigin(r)
	if !isSameOrigin(r) && (from == "" || !a.originNamed(from)) {
		a.recordOrigin(r, from)
		return nil, errNotAPage
	}
	j := &cookieJar{client: client, values: map[string][]string{}}
	for _, c := range r.Cookies() {
		sid, ok := strings.CutPrefix(c.Name, cookiePrefix+client.ID+".")
		if ok && isSID(sid) {
			j.values[sid] = append(j.values[sid], c.Value)
		}
	}
	return j, nil
}

// isSID reports whether s is a session's id, as access tokens and answers have it.
func isSID(s string) bool {
	id, err := ulid.ParseStrict(s)
	return err == nil && id.String() == s
}

// choose returns the refresh token of the session that the parameters name: the one in
// the session's cookie, or else the only one there is. It returns "" if there is no cookie.
func (j *cookieJar) choose(p params) (string, error) {
	switch sid := p.get(sidParam); {
	case sid != "" && !isSID(sid):
		return "", errMalformedSID
	case sid != "":
		j.sid = sid
	case len(j.values) > 1:
		return "", invalidRequest(fmt.Sprintf("This browser has %d sessions of the client. Send the sid of one of them.", len(j.values)))
	default:
		for sid := range j.values {
			j.sid = sid
		}
	}
	switch values := j.values[j.sid]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", errRepeatedCookie
}

// keep sets the cookie of the session that an answer is about, and takes the refresh token out of
// the answer. If the browser has too many sessions of the client then, the oldest of the others go.
func (j *cookieJar) keep(w http.ResponseWriter, t *session.Tokens) {
	t.SessionID = t.Record.ID.ULID().String()
	age := maxCookieAge
	if left := t.RefreshTokenExpiresIn; left != nil {
		age = min(age, time.Duration(*left)*time.Second)
	}
	j.set(w, t.SessionID, t.RefreshToken, age)
	t.RefreshToken = ""
	delete(j.values, t.SessionID)
	others := slices.Sorted(maps.Keys(j.values)) // the oldest first
	for _, sid := range others[:max(0, len(others)-(maxSessions-1))] {
		j.clear(w, sid)
	}
}

// hasCookie reports whether a cookie came with the request for the session that it is about.
func (j *cookieJar) hasCookie() bool { return j != nil && len(j.values[j.sid]) > 0 }

// clear deletes the cookie of a session.
func (j *cookieJar) clear(w http.ResponseWriter, sid string) { j.set(w, sid, "", -time.Second) }

// clearRefused deletes the cookie that the request is about if err says that the refresh token in it is
// dead. Any other error leaves it, and every error leaves those of other sessions. If no cookie came,
// none is deleted: another answer may have set it meanwhile, and arrive before this one.
func (j *cookieJar) clearRefused(w http.ResponseWriter, err error) {
	var e *oauthError
	refused := errors.As(err, &e) && e.code == "invalid_grant" || errors.Is(err, session.ErrOtherClient)
	if refused && j.hasCookie() {
		j.clear(w, j.sid)
	}
}

// set sets the cookie of a session for so long; a negative age deletes it.
func (j *cookieJar) set(w http.ResponseWriter, sid, value string, age time.Duration) {
	c := &http.Cookie{
		Name: cookiePrefix + j.client.ID + "." + sid, Value: value,
		Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(age / time.Second),
	}
	if j.client.CookieLax {
		c.SameSite = http.SameSiteLaxMode
	}
	if c.MaxAge == 0 {
		c.MaxAge = -1 // its family ends within a second; a MaxAge of 0 would leave it to the browser
	}
	http.SetCookie(w, c)
}
