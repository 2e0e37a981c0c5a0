package ledger

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/ledger/archive"
	"github.com/tollgate/tollgate/meter"
)

// What an entry booked is worked out from the entry alone, as changes for
// lua/putback.lua. Every script that journals must write entries that allow this:
// TestPutBack compares the outcome, for all types.

// Indexes of the keys that changes name, as in lua/putback.lua.
const (
	keyAccount  = 4
	keyPacks    = 5
	keyKeyring  = 7
	keyMarker   = 9
	keyAccounts = 10
	keyRefs     = 11
	keyRefunds  = 12
	keyExpiry   = 13
	keyMadeUp   = 14
)

// A putback is one entry on its way back.
type putback struct {
	*Entry
	fields  map[string]string
	zone    *time.Location
	idMS    int64  // time in the request id: where its marker is
	madeUp  int64  // likewise of a reference that nobody gave
	request string // whose hold the entry ended
	changes []any
}

// putBackCall returns KEYS and ARGV of lua/putback.lua for archived entries, one after the other, of a shard.
func (r *recoverer) putBackCall(epoch int64, entries []*archive.Entry) (keys []string, args []any, err error) {
	args = append(args, r.identity, epoch, r.clockOffset.Load())
	for _, e := range entries {
		p, err := r.putback(e)
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, r.keysOf(e.Shard, p.Account, p.idMS)...)
		keys = append(keys, r.accountsKey(e.Shard), r.refsKey(e.Shard, p.Account), r.refundsKey(e.Shard, p.Account),
			r.expiryKey(e.Shard), r.markerKey(e.Shard, p.madeUp))
		args = append(args, e.Seq, p.Account, p.request, len(e.Fields))
		for i := range e.Fields {
			args = append(args, e.Fields[i])
		}
		args = append(args, len(p.changes)/4)
		args = append(args, p.changes...)
	}
	return keys, args, nil
}

// putback works an archived entry out.
func (r *recoverer) putback(e *archive.Entry) (*putback, error) {
	fields := fieldMap(e.Fields)
	entry, err := entryOf(e.Shard, strconv.FormatUint(e.Seq, 10), fields)
	if err != nil {
		return nil, err
	}
	p := &putback{Entry: entry, fields: fields, zone: r.timezone}
	if err := p.workOut(); err != nil {
		return nil, fmt.Errorf("entry %s of shard %d: %w", entry.ID, entry.Shard, err)
	}
	return p, nil
}

func (p *putback) change(what string, key int, field, value string) {
	p.changes = append(p.changes, what, key, field, value)
}

func (p *putback) add(key int, field string, delta int64) {
	p.change("add", key, field, strconv.FormatInt(delta, 10))
}

func (p *putback) workOut() error {
	err := p.workOutType()
	if err != nil {
		return err
	}
	if err := p.reference(); err != nil {
		return err
	}
	p.balances()
	return nil
}

func (p *putback) workOutType() error {
	switch p.Type {
	case TypeAccount:
		return p.account()
	case TypeSuspend:
		p.change("set", keyAccount, "status", "suspended")
	case TypeResume:
		p.change("set", keyAccount, "status", "active")
	case TypeGrant:
		return p.grant()
	case TypeKey:
		return p.key()
	case TypeTopup, TypeAdjust, TypeExpire:
		p.move()
	case TypeRevoke:
		p.revoke()
	case TypeCharge, TypeAbandon:
		return p.charge()
	case TypeRefund:
		return p.refund()
	default:
		return fmt.Errorf("its type %q is not known here", p.Type)
	}
	return nil
}

func (p *putback) account() error {
	overdraft, err := meter.ParseNano(fmt.Sprint(p.Detail["overdraft"]))
	if err != nil {
		return err
	}
	p.change("set", keyAccount, "split", fmt.Sprint(p.Detail["split"]))
	p.change("set", keyAccount, "overdraft", strconv.FormatInt(int64(overdraft), 10))
	for _, pair := range [][2]string{{"status", "active"}, {"recharge", "0"}, {"bonus", "0"}, {"held", "0"}, {"packs", "0"}, {"created", p.fields["m"]}} {
		p.change("unset", keyAccount, pair[0], pair[1])
	}
	p.change("join", keyAccounts, "", p.Account)
	return nil
}

// grantOf reads the detail of a grant's entry.
func grantOf(detail []byte, ref string) (g Grant, err error) {
	var d struct {
		Unit      string     `json:"unit"`
		Models    []string   `json:"models"`
		Quantity  int64      `json:"quantity"`
		ExpiresAt *time.Time `json:"expires_at"`
		Priority  int64      `json:"priority"`
		Order     string     `json:"order"`
	}
	err = json.Unmarshal(detail, &d)
	return Grant{Unit: d.Unit, Models: d.Models, Quantity: d.Quantity, ExpiresAt: d.ExpiresAt, Priority: d.Priority, Order: d.Order, Ref: ref}, err
}

