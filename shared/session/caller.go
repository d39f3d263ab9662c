package session

import (
	"context"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
)

// Caller describes the sender of a request. Its texts are cut to what records keep.
type Caller struct {
	IP, UserAgent, RequestID string
	By                       string // the IAM principal that calls the management API; "" on public endpoints

	ForwardedBy    string // the address of the backend that reported IP and UserAgent; "" where they are the connection's own
	ForwardIgnored bool   // a client that may not forward sent the forwarding headers
}

// Event returns an audit event caused by this request.
func (c Caller) Event(t audit.Type, now time.Time) audit.Event {
	event := audit.New(t, now)
	event.IP, event.UserAgent, event.RequestID, event.By = c.IP, c.UserAgent, c.RequestID, c.By
	event.ForwardedBy, event.ForwardIgnored = c.ForwardedBy, c.ForwardIgnored
	return event
}

type requestIDKey struct{}

// WithRequestID returns ctx with the id under which the request is logged, the same
// that the client sees. A request without one is given a random id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the id set by [WithRequestID], or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

type principalKey struct{}

// maxPrincipal is in bytes. No ARN of a user or role is that long.
const maxPrincipal = 1024

// WithPrincipal returns ctx with the caller of the management API, for the audit trail:
// the ARN of the IAM principal that the gateway has authorized.
func WithPrincipal(ctx context.Context, arn string) context.Context {
	return context.WithValue(ctx, principalKey{}, Cut(arn, maxPrincipal))
}

// Principal returns the ARN set by [WithPrincipal], or "".
func Principal(ctx context.Context) string {
	arn, _ := ctx.Value(principalKey{}).(string)
	return arn
}
