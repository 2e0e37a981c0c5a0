package ledger

import "testing"

// A charge is given back to the request and the account that it is of, also where no marker says any more which those are.
func TestRefundOfAnothersCharge(t *testing.T) {
	f := newFixture(t, Options{Shards: 1})
	f.account("acme", "10", "0", AccountOptions{})
	f.account("bolt", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	one := f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
	two := f.settle(f.reserve(key, cost(f, "1")), cost(f, "1"))
	for _, r := range []*Receipt{one, two} {
		marker := f.ledger.markerKey(0, mustMillis(t, r.RequestID))
		f.must(f.server.Client().HDel(f.ctx(), marker, r.RequestID).Err())
	}
	for name, r := range map[string]Refund{
		"request": {Account: "acme", RequestID: two.RequestID, Reason: "x"},
		"account": {Account: "bolt", RequestID: one.RequestID, Reason: "x"},
	} {
		q, err := f.ledger.refundOf(&r, &one.Entry)
		f.must(err)
		reply, err := q.run(f.ctx(), "")
		f.must(err)
		if reply.text(0) != "OTHER" {
			t.Errorf("another %s: the script says %v", name, reply.values)
		}
	}
	f.balances("acme", "8 0 0")
	f.balances("bolt", "10 0 0")
}
