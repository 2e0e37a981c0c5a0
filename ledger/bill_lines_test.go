package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A bill's lines are in the order of day, key, model and endpoint; a line is there if anything is on it, and a pack if something
// of it was used.
func TestBillLines(t *testing.T) {
	b := &billing{Bill: new(Bill), lines: make(map[billKey]*BillLine), packs: map[string]int64{"p2": 3, "p3": 0}}
	line := func(day, key, model, endpoint string, l BillLine) {
		l.Day, l.Key, l.Model, l.Endpoint = day, key, model, endpoint
		b.lines[billKey{day, key, model, endpoint}] = &l
	}
	line("2026-11-02", "a.1", "glm-4", "chat", BillLine{Requests: 1})
	line("2026-11-01", "a.2", "glm-4", "chat", BillLine{Fee: -1})
	line("2026-11-01", "a.1", "glm-5", "chat", BillLine{PackQuantity: -1})
	line("2026-11-01", "a.1", "glm-4", "messages", BillLine{Usage: map[string]int64{"input": -1}})
	line("2026-11-01", "a.1", "glm-4", "chat", BillLine{Requests: -1})
	line("2026-11-01", "a.1", "glm-3", "chat", BillLine{Usage: map[string]int64{}})
	bill := b.finish([]Pack{{ID: "p1", Unit: "token"}, {ID: "p2", Unit: "image"}, {ID: "p3", Unit: "token"}})

	var got []string
	for _, l := range bill.Lines {
		got = append(got, strings.Join([]string{l.Day, l.Key, l.Model, l.Endpoint}, " "))
	}
	want := "2026-11-01 a.1 glm-4 chat, 2026-11-01 a.1 glm-4 messages, 2026-11-01 a.1 glm-5 chat, 2026-11-01 a.2 glm-4 chat, 2026-11-02 a.1 glm-4 chat"
	if strings.Join(got, ", ") != want {
		t.Errorf("lines\n%s, want\n%s", strings.Join(got, ", "), want)
	}
	if got := fmt.Sprint(bill.Packs); got != "[{p2 image 3}]" {
		t.Errorf("packs %s", got)
	}
}

// Whoever reads the CSV finds each value under its name, whatever a model is called.
func TestBillAsCSV(t *testing.T) {
	bill := &Bill{Account: "acme", Month: "2026-11", Currency: "CNY", Lines: []BillLine{
		{
			Day: "2026-11-23", Key: "acme.0123456789ab", Model: `fine, "tuned"`, Endpoint: "chat", Requests: 3, Fee: 1_500_000_000, PackQuantity: 7,
			Usage: map[string]int64{"output": 120, "input": 900, "cached_input": 5},
		},
		{Day: "2026-11-24", Model: "glm-4", Endpoint: "images", Fee: -1},
	}}
	var out strings.Builder
	if err := bill.WriteCSV(&out); err != nil {
		t.Fatal(err)
	}
	want := `account,month,day,key,model,endpoint,requests,usage,fee,currency,pack_quantity
acme,2026-11,2026-11-23,acme.0123456789ab,"fine, ""tuned""",chat,3,cached_input=5;input=900;output=120,1.5,CNY,7
acme,2026-11,2026-11-24,,glm-4,images,0,,-0.000000001,CNY,0
`
	if out.String() != want {
		t.Errorf("CSV\n%s\nwant\n%s", out.String(), want)
	}
}

