package main

import (
	"syscall"
	"time"
)

// sleepUntil sleeps in the kernel: the timers of the runtime wake up to a
// millisecond late when the process is idle, which would drown what is measured.
func sleepUntil(at time.Time) {
	for {
		left := time.Until(at)
		if left <= 0 {
			return
		}
		ts := syscall.NsecToTimespec(int64(left))
		_ = syscall.Nanosleep(&ts, nil) // Interrupted: the loop sleeps the rest.
	}
}
