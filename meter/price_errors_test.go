package meter_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/meter"
)

// Every fault is told, with its place and what would be right.
func TestPriceFileErrors(t *testing.T) {
	tests := []struct {
		what  string
		table string
		want  []string // one a fault, in order; "a.yaml:" is put before each
	}{
		{"empty", "", []string{": the file is empty"}},
		{"only a comment", "# nothing\n", []string{": the file is empty"}},
		{"not a mapping", "- 1\n", []string{"1:1: there is a list here; want `currency:` and `prices:`"}},
		{"a file of another kind", strings.Repeat("root:x:0:0 ", 99), []string{`1:1: there is "` + strings.Repeat("root:x:0:0 ", 99)[:60] + `" here; want`}},
		{"syntax", "currency: CNY\nprices: [{models: [m]\n", []string{"2:10: not YAML"}},
		{"an empty document", "currency: CNY\nprices: []\n---\n---\ncurrency: CNY\n", []string{"3:1: an empty YAML document"}},
		{"a document behind an empty one", "---\n# no\n---\ncurrency: CNY\nprices: []\n", []string{"1:1: an empty YAML document"}},
		{"two documents", "currency: CNY\nprices: []\n---\ncurrency: CNY\n", []string{"4:1: a second YAML document"}},
		{"no rows", "currency: CNY\n", []string{"1:1: the file has no `prices:`"}},
		{"no currency", "prices: [{models: [m], rates: {input: 0}}]\n", []string{"1:1: the file has no `currency:`"}},
		{"another currency", "currency: EUR\nprices: [{models: [m], rates: {input: 0}}]\n", []string{"1:11: the currency is EUR, the ledger's is CNY, and no exchange rate is given"}},
		{"unknown keys", "currency: CNY\nprice: 1\nprices:\n  - models: [m]\n    rate: {input: 1}\n    rates: {input: 1/1M, inputs: 2/1M}\n", []string{
			`2:1: unknown key "price"; want one of currency, prices`,
			`5:5: unknown key "rate"; want one of models, tools, endpoints`,
			`6:26: unknown dimension "inputs"`,
		}},
		{"given twice", "currency: CNY\nprices:\n  - models: [m, m]\n    rates: {input: 1/1M, input: 2/1M}\n", []string{
			`3:17: "m" is listed twice`,
			`4:26: "input" is given twice`,
		}},
		{"rates", "currency: CNY\nprices:\n  - models: [m]\n    rates:\n      input: -1/1M\n      output: 1e-6\n      image: 0.0000000000001\n      call: 10000000\n      page: [1]\n      video: null\n      search: 1/1min\n", []string{
			"5:14: rate \"-1/1M\": \"-1\" is negative",
			"6:15: rate \"1e-6\": \"1e-6\" is not a decimal number",
			"7:14: rate 0.0000000000001 is not exact to 1e-12",
			"8:13: rate 10000000: amount out of range",
			"9:13: there is a list here; want a rate",
			"10:14: there is nothing here; want a rate",
			"11:15: rate \"1/1min\": search is not counted in time",
		}},
		{"what to price", "currency: CNY\nprices:\n  - rates: {input: 1}\n  - models: [m]\n  - {models: [m], tools: [t], rates: {search: 1}, tiers: []}\n  - 5\n  - {models: [], rates: {}}\n", []string{
			"3:5: the row says neither `models:` nor `tools:`",
			"4:5: the row has neither `rates:` nor `tiers:`",
			"5:58: this list is empty",
			"5:26: a row prices `models:` or `tools:`, not both",
			"5:58: a row has `rates:` or `tiers:`, not both",
			`6:5: there is "5" here; want a row`,
			"7:14: this list is empty; want model names",
			"7:25: there are no rates here",
		}},
		{"a star without quotes", "currency: CNY\nprices:\n  - {models: [*], rates: {input: 1}}\n", []string{`3:16: not YAML: unexpected scalar value type (a * must be quoted: "*")`}},
		{"a pattern without quotes", "currency: CNY\nprices:\n  - {models: [*all], rates: {input: 1}}\n", []string{"3:15: there is an alias (quote a name that begins with *)"}},
		{"names", "currency: CNY\nprices:\n  - {models: [m], endpoints: [chats], rates: {input: 1}, windows: [{days: [monday], from: \"9:00\", to: \"24:01\", timezone: Mars/Base}, {from: \"12:60\", to: \"12:00:00:00\"}, {from: \"12\"}]}\n", []string{
			`3:31: unknown endpoint "chats"; want one of chat, embeddings`,
			`3:76: unknown day "monday"`,
			`3:91: "9:00" is not a time of day`,
			`3:103: "24:01" is not a time of day`,
			`3:122: unknown time zone "Mars/Base"`,
			`3:141: "12:60" is not a time of day`,
			`3:154: "12:00:00:00" is not a time of day`,
			`3:177: "12" is not a time of day`,
		}},
		{"times", "currency: CNY\nprices:\n  - {models: [m], from: tomorrow, rates: {input: 1}}\n  - {models: [n], from: 2026-02-01, until: 2026-02-01, rates: {input: 1}}\n", []string{
			`3:25: "tomorrow" is not a time`,
			"4:44: `until` is not after `from`",
		}},
		{"conditions", "currency: CNY\nprices:\n  - {models: [m], when: {}, rates: {input: 1}}\n  - {models: [m], when: {size: [a, b]}, rates: {input: 1}}\n", []string{
			"3:25: `when` is empty",
			"4:32: there is a list here; want one plain value",
		}},
		{"multipliers", "currency: CNY\nprices:\n  - {models: [m], rates: {input: 1}, multipliers: [{when: {a: b}, by: 0}, {by: 2}, {when: {a: b}, by: half}]}\n", []string{
			"3:71: a multiplier of 0 would make a price free",
			"3:75: want both `when` and `by`",
			`3:103: "half" is not a decimal number`,
		}},
		{"fallback", "currency: CNY\nprices:\n  - {models: [m], rates: {input: 1}, fallback: {reasoning: nothing, cached_input: image, image: page, audio_ms: session_ms}}\n", []string{
			`3:60: unknown dimension "nothing"`,
			"3:83: cached_input is not counted as image is",
			"3:97: image is not counted as page is",
		}},
		{"fallbacks in a circle", "currency: CNY\nprices:\n  - {models: [m], rates: {input: 1}, fallback: {output: reasoning}}\n", []string{"3:5: the fallbacks of output lead in a circle"}},
	}
	for _, tt := range tests {
		_, err := meter.NewBook(options(tt.table))
		wantErrors(t, tt.what, err, tt.want)
	}
}

