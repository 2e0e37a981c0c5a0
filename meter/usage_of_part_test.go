package meter

import (
	"slices"
	"strings"
	"testing"
)

// TestUsageOfPart: some upstreams tell a usage at the beginning of a stream, in
// which there is hardly any output. What came after it is not free if the stream
// is cut, and the usage stands if it is not.
func TestUsageOfPart(t *testing.T) {
	const words = "one two three four "
	early := chunk(`"choices":[{"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101}`)
	told := chunk(`"choices":[{"delta":{"content":"` + words + `"}}],"usage":{"prompt_tokens":100,"completion_tokens":40,"total_tokens":140}`)
	text := strings.Repeat(content(words), 50)
	said, estimated := []string(nil), []string{AnomalyOutputMissing}
	for _, c := range []struct {
		name, stream string
		least, most  int64
		flags        []string
	}{
		{"told at the beginning", early + text, 150, 250, estimated},
		{"told at the beginning of more than is held for", early + strings.Repeat(text, 40), 6000, 10_000, estimated},
		{"told in between", early + text + told + text, 190, 290, estimated},
		{"told to be nothing at last", early + text + chunk(`"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":0,"completion_tokens":0}`), 150, 250, estimated},
		{"told with every event", early + strings.Repeat(told, 10), 40, 40, said},
		{"cut within an event", told + strings.TrimSuffix(content(words), "\n"), 40, 40, said},
		{"told in the choice", chunk(`"choices":[{"delta":{"content":"x"},"usage":{"prompt_tokens":100,"completion_tokens":1}}]`) + text, 150, 250, estimated},
		{"cut within the event that tells it", early + text + strings.TrimSuffix(told, "\n"), 40, 40, said},
		{"at its end", early + text + "data: [DONE]\n\n", 1, 1, said},
		{"nothing after it", early, 1, 1, said},
	} {
		tap := streamTap(t, false)
		tap.Pass(nil, []byte(c.stream))
		u := tap.UsageOfPart()
		if n := u.Quantities[Output]; n < c.least || n > c.most || u.Quantities[Input] != 100 || !slices.Equal(u.Anomalies, c.flags) {
			t.Errorf("%s: %v from %s, %v; want %d to %d of output, %v", c.name, u.Map(), u.Source, u.Anomalies, c.least, c.most, c.flags)
		}
		if u.Source == Estimated != (c.flags != nil) {
			t.Errorf("%s: from %s", c.name, u.Source)
		}
	}
	never := streamTap(t, false)
	never.Pass(nil, []byte(text))
	if u := never.UsageOfPart(); u.Quantities != never.Usage().Quantities || u.Source != Estimated || u.Anomalies != nil {
		t.Errorf("never told: %v, %v", u.Map(), u.Anomalies)
	}
	noInput := streamTap(t, false)
	noInput.Pass(nil, []byte(chunk(`"choices":[{"delta":{"role":"assistant"}}],"usage":{"completion_tokens":1}`)+text))
	u := noInput.UsageOfPart()
	if n := u.Quantities[Output]; n < 150 || n > 250 || !slices.Equal(u.Anomalies, []string{anomalyInputMissing, AnomalyOutputMissing}) {
		t.Errorf("told without input: %v, %v", u.Map(), u.Anomalies)
	}
	noOutput := streamTap(t, false)
	noOutput.Pass(nil, []byte(chunk(`"choices":[{"delta":{"role":"assistant"}}],"usage":{"prompt_tokens":100}`)+text))
	u = noOutput.UsageOfPart()
	if n := u.Quantities[Output]; n < 150 || n > 250 || !slices.Equal(u.Anomalies, estimated) {
		t.Errorf("told without output: %v, %v", u.Map(), u.Anomalies)
	}
	total := streamTap(t, false)
	total.Pass(nil, []byte(chunk(`"choices":[{"delta":{"role":"assistant"}}],"usage":{"total_tokens":101}`)+text))
	u = total.UsageOfPart()
	if n := u.Quantities[Output]; n < 150 || n > 250 || u.Quantities[Unsplit] != 101 || u.Source != Estimated || !slices.Equal(u.Anomalies, []string{anomalyTotalOnly, AnomalyOutputMissing}) {
		t.Errorf("told a total alone: %v from %s, %v", u.Map(), u.Source, u.Anomalies)
	}
	limited := mustRead(t, FindEndpoint("/chat/completions"), `{"model":"m","stream":true,"max_tokens":30}`).NewTap("text/event-stream")
	limited.Pass(nil, []byte(early+text))
	if n := limited.UsageOfPart().Quantities[Output]; n != 30 {
		t.Errorf("of a request for 30 tokens, %d", n)
	}
}
