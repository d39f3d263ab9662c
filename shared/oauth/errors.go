package oauth

import (
	"errors"
	"net/http"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/session"
)

// oauthError is an error response of RFC 6749 §5.2. Its description has the characters
// allowed there: printable ASCII without quotes and backslashes.
type oauthError struct {
	status      int
	code        string
	description string
	reason      string // logged, and never sent; set for invalid_client
}

func (e *oauthError) Error() string { return e.code + ": " + e.description }

func invalidRequest(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// invalidGrant returns the error for a rejected grant, such as a refresh token: the same for
// every cause.
func invalidGrant(status int, grant string) *oauthError {
	return &oauthError{status: status, code: "invalid_grant", description: "Unknown or invalid " + grant + "."}
}

var (
	errForwardingPage = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "Web pages may not send " + web.ClientIPHeader + " and " + web.ClientAgentHeader + ": these headers are for backends."}

	errDeviceHeader = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "Web pages may not send the headers Secure-Session-*: these are the browser's."}

	errForeignOrigin = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "Requests from this web origin are not allowed: it is not configured."}
)

// Fail writes the answer for err, at Supabase's paths in the form of Supabase. No other function turns errors into answers. An error
// that is not listed here is a failure of storage or keys: it is logged and answered 503,
// so that the client tries again. It is never taken for a bad token.
func (a *API) Fail(w http.ResponseWriter, r *http.Request, err error) {
	web.NoStore(w)
	if isSupabase(r) {
		a.failSupabase(w, r, err)
		return
	}
	var e *oauthError
	var large *web.TooLargeError
	var unproven *session.ProofError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &large):
		e = &oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: "The request body is larger than 16 KiB."}
	case errors.Is(err, web.ErrUnreadable):
		e = &oauthError{status: http.StatusBadRequest, code: "invalid_request", description: "The request body could not be read."}
	case errors.As(err, &unproven):
		e = proofRefused(unproven)
	case errors.Is(err, session.ErrNotRenewed): // it is not our failure, and is in the audit log
		w.Header().Del(nonceHeader)
		problem.SetRetryAfter(w.Header())
		e = &oauthError{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "The browser has to renew the session's cookie first. Please try again."}
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
		w.Header().Del(nonceHeader) // the proof was not refused
		web.Unavailable(w, r, a.Log, err)
		e = &oauthError{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "The service is temporarily unavailable. Please try again with the same token."}
	}
	if e.status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" { // RFC 9110 §15.5.2 requires it for every 401; RFC 6749 §5.2 only after an Authorization header
		w.Header().Set("WWW-Authenticate", `Basic realm="rotor", charset="UTF-8"`)
	}
	web.WriteJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}
