package tokensource

import (
	"context"
	"math/rand/v2"
	"time"
)

// clock is a source's view of time. It reads two clocks, because neither is reliable
// alone: the wall clock may be wrong or be set, and the steady clock stops while a
// machine sleeps or a function is frozen.
type clock struct {
	now    func() moment
	sleep  func(ctx context.Context, d time.Duration) error
	after  func(d time.Duration) <-chan time.Time
	random func() float64 // in [0, 1)
}

type moment struct {
	wall   time.Time     // without a monotonic reading
	steady time.Duration // since some moment of this process
}

// since returns how long ago m was, by the clock that has moved further.
func (now moment) since(m moment) time.Duration {
	return max(now.wall.Sub(m.wall), now.steady-m.steady)
}

func systemClock() clock {
	start := time.Now() //nolint:forbidigo // a program that holds a token has no request to take the time from
	return clock{
		now: func() moment {
			now := time.Now() //nolint:forbidigo // likewise
			return moment{now.Round(0).UTC(), now.Sub(start)}
		},
		sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(d):
				return nil
			}
		},
		after:  time.After,
		random: rand.Float64,
	}
}
