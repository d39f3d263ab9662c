package main

import (
	"fmt"

	"github.com/rotor-auth/rotor/lab/page"
)

// Aim is a goal that Rotor should reach, and whether it did.
type Aim struct {
	What  string `json:"what"`
	Want  string `json:"want"`
	Got   string `json:"got"`
	State string `json:"state"`
}

// The states of an aim.
const (
	reached     = "reached"
	missed      = "missed"
	notMeasured = "not measured"
)

// aim returns an Aim with what was got. It is unknown unless measured is set, and
// otherwise reached if ok is set.
func aim(what, want, got string, measured, ok bool) Aim {
	switch {
	case !measured:
		return Aim{what, want, "", notMeasured}
	case ok:
		return Aim{what, want, got, reached}
	}
	return Aim{what, want, got, missed}
}

// aims compares what was measured with the goals.
func aims(r *Report) []Aim {
	var all []Aim
	add := func(what, want, got string, measured, ok bool) { all = append(all, aim(what, want, got, measured, ok)) }

	for _, call := range []string{oneRefresh, oneHeld} {
		const want = "1 request, 1 write unit, no read unit"
		if s := r.storage(call); s != nil && s.Units != nil {
			add("storage of a "+call, want, spoken(s), true, s.all() == 1 && *s.Units == Units{Write: 1})
		} else {
			add("storage of a "+call, want, "", false, false)
		}
	}
	race := r.storage(theRace)
	want := fmt.Sprintf("at most %s write units, nothing else", page.Number(racers, 0))
	if race != nil && race.Units != nil {
		u := *race.Units
		add("storage of a "+theRace, want, spoken(race), true, u.Write <= racers && u.Read == 0 && u.Index == 0 && race.all() <= racers)
	} else {
		add("storage of a "+theRace, want, "", false, false)
	}

	l := r.load("ES256", apart)
	if l == nil {
		l = &Load{}
	}
	measured := l.Together.Requests > 0
	cpu, _ := extremes(l.Samples, Sample.cpu)
	sign, _ := extremes(l.Samples, Sample.signCPU)
	_, rate := extremes(l.Samples, Sample.rate)
	of := func(best, median float64, unit string) string {
		return page.Number(best, 0) + unit + " (median " + page.Number(median, 0) + ")"
	}
	unsigned := (cpu - sign) * 1000
	add("CPU of the service for a refresh, without the signature", "< 120 µs", of(unsigned, (l.CPU-l.SignCPU)*1000, " µs"), measured && sign > 0, unsigned < 120)
	add("CPU of the service for a refresh, ES256", "< 200 µs", of(cpu*1000, l.CPU*1000, " µs"), measured, cpu < 0.2)
	rs := r.load("RS256", apart)
	if rs == nil {
		rs = &Load{}
	}
	toSign := rs.CPU / rs.SignCPU
	add("CPU of the service for a refresh, RS256, to that of its signature", "< 1.5 ×", page.Number(toSign, 2)+" ×", rs.SignCPU > 0, toSign < 1.5)
	for _, want := range []struct {
		algorithm string
		most      float64
	}{{"ES256", 1.2}, {"RS256", 1.15}} {
		to := r.multiple(want.algorithm)
		add("CPU of the service for a refresh, "+want.algorithm+", to the floor's", "≤ "+page.Short(want.most)+" ×", to.String(), to.median > 0, to.median <= want.most)
	}
	add("refreshes in a second, 8 at a time, ES256", "≥ 3,500", of(rate, l.Together.Rate, ""), measured, rate >= 3500)
	add("p99, one at a time, ES256", "< 3 ms", page.Number(l.Alone.P99, 2)+" ms", measured, l.Alone.P99 < 3)
	one, each := l.race(racers, 1), l.race(racers, racers)
	if one != nil && each != nil && each.Latencies.P99 > 0 {
		ratio := one.Latencies.P99 / each.Latencies.P99
		add("p99 of 1,000 at once with one token, to that with a token each", "< 10 ×", page.Number(ratio, 2)+" ×", true, ratio < 10)
	} else {
		add("p99 of 1,000 at once with one token, to that with a token each", "< 10 ×", "", false, false)
	}
	add("memory after 100,000 refreshes, ES256", "< 40 MB", page.Number(l.RSS, 1)+" MB", measured && l.Refreshes >= 100_000, l.RSS < 40)

	var token Start
	for _, s := range r.Starts {
		if s.Function == "token" {
			token = s
		}
	}
	add("cold start of token, to its first answer", "< 60 ms", page.Number(token.Answered, 1)+" ms", token.Answered > 0, token.Answered < 60)
	add("cold start of token, until it asks for its first request", "< 15 ms", page.Number(token.Ready, 1)+" ms", token.Ready > 0, token.Ready < 15)
	largest := 0.0
	for _, z := range r.Zips {
		largest = max(largest, z.Size)
	}
	add("zip of a function, the largest", "< 6 MB", page.Number(largest, 2)+" MB", largest > 0, largest < 6)
	return all
}
