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

// Result is what became of the requests of a load.
type Result struct {
	Requests int64            // all of them
	Count    int64            // the successes
	ByStatus map[int]int64    // the answers that came whole, successes among them
	Errors   map[string]int64 // what came not, not whole, or as 200 and no success; by what was wrong

	// Successors is how many different tokens were given to those of
	// [Generator.Race], which should be 1, and [Generator.Spread], which should be
	// as many as were presented.
	Successors int

	Elapsed time.Duration

	latencies *hdrhistogram.Histogram // of successes, in microseconds
}

func newResult() *Result {
	const digits = 3 // that percentiles are exact to
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

// Merge is several results in one. Elapsed and Successors are added up.
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

// Err is nil where all was a success; else it says what was not.
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

// Rate is the successes in a second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Count) / r.Elapsed.Seconds()
}

// P50 is the median latency of the successes, exact to 3 digits as all of them: from
// before the request is written until the answer has been read. Workers wait for an
// answer before they ask again, so a slow Rotor is asked less.
func (r *Result) P50() time.Duration { return r.quantile(50) }

// P90 is the latency that 90 % of the successes were within.
func (r *Result) P90() time.Duration { return r.quantile(90) }

// P99 is the latency that 99 % were within.
func (r *Result) P99() time.Duration { return r.quantile(99) }

// P999 is the latency that 99.9 % were within.
func (r *Result) P999() time.Duration { return r.quantile(99.9) }

// Max is the longest latency.
func (r *Result) Max() time.Duration {
	return time.Duration(r.latencies.Max()) * time.Microsecond
}

func (r *Result) quantile(percent float64) time.Duration {
	return time.Duration(r.latencies.ValueAtQuantile(percent)) * time.Microsecond
}

// String is the result in a line.
func (r *Result) String() string {
	return fmt.Sprintf("%d of %d, %.0f/s, p50 %s, p90 %s, p99 %s, p99.9 %s, max %s",
		r.Count, r.Requests, r.Rate(), r.P50(), r.P90(), r.P99(), r.P999(), r.Max())
}
