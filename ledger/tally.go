package ledger

import "sync/atomic"

// Tally counts what the checks of invariants have found in this process since its start.
// None of it is lost money: it is what an operator should know about.
type Tally struct {
	// Losses is how often Redis turned out to lack what it had acknowledged
	// (SAME-FATE), PutBack how many archived entries were booked there again.
	Losses, PutBack int64
	// Replayed charges came out of the settlement log and not from their calls (NO-LOST).
	Replayed int64
	// Conflicts are ends of a request that contradict the end that is on the books (STICKY, ONCE).
	Conflicts int64
	// Abandoned holds were charged by the sweeper, Released ones given back (RESOLVE);
	// of Expired packs something was free.
	Abandoned, Released, Expired int64
	// Open holds are those that the last sweep left, Kept those of them whose time is over (Options.OnAbandoned: hold).
	Open, Kept int64
}

type tally struct {
	replayed, conflicts, abandoned, released, expired, open, kept atomic.Int64
}

// Tally says what this process has met so far.
func (l *Ledger) Tally() Tally {
	t := &l.tally
	return Tally{
		Losses: l.losses.count.Load(), PutBack: l.recoverer.back.Load(), Replayed: t.replayed.Load(), Conflicts: t.conflicts.Load(),
		Abandoned: t.abandoned.Load(), Released: t.released.Load(), Expired: t.expired.Load(), Open: t.open.Load(), Kept: t.kept.Load(),
	}
}

// swept counts what a round of the sweeper did.
func (t *tally) swept(s *Swept) {
	t.abandoned.Add(int64(s.Abandoned))
	t.released.Add(int64(s.Released))
	t.expired.Add(int64(s.Expired))
	t.open.Store(int64(s.Open))
	t.kept.Store(int64(s.Kept))
}
