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
	values map[string]*sessionCookies // by sid
	sid    string                     // of the session that the request is about, "" if unknown

	skipped []string // the sessions that the browser could not renew, as it names them
}

// sessionCookies holds what the cookies of one session have. Each name comes once, unless somebody else has set one.
type sessionCookies struct {
	tokens [2][]string // of the cookie for odd numbers and of that for even ones
	device []string
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
	j := readJar(r, client)
	j.skipped = skippedSessions(r)
	return j, nil
}

// readJar returns the client's session cookies in the request, of any page.
func readJar(r *http.Request, client *store.Client) *cookieJar {
	j := &cookieJar{client: client, values: map[string]*sessionCookies{}}
	of := func(sid string) *sessionCookies {
		if j.values[sid] == nil {
			j.values[sid] = new(sessionCookies)
		}
		return j.values[sid]
	}
	for _, c := range r.Cookies() {
		if sid, ok := cutDeviceName(c.Name, client.ID); ok && isSID(sid) {
			of(sid).device = append(of(sid).device, c.Value)
		}
		name, ok := strings.CutPrefix(c.Name, cookiePrefix+client.ID+".")
		sid, even := strings.CutSuffix(name, evenSuffix)
		if ok && isSID(sid) {
			values := &of(sid).tokens[parity(even)]
			*values = append(*values, c.Value)
		}
	}
	return j
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
	return j.content()
}

// content returns what is in the cookies of the session that the request is about.
func (j *cookieJar) content() (*session.Cookie, error) {
	c := &session.Cookie{SessionID: j.sid, Skipped: j.skipped}
	if !j.hasCookie() {
		return c, nil
	}
	held := j.values[j.sid]
	for _, values := range held.tokens {
		if len(values) > 1 {
			return nil, errRepeatedCookie
		}
		c.Tokens = append(c.Tokens, values...)
	}
	if len(held.device) > 1 {
		return nil, errRepeatedCookie
	}
	c.Device = strings.Join(held.device, "")
	return c, nil
}

// keep sets a cookie of the session that an answer made at now is about, and takes the refresh token out of
// the answer. If the browser has too many sessions of the client then, the oldest of the others go.
func (j *cookieJar) keep(w http.ResponseWriter, t *session.Tokens, now time.Time) {
	t.SessionID = t.Record.ID.ULID().String()
	if t.ByDevice {
		j.clearTokens(w, t.SessionID) // they are good for nothing any more
		return
	}
	age := maxCookieAge
	if left := t.RefreshTokenExpiresIn; left != nil {
		age = min(age, time.Duration(*left)*time.Second)
	}
	even := t.Record.Counter%2 == 0
	j.set(w, t.SessionID, even, t.RefreshToken, age)
	t.RefreshToken = ""
	// The next token is made an interval from now at the earliest, so that this answer does not delete it,
	// unless it is older than that. A later answer with the same token might.
	if held := j.values[t.SessionID]; held != nil && held.tokens[parity(!even)] != nil && t.Record.RotatedAt.Equal(now) {
		j.set(w, t.SessionID, !even, "", deleted)
	}
	j.clearDevice(w, t.SessionID) // it was no good, or it would have been used
	delete(j.values, t.SessionID)
	excess := len(j.values) - (maxSessions - 1)
	for _, sid := range slices.Sorted(maps.Keys(j.values)) { // the oldest first
		if excess > 0 && j.values[sid].device == nil { // the browser would get a device cookie again, by a renewal
			j.clear(w, sid)
			excess--
		}
	}
}

// hasCookie reports whether a cookie came with the request for the session that it is about.
func (j *cookieJar) hasCookie() bool { return j != nil && j.values[j.sid] != nil }

// deleted is the age of a cookie that is to be deleted.
const deleted = -time.Second

// clear deletes the cookies of a session that came with the request.
func (j *cookieJar) clear(w http.ResponseWriter, sid string) {
	j.clearTokens(w, sid)
	j.clearDevice(w, sid)
}

// clearTokens deletes the cookies of a session that hold its refresh tokens and came with the request.
func (j *cookieJar) clearTokens(w http.ResponseWriter, sid string) {
	for _, even := range []bool{false, true} {
		if held := j.values[sid]; held != nil && held.tokens[parity(even)] != nil {
			j.set(w, sid, even, "", deleted)
		}
	}
}

// clearDevice deletes the device cookie of a session that came with the request.
func (j *cookieJar) clearDevice(w http.ResponseWriter, sid string) {
	if held := j.values[sid]; held != nil && held.device != nil {
		j.setDevice(w, sid, "", deleted)
	}
}

// clearEnded deletes the cookies of a session that has ended, whether or not they came with the request.
func (j *cookieJar) clearEnded(w http.ResponseWriter, sid string) {
	j.set(w, sid, false, "", deleted)
	j.set(w, sid, true, "", deleted)
	if j.client.DeviceBound {
		j.setDevice(w, sid, "", deleted)
	} else {
		j.clearDevice(w, sid)
	}
}

// clearRefused deletes the cookies that the request is about if err says that the refresh token in them is
// dead. Any other error leaves it, and every error leaves those of other sessions. If no cookie came,
// none is deleted: another answer may have set it meanwhile, and arrive before this one.
//
// A device cookie that must be renewed is deleted, too, since the browser renews what is not there.
func (j *cookieJar) clearRefused(w http.ResponseWriter, err error) {
	var e *oauthError
	refused := errors.As(err, &e) && e.code == "invalid_grant" || errors.Is(err, session.ErrOtherClient)
	switch {
	case !j.hasCookie():
	case refused:
		j.clear(w, j.sid)
	case errors.Is(err, session.ErrNotRenewed):
		j.clearDevice(w, j.sid)
	}
}

// set sets a cookie of a session for so long; a negative age deletes it.
func (j *cookieJar) set(w http.ResponseWriter, sid string, even bool, value string, age time.Duration) {
	name := cookiePrefix + j.client.ID + "." + sid
	if even {
		name += evenSuffix
	}
	j.setNamed(w, name, value, age)
}

func (j *cookieJar) setNamed(w http.ResponseWriter, name, value string, age time.Duration) {
	c := &http.Cookie{
		Name: name, Value: value,
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
