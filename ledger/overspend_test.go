package ledger

import (
	"errors"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// P1: enough for exactly two requests, fifty at once, on one process and on
// three: two are admitted, 48 refused, and nothing is below zero.
func TestNoOverspend(t *testing.T) {
	cases := []struct {
		name    string
		wallets string
		grant   *Grant
		limits  KeyLimits
		quote   func(t testing.TB) meter.Charge
		reasons []Reason
	}{
		{"balance", "2", nil, KeyLimits{}, one, []Reason{InFlight}},
		{"pack", "0", &Grant{Quantity: 2000}, KeyLimits{}, thousand, []Reason{InFlight}},
		{"key spend", "100", nil, KeyLimits{SpendTotal: 2 * meter.NanoPerUnit}, one, []Reason{InFlight}},
		{"key tokens", "100", nil, KeyLimits{Tokens: 2000}, thousand, []Reason{InFlight}},
		{"rpm", "100", nil, KeyLimits{RPM: 2}, one, []Reason{RateLimited}},
		{"tpm", "100", nil, KeyLimits{TPM: 2000}, thousand, []Reason{RateLimited}},
		{"parallel", "100", nil, KeyLimits{Parallel: 2}, one, []Reason{TooManyParallel}},
	}
	onRealRedis(t, func(f *fixture) {
		nodes := []*Ledger{f.ledger, f.open(Options{}), f.open(Options{})}
		for i, c := range cases {
			for _, n := range []int{1, len(nodes)} {
				id := "over" + string(rune('a'+i)) + string(rune('0'+n))
				f.account(id, c.wallets, "0", AccountOptions{})
				if c.grant != nil {
					g := *c.grant
					g.Account = id
					f.grant(g)
				}
				holds := f.storm(nodes[:n], f.key(id, c.limits), c.quote(f), c.reasons)
				if len(holds) != 2 {
					f.Errorf("%s on %d: %d of 50 admitted, want 2", c.name, n, len(holds))
				}
				for _, h := range holds {
					f.settle(h, c.quote(f))
				}
				if a := f.read(id); a.Wallets[Recharge].Balance < 0 || a.Held != 0 {
					f.Errorf("%s on %d: NONNEG: %+v", c.name, n, a)
				}
			}
		}
	})
}

func one(t testing.TB) meter.Charge      { return cost(t, "1") }
func thousand(t testing.TB) meter.Charge { return charge(t, "input 1000 2/1M") }

// storm reserves fifty times at once, spread over the nodes, and returns the
// holds. The refusals must be for one of the reasons.
func (f *fixture) storm(nodes []*Ledger, key Credential, quote meter.Charge, reasons []Reason) (holds []*Hold) {
	f.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			h, err := nodes[i%len(nodes)].Reserve(f.ctx(), f.reservation(key, quote))
			mu.Lock()
			defer mu.Unlock()
			var no *Refusal
			switch {
			case err == nil:
				holds = append(holds, h)
			case !errors.As(err, &no) || no.Reason != reasons[0]:
				f.Errorf("error %v, want a refusal for %v", err, reasons)
			}
		})
	}
	wg.Wait()
	return holds
}
