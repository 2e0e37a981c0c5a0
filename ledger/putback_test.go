package ledger

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger/archive"
)

// lose takes Redis back to what it was, closed as a server that has come up anew is.
func (f *fixture) lose(since map[string]string) {
	f.Helper()
	f.restore(since)
	f.must(f.ledger.scripts.close(f.ctx(), f.server.Client()))
}

// A charge that is put back ends the hold that its call still has there, in wallets, packs and key.
func TestPutBackEndsTheHold(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 100})
	key := f.key("acme", KeyLimits{})
	hold := f.reserve(key, charge(t, "input 150 0.01"))
	f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, charge(t, "input 20 0.01"))}))
	f.archiveNow()
	there := f.dump()
	f.settle(hold, charge(t, "input 120 0.01"))
	f.archiveNow()
	before := f.books()
	f.lose(there)
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	f.balances("acme", "9.8 0 0")
	f.pack("acme", "p1", 0, 0)
	if use := f.keyUse(key); use.SpendTotal != f.nano("0.2") || use.SpendHeld != 0 || use.Parallel != 0 {
		t.Errorf("use %+v", use)
	}
	if left := f.server.Client().HGetAll(f.ctx(), f.ledger.accountKey(0, "acme")+":holds").Val(); len(left) != 0 {
		t.Errorf("of the hold is left %v", left)
	}
	f.sameBooks(before, f.books())
}

// ARCHIVE-PREFIX: an entry whose balances do not follow from those in Redis is not put back; a person has to look.
func TestPutBackWantsTheBalancesOfTheEntry(t *testing.T) {
	for name, c := range map[string]struct{ hash, field string }{
		"recharge": {"", "recharge"}, "bonus": {"", "bonus"}, "a pack": {":packs", "p1:b"},
	} {
		t.Run(name, func(t *testing.T) {
			f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
			f.broken = true
			f.account("acme", "10", "10", AccountOptions{})
			f.grant(Grant{Account: "acme", Quantity: 100})
			key := f.key("acme", KeyLimits{})
			f.archiveNow()
			there := f.dump()
			f.settle(f.reserve(key, charge(t, "input 120 0.01")), charge(t, "input 120 0.01"))
			f.archiveNow()
			f.lose(there)
			f.must(f.server.Client().HIncrBy(f.ctx(), f.ledger.accountKey(0, "acme")+c.hash, c.field, 1).Err())
			err := f.ledger.recoverer.recoverShard(f.ctx(), 0)
			wants(t, err, errDisagree)
			f.says(err, ErrUnavailable, "would leave "+c.field)
		})
	}
}

// What an operator has said of an account is put back as it was left, and not as it was at some time.
func TestPutBackOfWhatAnAccountMay(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	f.archiveNow()
	there := f.dump()
	overdraft := f.nano("5")
	_, err := f.ledger.SetAccount(f.ctx(), "acme", AccountChange{Split: ptr(BonusFirst), Overdraft: &overdraft})
	f.must(err)
	f.must(f.ledger.SuspendAccount(f.ctx(), "acme", "pause"))
	f.account("bolt", "1", "0", AccountOptions{Split: Equal})
	for _, do := range []func(context.Context, string, string) error{f.ledger.SuspendAccount, f.ledger.ResumeAccount} {
		f.must(do(f.ctx(), "bolt", "x"))
	}
	f.archiveNow()
	before := f.books()
	f.lose(there)
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	f.sameBooks(before, f.books())
	if no := f.refused(key, charge(t, "input 1 1")); no.Reason != AccountSuspended {
		t.Errorf("refused as %s", no.Reason)
	}
	f.must(f.ledger.ResumeAccount(f.ctx(), "acme", "go on"))
	f.reserve(key, charge(t, "input 14 1"))
}

// An archive that a later version has written may have entries of which this one does not know what they booked.
func TestPutBackOfAnUnknownType(t *testing.T) {
	f := archived(t, Options{Shards: 1})
	e := &archive.Entry{Seq: 7, Fields: []string{"t", "gift", "m", "1", "a", "acme"}}
	if _, _, err := f.ledger.recoverer.putBackCall(1, []*archive.Entry{e}); err == nil || !strings.Contains(err.Error(), `entry 7-0 of shard 0: its type "gift" is not known here`) {
		t.Errorf("error %v", err)
	}
}

// A task's call is not in flight any more: its charge that is put back does not count it out again.
func TestPutBackOfATasksCharge(t *testing.T) {
	f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{Parallel: 1})
	h := f.reserve(key, cost(t, "2"))
	f.park(h, "task-1", cost(t, "1"))
	f.archiveNow()
	there := f.dump()
	f.settle(h, cost(t, "1.5"))
	f.archiveNow()
	before := f.books()
	f.lose(there)
	f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
	f.sameBooks(before, f.books())
	if use := f.keyUse(key); use.Parallel != 0 {
		t.Errorf("%d in flight", use.Parallel)
	}
}
