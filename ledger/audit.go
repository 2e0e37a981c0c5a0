package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/ledger/archive"
	"github.com/tollgate/tollgate/meter"
)

// The laws that an audit names when they do not hold.
const (
	lawDense         = "DENSE"          // journal ids have no gap
	lawChain         = "CHAIN"          // balance after + delta = next balance after
	lawOnce          = "ONCE"           // at most one charge a request id
	lawRefundCap     = "REFUND-CAP"     // nobody gets back more than they paid, and what is remembered of it is true
	lawExactFee      = "EXACT-FEE"      // lines add up to the fee, and so do those who paid
	lawConserve      = "CONSERVE"       // granted = free + held + charged + expired + withdrawn
	lawHoldSum       = "HOLD-SUM"       // held = Σ open holds
	lawHoldCover     = "HOLD-COVER"     // no pack holds more than it has
	lawResolve       = "RESOLVE"        // every hold has a deadline
	lawArchivePrefix = "ARCHIVE-PREFIX" // the archive is whole, and a prefix of the journal
	lawStatus        = "STATUS"         // suspended, revoked, what a pack or key is: as the journal says
)

// AuditReport is the outcome of an audit.
type AuditReport struct {
	OK          bool         `json:"ok"`
	Accounts    int          `json:"accounts"`
	Entries     int64        `json:"entries"`
	Differences []Difference `json:"differences"`
	// Conservation is the balance sheet, where one account was audited.
	Conservation []Conserved `json:"conservation,omitempty"`
}

// Conserved is a line of an account's balance sheet: what was granted is free,
// held, charged (less refunds), expired or withdrawn. Free and Held are the
// ledger's, the rest is the journal's. Cash is in decimals, packs in units.
type Conserved struct {
	What      string `json:"what"` // cash, pack:<id>
	Granted   string `json:"granted"`
	Free      string `json:"free"`
	Held      string `json:"held"`
	Charged   string `json:"charged"`
	Expired   string `json:"expired"`
	Withdrawn string `json:"withdrawn"`
}

// Difference is one disagreement between the journal and the balances.
type Difference struct {
	Account string `json:"account,omitempty"`
	Shard   int    `json:"shard"`
	// Law is the invariant that does not hold: CONSERVE, HOLD-SUM, DENSE, CHAIN, ONCE, EXACT-FEE, …
	Law string `json:"law"`
	// What is the thing they disagree on: "recharge", "pack:p1", "key:acme.1f…", "entry 12-0".
	What    string `json:"what"`
	Journal string `json:"journal"` // what it should be by the journal
	Ledger  string `json:"ledger"`  // what is there
}

// Audit replays the journal of an account, or of all if it is "", and compares
// the outcome with what is there. Accounts are read in pages; each page is read
// at one moment by one script, and compared with the journal up to just that
// moment, so an audit is exact under traffic. ErrNotFound, ErrUnavailable.
func (l *Ledger) Audit(ctx context.Context, account string) (*AuditReport, error) {
	report := &AuditReport{Differences: []Difference{}}
	first, last := 0, len(l.tags)
	var ids []string
	if account != "" {
		if err := CheckAccountID(account); err != nil {
			return nil, err
		}
		first, ids = l.shardOf(account), []string{account}
		last = first + 1
	}
	for shard := first; shard < last; shard++ {
		if err := l.auditShard(ctx, shard, ids, report); err != nil {
			return nil, err
		}
	}
	if account != "" && report.Accounts == 0 && report.Entries == 0 { // what the journal alone knows is a difference
		return nil, fmt.Errorf("%w: account %s", ErrNotFound, account)
	}
	slices.SortStableFunc(report.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Shard, b.Shard), strings.Compare(a.Account, b.Account), strings.Compare(a.What, b.What))
	})
	report.OK = len(report.Differences) == 0
	return report, nil
}

