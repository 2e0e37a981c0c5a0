package meter

import (
	"math"
	"slices"
	"strconv"
)

// Source says where quantities come from.
type Source string

const (
	// FromUpstream quantities are the upstream's own usage.
	FromUpstream Source = "upstream"
	// Derived quantities follow from the answer, such as the number of images that came back.
	Derived Source = "derived"
	// Estimated quantities were counted by us, because the upstream did not say.
	Estimated Source = "estimated"
)

// Usage is what an answer used.
type Usage struct {
	Quantities
	Source Source
	// Model is the model that the answer names, noted beside the requested one.
	Model string
	// Attributes of the answer that choose a price row, such as service_tier.
	Attributes Attributes
	// Anomalies lists what did not add up, for the receipt: "cached_exceeds_input", …
	Anomalies []string
	// ToolCalls counts hosted-tool calls that are billed a call, by tool name
	// and attributes (search engine). They are not in Quantities again.
	ToolCalls []ToolUse
	// inTokens estimates units whose tokens were not reported, such as images, in tokens,
	// for a price by the token; else nil.
	inTokens func() Quantities
	unit     Dimension // of these units
}

// ToolUse is a number of calls of one hosted tool.
type ToolUse struct {
	Tool       string // as in `tools:` rows of the price table: "web_search"
	Dimension  Dimension
	Count      int64
	Attributes Attributes
}

// Anomalies, as receipts name them: what did not add up in the upstream's counts, what it did
// not count, and what of the answer was not seen.
const (
	anomalyCachedExceeds   = "cached_exceeds_input"
	anomalyInputParts      = "parts_exceed_input"
	anomalyReasonExceeds   = "reasoning_exceeds_output"
	anomalyOutputParts     = "parts_exceed_output"
	anomalyTotalMismatch   = "total_mismatch"
	anomalyTotalOnly       = "total_only"
	anomalyNegative        = "negative_usage"
	anomalyAbsurd          = "absurd_usage"
	anomalyInputMissing    = "input_missing"
	anomalyErrorWithoutUse = "error_in_answer"
	anomalySearchNotShown  = "search_not_shown"
	anomalyNoAnswerSeen    = "no_answer_seen"
	// AnomalyOutputMissing is that of an output which the upstream did not count: it is estimated.
	AnomalyOutputMissing = "output_missing"
	// AnomalyIncomplete is that of an answer which broke off.
	AnomalyIncomplete = "answer_incomplete"
	// AnomalyOutOfRange is that of a usage which cannot be charged: what was held for it is.
	AnomalyOutOfRange = "usage_out_of_range"
)

// A usageField is one count of an upstream's usage object, named after its
// place in it. The fields overlap as the upstream's do; quantities takes them
// apart into disjoint dimensions.
type usageField uint8

const (
	usagePrompt usageField = iota
	usageCompletion
	usageTotal
	usageInput // what some call the prompt and the completion
	usageOutput
	usageCached
	usageCacheHit
	usageCacheMiss
	usageCacheWrite
	usagePromptAudio
	usagePromptImage
	usagePromptVideo
	usageReasoning
	usageCompletionAudio
	usageCompletionImage
	usageCompletionText
	usageCalls
	usageMS // told in seconds
	usageCacheWrite5m
	usageCacheWrite1h
	usageSearches
	usageToolInput
	usageCachedAudio
	usageCachedImage
	usageCachedVideo

	numUsageFields = iota
)

// usageDetail is the count of one entry of a list by modality. Each such list has three fields, for audio,
// images and video, in this order; only that of a completion has none for video.
const (
	usageDetail usageField = numUsageFields
	modalities             = 3
)

// maxUsageCount bounds a believable count. A larger one is not usage but a
// fault, and is not taken.
const maxUsageCount = 1 << 40

// usageCounts are counts by field, and which of them were given.
type usageCounts struct {
	value [numUsageFields]int64
	given [numUsageFields]bool
}

func (c *usageCounts) set(f usageField, n int64) { c.value[f], c.given[f] = n, true }

// upstreamUsage collects the usage objects of one answer. Later fields replace
// earlier ones and never add up; a null, or a field that is missing, leaves
// what was known; an object in which nothing is positive is no usage at all.
type upstreamUsage struct {
	merged  usageCounts
	pending usageCounts
	// negative and absurd are set when a count had to be ignored.
	negative, absurd bool
	// detail is the entry of a list by modality that is being read: modality is the place
	// of its kind, -1 of none that is counted apart.
	detail struct {
		modality int8
		count    int64
	}
}

