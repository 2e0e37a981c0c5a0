package mockai

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// A conversation is made one item, which another response takes, and its tokens are counted.
func TestResponsesAreCompacted(t *testing.T) {
	_, url := start(t, Options{})
	url += "/v1/responses"
	_, first, _ := post(t, url, `{"model":"gpt-4o","input":"12345678"}`)
	said := `{"model":"gpt-4o","previous_response_id":"` + gjson.Get(first, "id").Str + `","input":"1234"}`
	_, second, _ := post(t, url, said)
	for _, c := range []struct{ body, usage string }{
		{said, gjson.Get(second, "usage").Raw},
		{`{"model":"gpt-4o","user":"mock:no-usage","input":"1234"}`, "null"},
	} {
		_, compacted, _ := post(t, url+"/compact", c.body)
		if got := gjson.Parse(compacted); got.Get("object").Str != "response.compaction" || got.Get("usage").Raw != c.usage ||
			got.Get("output.#").Int() != 2 || got.Get("output.0.content.0.text").Str != "1234" || got.Get("output.1.type").Str != "compaction" {
			t.Errorf("compacted to %s", got)
		}
		response, third, _ := post(t, url, `{"model":"gpt-4o","input":`+gjson.Get(compacted, "output").Raw+`}`)
		if n := gjson.Get(third, "usage.input_tokens").Int(); response.StatusCode != 200 || n < 16 {
			t.Errorf("%d tokens in: %s", n, third)
		}
	}
	// The newer way is an item that orders it.
	trigger := `{"model":"gpt-4o","tools":[{"type":"web_search"}],"input":[{"role":"user","content":"1234"},{"type":"compaction_trigger"}]`
	_, whole, _ := post(t, url, trigger+`}`)
	_, streamed, _ := post(t, url, trigger+`,"stream":true}`)
	_, last, _ := strings.Cut(streamed, "event: response.completed\ndata: ")
	for _, got := range []gjson.Result{gjson.Parse(whole), gjson.Get(last, "response")} {
		if got.Get("output.#.type").Raw != `["compaction"]` || got.Get("usage.output_tokens").Int() != 16 {
			t.Errorf("compacted to %s", got)
		}
	}
	if !strings.Contains(streamed, "event: response.output_item.done") || strings.Contains(streamed, "delta") {
		t.Errorf("streamed %s", streamed)
	}
	for body, want := range map[string]int64{
		said:                            gjson.Get(second, "usage.input_tokens").Int(),
		`{"model":"gpt-4o"}`:            0,
		`{"model":"gpt-4o","input":[]}`: 3,
	} {
		_, counted, _ := post(t, url+"/input_tokens", body)
		if n := gjson.Get(counted, "input_tokens"); n.Int() != want || gjson.Get(counted, "object").Str != "response.input_tokens" {
			t.Errorf("%s: counted %s, want %d", body, counted, want)
		}
	}
	for _, path := range []string{"/compact", "/input_tokens"} {
		if response, _, _ := post(t, url+path, `{"input":"1234"}`); response.StatusCode != 400 {
			t.Errorf("%s without a model: %d", path, response.StatusCode)
		}
		if status, _ := ask(t, "GET", url+path); status != 405 {
			t.Errorf("GET %s: %d", path, status)
		}
	}
}
