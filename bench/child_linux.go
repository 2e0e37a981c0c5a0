package main

import "syscall"

// childAttributes put a child into a process group of its own, so that Ctrl-C
// reaches only us and the children are stopped in order. If we are killed
// nevertheless, the children end too.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