// begin starts a new usage object.
func (u *upstreamUsage) begin() { u.pending = usageCounts{} }

// number takes one count of the object that was begun.
func (u *upstreamUsage) number(f usageField, text []byte) {
	n, ok := parseCount(text)
	if f == usageMS {
		n, ok = parseSeconds(text)
	}
	switch {
	case !ok:
	case n < 0:
		u.negative = true
	case n > maxUsageCount:
		u.absurd = true
	case f == usageDetail:
		u.detail.count = n
	default:
		u.pending.set(f, n)
	}
}

// beginDetails starts a list by modality, whose fields begin with first: a modality that it does not name counts 0.
func (u *upstreamUsage) beginDetails(first usageField) {
	for i := range usageField(modalities) {
		if first+i != usageCompletionText {
			u.pending.set(first+i, 0)
		}
	}
}

// beginDetail starts an entry of it, endDetail adds it to its field.
func (u *upstreamUsage) beginDetail() { u.detail.modality, u.detail.count = -1, 0 }

func (u *upstreamUsage) endDetail(first usageField) {
	if m := u.detail.modality; m >= 0 && first+usageField(m) != usageCompletionText {
		u.pending.value[first+usageField(m)] += u.detail.count
	}
}

// modality is told what an entry is of.
func (u *upstreamUsage) modality(name []byte) {
	switch string(name) {
	case "AUDIO":
		u.detail.modality = 0
	case "IMAGE":
		u.detail.modality = 1
	case "VIDEO":
		u.detail.modality = 2
	}
}

// commit merges the object that was begun, now that it is complete. False: it
// is no usage.
func (u *upstreamUsage) commit() bool {
	positive := false
	for _, n := range u.pending.value {
		positive = positive || n > 0
	}
	if !positive {
		return false
	}
	for f, given := range u.pending.given {
		if given {
			u.merged.set(usageField(f), u.pending.value[f])
		}
	}
	return true
}

// parseCount reads a JSON number that stands for a count: 12, 12.0, 1.2e1.
// A fraction is rounded up, because a part of a token is billed as one.
func parseCount(text []byte) (int64, bool) {
	if n, ok := parseDigits(text); ok {
		return n, true
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, false
	}
	// Beyond any count, and safe to convert.
	return int64(math.Ceil(min(max(x, -1), 2*maxUsageCount))), true
}

// parseSeconds reads a JSON number of seconds, as milliseconds.
func parseSeconds(text []byte) (ms int64, ok bool) {
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil && !math.IsInf(x, 0) || math.IsNaN(x) {
		return 0, false
	}
	return int64(math.Round(min(max(1000*x, -1), 2*maxUsageCount))), true
}

