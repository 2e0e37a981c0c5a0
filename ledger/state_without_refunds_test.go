package ledger

import "testing"

// What is remembered of refunds, which a repricing makes as long as the journal, is read for an audit alone: a holder
// who asks what is left must not have Redis read all of it.
func TestStateIsReadWithoutRefunds(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		_, receipt := f.refundFixture()
		f.refund(receipt.RequestID, "")
		s, err := f.ledger.state(f.ctx(), "acme")
		f.must(err)
		if len(s.refunds) != 0 || s.fields["recharge"] == "" {
			t.Errorf("%d refunds are read, of account %v", len(s.refunds), s.fields)
		}
	})
}
