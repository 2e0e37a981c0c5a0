package ledger

import (
	"fmt"
	"slices"
	"testing"
)

// REFUND-CAP: a refund of another charge than it says, of more than is left, or of nothing that is left, is found by its own entry,
// and not only by what is remembered of it.
func TestAuditFindsARefundTooMuch(t *testing.T) {
	for name, c := range map[string]struct {
		given  string // before
		fields func(r *Receipt) []any
	}{
		"of no charge": {"", func(*Receipt) []any { return []any{"r", NewRequestID(), "f", "0"} }},
		"of another entry": {"", func(r *Receipt) []any {
			return []any{"r", r.RequestID, "f", "1", "p", "r=1", "x", fmt.Sprintf("%d r=1000000000 r=1", r.seq()-1)}
		}},
		"of more than was paid": {"", func(r *Receipt) []any {
			return []any{"r", r.RequestID, "f", "1000000001", "p", "r=1000000001", "x", fmt.Sprintf("%d r=1000000000 r=1000000001", r.seq())}
		}},
		"of more than is left": {"0.5", func(r *Receipt) []any {
			return []any{"r", r.RequestID, "f", "500000001", "p", "r=500000001", "x", fmt.Sprintf("%d r=1000000000 r=1000000001", r.seq())}
		}},
		"to who did not pay": {"", func(r *Receipt) []any {
			return []any{"r", r.RequestID, "f", "1", "p", "b=1", "x", fmt.Sprintf("%d r=1000000000 -", r.seq())}
		}},
		"of nothing that is left": {"1", func(r *Receipt) []any {
			return []any{"r", r.RequestID, "f", "0", "x", fmt.Sprintf("%d r=1000000000 r=1000000000", r.seq())}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Options{})
			f.broken = true
			f.account("acme", "10", "0", AccountOptions{})
			r := f.settle(f.reserve(f.key("acme", KeyLimits{}), cost(t, "1")), cost(t, "1"))
			if c.given != "" {
				f.refund(r.RequestID, c.given)
			}
			f.must(f.forge(append([]any{"t", TypeRefund}, c.fields(r)...)...))
			if got, want := f.found(lawRefundCap), "entry "+entryID(f.shardSeq(r.Shard)); !slices.Contains(got, want) {
				t.Errorf("found %q, want %s", got, want)
			}
		})
	}
}
