package meter

import (
	"cmp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/tiktoken-go/tokenizer"
)

// An estimate stands in where the upstream does not say what was used. It is
// counted with o200k, the public vocabulary that comes closest to those of
// the models sold here: about 1.7 Chinese characters a token, where the
// billing pages say 1.6. It is never used for a normal bill.

const (
	// maxTokenized bounds the text that is given to the tokenizer; what is
	// beyond it is counted by length.
	maxTokenized = 256 << 10
	// tokenizedPiece is how much text the tokenizer gets at once. Its time
	// grows with the square of a word without blanks, and pieces bound that.
	tokenizedPiece = 2 << 10

	// tokensPerMessage and tokensPerReply are what a chat template adds.
	tokensPerMessage = 3
	tokensPerReply   = 3
	// lettersPerThought is how many letters an encrypted token of thoughts has in base64.
	lettersPerThought = 6
	// tokensPerImage is the estimate for an input image of unknown size.
	tokensPerImage = 1024
)

// o200k is loaded when it is first needed: 31 ms and 7 MB that most proxies
// never spend. It is not changed after that.
var o200k = sync.OnceValue(func() tokenizer.Codec {
	codec, err := tokenizer.Get(tokenizer.O200kBase)
	if err != nil {
		return nil // The vocabulary is compiled in; without it lengths decide.
	}
	return codec
})

// countTokens estimates the tokens of text.
func countTokens(text string) int64 {
	codec := o200k()
	var n int64
	for budget := maxTokenized; codec != nil && len(text) > 0 && budget > 0; {
		piece := cutPiece(text, min(tokenizedPiece, budget))
		count, err := codec.Count(piece)
		if err != nil {
			break
		}
		n += int64(count)
		budget -= len(piece)
		text = text[len(piece):]
	}
	return n + tokensByLength(text)
}

