package boot

import (
	"runtime"
	"runtime/debug"
)

const (
	// vCPU is the memory at which Lambda gives a function one whole vCPU, in MB; its
	// share grows with the memory ("Configure Lambda function memory" in Lambda's
	// developer guide).
	vCPU = 1769

	// gcPercent is how much garbage may lie beside what is in use before it is
	// collected. A few MB are in use here, and hundreds are paid for.
	gcPercent = 400
)

// tune fits the Go runtime to a function of so much memory, in MB, that works on one
// request at a time; 0 is not known. Without it a refresh takes half as much CPU
// time again: the runtime sees two processors of which it has a share of one, keeps
// waking the second for what the first had done by then, and collects garbage every
// few MB.
func tune(memory int) {
	runtime.GOMAXPROCS(max(1, memory/vCPU))
	debug.SetGCPercent(gcPercent)
	if memory > 0 {
		debug.SetMemoryLimit(int64(memory) << 20 / 4 * 3) // what is garbage goes, before Lambda ends the function for it
	}
}