func (l *Ledger) auditShard(ctx context.Context, shard int, ids []string, report *AuditReport) error {
	// Accounts made before this moment must be found; later ones may be missed by the list.
	head, err := l.head(ctx, shard)
	if err != nil {
		return err
	}
	a := newAuditor(shard, head, report, func(seq int64) (*Entry, error) { return l.entryAt(ctx, shard, seq) })
	a.only = ids
	end := a.head
	err = l.eachSnapshot(ctx, shard, ids, beside{keys: allKeys, refunds: true}, func(s *accountState) error {
		a.states[s.id] = s
		end = max(end, s.seq)
		return nil
	})
	if err != nil {
		return err
	}
	if end > 0 {
		if err := l.eachEntry(ctx, shard, 1, end, archive.Query{}, a.replay); err != nil {
			return err
		}
	}
	if a.seq != end {
		a.differ("", lawDense, "journal", fmt.Sprintf("ends at %d", end), fmt.Sprintf("ends at %d", a.seq))
	}
	a.compare()
	return a.archivePrefix(ctx, l)
}

// auditor replays one shard.
type auditor struct {
	shard  int
	only   []string // accounts to look at; nil: all
	head   int64    // of the journal, before the accounts were listed
	seq    int64    // of the last entry replayed
	states map[string]*accountState
	books  map[string]*books
	report *AuditReport
	hash   func(request string) uint64
	read   func(seq int64) (*Entry, error) // reads an entry again
}

func newAuditor(shard int, head int64, report *AuditReport, read func(seq int64) (*Entry, error)) *auditor {
	seed := maphash.MakeSeed()
	return &auditor{
		shard: shard, head: head, report: report, states: make(map[string]*accountState), books: make(map[string]*books),
		hash: func(request string) uint64 { return maphash.String(seed, request) }, read: read,
	}
}

func (a *auditor) differ(account, law, what string, journal, ledger any) {
	a.report.Differences = append(a.report.Differences, Difference{
		Account: account, Shard: a.shard, Law: law, What: what, Journal: fmt.Sprint(journal), Ledger: fmt.Sprint(ledger),
	})
}

// replay books one entry again.
func (a *auditor) replay(e *Entry) error {
	if seq := e.seq(); seq != a.seq+1 {
		a.differ("", lawDense, "entry "+e.ID, fmt.Sprintf("follows %d-0", a.seq), "not the next id")
		a.seq = seq
	} else {
		a.seq++
	}
	if a.only != nil && !slices.Contains(a.only, e.Account) {
		return nil
	}
	state := a.states[e.Account]
	if state == nil && e.seq() > a.head || state != nil && e.seq() > state.seq {
		return nil // younger than what it would be compared with
	}
	a.report.Entries++
	b := a.books[e.Account]
	if b == nil {
		b = newBooks()
		a.books[e.Account] = b
		if e.Type != TypeAccount {
			a.differ(e.Account, lawConserve, "entry "+e.ID, "an account begins with its own entry", e.Type)
		}
	}
	if err := a.apply(b, e); err != nil {
		return err
	}
	a.chain(b, e)
	return nil
}

// apply changes the books by what the entry says.
func (a *auditor) apply(b *books, e *Entry) error {
	switch e.Type {
	case TypeAccount:
		b.define(e)
	case TypeResume:
		b.status = "active"
	case TypeSuspend:
		b.status = "suspended"
	case TypeTopup:
		grow(&b.wallet(e.Wallet).granted, valueOf(e.Amount))
	case TypeAdjust:
		w := b.wallet(e.Wallet)
		w.change(valueOf(e.Amount), &w.withdrawn)
	case TypeGrant:
		grow(&b.pack(e.Pack).granted, valueOf(e.Quantity))
		a.define(b, e)
	case TypeExpire:
		grow(&b.pack(e.Pack).expired, -valueOf(e.Quantity))
	case TypeRevoke:
		if e.Pack == "" {
			b.key(e.Key).revoked = e.seq()
			break
		}
		grow(&b.pack(e.Pack).withdrawn, -valueOf(e.Quantity))
		if b.pack(e.Pack).revoked == 0 {
			b.pack(e.Pack).revoked = e.seq() // what comes back later is no revocation
		}
	case TypeKey:
		a.define(b, e)
	case TypeCharge, TypeAbandon:
		a.checkFee(e)
		return a.charge(b, e)
	case TypeRefund:
		return a.refund(b, e)
	default:
		a.differ(e.Account, lawConserve, "entry "+e.ID, "a known type", e.Type)
	}
	return nil
}

