package gateway

import (
	"context"
	"time"
)

// Early returns a context that ends a little before the invocation does, so that
// there is time left to respond.
func Early(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, end.Add(-margin(time.Until(end))))
}

// margin returns how long before the end of the invocation its work must end.
func margin(left time.Duration) time.Duration {
	return min(max(left/10, 200*time.Millisecond), 500*time.Millisecond)
}
