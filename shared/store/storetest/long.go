package storetest

import "flag"

var long = flag.Bool("long", false, "tests that grow with a number play all of it, as make test-long does")

// Size returns how much of what a test repeats it plays: all of it in a long run, and
// as much as shows the same in a short one.
func Size(whole, short int) int {
	if *long {
		return whole
	}
	return short
}
