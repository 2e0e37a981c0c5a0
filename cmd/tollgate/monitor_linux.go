package main

import (
	"context"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// Go's runtime has a monitor thread. It goes to sleep when all of the scheduler's
// processors are idle, is woken by the next system call, and then looks around
// fifty times and more, every 20 µs, before it slows down. A proxy is idle for a
// moment some thousand times a second, so the monitor would never rest: a tenth
// of a small call's CPU time, and its being woken a sixth of what the call is
// kept waiting. With one processor that is never idle it looks around every
// 10 ms. So while there are calls, one more than there would be is held by a
// goroutine that sleeps where the scheduler takes it for working.
const (
	// lookEvery is how often it is asked whether there are calls.
	lookEvery = 250 * time.Millisecond
	// napTime is how long the holder sleeps at once: the monitor interrupts what
	// works for longer. A collection interrupts it, too, and waits for some 50 µs.
	napTime = 10 * time.Millisecond
	// calmFor is how long the processor is held after the last call.
	calmFor = time.Second
	// longestHold is after how long the number of processors is asked for afresh:
	// a container's limit may have been changed.
	longestHold = time.Minute
)

// calmMonitor keeps Go's monitor thread from being woken while there are calls.
func (p *program) calmMonitor(ctx context.Context, busy func() bool) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if busy() {
				p.holdProcessor(ctx, busy)
			}
		}
	}
}

// holdProcessor adds a processor and holds it until there are no more calls.
func (p *program) holdProcessor(ctx context.Context, busy func() bool) {
	given := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(given + 1)
	defer p.resetProcessors(given)
	// On a thread of its own: else every nap's end would move it to the processor
	// of somebody who works (59 against 68 µs a small call).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := time.Now()
	last := began // with calls
	for now := began; ctx.Err() == nil && now.Sub(last) < calmFor && now.Sub(began) < longestHold; now = time.Now() {
		if busy() {
			last = now
		}
		nap()
		runtime.Gosched() // whoever wants to stop the world may
	}
}

// nap sleeps without telling the scheduler, which would give the processor away.
func nap() {
	length := syscall.NsecToTimespec(int64(napTime))
	_, _, _ = syscall.RawSyscall(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&length)), 0, 0) //nolint:gosec // the kernel reads it before this returns; a nap may be cut short
}

// resetProcessors gives the scheduler as many processors as the environment says, or as
// Go finds that it may use.
func (p *program) resetProcessors(given int) {
	if p.getenv("GOMAXPROCS") != "" {
		runtime.GOMAXPROCS(given)
		return
	}
	runtime.SetDefaultGOMAXPROCS()
}
