package ledger

import (
	"math/big"
	"slices"
	"sort"

	"github.com/tollgate/tollgate/meter"
)

// This is the ledger as plain Go: one account, no Redis, numbers of any size.
// It is written from the rules, not from the scripts. Time is in minutes.

type model struct {
	split           Split
	overdraft       int64
	recharge, bonus int64
	suspended       bool
	packs           []*modelPack
	holds           map[string]*modelHold
	ended           map[string]*modelEnd // terminal answers by request id
	key             modelKey
	minute          int
	ttl             int
	policy          string
	taskTTL         int
}

type modelPack struct {
	number    int
	unit      string
	pattern   string // "" all, "glm-*", "glm-4"
	quantity  int64
	remaining int64
	priority  int64
	after     bool
	expires   int // half past this minute; -1 never
	revoked   bool
	swept     bool // past its expiry, by a sweeper, which does not look again
}

type modelKey struct {
	spendTotal, tokens, parallel int64 // limits, 0 none
	spent, used, requests        int64
	revoked                      bool
}

type modelHold struct {
	cash, tokens int64
	packs        map[*modelPack]int64
	candidates   map[string][]*modelPack // by unit, in order, those after the wallets too
	deadline     int
	checkpoint   []modelLine
	task         bool // it is a task's: its call is not in flight
}

// modelEnd is how a request ended: charged, abandoned, released, swept.
type modelEnd struct {
	how          string
	lines        []modelLine
	fee, tokens  int64
	fromRecharge int64
	fromBonus    int64
	fromPacks    map[*modelPack]int64
	candidates   map[string][]*modelPack
	covered      []int64   // by packs, of each line
	back         modelBack // what has been refunded of it
}

// modelBack is what goes back, or has gone back, of a charge.
type modelBack struct {
	recharge, bonus int64
	packs           map[*modelPack]int64
	whole           bool // nothing is left
}

type modelLine struct {
	dimension meter.Dimension
	quantity  int64
	pico      int64
	rate      string
}

func (l modelLine) amount(quantity int64) int64 {
	n := new(big.Int).Mul(big.NewInt(quantity), big.NewInt(l.pico))
	return n.Add(n, big.NewInt(500)).Quo(n, big.NewInt(1000)).Int64()
}

// same says that two lines book the same: content is told apart by units, not by dimensions.
func (l modelLine) same(o modelLine) bool {
	return l.dimension.Unit() == o.dimension.Unit() && l.quantity == o.quantity && l.pico == o.pico
}

func modelTokens(lines []modelLine) (n int64) {
	for _, l := range lines {
		if l.dimension.IsToken() {
			n += l.quantity
		}
	}
	return n
}

func mulDiv(a, b, d int64) int64 {
	if d == 0 {
		return 0
	}
	n := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
	return n.Quo(n, big.NewInt(d)).Int64()
}

func (m *model) held() (cash int64) {
	for _, h := range m.holds {
		cash += h.cash
	}
	return cash
}

func (m *model) inFlight() (n int64) {
	for _, h := range m.holds {
		if !h.task {
			n++
		}
	}
	return n
}

func (m *model) heldOf(p *modelPack) (n int64) {
	for _, h := range m.holds {
		n += h.packs[p]
	}
	return n
}

func (m *model) tokensHeld() (n int64) {
	for _, h := range m.holds {
		n += h.tokens
	}
	return n
}

// free is what the wallets can give now; as if nothing were held, if asked.
func (m *model) free(withHeld bool) int64 {
	n := new(big.Int).Add(big.NewInt(m.recharge), big.NewInt(m.bonus))
	n.Add(n, big.NewInt(m.overdraft))
	if !withHeld {
		n.Sub(n, big.NewInt(m.held()))
	}
	limit := big.NewInt(1<<53 - 1)
	if n.Cmp(limit) > 0 {
		return limit.Int64()
	}
	return n.Int64()
}

func (p *modelPack) narrowness() int {
	return map[string]int{"": 0, "glm-*": 1, "glm-4": 2}[p.pattern]
}