// define takes over what a pack or key is, as its entry says.
func (a *auditor) define(b *books, e *Entry) {
	detail, err := json.Marshal(e.Detail)
	if e.Type == TypeGrant && err == nil {
		var g Grant
		g, err = grantOf(detail, e.Ref)
		b.pack(e.Pack).definition = g.stored(e.Time)
	} else if err == nil {
		k := b.key(e.Key)
		k.created = e.Time.UnixMilli()
		k.definition[0], k.definition[1], err = keyOf(detail)
	}
	if err != nil {
		a.differ(e.Account, lawStatus, "entry "+e.ID, "what it is of", err)
	}
}

// charge checks that a request is charged once: anew only when the charge
// before has been taken back, or was that of an abandoned call and is given back.
func (a *auditor) charge(b *books, e *Entry) error {
	c, place, err := a.lastCharge(b, e.RequestID)
	if err != nil {
		return err
	}
	if c != nil {
		if c.kind == TypeCharge && !c.undone || !c.closed() {
			a.differ(e.Account, lawOnce, "entry "+e.ID, fmt.Sprintf("request %s has its %s in entry %s", e.RequestID, c.kind, entryID(c.seq)), e.Type)
		}
		delete(b.returned, c.seq)
	}
	b.charges[place] = e.seq()
	b.pay(e, 1)
	b.count(e.Key, e.tokens(), 1)
	return nil
}

// lastCharge returns the last charge of a request, or nil, and its place among the account's.
func (a *auditor) lastCharge(b *books, request string) (c *chargeBooks, place uint64, err error) {
	for place = a.hash(request); ; place++ {
		seq, taken := b.charges[place]
		if !taken {
			return nil, place, nil
		}
		if c = b.returned[seq]; c == nil {
			e, err := a.read(seq)
			if err != nil {
				return nil, 0, err
			}
			c = newChargeBooks(e)
		}
		if c.request == request { // and not another with its hash
			return c, place, nil
		}
	}
}

// refund checks that a refund is of a charge, and that nobody gets back more than they paid.
func (a *auditor) refund(b *books, e *Entry) error {
	c, _, err := a.lastCharge(b, e.RequestID)
	if err != nil {
		return err
	}
	b.pay(e, -1)
	if c == nil || e.Charge != "" && e.Charge != entryID(c.seq) {
		a.differ(e.Account, lawRefundCap, "entry "+e.ID, "a charge of request "+e.RequestID, "none such")
		return nil
	}
	b.returned[c.seq] = c
	before := c.closed()
	if over := c.giveBack(e.Paid); len(over) > 0 || before {
		a.differ(e.Account, lawRefundCap, "entry "+e.ID, "at most what is left of entry "+entryID(c.seq), "more: "+paidText(over))
	}
	if c.closed() && !before {
		b.count(e.Key, c.tokens, -1)
	}
	c.undone = e.takenBack
	if e.Charge != "" {
		b.refunds[strings.TrimSuffix(e.Charge, "-0")] = c.memory()
	}
	return nil
}

