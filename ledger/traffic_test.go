package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tollgate/tollgate/meter"
)

// traffic books at random, every type of entry there is. Errors of the ledger
// being away end a step, and nothing else.
type traffic struct {
	*fixture
	random   *rand.Rand
	accounts []string
	keys     []Credential
	holds    []*Hold
	charged  []settled
	// acknowledged are the charges that a client may have been told of, by request id.
	acknowledged map[string]meter.Nano
	steps        int
}

type settled struct{ account, request string }

func (f *fixture) traffic(seed uint64, accounts ...string) *traffic {
	f.Helper()
	t := &traffic{fixture: f, random: rand.New(rand.NewPCG(seed, 7)), accounts: accounts, acknowledged: make(map[string]meter.Nano)}
	for i, id := range accounts {
		f.account(id, "100", "20", AccountOptions{Split: []Split{Proportional, Equal, BonusFirst}[i%3], Overdraft: meter.Nano(i) * 1e9})
		f.grant(Grant{Account: id, Quantity: 5000, Models: []string{"glm-*"}, Ref: "first"})
		expires := time.Now().Add(300 * time.Hour)
		t.keys = append(t.keys,
			f.key(id, KeyLimits{SpendDaily: 1e12, SpendTotal: 1e13, ExpiresAt: &expires, Networks: []string{"10.0.0.0/8"}}),
			f.key(id, KeyLimits{Models: []string{"glm-4", "x*"}, RPM: 1e6, TPM: 1e9, Parallel: 1000, Tokens: 1e9, ReceiptInBody: true}))
	}
	return t
}

func (t *traffic) run(steps int) {
	for range steps {
		t.steps++
		t.step()
	}
}

func (t *traffic) step() {
	t.Helper()
	id := t.accounts[t.random.IntN(len(t.accounts))]
	switch n := t.random.IntN(42); {
	case n < 14:
		t.reserveSome()
	case n < 28:
		t.end(t.random.IntN(8) == 0)
	case n < 31:
		_, err := t.ledger.TopUp(t.ctx(), Topup{Account: id, Amount: meter.Nano(1 + t.random.Int64N(1e10)), Wallet: t.wallet(), Ref: t.ref()})
		t.fine(err)
	case n < 33:
		expires := time.Now().Add(time.Duration(100+t.random.IntN(1000)) * time.Hour)
		g := Grant{Account: id, Quantity: 1 + t.random.Int64N(3000), Priority: t.random.Int64N(3), ExpiresAt: &expires, Ref: t.ref()}
		if t.random.IntN(2) == 0 {
			g.Order, g.Unit, g.ExpiresAt, g.Models = AfterBalance, "call", nil, []string{"glm-4", "other*"}
		}
		_, err := t.ledger.GrantPack(t.ctx(), g)
		t.fine(err)
	case n < 34:
		_, err := t.ledger.RevokePack(t.ctx(), id, fmt.Sprintf("p%d", 2+t.random.IntN(4)), "why not")
		t.fine(err)
	case n < 36:
		t.refundSome()
	case n < 37:
		_, err := t.ledger.Adjust(t.ctx(), Adjustment{Account: id, Amount: meter.Nano(t.random.Int64N(2e8) - 1e8 + 1), Wallet: t.wallet(), Reason: "count", Ref: t.ref()})
		t.fine(err)
	case n < 38:
		overdraft := meter.Nano(t.random.Int64N(5)) * 1e9
		_, err := t.ledger.SetAccount(t.ctx(), id, AccountChange{Overdraft: &overdraft})
		t.fine(err)
	case n < 40:
		t.repriceSome()
	case n < 41:
		t.fine(t.ledger.SuspendAccount(t.ctx(), id, "pause"))
		t.fine(t.ledger.ResumeAccount(t.ctx(), id, "go on"))
	default:
		k, _, err := t.ledger.CreateKey(t.ctx(), id, NewKey{Name: "short-lived", Limits: KeyLimits{Endpoints: []string{"chat"}}})
		if t.fine(err) {
			t.fine(t.ledger.RevokeKey(t.ctx(), id, k.ID))
		}
	}
}

func (t *traffic) wallet() Wallet { return []Wallet{Recharge, Bonus}[t.random.IntN(2)] }

func (t *traffic) ref() string {
	if t.random.IntN(2) == 0 {
		return ""
	}
	return fmt.Sprintf("ref-%d", t.steps)
}

// fine reports whether a step was taken; one that the ledger refused, or could not take, is not.
func (t *traffic) fine(err error) bool {
	t.Helper()
	var no *Refusal
	if err != nil && !errors.As(err, &no) && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	return err == nil
}

func (t *traffic) reserveSome() {
	quote := charge(t, fmt.Sprintf("input %d 2/1M", 1+t.random.IntN(500)), fmt.Sprintf("output %d 0.0031", 1+t.random.IntN(300)), "call 1 0.001")
	r := t.reservation(t.keys[t.random.IntN(len(t.keys))], quote)
	r.Client = mustAddress("10.1.2.3")
	h, err := t.ledger.Reserve(t.ctx(), r)
	if t.fine(err) {
		t.holds = append(t.holds, h)
	}
}

