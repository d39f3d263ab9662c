package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/rotor-auth/rotor/lab/load"
)

// Contest is services under the same load by turns, so that whatever else the machine
// does, and what it is, falls on all alike. Only ratios of a turn are compared.
type Contest struct {
	Workers int    `json:"at_a_time"`
	Pinned  bool   `json:"pinned,omitempty"` // each service has one CPU for itself
	Sides   []Side `json:"sides"`
}

// Side is a service in a contest.
type Side struct {
	Name      string    `json:"name"`
	Algorithm string    `json:"algorithm"`
	Store     string    `json:"store"`
	Latencies Latencies `json:"latencies"` // of all turns
	Samples   []Sample  `json:"samples"`   // one of each turn
}

// side returns the named side, or nil.
func (c *Contest) side(name string) *Side {
	for i := range c.Sides {
		if s := &c.Sides[i]; s.Name == name {
			return s
		}
	}
	return nil
}

// Ratio is how many times as much one side takes as another: the median of all turns,
// and the middle half of them.
type Ratio struct{ median, low, high float64 }

// ratio compares two sides of a contest, turn by turn.
func ratio(a, b *Side, of func(Sample) float64) Ratio {
	var all []float64
	for i := range min(len(a.Samples), len(b.Samples)) {
		if to := of(b.Samples[i]); to > 0 {
			all = append(all, of(a.Samples[i])/to)
		}
	}
	if len(all) == 0 {
		return Ratio{}
	}
	slices.Sort(all)
	last := len(all) - 1
	return Ratio{median: (all[last/2] + all[(last+1)/2]) / 2, low: all[last/4], high: all[last-last/4]}
}

// allCPU returns the CPU time of a service and its store.
func (s Sample) allCPU() float64 { return s.CPU + s.StoreCPU }

// contest lets the subjects take turns. Each begins as often as the others.
func (b *bench) contest(ctx context.Context, workers int, subjects []*subject) (Contest, error) {
	c := Contest{Workers: workers, Sides: make([]Side, len(subjects))}
	results := make([][]*load.Result, len(subjects))
	for i, s := range subjects {
		c.Sides[i] = Side{Name: s.name, Algorithm: s.Algorithm, Store: s.Store}
	}
	for turn := range b.size.turns {
		for k := range subjects {
			i := (turn + k) % len(subjects)
			result, sample, err := subjects[i].sample(ctx, load.Run{Workers: workers, Requests: b.size.perTurn, For: b.size.turn})
			if err != nil {
				return c, fmt.Errorf("%s, %d at a time: %w", subjects[i].name, workers, err)
			}
			results[i] = append(results[i], result)
			c.Sides[i].Samples = append(c.Sides[i].Samples, sample)
		}
	}
	for i := range c.Sides {
		side := &c.Sides[i]
		side.Latencies = latenciesOf(load.Merge(results[i]...))
		side.Latencies.Rate = median(side.Samples, Sample.rate)
	}
	return c, nil
}
