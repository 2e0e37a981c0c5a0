package main

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func TestAProcessorIsHeldWhileThereAreCalls(t *testing.T) {
	for _, env := range []string{"", "3"} {
		t.Run("GOMAXPROCS="+env, func(t *testing.T) {
			defer runtime.SetDefaultGOMAXPROCS()
			if env != "" {
				runtime.GOMAXPROCS(3)
			}
			given := runtime.GOMAXPROCS(0)
			var busy atomic.Bool
			stop := background(t.Context(), func(ctx context.Context) {
				p := &program{getenv: func(name string) string { return map[string]string{"GOMAXPROCS": env}[name] }}
				p.calmMonitor(ctx, busy.Load)
			})
			busy.Store(true)
			waitForProcessors(t, given+1)
			for range 10 {
				runtime.GC() // it must not wait for the holder for ever
			}
			busy.Store(false)
			waitForProcessors(t, given)
			busy.Store(true)
			waitForProcessors(t, given+1)
			stop() // with calls in flight
			if got := runtime.GOMAXPROCS(0); got != given {
				t.Errorf("%d processors are left, want %d", got, given)
			}
		})
	}
}

func TestNoProcessorIsHeldWithoutCalls(t *testing.T) {
	given := runtime.GOMAXPROCS(0)
	var asked atomic.Int32
	enough := make(chan struct{})
	stop := background(t.Context(), func(ctx context.Context) {
		(&program{getenv: func(string) string { return "" }}).calmMonitor(ctx, func() bool {
			if asked.Add(1) == 2 {
				close(enough)
			}
			return false
		})
	})
	<-enough
	if got := runtime.GOMAXPROCS(0); got != given {
		t.Errorf("%d processors, want %d", got, given)
	}
	stop()
}

func waitForProcessors(t *testing.T, want int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); runtime.GOMAXPROCS(0) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d processors, want %d", runtime.GOMAXPROCS(0), want)
		}
	}
}
