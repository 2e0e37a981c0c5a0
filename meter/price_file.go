package meter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/shopspring/decimal"
)

// PriceFile is a price table: YAML, or LiteLLM's
// model_prices_and_context_window.json where Data is a JSON object without
// `prices`. Name stands in errors.
type PriceFile struct {
	Name string
	Data []byte
}

// A priceLoad reads price files into rows and gathers every fault on the way.
type priceLoad struct {
	yamlReader
	currency string // of the book
	exchange map[string]string
	zone     *time.Location // of bare dates and of windows without one
	factor   decimal.Decimal
	rows     []*priceRow
	warnings []string
	// attributes are those that requests and answers say.
	attributes []string
}

func (l *priceLoad) warn(place pricePlace, format string, args ...any) {
	l.warnings = append(l.warnings, place.errorf(format, args...).Error())
}

// readYAML reads the rows of one YAML file.
func (l *priceLoad) readYAML(f PriceFile) {
	l.file = f.Name
	root := l.parse(f.Data)
	if root == nil {
		return
	}
	var currency, prices ast.Node
	fields := l.mapping(root, "`currency:` and `prices:`", "currency", "prices")
	if fields == nil {
		return // it is no mapping, and that has been told
	}
	for _, field := range fields {
		if field.name == "currency" {
			currency = field.value
		} else {
			prices = field.value
		}
	}
	if currency == nil {
		l.fail(root, "the file has no `currency:`; want one such as `currency: CNY`")
	} else if code, ok := l.text(currency, "a currency such as CNY"); ok {
		if err := l.useCurrency(code); err != nil {
			l.fail(currency, "%v", err)
		}
	}
	if prices == nil {
		l.fail(root, "the file has no `prices:`; want a list of rows")
		return
	}
	for _, n := range l.list(prices, "rows, each with `models:` or `tools:` and `rates:` or `tiers:`") {
		l.readRow(n)
	}
}

// useCurrency sets the factor by which the amounts of a file are multiplied.
func (l *priceLoad) useCurrency(code string) error {
	l.factor = decimal.NewFromInt(1)
	if code == l.currency {
		return nil
	}
	rate, given := l.exchange[code]
	if !given {
		return fmt.Errorf("the currency is %s, the ledger's is %s, and no exchange rate is given; set pricing.exchange, such as {%s: 7.1}", code, l.currency, code)
	}
	factor, err := parseDecimal(rate)
	if err != nil || factor.IsZero() {
		return fmt.Errorf("exchange rate %q of %s is not a positive decimal number; want one such as 7.1", rate, code)
	}
	l.factor = factor
	return nil
}

var rowKeys = []string{
	"models", "tools", "endpoints", "upstreams", "when", "rates", "tiers",
	"fallback", "multipliers", "from", "until", "windows",
}

func (l *priceLoad) readRow(n ast.Node) {
	before := len(l.errs)
	row := &priceRow{place: l.place(n)}
	given := make(map[string]ast.Node)
	for _, f := range l.mapping(n, "a row with `models:` or `tools:` and `rates:` or `tiers:`", rowKeys...) {
		given[f.name] = f.value
		l.readRowField(row, f)
	}
	if len(l.errs) > before && len(given) == 0 {
		return
	}
	l.checkRow(n, row, given)
	if len(l.errs) == before {
		l.add(row)
	}
}

// add compiles a row that was read without a fault.
func (l *priceLoad) add(row *priceRow) {
	if errs := row.compile(); len(errs) > 0 {
		l.errs = append(l.errs, errs...)
		return
	}
	for _, m := range row.multipliers {
		if contradict(row.when, m.when) {
			l.warn(m.place, "this multiplier can never apply: its `when` contradicts the row's")
		}
	}
	l.rows = append(l.rows, row)
}

