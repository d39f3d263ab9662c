package oauth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rotor-auth/rotor/shared/internal/web"
)

// maxQuery is the largest size of a query string that is read or passed on, in bytes. With
// API Gateway, a request's line and headers have 10 KB together.
const maxQuery = 8 << 10

var (
	errLongQuery = &oauthError{status: http.StatusRequestURITooLong, code: "invalid_request", description: "The query string is longer than 8 KiB."}
	errLongForm  = &oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: "The form is longer than 8 KiB."}
)

// authorize serves GET and POST /authorize: it redirects to the login page, which is the
// authorization endpoint, with the request's parameters. Some clients know no other path.
// OpenID Connect Core §3.1.2.1 asks for both methods.
func (a *API) authorize(w http.ResponseWriter, r *http.Request) error {
	if a.AuthorizationEndpoint == "" {
		return web.ErrNoRoute
	}
	query, status := r.URL.RawQuery, http.StatusFound
	if r.Method == http.MethodPost {
		form, err := readForm(r)
		if err != nil {
			return err
		}
		query, status = url.Values(form).Encode(), http.StatusSeeOther
		if len(query) > maxQuery {
			return errLongForm
		}
	}
	switch {
	case len(query) > maxQuery:
		return errLongQuery
	case strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c > '~' }):
		return invalidRequest("The query string is malformed.")
	}
	redirect(w, status, web.WithQuery(a.AuthorizationEndpoint, query))
	return nil
}

// redirect leads a browser to a URL. The request's parameters reach no cache, and no
// Referer header.
func redirect(w http.ResponseWriter, status int, to string) {
	web.NoStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", to)
	w.WriteHeader(status)
}
