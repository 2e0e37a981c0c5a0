package ledger

import (
	"net/netip"
	"testing"
	"time"
)

// While Redis lacks what it had acknowledged, an object that it does not have may be in somebody's log: who asks is told to ask again,
// and not that there is none.
func TestObjectThatMayHaveBeenLost(t *testing.T) {
	f := newFixture(t, Options{})
	f.account("acme", "10", "0", AccountOptions{})
	key := f.key("acme", KeyLimits{})
	_, err := f.find(key, "resp_1")
	wants(t, err, ErrNotFound)
	f.ledger.losses.patience = time.Hour
	f.ledger.losses.add()
	_, err = f.find(key, "resp_1")
	wants(t, err, ErrUnavailable)
	_, err = f.ledger.FindObjects(f.ctx(), key, netip.Addr{}, []string{"resp_1", "resp_2"})
	wants(t, err, ErrUnavailable)
}
