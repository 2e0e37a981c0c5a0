package meter

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// A priceRow is one row of a price table, checked and compiled: all of its
// rates are multiplied out at load, so that no money is computed inexactly
// while serving.
type priceRow struct {
	place       pricePlace
	models      []string // exact names or patterns with *; or else
	tools       []string // hosted tools, likewise
	classes     classSet // endpoints; 0: all
	upstreams   []string // none: all
	when        []priceCondition
	tiers       []priceTier
	fallback    map[Dimension]priceFallback
	multipliers []priceMultiplier
	from, until time.Time // zero: open; until is exclusive
	windows     []priceWindow

	// byToken says that the row prices tokens. A row that does not bills the
	// units that it prices (an image, a call), and leaves tokens unbilled.
	byToken  bool
	variants []priceVariant
}

// priceClasses are the classes of endpoints that a row can name.
var priceClasses = [...]string{
	"chat", "embeddings", "images", "videos", "speech", "transcriptions", "realtime",
	"rerank", "moderations", "tokenizer", "web_search", "agents", "batches",
}

// PriceClasses returns the classes of endpoints that a row can name.
func PriceClasses() []string { return slices.Clone(priceClasses[:]) }

// classSet has bit i for priceClasses[i].
type classSet uint16

func (s classSet) names() []string {
	var names []string
	for i, name := range priceClasses {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// classBit is 0 for a class that no row can name.
func classBit(class string) classSet {
	for i, name := range priceClasses {
		if name == class {
			return 1 << i
		}
	}
	return 0
}

// A priceCondition is one attribute that a row or a multiplier asks for.
type priceCondition struct{ key, value string }

// A priceMultiplier multiplies all rates of a row when its conditions hold.
type priceMultiplier struct {
	place pricePlace
	when  []priceCondition
	by    decimal.Decimal
}

// A priceFallback is what a dimension without a rate is billed at.
type priceFallback struct {
	none bool // not at all: it is unpriced
	at   Dimension
}

// noFallback is how tables write that a dimension is not billed at all.
const noFallback = "none"

func (f priceFallback) String() string {
	if f.none {
		return noFallback
	}
	return f.at.String()
}

func parseFallback(text string) (f priceFallback, err error) {
	if text == noFallback {
		return priceFallback{none: true}, nil
	}
	f.at, err = ParseDimension(text)
	return f, err
}

// A priceSpan is a half-open range of token counts; high is noEnd where it is open.
type priceSpan struct{ low, high int64 }

const noEnd = math.MaxInt64

// anySize is the span of a tier that does not depend on the size.
var anySize = priceSpan{0, noEnd}

func (s priceSpan) contains(n int64) bool { return s.low <= n && n < s.high }

// clip is the greatest count in the span that is not above n.
func (s priceSpan) clip(n int64) int64 { return min(n, s.high-1) }

func (s priceSpan) String() string {
	if s.high == noEnd {
		return fmt.Sprintf("[%d,)", s.low)
	}
	return fmt.Sprintf("[%d,%d)", s.low, s.high)
}

// A priceTier is the rates for requests of a certain size, as declared. A row
// with `rates` has one, without bounds.
type priceTier struct {
	place         pricePlace
	input, output priceSpan
	declared      [numDimensions]*tariff
}

// A priceVariant is a row's tiers with certain of its multipliers applied.
type priceVariant struct {
	mask  uint16 // bit i: multiplier i
	tiers []pricedTier
}

// A pricedTier answers what each dimension costs.
type pricedTier struct {
	input, output priceSpan
	rates         [numDimensions]dimensionRate
	// The dearest rate that a plain input or output token can be billed at.
	dearestInput, dearestOutput familyRate
}

// A dimensionRate is the rate that a dimension is billed at, and whose it is.
type dimensionRate struct {
	Rate
	at     Dimension
	priced bool
}

// A familyRate is the dearest of the rates that the tokens of one side of a
// request can have, whatever parts they turn out to be.
type familyRate struct {
	dimensionRate
	rough int64 // the number of parts whose amounts need rounding
}

// The parts that any token may turn out to be. Modalities are not among them:
// a request shows whether it has any.
var (
	inputParts  = [...]Dimension{Input, CachedInput, CacheWrite5m, CacheWrite1h, ToolInput}
	outputParts = [...]Dimension{Output, Reasoning}
	inputModes  = [...]Dimension{InputImage, InputAudio, InputVideo}
	outputModes = [...]Dimension{OutputAudio, OutputImage}
)

const (
	// serviceTier is the attribute that an answer states anew whatever the request
	// said; defaultTier is the one that upstreams fall back to.
	serviceTier = "service_tier"
	defaultTier = "default"
	// undecided is the value of an attribute that is left to the upstream.
	undecided = "auto"
)

// knowledge is what is known of a call's attributes. Its own (of a hosted tool, or of a
// row that was chosen) go before the answer's, these before the request's. An empty
// value says nothing.
type knowledge struct{ own, answer, request Attributes }

func (k *knowledge) get(key string) string {
	return cmp.Or(k.own[key], k.answer[key], k.request[key])
}

// hold reports whether all conditions are met by what is known.
func (k *knowledge) hold(when []priceCondition) bool {
	for _, c := range when {
		if k.get(c.key) != c.value {
			return false
		}
	}
	return true
}

// mayHold reports whether an answer that meets the conditions of given can meet
// these: an attribute that nothing is known of, or that is left to the upstream
// ("auto"), can turn out as anything, and the service tier as the default.
func (k *knowledge) mayHold(when, given []priceCondition) bool {
	for _, c := range when {
		switch v := k.get(c.key); {
		case v == "", v == undecided, v == c.value, slices.Contains(given, c):
		case c.key == serviceTier && c.value == defaultTier:
		default:
			return false
		}
	}
	return true
}

// mustHold reports whether every answer that meets the conditions of given meets
// these.
func (k *knowledge) mustHold(when, given []priceCondition) bool {
	for _, c := range when {
		v := k.get(c.key)
		if (v != c.value || v == undecided || c.key == serviceTier && v != defaultTier) && !slices.Contains(given, c) {
			return false
		}
	}
	return true
}

// isOpen reports whether the row can price a call of that class and upstream
// at that time.
func (r *priceRow) isOpen(q *PriceQuery) bool {
	return (len(r.upstreams) == 0 || slices.Contains(r.upstreams, q.Upstream)) && r.isOpenToSome(q)
}

// mayBeOpen is isOpen where any upstream may come to serve the call, if q names none.
func (r *priceRow) mayBeOpen(q *PriceQuery) bool {
	if q.Upstream == "" {
		return r.isOpenToSome(q)
	}
	return r.isOpen(q)
}

func (r *priceRow) isOpenToSome(q *PriceQuery) bool {
	return (r.classes == 0 || r.classes&q.class != 0) && r.validAt(q.At)
}

func (r *priceRow) validAt(at time.Time) bool {
	return (r.from.IsZero() || !at.Before(r.from)) && (r.until.IsZero() || at.Before(r.until)) && windowsContain(r.windows, at)
}

// compareRank puts the row that wins first: by more conditions, upstreams,
// endpoints, windows, then the later start. The name decides before all of
// these, see compareMatches.
func (r *priceRow) compareRank(o *priceRow) int {
	if c := len(o.when) - len(r.when); c != 0 {
		return c
	}
	if c := preferTrue(len(r.upstreams) > 0, len(o.upstreams) > 0); c != 0 {
		return c
	}
	if c := preferTrue(r.classes != 0, o.classes != 0); c != 0 {
		return c
	}
	if c := preferTrue(len(r.windows) > 0, len(o.windows) > 0); c != 0 {
		return c
	}
	return o.from.Compare(r.from)
}

func preferTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// names are the models, or for a tool row the tools, that the row prices.
func (r *priceRow) names() []string {
	if len(r.tools) > 0 {
		return r.tools
	}
	return r.models
}

func isPattern(name string) bool { return strings.Contains(name, "*") }

// conditionsText prints conditions as a quote or an error shows them.
func conditionsText(when []priceCondition) string {
	parts := make([]string, len(when))
	for i, c := range when {
		parts[i] = c.key + "=" + c.value
	}
	return strings.Join(parts, ",")
}

// contradict reports whether no request can meet both sets of conditions.
func contradict(a, b []priceCondition) bool {
	for _, x := range a {
		for _, y := range b {
			if x.key == y.key && x.value != y.value {
				return true
			}
		}
	}
	return false
}

// implies reports whether whoever meets all of a and b meets c.
func implies(a, b, c []priceCondition) bool {
	for _, x := range c {
		if !slices.Contains(a, x) && !slices.Contains(b, x) {
			return false
		}
	}
	return true
}