// stored is the pack as lua/grant.lua writes it.
func (g *Grant) stored(created time.Time) string {
	return long(g.definition() + "\t" + strconv.FormatInt(created.UnixMilli(), 10) + "\t")
}

func (p *putback) grant() error {
	g, err := grantOf([]byte(p.fields["s"]), p.Ref)
	if err != nil {
		return err
	}
	p.change("set", keyPacks, p.Pack, g.stored(p.Time))
	p.change("set", keyPacks, p.Pack+":b", p.fields["q"])
	p.change("set", keyPacks, p.Pack+":h", "0")
	p.change("set", keyAccount, "packs", strconv.FormatInt(packNumber(p.Pack), 10))
	if g.ExpiresAt != nil {
		p.change("due", keyExpiry, p.Account+" "+p.Pack, strconv.FormatInt(g.ExpiresAt.UnixMilli(), 10))
	}
	return nil
}

// keyOf reads the detail of a key's entry: the key as the scripts read it, and as people do.
func keyOf(detail []byte) (compact, public string, err error) {
	var d struct {
		keyDefinition
		Hash string `json:"hash"`
	}
	if err := json.Unmarshal(detail, &d); err != nil {
		return "", "", err
	}
	if compact, err = d.Limits.compact(d.Hash); err != nil {
		return "", "", err
	}
	text, err := json.Marshal(d.keyDefinition)
	return compact, string(text), err
}

func (p *putback) key() error {
	compact, public, err := keyOf([]byte(p.fields["s"]))
	if err != nil {
		return err
	}
	suffix := p.fields["k"]
	p.change("set", keyKeyring, suffix, compact)
	p.change("set", keyKeyring, suffix+":j", public)
	p.change("set", keyKeyring, suffix+":c", p.fields["m"])
	return nil
}

// move is a signed amount of a wallet, or quantity of a pack.
func (p *putback) move() {
	if p.Amount != nil {
		p.add(keyAccount, string(p.Wallet), int64(*p.Amount))
	}
	if p.Quantity != nil {
		p.add(keyPacks, p.Pack+":b", *p.Quantity)
	}
}

func (p *putback) revoke() {
	seq := strconv.FormatInt(p.seq(), 10)
	if p.Pack == "" {
		p.change("set", keyKeyring, p.fields["k"]+":x", seq)
		return
	}
	p.move()
	p.change("unset", keyPacks, p.Pack+":x", seq)
}

// pays moves what packs and wallets paid (sign -1) or got back (1).
func (p *putback) pays(sign int64) {
	for _, part := range p.Paid {
		if id, is := strings.CutPrefix(part.From, "pack:"); is {
			p.add(keyPacks, id+":b", sign*part.Quantity)
		} else {
			p.add(keyAccount, part.From, sign*int64(part.Amount))
		}
	}
}

// spends counts cash of a day and month for the key, or (sign -1) takes it off.
func (p *putback) spends(sign, day, month int64) {
	suffix := p.fields["k"]
	if suffix == "" {
		return
	}
	amount := sign * int64(p.FeeDue())
	p.add(keyKeyring, suffix+":s", amount)
	today := "- -" // refunds and repricings never start a new day or month of the key's counters; only calls do
	if p.fields["x"] == "" && p.spent == nil {
		d, m := localDay(p.Time.In(p.zone))
		today = fmt.Sprint(d, m)
	}
	p.change("roll", keyKeyring, suffix, fmt.Sprintf("%s %d %d %d", today, day, month, amount))
}

func (p *putback) charge() error {
	p.request = p.RequestID
	p.pays(-1)
	day, month := p.spentOn(p.zone)
	p.spends(1, day, month)
	p.counts(1, p.tokens())
	if p.Type == TypeCharge {
		return p.mark(fmt.Sprintf("c %d %s", p.seq(), cmp.Or(p.fields["d"], "-")))
	}
	return p.mark(fmt.Sprintf("a %d %d %d %d %d %s %s %s", p.seq(), int64(p.FeeDue()), p.tokens(), day, month,
		cmp.Or(p.fields["k"], "-"), cmp.Or(p.fields["p"], "-"), cmp.Or(p.fields["c"], "-")))
}

// counts counts a request and its tokens for the key, or takes them off.
func (p *putback) counts(sign, tokens int64) {
	if suffix := p.fields["k"]; suffix != "" {
		p.add(keyKeyring, suffix+":t", sign*tokens)
		p.add(keyKeyring, suffix+":n", sign)
	}
}

