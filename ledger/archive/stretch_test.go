package archive

import (
	"path/filepath"
	"slices"
	"testing"
)

// The few entries of some types are found however far apart they are, and no
// question of them goes through more than a stretch.
func TestEntriesOfSomeTypesAreLookedForInParts(t *testing.T) {
	a := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
	want := []uint64{1, stretch, stretch + 1, 3*stretch + 7}
	for _, seq := range want {
		_, err := a.db.ExecContext(t.Context(), `INSERT INTO entries VALUES (3, $1, 1, 'topup', 'acme', '', '', '[]', '')`, int64(seq))
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.db.ExecContext(t.Context(), `INSERT INTO entries VALUES (3, 2, 1, 'charge', 'acme', '', '', '[]', '')`); err != nil {
		t.Fatal(err)
	}
	for _, until := range want {
		var got []uint64
		q := Query{Shard: 3, Account: "acme", Types: []string{"topup"}, UntilSeq: until}
		err := a.Entries(t.Context(), q, func(e *Entry) error {
			got = append(got, e.Seq)
			return nil
		})
		if err != nil || !slices.Equal(got, want[:slices.Index(want, until)+1]) {
			t.Errorf("until %d: %v, %v", until, got, err)
		}
		for after := uint64(0); after < until; after = q.endOfPart(after) {
			if end := q.endOfPart(after); end <= after || end > after+stretch {
				t.Fatalf("a question goes from %d to %d", after, end)
			}
		}
	}
}

// No question leaves PostgreSQL more to sort than a page of it is worth.
func TestAQuestionIsBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		q    Query
		want uint64
	}{
		{"all", Query{}, pageSize},
		{"an account's", Query{Account: "acme"}, stretch},
		{"of some types", Query{Types: []string{"charge"}}, stretch},
		{"of a request", Query{RequestID: "r", Account: "acme", Types: []string{"charge"}}, 3 * stretch},
	} {
		c.q.UntilSeq = 3 * stretch
		if got := c.q.endOfPart(0); got != c.want {
			t.Errorf("%s: up to %d, want %d", c.name, got, c.want)
		}
	}
}

// What is missing in the middle does not end a walk, nor is it gone through page by page.
func TestEntriesBeyondAHole(t *testing.T) {
	a := openArchive(t, "sqlite:"+filepath.Join(t.TempDir(), "archive.db"))
	var want []uint64
	add := func(seq uint64) {
		t.Helper()
		want = append(want, seq)
		if _, err := a.db.ExecContext(t.Context(), `INSERT INTO entries VALUES (3, $1, 1, 'topup', 'acme', '', '', '[]', '')`, int64(seq)); err != nil {
			t.Fatal(err)
		}
	}
	for seq := uint64(1); seq < pageSize+pageSize/2; seq++ {
		add(seq)
	}
	const far = 1 << 60
	for seq := uint64(far); seq < far+2*pageSize; seq++ {
		add(seq)
	}
	var got []uint64
	err := a.Entries(t.Context(), Query{Shard: 3, UntilSeq: 1 << 62}, func(e *Entry) error {
		got = append(got, e.Seq)
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d entries, want %d; %v", len(got), len(want), err)
	}
}