// candidates are the packs for a unit that are valid now, in the order in which they burn.
func (m *model) candidates(unit string) (list []*modelPack) {
	for _, p := range m.packs {
		if p.unit == unit && p.remaining > 0 && !p.revoked && !m.over(p) {
			list = append(list, p)
		}
	}
	sort.SliceStable(list, func(i, j int) bool {
		a, b := list[i], list[j]
		switch {
		case a.priority != b.priority:
			return a.priority < b.priority
		case a.expires != b.expires:
			return a.expires >= 0 && (b.expires < 0 || a.expires < b.expires)
		case a.narrowness() != b.narrowness():
			return a.narrowness() > b.narrowness()
		}
		return a.number < b.number
	})
	return list
}

// modelPrice is what a request costs, and who covers it.
type modelPrice struct {
	fee       int64
	lines     []int64 // cash by line
	covered   []int64 // units by packs, by line
	fromPacks map[*modelPack]int64
}

// price covers lines by packs and prices the rest. cash is what the wallets
// can give; withHeld asks what would be, were nothing held.
func (m *model) price(lines []modelLine, candidates map[string][]*modelPack, cash int64, withHeld bool) modelPrice {
	out := modelPrice{lines: make([]int64, len(lines)), covered: make([]int64, len(lines)), fromPacks: map[*modelPack]int64{}}
	units, totals := []string{}, map[string]int64{}
	for i, l := range lines {
		out.lines[i] = l.amount(l.quantity)
		out.fee += out.lines[i]
		unit := l.dimension.Unit()
		if !slices.Contains(units, unit) {
			units = append(units, unit)
		}
		totals[unit] += l.quantity
	}
	if out.fee == 0 {
		return out
	}
	available := func(unit string, after bool) (n int64) {
		for _, p := range candidates[unit] {
			if p.after == after {
				n += m.packFree(p, withHeld)
			}
		}
		return n
	}
	cover := func(unit string, quantity int64) (due int64) {
		var sum, before int64
		for i, l := range lines {
			if l.dimension.Unit() != unit {
				continue
			}
			sum += l.quantity
			upto := mulDiv(quantity, sum, totals[unit])
			out.covered[i], before = upto-before, upto
			out.lines[i] = l.amount(l.quantity - out.covered[i])
			due += out.lines[i]
		}
		return due
	}
	due, drawn := map[string]int64{}, map[string]int64{}
	out.fee = 0
	for _, unit := range units {
		drawn[unit] = min(totals[unit], available(unit, false))
		due[unit] = cover(unit, drawn[unit])
		out.fee += due[unit]
	}
	cash = max(0, cash)
	for _, unit := range units {
		room := min(totals[unit]-drawn[unit], available(unit, true))
		if out.fee <= cash || room == 0 {
			continue
		}
		other := out.fee - due[unit]
		low, high := drawn[unit], drawn[unit]+room
		if other+cover(unit, high) <= cash {
			for high-low > 1 {
				if middle := (low + high) / 2; other+cover(unit, middle) > cash {
					low = middle
				} else {
					high = middle
				}
			}
		}
		drawn[unit] = high
		out.fee = other + cover(unit, high)
	}
	for _, unit := range units {
		m.draw(out.fromPacks, candidates[unit], drawn[unit], withHeld)
	}
	return out
}

func (m *model) packFree(p *modelPack, withHeld bool) int64 {
	if withHeld {
		return p.remaining
	}
	return max(0, p.remaining-m.heldOf(p))
}

// draw takes a quantity from packs in order: those before the wallets, then those after.
func (m *model) draw(into map[*modelPack]int64, packs []*modelPack, quantity int64, withHeld bool) {
	for _, after := range []bool{false, true} {
		for _, p := range packs {
			if p.after != after {
				continue
			}
			if n := min(quantity, m.packFree(p, withHeld)); n > 0 {
				into[p] = n
				quantity -= n
			}
		}
	}
}

func (m *model) candidatesOf(lines []modelLine) map[string][]*modelPack {
	out := map[string][]*modelPack{}
	for _, l := range lines {
		out[l.dimension.Unit()] = m.candidates(l.dimension.Unit())
	}
	return out
}