func wantErrors(t *testing.T, what string, err error, want []string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: the table loaded", what)
		return
	}
	got := strings.Split(err.Error(), "\n")
	for i, g := range got {
		if i >= len(want) || !strings.HasPrefix(g, "a.yaml:"+strings.TrimPrefix(want[i], ":")) {
			t.Errorf("%s: fault %d is %q", what, i, g)
		}
	}
	if len(got) < len(want) {
		t.Errorf("%s: %d faults, want %d: %q", what, len(got), len(want), got)
	}
}

func TestTiersMustCover(t *testing.T) {
	const head = "currency: CNY\nprices:\n  - models: [m]\n    tiers:\n"
	tests := []struct {
		what, tiers string
		want        []string
	}{
		{"bounded top", "      - {input: \"[0,10)\", rates: {input: 1}}\n", []string{"5:9: the tiers leave 10 input and 0 output tokens without a price"}},
		{"does not begin at 0", "      - {input: \"[1,)\", rates: {input: 1}}\n", []string{"5:9: the tiers leave 0 input and 0 output"}},
		{"a hole", "      - {input: \"[0,10)\", rates: {input: 1}}\n      - {input: \"[11,)\", rates: {input: 1}}\n", []string{"5:9: the tiers leave 10 input and 0 output"}},
		{"a hole on one side", "      - {input: \"[0,10)\", rates: {input: 1}}\n      - {input: \"[10,)\", output: \"[5,)\", rates: {input: 1}}\n", []string{"5:9: the tiers leave 10 input and 0 output"}},
		{"twice", "      - {input: \"[0,10)\", rates: {input: 1}}\n      - {input: \"[9,)\", rates: {input: 1}}\n", []string{"6:9: 9 input and 0 output tokens lie in this tier and in the one at a.yaml:5:9"}},
		{"ranges", "      - {input: \"[0,10]\", rates: {input: 1}}\n      - {input: \"[5,5)\", output: \"0-5\", rates: {input: 1}}\n      - {input: \"[-1,)\"}\n", []string{
			`5:17: "[0,10]" is not a range`, `6:17: "[5,5)" is not a range`, `6:34: "0-5" is not a range`, `7:17: "[-1,)" is not a range`, "7:9: the tier has no `rates:`",
		}},
		{"half a bracket", "      - {input: \"[0,10\", rates: {input: 1}}\n      - {input: \"10,)\", rates: {input: 1}}\n", []string{`5:17: "[0,10" is not a range`, `6:17: "10,)" is not a range`}},
		{"one lacks a rate", "      - {input: \"[0,10)\", rates: {input: 1, output: 1}}\n      - {input: \"[10,)\", rates: {input: 1}}\n", []string{"6:9: this tier has no rate for output"}},
		{"a part may be lacking", "      - {input: \"[0,10)\", rates: {input: 1, cached_input: 0.5, output: 1}}\n      - {input: \"[10,)\", output: \"[ 0 , 5 )\", rates: {input: 1, output: 2}}\n      - {input: \"[10,)\", output: \"[5,)\", rates: {input: 1, output: 2}}\n", nil},
	}
	for _, tt := range tests {
		_, err := meter.NewBook(options(head + tt.tiers))
		if tt.want == nil {
			if err != nil {
				t.Errorf("%s: %v", tt.what, err)
			}
			continue
		}
		wantErrors(t, tt.what, err, tt.want)
	}
}

