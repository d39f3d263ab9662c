package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is a refusal of the service, or of the gateway before it. Of a problem document of
// RFC 9457 it has all members.
type Error struct {
	Method, Path string // of the call, without its query
	Status       int
	Title        string        // such as Bad Request
	Detail       string        // what is wrong
	Fields       []FieldError  // the fields that are wrong
	RetryAfter   time.Duration // how long the service asks to wait; 0 if it does not say
	MayBeDone    bool          // what was asked for may have been done, by this attempt or one before
}

// FieldError says what is wrong with one field of a call.
type FieldError struct {
	Field  string `json:"field"`  // such as policy.reuse_interval
	Detail string `json:"detail"` // a whole sentence, which names the field
}

func (e *Error) Error() string {
	if e.Denied() {
		return fmt.Sprintf("access denied: the caller may not %s (status %d: %s)", e.Action(), e.Status, e.Detail)
	}
	return fmt.Sprintf("%s (status %d)", e.Detail, e.Status)
}

// Denied reports whether the caller lacks the permission for the call.
func (e *Error) Denied() bool { return e.Status == http.StatusForbidden }

// NotFound reports whether there is no such family, client or secret.
func (e *Error) NotFound() bool { return e.Status == http.StatusNotFound }

// Action returns the permission that the call needs, as a policy of IAM names it after the
// API's ARN.
func (e *Error) Action() string {
	return "execute-api:Invoke on …/" + e.Method + e.Path
}

// UnreachableError is returned if the service did not answer.
type UnreachableError struct {
	Address   string
	Err       error
	MayBeDone bool // what was asked for may have been done
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.Address, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// newError returns the error in an answer. API Gateway answers {"message":"Forbidden"}.
func (c *Client) newError(r *request, res *http.Response, body []byte) *Error {
	var document struct {
		Title, Detail, Message string
		Errors                 []FieldError
	}
	_ = json.Unmarshal(body, &document) // whatever stands before the service may answer anything
	e := &Error{
		Method: r.method, Path: r.path, Status: res.StatusCode,
		Title: http.StatusText(res.StatusCode), Detail: document.Detail, Fields: document.Errors,
	}
	if document.Title != "" {
		e.Title = document.Title
	}
	if e.Detail == "" {
		e.Detail = document.Message
	}
	if e.Detail == "" {
		e.Detail = "the answer of " + c.Address() + " is not that of a Rotor service: " + strings.ToLower(e.Title)
	}
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, int(maxPause/time.Second))) * time.Second
	}
	return e
}

// isBusy reports whether the service asks to be called again.
func isBusy(err error) (e *Error, busy bool) {
	if !errors.As(err, &e) {
		return nil, false
	}
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return e, true
	}
	return e, false
}
