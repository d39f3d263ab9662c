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

// evenSuffix ends the name of the cookie for tokens of even numbers. A session has one for odd numbers too,
// and the newest token in them counts. Answers overtake each other: one that is late does not overwrite the
// token that was made meanwhile, since that is in the other cookie, and the one after that is made an
// interval later.
const evenSuffix = ".2"

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
		description: "Only web pages of this service's origin, or of one that is configured by name, may use the session's cookie. The setting * names none.",
	}
)

// cookieJar holds the session cookies of one client that came with a request.
type cookieJar struct {
	client *store.Client
	values map[string]*[2][]string // by sid, of the cookie for odd numbers and of that for even ones
	sid    string                  // of the session that the request is about, "" if unknown
}

// cookies returns the client's session cookies in the request, nil for a client that has its refresh tokens
// in bodies. It refuses a request that another page may have caused.
func (a *API) cookies(r *http.Request, client *store.Client) (*cookieJar, error) {
	if !client.Cookie {
		return nil, nil
	}
	if h := r.Header.Values(transportHeader); len(h) != 1 || h[0] != "cookie" {
		return nil, errNoTransport
	}
	from := sentOrigin(r)
	if !isSameOrigin(r) && (from == "" || !a.originNamed(from)) {
		a.recordOrigin(r, from)
		return nil, errNotAPage
	}
	j := &cookieJar{client: client, values: map[string]*[2][]string{}}
	for _, c := range r.Cookies() {
		name, ok := strings.CutPrefix(c.Name, cookiePrefix+client.ID+".")
		sid, even := strings.CutSuffix(name, evenSuffix)
		if !ok || !isSID(sid) {
			continue
		}
		if j.values[sid] == nil {
			j.values[sid] = new([2][]string)
		}
		values := &j.values[sid][parity(even)]
		*values = append(*values, c.Value)
	}
	return j, nil
}

// parity returns where a session's cookie is in a jar.
func parity(even bool) int {
	if even {
		return 1
	}
	return 0
}

// isSID reports whether s is a session's id, as access tokens and answers have it.
func isSID(s string) bool {
	id, err := ulid.ParseStrict(s)
	return err == nil && id.String() == s
}

// choose returns what is in the cookies of the session that the parameters name, or else of the only
// one there is. Nothing is in them if there are none.
func (j *cookieJar) choose(p params) (*session.Cookie, error) {
	switch sid := p.get(sidParam); {
	case sid != "" && !isSID(sid):
		return nil, errMalformedSID
	case sid != "":
		j.sid = sid
	case len(j.values) > 1:
		return nil, invalidRequest(fmt.Sprintf("This browser has %d sessions of the client. Send the sid of one of them.", len(j.values)))
	default:
		for sid := range j.values {
			j.sid = sid
		}
	}
	c := &session.Cookie{SessionID: j.sid}
	if !j.hasCookie() {
		return c, nil
	}
	for _, values := range j.values[j.sid] {
		if len(values) > 1 {
			return nil, errRepeatedCookie
		}
		c.Tokens = append(c.Tokens, values...)
	}
	return c, nil
}

// keep sets a cookie of the session that an answer made at now is about, and takes the refresh token out of
// the answer. If the browser has too many sessions of the client then, the oldest of the others go.
func (j *cookieJar) keep(w http.ResponseWriter, t *session.Tokens, now time.Time) {
	t.SessionID = t.Record.ID.ULID().String()
	age := maxCookieAge
	if left := t.RefreshTokenExpiresIn; left != nil {
		age = min(age, time.Duration(*left)*time.Second)
	}
	even := t.Record.Counter%2 == 0
	j.set(w, t.SessionID, even, t.RefreshToken, age)
	t.RefreshToken = ""
	// The next token is made an interval from now at the earliest, so that this answer does not delete it,
	// unless it is older than that. A later answer with the same token might.
	if held := j.values[t.SessionID]; held != nil && held[parity(!even)] != nil && t.Record.RotatedAt.Equal(now) {
		j.set(w, t.SessionID, !even, "", deleted)
	}
	delete(j.values, t.SessionID)
	others := slices.Sorted(maps.Keys(j.values)) // the oldest first
	for _, sid := range others[:max(0, len(others)-(maxSessions-1))] {
		j.clear(w, sid)
	}
}

// hasCookie reports whether a cookie came with the request for the session that it is about.
func (j *cookieJar) hasCookie() bool { return j != nil && j.values[j.sid] != nil }

// deleted is the age of a cookie that is to be deleted.
const deleted = -time.Second

// clear deletes the cookies of a session that came with the request.
func (j *cookieJar) clear(w http.ResponseWriter, sid string) {
	for _, even := range []bool{false, true} {
		if j.values[sid][parity(even)] != nil {
			j.set(w, sid, even, "", deleted)
		}
	}
}

// clearEnded deletes the cookies of a session that has ended, whether or not they came with the request.
func (j *cookieJar) clearEnded(w http.ResponseWriter, sid string) {
	j.set(w, sid, false, "", deleted)
	j.set(w, sid, true, "", deleted)
}

// clearRefused deletes the cookies that the request is about if err says that the refresh token in them is
// dead. Any other error leaves it, and every error leaves those of other sessions. If no cookie came,
// none is deleted: another answer may have set it meanwhile, and arrive before this one.
func (j *cookieJar) clearRefused(w http.ResponseWriter, err error) {
	var e *oauthError
	refused := errors.As(err, &e) && e.code == "invalid_grant" || errors.Is(err, session.ErrOtherClient)
	if refused && j.hasCookie() {
		j.clear(w, j.sid)
	}
}

// set sets a cookie of a session for so long; a negative age deletes it.
func (j *cookieJar) set(w http.ResponseWriter, sid string, even bool, value string, age time.Duration) {
	c := &http.Cookie{
		Name: cookiePrefix + j.client.ID + "." + sid, Value: value,
		Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(age / time.Second),
	}
	if even {
		c.Name += evenSuffix
	}
	if j.client.CookieLax {
		c.SameSite = http.SameSiteLaxMode
	}
	if c.MaxAge == 0 {
		c.MaxAge = -1 // its family ends within a second; a MaxAge of 0 would leave it to the browser
	}
	http.SetCookie(w, c)
}
