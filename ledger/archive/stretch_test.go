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
	whole := Query{Account: "acme", UntilSeq: 3 * stretch}
	one := Query{RequestID: "r", Types: []string{"charge"}, UntilSeq: 3 * stretch}
	if whole.endOfPart(0) != whole.UntilSeq || one.endOfPart(0) != one.UntilSeq {
		t.Error("what an index finds at once is asked for in parts")
	}
}
