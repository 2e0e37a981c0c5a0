package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

func (f *fixture) bill(account string) *Bill {
	f.Helper()
	b, err := f.ledger.Bill(f.ctx(), account, f.ledger.now())
	f.must(err)
	return b
}

// The bill is what the journal says: cash and packs apart, refunds taken off.
func TestBill(t *testing.T) {
	f := newFixture(t, Options{Timezone: fixedZone(8 * 3600)})
	f.account("acme", "10", "0", AccountOptions{})
	f.grant(Grant{Account: "acme", Quantity: 600})
	a, b := f.key("acme", KeyLimits{}), f.key("acme", KeyLimits{})
	quote := charge(f, "input 1000 2/1M", "output 500 8/1M")
	first := f.settle(f.reserve(a, quote), charge(f, "input 400 2/1M", "output 100 8/1M"))
	f.settle(f.reserve(a, quote), charge(f, "input 100 2/1M", "output 100 8/1M"))
	second := f.settle(f.reserve(b, quote), charge(f, "input 1000 2/1M"))
	_, err := f.ledger.Refund(f.ctx(), Refund{Account: "acme", RequestID: first.RequestID, Reason: "wrong"})
	f.must(err)
	part := f.nano("0.0005")
	_, err = f.ledger.Refund(f.ctx(), Refund{Account: "acme", RequestID: second.RequestID, Reason: "part", Amount: &part})
	f.must(err)

	bill := f.bill("acme")
	if bill.Fee.String() != "0.002" || bill.Fee != bill.Paid.Recharge+bill.Paid.Bonus {
		t.Errorf("fee %s, paid %+v", bill.Fee, bill.Paid)
	}
	want := map[string]string{
		keyID("acme", a.suffix()): "2 requests, map[input:500 output:200], fee 0.0005, 100 by packs",
		keyID("acme", b.suffix()): "1 requests, map[input:1000], fee 0.0015, 0 by packs",
	}
	fee, quantity := int64(0), int64(0)
	for _, line := range bill.Lines {
		fee += int64(line.Fee)
		quantity += line.PackQuantity
		if line.Day != time.Now().In(fixedZone(8*3600)).Format(time.DateOnly) || line.Model != "glm-4" || line.Endpoint != "chat" {
			t.Errorf("line %+v", line)
		}
		if got := fmt.Sprintf("%d requests, %v, fee %s, %d by packs", line.Requests, line.Usage, line.Fee, line.PackQuantity); got != want[line.Key] {
			t.Errorf("%s: %s, want %s", line.Key, got, want[line.Key])
		}
	}
	if len(bill.Lines) != 2 || fee != int64(bill.Fee) || len(bill.Packs) != 1 || quantity != bill.Packs[0].Quantity {
		t.Errorf("bill %+v", bill)
	}
	spent := f.nano("10") - f.read("acme").Wallets[Recharge].Balance
	if bill.Fee != spent {
		t.Errorf("CONSERVE: the bill says %s, the wallet lost %s", bill.Fee, spent)
	}
	other, err := f.ledger.Bill(f.ctx(), "acme", f.ledger.now().AddDate(0, -2, 0))
	f.must(err)
	if other.Fee != 0 || other.Lines == nil || len(other.Lines) != 0 || other.Packs == nil {
		t.Errorf("another month: %+v", other)
	}
	_, err = f.ledger.Bill(f.ctx(), "nobody", f.ledger.now())
	wants(t, err, ErrNotFound)
}

// Trimmed entries are on the bill as others are, and bills add up to what was paid.
func TestBillOverTheArchive(t *testing.T) {
	f := archived(t, Options{Shards: 2})
	tr := f.traffic(11, "acme", "bolt", "cork")
	tr.run(300)
	tr.finish()
	before := fmt.Sprintf("%+v", f.bill("acme"))
	f.archiveNow()
	if after := fmt.Sprintf("%+v", f.bill("acme")); after != before {
		t.Errorf("the bill was\n%s\nand is\n%s", before, after)
	}
	for _, id := range tr.accounts {
		f.billIsTheJournal(id)
	}
}

func (f *fixture) billIsTheJournal(id string) {
	f.Helper()
	var fee, bonus, recharge meter.Nano
	var units int64
	for _, e := range f.entries(id, TypeCharge, TypeAbandon, TypeRefund) {
		sign := int64(1)
		if e.Type == TypeRefund {
			sign = -1
		}
		fee += meter.Nano(sign) * e.FeeDue()
		for _, p := range e.Paid {
			switch p.From {
			case string(Recharge):
				recharge += meter.Nano(sign) * p.Amount
			case string(Bonus):
				bonus += meter.Nano(sign) * p.Amount
			default:
				units += sign * p.Quantity
			}
		}
	}
	bill := f.bill(id)
	var lineFee meter.Nano
	var lineUnits, packUnits int64
	for _, l := range bill.Lines {
		lineFee, lineUnits = lineFee+l.Fee, lineUnits+l.PackQuantity
		if l.Requests < 0 || l.Model != "glm-4" {
			f.Errorf("line %+v", l)
		}
	}
	for _, p := range bill.Packs {
		packUnits += p.Quantity
	}
	if bill.Fee != fee || bill.Paid.Bonus != bonus || bill.Paid.Recharge != recharge || lineFee != fee || lineUnits != units || packUnits != units {
		f.Errorf("%s: journal %s = %s + %s, %d units; bill %+v", id, fee, bonus, recharge, units, bill)
	}
}

// Redis's clock is set back over the end of a month: every charge is in the bill of its own.
func TestBillAfterClockSetBack(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	now := f.ledger.now().UTC()
	next := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	f.pass(next.Sub(now) - 20*time.Minute)
	for _, pass := range []time.Duration{0, 40 * time.Minute, -40 * time.Minute} {
		f.pass(pass)
		f.settle(f.reserve(key, cost(t, "1")), cost(t, "1"))
	}
	for month, want := range map[time.Time]string{next.Add(-time.Hour): "2", next.Add(time.Hour): "1"} {
		bill, err := f.ledger.Bill(f.ctx(), "acme", month)
		f.must(err)
		if bill.Fee.String() != want {
			t.Errorf("bill of %s: %s, want %s", bill.Month, bill.Fee, want)
		}
	}
}