func TestMultipliersMustBeExact(t *testing.T) {
	table := func(multipliers string) string {
		return "currency: CNY\nprices:\n  - models: [m]\n    rates: {input: 0.000003/1M, output: 1/1M}\n    multipliers: " + multipliers + "\n"
	}
	_, err := meter.NewBook(options(table("[{when: {a: x}, by: 0.5}, {when: {b: x}, by: 1}]")))
	wantErrors(t, "one alone", err, []string{
		"5:38: input of 0.000003/1M times what applies with it: rate 0.0000015/1M is not exact",
		"5:63: input of 0.000003/1M times what applies with it", // both together
	})
	// 3 pico are exact at ×2 and at ×2×0.5, so that the half alone must not be reachable.
	if _, err := meter.NewBook(options(table("[{when: {a: x}, by: 2}, {when: {a: x, b: x}, by: 0.5}]"))); err != nil {
		t.Errorf("what cannot apply alone: %v", err)
	}
	if _, err := meter.NewBook(options(table("[{when: {a: x}, by: 2}, {when: {a: y}, by: 3}]"))); err != nil {
		t.Errorf("what cannot apply together: %v", err)
	}
	_, err = meter.NewBook(options(table("[{when: {a: x}, by: 1000000}, {when: {b: y}, by: 10000000}, {when: {c: z}, by: 10000000}]")))
	wantErrors(t, "too large together", err, []string{
		"5:67: output of 1/1M times what applies with it: rate 10000000000000/1M: amount out of range",
		"5:97: output of 1/1M times what applies with it",
	})
	book := newBook(t, "currency: CNY\nprices:\n  - {models: [m], when: {size: x}, rates: {input: 1}, multipliers: [{when: {size: y}, by: 2}]}\n")
	if w := book.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "a.yaml:3:91: this multiplier can never apply") {
		t.Errorf("warnings %q", w)
	}
}

