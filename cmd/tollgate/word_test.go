package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
)

// With the Redis alone a verb does not know where the archive is. What it books
// is done, and it says that the archive has not got it.
func TestWordThatIsNotArchived(t *testing.T) {
	server := redistest.Start(t, redistest.WithAOF("everysec"))
	archive := "sqlite:" + t.TempDir() + "/archive.db"
	foundArchived(t, server.URL(), archive)
	env := []string{"TOLLGATE_REDIS=" + server.URL()}
	const notice = "it is booked, but not archived yet"
	for _, args := range []string{"account create acme", "topup acme 5", "adjust acme -1 --reason x"} {
		if r := runWith(t, env, strings.Fields(args)...); r.exit != exitOK || !strings.Contains(r.stderr, notice) || !strings.Contains(r.stderr, "archive.url") {
			t.Errorf("%s: exit %d, %q", args, r.exit, r.stderr)
		}
	}
	config := writeFile(t, t.TempDir(), "c.yaml", "ledger: {redis: '"+server.URL()+"'}\narchive: {url: '"+archive+"'}\npricing: {currency: CNY}\n")
	for args, with := range map[string][]string{"account show acme": env, "topup acme 5 -c " + config: nil} {
		if r := runWith(t, with, strings.Fields(args)...); r.exit != exitOK || r.stderr != "" {
			t.Errorf("%s: exit %d, %q", args, r.exit, r.stderr)
		}
	}
}

// Whose answer was lost may be booked: without a reference it is not to be said again.
func TestUnsure(t *testing.T) {
	lost := fmt.Errorf("%w: topup: i/o timeout: %w", ledger.ErrUnavailable, ledger.ErrUncertain)
	for _, tt := range []struct {
		err       error
		ref, want string
	}{
		{lost, "", "it may be booked all the same: see `tollgate journal acme` before you repeat it"},
		{lost, "pay-7", "it may be booked all the same: repeat it with the same --ref, which books it once"},
		{ledger.ErrUnavailable, "", "ledger unavailable"},
	} {
		if err := unsure(tt.err, "acme", tt.ref); !strings.HasSuffix(err.Error(), tt.want) || !errors.Is(err, ledger.ErrUnavailable) {
			t.Errorf("%v, want %s", err, tt.want)
		}
	}
}

// What was booked is archived before a verb ends, also if that could not be told.
func TestWordThatCannotBeToldIsArchived(t *testing.T) {
	server := redistest.Start(t)
	archive := "sqlite:" + t.TempDir() + "/archive.db"
	foundArchived(t, server.URL(), archive)
	config := writeFile(t, t.TempDir(), "c.yaml", "ledger: {redis: '"+server.URL()+"'}\narchive: {url: '"+archive+"'}\npricing: {currency: CNY}\n")
	verb := func(args string) (exit int, stderr string) {
		var said bytes.Buffer
		exit = run(t.Context(), append(strings.Fields(args), "-c", config), fullDisk{}, &said, getenv(nil))
		return exit, said.String()
	}
	for _, args := range []string{"account create acme", "topup acme 5"} {
		if exit, said := verb(args); exit != exitFailed || !strings.Contains(said, "no space left on device") {
			t.Errorf("%s: exit %d, %s", args, exit, said)
		}
	}
	server.Flush()
	if r := runWith(t, nil, "rebuild", "-c", config); r.exit != exitOK {
		t.Fatalf("rebuild: exit %d, %s", r.exit, r.stderr)
	}
	if r := runWith(t, nil, "account", "show", "acme", "-c", config); !strings.Contains(strings.Join(strings.Fields(r.stdout), " "), "recharge 5 5 CNY") {
		t.Errorf("after a loss: exit %d, %s%s", r.exit, r.stdout, r.stderr)
	}
}
