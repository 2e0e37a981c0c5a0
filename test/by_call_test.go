package e2e

import "testing"

// A model that is priced by the call: what it used in tokens is said all the
// same, as the client's provider counts it, but is not what is billed.
func TestTokensOfACallThatIsBilledByTheCall(t *testing.T) {
	w, p, _ := acme(t, func(s *settings) { s.prices += "  - {models: [by-call], rates: {call: 0.02}}\n" })
	w.verb("pack", "grant", "acme", "--quantity", "1000")
	key, _ := w.key("acme", "--tokens", "10") // billed ones
	used := []string{
		"x-tollgate-usage-input", "100", "x-tollgate-usage-cached-input", "40", "x-tollgate-usage-output", "50",
		"x-tollgate-usage-total", "150", "x-tollgate-usage-source", "upstream", "x-tollgate-cost", "0.02", "x-tollgate-paid-pack", "0",
	}
	whole := p.post(chatPath, key, chat("by-call", "usage=100,50;cached=40"))
	whole.requireStatus(t, 200)
	requireHeaders(t, whole.header, used...)
	requireHeaders(t, p.post(chatPath, key, chat("by-call", "usage=100,50;cached=40", streamed)).trailer, used...)

	const usage = `{"cached_input":40,"call":1,"input":60,"output":50}`
	receipt := p.get("/v1/receipts/"+whole.header.Get("x-request-id"), key)
	equal(t, "usage on the receipt", receipt.get("usage").Raw, usage)
	equal(t, "lines on the receipt", receipt.get("lines.#").Int(), 1)
	for _, charge := range w.entries("acme", "charge") {
		equal(t, "usage in the journal", charge.Get("usage").Raw, usage)
	}
	shown := w.requireSettled("acme")
	equal(t, "left in the pack", shown.Get("packs.0.remaining").Int(), 1000)
	equal(t, "balance", shown.Get("wallets.recharge.balance").String(), "9.96")
}
