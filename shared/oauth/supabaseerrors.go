package oauth

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
)

// supabaseError is an error response of Supabase Auth. The codes are its own, except for not_served.
type supabaseError struct {
	status        int
	code, message string
}

func (e *supabaseError) Error() string { return e.code + ": " + e.message }

var (
	errSupabaseToken   = &supabaseError{http.StatusBadRequest, "validation_failed", "Refresh token is not valid"}
	errSupabaseGrant   = &supabaseError{http.StatusBadRequest, "not_served", "The grant_type must be refresh_token: users sign in elsewhere."}
	errSupabaseKey     = &supabaseError{http.StatusUnauthorized, "no_authorization", "Invalid API key: the apikey must be the id of a public client that is registered."}
	errSupabaseBearer  = &supabaseError{http.StatusUnauthorized, "no_authorization", "This endpoint requires a valid Bearer token"}
	errSupabaseJWT     = &supabaseError{http.StatusForbidden, "bad_jwt", "invalid JWT: unable to parse or verify signature, or it has expired, or is another client's"}
	errSupabaseSession = &supabaseError{http.StatusForbidden, "session_not_found", "Session from session_id claim in JWT does not exist"}
)

// Supabase's own headers. Its SDKs send the version whose errors they understand, and look for it
// in the answer before they look for a code.
const (
	supabaseVersionHeader = "X-Supabase-Api-Version"
	supabaseCodeHeader    = "X-Sb-Error-Code"
	supabaseVersion       = "2024-01-01" // that of the newest shape of errors
)

// supabaseHeaders are the headers of answers at Supabase's paths that scripts of a page may read.
var supabaseHeaders = append([]string{supabaseVersionHeader, supabaseCodeHeader}, exposedHeaders...)

// refusedRefresh returns the error of a refresh token that is dead for a cause. An app may react
// to what Supabase would say of such a token.
func refusedRefresh(cause family.Cause) *supabaseError {
	refused := &supabaseError{status: http.StatusBadRequest}
	switch cause {
	case family.Malformed:
		return errSupabaseToken
	case family.ReuseDetected:
		refused.code, refused.message = "refresh_token_already_used", "Invalid Refresh Token: Already Used"
	case family.ExpiredAbsolute:
		refused.code, refused.message = "session_expired", "Invalid Refresh Token: Session Expired"
	case family.ExpiredIdle:
		refused.code, refused.message = "session_expired", "Invalid Refresh Token: Session Expired (Inactivity)"
	case family.LimitExceeded:
		refused.code, refused.message = "session_expired", "Invalid Refresh Token: Session Expired (Revoked by Newer Login)"
	default:
		refused.code, refused.message = "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found"
	}
	return refused
}

// supabaseErrorOf returns the response for err, nil for a failure of storage or keys.
func supabaseErrorOf(err error) *supabaseError {
	var dead *session.DeadTokenError
	var s *supabaseError
	var o *oauthError
	var large *web.TooLargeError
	var unproven *session.ProofError
	switch {
	case errors.As(err, &dead):
		return refusedRefresh(dead.Cause)
	case errors.As(err, &s):
		return s
	case errors.As(err, &unproven):
		return &supabaseError{http.StatusBadRequest, "validation_failed", proofRefused(unproven).description}
	case errors.As(err, &o) && o.code == "invalid_client":
		return errSupabaseKey
	case errors.As(err, &o) && o.status == http.StatusForbidden:
		return &supabaseError{o.status, "no_authorization", o.description}
	case errors.As(err, &o):
		return &supabaseError{o.status, "validation_failed", o.description}
	case errors.As(err, &large):
		return &supabaseError{http.StatusRequestEntityTooLarge, "validation_failed", "The request body is larger than 16 KiB."}
	case errors.Is(err, web.ErrUnreadable):
		return &supabaseError{http.StatusBadRequest, "bad_json", "The request body could not be read."}
	case errors.Is(err, web.ErrNoRoute):
		return &supabaseError{http.StatusNotFound, "not_served", "Of Supabase Auth, Rotor serves refreshes, logouts, the user and the keys. Users sign up, sign in and change their data elsewhere."}
	case errors.Is(err, web.ErrMethod):
		return &supabaseError{http.StatusMethodNotAllowed, "not_served", "The method is not allowed here. See the Allow header."}
	case errors.Is(err, web.ErrInternal):
		return &supabaseError{http.StatusInternalServerError, "unexpected_failure", "Internal error."}
	}
	return nil
}

// failSupabase writes the answer for err at one of Supabase's paths. A failure of storage or keys
// is a 503, after which Supabase's SDKs try again and keep the session.
func (a *API) failSupabase(w http.ResponseWriter, r *http.Request, err error) {
	e := supabaseErrorOf(err)
	if e == nil {
		web.Unavailable(w, r, a.Log, err)
		e = &supabaseError{http.StatusServiceUnavailable, "unexpected_failure", "The service is temporarily unavailable. Please try again with the same token."}
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="rotor"`)
	}
	w.Header().Set(supabaseCodeHeader, e.code)
	sent, parseErr := time.Parse(time.DateOnly, r.Header.Get(supabaseVersionHeader))
	if parseErr != nil || sent.Format(time.DateOnly) < supabaseVersion {
		web.WriteJSON(w, e.status, map[string]any{"code": e.status, "error_code": e.code, "msg": e.message})
		return
	}
	w.Header().Set(supabaseVersionHeader, supabaseVersion)
	web.WriteJSON(w, e.status, map[string]any{"code": e.code, "message": e.message})
}

// isSupabase reports whether a request is for one of Supabase's paths.
func isSupabase(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, supabasePath) }