// checkFee checks that the lines, the fee and the payments of a charge agree.
func (a *auditor) checkFee(e *Entry) {
	var lines, paid meter.Nano
	var covered, drawn int64
	for i := range e.Lines {
		line := &e.Lines[i]
		lines += line.Amount
		covered += line.PackQuantity
		exact, err := line.Rate.Amount(line.Quantity - line.PackQuantity)
		if err != nil || exact != line.Amount || line.PackQuantity < 0 || line.PackQuantity > line.Quantity {
			a.differ(e.Account, lawExactFee, fmt.Sprintf("entry %s, line %d", e.ID, i+1),
				fmt.Sprintf("%d less %d by packs at %s is %s", line.Quantity, line.PackQuantity, line.Rate, exact), line.Amount)
		}
	}
	for _, p := range e.Paid {
		paid += p.Amount
		drawn += p.Quantity
	}
	fee := e.FeeDue()
	if lines != fee || paid != fee || covered != drawn {
		a.differ(e.Account, lawExactFee, "entry "+e.ID, "fee "+fee.String(),
			fmt.Sprintf("lines %s, paid %s; by packs %d, drawn %d", lines, paid, covered, drawn))
	}
}

// chain checks the balances after the entry. A break is told once for each balance.
func (a *auditor) chain(b *books, e *Entry) {
	for i := range e.BalancesAfter {
		what, stated := e.BalancesAfter[i].From, e.BalancesAfter[i].amount()
		var replayed any
		switch id, isPack := strings.CutPrefix(what, "pack:"); {
		case isPack:
			replayed = b.pack(id).left().Int64()
		default:
			replayed = inCash(b.wallet(Wallet(what)).left())
		}
		if replayed != stated && !b.told[what] {
			b.told[what] = true
			a.differ(e.Account, lawChain, fmt.Sprintf("entry %s, %s", e.ID, what), replayed, stated)
		}
	}
}