func (l *priceLoad) readRowField(row *priceRow, f yamlField) {
	switch f.name {
	case "models":
		row.models = l.texts(f.value, "model names such as [glm-4.6, \"glm-4*\"]")
	case "tools":
		row.tools = l.texts(f.value, "tool names such as [web_search]")
	case "endpoints":
		row.classes = l.readClasses(f.value)
	case "upstreams":
		row.upstreams = l.texts(f.value, "names of upstreams such as [bigmodel]")
	case "when":
		row.when = l.readWhen(f.value)
	case "rates":
		tier := priceTier{place: l.place(f.value), input: anySize, output: anySize}
		l.readRates(f.value, &tier)
		row.tiers = append(row.tiers, tier)
	case "tiers":
		for _, n := range l.list(f.value, "tiers such as {input: \"[0,32000)\", rates: {input: 2/1M}}") {
			row.tiers = append(row.tiers, l.readTier(n))
		}
	case "fallback":
		row.fallback = l.readFallback(f.value)
	case "multipliers":
		row.multipliers = l.readMultipliers(f.value)
	case "from":
		row.from = l.readMoment(f.value)
	case "until":
		row.until = l.readMoment(f.value)
	case "windows":
		for _, n := range l.list(f.value, "windows such as {days: [mon], from: \"00:30\", to: \"08:30\"}") {
			row.windows = append(row.windows, l.readWindow(n))
		}
	}
}

// checkRow looks at what the fields of a row must have together.
func (l *priceLoad) checkRow(n ast.Node, row *priceRow, given map[string]ast.Node) {
	has := func(name string) bool { _, ok := given[name]; return ok }
	switch {
	case has("models") && has("tools"):
		l.fail(given["tools"], "a row prices `models:` or `tools:`, not both; make them two rows")
	case !has("models") && !has("tools"):
		l.fail(n, "the row says neither `models:` nor `tools:`; want one of them")
	}
	switch {
	case has("rates") && has("tiers"):
		l.fail(given["tiers"], "a row has `rates:` or `tiers:`, not both")
	case !has("rates") && !has("tiers"):
		l.fail(n, "the row has neither `rates:` nor `tiers:`; want one of them (free is an explicit 0)")
	case has("tools") && has("tiers"):
		l.fail(given["tiers"], "a tool is priced a call, whatever the size of the request; want `rates:`")
	}
	if !row.from.IsZero() && !row.until.IsZero() && !row.from.Before(row.until) {
		l.fail(given["until"], "`until` is not after `from`: the row would never be valid")
	}
}

func (l *priceLoad) readClasses(n ast.Node) (set classSet) {
	for _, v := range l.list(n, "endpoints such as [chat]") {
		name, ok := l.text(v, "an endpoint such as chat")
		bit := classBit(name)
		switch {
		case !ok:
		case bit == 0:
			l.fail(v, "unknown endpoint %q; want one of %s", name, strings.Join(priceClasses[:], ", "))
		default:
			set |= bit
		}
	}
	return set
}

func (l *priceLoad) readWhen(n ast.Node) []priceCondition {
	const want = "attributes such as {size: 1024x1024, batch: true}"
	fields := l.mapping(n, want)
	if len(fields) == 0 {
		l.fail(n, "`when` is empty; want %s, or leave it out", want)
	}
	var when []priceCondition
	for _, f := range fields {
		if v, ok := l.text(f.value, "one plain value, as the request or the answer says it"); ok {
			when = append(when, priceCondition{f.name, v})
		}
		if !slices.Contains(l.attributes, f.name) {
			l.warn(l.place(f.key), "no request and no answer says %q; they say %s", f.name, strings.Join(l.attributes, ", "))
		}
	}
	return when
}

