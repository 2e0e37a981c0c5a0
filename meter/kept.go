package meter

import (
	"slices"
	"strings"
)

// What requests may refer to upstream. Some answers are kept there: requests go on from them, and they
// can be read and deleted; none of that but the requests costs anything. Whatever else is stored there
// (files, prompts, conversations) is nobody's that is known here.

// Kept reports whether the answer is kept upstream, so that later requests may name it.
func (r *Request) Kept() bool { return r.Endpoint.keepsAnswers && !r.unkept }

// Previous is the id of the answer that the request goes on from; "": there is none.
func (r *Request) Previous() string { return r.previous }

// Named are the ids of kept answers, and of items of such, that the request goes on from.
func (r *Request) Named() []string { return r.named }

// GoOn is told that all that is Named is the account's own, and how many tokens of it the model
// reads: the ceiling is raised by these.
func (r *Request) GoOn(tokens int64) {
	r.history = min(max(tokens, 0), contextTokens)
	r.Ceiling[Input] += r.history * max(r.turns, 1)
	r.named, r.foreign = nil, nil
}

// maxNamed bounds how many ids a request may name: each is looked for.
const maxNamed = 256

// goesOnFrom notes that the request names a kept answer, or an item of one.
func (r *requestReader) goesOnFrom(id, param, what string) {
	q := r.request
	if q.foreign == nil {
		q.foreign = storedError(param, what, "It is known for three days after the call that made it, if that did not say \"store\": false. "+wholeInput)
	}
	switch {
	case slices.Contains(q.named, id):
	case len(q.named) == maxNamed:
		r.fail(param, "Invalid value for '%s': no more than %d items can be named by their ids. Send the others as they are, or name the last response in 'previous_response_id'.", param, maxNamed)
	default:
		q.named = append(q.named, id)
	}
}

// Stored is the error for a request that refers to an object stored upstream, where many
// accounts share a credential, and whose owner is not known: that of what is Named is not
// before GoOn. Nil: there is no such reference.
func (r *Request) Stored() *RequestError {
	if r.foreign != nil {
		return r.foreign
	}
	return r.stored
}

// wholeInput says what to do without state.
const wholeInput = `Send the whole conversation in 'input', with "store": false (AI SDK: providerOptions: {openai: {store: false}}), and earlier reasoning as its encrypted_content (include: ["reasoning.encrypted_content"]).`

// refersTo notes that the request names what, which is kept upstream.
func (r *requestReader) refersTo(param, what, instead string) {
	if r.request.stored == nil {
		r.request.stored = storedError(param, what, instead)
	}
}

func storedError(param, what, instead string) *RequestError {
	return &RequestError{Param: param, Message: "There is no such object of yours here: '" + param + "' names " + what + " that is kept upstream. " + instead}
}

// storedParameter is a reference, unless it is null.
func storedParameter(name, what, instead string) parameter {
	return parameter{name: name, value: func(r *requestReader) {
		if r.given() {
			r.refersTo(name, what, instead)
		}
	}}
}

// storedInputParameter names what is stored upstream and comes into the prompt, whatever its size.
func storedInputParameter(name, what, instead string) parameter {
	return parameter{name: name, value: func(r *requestReader) { r.storedInput(name, what, instead) }}
}

func (r *requestReader) storedInput(param, what, instead string) {
	if r.given() {
		r.refersTo(param, what, instead)
		r.request.Ceiling[Input] += contextTokens
	}
}

// storeParameter reads whether the answer is to be kept.
func storeParameter() parameter {
	return parameter{name: "store", boolean: func(r *requestReader, on bool) { r.request.unkept = !on }}
}

func previousParameter() parameter {
	return parameter{name: "previous_response_id", text: func(r *requestReader, id string) {
		if id == "" {
			r.fail("previous_response_id", "Invalid value for 'previous_response_id': it is empty. Leave it out to begin a conversation.")
		}
		r.request.previous = id
		r.goesOnFrom(id, "previous_response_id", "a response")
	}}
}

// objectFacts is what an answer says of itself where it is kept, or of its task.
type objectFacts struct {
	id, status noted
	parts      []string
}

// noteObject notes one fact of it.
func (f *answerFacts) noteObject(what fact, text []byte) {
	if f.object == nil {
		f.object = new(objectFacts)
	}
	o := f.object
	switch what {
	case factObjectID:
		o.id.set(text)
	case factPartID:
		if len(o.parts) < maxParts && len(text) < len(o.id.text) && !slices.Contains(o.parts, string(text)) {
			o.parts = append(o.parts, unescape(text))
		}
	default:
		o.status.set(text)
		f.failed = f.failed || strings.HasPrefix(strings.ToUpper(o.status.String()), "FAIL")
	}
}

// maxParts bounds how many items of an answer are noted.
const maxParts = 128

// ObjectID is what the answer is called where it is kept upstream, or its task; "" where that is not told.
func (t *Tap) ObjectID() string {
	told := t.facts.object
	if told == nil || told.id.n == len(told.id.text) { // it may have been cut
		return ""
	}
	return told.id.String()
}

// PartIDs are what the items of a kept answer are called.
func (t *Tap) PartIDs() []string {
	if t.facts.object == nil {
		return nil
	}
	return t.facts.object.parts
}

// keptAnswers is the row of questions about kept answers. It is never changed.
var keptAnswers = &Endpoint{Path: "/responses/", Name: "responses", API: Responses}

// KeptAnswers returns that row.
func KeptAnswers() *Endpoint { return keptAnswers }

// A KeptRoute is what may be asked of a kept answer.
type KeptRoute struct {
	Method string
	Path   string // with {id} for that of the answer
	// Tells says that the answer itself is told there, and so the end of one that is made in the
	// background; else something about it, such as what went in.
	Tells bool
}

// KeptRoutes returns the routes of questions about kept answers.
func KeptRoutes() []KeptRoute {
	return []KeptRoute{
		{"GET", "/responses/{id}", true},
		{"DELETE", "/responses/{id}", false},
		{"GET", "/responses/{id}/input_items", false},
		{"POST", "/responses/{id}/cancel", true},
	}
}