// compare holds the books against what is there.
func (a *auditor) compare() {
	for _, id := range slices.Sorted(maps.Keys(a.books)) {
		if a.states[id] == nil {
			a.differ(id, lawConserve, "account", "exists", "is missing")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(a.states)) {
		a.report.Accounts++
		b := a.books[id]
		if b == nil {
			a.differ(id, lawConserve, "account", "is not in it", "exists")
			continue
		}
		c := &comparison{auditor: a, state: a.states[id], books: b}
		c.wallets()
		c.packs()
		c.holds()
		c.keys()
		c.refunds()
		if len(a.only) > 0 {
			a.report.Conservation = c.conservation()
		}
	}
}

// comparison holds one account against its books.
type comparison struct {
	*auditor
	state *accountState
	books *books
}

// same reports a difference between a decimal string of the ledger and a number of the journal. The scripts take none for what
// is missing.
func (c *comparison) same(law, what string, journal int64, ledger string, money bool) {
	if ledger == strconv.FormatInt(journal, 10) {
		return
	}
	shown := fmt.Sprint(journal)
	if money {
		shown = meter.Nano(journal).String()
		if n, err := strconv.ParseInt(ledger, 10, 64); err == nil {
			ledger = meter.Nano(n).String()
		}
	}
	if ledger == "" {
		ledger = "none"
	}
	c.differ(c.state.id, law, what, shown, ledger)
}

func (c *comparison) wallets() {
	for _, w := range []Wallet{Recharge, Bonus} {
		c.conserved(string(w), c.books.wallets[w], c.state.fields[string(w)], inCash)
	}
	if split := c.state.fields["split"]; split != c.books.split {
		c.differ(c.state.id, lawStatus, "split", c.books.split, split)
	}
	if overdraft := c.text(c.state.fields["overdraft"], inCash); overdraft != c.books.overdraft {
		c.differ(c.state.id, lawStatus, "overdraft", c.books.overdraft, overdraft)
	}
	if status := c.state.fields["status"]; status != c.books.status {
		c.differ(c.state.id, lawStatus, "account", c.books.status, status)
	}
	c.same(lawStatus, "account's time of creation, ms", c.books.created, c.state.fields["created"], false)
}

// conserved reports a wallet or pack of which the ledger has other than what
// the journal leaves of it.
func (c *comparison) conserved(what string, f *flow, ledger string, text func(*big.Int) string) {
	if left := f.left(); left.String() != ledger {
		c.differ(c.state.id, lawConserve, what, text(left)+" left: "+f.say(text), c.text(ledger, text)+" free and held")
	}
}

// text writes a number of the ledger as people read it, or as it stands if it is none.
func (c *comparison) text(ledger string, as func(*big.Int) string) string {
	n, ok := new(big.Int).SetString(ledger, 10)
	if !ok {
		return strconv.Quote(ledger)
	}
	return as(n)
}

// refunds compares what is remembered of refunds.
func (c *comparison) refunds() {
	for seq, memory := range c.state.refunds {
		if _, known := c.books.refunds[seq]; !known {
			c.differ(c.state.id, lawRefundCap, "refunds of entry "+seq+"-0", "none", memory)
		}
	}
	for seq, memory := range c.books.refunds {
		if there := c.state.refunds[seq]; there != memory {
			c.differ(c.state.id, lawRefundCap, "refunds of entry "+seq+"-0", memory, there)
		}
	}
}

func (c *comparison) packs() {
	for id := range c.state.packs {
		if !strings.Contains(id, ":") && c.books.packs[id] == nil {
			c.differ(c.state.id, lawConserve, "pack:"+id, "is not in it", "exists")
		}
	}
	for id, p := range c.books.packs {
		c.conserved("pack:"+id, &p.flow, c.state.packs[id+":b"], inUnits)
		c.revoked("pack:"+id, p.revoked, c.state.packs, id)
		c.defined("pack:"+id, p.definition, c.state.packs[id])
	}
	c.same(lawStatus, "packs", int64(len(c.books.packs)), c.state.fields["packs"], false) // the next is numbered by it
}

// revoked reports what is revoked, or not, other than by the entry that says so.
func (c *comparison) revoked(what string, journal int64, hash map[string]string, id string) {
	should, is := "not revoked", "not revoked"
	if journal != 0 {
		should = "revoked by entry " + entryID(journal)
	}
	if seq, there := hash[id+":x"]; there {
		is = "revoked by entry " + seq + "-0"
	}
	if should != is {
		c.differ(c.state.id, lawStatus, what, should, is)
	}
}

// defined reports what is not as it was made.
func (c *comparison) defined(what, journal, ledger string) {
	if journal != ledger {
		text := func(definition string) string {
			return strings.ReplaceAll(strings.TrimRight(definition, "\t "), "\t", "|")
		}
		c.differ(c.state.id, lawStatus, what, text(journal), text(ledger))
	}
}

// holds adds up the open holds.
func (c *comparison) holds() {
	var cash meter.Nano
	byPack := make(map[string]int64)
	for request, text := range c.state.holds {
		if strings.Contains(request, ":") {
			continue
		}
		hold, err := readHold(text)
		if err != nil {
			c.differ(c.state.id, lawHoldSum, "hold "+request, "a hold", text)
			continue
		}
		if c.state.holds[request+":d"] == "" {
			c.differ(c.state.id, lawResolve, "hold "+request, "a deadline", "none")
		}
		cash += hold.cash
		for _, p := range hold.packs {
			byPack[strings.TrimPrefix(p.From, "pack:")] += p.Quantity
		}
	}
	c.same(lawHoldSum, "held", int64(cash), c.state.fields["held"], true)
	for id, quantity := range byPack {
		if c.books.packs[id] == nil {
			c.differ(c.state.id, lawHoldSum, "held of pack:"+id, "no such pack", quantity)
		}
	}
	for id := range c.books.packs {
		c.same(lawHoldSum, "held of pack:"+id, byPack[id], c.state.packs[id+":h"], false)
		if remaining, _ := strconv.ParseInt(c.state.packs[id+":b"], 10, 64); byPack[id] > remaining {
			c.differ(c.state.id, lawHoldCover, "pack:"+id, fmt.Sprintf("%d held", byPack[id]), fmt.Sprintf("%d remaining", remaining))
		}
	}
}

// keys compares what keys have spent with the journal, and what they hold with the open holds.
func (c *comparison) keys() {
	type inFlight struct {
		cash             meter.Nano
		tokens, requests int64
	}
	held := make(map[string]inFlight)
	for request, text := range c.state.holds {
		if hold, err := readHold(text); err == nil && !strings.Contains(request, ":") {
			h := held[hold.key]
			h.cash, h.tokens = h.cash+hold.cash, h.tokens+hold.tokens
			if hold.task == "" {
				h.requests++
			}
			held[hold.key] = h
		}
	}
	for suffix := range c.state.keys {
		if !strings.Contains(suffix, ":") && c.books.keys[keyID(c.state.id, suffix)] == nil {
			c.differ(c.state.id, lawConserve, "key:"+keyID(c.state.id, suffix), "is not in it", "exists")
		}
	}
	for suffix, of := range held {
		if suffix != "" && c.books.keys[keyID(c.state.id, suffix)] == nil {
			c.differ(c.state.id, lawHoldSum, "key:"+keyID(c.state.id, suffix)+" parallel", "no such key", of.requests)
		}
	}
	for id, k := range c.books.keys {
		_, suffix, _ := splitKeyID(id)
		what := func(name string) string { return "key:" + id + " " + name }
		value := func(name string) string {
			if n, there := c.state.keys[suffix+":"+name]; there {
				return n
			}
			return "0" // the scripts write a counter when they first count
		}
		c.same(lawConserve, what("spend"), int64(k.spend), value("s"), true)
		c.same(lawConserve, what("tokens"), k.tokens, value("t"), false)
		c.same(lawConserve, what("requests"), k.requests, value("n"), false)
		c.same(lawHoldSum, what("spend held"), int64(held[suffix].cash), value("sh"), true)
		c.same(lawHoldSum, what("tokens held"), held[suffix].tokens, value("th"), false)
		c.same(lawHoldSum, what("parallel"), held[suffix].requests, value("p"), false)
		c.revoked("key:"+id, k.revoked, c.state.keys, suffix)
		c.same(lawStatus, what("time of creation, ms"), k.created, value("c"), false)
		c.defined("key:"+id, k.definition[0], c.state.keys[suffix])
		c.defined("key:"+id+" as shown", k.definition[1], c.state.keys[suffix+":j"])
	}
}

// conservation is the account's balance sheet: granted = free + held + charged + expired + withdrawn.
func (c *comparison) conservation() []Conserved {
	all := new(flow)
	left := new(big.Int)
	for _, w := range c.books.wallets {
		all.granted.Add(&all.granted, &w.granted)
		all.charged.Add(&all.charged, &w.charged)
		all.expired.Add(&all.expired, &w.expired)
		all.withdrawn.Add(&all.withdrawn, &w.withdrawn)
	}
	for _, w := range []Wallet{Recharge, Bonus} {
		if n, ok := new(big.Int).SetString(c.state.fields[string(w)], 10); ok {
			left.Add(left, n)
		}
	}
	sheet := []Conserved{all.sheet("cash", left.String(), c.state.fields["held"], inCash)}
	ids := slices.SortedFunc(maps.Keys(c.books.packs), func(a, b string) int { return cmp.Compare(packNumber(a), packNumber(b)) })
	for _, id := range ids {
		sheet = append(sheet, c.books.packs[id].sheet("pack:"+id, c.state.packs[id+":b"], c.state.packs[id+":h"], inUnits))
	}
	return sheet
}

// sheet sets the journal's flow beside what the ledger has and holds.
func (f *flow) sheet(what, has, held string, text func(*big.Int) string) Conserved {
	number := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			return new(big.Int)
		}
		return n
	}
	return Conserved{
		What: what, Granted: text(&f.granted), Free: text(new(big.Int).Sub(number(has), number(held))), Held: text(number(held)),
		Charged: text(&f.charged), Expired: text(&f.expired), Withdrawn: text(&f.withdrawn),
	}
}
