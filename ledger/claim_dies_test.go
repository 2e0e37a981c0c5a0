package ledger

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
)

// halfway is a client's hook: of the pipeline that records the archive in all shards, the first command alone is executed.
type halfway struct{ died bool }

func (*halfway) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*halfway) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *halfway) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if first := commands[0].Args(); h.died || first[0] != "hsetnx" || first[2] != metaArchive {
			return next(ctx, commands)
		}
		h.died = true
		_ = next(ctx, commands[:1])
		return errDead
	}
}

// A process that dies while it records the archive in the shards of a ledger that had none is followed by the next start: no shard
// is left without, and so never archived.
func TestClaimDiesHalfway(t *testing.T) {
	f := newFixture(t, Options{Shards: 3})
	f.broken = true // it has no archive to audit by
	address := sqlite(t)
	for id := range 9 {
		f.account("a"+string(rune('0'+id)), "10", "0", AccountOptions{})
	}
	v := &vault{shards: f.ledger.shards, address: address}
	f.ledger.client.AddHook(&halfway{})
	wants(t, v.claim(f.ctx()), ErrUnavailable)
	f.must(v.close())
	l := f.open(Options{Shards: 3, Archive: address})
	l.archiver.round(f.ctx())
	f.must(l.archiver.state.Err)
	a, err := l.vault.archive(f.ctx())
	f.must(err)
	for shard := range f.ledger.tags {
		if head, err := a.Head(f.ctx(), shard); err != nil || int64(head.Seq) != f.shardSeq(shard) {
			t.Errorf("shard %d is archived up to %d of %d, %v", shard, head.Seq, f.shardSeq(shard), err)
		}
	}
}

// A ledger of which a shard has another archive is not given this one.
func TestClaimOfAShardThatIsArchivedElsewhere(t *testing.T) {
	f := newFixture(t, Options{Shards: 2})
	f.must(f.server.Client().HSet(f.ctx(), f.ledger.metaKey(1), metaArchive, "another").Err())
	v := &vault{shards: f.ledger.shards, address: sqlite(t)}
	t.Cleanup(func() { _ = v.close() })
	wants(t, v.claim(f.ctx()), ErrInvalid)
	if there := f.server.Client().HGet(f.ctx(), f.ledger.metaKey(0), metaArchive).Val(); there != "" {
		t.Errorf("shard 0 has recorded %q", there)
	}
}
