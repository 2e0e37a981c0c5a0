package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A sweep shows how cost grows with one thing.
type sweep struct {
	name  string
	about string
	per   string // what cost is counted by
	flat  bool   // cost must not grow
	// bare says that the bare ReverseProxy is measured beside.
	bare   bool
	points []int
	// stage prepares a point: the load, and the books that it is put on.
	stage func(ctx context.Context, s *setup, h *house, x int) (*stage, error)
}

// A stage is one point of a sweep, made ready.
type stage struct {
	load    load
	books   *books
	proxies int                         // processes of Tollgate on the one ledger; 0 is 1
	check   func(context.Context) error // that the point is still what it says, if set
}

// sweeps is the table of what may grow. A new question is a new row.
func sweeps() []sweep {
	return []sweep{
		{
			name: "accounts", about: "accounts of the ledger, paying in turn", per: "request", flat: true,
			points: []int{1, 10, 100, 1000, 10000}, stage: stageAccounts,
		},
		{
			name: "keys", about: "keys of the account, used in turn", per: "request", flat: true,
			points: []int{1, 10, 100, 1000}, stage: stageKeys,
		},
		{
			name: "packs", about: "packs of the account, the first of which pays", per: "request",
			points: []int{0, 1, 5, 10, 20}, stage: stagePacks,
		},
		{
			name: "holds", about: "open holds of other accounts", per: "request", flat: true,
			points: []int{0, 100, 1000, 4000}, stage: stageHolds,
		},
		{
			name: "journal", about: "entries in the account's journal", per: "request", flat: true,
			points: []int{1000, 10000, 100000}, stage: stageJournal,
		},
		{
			name: "proxies", about: "processes of Tollgate on one ledger", per: "request",
			points: []int{1, 2, 4}, stage: stageProxies,
		},
		{
			name: "masters", about: "masters of a Redis Cluster, 32 accounts", per: "request",
			points: []int{1, 3, 5}, stage: stageMasters,
		},
		{
			name: "answer", about: "bytes of a JSON answer", per: "request", bare: true,
			points: answerSizes(), stage: stageAnswer,
		},
		{
			name: "streams", about: "concurrent streams, a chunk every 50 ms", per: "stream", bare: true,
			points: []int{100, 300, 1000, 2000}, stage: stageStreams,
		},
	}
}

func answerSizes() []int { return []int{1_000, 10_000, 100_000, 1_000_000, 5_000_000} }

// growthLoads are those that only sweeps use. The simulated upstream must know them.
func growthLoads() (loads []load) {
	for _, size := range answerSizes() {
		loads = append(loads, answerOf(size))
	}
	return append(loads, hanging())
}

func answerOf(size int) load {
	l := chatAnswering(fmt.Sprintf("answer%d", size), "", "Tell me a story.", prose(size))
	if size >= 1_000_000 {
		l.connections = 8
	}
	return l
}

// hanging is never answered: its head comes at once, and the rest in an hour.
func hanging() load {
	l := stream("hanging", "", 1)
	l.every = time.Hour
	return l
}

func small() load { return allLoads()[0] }

func stageAccounts(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	return s.newStage(ctx, h, small(), func(b *books) ([]string, error) { return b.crowd(ctx, x) })
}

func stagePacks(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	return s.newStage(ctx, h, small(), func(b *books) ([]string, error) { return b.one(ctx, "packed", x) })
}

func stageKeys(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	return s.newStage(ctx, h, small(), func(b *books) ([]string, error) { return b.oneWithKeys(ctx, "keyed-account", x) })
}

// stageHolds has a proxy take many calls that are never answered, and kills
// it: their holds stand until their time is over.
func stageHolds(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	st, err := s.newStage(ctx, h, small(), func(b *books) ([]string, error) { return b.one(ctx, "hot", 0) })
	if err != nil || x == 0 {
		return st, err
	}
	const holders = 100
	if st.books.keys[manyAccounts], err = st.books.crowd(ctx, holders); err != nil {
		return nil, err
	}
	st.check = func(ctx context.Context) error { return st.books.stillHeld(ctx, "crowd-00001") }
	return st, s.abandon(ctx, st.books, x)
}

// stageJournal makes as many calls as the journal shall have entries.
func stageJournal(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	st, err := s.newStage(ctx, h, small(), func(b *books) ([]string, error) { return b.one(ctx, "hot", 0) })
	if err != nil {
		return nil, err
	}
	passing := &house{}
	defer passing.stop()
	r, err := s.startTollgate(ctx, passing, st.books)
	if err != nil {
		return nil, err
	}
	shot, err := st.load.at(r.bases, r.keys(&st.load)...)
	for made := 0; err == nil && made < x; {
		var got *sample
		// A few at a time, so that a short journal is short.
		if got, err = closedLoop(ctx, shot, min(64, 1+x/1000), 100*time.Millisecond); err == nil {
			made += got.requests
		}
	}
	return st, err
}

