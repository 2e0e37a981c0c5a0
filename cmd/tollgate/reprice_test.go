package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/redistest"
	"github.com/tollgate/tollgate/ledger"
	"github.com/tollgate/tollgate/meter"
)

// past books a call of acme's, in cash, as it was charged by a table.
func (o *office) past(l *ledger.Ledger, q meter.PriceQuery, endpoint string, u meter.Usage, table string) *ledger.Receipt {
	o.t.Helper()
	return o.pastOf(l, "acme", q, endpoint, u, table)
}

func (o *office) pastOf(l *ledger.Ledger, account string, q meter.PriceQuery, endpoint string, u meter.Usage, table string) *ledger.Receipt {
	o.t.Helper()
	book, err := meter.NewBook(meter.BookOptions{Currency: "CNY", Files: []meter.PriceFile{{Name: "t.yaml", Data: []byte(table)}}})
	if err != nil {
		o.t.Fatal(err)
	}
	charge, err := book.Charge(q, &u)
	if err != nil {
		o.t.Fatal(err)
	}
	r, err := l.Settle(o.t.Context(), ledger.Settlement{
		ID: ledger.NewRequestID(), Account: account, Model: q.Model, Endpoint: endpoint, Upstream: q.Upstream, At: q.At, Source: u.Source, Anomalies: u.Anomalies,
		Attributes: q.Attributes, AnswerAttributes: u.Attributes, Charge: charge,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}

const (
	wrongTable = `currency: CNY
prices:
  - {models: [glm-4], endpoints: [chat], rates: {input: 1/1M, output: 2/1M}}
  - {models: [cogview-4], when: {size: 1024x1024}, rates: {image: 0.05}}
  - {models: [cogview-4], when: {size: 512x512}, rates: {image: 0.02}}
  - {models: [cogview-4], rates: {image: 0.9}}
  - {tools: [web_search], when: {engine: search_pro}, rates: {search: 0.03}}
  - {tools: [web_search], rates: {search: 0.01}}
`
	rightTable = `currency: CNY
prices:
  - {models: [glm-4], endpoints: [chat], rates: {input: 1.5/1M, output: 2/1M}}
  - {models: [cogview-4], when: {size: 1024x1024}, rates: {image: 0.06}}
  - {models: [cogview-4], when: {size: 512x512}, rates: {image: 0.02}}
  - {models: [cogview-4], rates: {image: 0.9}}
`
)

// ledgerOffice is an office with account acme, and its ledger as a proxy has it.
func ledgerOffice(t *testing.T) (*office, *ledger.Ledger) {
	t.Helper()
	server := redistest.Start(t)
	o := &office{t, []string{"TOLLGATE_REDIS=" + server.URL(), "TOLLGATE_CURRENCY=CNY"}}
	o.do("account create acme")
	l, err := ledger.Open(t.Context(), ledger.Options{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return o, l
}

func TestRepriceVerb(t *testing.T) {
	o, l := ledgerOffice(t)
	dir := t.TempDir()
	wrong, right := writeFile(t, dir, "wrong.yaml", wrongTable), writeFile(t, dir, "right.yaml", rightTable)
	o.do("topup acme 10")
	now := time.Now().Truncate(time.Second)
	chat := meter.PriceQuery{Model: "glm-4", Class: "chat", Upstream: "bigmodel", At: now}
	o.past(l, chat, "chat", meter.Usage{Quantities: meter.Quantities{meter.Input: 2_000_000, meter.Output: 1_000_000}, Source: meter.FromUpstream}, wrongTable)
	o.past(l, chat, "chat", meter.Usage{Quantities: meter.Quantities{meter.Output: 1_000_000}, Source: meter.FromUpstream, ToolCalls: []meter.ToolUse{
		{Tool: "web_search", Dimension: meter.Search, Count: 2, Attributes: meter.Attributes{"engine": "search_pro"}},
		{Tool: "web_search", Dimension: meter.Search, Count: 1},
	}}, wrongTable)
	before := chat
	before.At = now.Add(-48 * time.Hour)
	o.past(l, before, "chat", meter.Usage{Quantities: meter.Quantities{meter.Input: 1_000_000}, Source: meter.FromUpstream}, wrongTable)
	image := meter.PriceQuery{Model: "cogview-4", Class: "images", At: now, Attributes: meter.Attributes{"size": "auto"}}
	drawn := o.past(l, image, "images", meter.Usage{
		Quantities: meter.Quantities{meter.Image: 2}, Source: meter.Derived, Attributes: meter.Attributes{"size": "1024x1024"},
	}, wrongTable)
	image.Attributes = meter.Attributes{"size": "512x512"}
	odd := o.past(l, chat, "chat", meter.Usage{Quantities: meter.Quantities{meter.Input: 1}, Anomalies: []string{meter.AnomalyOutOfRange}}, wrongTable)
	o.past(l, image, "images", meter.Usage{Quantities: meter.Quantities{meter.Image: 1}, Source: meter.Derived}, wrongTable)

	since := now.Add(-time.Hour).Format(time.RFC3339)
	if r := decode[repricedReport](t, o.do("reprice --json --since "+since+" --prices "+wrong)); r.Charges != 5 || r.Repriced != 0 || len(r.LeftAlone) != 1 || r.LeftAlone[0].RequestID != odd.RequestID {
		t.Errorf("by the same tables: %+v", r)
	}
	r := decode[repricedReport](t, o.do("reprice --json --dry-run --since "+since+" --prices "+right))
	if !r.DryRun || r.Charges != 5 || r.Repriced != 2 || r.Before.String() != "4.1" || r.After.String() != "5.12" || r.Difference.String() != "1.02" || r.Currency != "CNY" ||
		len(r.Models) != 2 || r.Models[0].Model != "cogview-4" || r.Models[1].Model != "glm-4" {
		t.Errorf("dry run: %+v", r)
	}
	if text := o.do("account show acme").stdout; !strings.Contains(text, "2.809999") {
		t.Errorf("a dry run has booked: %s", text)
	}
	said := o.do("reprice --since " + since + " --prices " + right).stdout
	for _, want := range []string{"2 of 5 charges priced anew, by prices " + r.PriceVersion + ": 5.12 CNY, 4.1 CNY before", "glm-4", "cogview-4", "left as it is: request " + odd.RequestID + " of acme: it was charged what was held"} {
		if !strings.Contains(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	}
	if text := o.do("account show acme").stdout; !strings.Contains(text, "1.789999") {
		t.Errorf("after it: %s", text)
	}
	again, err := l.Receipt(t.Context(), "acme", drawn.RequestID)
	if err != nil || again.FeeDue().String() != "0.12" || again.AnswerAttributes["size"] != "1024x1024" || again.Reason != "priced anew, by prices "+r.PriceVersion {
		t.Errorf("receipt %+v, %v", again, err)
	}
	if r := decode[repricedReport](t, o.do("reprice --json --since "+since+" --prices "+right)); r.Repriced != 0 {
		t.Errorf("again: %+v", r)
	}
	if r := decode[repricedReport](t, o.do("reprice --json --reason back --since "+since+" --prices "+wrong)); r.Repriced != 2 || r.Difference.String() != "-1.02" {
		t.Errorf("back: %+v", r)
	}
	if text := o.do("account show acme").stdout; !strings.Contains(text, "2.809999") {
		t.Errorf("back: %s", text)
	}
	o.do("audit")
}

// A call that stays free, since the table bills the model by something that nobody counted, is told of.
func TestRepriceOfWhatStaysFree(t *testing.T) {
	o, l := ledgerOffice(t)
	used := meter.Usage{Quantities: meter.Quantities{meter.Image: 1}, Source: meter.Derived}
	for _, model := range []string{"gpt-image-1", "other"} {
		o.past(l, meter.PriceQuery{Model: model, Class: "images", At: time.Now()}, "images", used, wrongTable)
	}
	byToken := writeFile(t, t.TempDir(), "t.yaml", "currency: CNY\nprices: [{models: [gpt-image-1], rates: {input: 1, output: 1}}]\n")
	r := decode[repricedReport](t, o.do("reprice --json --since 2026-01-01 --prices "+byToken))
	if r.Repriced != 0 || len(r.LeftAlone) != 1 || !strings.Contains(r.LeftAlone[0].Reason, "it stays free") || !strings.Contains(r.LeftAlone[0].Reason, "(image)") {
		t.Errorf("%+v", r)
	}
}

// What the table prices of a call is priced anew, though it does not price all of it; and of a model that it does not price nothing is
// said, whatever was odd about the call.
func TestRepriceOfWhatIsPricedInPart(t *testing.T) {
	o, l := ledgerOffice(t)
	chat := meter.PriceQuery{Model: "glm-4", Class: "chat", At: time.Now()}
	o.past(l, chat, "chat", meter.Usage{Quantities: meter.Quantities{meter.Input: 1_000_000, meter.Image: 1}, Source: meter.FromUpstream}, wrongTable)
	other := chat
	other.Model = "other"
	o.past(l, other, "chat", meter.Usage{Quantities: meter.Quantities{meter.Input: 1}, Anomalies: []string{meter.AnomalyOutOfRange}}, wrongTable)
	right := writeFile(t, t.TempDir(), "right.yaml", rightTable)
	r := decode[repricedReport](t, o.do("reprice --json --since 2026-01-01 --prices "+right))
	if r.Charges != 2 || r.Repriced != 1 || r.After.String() != "1.5" || len(r.LeftAlone) != 0 {
		t.Errorf("%+v", r)
	}
}

// A call is priced by the upstream that answered it.
func TestRepriceGoesByTheUpstream(t *testing.T) {
	o, l := ledgerOffice(t)
	used := meter.Usage{Quantities: meter.Quantities{meter.Input: 1_000_000}, Source: meter.FromUpstream}
	for _, upstream := range []string{"bigmodel", "other"} {
		o.past(l, meter.PriceQuery{Model: "glm-4", Class: "chat", Upstream: upstream, At: time.Now()}, "chat", used, wrongTable)
	}
	table := writeFile(t, t.TempDir(), "t.yaml", "currency: CNY\nprices: [{models: [glm-4], rates: {input: 1/1M}}, {models: [glm-4], upstreams: [bigmodel], rates: {input: 3/1M}}]\n")
	if r := decode[repricedReport](t, o.do("reprice --json --since 2026-01-01 --prices "+table)); r.Charges != 2 || r.Repriced != 1 || r.Difference.String() != "2" {
		t.Errorf("%+v", r)
	}
}

func TestRepriceIsUsedWrongly(t *testing.T) {
	o := openOffice(t)
	o.do("account create acme")
	table := writeFile(t, t.TempDir(), "p.yaml", wrongTable)
	dollars := writeFile(t, t.TempDir(), "d.yaml", strings.Replace(wrongTable, "CNY", "USD", 1))
	for args, want := range map[string]string{
		"reprice --prices " + table:                                         "--since is needed",
		"reprice --since 2026-11-01":                                        "--prices is needed",
		"reprice --since 2026-11-01 --prices ''":                            "--prices is empty: say the price table",
		"reprice --since yesterday --prices " + table:                       "--since",
		"reprice --since 2026-11-01 --prices nowhere.yaml":                  "open nowhere.yaml: no such file",
		"reprice --since 2026-11-01 --prices " + dollars:                    "USD",
		"reprice --since 2026-11-01 --account nobody --prices " + table:     "account create nobody",
		"reprice --since 2026-11-02 --until 2026-11-01 --prices " + table:   "--until 2026-11-01 is not after --since 2026-11-02",
		"reprice --since 2026-11-01 --prices nowhere/bigmodel.yaml":         "no such file", // built in, but that is not what was named
		"reprice --since 2026-11-01 --until 2026-13-01 --prices " + table:   "--until",
		"reprice --since 2026-11-01 --prices " + table + " --account 'a b'": "a b",
	} {
		if r := o.run(args); r.exit == exitOK || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: exit %d, %q, want %q", args, r.exit, r.stderr, want)
		}
	}
}
