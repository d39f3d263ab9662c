package main

import "math"

// The loads of a rate, which is the most that the day has.

// day is the swing of a day, in ten minutes: steeper than any.
func day(rate float64) load {
	const seconds = 600
	return load{name: "a day, in ten minutes", seconds: seconds, rate: func(s float64) float64 {
		return rate * (trough + (1-trough)*(1-math.Cos(2*math.Pi*s/seconds))/2)
	}}
}

// monday is a quarter of it and then, from one second to the next, all of it.
func monday(rate float64) load {
	return load{name: "Monday morning", seconds: 130, rate: func(s float64) float64 {
		if s < 10 {
			return rate * trough
		}
		return rate
	}}
}

// everybody is what ten seconds bring, in one second more: an app was deployed that
// refreshes when it starts.
func everybody(rate float64) load {
	return load{name: "everybody at once", seconds: 60, rate: steady(rate), crowdAt: 10, crowd: int(10 * rate), within: 1000}
}

// race is one token that a thousand present within a tenth of a second.
func race(rate float64) load {
	return load{name: "race of " + number(racers), seconds: 20, rate: steady(rate), crowdAt: 10, crowd: racers, within: 100, race: true}
}

func steady(rate float64) func(float64) float64 { return func(float64) float64 { return rate } }

// run is a load under settings.
type run struct {
	rate float64
	load
	settings
	outcome
}

// runs are the simulations. At 100,000 a second those that turn nothing are left
// out: a hundred times as many as are let in ask for minutes.
func runs(in *inputs) []run {
	var all []run
	add := func(rate float64, l load, s settings) { all = append(all, run{rate: rate, load: l, settings: s}) }
	for _, l := range []load{day(100), monday(100), everybody(100), race(100)} {
		add(100, l, deployed(in))
	}
	for _, rate := range []float64{10_000, 100_000} {
		steps := turned(in, rate)
		last := len(steps) - 1
		if rate > 10_000 {
			steps = steps[last-1:]
			last = 1
		}
		for _, s := range steps {
			add(rate, monday(rate), s)
			if s.warm < rate && s.stageRate >= rate { // what if partitions keep for a burst what they did not use?
				s.name, s.kept = s.name+", bursts", burstSeconds
				add(rate, monday(rate), s)
			}
		}
		for _, l := range []load{day(rate), everybody(rate), race(rate)} {
			add(rate, l, steps[last])
		}
		changed := steps[last]
		changed.name, changed.apart = "+ clients apart", true
		for _, l := range []load{monday(rate), everybody(rate)} {
			add(rate, l, changed)
		}
	}
	return all
}
