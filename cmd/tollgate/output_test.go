package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

func TestTable(t *testing.T) {
	table := newTable("NAME", ">QUANTITY", "NOTE")
	if got := table.String(); got != "" {
		t.Errorf("an empty table is %q", got)
	}
	table.add("a", "1,000", "")
	table.add("längер", "5", "x")
	want := "" +
		"NAME    QUANTITY  NOTE\n" +
		"a          1,000\n" +
		"längер         5  x\n"
	if got := table.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1,000"},
		{count(-1234567), "-1,234,567"},
		{count(100000), "100,000"},
		{plural(1, "journal entry"), "1 journal entry"},
		{plural(2, "journal entry"), "2 journal entries"},
		{plural(1, "key"), "1 key"},
		{plural(2, "key"), "2 keys"},
		{plural(1200, "token"), "1,200 tokens"},
		{money(1_500_000_000, "CNY"), "1.5 CNY"},
		{money(0, ""), "0"},
		{orDash(), "-"},
		{orDash("a", "b"), "a, b"},
		{orAll(nil), "all"},
		{facts("a", "1", "long", "2"), "a     1\nlong  2\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestReceiptLine(t *testing.T) {
	fee := meter.Nano(624_000)
	r := &ledger.Receipt{
		Entry: ledger.Entry{
			Time: time.Date(2026, 11, 2, 3, 4, 5, 0, time.Local), Endpoint: "chat", Model: "glm-4.5",
			Usage: ledger.Usage{Quantities: meter.Quantities{meter.Output: 48, meter.Input: 1200, meter.CachedInput: 3}}, UsageSource: meter.Estimated, Fee: &fee,
			Paid: []ledger.Payment{{From: "pack:p1", Quantity: 168}, {From: "bonus", Amount: 624_000}},
		},
		Standing: ledger.Standing{Recharge: 50 * meter.NanoPerUnit, Bonus: 49_999_376_000, HasPacks: true, PackFree: 332},
	}
	got := strings.Join(strings.Fields(receiptLine(r, "CNY")), " ")
	want := "03:04:05 chat glm-4.5 input 1,200, cached input 3, output 48 fee 0.000624 CNY paid by pack p1 168 + bonus 0.000624 CNY (estimated) | left: recharge 50, bonus 49.999376, pack 332"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestReachable(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080",
		"0.0.0.0:8080":   "127.0.0.1:8080",
		"[::]:8080":      "127.0.0.1:8080",
		"10.0.0.7:80":    "10.0.0.7:80",
		"gateway:8080":   "gateway:8080",
	} {
		if got := reachable(address); got != want {
			t.Errorf("reachable(%q) = %q, want %q", address, got, want)
		}
	}
}
