package timeline

import (
	"math"
	"slices"
	"time"
)

// Axis maps times to places. Between the times that it is made of it is linear, and a longer
// pause takes more room, but by far not as much more as it is longer: so that milliseconds can
// be seen beside months.
type Axis struct {
	times  []int64 // in nanoseconds, in order, each once
	places []float64
}

// unit is the pause that takes room as if the axis were linear. Far longer ones take room as
// their logarithm.
const unit = 50 * time.Millisecond

// newAxis returns the axis from left to right. Before each of the times in important there is
// room enough for it to be seen, however many there are in all.
func newAxis(times, important []time.Time, left, right float64) *Axis {
	a := &Axis{times: instants(slices.Concat(times, important))}
	a.places = make([]float64, len(a.times))
	if len(a.times) < 2 {
		for i := range a.places {
			a.places[i] = left
		}
		return a
	}
	weights := make([]float64, len(a.times)-1)
	total := 0.0
	for i := range weights {
		weights[i] = math.Log1p(float64(a.times[i+1]-a.times[i]) / float64(unit))
		total += weights[i]
	}
	least := total * roomOfImportant
	for _, t := range instants(important) {
		if i, _ := slices.BinarySearch(a.times, t); i > 0 {
			weights[i-1] = max(weights[i-1], least)
		}
	}
	total = 0
	for _, w := range weights {
		total += w
	}
	place := 0.0
	for i := range a.places {
		a.places[i] = left + place/total*(right-left)
		if i < len(weights) {
			place += weights[i]
		}
	}
	a.places[len(a.places)-1] = right
	return a
}

// roomOfImportant is the least part of the axis before an important time, before other times
// are counted.
const roomOfImportant = 0.05

func instants(times []time.Time) []int64 {
	all := make([]int64, len(times))
	for i, t := range times {
		all[i] = t.UnixNano()
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Place returns the place of a time. One outside the axis is at its nearest end.
func (a *Axis) Place(t time.Time) float64 {
	at := t.UnixNano()
	i, found := slices.BinarySearch(a.times, at)
	switch {
	case found || i == 0:
		return a.places[i]
	case i == len(a.times):
		return a.places[i-1]
	}
	part := float64(at-a.times[i-1]) / float64(a.times[i]-a.times[i-1])
	return a.places[i-1] + part*(a.places[i]-a.places[i-1])
}
