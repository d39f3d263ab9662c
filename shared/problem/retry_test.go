package problem_test

import (
	"net/http"
	"testing"

	"github.com/rotor-auth/rotor/shared/problem"
)

// TestSetRetryAfter checks that of many answers to one failure some say 1, some 2 and some 3
// seconds, and that each says it once.
func TestSetRetryAfter(t *testing.T) {
	seen := map[string]int{}
	for range 100 { // one of the three is missing once in 10¹⁷ runs
		h := http.Header{"Retry-After": {"60"}}
		problem.SetRetryAfter(h)
		if len(h["Retry-After"]) != 1 {
			t.Fatalf("Retry-After: %v", h["Retry-After"])
		}
		seen[h.Get("Retry-After")]++
	}
	if len(seen) != 3 || seen["1"] == 0 || seen["2"] == 0 || seen["3"] == 0 {
		t.Errorf("Retry-After: %v", seen)
	}
}
