package session

import (
	"context"
	"time"
)

// callBudget is how long a call that works on many records begins new work, unless the
// configuration says otherwise. API Gateway waits for 30 s.
const callBudget = 20 * time.Second

// Budget is the time in which a call may begin new work. Work that has begun is
// finished.
type Budget struct{ over <-chan struct{} }

// NewBudget returns a budget that starts now and lasts as long as the configuration says, or
// for two thirds of the time to the request's deadline, whichever is shorter.
func (e *Engine) NewBudget(ctx context.Context) (Budget, context.CancelFunc) {
	d := e.callBudget
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end)*2/3) //nolint:forbidigo // a context's deadline is real time, and the request's now need not be
	}
	limited, cancel := context.WithTimeout(ctx, d)
	return Budget{limited.Done()}, cancel
}

// Spent reports whether the budget's time is over.
func (b Budget) Spent() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}
