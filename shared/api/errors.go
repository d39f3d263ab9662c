package api

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/store"
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

func invalidRequest(description string) error {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_request", description: description}
}

// invalidGrant is what the bearer of a dead token gets, whatever killed it.
func invalidGrant(status int) error {
	return &oauthError{status: status, code: "invalid_grant", description: "Unknown or invalid refresh token."}
}

var (
	errNoRoute  = errors.New("there is nothing at this path")
	errMethod   = errors.New("the method is not allowed here; see the Allow header")
	errTooLarge = errors.New("the request body is larger than 16 KiB")
	errInternal = errors.New("internal error")

	errForwardingPage = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "A page may not tell who its user is: " + clientIPHeader + " and " + clientAgentHeader + " are for backends."}

	errForeignOrigin = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "Requests from this web origin are not allowed: it is not a configured one."}
)

// fieldErrors are all that is wrong with an input of the management API.
type fieldErrors []*family.FieldError

func (e fieldErrors) Error() string {
	var texts []string
	for _, f := range e {
		texts = append(texts, f.Error())
	}
	return strings.Join(texts, "; ")
}

// badRequest and conflict are errors of the management API without a field.
type (
	badRequest  string
	conflict    string
	unsupported string
)

// unprocessable is an input that is well formed, and yet not what it must be.
type unprocessable family.FieldError

func (e *unprocessable) Error() string { return (*family.FieldError)(e).Error() }

func (e badRequest) Error() string  { return string(e) }
func (e conflict) Error() string    { return string(e) }
func (e unsupported) Error() string { return string(e) }

// retryAfter is the Retry-After of a 503, in seconds.
const retryAfter = "1"

// fail answers with err: the one place where errors become answers. What is not
// known here is a failure of storage or keys: it is logged, and the client is
// told to come again, never that its token is bad.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	noStore(w)
	if strings.HasPrefix(r.URL.Path, "/v1/") || r.URL.Path == "/v1" {
		a.failProblem(w, r, err)
		return
	}
	var e *oauthError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &e):
	case errors.As(err, &tooLarge), errors.Is(err, errTooLarge):
		e = &oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", description: "The request body is larger than 16 KiB."}
	case errors.Is(err, errNoRoute):
		e = &oauthError{status: http.StatusNotFound, code: "not_found", description: "There is nothing at this path."}
	case errors.Is(err, errMethod):
		e = &oauthError{status: http.StatusMethodNotAllowed, code: "invalid_request", description: "The method is not allowed here. See the Allow header."}
	case errors.Is(err, errInternal):
		e = &oauthError{status: http.StatusInternalServerError, code: "server_error", description: "Internal error."}
	default:
		a.logFailure(r, err)
		w.Header().Set("Retry-After", retryAfter)
		e = &oauthError{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "Please try again with the same token."}
	}
	if e.status == http.StatusUnauthorized { // RFC 9110 §15.5.2, and not only where the header was tried (RFC 6749 §5.2)
		w.Header().Set("WWW-Authenticate", `Basic realm="rotor", charset="UTF-8"`)
	}
	writeJSON(w, e.status, map[string]string{"error": e.code, "error_description": e.description})
}

func (a *API) failProblem(w http.ResponseWriter, r *http.Request, err error) {
	var (
		fields   fieldErrors
		bad      badRequest
		clash    conflict
		media    unsupported
		unfit    *unprocessable
		tooLarge *http.MaxBytesError
	)
	p := problem.Document{Detail: err.Error()}
	switch {
	case errors.As(err, &fields):
		p.Status = http.StatusBadRequest
		for _, f := range fields {
			p.Errors = append(p.Errors, problem.Field{Field: f.Field, Detail: f.Error()})
		}
	case errors.As(err, &unfit):
		p.Status, p.Detail = http.StatusUnprocessableEntity, unfit.Error()
		p.Errors = []problem.Field{{Field: unfit.Field, Detail: unfit.Error()}}
	case errors.As(err, &bad):
		p.Status, p.Detail = http.StatusBadRequest, bad.Error()
	case errors.As(err, &clash):
		p.Status, p.Detail = http.StatusConflict, clash.Error()
	case errors.As(err, &media):
		p.Status, p.Detail = http.StatusUnsupportedMediaType, media.Error()
	case errors.As(err, &tooLarge), errors.Is(err, errTooLarge):
		p.Status, p.Detail = http.StatusRequestEntityTooLarge, errTooLarge.Error()
	case errors.Is(err, errNoRoute):
		p.Status = http.StatusNotFound
	case errors.Is(err, store.ErrNotFound):
		p.Status, p.Detail = http.StatusNotFound, "there is no such record"
	case errors.Is(err, errMethod):
		p.Status = http.StatusMethodNotAllowed
	case errors.Is(err, errInternal):
		p.Status = http.StatusInternalServerError
	default:
		a.logFailure(r, err)
		w.Header().Set("Retry-After", retryAfter)
		p.Status, p.Detail = http.StatusServiceUnavailable, "storage or keys are not to be had; please try again"
	}
	problem.Write(w, p.Status, p.Detail, p.Errors...)
}

func (a *API) logFailure(r *http.Request, err error) {
	a.Log.ErrorContext(r.Context(), "unavailable", slog.String("method", r.Method), slog.String("route", r.Pattern),
		slog.String("http_request_id", requestID(r.Context())), slog.Any("error", err))
}

// noStore keeps an answer out of caches (RFC 6749 §5.1).
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		// Every value written here is made of strings, numbers and times of ours.
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone: nobody is left to tell
}
