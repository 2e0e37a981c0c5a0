package socket

import "golang.org/x/sys/unix"

// hasEnded reports whether the other side of a TCP connection has said its last,
// read or not.
func hasEnded(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && (info.State == unix.BPF_TCP_CLOSE || info.State == unix.BPF_TCP_CLOSE_WAIT)
}
