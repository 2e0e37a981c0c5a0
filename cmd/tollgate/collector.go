package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much the heap may grow before it is collected. Go's own rule is: by as
// much again as is alive. That is little where calls are short and some 4 MiB
// are alive: collecting that often costs a tenth of the whole CPU time. To let it
// grow always to some times what is alive is much where there are thousands of
// streams, which keep more and make little that is new.
const (
	headroom       = 12 << 20 // bytes
	leastGrowth    = 100      // percent: Go's own rule, beyond 12 MiB alive
	greatestGrowth = 300      // percent, and what it begins with
	growthStep     = 50       // percent: to set it stops everything for a moment
)

// paceCollector sets GOGC after each collection by what that has found alive,
// unless the environment says what it is to be.
func (p *program) paceCollector() {
	if p.getenv("GOGC") == "" {
		debug.SetGCPercent(greatestGrowth)
		paceNext(greatestGrowth)
	}
}

// paceNext waits for the next collection, which finds the sentinel, and goes on
// from there.
func paceNext(now int) {
	sentinel := new([64]byte) // what is very small shares its memory with others
	runtime.AddCleanup(sentinel, func(now int) {
		growth := growthFor(aliveBytes())
		if growth != now {
			debug.SetGCPercent(growth)
		}
		paceNext(growth)
	}, now)
}

// growthFor is by how many percent the heap may grow if so many bytes are alive.
func growthFor(alive uint64) int {
	growth := headroom * 100 / max(alive, 1) / growthStep * growthStep
	return int(min(max(growth, leastGrowth), greatestGrowth))
}

// aliveBytes is what the last collection has found alive.
func aliveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
