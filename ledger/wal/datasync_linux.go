package wal

import (
	"errors"
	"syscall"
)

// syncAndClose returns when the data of a file are on the disk. Its times are not waited for.
func syncAndClose(fd int) error {
	return errors.Join(syscall.Fdatasync(fd), syscall.Close(fd))
}

// startWriting has the disk begin to write what of a file is not there yet, and does not wait for it.
func startWriting(fd int) {
	const write = 2                            // SYNC_FILE_RANGE_WRITE, see sync_file_range(2)
	_ = syscall.SyncFileRange(fd, 0, 0, write) // all of it; where the file system cannot, the kernel does so by and by
}
