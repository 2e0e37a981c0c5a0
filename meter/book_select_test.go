package meter_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/meter"
)

// Each row of the table has its own price for a picture, which tells it.
const ranked = `
currency: CNY
prices:
  - {models: ["*"], rates: {image: 1}}
  - {models: ["glm-*"], rates: {image: 2}}
  - {models: ["glm-4*"], rates: {image: 3}}
  - {models: [glm-4.6], rates: {image: 4}}
  - {models: [glm-4.6], from: 2026-01-01, rates: {image: 5}}
  - {models: [glm-4.6], endpoints: [chat], windows: [{days: [wed]}], rates: {image: 6}}
  - {models: [glm-4.6], endpoints: [chat, images], from: 2026-06-01, rates: {image: 7}}
  - {models: [glm-4.6], upstreams: [b, c], rates: {image: 8}}
  - {models: [glm-4.6], when: {size: s}, rates: {image: 9}}
  - {models: [glm-4.6], when: {size: s, quality: hd}, rates: {image: 10}}
  - {models: ["glm-*.6"], when: {size: s, quality: hd, style: x}, rates: {image: 11}}
`

func TestWhichRow(t *testing.T) {
	book := newBook(t, ranked)
	tests := []struct {
		what  string
		query meter.PriceQuery
		want  string
	}{
		{"any model", meter.PriceQuery{Model: "x"}, "1"},
		{"shorter pattern", meter.PriceQuery{Model: "glm-5"}, "2"},
		{"longer pattern", meter.PriceQuery{Model: "glm-4.5"}, "3"},
		{"exact name, later from", meter.PriceQuery{Model: "glm-4.6", Class: "videos"}, "5"},
		{"before that from", meter.PriceQuery{Model: "glm-4.6", Class: "videos", At: noon.AddDate(-1, 0, 0)}, "4"},
		{"windows go before from", meter.PriceQuery{Model: "glm-4.6", Class: "chat"}, "6"},
		{"outside of the window", meter.PriceQuery{Model: "glm-4.6", Class: "chat", At: noon.AddDate(0, 0, 1)}, "7"},
		{"upstreams go before endpoints", meter.PriceQuery{Model: "glm-4.6", Class: "chat", Upstream: "c"}, "8"},
		{"when goes before upstreams", meter.PriceQuery{Model: "glm-4.6", Class: "chat", Upstream: "c", Attributes: meter.Attributes{"size": "s"}}, "9"},
		{"more of when", meter.PriceQuery{Model: "glm-4.6", Attributes: meter.Attributes{"size": "s", "quality": "hd"}}, "10"},
		{"the name goes before when", meter.PriceQuery{Model: "glm-4.6", Attributes: meter.Attributes{"size": "s", "quality": "hd", "style": "x"}}, "10"},
		{"a pattern's when", meter.PriceQuery{Model: "glm-3.6", Attributes: meter.Attributes{"size": "s", "quality": "hd", "style": "x"}}, "11"},
		{"another value", meter.PriceQuery{Model: "glm-4.6", Class: "videos", Attributes: meter.Attributes{"size": "m"}}, "5"},
	}
	for range 2 { // the second time from memory
		for _, tt := range tests {
			if tt.query.At.IsZero() {
				tt.query.At = noon
			}
			c, err := book.Charge(tt.query, usage(meter.Quantities{meter.Image: 1}))
			wantFee(t, tt.what, c, err, tt.want)
		}
	}
}

// The answer's attributes go before the request's.
func TestAnswerDecides(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [m], rates: {input: 2/1M, output: 2/1M}, multipliers: [{when: {service_tier: flex}, by: 0.5}, {when: {batch: true}, by: 0.25}, {when: {size: huge}, by: 10}]}
  - {models: [m], when: {service_tier: priority}, rates: {input: 5/1M, output: 5/1M}}
