package boot

import (
	"runtime"
	"runtime/debug"
)

const (
	// vCPU is the memory, in MB, with which Lambda gives a function one whole vCPU.
	// The share of CPU grows with the memory ("Configure Lambda function memory" in
	// Lambda's developer guide).
	vCPU = 1769

	// gcPercent is GOGC, which is 100 by default. A function uses a few MB and pays
	// for hundreds, so it collects garbage less often.
	gcPercent = 400
)

// tune fits the Go runtime to a function with the given memory in MB, or 0 if that
// is unknown, which works on one request at a time. Without it a refresh takes 1.5
// times as much CPU. The runtime sees two processors but has a share of one, so it
// keeps waking the second for work that the first would have finished, and it
// collects garbage every few MB.
func tune(memory int) {
	runtime.GOMAXPROCS(max(1, memory/vCPU))
	debug.SetGCPercent(gcPercent)
	if memory > 0 {
		debug.SetMemoryLimit(int64(memory) << 20 / 4 * 3) // collect garbage before Lambda ends the function for its memory use
	}
}