// refund gives back: as an operator does (field x), or because a call that had been
// swept and charged ended otherwise. Fields u and j both have the day and month of the
// charge: u if nothing of it is left, j if something is.
func (p *putback) refund() error {
	p.pays(1)
	var tokens, day, month int64
	var err error
	if left := p.fields["j"]; left != "" {
		_, err = fmt.Sscan(left, &day, &month)
	} else if _, err = fmt.Sscan(p.fields["u"], &tokens, &day, &month); err == nil {
		p.counts(-1, tokens)
	}
	if err != nil {
		return fmt.Errorf("fields u %q, j %q: %w", p.fields["u"], p.fields["j"], err)
	}
	p.spends(-1, day, month)
	switch {
	case p.fields["x"] != "":
		return p.given()
	case strings.HasPrefix(p.Reason, "released"):
		return p.mark("r")
	}
	return p.mark("x -") // the charge that takes its place is the next entry
}

// given remembers what has been given back of a charge; the marker of an
// abandoned call follows.
func (p *putback) given() (err error) {
	words := strings.Fields(p.fields["x"])
	if len(words) != 3 {
		return fmt.Errorf("field x %q is damaged", p.fields["x"])
	}
	p.change("set", keyRefunds, words[0], words[1]+" "+words[2])
	if p.idMS, err = idMillis(p.RequestID); err != nil {
		return err
	}
	p.change("given", keyMarker, p.RequestID, fmt.Sprintf("%s %d %s", words[0], int64(p.FeeDue()), leftOf(words[1], words[2])))
	return nil
}

// leftOf is what paid less what was given back, both as "p1=300,b=5"; "-" for nothing.
func leftOf(paid, given string) string {
	r := new(record)
	back := make(map[string]int64)
	r.pairs("given", strings.Trim(given, "-"), func(name string, n int64) { back[name] += n })
	var left []string
	r.pairs("paid", strings.Trim(paid, "-"), func(name string, n int64) {
		if n > back[name] {
			left = append(left, fmt.Sprintf("%s=%d", name, n-back[name]))
		}
	})
	return cmp.Or(strings.Join(left, ","), "-")
}

// mark writes the terminal answer of the request, unless it would be dead by now.
func (p *putback) mark(answer string) error {
	var err error
	if p.idMS, err = idMillis(p.RequestID); err != nil {
		return err
	}
	p.remember(keyMarker, p.idMS, p.RequestID, answer)
	return nil
}

// remember lives as long as lua/trip.lua lets it live: from the entry on, or from the end of the hour of the id, whose clock may
// have stood ahead. Whether that is over is decided by Redis's clock.
func (p *putback) remember(key int, idMS int64, field, value string) {
	hourEnds := (idMS/markerBucketMS + 1) * markerBucketMS
	death := max(p.Time.UnixMilli(), hourEnds) + markerLife.Milliseconds()
	p.change("remember", key, field, strconv.FormatInt(death, 10)+" "+value)
}

// reference writes down under which reference the entry was booked.
func (p *putback) reference() (err error) {
	value := strconv.FormatInt(p.seq(), 10) + " " + p.fields["d"]
	switch {
	case p.fields["d"] == "":
	case p.Ref != "":
		p.change("set", keyRefs, p.Ref, value)
	case p.fields["i"] != "":
		if p.madeUp, err = idMillis(p.fields["i"]); err == nil {
			p.remember(keyMadeUp, p.madeUp, p.fields["i"], value)
		}
	}
	return err
}

// balances demands that the balances are those that the entry says.
func (p *putback) balances() {
	if p.fields["z"] == "" {
		return
	}
	for pair := range strings.SplitSeq(p.fields["z"], ",") {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "r":
			p.change("is", keyAccount, string(Recharge), value)
		case "b":
			p.change("is", keyAccount, string(Bonus), value)
		default:
			p.change("is", keyPacks, name+":b", value)
		}
	}
}

// definition is the pack as the scripts read it, without the time of creation; see lua/grant.lua.
func (g *Grant) definition() string {
	order, expires := "b", int64(0)
	if g.Order == AfterBalance {
		order = "a"
	}
	if g.ExpiresAt != nil {
		expires = g.ExpiresAt.UnixMilli()
	}
	return strings.Join([]string{
		g.Unit, strconv.FormatInt(g.Priority, 10), strconv.FormatInt(expires, 10), order,
		strings.Join(g.Models, " "), strconv.FormatInt(g.Quantity, 10), g.Ref,
	}, "\t")
}
