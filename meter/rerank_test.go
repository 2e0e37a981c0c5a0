package meter

import "testing"

// What is held for a ranking is enough for an upstream that counts the query with each document.
func TestRerankCeilingCountsTheQueryWithEachDocument(t *testing.T) {
	e := FindEndpoint("/rerank")
	const query = `"What is prepaid?"`
	one := mustRead(t, e, `{"model":"m","query":`+query+`,"documents":["a"]}`).Ceiling[Input]
	four := mustRead(t, e, `{"model":"m","query":`+query+`,"documents":["a","b","c",{"text":"d"}]}`).Ceiling[Input]
	more := int64(len(`,"b","c",{"text":"d"}`)) + 3*int64(len(query))
	if four < one+more || four > one+more+3*messageTokens {
		t.Errorf("held for one document %d, for four %d: want %d more", one, four, more)
	}
	if late := mustRead(t, e, `{"documents":["a","b","c",{"text":"d"}],"model":"m","query":`+query+`}`).Ceiling[Input]; late != four {
		t.Errorf("%d if the query comes last, %d if first", late, four)
	}
}

// Hugging Face's server calls them texts, and tells no usage.
func TestRerankOfTexts(t *testing.T) {
	e := FindEndpoint("/rerank")
	documents := mustRead(t, e, `{"model":"m","query":"a","documents":["one two three","four five six"]}`)
	texts := mustRead(t, e, `{"model":"m","query":"a","texts":    ["one two three","four five six"]}`)
	if texts.Ceiling != documents.Ceiling {
		t.Errorf("held for texts: %v, for documents: %v", texts.Ceiling.Map(), documents.Ceiling.Map())
	}
	answer := func(r *Request) Quantities {
		return answered(r, "application/json", `[{"index":0,"score":0.5}]`).Quantities
	}
	if answer(texts) != answer(documents) {
		t.Errorf("estimated of texts: %v, of documents: %v", answer(texts), answer(documents))
	}
	both := mustRead(t, e, `{"model":"m","query":"a","documents":["one"],"texts":["one two three","four five six"]}`)
	if q := answer(both); q[Input] <= answer(texts)[Input] {
		t.Errorf("estimated of both: %v", q)
	}
}
