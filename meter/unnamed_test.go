package meter

import (
	"strings"
	"testing"
)

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

// A path may name the model: the body's, or none, is another's word for it, and the upstream is told the one that is meant.
func TestModelInThePath(t *testing.T) {
	for body, want := range map[string]string{
		`{"messages":[]}`:                               `{"model":"theirs","messages":[]}`,
		`{"model":"gpt-4o","messages":[]}`:              `{"model":"theirs","messages":[]}`,
		`{"messages":[],"model":"another"}`:             `{"messages":[],"model":"theirs"}`,
		`{"model":"","messages":[]}`:                    `{"model":"theirs","messages":[]}`,
		`{"messages":[],"model":null}`:                  `{"messages":[],"model":"theirs"}`,
		`{"stream":true,"messages":[]}`:                 `{"model":"theirs","stream_options":{"include_usage":true},"stream":true,"messages":[]}`,
		`{"model":"theirs","stream":true,"messages":1}`: `{"stream_options":{"include_usage":true},"model":"theirs","stream":true,"messages":1}`,
		`{"stream_options":{"a":1},"messages":[]}`:      `{"model":"theirs","stream_options":{"a":1},"messages":[]}`,
		`{}`: `{}`,
	} {
		r, err := FindEndpoint("/chat/completions").ReadRequest("", []byte(body), ReadOptions{Model: "gpt-4o"})
		if err != nil || r.Model != "gpt-4o" {
			t.Fatalf("%s: %+v, %v", body, r, err)
		}
		if sent, _, err := r.UpstreamBody("theirs", true); string(sent) != want || err != nil {
			t.Errorf("%s is sent as %s, %v; want %s", body, sent, err, want)
		}
	}
	r, err := FindEndpoint("/embeddings").ReadRequest("", []byte(`{"model":"another","input":"x"}`), ReadOptions{Model: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	if sent, _, err := r.UpstreamBody("mine", false); string(sent) != `{"model":"mine","input":"x"}` || err != nil {
		t.Errorf("sent %s, %v", sent, err)
	}
	for _, name := range []string{"a\nb", "\xff", strings.Repeat("m", maxModelBytes+1)} {
		if _, err := FindEndpoint("/embeddings").ReadRequest("", []byte(`{"input":"x"}`), ReadOptions{Model: name}); err == nil {
			t.Errorf("%.10q is taken for a model", name)
		}
	}
	for _, field := range []string{"size", "other"} {
		if _, err := FindEndpoint("/images/edits").ReadRequest(formType, testForm(t, field, "1024x1024"), ReadOptions{Model: "mine"}); err == nil {
			t.Errorf("a form of %s alone, without a model, is sent as it is", field)
		}
	}
	if _, err := FindEndpoint("/images/edits").ReadRequest(formType, testForm(t, "size", "1024x1024", "@image", "x"), ReadOptions{Model: "mine"}); err == nil {
		t.Error("a form without a model is sent as it is")
	}
	form := testForm(t, "model", "another", "@image", "x")
	if r, err = FindEndpoint("/images/edits").ReadRequest(formType, form, ReadOptions{Model: "mine"}); err != nil {
		t.Fatal(err)
	}
	if sent, _, err := r.UpstreamBody("mine", false); !strings.Contains(string(sent), "\r\n\r\nmine\r\n") || strings.Contains(string(sent), "another") || err != nil {
		t.Errorf("sent %s, %v", sent, err)
	}
}
