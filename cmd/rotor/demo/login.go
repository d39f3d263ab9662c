package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rotor-auth/rotor/clients/manage"
)

// person is somebody who can log in.
type person struct{ ID, Name string }

// people are those who can log in. Nobody asks them for a password.
var people = []person{{"alice", "Alice"}, {"bob", "Bob"}, {"carol", "Carol"}}

// asked is what the login page shows of an authorization request.
type asked struct {
	Client string
	Scope  []string
	Back   string // where the app wants the browser sent
	People []person
}

var loginPage = newPage[asked]("login")

// showLogin shows the login page for an authorization request (RFC 6749 §4.1.1). The service
// checks the request once the user has decided. What the page itself needs is a client that is
// registered.
func (d *Demo) showLogin(w http.ResponseWriter, r *http.Request) error {
	request := r.URL.Query()
	client, err := d.clientOf(r.Context(), request)
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(request.Get("prompt")), "none") {
		// This login remembers nobody, so that it always has to ask (OpenID Connect Core §3.1.2.1).
		return d.answer(w, r, &manage.Authorization{Request: request, Error: "login_required"})
	}
	back := request.Get("redirect_uri")
	// Chromium applies form-action to the redirect that answers the form as well.
	w.Header().Set("Content-Security-Policy", strings.Replace(policy, "form-action 'self'", "form-action 'self'"+formTarget(client, back), 1))
	// An app may have opened the login in a window of its own, and wait there for the answer.
	w.Header().Del("Cross-Origin-Opener-Policy")
	write(d, w, http.StatusOK, loginPage, "Log in", "", asked{
		Client: client.ClientID, Scope: scopeOf(request), Back: printable(back), People: people,
	})
	return nil
}

// login serves the form of the login page. The address still has the request.
func (d *Demo) login(w http.ResponseWriter, r *http.Request) error {
	request := r.URL.Query()
	client, err := d.clientOf(r.Context(), request)
	if err != nil {
		return err
	}
	user := r.PostForm.Get("user")
	answer := &manage.Authorization{Request: request}
	switch r.PostForm.Get("do") {
	case "deny":
		answer.Error = "access_denied"
	case "allow":
		if !slices.ContainsFunc(people, func(p person) bool { return p.ID == user }) {
			return &refusal{http.StatusBadRequest, "Who are you?", "Go back, and choose one of the users."}
		}
		answer.UserID, answer.AuthTime, answer.Device = user, d.Now(), "the demo's browser"
		if asked := scopeOf(request); client.Scope == "" && len(asked) > 0 {
			// No registration says what the client may have, but the user has seen it.
			scope := strings.Join(asked, " ")
			answer.Scope = &scope
		}
	default:
		return &refusal{http.StatusBadRequest, "Allow or deny?", "Go back, and choose one of the two."}
	}
	return d.answer(w, r, answer)
}

// answer tells the service how the login ended, and sends the browser where the service says.
func (d *Demo) answer(w http.ResponseWriter, r *http.Request, a *manage.Authorization) error {
	a.UserAgent = printable(r.UserAgent())
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		a.IP = host
	}
	answer, err := d.API.Authorize(r.Context(), a)
	if err != nil {
		return err
	}
	w.Header().Set("Location", answer.To)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// scopeOf returns the scope that is asked for, or nothing if it is malformed (RFC 6749 §3.3),
// which the service says to the app.
func scopeOf(request url.Values) []string {
	scope := request.Get("scope")
	if len(scope) > maxScope || strings.ContainsFunc(scope, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return nil
	}
	return strings.Fields(scope)
}

// maxScope is in bytes, and the service's limit as well.
const maxScope = 1024

// clientOf returns the client of an authorization request.
func (d *Demo) clientOf(ctx context.Context, request url.Values) (*manage.Registration, error) {
	if len(request["client_id"]) != 1 || request.Get("client_id") == "" {
		return nil, &refusal{http.StatusBadRequest, "Which app?", "An app leads here with an authorization request. This address has no client_id, or several. Begin at one of the demo apps."}
	}
	client, err := d.API.Registration(ctx, request.Get("client_id"))
	var refused *manage.Error
	if errors.As(err, &refused) && refused.NotFound() {
		return nil, &refusal{http.StatusBadRequest, "Which app?", "No client is registered as " + printable(request.Get("client_id")) + ". Register it by PUT /v1/clients, with its redirect_uris."}
	}
	return client, err
}

// formTarget returns what form-action has to allow besides the login itself, with a space
// before it: the origin of a registered redirect URI, or nothing.
func formTarget(client *manage.Registration, back string) string {
	u, err := url.Parse(back)
	if err != nil {
		return ""
	}
	loopback := u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
	if !loopback && !slices.Contains(client.RedirectURIs, back) {
		return ""
	}
	if u.Host == "" || strings.Contains(u.Host, "[") {
		// An app's own scheme (RFC 8252 §7.1), or an IPv6 address, which a policy cannot name.
		return " " + u.Scheme + ":"
	}
	return " " + u.Scheme + "://" + u.Host // registered, so it has no character that ends a source
}