// end settles or releases one of the open calls, some with a checkpoint before, some by the sweeper.
func (t *traffic) end(release bool) {
	if len(t.holds) == 0 {
		return
	}
	at := t.random.IntN(len(t.holds))
	h := t.holds[at]
	t.holds = slices.Delete(t.holds, at, at+1)
	if release {
		_, err := t.ledger.Release(t.ctx(), h.Account, h.ID)
		t.fine(err)
		return
	}
	used := charge(t, fmt.Sprintf("input %d 2/1M", 1+t.random.IntN(500)), fmt.Sprintf("output %d 0.0031", 1+t.random.IntN(350)), "call 1 0.001")
	if t.random.IntN(6) == 0 {
		t.fine(t.ledger.Extend(t.ctx(), Checkpoint{settlement(h, used)}))
		idMS, err := idMillis(h.ID)
		t.must(err)
		if _, err := t.ledger.runSweep(t.ctx(), t.ledger.shardOf(h.Account), h.Account, h.ID, idMS, abandonment{charge: true, dead: true}); !t.fine(err) || t.random.IntN(2) == 0 {
			return
		}
	}
	r, err := t.ledger.Settle(t.ctx(), settlement(h, used))
	if t.fine(err) {
		t.charged = append(t.charged, settled{h.Account, h.ID})
		t.acknowledged[h.ID] = r.FeeDue()
	}
}

func (t *traffic) refundSome() {
	if len(t.charged) == 0 {
		return
	}
	c := t.charged[t.random.IntN(len(t.charged))]
	r := Refund{Account: c.account, RequestID: c.request, Reason: "sorry", Ref: t.ref()}
	if t.random.IntN(2) == 0 {
		amount := meter.Nano(1 + t.random.Int64N(1e8))
		r.Amount = &amount
	}
	_, err := t.ledger.Refund(t.ctx(), r)
	t.fine(err)
}

// repriceSome doubles, halves or lets go one of the rates of one charge.
func (t *traffic) repriceSome() {
	if len(t.charged) == 0 {
		return
	}
	c := t.charged[t.random.IntN(len(t.charged))]
	rate := []string{"0", "0.00155", "0.0062", "0.0031"}[t.random.IntN(4)]
	_, err := t.ledger.Reprice(t.ctx(), Repricing{Account: c.account, Reason: "the price was wrong"}, func(e *Entry) (meter.Charge, error) {
		price := sameAs(e)
		if e.RequestID != c.request {
			return price, nil
		}
		price.Fee = 0
		for i := range price.Lines {
			line := &price.Lines[i]
			if line.Dimension == meter.Output {
				t.must(line.Rate.UnmarshalText([]byte(rate)))
				line.Amount, _ = line.Rate.Amount(line.Quantity)
			}
			price.Fee += line.Amount
		}
		return price, nil
	}, func(*Repriced) {})
	t.fine(err)
}

// finish ends all calls.
func (t *traffic) finish() {
	for len(t.holds) > 0 {
		t.end(t.random.IntN(3) == 0)
	}
}

// books is all that Redis has of the ledger, but for what comes and goes by
// itself: holds, the scope cache, rate buckets, how far archiving is. A counter
// at 0 may be missing.
func (f *fixture) books() map[string]string {
	f.Helper()
	ctx, all := f.ctx(), make(map[string]string)
	keys, err := f.server.Client().Keys(ctx, "{tg*}:*").Result()
	f.must(err)
	for _, key := range keys {
		_, name, _ := strings.Cut(key, ":")
		kind, err := f.server.Client().Type(ctx, key).Result()
		f.must(err)
		switch {
		case name == "due" || name == "meta" || name == "recovery" || strings.HasSuffix(name, ":scope") || strings.HasSuffix(name, ":holds"):
		case kind == "hash":
			fields, err := f.server.Client().HGetAll(ctx, key).Result()
			f.must(err)
			for field, value := range fields {
				if unstable := strings.HasSuffix(field, ":rb") || strings.HasSuffix(field, ":tb"); !unstable && value != "0" && value != "r" && !strings.HasPrefix(value, "x ") {
					all[key+" "+field] = value
				}
			}
		case kind == "set":
			members, err := f.server.Client().SMembers(ctx, key).Result()
			f.must(err)
			slices.Sort(members)
			all[key] = fmt.Sprint(members)
		case kind == "zset":
			members, err := f.server.Client().ZRangeWithScores(ctx, key, 0, -1).Result()
			f.must(err)
			all[key] = fmt.Sprint(members)
		}
	}
	return all
}

// sameBooks compares, and tells what differs.
func (f *fixture) sameBooks(before, after map[string]string) {
	f.Helper()
	for key, value := range before {
		if after[key] != value {
			f.Errorf("%s was %q, is %q", key, value, after[key])
		}
	}
	for key, value := range after {
		if _, there := before[key]; !there {
			f.Errorf("%s was not there, is %q", key, value)
		}
	}
}

// journals is every entry of every shard, as JSON, by its place.
func (f *fixture) journals(l *Ledger) map[string]string {
	f.Helper()
	all := make(map[string]string)
	f.must(l.Journal(f.ctx(), "", JournalQuery{}, func(e *Entry) error {
		all[fmt.Sprintf("%d/%s", e.Shard, e.ID)] = entryText(f, e)
		return nil
	}))
	return all
}

// shardSeq is a shard's head as Redis has it.
func (f *fixture) shardSeq(shard int) int64 {
	f.Helper()
	seq, err := f.server.Client().HGet(f.ctx(), f.ledger.metaKey(shard), "seq").Int64()
	if err != nil && !errors.Is(err, redis.Nil) {
		f.Fatal(err)
	}
	return seq
}
