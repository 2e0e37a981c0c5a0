package meter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

// LiteLLM's model_prices_and_context_window.json is one object: model name to
// an object of facts, among them costs in USD for one unit, as JSON numbers.
// Their digits are read as decimals, never as floats. A model whose costs are
// not exact to 1e-12 is left out with a warning, and so stays unpriced; so is
// one whose costs are all 0, which there means "not known" as often as "free".

// litellmDimensions maps the costs that mean the same whatever the model is for.
var litellmDimensions = map[string]litellmCost{
	"input_cost_per_token":                      {Input, perToken},
	"cache_read_input_token_cost":               {CachedInput, perToken},
	"cache_creation_input_token_cost":           {CacheWrite5m, perToken},
	"cache_creation_input_token_cost_above_1hr": {CacheWrite1h, perToken},
	"input_cost_per_image_token":                {InputImage, perToken},
	"input_cost_per_audio_token":                {InputAudio, perToken},
	"input_cost_per_video_token":                {InputVideo, perToken},
	"output_cost_per_token":                     {Output, perToken},
	"output_cost_per_reasoning_token":           {Reasoning, perToken},
	"output_cost_per_audio_token":               {OutputAudio, perToken},
	"output_cost_per_image_token":               {OutputImage, perToken},
	"input_cost_per_request":                    {Call, perOne},
	"ocr_cost_per_page":                         {Page, perOne},
	"search_context_size_low":                   {Search, perOne},
	"search_context_size_medium":                {Search, perOne},
	"search_context_size_high":                  {Search, perOne},
}

// litellmModes maps a model's mode to our class, and the costs that mean
// something only for models of that mode.
var litellmModes = map[string]litellmMode{
	"chat":                {"chat", nil},
	"completion":          {"chat", nil},
	"responses":           {"chat", nil},
	"embedding":           {"embeddings", nil},
	"image_generation":    {"images", litellmImages},
	"image_edit":          {"images", litellmImages},
	"audio_transcription": {"transcriptions", litellmAudio},
	"audio_speech":        {"speech", map[string]litellmCost{"input_cost_per_character": {Character, perToken}}},
	"video_generation":    {"videos", litellmVideos},
	"rerank":              {"rerank", map[string]litellmCost{"input_cost_per_query": {Search, perOne}}},
	"moderation":          {"moderations", nil},
	"realtime":            {"realtime", nil},
}

var (
	litellmImages = map[string]litellmCost{"input_cost_per_image": {Image, perOne}, "output_cost_per_image": {Image, perOne}, "input_cost_per_pixel": {Image, perPixel}}
	litellmAudio  = map[string]litellmCost{"input_cost_per_second": {AudioMS, perSecond}, "output_cost_per_second": {AudioMS, perSecond}}
	litellmVideos = map[string]litellmCost{"output_cost_per_second": {VideoMS, perSecond}, "output_cost_per_video_per_second": {VideoMS, perSecond}}
)

type litellmMode struct {
	class string
	costs map[string]litellmCost
}

type litellmCost struct {
	dimension Dimension
	unit      litellmUnit
}

type litellmUnit uint8

const (
	perOne litellmUnit = iota
	perToken
	perSecond
	perPixel
)

// litellmVariants are endings of a cost's name, and the attribute that they mean.
var litellmVariants = []struct {
	suffix string
	when   priceCondition
}{
	{"_batches", priceCondition{"batch", "true"}},
	{"_flex", priceCondition{serviceTier, "flex"}},
	{"_balanced", priceCondition{serviceTier, "balanced"}},
	{"_priority", priceCondition{serviceTier, "priority"}},
	{"_fast", priceCondition{serviceTier, "fast"}},
	{"_ultrafast", priceCondition{serviceTier, "ultrafast"}},
}

var litellmAbove = regexp.MustCompile(`^(.+)_above_(\d{1,6})k_tokens$`)

// litellmSize is the segment of a name such as "hd/1024-x-1792/dall-e-3".
var (
	litellmSize      = regexp.MustCompile(`^(\d{1,5})-x-(\d{1,5})$`)
	litellmQualities = []string{"standard", "hd", "low", "medium", "high"}
)

