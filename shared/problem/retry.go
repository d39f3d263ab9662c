package problem

import (
	"math/rand/v2"
	"net/http"
	"strconv"
)

// longestWait is the largest Retry-After, in seconds.
const longestWait = 3

// SetRetryAfter sets Retry-After, for an answer 503, to a random number of seconds, so
// that callers who failed together do not come back together.
func SetRetryAfter(h http.Header) {
	h.Set("Retry-After", strconv.Itoa(1+rand.IntN(longestWait))) //nolint:gosec // not a secret
}
