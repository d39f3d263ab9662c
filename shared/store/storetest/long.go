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

// Slow reports whether a test should do less than elsewhere: in a run that is not long, under
// the race detector or on DynamoDB Local, where all takes three to five times as long. The
// first looks at which goroutines meet, and not at how often. The second shows that its API
// answers as the embedded store does.
func Slow() bool { return !*long && (underRace || Endpoint() != "") }

// SizeWhereSlow returns how often a test repeats something: slow if the run is [Slow], and
// otherwise as [Size] does.
func SizeWhereSlow(whole, short, slow int) int {
	if Slow() {
		return slow
	}
	return Size(whole, short)
}
