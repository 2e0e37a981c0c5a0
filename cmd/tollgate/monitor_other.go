//go:build !linux

package main

import "context"

// calmMonitor does nothing: only Linux lets a goroutine sleep unknown to its scheduler.
func (*program) calmMonitor(context.Context, func() bool) {}
