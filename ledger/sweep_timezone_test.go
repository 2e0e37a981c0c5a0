package ledger

import (
	"testing"
	"time"
)

// What a sweeper charges counts for the day that the proxies have.
func TestAbandonedCallCountsForTheProxiesDay(t *testing.T) {
	for name, hour := range map[string]int{"Asia/Tokyo": 4, "America/Los_Angeles": 20} { // where UTC has another day
		t.Run(name, func(t *testing.T) {
			zone := zone(t, name)
			f := newFixture(t, Options{Timezone: zone, HoldTTL: time.Minute})
			f.account("acme", "100", "0", AccountOptions{})
			key := f.key("acme", KeyLimits{SpendDaily: f.nano("2"), SpendMonthly: f.nano("2")})
			now := time.Now().In(zone)
			f.pass(time.Date(now.Year(), now.Month()+1, 1, hour, 0, 0, 0, zone).Sub(now))
			f.abandoned(f.reserve(key, cost(f, "2")), cost(f, "2"))
			_ = isReason(f, f.refused(key, cost(f, "1")), KeySpendExhausted, "key.spend_daily")
		})
	}
}
