package meter

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// ReadOptions are what is not in the body of a request: the proxy's policy, and its path.
type ReadOptions struct {
	// Model is what the path names, of a row that has it there. Where it is empty, the
	// body's is taken, as for a quote.
	Model string

	// DefaultMaxOutput is the output, in tokens a choice, that is held for a
	// request that sets no limit itself; 4096 if it is not positive.
	DefaultMaxOutput int64
}

const defaultMaxOutput = 4096

// Limits of what a request may ask for. Beyond them it is not a wish but a
// mistake, or an attempt to make a hold overflow.
const (
	maxChoices    = 128
	maxOutput     = math.MaxInt32
	maxModelBytes = 256
)

// A RequestError says what is wrong with a request. The client sees it.
type RequestError struct {
	// Param is the offending parameter, if it is one.
	Param string
	// Message is a sentence or two for the client's developer.
	Message string
}

func (e *RequestError) Error() string { return e.Message }

// A Request is what the metering needs to know of a client's request. It
// keeps the body it was read from, which must not be changed.
type Request struct {
	Endpoint *Endpoint
	Model    string
	// Stream says that the client wants the answer as events.
	Stream bool
	// AskedUsage says that the client itself wants the usage chunk in its stream.
	AskedUsage bool
	// Ceiling is the most that the request can use. Input and Output stand for
	// all that may become of their tokens (cached, reasoned, …); the modalities
	// (InputImage, InputAudio, …, OutputAudio) are beside them, not in them.
	//
	// Input: a token is at least one byte of the body. Payloads that are not
	// text count a fixed ceiling instead of their bytes (see imageTokens and
	// its neighbours), each message counts the chat template's share, and a
	// hosted search counts the results that it will add to the prompt.
	//
	// Output: the client's limit, or the default, for each choice; it is
	// OutputAudio where the answer may be spoken.
	Ceiling Quantities
	// OutputLimited says that the client limited the output. If not, the
	// output's ceiling is the default, and the answer may exceed it.
	OutputLimited bool
	// Choices is the number of answers asked for, n.
	Choices int64
	// Attributes for price rows, such as size, quality and service_tier.
	Attributes Attributes
	// Tools are the hosted tools that the request may use, with the most calls each.
	Tools []ToolUse

	body        []byte
	contentType string
	// outputs is the number of outputs that are generated, and billed: n, or
	// best_of, for each prompt.
	outputs int64
	// messages and attachments (images and other payloads) are counted for estimates.
	messages, attachments int64
	// images are those in messages that may be dearer than they were taken for; chats
	// that the request is one of the chat family.
	images int64
	chats  bool
	// echoes says that the text of each answer begins with the prompt.
	echoes bool
	// citesSearch says that a search shows in the answer's annotations only,
	// searches that every answer is one, hidesSearch that the answer does not tell.
	citesSearch, searches, hidesSearch bool
	// generates says that the request is one of Gemini's, grounded that its searches are one.
	generates, grounded bool
	// maxCompletionTokensAlone says that the output is limited by max_completion_tokens alone, usualOutput
	// what is held for each output without a limit.
	maxCompletionTokensAlone bool
	usualOutput              int64
	// turns is how often the model may read its input: again after each call of a
	// hosted tool. 0 is 1.
	turns int64
	// stored is the first reference to what is kept upstream, but for kept answers and what is in them: those are
	// named, and unnamed is the error if they are not the account's. Nil: there is none.
	stored, unnamed *RequestError
	named           []string
	previous        string
	// unkept says that the answer is not to be kept, background that it is asked for later; history is what is read
	// of kept ones, in tokens.
	unkept, background bool
	history            int64
	// unsaid are the attributes of an image that the client left open: what they
	// are depends on the model.
	unsaid []string
	// renames and ask are the places to patch for another model name and to ask for usage.
	renames []edit
	ask     edit
	// prompt is the prompt of an image, or the text of speech.
	prompt string
	// units is how many images, characters, ms of a recording or calls are asked for, of
	// endpoints that have such a unit. recordings are counted; playsAbout says that how long
	// they play is not certain.
	units, recordings int64
	playsAbout        bool
	// estimate is the estimated input, plus one; 0: not counted yet.
	estimate atomic.Int64
}