// Days and months are those of the ledger's time zone, from their first moment to their last.
func TestBillGoesByTheTimeZone(t *testing.T) {
	for _, zone := range []*time.Location{fixedZone(8 * 3600), fixedZone(-5 * 3600)} {
		f := newFixture(t, Options{Timezone: zone})
		f.broken = true // two entries are forged
		f.account("acme", "10", "0", AccountOptions{})
		key := f.key("acme", KeyLimits{})
		now := f.ledger.now().In(zone)
		border := time.Date(now.Year(), now.Month()+2, 1, 0, 0, 0, 0, zone)
		spend := func() *Receipt { return f.settle(f.reserve(key, cost(t, "1")), cost(t, "1")) }
		f.pass(border.Add(-time.Hour).Sub(now))
		f.repeatAt(spend(), border.Add(-time.Millisecond))
		f.repeatAt(spend(), border)
		f.pass(2 * time.Hour)
		spend()
		f.billed(border.AddDate(0, -1, 0), "3 on "+border.AddDate(0, 0, -1).Format(time.DateOnly))
		f.billed(border, "2 on "+border.Format(time.DateOnly))
		f.billed(border.AddDate(0, 1, 0), "")
	}
}

// billed checks the bill of a month, by whichever moment in it: how many requests on which days.
func (f *fixture) billed(first time.Time, want string) {
	f.Helper()
	name := first.Format("2006-01")
	parsed, err := ParseMonth(name, first.Location())
	f.must(err)
	for _, asked := range []time.Time{parsed, first.UTC(), first.AddDate(0, 0, 28).Add(-time.Minute).UTC()} {
		bill, err := f.ledger.Bill(f.ctx(), "acme", asked)
		f.must(err)
		var got []string
		for _, l := range bill.Lines {
			got = append(got, fmt.Sprintf("%d on %s", l.Requests, l.Day))
		}
		if strings.Join(got, ", ") != want || bill.Month != name || bill.Timezone != first.Location().String() {
			f.Errorf("%s, asked for by %s: %v in %s of %s, want %s", name, asked, got, bill.Month, bill.Timezone, want)
		}
	}
}

// A month begins with its first day, though clocks are put forward at that midnight: there is no
// 00:00 then, and the hour before is the last of the other month.
func TestMonthThatBeginsWithoutAMidnight(t *testing.T) {
	zone, err := time.LoadLocation("America/Asuncion") // on 1 October 2023
	if err != nil {
		t.Fatal(err)
	}
	month, err := ParseMonth("2023-10", zone)
	if want := time.Date(2023, time.October, 1, 1, 0, 0, 0, zone); err != nil || !month.Equal(want) {
		t.Fatalf("%s, %v: want %s", month, err, want)
	}
	f := newFixture(t, Options{Timezone: zone})
	f.account("acme", "10", "0", AccountOptions{})
	for _, moment := range []time.Time{month, month.Add(time.Hour), month.Add(30 * 24 * time.Hour)} {
		bill, err := f.ledger.Bill(f.ctx(), "acme", moment)
		f.must(err)
		if bill.Month != "2023-10" {
			t.Errorf("%s is billed as %s", moment, bill.Month)
		}
	}
}

// A month that is none is told what one looks like.
func TestMonthsThatAreNone(t *testing.T) {
	for _, bad := range []string{"2026-13", "2026-00", "2026-1", "26-11", "2026-11-01", " 2026-11", "november", ""} {
		_, err := ParseMonth(bad, time.UTC)
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "want one such as 2026-11") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// repeatAt books the journal's last entry once more, at another time, behind the ledger's back.
func (f *fixture) repeatAt(last *Receipt, when time.Time) {
	f.Helper()
	journal, meta := f.ledger.journalKey(last.Shard), f.ledger.metaKey(last.Shard)
	entry, err := f.ledger.entryFrom(f.ctx(), last.Shard, last.seq())
	f.must(err)
	args := []any{"XADD", journal, entryID(last.seq() + 1)}
	for i := 0; i < len(entry.Fields); i += 2 {
		value := entry.Fields[i+1]
		if entry.Fields[i] == "m" {
			value = fmt.Sprint(when.UnixMilli())
		}
		args = append(args, entry.Fields[i], value)
	}
	f.must(f.server.Client().Do(f.ctx(), args...).Err())
	f.must(f.server.Client().HSet(f.ctx(), meta, "seq", last.seq()+1).Err())
}
