package proxy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
)

// What GET /v1/key says is left of a limit is what the next call may still have: not what those in flight hold.
// A limit that the key has not is not there, and of one that is used up there is 0.
func TestWhatIsLeftOfAKeysLimits(t *testing.T) {
	p := idleProxy()
	p.routing.Store(&routing{book: emptyBook(t)})
	rate := func(limit, remaining int64) ledger.RateState {
		return ledger.RateState{Limit: limit, Remaining: remaining, Reset: time.Second}
	}
	use := ledger.KeyUse{SpendTotal: 50e9, SpendDaily: 3e9, SpendMonthly: 20e9, SpendHeld: 1e9, Tokens: 700, TokensHeld: 100, Parallel: 2}
	for _, tt := range []struct {
		name     string
		limits   ledger.KeyLimits
		requests ledger.RateState
		tokens   ledger.RateState
		want     string
	}{
		{name: "no limit", want: `{}`},
		{
			name:     "all",
			limits:   ledger.KeyLimits{SpendTotal: 100e9, SpendDaily: 5e9, SpendMonthly: 60e9, Tokens: 1000, RPM: 10, TPM: 900, Parallel: 5},
			requests: rate(10, 7), tokens: rate(900, 400),
			want: `{"spend_total":"49","spend_daily":"1","spend_monthly":"39","tokens":200,"rpm":7,"tpm":400,"parallel":3}`,
		},
		{
			name:     "used up, or made less than is used",
			limits:   ledger.KeyLimits{SpendTotal: 51e9, SpendDaily: 1e9, SpendMonthly: 20e9, Tokens: 750, RPM: 10, TPM: 900, Parallel: 1},
			requests: rate(10, 0), tokens: rate(900, 0),
			want: `{"spend_total":"0","spend_daily":"0","spend_monthly":"0","tokens":0,"rpm":0,"tpm":0,"parallel":0}`,
		},
		{name: "a limit of 1", limits: ledger.KeyLimits{SpendTotal: 1, Parallel: 1}, want: `{"spend_total":"0","parallel":0}`},
	} {
		answer, err := p.showKey(nil, &ledger.Holder{Key: &ledger.Key{ID: "acme.0", Limits: tt.limits, Use: use, Requests: tt.requests, Tokens: tt.tokens}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(answer.(keyInfo).Remaining)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: left %s, want %s (%v)", tt.name, got, tt.want, err)
		}
	}
}
