package load

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is the outcome of a load.
type Result struct {
	Requests int64            // all of them
	Count    int64            // the successes
	ByStatus map[int]int64    // the complete responses, including successes
	Errors   map[string]int64 // missing or incomplete responses, and those of status 200 that are no success, by what is wrong

	// Successors is how many different tokens [Generator.Race] got, which should be
	// 1, or [Generator.Spread], which should be as many as were presented.
	Successors int

	Elapsed time.Duration

	latencies *hdrhistogram.Histogram // of successes, in microseconds
}

func newResult() *Result {
	const digits = 3 // of precision
	return &Result{
		ByStatus: map[int]int64{}, Errors: map[string]int64{},
		latencies: hdrhistogram.New(1, timeout.Microseconds(), digits),
	}
}

func (r *Result) add(o outcome) {
	r.Requests++
	if o.status != 0 {
		r.ByStatus[o.status]++
	}
	if o.wrong != "" {
		r.Errors[o.wrong]++
	}
	if o.succeeded() {
		r.Count++
		_ = r.latencies.RecordValue(min(o.took.Microseconds(), timeout.Microseconds())) // in range
	}
}

// Merge returns the sum of several results, including their Elapsed and Successors.
func Merge(results ...*Result) *Result {
	all := newResult()
	for _, r := range results {
		all.Requests += r.Requests
		all.Count += r.Count
		for status, n := range r.ByStatus {
			all.ByStatus[status] += n
		}
		for wrong, n := range r.Errors {
			all.Errors[wrong] += n
		}
		all.Successors += r.Successors
		all.Elapsed += r.Elapsed
		all.latencies.Merge(r.latencies) // of the same range: nothing is dropped
	}
	return all
}

// Err returns an error that says what failed, or nil if nothing did.
func (r *Result) Err() error {
	if r.Count == r.Requests {
		return nil
	}
	var what []string
	for _, status := range slices.Sorted(maps.Keys(r.ByStatus)) {
		if status != http.StatusOK {
			what = append(what, fmt.Sprintf("%d of status %d", r.ByStatus[status], status))
		}
	}
	for _, wrong := range slices.Sorted(maps.Keys(r.Errors)) {
		what = append(what, fmt.Sprintf("%d with %s", r.Errors[wrong], wrong))
	}
	return fmt.Errorf("%d of %d requests failed: %s", r.Requests-r.Count, r.Requests, strings.Join(what, ", "))
}

// Rate returns the successes per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Count) / r.Elapsed.Seconds()
}

// P50 returns the median latency of the successes, from before the request is
// written until the response is read, with 3 digits of precision like the others.
// Workers wait for a response before the next request, so a slow Rotor gets fewer
// requests.
func (r *Result) P50() time.Duration { return r.quantile(50) }

// P90 returns the latency that 90 % of the successes did not exceed.
func (r *Result) P90() time.Duration { return r.quantile(90) }

// P99 returns the latency that 99 % did not exceed.
func (r *Result) P99() time.Duration { return r.quantile(99) }

// P999 returns the latency that 99.9 % did not exceed.
func (r *Result) P999() time.Duration { return r.quantile(99.9) }

// Max returns the longest latency.
func (r *Result) Max() time.Duration {
	return time.Duration(r.latencies.Max()) * time.Microsecond
}

func (r *Result) quantile(percent float64) time.Duration {
	return time.Duration(r.latencies.ValueAtQuantile(percent)) * time.Microsecond
}

// String returns the result in one line.
func (r *Result) String() string {
	return fmt.Sprintf("%d of %d, %.0f/s, p50 %s, p90 %s, p99 %s, p99.9 %s, max %s",
		r.Count, r.Requests, r.Rate(), r.P50(), r.P90(), r.P99(), r.P999(), r.Max())
}
