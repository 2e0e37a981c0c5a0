package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// failSyncs lets every fsync of the log fail from now on: a FIFO, which cannot be synced, takes the place of its segment.
func failSyncs(t *testing.T, l *Ledger) {
	t.Helper()
	path := filepath.Join(l.log.dir, "000000000001.log")
	descriptor := -1
	const descriptors = "/proc/self/fd"
	open, err := os.ReadDir(descriptors)
	if err != nil {
		t.Skip(err)
	}
	for _, e := range open {
		if target, _ := os.Readlink(filepath.Join(descriptors, e.Name())); target == path {
			descriptor = int(parseInt(t, e.Name()))
		}
	}
	if descriptor < 0 {
		t.Fatalf("%s is not open", path)
	}
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	fifo, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fifo.Close() })
	if err := syscall.Dup3(int(fifo.Fd()), descriptor, syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
}
