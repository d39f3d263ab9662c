package console

import (
	"slices"
	"time"
)

// histogram shows at which ages superseded tokens came back, in rows from young to old.
type histogram struct {
	Rows []histogramRow
	Of   int // how many ages

	Unknown int // how many more tokens came back, of which the age is not known
}

// histogramRow is a row of a histogram: ages from From up to To, or an interval between two
// such rows.
type histogramRow struct {
	From, To time.Duration // To is 0 for all that are older
	Count    int
	Percent  int // of the longest row

	Kind string // of an interval: today or recommended; "" for a row of ages
	At   time.Duration
}

// bounds are where rows of a histogram begin and end, unless an interval divides one.
var bounds = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour,
}

// newHistogram returns the histogram of ages beside today's reuse interval and the recommended
// one, which is 0 if there is none.
func newHistogram(ages []time.Duration, today, recommended time.Duration) *histogram {
	ends := slices.Concat(bounds, []time.Duration{today, recommended})
	slices.Sort(ends)
	ends = slices.DeleteFunc(slices.Compact(ends), func(end time.Duration) bool { return end == 0 })
	oldest := max(today, recommended)
	for _, age := range ages {
		oldest = max(oldest, age)
	}
	h := &histogram{Of: len(ages)}
	var from time.Duration
	if today == 0 {
		h.Rows = append(h.Rows, histogramRow{Kind: "today"})
	}
	longest := 0
	for _, to := range append(ends, 0) {
		row := histogramRow{From: from, To: to}
		for _, age := range ages {
			if age >= from && (age < to || to == 0) {
				row.Count++
			}
		}
		longest = max(longest, row.Count)
		from = to
		// What begins without any is one row, up to the first interval at most.
		if last := len(h.Rows) - 1; row.Count == 0 && last == 0 && h.Rows[0] == (histogramRow{To: row.From}) {
			h.Rows[0].To = to
		} else {
			h.Rows = append(h.Rows, row)
		}
		if to == today && to > 0 {
			h.Rows = append(h.Rows, histogramRow{Kind: "today", At: today})
		}
		if to == recommended && to > 0 {
			h.Rows = append(h.Rows, histogramRow{Kind: "recommended", At: recommended})
		}
		if to > oldest {
			break
		}
	}
	for i := range h.Rows {
		h.Rows[i].Percent = 100 * h.Rows[i].Count / max(1, longest)
	}
	return h
}
