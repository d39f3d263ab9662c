package manage

import (
	"context"
	"time"
)

// callBudget is how long one call that ends or erases many works: less than the 30 s
// for which API Gateway waits.
const callBudget = 20 * time.Second

// budget is the time in which a call that does much begins new work. What it has begun
// it finishes.
type budget struct{ over <-chan struct{} }

// newBudget returns a budget of callBudget, or of two thirds of what the request has
// left, from now on. It is real time: the rest of a request's work is done in it too.
func newBudget(ctx context.Context) (budget, context.CancelFunc) {
	d := callBudget
	if end, ok := ctx.Deadline(); ok {
		d = min(d, time.Until(end)*2/3) //nolint:forbidigo // a deadline is of real time, which the request's now is not
	}
	limited, cancel := context.WithTimeout(ctx, d)
	return budget{limited.Done()}, cancel
}

// spent reports whether the budget is over.
func (b budget) spent() bool {
	select {
	case <-b.over:
		return true
	default:
		return false
	}
}
