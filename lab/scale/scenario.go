package main

import "math"

// The loads at a rate, which is the peak of the day.

// day returns the swing of a day, compressed into ten minutes, and so steeper than
// any.
func day(rate float64) load {
	const seconds = 600
	return load{name: "a day, in ten minutes", seconds: seconds, rate: func(s float64) float64 {
		return rate * (trough + (1-trough)*(1-math.Cos(2*math.Pi*s/seconds))/2)
	}}
}

// monday returns a quarter of the rate and then, from one second to the next, all of
// it.
func monday(rate float64) load {
	return load{name: "Monday morning", seconds: 130, rate: func(s float64) float64 {
		if s < 10 {
			return rate * trough
		}
		return rate
	}}
}

// everybody returns the rate, with the requests of ten seconds more in one second:
// an app was deployed that refreshes when it starts.
func everybody(rate float64) load {
	return load{name: "everybody at once", seconds: 60, rate: steady(rate), crowdAt: 10, crowd: int(10 * rate), within: 1000}
}

// race returns the rate, with a thousand requests more within a tenth of a second
// that present one token.
func race(rate float64) load {
	return load{name: "race of " + number(racers), seconds: 20, rate: steady(rate), crowdAt: 10, crowd: racers, within: 100, race: true}
}

func steady(rate float64) func(float64) float64 { return func(float64) float64 { return rate } }

// run is a load with the settings to simulate it under.
type run struct {
	rate float64
	load
	settings
	outcome
}

// runs returns the simulations. At 100,000 requests per second it leaves out those
// that raise no setting, in which a hundred times as many requests as are accepted
// keep asking for minutes.
func runs(in *inputs) []run {
	var all []run
	add := func(rate float64, l load, s settings) { all = append(all, run{rate: rate, load: l, settings: s}) }
	for _, l := range []load{day(100), monday(100), everybody(100), race(100)} {
		add(100, l, defaultSettings(in))
	}
	for _, rate := range []float64{10_000, 100_000} {
		steps := raisedSettings(in, rate)
		last := len(steps) - 1
		if rate > 10_000 {
			steps = steps[last-1:]
			last = 1
		}
		for _, s := range steps {
			add(rate, monday(rate), s)
			if s.warm < rate && s.stageRate >= rate { // in case partitions keep unused capacity for a burst
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
