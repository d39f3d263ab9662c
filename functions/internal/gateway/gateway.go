// Package gateway is what the Lambda functions share: their configuration, the
// API made of it, and the way from API Gateway's events to the API's handlers
// and back; and what those behind a schedule and behind Secrets Manager do.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/akrylysov/algnhsa"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/rotor-auth/rotor/shared/api"
)

// Main is the main of a function that serves one group of the API's endpoints. It
// warms the API before it asks for the first event: Lambda may start a function
// ahead of need, and one that starts has more of a processor than it has later.
func Main(endpoints func(*api.API) http.Handler, warm func(*api.API, context.Context) error) {
	Run(LoadConfig, wire(endpoints, warm))
}

func wire(endpoints func(*api.API) http.Handler, warm func(*api.API, context.Context) error) func(context.Context, Config, *slog.Logger) (any, error) {
	return func(ctx context.Context, c Config, log *slog.Logger) (any, error) {
		a, err := warmed(ctx, c, log, warm)
		if err != nil {
			return nil, err
		}
		return NewHandler(endpoints(a), log), nil
	}
}

// warmed returns the API that c asks for, warmed as far as there is time.
func warmed(ctx context.Context, c Config, log *slog.Logger, warm func(*api.API, context.Context) error) (*api.API, error) {
	a, err := NewAPI(ctx, c, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	if err := warm(a, ctx); err != nil {
		log.WarnContext(ctx, "not warmed, the first request will read again", slog.Any("error", err))
	}
	return a, nil
}

// warmTimeout is how long a start may wait for what the first request can read too.
// Where nothing answers, that request still has time to say so.
const warmTimeout = time.Second

// Run is the main of a function: it loads the configuration, wires the handler,
// which is what lambda.Start takes, and starts. It does not return. A function
// that cannot start logs all that is wrong and exits.
func Run[C any](load func(getenv func(string) string) (C, error), wire func(context.Context, C, *slog.Logger) (any, error)) {
	tune(lambdacontext.MemoryLimitInMB)
	log := lambdacontext.NewLogger()
	cfg, err := load(os.Getenv)
	if err != nil {
		log.Error("configuration refused", slog.Any("error", err))
		os.Exit(1)
	}
	handler, err := wire(context.Background(), cfg, log)
	if err != nil {
		log.Error("not started", slog.Any("error", err))
		os.Exit(1)
	}
	lambda.Start(handler)
}

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
	ctx, cancel := early(ctx)
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

// early is a context that ends a little before the invocation's, so that what is
// to be said then can still be said.
func early(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-margin(time.Until(end))))
}

// margin is how long before the invocation's end its work must be over.
func margin(left time.Duration) time.Duration {
	return min(max(left/10, 200*time.Millisecond), 500*time.Millisecond)
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
