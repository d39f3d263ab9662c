package oauth

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/rs/cors"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/session"
)

// exposedHeaders are the response headers that scripts of a page may read.
var exposedHeaders = []string{"Retry-After", "WWW-Authenticate", nonceHeader}

// corsForOrigins returns h with CORS (the Fetch standard) for the web origins that may call:
// it answers preflights, and lets pages of those origins read the answers. Any request header is
// allowed, as SDKs and tracing add their own, except for the forwarding headers and those of the browser. Cookies are
// only allowed if the origins are named.
//
// An endpoint without CORS ignores the
// origin. Pages cannot read its answers, and it spends no token that a page could lose.
// /v1 takes requests that IAM has authorized, which pages do not send. Introspection
// changes nothing, and its callers may pass on the headers of a browser's request.
func (a *API) corsForOrigins(h http.Handler, options cors.Options) http.Handler {
	options.AllowedHeaders, options.MaxAge = []string{"*"}, 600
	if a.Origins.Any() {
		options.AllowedOrigins, options.AllowCredentials = []string{"*"}, false
	} else {
		options.AllowOriginFunc = a.originAllowed
	}
	return a.refuseOtherOrigins(cors.New(options).Handler(h))
}

// corsForPosts returns h with CORS for the web origins that may call, by POST and with cookies.
func (a *API) corsForPosts(h http.Handler) http.Handler {
	return a.corsForOrigins(h, cors.Options{AllowedMethods: []string{http.MethodPost}, ExposedHeaders: exposedHeaders, AllowCredentials: true})
}

// corsForAll returns h with CORS for every web origin.
func corsForAll(h http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedHeaders: []string{"*"}, ExposedHeaders: exposedHeaders, MaxAge: 600,
		AllowedOrigins: []string{"*"}, AllowedMethods: []string{http.MethodGet, http.MethodHead},
	}).Handler(h)
}

// originAllowed reports whether pages of the origin may call, because it is configured or
// is the issuer's own.
func (a *API) originAllowed(header string) bool {
	return a.Origins.Has(header) || a.isOwnOrigin(header)
}

// originNamed reports whether pages of the origin may use cookies. The setting * names none.
func (a *API) originNamed(header string) bool {
	return a.Origins.Has(header) && !a.Origins.Any() || a.isOwnOrigin(header)
}

// isOwnOrigin reports whether the origin is the issuer's.
func (a *API) isOwnOrigin(header string) bool { return a.ownOrigin != "" && header == a.ownOrigin }

// sentOrigin returns the request's Origin header, "" if it has none. A repeated one is no origin.
func sentOrigin(r *http.Request) string { return strings.Join(r.Header.Values("Origin"), ", ") }

// isSameOrigin reports whether a browser says that the page and this request have the same
// origin. No script can set that header.
func isSameOrigin(r *http.Request) bool {
	site := r.Header.Values("Sec-Fetch-Site")
	return len(site) == 1 && site[0] == "same-origin"
}

// refuseOtherOrigins returns next for requests from allowed origins and refuses others
// before anything is read. CORS alone would only hide the answer from the page: the token
// would be spent, and its successor lost.
//
// A request with Sec-Fetch-Site: same-origin passes: a browser sends it if the page's own
// server forwards the request to us, and no script can set it. A program that is not a
// browser can send any header, but risks only its own token.
func (a *API) refuseOtherOrigins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := sentOrigin(r)
		if from == "" || a.originAllowed(from) || isSameOrigin(r) {
			if preflightsForwarding(r) {
				w.Header().Add("Vary", "Origin")
				a.Fail(w, r, errForwardingPage)
				return
			}
			if preflightsDevice(r) {
				w.Header().Add("Vary", "Origin")
				a.Fail(w, r, errDeviceHeader)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		a.recordOrigin(r, from)
		w.Header().Add("Vary", "Origin")
		a.Fail(w, r, errForeignOrigin)
	})
}

// recordOrigin logs that a page was refused for its origin.
func (a *API) recordOrigin(r *http.Request, from string) {
	e := web.CallerOf(r).Event(audit.OriginRefused, a.Now())
	e.Origin, e.Reason = loggedOrigin(from), refusalReason(from)
	a.Trail.Record(r.Context(), &e)
}

// refusalReason returns the reason that the log gives for refusing an origin.
func refusalReason(header string) string {
	switch sent, err := origin.Parse(header); {
	case header == "":
		return "names_nobody" // not sent by a browser
	case header == "null" || header == "file://":
		return "names_nobody" // sent by sandboxed frames, data: URLs and local files; it cannot be configured
	case err != nil || sent != strings.ToLower(header):
		return "not_an_origin"
	}
	return "not_configured"
}

// maxLoggedOrigin limits what is logged of an origin, in bytes.
const maxLoggedOrigin = 256

// loggedOrigin returns what is logged of an Origin header, which can hold anything. It
// replaces unprintable characters, hides what could be a token, and cuts the rest.
func loggedOrigin(header string) string {
	printable := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(audit.Hide(header), "?"))
	return session.Cut(printable, maxLoggedOrigin)
}
