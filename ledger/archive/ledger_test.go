package archive

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// An archive is one ledger's for good, and says whose.
func TestArchiveIsOneLedgers(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		if l, err := a.Ledger(t.Context()); err != nil || l != (Ledger{}) {
			t.Errorf("nobody's: %+v, %v", l, err)
		}
		own := Ledger{Identity: "mine", Currency: "CNY", Shards: 4, Format: "1", Created: time.UnixMilli(1_700_000_000_000).UTC()}
		for range 2 {
			if err := a.Claim(t.Context(), own); err != nil {
				t.Fatal(err)
			}
		}
		for what, other := range map[string]Ledger{
			"identity": {Identity: "other", Currency: "CNY", Shards: 4},
			"currency": {Identity: "mine", Currency: "USD", Shards: 4},
			"shards":   {Identity: "mine", Currency: "CNY", Shards: 8},
		} {
			if err := a.Claim(t.Context(), other); !errors.Is(err, ErrOther) {
				t.Errorf("another %s: %v", what, err)
			}
		}
		if l, err := a.Ledger(t.Context()); err != nil || l != own {
			t.Errorf("whose it is: %+v, %v, want %+v", l, err, own)
		}
	})
}

// Heads and single entries are those of the shard that was asked for, whatever else is there.
func TestHeadsAndEntriesAreOfTheirShards(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		mustAppend(t, a, Head{Shard: 3}, run(1, 5))
		for _, n := range []int{3, 4, 5} {
			heads, err := a.Heads(t.Context(), n)
			if err != nil || len(heads) != n {
				t.Fatalf("%d heads of %d: %v", len(heads), n, err)
			}
			for i, h := range heads {
				want := uint64(0)
				if i == 3 {
					want = 5
				}
				if h.Shard != i || h.Seq != want {
					t.Errorf("of %d: head %d is %+v", n, i, h)
				}
			}
		}
		for seq, there := range map[uint64]bool{0: false, 1: true, 5: true, 6: false} {
			if e, err := a.At(t.Context(), 3, seq); err != nil || (e != nil) != there || there && e.Seq != seq {
				t.Errorf("at %d: %+v, %v", seq, e, err)
			}
		}
	})
}

// A file that is gone, or another, is noticed, and so is a database that was put in its place.
func TestExchangedArchiveIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		exchange func(a *Archive, path string) error
		says     error
	}{
		"as it was": {func(*Archive, string) error { return nil }, nil},
		"gone":      {func(_ *Archive, path string) error { return os.Remove(path) }, ErrMissing},
		"another file": {func(_ *Archive, path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		}, ErrMissing},
		"another in the same place": {func(a *Archive, _ string) error {
			_, err := a.db.ExecContext(t.Context(), `UPDATE archive SET identity = 'another'`)
			return err
		}, ErrOther},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "archive.db")
			a := openArchive(t, "sqlite:"+path)
			if err := c.exchange(a, path); err != nil {
				t.Fatal(err)
			}
			if err := a.Refresh(t.Context()); !errors.Is(err, c.says) {
				t.Errorf("Refresh = %v, want %v", err, c.says)
			}
		})
	}
}

// A database without our tables, as a file that has just been made or a PostgreSQL that has just been set up, has no archive: that is
// what who asks is told, and nothing is made there.
func TestEmptyDatabaseHasNoArchive(t *testing.T) {
	stores(t, func(t *testing.T, a *Archive) {
		for _, table := range []string{"entries", "leases", "shards", "ledger", "archive"} {
			if _, err := a.db.ExecContext(t.Context(), "DROP TABLE "+table); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := a.find(t.Context()); !errors.Is(err, ErrMissing) {
				t.Errorf("error %v", err)
			}
		}
	})
}
