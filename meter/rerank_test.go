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
