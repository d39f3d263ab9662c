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

// SizeWhereSlow returns how often a test repeats something as [Size] does. But it returns slow
// under the race detector and on DynamoDB Local, where all takes three to five times as long.
// The first looks at which goroutines meet, and not at how often. The second shows that its
// API answers as the embedded store does.
func SizeWhereSlow(whole, short, slow int) int {
	if underRace || Endpoint() != "" {
		short = slow
	}
	return Size(whole, short)
}
