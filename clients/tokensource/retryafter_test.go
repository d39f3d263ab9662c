package tokensource_test

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// TestRetryAfter checks that Retry-After is obeyed, in either form and by the
// server's own clock, up to the pace. A longer wait would end after the interval.
func TestRetryAfter(t *testing.T) {
	const ownPause = 187500 * time.Microsecond // after a first failure, without randomness
	at := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, test := range []struct {
		name, header string
		date         string // the server's time; "" for none
		interval     time.Duration
		waits        time.Duration
	}{
		{"none", "", "", time.Minute, ownPause},
		{"a second", "1", "", time.Minute, time.Second},
		{"spaces", " 2 ", "", time.Minute, 2 * time.Second},
		{"an hour", "3600", "", time.Minute, 10 * time.Second},
		{"an hour, short interval", "3600", "", 8 * time.Second, 2 * time.Second},
		{"an hour, shortest pace", "3600", "", time.Second, time.Second},
		{"an hour, strict provider", "3600", "", 0, 20 * time.Second},
		{"more than a number holds", "99999999999999999999", "", time.Minute, 10 * time.Second},
		{"more than a duration holds", "9999999999999", "", time.Minute, 10 * time.Second},
		{"nothing", "0", "", time.Minute, ownPause},
		{"less than nothing", "-5", "", time.Minute, ownPause},
		{"no number", "soon", "", time.Minute, ownPause},
		{"a fraction", "1.5", "", time.Minute, ownPause},
		{"a date", at.Add(3 * time.Second).Format(http.TimeFormat), at.Format(http.TimeFormat), time.Minute, 3 * time.Second},
		{"a date in an hour", at.Add(time.Hour).Format(http.TimeFormat), at.Format(http.TimeFormat), time.Minute, 10 * time.Second},
		{"a date that is over", at.Add(-time.Hour).Format(http.TimeFormat), at.Format(http.TimeFormat), time.Minute, ownPause},
		{"a date in an old form", at.Add(3 * time.Second).Format(time.ANSIC), at.Format(http.TimeFormat), time.Minute, 3 * time.Second},
		{"a date of a server without a clock", "own+4s", "", time.Minute, 4 * time.Second},
		{"a date of a server whose clock is none", "own+4s", "today", time.Minute, 4 * time.Second},
	} {
		for _, status := range []int{429, 503, 404} {
			t.Run(test.name+" "+http.StatusText(status), func(t *testing.T) {
				var now func() time.Time
				var sent []time.Time
				p := newProvider(t, func(rw http.ResponseWriter, _ *http.Request, n int) {
					sent = append(sent, now())
					if n > 1 {
						writeJSON(rw, 200, `{"access_token":"secret-a1","expires_in":600}`)
						return
					}
					rw.Header()["Date"] = nil // removes the date that net/http adds
					if test.date != "" {
						rw.Header().Set("Date", test.date)
					}
					header := test.header
					if header == "own+4s" {
						header = now().Add(4*time.Second + time.Second - 1).Format(http.TimeFormat) // this form has whole seconds
					}
					if header != "" {
						rw.Header().Set("Retry-After", header)
					}
					writeJSON(rw, status, `{}`)
				})
				src, clock := p.source(t, oauth2.Config{ClientID: "c"}, tokensource.WithReuseInterval(test.interval))
				now = clock.Now
				_, err := src.Token()
				if status == 404 { // there is no reason to retry at once
					if err == nil {
						t.Error("no error")
					}
					_, err = src.Token()
				}
				if err != nil || len(sent) != 2 {
					t.Fatalf("%v after %d requests", err, len(sent))
				}
				slack := time.Second // a process looks at what others do that often
				if status != 404 {
					slack = 100 * time.Millisecond
				}
				if test.header == "own+4s" {
					slack += time.Second
				}
				if waited := sent[1].Sub(sent[0]); waited < test.waits || waited > test.waits+slack {
					t.Errorf("waited %v, and not %v", waited, test.waits)
				}
			})
		}
	}
}
