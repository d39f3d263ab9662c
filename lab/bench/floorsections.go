package main

import (
	"fmt"

	"github.com/rotor-auth/rotor/lab/page"
)

func floorTable(r *Report) *page.Table {
	t := &page.Table{
		Title: "The floor",
		Columns: []string{
			"signature", "store", "at a time", "what", "CPU µs", "to the floor's", "refreshes/s", "to the floor's",
		},
	}
	for i := range r.Floors {
		c := &r.Floors[i]
		floor := c.side(theFloor)
		if floor == nil {
			continue
		}
		for j := range c.Sides {
			s := &c.Sides[j]
			cpu, rate := "", ""
			if s != floor {
				cpu, rate = ratio(s, floor, Sample.cpu).String(), ratio(s, floor, Sample.rate).String()
			}
			t.Row(s.Algorithm, s.Store, fmt.Sprint(c.Workers), s.Name, page.Number(median(s.Samples, Sample.cpu)*1000, 0), cpu, page.Number(s.Latencies.Rate, 0), rate)
		}
	}
	if len(r.Floors) > 0 {
		t.Note("%s: medians of %d turns each. A ratio is that of two turns that followed each other: the median, and the middle half of them.", r.measured(), len(r.Floors[0].Sides[0].Samples))
	}
	return t
}

// String returns the ratio with the middle half of the turns.
func (r Ratio) String() string {
	return fmt.Sprintf("%s × (%s–%s)", page.Number(r.median, 2), page.Number(r.low, 2), page.Number(r.high, 2))
}
