package meter

import "strings"

// A request's ceiling, the most that it can use, is computed when it has been read (ceiling of its
// row), and raised by what else is known of it: whom it may go to, and what those do.

// inputBytes is the part of every input ceiling that needs no model: the
// bytes that may be text, and the template around them.
func (r *requestReader) inputBytes() int64 {
	return int64(len(r.body)) - r.hidden + templateTokens +
		messageTokens*r.request.messages + toolTemplateTokens*r.tools
}

// outputLimit is the client's limit of an output, or the default.
func (r *requestReader) outputLimit() int64 {
	if r.maxTokens > 0 {
		return r.maxTokens
	}
	return r.options.DefaultMaxOutput
}

// outputWithThoughts is the client's limit of an output, thoughts included, or the budget of these if
// that is more; without a limit the default, and the budget beside it.
func (r *requestReader) outputWithThoughts() int64 {
	if r.maxTokens > 0 {
		return max(r.maxTokens, r.budget)
	}
	return r.options.DefaultMaxOutput + r.budget
}

// maxCeiling is more than any request can be charged for, and far enough from
// the end of an int64 that ceilings can be added up.
const maxCeiling = 1 << 53

// outputCeiling is tokens for each of so many outputs. A body of a gigabyte has
// room for so many prompts that the product would come out negative.
func outputCeiling(tokens, outputs int64) int64 {
	if outputs > 0 && tokens > maxCeiling/outputs {
		return maxCeiling
	}
	return tokens * outputs
}

// rereads holds for the input that is read again after each of so many calls, with
// what was written and found until then.
func (r *requestReader) rereads(calls int64) {
	q := r.request
	q.turns = 1 + calls
	for _, d := range inputModes {
		q.Ceiling[d] *= q.turns
	}
	r.images *= q.turns
	q.Ceiling[Input] += calls*(r.inputBytes()+r.outputLimit()) + searchTokens*calls*(calls+1)/2
}

func chatCeiling(r *requestReader) {
	q := r.request
	q.outputs = max(q.Choices, r.bestOf) * r.prompts
	q.OutputLimited = r.maxTokens > 0
	q.maxCompletionTokensAlone, q.usualOutput = q.OutputLimited && !r.everyoneLimits, r.options.DefaultMaxOutput
	output := r.outputLimit()
	q.Ceiling[Input] += r.inputBytes()
	if r.spoken {
		q.Ceiling[OutputAudio] = outputCeiling(output, q.outputs)
	} else {
		q.Ceiling[Output] = outputCeiling(output, q.outputs)
	}
	if r.drawn {
		q.Ceiling[OutputImage] = outputCeiling(imageOutputTokens, q.outputs)
	}
	q.images, q.chats = r.images, true
	q.MayBeSentAs(q.Model)
	q.SentAs(q.Model)
}

func embeddingsCeiling(r *requestReader) { r.request.Ceiling[Input] += r.inputBytes() }

// imagesCeiling holds both what a price by the image needs and what a price
// by the token does.
func imagesCeiling(r *requestReader) {
	q := r.request
	if q.Attributes["size"] == "" {
		q.unsaid = append(q.unsaid, "size")
	}
	if said := q.Attributes["quality"]; said == "" || said == undecided {
		q.unsaid = append(q.unsaid, "quality")
	}
	q.assume(q.Model)
	q.units, q.Ceiling[Image] = q.Choices, q.Choices
	q.Ceiling[Input] += r.inputBytes()
	q.Ceiling[OutputImage] = imageOutputTokens * q.Choices
}

// oneCall is the most that is used by what costs by the call alone. No tool is called for it.
func oneCall(r *requestReader) { r.request.Ceiling[Call], r.request.Tools = 1, nil }