// attributeNames are the attributes that there are: those of requests and their answers, the engine of a
// search or a tool, and batch, for which vendors have prices.
func attributeNames() []string {
	names := []string{"batch", "engine"}
	for _, e := range endpoints {
		for _, p := range e.parameters {
			if p.attribute {
				names = append(names, p.name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// allAttributes are those that there are, and whatever else the rows name.
func (l *priceLoad) allAttributes() []string {
	names := slices.Clone(l.attributes)
	note := func(when []priceCondition) {
		for _, c := range when {
			names = append(names, c.key)
		}
	}
	for _, r := range l.rows {
		note(r.when)
		for _, m := range r.multipliers {
			note(m.when)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (l *priceLoad) readRates(n ast.Node, tier *priceTier) {
	const want = "rates such as {input: 2/1M, output: 8/1M}"
	fields := l.mapping(n, want)
	if len(fields) == 0 {
		l.fail(n, "there are no rates here; want %s", want)
	}
	for _, f := range fields {
		d, err := ParseDimension(f.name)
		if err != nil {
			l.fail(f.key, "%v", err)
			continue
		}
		text, ok := l.text(f.value, "a rate such as 2/1M or 0.06; free is 0")
		if !ok {
			continue
		}
		t, err := parseTariff(text, d)
		if err != nil {
			l.fail(f.value, "%v", err)
			continue
		}
		t = t.times(l.factor)
		if _, err := t.rate(); err != nil {
			exchanged := ""
			if t.String() != text && !l.factor.Equal(decimal.NewFromInt(1)) {
				exchanged = fmt.Sprintf(" (%s at the exchange rate of %s)", text, l.factor)
			}
			l.fail(f.value, "%v%s", err, exchanged)
			continue
		}
		if d.isTime() && !t.timed && !t.amount.IsZero() && t.count == 1 {
			l.warn(l.place(f.value), "%s is counted in milliseconds, so this is %s a millisecond; was %s/1min meant?", d, t, t)
		}
		tier.declared[d] = &t
	}
}

func (l *priceLoad) readTier(n ast.Node) priceTier {
	tier := priceTier{place: l.place(n), input: anySize, output: anySize}
	priced := false
	for _, f := range l.mapping(n, "a tier such as {input: \"[0,32000)\", rates: {input: 2/1M}}", "input", "output", "rates") {
		switch f.name {
		case "input":
			tier.input = l.readSpan(f.value)
		case "output":
			tier.output = l.readSpan(f.value)
		case "rates":
			priced = true
			l.readRates(f.value, &tier)
		}
	}
	if !priced {
		l.fail(n, "the tier has no `rates:`")
	}
	return tier
}

func (l *priceLoad) readSpan(n ast.Node) priceSpan {
	const want = `a half-open range in quotes, such as "[0,32000)" or "[32000,)"`
	text, ok := l.text(n, want)
	if !ok {
		return anySize
	}
	span, ok := parseSpan(text)
	if !ok {
		l.fail(n, "%q is not a range of tokens; want %s", text, want)
	}
	return span
}

func parseSpan(s string) (priceSpan, bool) {
	inner, opened := strings.CutPrefix(s, "[")
	inner, closed := strings.CutSuffix(inner, ")")
	lowText, highText, cut := strings.Cut(inner, ",")
	if !opened || !closed || !cut {
		return anySize, false
	}
	low, err := strconv.ParseInt(strings.TrimSpace(lowText), 10, 64)
	if err != nil || low < 0 || low == noEnd {
		return anySize, false
	}
	if strings.TrimSpace(highText) == "" {
		return priceSpan{low, noEnd}, true
	}
	high, err := strconv.ParseInt(strings.TrimSpace(highText), 10, 64)
	if err != nil || high <= low || high == noEnd {
		return anySize, false
	}
	return priceSpan{low, high}, true
}

func (l *priceLoad) readFallback(n ast.Node) map[Dimension]priceFallback {
	const want = "fallbacks such as {cache_write_1h: cache_write_5m, reasoning: none}"
	fallback := make(map[Dimension]priceFallback)
	for _, f := range l.mapping(n, want) {
		from, err := ParseDimension(f.name)
		if err != nil {
			l.fail(f.key, "%v", err)
			continue
		}
		text, ok := l.text(f.value, "a dimension, or none")
		if !ok {
			continue
		}
		to, err := parseFallback(text)
		switch at := to.at; {
		case err != nil:
			l.fail(f.value, "%v", err)
		case !to.none && (from.IsToken() != at.IsToken() || from.isTime() != at.isTime() || !from.IsToken() && !from.isTime()):
			l.fail(f.value, "%s is not counted as %s is; tokens fall back to tokens, times to times", from, at)
		default:
			fallback[from] = to
		}
	}
	return fallback
}

func (l *priceLoad) readMultipliers(n ast.Node) []priceMultiplier {
	const want = "multipliers such as {when: {batch: true}, by: 0.5}"
	var out []priceMultiplier
	for _, item := range l.list(n, want) {
		m := priceMultiplier{place: l.place(item)}
		given := 0
		for _, f := range l.mapping(item, want, "when", "by") {
			given++
			if f.name == "when" {
				m.when = l.readWhen(f.value)
				continue
			}
			m.place = l.place(f.value)
			text, ok := l.text(f.value, "a decimal number such as 0.5")
			if !ok {
				continue
			}
			by, err := parseDecimal(text)
			if err == nil && by.IsZero() {
				err = fmt.Errorf("a multiplier of 0 would make a price free; give the free case a row of its own with rates of 0")
			}
			if err != nil {
				l.fail(f.value, "%v", err)
			}
			m.by = by
		}
		if given < 2 {
			l.fail(item, "want both `when` and `by`: %s", want)
		}
		out = append(out, m)
	}
	if len(out) > maxMultipliers {
		l.fail(n, "%d multipliers; at most %d can stack on one row", len(out), maxMultipliers)
	}
	return out
}

func (l *priceLoad) readMoment(n ast.Node) time.Time {
	text, ok := l.text(n, "a time such as 2026-09-10 or 2026-09-10T00:00:00+08:00")
	if !ok {
		return time.Time{}
	}
	t, _, ok := ReadMoment(text, l.zone)
	if !ok {
		l.fail(n, "%q is not a time; want one such as 2026-09-10 or 2026-09-10T00:00:00+08:00", text)
	}
	return t
}

func (l *priceLoad) readWindow(n ast.Node) priceWindow {
	w := priceWindow{days: everyDay, to: daySeconds, zone: l.zone}
	for _, f := range l.mapping(n, "a window such as {days: [mon], from: \"00:30\", to: \"08:30\"}", "days", "from", "to", "timezone") {
		switch f.name {
		case "days":
			w.days = l.readDays(f.value)
		case "from":
			w.from = l.readClock(f.value)
			if w.from == daySeconds {
				l.fail(f.value, "a window begins before 24:00; want 00:00 of the next day")
			}
		case "to":
			w.to = l.readClock(f.value)
		case "timezone":
			name, ok := l.text(f.value, "a time zone such as Asia/Shanghai")
			if !ok {
				continue
			}
			zone, err := time.LoadLocation(name)
			if err != nil {
				l.fail(f.value, "unknown time zone %q; want one such as Asia/Shanghai", name)
				continue
			}
			w.zone = zone
		}
	}
	return w
}

func (l *priceLoad) readDays(n ast.Node) (days uint8) {
	for _, v := range l.list(n, "days such as [mon, tue]") {
		name, ok := l.text(v, "a day such as mon")
		i := slices.Index(weekdayNames[:], name)
		switch {
		case !ok:
		case i < 0:
			l.fail(v, "unknown day %q; want one of %s", name, strings.Join(weekdayNames[:], ", "))
		default:
			days |= 1 << i
		}
	}
	return days
}

func (l *priceLoad) readClock(n ast.Node) int {
	text, ok := l.text(n, "a time of day such as \"08:30\"")
	if !ok {
		return 0
	}
	seconds, err := parseClock(text)
	if err != nil {
		l.fail(n, "%v", err)
	}
	return seconds
}