func TestClashes(t *testing.T) {
	row := func(more string) string { return "  - {rates: {input: 1, search: 1}, " + more + "}\n" }
	tests := []struct {
		what string
		a, b string
		more string
		want string // "" for none
	}{
		{"the same twice", "models: [m]", "models: [x, m]", "", `both price "m"`},
		{"other models", "models: [m]", "models: [x]", "", ""},
		{"name and pattern", "models: [m]", "models: [\"m*\"]", "", ""},
		{"patterns of other length", "models: [\"glm-4*\"]", "models: [\"glm-*\"]", "", ""},
		{"patterns of one length that meet", "models: [\"glm-4*\"]", "models: [\"*flash\"]", "", `both price "glm-4flash"`},
		{"patterns of one length that do not", "models: [\"glm-4*\"]", "models: [\"glm-5*\"]", "", ""},
		{"patterns of one length that begin otherwise", "models: [\"x*z\"]", "models: [\"yy*\"]", "", ""},
		{"patterns of one length that end otherwise", "models: [\"x*z\"]", "models: [\"*yy\"]", "", ""},
		{"other classes", "models: [m], endpoints: [chat]", "models: [m], endpoints: [images]", "", ""},
		{"a class in common", "models: [m], endpoints: [chat, images]", "models: [m], endpoints: [images]", "", `both price "m"`},
		{"more endpoints", "models: [m], endpoints: [chat]", "models: [m]", "", ""},
		{"other upstreams", "models: [m], upstreams: [a]", "models: [m], upstreams: [b]", "", ""},
		{"an upstream in common", "models: [m], upstreams: [a, b]", "models: [m], upstreams: [b]", "", `both price "m"`},
		{"other values", "models: [m], when: {size: a}", "models: [m], when: {size: b}", "", ""},
		{"other keys", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "", `both price "m" when size=a,quality=b`},
		{"other keys, and a row for both", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "models: [m], when: {quality: b, size: a}", ""},
		{"a row for both at another time", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "models: [m], from: 2026-01-01, when: {quality: b, size: a}", `both price "m"`},
		{"a row for both at one upstream", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "models: [m], upstreams: [u], when: {quality: b, size: a}", `both price "m"`},
		{"a row for both of one class", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "models: [m], endpoints: [chat], when: {quality: b, size: a}", `both price "m"`},
		{"a row for both for a while", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "models: [m], until: 2026-02-01, when: {quality: b, size: a}", `both price "m"`},
		{"a row for both at some hours", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "models: [m], when: {quality: b, size: a}, windows: [{from: \"08:00\", to: \"20:00\"}]", `both price "m"`},
		{"a row for both of a pattern", "models: [m], when: {size: a}", "models: [m], when: {quality: b}", "models: [\"m*\"], when: {quality: b, size: a}", `both price "m"`},
		{"a row for both of all upstreams", "models: [m], upstreams: [u], when: {size: a}", "models: [m], upstreams: [u], when: {quality: b}", "models: [m], when: {quality: b, size: a}", ""},
		{"a later from", "models: [m], from: 2026-01-01", "models: [m], from: 2026-01-02", "", ""},
		{"the same from", "models: [m], from: 2026-01-01, until: 2026-02-01", "models: [m], from: 2026-01-01", "", `both price "m"`},
		{"windows apart", "models: [m], windows: [{from: \"08:00\", to: \"20:00\"}]", "models: [m], windows: [{from: \"20:00\", to: \"08:00\"}]", "", ""},
		{"windows that meet past midnight", "models: [m], windows: [{days: [tue], to: \"06:00\"}]", "models: [m], windows: [{days: [mon], from: \"22:00\", to: \"00:01\"}]", "", `both price "m"`},
		{"windows apart in other zones", "models: [m], windows: [{from: \"08:00\", to: \"09:00\", timezone: Asia/Shanghai}]", "models: [m], windows: [{from: \"01:00\", to: \"08:00\", timezone: UTC}]", "", ""},
		{"windows that meet in other zones", "models: [m], windows: [{from: \"08:00\", to: \"09:01\", timezone: Asia/Shanghai}]", "models: [m], windows: [{from: \"01:00\", to: \"08:00\", timezone: UTC}]", "", `both price "m"`},
		{"windows that meet in summer only", "models: [m], windows: [{from: \"08:00\", to: \"09:00\", timezone: Europe/Berlin}]", "models: [m], windows: [{from: \"06:00\", to: \"07:00\", timezone: UTC}]", "", `both price "m"`},
		{"windows that meet once one has ended", "models: [m], from: 2026-01-01T00:00:00Z, until: 2026-01-02T00:00:00Z, windows: [{days: [sat], timezone: UTC}]", "models: [m], from: 2026-01-01T00:00:00Z, windows: [{days: [sat], timezone: UTC}]", "", ""},
		{"windows that meet once the other has ended", "models: [m], from: 2026-01-01T00:00:00Z, windows: [{days: [sat], timezone: UTC}]", "models: [m], from: 2026-01-01T00:00:00Z, until: 2026-01-02T00:00:00Z, windows: [{days: [sat], timezone: UTC}]", "", ""},
		{"windows that meet before one ends", "models: [m], from: 2026-01-01T00:00:00Z, until: 2026-01-04T00:00:00Z, windows: [{days: [sat], timezone: UTC}]", "models: [m], from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z, windows: [{days: [sat], timezone: UTC}]", "", `both price "m"`},
		{"tools", "tools: [web_search]", "tools: [web_search]", "", `both price "web_search"`},
		{"a tool and a model", "tools: [m]", "models: [m]", "", ""},
	}
	for _, tt := range tests {
		table := "currency: CNY\nprices:\n" + row(tt.a) + row(tt.b)
		if tt.more != "" {
			table += row(tt.more)
		}
		_, err := meter.NewBook(options(table))
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.what, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "a.yaml:4:5: this row and the one at a.yaml:3:5 ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.what, err, tt.want)
		}
	}
	table := "currency: CNY\nprices:\n" + row("models: [m]")
	_, err := meter.NewBook(options(table, table))
	if err == nil || !strings.HasPrefix(err.Error(), "b.yaml:3:5: this row and the one at a.yaml:3:5 both price") {
		t.Errorf("across files: %v", err)
	}
}

