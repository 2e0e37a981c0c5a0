package main

import (
	"os"
	"testing"
	"time"
)

func TestCPUTimeCountsWhatAProcessDoes(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := cpuTime(self)
	if err != nil {
		t.Skipf("no /proc here: %v", err)
	}
	// Work until the account moves: how long that takes is the machine's business.
	var after time.Duration
	for after = before; after == before; {
		sum := 0
		for i := range 10_000_000 {
			sum += i
		}
		_ = sum
		if after, err = cpuTime(self); err != nil {
			t.Fatal(err)
		}
	}
	if after < before {
		t.Errorf("CPU time went from %v to %v", before, after)
	}
	rss, err := residentMemory(self)
	if err != nil || rss < 1<<20 {
		t.Errorf("resident memory %d, %v", rss, err)
	}
	if _, err := cpuTime([]int{-1}); err == nil {
		t.Error("a process that is not there has a CPU time")
	}
}

func TestStatField(t *testing.T) {
	const stat = "calls=12,usec=34,usec_per_call=2.8"
	for name, want := range map[string]int64{"calls": 12, "usec": 34, "failed_calls": 0} {
		if got := statField(stat, name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if got := statField("", "calls"); got != 0 {
		t.Errorf("no such command: %d calls", got)
	}
}
