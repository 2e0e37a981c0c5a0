package meter

// Ranking is billed by its input: the query and the documents. Some upstreams
// count the query once, others with each document.

// queryParameter is what the documents are ranked by.
func queryParameter() parameter {
	return parameter{name: "query", value: func(r *requestReader) {
		start := r.pos
		r.skip()
		r.query = int64(r.pos - start)
	}}
}

// documentsParameter counts the documents, by one of their names.
func documentsParameter(name string) parameter {
	return parameter{name: name, value: func(r *requestReader) {
		r.elements(func() {
			r.documents++
			r.skip()
		})
	}}
}

func rerankCeiling(r *requestReader) {
	r.request.Ceiling[Input] += r.inputBytes() + r.documents*(r.query+messageTokens)
}
