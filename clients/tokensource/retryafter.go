package tokensource

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// retryAfter returns how long a server asks to be left alone (RFC 9110 §10.2.3): in
// seconds, or until a date by its own clock, or by now where it does not tell the
// time. Whoever waits decides how much of that is possible.
func retryAfter(header http.Header, now time.Time) time.Duration {
	asked := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(asked, 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		return max(0, time.Duration(seconds)*time.Second) // of what is out of range it is the nearest number
	}
	until, err := http.ParseTime(asked)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return max(0, until.Sub(now))
}