func stageProxies(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	st, err := s.newStage(ctx, h, small(), func(b *books) ([]string, error) { return b.crowd(ctx, 1000) })
	if err == nil {
		st.proxies = x
	}
	return st, err
}

func stageMasters(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	b, err := s.openClusterBooks(ctx, h, x)
	if err != nil {
		return nil, err
	}
	const accounts = 32
	for i := range accounts {
		keys, err := b.one(ctx, fmt.Sprintf("spread-%02d", i), 0)
		if err != nil {
			return nil, err
		}
		b.keys[hotAccount] = append(b.keys[hotAccount], keys...)
	}
	return &stage{load: small(), books: b}, nil
}

func stageAnswer(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	return s.newStage(ctx, h, answerOf(x), func(b *books) ([]string, error) { return b.one(ctx, "hot", 0) })
}

func stageStreams(ctx context.Context, s *setup, h *house, x int) (*stage, error) {
	loads := allLoads()
	l := loads[indexOf(loads, "slow1000")]
	l.connections = x
	return s.newStage(ctx, h, l, func(b *books) ([]string, error) { return b.one(ctx, "hot", 0) })
}

// newStage opens books and makes the keys that pay.
func (s *setup) newStage(ctx context.Context, h *house, l load, pay func(*books) ([]string, error)) (*stage, error) {
	b, err := s.openBooks(ctx, h)
	if err != nil {
		return nil, err
	}
	b.keys[hotAccount], err = pay(b)
	return &stage{load: l, books: b}, err
}

// oneWithKeys makes one account with n keys.
func (b *books) oneWithKeys(ctx context.Context, account string, n int) ([]string, error) {
	secrets, err := b.one(ctx, account, 0)
	if err != nil || n == 1 {
		return secrets, err
	}
	rec, err := b.record(ctx, account, func() (string, error) { return b.operator.makeKey(ctx, account) })
	if err != nil {
		return nil, err
	}
	secrets = append(secrets, rec.secret)
	for i := 2; i < n; i++ {
		secret, err := b.repeat(ctx, rec, account, i)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// abandon leaves n holds behind.
func (s *setup) abandon(ctx context.Context, b *books, n int) error {
	passing := &house{}
	defer passing.stop()
	r, err := s.startTollgate(ctx, passing, b)
	if err != nil {
		return err
	}
	l := hanging()
	shot, err := l.at(r.bases, b.keys[manyAccounts]...)
	if err != nil {
		return err
	}
	clients, err := dialAll(ctx, shot.addresses, n)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	const atOnce = 100
	nth := 0
	for some := range slices.Chunk(clients, atOnce) {
		if err := leaveOpen(some, shot, &nth); err != nil {
			return err
		}
	}
	passing.processes[0].stop(syscall.SIGKILL)
	return nil
}

// leaveOpen sends a call over each connection, and waits for the head of the
// stream: then its hold has been placed.
func leaveOpen(clients []*client, s *shot, nth *int) error {
	for _, c := range clients {
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := c.conn.Write(s.wires[*nth%len(s.wires)]); err != nil {
			return err
		}
		*nth++
	}
	for _, c := range clients {
		status, _, err := c.readHead()
		if err != nil {
			return err
		}
		if status != 200 {
			return fmt.Errorf("a call that was to be left open: status %d", status)
		}
	}
	return nil
}

// stillHeld fails when what was abandoned has been given back meanwhile.
func (b *books) stillHeld(ctx context.Context, account string) error {
	out, err := b.operator.run(ctx, "account", "show", account)
	if err == nil && strings.Contains(string(out), `"held":"0"`) {
		err = errors.New("the open holds are gone")
	}
	return err
}

// chooseSweeps finds sweeps by name.
func chooseSweeps(list string) ([]sweep, error) {
	all := sweeps()
	if list == "all" {
		return all, nil
	}
	var chosen []sweep
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(w sweep) bool { return w.name == name })
		if i < 0 {
			return nil, fmt.Errorf("nothing grows by the name of %q (all, or of %s)", name, strings.Join(sweepNames(), ","))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func sweepNames() (names []string) {
	for _, w := range sweeps() {
		names = append(names, w.name)
	}
	return names
}
