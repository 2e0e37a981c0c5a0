package wal

import (
	"errors"
	"syscall"
)

// syncAndClose returns when the data of a file are on the disk. Its times are not waited for.
func syncAndClose(fd int) error {
	return errors.Join(syscall.Fdatasync(fd), syscall.Close(fd))
}