// ReadRequest reads what matters for the bill out of a request's raw body, in
// one pass. On bad input the error is a *RequestError. The body is kept, not
// copied.
func (e *Endpoint) ReadRequest(contentType string, body []byte, o ReadOptions) (*Request, error) {
	if o.DefaultMaxOutput <= 0 {
		o.DefaultMaxOutput = defaultMaxOutput
	}
	r := &requestReader{
		cursor:    cursor{body: body},
		options:   o,
		endpoint:  e,
		request:   &Request{Endpoint: e, Model: o.Model, Stream: e.streams, Choices: 1, body: body, contentType: contentType},
		prompts:   1,
		maxTokens: -1,
	}
	switch boundary, isForm := formBoundary(contentType); {
	case isForm && e.file != nil:
		r.readForm(boundary)
	default:
		r.request.contentType = "application/json" // what it was read as, whatever the client calls it
		r.readJSON()
	}
	if r.err == nil && r.request.Model == "" {
		r.fail(e.modelName(), "You must provide a %s parameter.", e.modelName())
	}
	if r.err != nil {
		return nil, r.err
	}
	if e.ceiling(r); r.err != nil {
		return nil, r.err
	}
	return r.request, nil
}

// modelName is the parameter that names the model.
func (e *Endpoint) modelName() string { return cmp.Or(e.model, "model") }

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

// A requestReader is a cursor that fills a Request.
type requestReader struct {
	cursor
	options  ReadOptions
	endpoint *Endpoint
	request  *Request
	// seen has a bit for each parameter of the endpoint that was met.
	seen uint64
	// bestOf and prompts multiply the outputs of a completion.
	bestOf, prompts int64
	// maxTokens is the larger of the client's limits; -1: none.
	maxTokens int64
	// everyoneLimits says that one of them is known to all upstreams.
	everyoneLimits bool
	// hidden counts the bytes of the body that are not text, tools the tool
	// definitions, images those in messages.
	hidden, tools, images int64
	// query is the length of what documents are ranked by; documents are those, or the texts to be moderated.
	query, documents int64
	// spoken says that the answer may be audio, drawn that it may have images.
	spoken, drawn bool
	// toolCalls is the client's limit of the calls of hosted tools; 0: none.
	toolCalls int64
	// hasDocument says that there is a document, budget is how many tokens may be thought.
	hasDocument bool
	budget      int64
}

// A parameter is a member of a request, or a field of a form, that decides
// about money. One of the functions reads it: text, integer and boolean from
// both, value from JSON only.
type parameter struct {
	name    string
	text    func(*requestReader, string)
	integer func(*requestReader, int64)
	boolean func(*requestReader, bool)
	value   func(*requestReader)
	// attribute says that it is noted for the price rows, by its name.
	attribute bool
}

// readJSON reads the body as one JSON object.
func (r *requestReader) readJSON() {
	switch first := r.peek(); {
	case first == 0 && r.pos == len(r.body):
		r.fail("", "The request body is empty; it must be a JSON object.")
		return
	case first != '{':
		if r.skip(); r.err == nil {
			r.fail("", "The request body must be a JSON object, but is %s.", kindOf(first))
		}
		return
	}
	r.request.ask = edit{start: r.pos + 1, end: r.pos + 1, text: `"stream_options":{"include_usage":true},`}
	for r.open('{'); r.more('}'); {
		key := r.key()
		if p := r.parameter(key); p != nil {
			r.read(p)
		} else {
			r.skip()
		}
	}
	r.end()
}

// parameter looks a key up. A second one of the same name is refused, because
// upstreams differ in which of the two they take; so is one that differs only
// in case, because some upstreams do not mind the case.
func (r *requestReader) parameter(key []byte) *parameter {
	for i := range r.endpoint.parameters {
		if p := &r.endpoint.parameters[i]; p.name == string(key) {
			r.once(&r.seen, i, p.name)
			return p
		}
	}
	if r.mayDiffer(key) { // once for all of them
		for i := range r.endpoint.parameters {
			r.refuseOddCase(key, "", r.endpoint.parameters[i].name)
		}
	}
	return nil
}

// once notes the i-th name of an object in seen and refuses a repetition.
func (r *requestReader) once(seen *uint64, i int, param string) {
	if *seen&(1<<i) != 0 {
		r.fail(param, "Duplicate parameter: '%s' is given more than once.", param)
	}
	*seen |= 1 << i
}

