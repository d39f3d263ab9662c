package console

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// String returns a histogram for people.
func (h *histogram) String() string {
	var b strings.Builder
	for _, row := range h.Rows {
		if row.Kind != "" {
			fmt.Fprintf(&b, "%s %s; ", row.Kind, row.At)
		} else {
			fmt.Fprintf(&b, "%s-%s %d %d%%; ", row.From, row.To, row.Count, row.Percent)
		}
	}
	return strings.TrimSuffix(b.String(), "; ")
}

func TestHistogram(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name               string
		ages               []time.Duration
		today, recommended time.Duration
		want               string
	}{
		{
			"none are before today's interval",
			[]time.Duration{70 * time.Second, 2 * time.Minute, 150 * time.Second},
			time.Minute, 5 * time.Minute,
			"0s-1m0s 0 0%; today 1m0s; 1m0s-2m0s 1 50%; 2m0s-5m0s 2 100%; recommended 5m0s; 5m0s-10m0s 0 0%",
		},
		{
			"intervals divide rows",
			[]time.Duration{6 * time.Second, 45 * time.Second},
			7 * time.Second, 40 * time.Second,
			"0s-5s 0 0%; 5s-7s 1 100%; today 7s; 7s-10s 0 0%; 10s-30s 0 0%; 30s-40s 0 0%; recommended 40s; 40s-1m0s 1 100%",
		},
		{
			"no interval, and none recommended",
			[]time.Duration{0, time.Second},
			0, 0,
			"today 0s; 0s-1s 1 100%; 1s-2s 1 100%",
		},
		{
			"older than all bounds",
			[]time.Duration{30*day - 1, 30 * day, 300 * day},
			7 * day, 0,
			"0s-168h0m0s 0 0%; today 168h0m0s; 168h0m0s-720h0m0s 1 50%; 720h0m0s-0s 2 100%",
		},
		{"the longest interval", nil, 30 * day, 0, "0s-720h0m0s 0 0%; today 720h0m0s; 720h0m0s-0s 0 0%"},
	} {
		if got := newHistogram(tt.ages, tt.today, tt.recommended).String(); got != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
}
