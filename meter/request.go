package meter

import (
	"cmp"
	"math"
	"sync/atomic"
)

// ReadOptions are what is not in the body of a request: the proxy's policy, and its path.
type ReadOptions struct {
	// Model is what the path names. Of a row that has it there the body's, if there is one, must be the
	// same; of others it is taken in place of the body's. Where it is empty, the body's is taken.
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
	// chats says that the request is one of the chat family, generates that it is one of Gemini's.
	chats, generates bool
	// images counts those in messages that may turn out dearer than they were taken for.
	images int64
	// echoes says that the text of each answer begins with the prompt.
	echoes bool
	// searches says that the model searches once for every answer, grounded that all searches
	// for one answer are billed as one.
	searches, grounded bool
	// citesSearch says that a search shows in the answer's annotations alone, hidesSearch that
	// it does not show at all.
	citesSearch, hidesSearch bool
	// maxCompletionTokensAlone says that no other parameter limits the output.
	maxCompletionTokensAlone bool
	// usualOutput is held for each output without a limit, in tokens.
	usualOutput int64
	// turns is how often the model may read its input: again after each call of a
	// hosted tool. 0 is 1.
	turns int64
	// named are the ids of kept answers, and of items of such, that the request goes on from,
	// previous is that of the answer before it, if it has one. history is what the model reads
	// of them, in tokens.
	named    []string
	previous string
	history  int64
	// foreign is the error if not all of named is the account's, stored that for the first
	// reference to anything else that is kept upstream. Nil: there is nothing of the kind.
	foreign, stored *RequestError
	// unkept says that the answer is not to be kept upstream, background that its end is asked for later.
	unkept, background bool
	// unsaid are the attributes of an image that the client left open: what they
	// are depends on the model.
	unsaid []string
	// otherwise says that the body names another model than Model, or none.
	otherwise bool
	// renames and ask are the places to patch for another model name and to ask for usage.
	renames []edit
	ask     edit
	// prompt is the prompt of an image, or the text of speech.
	prompt string
	// units is how many images, characters, ms of a recording or calls are asked for, of
	// endpoints that have such a unit.
	units int64
	// recordings is the number of them. playsAbout says that how long they play is an estimate.
	recordings int64
	playsAbout bool
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
	if r.err == nil && !e.NamesModel() {
		r.checkModel(e.modelName(), o.Model)
		r.meansModel(cmp.Or(o.Model, e.unnamed))
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

// meansModel takes a model that is named elsewhere, or meant, where the body names none. The upstream is told
// which: it could mean another. A body that says nothing at all means nothing.
func (r *requestReader) meansModel(model string) {
	q := r.request
	switch {
	case model == "" || len(q.renames) > 0:
	case r.noModel == (edit{}): // a form: it has to name one
		q.Model = ""
	case r.seen > 0:
		q.Model, q.otherwise, q.renames = model, true, []edit{r.noModel}
	}
}

// modelName is the parameter that names the model.
func (e *Endpoint) modelName() string { return cmp.Or(e.model, "model") }

// setAttribute notes a fact for the price rows.
func (r *Request) setAttribute(name, value string) {
	if r.Attributes == nil {
		r.Attributes = make(Attributes)
	}
	r.Attributes[name] = value
}
