// Package gateway answers the events of an API Gateway HTTP API with net/http handlers.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/akrylysov/algnhsa"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/shared/api"
)

// Handler answers events of an API Gateway HTTP API, payload format 2.0, with an
// http.Handler.
//
// An event of another kind is an error: nobody waits for an HTTP answer. A
// request that cannot be made an http.Request is answered 400, never with an
// error, which the gateway would turn into a 500.
//
// What the http.Handler sees differs from a server's request in this: the path
// is the event's, to the letter, for the gateway has decoded it already, and it
// is never taken for a host; the remote address has no port; the request is
// logged under the gateway's id (the client's apigw-requestid); and the context
// ends a little before the invocation, so that a late answer is still ours.
type Handler struct {
	inner lambda.Handler
	log   *slog.Logger
}

var _ lambda.Handler = (*Handler)(nil)

// NewHandler is a Handler for h.
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
	if err := check(payload); err != nil {
		h.log.ErrorContext(ctx, "event refused", slog.Any("error", err), slog.Int("payload_bytes", len(payload)))
		return nil, err
	}
	// Only the reading of the event can fail. The error is not logged: it quotes
	// what the client sent.
	h.log.WarnContext(ctx, "request malformed", slog.Int("payload_bytes", len(payload)))
	return malformed()
}

// check tells an HTTP API's event from anything else. It reads the event once more,
// and so is asked only where there is no answer.
func check(payload []byte) error {
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		// encoding/json's errors quote at most a character or a number.
		return fmt.Errorf("read an event of API Gateway: %w", err)
	}
	if !ours(&event) {
		return errors.New("not an event of an API Gateway HTTP API, payload format 2.0")
	}
	return nil
}

// ours is true of an HTTP API's event: a custom authorizer's has the same version,
// and no method.
func ours(event *events.APIGatewayV2HTTPRequest) bool {
	return event.Version == "2.0" && event.RequestContext.HTTP.Method != ""
}

// otherKey is the context's key of a *bool: that the event is of another kind.
type otherKey struct{}

// fromEvent gives next the request as the event has it. An event of another kind it
// only reports.
func fromEvent(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := algnhsa.APIGatewayV2RequestFromContext(r.Context())
		if !ours(&event) {
			if other, ok := r.Context().Value(otherKey{}).(*bool); ok {
				*other = true
			}
			return
		}
		if id := event.RequestContext.RequestID; id != "" {
			r = r.WithContext(api.WithRequestID(r.Context(), id))
		}
		// algnhsa decodes the path a second time, and joins it to the host before it
		// takes the two apart again.
		r.URL = &url.URL{Path: event.RawPath, RawQuery: event.RawQueryString}
		r.RequestURI = r.URL.RequestURI()
		r.Host = r.Header.Get("Host")
		if r.Method == http.MethodHead {
			w = bodiless{w}
		}
		next.ServeHTTP(w, r)
	})
}

// bodiless drops the body, as net/http's server does for HEAD (RFC 9110 §9.3.2).
type bodiless struct{ http.ResponseWriter }

func (bodiless) Write(p []byte) (int, error) { return len(p), nil }

func malformed() ([]byte, error) {
	answer, err := json.Marshal(events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusBadRequest,
		Headers: map[string]string{
			"Cache-Control":          "no-store",
			"Content-Type":           "application/json",
			"Pragma":                 "no-cache",
			"X-Content-Type-Options": "nosniff",
		},
		Body: `{"error":"invalid_request","error_description":"The request is malformed."}` + "\n",
	})
	if err != nil {
		return nil, fmt.Errorf("write the answer to a malformed request: %w", err)
	}
	return answer, nil
}
