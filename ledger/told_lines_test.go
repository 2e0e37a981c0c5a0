package ledger

import "testing"

// A settlement is not booked as one of other lines was told: who pays is decided anew.
func TestToldOfOtherLinesIsDecidedAnew(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "10", "0", AccountOptions{})
		hold := f.reserve(f.key("acme", KeyLimits{}), charge(f, "input 100 0.01", "output 100 0.01"))
		s := settlement(hold, charge(f, "input 100 0.01", "output 100 0.01"))
		b, err := f.ledger.bookingOf(&s)
		f.must(err)
		c := f.callOf(f.ledger.scripts.settle, "acme", b.idMS, f.ledger.settleArgs(b, markerLife, "1000000000\t1000000000:0\tr=1000000000"))
		if got := f.trip(c); got[0] != "OK" {
			f.Errorf("answers %v", got)
		}
		f.balances("acme", "8 0 0")
	})
}
