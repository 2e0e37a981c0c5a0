package ledger

import (
	"testing"
	"time"
)

// A refund of a charge of another month takes nothing off what the key has spent in this one.
func TestRefundInAnotherMonth(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		key, receipt := f.refundFixture()
		f.pass(32 * 24 * time.Hour)
		f.settle(f.reserve(key, cost(f, "0.3")), cost(f, "0.3"))
		f.refund(receipt.RequestID, "")
		if use := f.keyUse(key); use.SpendTotal != f.nano("0.3") || use.SpendMonthly != f.nano("0.3") {
			f.Errorf("use %+v", use)
		}
	})
}
