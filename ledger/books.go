package ledger

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/tollgate/tollgate/meter"
)

// books is what the journal says of an account.
type books struct {
	created   int64 // ms
	status    string
	split     string
	overdraft string
	wallets   map[Wallet]*flow
	packs     map[string]*packBooks
	keys      map[string]*keyBooks
	charges   map[uint64]int64       // seq of the last charge of each request, by a hash of its id: they are many, over the years
	returned  map[int64]*chargeBooks // by seq, those of them of which something has been given back
	refunds   map[string]string      // what lua/refund.lua remembers, by seq of the charge
	told      map[string]bool        // what has been reported as CHAIN
}

func newBooks() *books {
	return &books{
		wallets: map[Wallet]*flow{Recharge: new(flow), Bonus: new(flow)},
		packs:   make(map[string]*packBooks), keys: make(map[string]*keyBooks),
		charges: make(map[uint64]int64), returned: make(map[int64]*chargeBooks), refunds: make(map[string]string), told: make(map[string]bool),
	}
}

// A flow is what became of a wallet, in nano, or a pack, in its units:
// granted = left + charged + expired + withdrawn, and left = free + held.
// Over the years that may be more than an int64 holds.
type flow struct{ granted, charged, expired, withdrawn big.Int }

func (f *flow) left() *big.Int {
	n := new(big.Int).Sub(&f.granted, &f.charged)
	return n.Sub(n, &f.expired).Sub(n, &f.withdrawn)
}

// grow adds to a part of a flow.
func grow(part *big.Int, n int64) { part.Add(part, big.NewInt(n)) }

// change books a signed amount: what is taken counts as less, what is given as granted.
func (f *flow) change(n int64, less *big.Int) {
	if n < 0 {
		grow(less, -n)
	} else {
		grow(&f.granted, n)
	}
}

// say writes the flow as text, without what is left.
func (f *flow) say(text func(*big.Int) string) string {
	return fmt.Sprintf("granted %s, charged %s, expired %s, withdrawn %s", text(&f.granted), text(&f.charged), text(&f.expired), text(&f.withdrawn))
}

func inUnits(n *big.Int) string { return n.String() }

// inCash writes an amount that an int64 may not hold.
func inCash(n *big.Int) string {
	if n.IsInt64() {
		return meter.Nano(n.Int64()).String()
	}
	whole, rest := new(big.Int).QuoRem(n, big.NewInt(int64(meter.NanoPerUnit)), new(big.Int))
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%s.%09d", whole, rest.Abs(rest)), "0"), ".")
}

type packBooks struct {
	flow
	revoked    int64  // by this entry; 0: not
	definition string // as lua/grant.lua writes it
}

type keyBooks struct {
	spend            meter.Nano
	tokens, requests int64
	created, revoked int64     // when, ms; by which entry, 0: not
	definition       [2]string // as the scripts read it, and as people do
}

// chargeBooks is a charge and what has been given back of it.
type chargeBooks struct {
	request string
	seq     int64
	kind    string
	tokens  int64
	paid    []Payment
	left    []int64 // of each of paid
	returns bool    // something has been given back
	undone  bool    // all of it, as if it had never been
}

func newChargeBooks(e *Entry) *chargeBooks {
	c := &chargeBooks{request: e.RequestID, seq: e.seq(), kind: e.Type, tokens: e.tokens(), paid: e.Paid, left: make([]int64, len(e.Paid))}
	for i, p := range e.Paid {
		c.left[i] = p.Quantity + int64(p.Amount)
	}
	return c
}

// giveBack takes a refund off what is left; it reports what is more than that.
func (c *chargeBooks) giveBack(list []Payment) (over []Payment) {
	c.returns = true
	for _, p := range list {
		found := false
		for i := range c.paid {
			if c.paid[i].From != p.From {
				continue
			}
			found = true
			if c.left[i] -= p.Quantity + int64(p.Amount); c.left[i] < 0 {
				over = append(over, p)
			}
		}
		if !found {
			over = append(over, p)
		}
	}
	return over
}

// closed says that all has been given back: as if it had never been.
func (c *chargeBooks) closed() bool {
	for _, n := range c.left {
		if n > 0 {
			return false
		}
	}
	return c.returns
}

// memory is the charge as lua/refund.lua remembers it.
func (c *chargeBooks) memory() string {
	var given []Payment
	for i, p := range c.paid {
		back := Payment{From: p.From, Quantity: p.Quantity, Amount: p.Amount}
		if p.Quantity != 0 {
			back.Quantity -= c.left[i]
		} else {
			back.Amount -= meter.Nano(c.left[i])
		}
		if back.Quantity != 0 || back.Amount != 0 {
			given = append(given, back)
		}
	}
	return paidText(c.paid) + " " + paidText(given)
}

func (b *books) wallet(w Wallet) *flow {
	if w == Bonus {
		return b.wallets[Bonus]
	}
	return b.wallets[Recharge]
}

func (b *books) pack(id string) *packBooks {
	if b.packs[id] == nil {
		b.packs[id] = new(packBooks)
	}
	return b.packs[id]
}

func (b *books) key(id string) *keyBooks {
	if b.keys[id] == nil {
		b.keys[id] = new(keyBooks)
	}
	return b.keys[id]
}

// define takes over the definition of an entry of type account.
func (b *books) define(e *Entry) {
	if b.status == "" {
		b.status, b.created = "active", e.Time.UnixMilli()
	}
	b.split = fmt.Sprint(e.Detail["split"])
	b.overdraft = fmt.Sprint(e.Detail["overdraft"])
}

// pay moves what packs and wallets paid (sign 1) or got back (-1).
func (b *books) pay(e *Entry, sign int64) {
	for _, p := range e.Paid {
		if id, is := strings.CutPrefix(p.From, "pack:"); is {
			grow(&b.pack(id).charged, sign*p.Quantity)
		} else {
			grow(&b.wallet(Wallet(p.From)).charged, sign*int64(p.Amount))
		}
	}
	if e.Key != "" {
		b.key(e.Key).spend += meter.Nano(sign) * e.FeeDue()
	}
}

// count counts a charge and its tokens for the key (sign 1), or takes them off again (-1).
func (b *books) count(key string, tokens, sign int64) {
	if key == "" {
		return
	}
	b.key(key).tokens += sign * tokens
	b.key(key).requests += sign
}

// valueOf is a number of an entry, 0 where it has none.
func valueOf[N ~int64](n *N) int64 {
	if n == nil {
		return 0
	}
	return int64(*n)
}