// reserve places a hold, or says why not.
func (m *model) reserve(id string, quote []modelLine) (Reason, string) {
	switch {
	case m.key.revoked:
		return KeyRevoked, "key"
	case m.suspended:
		return AccountSuspended, "account"
	}
	candidates := m.candidatesOf(quote)
	free := m.free(false)
	price := m.price(quote, candidates, free, false)
	tokens := modelTokens(quote)
	reason, limit := m.funds(quote, candidates, price.fee, free)
	if reason != InsufficientFunds {
		if keyReason, keyLimit := m.keyLimits(price.fee, min(price.fee, m.price(quote, candidates, m.free(true), true).fee), tokens); keyReason != "" && (reason == "" || keyReason == KeySpendExhausted) {
			reason, limit = keyReason, keyLimit
		}
	}
	if reason != "" {
		return reason, limit
	}
	if m.key.parallel > 0 && m.inFlight() >= m.key.parallel {
		return TooManyParallel, "key.parallel"
	}
	m.holds[id] = &modelHold{cash: price.fee, tokens: tokens, packs: price.fromPacks, candidates: candidates, deadline: m.minute + m.ttl}
	return "", ""
}

func (m *model) funds(quote []modelLine, candidates map[string][]*modelPack, fee, free int64) (Reason, string) {
	if fee == 0 || fee <= free {
		return "", ""
	}
	without := m.free(true)
	if then := m.price(quote, candidates, without, true).fee; then > 0 && then > without {
		return InsufficientFunds, "balance"
	}
	return InFlight, "balance"
}

// keyLimits is told the fee, and the least that it may come to once the requests in flight have ended.
func (m *model) keyLimits(fee, leastFee, tokens int64) (Reason, string) {
	type limit struct {
		name                           string
		required, least, allowed, used int64
		held                           int64
	}
	soft := ""
	for _, l := range []limit{
		{"key.spend_total", fee, leastFee, m.key.spendTotal, m.key.spent, m.held()},
		{"key.tokens", tokens, tokens, m.key.tokens, m.key.used, m.tokensHeld()},
	} {
		switch {
		case l.allowed == 0 || l.required == 0 || l.required <= l.allowed-l.used-l.held:
		case l.least > l.allowed-l.used:
			return KeySpendExhausted, l.name
		case soft == "":
			soft = l.name
		}
	}
	if soft != "" {
		return InFlight, soft
	}
	return "", ""
}

// end takes the hold away. What comes back to a revoked pack is withdrawn by reap.
func (m *model) end(id string) *modelHold {
	h := m.holds[id]
	delete(m.holds, id)
	return h
}

// reap withdraws what is free of revoked packs, and of expired ones to which
// something came back what is more than was free before.
func (m *model) reap(before map[*modelPack]int64, back ...map[*modelPack]int64) {
	for _, p := range m.packs {
		came := slices.ContainsFunc(back, func(list map[*modelPack]int64) bool { return list[p] > 0 })
		if p.revoked {
			p.remaining = m.heldOf(p)
		} else if came && m.over(p) {
			p.remaining = min(p.remaining, m.heldOf(p)+before[p])
		}
	}
}

// packsFree is what is free of all packs.
func (m *model) packsFree() map[*modelPack]int64 {
	free := map[*modelPack]int64{}
	for _, p := range m.packs {
		free[p] = m.packFree(p, false)
	}
	return free
}

func (m *model) over(p *modelPack) bool { return p.expires >= 0 && m.minute > p.expires }

// expire ends the packs whose time has passed; it returns of how many something was free.
func (m *model) expire() (n int) {
	for _, p := range m.packs {
		if !m.over(p) || p.swept {
			continue
		}
		p.swept = true
		if !p.revoked && p.remaining > m.heldOf(p) {
			p.remaining = m.heldOf(p)
			n++
		}
	}
	return n
}

// cashFor is what the wallets can give for a call: what was held of them, if packs that come after them were held, too;
// without a hold no more than the key may spend.
func (m *model) cashFor(h *modelHold) int64 {
	free := m.free(false)
	if h == nil {
		if m.key.spendTotal > 0 {
			free = min(free, m.key.spendTotal-m.key.spent-m.held())
		}
		return free
	}
	for p, n := range h.packs {
		if p.after && n > 0 {
			return min(free, h.cash)
		}
	}
	return free
}

// charge books lines, where the wallets can give so much cash.
func (m *model) charge(how string, lines []modelLine, candidates map[string][]*modelPack, cash int64) *modelEnd {
	all := map[string][]*modelPack{}
	for unit, list := range m.candidatesOf(lines) {
		if known, ok := candidates[unit]; ok {
			list = known
		}
		all[unit] = list
	}
	price := m.price(lines, all, cash, false)
	end := &modelEnd{how: how, lines: lines, fee: price.fee, tokens: modelTokens(lines), fromPacks: price.fromPacks, candidates: candidates, covered: price.covered}
	end.fromRecharge, end.fromBonus = m.splitFee(price.fee)
	m.pay(end)
	return end
}