// parseDigits is the fast path of parseCount: digits alone, without allocation.
func parseDigits(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for _, b := range text {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	return n, true
}

// A usageDraft is usage on its way from overlapping counts to disjoint
// quantities.
type usageDraft struct {
	Quantities
	anomalies []string
}

func (d *usageDraft) flag(anomaly string) {
	if !slices.Contains(d.anomalies, anomaly) {
		d.anomalies = append(d.anomalies, anomaly)
	}
}

// cut moves up to n from the dimension whole to the dimension part, and
// flags when the whole has not that much left.
func (d *usageDraft) cut(whole, part Dimension, n int64, anomaly string) {
	if n > d.Quantities[whole] {
		d.flag(anomaly)
		n = d.Quantities[whole]
	}
	d.Quantities[whole] -= n
	d.Quantities[part] += n
}

// wholes finds input and output, of which one may have to be inferred from
// the total. With only a total there are no parts to speak of: false.
func (d *usageDraft) wholes(c *usageCounts) bool {
	in, out, total := c.value[usagePrompt], c.value[usageCompletion], c.value[usageTotal]
	hasIn, hasOut := c.given[usagePrompt], c.given[usageCompletion]
	if in == 0 && out == 0 && c.value[usageInput]+c.value[usageOutput] > 0 {
		in, out = c.value[usageInput], c.value[usageOutput]
		hasIn, hasOut = c.given[usageInput], c.given[usageOutput]
	}
	if !hasIn && (c.given[usageCacheHit] && c.given[usageCacheMiss]) {
		in, hasIn = c.value[usageCacheHit]+c.value[usageCacheMiss], true
	}
	if hasIn && in == 0 && out == 0 { // who writes numbers it does not have as 0
		hasIn, hasOut = false, false
	}
	switch {
	case !hasIn && !hasOut:
		d.Quantities[Unsplit] = total
		d.flag(anomalyTotalOnly)
		return false
	case !hasIn:
		in = max(total-out, 0)
	case !hasOut:
		out = max(total-in, 0)
	}
	switch missing := total - in - out; {
	case !c.given[usageTotal] || missing == 0:
	case missing == c.value[usageReasoning]: // xAI counts it beside the completion
		out = total - in
	default:
		d.flag(anomalyTotalMismatch)
	}
	d.Quantities[Input], d.Quantities[Output] = in, out
	return true
}

// inputParts takes the parts of the input out of it: the cached ones first, since the
// upstream is surest of these. Images, audio and video may have been cached, too, and are
// then counted in both: only what is left of the input can be taken out for them, and
// nothing is wrong as long as they fit into the whole.
func (d *usageDraft) inputParts(c *usageCounts) {
	whole := d.Quantities[Input]
	cached := c.value[usageCached]
	if !c.given[usageCached] {
		cached = c.value[usageCacheHit]
	}
	d.cut(Input, CachedInput, cached, anomalyCachedExceeds)
	d.cut(Input, CacheWrite5m, c.value[usageCacheWrite], anomalyInputParts)
	audio, image, video := c.value[usagePromptAudio], c.value[usagePromptImage], c.value[usagePromptVideo]
	if audio+image+video > whole {
		d.flag(anomalyInputParts)
	}
	d.cut(Input, InputAudio, min(audio, d.Quantities[Input]), anomalyInputParts)
	d.cut(Input, InputImage, min(image, d.Quantities[Input]), anomalyInputParts)
	d.cut(Input, InputVideo, min(video, d.Quantities[Input]), anomalyInputParts)
}

// tokenQuantities reads the usage of the chat family. Rejected predictions
// stay in the output: they are billed like it.
func tokenQuantities(c *usageCounts) (d usageDraft) {
	if !d.wholes(c) {
		return d
	}
	d.inputParts(c)
	d.cut(Output, Reasoning, c.value[usageReasoning], anomalyReasonExceeds)
	d.cut(Output, OutputAudio, c.value[usageCompletionAudio], anomalyOutputParts)
	d.cut(Output, OutputImage, c.value[usageCompletionImage], anomalyOutputParts)
	return d
}

// embeddingQuantities reads the usage of embeddings, which have no output: a
// total alone is all input, and whatever is said of an output is not billed.
func embeddingQuantities(c *usageCounts) (d usageDraft) {
	if !d.wholes(c) {
		d.Quantities, d.anomalies = Quantities{Input: d.Quantities[Unsplit]}, nil
		return d
	}
	d.inputParts(c)
	d.Quantities[Output] = 0
	return d
}

// imageQuantities reads the usage of token-priced image models. Unless the
// upstream splits it, all of the output is image.
func imageQuantities(c *usageCounts) (d usageDraft) {
	if !d.wholes(c) {
		return d
	}
	d.inputParts(c)
	image := d.Quantities[Output]
	switch {
	case c.given[usageCompletionImage]:
		image = c.value[usageCompletionImage]
	case c.given[usageCompletionText]:
		image -= min(image, c.value[usageCompletionText])
	}
	d.cut(Output, OutputImage, image, anomalyOutputParts)
	return d
}

// noQuantities is for answers that tell no usage.
func noQuantities(*usageCounts) usageDraft { return usageDraft{} }

// UsageView returns usage as the client's provider counts it, for headers:
// the input with its cached part included, that part, the output with its
// reasoning, and the total, in tokens. Where there are none the total is in the
// units that were used, such as images. The call that brought them is not one
// more of these: no provider counts it.
func UsageView(q *Quantities) (input, cached, output, total int64) {
	if total = q.Tokens(); total == 0 {
		for _, n := range q {
			total += n
		}
		if total > q[Call] {
			total -= q[Call]
		}
	}
	return q.TotalInput(), q[CachedInput], q.TotalOutput(), total
}
