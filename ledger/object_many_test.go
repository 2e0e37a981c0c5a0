package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// Of many objects each has its own memory, in whatever hour it was made. One that is nowhere is not worth a look for all that are named
// after it, but what was found before is told: nobody has to look for that again.
func TestManyObjects(t *testing.T) {
	onRealRedis(t, func(f *fixture) {
		f.account("acme", "100", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		var ids, want []string
		for call := range 3 {
			h := f.reserve(key, cost(f, "1"))
			s := settlement(h, cost(t, "1"))
			for i := range 20 {
				o := Object{ID: fmt.Sprintf("msg_%d_%d", call, i), Memory: fmt.Sprintf("%d of %d", i, call)}
				s.Made, ids, want = append(s.Made, o), append(ids, o.ID), append(want, o.Memory)
			}
			_, err := f.ledger.Settle(f.ctx(), s)
			f.must(err)
			f.pass(time.Hour)
		}
		got, err := f.ledger.FindObjects(f.ctx(), key, netip.Addr{}, ids)
		if f.must(err); !slices.Equal(got, want) {
			f.Errorf("remembered %q", got)
		}
		got, err = f.ledger.FindObjects(f.ctx(), key, netip.Addr{}, slices.Insert(slices.Clone(ids), 20, "msg_nobodys"))
		wants(f, err, ErrNotFound)
		if len(got) != 61 || !slices.Equal(got[:20], want[:20]) || got[20] != "" || slices.ContainsFunc(got[32:], func(m string) bool { return m != "" }) {
			f.Errorf("with one that is nowhere: %q", got)
		}
	})
}
