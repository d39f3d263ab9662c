package boot

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestTune(t *testing.T) {
	processors, limit := runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1)
	percent := debug.SetGCPercent(100)
	t.Cleanup(func() {
		runtime.GOMAXPROCS(processors)
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	for _, tt := range []struct {
		memory, processors int
		limit              int64
	}{
		{0, 1, math.MaxInt64},
		{128, 1, 96 << 20},
		{512, 1, 384 << 20},
		{1769, 1, 1769 << 20 / 4 * 3},
		{3538, 2, 3538 << 20 / 4 * 3},
		{10240, 5, 7680 << 20},
	} {
		debug.SetMemoryLimit(math.MaxInt64)
		tune(tt.memory)
		if p, l := runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1); p != tt.processors || l != tt.limit {
			t.Errorf("%d MB: %d processors and a limit of %d bytes, not %d and %d", tt.memory, p, l, tt.processors, tt.limit)
		}
		if got := debug.SetGCPercent(100); got != gcPercent {
			t.Errorf("%d MB: garbage is collected at %d %%", tt.memory, got)
		}
	}
}
