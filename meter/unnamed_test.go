package meter

import "testing"

// A moderation may name no model: OpenAI's latest is meant, and said to the upstream. No other endpoint has such.
func TestUnnamedModelOfModerations(t *testing.T) {
	for body, want := range map[string]string{
		`{"input":"x"}`:                    `{"model":"mine","input":"x"}`,
		` { "input" : "x" } `:              ` {"model":"mine", "input" : "x" } `,
		`{"input":"x","model":null}`:       `{"input":"x","model":"mine"}`,
		`{"model": null , "input":"x"}`:    `{"model": "mine" , "input":"x"}`,
		`{"user":"a","input":["x"],"b":1}`: `{"model":"mine","user":"a","input":["x"],"b":1}`,
	} {
		r := mustRead(t, FindEndpoint("/moderations"), body)
		if r.Model != "omni-moderation-latest" {
			t.Errorf("%s: model %q", body, r.Model)
		}
		if sent, _, err := r.UpstreamBody("mine", false); string(sent) != want || err != nil {
			t.Errorf("%s is sent as %s, %v; want %s", body, sent, err, want)
		}
	}
	r := mustRead(t, FindEndpoint("/moderations"), `{"input":"x"}`)
	if sent, _, err := r.UpstreamBody(r.Model, false); string(sent) != `{"model":"omni-moderation-latest","input":"x"}` || err != nil {
		t.Errorf("sent %s, %v", sent, err)
	}
	for _, body := range []string{`{}`, `{"other":1}`, `{"model":"","input":"x"}`} {
		checkRefused(t, "/moderations", body, "model", "You must provide a model parameter.")
	}
	checkRefused(t, "/moderations", `{"input":"x","model":3}`, "model", "expected a string")
	checkRefused(t, "/embeddings", `{"input":"x"}`, "model", "You must provide a model parameter.")
	checkRefused(t, "/embeddings", `{"input":"x","model":null}`, "model", "You must provide a model parameter.")
}
