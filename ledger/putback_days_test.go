package ledger

import (
	"testing"
	"time"
)

// anotherDay is a time zone where it is another day than in UTC.
func anotherDay(t *testing.T) *time.Location {
	t.Helper()
	name := "Etc/GMT-14" // which is ahead of UTC
	if time.Now().UTC().Hour() < 11 {
		name = "Etc/GMT+12"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// What is put back counts for the day and month for which it was booked: another day's spend is not added to, whichever way the clock went.
func TestPutBackTurnsTheDay(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		since time.Duration
		then  func(f *fixture, key Credential, first *Receipt)
	}{
		"the next day":                        {day, func(*fixture, Credential, *Receipt) {}},
		"the next month":                      {31 * day, func(*fixture, Credential, *Receipt) {}},
		"the clock was set back":              {-day, func(*fixture, Credential, *Receipt) {}},
		"what was charged before is refunded": {31 * day, func(f *fixture, _ Credential, first *Receipt) { f.refund(first.RequestID, "") }},
		"what was charged before is repriced": {day, func(f *fixture, _ Credential, _ *Receipt) {
			f.reprice(Repricing{}, at(f, "input 1 1.5"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := archived(t, Options{Shards: 1, ArchiveKeep: time.Hour, Timezone: anotherDay(t)})
			f.account("acme", "10", "0", AccountOptions{})
			key := f.key("acme", KeyLimits{SpendDaily: f.nano("9")})
			once := charge(t, "input 1 1")
			first := f.settle(f.reserve(key, once), once)
			f.archiveNow()
			there := f.dump()
			f.pass(c.since)
			f.settle(f.reserve(key, once), once)
			c.then(f, key, first)
			f.archiveNow()
			before, use := f.books(), f.keyUse(key)
			f.lose(there)
			f.must(f.ledger.recoverer.recoverShard(f.ctx(), 0))
			f.sameBooks(before, f.books())
			if is := f.keyUse(key); is != use {
				t.Errorf("use %+v, was %+v", is, use)
			}
		})
	}
}