// A litellmModel is one entry on its way to becoming rows.
type litellmModel struct {
	place  pricePlace
	name   string
	mode   string
	when   []priceCondition
	pixels int64
	// costs by variant (nil: the usual), lowest input that they hold from, and dimension.
	costs map[litellmKey]tariff
}

type litellmKey struct {
	variant   int // index of litellmVariants, or -1
	above     int64
	dimension Dimension
}

func (l *priceLoad) readLiteLLM(f PriceFile) {
	l.file = f.Name
	if err := l.useCurrency("USD"); err != nil {
		l.errs = append(l.errs, pricePlace{file: f.Name}.errorf("LiteLLM's prices are in USD: %v", err))
		return
	}
	var free []string
	var models []*litellmModel
	byToken := make(map[string]bool)
	for _, e := range litellmEntries(f) {
		m, err := l.litellmModel(e)
		switch {
		case err != nil:
			l.warn(e.place, "model %q is left out: %v", e.name, err)
		case m == nil || !m.has(-1):
		case m.isZero() && m.mode != "moderation":
			free = append(free, e.name)
		default:
			models = append(models, m)
			byToken[m.name] = byToken[m.name] || m.pixels == 0 && m.pricesTokens()
		}
	}
	for _, m := range models {
		// What an image of a size comes to, of a model that is billed by the
		// token, is worked out for new ones: an edit has images to read, too.
		if m.pixels == 0 || !byToken[m.name] {
			l.addLiteLLM(m)
		}
	}
	if len(free) > 0 {
		l.warn(pricePlace{file: f.Name}, "models that cost 0 throughout are left out: %d, %q for one; a model that is free needs a row of its own with rates of 0", len(free), free[0])
	}
}

type litellmEntry struct {
	place pricePlace
	name  string
	raw   json.RawMessage
}

// litellmEntries lists the members of the object, in order, the last of those
// with the same name. The data is known to be one valid JSON object.
func litellmEntries(f PriceFile) (entries []litellmEntry) {
	decoder := json.NewDecoder(bytes.NewReader(f.Data))
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	index, line, counted := make(map[string]int), 1, int64(0)
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return entries
		}
		end := decoder.InputOffset()
		line += bytes.Count(f.Data[counted:end], []byte{'\n'})
		counted = end
		column := int(end) - bytes.LastIndexByte(f.Data[:end], '\n') - 1
		e := litellmEntry{place: pricePlace{f.Name, line, max(column-len(name)-1, 1)}, name: name}
		if decoder.Decode(&e.raw) != nil {
			return entries
		}
		if i, again := index[name]; again {
			entries[i] = e
			continue
		}
		index[name] = len(entries)
		entries = append(entries, e)
	}
	return entries
}

// litellmModel reads an entry; nil if it is none, an error if it cannot be priced.
func (l *priceLoad) litellmModel(e litellmEntry) (*litellmModel, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(e.raw, &fields); err != nil || e.name == "sample_spec" {
		return nil, nil //nolint:nilerr // an entry that is no object is none of a model
	}
	m := &litellmModel{place: e.place, costs: make(map[litellmKey]tariff)}
	_ = json.Unmarshal(fields["mode"], &m.mode) // not a string: no mode
	m.splitName(e.name)
	if fields["input_cost_per_image"] != nil || fields["output_cost_per_image"] != nil {
		delete(fields, "input_cost_per_pixel") // an approximation of the same
	}
	var searches map[string]json.RawMessage
	_ = json.Unmarshal(fields["search_context_cost_per_query"], &searches) // not an object: none
	maps.Copy(fields, searches)
	if err := l.litellmCosts(m, fields, 0); err != nil {
		return nil, err
	}
	if err := l.litellmTiers(m, fields["tiered_pricing"]); err != nil {
		return nil, fmt.Errorf("tiered_pricing: %w", err)
	}
	m.settleImages()
	return m, nil
}

