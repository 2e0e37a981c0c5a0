package wal

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What is kept beside the segments is added to what is there, and is on the disk when Keep returns, or there is an error.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "of", "several", "proxies") // none of which is there
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, text := range []string{"one\n", "two\n"} {
		if err := l.Keep("words", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, "words")); string(got) != "one\ntwo\n" || err != nil {
		t.Errorf("kept %q, %v", got, err)
	}

	fifo := filepath.Join(dir, "fifo") // which takes what is written and cannot be synced
	if err := syscall.Mkfifo(fifo, segmentMode); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := l.Keep("fifo", []byte("three\n")); err == nil {
		t.Error("what could not be synced is said to be kept")
	}
}

// A log cannot be made below a file, and says so.
func TestOpenBelowAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, segmentMode); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "0"), filepath.Join(file, "logs", "0")} {
		if l, err := Open(Options{Dir: dir}); err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", dir)
		}
	}
}
