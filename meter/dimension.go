package meter

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// A Dimension is one kind of usage. Dimensions are disjoint: what is counted
// in CachedInput is not counted in Input again, so quantities add up.
type Dimension uint8

// The dimensions, in the order in which they appear on a bill.
const (
	Input Dimension = iota
	CachedInput
	CacheWrite5m
	CacheWrite1h
	InputImage
	InputAudio
	InputVideo
	ToolInput
	Output
	Reasoning
	OutputAudio
	OutputImage
	Call
	Image
	Video
	Search
	ToolCall
	Page
	Character
	AudioMS
	SessionMS
	VideoMS
	StorageMiBHour
	Unsplit

	numDimensions = iota
)

var dimensionNames = [numDimensions]string{
	"input", "cached_input", "cache_write_5m", "cache_write_1h", "input_image", "input_audio", "input_video", "tool_input",
	"output", "reasoning", "output_audio", "output_image",
	"call", "image", "video", "search", "tool_call", "page", "character",
	"audio_ms", "session_ms", "video_ms", "storage_mib_hour",
	"unsplit",
}

// String returns the dimension's name as it stands in price tables, journals
// and receipts.
func (d Dimension) String() string {
	if int(d) < len(dimensionNames) {
		return dimensionNames[d]
	}
	return fmt.Sprintf("dimension(%d)", uint8(d))
}

// ParseDimension is the inverse of String.
func ParseDimension(name string) (Dimension, error) {
	for d, n := range dimensionNames {
		if n == name {
			return Dimension(d), nil
		}
	}
	return 0, fmt.Errorf("unknown dimension %q; want one of %s", name, strings.Join(dimensionNames[:], ", "))
}

// MarshalText writes the name.
func (d Dimension) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the name.
func (d *Dimension) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDimension(string(text))
	return err
}

// IsInput reports whether d counts tokens that went into the model. Tiers go
// by the sum of all of them.
func (d Dimension) IsInput() bool { return d <= ToolInput }

// IsOutput reports whether d counts tokens that came out of the model.
func (d Dimension) IsOutput() bool { return d >= Output && d <= OutputImage }

// IsToken reports whether d counts tokens.
func (d Dimension) IsToken() bool { return d <= OutputImage || d == Unsplit }

// Unit is what a pack must be counted in to pay for d: "token" for every
// dimension that counts tokens, else the dimension's own name.
func (d Dimension) Unit() string {
	if d.IsToken() {
		return "token"
	}
	return d.String()
}

// Whole returns the dimension at whose rate d is billed when it has none of
// its own: Input for the parts of the input, Output for those of the output.
func (d Dimension) Whole() (Dimension, bool) {
	switch {
	case d != Input && d.IsInput():
		return Input, true
	case d != Output && d.IsOutput():
		return Output, true
	}
	return d, false
}

// Quantities is a vector of usage, one count a dimension.
type Quantities [numDimensions]int64

// NonZero yields the dimensions that have a quantity, in order.
func (q *Quantities) NonZero() iter.Seq2[Dimension, int64] {
	return func(yield func(Dimension, int64) bool) {
		for d, n := range q {
			if n != 0 && !yield(Dimension(d), n) {
				return
			}
		}
	}
}

// IsZero reports whether nothing was used.
func (q *Quantities) IsZero() bool { return *q == Quantities{} }

// TotalInput is the sum of all input tokens.
func (q *Quantities) TotalInput() (n int64) {
	for d := Input; d <= ToolInput; d++ {
		n += q[d]
	}
	return n
}

// TotalOutput is the sum of all output tokens.
func (q *Quantities) TotalOutput() (n int64) {
	for d := Output; d <= OutputImage; d++ {
		n += q[d]
	}
	return n
}

// Tokens is the sum of everything that is counted in tokens: what a token
// pack gives up and what a key's token limits count.
func (q *Quantities) Tokens() int64 { return q.TotalInput() + q.TotalOutput() + q[Unsplit] }

// Map returns the non-zero quantities by dimension name, as journals and
// receipts print them.
func (q *Quantities) Map() map[string]int64 {
	m := make(map[string]int64)
	for d, n := range q.NonZero() {
		m[d.String()] = n
	}
	return m
}

// Attributes are facts of a request or an answer that a price row's `when`
// can name: size, quality, service_tier, engine, batch, …
type Attributes map[string]string

// String lists the attributes, such as "quality=hd, size=1024x1024".
func (a Attributes) String() string {
	texts := make([]string, 0, len(a))
	for _, key := range slices.Sorted(maps.Keys(a)) {
		texts = append(texts, key+"="+a[key])
	}
	return strings.Join(texts, ", ")
}