// MayBeSentAs raises the ceiling to what the request can cost at an upstream that
// knows the model by this name: some models do more than they are asked for.
func (r *Request) MayBeSentAs(model string) {
	if decidesLooks(model) {
		r.assume(model)
	}
	r.mayGenerate(model)
	if !r.chats {
		return
	}
	if strings.HasPrefix(model, "gpt-4o-mini") {
		r.Ceiling[InputImage] += r.images * (dearImageTokens - imageTokens)
		r.images = 0 // they are counted as dear now
	}
	if alwaysSearches(model) && len(r.Tools) == 0 {
		r.addSearch("")
	}
}

// MayIgnoreMaxCompletionTokens raises the ceiling to what the request can cost at an upstream that
// does not know max_completion_tokens: a request with that limit alone has none there.
func (r *Request) MayIgnoreMaxCompletionTokens() {
	if r.maxCompletionTokensAlone {
		r.MayExceedLimit()
	}
}

// MayExceedLimit raises the ceiling to what the request can cost with a model that ignores
// limits, such as one that thinks beyond them: the client's limit counts only where it is
// above the default.
func (r *Request) MayExceedLimit() {
	r.OutputLimited = false
	for _, d := range [...]Dimension{Output, OutputAudio} {
		if r.Ceiling[d] > 0 {
			r.Ceiling[d] = max(r.Ceiling[d], outputCeiling(r.usualOutput, r.outputs))
		}
	}
}

// SentAs says by which name the upstream knows the model that the request is sent to.
func (r *Request) SentAs(model string) {
	r.grounded = isGroundedByPrompt(model)
	r.searches = r.chats && alwaysSearches(model)
	r.assume(model)
}

// decidesLooks reports the image models that choose size and quality if the client does
// not. Their answers say what they chose.
func decidesLooks(model string) bool {
	return strings.HasPrefix(model, "gpt-image") || strings.HasPrefix(model, "chatgpt-image")
}

// assume notes the size and quality that a model of this name takes where the
// client left them open.
func (r *Request) assume(model string) {
	for _, name := range r.unsaid {
		switch {
		case decidesLooks(model):
			r.setAttribute(name, undecided)
		case name == "size":
			r.setAttribute(name, "1024x1024")
		default:
			r.setAttribute(name, "standard")
		}
	}
}

// beyondLimit is how many tokens an output may have above its limit: some
// upstreams count those that end it.
const beyondLimit = 16

// ExceedsLimit reports whether an upstream says that it wrote more than the client
// allowed it.
func (r *Request) ExceedsLimit(u *Usage) bool {
	return r.OutputLimited && u.Source != Estimated && u.TotalOutput() > r.Ceiling.TotalOutput()+beyondLimit*r.outputs
}

// limitBytes is how much longer the body gets if the client adds a limit it had left out.
const limitBytes = int64(len(`, "max_completion_tokens": 2147483647`))

// nestedLimitBytes is that where limits stand in an object of their own.
const nestedLimitBytes = int64(len(`, "generationConfig": {"maxOutputTokens": 2147483647}`))

// CanLimitOutput reports whether a client can limit the output, as of the chat family.
func (r *Request) CanLimitOutput() bool { return r.outputs > 0 }

// WithOutput returns the ceiling as it would be if the client limited the
// output to n tokens a choice, if it can.
func (r *Request) WithOutput(n int64) Quantities {
	q, more := r.Ceiling, limitBytes
	if r.generates {
		more = nestedLimitBytes
	}
	for _, d := range [...]Dimension{Output, OutputAudio} {
		if q[d] == 0 || !r.CanLimitOutput() {
			continue
		}
		q[d] = outputCeiling(n, r.outputs)
		if !r.OutputLimited {
			q[Input] += more * max(r.turns, 1)
		}
	}
	return q
}

// leastCall is the ceiling of the least that a call can ask for.
func (e *Endpoint) leastCall(model string) Quantities {
	r := requestReader{
		options:   ReadOptions{DefaultMaxOutput: 1},
		endpoint:  e,
		request:   &Request{Endpoint: e, Model: model, Choices: 1, units: 1, recordings: 1},
		prompts:   1,
		maxTokens: -1,
	}
	r.request.Ceiling[e.dialect.unit] = 1
	e.ceiling(&r)
	return r.request.Ceiling
}
