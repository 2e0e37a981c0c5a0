package archive

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/pgtest"
)

// A server that takes what it is sent and says nothing, as one that stands still does.
func TestSilentPostgresIsGivenUp(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	a, err := dialPostgres("postgres://tollgate@"+server.Addr().String()+"/tollgate?sslmode=disable", 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if _, err := a.Head(t.Context(), 3); !errors.Is(err, ErrArchive) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A network that swallows what is sent does not take a connection, either, and does not refuse it.
func TestUnansweredDialIsGivenUp(t *testing.T) {
	dial := patiently(func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}, time.Millisecond)
	if _, err := dial(context.Background(), "tcp", "server"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// One who archives a shard and goes no further keeps it from others, but not for ever.
func TestShardThatIsKeptIsGivenUp(t *testing.T) {
	address := pgtest.Start(t)
	keeper := openArchive(t, address)
	keep, err := keeper.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keep.Rollback() }()
	if _, err := keep.ExecContext(t.Context(), `SELECT pg_advisory_xact_lock($1)`, advisoryLock+3); err != nil {
		t.Fatal(err)
	}
	other, err := dialPostgres(address, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Append(t.Context(), Head{Shard: 3}, run(1, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A machine that has lost its power in the midst of archiving says nothing of it to
// PostgreSQL, which is to give the shard to others all the same.
func TestShardOfADeadMachineIsFreed(t *testing.T) {
	address := pgtest.Start(t)
	dead, alive := openArchive(t, address), openArchive(t, address)
	dead.idle = "50ms"
	err := dead.transact(t.Context(), []int{3}, func(*sql.Tx) error {
		mustAppend(t, alive, Head{Shard: 3}, run(1, 1))
		return nil
	})
	if err == nil {
		t.Error("its transaction was committed")
	}
}

// A database may be set to acknowledge what it has not written down yet, and to lose it when it crashes.
func TestPostgresKeepsWhatItAcknowledged(t *testing.T) {
	address := pgtest.Start(t)
	for set, want := range map[string]string{"off": "on", "on": "on", "local": "local", "remote_apply": "remote_apply"} {
		a := openArchive(t, address+"&synchronous_commit="+set)
		var got string
		err := a.transact(t.Context(), []int{3}, func(tx *sql.Tx) error {
			return tx.QueryRowContext(t.Context(), `SHOW synchronous_commit`).Scan(&got)
		})
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %s", set, got, err, want)
		}
	}
}

// The driver ends a wait by a deadline in the past: that is not put off.
func TestPatienceEndsWithTheContext(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	conn, err := patiently(func(context.Context, string, string) (net.Conn, error) { return near, nil }, time.Hour)(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
