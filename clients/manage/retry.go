package manage

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"syscall"
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
	case errors.As(err, &unreachable) && !once && !isLasting(err):
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

// isLasting reports whether a call failed for a reason that lasts longer than a pause:
// nothing listens at the address, its name does not exist, or its certificate is not
// trusted.
func isLasting(err error) bool {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &certificate) || (errors.As(err, &name) && name.IsNotFound)
}

// mayHaveArrived reports whether the service may have done what a call that failed so asked
// for. The gateway refuses a call for its rate before that.
func mayHaveArrived(err error) bool {
	var unreachable *UnreachableError
	if errors.As(err, &unreachable) {
		return !isLasting(err)
	}
	var refused *Error
	return errors.As(err, &refused) && refused.Status >= http.StatusInternalServerError
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
