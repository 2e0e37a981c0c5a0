package meter

import "testing"

// TestAnswerThatLeavesTheTierOpen: an upstream that echoes "auto" has not said
// which service tier it served, so that the dearer of the two is billed.
func TestAnswerThatLeavesTheTierOpen(t *testing.T) {
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "prices.yaml", Data: []byte(`
currency: USD
prices:
  - models: [m]
    rates: {input: 1, output: 1}
    multipliers: [{when: {service_tier: priority}, by: 2}, {when: {service_tier: flex}, by: 0.5}]
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ asked, answered, fee string }{
		{"priority", `"auto"`, "4"},
		{"priority", `null`, "4"},
		{"priority", `"default"`, "2"},
		{"flex", `"auto"`, "2"},
		{"flex", `"flex"`, "1"},
		{"auto", `"auto"`, "2"},
		{"auto", `"priority"`, "4"},
	} {
		r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","service_tier":"`+c.asked+`","messages":[]}`)
		tap := r.NewTap("application/json")
		tap.Pass(nil, []byte(`{"service_tier":`+c.answered+`,"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`))
		u := tap.Usage()
		charge, err := book.Charge(PriceQuery{Model: "m", Class: "chat", Attributes: r.Attributes}, &u)
		if err != nil || charge.Fee.String() != c.fee {
			t.Errorf("asked for %s, answered %s: %s, %v, want %s", c.asked, c.answered, charge.Fee, err, c.fee)
		}
	}
}
