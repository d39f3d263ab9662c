package session

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestBudget checks for how long a call that does much begins new work: 20 seconds, or two
// thirds of its request's remaining time. The gateway waits for 30 seconds, and work that was
// begun must be finished by then.
func TestBudget(t *testing.T) {
	for _, tt := range []struct{ configured, left, want time.Duration }{
		{0, 0, 20 * time.Second}, // without a deadline
		{0, time.Hour, 20 * time.Second},
		{0, 30 * time.Second, 20 * time.Second},
		{0, 28500 * time.Millisecond, 19 * time.Second},
		{0, 3 * time.Second, 2 * time.Second},
		{time.Minute, 0, time.Minute},
		{time.Minute, 30 * time.Second, 20 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			if tt.left > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tt.left)
				defer cancel()
			}
			b, cancel := New(Config{CallBudget: tt.configured}).NewBudget(ctx)
			defer cancel()
			time.Sleep(tt.want - time.Millisecond)
			synctest.Wait()
			if b.Spent() {
				t.Errorf("with %v left it is spent before %v", tt.left, tt.want)
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			if !b.Spent() {
				t.Errorf("with %v left it is not spent after %v", tt.left, tt.want)
			}
		})
	}
}
