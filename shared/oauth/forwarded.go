package oauth

import (
	"cmp"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// endUser returns the user on whose behalf the authenticated client calls. If the client may
// forward, the address and user agent are those in its forwarding headers, and ForwardedBy
// is the client's own address; a value that it left out is unknown. For any other client
// they are those of the connection, and ForwardIgnored reports whether it sent such headers.
func endUser(r *http.Request, client *store.Client) (session.Caller, error) {
	c := web.CallerOf(r)
	if !client.Confidential || !client.MayForward {
		c.ForwardIgnored = hasForwardingHeaders(r.Header)
		return c, nil
	}
	user, err := web.ForwardedCaller(r)
	if err != nil {
		return session.Caller{}, invalidRequest(err.Error() + ".")
	}
	if user == (session.Caller{}) {
		return c, nil
	}
	user.RequestID, user.ForwardedBy = c.RequestID, cmp.Or(c.IP, "unknown")
	return user, nil
}

// hasForwardingHeaders reports whether a forwarding header has a value.
func hasForwardingHeaders(h http.Header) bool {
	return h.Get(web.ClientIPHeader) != "" || h.Get(web.ClientAgentHeader) != ""
}

// preflightsForwarding reports whether a page asks in a preflight to send forwarding headers.
// Pages may not: they could claim any address.
func preflightsForwarding(r *http.Request) bool {
	asked := strings.ToLower(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","))
	return r.Method == http.MethodOptions && (strings.Contains(asked, strings.ToLower(web.ClientIPHeader)) || strings.Contains(asked, strings.ToLower(web.ClientAgentHeader)))
}
