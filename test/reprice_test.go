package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A wrong table has charged calls; the right one puts them right, as the client,
// the bill and the archive see it.
func TestReprice(t *testing.T) {
	const images = `
  - {models: [drawn], endpoints: [images], when: {size: 512x512}, rates: {image: 0.1}}
  - {models: [drawn], endpoints: [images], when: {size: 1024x1024}, rates: {image: 0.2}}
`
	w, p, key := acme(t, func(s *settings) {
		s.prices += images
		s.archive = "interval: 100ms, keep: 1s"
	})
	ids := []string{
		p.post(chatPath, key, chat("gpt-4o", "usage=100,50")).header.Get("x-request-id"),
		p.post(chatPath, key, chat("gpt-4o", "usage=100,50", streamed)).header.Get("x-request-id"),
		p.post("/v1/images/generations", key, `{"model":"drawn","prompt":"a cat","size":"512x512","n":2}`).header.Get("x-request-id"),
		p.post("/v1/images/generations", key, `{"model":"drawn","prompt":"a cat","size":"1024x1024"}`).header.Get("x-request-id"),
	}
	w.requireSettled("acme")
	equal(t, "balance before", w.balance("acme"), "9.595")

	right := strings.NewReplacer("output: 30/1M", "output: 10/1M", "image: 0.1}", "image: 0.15}").Replace(testPrices + images)
	w.write("right.yaml", right)
	done := w.verb("reprice", "--since", "2026-01-01", "--prices", filepath.Join(w.dir, "right.yaml"), "--reason", "ticket 9")
	equal(t, "charges repriced", done.Get("repriced").Int(), 3)
	equal(t, "difference", done.Get("difference").String(), "0.098")
	w.write("prices.yaml", right)
	w.made.prices = right
	shown := w.requireSettled("acme") // by the right table, now
	equal(t, "balance", shown.Get("wallets.recharge.balance").String(), "9.497")

	for i, fee := range []string{"0.0015", "0.0015", "0.3", "0.2"} {
		receipt := p.get("/v1/receipts/"+ids[i], key)
		receipt.requireStatus(t, 200)
		equal(t, "fee of receipt "+ids[i], receipt.get("fee").String(), fee)
		equal(t, "an operator's words on a receipt", receipt.get("reason").Exists(), false)
	}
	equal(t, "attributes of a receipt", p.get("/v1/receipts/"+ids[2], key).get("attributes.size").String(), "512x512")
	bill := w.verb("bill", "acme", "--month", time.Now().UTC().Format("2006-01"))
	for _, line := range bill.Get("lines").Array() {
		equal(t, "requests of "+line.Get("model").String(), line.Get("requests").Int(), 2)
	}
	equal(t, "spent by the key", w.verb("key", "list", "acme").Get("0.use.spend_total").String(), "0.503")
}
