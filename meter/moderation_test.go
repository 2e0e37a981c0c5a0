package meter

import (
	"testing"
	"time"
)

// A moderation is a call, and billed by it or, where that is how it is priced, by the tokens of its text.
func TestModerationIsACall(t *testing.T) {
	book, err := NewBook(BookOptions{Currency: "CNY", Files: []PriceFile{{Name: "prices.yaml", Data: []byte(`
currency: CNY
prices:
  - {models: [free], endpoints: [moderations], rates: {call: 0, input: 0}}
  - {models: [calls], endpoints: [moderations], rates: {call: 0.002}}
  - {models: [tokens], endpoints: [moderations], rates: {input: 1000/1M}}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	const (
		silent  = `{"id":"modr-1","results":[{"flagged":false}]}`
		counted = `{"result_list":[],"usage":{"moderation_text":{"call_count":3}}}`
		tokens  = `{"results":[],"usage":{"prompt_tokens":7,"total_tokens":7}}`
		failed  = `{"error":{"message":"no"}}`
	)
	for _, c := range []struct{ model, answer, fee string }{
		{"free", silent, "0"},
		{"free", counted, "0"},
		{"calls", silent, "0.002"},
		{"calls", counted, "0.006"},
		{"calls", tokens, "0.002"},
		{"calls", failed, "0"},
		{"tokens", silent, "0.003"}, // "one two", and the end of its line
		{"tokens", tokens, "0.007"},
		{"tokens", failed, "0"},
	} {
		r := mustRead(t, FindEndpoint("/moderations"), `{"model":"`+c.model+`","input":["one two"]}`)
		query := PriceQuery{Model: c.model, Class: "moderations", At: time.Now()}
		u := answered(r, "application/json", c.answer)
		charge, err := book.Charge(query, &u)
		if err != nil || charge.Fee.String() != c.fee {
			t.Errorf("%s, %s: fee %s, %v; want %s of %v", c.model, c.answer, charge.Fee, err, c.fee, u.Map())
		}
		for _, l := range charge.Lines {
			if l.Unpriced || c.model == "free" && l.Dimension != Call {
				t.Errorf("%s, %s: line %+v", c.model, c.answer, l)
			}
		}
	}
	r := mustRead(t, FindEndpoint("/moderations"), `{"model":"calls","input":"x"}`)
	if u := r.Unseen(); u.Quantities != (Quantities{Call: 1}) {
		t.Errorf("unseen %v", u.Map())
	}
}

// An upstream that counts each of a list for a call is held for.
func TestModerationCeilingCountsTheList(t *testing.T) {
	for input, calls := range map[string]int64{
		`"x"`: 1, `[]`: 1, `["x"]`: 1, `["x","y","z"]`: 3, `[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"https://a/b"}}]`: 2, `null`: 1,
	} {
		if r := mustRead(t, FindEndpoint("/moderations"), `{"model":"m","input":`+input+`}`); r.Ceiling[Call] != calls {
			t.Errorf("%s: held for %d calls, want %d", input, r.Ceiling[Call], calls)
		}
	}
	r := mustRead(t, FindEndpoint("/moderations"), `{"model":"m","input":["x","y"]}`)
	if u := r.Unseen(); u.Quantities != (Quantities{Call: 1}) {
		t.Errorf("unseen %v", u.Map())
	}
	checkRefused(t, "/moderations", `{"model":"m","input":["x"],"Input":["x","y"]}`, "input", "Did you mean")
	checkRefused(t, "/moderations", `{"model":"m","input":"x","input":["x","y"]}`, "input", "more than once")
}
