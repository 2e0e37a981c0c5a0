package ledger

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// To a server that has been emptied, or is another ledger's by now, a recovery writes nothing: not its lock, not its mark. That is
// looked at before the lock, and once more after it, for what came in between.
func TestRecoveryWritesNothingElsewhere(t *testing.T) {
	for name, become := range map[string]func(f *fixture) error{
		"emptied": func(f *fixture) error { return f.server.Client().FlushAll(f.ctx()).Err() },
		"another's": func(f *fixture) error {
			return f.server.Client().HSet(f.ctx(), f.ledger.metaKey(1), "id", "ledger_another").Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := archived(t, Options{Shards: 2})
			f.broken = true
			f.account("acme", "10", "0", AccountOptions{})
			f.archiveNow()
			f.must(become(f))
			f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
			before := f.dump()
			f.must(f.server.Client().ConfigResetStat(f.ctx()).Err())
			err := f.ledger.recoverer.recoverShard(f.ctx(), 0)
			wants(t, err, ErrUnavailable)
			if advised := strings.Contains(err.Error(), "`tollgate rebuild`"); advised != (name == "emptied") {
				t.Errorf("error %v", err)
			}
			if said := f.server.Client().Info(f.ctx(), "commandstats").Val(); strings.Contains(said, "cmdstat_set:") || strings.Contains(said, "cmdstat_setnx:") {
				t.Errorf("it took the lock: %s", said)
			}
			if !maps.Equal(before, f.dump()) {
				t.Errorf("it has written %q", slices.Sorted(maps.Keys(f.dump())))
			}
			list, err := f.ledger.nodes(f.ctx())
			f.must(err)
			wants(t, (&recovery{recoverer: f.ledger.recoverer, node: list[0]}).begin(f.ctx()), ErrUnavailable)
			if !maps.Equal(before, f.dump()) {
				t.Errorf("with the lock, it has written %q", slices.Sorted(maps.Keys(f.dump())))
			}
		})
	}
}
