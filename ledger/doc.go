// Package ledger is the books: accounts, wallets, packs, keys, holds and the
// journal, in Redis. It is the only package that knows Redis.
//
// The story of a request is three calls, each one script and one round trip:
//
//	hold, err := l.Reserve(ctx, reservation)   // everything admission needs, all or nothing
//	err = l.Extend(ctx, checkpoint)            // now and then, while a long answer flows
//	receipt, err := l.Settle(ctx, settlement)  // the charge replaces the hold
//	standing, err := l.Release(ctx, …)         // or the hold comes back: nothing to pay
//
// Calls that come at the same time make one trip: one script call for all of
// them (convoy.go).
//
// What no proxy ends, Sweep ends. The Lua is in lua/: numbers.lua has the
// amounts, trip.lua the unit of work, account.lua wallets and packs, lines.lua
// what is to be paid, pay.lua who pays, hold.lua what is held, use.lua what a
// key may do, charge.lua the booking; each script's head says its keys,
// arguments, answers.
//
// # Files
//
// What the package offers:
//
//	ledger.go, options.go, types.go  opening it; what it takes and returns; arguments.go
//	                      checks arguments before it is open
//	reserve.go, settle.go a call's hold, charge and receipt; logged.go the same by way of
//	                      the settlement log; holds.go the open ones, sweep.go the abandoned
//	object.go             what accounts have made upstream; task.go holds that stand for a task,
//	                      until somebody polls its end
//	accounts.go           accounts and top-ups, state.go: as they are; packs.go, expire.go
//	                      packs; apikeys.go keys
//	adjust.go, refund.go, reprice.go  corrections
//	journal.go, bill.go   entries and months; audit.go with books.go and audit_archive.go:
//	                      do the books balance
//	rebuild.go            an empty Redis filled from the archive; checkarchive.go, server.go:
//	                      what archive and Redis are; tally.go: what went wrong so far
//
// What it says to Redis, and is told:
//
//	shards.go             the ledger as it lies in Redis; keys.go names its keys, position.go
//	                      how far a journal was seen
//	library.go            the Lua as a library; scripts.go calls it, convoy.go and trip.go many
//	                      calls at once, circuit.go none while Redis is away; client.go connects
//	lines.go, record.go, reply.go  what is sent, journaled and answered; ids.go request ids,
//	                      split.go the split policies
//
// What brings back what Redis has lost (docs/architecture.md, Inside the ledger):
//
//	vault.go, archiver.go the archive, and the copying to it; history.go reads both as one
//	recoverer.go, recovery.go, putback.go, aof.go  before a server that came up anew is used
//	settlelog.go, logrecord.go, logdir.go, segments.go  the settlement log
//	replayer.go, replay.go, losses.go  what is in the log is booked again
//
// # Laws
//
// The names are those of the tests, of the audit and of its differences.
//
//   - NONNEG: at admission no wallet, pack or limit goes below zero.
//   - CONSERVE: what is there is what the journal says, to the nano.
//   - SPLIT-SUM, SPLIT-CAP, SPLIT-FAIR: a fee's parts add up, none exceeds its
//     wallet while both can pay, each is within a nano of exact.
//   - EXACT-FEE: lines are priced as meter prices them, and add up to the fee.
//   - HOLD-SUM, HOLD-COVER: held is the sum of the open holds; a pack never
//     holds more than it has.
//   - RESOLVE: every hold ends.
//   - ONCE, STICKY: one charge a request id; a terminal answer never changes,
//     other content under the same id is ErrConflict.
//   - DENSE, CHAIN: journal ids have no gap; each entry's balances follow from
//     the one before.
//   - SAME-FATE: balances, marker and journal entry are written by one script.
//   - BURN-ORDER: packs pay in the order of the rules. QUOTA: a key's limits hold.
//
// # Trust
//
// A server is written to by the functions of one library alone, and what opens
// that library lives in the memory of the server's process (lua/library.lua).
// So one that has come up anew answers NOSCRIPT, and is looked at (verify)
// before it is opened to be written to again. Besides, every script
// compares the ledger's identity and the highest journal id that this process
// has seen with what is there. Whatever does not fit is ErrUnavailable, never
// a refusal.
package ledger
