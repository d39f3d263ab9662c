package main

import "time"

// size says how much work a run does.
type size struct {
	warm        int           // refreshes before any is measured
	loads       int           // rounds of all loads, since the machine's other work changes within minutes
	alone       int           // refreshes one at a time, in a round
	samples     int           // samples of 8 at a time, in a round
	together    int           // refreshes in a sample, at most
	limit       time.Duration // the time of a sample, at most, except with ES256 over the embedded store
	turns       int           // turns of each service in a contest
	turn        time.Duration // the time of a turn, at most
	perTurn     int           // refreshes in a turn, at most
	peerRaces   int           // sessions that are raced beside the peer
	invocations int           // of a function
	rounds      int           // rounds of races
	repeat      int           // how often a call is made whose storage requests are counted
	benchtime   string        // of a micro-benchmark
}

var (
	full = size{
		warm: 2_000, loads: 3, alone: 1_000, samples: 4, together: 9_000, limit: 2500 * time.Millisecond,
		turns: 25, turn: 400 * time.Millisecond, perTurn: 4_000, peerRaces: 20,
		invocations: 20_000, rounds: 5, repeat: 100, benchtime: "1s",
	}
	small = size{
		warm: 100, loads: 1, alone: 200, samples: 2, together: 1_000, limit: time.Second,
		turns: 5, turn: 200 * time.Millisecond, perTurn: 4_000, peerRaces: 20,
		invocations: 500, rounds: 1, repeat: 10, benchtime: "100x",
	}
)
