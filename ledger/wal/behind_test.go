package wal

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stride is a record of as much as the disk may be behind.
var stride = strings.Repeat("x", behind)

// The disk is told to write what nobody waits for, and nobody waits for it; while it is told it is not told again.
func TestDiskIsNotLeftBehind(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	told, goOn := make(chan uint64), make(chan struct{})
	l.tell = func(fd int) {
		told <- inode(t, fd)
		<-goOn
		startWriting(fd)
	}
	appendAll(t, l, stride[:behind/2], "little")
	if l.isTelling() {
		t.Error("it is told of little")
	}
	current := inode(t, int(l.current.Fd()))
	appendAll(t, l, stride)
	if got := <-told; got != current {
		t.Errorf("it is told of file %d, want %d", got, current)
	}
	appendAll(t, l, stride, stride) // nobody waits
	if err := l.Rotate(); err != nil {
		t.Fatal(err)
	}
	goOn <- struct{}{}
	for done := false; !done; {
		appendAll(t, l, "more") // of what has been written meanwhile it is told with the next record
		select {
		case got := <-told:
			if current := inode(t, int(l.current.Fd())); got != current {
				t.Errorf("it is told of file %d, want %d", got, current)
			}
			done = true
		default:
		}
	}
	goOn <- struct{}{}
	for l.isTelling() {
		time.Sleep(time.Millisecond)
	}
	if appendAll(t, l, "little"); l.isTelling() {
		t.Error("it is told of little, after much")
	}
}

func (l *Log) isTelling() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.telling
}

func inode(t *testing.T, fd int) uint64 {
	t.Helper()
	var s syscall.Stat_t
	if err := syscall.Fstat(fd, &s); err != nil {
		t.Error(os.NewSyscallError("fstat", err))
	}
	return s.Ino
}
