package ledger

import (
	"testing"
	"time"
)

// A call that was swept and charged, and ends otherwise, draws on its key's tokens per minute by that end alone.
func TestLateEndTakesItsTokensOnce(t *testing.T) {
	tokens := func(n string) []string { return []string{"input " + n + " 0.001"} }
	for how, least := range map[string]int64{"settle": 4000, "release": 6000} {
		t.Run(how, func(t *testing.T) {
			f := newFixture(t, Options{HoldTTL: time.Second})
			f.account("acme", "10", "0", AccountOptions{})
			hold := f.reserve(f.key("acme", KeyLimits{TPM: 6000}), charge(t, tokens("2000")...))
			f.must(f.ledger.Extend(f.ctx(), Checkpoint{settlement(hold, charge(t, tokens("2000")...))}))
			f.pass(time.Second + time.Millisecond)
			if s := f.sweep(); s.Abandoned != 1 {
				t.Fatalf("swept %+v", s)
			}
			var standing Standing
			if how == "settle" {
				standing = f.settle(hold, charge(t, tokens("2000")...)).Standing
			} else {
				standing = *f.release(hold)
			}
			if left := standing.Tokens.Remaining; left < least || left > least+1000 {
				t.Errorf("%d tokens are left for this minute, want %d and what a moment adds", left, least)
			}
		})
	}
}
