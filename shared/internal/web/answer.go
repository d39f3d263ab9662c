package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/session"
)

// Errors of requests to either API. Each API answers them in its own format.
var (
	ErrNoRoute    = errors.New("there is nothing at this path")
	ErrMethod     = errors.New("the method is not allowed here; see the Allow header")
	ErrUnreadable = errors.New("the request body could not be read")
	ErrInternal   = errors.New("internal error")
)

// TooLargeError is returned if a request body has more bytes than its endpoint takes.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the request body is larger than %d KiB", e.Limit>>10)
}

// ReadBody reads the body of a request, at most as many bytes as its endpoint takes.
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &TooLargeError{tooLarge.Limit}
	case r.Context().Err() != nil:
		return nil, fmt.Errorf("read a request body: %w", r.Context().Err())
	case err != nil:
		return nil, ErrUnreadable
	}
	return body, nil
}

// Unavailable logs a failure that is not the caller's and sets Retry-After. The caller of
// Unavailable writes the rest of the answer.
func Unavailable(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	log.ErrorContext(r.Context(), "unavailable", slog.String("method", r.Method), slog.String("route", r.Pattern),
		slog.String("http_request_id", session.RequestID(r.Context())), slog.Any("error", err))
	problem.SetRetryAfter(w.Header())
}

// NoStore sets the headers that keep an answer out of caches (RFC 6749 §5.1).
func NoStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// WriteJSON answers with v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false) // it is no HTML, and addresses stay legible
	if err := e.Encode(v); err != nil {
		// Only values of our own types get here, and all of them can be encoded.
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // fails only if the client is gone
}

// WithQuery returns a URL with more parameters after those that it has.
func WithQuery(uri, query string) string {
	switch {
	case query == "":
		return uri
	case !strings.Contains(uri, "?"):
		return uri + "?" + query
	case strings.HasSuffix(uri, "?") || strings.HasSuffix(uri, "&"):
		return uri + query
	}
	return uri + "&" + query
}
