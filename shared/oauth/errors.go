package oauth

import (
	"errors"
	"net/http"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
)

// oauthError is an error of RFC 6749 §5.2. Descriptions are of its character
// set: printable ASCII without quotes and backslashes.
type oauthError struct {
	status      int
	code        string
	description string
	reason      string // of invalid_client, for the log alone
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func invalidRequest(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// invalidGrant is what the bearer of a dead token gets, whatever killed it.
func invalidGrant(status int) *oauthError {
	return &oauthError{status: status, code: "invalid_grant", description: "Unknown or invalid refresh token."}
}

var (
	errForwardingPage = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "A page may not tell who its user is: " + web.ClientIPHeader + " and " + web.ClientAgentHeader + " are for backends."}

	errForeignOrigin = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "Requests from this web origin are not allowed: it is not a configured one."}
)

// Fail answers with err: the one place where errors become answers. What is not
// known here is a failure of storage or keys: it is logged, and the client is
// told to come again, never that its token is bad.
func (a *API) Fail(w http.ResponseWriter, r *http.Request, err error) {
	web.NoStore(w)
	var e *oauthError
	switch {
	case errors.As(err, &e):
	case errors.Is(err, web.ErrTooLarge):
		e = &oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: "The request body is larger than 16 KiB."}
	case errors.Is(err, web.ErrUnreadable):
		e = &oauthError{status: http.StatusBadRequest, code: "invalid_request", description: "The request body could not be read."}
	case errors.Is(err, session.ErrOtherClient):
		e = &oauthError{status: http.StatusBadRequest, code: "invalid_grant", description: "The token was issued to another client."}
	case errors.Is(err, session.ErrScopeWithdrawn):
		e = invalidScope("The client may not be granted this scope.")
	case errors.Is(err, session.ErrScopeNotGranted):
		e = invalidScope("The scope was not granted to this refresh token.")
	case errors.Is(err, session.ErrTarget):
		e = errTarget
	case errors.Is(err, web.ErrNoRoute):
		e = &oauthError{status: http.StatusNotFound, code: "not_found", description: "There is nothing at this path."}
	case errors.Is(err, web.ErrMethod):
		e = &oauthError{status: http.StatusMethodNotAllowed, code: "invalid_request", description: "The method is not allowed here. See the Allow header."}
	case errors.Is(err, web.ErrInternal):
		e = &oauthError{status: http.StatusInternalServerError, code: "server_error", description: "Internal error."}
	default:
		web.Unavailable(w, r, a.Log, err)
		e = &oauthError{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "Please try again with the same token."}
	}
	if e.status == http.StatusUnauthorized { // RFC 9110 §15.5.2, and not only where the header was tried (RFC 6749 §5.2)
		w.Header().Set("WWW-Authenticate", `Basic realm="rotor", charset="UTF-8"`)
	}
	web.WriteJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}
