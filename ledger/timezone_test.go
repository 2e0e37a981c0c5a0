package ledger

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// Who says nothing of a time zone goes by that of who serves; who says one goes
// by it, and only who serves leaves it to the others.
func TestTimezoneIsOfWhoServes(t *testing.T) {
	f := newFixture(t, Options{})
	goesBy := func(l *Ledger, want string) {
		t.Helper()
		if got := l.Timezone().String(); got != want {
			t.Errorf("goes by %s, want %s", got, want)
		}
	}
	goesBy(f.ledger, "UTC")
	goesBy(f.open(Options{Timezone: zone(t, "Asia/Shanghai")}), "Asia/Shanghai")
	goesBy(f.open(Options{Existing: true}), "Asia/Shanghai")
	goesBy(f.open(Options{}), "Asia/Shanghai")
	goesBy(f.open(Options{Existing: true, Timezone: zone(t, "Europe/Berlin")}), "Europe/Berlin")
	goesBy(f.open(Options{Existing: true}), "Asia/Shanghai")

	core, log := observer.New(zap.WarnLevel)
	goesBy(f.open(Options{Timezone: zone(t, "Asia/Tokyo"), Logger: zap.New(core)}), "Asia/Tokyo")
	goesBy(f.open(Options{Timezone: zone(t, "Asia/Tokyo"), Logger: zap.New(core)}), "Asia/Tokyo")
	if log.FilterMessageSnippet("another time zone than before").Len() != 1 {
		t.Errorf("of a change of zone it was said: %v", log.All())
	}
	goesBy(f.open(Options{Existing: true}), "Asia/Tokyo")

	f.must(f.ledger.client.HSet(f.ctx(), f.ledger.metaKey(0), metaTimezone, "Mars/Olympus").Err())
	_, err := Open(f.ctx(), Options{URL: f.server.URL(), Existing: true})
	f.says(err, ErrInvalid, `"Mars/Olympus", which is not known here`)
}

// A charge that a verb without a configuration books counts for the day that
// the proxies have.
func TestAVerbCountsForTheProxiesDay(t *testing.T) {
	for name, hour := range map[string]int{"Asia/Tokyo": 4, "America/Los_Angeles": 20} { // where UTC has another day
		t.Run(name, func(t *testing.T) {
			zone := zone(t, name)
			f := newFixture(t, Options{Timezone: zone})
			f.account("acme", "100", "0", AccountOptions{})
			key := f.key("acme", KeyLimits{SpendDaily: f.nano("2"), SpendMonthly: f.nano("2")})
			now := time.Now().In(zone)
			f.pass(time.Date(now.Year(), now.Month()+1, 1, hour, 0, 0, 0, zone).Sub(now))
			hold := f.reserve(key, cost(f, "2"))

			verb := f.open(Options{Existing: true})
			verb.clockOffset.Store(f.ledger.clockOffset.Load())
			_, err := verb.Settle(f.ctx(), settlement(hold, cost(f, "2")))
			f.must(err)
			_ = isReason(f, f.refused(key, cost(f, "1")), KeySpendExhausted, "key.spend_daily")
		})
	}
}
