package ledger

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
)

// A statement that is written by hand is what json.Marshal would write.
func TestStatementIsJSON(t *testing.T) {
	text := rapid.OneOf(rapid.SampledFrom([]string{"", "glm-4.6", `a "b"`, "a\\b", "<&>", "模型", "\x00\u2028", "a\xffb"}), rapid.String())
	attributes := rapid.MapOfN(rapid.SampledFrom([]string{"engine", "quality", "service_tier", "size"}), text, 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.Custom(func(t *rapid.T) meter.Line {
			return meter.Line{
				Dimension: rapid.SampledFrom([]meter.Dimension{meter.Input, meter.Output, meter.Image}).Draw(t, "dimension"),
				Quantity:  rapid.Int64Range(0, 1<<53).Draw(t, "quantity"),
				Rate:      meter.Rate{Pico: rapid.Int64Range(0, 1e15).Draw(t, "pico"), Per: rapid.SampledFrom([]int64{1, 1000, 1_000_000}).Draw(t, "per")},
				Tool:      text.Draw(t, "tool"), BilledAs: text.Draw(t, "billed as"), Unpriced: rapid.Bool().Draw(t, "unpriced"),
				Attributes: attributes.Draw(t, "attributes of the line"),
			}
		})
		s := Settlement{
			Model: text.Draw(t, "model"), AnswerModel: text.Draw(t, "answer"), Endpoint: text.Draw(t, "endpoint"), Upstream: text.Draw(t, "upstream"),
			At: time.UnixMilli(rapid.Int64Range(0, 1<<53).Draw(t, "at")), Source: meter.Source(text.Draw(t, "source")),
			Anomalies:  rapid.SliceOfN(text, 0, 3).Draw(t, "anomalies"),
			Attributes: attributes.Draw(t, "attributes"), AnswerAttributes: attributes.Draw(t, "attributes of the answer"),
			Charge: meter.Charge{PriceVersion: text.Draw(t, "version"), Lines: rapid.SliceOfN(line, 0, 4).Draw(t, "lines")},
		}
		if n := rapid.Int64Range(0, 1<<53).Draw(t, "carried"); n > 0 {
			s.Charge.Carried = &meter.Quantities{meter.Input: n, meter.Image: 1}
		}
		want, err := json.Marshal(statementOf(&s))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendStatement(nil, &s)); got != string(want) {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	})
}

func statementOf(s *Settlement) *statement {
	out := &statement{
		Model: s.Model, Answer: s.AnswerModel, Endpoint: s.Endpoint, Upstream: s.Upstream, AtMS: s.At.UnixMilli(),
		Source: s.Source, Anomalies: s.Anomalies, Version: s.Charge.PriceVersion,
		Asked: s.Attributes, Said: s.AnswerAttributes,
	}
	for _, l := range s.Charge.Lines {
		out.Lines = append(out.Lines, statementLine{
			statedQuantity: statedQuantity{l.Dimension, l.Quantity}, Rate: l.Rate, Tool: l.Tool, BilledAs: l.BilledAs, Unpriced: l.Unpriced,
			Attributes: l.Attributes,
		})
	}
	if s.Charge.Carried != nil {
		for d, n := range s.Charge.Carried.NonZero() {
			out.Carried = append(out.Carried, statedQuantity{d, n})
		}
	}
	return out
}

// What is used, and balances, are read as they are written.
func TestUsageAndBalancesInJSON(t *testing.T) {
	type object struct {
		Usage    Usage    `json:"usage,omitzero"`
		Balances Balances `json:"balances,omitempty"`
	}
	for _, text := range []string{
		`{}`,
		`{"usage":{"cached_input":3,"input":1200,"output":48},"balances":{"bonus":"0","pack:p1":0,"recharge":"-1.5"}}`,
	} {
		var o object
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(o); err != nil || string(got) != text {
			t.Errorf("%s (%v)\nwant %s", got, err, text)
		}
	}
	for _, text := range []string{`{"usage":{"nonsense":1}}`, `{"usage":1}`, `{"balances":{"bonus":"x"}}`, `{"balances":{"pack:p1":"1"}}`} {
		var o object
		if err := json.Unmarshal([]byte(text), &o); err == nil {
			t.Errorf("%s is read as %+v", text, o)
		}
	}
}
