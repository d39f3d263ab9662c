// Package gateway answers the events of an API Gateway HTTP API, or of an Application Load
// Balancer, with net/http handlers. A handler takes events of one of them alone.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/akrylysov/algnhsa"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/shared/session"
)

// Handler answers events of an API Gateway HTTP API, payload format 2.0, with an
// http.Handler.
//
// For an event of another kind it returns an error, because nobody waits for an HTTP
// response. A request that cannot be read as an http.Request gets 400, and not an
// error, which the gateway would turn into a 500.
//
// The request that the http.Handler gets differs from a server's in this. Its path
// is exactly that of the event, because the gateway has already decoded it. Its
// remote address has no port. It is logged under the gateway's id, which the client
// gets as apigw-requestid. Its context ends a little before the invocation, so that
// even a late response is ours.
type Handler struct {
	inner lambda.Handler
	log   *slog.Logger
}

var _ lambda.Handler = (*Handler)(nil)

// NewHandler returns a Handler that calls h.
func NewHandler(h http.Handler, log *slog.Logger) *Handler {
	return &Handler{
		inner: algnhsa.New(fromEvent(h), &algnhsa.Options{RequestType: algnhsa.RequestTypeAPIGatewayV2}),
		log:   log,
	}
}

// Invoke answers one event.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := Early(ctx)
	defer cancel()
	var other bool
	answer, err := h.inner.Invoke(context.WithValue(ctx, otherKey{}, &other), payload)
	if err == nil && !other {
		return answer, nil
	}
	method, err := check(payload)
	if err != nil {
		h.log.ErrorContext(ctx, "event refused", slog.Any("error", err), slog.Int("payload_bytes", len(payload)))
		return nil, err
	}
	// Only reading the event can fail. The error is not logged, because it quotes
	// what the client sent.
	h.log.WarnContext(ctx, "request malformed", slog.Int("payload_bytes", len(payload)))
	return malformed(method)
}

// check returns the method of the request, or an error unless the payload is an event of
// an HTTP API. It reads the event a second time, so it is called only if there is no
// response.
func check(payload []byte) (method string, err error) {
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		// encoding/json's errors quote at most a character or a number.
		return "", fmt.Errorf("read an event of API Gateway: %w", err)
	}
	if !isHTTP(&event) {
		return "", errors.New("not an event of an API Gateway HTTP API, payload format 2.0")
	}
	return event.RequestContext.HTTP.Method, nil
}

// isHTTP reports whether the event is an HTTP API's. A custom authorizer's has the
// same version, but no method.
func isHTTP(event *events.APIGatewayV2HTTPRequest) bool {
	return event.Version == "2.0" && event.RequestContext.HTTP.Method != ""
}

// otherKey is the context key of a *bool that is set if the event is of another
// kind.
type otherKey struct{}

// fromEvent returns a handler that passes the event's request to next. For an event
// of another kind it only sets the bool under otherKey.
func fromEvent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := algnhsa.APIGatewayV2RequestFromContext(r.Context())
		if !isHTTP(&event) {
			if other, ok := r.Context().Value(otherKey{}).(*bool); ok {
				*other = true
			}
			return
		}
		if id := event.RequestContext.RequestID; id != "" {
			r = r.WithContext(session.WithRequestID(r.Context(), id))
		}
		// algnhsa decodes the path a second time, and could take a part of it for
		// the host.
		r.URL = &url.URL{Path: event.RawPath, RawQuery: event.RawQueryString}
		r.RequestURI = r.URL.RequestURI()
		r.Host = r.Header.Get("Host")
		if len(event.Cookies) > 0 { // which the gateway takes out of the headers
			r.Header.Set("Cookie", strings.Join(event.Cookies, "; "))
		}
		next.ServeHTTP(forMethod(w, r.Method), r)
	})
}

// forMethod returns the writer of the answer to a request of that method.
func forMethod(w http.ResponseWriter, method string) http.ResponseWriter {
	if method == http.MethodHead {
		return bodiless{w}
	}
	return w
}

// bodiless drops the body, as net/http's server does for HEAD (RFC 9110 §9.3.2).
type bodiless struct{ http.ResponseWriter }

func (bodiless) Write(p []byte) (int, error) { return len(p), nil }

// The answer to a request that cannot be read.
const malformedBody = `{"error":"invalid_request","error_description":"The request is malformed."}` + "\n"

func malformedHeaders() map[string]string {
	return map[string]string{
		"Cache-Control":          "no-store",
		"Content-Type":           "application/json",
		"Pragma":                 "no-cache",
		"X-Content-Type-Options": "nosniff",
	}
}

func malformed(method string) ([]byte, error) {
	response := events.APIGatewayV2HTTPResponse{StatusCode: http.StatusBadRequest, Headers: malformedHeaders(), Body: malformedBody}
	if method == http.MethodHead {
		response.Body = ""
	}
	answer, err := json.Marshal(response)
	if err != nil {
		return nil, fmt.Errorf("write the answer to a malformed request: %w", err)
	}
	return answer, nil
}
