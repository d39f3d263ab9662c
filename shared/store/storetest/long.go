package storetest

import "flag"

var long = flag.Bool("long", false, "tests that grow with a number play all of it, as make test-long does")

// Size returns how often a test repeats something: whole in a long run, and short, which is
// enough to show the same, in any other.
func Size(whole, short int) int {
	if *long {
		return whole
	}
	return short
}

// SizeUnderRace returns how often a test repeats something as [Size] does, but raced under the
// race detector, which takes five times as long and looks at which goroutines meet, not at how often.
func SizeUnderRace(whole, short, raced int) int {
	if underRace {
		short = raced
	}
	return Size(whole, short)
}
