package store

import (
	"testing"
	"time"
)

// TestBackoff checks that a failed request is repeated within the time that a caller of the
// token endpoint has, and that requests which failed together are not repeated together.
func TestBackoff(t *testing.T) {
	for attempt, most := range map[int]time.Duration{1: 50 * time.Millisecond, 2: 100 * time.Millisecond, 3: 200 * time.Millisecond, 40: 200 * time.Millisecond} {
		seen := map[time.Duration]bool{}
		longest := time.Duration(0)
		for range 1000 {
			d, err := backoff(attempt, nil)
			if err != nil || d < 0 || d >= most {
				t.Fatalf("before attempt %d: %v, %v", attempt+1, d, err)
			}
			seen[d], longest = true, max(longest, d)
		}
		if len(seen) < 500 || longest < most/2 {
			t.Errorf("before attempt %d: %d different waits, of %v at most", attempt+1, len(seen), longest)
		}
	}
}