// pay moves a charge out of packs, wallets and key.
func (m *model) pay(e *modelEnd) {
	m.recharge -= e.fromRecharge
	m.bonus -= e.fromBonus
	for p, n := range e.fromPacks {
		p.remaining -= n
	}
	m.key.spent += e.fee
	m.key.used += e.tokens
	m.key.requests++
}

// rest is what is left of a charge: all that is not refunded yet.
func (e *modelEnd) rest() modelBack {
	back := modelBack{recharge: e.fromRecharge - e.back.recharge, bonus: e.fromBonus - e.back.bonus, packs: map[*modelPack]int64{}}
	for p, n := range e.fromPacks {
		if n > e.back.packs[p] {
			back.packs[p] = n - e.back.packs[p]
		}
	}
	return back
}

// giveBack moves a part of a charge back. With the last of it, tokens and request count no more.
func (m *model) giveBack(e *modelEnd, back modelBack) {
	m.recharge += back.recharge
	m.bonus += back.bonus
	if e.back.packs == nil {
		e.back.packs = map[*modelPack]int64{}
	}
	for p, n := range back.packs {
		p.remaining += n
		e.back.packs[p] += n
	}
	e.back.recharge += back.recharge
	e.back.bonus += back.bonus
	m.key.spent -= back.recharge + back.bonus
	if rest := e.rest(); rest.recharge+rest.bonus == 0 && len(rest.packs) == 0 && !e.back.whole {
		e.back.whole = true
		m.key.used -= e.tokens
		m.key.requests--
	}
}

// refund gives a charge back by hand, all that is left (amount 0) or so much
// cash. It says "none" when nothing is left of it, "over" when not so much is.
func (m *model) refund(id string, amount int64) (modelBack, string) {
	e := m.ended[id]
	if e == nil || e.how != "charged" && e.how != "abandoned" {
		return modelBack{}, "not found"
	}
	back := e.rest()
	if e.back.whole || back.recharge+back.bonus == 0 && len(back.packs) == 0 {
		return modelBack{}, "none"
	}
	if amount > 0 {
		if amount > back.recharge+back.bonus {
			return modelBack{}, "over"
		}
		all := e.back.recharge + e.back.bonus + amount
		bonus := mulDiv(all, e.fromBonus, e.fee) - e.back.bonus
		back = modelBack{recharge: amount - bonus, bonus: bonus}
	}
	before := m.packsFree()
	m.giveBack(e, back)
	m.reap(before, back.packs)
	return back, ""
}

// reprice charges a request at other rates of its lines, unless something has been given back of it. It says whether that
// changed anything: "repriced", "" or "range", for a wallet that could not take back what it paid.
func (m *model) reprice(id string, lines []modelLine) string {
	e := m.ended[id]
	if e == nil || e.how != "charged" || e.back.packs != nil {
		return ""
	}
	var fee int64
	for i, l := range lines {
		fee += l.amount(l.quantity - e.covered[i])
	}
	more := fee - e.fee
	switch {
	case more == 0:
		return ""
	case m.recharge+e.fromRecharge > int64(meter.MaxBalance) || m.bonus+e.fromBonus > int64(meter.MaxBalance):
		return "range"
	case e.fee == 0 && len(e.fromPacks) == 0: // nobody paid
		m.key.requests--
		m.key.used -= e.tokens
		m.ended[id] = m.charge("charged", lines, nil, m.free(false))
		m.ended[id].lines = e.lines
		return "repriced"
	}
	recharge, bonus := m.splitFee(max(0, more))
	if more < 0 {
		bonus = -mulDiv(-more, e.fromBonus, e.fee)
		recharge = more - bonus
	}
	m.recharge, m.bonus, m.key.spent = m.recharge-recharge, m.bonus-bonus, m.key.spent+more
	e.fee, e.fromRecharge, e.fromBonus = fee, e.fromRecharge+recharge, e.fromBonus+bonus
	return "repriced"
}

