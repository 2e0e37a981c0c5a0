package ledger

import (
	"context"
	"testing"
)

// Whoever waits for another to archive waits no longer than it likes: an archive that hangs must not make them queue.
func TestArchiveWordWaitsForItsTurnNoLongerThanItLikes(t *testing.T) {
	f := newFixture(t, Options{Shards: 1, Archive: sqlite(t)})
	f.account("acme", "10", "0", AccountOptions{})
	turn := f.ledger.archiver.words[0].turn
	turn <- struct{}{} // another, whose archive hangs
	ctx, cancel := context.WithCancel(f.ctx())
	cancel()
	wants(t, f.ledger.ArchiveWord(ctx), ErrUnavailable)
	<-turn
	f.must(f.ledger.ArchiveWord(f.ctx()))
}
