package session

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/origin"
)

// Limits of a client's redirect URIs, and of its addresses after a logout.
const (
	MaxRedirects   = 16  // of each kind
	MaxRedirectURI = 512 // bytes
)

// uriCharacters are the characters of a URI (RFC 3986 §2) without the fragment's # and
// without *, which a reader would take for a wildcard.
const uriCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?[]@!$&'()+,;=%"

var errNotRedirect = errors.New("an absolute URI, such as https://app.example.com/callback")

// CheckRedirectURI checks a redirect URI that is to be registered for a client. Its error
// says what the URI must be, in words that follow "it must be". It accepts:
//
//   - https, with any host;
//   - http, only with 127.0.0.1, [::1] or localhost (RFC 8252 §7.3);
//   - for public clients, a private-use scheme, which has a dot in it (RFC 8252 §7.1).
//
// Every other scheme is refused: one such as javascript or data would run what the URI says.
func CheckRedirectURI(uri string, public bool) error {
	switch {
	case uri == "":
		return errNotRedirect
	case len(uri) > MaxRedirectURI:
		return errors.New("at most " + strconv.Itoa(MaxRedirectURI) + " bytes long")
	case strings.Contains(uri, "#"):
		return errors.New("without a fragment (RFC 6749 section 3.1.2)")
	case strings.Contains(uri, "*"):
		return errors.New("whole: there are no wildcards")
	case strings.Trim(uri, uriCharacters) != "":
		return errors.New("in the characters of a URI, without spaces and with others percent-encoded")
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || len(uri) == len(u.Scheme)+1 {
		return errNotRedirect
	}
	switch {
	case !strings.HasPrefix(uri, u.Scheme+":"):
		return errors.New("with its scheme in lower case")
	case u.User != nil:
		return errors.New("without a user")
	}
	switch u.Scheme {
	case "https":
		return checkHost(u)
	case "http":
		if !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname()) {
			return errors.New("https: http is for 127.0.0.1, [::1] and localhost alone")
		}
		return checkHost(u)
	}
	switch {
	case !strings.Contains(u.Scheme, "."):
		return errors.New("of the scheme https, or http on loopback, or for an app a scheme with a dot, such as com.example.app (RFC 8252 section 7.1)")
	case !public:
		return errors.New("of the scheme https: a scheme of an app is for public clients, since an app keeps no secret")
	}
	return nil
}

// checkHost checks the host and port of an http or https URI.
func checkHost(u *url.URL) error {
	if u.Host == "" {
		return errNotRedirect
	}
	if _, err := origin.Parse(u.Scheme + "://" + u.Host); err != nil {
		return errNotRedirect
	}
	return nil
}

// NamesLocalhost reports whether a redirect URI has the host localhost, which may be
// resolved to another machine (RFC 8252 §8.3).
func NamesLocalhost(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Scheme == "http" && u.Hostname() == "localhost"
}

// IsRegistered reports whether uri is one of the registered ones, to the letter (RFC 9700
// §2.1). Only the port is free where an http URI with 127.0.0.1 or [::1] is registered: a
// native app listens on whichever port it gets (RFC 8252 §7.3).
func IsRegistered(uri string, registered []string) bool {
	if slices.Contains(registered, uri) {
		return true
	}
	given, ok := withoutPort(uri)
	if !ok {
		return false
	}
	return slices.ContainsFunc(registered, func(r string) bool {
		r, ok := withoutPort(r)
		return ok && r == given
	})
}

// withoutPort returns an http URI of a loopback address without its port. ok is false for
// every other URI.
func withoutPort(uri string) (without string, ok bool) {
	for _, base := range []string{"http://127.0.0.1", "http://[::1]"} {
		rest, ok := strings.CutPrefix(uri, base)
		if !ok {
			continue
		}
		if port, after := cutAuthority(rest); port != "" {
			number, err := strconv.ParseUint(port[1:], 10, 16)
			if err != nil || port != ":"+strconv.FormatUint(number, 10) {
				return "", false
			}
			rest = after
		}
		return base + rest, true
	}
	return "", false
}

// cutAuthority cuts a URI, whose host was removed, where its path or query begins.
func cutAuthority(rest string) (port, after string) {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[:i], rest[i:]
	}
	return rest, ""
}
