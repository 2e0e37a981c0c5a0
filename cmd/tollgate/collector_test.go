package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGrowthFollowsWhatIsAlive(t *testing.T) {
	for alive, want := range map[uint64]int{
		0: 300, 1 << 20: 300, 4 << 20: 300, 5 << 20: 200, 6 << 20: 200, 8 << 20: 150, 12 << 20: 100, 1 << 40: 100,
	} {
		if got := growthFor(alive); got != want {
			t.Errorf("%d bytes alive: %d %%, want %d", alive, got, want)
		}
	}
}

func TestCollectorIsPaced(t *testing.T) {
	before := gogc()
	defer debug.SetGCPercent(before)
	given := &program{getenv: func(string) string { return "70" }}
	if given.paceCollector(); gogc() != before {
		t.Errorf("GOGC is given, and was changed to %d", gogc())
	}
	free := &program{getenv: func(string) string { return "" }}
	if free.paceCollector(); gogc() != greatestGrowth {
		t.Errorf("it begins with %d %%", gogc())
	}
	alive := make([]byte, 64<<20)
	waitForGOGC(t, leastGrowth)
	runtime.KeepAlive(alive) // up to here
	waitForGOGC(t, greatestGrowth)
}

// waitForGOGC collects until GOGC is that: what is done after a collection comes a moment later.
func waitForGOGC(t *testing.T, want int) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); gogc() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("GOGC is %d, want %d; %d bytes are alive", gogc(), want, aliveBytes())
		}
		runtime.GC()
	}
}

func gogc() int {
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}
