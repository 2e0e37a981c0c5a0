package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// ARCHIVE-PREFIX: whichever of the entries that Redis and the archive both have is another there, the first and the last included, the
// audit names it, and no other.
func TestAuditComparesEachEntryWithTheArchive(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.broken = true
	f.account("acme", "10", "5", AccountOptions{})
	f.archiveNow()
	journal := f.ledger.journalKey(0)
	entries, err := rawEntries(0, f.server.Client().Do(f.ctx(), "XRANGE", journal, "-", "+"))
	f.must(err)
	if len(entries) != 3 {
		t.Fatalf("%d entries", len(entries))
	}
	for changed := range entries {
		f.must(f.server.Client().Del(f.ctx(), journal).Err())
		for i, e := range entries {
			fields := slices.Clone(e.Fields)
			if i == changed {
				fields = append(fields, "v", "another reason")
			}
			f.must(f.server.Client().XAdd(f.ctx(), &redis.XAddArgs{Stream: journal, ID: entryID(int64(e.Seq)), Values: fields}).Err())
		}
		report, err := f.ledger.Audit(f.ctx(), "")
		f.must(err)
		named := []string{}
		for _, d := range report.Differences {
			if d.Law == lawArchivePrefix {
				named = append(named, d.What)
			}
		}
		if want := []string{fmt.Sprintf("entry %d-0", changed+1)}; !slices.Equal(named, want) {
			t.Errorf("named are %v, want %v", named, want)
		}
	}
}
