package ledger

import (
	"strings"
	"testing"
	"time"
)

// The lock of a recovery that died keeps nobody from the next for longer than it was taken for: not when Redis's clock has been
// set back since, and not when it came back with the data of an earlier life.
func TestRecoveryLockOfTheDead(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.archiveNow()
	client := f.server.Client()
	info, err := client.Info(f.ctx(), "server").Result()
	f.must(err)
	_, life, _ := strings.Cut(info, "run_id:")
	life, _, _ = strings.Cut(life, "\r\n")
	for name, lock := range map[string]struct {
		holder string
		left   time.Duration
		held   bool
	}{
		"alive":              {life + " another", recoveryLock, true},
		"clock set back":     {life + " another", 14 * time.Hour, false},
		"of an earlier life": {"0123 another", recoveryLock, false},
	} {
		t.Run(name, func(t *testing.T) {
			f.must(client.Set(f.ctx(), f.ledger.tags[0]+"recovery", lock.holder, lock.left).Err())
			f.must(f.ledger.scripts.close(f.ctx(), client))
			list, err := f.ledger.nodes(f.ctx())
			f.must(err)
			begun, err := (&recovery{recoverer: f.ledger.recoverer, node: list[0]}).try(f.ctx())
			f.must(err)
			if begun == lock.held {
				t.Errorf("begun: %t", begun)
			}
			if there := client.Get(f.ctx(), f.ledger.tags[0]+"recovery").Val(); lock.held != (there == lock.holder) {
				t.Errorf("the lock is %q", there)
			}
		})
	}

	// One that is another's by now is not given back.
	list, err := f.ledger.nodes(f.ctx())
	f.must(err)
	r := &recovery{recoverer: f.ledger.recoverer, node: list[0], lock: f.ledger.tags[0] + "recovery", token: life + " mine"}
	giveBack := r.keepLock(f.ctx())
	f.must(client.Set(f.ctx(), r.lock, life+" another", recoveryLock).Err())
	giveBack()
	if there := client.Get(f.ctx(), r.lock).Val(); there != life+" another" {
		t.Errorf("the lock is %q", there)
	}
	f.withoutLock()
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
}
