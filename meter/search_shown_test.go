package meter

import (
	"slices"
	"testing"
)

// BigModel bills a search by the call, and an answer shows it by an array of what
// was found. It is there only if the request asks for it: one that does not leaves
// nothing to bill by, and the receipt says so.
func TestSearchIsBilledByWhatTheAnswerShows(t *testing.T) {
	const answer = `{"choices":[{"finish_reason":"stop","message":{"content":"x"}}],"usage":{"prompt_tokens":4199,"completion_tokens":1,"total_tokens":4200}`
	for _, c := range []struct {
		name, tool, answer string
		searches           int64
		unknown            bool
	}{
		{"asked for, and there", `{"enable":true,"search_result":true}`, answer + `,"web_search":[{"link":"x"}]}`, 1, false},
		{"asked for in quotes, and there is nothing", `{"enable":"True","search_result":"True"}`, answer + `,"web_search":[]}`, 1, false},
		{"asked for, and not made", `{"enable":true,"search_result":true}`, answer + `}`, 0, false},
		{"not asked for, and there", `{"enable":true}`, answer + `,"web_search":[{"link":"x"}]}`, 1, false},
		{"not asked for", `{"enable":true}`, answer + `}`, 0, true},
		{"not wanted", `{"enable":true,"search_result":false,"search_engine":"search_pro"}`, answer + `}`, 0, true},
		{"off", `{"enable":false}`, answer + `}`, 0, false},
		{"off, and there all the same", `{"enable":false}`, answer + `,"web_search":[{"link":"x"}]}`, 1, false},
		{"off, and there is nothing", `{"enable":false}`, answer + `,"web_search":[]}`, 0, false},
		{"failed", `{"enable":true}`, `{"error":{"code":"1301","message":"x"}}`, 0, false},
	} {
		r := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"glm-4.6","messages":[],"tools":[{"type":"web_search","web_search":`+c.tool+`}]}`)
		tap := r.NewTap("application/json")
		tap.Pass(nil, []byte(c.answer))
		tap.End()
		var n int64
		usage := tap.Usage()
		for _, use := range usage.ToolCalls {
			n += use.Count
		}
		if n != c.searches {
			t.Errorf("%s: %d searches are billed, want %d", c.name, n, c.searches)
		}
		if slices.Contains(usage.Anomalies, anomalySearchNotShown) != c.unknown {
			t.Errorf("%s: anomalies %v", c.name, usage.Anomalies)
		}
	}
}

// A citation shows a search where the request has asked for one in that way, and not elsewhere: it may be the client's own.
func TestCitationsShowASearch(t *testing.T) {
	for _, c := range []struct {
		request, annotations string
		want                 int
	}{
		{`{"model":"m","web_search_options":{}}`, `[{"type":"url_citation"}]`, 1},
		{`{"model":"m","web_search_options":{}}`, `[{"type":"file_citation"}]`, 0},
		{`{"model":"m"}`, `[{"type":"url_citation"}]`, 0},
	} {
		tap := mustRead(t, FindEndpoint("/chat/completions"), c.request).NewTap("application/json")
		tap.Pass(nil, []byte(`{"choices":[{"message":{"content":"x","annotations":`+c.annotations+`}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`))
		if u := tap.Usage(); len(u.ToolCalls) != c.want {
			t.Errorf("%s, %s: %v", c.request, c.annotations, u.ToolCalls)
		}
	}
}
