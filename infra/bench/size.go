package main

import "time"

// size is how much work a run does.
type size struct {
	warm        int           // refreshes before any is measured
	alone       int           // one at a time
	together    int           // 8 at a time, at most,
	limit       time.Duration // and for so long at most, but for [thorough] loads
	invocations int           // of a function
	rounds      int           // of races
	repeat      int           // of a call whose storage requests are counted
	benchtime   string        // of a micro-benchmark
}

var (
	full  = size{warm: 2_000, alone: 3_000, together: 100_000, invocations: 20_000, limit: 10 * time.Second, rounds: 5, repeat: 100, benchtime: "1s"}
	small = size{warm: 100, alone: 200, together: 2_000, invocations: 500, limit: time.Second, rounds: 1, repeat: 10, benchtime: "100x"}
)
