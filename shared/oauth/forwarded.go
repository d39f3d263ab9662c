package oauth

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// endUser returns who is behind a request of the client, which has authenticated.
// One that may forward is believed: what it does not tell of its user is not known,
// and what it tells is marked with the address that it came from. Of others only
// that they told something is kept.
func endUser(r *http.Request, client *store.Client) (session.Caller, error) {
	c := web.CallerOf(r)
	if !client.Confidential || !client.MayForward {
		c.ForwardIgnored = forwards(r.Header)
		return c, nil
	}
	user, err := web.ForwardedCaller(r)
	if err != nil {
		return session.Caller{}, invalidRequest(web.ClientIPHeader + " must be one IPv4 or IPv6 address.")
	}
	if user == (session.Caller{}) {
		return c, nil
	}
	user.RequestID, user.ForwardedBy = c.RequestID, cmp.Or(c.IP, "unknown")
	return user, nil
}

// forwards reports whether the header tells anything of another caller.
func forwards(h http.Header) bool {
	return h.Get(web.ClientIPHeader) != "" || h.Get(web.ClientAgentHeader) != ""
}

// asksToForward reports whether a page asks, by its preflight, to tell of a caller.
// It may not: what a page says of where it is would be its own word.
func asksToForward(r *http.Request) bool {
	asked := strings.ToLower(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","))
	return r.Method == http.MethodOptions && (strings.Contains(asked, strings.ToLower(web.ClientIPHeader)) || strings.Contains(asked, strings.ToLower(web.ClientAgentHeader)))
}
