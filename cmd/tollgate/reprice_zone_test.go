package main

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// A window that names no time zone is in that of who serves, also for a verb that has no file to know it from.
func TestRepriceGoesByTheLedgersTimezone(t *testing.T) {
	server := redistest.Start(t)
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), ledger.Options{URL: server.URL(), Currency: "CNY", Timezone: zone})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	o.do("account create acme")
	const table = `currency: CNY
prices:
  - {models: [glm-4], rates: {input: 2}}
  - {models: [glm-4], rates: {input: 1}, windows: [{from: "00:30", to: "08:30"}]}
`
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Timezone: zone, Files: []meter.PriceFile{{Name: "t.yaml", Data: []byte(table)}}})
	if err != nil {
		t.Fatal(err)
	}
	q := meter.PriceQuery{Model: "glm-4", Class: "chat", At: time.Date(2026, 11, 10, 1, 0, 0, 0, zone)}
	charge, err := book.Charge(q, &meter.Usage{Quantities: meter.Quantities{meter.Input: 1}})
	if err != nil {
		t.Fatal(err)
	}
	s := ledger.Settlement{ID: ledger.NewRequestID(), Account: "acme", Model: q.Model, Endpoint: "chat", At: q.At, Charge: charge}
	if _, err := l.Settle(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, t.TempDir(), "t.yaml", table)
	r := decode[repricedReport](t, o.do("reprice --json --dry-run --since 2026-11-10 --prices "+path))
	if r.Charges != 1 || r.Repriced != 0 || r.PriceVersion != book.Version() {
		t.Errorf("by the same tables: %+v", r)
	}
}
