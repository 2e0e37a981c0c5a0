package mockai

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// usage is what an answer says was used.
type usage struct {
	prompt, completion, total int64
	cached, reasoning         int64 // -1: not to be mentioned
	sentImages                int64 // prompt tokens of pictures, for images
	written, writtenForHour   int64 // prompt tokens that were written to a cache, for messages
	images                    int64
	absent                    bool // the answer has no usage at all
	null, floats              bool
}

// reply is the text of an answer.
type reply struct {
	bytes     int64 // a choice
	chunks    int64 // of a stream, a choice
	finish    string
	formatted string // instead of the sentence
	call      string // the function that is called instead; "": none
	arguments string // it is called with, an object
	images    int64
	search    int64 // web search results; of responses: calls
}

// replyBytes is the length of a reply that nothing limits: 16 tokens.
const replyBytes = 64

// searchTokens is what one web search result, or of responses one search, adds to the prompt.
const searchTokens = 500

// maxDims bounds an embedding vector.
const maxDims = 4096

// tokens is the number of tokens of a text.
func tokens(bytes int) int64 { return (int64(bytes) + 3) / 4 }

// orElse returns n where the directive gave it.
func orElse(n, otherwise int64) int64 {
	if n >= 0 {
		return n
	}
	return otherwise
}

// settle works out reply and usage from the request and its plan.
func (r *request) settle(p *plan) {
	if p.model != "" {
		r.model = p.model
	}
	if p.tier != "" {
		r.tier = p.tier
	}
	switch r.family {
	case familyCount, familyTokenizer, familySearch, familyVideos:
		r.used = usage{prompt: r.promptTokens, absent: true}
	case familyEmbeddings:
		r.used = usage{prompt: r.promptTokens}
		r.dims = r.vectorLength(p)
	case familyImages:
		r.settleImages(p)
	case familyRerank:
		r.used = usage{prompt: r.promptTokens}
	case familyModerations:
		r.used = usage{absent: !r.bigModel}
	case familySpeech:
		r.used = usage{absent: true}
		r.reply = reply{bytes: orElse(p.bytes, speechBytes*int64(utf8.RuneCountInString(r.text)))}
	case familyTranscriptions:
		r.used = usage{absent: r.bigModel, prompt: 10 * r.soundSeconds(), completion: replyBytes / 4}
	case familyMessages:
		r.settleMessage(p)
	case familyGenerate:
		r.settleGenerate(p)
	case familyEmbed:
		r.used = usage{prompt: r.promptTokens, absent: p.prompt < 0}
		r.dims = r.vectorLength(p)
	case familyCountTokens:
		r.used = usage{prompt: r.promptTokens, absent: true}
	default:
		r.settleReply(p)
	}
	r.used.prompt = orElse(p.prompt, r.used.prompt)
	r.used.completion = orElse(p.completion, r.used.completion)
	r.used.cached, r.used.reasoning = p.cached, p.reasoning
	r.used.total = orElse(p.total, r.used.prompt+r.used.completion)
	r.used.null, r.used.floats = p.nullUsage, p.floatUsage
	r.used.absent = r.used.absent || p.noUsage || r.reply.finish == "failed" && p.prompt < 0
}

// functionCall is the function that is called, and with what: as the directive says, or the request demands. BigModel
// lets nobody demand it.
func (r *request) functionCall(p *plan) (name, arguments string) {
	if name = p.toolCall; name == "" && !r.bigModel && p.bytes < 0 {
		name = r.mustCall
	}
	for _, f := range r.functions {
		if f.name != name && name != "*" {
			continue
		}
		if !f.schema.Get("properties").Exists() {
			return f.name, toolArguments
		}
		return f.name, string(appendFitting(nil, f.schema, f.schema, 0))
	}
	return p.toolCall, toolArguments // a choice that names what is no function is of no function
}

