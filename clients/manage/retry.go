package manage

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	maxAttempts = 4
	maxPause    = 20 * time.Second
)

// retry reports whether a call that failed is made again, and after which pause. What must
// not be done twice is repeated only if the gateway refused it for its rate, before anything
// was done.
func retry(err error, attempt int, once bool) (pause time.Duration, again bool) {
	if err == nil || attempt == maxAttempts {
		return 0, false
	}
	refused, busy := isBusy(err)
	var unreachable *UnreachableError
	switch {
	case busy && (!once || refused.Status == http.StatusTooManyRequests):
		pause = refused.RetryAfter
	case errors.As(err, &unreachable) && !once && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
	default:
		return 0, false
	}
	if pause == 0 {
		// Half a second, doubled each time, and a random part of it.
		longest := time.Second << (attempt - 1)
		pause = longest/2 + rand.N(longest/2) //nolint:gosec // spreads callers, and hides nothing
	}
	return pause, true
}

// wait returns after d, or with an error when ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
