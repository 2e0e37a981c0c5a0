package e2e

import (
	"encoding/csv"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A key holder reads the bill that the operator would print, of all keys of the
// account and of no other, as JSON and as CSV, and is not charged for it.
func TestHolderReadsTheBill(t *testing.T) {
	w, p, key := acme(t)
	w.verb("pack", "grant", "acme", "--unit", "token", "--quantity", "100", "--models", "glm-*")
	second, _ := w.key("acme")
	w.account("other", "10")
	other, _ := w.key("other")
	p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).requireStatus(t, 200)
	p.post(chatPath, second, chat("glm-4.6", "usage=70,50")).requireStatus(t, 200)
	p.post(chatPath, other, chat("gpt-4o", "usage=9,9")).requireStatus(t, 200)

	printed := w.verb("bill", "acme")
	path := "/v1/bills/" + printed.Get("month").String()
	bill := p.get(path, second)
	bill.requireStatus(t, 200)
	equal(t, "Content-Type", bill.header.Get("content-type"), "application/json")
	equal(t, "the holder's bill", bill.get("@ugly").Raw, printed.Get("@ugly").Raw)
	equal(t, "lines", len(bill.get("lines").Array()), 2)
	equal(t, "units of the pack", bill.get("packs.0.quantity").Int(), 100)
	equal(t, "cost of reading it", bill.header.Get("x-tollgate-cost"), "0")

	want, _, _ := w.run("bill", "acme", "--csv")
	page := p.get(path+"?format=csv", key)
	page.requireStatus(t, 200)
	equal(t, "Content-Type", page.header.Get("content-type"), "text/csv; charset=utf-8")
	equal(t, "the CSV", page.body, want)
	rows, err := csv.NewReader(strings.NewReader(page.body)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Errorf("%v, %d rows in %s", err, len(rows), page.body)
	}

	equal(t, "lines of the other account", len(p.get(path, other).get("lines").Array()), 1)
	last := time.Now().AddDate(0, -2, 0).Format("2006-01")
	equal(t, "lines of a month without calls", p.get("/v1/bills/"+last, key).get("lines").Raw, "[]")
	for path, param := range map[string]string{"/v1/bills/2026-13": "month", "/v1/bills/november": "month", path + "?format=pdf": "format"} {
		r := p.get(path, key)
		r.requireStatus(t, 400)
		equal(t, path+": param", r.get("error.param").String(), param)
	}
	p.get(path, "").requireStatus(t, 401)
	p.post(path, key, "").requireStatus(t, 405)
}

// Who opens the bill in a spreadsheet has a table, whatever clients call their models: no cell is a formula. Amounts stay
// numbers, and JSON has the names as they are.
func TestBillOpensInASpreadsheet(t *testing.T) {
	w, p, key := acme(t, func(s *settings) {
		s.prices += "  - {models: ['*'], endpoints: [chat], rates: {input: 10/1M, output: 30/1M}}\n"
	})
	names := map[string]string{
		"@cf/meta/llama-3": "'@cf/meta/llama-3", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "＝1": "'＝1", "＠x": "'＠x", "＋1": "'＋1", "－1": "'－1",
		"'x": "'x", "a=b": "a=b", "x-1": "x-1", "gpt-4o": "gpt-4o",
	}
	for name := range names {
		p.post(chatPath, key, chat(name, "usage=100,50")).requireStatus(t, 200)
	}
	printed, _, _ := w.run("bill", "acme", "--csv")
	rows, err := csv.NewReader(strings.NewReader(printed)).ReadAll()
	if err != nil || len(rows) != len(names)+1 {
		t.Fatalf("%v\n%s", err, printed)
	}
	cells := make(map[string]bool)
	for _, row := range rows[1:] {
		cells[row[4]] = true
	}
	asJSON := w.verb("bill", "acme").Get("lines.#.model").Raw
	for name, cell := range names {
		if !cells[cell] {
			t.Errorf("%s is not %s in\n%s", name, cell, printed)
		}
		if quoted := strconv.Quote(name); !strings.Contains(asJSON, quoted) {
			t.Errorf("%s is not in %s", quoted, asJSON)
		}
	}
}