// cutPiece returns a beginning of text of at most size bytes, ending before a
// blank if there is one, else between two characters.
func cutPiece(text string, size int) string {
	if len(text) <= size {
		return text
	}
	if blank := strings.LastIndexAny(text[:size], " \n"); blank > 0 {
		return text[:blank]
	}
	end := size
	for end > size-utf8.UTFMax && end > 1 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// tokensByLength estimates by characters: 1.6 a token for scripts written
// without blanks, 4 bytes a token for the rest.
func tokensByLength(text string) int64 {
	var wide, bytes int64
	for _, r := range text {
		if r >= 0x2E80 {
			wide++
		} else {
			bytes += int64(utf8.RuneLen(max(r, 0)))
		}
	}
	return (wide*10+15)/16 + (bytes+3)/4
}

// estimateText estimates the tokens of the text that an answer delivered,
// from its beginning and the length of all of it. What was sent under two names
// was written once.
func (f *answerFacts) estimateText() int64 {
	written := max(f.textBytes, f.again)
	if written == 0 {
		return 0
	}
	n := countTokens(unescape(f.sample))
	written -= min(f.thought, f.thoughtAgain)
	if kept := int64(len(f.sample)); kept != written {
		n = n * written / kept
	}
	return max(n, 1)
}

// estimateInput estimates the input tokens of the request: its text by the
// tokenizer, the template's share, and a flat number for each payload that is
// not text. It is counted once, at least one, and never more than the ceiling.
func (r *Request) estimateInput() int64 {
	if n := r.estimate.Load(); n > 0 {
		return n - 1
	}
	var text textCollector
	if r.prompt != "" {
		text.add(r.prompt)
	} else {
		text.read(r.body)
	}
	n := text.tokens() + tokensPerImage*r.attachments + r.history
	if r.messages > 0 && r.Endpoint.Class != "embeddings" { // Gemini's embeddings come in a chat's form
		n += tokensPerMessage*r.messages + tokensPerReply
	}
	n = min(max(n, 1), r.Ceiling.TotalInput())
	r.estimate.Store(n + 1)
	return n
}

// Unseen is the usage of a call whose answer was not seen: its input, or the images,
// speech or transcript that it asked for, and the search that comes with every answer.
func (r *Request) Unseen() Usage {
	u := Usage{Source: Estimated, Anomalies: []string{anomalyNoAnswerSeen}}
	if d := r.Endpoint.dialect; d.inTokens != nil {
		u.Quantities[d.unit] = r.units
		r.countInUnits(&u)
	} else {
		u.Quantities[Input] = r.estimateInput()
	}
	if r.searches {
		u.ToolCalls = r.Tools
	}
	return u
}

// Output tokens of an image of 1024 pixels square, by its quality. Those of an
// oblong one are half as many more.
const (
	lowImageTokens, mediumImageTokens, highImageTokens = 272, 1056, 4160
)

// countInUnits lets a usage be priced by tokens, though it has units alone.
func (r *Request) countInUnits(u *Usage) {
	d := r.Endpoint.dialect
	if d.inTokens == nil || u.Quantities[d.unit] == 0 || u.TotalOutput() > 0 || u.Quantities[Unsplit] > 0 {
		return
	}
	used, answer := u.Quantities, u.Attributes
	u.inTokens, u.unit = func() Quantities { return d.inTokens(r, used, answer) }, d.unit
}

// imagesInTokens estimates images, and the request for them, in tokens, as far as the
// upstream did not count them. Quality and size are the answer's, else the request's;
// without either the quality is high, which is what upstreams choose.
func (r *Request) imagesInTokens(used Quantities, answer Attributes) Quantities {
	said := func(name string) string { return cmp.Or(answer[name], r.Attributes[name]) }
	each := int64(highImageTokens)
	switch said("quality") {
	case "low":
		each = lowImageTokens
	case "medium":
		each = mediumImageTokens
	}
	if width, height, ok := strings.Cut(said("size"), "x"); ok && width != height {
		each += each / 2
	}
	if used[OutputImage] = each * used[Image]; used.TotalInput() == 0 {
		used[Input] = r.estimateInput()
	}
	return used
}

// A textCollector gathers the text of a request, up to what the tokenizer is
// given; of the rest it only keeps the length.
type textCollector struct {
	text strings.Builder
	// beyond counts bytes that did not fit, ids token ids that were given as such.
	beyond, ids int64
	inSource    bool
}

func (t *textCollector) add(s string) {
	room := maxTokenized - t.text.Len()
	if len(s) > room {
		t.beyond += int64(len(s) - max(room, 0))
		s = s[:max(room, 0)]
	}
	t.text.WriteString(s)
	t.text.WriteByte('\n')
}

func (t *textCollector) tokens() int64 {
	text := t.text.String()
	n := countTokens(text)
	if t.beyond > 0 {
		n += n * t.beyond / int64(max(len(text), 1))
	}
	return n + t.ids
}

// read gathers the text of the members that become the prompt.
func (t *textCollector) read(body []byte) {
	c := cursor{body: body}
	if c.peek() != '{' {
		return
	}
	for c.open('{'); c.more('}'); {
		switch string(c.key()) {
		case "messages", "system", "prompt", "suffix", "input", "instructions", "query", "documents", "texts",
			"contents", "content", "systemInstruction", "system_instruction":
			t.value(&c)
		case "requests":
			t.requests(&c)
		case "tools", "functions", "response_format", "text":
			t.add(string(c.raw()))
		default:
			c.skip()
		}
	}
}

// requests gathers what is to be embedded, of each request in a list of Gemini's; not how.
func (t *textCollector) requests(c *cursor) {
	switch c.peek() {
	case '[':
		for c.open('['); c.more(']'); {
			t.requests(c)
		}
	case '{':
		for c.open('{'); c.more('}'); {
			switch string(c.key()) {
			case "title", "content":
				t.value(c)
			default:
				c.skip()
			}
		}
	default:
		c.skip()
	}
}

// source gathers the text of a source: of a document, or of where a text is from. It skips a payload,
// an address, a file, and what is called a source inside of a source.
func (t *textCollector) source(c *cursor) {
	raw := c.raw()
	switch gjson.GetBytes(raw, "type").String() {
	case "base64", "url", "file":
		return
	}
	if !t.inSource {
		t.inSource = true
		t.value(&cursor{body: raw, depth: c.depth})
		t.inSource = false
	}
}

// value gathers the strings of a value, but for those that are labels or
// payloads.
func (t *textCollector) value(c *cursor) {
	switch first := c.peek(); first {
	case '"':
		raw, _ := c.text()
		t.add(unescape(raw))
	case '[':
		for c.open('['); c.more(']'); {
			t.value(c)
		}
	case '{':
		for c.open('{'); c.more('}'); {
			switch string(c.key()) {
			case "role", "type", "id", "tool_call_id", "image_url", "input_audio", "video_url", "file", "file_url",
				"call_id", "status", "annotations", "file_data", "result", "tool_use_id", "cache_control", "media_type", "signature",
				"inlineData", "inline_data", "fileData", "thoughtSignature", "thought_signature", "model":
				c.skip()
			case "encrypted_content":
				t.ids += int64(len(c.raw())) / lettersPerThought
			case "source":
				t.source(c)
			default:
				t.value(c)
			}
		}
	default:
		c.skip()
		if first == '-' || first >= '0' && first <= '9' {
			t.ids++
		}
	}
}
