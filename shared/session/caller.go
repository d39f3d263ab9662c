package session

import (
	"context"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
)

// Caller is where a request came from, cut to what the records keep.
type Caller struct {
	IP, UserAgent, RequestID string
	By                       string // the principal that IAM has authorized, of the management API

	ForwardedBy    string // the address of the client whose word the others are, "" where they were seen
	ForwardIgnored bool   // another caller was told of, by a client that may not
}

// Event returns an event of this request.
func (c Caller) Event(t audit.Type, now time.Time) audit.Event {
	e := audit.New(t, now)
	e.IP, e.UserAgent, e.RequestID, e.By = c.IP, c.UserAgent, c.RequestID, c.By
	e.ForwardedBy, e.ForwardIgnored = c.ForwardedBy, c.ForwardIgnored
	return e
}

type requestIDKey struct{}

// WithRequestID sets the id under which a request is logged: the one that the
// client sees. Without it one is made up.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns what [WithRequestID] has set, "" for nothing.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

type principalKey struct{}

// maxPrincipal is more than the ARN of a user or role has, in bytes.
const maxPrincipal = 1024

// WithPrincipal sets who calls the management API, for the audit trail: the ARN of
// the IAM principal that the gateway has authorized.
func WithPrincipal(ctx context.Context, arn string) context.Context {
	return context.WithValue(ctx, principalKey{}, Cut(arn, maxPrincipal))
}

// Principal returns what [WithPrincipal] has set, "" for nothing.
func Principal(ctx context.Context) string {
	arn, _ := ctx.Value(principalKey{}).(string)
	return arn
}