`)
	for _, tt := range []struct {
		request, answer meter.Attributes
		want            string
	}{
		{nil, nil, "2"},
		{meter.Attributes{"service_tier": "auto"}, meter.Attributes{"service_tier": "default"}, "2"},
		{meter.Attributes{"service_tier": "flex"}, meter.Attributes{"service_tier": "flex"}, "1"},
		{meter.Attributes{"service_tier": "flex"}, nil, "2"}, // unsaid: nobody gives himself a discount
		{meter.Attributes{"service_tier": "flex"}, meter.Attributes{"size": "wide"}, "2"},
		{meter.Attributes{"service_tier": "flex"}, meter.Attributes{"size": "huge"}, "20"},
		{meter.Attributes{"service_tier": "priority"}, nil, "5"},
		{meter.Attributes{"service_tier": "flex"}, meter.Attributes{"service_tier": "default"}, "2"},
		{meter.Attributes{"service_tier": "auto"}, meter.Attributes{"service_tier": "priority"}, "5"},
		{meter.Attributes{"batch": "true"}, nil, "0.5"},
		{meter.Attributes{"batch": "true"}, meter.Attributes{"service_tier": "flex"}, "0.25"},
	} {
		u := usage(meter.Quantities{meter.Input: 1_000_000})
		u.Attributes = tt.answer
		c, err := book.Charge(meter.PriceQuery{Model: "m", Class: "chat", At: noon, Attributes: tt.request}, u)
		wantFee(t, "answer", c, err, tt.want)
	}
}

// Where every row asks for what nobody says, the dearest is taken, and says so.
func TestUnsaidAttributesAreNotFree(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [m], when: {size: small}, rates: {image: 1}}
  - {models: [m], when: {size: wide}, rates: {image: 6}, multipliers: [{when: {size: wide, quality: low}, by: 0.5}]}
  - {models: [m], when: {size: tall}, rates: {image: 2}}
  - {models: [m], when: {size: tall, quality: high}, rates: {image: 9}}
  - {tools: [lookup], when: {engine: pro}, rates: {tool_call: 6}, multipliers: [{when: {region: far}, by: 2}]}
  - {tools: [lookup], when: {engine: std}, rates: {tool_call: 1}}
  - {models: [free], when: {size: small}, rates: {image: 0}}
`)
	query := meter.PriceQuery{Model: "m", Class: "images", At: noon, Attributes: meter.Attributes{"quality": "low"}}
	quote, err := book.Quote(query, &meter.Quantities{meter.Image: 1}, nil)
	wantFee(t, "quote", quote, err, "3")
	c, err := book.Charge(query, usage(meter.Quantities{meter.Image: 1}))
	wantFee(t, "charge", c, err, "3")
	if c.Lines[0].BilledAs != "image when size=wide" {
		t.Errorf("billed as %q", c.Lines[0].BilledAs)
	}
	c, err = book.Charge(meter.PriceQuery{Model: "free", Class: "images", At: noon}, usage(meter.Quantities{meter.Image: 1}))
	wantFee(t, "free in every size", c, err, "0")
	if c.Lines[0].Unpriced {
		t.Errorf("free in every size: %+v", c.Lines)
	}
	searched := usage(meter.Quantities{})
	searched.ToolCalls = []meter.ToolUse{{Tool: "lookup", Dimension: meter.ToolCall, Count: 1, Attributes: meter.Attributes{"region": "far"}}}
	c, err = book.Charge(query, searched)
	wantFee(t, "a tool", c, err, "12")
	if c.Lines[0].BilledAs != "tool_call when engine=pro" {
		t.Errorf("a tool is billed as %q", c.Lines[0].BilledAs)
	}
	u := usage(meter.Quantities{meter.Image: 1})
	u.Attributes = meter.Attributes{"size": "small"}
	c, err = book.Charge(query, u)
	wantFee(t, "as the answer says", c, err, "1")
	query.Attributes = meter.Attributes{"size": "other"}
	c, err = book.Charge(query, usage(meter.Quantities{meter.Image: 1}))
	wantFee(t, "a size without a row", c, err, "0")
	if !c.Lines[0].Unpriced {
		t.Errorf("a size without a row: %+v", c.Lines)
	}
}

func TestPromotionEndsOnItsDay(t *testing.T) {
	book := bigmodel(t)
	beijing := time.FixedZone("", 8*60*60)
	for at, want := range map[time.Time]string{
		time.Date(2026, time.September, 9, 23, 59, 59, 999_999_999, beijing): "1.4",
		time.Date(2026, time.September, 10, 0, 0, 0, 0, beijing):             "2.8",
	} {
		c, err := book.Charge(meter.PriceQuery{Model: "glm-5.3-flash", Class: "chat", At: at}, usage(meter.Quantities{meter.Output: 1_000_000}))
		wantFee(t, at.String(), c, err, want)
	}
}

// wantFees checks what an image of model m costs at some times.
func wantFees(t *testing.T, book *meter.Book, fees map[string]string) {
	t.Helper()
	for at, want := range fees {
		moment, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		c, err := book.Charge(meter.PriceQuery{Model: "m", Class: "images", At: moment}, usage(meter.Quantities{meter.Image: 1}))
		wantFee(t, at, c, err, want)
	}
}

func TestBareDatesAreOfTheBooksZone(t *testing.T) {
	o := options(`
currency: CNY
prices:
  - {models: [m], rates: {image: 1}}
  - {models: [m], from: 2026-09-10, until: 2026-09-11, rates: {image: 2}}
`)
	var err error
	if o.Timezone, err = time.LoadLocation("Asia/Shanghai"); err != nil {
		t.Fatal(err)
	}
	book, err := meter.NewBook(o)
	if err != nil {
		t.Fatal(err)
	}
	wantFees(t, book, map[string]string{
		"2026-09-09T15:59:59Z": "1", "2026-09-09T16:00:00Z": "2", "2026-09-10T15:59:59Z": "2", "2026-09-10T16:00:00Z": "1",
	})
}

