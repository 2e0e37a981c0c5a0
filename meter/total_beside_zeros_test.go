package meter

import (
	"slices"
	"testing"
)

// TestTotalBesideZeros: an upstream that knows a total alone may write the parts
// as 0. That is a total, and not a usage of nothing.
func TestTotalBesideZeros(t *testing.T) {
	chat, embeddings := FindEndpoint("/chat/completions"), FindEndpoint("/embeddings")
	for _, c := range []struct {
		endpoint  *Endpoint
		usage     string
		dimension Dimension
		flagged   bool
	}{
		{chat, `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":190}`, Unsplit, true},
		{chat, `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":190,"prompt_tokens_details":{"cached_tokens":0}}`, Unsplit, true},
		{chat, `{"prompt_tokens":0,"total_tokens":190}`, Unsplit, true},
		{embeddings, `{"prompt_tokens":0,"total_tokens":190}`, Input, false},
		{embeddings, `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":190}`, Input, false},
		{embeddings, `{"completion_tokens":0,"total_tokens":190}`, Input, false},
	} {
		tap := mustRead(t, c.endpoint, `{"model":"m","input":"hello","messages":[{"role":"user","content":"hello"}]}`).NewTap("application/json")
		tap.Pass(nil, []byte(`{"choices":[{"message":{"content":"hello"}}],"data":[],"usage":`+c.usage+`}`))
		u := tap.Usage()
		var want Quantities
		want[c.dimension] = 190
		if u.Quantities != want || u.Source != FromUpstream {
			t.Errorf("%s %s: %v, %s", c.endpoint.Name, c.usage, u.Map(), u.Source)
		}
		if slices.Contains(u.Anomalies, anomalyTotalOnly) != c.flagged {
			t.Errorf("%s %s: anomalies %v", c.endpoint.Name, c.usage, u.Anomalies)
		}
	}
}