// A member is one that matters of an object, and what reads its value.
type member struct {
	name string
	read func()
}

// members reads an object that stands inside of another: those that matter, each
// given once and in this case alone. Any other value is passed over.
func (r *requestReader) members(inside string, those ...member) {
	switch first := r.peek(); {
	case first == '[' && r.endpoint.protobuf: // some of its readers take a list of one for the one
		r.elements(func() { r.members(inside, those...) })
		return
	case first != '{':
		r.skip()
		return
	}
	var seen uint64
	for r.open('{'); r.more('}'); {
		key := r.key()
		i := slices.IndexFunc(those, func(m member) bool { return m.name == string(key) })
		if i >= 0 {
			if seen&(1<<i) != 0 {
				r.once(&seen, i, inside+those[i].name)
			}
			seen |= 1 << i
			those[i].read()
			continue
		}
		if r.mayDiffer(key) {
			for _, m := range those {
				r.refuseOddCase(key, inside, m.name)
			}
		}
		r.skip()
	}
}

// refuseOddCase refuses a key that is one of names but for its case. inside is
// where it stands, for the message.
func (r *requestReader) refuseOddCase(key []byte, inside string, names ...string) {
	if !r.mayDiffer(key) {
		return
	}
	for _, name := range names {
		if strings.EqualFold(r.spelled(key), name) {
			r.fail(inside+name, "Unknown parameter: '%s%s'. Did you mean '%s'?", inside, key, name)
		}
	}
}

// oddCase reports whether a key has letters that another case could match.
func oddCase(key []byte) bool {
	for _, b := range key {
		if b >= 'A' && b <= 'Z' || b >= 0x80 {
			return true
		}
	}
	return false
}

// read reads the value of a parameter. A null is the same as none.
func (r *requestReader) read(p *parameter) {
	first := r.peek()
	if p.value != nil {
		p.value(r)
		return
	}
	start := r.pos
	value := r.raw()
	if r.err != nil || first == 'n' {
		return
	}
	switch {
	case p.text != nil && first == '"':
		if p.name == r.endpoint.modelName() {
			r.request.renames = append(r.request.renames, edit{start: start, end: r.pos, quoted: true})
		}
		r.takeText(p, unescape(value[1:len(value)-1]))
	case p.text != nil:
		r.wrongType(p.name, "a string", first)
	case p.boolean != nil && (first == 't' || first == 'f'):
		p.boolean(r, first == 't')
	case p.boolean != nil:
		r.wrongType(p.name, "a boolean", first)
	default:
		r.readInteger(p, first, value)
	}
}

// takeText hands a text over, if all parsers will read it the same.
func (r *requestReader) takeText(p *parameter, text string) {
	if !utf8.ValidString(text) {
		r.fail(p.name, "Invalid value for '%s': it is not UTF-8.", p.name)
		return
	}
	p.text(r, text)
}

func (r *requestReader) wrongType(param, want string, first byte) {
	r.fail(param, "Invalid type for '%s': expected %s, but got %s instead.", param, want, kindOf(first))
}

// readInteger takes 12 and 12.0 alike.
func (r *requestReader) readInteger(p *parameter, first byte, value []byte) {
	if first != '-' && (first < '0' || first > '9') {
		r.wrongType(p.name, "an integer", first)
		return
	}
	n, ok := parseInteger(value)
	if !ok {
		r.fail(p.name, "Invalid value for '%s': %s is not an integer within bounds.", p.name, value[:min(len(value), 32)])
		return
	}
	p.integer(r, n)
}

// between refuses an integer outside of its bounds.
func (r *requestReader) between(param string, n, least, most int64) bool {
	if n < least || n > most {
		r.fail(param, "Invalid value for '%s': %d is not between %d and %d.", param, n, least, most)
		return false
	}
	return true
}

// setAttribute notes a fact for the price rows.
func (r *Request) setAttribute(name, value string) {
	if r.Attributes == nil {
		r.Attributes = make(Attributes)
	}
	r.Attributes[name] = value
}

// parseInteger reads a JSON number without a fraction: 12, 12.0, 1.2e1, -1.
func parseInteger(text []byte) (int64, bool) {
	if n, ok := parseDigits(text); ok {
		return n, true
	}
	x, err := strconv.ParseFloat(string(text), 64)
	if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int64(x), true
}
