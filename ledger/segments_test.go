package ledger

import (
	"testing"
	"time"
)

// A segment waits for the highest id under which anything in it was booked, in whatever order that is learned.
func TestSegmentWaitsForTheHighestId(t *testing.T) {
	now := time.Now()
	for _, ids := range [][]int64{{5, 7}, {7, 5}} {
		s := make(segments)
		s.wrote(1, now.Add(-time.Hour))
		for _, id := range ids {
			s.booked(1, 0, id)
		}
		s.booked(1, 1, 2)
		for upTo, want := range map[int64]bool{6: false, 7: true} {
			if got := s[1].outlived(now, false, func(int) int64 { return upTo }); got != want {
				t.Errorf("booked under %d, archived up to %d: %t", ids, upTo, got)
			}
		}
	}
}
