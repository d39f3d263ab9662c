package tokensource

import (
	"context"
	"time"
)

// WithClock replaces the clocks. Nothing is random then, and callers wait for
// refreshes however long they take.
func WithClock(wall func() time.Time, steady func() time.Duration, sleep func(context.Context, time.Duration) error) Option {
	return func(s *Source) {
		s.clock = clock{
			now:    func() moment { return moment{wall(), steady()} },
			sleep:  sleep,
			after:  func(time.Duration) <-chan time.Time { return nil },
			random: func() float64 { return 0.5 },
		}
	}
}

// WithCourtesy gives the channel that ends callers' waiting for a refresh while
// they have a token.
func WithCourtesy(enough <-chan time.Time) Option {
	return func(s *Source) { s.clock.after = func(time.Duration) <-chan time.Time { return enough } }
}

// Lock takes the lock of a token file, as another process would.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	file, err := NewFile(path).lock(ctx)
	if err != nil {
		return nil, err
	}
	return file.Close, nil
}

// WithSecret gives the client a secret.
func WithSecret(secret string) Option { return func(s *Source) { s.conf.ClientSecret = secret } }

// EarlyOf is how long before its end a process refreshes a new access token.
func EarlyOf(lifetime time.Duration) time.Duration {
	c := systemClock()
	now := c.now()
	h := hold(state{AccessToken: "x", ExpiresIn: int64(lifetime / time.Second), ObtainedAt: now.wall}, 1, nil, now, c.random())
	for d := time.Duration(0); ; d += 10 * time.Millisecond {
		if !h.fresh(moment{now.wall, now.steady + d}) {
			return lifetime - d
		}
	}
}
