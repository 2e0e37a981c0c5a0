package ledger

import (
	"reflect"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// A charge at another price says all else that it said, so that it can be priced anew again.
func TestRepricedChargeSaysWhatTheCallWas(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	s := settlement(f.reserve(f.key("acme", KeyLimits{}), charge(t, "input 1 1")), charge(t, "input 1 2"))
	s.AnswerModel, s.Endpoint, s.Upstream, s.Source = "glm-4-0520", "embeddings", "elsewhere", meter.Estimated
	s.At = time.UnixMilli(1_780_000_000_000).UTC()
	s.Anomalies = []string{"total_tokens"}
	s.Attributes, s.AnswerAttributes = meter.Attributes{"size": "big"}, meter.Attributes{"service_tier": "flex"}
	was, err := f.ledger.Settle(f.ctx(), s)
	f.must(err)
	list, _ := f.reprice(Repricing{}, at(t, "input 1 3"))
	if len(list) != 1 || list[0].Entry == nil {
		t.Fatalf("repriced %+v", list)
	}
	// What is another one is so on purpose.
	is, want := *list[0].Entry, was.Entry
	if is.Overrun != f.nano("2") || *is.Hold != f.nano("1") {
		t.Errorf("a hold of %v, exceeded by %v", is.Hold, is.Overrun)
	}
	is.ID, is.Time, is.Fee, is.Lines, is.Paid, is.BalancesAfter = want.ID, want.Time, want.Fee, want.Lines, want.Paid, want.BalancesAfter
	is.Reason, is.Overrun, is.spent = want.Reason, want.Overrun, want.spent
	if !reflect.DeepEqual(is, want) {
		t.Errorf("it became\n%+v, was\n%+v", is, want)
	}
}

// A wallet that is full takes nothing back: the charge stays as it is.
func TestRepriceIntoAFullWallet(t *testing.T) {
	requireNotIntoFullWallets(t, func(f *fixture, r *Receipt) error { return f.leftOf(r, at(t, "input 1 0.5")) })
}
