package meter

import "testing"

// TestRenamedImageModel: what an image model takes where the client says nothing
// depends on what its upstream calls it, and the price goes by our name for it.
func TestRenamedImageModel(t *testing.T) {
	const prices = `
currency: USD
prices:
  - {models: [painter], when: {quality: low}, rates: {image: 0.01}}
  - {models: [painter], when: {quality: high}, rates: {image: 0.17}}
  - {models: [painter], when: {quality: standard}, rates: {image: 0.04}}
  - {models: [canvas], when: {size: 1024x1024}, rates: {image: 0.02}}
  - {models: [canvas], when: {size: 1536x1024}, rates: {image: 0.03}}
`
	book, err := NewBook(BookOptions{Currency: "USD", Files: []PriceFile{{Name: "prices.yaml", Data: []byte(prices)}}})
	if err != nil {
		t.Fatal(err)
	}
	const looks = `{"data":[{"b64_json":"x"}],"size":"1536x1024","quality":"high"}`
	for _, c := range []struct {
		model, said string
		mayGoTo     []string // the last of them serves it
		answer      string
		quote, fee  string
	}{
		{"painter", ``, []string{"gpt-image-1"}, looks, "0.17", "0.17"},
		{"painter", `,"quality":"auto"`, []string{"gpt-image-1"}, looks, "0.17", "0.17"},
		{"painter", `,"quality":"low"`, []string{"gpt-image-1"}, `{"data":[{}],"quality":"low"}`, "0.01", "0.01"},
		{"painter", ``, []string{"dall-e-3"}, `{"data":[{}]}`, "0.04", "0.04"},
		{"painter", ``, []string{"gpt-image-1", "dall-e-3"}, `{"data":[{}]}`, "0.17", "0.04"},
		{"painter", ``, []string{"dall-e-3", "gpt-image-1"}, looks, "0.17", "0.17"},
		{"canvas", ``, []string{"chatgpt-image-latest"}, looks, "0.03", "0.03"},
		{"canvas", `,"size":"1024x1024"`, []string{"gpt-image-1"}, `{"data":[{}],"size":"1024x1024"}`, "0.02", "0.02"},
		{"canvas", ``, []string{"canvas"}, `{"data":[{}]}`, "0.02", "0.02"},
	} {
		r := mustRead(t, FindEndpoint("/images/generations"), `{"model":"`+c.model+`","prompt":"a fox"`+c.said+`}`)
		for _, name := range c.mayGoTo {
			r.MayBeSentAs(name)
		}
		quote, err := book.Quote(PriceQuery{Model: c.model, Class: "images", Attributes: r.Attributes}, &r.Ceiling, nil)
		if err != nil || quote.Fee.String() != c.quote {
			t.Errorf("%s%s to %v: quote %s, %v, want %s", c.model, c.said, c.mayGoTo, quote.Fee, err, c.quote)
		}
		r.SentAs(c.mayGoTo[len(c.mayGoTo)-1])
		tap := r.NewTap("application/json")
		tap.Pass(nil, []byte(c.answer))
		u := tap.Usage()
		charge, err := book.Charge(PriceQuery{Model: c.model, Class: "images", Attributes: r.Attributes}, &u)
		if err != nil || charge.Fee.String() != c.fee {
			t.Errorf("%s%s to %v: charge %s, %v, want %s", c.model, c.said, c.mayGoTo, charge.Fee, err, c.fee)
		}
	}
}
