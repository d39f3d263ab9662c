package gateway

import (
	"context"
	"time"
)

// Early returns a context that ends a little before the invocation's, so that what is
// to be said then can still be said.
func Early(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-margin(time.Until(end))))
}

// margin returns how long before the invocation's end its work must be over.
func margin(left time.Duration) time.Duration {
	return min(max(left/10, 200*time.Millisecond), 500*time.Millisecond)
}
