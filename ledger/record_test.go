package ledger

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
)

// A statement that is written by hand is what json.Marshal would write.
func TestStatementIsJSON(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "glm-4.6", `a "b"`, "a\\b", "<&>", "模型", "\x00\u2028", "a\xffb"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.Custom(func(t *rapid.T) statementLine {
			return statementLine{
				Dimension: rapid.SampledFrom([]meter.Dimension{meter.Input, meter.Output, meter.Image}).Draw(t, "dimension"),
				Quantity:  rapid.Int64Range(0, 1<<53).Draw(t, "quantity"),
				Rate:      meter.Rate{Pico: rapid.Int64Range(0, 1e15).Draw(t, "pico"), Per: rapid.SampledFrom([]int64{1, 1000, 1_000_000}).Draw(t, "per")},
				Tool:      text.Draw(t, "tool"), BilledAs: text.Draw(t, "billed as"), Unpriced: rapid.Bool().Draw(t, "unpriced"),
			}
		})
		s := statement{
			Model: text.Draw(t, "model"), Answer: text.Draw(t, "answer"), Endpoint: text.Draw(t, "endpoint"), Upstream: text.Draw(t, "upstream"),
			AtMS: rapid.Int64Range(0, 1<<53).Draw(t, "at"), Source: meter.Source(text.Draw(t, "source")),
			Anomalies: rapid.SliceOfN(text, 0, 3).Draw(t, "anomalies"), Version: text.Draw(t, "version"),
			Lines: rapid.SliceOfN(line, 0, 4).Draw(t, "lines"),
		}
		want, err := json.Marshal(&s)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(s.appendJSON(nil)); got != string(want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}
