package ledger

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/ledger/archive"
	"github.com/tollgate/tollgate/meter"
)

// Bill is what an account used in a month, as the journal has it: the fee in
// cash and the units from packs apart. Refunds are taken off in the month in
// which they were booked, so a closed month never changes.
type Bill struct {
	Account  string     `json:"account"`
	Month    string     `json:"month"` // 2026-11
	Timezone string     `json:"timezone"`
	Currency string     `json:"currency"`
	Fee      meter.Nano `json:"fee"`
	Paid     BillPaid   `json:"paid"`
	Packs    []BillPack `json:"packs"`
	Lines    []BillLine `json:"lines"`
}

// BillPaid is the fee by wallet.
type BillPaid struct {
	Recharge meter.Nano `json:"recharge"`
	Bonus    meter.Nano `json:"bonus"`
}

// BillPack is what was used of a pack.
type BillPack struct {
	ID       string `json:"id"`
	Unit     string `json:"unit"`
	Quantity int64  `json:"quantity"`
}

// BillLine is a key's use of a model by an endpoint on a day.
type BillLine struct {
	Day          string           `json:"day"` // 2026-11-23
	Key          string           `json:"key"`
	Model        string           `json:"model"`
	Endpoint     string           `json:"endpoint"`
	Requests     int64            `json:"requests"`
	Usage        map[string]int64 `json:"usage"`
	Fee          meter.Nano       `json:"fee"`
	PackQuantity int64            `json:"pack_quantity"`
}

// Bill adds up an account's month, in the ledger's time zone, by the time of
// booking; month is any moment in it. ErrNotFound, ErrUnavailable.
func (l *Ledger) Bill(ctx context.Context, account string, month time.Time) (*Bill, error) {
	state, err := l.stateWithoutKeys(ctx, account)
	if err != nil {
		return nil, err
	}
	packs, err := state.packList()
	if err != nil {
		return nil, err
	}
	local := month.In(l.timezone)
	first := meter.DayStart(local.Year(), local.Month(), 1, l.timezone)
	next := meter.DayStart(local.Year(), local.Month()+1, 1, l.timezone)
	b := &billing{
		ledger: l, first: first, lines: make(map[billKey]*BillLine), packs: make(map[string]int64), charges: make(map[string]*Entry),
		Bill: &Bill{Account: account, Month: first.Format("2006-01"), Timezone: l.timezone.String(), Currency: l.currency},
	}
	query := JournalQuery{Since: first.Add(-lateEnds), Until: next, Types: []string{TypeCharge, TypeAbandon, TypeRefund}}
	if err := l.Journal(ctx, account, query, func(e *Entry) error { return b.add(ctx, e) }); err != nil {
		return nil, err
	}
	return b.finish(packs), nil
}

type billKey struct{ day, key, model, endpoint string }

// billing is a bill in the making.
type billing struct {
	*Bill
	ledger  *Ledger
	lines   map[billKey]*BillLine
	packs   map[string]int64
	charges map[string]*Entry // abandoned calls, by request id: they may end otherwise
	first   time.Time         // of the month: what is older is only looked at for its abandoned calls
}

// lateEnds is how long after it was abandoned a call may still be charged: its
// marker's life, and that again since an operator refunded it, with time to spare.
const lateEnds = 3 * markerLife

func (b *billing) add(ctx context.Context, e *Entry) error {
	if e.Time.Before(b.first) {
		if e.Type == TypeAbandon {
			b.charges[e.RequestID] = e
		}
		return nil
	}
	if e.Type != TypeRefund {
		if was := b.charges[e.RequestID]; was != nil {
			// An operator had given all of it back, so nothing was left for the charge to take back.
			b.neverWas(e, was)
		}
		if e.Type == TypeAbandon {
			b.charges[e.RequestID] = e
		}
		b.count(e, e, 1)
		line := b.line(e, e)
		line.Requests++
		line.use(&e.Usage, 1)
		return nil
	}
	charge, err := b.chargeOf(ctx, e)
	if err != nil {
		return err
	}
	b.count(e, charge, -1)
	if e.takenBack {
		b.neverWas(e, charge)
	}
	return nil
}

// neverWas takes the use off again of a call that had been swept and ended otherwise, as e says.
func (b *billing) neverWas(e, charge *Entry) {
	line := b.line(e, charge)
	line.Requests--
	line.use(&charge.Usage, -1)
	delete(b.charges, e.RequestID)
}

// chargeOf finds what a refund gives back: a charge of this month, or of one before.
func (b *billing) chargeOf(ctx context.Context, refund *Entry) (*Entry, error) {
	if refund.Model != "" {
		return refund, nil // it says itself what it is of
	}
	if charge := b.charges[refund.RequestID]; charge != nil {
		return charge, nil
	}
	found := refund
	narrow := archive.Query{Account: refund.Account, RequestID: refund.RequestID, Types: []string{TypeCharge, TypeAbandon}}
	err := b.ledger.eachRaw(ctx, refund.Shard, 1, refund.seq()-1, narrow, func(e *archive.Entry) (err error) {
		if e.RequestID == refund.RequestID && e.Account == refund.Account && slices.Contains(narrow.Types, e.Type) {
			found, err = fromArchive(e)
		}
		return err
	})
	return found, err
}