func (r *request) settleReply(p *plan) {
	length, finish, formatted := int64(replyBytes), "stop", ""
	call, arguments := r.functionCall(p)
	if p.bytes < 0 && call == "" {
		formatted = inFormat(r.format)
	}
	if formatted != "" {
		length = int64(len(formatted))
	}
	if r.maxTokens >= 0 && r.maxTokens*4 < length {
		length, finish = r.maxTokens*4, "length"
	}
	length = orElse(p.bytes, length)
	if call != "" {
		length, finish = 0, "tool_calls"
		if r.family == familyChat && p.toolCall == "" && r.mustCall != "*" {
			finish = "stop" // so says OpenAI of a call that was demanded by its name
		}
	}
	if p.finish != "" {
		finish = p.finish
	}
	r.reply = reply{bytes: length, chunks: orElse(p.chunks, tokens(int(length))), finish: finish, formatted: formatted, call: call, arguments: arguments}
	if r.bigModel {
		r.reply.search = orElse(p.toolResults, 0)
		if r.webSearch && p.toolResults < 0 {
			r.reply.search = 3
		}
	}
	if r.family == familyResponses {
		r.reply.search = orElse(p.toolResults, flag(r.webSearch))
		if r.maxCalls > 0 {
			r.reply.search = min(r.reply.search, r.maxCalls)
		}
		if r.compacts {
			r.reply.search = 0
		}
	}
	said := tokens(int(length))
	if call != "" {
		said = tokens(len(call) + len(arguments))
	}
	r.used = usage{
		prompt:     r.promptTokens + r.reply.search*searchTokens,
		completion: r.n*said + max(p.reasoning, 0),
	}
}

// imageTokens is the output of one gpt-image picture by quality.
var imageTokens = map[string]int64{"low": 272, "medium": 1056, "high": 4160}

func (r *request) settleImages(p *plan) {
	r.reply = reply{images: orElse(p.images, r.n)}
	r.used = usage{images: r.reply.images}
	if !strings.HasPrefix(r.model, "gpt-image") {
		r.used.absent = p.prompt < 0
		return
	}
	r.base64 = true
	each, ok := imageTokens[r.quality]
	if !ok {
		each = imageTokens["medium"]
	}
	r.used.sentImages = 40 * r.imagesSent
	r.used.prompt = r.promptTokens + r.used.sentImages
	r.used.completion = each*r.reply.images + 100*r.partialImages
}

func (r *request) vectorLength(p *plan) int64 {
	switch {
	case p.dims >= 0:
		return min(p.dims, maxDims)
	case r.dims > 0:
		return r.dims
	case strings.HasPrefix(r.model, "embedding-2"):
		return 1024
	case strings.HasPrefix(r.model, "embedding-3"):
		return 2048
	case strings.HasSuffix(r.model, "-large"):
		return 3072
	}
	return 1536
}

// shown is the usage up to a point of a stream, done of all parts delivered.
func (u usage) shown(done, all int64) usage {
	if all > 0 && done < all {
		u.completion = u.completion * done / all
		u.total = u.prompt + u.completion
	}
	return u
}

// appendChat writes the usage object of chat, completions and embeddings.
func (u *usage) appendChat(dst []byte, bigModel, embeddings bool) []byte {
	if u.null {
		return append(dst, "null"...)
	}
	dst = u.appendCount(append(dst, `{"prompt_tokens":`...), u.prompt)
	if !embeddings || bigModel {
		dst = u.appendCount(append(dst, `,"completion_tokens":`...), u.completion)
	}
	dst = u.appendCount(append(dst, `,"total_tokens":`...), u.total)
	if embeddings {
		return append(dst, '}')
	}
	if u.cached >= 0 || !bigModel {
		dst = u.appendCount(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), max(u.cached, 0))
		if !bigModel {
			dst = append(dst, `,"audio_tokens":0`...)
		}
		dst = append(dst, '}')
	}
	if u.reasoning >= 0 || !bigModel {
		dst = u.appendCount(append(dst, `,"completion_tokens_details":{"reasoning_tokens":`...), max(u.reasoning, 0))
		if !bigModel {
			dst = append(dst, `,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0`...)
		}
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// appendImages writes the usage object of gpt-image models.
func (u *usage) appendImages(dst []byte) []byte {
	if u.null {
		return append(dst, "null"...)
	}
	dst = u.appendCount(append(dst, `{"total_tokens":`...), u.total)
	dst = u.appendCount(append(dst, `,"input_tokens":`...), u.prompt)
	dst = u.appendCount(append(dst, `,"output_tokens":`...), u.completion)
	sent := min(u.sentImages, u.prompt)
	dst = u.appendCount(append(dst, `,"input_tokens_details":{"text_tokens":`...), u.prompt-sent)
	dst = u.appendCount(append(dst, `,"image_tokens":`...), sent)
	return append(dst, "}}"...)
}

func (u *usage) appendCount(dst []byte, n int64) []byte {
	dst = strconv.AppendInt(dst, n, 10)
	if u.floats {
		dst = append(dst, ".0"...)
	}
	return dst
}