// litellmTiers reads prices by the size of the request: a list of objects with
// costs, and the input tokens from which they hold, the lower bound itself not
// among them.
func (l *priceLoad) litellmTiers(m *litellmModel, raw json.RawMessage) error {
	if raw == nil || litellmModes[m.mode].class == "" {
		return nil
	}
	var tiers []map[string]json.RawMessage
	if err := json.Unmarshal(raw, &tiers); err != nil {
		return errors.New("want a list of objects")
	}
	for _, tier := range tiers {
		var bounds []json.RawMessage
		if err := json.Unmarshal(tier["range"], &bounds); err != nil || len(bounds) == 0 {
			return errors.New("want a range in each, such as [0, 256000]")
		}
		low, ok, err := parseJSONDecimal(bounds[0])
		if err != nil || !ok || !low.IsInteger() || low.GreaterThan(decimal.New(maxQuantity, 0)) {
			return fmt.Errorf("%.40s is not a number of tokens", bounds[0])
		}
		above := low.IntPart()
		if above > 0 {
			above++
		}
		if err := l.litellmCosts(m, tier, above); err != nil {
			return err
		}
	}
	return nil
}

// settleImages makes the costs of an image model one price: by the token
// where its output has such a cost, which then is that of all output, whether
// the upstream tells images apart or not; else by the image.
func (m *litellmModel) settleImages() {
	if litellmModes[m.mode].class != "images" {
		return
	}
	if !m.pricesTokens() {
		return
	}
	maps.DeleteFunc(m.costs, func(key litellmKey, _ tariff) bool { return key.dimension == Image })
	whole := litellmKey{-1, 0, Output}
	if _, told := m.costs[whole]; !told {
		if images, told := m.costs[litellmKey{-1, 0, OutputImage}]; told {
			m.costs[whole] = images
		}
	}
}

// pricesTokens reports a cost of output tokens.
func (m *litellmModel) pricesTokens() bool {
	for key, t := range m.costs {
		if key.dimension.IsOutput() && !t.amount.IsZero() {
			return true
		}
	}
	return false
}

// splitName takes size and quality out of a name such as "hd/1024-x-1792/dall-e-3".
func (m *litellmModel) splitName(name string) {
	m.name = name
	segments := strings.Split(name, "/")
	for i, segment := range segments {
		size := litellmSize.FindStringSubmatch(segment)
		if size == nil || i == len(segments)-1 || strings.HasSuffix(segments[i+1], "-steps") {
			continue
		}
		width, _ := strconv.ParseInt(size[1], 10, 64)
		height, _ := strconv.ParseInt(size[2], 10, 64)
		m.pixels = width * height
		m.when = append(m.when, priceCondition{"size", size[1] + "x" + size[2]})
		rest := slices.Clone(segments[i+1:])
		if i > 0 && slices.Contains(litellmQualities, segments[i-1]) {
			m.when = append(m.when, priceCondition{"quality", segments[i-1]})
			i--
		}
		m.name = strings.Join(append(slices.Clone(segments[:i]), rest...), "/")
		return
	}
}

// litellmCosts notes the costs among fields, which hold from so many tokens of
// input on.
func (l *priceLoad) litellmCosts(m *litellmModel, fields map[string]json.RawMessage, above int64) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := l.litellmCost(m, name, fields[name], above); err != nil {
			return err
		}
	}
	return nil
}

