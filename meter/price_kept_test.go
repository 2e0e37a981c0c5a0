package meter_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/meter"
	"github.com/tollgate/tollgate/prices"
)

// recalled is what another book makes of the prices that a book has kept of a call.
func recalled(t rapid.TB, book *meter.Book, q meter.PriceQuery) *meter.Book {
	t.Helper()
	text, err := json.Marshal(book.Keep(q))
	if err != nil {
		t.Fatal(err)
	}
	var kept meter.KeptPrices
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	other, err := meter.NewBook(options("currency: CNY\nprices: [{models: [\"*\"], rates: {input: 9000, output: 9000, call: 9000}}]"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := other.Recall(&kept)
	if err != nil {
		t.Fatal(err)
	}
	if again == other || again.Version() != book.Version() {
		t.Fatal("it is the book as it is now, of version " + again.Version())
	}
	return again
}

// A call is charged by the prices that were kept of it as by the tables that they are of.
func TestKeptPricesChargeAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := drawTable(t)
		if rapid.Bool().Draw(t, "fallback") {
			table = strings.ReplaceAll(table, "{models: [m], ", "{models: [m], fallback: {reasoning: none, cached_input: tool_input}, ")
		}
		book, err := meter.NewBook(options(table))
		if err != nil {
			t.Fatalf("%v in\n%s", err, table)
		}
		var most meter.Quantities
		for _, d := range append(modalities, meter.Input, meter.Output, meter.Image, meter.Unsplit) {
			most[d] = rapid.Int64Range(0, 60).Draw(t, "most of "+d.String())
		}
		u := meter.Usage{Quantities: drawWithin(t, &most)}
		query := meter.PriceQuery{Model: "m", Class: "chat", At: noon, Upstream: rapid.SampledFrom([]string{"u", "v"}).Draw(t, "upstream")}
		query.Attributes, u.Attributes = drawAttributes(t)
		u.ToolCalls = []meter.ToolUse{{Tool: rapid.SampledFrom([]string{"web_search", "mcp"}).Draw(t, "tool"), Dimension: meter.Search, Count: 3}}
		requireChargedAlike(t, book, recalled(t, book, query), query, u)
	})
}

func requireChargedAlike(t rapid.TB, book, again *meter.Book, q meter.PriceQuery, u meter.Usage) {
	t.Helper()
	want, err := book.Charge(q, &u)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Charge(q, &u); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v of %v is charged as %+v (%v), want %+v", q, u, got, err, want)
	}
}

// So it is by the tables that come with Tollgate, whatever the model.
func TestKeptPricesOfEveryModel(t *testing.T) {
	o := options()
	o.Files = prices.Files()
	book, err := meter.NewBook(o)
	if err != nil {
		t.Fatal(err)
	}
	var u meter.Usage
	for d := range u.Quantities {
		u.Quantities[d] = 7_001
	}
	u.ToolCalls = []meter.ToolUse{{Tool: "web_search", Dimension: meter.Search, Count: 2}, {Tool: "file_search", Dimension: meter.ToolCall, Count: 1}}
	for _, model := range book.Models() {
		for _, class := range meter.PriceClasses() {
			for _, attributes := range []meter.Attributes{nil, {"service_tier": "flex", "quality": "hd", "size": "1024x1024", "with_audio": "true"}, {"service_tier": "priority", "duration": "10"}} {
				q := meter.PriceQuery{Model: model, Class: class, Upstream: "bigmodel", At: noon, Attributes: attributes}
				requireChargedAlike(t, book, recalled(t, book, q), q, u)
			}
		}
	}
}

// So it is where tools are priced by a pattern of their names, and a search by what a call of the tool costs.
func TestKeptPricesOfTools(t *testing.T) {
	book, err := meter.NewBook(options(`currency: CNY
prices:
  - {models: [m], rates: {input: 1/1M}}
  - {tools: ["mcp_*"], rates: {tool_call: 0.5}}
  - {tools: [lookup], rates: {tool_call: 0.25}}`))
	if err != nil {
		t.Fatal(err)
	}
	query := meter.PriceQuery{Model: "m", Class: "chat", At: noon}
	u := meter.Usage{ToolCalls: []meter.ToolUse{{Tool: "mcp_x", Dimension: meter.ToolCall, Count: 2}, {Tool: "lookup", Dimension: meter.Search, Count: 1}}}
	requireChargedAlike(t, book, recalled(t, book, query), query, u)
	charge, err := book.Charge(query, &u)
	wantFee(t, "tools", charge, err, "1.25")
}

func TestRecallOfPrices(t *testing.T) {
	book, err := meter.NewBook(options("currency: CNY\nprices: [{models: [m], rates: {input: 1}}]"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := book.Recall(&meter.KeptPrices{Version: book.Version()}); again != book || err != nil {
		t.Errorf("of the version that there is: %v, %v", again, err)
	}
	for _, text := range []string{
		`{"m":[{"name":"m","tiers":[{"rates":{"light":"1"}}]}]}`,
		`{"m":[{"name":"m","tiers":[{"rates":{"input":"x"}}]}]}`,
		`{"m":[{"name":"m","tiers":[{"input":"5","rates":{"input":"1"}}]}]}`,
		`{"m":[{"name":"m","tiers":[{"output":"5","rates":{"input":"1"}}]}]}`,
		`{"m":[{"name":"m","tiers":[{"rates":{"input":"1"}}],"fallback":{"output":"light"}}]}`,
		`{"m":[{"name":"m","tiers":[{"rates":{"input":"1"}}],"fallback":{"light":"none"}}]}`,
		`{"m":[{"name":"m","tiers":[{"rates":{"input":"1"}}],"multipliers":[{"when":{"a":"b"},"by":"-1"}]}]}`,
		`{"t":[{"name":"t","tiers":[{"input":"[5,)","rates":{"search":"1"}}]}]}`,
	} {
		var kept meter.KeptPrices
		if err := json.Unmarshal([]byte(text), &kept); err != nil {
			t.Fatal(err)
		}
		if _, err := book.Recall(&kept); err == nil {
			t.Errorf("recalled %s", text)
		}
	}
}