func (m *model) splitFee(fee int64) (fromRecharge, fromBonus int64) {
	recharge, bonus := max(0, m.recharge), max(0, m.bonus)
	switch m.split {
	case BonusFirst:
		fromBonus = min(fee, bonus)
	case RechargeFirst:
		fromBonus = min(max(0, fee-recharge), bonus)
	case Equal:
		fromBonus = min(fee/2, bonus)
		if fee-fromBonus > recharge {
			fromBonus = min(bonus, fee-recharge)
		}
	default:
		if sum := new(big.Int).Add(big.NewInt(recharge), big.NewInt(bonus)); sum.Sign() > 0 {
			part := new(big.Int).Mul(big.NewInt(fee), big.NewInt(bonus))
			fromBonus = min(part.Quo(part, sum).Int64(), bonus)
		}
	}
	return fee - fromBonus, fromBonus
}

// settle books a charge: "booked", "repeated" or "conflict".
func (m *model) settle(id string, lines []modelLine) string {
	end := m.ended[id]
	var candidates map[string][]*modelPack
	var back []map[*modelPack]int64
	var h *modelHold
	before := m.packsFree()
	switch {
	case end == nil:
		if h = m.end(id); h != nil {
			candidates, back = h.candidates, append(back, h.packs)
		}
	case end.how == "charged" && slices.EqualFunc(end.lines, lines, modelLine.same):
		return "repeated"
	case end.how == "charged" || end.how == "released":
		return "conflict"
	default: // swept, abandoned
		candidates = end.candidates
		if h = m.end(id); h != nil { // a task's, placed anew
			candidates, back = h.candidates, append(back, h.packs)
		}
		if end.how == "abandoned" && !end.back.whole {
			rest := end.rest()
			m.giveBack(end, rest)
			back = append(back, rest.packs)
		}
	}
	m.ended[id] = m.charge("charged", lines, candidates, m.cashFor(h))
	m.reap(before, back...)
	return "booked"
}

// release gives back: "released" or "conflict".
func (m *model) release(id string) string {
	end := m.ended[id]
	if end != nil && end.how == "charged" {
		return "conflict"
	}
	before := m.packsFree()
	var back []map[*modelPack]int64
	if end != nil && end.how == "abandoned" && !end.back.whole {
		rest := end.rest()
		m.giveBack(end, rest)
		back = append(back, rest.packs)
	}
	if h := m.end(id); h != nil {
		back = append(back, h.packs)
	}
	m.ended[id] = &modelEnd{how: "released"}
	m.reap(before, back...)
	return "released"
}

// park makes a hold its task's, or places one that is lost; until is when it is swept.
func (m *model) park(id string, made []modelLine, until int) {
	h, end := m.holds[id], m.ended[id]
	if h == nil && end != nil && end.how == "abandoned" && end.fee == 0 && len(end.fromPacks) == 0 && until > m.minute {
		m.giveBack(end, end.rest())
		end = &modelEnd{how: "swept", candidates: end.candidates}
		m.ended[id] = end
	}
	switch {
	case h != nil && h.task: // what has been told since counts if it is more
		if modelTokens(made) > modelTokens(h.checkpoint) {
			h.checkpoint = append([]modelLine{}, made...)
		}
	case h != nil:
		h.task, h.deadline, h.checkpoint = true, m.minute+m.taskTTL, append([]modelLine{}, made...)
	case end == nil || end.how == "swept" && until > m.minute:
		candidates := m.candidatesOf(made)
		price := m.price(made, candidates, m.free(false), false)
		m.holds[id] = &modelHold{
			cash: price.fee, tokens: modelTokens(made), packs: price.fromPacks, candidates: candidates,
			task: true, deadline: until, checkpoint: append([]modelLine{}, made...),
		}
	}
}

// sweepIn ends what is due, in the order given.
func (m *model) sweepIn(due []string) (abandoned, released int) {
	for _, id := range due {
		before := m.packsFree()
		h := m.end(id)
		if h.checkpoint == nil || m.policy == ReleaseAbandoned {
			m.ended[id] = &modelEnd{how: "swept", candidates: h.candidates}
			released++
		} else {
			m.ended[id] = m.charge("abandoned", h.checkpoint, h.candidates, m.cashFor(h))
			abandoned++
		}
		m.reap(before, h.packs)
	}
	return abandoned, released
}