// litellmCost notes one field if it is a cost that we know. Of two costs for
// one dimension the dearer stays.
func (l *priceLoad) litellmCost(m *litellmModel, name string, raw json.RawMessage, above int64) error {
	key := litellmKey{variant: -1, above: above}
	for i, v := range litellmVariants {
		if head, found := strings.CutSuffix(name, v.suffix); found {
			name, key.variant = head, i
		}
	}
	if parts := litellmAbove.FindStringSubmatch(name); parts != nil {
		thousands, _ := strconv.ParseInt(parts[2], 10, 64)
		name, key.above = parts[1], thousands*1000+1
	}
	cost, known := litellmDimensions[name]
	if !known {
		if cost, known = litellmModes[m.mode].costs[name]; !known {
			return nil
		}
	}
	amount, ok, err := parseJSONDecimal(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !ok {
		return nil
	}
	t, ok := cost.unit.tariff(amount.Mul(l.factor), m.pixels)
	if !ok {
		return nil
	}
	if _, err := t.rate(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	key.dimension = cost.dimension
	if other, given := m.costs[key]; !given || other.amount.LessThan(t.amount) {
		m.costs[key] = t
	}
	return nil
}

func (u litellmUnit) tariff(amount decimal.Decimal, pixels int64) (tariff, bool) {
	switch u {
	case perToken:
		return tariff{amount: amount.Shift(6), count: 1_000_000}, true
	case perSecond:
		return tariff{amount: amount, count: 1000, timed: true}, true
	case perPixel:
		return tariff{amount: amount.Mul(decimal.NewFromInt(pixels)), count: 1}, pixels > 0
	}
	return tariff{amount: amount, count: 1}, true
}

// parseJSONDecimal reads the digits of a JSON number; ok is false for what is
// no number.
func parseJSONDecimal(raw json.RawMessage) (d decimal.Decimal, ok bool, err error) {
	text := string(bytes.TrimSpace(raw))
	if text == "" || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return d, false, nil
	}
	if _, exponent, found := strings.Cut(strings.ToLower(text), "e"); len(text) > maxAmountText || found && len(exponent) > 3 {
		return d, false, fmt.Errorf("%.40s is not a sensible cost", text)
	}
	if d, err = decimal.NewFromString(text); err != nil {
		return d, false, err
	}
	if d.IsNegative() {
		return d, false, fmt.Errorf("%s is negative", text)
	}
	return d, true, nil
}

func (m *litellmModel) isZero() bool {
	for _, t := range m.costs {
		if !t.amount.IsZero() {
			return false
		}
	}
	return true
}

// addLiteLLM adds the model's usual row and one for each variant that it has.
func (l *priceLoad) addLiteLLM(m *litellmModel) {
	var variants []int
	for i := range litellmVariants {
		if m.has(i) {
			variants = append(variants, i)
		}
	}
	rows := []*priceRow{m.row(-1, nil)}
	for _, v := range variants {
		when := litellmVariants[v].when
		rows = append(rows, m.row(v, []priceCondition{when}))
		if when.key == serviceTier && m.has(0) {
			// A batch has its own price, whatever tier serves it.
			rows = append(rows, m.row(0, []priceCondition{litellmVariants[0].when, when}))
		}
	}
	for _, row := range rows {
		if errs := row.compile(); len(errs) > 0 {
			why := strings.TrimPrefix(errs[0].Error(), m.place.String()+": ") // the warning says where
			l.warn(m.place, "model %q is left out: %s", m.name, why)
			return
		}
	}
	l.rows = append(l.rows, rows...)
}

func (m *litellmModel) has(variant int) bool {
	for key := range m.costs {
		if key.variant == variant {
			return true
		}
	}
	return false
}

func (m *litellmModel) row(variant int, when []priceCondition) *priceRow {
	row := &priceRow{
		place: m.place, models: []string{m.name}, classes: classBit(litellmModes[m.mode].class),
		when: slices.Concat(m.when, when),
	}
	bounds := []int64{0}
	for key := range m.costs {
		bounds = append(bounds, key.above)
	}
	slices.Sort(bounds)
	bounds = append(slices.Compact(bounds), noEnd)
	for i, low := range bounds[:len(bounds)-1] {
		tier := priceTier{place: m.place, input: priceSpan{low, bounds[i+1]}, output: anySize}
		for d := range Dimension(numDimensions) {
			tier.declared[d] = m.cost(variant, low, d)
		}
		row.tiers = append(row.tiers, tier)
	}
	return row
}

// cost is what a dimension costs for requests with at least that many input
// tokens. What a variant does not say for that size is the dearer of what it
// says for smaller ones and of what is usual, so that it is never too little.
func (m *litellmModel) cost(variant int, low int64, d Dimension) (dearest *tariff) {
	for _, v := range []int{variant, -1} {
		var best *tariff
		reached := int64(-1)
		for key, t := range m.costs {
			if key.variant == v && key.dimension == d && key.above <= low && key.above > reached {
				best, reached = &t, key.above
			}
		}
		if best != nil && reached == low && v == variant {
			return best
		}
		if best != nil && (dearest == nil || dearest.amount.LessThan(best.amount)) {
			dearest = best
		}
	}
	return dearest
}
