package manage

import (
	"context"
	"time"
)

// callBudget is how long a call that works on many records begins new work. API Gateway
// waits for 30 s.
const callBudget = 20 * time.Second

// workBudget is the time in which a call may begin new work. Work that has begun is
// finished.
type workBudget struct{ over <-chan struct{} }

// newBudget returns a budget that starts now and lasts for callBudget, or for two thirds of
// the time to the request's deadline, whichever is shorter.
func newBudget(ctx context.Context) (workBudget, context.CancelFunc) {
	d := callBudget
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end)*2/3) //nolint:forbidigo // a context's deadline is real time, and the request's now need not be
	}
	limited, cancel := context.WithTimeout(ctx, d)
	return workBudget{limited.Done()}, cancel
}

// spent reports whether the budget's time is over.
func (b workBudget) spent() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}
