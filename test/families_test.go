package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Every API is served by the next of its upstreams, each by its own name of the model, on one hold and for one charge.
func TestFailoverOfEveryAPI(t *testing.T) {
	w := newWorld(t, func(s *settings) { s.prices = claudePrices + morePrices })
	w.account("acme", "10")
	key, _ := w.key("acme")
	first := startUpstream(t, w.made.mock)
	if err := first.SetFault("status=529", 0); err != nil {
		t.Fatal(err)
	}
	var items []string
	for name, url := range map[string]string{"1": first.url, "2": w.up.url} {
		open := `base_url: "` + url + `/v1", api_key: "` + upstreamKey + `", priority: ` + name
		items = append(items,
			`  - {name: open`+name+`, `+open+`, models: [{gpt-4o: gpt-`+name+`}, {rerank: r`+name+`}, {glm-moderation: m`+name+`}, {glm-tts: t`+name+`}, {whisper-1: w`+name+`}]}`,
			`  - {name: claude`+name+`, kind: anthropic, `+open+`, models: [{claude-sonnet-4-5: claude-`+name+`}]}`)
	}
	w.made.upstreams = strings.Join(items, "\n") + "\n"
	w.writeConfig()
	p := w.serve()
	form, formType := recording(t, "whisper-1", 16_000)
	for i, c := range []struct{ path, body, contentType, model, fee string }{
		{messagesPath, message("usage=100,50", streamed), "", "claude-2", "0.0035"},
		{messagesPath + "/count_tokens", message("usage=100,50"), "", "claude-2", "0"},
		{responsesPath, response("gpt-4o", "usage=100,50", streamed), "", "gpt-2", "0.0025"},
		{"/v1/rerank", `{"model":"rerank","query":"mock:usage=1000,0","documents":["a"]}`, "", "r2", "0.0008"},
		{"/v1/moderations", `{"model":"glm-moderation","input":"a"}`, "", "m2", "0.002"},
		{"/v1/audio/speech", `{"model":"glm-tts","input":"hello"}`, "", "t2", "0.001"},
		{"/v1/audio/transcriptions", form, formType, "w2", "0.002"},
	} {
		if c.contentType == "" {
			c.contentType = "application/json"
		}
		p.post(c.path, key, c.body, "Content-Type", c.contentType).requireStatus(t, 200)
		eventually(t, "it is booked", func() bool { return len(w.entries("acme", "charge")) == i+1 })
		equal(t, c.path+": fee", w.entries("acme", "charge")[i].Get("fee").String(), c.fee)
		sent := w.up.Requests()[i].Body
		if model := gjson.GetBytes(sent, "model").String(); model != c.model && !strings.Contains(string(sent), "\r\n\r\n"+c.model+"\r\n") {
			t.Errorf("%s: the second was asked for %q", c.path, model)
		}
		equal(t, c.path+": requests to the first", first.Stats().Requests, int64(i+1))
	}
	w.requireSettled("acme")
}

// Whoever leaves a stream of any API, by any policy, has used what the upstream made until then, once.
func TestStreamsOfEveryAPIAreLeft(t *testing.T) {
	for _, policy := range []string{"drain", "cancel"} {
		t.Run(policy, func(t *testing.T) {
			w, p, key := claude(t, "", func(s *settings) { s.policy = "on_disconnect: " + policy + ", drain: 500ms" })
			for i, c := range []struct{ path, body, text string }{
				{messagesPath, message("usage=100,200;bytes=4000;chunks=40;hang=mid", streamed), "content_block_delta"},
				{responsesPath, response("gpt-4o", "usage=100,200;bytes=4000;chunks=40;hang=mid", streamed), "response.output_text.delta"},
			} {
				r, err := p.call(t.Context(), http.MethodPost, c.path, key, c.body)
				if err != nil {
					t.Fatal(err)
				}
				readUntil(t, r.Body, "event: "+c.text, 5) // before it hangs
				r.Body.Close()
				eventually(t, "it is booked", func() bool { return len(w.entries("acme", "charge")) == i+1 })
				charge := w.entries("acme", "charge")[i]
				if output := charge.Get("usage.output").Int(); output < 20 || charge.Get("usage.input").Int() < 3 || charge.Get("usage_source").String() != "estimated" {
					t.Errorf("%s: charged %s", c.path, charge.Raw)
				}
			}
			w.requireSettled("acme")
		})
	}
}

// readUntil reads a stream until a text has come so often.
func readUntil(t *testing.T, from io.Reader, text string, times int) {
	t.Helper()
	var got []byte
	for piece := make([]byte, 4096); strings.Count(string(got), text) < times; {
		n, err := from.Read(piece)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, piece[:n]...)
	}
}
