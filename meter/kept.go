package meter

// Some answers are kept upstream. Requests go on from them, and they can be read and deleted:
// none of that but the requests costs anything.

// Kept reports whether the answer is kept upstream, so that later requests may name it.
func (r *Request) Kept() bool { return r.Endpoint.KeepsAnswers && !r.unkept }

// Previous is the id of the kept answer that the request goes on from; "": of none.
func (r *Request) Previous() string { return r.previous }

// GoOn takes in that the answer of that id is the account's own, and that the model reads
// so many tokens of what was said until then: those of the answer before, in and out. The
// ceiling is raised by that.
func (r *Request) GoOn(tokens int64) {
	r.history = min(max(tokens, 0), contextTokens)
	r.Ceiling[Input] += r.history * max(r.turns, 1)
	r.previous = ""
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
	}}
}

// keptAnswers is the row of questions about kept answers. It is never changed.
var keptAnswers = &Endpoint{Path: "/responses/", Name: "responses", API: Responses}

// KeptAnswers returns that row.
func KeptAnswers() *Endpoint { return keptAnswers }

// A KeptRoute is a path, with {id} for that of a kept answer, and what may be asked there.
type KeptRoute struct {
	Path    string
	Methods []string
}

// KeptRoutes returns the routes of questions about kept answers.
func KeptRoutes() []KeptRoute {
	return []KeptRoute{
		{"/responses/{id}", []string{"GET", "DELETE"}},
		{"/responses/{id}/input_items", []string{"GET"}},
	}
}