func TestErrorsAreOfAllFiles(t *testing.T) {
	_, err := meter.NewBook(options("currency: CNY\n", "prices: []\n"))
	var first *meter.PriceError
	if !errors.As(err, &first) || first.File != "a.yaml" || first.Line != 1 || first.Column != 1 {
		t.Errorf("first fault %+v of %v", first, err)
	}
	if !strings.Contains(err.Error(), "b.yaml:1:1: ") {
		t.Errorf("the second file's fault is not told: %v", err)
	}
	if _, err := meter.NewBook(meter.BookOptions{}); err == nil {
		t.Error("a book without a currency was made")
	}
	o := options("currency: USD\nprices: [{models: [m], rates: {input: 1}}]\n")
	for _, bad := range []string{"0", "-7", "7,1", "seven", ""} {
		o.Exchange["USD"] = bad
		if _, err := meter.NewBook(o); err == nil {
			t.Errorf("exchange rate %q was taken", bad)
		}
	}
}

func TestWarnings(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [m], rates: {audio_ms: 0.06, video_ms: 0, session_ms: 0.06/1min}}
  - {models: [n], when: {size: a}, rates: {image: 1}, multipliers: [{when: {size: b}, by: 2}, {when: {size: a}, by: 2}]}
  - {models: [o], when: {siz: a}, rates: {image: 1}, multipliers: [{when: {batch: true, bacth: true}, by: 2}]}
`)
	want := []string{
		"a.yaml:4:37: audio_ms is counted in milliseconds, so this is 0.06 a millisecond",
		"a.yaml:5:91: this multiplier can never apply",
		`a.yaml:6:26: no request and no answer says "siz"; they say batch, duration, engine, fps, inference_geo, quality, service_tier, size, speed, style, with_audio`,
		`a.yaml:6:89: no request and no answer says "bacth"`,
	}
	w := book.Warnings()
	for i := range w {
		if i >= len(want) || !strings.HasPrefix(w[i], want[i]) {
			t.Errorf("warning %q", w[i])
		}
	}
	if len(w) != len(want) {
		t.Errorf("%d warnings, want %d", len(w), len(want))
	}
	if names := strings.Join(book.Attributes(), " "); names != "bacth batch duration engine fps inference_geo quality service_tier siz size speed style with_audio" {
		t.Errorf("attributes %s", names)
	}
	c, err := book.Charge(meter.PriceQuery{Model: "n", Attributes: meter.Attributes{"size": "a"}, At: noon}, usage(meter.Quantities{meter.Image: 1}))
	wantFee(t, "a multiplier that always applies", c, err, "2")
}

func TestExchangeMustBeExact(t *testing.T) {
	o := options("currency: USD\nprices:\n  - {models: [m], rates: {input: 0.005/1M}}\n")
	o.Exchange["USD"] = "7.12345"
	_, err := meter.NewBook(o)
	wantErrors(t, "exchange", err, []string{"3:34: rate 0.03561725/1M is not exact to 1e-12 a unit; use fewer decimals or another count (0.005/1M at the exchange rate of 7.12345)"})
}

// A row for an upstream that is not there is never chosen, which is hardly meant.
func TestRowsForOtherUpstreams(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [m], rates: {input: 1}}
  - {models: [m], upstreams: [openai, opnai], rates: {input: 2}}
  - {tools: [web_search], upstreams: [opnai, azure], rates: {call: 2}}
`)
	for _, tt := range []struct{ upstreams, want []string }{
		{[]string{"openai", "azure"}, []string{"a.yaml:5:5: upstreams: there is no upstream opnai, so its prices are never used"}},
		{[]string{"openai", "opnai", "azure", "other"}, nil},
		{[]string{"openai"}, []string{"a.yaml:5:5: upstreams: there is no upstream opnai", "a.yaml:6:5: upstreams: there is no upstream azure"}},
	} {
		got := book.ForOthers(tt.upstreams)
		if !slices.EqualFunc(got, tt.want, strings.HasPrefix) {
			t.Errorf("of %v: %q, want %q", tt.upstreams, got, tt.want)
		}
	}
}