// count adds what an entry moved; of is the charge that it is, or gives back.
func (b *billing) count(e, of *Entry, sign int64) {
	pack, bonus, recharge := e.PaidBy()
	b.Fee += meter.Nano(sign) * e.FeeDue()
	b.Paid.Bonus += meter.Nano(sign) * bonus
	b.Paid.Recharge += meter.Nano(sign) * recharge
	for _, p := range e.Paid {
		if id, is := strings.CutPrefix(p.From, "pack:"); is {
			b.packs[id] += sign * p.Quantity
		}
	}
	line := b.line(e, of)
	line.Fee += meter.Nano(sign) * e.FeeDue()
	line.PackQuantity += sign * pack
}

func (b *billing) line(e, of *Entry) *BillLine {
	key := billKey{e.Time.In(b.ledger.timezone).Format(time.DateOnly), e.Key, of.Model, of.Endpoint}
	if b.lines[key] == nil {
		b.lines[key] = &BillLine{Day: key.day, Key: key.key, Model: key.model, Endpoint: key.endpoint, Usage: make(map[string]int64)}
	}
	return b.lines[key]
}

func (l *BillLine) use(usage *Usage, sign int64) {
	for d, n := range usage.NonZero() {
		name := d.String()
		if l.Usage[name] += sign * n; l.Usage[name] == 0 {
			delete(l.Usage, name)
		}
	}
}

func (l *BillLine) empty() bool {
	return l.Requests == 0 && l.Fee == 0 && l.PackQuantity == 0 && len(l.Usage) == 0
}

func (b *billing) finish(packs []Pack) *Bill {
	b.Bill.Packs, b.Bill.Lines = []BillPack{}, []BillLine{}
	for i := range packs {
		if n := b.packs[packs[i].ID]; n != 0 {
			b.Bill.Packs = append(b.Bill.Packs, BillPack{ID: packs[i].ID, Unit: packs[i].Unit, Quantity: n})
		}
	}
	for _, line := range b.lines {
		if !line.empty() { // what was swept and then ended otherwise leaves nothing on its line
			b.Bill.Lines = append(b.Bill.Lines, *line)
		}
	}
	slices.SortFunc(b.Bill.Lines, func(x, y BillLine) int {
		return cmp.Or(strings.Compare(x.Day, y.Day), strings.Compare(x.Key, y.Key), strings.Compare(x.Model, y.Model), strings.Compare(x.Endpoint, y.Endpoint))
	})
	return b.Bill
}

// ParseMonth reads a month such as 2026-11: its first instant in a time zone. ErrInvalid.
func ParseMonth(text string, zone *time.Location) (time.Time, error) {
	month, err := time.Parse("2006-01", text)
	if err != nil {
		return month, fmt.Errorf("%w: month %q: want one such as 2026-11", ErrInvalid, text)
	}
	return meter.DayStart(month.Year(), month.Month(), 1, zone), nil
}

// WriteCSV writes the lines, one a row under a header, for spreadsheets. Usage is one
// column, "input=900;output=120": which dimensions there are depends on the models.
func (b *Bill) WriteCSV(to io.Writer) error {
	w := csv.NewWriter(to)
	rows := [][]string{{"account", "month", "day", "key", "model", "endpoint", "requests", "usage", "fee", "currency", "pack_quantity"}}
	for i := range b.Lines {
		l := &b.Lines[i]
		rows = append(rows, []string{
			b.Account, b.Month, l.Day, l.Key, noFormula(l.Model), l.Endpoint, strconv.FormatInt(l.Requests, 10), l.UsageText(";"),
			l.Fee.String(), b.Currency, strconv.FormatInt(l.PackQuantity, 10),
		})
	}
	return w.WriteAll(rows)
}

// noFormula puts an apostrophe before a name that a spreadsheet would take for a formula
// (in some languages in full width, too). Clients choose the names of models; all else
// that stands in a row is of ours, or a number, which may begin with a minus.
func noFormula(name string) string {
	if first, _ := utf8.DecodeRuneInString(name); strings.ContainsRune("=+-@＝＋－＠", first) {
		return "'" + name
	}
	return name
}

// UsageText is what was used, "input=900;output=120" with ; as separator.
func (l *BillLine) UsageText(separator string) string {
	parts := make([]string, 0, len(l.Usage))
	for dimension, n := range l.Usage {
		parts = append(parts, fmt.Sprintf("%s=%d", dimension, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, separator)
}
