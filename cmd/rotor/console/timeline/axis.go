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
	times       []int64   // in nanoseconds, in order, each once
	parts       []float64 // of the axis that are before each of them
	left, right float64
}

// unit is the pause that takes room as if the axis were linear. Far longer ones take room as
// their logarithm.
const unit = 50 * time.Millisecond

// newAxis returns the axis from 0 to 1, of times in nanoseconds. It changes the slices. Before each of the times in important there is room
// enough for it to be seen, however many there are in all.
func newAxis(times, important []int64) *Axis {
	slices.Sort(important)
	times = append(times, important...)
	slices.Sort(times)
	a := &Axis{times: slices.Compact(times), right: 1}
	a.parts = make([]float64, len(a.times))
	if len(a.times) < 2 {
		return a
	}
	weights := make([]float64, len(a.times)-1)
	total := 0.0
	for i := range weights {
		weights[i] = math.Log1p(float64(a.times[i+1]-a.times[i]) / float64(unit))
		total += weights[i]
	}
	least := total * roomOfImportant
	for _, t := range slices.Compact(important) {
		if i, _ := slices.BinarySearch(a.times, t); i > 0 {
			weights[i-1] = max(weights[i-1], least)
		}
	}
	total = 0
	for _, w := range weights {
		total += w
	}
	before := 0.0
	for i, w := range weights {
		a.parts[i] = before / total
		before += w
	}
	a.parts[len(weights)] = 1
	return a
}

// between returns the same axis from left to right.
func (a *Axis) between(left, right float64) *Axis {
	other := *a
	other.left, other.right = left, right
	return &other
}

// roomOfImportant is the least part of the axis before an important time, before other times
// are counted.
const roomOfImportant = 0.07

// Place returns the place of a time. One outside the axis is at its nearest end.
func (a *Axis) Place(t time.Time) float64 { return a.left + a.part(t.UnixNano())*(a.right-a.left) }

func (a *Axis) part(at int64) float64 {
	i, found := slices.BinarySearch(a.times, at)
	switch {
	case found || i == 0:
		return a.parts[i]
	case i == len(a.times):
		return a.parts[i-1]
	}
	part := float64(at-a.times[i-1]) / float64(a.times[i]-a.times[i-1])
	return a.parts[i-1] + part*(a.parts[i]-a.parts[i-1])
}
