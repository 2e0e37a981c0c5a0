// Package pgtest starts a real PostgreSQL for a test, with Debian's packaging
// or whatever is on the PATH.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

const startTimeout = 30 * time.Second

// Start starts a server of this test's own on 127.0.0.1 and returns the URL of
// an empty database. It is stopped when the test ends. Without PostgreSQL on
// the machine the test is skipped, with the line to type.
func Start(t testing.TB) string {
	t.Helper()
	initdb, server := find("initdb"), find("postgres")
	if initdb == "" || server == "" {
		t.Skip("PostgreSQL is missing, so the archive is tested on SQLite alone: sudo apt-get install -y postgresql")
	}
	as, err := credential()
	if err != nil {
		t.Skip("PostgreSQL does not run as root, and there is no user postgres to run it as: " + err.Error())
	}
	// Not the test's own directory: that is closed to other users.
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	create := command(as, initdb, "-D", data, "-U", "tollgate", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	create.Dir = dir
	if output, err := create.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	run := command(as, server, "-D", data, "-p", strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="+dir, "-c", "fsync=off")
	run.Dir, run.Stdout, run.Stderr = dir, &output, &output
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Signal(syscall.SIGQUIT) // at once
		_ = run.Wait()                          // its exit status tells nothing after a signal
	})
	url := fmt.Sprintf("postgres://tollgate@127.0.0.1:%d/postgres?sslmode=disable", port)
	if err := await(t.Context(), url); err != nil {
		t.Fatalf("postgres does not answer: %v", err)
	}
	return url
}

// find looks where Debian puts the server's programs, newest first, and then on the PATH.
func find(program string) string {
	list, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if err == nil && len(list) > 0 {
		slices.Sort(list)
		return list[len(list)-1]
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return ""
	}
	return path
}

// credential is the user postgres for root, and nil for everybody else.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func command(as *syscall.Credential, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return c
}

func await(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}
