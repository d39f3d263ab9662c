package console

import (
	"net/http"

	"github.com/rotor-auth/rotor/cmd/rotor/loopback"
)

// maxForm limits the bytes of a posted form. The longest has a token, or a policy.
const maxForm = 64 << 10

// policy is the Content-Security-Policy of every answer: nothing is loaded from elsewhere, no
// script or style stands in a page, and no page frames it.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guarded passes on requests of this machine's user. It refuses a Host that does not name this
// machine, requests of pages of another origin whatever their method, and bodies that are not
// small forms.
func (c *Console) guarded(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, title, text string) {
		write(c, w, r, status, errorPage, title, failure{Text: text})
	}
	switch {
	case !loopback.IsOwnHost(r.Host, c.Host):
		refuse(http.StatusMisdirectedRequest, "Wrong address", "The console is reached as 127.0.0.1, [::1] or localhost.")
		return
	case loopback.FromElsewhere(r):
		refuse(http.StatusForbidden, "Refused", "This request comes from a web page of another origin. Type or paste the console's address into the address bar.")
		return
	case c.Key != nil && !c.Key.admits(w, r):
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		if !loopback.IsForm(r) {
			refuse(http.StatusUnsupportedMediaType, "Refused", "The console takes forms alone.")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			refuse(http.StatusRequestEntityTooLarge, "Too long", "What was sent is no form, or is longer than 64 KiB.")
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		refuse(http.StatusMethodNotAllowed, "Refused", "The console takes GET and POST alone.")
		return
	}
	if _, pattern := c.mux.Handler(r); pattern == "" {
		refuse(http.StatusNotFound, "Not found", "The console has no such page.")
		return
	}
	c.mux.ServeHTTP(w, r)
}
