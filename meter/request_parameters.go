package meter

import (
	"bytes"
	"cmp"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Input ceilings of what is not text, in tokens each. They are above what the
// upstreams' documents give for the largest inputs of the usual models; what
// exceeds them all the same is booked as an overrun, not lost.
const (
	// imageTokens is for an image in a chat message; dearImageTokens where the
	// model counts eight tiles of 5,667 tokens, and a base.
	imageTokens     = 6144
	dearImageTokens = 49152
	// editImageTokens is for an image to be edited, at high fidelity.
	editImageTokens = 8192
	// documentTokens is for a file or a video, whatever its size.
	documentTokens = 65536
	// bytesPerAudioToken: audio at 8 kbit/s, the lowest rate met, has more
	// than 64 bytes of base64 a token.
	bytesPerAudioToken = 64
	// audioTokens is for an audio part on top of its bytes, spokenTokens for an
	// earlier answer that is named by its id.
	audioTokens  = 64
	spokenTokens = 16384
	// searchTokens is for the results that a hosted search, or retrieval, adds to the prompt.
	searchTokens = 16384
	// mediumResultTokens and highResultTokens are for one result of BigModel's search,
	// of about 600 and 2,500 characters. It finds usualResults of them, or as many as
	// it is asked for, up to maxResults.
	mediumResultTokens, highResultTokens = 1024, 2560
	usualResults, maxResults             = 10, 50
	// imageOutputTokens is for one image that comes out of a model priced by
	// the token, its partial images included.
	imageOutputTokens = 8192
	// The chat template's share: of the request, of a message, of a tool.
	templateTokens     = 64
	messageTokens      = 8
	toolTemplateTokens = 16
)

// textPayload is the length up to which a payload is counted as text, too: it
// is a plain URL, or not worth the distinction.
const textPayload = 256

func modelParameter() parameter { return modelNamedBy("model") }

// checkModel refuses what is no model's name.
func (r *requestReader) checkModel(param, name string) {
	switch {
	case len(name) > maxModelBytes:
		r.fail(param, "Invalid value for '%s': longer than %d bytes.", param, maxModelBytes)
	case !utf8.ValidString(name):
		r.fail(param, "Invalid value for '%s': it is not UTF-8.", param)
	case strings.ContainsFunc(name, unicode.IsControl):
		r.fail(param, "Invalid value for '%s': it has control characters.", param)
	}
}

// modelNamedBy is the model, by the parameter that names it.
func modelNamedBy(param string) parameter {
	return parameter{name: param, text: func(r *requestReader, name string) {
		r.checkModel(param, name)
		r.request.otherwise = r.options.Model != "" && r.options.Model != name
		r.request.Model = cmp.Or(r.options.Model, name)
	}}
}

// otherModels are what lets an aggregator answer by another model than the one that is
// priced, and that the key may use: OpenRouter's models, LiteLLM's kinds of fallbacks.
var otherModels = []string{"models", "fallbacks", "context_window_fallbacks", "content_policy_fallbacks"}

func otherModelsParameters() []parameter {
	var list []parameter
	for _, name := range otherModels {
		list = append(list, parameter{name: name, value: func(r *requestReader) {
			if r.peek() != 'n' { // null is as good as none
				r.refuseOtherModels(name)
			}
			r.skip()
		}})
	}
	return list
}

func (r *requestReader) refuseOtherModels(name string) {
	r.fail(name, "Unsupported parameter: '%s': another model than the one that is priced could answer. Name one in 'model'.", name)
}

// unmeteredParameter refuses what cannot be metered.
func unmeteredParameter(name, why string) parameter {
	return parameter{name: name, value: func(r *requestReader) {
		if r.peek() != 'n' { // null is as good as none
			r.fail(name, "Unsupported parameter: '%s': %s.", name, why)
		}
		r.skip()
	}}
}

func streamParameter() parameter {
	return parameter{name: "stream", boolean: func(r *requestReader, on bool) { r.request.Stream = on }}
}

func choicesParameter() parameter {
	return parameter{name: "n", integer: func(r *requestReader, n int64) {
		if r.between("n", n, 1, maxChoices) {
			r.request.Choices = n
		}
	}}
}

func bestOfParameter() parameter {
	return parameter{name: "best_of", integer: func(r *requestReader, n int64) {
		if r.between("best_of", n, 1, maxChoices) {
			r.bestOf = n
		}
	}}
}

// limitParameter is a limit of the output. Where two are given the larger
// counts, since upstreams differ in which they follow. 0 is no limit: it
// means one to some upstreams and the opposite to others.
func limitParameter(name string) parameter {
	return parameter{name: name, integer: func(r *requestReader, n int64) {
		if r.between(name, n, 0, maxOutput) && n > 0 {
			r.maxTokens = max(r.maxTokens, n)
			r.everyoneLimits = r.everyoneLimits || name != "max_completion_tokens"
		}
	}}
}

// maxAttribute bounds what is kept of an attribute, in the journal too: no upstream knows a longer one.
const maxAttribute = 100

func bounded(value string) string { return value[:min(len(value), maxAttribute)] }

// attributeParameter is noted for the price rows, unless it leaves the choice
// to the upstream, whose answer then says what it chose.
func attributeParameter(name string) parameter {
	return parameter{name: name, attribute: true, text: func(r *requestReader, value string) {
		if value != "" && (name != serviceTier || value != undecided) {
			r.request.setAttribute(name, bounded(value))
		}
	}}
}

func promptTextParameter() parameter {
	return parameter{name: "prompt", text: func(r *requestReader, text string) { r.request.prompt = text }}
}

// promptsParameter counts the prompts of a completion: each of them gets its
// own choices. A list of numbers is one prompt, given as token ids.
func promptsParameter() parameter {
	return parameter{name: "prompt", value: func(r *requestReader) {
		prompts := int64(0)
		r.elements(func() {
			if b := r.peek(); b == '"' || b == '[' {
				prompts++
			}
			r.skip()
		})
		r.prompts = max(prompts, 1)
	}}
}

// echoParameter learns whether the answer repeats the prompt, which is no output.
func echoParameter() parameter {
	return parameter{name: "echo", value: func(r *requestReader) {
		r.request.echoes = r.peek() == 't'
		r.skip()
	}}
}

// streamOptionsParameter learns whether the client wants the usage chunk, and
// where the bytes must be patched to get it.
func streamOptionsParameter() parameter {
	return parameter{name: "stream_options", value: func(r *requestReader) {
		ask := &r.request.ask
		switch first := r.peek(); first {
		case 'n':
			*ask = edit{start: r.pos, text: `{"include_usage":true}`}
			r.skip()
			ask.end = r.pos
		case '{':
			*ask = edit{start: r.pos + 1, end: r.pos + 1, text: `"include_usage":true,`}
			r.streamOptions()
		default:
			r.wrongType("stream_options", "an object", first)
		}
	}}
}

func (r *requestReader) streamOptions() {
	const name = "include_usage"
	ask, members := &r.request.ask, 0
	var seen uint64
	for r.open('{'); r.more('}'); members++ {
		key := r.key()
		if string(key) != name {
			r.refuseOddCase(key, "", name)
			r.skip()
			continue
		}
		r.once(&seen, 0, "stream_options.include_usage")
		first := r.peek()
		start := r.pos
		if r.skip(); first != 't' && first != 'f' && first != 'n' {
			r.wrongType("stream_options.include_usage", "a boolean", first)
		}
		r.request.AskedUsage = first == 't'
		*ask = edit{start: start, end: r.pos, text: "true"}
	}
	if members == 0 {
		ask.text = strings.TrimSuffix(ask.text, ",")
	}
}

// messagesParameter counts messages and finds what in them is not text.
func messagesParameter() parameter {
	return parameter{name: "messages", value: func(r *requestReader) {
		r.elements(func() {
			r.request.messages++
			r.message()
		})
	}}
}

func (r *requestReader) message() {
	if r.peek() != '{' {
		r.skip()
		return
	}
	for r.open('{'); r.more('}'); {
		switch key, first := r.key(), r.peek(); {
		case string(key) == "content" && first == '[':
			r.elements(r.part)
		case string(key) == "audio" && first == '{':
			r.skip()
			r.attach(InputAudio, spokenTokens)
		default:
			r.refuseOddCase(key, "messages.", "content", "audio")
			r.skip()
		}
	}
}

// part reads one part of a message's content.
func (r *requestReader) part() {
	if r.peek() != '{' {
		r.skip()
		return
	}
	for r.open('{'); r.more('}'); {
		switch key := r.key(); string(key) {
		case "image_url":
			r.payload()
			r.attach(InputImage, imageTokens)
			r.images++
		case "input_audio":
			r.attach(InputAudio, r.audioCeiling())
		case "video_url":
			r.payload()
			r.attach(InputVideo, documentTokens)
		case "file", "file_url":
			// Its pages may go to the model as images or as text.
			r.payload()
			r.attach(InputImage, documentTokens)
		default:
			r.refuseOddCase(key, "messages.content.", "image_url", "input_audio", "video_url", "file", "file_url")
			r.skip()
		}
	}
}

// audioCeiling is for the audio in the next value: by its bytes, or for any
// length if it is somewhere else.
func (r *requestReader) audioCeiling() int64 {
	hidden, elsewhere := r.payload()
	tokens := hidden/bytesPerAudioToken + audioTokens
	if elsewhere || hidden == 0 {
		return max(tokens, documentTokens)
	}
	return tokens
}

// attach counts one payload that is not text.
func (r *requestReader) attach(d Dimension, tokens int64) {
	r.request.attachments++
	r.request.Ceiling[d] += tokens
}

// attachTogether counts one of the payloads that have one ceiling together, of so many tokens.
func (r *requestReader) attachTogether(d Dimension, tokens int64) {
	if r.hasDocument {
		tokens = 0
	}
	r.hasDocument = true
	r.attach(d, tokens)
}

// payload passes over a value and hides its long strings from the count of
// text: data URLs and base64. It returns the bytes hidden, and whether a string
// may name something elsewhere, such as a URL.
func (r *requestReader) payload() (hidden int64, elsewhere bool) {
	inside := func() {
		h, e := r.payload()
		hidden, elsewhere = hidden+h, elsewhere || e
	}
	switch r.peek() {
	case '"':
		raw, _ := r.text()
		if len(raw) > textPayload {
			hidden = int64(len(raw))
			r.hidden += hidden
		}
		return hidden, !isInline(raw)
	case '{':
		for r.open('{'); r.more('}'); {
			r.key()
			inside()
		}
	case '[':
		r.elements(inside)
	default:
		r.skip()
	}
	return hidden, elsewhere
}

// base64Letters are those of either base64, and the backslash before a slash in JSON.
const base64Letters = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\`

// isInline reports whether a string, still escaped, begins as a data URL or as base64 does.
func isInline(raw []byte) bool {
	head := raw[:min(len(raw), 64)]
	return bytes.HasPrefix(head, []byte("data:")) ||
		len(bytes.Trim(head, base64Letters)) == 0 && !bytes.Contains(head, []byte(`\u`))
}

// inputImagesParameter counts the images to be edited: a string each (data
// URL, URL or file id), an object with one, or a list of these.
func inputImagesParameter(name string) parameter {
	return parameter{name: name, value: func(r *requestReader) {
		if r.peek() != '[' {
			r.payload()
			r.attach(InputImage, editImageTokens)
			return
		}
		for r.open('['); r.more(']'); {
			r.payload()
			r.attach(InputImage, editImageTokens)
		}
	}}
}

// modalitiesParameter learns whether the answer may be spoken, then any of its
// tokens may be audio, and whether it may have images.
func modalitiesParameter() parameter {
	return parameter{name: "modalities", value: func(r *requestReader) {
		r.elements(func() {
			switch r.word() {
			case "audio":
				r.spoken = true
			case "image":
				r.drawn = true
			}
		})
	}}
}

// webSearchOptionsParameter turns on the search of OpenAI's search models.
func webSearchOptionsParameter() parameter {
	return parameter{name: "web_search_options", value: func(r *requestReader) {
		if r.peek() != 'n' {
			r.request.citesSearch = true
			r.addSearch("")
		}
		r.skip()
	}}
}

// alwaysSearches tells the models that search for every answer, asked or not.
func alwaysSearches(model string) bool {
	return strings.HasPrefix(model, "gpt-") && (strings.Contains(model, "-search-preview") || strings.Contains(model, "-search-api"))
}

// addSearch notes that a hosted search may be called, once.
func (r *requestReader) addSearch(engine string) {
	if len(r.request.Tools) > 0 {
		r.fail("tools", "Invalid value for 'tools': at most one web search can be used in a request.")
		return
	}
	r.request.addSearch(engine)
}

func (r *Request) addSearch(engine string) {
	use := ToolUse{Tool: webSearch, Dimension: Search, Count: 1}
	if engine != "" {
		use.Attributes = Attributes{"engine": bounded(engine)}
	}
	r.addTool(use)
	r.Ceiling[Input] += searchTokens
}

// addTool notes what a hosted tool may be called for. One that is declared twice is one with
// both counts: a quote has a line for each, and so many lines as are declared cannot be booked.
func (r *Request) addTool(use ToolUse) {
	for i := range r.Tools {
		if other := &r.Tools[i]; other.Tool == use.Tool && other.Dimension == use.Dimension && maps.Equal(other.Attributes, use.Attributes) {
			other.Count += use.Count
			return
		}
	}
	r.Tools = append(r.Tools, use)
}

// webSearch is the hosted tool's name in the price tables.
const webSearch = "web_search"

// toolsParameter finds the hosted ones among the tools. Functions are free.
func toolsParameter() parameter {
	return parameter{name: "tools", value: func(r *requestReader) {
		r.elements(func() {
			r.tools++
			r.tool()
		})
	}}
}

func (r *requestReader) tool() {
	if r.peek() != '{' {
		r.skip()
		return
	}
	var seen uint64
	kind, search := "", searchTool{found: searchTokens}
	for r.open('{'); r.more('}'); {
		switch key := r.key(); string(key) {
		case "type":
			r.once(&seen, 0, "tools.type")
			kind = r.word()
		case webSearch:
			r.once(&seen, 1, "tools.web_search")
			if r.peek() != '{' {
				r.skip()
				continue
			}
			search = r.searchTool()
		default:
			r.refuseOddCase(key, "", "type", webSearch)
			r.skip()
		}
	}
	if kind == webSearch && search.engine == "" {
		search.engine = defaultEngine
	}
	switch {
	case r.err != nil, search.off:
	case kind == "retrieval":
		r.request.Ceiling[Input] += searchTokens
	case search.engine != "", strings.HasPrefix(kind, webSearch):
		r.addSearch(search.engine)
		r.request.Ceiling[Input] += search.found - searchTokens
		r.request.hidesSearch = search.engine != "" && !search.shown
	}
}

// defaultEngine is what BigModel searches with when the request names none.
const defaultEngine = "search_std"

// searchTool is BigModel's description of a search.
type searchTool struct {
	engine string
	off    bool
	shown  bool  // the answer is to show what it found, which it does not by itself
	found  int64 // how many tokens that can be
}

func (r *requestReader) searchTool() searchTool {
	search := searchTool{engine: defaultEngine}
	results, each := int64(usualResults), int64(mediumResultTokens)
	var seen uint64
	for r.open('{'); r.more('}'); {
		switch key := r.key(); string(key) {
		case "enable":
			r.once(&seen, 0, "tools.web_search.enable")
			search.off = r.peek() == 'f'
			r.skip()
		case "search_engine":
			r.once(&seen, 1, "tools.web_search.search_engine")
			search.engine = cmp.Or(r.word(), search.engine)
		case "search_result":
			r.once(&seen, 2, "tools.web_search.search_result")
			search.shown = strings.EqualFold(strings.Trim(string(r.raw()), `"`), "true") // the vendor's example has it in quotes
		case "count":
			r.once(&seen, 3, "tools.web_search.count")
			if n, ok := parseInteger(r.raw()); ok {
				results = min(max(n, 0), maxResults)
			}
		case "content_size":
			r.once(&seen, 4, "tools.web_search.content_size")
			if r.word() == "high" {
				each = highResultTokens
			}
		default:
			r.refuseOddCase(key, "", "enable", "search_engine", "search_result", "count", "content_size")
			r.skip()
		}
	}
	search.found = max(searchTokens, results*each)
	return search
}
