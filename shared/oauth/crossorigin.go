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

// exposed are the headers of answers that scripts act on: when to come again, and
// how to authenticate.
var exposed = []string{"Retry-After", "WWW-Authenticate"}

// forPages returns h with answers to preflights, and marks its answers for pages of the
// origins that may call (the Fetch standard). Credentials are never allowed: tokens
// travel in bodies. Request headers are whatever the page's SDK or tracing adds, but for
// those in which a backend tells of its user.
//
// An endpoint that is neither forPages nor forEveryone has no CORS, and does not look
// at the origin: pages cannot read its answers, and nothing that a page could lose
// is spent there. /v1 takes requests that IAM has authorized, which no page makes;
// introspection changes nothing, and whoever asks may pass on the headers that a
// browser sent to them.
func (a *API) forPages(h http.Handler) http.Handler {
	options := cors.Options{
		AllowedHeaders: []string{"*"}, ExposedHeaders: exposed, MaxAge: 600,
		AllowedMethods: []string{http.MethodPost},
	}
	if a.Origins.Any() {
		options.AllowedOrigins = []string{"*"}
	} else {
		options.AllowOriginFunc = a.mayCall
	}
	return a.knownOrigins(cors.New(options).Handler(h))
}

// forEveryone returns h with what lets pages of any origin read its answers.
func forEveryone(h http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedHeaders: []string{"*"}, ExposedHeaders: exposed, MaxAge: 600,
		AllowedOrigins: []string{"*"}, AllowedMethods: []string{http.MethodGet, http.MethodHead},
	}).Handler(h)
}

// mayCall reports whether pages of the origin may call: it is configured, or the
// service's own.
func (a *API) mayCall(header string) bool {
	return a.Origins.Has(header) || a.ownOrigin != "" && header == a.ownOrigin
}

// knownOrigins refuses requests from other origins before anything is read. CORS
// would only hide the answer, and the page would lose the token that is in it.
//
// Sec-Fetch-Site: same-origin is sent by a browser where the page's own server hands
// the request on; no script can set it. A program that is no browser can send what
// it likes, and loses only its own token.
func (a *API) knownOrigins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := strings.Join(r.Header.Values("Origin"), ", ")
		site := r.Header.Values("Sec-Fetch-Site")
		if from == "" || a.mayCall(from) || len(site) == 1 && site[0] == "same-origin" {
			if asksToForward(r) {
				w.Header().Add("Vary", "Origin")
				a.Fail(w, r, errForwardingPage)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		e := web.CallerOf(r).Event(audit.OriginRefused, a.Now())
		e.Origin, e.Reason = loggedOrigin(from), whyForeign(from)
		a.Trail.Record(r.Context(), &e)
		w.Header().Add("Vary", "Origin")
		a.Fail(w, r, errForeignOrigin)
	})
}

// whyForeign says what is wrong with an origin that may not call.
func whyForeign(header string) string {
	switch sent, err := origin.Parse(header); {
	case header == "null" || header == "file://":
		return "names_nobody" // a sandboxed frame, a data: URL, a local file: it cannot be configured
	case err != nil || sent != strings.ToLower(header):
		return "not_an_origin"
	}
	return "not_configured"
}

// maxLoggedOrigin is how much of an origin is logged, in bytes.
const maxLoggedOrigin = 256

// loggedOrigin returns what is logged of an Origin header, in which anybody may have
// put anything: printable text, cut, and none that could be a token.
func loggedOrigin(header string) string {
	printable := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(audit.Hide(header), "?"))
	return session.Cut(printable, maxLoggedOrigin)
}