// Where clocks are put forward at midnight, the day begins an hour after the last one's end by the clock.
func TestDaysWithoutAMidnight(t *testing.T) {
	santiago, err := time.LoadLocation("America/Santiago")
	if err != nil {
		t.Fatal(err)
	}
	o := meter.BookOptions{Currency: "CNY", Timezone: santiago, Files: []meter.PriceFile{{Name: "p.yaml", Data: []byte(`currency: CNY
prices:
  - {models: [m], rates: {image: 1}, until: 2026-09-06}
  - {models: [m], rates: {image: 2}, from: 2026-09-06, until: 2026-09-07}
  - {models: [m], rates: {image: 3}, from: 2026-09-07}
`)}}}
	book, err := meter.NewBook(o)
	if err != nil {
		t.Fatal(err)
	}
	wantFees(t, book, map[string]string{
		"2026-09-05T23:59:59-04:00": "1", "2026-09-06T01:00:00-03:00": "2", "2026-09-06T23:59:59-03:00": "2", "2026-09-07T00:00:00-03:00": "3",
	})
	for day, want := range map[int]string{5: "2026-09-05T00:00:00-04:00", 6: "2026-09-06T01:00:00-03:00", 7: "2026-09-07T00:00:00-03:00", 31: "2026-10-01T00:00:00-03:00"} {
		if got := meter.DayStart(2026, time.September, day, santiago).Format(time.RFC3339); got != want {
			t.Errorf("day %d of September begins at %s, want %s", day, got, want)
		}
	}
}

func TestWindows(t *testing.T) {
	book := newBook(t, `
currency: CNY
prices:
  - {models: [m], rates: {image: 1}}
  - models: [m]
    rates: {image: 2}
    windows:
      - {days: [mon], from: "22:00", to: "02:00", timezone: Asia/Shanghai}
      - {days: [sat], timezone: Asia/Shanghai}
      - {from: "12:00", to: "12:30", timezone: Asia/Shanghai}
      - {days: [wed], from: "23:58:30", to: "23:59:59", timezone: Asia/Shanghai}
      - {days: [thu], from: "23:59:30", to: "24:00", timezone: Asia/Shanghai}
`)
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	monday := time.Date(2026, time.November, 2, 0, 0, 0, 0, shanghai)
	for _, tt := range []struct {
		after time.Duration // since Monday, 0:00
		want  string
	}{
		{1 * time.Hour, "1"}, // Sunday has no night window
		{22*time.Hour - time.Second, "1"},
		{22 * time.Hour, "2"},
		{26*time.Hour - time.Second, "2"}, // still Monday's
		{26 * time.Hour, "1"},
		{46 * time.Hour, "1"}, // Tuesday has none
		{36 * time.Hour, "2"},
		{36*time.Hour + 30*time.Second, "2"},
		{36*time.Hour + 15*time.Minute, "2"},
		{36*time.Hour + 30*time.Minute, "1"},
		{37*time.Hour + 45*time.Minute, "1"},
		{3*24*time.Hour - 91*time.Second, "1"},
		{3*24*time.Hour - 90*time.Second, "2"}, // Wednesday's last but one minute, and a half
		{3*24*time.Hour - 2*time.Second, "2"},
		{3*24*time.Hour - time.Second, "1"},
		{4*24*time.Hour - 31*time.Second, "1"},
		{4*24*time.Hour - 30*time.Second, "2"},
		{4*24*time.Hour - time.Second, "2"},
		{4 * 24 * time.Hour, "1"},
		{5*24*time.Hour - time.Second, "1"},
		{5 * 24 * time.Hour, "2"}, // all of Saturday
		{6*24*time.Hour - time.Second, "2"},
		{6 * 24 * time.Hour, "1"},
	} {
		at := monday.Add(tt.after).UTC()
		c, err := book.Charge(meter.PriceQuery{Model: "m", Class: "images", At: at}, usage(meter.Quantities{meter.Image: 1}))
		wantFee(t, at.In(shanghai).String(), c, err, tt.want)
	}
}

func TestExchange(t *testing.T) {
	book := newBook(t, `
currency: USD
prices:
  - {models: [m], rates: {input: 2.5/1M, output: 10/1M}}
`)
	c, err := book.Charge(meter.PriceQuery{Model: "m", Class: "chat", At: noon}, usage(meter.Quantities{meter.Input: 1_000_000}))
	wantFee(t, "exchanged", c, err, "17.75")
	if got := c.Lines[0].Rate.String(); got != "17.75/1M" {
		t.Errorf("the rate prints %s, want 17.75/1M", got)
	}
}

// Names that only a pattern matches are remembered, but clients choose them:
// there may be any number, from many requests at once.
func TestManyNamesAtOnce(t *testing.T) {
	book := newBook(t, ranked)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 1500 {
				model := fmt.Sprintf("glm-4-%d", i/2+worker*500)
				c, err := book.Charge(meter.PriceQuery{Model: model, At: noon}, usage(meter.Quantities{meter.Image: 1}))
				if err != nil || c.Fee != 3*meter.NanoPerUnit {
					t.Errorf("%s: %s, %v", model, c.Fee, err)
					return
				}
			}
		})
	}
	all.Wait()
}
